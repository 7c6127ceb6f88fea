"""Control totals: the same days, requested without grouping. Grouping must not change what a day adds up to."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pyarrow as pa

from usage_assets.core import money
from usage_assets.core.schema import columns, to_arrow
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.client import Client, FetchResult, without
from usage_assets.fetching.transport import PermanentError
from usage_assets.providers.endpoint import Control, Endpoint, Sums
from usage_assets.providers.records import LATER

logger = logging.getLogger(__name__)

Totals = Mapping[tuple[date, str, str | None], Decimal]
"""Day, measure and currency -> what the rows add up to."""


def fetch_with_totals(
    client: Client | Replay, endpoint: Endpoint, days: Sequence[date], *, partly: bool = False
) -> tuple[FetchResult, pa.Table]:
    """Everything the endpoint has for the days, with its control totals (an empty table where it declares none).

    Where the two differ by more than the provider's arithmetic, both are read once again: a restatement may have come
    between them. What differs then is returned as it is, for the check to show, or refused (``Endpoint.must_add_up``).
    Raises ProviderError. With ``partly``, days that are refused are left out (``Client.fetch``), and an answer that
    has them besides others is requested once more without them: the archive gets what is stored, and nothing else.
    """
    fetched, totals = _fetch(client, endpoint, days, partly=partly)
    if not any(each.asked.first <= day <= each.asked.last for each in fetched.responses for day in fetched.not_fetched):
        return fetched, totals
    others = [day for day in days if day not in fetched.not_fetched]
    if not others:
        return replace(fetched, responses=()), totals
    again, totals = fetch_with_totals(client, endpoint, others, partly=True)
    return without(again, fetched.not_fetched), totals


def _fetch(
    client: Client | Replay, endpoint: Endpoint, days: Sequence[date], *, partly: bool
) -> tuple[FetchResult, pa.Table]:
    sums = endpoint.must_add_up
    if not sums:
        return client.fetch(endpoint, days, partly=partly), pa.table({})
    grouped, ungrouped = _both(client, endpoint, days, partly=partly)
    if _differing(sums, grouped, ungrouped):
        logger.warning(
            "%s %s: grouped and ungrouped differ, reading both again", client.scope.connection, endpoint.name
        )
        before = grouped
        grouped, ungrouped = _both(client, endpoint, days, partly=partly)
        grouped = replace(grouped, retries=before.retries + grouped.retries + before.requests)
    if isinstance(sums, Control):
        return grouped, _totals(sums, client.scope.connection, _added_up(sums, ungrouped))
    if differing := _differing(sums, grouped, ungrouped):
        (day, name, currency), found, stated = differing[0]
        [unit] = (column.unit for column in columns(endpoint.row) if column.name == name)
        unit = f"{unit} of {currency}" if currency else unit
        error = PermanentError(
            f"the rows of {day} add up to {name} {money.plain(found)} ({unit}), but {money.plain(stated)} is stated "
            f"without grouping. {LATER}.",
            place=f"{client.scope.connection} {endpoint.name}",
            cause="the rows do not add up to what is stated without grouping",
            days=sorted({day for (day, *_), _, _ in differing}),
        )
        if not partly:
            raise error
        grouped = without(grouped, dict.fromkeys(error.days, error))
    return grouped, pa.table({})


def _both(
    client: Client | Replay, endpoint: Endpoint, days: Sequence[date], *, partly: bool
) -> tuple[FetchResult, FetchResult]:
    grouped = client.fetch(endpoint, days, partly=partly)
    left = [day for day in days if day not in grouped.not_fetched]
    ungrouped = client.fetch(endpoint.ungrouped, left, partly=partly)
    responses = (*grouped.responses, *ungrouped.responses)
    grouped = without(grouped, ungrouped.not_fetched)
    return replace(grouped, control_requests=ungrouped.requests, responses=responses), ungrouped


def _added_up(sums: Sums, fetched: FetchResult) -> Totals:
    by = ["usage_date", *filter(None, [sums.currency])]
    rows = fetched.rows.select([*by, *sums.measures]).unify_dictionaries()
    parts: defaultdict[tuple[date, str, str | None], list[Decimal]] = defaultdict(list)
    for row in rows.group_by(by).aggregate([(name, "sum") for name in sums.measures]).to_pylist():
        code = row[sums.currency] if sums.currency else None
        for name in sums.measures:
            parts[row["usage_date"], name, code and code.upper()].append(Decimal(row[f"{name}_sum"] or 0))
    return {key: money.total(spelled) for key, spelled in parts.items()}


def _differing(
    sums: Sums, grouped: FetchResult, ungrouped: FetchResult
) -> list[tuple[tuple[date, str, str | None], Decimal, Decimal]]:
    """What is added up, by day, and both sums of it."""
    one, other = _added_up(sums, grouped), _added_up(sums, ungrouped)
    rows = {row["values"]: row["counts"] for row in grouped.rows["usage_date"].value_counts().to_pylist()}
    totals = [(key, one.get(key, Decimal()), other.get(key, Decimal())) for key in sorted({*one, *other}, key=str)]
    return [each for each in totals if abs(each[1] - each[2]) > rows.get(each[0][0], 1) * money.TOLERANCE]


def _totals(control: Control, connection: str, ungrouped: Totals) -> pa.Table:
    return to_arrow(
        control.row,
        [
            control.row(connection=connection, usage_date=day, **{control.currency: currency, control.amount: amount})
            for (day, _, currency), amount in sorted(ungrouped.items(), key=str)
        ],
    )
