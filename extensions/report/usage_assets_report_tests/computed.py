"""What a run of the report stores, for tests of what reads it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from usage_assets.config.settings import Settings
from usage_assets.core.schema import SeedRow, to_arrow
from usage_assets.models.insights import state_of
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import write_seed
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Seed
from usage_assets_report.insights.compute import compute
from usage_assets_report.insights.stated import stated_in
from usage_assets_tests.fixtures import NOW


def compute_insights(warehouse: Warehouse, settings: Settings, now: datetime = NOW) -> None:
    """Store forecasts, anomalies and budgets, as a run of the report does."""
    stated = stated_in(settings.accounting(), [each.name for each in settings.connections()])
    with warehouse.transaction() as database:
        write_seed(database, compute(database, stated, now.date() - timedelta(days=1), now.date()).seed(now))


def store_insights(warehouse: Warehouse, rows: Mapping[type[SeedRow], Sequence[SeedRow]]) -> None:
    """Store these rows in place of what a run has computed or stated."""
    tables = {Table(row): to_arrow(row, each) for row, each in rows.items()}
    with warehouse.transaction() as database:
        write_seed(database, Seed("insights", tables, datetime.now(UTC), state=state_of(database)))
