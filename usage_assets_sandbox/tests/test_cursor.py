"""The emulated Admin API of Cursor refuses what the real one refuses, and adds up to its books."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from usage_assets_sandbox.tests.calling import CURSOR_ENDPOINTS, TODAY, Endpoint, SandboxCaller, changes, exact
from usage_assets_sandbox.tests.test_fixtures import validator

EVENTS = CURSOR_ENDPOINTS["cursor", "usage_events"]
USAGE_BASED = ("Usage-based", "USAGE_EVENT_KIND_USAGE_BASED")
every_report = pytest.mark.parametrize("endpoint", CURSOR_ENDPOINTS.values(), ids=lambda endpoint: endpoint.name)


def pages(sandbox: SandboxCaller, endpoint: Endpoint, start: date, end: date, size: int) -> Iterator[Any]:
    """Every page of [start, end), each checked against the published fields."""
    page, has_next = 0, True
    while has_next:
        page += 1
        query = {**endpoint.window(start, end), "page": page, "pageSize": size}
        answer = exact(sandbox.get(endpoint.path, query).raise_for_status().content)
        validator(endpoint).validate(answer)
        has_next = answer["pagination"]["hasNextPage"]
        yield answer


@every_report
def test_what_is_refused(sandbox: SandboxCaller, endpoint: Endpoint) -> None:
    query = endpoint.window(TODAY, TODAY + timedelta(days=1))
    answer = sandbox.get(endpoint.path, query, {})
    assert (answer.status_code, "Invalid API key" in answer.json()["message"]) == (401, True)
    for _, change, words in changes("""
        each  startDate    startDate is required
        each  startDate=0  cannot exceed 30 days
        each  page=0       page must be at least 1
        each  limit=5      Unrecognized key: limit
    """):
        answer = sandbox.get(endpoint.path, {**query, **change})
        assert (answer.status_code, words in answer.json()["message"]) == (400, True), change


def test_events_add_up_to_the_books_on_pages_of_any_size(sandbox: SandboxCaller) -> None:
    start, end = TODAY - timedelta(days=3), TODAY
    truth = sandbox.truth(start=str(start), end=str(end - timedelta(days=1)))["totals"]["cursor"]
    for size in (7, 500):
        answers = list(pages(sandbox, EVENTS, start, end, size))
        events = [event for answer in answers for event in answer["usageEvents"]]
        assert {answer["totalUsageEventsCount"] for answer in answers} == {len(events)} == {exact(truth["events"])}
        billed = sum(event["chargedCents"] for event in events if event["kind"] in USAGE_BASED)
        assert billed == exact(truth["billed_cents"]) > 0
        times = [int(event["timestamp"]) for event in events]
        assert times == sorted(times, reverse=True)
    alike = Counter((event["timestamp"], event["userEmail"]) for event in events)
    assert max(alike.values()) > 1 or len(alike) == len(events), "events have no id"
