"""Computes all tables of insights from the published copy and stores them: for the report's run and its command."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import duckdb

from usage_assets.config.accounting import Accounting
from usage_assets.config.settings import Connection
from usage_assets.models.costs import bring_up_to_date, unreadable
from usage_assets.models.model import money_seed
from usage_assets.models.same_use import same_use
from usage_assets.models.stated import refuse_none
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import write_seed
from usage_assets.warehouse.published import publish
from usage_assets.warehouse.readable import ONE_THREAD
from usage_assets.warehouse.values import Seed
from usage_assets_report.entries import Metric, WhatIf
from usage_assets_report.insights.compute import Insights, compute
from usage_assets_report.insights.doubts import doubts_of
from usage_assets_report.insights.invariants import contradictions
from usage_assets_report.insights.list_prices import with_prices
from usage_assets_report.insights.metrics import with_metrics
from usage_assets_report.insights.stated import stated_in


def refresh(
    warehouse: Warehouse,
    accounting: Accounting,
    connections: Sequence[Connection],
    newest: date,
    today: date,
    seed: Seed,
    *,
    with_people: bool = False,
) -> Insights:
    """Store forecasts, anomalies, budgets, list prices and users' metrics as of ``newest``. Raises WarehouseError.

    What an earlier release has left is brought up to date first: after an upgrade, nothing else may run before.

    Metrics that cannot be used are an alert, and those that are stored stay. What is stored meanwhile is not in them.
    Where entries are stored, and the process knows none, its budgets would be gone: that is refused.
    """
    began, stated = datetime.now(UTC), stated_in(accounting, [each.name for each in connections])
    if warehouse.exists:
        bring_up_to_date(warehouse, replace(seed, stores="never"))
        publish(warehouse)
    with warehouse.reading() as database:  # first: to open a database that does not exist would make it
        same = [*same_use(warehouse, connections)]
        database.execute(ONE_THREAD)
        refuse_none(database, money_seed(accounting))
        try:
            doubts = [*doubts_of(database, same, newest)]
            found = compute(database, stated, newest, today, with_people=with_people, doubts=doubts)
            found = replace(found, contradictions=contradictions(database, found.rows, newest))
            found = with_prices(
                found, database, [each.row for each in accounting.of_section("what_if", WhatIf)], newest
            )
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise unreadable(database, error) from None
    found = with_metrics(found, accounting.of_section("metric", Metric))
    with warehouse.transaction() as database:
        write_seed(database, found.seed(began))
    return found
