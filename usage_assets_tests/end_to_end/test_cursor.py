"""Cursor: what it says that people spent is a control. The audit has its costs, people, FOCUS and Port."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from usage_assets.assets.posted import ONLY_SHOWN
from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import Project, open_project

DAYS = last_days(3)


@pytest.fixture
def editors(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    """A project with one connection, whose days are stored."""
    connections, key = tmp_path / "connections.toml", tmp_path / "key"
    key.write_text("key_cursor-sandbox")
    connections.write_text(
        f'[[connection]]\nname = "editors"\nprovider = "cursor"\nkey = "file:{key}"\nrequests_per_second = 100\n'
    )
    environment = {"USAGE_CONNECTIONS": str(connections), "CURSOR_BASE_URL": f"{sandbox.base_url}/cursor"}
    with open_project(sandbox, tmp_path, environment) as project:
        assert project.fetch("editors", DAYS, "usage_events").success
        yield project


def test_what_cursor_says_that_people_spent_is_a_control_of_what_they_are_billed(editors: Project) -> None:
    checked = replace(editors, checks=True)

    def evaluated(check: str) -> Sequence[dg.AssetCheckEvaluation]:
        found = checked.fetch("editors", DAYS, "usage_events").get_asset_check_evaluations()
        return [each for each in found if each.check_name == check]

    assert editors.look_up("editors").success
    names = [(bool(row["member_id"]), row["name"]) for row in editors.rows("cursor.members")]
    assert names == [(True, None)] * 10, "names of people are kept where that is asked for"
    assert [each.passed for each in evaluated("spend")] == [True]
    nothing = {"do": "set", "path": "teamMemberSpend[*].spendCents", "to": 0}
    editors.sandbox.faults({"route": "POST /cursor/teams/spend", "fault": "edit", "operations": [nothing]})
    assert editors.look_up("editors").success
    editors.sandbox.control("DELETE", "faults")
    day, whole = evaluated("spend")
    assert (day.partition, day.severity, day.passed) == (str(DAYS[-1]), dg.AssetCheckSeverity.WARN, False)
    assert f"by their events of {DAYS[0]} to {DAYS[-1]}, and Cursor says that they spent $0.00" in str(
        whole.description
    )
    assert "@" not in str(whole.description)
    shown = evaluated("chargeable")
    assert {each.passed for each in shown} == {False}, "the sandbox calls included events chargeable on odd days"
    assert all(ONLY_SHOWN in each.metadata for each in shown)
    failed = "select check_name, usage_date from ledger.failed_checks where connection = 'editors'"
    assert editors.warehouse.read(failed).to_pylist() == [{"check_name": "spend", "usage_date": DAYS[-1]}]
