"""Finds incidents: searches all scopes (team, model, person and so on) for odd days, and groups and explains them."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import TypeVar

import duckdb
import msgspec

from usage_assets.core.errors import first
from usage_assets.models.insights import KEPT, TOLD, AnomalyRow
from usage_assets_report.insights.alerts import measured, scope_named
from usage_assets_report.insights.incidents import KINDS, Incident, Odd, Row, Rows, Usual, incidents
from usage_assets_report.insights.series import EVERYTHING, LONGEST, MEASURES, Key, Measure, Scope
from usage_assets_report.statistics.anomalies import Anomaly, find
from usage_assets_report.statistics.drivers import Part, driver
from usage_assets_report.statistics.estimates import CENT, rounded

Parted = TypeVar("Parted", bound=Hashable)
COUNTED = (EVERYTHING, "connection", "provider", "model")
"""Kinds of scopes whose difference is split into volume and price. Tokens are known by connection and model only."""
WEEK = timedelta(days=7)
WEEKS = 2
"""A day is compared with the same weekday of this many weeks before it,"""
EARLIEST = 8
"""and of no earlier week than this."""
HALF = Decimal("0.5")
SHOWN = 8
"""The most scopes of evidence that a row names."""
UNKNOWN = "unknown"


def find_anomalies(
    database: duckdb.DuckDBPyConnection,
    scopes: Mapping[Measure, Mapping[Key, Scope]],
    known: Iterable[AnomalyRow],
    newest: date,
) -> Sequence[AnomalyRow]:
    """Return the incidents of the last 60 days. One that was found before keeps its id; once closed, its driver."""
    odd = [
        each
        for of_measure in scopes.values()
        for scope in watched(of_measure.values())
        for each in odd_days(scope)
        if each.anomaly.last > newest - KEPT
    ]
    if not odd:
        return ()
    known = [row for row in known if row.incident and row.last_day > newest - KEPT]
    days = {day for each in odd for of_it, others in each.usual for day in (of_it, *others)}
    keys = {each.key for each in odd} | {(row.kind, row.id) for row in known}
    stored = {measure: [*_cells(database, measure, keys, days)] for measure in scopes}
    found = incidents(odd, stored)
    before = _continued(found, known, {measure: Rows(rows) for measure, rows in stored.items()})
    taken = {row.key for row in known}
    rows = []
    for incident in found:
        row, old = row_of(incident.cause, newest), before.get(incident)
        row = msgspec.structs.replace(
            row, incident=old.incident if old else _new_id(row, taken), evidence=_evidence(incident)
        )
        taken.add(row.key)
        if row.is_open:
            row = explained(database, incident.cause, row)
        elif old:
            row = msgspec.structs.replace(
                row,
                driver=old.driver,
                volume_usd=old.volume_usd,
                price_usd=old.price_usd,
                evidence=row.evidence if old.evidence is None else old.evidence,
            )
        rows.append(row)
    return rows


def watched(scopes: Iterable[Scope]) -> Iterator[Scope]:
    """Yield the scopes that are searched. A provider with one connection is left out: it equals the connection."""
    return (each for each in scopes if each.series and not (each.kind == "provider" and len(each.connections) == 1))


def odd_days(scope: Scope) -> Iterator[Odd]:
    """Yield the odd days of a scope that differ enough, each with the days that they are compared with.

    Without any same weekday before them, nobody knows what is usual: they are no incident.
    """
    found = find(scope.series) if scope.series else ()
    for anomaly in found:
        odd = Odd(scope, anomaly, _usual(scope, anomaly, found))
        if odd.usual and abs(odd.actual - odd.recurs - anomaly.expected) >= scope.measure.least:
            yield odd


def _usual(scope: Scope, anomaly: Anomaly, found: Sequence[Anomaly]) -> Usual:
    """Compare each odd day with the last same weekdays before the first, without days that are odd themselves."""
    stored = scope.series.values if scope.series else {}
    odd = {day for each in found if each.kind != "shift" for day in each.days}
    compared = []
    for day in anomaly.days:
        begin = (day - anomaly.first) // WEEK + 1
        weekdays = [other for n in range(begin, begin + EARLIEST) if (other := day - WEEK * n) in stored]
        ordinary = [other for other in weekdays if other not in odd]
        if others := (ordinary or weekdays)[:WEEKS]:
            compared.append((day, tuple(others)))
    return tuple(compared)


def _cells(
    database: duckdb.DuckDBPyConnection, measure: Measure, keys: Collection[Key], days: Collection[date]
) -> Iterator[Row]:
    """Yield what is stored of a measure on these days, by the scopes that it belongs to."""
    kinds, ids = zip(*sorted(keys), strict=True)
    cursor = database.execute(measure.query("odd"), {"days": sorted(days), "kinds": [*kinds], "ids": [*ids]})
    names = [name for name, *_ in cursor.description or ()][1:-1]
    for day, *places, amount in cursor.fetchall():
        belongs = {(kind, id_) for kind, id_ in zip(names, places, strict=True) if id_ is not None}
        yield day, frozenset(belongs | {(EVERYTHING, "")}), amount


def _continued(
    found: Sequence[Incident], known: Sequence[AnomalyRow], rows: Mapping[Measure, Rows]
) -> Mapping[Incident, AnomalyRow]:
    """Return incident -> the known one that it continues: they have days in common, and the same cause or rows.

    Each known one is continued by one incident, the one that is most like it. Two spikes of one week stay two.
    """
    pairs = sorted(
        (
            (
                row.place != old.place,
                (row.kind, row.id) != (old.kind, old.id),
                row.measure != old.measure,
                row.what != old.what,
                abs(row.first_day - old.first_day),
                number,
                old.key,
            ),
            old,
        )
        for number, (incident, row) in enumerate((each, row_of(each.cause, date.max)) for each in found)
        for old in known
        if row.place == old.place or _is_same(incident.cause, row, old, rows)
    )
    continued: dict[Incident, AnomalyRow] = {}
    for (*_, number, _), old in pairs:
        if found[number] not in continued and old not in continued.values():
            continued[found[number]] = old
    return continued


def _is_same(cause: Odd, row: AnomalyRow, old: AnomalyRow, rows: Mapping[Measure, Rows]) -> bool:
    """Whether an incident goes on: in one direction on common days, with half of the smaller excess in common rows.

    Rows are compared in the measures of both: dollars may come later than tokens, and know fewer scopes.
    """
    key = (old.kind, old.id)
    common = row.first_day <= old.last_day and old.first_day <= row.last_day
    if not common or row.is_high != old.is_high:
        return False
    usual = tuple((day, others) for day, others in cause.usual if old.first_day <= day <= old.last_day)
    of_both = (rows[measure] for measure in rows if measure.name in (row.measure, old.measure))
    return cause.key == key or any(_shares_most(each, usual, cause, key) for each in of_both)


def _shares_most(rows: Rows, usual: Usual, cause: Odd, key: Key) -> bool:
    of_it, of_old, shared = (cause.sign * rows.more(usual, *keys) for keys in ((cause.key,), (key,), (cause.key, key)))
    return shared > 0 and shared >= HALF * min(of_it, of_old)


def _new_id(row: AnomalyRow, taken: Collection[str]) -> str:
    """Return an id that is made from the first day and where it was found first, and is not taken."""
    id_ = f"{row.first_day}-{sha256(row.place.encode()).hexdigest()[:8]}"
    while id_ in taken:
        id_ += "-2"
    return id_


def _evidence(incident: Incident) -> str:
    """Return what else was odd: actual and expected per day. The cause's other measures are first, then dollars."""
    cause = incident.cause
    others = {
        (each.measure.name, each.key): each
        for each in incident.evidence
        if (each.measure, each.key) != (cause.measure, cause.key)
    }
    ordered = sorted(
        others.values(),
        key=lambda each: (
            each.key != cause.key,
            MEASURES.index(each.measure),
            -abs(each.actual - each.anomaly.expected),
            KINDS.index(each.scope.kind),
        ),
    )
    return "; ".join(first([_said(row_of(each, date.max)) for each in ordered], SHOWN))


def _said(row: AnomalyRow) -> str:
    actual, expected = (measured(each, row.measure) for each in (row.actual, row.expected))
    return f"{scope_named(row.kind, row.name)} {actual} instead of {expected.removesuffix(f' {row.measure}')}"


def closed_anomalies(
    known: Iterable[AnomalyRow],
    found: Iterable[AnomalyRow],
    scopes: Collection[tuple[str, str, str]],
    newest: date,
    today: date,
) -> Iterator[AnomalyRow]:
    """Yield the anomalies that were found before and not now, as closed: their days were restated, for example.

    ``scopes``: kind, id and measure of all that was searched. Others have nothing, or too little, in the last five
    weeks: what is too old to be open stays as it was. So does an incident that is older than what is searched.
    """
    keys = {row.key for row in found}
    for row in known:
        if row.key in keys:
            continue
        if row.last_day <= newest - KEPT:
            if row.evidence is not None and row.closed_on is None and row.last_day > newest - LONGEST:
                yield row
        elif row.score is not None and not row.is_open and (row.kind, row.id, row.measure) not in scopes:
            yield row
        else:
            yield msgspec.structs.replace(row, is_open=False, closed_on=row.closed_on or today)


def with_ids(rows: Iterable[AnomalyRow]) -> Iterator[AnomalyRow]:
    """Give the rows of an earlier release, which stored each odd scope, the id of an incident."""
    for row in rows:
        is_old = row.score is not None and row.incident is None
        yield msgspec.structs.replace(row, incident=_new_id(row, ())) if is_old else row


def row_of(odd: Odd, newest: date) -> AnomalyRow:
    """Return the row of odd days, without what explains them."""
    scope, anomaly = odd.scope, odd.anomaly
    return AnomalyRow(
        kind=scope.kind,
        id=scope.id,
        name=scope.name,
        measure=scope.measure.name,
        what=anomaly.kind,
        first_day=anomaly.first,
        last_day=anomaly.last,
        actual=odd.actual.quantize(CENT),
        expected=(anomaly.expected + odd.recurs).quantize(CENT),
        low=(anomaly.low + odd.recurs).quantize(CENT),
        high=(anomaly.high + odd.recurs).quantize(CENT),
        score=rounded(anomaly.score),
        is_provisional=not all(map(scope.is_settled, anomaly.days)),
        is_open=(anomaly.first if anomaly.kind == "shift" else anomaly.last) > newest - TOLD,
        driver=None,
        volume_usd=None,
        price_usd=None,
        lasts=anomaly.lasts,
    )


def explained(database: duckdb.DuckDBPyConnection, odd: Odd, row: AnomalyRow) -> AnomalyRow:
    """Return the row with its driver: model, project, person. A row of dollars also gets volume and price."""
    weights: dict[tuple[date, bool], int] = defaultdict(int)
    for day, others in odd.usual:
        weights[day, True] += WEEKS
        for other in others:
            weights[other, False] += WEEKS // len(others)
    days = sorted({day for day, _ in weights})
    bounds = {"first": days[0], "last": days[-1], "days": days, "kind": row.kind, "id": row.id}
    models: dict[bool, dict[tuple[str, str], Part]] = {True: {}, False: {}}
    places: dict[bool, dict[tuple[str | None, ...], Part]] = {True: {}, False: {}}
    rows = database.execute(odd.measure.query("parts"), bounds).fetchall()
    tokens: dict[tuple[str, str, date], Decimal | None] = {}
    for day, connection, model, project, person, amount, used in rows:
        key, place = (connection, model or ""), (model, project, None if person == UNKNOWN else person)
        is_first = (connection, model or "", day) not in tokens
        tokens[connection, model or "", day] = used
        for is_odd in (True, False):
            weight = weights.get((day, is_odd), 0)
            if weight:
                quantity = used * weight if used and is_first else Decimal(0) if used else None
                _add(models[is_odd], key, amount * weight, quantity)
                _add(places[is_odd], place, amount * weight, None)
    effects = driver(models[False], models[True])
    parts = driver(places[False], places[True])
    days_weighed = WEEKS * len(odd.usual)
    per_day = [
        sum((getattr(effect, name) for effect in effects), Decimal(0)) / days_weighed for name in ("volume", "price")
    ]
    named = (", ".join(filter(None, effect.key)) for effect in parts if effect.difference * odd.sign > 0)
    row = msgspec.structs.replace(row, driver=next(filter(None, named), None))
    if not (odd.measure.is_cost and row.kind in COUNTED):
        return row
    return msgspec.structs.replace(row, volume_usd=per_day[0].quantize(CENT), price_usd=per_day[1].quantize(CENT))


def _add(parts: dict[Parted, Part], key: Parted, amount: Decimal, quantity: Decimal | None) -> None:
    old = parts.get(key, Part(Decimal(0), Decimal(0)))
    both = None if old.quantity is None or quantity is None else old.quantity + quantity
    parts[key] = Part(old.amount + amount, both)
