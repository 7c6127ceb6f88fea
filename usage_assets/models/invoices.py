"""Invoices of the connections file beside what is stored as billed."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from usage_assets.config.accounting import Invoice
from usage_assets.core.days import end_of_month
from usage_assets.core.money import digits_of, in_words, of_minor, rounded, total
from usage_assets.models.costs import DailyCost, days_without_costs
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.tables import Table

COSTS = Table(DailyCost)
BILLED_BY = attrgetter("connection", "month", "currency")
"""What invoices are of that are compared together."""
BILLED = """
select native_unit, sum(native_amount)
from costs.daily_costs
where connection = $connection
  and currency = $currency
  and cost_basis = 'billed'
  and usage_date between $first and $last
group by native_unit
"""


def against_invoices(
    warehouse: Warehouse, invoices: Iterable[Invoice], fetched: Collection[tuple[str, str]] = ()
) -> Iterator[tuple[bool, str]]:
    """Yield whether what is stored of a connection, month and currency is what was invoiced, and both in words.

    A provider may send several invoices for a month: their sum is compared. Raises WarehouseError.
    """
    for _, together in groupby(sorted(invoices, key=BILLED_BY), BILLED_BY):
        yield _against(warehouse, [*together], fetched)


def _against(
    warehouse: Warehouse, invoices: Sequence[Invoice], fetched: Collection[tuple[str, str]]
) -> tuple[bool, str]:
    invoice = invoices[0]
    last = end_of_month(invoice.first)
    bounds = {"connection": invoice.connection, "first": invoice.first, "last": last}
    with warehouse.transaction(keep=False) as database:
        create_or_alter(database, COSTS)
        billed = database.execute(BILLED, {**bounds, "currency": invoice.currency}).fetchall()
        by_source = {
            source.partition(".")[2]: days
            for (name, source), days in days_without_costs(database, fetched, invoice.first, last).items()
            if name == invoice.connection
        }
    digits = digits_of(invoice.currency)
    minor = {"cents": 2, "minor units": digits}
    invoiced = total(each.total for each in invoices)
    exact = total(of_minor(amount, minor.get(unit, 0)) for unit, amount in billed)
    stored = rounded(exact, max(digits, -int(invoiced.as_tuple().exponent)))
    amounts = in_words([invoiced, stored], invoice.currency)
    words = (
        f"{', '.join(each.id for each in invoices)} ({invoice.connection} {invoice.month}): "
        f"invoiced {amounts[invoiced]}, stored {amounts[stored]}"
    )
    missing = len(set().union(*by_source.values())) if by_source else last.day
    if missing:
        parts = [f"{source} {len(days)}" for source, days in by_source.items() if days]
        named = f" ({', '.join(parts)})" if len(by_source) > 1 else ""
        words += f"; {missing} days of the month are not stored{named}"
    return stored == invoiced, words
