"""Lookups are complete or an error: every page, every project, people as the policy wants them, and no secret."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from usage_assets.core.people import People
from usage_assets.core.schema import columns
from usage_assets.fetching.listing import Listed, fetch_lookup
from usage_assets.fetching.transport import PermanentError, TransientError
from usage_assets.providers import PROVIDERS
from usage_assets.providers.github_copilot.lookups import Seats, page_of_seats
from usage_assets.providers.lookup import Lookup
from usage_assets.providers.openai.lookups import PROJECTS
from usage_assets_tests.fetching.conftest import IDS, PATHS, NewClient, error_body
from usage_assets_tests.fixtures import NOW, TODAY, Sandbox

FIXTURES = Path(__file__).parents[2] / "fixtures"
EVERY_LOOKUP = {
    f"{name}/{lookup.name}": (name, lookup) for name, provider in PROVIDERS.items() for lookup in provider.lookups
}
every_lookup = pytest.mark.parametrize(("provider", "lookup"), EVERY_LOOKUP.values(), ids=EVERY_LOOKUP)
every_list = pytest.mark.parametrize(
    ("provider", "lookup"),
    [(provider, lookup) for provider, lookup in EVERY_LOOKUP.values() if lookup.cursor not in (None, "page")],
    ids=[name for name, (_, lookup) in EVERY_LOOKUP.items() if lookup.cursor not in (None, "page")],
)
KEYS = EVERY_LOOKUP["openai/project_api_keys"][1]
OPENAI_LIMITS = EVERY_LOOKUP["openai/spend_limits"][1]
ANTHROPIC_LIMITS = EVERY_LOOKUP["anthropic/spend_limits"][1]
SPEND = EVERY_LOOKUP["cursor/spend"][1]
USERS = EVERY_LOOKUP["anthropic/users"][1]

Fetch = Callable[..., Listed]


@pytest.fixture
def fetch(new_client: NewClient) -> Fetch:
    """Fetches a lookup with a client of its own."""

    def fetch(provider: str, lookup: Lookup, policy: Any = "ids") -> Listed:
        client = new_client(PROVIDERS[provider], people=People(policy, "key"))
        return fetch_lookup(client, lookup, NOW)

    return fetch


def route(provider: str, lookup: Lookup, id_: str = "") -> str:
    """The fault route of a lookup, of all projects where it has several."""
    return f"{lookup.method} /{PATHS[provider]}/{lookup.path.format(id=id_ or '*', **IDS.get(provider, {}))}"


def listed_ids(sandbox: Sandbox, provider: str, lookup: Lookup) -> set[str]:
    """The ids that the sandbox's directory has."""
    spelled = dict(zip(lookup.row.__struct_fields__, lookup.row.__struct_encode_fields__, strict=True))
    return {item.get(spelled["id"], item["id"]) for item in sandbox.control("GET", "directory")[provider][lookup.name]}


# Complete


@every_lookup
def test_everything_is_listed_with_as_few_requests_as_there_are_lists(
    sandbox: Sandbox, fetch: Fetch, provider: str, lookup: Lookup
) -> None:
    listed = fetch(provider, lookup)
    ids = [item.id for item in listed.items]
    assert len(set(ids)) == len(ids) > 0
    assert set(ids) == listed_ids(sandbox, provider, lookup)
    asked = 1 + (4 if lookup.for_each else 0) + (1 if lookup.own_path else 0)
    unset = asked - 1 - len(ids) if lookup.may_be_unset else 0
    assert listed.requests + unset == len(sandbox.requests()) == asked
    assert (listed.retries, list(listed.skipped), dict(listed.unknown_fields)) == (0, [], {})


@every_list
def test_small_pages_give_the_same_items(sandbox: Sandbox, fetch: Fetch, provider: str, lookup: Lookup) -> None:
    whole = fetch(provider, lookup)
    own = [f"GET /{PATHS[provider]}/{lookup.own_path}"] if lookup.own_path else []
    for each in (route(provider, lookup), *own):
        sandbox.faults({"route": each, "fault": "short_page", "size": 1})
    paged = fetch(provider, lookup)
    assert paged.items == whole.items
    of_projects = Counter(getattr(item, "project_id", None) for item in whole.items)
    lists = 1 + 4 + (1 if lookup.own_path else 0)
    pages = sum(of_projects.values()) + (lists - len(of_projects) if lookup.for_each else 0)
    assert paged.requests == pages


# Incomplete


def edit(provider: str, lookup: Lookup, *operations: dict[str, Any], of: str = "") -> dict[str, Any]:
    """A fault that changes every answer, or those of a project."""
    return {"route": route(provider, lookup, of), "fault": "edit", "operations": list(operations)}


MORE = {"do": "set", "path": "has_more", "to": True}


@every_list
def test_a_cursor_that_repeats_is_an_error(sandbox: Sandbox, fetch: Fetch, provider: str, lookup: Lookup) -> None:
    item = fetch(provider, lookup).items[0]
    same = {"do": "set", "path": "last_id", "to": item.id}
    sandbox.faults(edit(provider, lookup, MORE, same, of=getattr(item, "project_id", "")))
    with pytest.raises(PermanentError, match=r"the page token repeats\. It was not stored, because the answer is"):
        fetch(provider, lookup)


@every_list
def test_more_without_a_cursor_is_an_error(sandbox: Sandbox, fetch: Fetch, provider: str, lookup: Lookup) -> None:
    sandbox.faults(edit(provider, lookup, MORE, {"do": "delete", "path": "last_id"}))
    with pytest.raises(PermanentError, match="has_more is true, but no page token is given"):
        fetch(provider, lookup)


@every_lookup
def test_a_refusal_is_an_error_with_its_place_and_advice(
    sandbox: Sandbox, fetch: Fetch, provider: str, lookup: Lookup
) -> None:
    body = error_body(PROVIDERS[provider], "no")
    sandbox.faults({"route": route(provider, lookup), "fault": "status", "status": 403, "body": body})
    with pytest.raises(
        PermanentError, match=rf"^{provider} {lookup.name}.*: 403 from {lookup.method} .*: no\. "
    ) as refused:
        fetch(provider, lookup)
    assert PROVIDERS[provider].advice[403] in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_id_that_is_listed_twice_is_one_item_or_an_error(sandbox: Sandbox, fetch: Fetch) -> None:
    sandbox.faults(edit("openai", PROJECTS, {"do": "double", "path": "data"}))
    assert len(fetch("openai", PROJECTS).items) == 4
    sandbox.faults(edit("anthropic", USERS, {"do": "set", "path": "data[*].id", "to": "user_x"}))
    with pytest.raises(PermanentError, match="user_x is listed twice, with different attributes"):
        fetch("anthropic", USERS)


# Items that are gone


def not_found(lookup: Lookup, project: str = "") -> dict[str, Any]:
    """The fault of a project, or of all, that the provider does not have any more."""
    body = msgspec.json.decode((FIXTURES / "openai/project_api_keys/composed_error_404_project.json").read_bytes())
    return {"route": route("openai", lookup, project), "fault": "status", "status": 404, "body": body}


def test_a_project_that_was_deleted_meanwhile_is_skipped_and_recorded(sandbox: Sandbox, fetch: Fetch) -> None:
    project = fetch("openai", PROJECTS).items[0].id
    before = {item.id: item for item in fetch("openai", KEYS).items}
    sandbox.faults(not_found(KEYS, project))
    listed = fetch("openai", KEYS)
    assert list(listed.skipped) == [project]
    assert listed.items == [item for item in before.values() if item.project_id != project]  # type: ignore[attr-defined]  # of ProjectApiKeys
    assert len(listed.items) < len(before)


def test_any_other_list_that_is_not_there_or_refused_is_an_error(sandbox: Sandbox, fetch: Fetch) -> None:
    project = fetch("openai", PROJECTS).items[0].id
    for fault, lookup, words in (
        (not_found(KEYS, project) | {"status": 400}, KEYS, f"openai project_api_keys of {project}: 400"),
        (not_found(KEYS), KEYS, "404 from GET"),
        (not_found(PROJECTS), PROJECTS, "404 from GET"),
        (not_found(PROJECTS), KEYS, "404 from GET"),
    ):
        sandbox.control("DELETE", "faults")
        sandbox.faults(fault)
        with pytest.raises(PermanentError, match=words):
            fetch("openai", lookup)


# People and secrets


@pytest.mark.parametrize(
    ("policy", "name", "email"),
    [("ids", None, ""), ("hash", None, "person-"), ("names", "Alice Ångström", "alice@acme-robotics.example")],
)
def test_people_are_kept_as_the_policy_says(fetch: Fetch, policy: str, name: str | None, email: str) -> None:
    alice: Any = fetch("anthropic", USERS, policy).items[0]
    assert alice.name == name
    assert (alice.email or "").startswith(email)
    assert bool(alice.email) == bool(email)


@every_lookup
@pytest.mark.parametrize("policy", ["ids", "hash"])
def test_no_address_no_persons_name_and_no_key_is_kept(
    fetch: Fetch, provider: str, lookup: Lookup, policy: str
) -> None:
    items = fetch(provider, lookup, policy).items
    if policy == "ids" and {column.name: column.address for column in columns(lookup.row)}["id"] == "only_id":
        items = [msgspec.structs.replace(item, id="") for item in items]
    kept = str(items)
    assert "Ångström" not in kept
    assert "sk-" not in kept
    assert "@" not in kept.replace("notebook of dana@", "" if policy == "ids" else "@")


# Spend limits


def test_an_organization_without_any_limit_is_an_empty_list(sandbox: Sandbox, fetch: Fetch) -> None:
    body = msgspec.json.decode((FIXTURES / "openai/spend_limits/composed_error_404_unset.json").read_bytes())
    for path in ("organization/spend_limit", OPENAI_LIMITS.path.format(id="*")):
        sandbox.faults({"route": f"GET /{PATHS['openai']}/{path}", "fault": "status", "status": 404, "body": body})
    listed = fetch("openai", OPENAI_LIMITS)
    assert (listed.items, listed.skipped) == ([], [])


def test_pages_with_a_name_are_followed_to_the_last_or_an_error(sandbox: Sandbox, fetch: Fetch) -> None:
    for lookup, size, requests in ((ANTHROPIC_LIMITS, 1, 3), (SPEND, 3, 4)):
        provider = "cursor" if lookup is SPEND else "anthropic"
        whole = fetch(provider, lookup)
        sandbox.faults({"route": route(provider, lookup), "fault": "short_page", "size": size})
        paged = fetch(provider, lookup)
        assert (paged.items, paged.requests) == (whole.items, requests)
    sandbox.control("DELETE", "faults")
    sandbox.faults(edit("anthropic", ANTHROPIC_LIMITS, {"do": "set", "path": "next_page", "to": "0"}))
    with pytest.raises(PermanentError, match="the page token repeats"):
        fetch("anthropic", ANTHROPIC_LIMITS)
    sandbox.control("DELETE", "faults")
    for provider, lookup, field in (("anthropic", ANTHROPIC_LIMITS, "next_page"), ("cursor", SPEND, "totalPages")):
        sandbox.faults(edit(provider, lookup, {"do": "delete", "path": field}))
        with pytest.raises(TransientError, match=f"Object missing required field `{field}`"):
            fetch(provider, lookup)


LIMITS = {
    "openai/spend_limits": ("", "threshold_amount"),
    "openai/spend_alerts": ("data[0].", "threshold_amount"),
    "anthropic/spend_limits": ("data[0].", "amount"),
}
"""Lookup -> where an item stands in its answer, and the name of its amount."""


@pytest.mark.parametrize("name", LIMITS)
def test_an_amount_is_exact_or_an_error_and_an_unknown_field_is_counted_and_not_kept(
    sandbox: Sandbox, fetch: Fetch, name: str
) -> None:
    provider, lookup = EVERY_LOOKUP[name]
    place, amount = LIMITS[name]
    changes = {amount: "12.345", "owner": "First Last"}
    sandbox.faults(
        edit(provider, lookup, *({"do": "set", "path": f"{place}{field}", "to": to} for field, to in changes.items()))
    )
    listed = fetch(provider, lookup, "names")
    assert Decimal("12.345") in [getattr(item, amount) for item in listed.items]
    assert listed.unknown_fields.keys() == {"owner"}
    assert not re.search("@|First Last", str(listed.items)), "nor is it kept who gets an alert"
    sandbox.control("DELETE", "faults")
    sandbox.faults(edit(provider, lookup, {"do": "set", "path": f"{place}{amount}", "to": "much"}))
    with pytest.raises(PermanentError, match=r"\$.*amount"):
        fetch(provider, lookup)


# Spend


# Bodies of the references


def read(file: Path, sandbox: Sandbox, fetch: Fetch) -> Listed:
    """What a body becomes, asked for through HTTP, where no second page is."""
    provider, lookup = EVERY_LOOKUP[f"{file.parts[-3]}/{file.parts[-2]}"]
    body = msgspec.json.decode(file.read_bytes())
    sandbox.faults(
        {
            "route": route(provider, lookup),
            "fault": "replace",
            "body": body | ({"has_more": False} if lookup.cursor else {}),
        }
    )
    if lookup.for_each:
        sandbox.faults(edit("openai", PROJECTS, *[{"do": "delete", "path": "data[1]"}] * 3))
    return fetch(provider, lookup, "names")


BODIES = [
    file for name in EVERY_LOOKUP for file in sorted((FIXTURES / name).glob("*.json")) if "_error_" not in file.name
]


@pytest.mark.parametrize("file", BODIES, ids=lambda file: f"{file.parts[-3]}/{file.parts[-2]}/{file.stem}")
def test_a_body_of_the_reference_becomes_items(sandbox: Sandbox, fetch: Fetch, file: Path) -> None:
    listed = read(file, sandbox, fetch)
    assert listed.items
    assert bool(listed.unknown_fields) == ("unknown" in file.name)
    assert not re.search("First Last|sk-proj", str(listed.items))


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


@pytest.mark.parametrize(
    ("operations", "words"),
    [
        ([{"do": "delete", "path": "seats[0]"}], "16 items are listed, and the answer states 17"),
        ([{"do": "set", "path": "total_seats", "to": 18}], "17 items are listed, and the answer states 18"),
    ],
    ids=["an item less", "another total"],
)
def test_numbered_pages_that_do_not_add_up_are_an_error(
    sandbox: Sandbox, fetch: Fetch, operations: list[dict[str, Any]], words: str
) -> None:
    sandbox.faults({"route": route("github_copilot", SEATS), "fault": "edit", "operations": operations})
    with pytest.raises(PermanentError, match=words):
        fetch("github_copilot", SEATS)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("budget_type", "TeamPricing", "'TeamPricing' is not known: budget budget-0"),
        ("budget_scope", "planet", "'planet' is not known: budget budget-0"),
        ("budget_scope", None, "it does not say what it is for: budget budget-0"),
        ("budget_product_sku", "", "it does not say what it is for: budget budget-0"),
    ],
)
def test_a_budget_that_does_not_say_what_it_limits_is_an_error(
    sandbox: Sandbox, fetch: Fetch, field: str, value: str | None, words: str
) -> None:
    """Else a budget of Copilot would not be seen, or one of a part would look like that of everything."""
    provider, lookup = EVERY_LOOKUP["github_copilot/budgets"]
    sandbox.faults(edit(provider, lookup, {"do": "set", "path": f"budgets[0].{field}", "to": value}))
    with pytest.raises(PermanentError, match=rf"\$\.budgets\[0\]\.{field}: {words}\. It was not stored"):
        fetch(provider, lookup)


@pytest.mark.parametrize("others", [[], ["ai_everything"], ["actions"]])
def test_a_bundle_is_known_or_an_error(sandbox: Sandbox, fetch: Fetch, others: list[str]) -> None:
    provider, lookup = EVERY_LOOKUP["github_copilot/budgets"]
    bundle = ["ai_credits", *others]
    fields = {"id": "b", "budget_type": "BundlePricing", "budget_product_skus": bundle, "budget_scope": "user"}
    sandbox.faults(edit(provider, lookup, {"do": "set", "path": "budgets", "to": [fields]}))
    if not others:
        assert [getattr(each, "budget_product_sku", None) for each in fetch(provider, lookup).items] == bundle
        return
    with pytest.raises(PermanentError, match="is not known: budget b"):
        fetch(provider, lookup)


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
