"""The database is lost: Port ends up equal to the tables, and what is not ours stays."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from usage_assets_tests.end_to_end.conftest import IMPATIENT, Project, open_project, with_main_endpoints
from usage_assets_tests.end_to_end.conftest import PUSHED_ASSETS as ASSETS
from usage_assets_tests.end_to_end.conftest import PUSHED_DAYS as DAYS
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


def test_the_hourly_state_rebuilds_too(pushed: Project, tmp_path: Path) -> None:
    with new_database(pushed, tmp_path / "new") as project:
        assert project.push_state_of("anthropic").success
        lines = {row["identifier"]: row for row in project.rows("ledger.port_entities")}
        assert {(COST, f"{day}-cost") for day in DAYS} <= {(row["blueprint"], name) for name, row in lines.items()}
        assert {lines[f"{day}-cost"]["usage_date"] for day in DAYS} == {*DAYS}
        assert {row["content_hash"] for name, row in lines.items() if name != "anthropic"} == {""}
