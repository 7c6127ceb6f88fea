"""The emulated Admin API of Cursor refuses what the real one refuses, and adds up to its books."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from usage_assets_sandbox.cursor import cycle_start
from usage_assets_sandbox.tests.calling import CURSOR_ENDPOINTS, NOW, TODAY, Endpoint, SandboxCaller, days, exact
from usage_assets_sandbox.tests.test_fixtures import validator

EVENTS, DAILY = CURSOR_ENDPOINTS.values()
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
@pytest.mark.parametrize(
    ("change", "headers", "status", "words"),
    [
        ({}, {}, 401, "Invalid API key"),
        ({"startDate": None}, None, 400, "startDate is required"),
        ({"startDate": 0}, None, 400, "cannot exceed 30 days"),
        ({"page": 0}, None, 400, "page must be at least 1"),
        ({"limit": 5}, None, 400, "Unrecognized key: limit"),
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
    query = {**endpoint.window(TODAY, TODAY + timedelta(days=1)), **change}
    answer = sandbox.get(endpoint.path, query, headers)
    assert answer.status_code == status
    assert words in answer.json()["message"]


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


def test_a_fee_is_part_of_the_price(sandbox: SandboxCaller) -> None:
    [answer] = pages(sandbox, EVENTS, TODAY - timedelta(days=1), TODAY, 500)
    with_fee = [event for event in answer["usageEvents"] if event["kind"] in USAGE_BASED and "cursorTokenFee" in event]
    assert with_fee
    assert all(
        event["chargedCents"] == event["tokenUsage"]["totalCents"] + event["cursorTokenFee"] for event in with_fee
    )


def test_every_member_has_a_row_for_every_day_and_counts_the_events(sandbox: SandboxCaller) -> None:
    start, end = TODAY - timedelta(days=3), TODAY
    rows = [row for answer in pages(sandbox, DAILY, start, end, 2) for row in answer["data"]]
    assert Counter(row["day"] for row in rows) == {str(day): 9 for day in days(start, end)}
    truth = sandbox.truth(start=str(start), end=str(end - timedelta(days=1)))["totals"]["cursor"]
    assert sum(row["usageBasedReqs"] for row in rows) == exact(truth["usage_based_requests"]) > 0
    members = exact(sandbox.get("/cursor/teams/members", {}).content)["teamMembers"]
    assert {row["email"] for row in rows} < {member["email"] for member in members}
    assert [member["isRemoved"] for member in members].count(True) == 1


def test_events_are_as_others_have_recorded_them(sandbox: SandboxCaller) -> None:
    """Included events that are called chargeable, failed ones with a price, and whose an event is."""
    start, end = TODAY - timedelta(days=28), TODAY
    events = [event for answer in pages(sandbox, EVENTS, start, end, 500) for event in answer["usageEvents"]]
    assert any(event["isChargeable"] for event in events if event["kind"].endswith("INCLUDED_IN_BUSINESS"))
    assert not any(event["isChargeable"] for event in events if event["kind"] == "Included in Business")
    assert all(event["isChargeable"] for event in events if event["kind"] in USAGE_BASED)
    errored = [event for event in events if "errored" in event["kind"].lower()]
    assert all(event["chargedCents"] > 0 for event in errored)
    aborted = [event for event in events if "aborted" in event["kind"].lower()]
    assert {(str(event["tokenUsage"]), event["chargedCents"]) for event in aborted} == {("{}", 0)}
    used = [event["tokenUsage"] for event in events if event.get("tokenUsage")]
    assert 0 < sum("cacheWriteTokens" not in tokens for tokens in used) < len(used) / 4
    assert len({event["conversationId"] for event in events}) > 100
    of_account = [event for event in events if event.get("serviceAccountId", "null") != "null"]
    assert {event["serviceAccountName"] for event in of_account} == {"Nightly CI Agent"}
    assert {event["userEmail"] for event in of_account} == {"ci-runner@acme-robotics.example"}
    assert all(event["isHeadless"] and event["cloudAgentId"].startswith("bc-") for event in of_account)
    assert "null" in {event.get("serviceAccountId") for event in events}
    truth = sandbox.truth(start=str(start), end=str(end - timedelta(days=1)))["totals"]["cursor"]
    assert sum(event["chargedCents"] for event in of_account) == exact(truth["service_account_cents"]) > 0
    assert sum(event["chargedCents"] for event in errored) == exact(truth["not_charged_cents"]) > 0


def test_spend_is_what_members_were_billed_in_the_running_cycle(sandbox: SandboxCaller) -> None:
    pages_of_spend = [sandbox.get("/cursor/teams/spend", {"page": page, "pageSize": 6}) for page in (1, 2)]
    answers = [exact(answer.raise_for_status().content) for answer in pages_of_spend]
    assert {(answer["totalPages"], answer["totalMembers"]) for answer in answers} == {(2, 10)}
    members = {member["email"]: member for answer in answers for member in answer["teamMemberSpend"]}
    assert len(members) == 10
    assert all(member["userId"].startswith("user_") for member in members.values())
    began = answers[0]["subscriptionCycleStart"]
    query = {"startDate": began, "endDate": began + 30 * 86_400_000, "page": 1, "pageSize": 500}
    events = exact(sandbox.get(EVENTS.path, query).raise_for_status().content)["usageEvents"]
    now = int(NOW.timestamp() * 1000)
    for email, member in members.items():
        billed = [
            e for e in events if e["userEmail"] == email and e["kind"] in USAGE_BASED and int(e["timestamp"]) <= now
        ]
        assert member.get("spendCents", 0) == sum(event["chargedCents"] for event in billed)
    assert sum("spendCents" not in member for member in members.values()) >= 2


@pytest.mark.parametrize(
    ("now", "began"),
    [
        ("2026-11-20T08:00:00+00:00", "2026-11-15T14:12:08+00:00"),
        ("2026-11-15T14:12:08+00:00", "2026-11-15T14:12:08+00:00"),
        ("2026-11-15T14:12:07+00:00", "2026-10-15T14:12:08+00:00"),
        ("2026-01-01T00:00:00+00:00", "2025-12-15T14:12:08+00:00"),
    ],
)
def test_a_billing_cycle_begins_on_the_15th(now: str, began: str) -> None:
    assert cycle_start(datetime.fromisoformat(now)) == int(datetime.fromisoformat(began).timestamp()) * 1000
