"""The database is lost, damaged, or replaced by an older copy: Port ends up equal to the tables, and what is not ours
stays.
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from usage_assets.warehouse.database import write_ahead_log
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.conftest import IS_NIGHT
from usage_assets_tests.end_to_end.conftest import IMPATIENT, Project, on_file, open_project, saved, with_main_endpoints
from usage_assets_tests.end_to_end.conftest import PUSHED_ASSETS as ASSETS
from usage_assets_tests.end_to_end.conftest import PUSHED_DAYS as DAYS
from usage_assets_tests.end_to_end.test_refusals import failures
from usage_assets_tests.port_user import port_user

COST, MODEL = "claude_cost_record", "claude_model_usage"


@contextmanager
def new_database(project: Project, folder: Path) -> Iterator[Project]:
    """The same project on a new database file, with a Dagster home that remembers nothing."""
    folder.mkdir()
    with open_project(project.sandbox, folder, with_main_endpoints(folder), patience=IMPATIENT) as opened:
        yield opened


def fetch_and_push(project: Project, days: list[date]) -> None:
    """Store days and push them."""
    assert project.fetch("anthropic", days, *ASSETS).success
    assert project.push_of("anthropic", days).success


def restate(project: Project, change: str, day: int = 0) -> None:
    """Let Anthropic change a day."""
    project.sandbox.control("POST", "restate", {"provider": "anthropic", "days": [str(DAYS[day])], "change": change})


def vanish_from_tables(project: Project, identifier: str) -> None:
    """Let a table lose an entity that Port has."""
    with project.warehouse.transaction() as database:
        for name in (COST, MODEL):
            database.execute(f"delete from port_entities.{name} where identifier = ?", [identifier])


def test_after_a_lost_database_what_vanished_meanwhile_leaves_port_and_what_is_not_ours_stays(
    pushed: Project, tmp_path: Path
) -> None:
    """What people made, what another installation pushed for another connection, what relates to no connection."""
    before = pushed.in_port()
    dated = {"record_date": f"{DAYS[0]}T00:00:00Z", "currency": "USD"}
    with port_user(pushed.sandbox) as user, port_user(pushed.sandbox, "usage-assets/9.9") as other:
        user.create(COST, "theirs", dated, relations={"ai_connection": "anthropic"})
        other.create("ai_connection", "emea", {"provider": "anthropic", "last_push": "1"})
        other.create(COST, "emea:cost", dated, relations={"ai_connection": "emea"})
        other.create(COST, "without-a-connection", dated)
        theirs = {key: entity for key, entity in pushed.in_port().items() if key not in before}
        other.create(COST, "lost", dated, relations={"ai_connection": "anthropic"})
    with new_database(pushed, tmp_path / "new") as project:
        assert project.fetch("anthropic", DAYS[1:], *ASSETS).success
        vanish_from_tables(project, f"{DAYS[1]}-cost")
        assert project.push_of("anthropic", DAYS[1:]).success
        first_day = {key: entity for key, entity in before.items() if str(DAYS[0]) in key[1]}
        left = project.in_port()
        left.pop((COST, "lost"), None)
        assert left == theirs | first_day | project.entities(), "days that are not stored again are left alone"
        fetch_and_push(project, DAYS[:1])
        assert project.in_port() == theirs | project.entities()
    assert before.keys() - pushed.in_port().keys() == {(COST, f"{DAYS[1]}-cost")}


def test_after_an_older_copy_days_that_nobody_pushes_again_are_as_the_tables_have_them(pushed: Project) -> None:
    """Since then an entity was added to the first day, the second was edited, and another entity deleted."""
    vanish_from_tables(pushed, f"{DAYS[0]}-cost")
    assert pushed.push_of("anthropic", DAYS).success
    entities, bring_back = pushed.entities(), saved(pushed.warehouse)
    assert pushed.fetch("anthropic", DAYS[:1], ASSETS[2]).success
    restate(pushed, "scale", day=1)
    assert pushed.fetch("anthropic", DAYS[1:2], *ASSETS).success
    vanish_from_tables(pushed, f"{DAYS[1]}-cost")
    assert pushed.push_of("anthropic", DAYS[:2]).success
    assert pushed.in_port().keys() ^ entities.keys() == {(COST, f"{day}-cost") for day in DAYS[:2]}
    bring_back()
    assert pushed.push_of("anthropic", DAYS).success, "nothing differs from what the copy knows: nothing is asked"
    restate(pushed, "scale", day=-1)
    fetch_and_push(pushed, DAYS[-1:])
    assert pushed.in_port() == pushed.entities()
    assert pushed.entities().keys() == entities.keys()
    asked = pushed.port_requests()
    assert pushed.push_of("anthropic", DAYS).success
    assert pushed.port_requests() == asked


def test_the_hourly_state_rebuilds_too(pushed: Project, tmp_path: Path) -> None:
    with new_database(pushed, tmp_path / "new") as project:
        assert project.push_state_of("anthropic").success
        lines = {row["identifier"]: row for row in project.rows("ledger.port_entities")}
        assert {(COST, f"{day}-cost") for day in DAYS} <= {(row["blueprint"], name) for name, row in lines.items()}
        assert {lines[f"{day}-cost"]["usage_date"] for day in DAYS} == {*DAYS}
        assert {row["content_hash"] for name, row in lines.items() if name != "anthropic"} == {""}


def test_a_rebuild_that_breaks_off_anywhere_is_done_again(pushed: Project, tmp_path: Path) -> None:
    """Port refuses the first request, the second, ...: after each refusal the next push makes it good."""
    broken = 0
    with new_database(pushed, tmp_path / "new") as fetched:
        assert fetched.fetch("anthropic", DAYS, *ASSETS).success
    bring_back = saved(fetched.warehouse)
    for number in range(2, 40, 1 if IS_NIGHT else 7):
        bring_back()
        with dg.DagsterInstance.ephemeral() as instance, fetched.warehouse.get_connection():
            project = replace(fetched, instance=instance)
            vanish_from_tables(project, f"{DAYS[number % 3]}-cost")
            pushed.sandbox.faults({"route": "* /port/", "calls": [number], "fault": "status", "status": 403})
            result = project.push_of("anthropic", DAYS[:1])
            pushed.sandbox.control("DELETE", "faults")
            assert result.success or "403" in failures(result)["anthropic__port_sync"]
            broken += not result.success
            assert project.push_of("anthropic", DAYS).success
            assert project.in_port() == project.entities()
        if result.success:
            break
    assert broken > (5 if IS_NIGHT else 1)


@on_file
def test_a_damaged_file_is_replaced_by_the_published_copy_as_its_message_says(pushed: Project) -> None:
    """Step by step, also what a killed process has left beside the file."""
    database = Path(pushed.warehouse.database)
    content, entities = pushed.content(), pushed.entities()
    database.write_bytes(database.read_bytes()[:5000])
    write_ahead_log(database).write_bytes(b"left by a killed process")
    with pytest.raises(WarehouseError) as refused:
        pushed.rows(f"port_entities.{COST}")
    command = re.search(r"`(install [^`]+)` there", str(refused.value))
    assert command, refused.value
    for file in (database, write_ahead_log(database)):
        file.unlink()
    subprocess.run(command[1].split(), cwd=database.parent, check=True)
    assert (pushed.content(), pushed.entities()) == (content, entities)
    restate(pushed, "scale")
    fetch_and_push(pushed, DAYS)
    assert pushed.content() != content
    assert pushed.in_port() == pushed.entities()
    assert pushed.totals_of("anthropic cents") == {"anthropic cents": pushed.truth(DAYS)["anthropic cents"]}
