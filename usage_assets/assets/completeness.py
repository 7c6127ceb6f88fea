"""The checks that warn when a connection's newest closed day is not stored in time. What is due in general is in
models/due.py."""

from collections.abc import Iterator

import dagster as dg

from usage_assets.assets.checks import warning
from usage_assets.assets.failures import last_failures, reason_of
from usage_assets.assets.location import Location
from usage_assets.assets.models import COSTS
from usage_assets.config.days import newest_due_day
from usage_assets.models.due import missing_assets
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.values import listed


def build_completeness_checks(location: Location) -> dg.AssetChecksDefinition:
    """Build one check per connection, on the asset ``costs``: whether its newest closed day is stored.

    Dagster's freshness policies look at the newest event, so a backfill of an old day would hide a missing one.
    """
    names = location.names
    costs = names.key(COSTS)
    specs = {
        name: dg.AssetCheckSpec(
            f"yesterday_{name}",
            asset=costs,
            description=f"{name}: yesterday is stored an hour after the daily schedule, unless the provider does not "
            "serve it yet",
        )
        for name in location.watched
    }

    @dg.multi_asset_check(name=names.own("yesterday"), specs=list(specs.values()), can_subset=True)
    @names.bound
    def yesterday(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.AssetCheckResult]:
        day = newest_due_day(location.settings)
        missing = missing_assets(warehouse, location.seeds, day)
        for name, spec in specs.items():
            if spec.key not in context.selected_asset_check_keys:
                continue
            lacking = missing.get(name, ())
            failures = last_failures(context.instance, names.keys(lacking))
            reasons = {
                asset.partition("/")[2]: reason_of(failures[key]) if (key := names.key(asset)) in failures else ""
                for asset in lacking
            }
            why = next((f" The last run failed: {reason}" for reason in reasons.values() if reason), "")
            text = (
                f"{name}: {day} is not stored: {listed(reasons, most=3)}. "
                f"Run usage-assets backfill --due --connection {name}, or wait for due_days_sensor.{why}"
            )
            facts = {"day": str(day)} | ({"missing": list(reasons)} if reasons else {})
            yield warning(spec, text if reasons else None, facts)

    return yesterday
