"""Anomalies of each scope (team, model, person and so on), each with the part that explains most of it."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import TypeVar

import duckdb
import msgspec

from usage_assets.core.days import DAY, Window
from usage_assets.insights.rows import KEPT, AnomalyRow
from usage_assets.insights.series import EVERYTHING, Key, Scope
from usage_assets.statistics.anomalies import Anomaly, find
from usage_assets.statistics.drivers import Part, driver
from usage_assets.statistics.estimates import CENT, rounded

Parted = TypeVar("Parted", bound=Hashable)
COUNTED = (EVERYTHING, "connection", "provider", "model")
"""Kinds of scopes whose difference is split into volume and price. Tokens are known by connection and model only."""
TOLD = timedelta(days=14)
"""An anomaly is open for this long."""
SAME = timedelta(days=7)
"""How far the first day of an anomaly may move from one run to the next."""
COMPARED = timedelta(days=14)
"""Days of an anomaly are compared with the same weekdays of the two weeks before."""


def find_anomalies(
    database: duckdb.DuckDBPyConnection,
    scopes: Mapping[Key, Scope],
    known: Iterable[AnomalyRow],
    newest: date,
) -> Sequence[AnomalyRow]:
    """Return the anomalies of all scopes. One that was found before keeps its first day."""
    before: dict[tuple[str, ...], list[AnomalyRow]] = defaultdict(list)
    for row in known:
        before[row.kind, row.id, row.measure].append(row)
    found = []
    for scope in watched(scopes.values()):
        odd = find(scope.series) if scope.series else ()
        anomalies = [each for each in odd if abs(each.size) >= scope.measure.least]
        rows = [_row(scope, anomaly, newest) for anomaly in anomalies]
        first_days = _first_days(rows, before[scope.kind, scope.id, scope.measure.name])
        for number, (row, anomaly) in enumerate(zip(rows, anomalies, strict=True)):
            kept = msgspec.structs.replace(row, first_day=first_days.get(number, row.first_day))
            found.append(_explained(database, scope, kept, anomaly) if row.is_open else kept)
    return found


def _first_days(rows: Sequence[AnomalyRow], known: Sequence[AnomalyRow]) -> Mapping[int, date]:
    """Return number of a row -> first day of the known one that it continues: they have a day in common.

    Each known one is continued by one row, the one that begins closest. Two spikes of one week stay two.
    """
    pairs = sorted(
        (abs(row.first_day - old.first_day), number, old.first_day)
        for number, row in enumerate(rows)
        for old in known
        if row.what == old.what and row.first_day <= old.last_day and old.first_day <= row.last_day
    )
    first_days: dict[int, date] = {}
    taken = set()
    for distance, number, day in pairs:
        if distance <= SAME and number not in first_days and (rows[number].what, day) not in taken:
            first_days[number] = day
            taken.add((rows[number].what, day))
    return first_days


def watched(scopes: Iterable[Scope]) -> Iterator[Scope]:
    """Yield the scopes that are searched. A provider with one connection is left out: it equals the connection."""
    return (each for each in scopes if each.series and not (each.kind == "provider" and len(each.connections) == 1))


def closed_anomalies(
    known: Iterable[AnomalyRow],
    found: Iterable[AnomalyRow],
    scopes: Collection[tuple[str, str, str]],
    newest: date,
    today: date,
) -> Iterator[AnomalyRow]:
    """Yield the anomalies that were found before and not now, as closed: their days were restated, for example.

    ``scopes``: kind, id and measure of all that was searched. Others have nothing, or too little, in the last five
    weeks: what is too old to be open stays as it was.
    """
    keys = {row.key for row in found}
    for row in known:
        if row.key in keys or row.last_day <= newest - KEPT:
            continue
        if row.score is not None and not row.is_open and row.key[:3] not in scopes:
            yield row
        else:
            yield msgspec.structs.replace(
                row, is_open=False, driver=None, volume_usd=None, price_usd=None, closed_on=row.closed_on or today
            )


def _row(scope: Scope, anomaly: Anomaly, newest: date) -> AnomalyRow:
    return AnomalyRow(
        kind=scope.kind,
        id=scope.id,
        name=scope.name,
        measure=scope.measure.name,
        what=anomaly.kind,
        first_day=anomaly.first,
        last_day=anomaly.last,
        actual=anomaly.actual,
        expected=anomaly.expected,
        low=anomaly.low,
        high=anomaly.high,
        score=rounded(anomaly.score),
        is_provisional=anomaly.is_provisional,
        is_open=(anomaly.first if anomaly.kind == "shift" else anomaly.last) > newest - TOLD,
        driver=None,
        volume_usd=None,
        price_usd=None,
    )


def _explained(database: duckdb.DuckDBPyConnection, scope: Scope, row: AnomalyRow, anomaly: Anomaly) -> AnomalyRow:
    """Return the row with its driver: model, project, person. A row of dollars also gets volume and price."""
    last = min(anomaly.last, anomaly.first + 6 * DAY)
    odd = Window(anomaly.first, last).days
    usual = [day - COMPARED / 2 * n for day in odd for n in (1, 2)]
    bounds = {"first": min(usual), "last": last, "kind": row.kind, "id": row.id}
    models: dict[bool, dict[tuple[str, str], Part]] = {True: {}, False: {}}
    places: dict[bool, dict[tuple[str | None, ...], Part]] = {True: {}, False: {}}
    rows = database.execute(scope.measure.query("parts"), bounds).fetchall()
    tokens: dict[tuple[str, str, date], Decimal | None] = {}
    for day, connection, model, project, person, amount, used in rows:
        is_odd = day in odd
        if not is_odd and day not in usual:
            continue
        weight = 2 if is_odd else 1  # twice as many days are usual
        key, place = (connection, model or ""), (model, project, person)
        is_first = (connection, model or "", day) not in tokens
        tokens[connection, model or "", day] = used
        _add(models[is_odd], key, amount * weight, used * weight if used and is_first else Decimal(0) if used else None)
        _add(places[is_odd], place, amount * weight, None)
    effects = driver(models[False], models[True])
    parts = driver(places[False], places[True])
    days = 2 * len(odd)
    per_day = [sum((getattr(effect, name) for effect in effects), Decimal(0)) / days for name in ("volume", "price")]
    named = next((", ".join(str(part) for part in effect.key if part) for effect in parts), None)
    row = msgspec.structs.replace(row, driver=named or None)
    if not (scope.measure.is_cost and row.kind in COUNTED):
        return row
    return msgspec.structs.replace(row, volume_usd=per_day[0].quantize(CENT), price_usd=per_day[1].quantize(CENT))


def _add(parts: dict[Parted, Part], key: Parted, amount: Decimal, quantity: Decimal | None) -> None:
    old = parts.get(key, Part(Decimal(0), Decimal(0)))
    both = None if old.quantity is None or quantity is None else old.quantity + quantity
    parts[key] = Part(old.amount + amount, both)
