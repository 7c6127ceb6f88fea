"""A provider whose pages never end, and a backfill, which does."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from usage_assets.testing.wire import serve
from usage_assets_tests.end_to_end.conftest import with_endpoints
from usage_assets_tests.fixtures import last_days
from usage_assets_tests.terminal import Terminal

DAY = last_days(1)[0]
START = int(datetime.combine(DAY, time(), UTC).timestamp())
SECONDS_A_DAY = 86_400


def cost(line_item: str) -> Mapping[str, Any]:
    return {
        "object": "organization.costs.result",
        "amount": {"value": 1.5, "currency": "usd"},
        "line_item": line_item,
        "project_id": "proj_web",
    }


PAGES: Sequence[tuple[Callable[[int], Sequence[Mapping[str, Any]]], int, str]] = (
    (lambda _: [cost("gpt-5, input")], 2, "the page repeats"),
    (lambda _: [], 1, "a page is empty, though others follow"),
    (lambda n: [cost(f"model {n}, input")], 200, "others follow after 200 pages"),
)
"""What each page has, how many are asked for, and what is said."""


@pytest.mark.timeout(120)
def test_pages_without_end_are_one_line_and_nothing_is_stored(terminal: Terminal, subtests: pytest.Subtests) -> None:
    asked, pages = 0, PAGES[0]

    async def answer(_: Request) -> JSONResponse:
        """A page with a token that no page had before."""
        nonlocal asked
        asked += 1
        results = pages[0](asked)
        bucket = {"object": "bucket", "start_time": START, "end_time": START + SECONDS_A_DAY, "results": results}
        return JSONResponse(
            {"object": "page", "data": [bucket] if results else [], "has_more": True, "next_page": f"page_{asked}"}
        )

    with serve(Starlette(routes=[Route("/v1/organization/costs", answer)])) as address:
        terminal.set({**with_endpoints(terminal.folder, "costs"), "OPENAI_BASE_URL": f"{address}/v1"})
        for pages in PAGES:
            _, most, words = pages
            with subtests.test(words):
                asked = 0
                said = terminal.type("backfill", "--connection", "openai", "--start", str(DAY), "--end", str(DAY))
                assert (said.code, words in said.out + said.err) == (1, True), said
                assert "Traceback" not in said.out + said.err
                assert asked == most
                assert not terminal.warehouse.exists or "openai.costs" not in terminal.tables()
