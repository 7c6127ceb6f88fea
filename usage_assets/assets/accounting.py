"""The asset that stores the connections file's entries about money as tables, and the check that compares invoices."""

from collections.abc import Collection
from decimal import Decimal

import dagster as dg

from usage_assets.assets.failures import failure
from usage_assets.assets.io_manager import IO_MANAGER
from usage_assets.assets.names import ALONE, Names
from usage_assets.config.accounting import Accounting, Invoice
from usage_assets.core.days import end_of_month, first_kept
from usage_assets.core.money import Money, digits_of, in_words
from usage_assets.models.costs import DailyCost, days_without_costs
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import create_or_alter, write_seed
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Seed, WarehouseError

ACCOUNTING = "accounting"
COSTS = Table(DailyCost)

BILLED = """
select native_unit, sum(native_amount)
from costs.daily_costs
where connection = $connection
  and currency = $currency
  and cost_basis = 'billed'
  and usage_date between $first and $last
group by native_unit
"""


def build_accounting_asset(seed: Seed, names: Names) -> dg.AssetsDefinition:
    """Build the asset that stores what the connections file states: rates, purchases, invoices, owners, budgets."""

    @dg.asset(
        key=names.key(ACCOUNTING),
        group_name=names.group("accounting"),
        io_manager_key=names.own(IO_MANAGER),
        description="The tables `accounting.*`: rates, purchases, invoices, owners, budgets, guardrails and people "
        "from the connections file.\n\n"
        "Views by team and by person change at once. `due_days_sensor` recomputes the days that a changed rate covers.",
        kinds={"duckdb"},
    )
    @names.bound
    def accounting(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[None]:
        try:
            with warehouse.transaction() as database:
                write_seed(database, seed)
        except WarehouseError as error:
            raise failure(str(error)) from None
        counts = {table.name.partition(".")[2]: rows.num_rows for table, rows in seed.tables.items()}
        return dg.MaterializeResult(metadata=counts)

    return accounting


def build_invoices_check(
    accounting: Accounting, fetched: Collection[tuple[str, str]], kept_months: int | None = None, names: Names = ALONE
) -> dg.AssetChecksDefinition:
    """Build the check that compares each stated invoice with what is stored as billed in its month.

    ``fetched`` are the sources of costs: see ``days_without_costs``. Months that are not kept any more are left out.
    """

    @dg.asset_check(
        asset=names.key(ACCOUNTING),
        name="invoices",
        description="The stored billed total of each month equals its invoice, rounded to the invoice's precision",
    )
    @names.bound
    def invoices(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
        try:
            kept = [invoice for invoice in accounting.invoices if invoice.first >= first_kept(kept_months)]
            compared = [against_invoice(warehouse, invoice, fetched) for invoice in kept]
        except WarehouseError as error:
            raise failure(str(error)) from None
        different = [text for agrees, text in compared if not agrees]
        return dg.AssetCheckResult(
            passed=not different,
            description="; ".join(different) or None,
            metadata={"invoices": len(compared), "different": different, "agree": [t for ok, t in compared if ok]},
        )

    return invoices


def against_invoice(
    warehouse: Warehouse, invoice: Invoice, fetched: Collection[tuple[str, str]] = ()
) -> tuple[bool, str]:
    """Return whether what is stored of an invoice's month is what was invoiced, and both in words.

    Raises WarehouseError.
    """
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
    stored = Money(Decimal(0), invoice.currency)
    for unit, amount in billed:
        stored += Money.of_minor(amount, invoice.currency, minor.get(unit, 0))
    stored = stored.rounded(max(digits, -int(invoice.total.as_tuple().exponent)))
    amounts = in_words([invoice.total, stored.amount], invoice.currency)
    words = (
        f"{invoice.id} ({invoice.connection} {invoice.month}): invoiced {amounts[invoice.total]}, "
        f"stored {amounts[stored.amount]}"
    )
    missing = len(set().union(*by_source.values())) if by_source else last.day
    if missing:
        parts = [f"{source} {len(days)}" for source, days in by_source.items() if days]
        named = f" ({', '.join(parts)})" if len(by_source) > 1 else ""
        words += f"; {missing} days of the month are not stored{named}"
    return stored == invoice.money, words
