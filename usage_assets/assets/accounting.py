"""The asset that stores the connections file's entries about money as tables, and the check that compares invoices."""

import dagster as dg

from usage_assets.assets.location import Location
from usage_assets.core.days import first_kept
from usage_assets.models.connection_graph import fetched_costs
from usage_assets.models.invoices import against_invoices
from usage_assets.models.stated import store
from usage_assets.warehouse.database import Warehouse

ACCOUNTING = "accounting"


def build_accounting_asset(location: Location) -> dg.AssetsDefinition:
    """Build the asset that stores what the connections file states: rates, purchases, invoices, owners, budgets."""
    seed = location.money

    @location.names.stored_asset(
        ACCOUNTING,
        "accounting",
        description="The tables `accounting.*`: rates, purchases, invoices, owners, budgets, guardrails and people "
        "from the connections file.\n\n"
        "Views by team and by person change at once. `due_days_sensor` recomputes the days that a changed rate covers.",
        kinds={"duckdb"},
    )
    def accounting(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[None]:
        with warehouse.transaction() as database:
            store(database, seed)
        counts = {table.name.partition(".")[2]: rows.num_rows for table, rows in seed.tables.items()}
        return dg.MaterializeResult(metadata=counts)

    return accounting


def build_invoices_check(location: Location) -> dg.AssetChecksDefinition:
    """Build the check that compares the stated invoices of each month with what is stored as billed in it.

    Months that are not kept any more are left out.
    """
    names, fetched = location.names, fetched_costs(location.everywhere)

    @dg.asset_check(
        asset=names.key(ACCOUNTING),
        name="invoices",
        description="The stored billed total of each month equals its invoices, rounded to their precision",
    )
    @names.bound
    def invoices(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
        first = first_kept(location.settings.usage_retention_months)
        kept = [invoice for invoice in location.accounting.invoices if invoice.first >= first]
        compared = [*against_invoices(warehouse, kept, fetched)]
        different = [text for agrees, text in compared if not agrees]
        return dg.AssetCheckResult(
            passed=not different,
            description="; ".join(different) or None,
            metadata={"invoices": len(kept), "different": different, "agree": [t for ok, t in compared if ok]},
        )

    return invoices
