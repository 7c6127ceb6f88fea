"""Codex rows of both shapes: tagged, equal in what both state, and never two for one use."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from usage_assets.fetching.transport import PermanentError
from usage_assets.providers.chatgpt.analytics import CHATGPT
from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.fetching.conftest import DAY, Answers, NewClient
from usage_assets_tests.providers.test_truth import daily_total

[CODEX] = CHATGPT.endpoints
USERS = replace(CODEX, queries=({},))
BOTH_STATE = ("threads", "turns", "credits", "cached_text_input_tokens", "text_output_tokens")
DOCUMENTED_ONLY = ("cost_usd", "estimated_cost_usd", "uncached_text_input_tokens", "text_total_tokens")
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


def test_both_shapes_of_the_same_books_are_equal_in_what_both_state_and_unknown_in_the_rest(
    sandbox: Sandbox, new_client: NewClient
) -> None:
    days = last_days(30)
    documented = new_client(CHATGPT).fetch(CODEX, days)
    sandbox.control("POST", "shape", {"codex_usage": "illustrative"})
    illustrative = new_client(CHATGPT).fetch(CODEX, days)
    assert not illustrative.unknown_fields
    for fetched, shape in ((documented, "documented"), (illustrative, "illustrative")):
        assert {*fetched.rows["shape"].to_pylist()} == {shape}
    assert documented.rows["text_input_tokens"].null_count == documented.rows.num_rows
    rows = illustrative.rows.to_pylist()
    assert {row[name] for row in rows for name in DOCUMENTED_ONLY} == {None}
    assert {row["cut"] for row in rows} == {"user", "workspace"}, "it has neither clients nor models"
    assert all(row["text_input_tokens"] >= row["cached_text_input_tokens"] for row in rows)
    for name in BOTH_STATE:
        expected = daily_total(CODEX, documented.rows, name)
        assert expected
        assert daily_total(CODEX, illustrative.rows, name) == expected

    def by_user(rows: list[dict[str, Any]]) -> list[Any]:
        identity = ("usage_date", "cut", "user_id", *BOTH_STATE)
        return sorted(
            (tuple(row[name] for name in identity) for row in rows if row["cut"] in ("user", "workspace")), key=str
        )

    assert by_user(rows) == by_user(documented.rows.to_pylist())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"start_time": FLAT["start_time"], "end_time": FLAT["end_time"], "user": {"id": "u"}}, "has 0 of them"),
        (FLAT | {"totals": {"credits": 1}}, "has 2 of them"),
        (FLAT | {"tokens": 7}, "tokens"),
        (FLAT | {"user": "u"}, "user"),
        (FLAT | {"credits": "many"}, "credits"),
        (FLAT | {"user": {"id": 7}}, "user_id"),
        (FLAT | {"totals": None}, "totals"),
    ],
)
def test_a_row_of_no_known_shape_is_refused_with_its_place_and_day(
    answers: Answers, row: dict[str, Any], reason: str
) -> None:
    with pytest.raises(PermanentError) as raised:
        fetch(answers, FLAT, row)
    assert "$.data[1]" in raised.value.message
    assert f"({DAY})" in raised.value.message
    assert reason in raised.value.message


def test_one_use_told_in_both_shapes_is_refused_and_not_counted_twice(answers: Answers) -> None:
    documented = {name: FLAT[name] for name in ("start_time", "end_time")} | {
        "user_id": "wsu_1",
        "actor": None,
        "totals": {"credits": Decimal("1.5"), "threads": 1, "turns": 2},
    }
    with pytest.raises(PermanentError, match="a row of the shape illustrative on a day with rows of another shape"):
        fetch(answers, documented, FLAT)
    assert [row["credits"] for row in fetch(answers, documented)] == [Decimal("1.5")]
