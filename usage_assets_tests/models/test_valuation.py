"""What an amount is worth: only by a rate that somebody has stated, of that day, exactly; and which team it is of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from iso4217 import Currency

from usage_assets.config.accounting import Accounting, CreditRate, ExchangeRate, Invoice, Owner
from usage_assets.core.money import SCALE
from usage_assets.models.costs import COSTS
from usage_assets.models.invoices import against_invoice
from usage_assets.models.model import SQL, money_seed
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai_legacy.billing import BillingUsage
from usage_assets.warehouse.migrate import write_seed
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.models.days import DAY, DERIVED, Days, lines, raw, raws, seen
from usage_assets_tests.models.test_costs import paid

FOUR_CENTS = CreditRate(workspace="ws", usd_per_credit=Decimal("0.04"), valid_from=DAY, source="contract 7")
EURO = ExchangeRate(currency="EUR", usd=Decimal("1.0842"), valid_from=DAY, valid_until=DAY, source="ECB")
YEN = ExchangeRate(currency="JPY", usd=Decimal("0.0066"), valid_from=DAY, source="ECB")
DINAR = ExchangeRate(currency="KWD", usd=Decimal("3.2591"), valid_from=DAY, source="CBK")


def stating(days: Days, **entries: Any) -> Days:
    """The same days under a connections file that states this."""
    return replace(days, accounting=Accounting(**entries))


def state(days: Days, **entries: Any) -> Days:
    """Store what a connections file states, as each run does that computes costs."""
    days = stating(days, **entries)
    with days.warehouse.transaction() as database:
        write_seed(database, money_seed(days.accounting, datetime.now(UTC)))
    return days


def dollars(days: Days, file: str, day: date = DAY) -> list[tuple[Any, ...]]:
    """Unit, currency, dollars, their rate and its source, of each row."""
    names = ("native_unit", "currency", "amount_usd", "usd_rate", "usd_rate_source")
    return [tuple(row[name] for name in names) for row in days.rows(file, first=day)]


def test_credits_are_worth_what_the_contract_of_their_workspace_says(days: Days) -> None:
    days = stating(days, credit_rates=[FOUR_CENTS])
    days.fetched(
        CodexUsage,
        raw(CodexUsage, credits="12.5"),
        raw(CodexUsage, credits="12.5", workspace_id="another"),
    )
    names = ("native_unit", "currency", "amount_usd", "usd_rate", "usd_rate_source", "usd_reason")
    found = {row["workspace_id"]: tuple(row[name] for name in names) for row in days.rows("chatgpt_codex_usage")}
    assert found == {
        "ws": ("credits", None, Decimal("0.5"), Decimal("0.04"), "contract 7", None),
        "another": ("credits", *[None] * 4, "no credit rate is configured for workspace another"),
    }


def test_a_rate_of_credits_concerns_no_other_money(days: Days) -> None:
    """Claude Code has no workspaces: DuckDB took its nulls for numbers, and a workspace's name for a wrong one."""
    days = stating(days, credit_rates=[FOUR_CENTS])
    for row in (Costs, CostReport, ClaudeCode, BillingUsage):
        days.fetched(row, paid(row))
        [(_, *found)] = dollars(days, row.table.replace(".", "_"))
        assert found == ["USD", 1, None, None], row


def test_a_hundred_of_the_smallest_units_are_a_euro_a_hundred_yen_and_a_tenth_of_a_dinar(days: Days) -> None:
    rates = {"EUR": EURO, "JPY": YEN, "KWD": DINAR}
    days = stating(days, exchange_rates=[*rates.values()])
    days.fetched(CostReport, *(raw(CostReport, currency=currency) for currency in rates))
    worth = zip(rates, map(Decimal, ("1.0842", "0.66", "0.32591")), strict=True)
    assert dollars(days, "anthropic_cost_report") == [
        ("minor units", currency, usd, rates[currency].usd, rates[currency].source) for currency, usd in worth
    ]


LINE_ITEMS: Mapping[str | None, tuple[str | None, str | None]] = {
    "gpt-5, input": ("gpt-5", "input"),
    "gpt-4o-2024-08-06, cached input": ("gpt-4o-2024-08-06", "cached input"),
    "ft:gpt-4o:acme::x1, output": ("ft:gpt-4o:acme::x1", "output"),
    "web search tool calls": (None, "web search tool calls"),
    **dict.fromkeys(("Image models, input, high", "gpt-5,input", "gpt-5, ", ", input", " ", "", None), (None, None)),
}
"""Line item -> its model and type of usage."""


EXACT = Context(prec=76, rounding=ROUND_HALF_UP)
PRODUCT = (SQL / "macros" / "product.sql").read_text()
AMOUNTS = st.decimals(min_value=-(10**13), max_value=10**13, places=24, allow_nan=False, allow_infinity=False)


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that has the macro."""
    with duckdb.connect() as database:
        database.execute(PRODUCT)
        yield database


@settings(max_examples=300)
@given(amount=AMOUNTS, digits=st.integers(1, 10**14 - 1), scale=st.sampled_from([10, 13]))
@example(amount=Decimal("0.000000000000000000000005"), digits=10**9, scale=10)
@example(amount=Decimal("-0.000000000000000000000005"), digits=10**9, scale=10)
@example(amount=Decimal("9999999999999.999999999999999999999999"), digits=1, scale=10)
def test_a_product_in_sql_is_that_of_decimals_to_the_last_of_24_places(
    database: duckdb.DuckDBPyConnection, amount: Decimal, digits: int, scale: int
) -> None:
    rate = Decimal(digits).scaleb(-scale)
    expected = EXACT.quantize(EXACT.multiply(amount, rate), Decimal(1).scaleb(-SCALE))
    if abs(expected) >= 10**14:
        return
    found = database.execute(
        f"select product($amount::varchar::decimal(38, 24), $rate::varchar::decimal(14, {scale}))",
        {"amount": f"{amount:f}", "rate": f"{rate:f}"},
    ).fetchone()
    assert found == (expected,)


# Line items


def test_a_line_item_that_does_not_parse_stays_whole_and_is_counted(days: Days) -> None:
    """Another currency that comes in its major unit is not divided."""
    day_after = DAY + timedelta(days=1)
    days = stating(days, exchange_rates=[EURO.model_copy(update={"valid_until": day_after}), YEN])
    lines = [raw(Costs, line_item=line_item) for line_item in LINE_ITEMS]
    currencies = [raw(Costs, usage_date=day_after, amount_currency=currency) for currency in ("eur", "jpy", "usd")]
    days.fetched(Costs, *lines, *currencies, last=day_after)
    (version, _) = days.derive("openai_costs", last=day_after)
    assert version.totals["line_items_unparsed"] == "6"
    rows = days.read("from costs.daily_costs order by usage_date, amount_usd desc")
    of_day = [row for row in rows if row["usage_date"] == DAY]
    assert {row["line_item"]: (row["model"], row["usage_type"]) for row in of_day} == LINE_ITEMS
    names = ("native_unit", "currency", "amount_usd", "usd_rate", "usd_rate_source")
    assert [tuple(row[name] for name in names) for row in rows if row["usage_date"] == day_after] == [
        ("major units", "EUR", Decimal("1.0842"), Decimal("1.0842"), "ECB"),
        ("dollars", "USD", 1, None, None),
        ("major units", "JPY", Decimal("0.0066"), Decimal("0.0066"), "ECB"),
    ]


# Views


def sums(days: Days, view: str, *columns: str) -> set[tuple[Any, ...]]:
    """Columns of a view for people, and its amounts."""
    return {*days.tuples(f"select {', '.join(columns)}, native_amount, amount_usd from costs.{view}")}


def test_every_view_holds_every_cost_once_per_basis_unit_and_currency(days: Days) -> None:
    """A rate speaks of its days only, and a sum of which a part has none has no dollars."""
    day_after = DAY + timedelta(days=1)
    days = stating(days, exchange_rates=[EURO])
    days.spent(
        Costs,
        raw(Costs, project_id="p", line_item="gpt-5, input"),
        raw(Costs, project_id="p", line_item="gpt-5, output", amount_value="0.000000000000000000000001"),
        *(raw(Costs, amount_currency="eur", user_id="u", usage_date=day) for day in (DAY, day_after)),
        last=day_after,
    )
    days.spent(CostReport, paid(CostReport, workspace_id="wrk", model="opus"))
    keys = "cost_basis, native_unit, currency"
    query = f"select {keys}, sum(native_amount), sum(amount_usd) from {{}} group by all order by all"
    whole = days.tuples(query.format("costs.daily_costs"))
    for view in ("by_day", "by_month", "by_model_as_sent", "by_project", "by_user", "by_team"):
        known = [row[:-1] for row in whole] if view == "by_month" else whole
        found = days.tuples(query.format(f"costs.{view}"))
        assert ([row[:-1] for row in found] if view == "by_month" else found) == known, view
    months = sums(days, "by_month", "month", "currency", "rows_without_usd")
    assert sorted(seen(months)) == lines("""
        2026-11-01  EUR  1  2                           -
        2026-11-01  USD  0  1.000000000000000000000001  1.000000000000000000000001
        2026-11-01  USD  0  100                         1
    """)
    as_sent = sums(days, "by_model_as_sent", "usage_date", "model", "usage_type", "provider", "rows_without_usd")
    assert sorted(seen(as_sent)) == lines("""
        2026-11-01  -      -       openai     0  1                           1.0842
        2026-11-01  gpt-5  input   openai     0  1                           1
        2026-11-01  gpt-5  output  openai     0  0.000000000000000000000001  0.000000000000000000000001
        2026-11-01  opus   -       anthropic  0  100                         1
        2026-11-02  -      -       openai     1  1                           -
    """)


INVOICES: Sequence[tuple[Mapping[str, Any], bool, str]] = [
    ({"total": Decimal("1.01")}, True, "invoiced $1.01, stored $1.01; 28 days of the month are not stored"),
    ({"total": Decimal("1.0050")}, True, "invoiced $1.01, stored $1.01; "),
    ({"total": Decimal("100.5")}, False, "invoiced $100.50, stored $1.01; "),
    ({"total": Decimal(200), "currency": "JPY"}, True, "invoiced 200 JPY, stored 200 JPY; "),
    ({"total": Decimal(2), "currency": "JPY"}, False, "invoiced 2 JPY, stored 200 JPY; "),
    ({"total": Decimal(0), "month": "2026-10"}, True, "INV (anthropic 2026-10): invoiced $0.00, stored $0.00; 31 days"),
]
"""What an invoice states, whether it agrees, and what is said."""


def test_every_dollar_is_under_the_team_that_owned_it_that_day(days: Days) -> None:
    day_after = DAY + timedelta(days=1)
    owners = [
        Owner(project="p", team="web", cost_center="1", valid_until=DAY),
        Owner(project="p", team="apps", valid_from=day_after),
        Owner(api_key="k", team="search", connection="openai"),
        Owner(api_key="k2", team="search", connection="openai_emea"),
        Owner(user="u", team="research"),
        Owner(workspace="wrk", team="platform"),
    ]
    days = stating(days, owners=owners)
    text = """
        project_id  user_id  api_key_id  amount_value
        p           -        -           1
        p           u        -           2
        p           u        k           4
        -           -        k2          8
    """
    costs = [row for day in (DAY, day_after) for row in raws(Costs, text, usage_date=day)]
    days.spent(Costs, *costs, last=day_after)
    days.spent(CostReport, raw(CostReport, workspace_id="wrk"), raw(CostReport))
    found = sums(days, "by_team", "usage_date", "team", "cost_center", "native_unit")
    assert sorted(seen(found)) == lines("""
        2026-11-01  platform  -  cents    100  1
        2026-11-01  research  -  dollars  2    2
        2026-11-01  search    -  dollars  4    4
        2026-11-01  unowned   -  cents    100  1
        2026-11-01  unowned   -  dollars  8    8
        2026-11-01  web       1  dollars  1    1
        2026-11-02  apps      -  dollars  1    1
        2026-11-02  research  -  dollars  2    2
        2026-11-02  search    -  dollars  4    4
        2026-11-02  unowned   -  dollars  8    8
    """)


# Invoices


def test_an_invoice_agrees_with_what_is_stored_of_its_month_and_currency(days: Days) -> None:
    day_after = DAY + timedelta(days=1)
    yen = raw(CostReport, currency="JPY", amount_cents=200)
    half = raw(CostReport, usage_date=day_after, amount_cents="0.5")
    days.spent(CostReport, raw(CostReport), yen, half, last=day_after)
    for stated, agrees, said in INVOICES:
        invoice = Invoice(**{"connection": "anthropic", "month": "2026-11", "id": "INV", **stated})
        found = against_invoice(days.warehouse, invoice)
        assert (found[0], said in found[1]) == (agrees, True), (stated, found)


MISTAKES = (
    "round(native_amount * 0.04, 24) as usd_rate",
    "if(currency = 'USD', amount_usd, amount_usd * 100) as amount_usd",
    "if(currency = 'USD', amount_usd, null) as amount_usd",
    "null as usd_rate",
    "if(currency = 'EUR', amount_usd * 0.01, amount_usd) as amount_usd",
    "if(currency = 'JPY', amount_usd * 0.01, amount_usd) as amount_usd",
)


def test_a_day_of_which_a_part_of_the_costs_is_missing_is_not_stored(days: Days) -> None:
    """Claude Code's estimates of a day must not pass for its bill."""
    first, last = date(2026, 10, 1), date(2026, 10, 5)
    days.spent(CostReport, first=first, last=first + timedelta(days=1))
    days.spent(ClaudeCode, first=first, last=last)
    invoice = Invoice(connection="anthropic", month="2026-10", total=Decimal(1), id="INV")
    _, said = against_invoice(days.warehouse, invoice)
    assert said.endswith("; 29 days of the month are not stored (claude_code 26, cost_report 29)")
    never = [("anthropic", "anthropic.cost_report"), ("anthropic", "another.source")]
    _, said = against_invoice(days.warehouse, invoice, never)
    assert said.endswith("; 31 days of the month are not stored (source 31, claude_code 26, cost_report 29)")
    _, said = against_invoice(days.warehouse, invoice.model_copy(update={"connection": "unknown"}))
    assert said.endswith("; 31 days of the month are not stored")


def test_what_is_computed_with_minor_units_is_computed_again_when_a_release_has_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = {file: derived.query.code for file, derived in DERIVED.items()}
    monkeypatch.setattr("usage_assets.config.accounting.Currency", [each for each in Currency if each.code != "KWD"])
    changed = {file for file, derived in DERIVED.items() if replace(derived).query.code != before[file]}
    valued = {derived.file for derived in COSTS}
    in_cents = ("claude_code_analytics", "claude_cost_record", "claude_ai_user_cost", "claude_ai_skill_usage")
    assert changed == {*valued, *in_cents, "openai_legacy_daily_usage"}


def test_dollars_that_are_not_those_of_the_stated_rate_are_not_stored(days: Days) -> None:
    accounting = Accounting(exchange_rates=[EURO, YEN])
    days.fetched(CostReport, raw(CostReport, currency="EUR"), raw(CostReport, currency="JPY"), raw(CostReport))
    derived = DERIVED["anthropic_cost_report"]
    select = replace(derived.query, seed=money_seed(accounting, datetime.now(UTC)))
    target = Slice("anthropic", DAY, DAY, derived.part)
    days.warehouse.replace(Table(derived.row), select, target, "run")
    said = r"[01] of [12] amounts in .* have the dollars that their unit and rate make of them"
    for mistake in MISTAKES:
        planted = replace(select, sql=f"select * replace ({mistake}) from ({select.sql})")
        with pytest.raises(WarehouseError, match=said):
            days.warehouse.replace(Table(derived.row), planted, target, "run")
