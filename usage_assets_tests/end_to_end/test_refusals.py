"""What a run says of days that cannot be had. What a refusal leaves: fetching/test_refusals.py."""

from datetime import date, timedelta
from pathlib import Path

import dagster as dg

from usage_assets_tests.end_to_end.conftest import hold_project
from usage_assets_tests.fixtures import TODAY, Sandbox


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Failed steps, with what a person reads in the run."""
    return {
        str(event.step_key): str(event.step_failure_data.error)
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.error
    }


def test_days_that_cannot_be_had_fail_before_anything_is_fetched(sandbox: Sandbox, tmp_path: Path) -> None:
    key, connections = tmp_path / "key", tmp_path / "connections.toml"
    key.write_text("sk-ant-admin-sandbox")
    of_started = f'name = "started"\nprovider = "anthropic"\nkey = "file:{key}"\nstart_date = 2026-11-02'
    connections.write_text(f"[[connection]]\n{of_started}\n")
    variables = {"ANTHROPIC_ADMIN_KEY": "", "USAGE_CONNECTIONS": str(connections)}
    with hold_project(sandbox, tmp_path, variables) as project:
        for connection, endpoint, earliest, why in (
            ("openai", "costs", TODAY - timedelta(days=365), ""),
            ("chatgpt", "codex_usage", TODAY - timedelta(days=90), ""),
            ("started", "cost_report", date(2026, 11, 2), " (the connection's start date)"),
        ):
            asked = sandbox.requests()
            result = project.fetch(connection, [earliest - timedelta(days=1), earliest], endpoint)
            assert not result.success
            assert f"the earliest day is {earliest}{why}" in failures(result)[f"{connection}__{endpoint}"]
            assert sandbox.requests() == asked
            assert not project.instance.get_materialized_partitions(dg.AssetKey([connection, endpoint]))
            assert project.fetch(connection, [earliest], endpoint).success
