"""Groups odd scopes into incidents: what happened once is one incident, however many scopes show it. Reads nothing."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple, TypeAlias

from usage_assets_report.insights.series import EVERYTHING, MEASURES, Key, Measure, Scope
from usage_assets_report.statistics.anomalies import Anomaly

Cell: TypeAlias = frozenset[Key]
"""The odd scopes that a stored row belongs to."""
Row: TypeAlias = tuple[date, Cell, Decimal]
"""What is stored of one measure on a day in one cell."""
Usual: TypeAlias = tuple[tuple[date, tuple[date, ...]], ...]
"""Odd days, each with the days that it is compared with."""
MOST = Decimal("0.7")
"""The cause has at least this share of the largest excess."""
ALIKE = Decimal("0.5")
"""The rest of a whole rose like a part of it if its excess is this share of what such a rise would make it."""
PART, UNLIKE = Decimal("0.2"), Decimal("0.15")
"""Parts are the causes, and not the whole, if each has at least PART of the excess and all together have MOST. Their
shares of the excess must also exceed their usual shares, by UNLIKE in total: if all parts rise alike, the whole is the
cause."""
KINDS = ("api_key", "person", "project", "team", "model", "connection", "provider", EVERYTHING)
"""Of scopes with the same rows, the first of these is the cause."""
OF_PEOPLE = ("person", "user", "api_key")
"""Kinds of scopes that may be one person. A pause of one is no incident: people go on leave."""
UNOWNED = ("team", "unowned")
"""What no team owns. It is named as a cause only if nothing else can be."""
ZERO = Decimal(0)


class Sums(NamedTuple):
    """What rows are more than usual on some days, and what is usual of them."""

    more: Decimal
    before: Decimal


@dataclass(frozen=True, eq=False)
class Odd:
    """A scope on days that are odd."""

    scope: Scope
    anomaly: Anomaly
    usual: Usual

    @property
    def key(self) -> Key:
        return self.scope.kind, self.scope.id

    @property
    def measure(self) -> Measure:
        return self.scope.measure

    @property
    def sign(self) -> int:
        """Whether it is too high (1) or too low (-1)."""
        return 1 if self.anomaly.size > 0 else -1

    @cached_property
    def days(self) -> frozenset[date]:
        return frozenset(day for day, _ in self.usual)

    @cached_property
    def actual(self) -> Decimal:
        """What is stored, per day: negative if refunds make it so."""
        return _mean([self.stored(day) for day in self.anomaly.days])

    @cached_property
    def recurs(self) -> Decimal:
        """Part of ``actual`` that was not searched, because it is charged on its day: seats, for example."""
        return _mean([self._unsearched(day) for day in self.anomaly.days])

    @cached_property
    def is_silent(self) -> bool:
        """Whether nothing is stored on its days."""
        return not any(map(self.stored, self.anomaly.days))

    @property
    def is_silent_connection(self) -> bool:
        return self.is_silent and self.scope.kind == "connection"

    def stored(self, day: date) -> Decimal:
        return self.scope.amounts.get(day, ZERO)

    def recurring(self, usual: Usual) -> Decimal:
        """How much of the difference between days and those they are compared with was not searched."""
        return sum(
            (self._unsearched(day) - _mean([self._unsearched(other) for other in others]) for day, others in usual),
            ZERO,
        )

    def size(self, usual: Usual) -> Decimal:
        """What is stored on days and on those they are compared with."""
        return sum((self.stored(each) for day, others in usual for each in (day, *others)), ZERO)

    def _unsearched(self, day: date) -> Decimal:
        searched = self.scope.series.values if self.scope.series else {}
        return self.stored(day) - searched.get(day, self.stored(day))


@dataclass(frozen=True, eq=False)
class Incident:
    """What happened: its cause, and what else was odd because of it."""

    cause: Odd
    evidence: Sequence[Odd]
    excess: Decimal
    """How much more, or less, than usual the cause's rows are. No row counts for two incidents of one direction."""
    days: Collection[date]
    """The days on which the cause's rows count for this one."""


class Rows:
    """What is stored of one measure on odd days and those they are compared with, per day and cell.

    Rows that an incident has taken count no more.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._stored: dict[date, list[tuple[Cell, Decimal]]] = defaultdict(list)
        for day, cell, amount in rows:
            self._stored[day].append((cell, amount))
        self._taken: dict[date, set[Key]] = defaultdict(set)
        self._compared: dict[Usual, Mapping[Key, Mapping[Cell, Sums]]] = {}

    def take(self, key: Key, days: Collection[date]) -> None:
        """Leave out the rows of a scope on these days."""
        for day in days:
            self._taken[day].add(key)
        self._compared.clear()

    def more(self, usual: Usual, *keys: Key) -> Decimal:
        """How much more than usual the rows are that belong to all of these scopes."""
        return self.compared(usual, *keys).more

    def compared(self, usual: Usual, *keys: Key) -> Sums:
        """Compare the rows that belong to all of these scopes with what is usual of them."""
        if usual not in self._compared:
            self._compared[usual] = self._by_scope(usual)
        of_scopes = [self._compared[usual].get(key, {}) for key in keys]
        wanted = frozenset(keys)
        found = [sums for cell, sums in min(of_scopes, key=len).items() if wanted <= cell]
        return Sums(sum((each.more for each in found), ZERO), sum((each.before for each in found), ZERO))

    def _by_scope(self, usual: Usual) -> Mapping[Key, Mapping[Cell, Sums]]:
        actual: dict[Cell, Decimal] = defaultdict(Decimal)
        before: dict[Cell, Decimal] = defaultdict(Decimal)
        for day, others in usual:
            taken = self._taken[day]
            for sums, days in ((actual, (day,)), (before, others)):
                for each in days:
                    for cell, amount in self._stored[each]:
                        if cell.isdisjoint(taken):
                            sums[cell] += amount / len(days)
        found: dict[Key, dict[Cell, Sums]] = defaultdict(dict)
        for cell in {**actual, **before}:
            for key in cell:
                found[key][cell] = Sums(actual[cell] - before[cell], before[cell])
        return found


def incidents(odd: Iterable[Odd], stored: Mapping[Measure, Sequence[Row]]) -> Sequence[Incident]:
    """Group odd scopes by the rows that they share; return the incidents, silent connections and then dollars first.

    The cause is the smallest scope that explains most of the largest excess. What it explains at least half of is its
    evidence. Its rows are taken out, and the rest is grouped again. What is too high and what is too low are apart.
    """
    odd = sorted(odd, key=_named)
    return [
        incident
        for sign in (1, -1)
        for incident in _grouped(
            [each for each in odd if each.sign == sign], {measure: Rows(rows) for measure, rows in stored.items()}
        )
        if not _is_pause(incident)
    ]


def _grouped(odd: Sequence[Odd], rows: Mapping[Measure, Rows]) -> Iterator[Incident]:
    def left(each: Odd) -> Decimal:
        return each.sign * (rows[each.measure].more(each.usual, each.key) - each.recurring(each.usual))

    def is_explained(each: Odd, cause: Odd, days: Collection[date]) -> bool:
        those = tuple((day, others) for day, others in each.usual if day in days)
        shared = each.sign * rows[each.measure].more(those, each.key, cause.key)
        return 2 * (left(each) - shared) <= whole[each]

    whole = {each: left(each) for each in odd}
    pool = [each for each in odd if whole[each] > 0 and whole[each] >= each.measure.least * len(each.usual)]
    while pool:
        seed = min(pool, key=lambda each: (not each.is_silent_connection, MEASURES.index(each.measure), -left(each)))
        alike = [each for each in pool if each.measure == seed.measure and not each.days.isdisjoint(seed.days)]
        cause = seed if seed.is_silent_connection else _cause(seed, alike, rows[seed.measure])
        days = seed.days | cause.days
        evidence = [
            each
            for each in pool
            if each is not cause and not each.days.isdisjoint(days) and is_explained(each, cause, days)
        ]
        yield Incident(cause, evidence, cause.sign * left(cause), days)
        for each in rows.values():
            each.take(cause.key, days)
        explained = {cause, *evidence}
        pool = [each for each in pool if each not in explained]


def _named(each: Odd) -> tuple[int, str, str, date]:
    """An order that no order of rows changes."""
    return KINDS.index(each.scope.kind), each.scope.id, each.measure.name, each.anomaly.first


def _cause(seed: Odd, group: Sequence[Odd], rows: Rows) -> Odd:
    """Return the smallest scope that explains most of the seed's excess, or of the largest of its several parts."""
    usual, whole = seed.usual, seed
    while True:
        most = whole.size(usual)
        smaller = [each for each in group if each.key != UNOWNED and (each.size(usual) <= most or whole.key == UNOWNED)]
        smaller.sort(key=lambda each: (-each.size(usual), *_smallest_last(each, seed)))
        cause = whole
        for each in smaller:
            if _has_most(each, whole, usual, rows) and _is_apart(each, cause, usual, rows):
                cause = each
        parts = _parts(cause, group, usual, rows)
        if not parts:
            return cause
        whole = parts[0]


def _smallest_last(each: Odd, seed: Odd) -> tuple[int, str, int, date]:
    return -KINDS.index(each.scope.kind), each.scope.id, len(each.days & seed.days), each.anomaly.first


def _has_most(part: Odd, whole: Odd, usual: Usual, rows: Rows) -> bool:
    """Whether a scope has most of the excess of a whole."""
    more = rows.more(usual, whole.key) - whole.recurring(usual)
    return whole.sign * (rows.more(usual, part.key, whole.key) - MOST * more) >= 0


def _is_apart(part: Odd, whole: Odd, usual: Usual, rows: Rows) -> bool:
    """Whether the rest of a whole did not rise, or fall, like a part of it."""
    more, before = rows.compared(usual, whole.key)
    more -= whole.recurring(usual)
    of_it, before_it = rows.compared(usual, part.key, whole.key)
    return whole.sign * (more - of_it) * before <= ALIKE * (before - before_it) * abs(more)


def _parts(cause: Odd, group: Sequence[Odd], usual: Usual, rows: Rows) -> Sequence[Odd]:
    """Return the fewest scopes of one kind that are the causes instead, the largest first; none if it is one cause."""
    more, before = rows.compared(usual, cause.key)
    if not more:
        return ()
    smaller = {each.key: each for each in group if each.key != UNOWNED and each.size(usual) < cause.size(usual)}
    shares: dict[str, list[tuple[Decimal, Decimal, Odd]]] = {kind: [] for kind in KINDS}
    for each in smaller.values():
        of_it, before_it = rows.compared(usual, each.key, cause.key)
        if of_it / more >= PART:
            shares[each.scope.kind].append((of_it / more, before_it / before if before else ZERO, each))
    several = [
        parts
        for parts in shares.values()
        if len(parts) > 1
        and sum(share for share, *_ in parts) >= MOST
        and sum(max(ZERO, share - usual_share) for share, usual_share, _ in parts) >= UNLIKE
    ]
    fewest = min(several, key=len, default=())
    return [each for *_, each in sorted(fewest, key=lambda part: -part[0])]


def _is_pause(incident: Incident) -> bool:
    """Whether something is not used, but no connection is silent and no dollars of more than a person are gone."""
    return incident.cause.is_silent and not any(
        each.is_silent_connection or (each.measure.is_cost and each.scope.kind not in OF_PEOPLE)
        for each in (incident.cause, *incident.evidence)
    )


def _mean(amounts: Sequence[Decimal]) -> Decimal:
    return sum(amounts, ZERO) / len(amounts) if amounts else ZERO
