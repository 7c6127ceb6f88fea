"""The emulated activity of OpenRouter refuses what the real one refuses, and adds up to the books."""

from datetime import timedelta
from typing import Any

import pytest

from usage_assets_sandbox.tests.calling import KEYS, OPENROUTER_ACTIVITY, TODAY, SandboxCaller, days, exact
from usage_assets_sandbox.tests.test_fixtures import validator

YESTERDAY = TODAY - timedelta(days=1)


@pytest.mark.parametrize(
    ("change", "headers", "status", "words"),
    [
        ({}, {}, 401, "Invalid management key"),
        ({}, KEYS["openai"], 401, "Invalid management key"),
        ({"date": str(TODAY)}, None, 400, "last 30 (completed) UTC days"),
        ({"date": str(TODAY - timedelta(days=31))}, None, 400, "last 30 (completed) UTC days"),
        ({"date": "yesterday"}, None, 400, "Invalid date"),
        ({"group_by": "person"}, None, 400, "Invalid group_by"),
    ],
)
def test_what_is_refused(
    sandbox: SandboxCaller, change: dict[str, Any], headers: dict[str, str] | None, status: int, words: str
) -> None:
    query = {**OPENROUTER_ACTIVITY.window(YESTERDAY, YESTERDAY), **change}
    answer = sandbox.get(OPENROUTER_ACTIVITY.path, query, headers)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


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
