"""Bodies that this project did not write mean what their sources say: costs per day, tokens, people and limits, also in
the entities of Port.

The meaning of each was decided by people who had not seen this code (``fixtures/recorded/*/meaning.toml``).
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from usage_assets.core.bounded_http import decoded
from usage_assets.core.days import Window
from usage_assets.fetching.transport import ProviderError
from usage_assets.providers.records import Json, ShapeError
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT
from usage_assets_tests.models.days import Days, cases
from usage_assets_tests.providers import recorded, recorded_in_port
from usage_assets_tests.providers.recorded import EVERY_LOOKUP, RECORDED, Body, Money
from usage_assets_vendors.cursor.lookups import Spend
from usage_assets_vendors.github_copilot.lookups import Budgets

BODIES = {body.name: body for body in recorded.every_body()}

NOT_PLAYED: Mapping[str, str] = {
    what: why
    for several, why in cases("""
        cursor.pooled_usage -> the pool of a contract is asked for with the key of an organization, and ours is a team's
        cursor.billing_groups -> groups repeat the spend of their members: the product has no table for them
        openai/costs_dashboard_export_2025_10.tsv openai/costs_dashboard_export_30_decimals.csv
            openai/costs_dashboard_export_short_row.csv openai/usage_completions_dashboard_export_two_rows.tsv
            -> a file of the dashboard: the product asks the API
        focus/charges_vercel_error_404_no_costs.json -> an answer of an API: the product reads files of FOCUS
        github_copilot/organization_1_day_download_links.json
            github_copilot/users_1_day_download_links_two_parts.json
            -> links to a report: see test_links_lead_to_every_file
    """)
    for what in several.split()
}
"""Table or body -> why it is not put through the parser."""

REFUSED_AS_WELL: Mapping[str, str] = {
    f"{body}.json": why
    for several, why in cases("""
        cursor/daily_usage_official_active_only cursor/daily_usage_official_2025_date_only
            -> an answer to a request without a page, which lists active people only. Ours names a page, and an answer
            that counts none does not say that it is whole: people on other pages would be lost in silence
        cursor/spend_included_above_on_demand cursor/spend_plan_percentages
            -> an answer that does not say how many pages there are: the dashboard sends one
        cursor/usage_events_2025_free_model_without_cents
            -> a billed event without a price, also without that of the model: 0 dollars is what the dashboard shows
            beside it, not what the event says
        cursor/usage_events_timestamp_iso
            -> the reference of the Admin API has milliseconds alone, and so has every recorded event
        github_copilot/budgets_official_one_scalar_sku -> the answer to a request for one budget, which is no list
        litellm/user_activity_official_flat_metrics litellm/user_activity_first_release_long_float
            -> release 1.65 has the metrics of a model without the object around them; later ones have it
        openai/usage_completions_batch_row_missing_counters
            -> a bucket without its end, which the reference requires: nothing says that it is a day
        openai/costs_number_and_string_amounts openai/usage_completions_rows_without_cached_counter
            -> buckets from 22:13:20 to 22:13:20, which are no UTC days; fixtures/openai has amounts as text on whole
            days
    """)
    for body in several.split()
} | {
    "focus/charges_two_currencies.csv": (
        "one bill of one account and month in two currencies: FOCUS gives an invoice one currency"
    ),
}
"""Body that its source understands -> why the product may refuse it. Nothing of it is stored."""

READ_ANYWAY: Mapping[str, str] = {
    "chatgpt/codex_usage_two_rows_of_one_day.json": (
        "users without an id are not told apart, so rows without a user are rows of several users: both count"
    ),
    "openai_legacy/billing_usage_total_differs.json": (
        "the lines are stored with the stated total, and the check total_usage shows that they differ"
    ),
}
"""Body that should be refused -> why the product may read it."""

WRONG_TODAY: Mapping[str, str] = {}
"""Body -> what the product makes of it that it does not mean. Who mends it removes the line."""

NOT_COMPARED: Mapping[tuple[str, str], str] = {
    (what, part): why
    for part, several, why in cases("""
        people -> cursor/usage_events_included_but_chargeable.json cursor/usage_events_usage_based_with_fee.json
            cursor/usage_events_included_nothing_charged.json cursor/usage_events_team_usage_based.json
            cursor/usage_events_pro_plus_chargeable.json cursor/usage_events_ultra_chargeable.json
            cursor/usage_events_free_credit.json
            -> the dashboard names people by a number, the Admin API by address
        people -> litellm/user_activity_aggregated_other_provider_total.json -> the aggregated route names no users
        tokens -> github_copilot.users_1_day
            -> tokens of the command line are stored as they are sent, in breakdown
        tokens -> github_copilot.organization_1_day -> tokens of the command line are stored as they are sent
    """)
    for what in several.split()
}
"""Body or table, and part of the meaning -> why the product has nothing to compare it with."""

OWN_COUNTERS: Mapping[str, str] = {
    what: why
    for several, why in cases("""
        anthropic.claude_code anthropic_analytics.usage_report anthropic_analytics.user_usage_report
            -> the use of anthropic.usage_messages once more
        litellm.user_activity litellm.team_activity litellm.tag_activity litellm.customer_activity
            -> the use of other providers once more
        openai.usage_web_search_calls -> the requests of completions once more
        openai.usage_file_search_calls -> searches, which are no requests to a model
        anthropic/usage_messages_row_without_cache_counters.json anthropic/usage_messages_empty_cache_creation.json
            -> a row lacks counters of its cache, so its whole input is unknown
        openrouter/activity_one_model_two_endpoints.json
            -> a row has requests on credits and with an own key, and nobody knows how many of which
        cursor/usage_events_included_but_chargeable.json cursor/usage_events_included_nothing_charged.json
            cursor/usage_events_team_usage_based.json cursor/usage_events_ultra_chargeable.json
            cursor/usage_events_timestamp_number_and_text.json cursor/usage_events_custom_subscription_free.json
            -> an event lacks cacheWriteTokens, so its whole input is unknown
        openrouter/activity_official_first_reference.json openrouter/activity_official_cached_tokens.json
            openrouter/activity_own_key_beside_credits.json
            openrouter/activity_twelve_decimals_and_large_own_key.json openrouter/activity_split_by_workspace.json
            openrouter/activity_date_as_iso_instant.json openrouter/activity_two_times_of_one_day.json
            -> a row has use with an own key, and nobody knows how much of it
    """)
    for what in several.split()
}
"""Table or body -> why costs.usage has other counters, or none. Those of the raw rows are compared instead."""

VALUED = frozenset(("effective", "list", "contracted"))
"""What a FOCUS file states of a charge besides what is billed, in the same currency."""
REFUSALS = (ShapeError, msgspec.DecodeError, ProviderError, WarehouseError)
STILL_REFUSED: Mapping[str, str] = {
    f"{body}.json": said
    for body, said in cases(r"""
        anthropic_analytics/cost_report_official_placeholder -> amount .*: Invalid decimal string
        cursor/usage_events_without_kind -> \.kind .*: the field is missing
        cursor/usage_events_unknown_kind -> nothing says whether the kind 'Grok Bot' is billed
        cursor/usage_events_same_millisecond -> Expected milliseconds since 1970
        github_copilot/premium_requests_answering_ai_credits -> \.unitType .*: there is no unit
        github_copilot/premium_requests_fractions_without_amounts -> \.unitType .*: there is no unit
        github_copilot/billing_usage_without_date -> \.discountAmount .*: the field is missing
        github_copilot/billing_usage_summary_net_not_gross_minus_discount -> \.sku .*: the field is missing
        github_copilot/ai_credits_cloud_agent_sku -> \.grossAmount .*: the field is missing
    """)
}
"""Body -> what is wrong with it besides its period and its envelope, as the product says it."""
PARTS = ("costs", "tokens", "people", "limits")
FIELDS = {
    **dict.fromkeys(["file", "table", "kind", "source", "request", "decides", "why", "confidence", "refused"], str),
    "shortened": bool,
    "days": list,
}


def is_played(body: Body) -> bool:
    return body.table not in NOT_PLAYED and body.name not in NOT_PLAYED


LOOKUPS = [name for name, body in BODIES.items() if body.table in EVERY_LOOKUP]
SOUND = [name for name, body in BODIES.items() if is_played(body) and not body.entry["refused"] and name not in LOOKUPS]
FIRST = {
    BODIES[name].folder: name
    for name in reversed(SOUND)
    if name not in {*REFUSED_AS_WELL, *WRONG_TODAY} and BODIES[name].table in recorded.COSTS_OF
}.values()
SPOILT = [name for name, body in BODIES.items() if is_played(body) and body.entry["refused"]]


def test_every_file_has_one_meaning() -> None:
    listed = Counter(body.path for body in recorded.every_body())
    assert set(listed.values()) == {1}
    assert listed.keys() == {path for path in RECORDED.glob("*/*") if path.name != "meaning.toml"}


@pytest.mark.parametrize("folder", sorted({body.folder for body in BODIES.values()}))
def test_meanings_have_their_form(folder: str) -> None:
    for body in BODIES.values():
        if body.folder != folder:
            continue
        entry = body.entry
        assert {name: type(entry[name]) for name in FIELDS} == FIELDS, body.name
        assert entry.keys() <= {*FIELDS, *PARTS}, body.name
        assert entry["kind"] in ("official", "recorded", "test data"), body.name
        assert entry["confidence"] in ("high", "medium", "low"), body.name
        assert all(entry[name].strip() for name in ("source", "request", "decides", "why")), body.name
        assert body.table.startswith(f"{folder}."), body.name
        assert body.days == sorted(set(body.days)), body.name
        assert {count for counts in ("tokens", "people") for count in map(type, entry.get(counts, {}).values())} <= {
            int
        }
        for cost in entry.get("costs", []):
            assert cost["basis"] in ("billed", "notional", "estimated", "credits"), body.name
            assert (cost["basis"] == "credits") == (cost["unit"] == "credits"), body.name
            assert Decimal(cost["amount"]).is_finite(), body.name
            assert cost["working"], body.name
            assert len(body.days) == 1 or cost["day"] in entry["days"], body.name


def test_exceptions_are_about_bodies() -> None:
    tables = {body.table for body in BODIES.values()}
    assert NOT_PLAYED.keys() <= BODIES.keys() | tables
    assert REFUSED_AS_WELL.keys() | WRONG_TODAY.keys() <= {*SOUND, *SPOILT, *LOOKUPS}
    assert READ_ANYWAY.keys() | STILL_REFUSED.keys() <= {*SPOILT}
    assert OWN_COUNTERS.keys() | {what for what, _ in NOT_COMPARED} <= BODIES.keys() | tables
    assert {BODIES[name].table.replace(".", "/") for name in (*SOUND, *SPOILT)} <= EVERY_ENDPOINT.keys()


def meant(body: Body) -> Money:
    """What the body costs, by its meaning."""
    money: dict[tuple[date, str, str], Decimal] = {}
    for cost in body.entry.get("costs", []):
        place = _day(cost, body), cost["basis"], cost["unit"]
        money[place] = money.get(place, Decimal(0)) + Decimal(cost["amount"])
    return {place: amount for place, amount in money.items() if amount}


def _day(cost: Mapping[str, str], body: Body) -> date:
    """The day of a cost: the body's only one, where none is stated."""
    return date.fromisoformat(cost["day"]) if "day" in cost else body.days[0]


def differences(days: Days, body: Body) -> Iterator[str]:
    """What of a stored body is not what its source says. Of bases that it leaves out, only what is billed must be 0."""
    stated = body.entry.keys() - {
        part for part in PARTS if {(body.name, part), (body.table, part)} & NOT_COMPARED.keys()
    }
    if "costs" in stated:
        expected = meant(body)
        bases = {"billed", *(cost["basis"] for cost in body.entry["costs"])}
        in_port = recorded_in_port.money_in_port(days, body, is_first=body.name in FIRST)
        for what, found in (("costs", recorded.costs(days, body)), *in_port):
            for place in sorted(expected.keys() | {place for place in found if place[1] in bases}):
                if expected.get(place) != found.get(place):
                    yield f"{what}, {place}: {found.get(place)} instead of {expected.get(place)}"
        found_values = recorded.values(days, body) if body.folder == "focus" else {}
        for cost in body.entry["costs"]:
            for name in VALUED & cost.keys():
                for value in found_values[_day(cost, body), cost["unit"]][name]:
                    if value != Decimal(cost[name]):
                        yield f"{name}: {value} instead of {cost[name]}"
    if "tokens" in stated:
        is_own = {body.name, body.table} & OWN_COUNTERS.keys()
        used = recorded.raw_tokens(days, body) if is_own else recorded.tokens(days, body)
        counters: dict[str, int] = body.entry["tokens"]
        classes = [count for name, count in counters.items() if name != "requests"]
        for what, sums in (("use", used), *recorded_in_port.tokens_in_port(days, body)):
            meant_of = counters | ({"every_token": sum(classes)} if classes else {})
            for name, count in meant_of.items():
                if name in (counters if what == "use" else sums) and sums.get(name, 0) != count:
                    yield f"{what}, {name}: {sums.get(name)} instead of {count}"
    if "people" in stated:
        counted = recorded.people(days, body)
        for who, count in body.entry["people"].items():
            if counted.get(who) not in (None, count):
                yield f"people: {who} {counted[who]} instead of {count}"


def test_bodies_name_nobody() -> None:
    placeholders = re.compile(r"@((.+\.)?example(\.com|\.org|\.net)?|company\.com|emaildomain\.com)$")
    for path in RECORDED.glob("*/*"):
        text = path.read_text(encoding="utf-8-sig")
        for address in re.findall(r"[\w.+-]+@[A-Za-z][\w.-]*\w", text):
            assert placeholders.search(address), (path.name, address)
        secrets = r"\b(sk-(ant|proj|admin|or)-|ghp_|github_pat_|AKIA)\w{8}|Bearer \w|/(tmp|work|home|Users)/\w"
        assert not re.search(secrets, text), path.name


def test_a_body_means_what_its_source_says(days: Days, subtests: pytest.Subtests) -> None:
    for group in recorded.together(map(BODIES.__getitem__, SOUND), "sound"):
        stored, rows = [], []
        for body in group:
            with subtests.test(body.name):
                try:
                    rows += [each for _, each in recorded.rows_of(body)]
                except REFUSALS:
                    if body.name not in REFUSED_AS_WELL and body.name not in WRONG_TODAY:
                        raise
                    continue
                assert body.name not in REFUSED_AS_WELL
                stored.append(body)
        if stored:
            recorded.store(days, stored, rows)
            recorded_in_port.compute(days, stored, FIRST)
        for body in stored:
            with subtests.test(body.name):
                assert bool(found := [*differences(days, body)]) == (body.name in WRONG_TODAY), found


def test_a_body_that_must_be_refused_is_refused(subtests: pytest.Subtests) -> None:
    for name in SPOILT:
        with subtests.test(name):
            if name in READ_ANYWAY or name in WRONG_TODAY:
                assert sum(rows.num_rows for _, rows in recorded.rows_of(BODIES[name]))
                continue
            with pytest.raises(REFUSALS):
                list(recorded.rows_of(BODIES[name]))


def test_amounts_of_what_is_refused_for_its_frame_mean_the_same(days: Days, subtests: pytest.Subtests) -> None:
    bodies = [BODIES[name] for name in SPOILT if BODIES[name].table in recorded.IN_OUR_FRAME]
    for body in (body for body in bodies if body.name in STILL_REFUSED):
        with subtests.test(body.name), pytest.raises(REFUSALS, match=STILL_REFUSED[body.name]):
            list(recorded.rows_in_our_frame(body))
    for group in recorded.together((body for body in bodies if body.name not in STILL_REFUSED), "framed"):
        recorded.store(days, group, (rows for body in group for _, rows in recorded.rows_in_our_frame(body)))
        recorded_in_port.compute(days, group, ())
        for body in group:
            with subtests.test(body.name):
                assert [*differences(days, body)] == []


@pytest.mark.parametrize("name", LOOKUPS)
def test_a_lookup_lists_who_its_source_says(name: str) -> None:
    body = BODIES[name]
    if name in REFUSED_AS_WELL or name in WRONG_TODAY:
        with pytest.raises(REFUSALS):
            recorded.listed(body)
        return
    rows = recorded.listed(body)
    assert rows
    if "people" in body.entry:
        people = {row.id for row in rows if getattr(row, "assignee_type", None) in (None, "User")}
        assert len(people) == body.entry["people"]["count"]


@pytest.mark.parametrize("name", [name for name in LOOKUPS if BODIES[name].table == Spend.table])
def test_spend_of_a_cycle_is_what_is_billed_and_what_the_plan_includes(name: str) -> None:
    body = BODIES[name]
    rows = [row for row in recorded.listed(body, {"totalPages": 1}) if isinstance(row, Spend)]
    found = {"billed": sum((row.spend_cents or Decimal(0) for row in rows), Decimal(0))}
    included = [
        row.included_spend_cents if row.overall_spend_cents is None else row.overall_spend_cents - row.spend_cents
        for row in rows
        if row.spend_cents is not None
    ]
    if None not in included:
        found["notional"] = sum(filter(None, included), Decimal(0))
    assert found == {cost["basis"]: Decimal(cost["amount"]) * 100 for cost in body.entry["costs"]}


@pytest.mark.parametrize("name", [name for name in LOOKUPS if "limits" in BODIES[name].entry])
def test_a_limit_is_what_its_source_says(name: str, days: Days) -> None:
    body = BODIES[name]
    stated: list[dict[str, Any]] = [
        limit | {"amount": Decimal(limit["amount"])} if "amount" in limit else limit for limit in body.entry["limits"]
    ]
    found = recorded_in_port.limits(days, body)
    assert [{name: row[name] for name in limit} for row, limit in zip(found, stated, strict=True)] == stated


def test_a_budget_says_what_it_is_for() -> None:
    budgets = recorded.listed(BODIES["github_copilot/budgets_official_bundle_pricing.json"])
    assert {(row.budget_product_sku, row.budget_amount) for row in budgets if isinstance(row, Budgets)} == {
        ("actions", Decimal(1000)),
        ("ai_credits", Decimal(500)),
    }


def test_links_lead_to_every_file() -> None:
    for name in [name for name in BODIES if "download_links" in name]:
        body = BODIES[name]
        [day] = body.days
        _, endpoint = body.asked
        answer: Json = decoded(body.path.read_bytes())
        assert endpoint.links
        assert [*endpoint.links(answer, Window(day, day))] == answer["download_links"]
