"""The state of a connection's data as an entity in Port, ``ai_connection``, to which all its other entities relate.

It has no days and no table. It is computed from the ledger and Dagster's instance when it is pushed.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import dagster as dg

from usage_assets.assets.failures import last_failures, reason_of
from usage_assets.assets.names import ALONE, Names
from usage_assets.config.settings import Connection
from usage_assets.core.blueprints import CONNECTION
from usage_assets.core.days import DAY, utc_today
from usage_assets.features.port.catalog.sync import SIGNATURE, Entity
from usage_assets.fetching.connected import earliest_day
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint
from usage_assets.warehouse.database import Warehouse

DAYS_UNTIL_STALE = 2
"""A day is fetched in the course of the next one."""
ERROR_LENGTH = 500

WHOLE_DAYS = """
select min(usage_date) as first, max(usage_date) as last
from (
  select usage_date
  from ledger.stored_days
  where connection = $connection and list_contains($tables, table_name) and not is_open
  group by usage_date
  having count(distinct table_name) = len($tables)
)
"""
SETTLED_DAYS = """
select usage_date
from ledger.day_states
where connection = $connection and list_contains($with_control, table_name)
group by usage_date
having bool_and(state = 'settled') and count(*) filter (where list_contains($tables, table_name)) = len($tables)
"""


def state_of(
    warehouse: Warehouse,
    instance: dg.DagsterInstance,
    connection: Connection,
    endpoints: Sequence[Endpoint],
    names: Names = ALONE,
) -> Entity:
    """Return the connection's entity as it should be in Port now."""
    parameters = {"connection": connection.name, "tables": [endpoint.row.table for endpoint in endpoints]}
    with_control = [table for endpoint in endpoints for table in endpoint.tables]
    with warehouse.transaction(keep=False) as database:
        first, last = database.execute(WHOLE_DAYS, parameters).fetchall()[0]
        settled = database.execute(SETTLED_DAYS, {**parameters, "with_control": with_control}).fetchall()
    error = _last_error(instance, names.keys([f"{connection.name}/{each.name}" for each in endpoints]))
    if error:
        state = "failed"
    elif last is None:
        state = "empty"
    else:
        state = "stale" if last < utc_today() - timedelta(days=DAYS_UNTIL_STALE) else "ok"
    return Entity(
        blueprint=CONNECTION,
        identifier=connection.name,
        title=connection.name,
        properties={
            "provider": connection.provider,
            "state": state,
            "last_closed_day": _midnight(last),
            "settled_until": _midnight(_settled_until(connection, first, last, {day for (day,) in settled})),
            "last_error": error,
            SIGNATURE: None,
        },
        usage_date=last or connection.start_date,
    )


def _settled_until(connection: Connection, first: date | None, last: date | None, settled: set[date]) -> date | None:
    """Return the last day of the settled range that starts at the first complete day.

    Days that the provider no longer serves cannot change, so they count as settled.
    """
    if first is None or last is None:
        return None
    day = max(first, earliest_day(connection, PROVIDERS[connection.provider]))
    while day in settled:
        day += DAY
    return min(day - DAY, last) if day > first else None


def _last_error(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]) -> str | None:
    """Return why the last run of an endpoint failed, of the first that did: `<endpoint>: <reason>`."""
    failures = last_failures(instance, keys)
    return next((f"{key.path[-1]}: {reason_of(failures[key])}"[:ERROR_LENGTH] for key in sorted(failures)), None)


def _midnight(day: date | None) -> str | None:
    return f"{day}T00:00:00Z" if day else None
