"""Control totals: the same days, requested without grouping. Grouping must not change what a day adds up to."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pyarrow as pa

from usage_assets.core.money import TOLERANCE
from usage_assets.core.schema import to_arrow
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.client import Client, FetchResult
from usage_assets.providers.endpoint import Control, Endpoint

logger = logging.getLogger(__name__)

Sums = Mapping[tuple[date, str | None], Decimal]


def fetch_with_totals(
    client: Client | Replay, endpoint: Endpoint, days: Sequence[date]
) -> tuple[FetchResult, pa.Table]:
    """Everything the endpoint has for the days, with its control totals (an empty table where it declares none).

    Where the two differ by more than the provider's arithmetic, both are read once again: a restatement may have come
    between them. What differs then is returned as it is, for the check to show. Raises ProviderError.
    """
    if not (control := endpoint.control):
        return client.fetch(endpoint, days), pa.table({})
    grouped, ungrouped = _both(client, endpoint, days)
    differing = _differing(control, grouped, ungrouped)
    if differing:
        logger.warning(
            "%s %s: grouped and ungrouped differ, reading both again", client.scope.connection, endpoint.name
        )
        before = grouped
        grouped, ungrouped = _both(client, endpoint, days)
        grouped = replace(grouped, retries=before.retries + grouped.retries + before.requests)
    return grouped, _totals(control, client.scope.connection, ungrouped)


def _both(client: Client | Replay, endpoint: Endpoint, days: Sequence[date]) -> tuple[FetchResult, FetchResult]:
    grouped, ungrouped = client.fetch(endpoint, days), client.fetch(endpoint.ungrouped, days)
    responses = (*grouped.responses, *ungrouped.responses)
    return replace(grouped, control_requests=ungrouped.requests, responses=responses), ungrouped


def _sums(control: Control, fetched: FetchResult) -> Sums:
    sums: defaultdict[tuple[date, str | None], Decimal] = defaultdict(Decimal)
    amounts = fetched.rows.select(["usage_date", control.currency, control.amount]).unify_dictionaries()
    added = amounts.group_by(["usage_date", control.currency]).aggregate([(control.amount, "sum")])
    for day, currency, amount in zip(*(column.to_pylist() for column in added.columns), strict=True):
        sums[day, currency and currency.upper()] += amount
    return sums


def _differing(control: Control, grouped: FetchResult, ungrouped: FetchResult) -> list[date]:
    one, other = _sums(control, grouped), _sums(control, ungrouped)
    rows = {row["values"]: row["counts"] for row in grouped.rows["usage_date"].value_counts().to_pylist()}
    return [
        day
        for day, currency in one.keys() | other.keys()
        if abs(one.get((day, currency), Decimal()) - other.get((day, currency), Decimal()))
        > rows.get(day, 1) * TOLERANCE
    ]


def _totals(control: Control, connection: str, ungrouped: FetchResult) -> pa.Table:
    sums = sorted(_sums(control, ungrouped).items(), key=str)
    return to_arrow(
        control.row,
        [
            control.row(connection=connection, usage_date=day, **{control.currency: currency, control.amount: amount})
            for (day, currency), amount in sums
        ],
    )
