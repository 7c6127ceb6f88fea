"""Cash and amortized: effective costs where they are stated, and what is billed where they are not."""

from decimal import Decimal
from io import StringIO
from typing import Any

from rich.console import Console

from usage_assets.config.accounting import ExchangeRate
from usage_assets.core.schema import Row
from usage_assets.features.report.figures import read
from usage_assets.features.report.period import Period
from usage_assets.features.report.text import show
from usage_assets.providers.focus.charges import Charges
from usage_assets.providers.openai.costs import Costs
from usage_assets_tests.features.report.conftest import make_all_views
from usage_assets_tests.features.report.one_figure import rows_of_figure
from usage_assets_tests.models.days import DAY, Days, raw
from usage_assets_tests.models.test_valuation import stating

AMOUNTS = ("billed_amount", "amortized_amount", "only_billed_amount", "billed_usd", "amortized_usd", "only_billed_usd")
COSTS = ("charge_category", "costs_stated", "native_amount", "effective_amount", "contracted_amount", "list_amount")


def charge(billed: int, effective: int | None = None, **stated: Any) -> Row:
    same = {"billing_currency": "USD", "service_name": "Bedrock", "charge_category": "Usage", **stated}
    return raw(Charges, **same, billed_cost=billed, effective_cost=None if effective is None else Decimal(effective))


def rows(days: Days, columns: tuple[str, ...], table: str) -> list[tuple[Any, ...]]:
    query = f"select {', '.join(columns)} from {table} order by all"
    return days.tuples(query)


def test_a_row_of_costs_states_a_cost_of_all_of_its_charges_or_of_none(days: Days) -> None:
    purchase = {
        "charge_category": "Purchase",
        "sku_id": "2",
        "contracted_cost": 100,
        "list_cost": 110,
    }
    days.spent(
        Charges,
        charge(1, 2, sku_id="1"),
        charge(3, 4, sku_id="2"),
        charge(5, sku_id="3"),
        charge(100, 0, **purchase),
    )
    expected = [
        ("Purchase", "effective,contracted,list", 100, 0, 100, 110),
        ("Usage", "effective", 4, 6, None, None),
        ("Usage", None, 5, None, None, None),
    ]
    for table in ("costs.daily_costs", "costs.daily_costs_sums", "costs.daily_costs_by_key"):
        assert rows(days, COSTS, table) == expected
    assert rows(days, AMOUNTS, "costs.amortized") == [(109, 11, 5, 109, 11, 5)]


def test_what_no_provider_states_is_null_and_amortized_as_it_is_billed(days: Days) -> None:
    days.spent(Costs, raw(Costs))
    assert rows(days, COSTS, "costs.daily_costs") == [(None, None, 1, None, None, None)]
    assert rows(days, AMOUNTS, "costs.amortized") == [(1, 1, 1, 1, 1, 1)]


def test_amortized_costs_have_the_dollars_of_their_rate(days: Days) -> None:
    charges = [(2, 7), (1, None), (0, None)]
    rate = ExchangeRate(currency="EUR", usd=Decimal(2), valid_from=DAY, source="ECB")
    for rates, usd in (([], (None, None, None)), ([rate], (6, 16, 2))):
        stated = stating(days, exchange_rates=rates)
        euros = [charge(*each, sku_id=str(n), billing_currency="EUR") for n, each in enumerate(charges)]
        stated.spent(Charges, *euros)
        assert rows(days, AMOUNTS, "costs.amortized") == [(3, 8, 1, *usd)]


def test_the_report_shows_cash_and_amortized_where_an_effective_cost_is_stated(days: Days) -> None:
    period = Period.of_days(DAY, DAY)
    days.spent(Costs, raw(Costs))
    assert rows_of_figure(days.warehouse, "amortized", period) == []
    for charges, words in (
        ([charge(3, 3, sku_id="1")], []),  # amortized as it is billed
        (
            [charge(0, 62, sku_id="1"), charge(3, sku_id="2")],
            ["focus: $3.00 billed, $65.00 amortized ($3.00 of it only billed)"],
        ),
    ):
        days.spent(Charges, *charges)
        make_all_views(days.warehouse)
        said = StringIO()
        with days.warehouse.get_connection() as database:
            report = read(database, period)
        show(report, Console(file=said))
        assert "$3.00" in said.getvalue()
        assert [line for line in said.getvalue().splitlines() if "amortized" in line] == words
    assert [tuple(row.values()) for row in report.figures["amortized"].rows.to_pylist()] == [
        ("focus", "USD", 3, 65, 3),
        ("all others", "USD", 1, 1, 1),
    ]
