"""Lookup assets: what a connection's ids stand for, unpartitioned. providers/lookup.py says what a lookup is."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from usage_assets.assets.checks import fields_in_words, warning
from usage_assets.assets.io_manager import table_metadata
from usage_assets.assets.location import Location
from usage_assets.assets.names import Names
from usage_assets.assets.posted import ONLY_SHOWN
from usage_assets.config.settings import Connection
from usage_assets.core.schema import arrow_schema, columns, to_arrow
from usage_assets.fetching.client import Client
from usage_assets.fetching.listing import fetch_lookup
from usage_assets.fetching.page_parser import POLICY
from usage_assets.providers import PROVIDERS
from usage_assets.providers.lookup import Lookup
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.lookups import UsedIn, keep_of_people, record, unknown_ids
from usage_assets.warehouse.tables import Table


def used_ids(provider: str) -> UsedIn:
    """Return the columns of a provider's costs and usage that hold ids of its lookups, by table."""
    known = {lookup.known_as for lookup in PROVIDERS[provider].lookups}
    rows = [endpoint.row for endpoint in PROVIDERS[provider].endpoints]
    return {row.table: [name for name in arrow_schema(row).names if name in known] for row in rows}


def build_lookup_asset(
    lookup: Lookup, connection: Connection, client: Callable[[], Client], location: Location
) -> dg.AssetsDefinition:
    """Build the asset that lists everything and keeps what has changed: all of it, or nothing is written."""
    names, name, table = location.names, f"{connection.name}/{lookup.name}", Table(lookup.row)
    used_in = used_ids(connection.provider)
    described = "The provider sends no field that we do not know (the values of others are not kept)"
    check = dg.AssetCheckSpec("unknown_fields", asset=names.key(name), description=described)

    @names.stored_asset(
        name,
        "lookups",
        description=f"{table.description}\n\nSource: `{lookup.method} {lookup.path}`.",
        metadata=table_metadata(lookup.row, connection.name),
        kinds={"duckdb"},
        check_specs=[check],
    )
    def lookup_asset(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:  # type: ignore[type-arg]  # next to checks Dagster knows only the bare class
        began = datetime.now(UTC)
        location.refuse_other_shard(warehouse, connection)
        listed = fetch_lookup(client(), lookup, began)
        changes = record(warehouse, table, to_arrow(lookup.row, listed.items), connection.name, began, used_in)
        addresses = {column.name: column.address for column in columns(lookup.row) if column.address}
        policy = {name: partial(POLICY[address], client().scope.people) for name, address in addresses.items()}
        keep_of_people(warehouse, table, connection.name, policy, used_in)
        context.log.info(
            f"{table.name} of {connection.name}: {changes.rows} listed, "
            f"{changes.new} new, {changes.changed} changed, {changes.gone} gone"
        )
        return dg.MaterializeResult(
            metadata={
                **asdict(changes),
                "requests": listed.requests,
                "retries": listed.retries,
                "skipped": len(listed.skipped),
                "skipped_ids": list(listed.skipped[:5]),
                "source": connection.base_url,
                "fetched_at": dg.MetadataValue.timestamp(began),
            },
            check_results=[
                warning(
                    check,
                    fields_in_words(listed.unknown_fields),
                    {"values": listed.unknown_fields.total(), "fields": sorted(listed.unknown_fields)},
                )
            ],
        )

    return lookup_asset


def build_unknown_ids_check(lookup: Lookup, connection: Connection, names: Names) -> dg.AssetChecksDefinition:
    """Build the check that counts the ids of costs and usage that no lookup of the connection has ever listed.

    It stands on the lookup and not on the costs: those are fetched after it, and a new id is no news before the next
    lookup.
    """
    column = str(lookup.known_as)
    tables = [table for table, columns in used_ids(connection.provider).items() if column in columns]
    lookups = [other.row.table for other in PROVIDERS[connection.provider].lookups]

    @dg.asset_check(
        asset=names.key(f"{connection.name}/{lookup.name}"),
        name="unknown_ids",
        description=f"Every {column} in costs and usage is listed, or once was; others have no name but their id",
    )
    @names.bound
    def check(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
        found = unknown_ids(warehouse, connection.name, column, tables, lookups)
        return dg.AssetCheckResult(
            passed=not found.unknown,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{found.unknown} of {found.checked} ids in costs and usage are in no lookup, so they have no "
            f"name: {', '.join(found.examples)}"
            if found.unknown
            else None,
            metadata={
                "ids": found.checked,
                "unknown": found.unknown,
                "examples": list(found.examples),
                ONLY_SHOWN: True,
            },
        )

    return check
