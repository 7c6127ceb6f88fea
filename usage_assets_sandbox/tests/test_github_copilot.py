"""The emulated billing reports of GitHub refuse what the real ones refuse, and add up to the same books."""

from datetime import date, timedelta
from typing import Any

import pytest

from usage_assets_sandbox.tests.calling import COPILOT_ENDPOINTS, KEYS, TODAY, Endpoint, SandboxCaller, days, exact
from usage_assets_sandbox.tests.test_fixtures import validator

CREDITS, REQUESTS, BILLING = COPILOT_ENDPOINTS.values()
CHANGE = date(2026, 6, 1)
every_report = pytest.mark.parametrize("endpoint", COPILOT_ENDPOINTS.values(), ids=lambda endpoint: endpoint.name)


def items(sandbox: SandboxCaller, endpoint: Endpoint, start: date, end: date) -> list[Any]:
    """The items of [start, end), each answer checked against the published fields."""
    found: list[Any] = []
    for day in days(start, end):
        answer = sandbox.get(endpoint.path, endpoint.window(day, day))
        assert answer.status_code == 200, answer.text
        validator(endpoint).validate(answer.json())
        found += exact(answer.content)["usageItems"]
    return found


@every_report
@pytest.mark.parametrize(
    ("change", "headers", "status", "words"),
    [
        ({}, {}, 401, "Bad credentials"),
        ({}, KEYS["openai"], 401, "Bad credentials"),
        ({"day": None}, None, 400, "'day': missing"),
        ({"day": 31, "month": 11}, None, 400, "Invalid date"),
        ({"page": 2}, None, 400, "'page': extra_forbidden"),
    ],
)
def test_what_is_refused(
    sandbox: SandboxCaller,
    endpoint: Endpoint,
    change: dict[str, Any],
    headers: dict[str, str] | None,
    status: int,
    words: str,
) -> None:
    answer = sandbox.get(endpoint.path, {**endpoint.window(TODAY, TODAY), **change}, headers)
    assert answer.status_code == status
    assert words in answer.json()["message"]


def test_another_organization_is_not_found(sandbox: SandboxCaller) -> None:
    path = CREDITS.path.replace("acme-robotics", "other")
    assert sandbox.get(path, CREDITS.window(TODAY, TODAY)).status_code == 404


def test_the_reports_add_up_to_the_books_and_to_each_other(sandbox: SandboxCaller) -> None:
    start, end = CHANGE - timedelta(days=3), CHANGE + timedelta(days=3)
    truth = sandbox.truth(start=str(start), end=str(end - timedelta(days=1)))["totals"]["github_copilot"]
    metered = [*items(sandbox, CREDITS, start, end), *items(sandbox, REQUESTS, start, end)]
    billed = [item for item in items(sandbox, BILLING, start, end) if item["product"] == "Copilot"]
    seats = [item for item in billed if item["unitType"] == "user-months"]
    for found, units in (
        (metered, ("ai_credits_usd", "premium_requests_usd")),
        (seats, ("seats_usd",)),
        (billed, ("copilot_usd",)),
    ):
        assert sum(item["netAmount"] for item in found) == sum(exact(truth[unit]) for unit in units)
    assert sum(item["netAmount"] for item in [*metered, *seats]) == sum(item["netAmount"] for item in billed)
    assert all(item["grossAmount"] - item["discountAmount"] <= item["netAmount"] for item in [*metered, *billed])
    above = [item for item in metered if item["discountQuantity"] > item["grossQuantity"]]
    assert above, "as recorded"
    assert {item["netAmount"] for item in above} == {0}


def test_a_version_of_the_api_that_github_does_not_have_is_refused(sandbox: SandboxCaller) -> None:
    headers = KEYS["github_copilot"] | {"X-GitHub-Api-Version": "2031-01-01"}
    assert sandbox.get(CREDITS.path, CREDITS.window(TODAY, TODAY), headers).status_code == 400
