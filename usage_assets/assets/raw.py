"""Raw assets: one per connection and endpoint, all from one factory. What an endpoint is stands in providers/."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pyarrow as pa

from usage_assets.partitions import days_of, utc_today
from usage_assets.providers import Client, Endpoint, Fetched, Provider, ProviderError
from usage_assets.settings import Connection, SettingsError
from usage_assets.warehouse.database import DAYS_WITHOUT_BUCKET, FETCH_BEGAN
from usage_assets.warehouse.io_manager import table_metadata
from usage_assets.warehouse.tables import Table


def earliest_day(connection: Connection, provider: Provider) -> date:
    """Return the first day that the connection can be asked for: its own start or the provider's look-back."""
    if provider.lookback_days is None:
        return connection.start_date
    return max(connection.start_date, utc_today() - timedelta(days=provider.lookback_days))


def build_raw_asset(
    endpoint: Endpoint,
    provider: Provider,
    connection: Connection,
    client: Callable[[], Client],
    partitions: dg.PartitionsDefinition[str],
    policy: dg.BackfillPolicy,
) -> dg.AssetsDefinition:
    """Build the asset that fetches the requested days of one endpoint: all of them, or nothing is written."""

    @dg.asset(
        key=[connection.name, endpoint.name],
        group_name=f"{connection.name}_{endpoint.group}",
        partitions_def=partitions,
        backfill_policy=policy,
        description=f"{Table(endpoint.row).description}\n\nSource: `GET {endpoint.path}`.",
        metadata=table_metadata(endpoint.row, connection.name),
        kinds={connection.provider, "duckdb"},
    )
    def raw_asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult[pa.Table]:
        days, began = days_of(context.partition_keys), datetime.now(UTC)
        try:
            _refuse_days_out_of_reach(days, connection, provider)
            fetched = client().fetch(endpoint, days)
        except (SettingsError, ProviderError) as error:
            raise dg.Failure(str(error), allow_retries=False) from None
        return dg.MaterializeResult(
            value=_with_facts(fetched, began), metadata=_metadata(fetched, began, connection, len(days))
        )

    return raw_asset


def _refuse_days_out_of_reach(days: list[date], connection: Connection, provider: Provider) -> None:
    earliest = earliest_day(connection, provider)
    if days[0] < earliest:
        reason = (
            f"{provider.name} serves the last {provider.lookback_days} days"
            if earliest > connection.start_date
            else "the connection's start date"
        )
        raise SettingsError(
            f"connection {connection.name}: {days[0]} cannot be fetched: the earliest day is {earliest} ({reason}); "
            "choose later days, nothing was fetched or changed"
        )


def _with_facts(fetched: Fetched, began: datetime) -> pa.Table:
    """Return the rows with what the warehouse has to know of the fetch."""
    days = ",".join(sorted(map(str, fetched.days_without_bucket)))
    return fetched.rows.replace_schema_metadata({DAYS_WITHOUT_BUCKET: days, FETCH_BEGAN: began.isoformat()})


def _metadata(fetched: Fetched, began: datetime, connection: Connection, days: int) -> dict[str, Any]:
    """What the fetch was like; one fetch serves all days of the run, and each day's event shows it."""
    return {
        "requests": fetched.requests,
        "days_in_fetch": days,
        "requests_refused": fetched.refused,
        "windows_split": fetched.split_windows,
        "retries": fetched.retries,
        "amounts_rounded": fetched.rounded,
        "unknown_fields": sum(fetched.unknown_fields.values()),
        "days_without_bucket": len(fetched.days_without_bucket),
        "source": connection.base_url,
        "fetched_at": dg.MetadataValue.timestamp(began),
    }
