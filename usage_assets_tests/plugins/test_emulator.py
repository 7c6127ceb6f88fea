"""The emulator gives its answers all of a request, and serves what they return."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import date
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
