"""Cursor's events: added up exactly, read in numbered pages that may move, and never billed on a guess."""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from usage_assets.core.days import Window
from usage_assets.core.people import People
from usage_assets.fetching.client import FetchResult
from usage_assets.fetching.transport import PermanentError
from usage_assets.providers.endpoint import Endpoint
from usage_assets_tests.fetching.conftest import DAY, Answers, NewClient
from usage_assets_tests.fetching.refusals import edit, put
from usage_assets_tests.fixtures import Sandbox, last_days
from usage_assets_tests.models.days import lines
from usage_assets_vendors.cursor.usage import CURSOR, charge_of, normalized

EVENTS, DAILY = CURSOR.endpoints
DAYS = last_days(3)
PAGE = 7
"""Items of a page: a day has several pages."""


@pytest.fixture
def small_pages(answers: Answers) -> None:
    """Pages are short."""
    for endpoint in CURSOR.endpoints:
        answers.faults(CURSOR, endpoint, {"fault": "short_page", "size": PAGE})


@pytest.mark.parametrize("endpoint", CURSOR.endpoints, ids=lambda endpoint: endpoint.name)
def test_numbered_pages_give_the_same_rows(
    answers: Answers, new_client: NewClient, small_pages: None, endpoint: Endpoint
) -> None:
    paged = new_client(CURSOR).fetch(endpoint, DAYS)
    answers.sandbox.mend()
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


@pytest.mark.parametrize("move", MOVES)
def test_an_answer_that_moves_is_read_again(
    answers: Answers, new_client: NewClient, small_pages: None, caplog: pytest.LogCaptureFixture, move: str
) -> None:
    client = new_client(CURSOR, concurrency=1)
    undisturbed = client.fetch(EVENTS, [DAY])
    answers.sandbox.mend()
    answers.faults(CURSOR, EVENTS, edit(*MOVES[move]) | {"calls": [2]})
    answers.faults(CURSOR, EVENTS, {"fault": "short_page", "size": 20})
    fetched = client.fetch(EVENTS, [DAY])
    assert contents(fetched) == contents(undisturbed)
    assert fetched.retries > 1
    assert "the answer changed while it was read" in caplog.text
    assert "Reading it again from its first page" in caplog.text


CHARGES = """
    Usage-based                             yes  billed
    USAGE_EVENT_KIND_USAGE_BASED            -    billed
    Included in Business                    -    included
    USAGE_EVENT_KIND_INCLUDED_IN_PRO_PLUS   no   included
    Free Credit                             yes  included
    Errored, Not Charged                    yes  not_charged
    Errored, No Charge                      yes  not_charged
    Custom Subscription free                yes  included
    USAGE_EVENT_KIND_USER_API_KEY           yes  own_key
    Custom Subscription                     yes  billed
    Custom Subscription                     -    -
"""


def test_what_an_amount_is() -> None:
    for kind, is_chargeable, charge in lines(CHARGES):
        found = charge_of(normalized(kind), {"yes": True, "no": False}.get(is_chargeable))
        assert found == (None if charge == "-" else charge)


def test_events_that_are_not_billed_are_counted(answers: Answers, new_client: NewClient) -> None:
    unknown = {"kind": "Brand New", "isChargeable": False, "chargedCents": 0}
    free = {"kind": "Custom Subscription", "customSubscriptionName": "free", "isChargeable": True, "chargedCents": 20.5}
    changes = (
        put(f"usageEvents[{n}].{name}", event[name]) for n, event in enumerate((unknown, free)) for name in event
    )
    answers.faults(CURSOR, EVENTS, edit(*changes))
    rows = new_client(CURSOR).fetch(EVENTS, [DAY]).rows.to_pylist()
    found = {row["kind"]: (row["charge"], row["events"], row["charged_cents"]) for row in rows}
    assert found["brand_new"] == ("not_charged", 1, 0)
    assert found["custom_subscription_free"] == ("included", 1, Decimal("20.5"))


def huge(first: int) -> Iterator[dict[str, Any]]:
    for n in (first, first + 1):
        yield put(f"usageEvents[{n}].userEmail", "one@acme-robotics.example")
        yield put(f"usageEvents[{n}].kind", "Usage-based")
        for name in ("model", "maxMode", "isHeadless"):
            yield {"do": "delete", "path": f"usageEvents[{n}].{name}"}
        yield {"do": "set", "path": f"usageEvents[{n}].chargedCents", "raw": "99999999999999"}


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
