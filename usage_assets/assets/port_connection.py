"""The state of a connection's data as an entity in Port, ``ai_connection``, to which all its other entities relate.

It has no days and no table: it is what the ledger and Dagster's instance say at the moment.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

import dagster as dg

from usage_assets.assets.failures import last_failures, reason_of
from usage_assets.assets.port_ledger import PortLedger
from usage_assets.assets.port_push import in_words, push_until_equal
from usage_assets.config.settings import Connection, PortRelation, SettingsError
from usage_assets.core.days import DAY, utc_today
from usage_assets.core.people import People
from usage_assets.fetching.connected import earliest_day
from usage_assets.models.model import Model
from usage_assets.port.client import PortClient, PortError
from usage_assets.port.provision import CONNECTION
from usage_assets.port.sync import SIGNATURE, Entity
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.values import WarehouseError

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


def build_port_connection(
    connection: Connection,
    endpoints: Sequence[Endpoint],
    entities: Sequence[Model],
    relations: Sequence[PortRelation],
    client: Callable[[], PortClient],
    people: Callable[[], People],
) -> dg.AssetsDefinition:
    """Build the asset that tells Port how a connection's data is, also where nothing else is pushed: after failures."""

    @dg.asset(
        key=[connection.name, "port_connection"],
        group_name=f"{connection.name}_port",
        description="One entity: whether the last runs of a connection succeeded, which days are whole and settled.\n\n"
        "What has not changed makes no request.",
        kinds={"port"},
    )
    def port_connection(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
        try:
            with client() as port:
                state = state_of(warehouse, context.instance, connection, endpoints)
                no_days = Slice(connection.name, state.usage_date, state.usage_date - DAY)
                ledger = PortLedger(warehouse, port.account, no_days, entities, relations=relations, state=state)
                report, _ = push_until_equal(port, ledger)
                requests = port.requests
        except (SettingsError, PortError, WarehouseError) as error:
            raise dg.Failure(people().scrubbed(str(error)), allow_retries=False) from None
        if report.failures:
            raise dg.Failure(people().scrubbed(in_words(report)), allow_retries=False)
        return dg.MaterializeResult(metadata={"state_sent": requests > 0, "requests": requests})

    return port_connection


def state_of(
    warehouse: Warehouse, instance: dg.DagsterInstance, connection: Connection, endpoints: Sequence[Endpoint]
) -> Entity:
    """Return the connection's entity as it should be in Port now."""
    parameters = {"connection": connection.name, "tables": [endpoint.row.table for endpoint in endpoints]}
    with_control = [table for endpoint in endpoints for table in endpoint.tables]
    with warehouse.transaction() as database:
        first, last = database.execute(WHOLE_DAYS, parameters).fetchall()[0]
        settled = database.execute(SETTLED_DAYS, {**parameters, "with_control": with_control}).fetchall()
    error = _last_error(instance, [dg.AssetKey([connection.name, endpoint.name]) for endpoint in endpoints])
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
    """Return the day up to which every day from the first whole one on is settled.

    Nothing can change any more what the provider does not serve any more.
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
