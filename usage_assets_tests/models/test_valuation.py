"""What an amount is worth: only by a rate that somebody has stated, of that day, exactly; and which team it is of."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from iso4217 import Currency

from usage_assets.config.accounting import Accounting, ExchangeRate, Invoice
from usage_assets.core.money import SCALE
from usage_assets.models.costs import COSTS
from usage_assets.models.invoices import against_invoices
from usage_assets.models.model import SQL, money_seed
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.models.days import DAY, DERIVED, Days, cases, lines, raw, seen
from usage_assets_tests.models.stated import EURO, entries, stating

YEN = ExchangeRate(currency="JPY", usd=Decimal("0.0066"), valid_from=DAY, source="ECB")


LINE_ITEMS: Mapping[str | None, tuple[str | None, str | None]] = {
    **{
        line_item: (model, usage_type)
        for line_item, model, usage_type in cases("""
            gpt-5, input -> gpt-5 -> input
            gpt-4o-2024-08-06, cached input -> gpt-4o-2024-08-06 -> cached input
            ft:gpt-4o:acme::x1, output -> ft:gpt-4o:acme::x1 -> output
            priority | gpt-5.6-sol, output -> gpt-5.6-sol -> output
            priority | gpt-5.6-sol, output, long context -> gpt-5.6-sol -> output, long context
            gpt-image-2-2026-04-21 text, input -> gpt-image-2-2026-04-21 -> text input
            web search tool calls | gpt-4o -> gpt-4o -> web search tool calls
            whisper -> whisper-1 -> whisper
        """)
    },
    "web search tool calls": (None, "web search tool calls"),
    **dict.fromkeys(("Image models, input, high", "gpt-5,input", "gpt-5, ", ", input", " ", "", None), (None, None)),
}
"""Line item -> its model and type of usage. Whisper and those with a bar, a modality or a long context are of bills of
2026."""


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
    items = [raw(Costs, line_item=line_item) for line_item in LINE_ITEMS]
    currencies = [raw(Costs, usage_date=day_after, amount_currency=currency) for currency in ("eur", "jpy", "usd")]
    days.fetched(Costs, *items, *currencies, last=day_after)
    (version, _) = days.derive("openai_costs", last=day_after)
    assert version.totals["line_items_unparsed"] == "6"
    rows = days.read("from costs.daily_costs order by usage_date, amount_usd desc")
    of_day = [row for row in rows if row["usage_date"] == DAY]
    assert {row["line_item"]: (row["model"], row["usage_type"]) for row in of_day} == LINE_ITEMS
    of_next = [row for row in rows if row["usage_date"] == day_after]
    assert seen(of_next, "native_unit currency amount_usd usd_rate usd_rate_source") == lines("""
        major units  EUR  1.0842  1.0842  ECB
        dollars      USD  1       -       -
        major units  JPY  0.0066  0.0066  ECB
    """)


# Views


def sums(days: Days, view: str, *columns: str) -> set[tuple[Any, ...]]:
    """Columns of a view for people, and its amounts."""
    return {*days.tuples(f"select {', '.join(columns)}, native_amount, amount_usd from costs.{view}")}


# Invoices


def test_an_invoice_agrees_with_what_is_stored_of_its_month_and_currency(days: Days) -> None:
    day_after = DAY + timedelta(days=1)
    yen = raw(CostReport, currency="JPY", amount_cents=200)
    half = raw(CostReport, usage_date=day_after, amount_cents="0.5")
    days.spent(CostReport, raw(CostReport), yen, half, last=day_after)
    for total, currency, month, agrees, said in lines("""
        1.01    USD  2026-11  yes  invoiced $1.01, stored $1.01; 28 days of the month are not stored
        1.0050  USD  2026-11  yes  invoiced $1.01, stored $1.01;
        100.5   USD  2026-11  no   invoiced $100.50, stored $1.01;
        200     JPY  2026-11  yes  invoiced 200 JPY, stored 200 JPY;
        2       JPY  2026-11  no   invoiced 2 JPY, stored 200 JPY;
        0       USD  2026-10  yes  INV (anthropic 2026-10): invoiced $0.00, stored $0.00; 31 days
    """):
        invoice = Invoice(connection="anthropic", month=month, id="INV", total=Decimal(total), currency=currency)
        [found] = against_invoices(days.warehouse, [invoice])
        assert (found[0], said in found[1]) == (agrees == "yes", True), (total, found)


def test_the_invoices_of_a_month_are_compared_together(days: Days) -> None:
    """Providers send one whenever what is prepaid is used up. Each alone differed, and the page reconciled them."""
    days.spent(CostReport, raw(CostReport, amount_cents=101), raw(CostReport, currency="EUR", amount_cents=7))
    invoices = entries(
        Invoice,
        """
        connection  month    id     total  currency
        anthropic   2026-11  INV-1  0.6    .
        anthropic   2026-11  INV-2  0.41   .
        anthropic   2026-11  INV-3  0.07   EUR
        anthropic   2026-10  INV-4  0.01   .
        """,
    )
    found = [(agrees, said.partition(";")[0]) for agrees, said in against_invoices(days.warehouse, invoices)]
    assert found == [
        (False, "INV-4 (anthropic 2026-10): invoiced $0.01, stored $0.00"),
        (True, "INV-3 (anthropic 2026-11): invoiced 0.07 EUR, stored 0.07 EUR"),
        (True, "INV-1, INV-2 (anthropic 2026-11): invoiced $1.01, stored $1.01"),
    ]


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
    [(_, said)] = against_invoices(days.warehouse, [invoice])
    assert said.endswith("; 29 days of the month are not stored (claude_code 26, cost_report 29)")
    never = [("anthropic", "anthropic.cost_report"), ("anthropic", "another.source")]
    [(_, said)] = against_invoices(days.warehouse, [invoice], never)
    assert said.endswith("; 31 days of the month are not stored (source 31, claude_code 26, cost_report 29)")
    [(_, said)] = against_invoices(days.warehouse, [invoice.model_copy(update={"connection": "unknown"})])
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
