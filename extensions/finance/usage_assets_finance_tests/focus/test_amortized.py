"""Cash and amortized: effective costs where they are stated, and what is billed where they are not."""

from decimal import Decimal

from usage_assets.config.accounting import ExchangeRate
from usage_assets.providers.openai.costs import Costs
from usage_assets_finance.focus.charges import Charges
from usage_assets_tests.models.days import DAY, Days, lines, raw, raws, seen
from usage_assets_tests.models.stated import stating

AMOUNTS = (
    "select billed_amount, amortized_amount, only_billed_amount, billed_usd, amortized_usd, only_billed_usd "
    "from costs.amortized order by all"
)
COSTS = "charge_category costs_stated native_amount effective_amount contracted_amount list_amount"
CHARGES = """
    charge_category  sku_id  billed_cost  effective_cost  contracted_cost  list_cost
    Usage            1       1            2               -                -
    Usage            2       3            4               -                -
    Usage            3       5            -               -                -
    Purchase         2       100          0               100              110
"""
ADDED_UP = """
    Purchase  effective,contracted,list  100  0  100  110
    Usage     effective                  4    6  -    -
    Usage     -                          5    -  -    -
"""


def charge(days: Days, text: str, currency: str = "USD") -> None:
    """Store charges of a day: SKU, what is billed, and the effective cost."""
    same = {"billing_currency": currency, "service_name": "Bedrock", "charge_category": "Usage"}
    days.spent(Charges, *raws(Charges, f"sku_id  billed_cost  effective_cost\n{text}", **same))


def test_a_row_of_costs_states_a_cost_of_all_of_its_charges_or_of_none(days: Days) -> None:
    """What no provider states is null, and amortized as it is billed."""
    days.spent(Costs, raw(Costs))
    assert seen(days.read("from costs.daily_costs"), COSTS) == [("-", "-", "1", "-", "-", "-")]
    assert days.tuples(AMOUNTS) == [(1, 1, 1, 1, 1, 1)]
    days.spent(Costs)
    days.spent(Charges, *raws(Charges, CHARGES, billing_currency="USD", service_name="Bedrock"))
    for table in ("costs.daily_costs", "costs.daily_costs_sums", "costs.daily_costs_by_key"):
        rows = days.read(f"select {COSTS.replace(' ', ', ')} from {table} order by all")
        assert seen(rows) == lines(ADDED_UP), table
    assert days.tuples(AMOUNTS) == [(109, 11, 5, 109, 11, 5)]


def test_amortized_costs_have_the_dollars_of_their_rate(days: Days) -> None:
    rate = ExchangeRate(currency="EUR", usd=Decimal(2), valid_from=DAY, source="ECB")
    for rates, usd in (([], (None, None, None)), ([rate], (6, 16, 2))):
        charge(stating(days, exchange_rates=rates), "0  2  7\n1  1  -\n2  0  -", "EUR")
        assert days.tuples(AMOUNTS) == [(3, 8, 1, *usd)]
