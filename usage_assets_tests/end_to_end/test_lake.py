"""The whole way on a lake: what is fetched, computed and pushed equals what a file holds, row by row."""

from pathlib import Path

from usage_assets.core.warehouse_address import LAKE
from usage_assets_tests.conftest import NOW, Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import Project, open_project, with_main_endpoints
from usage_assets_tests.postgres import new_database

DAYS = last_days(3)


def live(project: Project) -> tuple[object, ...]:
    """Fetch and push days, and once more after one was restated; return all that is there then."""
    for change in ("scale", None):
        assert project.fetch("openai", DAYS).success
        assert project.push_of("openai", DAYS).success
        if change:
            body = {"provider": "openai", "days": [str(DAYS[1])], "change": change}
            assert project.sandbox.control("POST", "restate", body)
    versions = project.rows("ledger.stored_days")
    return project.content(), project.hashes(), [row["version"] for row in versions], project.in_port()


def test_a_lake_holds_what_a_file_holds(sandbox: Sandbox, tmp_path: Path, postgres: str) -> None:
    with open_project(sandbox, tmp_path, with_main_endpoints(tmp_path)) as project:
        in_file = live(project)
    sandbox.control("POST", "reset", {"now": NOW.isoformat()})
    lake = {"USAGE_WAREHOUSE": f"{LAKE}{new_database(postgres)}", "USAGE_WAREHOUSE_DATA": str(tmp_path / "its files")}
    with open_project(sandbox, tmp_path, with_main_endpoints(tmp_path) | lake) as project:
        assert live(project) == in_file
