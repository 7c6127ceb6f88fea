"""Whom costs are for: teams and actors are decided on the parts of each bill, and every view has every cost once."""

import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import chain
from random import Random
from typing import Any

from usage_assets.cli.owners import owners_of_nothing
from usage_assets.config.accounting import ExchangeRate, Owner, TagAllocation
from usage_assets.core.schema import Row
from usage_assets.models.costs import LISTED, OVER_ALL, SUMMED, lists_of, source_columns
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport, UsageMessages
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import UsageCompletions
from usage_assets.providers.openai_legacy.billing import BillingUsage
from usage_assets_tests.fixtures import IS_NIGHT, execute
from usage_assets_tests.models.days import DAY, Days, days_from, models, raw
from usage_assets_tests.models.stated import FOUR_CENTS, listed, stating
from usage_assets_tests.models.test_allocation import anthropic_bill, anthropic_use
from usage_assets_tests.models.test_valuation import sums
from usage_assets_vendors.litellm.activity import TagActivityByModel, UserActivity

VIEWS = (*(name for name, *_ in SUMMED), "by_tag")
KEY_OF_WEB = Owner(api_key="k1", team="web", cost_center="4711")


# Teams


def test_the_owner_of_an_api_key_owns_its_part_of_a_bill_that_names_no_key(days: Days) -> None:
    days = stating(days, owners=[KEY_OF_WEB])
    anthropic_bill(days, {}, {"cost_type": "session_usage", "token_type": None, "model": None})
    anthropic_use(days, {"api_key_id": "k1", "output_tokens": 30}, {"api_key_id": "k2", "output_tokens": 10})
    unowned = {("unowned", None, 200, 2)}
    assert sums(days, "by_team", "team", "cost_center") == unowned
    days.derive("anthropic_allocated_costs")
    owned = {("web", "4711", 75, Decimal("0.75")), ("unowned", None, 125, Decimal("1.25"))}
    assert sums(days, "by_team", "team", "cost_center") == owned
    tags = days.read("select Tags, sum(BilledCost) as billed from costs.focus group by all")
    assert {(json.loads(row["Tags"])["team"], row["billed"]) for row in tags} == {(t, usd) for t, _, _, usd in owned}


def test_owners_whose_id_is_in_no_cost_of_their_days_are_found(days: Days) -> None:
    day_after = DAY + timedelta(days=1)
    anthropic_bill(days, {})
    anthropic_use(days, *({"api_key_id": key} for key in ("k0", "k1", None)), {"account_id": "u1"})
    days.derive("anthropic_allocated_costs")
    used = [
        Owner(user="u1", team="t"),
        Owner(api_key="k0", team="t"),
        Owner(workspace="wrk", team="t"),
        KEY_OF_WEB,
        Owner(api_key="k1", team="t", connection="anthropic"),
    ]
    unused = [
        Owner(api_key="k2", team="web"),
        Owner(user="k1", team="web"),
        Owner(api_key="k1", team="web", valid_until=DAY - timedelta(days=1)),
        Owner(workspace="wrk", team="web", connection="openai"),
    ]
    unknown = [Owner(api_key="k3", team="web", valid_from=day_after)]
    accounting = stating(days, owners=[*used, *unused, *unknown]).accounting
    found = owners_of_nothing(days.warehouse, accounting)
    assert found == unused[:2]


# Actors


# Every cost once


SEED = 1
"""Of a luck without two equal bills, which are refused."""
GAMES = [DAY + timedelta(days=6 * n) for n in range(3 if IS_NIGHT else 1)]
"""The first of six days that have rates and owners of their own."""
EVERY_DAY = days_from(6 * len(GAMES))
WHOLE: dict[str, Any] = {"first": EVERY_DAY[0], "last": EVERY_DAY[-1]}


def days_of(first: date) -> Sequence[date]:
    return [first + timedelta(days=n) for n in range(6)]


def in_a_row(some: Sequence[date]) -> Iterator[tuple[date, date]]:
    """The first and the last of days that follow each other."""
    for day in some:
        if day - timedelta(days=1) not in some:
            yield day, next(last for last in some if last >= day and last + timedelta(days=1) not in some)


def filled_at_random(days: Days, random: Random) -> None:
    """Costs of every source: some days allocated, some not, some billed otherwise since."""

    def some(*values: Any) -> Any:
        return random.choice(values)

    def amount() -> Decimal:
        return Decimal(random.randrange(-(10**12), 10**14)).scaleb(-random.randrange(10, 24))

    def at(day: date, connection: str) -> dict[str, Any]:
        return {"usage_date": day, "connection": connection}

    def openai_rows(day: date, connection: str) -> list[Row]:
        return [
            raw(
                Costs,
                **at(day, connection),
                project_id=some(None, "p1", "p2"),
                user_id=some(None, "u1"),
                api_key_id=some(None, "k1"),
                line_item=some(None, "gpt-5, input", "gpt-5, output", "web search tool calls"),
                amount_currency=some("usd", "eur", "jpy", None),
                amount_value=amount(),
                quantity_unit=str(n),
                grouped_by=grouped_by,
            )
            for grouped_by in [some("line_item,project_id", "api_key_id,line_item,project_id,user_id")]
            for n in range(random.randrange(6))
        ]

    def anthropic_rows(day: date, connection: str) -> list[Row]:
        return [
            raw(
                CostReport,
                **at(day, connection),
                workspace_id=some(None, "wrk"),
                description=str(n),
                cost_type=some("tokens", "tokens", "session_usage"),
                model="opus",
                token_type=some("output_tokens", "cache_read_input_tokens"),
                service_tier="standard",
                currency=some("USD", "EUR", "JPY", "KWD"),
                amount_cents=amount(),
            )
            for n in range(random.randrange(6))
        ]

    def uses(row: type[Row], day: date, connection: str, **values: Any) -> list[Row]:
        keys = {some(None, "k1", "k2") for _ in range(random.randrange(5))}
        return [raw(row, **at(day, connection), api_key_id=key, **values) for key in sorted(keys, key=str)]

    def by_openai() -> dict[str, Any]:
        return {"project_id": some(None, "p1"), "model": "gpt-5"}

    def by_opus() -> dict[str, Any]:
        return {"workspace_id": some(None, "wrk"), "model": "opus", "service_tier": "standard"}

    openai = (openai_rows, Costs, "openai", by_openai)
    for connection, build, row, provider, used in (
        ("openai", *openai),
        ("emea", *openai),
        ("anthropic", anthropic_rows, CostReport, "anthropic", by_opus),
    ):
        costs, usage = row.table.replace(".", "_"), UsageCompletions if row is Costs else UsageMessages
        use = [each for day in EVERY_DAY for each in uses(usage, day, connection, **used())]
        days.fetched(usage, *use, connection=connection, **WHOLE)
        bills = [each for day in EVERY_DAY for each in build(day, connection)]
        days.fetched(row, *bills, connection=connection, **WHOLE)
        days.derive(costs, connection, **WHOLE)
        allocated, changed = [], {}
        for day in EVERY_DAY:
            if some(True, True, False):
                allocated.append(day)
                if some(True, False, False):
                    changed[day] = build(day, connection)
        for start, end in in_a_row(allocated):
            days.derive(f"{provider}_allocated_costs", connection, start, end)
        for day, rows in changed.items():
            days.fetched(row, *rows, connection=connection, first=day)
            days.derive(costs, connection, day)
    code = [
        raw(ClaudeCode, usage_date=day, customer_type=kind, model_breakdown=models(*used))
        for day in EVERY_DAY
        for used in [[(f"m{n}", f"{amount():f}", some("USD", "JPY")) for n in range(random.randrange(3))]]
        for kind in ("api", "subscription")
    ]
    days.fetched(ClaudeCode, *code, **WHOLE)
    codex = [
        raw(CodexUsage, usage_date=day, user_id=f"u{n}", credits=amount(), cost_usd=some(None, amount()))
        for day in EVERY_DAY
        for n in range(random.randrange(3))
    ]
    days.fetched(CodexUsage, *codex, **WHOLE)
    bills = [raw(BillingUsage, usage_date=day, cost_cents=amount()) for day in EVERY_DAY]
    days.fetched(BillingUsage, *bills, **WHOLE)
    for source in ("anthropic_claude_code", "chatgpt_codex_usage", "openai_legacy_billing_usage"):
        days.derive(source, **WHOLE)


def tagged_at_random(days: Days, random: Random) -> None:
    """What a gateway's tags used of the models."""
    uses: dict[type[Row], list[Row]] = {UserActivity: [], TagActivityByModel: []}
    for day in EVERY_DAY:
        for model in ("gpt-5", "opus"):
            use = {"usage_date": day, "model": model, "api_key": "k", "api_requests": 9}
            of_tags = [Decimal(random.randrange(10**15)).scaleb(-14) for _ in range(random.randrange(4))]
            total = sum(of_tags, Decimal(random.randrange(-1, 5)))
            uses[UserActivity].append(raw(UserActivity, **use, cut="model", spend=max(total, Decimal(0))))
            for n, spend in enumerate(of_tags):
                tag = {"tag": f"team:{n}", "spend": spend}
                uses[TagActivityByModel].append(raw(TagActivityByModel, **use | {"api_requests": 1} | tag))
    for row, rows in uses.items():
        days.fetched(row, *rows, **WHOLE)


IN_WHOLE_UNITS = """(
  select * replace (
    case native_unit when 'cents' then 'dollars' when 'minor units' then 'major units' else native_unit end
      as native_unit,
    case
      when native_unit = 'cents' then amount_usd
      when native_unit <> 'minor units' or currency = 'JPY' then native_amount
      else (native_amount * if(currency = 'KWD', 0.001, 0.01)::decimal(4, 3))::decimal(38, 24)
    end as native_amount
  )
  from costs.{}
) as costs"""
"""What is summed over all connections: yen have no smaller unit, and a dinar is 1,000 fils."""


def summed_by(view: str, table: str) -> str:
    """What a view adds up, in the units that it shows."""
    return IN_WHOLE_UNITS.format(table) if view in OVER_ALL else f"costs.{table}"


OF_KIND = (
    "(select provider as seller, usage_type as sent, usage_family from models.usage_families) "
    "on seller = provider and sent is not distinct from usage_type"
)


def assert_sums_are_those_of_rows(days: Days) -> None:
    """Every view of sums says what its rows add up to, also where an earlier release wrote some days."""
    rows_of: dict[str, list[Any]] = {}
    measures = """
      sum(native_amount) as native_amount,
      if(bool_and(amount_usd is not null or native_amount = 0), sum(amount_usd), null) as amount_usd,
      count(*) filter (where amount_usd is null) as rows_without_usd
    """
    for name, source, by, _ in SUMMED:
        keys = ", ".join((*source_columns(name), by, "cost_basis, native_unit, currency"))
        table = summed_by(name, source.replace("_by_key", "")) + (
            " left join models.names_in_costs using (provider, model)" if "family" in by else ""
        )
        if "usage_family" in by:
            table = table.replace("models.names_in_costs using (provider, model)", OF_KIND)
        rows = f"select {keys}, {measures} from {table} group by all order by all"
        rows_of[name] = days.read(rows)
    assert {row["team"] for row in rows_of["by_team"]} >= {"web", "apps", "research", "lab", "ops", "unowned"}
    assert {row["amount_usd"] is None for row in rows_of["by_team"]} == {True, False}
    for written_before in ("false", "version = 1"):
        execute(days.warehouse, f"update ledger.partition_versions set has_sums = null where {written_before}")
        for name, expected in rows_of.items():
            lists = ", ".join(LISTED[each] for each in lists_of(name))
            kept = f"* exclude ({lists})" if lists else "*"
            found = days.read(f"select {kept} from costs.{name} order by all")
            assert found == expected, (name, written_before)


def stated_of_game(first: date) -> tuple[list[ExchangeRate], list[Owner]]:
    """Rates and owners of the days of a game, of which some begin or end within them."""
    last = days_of(first)[-1]
    rates = [
        ExchangeRate(
            currency="EUR", usd=Decimal("1.0842"), valid_from=first + timedelta(days=2), valid_until=last, source="ECB"
        ),
        ExchangeRate(currency="KWD", usd=Decimal("3.2591"), valid_from=first, valid_until=last, source="CBK"),
    ]
    owners = [
        Owner(user="u1", team="research", connection="emea", valid_from=first, valid_until=first + timedelta(days=1)),
        Owner(user="u1", team="lab", valid_from=first + timedelta(days=3), valid_until=last),
    ]
    return rates, owners


def test_every_view_has_every_cost_once_on_random_days(days: Days) -> None:
    rates, owners = zip(*map(stated_of_game, GAMES), strict=True)
    days = stating(
        days,
        credit_rates=[FOUR_CENTS],
        exchange_rates=[*chain(*rates)],
        owners=[
            KEY_OF_WEB,
            Owner(project="p1", team="apps"),
            Owner(workspace="wrk", team="ops"),
            *chain(*owners),
        ],
        tag_allocations=[
            TagAllocation(connection=name, gateway="litellm", tags="team:") for name in ("openai", "emea", "anthropic")
        ],
    )
    filled_at_random(days, Random(SEED))
    tagged_at_random(days, Random(SEED))
    listed(days, "openai.service_accounts", id="svc", name="Nightly")
    listed(days, "openai.project_api_keys", id="k1", name="key of Nightly", owner_service_account_id="svc")
    assert_sums_are_those_of_rows(days)
    keys = "connection, provider, usage_date, cost_basis, native_unit, currency"
    moneys = "sum(native_amount), sum(amount_usd), count(*) filter (where amount_usd is null) > 0"
    query = f"select {keys}, {moneys} from {{}} group by all order by all"
    costs = days.read(query.format("costs.daily_costs"))
    assert all(len([row for row in costs if row["usage_date"] in days_of(first)]) > 40 for first in GAMES)
    for view in ("costs.daily_costs_named", "costs.allocated_costs_named", "costs.allocated_costs_of_people"):
        assert days.read(query.format(view)) == costs, view
    known = "if(bool_and(amount_usd is not null or native_amount = 0), sum(amount_usd), null)"
    by_month = "(select *, date_trunc('month', usage_date)::date as month from {})"
    for view in VIEWS:
        of_days = keys.replace("usage_date", "month") if view == "by_month" else keys
        of_days = of_days.removeprefix("connection, provider, ") if view in OVER_ALL else of_days
        expected, found = (
            days.read(f"select {of_days}, sum(native_amount), {known} from {table} group by all order by all")
            for table in (by_month.format(summed_by(view, "daily_costs")), f"costs.{view}")
        )
        assert found == expected, view
    ways = days.tuples("select distinct tag_allocation from costs.by_tag")
    assert {*ways} > {(None,), ("estimate",), ("a bill without dollars",)}
    allocations = days.tuples("select allocation from costs.allocated_costs_named where cost_basis = 'billed'")
    assert {*allocations} >= {(None,), ("stated",), ("tokens",), ("unattributed",)}
    of_focus = """
      select x_Connection, ChargePeriodStart::date, x_CostBasis, x_NativeUnit, BillingCurrency, sum(x_NativeAmount),
        sum(EffectiveCost)
      from costs.focus group by all order by all
    """
    billed = """
      select connection, usage_date, cost_basis, native_unit, coalesce(currency, 'USD'), sum(native_amount),
        if(coalesce(currency, 'USD') = 'USD', sum(amount_usd), null)
      from costs.daily_costs
      where cost_basis = 'billed' and currency is not null or cost_basis = 'credits'
      group by connection, usage_date, cost_basis, native_unit, currency order by all
    """
    charged, stored = (days.tuples(query) for query in (of_focus, billed))
    assert [row[:6] for row in charged] == [row[:6] for row in stored]
    assert [row[6] for row in charged if row[4] == "USD"] == [row[6] for row in stored if row[4] == "USD"]
