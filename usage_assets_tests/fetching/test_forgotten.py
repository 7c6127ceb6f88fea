"""What is fetched after somebody was forgotten is what was stored before, with the stand-ins in it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from usage_assets.core.forgotten import Forgotten, Person, new_address, new_id
from usage_assets.core.people import People, Policy
from usage_assets.fetching.listing import fetch_lookup
from usage_assets.providers import PROVIDERS
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT, NewClient
from usage_assets_tests.fixtures import last_days

ADDRESS, DAYS = "dana@acme-robotics.example", last_days(1)
BEGAN = datetime(2026, 11, 20, tzinfo=UTC)


LISTED = ("anthropic", "openai")


def users_of(new_client: NewClient, provider: str, people: People) -> list[dict[str, Any]]:
    """The rows of a provider's users."""
    lookup = next(each for each in PROVIDERS[provider].lookups if each.name == "users")
    listed = fetch_lookup(new_client(PROVIDERS[provider], people=people), lookup, BEGAN)
    return [msgspec.structs.asdict(item) for item in listed.items]


def in_values(row: Mapping[str, Any], person: Person) -> dict[str, Any]:
    """A stored row without the person."""
    return {name: person.in_value(value) if isinstance(value, str) else value for name, value in row.items()}


@pytest.mark.parametrize("policy", ["names", "hash", "ids"])
def test_a_new_answer_is_the_stored_rows_without_them(new_client: NewClient, policy: Policy) -> None:
    known = People(policy, "key")
    users = [user for name in LISTED for user in users_of(new_client, name, People("names"))]
    ids = [user["id"] for user in users if user["email"] == ADDRESS]
    assert len(ids) == 2
    forgotten = Forgotten().with_stand_ins(
        [(ADDRESS, new_address), *((id_, new_id) for id_ in ids), ("Dana Özdemir", new_id)]
    )
    of_address = forgotten.of(ADDRESS)
    stand_ins = {ADDRESS: of_address, known.only_id(ADDRESS): known.only_id(of_address)}
    person = Person(
        {**stand_ins, **{id_: forgotten.of(id_) for id_ in ids}}, {"Dana Özdemir": forgotten.of("Dana Özdemir")}
    )
    without = People(policy, "key", forgotten)
    for name in ("anthropic/claude_code", "chatgpt/codex_usage", "openai/costs"):
        provider, endpoint = EVERY_ENDPOINT[name]
        before = new_client(provider, people=known).fetch(endpoint, DAYS).rows.to_pylist()
        after = new_client(provider, people=without).fetch(endpoint, DAYS).rows.to_pylist()
        assert after != before
        assert sorted(map(repr, after)) == sorted(repr(in_values(row, person)) for row in before)
    for listed in LISTED:
        rows = users_of(new_client, listed, known)
        assert users_of(new_client, listed, without) == [in_values(row, person) for row in rows]
