"""Lookups are complete or an error: every page, every project, people as the policy wants them, and no secret."""

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from usage_assets.core.schema import columns
from usage_assets.fetching.transport import PermanentError, TransientError
from usage_assets.providers import PROVIDERS
from usage_assets.providers.lookup import Lookup
from usage_assets.providers.openai.lookups import PROJECTS
from usage_assets_tests.fetching.conftest import PATHS, error_body
from usage_assets_tests.fetching.listing import EVERY_LOOKUP, Fetch, edit, fetch, listed_ids, route
from usage_assets_tests.fixtures import ROOT, Sandbox

__all__ = ["fetch"]

FIXTURES = ROOT / "fixtures"
every_lookup = pytest.mark.parametrize(("provider", "lookup"), EVERY_LOOKUP.values(), ids=EVERY_LOOKUP)
every_list = pytest.mark.parametrize(
    ("provider", "lookup"),
    [(provider, lookup) for provider, lookup in EVERY_LOOKUP.values() if lookup.cursor not in (None, "page")],
    ids=[name for name, (_, lookup) in EVERY_LOOKUP.items() if lookup.cursor not in (None, "page")],
)
KEYS = EVERY_LOOKUP["openai/project_api_keys"][1]
OPENAI_LIMITS = EVERY_LOOKUP["openai/spend_limits"][1]
ANTHROPIC_LIMITS = EVERY_LOOKUP["anthropic/spend_limits"][1]
USERS = EVERY_LOOKUP["anthropic/users"][1]

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
    sandbox.refuse(route(provider, lookup), 403, body=body)
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
        sandbox.mend()
        sandbox.faults(fault)
        with pytest.raises(PermanentError, match=words):
            fetch("openai", lookup)


# People and secrets


def test_people_are_kept_as_the_policy_says(fetch: Fetch) -> None:
    for policy, name, email in (
        ("ids", None, ""),
        ("hash", None, "person-"),
        ("names", "Alice Ångström", "alice@acme-robotics.example"),
    ):
        alice: Any = fetch("anthropic", USERS, policy).items[0]
        assert alice.name == name
        assert (alice.email or "").startswith(email)
        assert bool(alice.email) == bool(email)


@every_lookup
def test_no_address_no_persons_name_and_no_key_is_kept(fetch: Fetch, provider: str, lookup: Lookup) -> None:
    for policy in (
        "ids",
        "hash",
    ):
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
        sandbox.refuse(f"GET /{PATHS['openai']}/{path}", 404, body=body)
    listed = fetch("openai", OPENAI_LIMITS)
    assert (listed.items, listed.skipped) == ([], [])


def test_pages_with_a_name_are_followed_to_the_last_or_an_error(sandbox: Sandbox, fetch: Fetch) -> None:
    whole = fetch("anthropic", ANTHROPIC_LIMITS)
    sandbox.faults({"route": route("anthropic", ANTHROPIC_LIMITS), "fault": "short_page", "size": 1})
    paged = fetch("anthropic", ANTHROPIC_LIMITS)
    assert (paged.items, paged.requests) == (whole.items, 3)
    sandbox.mend()
    sandbox.faults(edit("anthropic", ANTHROPIC_LIMITS, {"do": "set", "path": "next_page", "to": "0"}))
    with pytest.raises(PermanentError, match="the page token repeats"):
        fetch("anthropic", ANTHROPIC_LIMITS)
    sandbox.mend()
    sandbox.faults(edit("anthropic", ANTHROPIC_LIMITS, {"do": "delete", "path": "next_page"}))
    with pytest.raises(TransientError, match="Object missing required field `next_page`"):
        fetch("anthropic", ANTHROPIC_LIMITS)


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
    sandbox.mend()
    sandbox.faults(edit(provider, lookup, {"do": "set", "path": f"{place}{amount}", "to": "much"}))
    with pytest.raises(PermanentError, match=r"\$.*amount"):
        fetch(provider, lookup)


# Spend


# Bodies of the references


BODIES = [
    file for name in EVERY_LOOKUP for file in sorted((FIXTURES / name).glob("*.json")) if "_error_" not in file.name
]


@pytest.mark.parametrize("file", BODIES, ids=lambda file: f"{file.parts[-3]}/{file.parts[-2]}/{file.stem}")
def test_a_body_of_the_reference_becomes_items(sandbox: Sandbox, fetch: Fetch, file: Path) -> None:
    """Asked for through HTTP, where no second page is."""
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
    listed = fetch(provider, lookup, "names")
    assert listed.items
    assert bool(listed.unknown_fields) == ("unknown" in file.name)
    assert not re.search("First Last|sk-proj", str(listed.items))
