"""The weekly digest: three lines about the last whole week, and one of the exchange rates, if there are any."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from usage_assets.core.days import DAY, start_of_month
from usage_assets.models.insights import AnomalyRow, BudgetStatusRow, DoubtRow, ForecastTotalRow, incidents_in_words
from usage_assets_report.insights.alerts import (
    expected_in_words,
    money,
    scope_named,
    unknown_in_words,
    used_up_in_words,
)
from usage_assets_report.insights.doubts import in_words
from usage_assets_report.insights.incidents import OF_PEOPLE
from usage_assets_report.insights.series import EVERYTHING, USD, Days, Key, Scope

WEEK = timedelta(days=7)
MOVERS = ("team", "project", "model")
PERSON = "person"
MOST_BUDGETS = 2


@dataclass(frozen=True)
class Digest:
    """The digest of one week."""

    week: str
    """ISO week, such as 2026-W46. A later week is a greater text."""
    lines: Sequence[str]


def digest(
    scopes: Mapping[Key, Scope],
    months: Iterable[ForecastTotalRow],
    budgets: Iterable[BudgetStatusRow],
    anomalies: Iterable[AnomalyRow],
    newest: date,
    today: date,
    *,
    rates: str | None = None,
    with_people: bool,
    doubts: Sequence[DoubtRow] = (),
) -> Digest | None:
    """Return the digest of the last week that is over; None if its last day is missing, or nothing was billed.

    On Monday it waits until every connection has stored Sunday, on Tuesday it waits no longer. It names people only
    ``with_people``. ``rates``: those with which its amounts were valued in USD (``first_day_of``).
    """
    sunday = min(newest, today - DAY)
    sunday -= DAY * ((sunday.weekday() + 1) % 7)
    everything = scopes.get((EVERYTHING, ""))
    if everything is None or (today == sunday + DAY and _is_missing(everything.days, sunday)):
        return None
    year, week, _ = sunday.isocalendar()
    known = everything.series.values if everything.series else {}
    whole = [all(last - DAY * n in known for n in range(WEEK.days)) for last in (sunday, sunday - WEEK)]
    movers = (*MOVERS, PERSON) if with_people else MOVERS
    wrong = in_words(doubts, first_day_of(newest), newest)
    lines = (
        _week(everything, sunday, is_whole=whole[0], is_compared=all(whole)),
        _month(months, budgets, newest),
        _moved(scopes, anomalies, sunday, movers if all(whole) else ()),
        rates and f"Billed, valued in USD: {rates}",
        wrong and f"Contradicted, so it may be wrong: {wrong}",
    )
    return Digest(f"{year}-W{week:02}", [line for line in lines if line])


def first_day_of(newest: date) -> date:
    """Return the first day whose amounts the digest may show: two weeks end on a Sunday, which may be 6 days ago."""
    return min(start_of_month(newest), newest - 2 * WEEK - 5 * DAY)


def _is_missing(days: Mapping[str, Days], day: date) -> bool:
    """Whether a connection that stored days in the two weeks before lacks the day."""
    return any(day not in of_it.stored and max(of_it.stored) > day - 2 * WEEK for of_it in days.values())


def _week(everything: Scope, sunday: date, *, is_whole: bool, is_compared: bool) -> str:
    billed, before = _billed(everything, sunday), _billed(everything, sunday - WEEK)
    compared = "" if is_whole else " so far: not all days are stored"
    if is_compared:
        share = f" ({abs(billed - before) / before:.0%})" if before > 0 else ""
        compared = f", {money(abs(billed - before), 'USD')}{share} {_more(billed - before)} than the week before"
    return f"AI spend, {sunday - WEEK + DAY} to {sunday}: {money(billed, 'USD')}{compared}"


def _more(change: Decimal) -> str:
    return "less" if change < 0 else "more"


def _billed(scope: Scope, sunday: date) -> Decimal:
    return scope.sum(sunday - WEEK + DAY, sunday)


def _month(months: Iterable[ForecastTotalRow], budgets: Iterable[BudgetStatusRow], newest: date) -> str:
    """Return the month so far, its forecast, and how much of the budgets is spent."""
    parts = []
    for month in months:
        if month.kind == EVERYTHING and month.month <= newest:
            spent = money(month.settled + month.provisional, "USD")
            ahead = expected_in_words(month, "USD") + unknown_in_words(month)
            parts.append(f"{month.month:%B} so far: {spent}{ahead}")
    current = [row for row in budgets if row.first_day <= newest <= row.last_day]
    current.sort(key=lambda row: (-(row.settled + row.provisional) / row.amount, row.budget))
    for row in current[:MOST_BUDGETS]:
        share = f"{(row.settled + row.provisional) / row.amount:.0%}"
        share = f"{share if row.has_costs is not False else 'no stored costs out'} of {money(row.amount, row.unit)}"
        parts.append(f"budget {row.budget}: {share}{used_up_in_words(row) or expected_in_words(row, row.unit)}")
    if (more := len(current) - MOST_BUDGETS) > 0:
        parts.append(f"{more} more {'budget' if more == 1 else 'budgets'}")
    return "; ".join(parts)


def _moved(scopes: Mapping[Key, Scope], anomalies: Iterable[AnomalyRow], sunday: date, kinds: Sequence[str]) -> str:
    """Return what changed most, and what is open: incidents and crossed guardrails."""
    parts = [*_movers(scopes, sunday, kinds)]
    parts = [f"moved most: {', '.join(parts)}"] if parts else []
    odd = [row for row in anomalies if row.is_open]
    if odd:
        newest = max(odd, key=_importance)
        is_named = newest.kind not in OF_PEOPLE
        named = scope_named(newest.kind, newest.name) if is_named else f"one {newest.kind}".replace("_", " ")
        what = f"guardrail {newest.what}: {named}" if newest.score is None else f"{newest.what} of {named}"
        counts = incidents_in_words([row.score is None for row in odd])
        parts.append(f"open: {counts} ({what}, {newest.first_day})")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]


def _importance(row: AnomalyRow) -> tuple[bool, date, bool, Decimal]:
    return row.kind not in OF_PEOPLE, row.first_day, row.measure == USD.name, abs(row.actual - row.expected)


def _movers(scopes: Mapping[Key, Scope], sunday: date, kinds: Sequence[str]) -> Iterator[str]:
    """Yield what changed most of each kind. A kind with a single scope is left out: it equals everything."""
    for kind in kinds:
        of_kind = [scope for scope in scopes.values() if scope.kind == kind]
        changes = [(_billed(scope, sunday) - _billed(scope, sunday - WEEK), scope.name) for scope in of_kind]
        if len(of_kind) > 1 and (moved := max(changes, key=lambda change: (abs(change[0]), change[1])))[0]:
            yield f"{kind} {moved[1]} {'+' if moved[0] > 0 else '-'}{money(abs(moved[0]), 'USD')}"
