"""The emulated activity of OpenRouter refuses what the real one refuses, and adds up to the books."""

from datetime import timedelta
from typing import Any

from usage_assets_sandbox.tests.calling import KEYS, OPENROUTER_ACTIVITY, TODAY, SandboxCaller, changes, days, exact
from usage_assets_sandbox.tests.test_fixtures import validator

YESTERDAY = TODAY - timedelta(days=1)


def test_what_is_refused(sandbox: SandboxCaller) -> None:
    path, query = OPENROUTER_ACTIVITY.path, OPENROUTER_ACTIVITY.window(YESTERDAY, YESTERDAY)
    for headers in ({}, KEYS["openai"]):
        answer = sandbox.get(path, query, headers)
        assert (answer.status_code, answer.json()["error"]["message"]) == (401, "Invalid management key")
    for _, change, words in changes(f"""
        activity  date={TODAY}                          last 30 (completed) UTC days
        activity  date={TODAY - timedelta(days=31)}     last 30 (completed) UTC days
        activity  date=yesterday                        Invalid date
        activity  group_by=person                       Invalid group_by
    """):
        answer = sandbox.get(path, {**query, **change})
        assert (answer.status_code, words in answer.json()["error"]["message"]) == (400, True), change


def test_days_by_workspace_or_not_and_all_at_once_add_up_to_the_books(sandbox: SandboxCaller) -> None:
    first = TODAY - timedelta(days=30)
    truth = sandbox.truth(start=str(first), end=str(YESTERDAY))["totals"]["openrouter"]
    by_workspace = [
        {**OPENROUTER_ACTIVITY.window(day, day), **OPENROUTER_ACTIVITY.finest} for day in days(first, TODAY)
    ]
    together: dict[str, Any] = {}
    for queries in (by_workspace, [together]):
        rows: list[Any] = []
        for query in queries:
            answer = sandbox.get(OPENROUTER_ACTIVITY.path, query).raise_for_status()
            validator(OPENROUTER_ACTIVITY).validate(answer.json())
            rows += exact(answer.content)["data"]
        for unit, field in (("usage_usd", "usage"), ("own_keys_usd", "byok_usage_inference"), ("requests", "requests")):
            assert sum(row[field] for row in rows) == exact(truth[unit])
        assert any(row["cached_tokens"] > row["prompt_tokens"] for row in rows)
