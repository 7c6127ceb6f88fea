"""Cursor's events: added up exactly, read in numbered pages that may move, and never billed on a guess."""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from usage_assets.core.days import Window
from usage_assets.core.people import People
from usage_assets.fetching.client import MOST_MOVES, FetchResult
from usage_assets.fetching.transport import MovedError, PermanentError
from usage_assets.providers.cursor.usage import CURSOR, charge_of, normalized
from usage_assets.providers.endpoint import Endpoint
from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.fetching.conftest import DAY, Answers, NewClient

EVENTS, DAILY = CURSOR.endpoints
DAYS = last_days(3)
PAGE = 7
"""Items of a page: a day has several pages."""


def total(fetched: FetchResult, column: str, charge: str | None = None) -> Decimal:
    """The sum of a column's known values."""
    rows = fetched.rows.to_pylist()
    return sum((Decimal(row[column] or 0) for row in rows if not charge or row["charge"] == charge), Decimal(0))


@pytest.fixture
def small_pages(answers: Answers) -> None:
    """Pages are short."""
    for endpoint in CURSOR.endpoints:
        answers.faults(CURSOR, endpoint, {"fault": "short_page", "size": PAGE})


def edit(*operations: dict[str, Any], calls: list[int] | None = None) -> dict[str, Any]:
    """A fault that changes answers."""
    return {"fault": "edit", "operations": list(operations), **({"calls": calls} if calls else {})}


def put(path: str, value: Any) -> dict[str, Any]:
    return {"do": "set", "path": path, "to": value}


def test_events_add_up_to_the_books_and_a_row_is_one_kind_of_use(sandbox: Sandbox, new_client: NewClient) -> None:
    fetched = new_client(CURSOR).fetch(EVENTS, DAYS)
    books = sandbox.truth(DAYS[0], DAYS[-1])["cursor"]
    for charge in ("billed", "included", "own_key"):
        assert total(fetched, "charged_cents", charge) == books[f"{charge}_cents"] > 0
    for unit in ("events", "input_tokens", "cache_read_tokens", "model_cents", "token_fee_cents", "request_units"):
        assert total(fetched, unit) == books[unit] > 0
    rows = fetched.rows.to_pylist()
    grain = [tuple(row[name] for name in ("usage_date", *EVENTS.row.grain)) for row in rows]
    assert len({*grain}) == len(rows) < books["events"]
    assert {row["kind"] for row in rows} >= {"usage_based", "included_in_business"}
    spellings = {row["kind_as_sent"] for row in rows if row["kind"] == "usage_based"}
    assert spellings == {"Usage-based", "USAGE_EVENT_KIND_USAGE_BASED"}


def test_days_of_people_add_up_to_the_books_and_the_idle_are_listed(sandbox: Sandbox, new_client: NewClient) -> None:
    fetched = new_client(CURSOR).fetch(DAILY, DAYS)
    books = sandbox.truth(DAYS[0], DAYS[-1])["cursor"]
    for unit in ("agent_requests", "accepted_lines_added", "usage_based_requests"):
        assert total(fetched, unit) == books[unit] > 0
    assert {row["user_id"] for row in fetched.rows.to_pylist() if not row["is_active"]} > {"lena@acme-robotics.example"}
    assert fetched.requests == 1, "a window of several days"


@pytest.mark.parametrize("endpoint", CURSOR.endpoints, ids=lambda endpoint: endpoint.name)
def test_numbered_pages_give_the_same_rows(
    answers: Answers, new_client: NewClient, small_pages: None, endpoint: Endpoint
) -> None:
    paged = new_client(CURSOR).fetch(endpoint, DAYS)
    answers.sandbox.control("DELETE", "faults")
    whole = new_client(CURSOR).fetch(endpoint, DAYS)
    assert paged.requests > whole.requests
    assert contents(paged) == contents(whole)
    assert paged.retries == 0


def contents(fetched: FetchResult) -> Counter[str]:
    return Counter(map(str, fetched.rows.to_pylist()))


MOVES = {
    "another number of pages": [put("pagination.numPages", 99), put("pagination.hasNextPage", True)],
    "another number of events": [put("totalUsageEventsCount", 1000)],
    "an event that is gone": [{"do": "delete", "path": "usageEvents[0]"}],
}
ON_ONE_PAGE = "an event that is gone"


@pytest.mark.parametrize("move", MOVES)
def test_an_answer_that_moves_is_read_again(
    answers: Answers, new_client: NewClient, small_pages: None, caplog: pytest.LogCaptureFixture, move: str
) -> None:
    client = new_client(CURSOR, concurrency=1)
    undisturbed = client.fetch(EVENTS, [DAY])
    answers.sandbox.control("DELETE", "faults")
    answers.faults(CURSOR, EVENTS, edit(*MOVES[move], calls=[2]))
    answers.faults(CURSOR, EVENTS, {"fault": "short_page", "size": 20})
    fetched = client.fetch(EVENTS, [DAY])
    assert contents(fetched) == contents(undisturbed)
    assert fetched.retries > 1
    assert "the answer changed while it was read" in caplog.text
    assert "Reading it again from its first page" in caplog.text


def test_an_answer_that_always_moves_is_an_error_that_names_its_day(answers: Answers, new_client: NewClient) -> None:
    answers.faults(CURSOR, EVENTS, edit(*MOVES[ON_ONE_PAGE]))
    with pytest.raises(MovedError, match=r"53 items on 1 pages, but 52 items were read\. It was not stored") as no:
        new_client(CURSOR).fetch(EVENTS, [DAY])
    assert no.value.days == (DAY,)
    assert len(answers.sandbox.requests()) == 1 + MOST_MOVES


@pytest.mark.parametrize(
    ("kind", "is_chargeable", "charge"),
    [
        ("Usage-based", True, "billed"),
        ("USAGE_EVENT_KIND_USAGE_BASED", None, "billed"),
        ("Usage-based", False, "billed"),
        ("Included in Business", None, "included"),
        ("USAGE_EVENT_KIND_INCLUDED_IN_PRO_PLUS", False, "included"),
        ("Included in Ultra", True, "included"),
        ("Included in Business", True, "included"),
        ("Free Credit", True, "included"),
        ("Errored, Not Charged", True, "not_charged"),
        ("Free Credit", None, "included"),
        ("Included", None, "included"),
        ("User API Key", None, "own_key"),
        ("USAGE_EVENT_KIND_USER_API_KEY", True, "own_key"),
        ("Errored, Not Charged", None, "not_charged"),
        ("USAGE_EVENT_KIND_ABORTED_NOT_CHARGED", False, "not_charged"),
        ("USAGE_EVENT_KIND_THROTTLED_NOT_CHARGED", True, "not_charged"),
        ("Custom Subscription", True, "billed"),
        ("Custom Subscription", None, None),
        ("Custom Subscription", False, None),
    ],
)
def test_what_an_amount_is(kind: str, is_chargeable: bool | None, charge: str | None) -> None:
    assert charge_of(normalized(kind), is_chargeable) == charge


def test_an_unknown_kind_that_is_not_billed_and_costs_nothing_is_counted(
    answers: Answers, new_client: NewClient
) -> None:
    changes = {"kind": "Brand New", "isChargeable": False, "chargedCents": 0}
    answers.faults(CURSOR, EVENTS, edit(*(put(f"usageEvents[0].{name}", value) for name, value in changes.items())))
    rows = new_client(CURSOR).fetch(EVENTS, [DAY]).rows.to_pylist()
    [row] = [row for row in rows if row["kind"] == "brand_new"]
    assert (row["charge"], row["events"], row["charged_cents"]) == ("not_charged", 1, 0)


def huge(first: int) -> Iterator[dict[str, Any]]:
    for n in (first, first + 1):
        yield put(f"usageEvents[{n}].userEmail", "one@acme-robotics.example")
        yield put(f"usageEvents[{n}].kind", "Usage-based")
        for name in ("model", "maxMode", "isHeadless"):
            yield {"do": "delete", "path": f"usageEvents[{n}].{name}"}
        yield {"do": "set", "path": f"usageEvents[{n}].chargedCents", "raw": "99999999999999"}


def test_a_time_that_is_none_is_refused(answers: Answers, new_client: NewClient) -> None:
    answers.faults(CURSOR, EVENTS, edit(put("usageEvents[0].timestamp", "soon")))
    with pytest.raises(PermanentError, match=rf"^cursor usage_events {DAY}: \$\..* milliseconds .*, not 'soon'"):
        new_client(CURSOR).fetch(EVENTS, [DAY])


def test_a_sum_that_does_not_fit_is_refused(answers: Answers, new_client: NewClient) -> None:
    answers.faults(CURSOR, EVENTS, edit(*huge(0)))
    with pytest.raises(PermanentError, match=r"usage_events: what its records add up to does not fit its column"):
        new_client(CURSOR).fetch(EVENTS, [DAY])


@pytest.mark.parametrize(("policy", "kept"), [("ids", "null"), ("hash", "person-"), ("names", "ci-runner@")])
def test_a_service_account_is_no_person_and_its_address_is_kept_as_the_policy_says(
    sandbox: Sandbox, new_client: NewClient, policy: Any, kept: str
) -> None:
    fetched = new_client(CURSOR, people=People(policy, "key")).fetch(EVENTS, DAYS)
    rows = [row for row in fetched.rows.to_pylist() if row["service_account_id"]]
    assert {(row["user_id"], row["service_account_name"], row["is_cloud_agent"]) for row in rows} == {
        (None, "Nightly CI Agent", True)
    }
    assert all(str(row["service_account_email"] or "null").startswith(kept) for row in rows)
    charged = sum((row["charged_cents"] for row in rows), Decimal(0))
    assert charged == sandbox.truth(DAYS[0], DAYS[-1])["cursor"]["service_account_cents"] > 0
    assert not fetched.unknown_fields


def test_a_day_ends_with_its_last_millisecond(sandbox: Sandbox, new_client: NewClient) -> None:
    days = [date(2026, 11, 12), date(2026, 11, 13)]
    together = new_client(CURSOR).fetch(EVENTS, days)
    alone = [new_client(CURSOR).fetch(EVENTS, [day]) for day in days]
    assert contents(together) == sum(map(contents, alone), Counter())
    assert EVENTS.window_params(Window(days[0], days[0])) == {"startDate": "1794441600000", "endDate": "1794527999999"}
