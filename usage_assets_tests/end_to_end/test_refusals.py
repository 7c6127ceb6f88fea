"""Nothing that a provider refuses can change, lose or invent a stored row; the run says what happened."""

from datetime import date, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from usage_assets_tests.end_to_end.conftest import Project, hold_project
from usage_assets_tests.fixtures import TODAY, Sandbox, last_days

KEYS = {"openai": "sk-admin-sandbox", "anthropic": "sk-ant-admin-sandbox", "chatgpt": "chatgpt-sandbox-key"}
ENDPOINTS = {
    "openai": ("costs", "GET /openai/v1/organization/costs"),
    "anthropic": ("usage_messages", "GET /anthropic/v1/organizations/usage_report/messages"),
    "chatgpt": ("codex_usage", "GET /chatgpt/v1/analytics/codex/*"),
}


def refusal(status: int, message: str) -> dict[str, Any]:
    """An error in the words of all three providers."""
    return {"fault": "status", "status": status, "body": {"error": {"message": message}, "detail": message}}


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "500": (refusal(500, "out of order"), "out of order"),
    "timeout": ({"fault": "delay", "seconds": 2}, "timed out"),
    "reset": ({"fault": "reset"}, "disconnected"),
    "truncated body": ({"fault": "truncate"}, "truncated"),
    "repeated token": ({"fault": "repeat_token"}, "token"),
    "401": (refusal(401, "Incorrect API key: KEY"), "Incorrect API key"),
    "400": (refusal(400, "the window is odd"), "the window is odd"),
}


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Failed steps, with what a person reads in the run."""
    return {
        str(event.step_key): str(event.step_failure_data.error)
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.error
    }


def test_a_fault_leaves_every_stored_row_and_fails_the_run_in_words(
    impatient_project: Project, subtests: pytest.Subtests
) -> None:
    project, days, connections = impatient_project, last_days(2), cycle(ENDPOINTS)
    for connection, (endpoint, _) in ENDPOINTS.items():
        assert project.fetch(connection, days, endpoint).success
        project.sandbox.control("POST", "restate", {"provider": connection, "days": [str(days[0])], "change": "clear"})
    before, hashes = project.content(), project.hashes()
    assert before
    for connection, fault in [*zip(connections, FAULTS, strict=False), *((name, "401") for name in ENDPOINTS)]:
        with subtests.test(connection=connection, fault=fault):
            (scripted, words), (endpoint, route), key = FAULTS[fault], ENDPOINTS[connection], KEYS[connection]
            if "body" in scripted:
                scripted = refusal(scripted["status"], scripted["body"]["detail"].replace("KEY", key))
            project.sandbox.faults({"route": route, **scripted})
            result = project.fetch(connection, days, endpoint)
            project.sandbox.control("DELETE", "faults")
            assert not result.success
            assert project.content() == before
            assert project.hashes() == hashes
            [read] = failures(result).values()
            assert words in read
            assert f"{connection} {endpoint}" in read
            assert key not in read


def test_days_that_cannot_be_had_fail_before_anything_is_fetched(sandbox: Sandbox, tmp_path: Path) -> None:
    key, connections = tmp_path / "key", tmp_path / "connections.toml"
    key.write_text(KEYS["anthropic"])
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
