"""Requests runs for due days: which days together, when again after a failure, what became of a run. For every sensor.

A tick opens the database only if the state of its file, the configuration or the hour has changed. A connection has one
run of a sensor at a time, the newest days first. Which days a sensor wants is in its own module.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import NamedTuple, Protocol, Self

import dagster as dg
import msgspec

from usage_assets.assets.failures import days_of, failed_steps, not_begun, reason_of
from usage_assets.assets.names import Names
from usage_assets.automation.jobs import ACCOUNTING_JOB, CONNECTION_TAG, range_tags
from usage_assets.config.accounting import RELEASED, ConfiguredConnectionRow
from usage_assets.core.days import MOST_DAYS, Window, alike, windows
from usage_assets.local.workers import last_heard_of
from usage_assets.models.due import WANTED, Due, in_words
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.values import Seed, WarehouseError

WAIT_SECONDS = 5
"""For a run that has the file open; the next tick comes soon."""
RETRY_PAUSE = 600
"""Seconds before the second attempt; doubled before each further one. The run has waited out what passes soon."""
LONGEST_PAUSE = 24 * 3600
DEATHS_AT_ONCE = 2
"""After so many deaths of its process, a run is requested again at once: a host may restart twice."""
MANY_ATTEMPTS = 3
"""From so many on, it is said when the next one is."""
LIFETIME = timedelta(hours=1)
"""A run that has logged nothing for longer is taken for dead: one whose process was killed stays "started" for ever."""
STILL_DUE = (
    "a run of these days succeeded, and they are still due: the provider does not serve them (ledger.awaited_days says "
    "why), or the connections file or the code has changed: reload the code location; otherwise please report this"
)
DIED = "the run ended without a reason"
REASON_LENGTH = 300
MOST_REASONS = 3
RUN_KEY_TAG = "dagster/run_key"


class Graph(Protocol):
    """How the assets of a connection depend on each other."""

    def with_computed(self, assets: Iterable[str]) -> frozenset[str]:
        """Return these assets, with all that is run with them."""

    def held_up_by(self, assets: Iterable[str]) -> frozenset[str]:
        """Return these assets, with all that is not run without them."""


class Trouble(msgspec.Struct, array_like=True, frozen=True):
    """Days, or an asset, that failed."""

    attempts: int = 0
    failed_at: int = 0
    """Unix seconds at which the last attempt was seen to have failed."""
    reason: str = ""

    def again(self, reason: str, *, at_once: bool = False) -> "Trouble":
        """Return the trouble after one more failure; ``at_once``: which says nothing about the next attempt."""
        return Trouble(self.attempts + 1, 0 if at_once and self.attempts < DEATHS_AT_ONCE else now(), reason)

    @property
    def rests_until(self) -> int:
        """Unix seconds of the next attempt."""
        return self.failed_at + min(RETRY_PAUSE << max(self.attempts - 1, 0), LONGEST_PAUSE)

    def rests(self, since: float = 0) -> bool:
        """Whether it has to wait. What is due for a reason that came after it failed (Unix seconds) need not.

        Times to come are of a clock that was set back: such a failure is over, and such a reason is no newer one.
        """
        return self.failed_at <= now() < self.rests_until and not self.failed_at < since <= now()


class Apart(msgspec.Struct, array_like=True, frozen=True):
    """Days that made a run fail. They run without the others."""

    first: date
    last: date
    trouble: Trouble

    @property
    def window(self) -> Window:
        return Window(self.first, self.last)


class Failed(NamedTuple):
    """An asset of a run that failed, the days that it failed for where the failure names some, and why."""

    asset: str
    days: Collection[date]
    reason: str
    at_once: bool = False
    """Whether nothing is wrong with the asset: the process of the run died."""


class Work(msgspec.Struct):
    """The runs that a sensor has requested for one connection, and their outcomes."""

    run: str = ""
    """Run key of the run under way."""
    began: int = 0
    """Unix seconds of its request."""
    days: tuple[date, date] | None = None
    """Its first and last day."""
    assets: list[str] = []
    """Its assets."""
    days_apart: list[Apart] = []
    assets_aside: dict[str, Trouble] = {}
    """Assets that failed for every day."""
    succeeded: str = ""
    """The days and assets of a run that succeeded, until the warehouse is read again."""
    repeats: int = 0
    """How often these were due again right after the run."""

    @property
    def troubles(self) -> Iterator[tuple[str, Trouble]]:
        """What failed, by its name; of days, only these."""
        yield from ((str(each.window), each.trouble) for each in self.days_apart)
        yield from self.assets_aside.items()

    def end(self, window: Window, failures: Sequence[Failed], graph: Graph) -> None:
        """Note how the run under way, of these days, has ended. It succeeded if there are no failures."""
        before = [each for each in self.days_apart if each.window.meets(window)]
        self.days_apart = [each for each in self.days_apart if not each.window.meets(window)]
        self.run, self.succeeded = "", "" if failures else Range(window, frozenset(self.assets)).name
        for done in {*self.assets} - graph.with_computed(each.asset for each in failures):
            self.assets_aside.pop(done, None)
        for each in failures:
            if not each.days:
                trouble = self.assets_aside.get(each.asset, Trouble())
                self.assets_aside[each.asset] = trouble.again(each.reason, at_once=each.at_once)
        reasons = {day: each.reason for each in failures for day in each.days if day in window}
        for part in windows(reasons, len(reasons)):
            earlier = [each.trouble for each in before if each.window.meets(part)]
            worst = max(earlier, key=lambda trouble: trouble.attempts, default=Trouble())
            self.days_apart.append(Apart(part.first, part.last, worst.again(reasons[part.first])))

    def forget_others(self, days: Collection[date], assets: Collection[str]) -> None:
        """Forget what failed before and is not due any more."""
        self.assets_aside = {name: trouble for name, trouble in self.assets_aside.items() if name in assets}
        self.days_apart = [each for each in self.days_apart if any(day in each.window for day in days)]

    def is_repeat(self, planned: "Range | None") -> bool:
        """Whether what has just succeeded is due again. Then its days rest, because another run would change nothing.

        Asked by the first look after the run: what is due again later has a reason of its own. So has, once, what is
        due for a reason that came after the request.
        """
        is_same = planned is not None and planned.name == self.succeeded
        self.succeeded, self.repeats = "", self.repeats + 1 if is_same else 0
        if planned is None or not is_same or (self.repeats == 1 and planned.since > self.began):
            return False
        trouble = Trouble(self.repeats, now(), STILL_DUE)
        self.days_apart.append(Apart(planned.window.first, planned.window.last, trouble))
        return True


class Stored(msgspec.Struct):
    """What a sensor knows between ticks, as Dagster stores it."""

    @classmethod
    def decode(cls, text: str | None) -> Self:
        """Return the cursor, or an empty one if the text cannot be read: what is due is requested again."""
        try:
            return msgspec.json.decode(text or "{}", type=cls)
        except msgspec.DecodeError:
            return cls()

    def encode(self) -> str:
        return msgspec.json.encode(self).decode()


class Cursor(Stored):
    """What a sensor of due days knows."""

    seen: str = ""
    """The state of the file, the configuration and the hour at the last look; empty: look again."""
    money: str = ""
    """The entries about money when their tables were last materialized."""
    runs: int = 0
    """Runs requested. Part of the run keys, because Dagster accepts each key only once."""
    due: str = ""
    """What was due when the warehouse was last read, as text."""
    work: dict[str, Work] = {}
    told: str = ""
    """The newest change that was reported, and the number of parts."""

    def in_words(self, nothing: str) -> str:
        """Say what is under way, what failed and what is due; ``nothing``, if nothing is."""
        states: dict[str, list[str]] = defaultdict(list)
        for name, work in self.work.items():
            if work.run and work.days:
                states["under way"].append(f"{name} {Window(*work.days)}")
            for what, trouble in work.troubles:
                of_days = what if what in work.assets_aside else f"{name} {what}"
                states[_next_attempt(trouble)].append(f"{of_days} ({trouble.reason})")
        words = [f"{state}: {', '.join(which)}" for state, which in states.items()]
        return "; ".join([*words, f"due: {self.due}" if self.due else nothing])


@dataclass(frozen=True)
class Range:
    """One run to request."""

    window: Window
    assets: frozenset[str]
    is_apart: bool = False
    since: float = 0
    """Unix seconds of the newest reason."""

    @property
    def name(self) -> str:
        """What tells it from other ranges of its connection."""
        return " ".join((str(self.window), *sorted(self.assets)))


class Taken(NamedTuple):
    """Days that the run of somebody else is about to write."""

    window: Window
    began: float = 0
    """Unix seconds. What is due for an older reason does not wait for the run."""

    def holds(self, day: date, since: float) -> bool:
        return day in self.window and since >= self.began


ALL_DAYS = Taken(Window(date.min, date.max))


@dataclass(frozen=True, kw_only=True)
class Scheduler:
    """What a sensor does in a tick. The fields are what its runs are for."""

    job: str
    names: Names
    graphs: Mapping[str, Graph]
    """By connection."""
    seeds: Sequence[Seed]
    """What is configured. If that differs, the database is read again."""
    due: Callable[[Warehouse], Sequence[Due]]
    is_wanted: Callable[[Due], bool] = lambda row: row.state in WANTED
    """Whether the sensor requests a due day, and does not leave it to a schedule or a person."""
    sets: Callable[[Warehouse], Mapping[str, Sequence[Window]]] = lambda _: {}
    """By connection, days that are stored together."""
    taken: Callable[[dg.DagsterInstance, str], Sequence[Taken]]
    """The days of a connection that wait for runs of others."""
    tags: Mapping[str, str] = field(default_factory=dict)
    money: str = ""
    """Digest of the entries about money, if they have tables."""
    nothing: str
    """What is said when nothing is due."""
    news: Callable[[Warehouse, str], tuple[Sequence[dg.AssetMaterialization], str]] | None = None
    """Returns the events to report without a run since a change, and the newest change then."""

    @cached_property
    def _configuration(self) -> str:
        return "".join(map(digest, self.seeds))

    def tick(self, context: dg.SensorEvaluationContext, warehouse: Warehouse) -> dg.SensorResult:
        """Note what became of the runs under way, and request what is due."""
        cursor = Cursor.decode(context.cursor)
        cursor.work = {name: cursor.work.get(name, Work()) for name in self.graphs}
        for name, work in cursor.work.items():
            succeeded = outcome_of(context.instance, work.run) if work.run else None
            if work.days and succeeded is not None:
                failures = [] if succeeded else _failures(context.instance, work, self.names)
                work.end(Window(*work.days), failures, self.graphs[name])
                cursor.seen = ""
        look = f"{warehouse.fingerprint}:{self._configuration}:{now() // 3600}"
        waiting = [name for name, work in cursor.work.items() if not work.run]
        if not any(look != cursor.seen or _may_go_on(cursor.work[name]) for name in waiting):
            return self._result([], cursor)
        patient = replace(warehouse, wait_seconds=WAIT_SECONDS)
        try:
            with patient.get_connection() if patient.exists else nullcontext():  # opened once for all three
                due, sets = self.due(patient), self.sets(patient)
                news, cursor.told = self.news(patient, cursor.told) if self.news else ((), cursor.told)
        except WarehouseError as error:
            return dg.SensorResult(skip_reason=f"not yet: {error}", cursor=cursor.encode())
        requests: list[dg.RunRequest] = []
        if self.money != cursor.money:
            accounting = self.names.own(ACCOUNTING_JOB)
            requests.append(dg.RunRequest(f"{accounting}:{cursor.runs}:{self.money}", job_name=accounting))
        cursor.seen, cursor.money, cursor.due = look, self.money, _due_in_words(due)
        for name in waiting:
            wanted = [row for row in due if row.connection == name and self.is_wanted(row)]
            requests += self._requests(context.instance, cursor, name, wanted, sets.get(name, ()))
        return self._result(requests, cursor, news)

    def _requests(
        self, instance: dg.DagsterInstance, cursor: Cursor, name: str, wanted: Sequence[Due], sets: Sequence[Window]
    ) -> Iterator[dg.RunRequest]:
        """Yield the run that a connection needs next. Its days that others are about to write are looked at again."""
        work, graph = cursor.work[name], self.graphs[name]
        taken = self.taken(instance, name) if wanted else ()
        if any(each.holds(row.day, row.since.timestamp()) for row in wanted for each in taken):
            cursor.seen = ""
        planned = plan(wanted, graph, work, sets, taken)
        if work.succeeded and work.is_repeat(planned):
            planned = plan(wanted, graph, work, sets, taken)
        if planned:
            cursor.runs += 1
            job, first, last = self.names.own(self.job), planned.window.first, planned.window.last
            work.days, work.assets, work.began = (first, last), sorted(planned.assets), now()
            work.run = f"{job}:{name}:{first}:{last}:{cursor.runs}:{work.began}"
            yield dg.RunRequest(
                run_key=work.run,
                job_name=job,
                asset_selection=self.names.keys(work.assets),
                tags={**range_tags(first, last), **self.tags, CONNECTION_TAG: name},
            )

    def _result(
        self, requests: list[dg.RunRequest], cursor: Cursor, news: Sequence[dg.AssetMaterialization] = ()
    ) -> dg.SensorResult:
        skip_reason = None if requests else cursor.in_words(self.nothing)
        return dg.SensorResult(
            run_requests=requests, skip_reason=skip_reason, cursor=cursor.encode(), asset_events=news
        )


def plan(
    wanted: Iterable[Due], graph: Graph, work: Work, sets: Collection[Window] = (), taken: Collection[Taken] = ()
) -> Range | None:
    """Return the newest range of days that wants the same assets; days that failed before come last, on their own.

    ``sets``: days that are stored together. ``taken``: days that wait. Forgets what failed before and
    is not wanted any more.
    """
    due: dict[date, set[str]] = defaultdict(set)
    since: dict[date, float] = defaultdict(float)
    for row in wanted:
        due[row.day].add(row.asset)
        since[row.day] = max(since[row.day], row.since.timestamp())
    work.forget_others(due, set().union(*due.values()))
    resting = graph.held_up_by(name for name, trouble in work.assets_aside.items() if trouble.rests())
    wants: dict[date, tuple[frozenset[str], int | None]] = {}
    for day in (day for day in due if not any(each.holds(day, since[day]) for each in taken)):
        assets = graph.with_computed(due[day] - resting) - resting
        apart = next((n for n, each in enumerate(work.days_apart) if day in each.window), None)
        if assets and (apart is None or not work.days_apart[apart].trouble.rests(since[day])):
            wants[day] = assets, apart
    ranges = [
        Range(window, assets, apart is not None, max(since[day] for day in window.days))
        for window, (assets, apart) in alike(wants, MOST_DAYS, sets)
    ]
    return min(ranges, key=lambda each: each.is_apart, default=None)


def outcome_of(instance: dg.DagsterInstance, run_key: str) -> bool | None:
    """Return whether a requested run succeeded; None while it is under way."""
    records = instance.get_run_records(dg.RunsFilter(tags={RUN_KEY_TAG: run_key}))
    if any(record.dagster_run.is_success for record in records):
        return True
    return False if all(is_over(instance, record) for record in records) else None


def runs_in_progress(
    instance: dg.DagsterInstance,
    statuses: Collection[dg.DagsterRunStatus],
    connection: str,
    names: Names,
    writes: Callable[[str], bool],
) -> Iterator[dg.RunRecord]:
    """Yield the runs with these statuses that write such assets of a connection. A run that names no assets has all."""
    for record in instance.get_run_records(dg.RunsFilter(statuses=[*statuses])):
        run = record.dagster_run
        written = [*map(names.asset, run.asset_selection or ())]
        is_concerned = any(map(writes, written)) if written else run.tags.get(CONNECTION_TAG) == connection
        if is_concerned and not is_over(instance, record):
            yield record


def is_over(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Whether nothing more will come of a run: it has ended, or nothing was heard of it for too long.

    A record is updated when its run begins and ends. In between, only the run's events tell that it is alive.
    """
    run, silent_since = record.dagster_run, datetime.now(UTC) - LIFETIME
    if run.is_finished or run.status is dg.DagsterRunStatus.QUEUED:
        return run.is_finished
    return record.update_timestamp <= silent_since and last_heard_of(instance, run) <= silent_since


def _failures(instance: dg.DagsterInstance, work: Work, names: Names) -> Sequence[Failed]:
    """Return the assets of a run that failed; all of them, if it does not say which."""
    steps = {names.key(name).to_python_identifier(): name for name in work.assets}
    records = instance.get_run_records(dg.RunsFilter(tags={RUN_KEY_TAG: work.run}), limit=1)
    runs = [record.dagster_run.run_id for record in records]
    failures = [
        Failed(steps[step], days_of(failed), reason_of(failed)[:REASON_LENGTH])
        for run in runs
        for step, failed in failed_steps(instance, run).items()
        if step in steps
    ]
    died = next((reason[:REASON_LENGTH] for run in runs if (reason := not_begun(instance, run))), DIED)
    return failures or [Failed(name, (), died, at_once=True) for name in work.assets]


def digest(seed: Seed) -> str:
    """Digest of what is configured, but what each release brings; empty, if nothing is."""
    left_out = (*RELEASED, ConfiguredConnectionRow)
    tables = [table for table, rows in seed.tables.items() if table.row not in left_out and rows.num_rows]
    return seed.digest_of(tables)[:12] if tables else ""


def now() -> int:
    """Return the present time in Unix seconds."""
    return int(datetime.now(UTC).timestamp())


def _may_go_on(work: Work) -> bool:
    """Whether something that failed has rested for long enough."""
    return any(not trouble.rests() for _, trouble in work.troubles)


def _due_in_words(due: Iterable[Due]) -> str:
    pressing = in_words(row for row in due if row.state in WANTED)
    return "; ".join(f"{name} {reason}" for name, reasons in pressing.items() for reason in reasons[:MOST_REASONS])


def _next_attempt(trouble: Trouble) -> str:
    if trouble.attempts < MANY_ATTEMPTS:
        return "will be tried again"
    until = datetime.fromtimestamp(trouble.rests_until, UTC)
    return f"failed {trouble.attempts} times, will be tried again at {until:%Y-%m-%d %H:%M} UTC"
