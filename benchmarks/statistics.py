"""The product's anomalies scored on made-up spending, beside the rules that others offer. Forecasts: forecasts.py.

A rule is asked about the first so many days of a series, and sees them as they were then: the last ones still grow.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks import forecasts
from benchmarks.figures import Figure
from benchmarks.series import SERIES, Kind, Planted, Spending, generate
from usage_assets.core.days import DAY
from usage_assets_report.statistics.anomalies import find
from usage_assets_report.statistics.series import Floats, Series

TUNED, HELD_OUT = 1, 20270303
"""Seeds: constants of the product were chosen on the first. The second was new when those of anomalies were chosen."""
FRESH = (20261123, 20270601, 20270602, 20270603)
"""Seeds that were new when the constants of forecasts had been chosen."""
NEAR = 3
"""Days by which the start of a shift may be missed."""
SHIFT_KNOWN = 10
"""Days after which a shift must be known."""
ORDINARY = 4
"""Days of each series on which nothing was planted and no rule should say anything."""
ALLOWED_WRONG = 10.0
"""Percent of what is planted that may be missed, and of what is found that may be wrong."""


@dataclass(frozen=True)
class Alarm:
    """What a rule says, and of which days."""

    kind: Literal[Kind, "any"]
    first: int
    last: int


Rule = Callable[[Spending, int, int], list[Alarm]]
"""The alarms of a series, about days from one on, when so many are stored."""


def figures(days: int) -> Iterator[Figure]:
    """Score what was tuned, what was not, and the sandbox's company. Fewer days take a part of the series."""
    count = SERIES * days // 365
    for name, seed in (("tuned", TUNED), ("held out", HELD_OUT)):
        yield from of_anomalies(name, list(generate(seed, count)))
    for name, seeds in (("tuned", [TUNED]), ("fresh", FRESH)):
        made_up = {seed: list(generate(seed, count)) for seed in seeds}
        yield from forecasts.figures(name, forecasts.of_made_up(made_up))
    yield from forecasts.figures("sandbox", forecasts.of_sandbox())


def ours(spending: Spending, since: int, days: int) -> list[Alarm]:
    """What the product finds."""
    found = [
        Alarm(anomaly.kind, (anomaly.first - spending.first).days, (anomaly.last - spending.first).days)
        for anomaly in find(Series(*spending.seen(days)))
    ]
    return [alarm for alarm in found if alarm.first >= since or (alarm.kind != "shift" and alarm.last >= since)]


def by_day(is_odd: Callable[[Floats, float], bool], length: int) -> Rule:
    """A rule that compares each day with so many days before it. Days in a row are one alarm, of any kind."""

    def rule(spending: Spending, since: int, days: int) -> list[Alarm]:
        seen, _ = spending.seen(days)
        values = np.array([float(seen.get(spending.first + DAY * day, "nan")) for day in range(days)])
        alarms: list[Alarm] = []
        for day in range(max(since, length), days):
            past = values[day - length : day]
            past = past[np.isfinite(past)]
            if np.isnan(values[day]) or len(past) < length / 2 or not is_odd(past, values[day]):
                continue
            first = alarms.pop().first if alarms and alarms[-1].last == day - 1 else day
            alarms.append(Alarm("any", first, day))
        return alarms

    return rule


RULES: Mapping[str, Rule] = {
    "3 sigma of 30 days": by_day(lambda past, value: abs(value - past.mean()) > 3 * past.std(), 30),
    "half or twice the 7-day average": by_day(lambda past, value: not past.mean() / 2 <= value <= past.mean() * 2, 7),
    "50 % from the day before": by_day(lambda past, value: abs(value - past[-1]) > past[-1] / 2, 7),
}
ALARMING = ("spike", "drop", "shift")


@dataclass(frozen=True)
class Score:
    """How much of each kind a rule found, and how much of what it said was right; in parts of 1."""

    recall: Mapping[str, float]
    precision: Mapping[str, float]

    def f1(self, kind: str) -> float:
        """The harmonic mean of both; a rule that names no kinds has one precision."""
        recall, precision = self.recall[kind], self.precision.get(kind, self.precision.get("any", 0))
        return 2 * recall * precision / (recall + precision) if recall + precision else 0.0


def hits(alarm: Alarm, event: Planted) -> bool:
    """Whether an alarm is right about an event: a shift by where it begins, others by a day that both have."""
    if event.kind not in ALARMING or alarm.kind not in (event.kind, "any"):
        return False
    if event.kind == "shift":
        return abs(alarm.first - event.first) <= NEAR
    return alarm.first <= event.last and alarm.last >= event.first


def score(rule: Rule, data: Sequence[Spending]) -> Score:
    """One look at all of each series."""
    found, right = defaultdict[str, list[bool]](list), defaultdict[str, list[bool]](list)
    for spending in data:
        alarms = rule(spending, 0, spending.history)
        for event in spending.planted:
            if event.kind in ALARMING:
                found[event.kind].append(any(hits(alarm, event) for alarm in alarms))
        for alarm in alarms:
            right[alarm.kind].append(any(hits(alarm, event) for event in spending.planted))
    recall = {kind: _part(found[kind]) if found[kind] else 1.0 for kind in ALARMING}
    return Score(recall, {kind: _part(those) for kind, those in right.items()})


def on_the_day(rule: Rule, data: Sequence[Spending], dice: np.random.Generator) -> tuple[float, float, float]:
    """Parts of 1: spikes seen on the morning after, shifts after ``SHIFT_KNOWN`` days, ordinary days with an alarm."""
    spikes, shifts, ordinary = list[bool](), list[bool](), list[bool]()
    for spending in data:
        for event in spending.planted:
            if event.kind == "spike":
                alarms = rule(spending, event.first, event.first + 1)
                spikes.append(any(hits(alarm, event) for alarm in alarms))
            elif event.kind == "shift" and event.first + SHIFT_KNOWN <= spending.history:
                alarms = rule(spending, event.first - NEAR, event.first + SHIFT_KNOWN)
                shifts.append(any(hits(alarm, event) for alarm in alarms))
        quiet = [day for day in range(40, spending.history) if not any(_is_near(day, it) for it in spending.planted)]
        for day in dice.choice(quiet, ORDINARY) if quiet else ():
            alarms = rule(spending, int(day) - SHIFT_KNOWN, int(day) + 1)
            ordinary.append(any(alarm.last >= day for alarm in alarms))
    return _part(spikes), _part(shifts), _part(ordinary)


def _is_near(day: int, event: Planted) -> bool:
    return event.first - 1 <= day <= (event.first + 30 if event.kind == "shift" else event.last + 1)


def _part(those: Sequence[bool]) -> float:
    return float(np.mean(those)) if those else 0.0


def of_anomalies(name: str, data: Sequence[Spending]) -> Iterator[Figure]:
    """What is missed and what is wrong, ours and that of each rule."""
    mine = score(ours, data)
    theirs = {rule: score(theirs, data) for rule, theirs in RULES.items()}
    for kind in ALARMING:
        demanded = 0 if kind == "drop" else 1
        for what, part in (("missed", mine.recall[kind]), ("wrong", mine.precision.get(kind, 1))):
            yield Figure(
                name=f"{name}: {kind}s {what}",
                ours=100 * (1 - part),
                theirs=ALLOWED_WRONG,
                unit="%",
                demanded=demanded,
                note="theirs: what is allowed" if demanded else "",
            )
        for rule, its in theirs.items():
            precision = its.precision.get("any", 0)
            yield Figure(
                name=f"{name}: {kind}s, 100 - F1",
                ours=100 * (1 - mine.f1(kind)),
                theirs=100 * (1 - its.f1(kind)),
                unit="%",
                demanded=1,
                note=f"{rule}: recall {its.recall[kind]:.2f}, precision {precision:.2f}",
            )
    for rule, does in {"ours": ours, **RULES}.items():
        spikes, shifts, ordinary = on_the_day(does, data, np.random.default_rng(0))
        yield Figure(
            name=f"{name}: ordinary days with an alarm",
            ours=100 * ordinary,
            unit="%",
            note=f"{rule}: spikes seen next morning {spikes:.2f}, shifts in {SHIFT_KNOWN} days {shifts:.2f}",
        )
