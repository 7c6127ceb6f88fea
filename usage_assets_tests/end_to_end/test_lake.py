"""The whole way on a lake: what is fetched, computed and pushed equals what a file holds; what is removed is gone."""

from pathlib import Path
from shutil import rmtree

import pytest

from usage_assets_tests.conftest import NOW, Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import SERVER, Project, open_project, with_endpoints
from usage_assets_tests.end_to_end.test_removed import remove
from usage_assets_tests.terminal import Terminal

DAYS = last_days(2)


def live(project: Project) -> tuple[object, ...]:
    """Fetch days, once more after one was restated, and push them; return all that is there then."""
    assert project.fetch("openai", DAYS).success
    assert project.sandbox.control("POST", "restate", {"provider": "openai", "days": [str(DAYS[1])], "change": "scale"})
    assert project.fetch("openai", DAYS).success
    assert project.push_of("openai", DAYS).success
    assert project.in_port() == project.entities()
    assert project.totals_of("openai usd")["openai usd"] == project.truth(DAYS)["openai usd"]
    versions = [row["version"] for row in project.rows("ledger.stored_days")]
    restated = project.warehouse.read(
        "select table_name, connection, usage_date, total, unit, before, after, change, cause "
        "from ledger.restatements order by all"
    )
    assert restated.num_rows
    return project.content(), project.hashes(), versions, restated.to_pylist()


def test_a_lake_holds_what_a_file_holds_and_nothing_of_what_is_removed(
    sandbox: Sandbox, tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    variables, file = with_endpoints(tmp_path, "costs"), tmp_path / "file"
    file.mkdir()
    with open_project(sandbox, file, variables) as project:
        in_file = live(project)
    rmtree(file)
    sandbox.control("POST", "reset", {"now": NOW.isoformat()})
    monkeypatch.setenv(SERVER, postgres)
    terminal = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    with open_project(sandbox, tmp_path, variables) as project:
        assert live(project) == in_file
    for key in ("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY"):
        monkeypatch.delenv(key)
    remove(terminal)
