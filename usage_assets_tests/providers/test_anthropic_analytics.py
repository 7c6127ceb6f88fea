"""Anthropic's newer reports: every kind of identity and of cost as it is stored, and what is no part of a day."""

from typing import Any

import pyarrow.compute as pc
import pytest

from usage_assets.core.people import People
from usage_assets.fetching.client import FetchResult
from usage_assets.fetching.control_totals import fetch_with_totals
from usage_assets.providers import PROVIDERS
from usage_assets.providers.anthropic_analytics.cuts import CUT_ENDPOINTS
from usage_assets.providers.anthropic_analytics.reports import ACTOR, MOST_GROUPS
from usage_assets.providers.endpoint import Endpoint
from usage_assets_sandbox.credentials import ANTHROPIC_PARENT_KEY
from usage_assets_tests.fetching.conftest import DAY, ENDPOINTS, Answers
from usage_assets_tests.fixtures import last_days
from usage_assets_tests.models.days import lines, one_a_line, seen
from usage_assets_tests.providers.bodies import read

ANN = {"type": "user_actor", "user_id": "user_1", "email_address": "ann@corp.example", "name": "Ann", "deleted": False}


def fetched(answers: Answers, name: str, *changes: dict[str, Any], people: People | None = None) -> FetchResult:
    """What a day is whose rows are the day's first one, each with some of its fields changed."""
    provider, endpoint = ENDPOINTS[f"anthropic_analytics/{name}"]
    body = answers.real(provider, endpoint)
    first = body["data"][0]
    rows = [
        first | each | ({"group": first["group"] | each.get("group", {})} if "group" in first else {})
        for each in changes
    ]
    answers.replace(provider, endpoint, body | {"data": rows})
    return answers.new_client(provider, people=people).fetch(endpoint, [DAY])


def of(name: str, actor: dict[str, Any]) -> dict[str, Any]:
    """The change that makes a row an actor's."""
    return {"actor": actor} if name.startswith("user_") else {"group": {"actor": actor}}


def test_each_kind_of_identity_has_its_columns() -> None:
    rows = read("anthropic_analytics/usage/composed_actors.json")
    identities = one_a_line("""
        type=user_actor; user_id=user_01WCz1FkmYMm4gnmykNKUu3Q; email=ann@corp.example; name=Ann Example
        type=user_actor; user_id=user_01Gone; name=Deleted User
        type=service_account_actor; service_account_id=svac_01Hk3R9TWxq7CfQak00OiVw4
        type=api_actor; api_key_id=apikey_01Rj2N8SVvo6BePZj99NhmiT
        type=federated_actor; subject=arn:aws:iam::123456789012:role/build; provider=aws; account_id=123456789012;
            signed_principal=arn:aws:sts::123456789012:assumed-role/build/bo@corp.example
        type=federated_actor; provider=azure; subscription_id=00000000-1111-2222-3333-444444444444
        type=federated_actor; subject=user:cy@corp.example; provider=gcp; project_number=123456789012
        type=federated_actor; provider=oidc; issuer=https://id.corp.example
    """)
    stated = [dict(f"actor_{pair}".split("=") for pair in each.split("; ")) for each in identities]
    assert [{name: row[name] for name in ACTOR if row[name] is not None} for row in rows] == [*stated, {}, {}]
    assert {row["grouped_by"] for row in rows} == {"actor,api_key_id,model,service_tier,workspace_id"}


def test_identities_that_are_not_named_are_numbered_and_not_added_up(answers: Answers) -> None:
    costs = [{"group": {"actor": None}, "cost": {"amount": n, "list_amount": "1", "currency": "USD"}} for n in "241"]
    rows = fetched(answers, "cost", *costs, costs[0]).rows.to_pylist()
    assert sorted(seen(rows, "occurrence amount_cents")) == lines("1  1\n2  2\n3  2\n4  4")


def test_names_and_addresses_are_kept_as_the_policy_says(answers: Answers) -> None:
    for name in (
        "cost",
        "user_usage_report",
    ):
        hashing = People("hash", "key")
        known = ((People("ids"), None, None), (hashing, hashing.only_id("ann@corp.example"), None))
        for people, email, own_name in (*known, (People("names"), "ann@corp.example", "Ann")):
            [row] = fetched(answers, name, of(name, ANN), people=people).rows.to_pylist()
            assert (row["actor_user_id"], row["actor_email"], row["actor_name"]) == ("user_1", email, own_name)


# --- Cuts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", CUT_ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_a_cut_is_the_whole_usage_by_other_dimensions(answers: Answers, endpoint: Endpoint) -> None:
    """Whoever groups by child organizations has a key of their parent."""
    days = last_days(3)
    client = answers.new_client(PROVIDERS["anthropic_analytics"], key=ANTHROPIC_PARENT_KEY)
    found = fetch_with_totals(client, endpoint, days).rows
    rows = found.to_pylist()
    truth = answers.sandbox.truth(days[0], days[-1])["anthropic_analytics"]
    units = {"amount_cents": "cents", "list_amount_cents": "list_cents"}
    assert endpoint.must_add_up
    for name in endpoint.must_add_up.measures:
        if (unit := units.get(name, name)) in truth:
            assert pc.sum(found[name]).as_py() == truth[unit] > 0
    for name in endpoint.group_by:
        assert len({row[name] for row in rows}) > 1, "several values, or one and none"


def test_99_groups_are_all_of_a_day(answers: Answers) -> None:
    provider, endpoint = ENDPOINTS["anthropic_analytics/cost_report"]
    body = answers.real(provider, endpoint)
    first = body["data"][0]["results"][0]
    body["data"][0]["results"] = [first | {"model": f"model-{n}"} for n in range(MOST_GROUPS - 1)]
    answers.replace(provider, endpoint, body)
    assert answers.new_client(provider).fetch(endpoint, [DAY]).rows.num_rows == MOST_GROUPS - 1
