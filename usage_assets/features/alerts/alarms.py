"""Decides what is posted to the webhook, and in which words: causes that last, and new findings. No requests here.

A cause is one fault, whatever connections and assets it blocks. What is new waits for a minute (COLLECTED), so that one
post names all that the cause blocks. While runs are under way, it waits for longer: they may fail for the same reason.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

import msgspec

from usage_assets.core.days import Window, counted, spans, windows
from usage_assets.core.errors import by_cause, first
from usage_assets.features.alerts.ended_runs import RUN, Outcome
from usage_assets.warehouse.values import listed

COLLECTED = timedelta(minutes=1)
"""How long what is new waits for others of its cause."""
COLLECTED_AT_MOST = timedelta(minutes=5)
"""How long it waits for runs that are under way."""
LATE = timedelta(minutes=1)
"""How long after its end a run may become visible: several processes write to the storage at once."""
GIVE_UP = timedelta(days=1)
"""What could not be posted for this long is not posted any more."""
FORGOTTEN = timedelta(days=2)
"""A cause that stopped no run for this long is over: otherwise it would have stopped a scheduled run."""
MOST_LINES = 5
MOST_ALERTS = 20
NOTHING_IS_LOST = (
    "What is stored stays as it is, and what is missing is fetched automatically once this is fixed. "
    "Until then it is not posted again."
)
LABELS = {"WARN": "Warning", "ERROR": "Error"}

Shown = Callable[[str], str]
"""Makes a text one line without secrets."""
Ranges: TypeAlias = list[tuple[date, date]]


class Cursor(msgspec.Struct):
    """How far the runs were read."""

    since: datetime
    """The first tick. Runs that ended before it are not posted."""
    until: datetime
    """When the newest run that was read ended."""
    read: dict[str, datetime] = msgspec.field(default_factory=dict)
    """Runs that were read -> when they ended. Only those that ended within LATE of ``until``."""

    @property
    def oldest(self) -> datetime:
        """Runs that ended before this are not read. Times to come were noted before a clock was set back."""
        now = datetime.now(UTC)
        return max(min(self.since, now), min(self.until, now) - LATE, now - GIVE_UP)

    def note(self, run_id: str, ended_at: datetime) -> None:
        self.until = max(min(self.until, datetime.now(UTC)), ended_at)
        read = self.read | {run_id: ended_at}
        self.read = {run: at for run, at in read.items() if at >= self.until - LATE}


class Cause(msgspec.Struct):
    """A cause that lasts, and the assets that it blocks."""

    text: str
    """The fault in one sentence."""
    met_at: datetime
    """When a run last failed because of it."""
    failing: dict[str, Ranges]
    """Asset -> ranges of days that failed; none for an asset without days. Without assets it is fixed."""
    reason: str = ""
    """Why one of the assets failed: where, in the provider's words, and what to do. Empty if ``text`` says it all."""
    run: str = ""
    """The newest run that failed because of it, or that has fixed it."""
    since: datetime | None = None
    """Since when its post is due: that it is there, or that it is fixed; None: it was posted."""
    told: list[str] = []
    """Connections and sources of costs that it had reached when it was posted."""


class Line(msgspec.Struct):
    """What waits to be posted beside causes: a finding of a check, an alert, a digest."""

    subject: str
    """Lines of one subject are one post."""
    text: str
    run: str
    since: datetime
    label: str = ""
    """How bad a check's finding is; empty for anything else."""
    check: str = ""
    """Asset and check that found it."""
    day: str = ""
    """Day of the finding, or key of the alert."""
    advice: str = ""


class Memory(msgspec.Struct):
    """What was posted, and what waits to be."""

    causes: dict[str, Cause] = msgspec.field(default_factory=dict)
    """Digest of the fault -> the cause."""
    checks: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    """Asset and check -> day (empty for a check without days; the key of an alert) -> digest of its text."""
    week: str = ""
    """The last week whose digest was posted."""
    waiting: list[Line] = msgspec.field(default_factory=list)
    position: Cursor | None = None
    """It is stored with the rest: a tick that dies reads the same runs again, or none of them."""

    @property
    def to_post(self) -> int:
        """How many posts wait."""
        return sum(cause.since is not None for cause in self.causes.values()) + len({w.subject for w in self.waiting})

    @classmethod
    def decoded(cls, text: str) -> "Memory":
        """Return the memory, or an empty one if the text cannot be read, without what is over."""
        try:
            memory = msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError:
            return cls()
        now = datetime.now(UTC)
        for key, cause in list(memory.causes.items()):
            cause.since = cause.since and min(cause.since, now)  # a clock was set back since then
            if cause.since is None and not cause.told:  # an earlier release has posted it, and did not note this
                cause.told = _reached(cause, ())
            is_given_up = cause.since is not None and cause.since <= now - GIVE_UP
            is_forgotten = bool(cause.failing) and cause.met_at <= now - FORGOTTEN
            if is_forgotten or (is_given_up and not (cause.told and cause.failing)):
                del memory.causes[key]
            elif is_given_up:
                cause.since = None
        for line in memory.waiting:
            line.since = min(line.since, now)
            if line.since <= now - GIVE_UP:  # it is news if it is found again
                memory.checks.get(line.check, {}).pop(line.day, None)
                memory.week = "" if line.subject == f"week {memory.week}" else memory.week
        memory.waiting = [line for line in memory.waiting if line.since > now - GIVE_UP]
        return memory

    def encoded(self) -> str:
        return msgspec.json.encode(self).decode()

    def note(self, outcome: Outcome, shown: Shown, costs: Collection[str]) -> None:
        """Note how a run ended. ``costs``: the assets that fetch costs."""
        for asset in outcome.succeeded:
            self._note_success(asset, outcome)
        for reason, assets in by_cause(outcome.failures).items():
            text, example = shown(reason.cause), shown(reason.text)
            new = Cause(text, outcome.ended_at, {}, since=outcome.ended_at, reason="" if example == text else example)
            cause = self.causes.setdefault(_digest(reason.fault), new)
            cause.met_at, cause.run = outcome.ended_at, outcome.run.run_id
            if cause.told and not cause.failing:
                cause.since = None  # it was fixed, and nobody was told: it has not ended
            for asset in assets:
                cause.failing[asset] = _ranges(_days([cause.failing.get(asset, [])]) | outcome.days_of(asset))
            if cause.since is None and not {*_reached(cause, costs)} <= {*cause.told}:
                cause.since = outcome.ended_at  # it is larger than its post said
        self._note_checks(outcome, shown)
        for week, digest in outcome.weeks.items():
            if week > self.week:
                self.week = week
                text = "\n".join(map(shown, digest.splitlines()))
                self.waiting.append(Line(f"week {week}", text, "", outcome.ended_at))

    def _note_success(self, asset: str, outcome: Outcome) -> None:
        """Remove what has succeeded from the causes that blocked it. A cause that blocks nothing more is fixed."""
        for key, cause in list(self.causes.items()):
            if asset not in cause.failing:
                continue
            if left := _days([cause.failing[asset]]) - outcome.days:
                cause.failing[asset] = _ranges(left)
                continue
            del cause.failing[asset]
            if not cause.failing and not cause.told:  # it was fixed before its post was due: no news
                del self.causes[key]
            elif not cause.failing:
                cause.since, cause.run = outcome.ended_at, outcome.run.run_id

    def _note_checks(self, outcome: Outcome, shown: Shown) -> None:
        def wait(each_text: str, label: str, advice: str = "") -> None:
            replaced = (each.check, each.day)
            self.waiting = [line for line in self.waiting if (line.check, line.day) != replaced]
            subject = each.check.partition("/")[0] if label else each.check
            run_id, since = outcome.run.run_id, outcome.ended_at
            self.waiting.append(Line(subject, each_text, run_id, since, label, each.check, each.day, advice))

        for each in outcome.evaluations:
            known = self.checks.setdefault(each.check, {})
            if each.sums_days_up:
                wrong = {other.day for other in outcome.evaluations if other.check == each.check}
                looked_at = {str(day) for day in outcome.days} or known.keys()  # of the check alone: all days
                self.checks[each.check] = {
                    day: text for day, text in known.items() if day in wrong or day not in looked_at
                }
            elif each.told_once:
                if each.day not in known and each.text:
                    wait(f"usage-assets: {shown(each.text)}", "")
                known[each.day] = ""
            elif not each.text:
                known.pop(each.day, None)
            elif known.get(each.day) != _digest(each.text):
                known[each.day] = _digest(each.text)
                wait(shown(each.text), LABELS.get(each.severity, each.severity), shown(each.advice))
        self.checks = {check: days for check, days in self.checks.items() if days}
        self.waiting = [line for line in self.waiting if not line.check or line.day in self.checks.get(line.check, {})]


@dataclass(frozen=True)
class Words:
    """What posts say beside what happened."""

    link: Callable[[str], str]
    """Run -> where people find it."""
    report: str | None
    """USAGE_REPORT_URL, if it is set."""
    costs: Collection[str]
    """The assets that fetch costs."""
    of_costs: Callable[[Mapping[str, set[date]]], str]
    """What is stored of costs that fail: asset -> the days that failed."""


def next_post(memory: Memory, words: Words, *, is_quiet: bool) -> str | None:
    """Return a post that is due and note that it was posted; None if none is due. ``is_quiet``: no run is under way."""
    before = datetime.now(UTC) - (COLLECTED if is_quiet else COLLECTED_AT_MOST)
    for key, cause in memory.causes.items():
        if cause.since is None or cause.since > before:
            continue
        if not cause.failing:
            del memory.causes[key]
            return f"usage-assets: works again, after: {cause.text}\n{words.link(cause.run)}"
        cause.since, cause.told = None, _reached(cause, words.costs)
        return _of_cause(cause, words)
    subject = next((line.subject for line in memory.waiting if line.since <= before), None)
    if subject is None:
        return None
    lines = [line for line in memory.waiting if line.subject == subject]
    memory.waiting = [line for line in memory.waiting if line.subject != subject]
    return _of_findings(subject, lines, words) if lines[0].label else _of_news(lines, words)


def _of_cause(cause: Cause, words: Words) -> str:
    connections: dict[str, list[str]] = defaultdict(list)
    for asset in sorted(cause.failing):
        connection, _, name = asset.partition("/") if "/" in asset else ("", "", asset)
        connections[connection].append(name)
    runs = sum(name.endswith(RUN) for name in cause.failing)
    assets = len(cause.failing) - runs
    named = len(connections.keys() - {""})
    of_connections = f" of {counted(named, 'connection')}" if named else ""
    extent = " and ".join(
        [
            *([counted(assets, "asset") + of_connections] if assets else []),
            *([counted(runs, "run")] if runs else []),
        ]
    )
    failing = {asset: _days([cause.failing[asset]]) for asset in sorted({*cause.failing} & {*words.costs})}
    costs = words.of_costs(failing) if failing else ""
    lines = [_of_connection(name, names, cause) for name, names in sorted(connections.items())]
    return "\n".join(
        [
            f"usage-assets: {cause.text.rstrip('.')}: {extent}" + (f"; {costs}" if costs else ""),
            *first(lines, MOST_LINES),
            *([cause.reason] if cause.reason else []),
            NOTHING_IS_LOST,
            words.link(cause.run),
        ]
    )


def _of_connection(connection: str, names: Sequence[str], cause: Cause) -> str:
    prefix = f"{connection}/" if connection else ""
    days = _days(cause.failing[f"{prefix}{name}"] for name in names)
    place = f"{connection}: " if connection else ""
    return f"{place}{listed(names, most=3)}" + (f", {Window(min(days), max(days))}" if days else "")


def _of_findings(subject: str, lines: Sequence[Line], words: Words) -> str:
    """Return the post of what the checks of a connection found: a line for each check."""
    found: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        found[line.label, line.check].append(line)
    counts = Counter(label for label, _ in found)
    header = " and ".join(counted(count, label.lower()) for label, count in sorted(counts.items()))
    return "\n".join(
        [
            f"usage-assets: {header} about {subject.partition(' ')[0]}",
            *first([_of_check(each) for _, each in sorted(found.items())], MOST_LINES),
            words.link(lines[-1].run),
        ]
    )


def _of_check(lines: Sequence[Line]) -> str:
    """Say what a check found on its newest day, and on which other days it found something."""
    newest = max(lines, key=lambda line: line.day)
    others = [date.fromisoformat(line.day) for line in lines if line.day and line.day != newest.day]
    also = f" (also on {counted(len(others))}: {spans(others[-MOST_LINES:])})" if others else ""
    day = f", {newest.day}" if newest.day else ""
    advice = f". What to do: {newest.advice}" if newest.advice else ""
    return f"{newest.label}{day}: {newest.text.rstrip('.')}{also}{advice}. (Check {newest.check})"


def _of_news(lines: Sequence[Line], words: Words) -> str:
    page = [words.report] if words.report else []
    links = [words.link(lines[-1].run)] if lines[-1].run else []
    return "\n".join([*first([line.text for line in lines], MOST_ALERTS), *page, *links])


def _reached(cause: Cause, costs: Collection[str]) -> list[str]:
    """Return the connections that a cause blocks, and their costs: what else it reaches is news."""
    return sorted({asset if asset in costs else asset.partition("/")[0] for asset in cause.failing})


def _days(ranges: Iterable[Ranges]) -> set[date]:
    return {day for each in ranges for first, last in each for day in Window(first, last).days}


def _ranges(days: Collection[date]) -> Ranges:
    return [(window.first, window.last) for window in windows(sorted(days), len(days))] if days else []


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
