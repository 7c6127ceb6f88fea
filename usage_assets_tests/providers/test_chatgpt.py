"""Codex rows of both shapes: tagged, equal in what both state, and never two for one use."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from usage_assets.fetching.transport import PermanentError
from usage_assets.providers.chatgpt.analytics import CHATGPT
from usage_assets_tests.fetching.conftest import DAY, Answers

[CODEX] = CHATGPT.endpoints
USERS = replace(CODEX, queries=({},))
FLAT = {
    "start_time": f"{DAY}T00:00:00Z",
    "end_time": "2026-11-13T00:00:00Z",
    "user": {"id": "wsu_1", "email": "someone@example.com"},
    "credits": Decimal("1.5"),
    "threads": 1,
    "turns": 2,
    "tokens": {"text_input": 100, "cached_input": 20, "output": 5},
}


def fetch(answers: Answers, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of users in an answer."""
    answers.replace(CHATGPT, CODEX, {"object": "page", "data": list(rows), "has_more": False, "next_page": None})
    found: list[dict[str, Any]] = answers.new_client(CHATGPT).fetch(USERS, [DAY]).rows.to_pylist()
    return found


def test_one_use_told_in_both_shapes_is_refused_and_not_counted_twice(answers: Answers) -> None:
    documented = {name: FLAT[name] for name in ("start_time", "end_time")} | {
        "user_id": "wsu_1",
        "actor": None,
        "totals": {"credits": Decimal("1.5"), "threads": 1, "turns": 2},
    }
    with pytest.raises(PermanentError, match="a row of the shape illustrative on a day with rows of another shape"):
        fetch(answers, documented, FLAT)
    assert [row["credits"] for row in fetch(answers, documented)] == [Decimal("1.5")]
