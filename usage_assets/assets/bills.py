"""Reads bills from files: notes which sets of files a run has found, and which stored days these no longer have."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import dagster as dg

from usage_assets.config.settings import Connection
from usage_assets.core.days import DAY, Window, spans, utc_today
from usage_assets.fetching.client import Client, FetchResult, without
from usage_assets.fetching.connected import settling_days
from usage_assets.fetching.control_totals import fetch_with_totals
from usage_assets.fetching.transport import PermanentError
from usage_assets.models.due import question_of
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint
from usage_assets.warehouse.bills import Kept, note_bills, stored_bills
from usage_assets.warehouse.database import Warehouse

NEEDS_ITS_FILES = (
    "{} is corrected, and its files are not there any more. What is stored of it cannot be told apart from an older "
    "correction, or was asked for with other filters or USAGE_PEOPLE: put the files back"
)


def read_bills(
    client: Client,
    warehouse: Warehouse,
    connection: Connection,
    endpoint: Endpoint,
    days: Sequence[date],
    context: dg.AssetExecutionContext,
) -> FetchResult:
    """List the files, read those that may be about the days, and note both, also if the fetch fails.

    Days that were withdrawn are refused. Raises ProviderError and WarehouseError.
    """
    window, question = Window(days[0], days[-1]), question_of(endpoint, connection)
    kept = kept_of(connection)
    stored, keeping = stored_bills(warehouse, endpoint.row, connection.name, window, question, kept.kept_from)
    bills = client.look(stored)
    if bills is None:
        return fetch_with_totals(client, endpoint, days, partly=True)  # which says why
    bills.kept = keeping
    try:
        fetched = fetch_with_totals(client, endpoint, days, partly=True)
    finally:
        found = note_bills(warehouse, endpoint.row.table, connection.name, bills, kept, context.run.run_id)
    if found.news:
        context.log.warning(
            f"days whose files are not there any more stay as they are stored: {spans(found.news)} "
            f'(keeps = "{connection.keeps}")'
        )
    refused = {day: PermanentError(text, days=[day]) for day, text in found.withdrawn.items() if day in days}
    left_behind = {*found.archived}.difference(keeping, found.news)
    refused |= {
        day: PermanentError(NEEDS_ITS_FILES.format(day), cause=NEEDS_ITS_FILES.format("a day"), days=[day])
        for day in days
        if day in left_behind and day in found.changed
    }
    kept_days = {day for day in found.archived if day in days and day not in keeping} - refused.keys()
    left = {day: error for day, error in fetched.not_fetched.items() if day not in kept_days}
    return without(replace(fetched, not_fetched=left, bills=bills, kept=kept_days), refused)


def note_files(client: Client, warehouse: Warehouse, connection: Connection) -> None:
    """List the files of a connection that reads some, so that what has changed is due. Reads none of them.

    Raises ProviderError if they cannot be listed, and WarehouseError.
    """
    for endpoint in PROVIDERS[connection.provider].endpoints:
        if endpoint.files:
            bills = client.look()
            if bills is None:
                client.probe(endpoint)
            else:
                note_bills(warehouse, endpoint.row.table, connection.name, bills, kept_of(connection), "")


def kept_of(connection: Connection) -> Kept:
    """When a day of the connection whose files have gone is no withdrawal."""
    settles = settling_days(connection, PROVIDERS[connection.provider])
    return Kept(utc_today() - settles * DAY, connection.keeps.first_day if connection.keeps else None)
