"""Days are derived again from the archive: the same content without a request, or a refusal that names the days."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import dagster as dg
import time_machine

from usage_assets.assets.raw import FROM_ARCHIVE
from usage_assets.automation.jobs import USAGE_JOB, range_tags
from usage_assets.core.days import DAY
from usage_assets.fetching.archive.files import copies_in, put, small_files
from usage_assets_tests.end_to_end.conftest import CONNECTIONS, Project, another, hold_project, on_file
from usage_assets_tests.fetching.earlier_archives import as_earlier_release
from usage_assets_tests.fixtures import NOW, TODAY, Sandbox, last_days

RAW = {
    "openai": ("costs", "usage_completions"),
    "anthropic": ("claude_code", "cost_report"),
    "chatgpt": ("codex_usage",),
}


def derive(project: Project, connection: str, days: Sequence[date], *assets: str) -> dg.ExecuteInProcessResult:
    """Run raw assets for the days, from the archive."""
    return project.definitions.resolve_job_def(USAGE_JOB).execute_in_process(
        instance=project.instance,
        asset_selection=[dg.AssetKey([connection, *asset.split("/")]) for asset in assets],
        tags={**range_tags(days[0], days[-1]), FROM_ARCHIVE: "true"},
        raise_on_error=False,
    )


def answers(folder: Path) -> list[str]:
    """The archived answers."""
    return sorted(f"{file.folder.relative_to(folder)}/{file.name}" for file in copies_in(folder / "raw"))


def failure(result: dg.ExecuteInProcessResult) -> str:
    """Why the one asset failed."""
    (event,) = (event for event in result.all_events if event.is_step_failure)
    reason = event.step_failure_data.user_failure_data
    return str(reason and reason.description)


@on_file
def test_everything_is_derived_again_without_a_request_also_from_answers_of_an_earlier_release(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """And after they are put together."""
    days = last_days(3)
    with hold_project(sandbox, tmp_path) as project:
        for connection, assets in RAW.items():
            assert project.fetch(connection, days[:2], *assets).success
        for provider in CONNECTIONS:
            sandbox.restate(provider, days[1])
        for connection, assets in RAW.items():
            assert project.fetch(connection, days[1:], *assets).success
        hashes = project.hashes()
    asked = len(sandbox.requests())
    changes: Mapping[str, Callable[[Path], object]] = {"earlier": as_earlier_release, "together": put_together}
    for name, change in changes.items():
        change(tmp_path / "raw")
        variables = {"USAGE_WAREHOUSE": str(tmp_path / f"{name}.duckdb")}
        with hold_project(sandbox, tmp_path, variables, has_views=False) as project:
            for connection, assets in RAW.items():
                assert derive(project, connection, days, *assets).success
            assert project.hashes() == hashes
            versions = project.rows("ledger.partition_versions")
            assert {version["answered_at"] is None for version in versions} == {False}
    assert len(sandbox.requests()) == asked


def put_together(archive: Path) -> None:
    """Put the files of each endpoint into one."""
    for folder in archive.glob("*/*"):
        small = small_files(sorted(folder.glob("*.zst")))
        put(folder, {}, {file: texts for each in small.values() for file, texts in each.items()}, small)
    assert not [*archive.rglob("*.json.zst")]


def test_an_answer_that_the_warehouse_refuses_is_not_archived(sandbox: Sandbox, tmp_path: Path) -> None:
    days = last_days(2)
    with hold_project(sandbox, tmp_path) as project:
        assert project.fetch("openai", days, "usage_completions").success
        before = answers(tmp_path)
        body = {"object": "page", "data": [], "has_more": False, "next_page": None}
        sandbox.faults(
            {"route": "GET /openai/v1/organization/usage/completions", "fault": "replace", "text": json.dumps(body)}
        )
        assert "no bucket" in failure(project.fetch("openai", days, "usage_completions"))
        assert answers(tmp_path) == before


def test_a_window_that_failed_is_not_archived_and_one_that_was_read_is(sandbox: Sandbox, tmp_path: Path) -> None:
    with hold_project(sandbox, tmp_path, patience={"attempts": 1}) as project:
        sandbox.refuse("GET /anthropic/v1/organizations/usage_report/claude_code", 500, calls=[2])
        assert not project.fetch("anthropic", last_days(3), "claude_code").success
        stored = {version["usage_date"] for version in project.rows("ledger.partition_versions")}
        assert len(stored) < 3
        assert len(answers(tmp_path)) == len(stored)


def test_an_answer_that_is_older_than_what_is_stored_changes_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    days = last_days(1)
    with hold_project(sandbox, tmp_path) as project:
        assert project.fetch("openai", days, "usage_completions").success
        sandbox.restate("openai", days[0])
    with hold_project(sandbox, tmp_path, {"USAGE_ARCHIVE": "off"}) as project:
        assert project.fetch("openai", days, "usage_completions").success
        hashes = project.hashes()
    with hold_project(sandbox, tmp_path) as project:
        assert "stored a newer answer" in failure(derive(project, "openai", days, "usage_completions"))
        assert project.hashes() == hashes


def test_the_archive_reaches_further_back_than_the_provider(sandbox: Sandbox, tmp_path: Path) -> None:
    days = [TODAY - 90 * DAY]
    with hold_project(sandbox, tmp_path) as project:
        assert project.fetch("chatgpt", days, "codex_usage").success
        hashes = project.hashes()
    again = another(tmp_path)
    with time_machine.travel(NOW + DAY), hold_project(sandbox, tmp_path, again) as project:
        assert "the earliest day is" in failure(project.fetch("chatgpt", days, "codex_usage"))
        assert derive(project, "chatgpt", days, "codex_usage").success
        assert project.hashes() == hashes
