"""The emulator gives its answers all of a request, and serves what they return."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from usage_assets.testing import Emulator, Refused


class Posted(Emulator):
    """An API that reads with POST."""

    def rows_of(self, day: date) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """No rows."""
        return {}

    def answers(self) -> Mapping[str, Callable[[Request], object]]:
        """One body, read in two ways."""
        return {"/async": self.read_async, "/sync": self.read_sync}

    async def read_async(self, request: Request) -> object:
        """As Starlette's own endpoints do."""
        body = await request.json()
        if not body:
            raise Refused(400, {"error": "empty"})
        return body

    def read_sync(self, request: Request) -> object:
        """From a thread: it hung or not, by chance, while the body was still on its way."""
        return asyncio.run(request.json())


@pytest.mark.parametrize("path", ["async", "sync"])
def test_an_answer_reads_the_body_of_a_post(path: str) -> None:
    body = {"days": ["2026-11-01"] * 10_000}
    with Posted().serving() as account:
        for _ in range(20):
            answer = httpx.post(f"{account.base_url}/{path}", json=body, timeout=5)
            assert (answer.status_code, answer.json()) == (200, body)


def test_an_async_answer_may_refuse() -> None:
    with Posted().serving() as account:
        refused = httpx.post(f"{account.base_url}/async", json={})
    assert (refused.status_code, refused.json()) == (400, {"error": "empty"})


class Nested(Emulator):
    """Rows as they are sent: counters in an object, amounts as texts."""

    totals = {"usage": {"input_tokens": "tokens.in", "amount": "amount"}}
    row: Mapping[str, Any] = {"tokens": {"in": 3, "out": 1}, "amount": "1.2345"}

    def rows_of(self, day: date) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """The same row each day."""
        return {"usage": [self.row]}


def test_totals_are_of_nested_fields_and_of_texts() -> None:
    account = Nested()
    first = account.days[0]
    account.restate(first)
    assert account.rows["usage"][first] == [{"tokens": {"in": 6, "out": 1}, "amount": "2.4690"}]
    assert {name: by_day[first] for name, by_day in account.truth("usage").items()} == {
        "input_tokens": 6,
        "amount": Decimal("2.4690"),
    }
    account.reset()
    assert account.rows["usage"][first] == [Nested.row], "what the emulator changes is its own"


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"tokens": {"out": 1}, "amount": "1"}, "rows of usage have no field tokens.in, which `totals` names"),
        ({"tokens": {"in": "few"}, "amount": "1"}, "tokens.in of usage is 'few', and `totals` adds it up"),
        ({"tokens": {"in": True}, "amount": "1"}, "tokens.in of usage is True, and `totals` adds it up"),
    ],
)
def test_a_total_of_what_is_no_number_is_refused(row: Mapping[str, Any], what: str) -> None:
    account = Nested()
    account.row = row
    account.reset()
    for asked in (lambda: account.truth("usage"), lambda: account.restate(account.days[0])):
        with pytest.raises(ValueError, match=what):
            asked()
