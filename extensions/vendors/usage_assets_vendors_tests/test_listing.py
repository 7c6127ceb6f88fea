"""Lookups of Cursor and GitHub in numbered pages are complete or an error."""

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from usage_assets.fetching.transport import PermanentError, TransientError
from usage_assets_tests.fetching.listing import EVERY_LOOKUP, Fetch, edit, fetch, listed_ids, route
from usage_assets_tests.fetching.refusals import put
from usage_assets_tests.fixtures import TODAY, Sandbox
from usage_assets_vendors.github_copilot.lookups import Seats, page_of_seats

__all__ = ["fetch"]

SPEND = EVERY_LOOKUP["cursor/spend"][1]
SEATS = EVERY_LOOKUP["github_copilot/seats"][1]
THREE_A_PAGE = replace(
    SEATS,
    params={"per_page": "3"},
    page=partial(page_of_seats, per_page=3),
)


def test_numbered_pages_are_read_until_one_is_not_full(sandbox: Sandbox, fetch: Fetch) -> None:
    seats = {seat.id: seat for seat in fetch("github_copilot", THREE_A_PAGE).items if isinstance(seat, Seats)}
    assert seats.keys() == listed_ids(sandbox, "github_copilot", SEATS)
    assert [dict(request["query"]).get("page") for request in sandbox.requests()] == [None, "2", "3", "4", "5", "6"]
    assert seats["alice-acme"].plan_type == "enterprise"
    assert seats["bob-acme"].assigning_team == "platform"
    last_used = Counter(seat.last_activity_at and seat.last_activity_at.date() for seat in seats.values())
    assert last_used == {TODAY: len(seats) - 2, None: 2}


def test_numbered_pages_that_do_not_add_up_are_an_error(sandbox: Sandbox, fetch: Fetch) -> None:
    for operation, words in [
        ({"do": "delete", "path": "seats[0]"}, "16 items are listed, and the answer states 17"),
        (put("total_seats", 18), "17 items are listed, and the answer states 18"),
    ]:
        sandbox.faults(edit("github_copilot", SEATS, operation))
        with pytest.raises(PermanentError, match=words):
            fetch("github_copilot", SEATS)
        sandbox.mend()


FOR = "it does not say what it is for: budget budget-0"


def test_a_budget_that_does_not_say_what_it_limits_is_an_error(sandbox: Sandbox, fetch: Fetch) -> None:
    """Else a budget of Copilot would not be seen, or one of a part would look like that of everything."""
    provider, lookup = EVERY_LOOKUP["github_copilot/budgets"]
    for field, value, words in [
        ("budget_type", "TeamPricing", "'TeamPricing' is not known: budget budget-0"),
        ("budget_scope", "planet", "'planet' is not known: budget budget-0"),
        *(("budget_scope", None, FOR), ("budget_product_sku", "", FOR)),
    ]:
        sandbox.faults(edit(provider, lookup, put(f"budgets[0].{field}", value)))
        with pytest.raises(PermanentError, match=rf"\$\.budgets\[0\]\.{field}: {words}\. It was not stored"):
            fetch(provider, lookup)
        sandbox.mend()


def test_a_bundle_is_known_or_an_error(sandbox: Sandbox, fetch: Fetch) -> None:
    provider, lookup = EVERY_LOOKUP["github_copilot/budgets"]
    for others in ([], ["ai_everything"], ["actions"]):
        bundle = ["ai_credits", *others]
        fields = {"id": "b", "budget_type": "BundlePricing", "budget_product_skus": bundle, "budget_scope": "user"}
        sandbox.faults(edit(provider, lookup, put("budgets", [fields])))
        if others:
            with pytest.raises(PermanentError, match="is not known: budget b"):
                fetch(provider, lookup)
        else:
            assert [getattr(each, "budget_product_sku", None) for each in fetch(provider, lookup).items] == bundle
        sandbox.mend()


def test_a_page_of_budgets_is_full_with_ten(sandbox: Sandbox, fetch: Fetch) -> None:
    """GitHub sends no more, and need not say whether there is another page."""
    provider, lookup = EVERY_LOOKUP["github_copilot/budgets"]
    about = {"budget_type": "ProductPricing", "budget_product_sku": "copilot", "budget_scope": "organization"}
    budgets = [{"id": str(n), **about} for n in range(12)]
    for call, page in enumerate((budgets[:10], budgets[10:]), start=1):
        body = {"budgets": page}
        sandbox.faults({"route": route(provider, lookup), "fault": "replace", "body": body, "calls": [call]})
    assert len(fetch(provider, lookup).items) == 12


def test_a_page_of_persons_who_came_before_is_no_repeated_page(sandbox: Sandbox, fetch: Fetch) -> None:
    """The list of an enterprise has a person once for each organization: such a page has no new person."""
    seats = [
        {"assignee": {"login": login, "type": "User"}, "organization": {"login": organization}}
        for organization in ("acme", "labs")
        for login in "abc"
    ]
    for n, (first, last) in enumerate(((0, 3), (3, 6), (6, 6)), start=1):
        page = {"total_seats": 3, "seats": seats[first:last]}
        sandbox.faults({"route": route("github_copilot", SEATS), "fault": "replace", "body": page, "calls": [n]})
    listed = fetch("github_copilot", THREE_A_PAGE).items
    assert {(seat.id, seat.organization) for seat in listed if isinstance(seat, Seats)} == {
        (login, "acme, labs") for login in "abc"
    }


def test_a_numbered_page_that_is_sent_again_and_again_is_an_error(sandbox: Sandbox, fetch: Fetch) -> None:
    page = {"total_seats": 9, "seats": [{"assignee": {"login": login}} for login in "abc"]}
    sandbox.faults({"route": route("github_copilot", SEATS), "fault": "replace", "body": page})
    with pytest.raises(
        PermanentError, match=r"github_copilot seats: the page repeats\. It was not stored, because the answer"
    ):
        fetch("github_copilot", THREE_A_PAGE)


def test_pages_of_spend_are_followed_to_the_last_or_an_error(sandbox: Sandbox, fetch: Fetch) -> None:
    whole = fetch("cursor", SPEND)
    sandbox.faults({"route": route("cursor", SPEND), "fault": "short_page", "size": 3})
    paged = fetch("cursor", SPEND)
    assert (paged.items, paged.requests) == (whole.items, 4)
    sandbox.mend()
    sandbox.faults(edit("cursor", SPEND, {"do": "delete", "path": "totalPages"}))
    with pytest.raises(TransientError, match="Object missing required field `totalPages`"):
        fetch("cursor", SPEND)
