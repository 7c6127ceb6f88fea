"""Control totals: the same days, requested without grouping. Grouping must not change what a day adds up to."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pyarrow as pa

from usage_assets.core import money
from usage_assets.core.schema import MONEY, columns, of_days, to_arrow
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.client import Client, FetchResult, together, without
from usage_assets.fetching.page_parser import as_rows
from usage_assets.fetching.transport import PermanentError
from usage_assets.providers.endpoint import Control, Endpoint, Sums
from usage_assets.providers.records import LATER

logger = logging.getLogger(__name__)

ROUNDED = Decimal("0.000001")
"""What a row of two reports may lose, in minor units: as in ``sql/cross_checks/money.sql``."""
Totals = Mapping[tuple[date, str, str | None], Decimal]
"""Day, measure and currency -> what the rows add up to."""


def fetch_with_totals(
    client: Client | Replay, endpoint: Endpoint, days: Sequence[date], *, partly: bool = False
) -> FetchResult:
    """Everything the endpoint has for the days, with its control totals.

    Where the two differ by more than the provider's arithmetic, both are read once again: a restatement may have come
    between them. What differs then is returned as it is, for the check to show, or refused (``Endpoint.must_add_up``).
    Raises ProviderError. With ``partly``, days that are refused are left out (``Client.fetch``), and an answer that
    has them besides others is requested once more without them: the archive gets what is stored, and nothing else.

    Where the endpoint has a newer one, both are read, and each day is that of the one or of the other, whole.
    """
    if endpoint.newer:
        older = fetch_with_totals(client, replace(endpoint, newer=None), days, partly=partly)
        return _with_newer(client, endpoint, endpoint.newer, older, days)
    fetched = _fetch(client, endpoint, days, partly=partly)
    if not any(each.asked.first <= day <= each.asked.last for each in fetched.responses for day in fetched.not_fetched):
        return fetched
    others = [day for day in days if day not in fetched.not_fetched]
    if not others:
        return replace(fetched, responses=())
    return without(fetch_with_totals(client, endpoint, others, partly=True), fetched.not_fetched)


def _with_newer(
    client: Client | Replay, endpoint: Endpoint, newer: Endpoint, older: FetchResult, days: Sequence[date]
) -> FetchResult:
    """Return each day as the newer report has it, or as the older one does.

    A key that may not ask the newer one gets all days from the older one, and so does an answer that cannot be read:
    both bill the same. Raises TransientError: without an answer, a day would change its report.
    """
    is_archive = isinstance(client, Replay)
    asked = [day for day in days if day not in older.not_fetched and (is_archive or newer.serves(day))]
    if not asked:
        return older
    try:
        found = fetch_with_totals(client, newer, asked, partly=is_archive)
    except PermanentError as error:
        logger.info("%s The older report is read, which bills the same.", error)
        return older
    theirs = replaced_days(endpoint, found.rows, older.rows)
    if is_archive:
        theirs = {day for day in theirs if found.stored_at[day] >= older.stored_at[day]}
    if not theirs:
        return replace(older, responses=[*older.responses, *found.responses])
    own = set(days).difference(theirs)
    rows = as_rows(endpoint.row, of_days(found.rows, theirs))
    newest = replace(found, rows=rows, totals=of_days(found.totals, theirs))
    others = replace(older, rows=of_days(older.rows, own), totals=of_days(older.totals, own))
    return together(newest, others, theirs)


def replaced_days(endpoint: Endpoint, newer: pa.Table, older: pa.Table) -> Set[date]:
    """Return the days that the newer report has, with no less than the older one: otherwise some are still missing.

    Amounts are text of as many places as the provider likes, and the two cut a day into other parts.
    """
    billed = [column.name for column in columns(endpoint.row) if column.unit in MONEY and not column.nullable]
    sums = Sums(measures=tuple(billed), currency="currency")
    rounded = (len(newer) + len(older)) * ROUNDED
    lacking = {key[0] for key, found, stated in _differing(sums, newer, older) if stated - found > rounded}
    return set(newer["usage_date"].unique().to_pylist()) - lacking


def _fetch(client: Client | Replay, endpoint: Endpoint, days: Sequence[date], *, partly: bool) -> FetchResult:
    sums = endpoint.must_add_up
    if not sums:
        return client.fetch(endpoint, days, partly=partly)
    grouped, ungrouped = _both(client, endpoint, days, partly=partly)
    if _differing(sums, grouped.rows, ungrouped.rows):
        logger.warning(
            "%s %s: grouped and ungrouped differ, reading both again", client.scope.connection, endpoint.name
        )
        before = grouped
        grouped, ungrouped = _both(client, endpoint, days, partly=partly)
        grouped = replace(grouped, retries=before.retries + grouped.retries + before.requests)
    if isinstance(sums, Control):
        totals = _totals(sums, client.scope.connection, _added_up(sums, ungrouped.rows))
        return replace(grouped, totals=totals)
    if differing := _differing(sums, grouped.rows, ungrouped.rows):
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
    return grouped


def _both(
    client: Client | Replay, endpoint: Endpoint, days: Sequence[date], *, partly: bool
) -> tuple[FetchResult, FetchResult]:
    grouped = client.fetch(endpoint, days, partly=partly)
    left = [day for day in days if day not in grouped.not_fetched]
    ungrouped = client.fetch(endpoint.ungrouped, left, partly=partly)
    responses = (*grouped.responses, *ungrouped.responses)
    grouped = without(grouped, ungrouped.not_fetched)
    return replace(grouped, control_requests=ungrouped.requests, responses=responses), ungrouped


def _added_up(sums: Sums, rows: pa.Table) -> Totals:
    by = ["usage_date", *filter(None, [sums.currency])]
    rows = rows.select([*by, *sums.measures]).unify_dictionaries()
    parts: defaultdict[tuple[date, str, str | None], list[Decimal]] = defaultdict(list)
    for row in rows.group_by(by).aggregate([(name, "sum") for name in sums.measures]).to_pylist():
        code = row[sums.currency] if sums.currency else None
        for name in sums.measures:
            parts[row["usage_date"], name, code and code.upper()].append(Decimal(row[f"{name}_sum"] or 0))
    return {key: money.total(spelled) for key, spelled in parts.items()}


def _differing(
    sums: Sums, grouped: pa.Table, ungrouped: pa.Table
) -> list[tuple[tuple[date, str, str | None], Decimal, Decimal]]:
    """What is added up, by day, and both sums of it."""
    one, other = _added_up(sums, grouped), _added_up(sums, ungrouped)
    rows = {row["values"]: row["counts"] for row in grouped["usage_date"].value_counts().to_pylist()}
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
