"""The sensor that requests runs for due days, which ``ledger.due_days`` lists. The newest days come first.

A tick opens the database only if the state of its file, the configuration or the hour has changed. A connection has one
of these runs at a time, and none while another run of its assets is queued or in progress. port_sensor.py requests the
pushes to Port.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import msgspec

from usage_assets.assets.failures import days_of, failed_steps, reason_of
from usage_assets.assets.warehouse_resource import UNDER_WAY
from usage_assets.automation.jobs import ACCOUNTING_JOB, CONNECTION_TAG, USAGE_JOB, range_tags
from usage_assets.automation.port_sensor import RUN_KEY_TAG, is_over, outcome_of
from usage_assets.config.accounting import RELEASED, ConfiguredConnectionRow
from usage_assets.core.days import DAY, MOST_DAYS, Window, alike, utc_today, windows
from usage_assets.dagster_internals import UnresolvedAssetJobDefinition
from usage_assets.models.connection_graph import ConnectionGraph
from usage_assets.models.due import WANTED, Due, due_days, in_words, whole_sets
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.values import Seed, WarehouseError

WAIT_SECONDS = 5
"""For a run that has the file open; the next tick comes soon."""
MAX_ATTEMPTS = 3
RETRY_PAUSE = timedelta(minutes=10)
"""Before the second attempt; doubled before the third. The fetch itself has waited out what passes in seconds."""
LONG_PAUSE = timedelta(days=1)
"""Before each attempt after the third."""
STILL_DUE = (
    "a run of these days succeeded, and they are still due: the provider does not serve them (ledger.awaited_days says "
    "why), or the connections file or the code has changed: reload the code location; otherwise please report this"
)
REASON_LENGTH = 200
MOST_REASONS = 3
PRIORITY = {"dagster/priority": "-10"}
"""Whatever else is in Dagster's queue goes first."""


class Trouble(msgspec.Struct, array_like=True):
    """Days, or an asset, that failed."""

    attempts: int = 0
    failed_at: int = 0
    """Unix seconds at which the last attempt was seen to have failed."""
    reason: str = ""

    def again(self, reason: str, *, at_once: bool = False) -> "Trouble":
        """Return the trouble after one more failure; ``at_once``: which says nothing about the next attempt."""
        return Trouble(self.attempts + 1, 0 if at_once and not self.attempts else _now(), reason)

    @property
    def is_given_up(self) -> bool:
        """Whether it failed so often that it is requested only once a day."""
        return self.attempts >= MAX_ATTEMPTS

    @property
    def rests_until(self) -> int:
        """Unix seconds of the next attempt."""
        if not self.attempts:
            return 0
        pause = LONG_PAUSE if self.is_given_up else RETRY_PAUSE * 2 ** (self.attempts - 1)
        return self.failed_at + int(pause.total_seconds())


class Work(msgspec.Struct):
    """The runs that the sensor has requested for one connection, and their outcomes."""

    run: str = ""
    """Run key of the run under way."""
    days: tuple[date, date] | None = None
    """Its first and last day."""
    assets: list[str] = []
    """Its assets."""
    days_apart: list[tuple[date, date, Trouble]] = []
    """Days that made a run fail. They run without the others."""
    assets_aside: dict[str, Trouble] = {}
    """Assets that failed for every day."""
    succeeded: str = ""
    """The days and assets of a run that succeeded, until the warehouse is read again."""
    repeats: int = 0
    """How often these were due again right after the run."""


class Cursor(msgspec.Struct):
    """What the sensor knows between ticks."""

    seen: str = ""
    """The state of the file, the configuration and the hour at the last look; empty: look again."""
    money: str = ""
    """The entries about money when their tables were last materialized."""
    runs: int = 0
    """Runs requested. Part of the run keys, because Dagster accepts each key only once."""
    due: str = ""
    """What was due when the warehouse was last read, as text."""
    work: dict[str, Work] = {}


@dataclass(frozen=True)
class Range:
    """One run to request."""

    window: Window
    assets: frozenset[str]
    is_apart: bool

    @property
    def name(self) -> str:
        """What tells it from other ranges of its connection."""
        return " ".join((str(self.window), *sorted(self.assets)))


def build_due_sensor(
    watched: Mapping[str, ConnectionGraph],
    seeds: Sequence[Seed],
    jobs: Sequence[UnresolvedAssetJobDefinition],
    *,
    with_history: bool,
    recent_days: int,
    overdue: timedelta,
) -> dg.SensorDefinition:
    """Build the sensor over the usage assets of each connection that has a key; without any it does not run.

    Days that are not settled are the daily schedule's; the sensor takes those that nobody has read for ``overdue``.
    Without ``with_history`` it fetches no missing day that is older than the ``recent_days`` of the schedule.
    """
    configuration = "".join(map(_digest, seeds))
    states_money = any(job.name == ACCOUNTING_JOB for job in jobs)
    money = next((_digest(each) for each in seeds if states_money and each.name == "accounting"), "")

    @dg.sensor(
        name="due_days_sensor",
        jobs=[job for job in jobs if job.name in (USAGE_JOB, ACCOUNTING_JOB)],
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING if watched else dg.DefaultSensorStatus.STOPPED,
        description="Fetches and computes the days that are missing or stale, newest first: one run of a connection at "
        "a time, after everybody else's",
    )
    def due_days_sensor(context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.SensorResult:
        cursor = _decoded(context.cursor)
        cursor.work = {name: cursor.work.get(name, Work()) for name in watched}
        for name, work in cursor.work.items():
            if work.run and _is_settled(context.instance, work, watched[name]):
                cursor.seen = ""
        look = f"{warehouse.fingerprint}:{configuration}:{_now() // 3600}"
        waiting = [name for name, work in cursor.work.items() if not work.run]
        if not waiting or (look == cursor.seen and not any(_may_go_on(cursor.work[name]) for name in waiting)):
            return _result([], cursor)
        patient = replace(warehouse, wait_seconds=WAIT_SECONDS)
        try:
            due, sets = due_days(patient, seeds, keep=True), whole_sets(patient)
        except WarehouseError as error:
            return dg.SensorResult(skip_reason=f"not yet: {error}", cursor=_encoded(cursor))
        requests: list[dg.RunRequest] = []
        if money != cursor.money:
            requests.append(dg.RunRequest(f"accounting:{cursor.runs}:{money}", job_name=ACCOUNTING_JOB))
        cursor.seen, cursor.money, cursor.due = look, money, _due_in_words(due)
        for name in waiting:
            wanted = [
                row
                for row in due
                if row.connection == name
                and _is_wanted(row, utc_today() - recent_days * DAY, overdue, with_history=with_history)
            ]
            planned = plan(wanted, watched[name], cursor.work[name], sets.get(name, ()))
            if cursor.work[name].succeeded and _is_repeat(cursor.work[name], planned):
                planned = plan(wanted, watched[name], cursor.work[name], sets.get(name, ()))
            if planned and _is_in_use(context.instance, name, watched[name]):
                cursor.seen = ""
            elif planned:
                cursor.runs += 1
                requests.append(_request(name, planned, cursor.work[name], cursor.runs))
        return _result(requests, cursor)

    return due_days_sensor


def _decoded(text: str | None) -> Cursor:
    """Return the cursor, or an empty one if the text cannot be read: due days are then requested again."""
    try:
        return msgspec.json.decode(text or "{}", type=Cursor)
    except msgspec.DecodeError:
        return Cursor()


def _encoded(cursor: Cursor) -> str:
    return msgspec.json.encode(cursor).decode()


def _is_wanted(row: Due, recent: date, overdue: timedelta, *, with_history: bool) -> bool:
    """Whether the sensor requests a due day, and does not leave it to a schedule or a person."""
    if row.state == "late":
        return False
    if row.state in ("open", "unsettled"):
        return datetime.now(UTC) - row.since > overdue
    return with_history or not row.is_history(recent)


def plan(wanted: Iterable[Due], watched: ConnectionGraph, work: Work, sets: Collection[Window] = ()) -> Range | None:
    """Return the newest range of days that wants the same assets; days that failed before come last, on their own.

    ``sets``: days that are stored together. Forgets what failed before and is not wanted any more.
    """
    days: dict[date, set[str]] = defaultdict(set)
    for row in wanted:
        days[row.day].add(row.asset)
    named = {asset for assets in days.values() for asset in assets}
    work.assets_aside = {name: trouble for name, trouble in work.assets_aside.items() if name in named}
    work.days_apart = [each for each in work.days_apart if any(each[0] <= day <= each[1] for day in days)]
    resting = watched.held_up_by(name for name, trouble in work.assets_aside.items() if trouble.rests_until > _now())
    wants: dict[date, tuple[frozenset[str], int | None]] = {}
    for day, due in days.items():
        assets = watched.with_computed(due - resting) - resting
        apart = next((n for n, each in enumerate(work.days_apart) if each[0] <= day <= each[1]), None)
        if assets and (apart is None or work.days_apart[apart][2].rests_until <= _now()):
            wants[day] = assets, apart
    ranges = [Range(window, assets, apart is not None) for window, (assets, apart) in alike(wants, MOST_DAYS, sets)]
    return min(ranges, key=lambda each: each.is_apart, default=None)


def _is_repeat(work: Work, planned: Range | None) -> bool:
    """Whether what has just succeeded is due again. Then its days rest, because another run would change nothing.

    Asked by the first look after the run: what is due again later has a reason of its own.
    """
    is_repeat = planned is not None and planned.name == work.succeeded
    work.succeeded, work.repeats = "", work.repeats + 1 if is_repeat else 0
    if planned and is_repeat:
        trouble = Trouble(work.repeats, _now(), STILL_DUE)
        work.days_apart.append((planned.window.first, planned.window.last, trouble))
    return is_repeat


def _may_go_on(work: Work) -> bool:
    """Whether something that failed has rested for long enough."""
    rests = [trouble.rests_until for *_, trouble in work.days_apart]
    rests += [trouble.rests_until for trouble in work.assets_aside.values()]
    return any(until <= _now() for until in rests)


def _is_in_use(instance: dg.DagsterInstance, connection: str, watched: ConnectionGraph) -> bool:
    """Whether the run of somebody else is about to write what the sensor would request."""
    return any(
        not is_over(instance, record)
        and (
            not watched.computed_from.keys().isdisjoint(
                key.to_user_string() for key in record.dagster_run.asset_selection
            )
            if record.dagster_run.asset_selection
            else record.dagster_run.tags.get(CONNECTION_TAG) == connection
        )
        for record in instance.get_run_records(dg.RunsFilter(statuses=list(UNDER_WAY)))
    )


def _is_settled(instance: dg.DagsterInstance, work: Work, watched: ConnectionGraph) -> bool:
    """Note what became of the run under way; return whether there is none any more."""
    succeeded = outcome_of(instance, work.run)
    if succeeded is None or not work.days:
        return False
    window, assets = Window(*work.days), {*work.assets}
    failures = [] if succeeded else list(_failures(instance, work.run, assets))
    work.run = ""
    work.succeeded = Range(window, frozenset(assets), is_apart=False).name if succeeded else ""
    failed = watched.with_computed(name for name, *_ in failures)
    done = assets - failed if succeeded or failures else set()
    before = [each for each in work.days_apart if each[0] in window or window.first in Window(*each[:2])]
    work.days_apart = [each for each in work.days_apart if each[1] < window.first or window.last < each[0]]
    aside = {name: trouble for name, trouble in work.assets_aside.items() if name not in done}
    named: dict[date, str] = {}
    for name, days, reason in failures:
        if days:
            named |= dict.fromkeys((day for day in days if day in window), reason)
        else:
            aside[name] = aside.get(name, Trouble()).again(reason)
    if not succeeded and not failures:  # its process died: nothing is wrong with the assets
        for name in work.assets:
            aside[name] = aside.get(name, Trouble()).again("the run ended without a reason", at_once=True)
    for each in windows(named, len(named)):
        troubles = [trouble for first, last, trouble in before if first in each or each.first in Window(first, last)]
        worst = max(troubles, key=lambda trouble: trouble.attempts, default=Trouble())
        work.days_apart.append((each.first, each.last, worst.again(named[each.first])))
    work.assets_aside = aside
    return True


def _failures(
    instance: dg.DagsterInstance, run_key: str, assets: Collection[str]
) -> Iterable[tuple[str, Collection[date], str]]:
    """Yield the assets that failed, the days that they failed for where the failure names some, and why."""
    steps = {dg.AssetKey.from_user_string(name).to_python_identifier(): name for name in assets}
    for record in instance.get_run_records(dg.RunsFilter(tags={RUN_KEY_TAG: run_key}), limit=1):
        for step, failed in failed_steps(instance, record.dagster_run.run_id).items():
            if step in steps:
                yield steps[step], days_of(failed), reason_of(failed)[:REASON_LENGTH]


def _request(connection: str, planned: Range, work: Work, number: int) -> dg.RunRequest:
    window = planned.window
    work.days, work.assets = (window.first, window.last), sorted(planned.assets)
    work.run = f"due:{connection}:{window.first}:{window.last}:{number}:{_now()}"
    return dg.RunRequest(
        run_key=work.run,
        job_name=USAGE_JOB,
        asset_selection=[*map(dg.AssetKey.from_user_string, work.assets)],
        tags={**range_tags(window.first, window.last), **PRIORITY, CONNECTION_TAG: connection},
    )


def _result(requests: list[dg.RunRequest], cursor: Cursor) -> dg.SensorResult:
    return dg.SensorResult(
        run_requests=requests, skip_reason=None if requests else _in_words(cursor), cursor=_encoded(cursor)
    )


def _due_in_words(due: Iterable[Due]) -> str:
    pressing = in_words(row for row in due if row.state in WANTED)
    return "; ".join(f"{name} {reason}" for name, reasons in pressing.items() for reason in reasons[:MOST_REASONS])


def _in_words(cursor: Cursor) -> str:
    states: dict[str, list[str]] = defaultdict(list)
    for name, work in cursor.work.items():
        if work.run and work.days:
            states["under way"].append(f"{name} {Window(*work.days)}")
        troubles = [(f"{name} {Window(first, last)}", trouble) for first, last, trouble in work.days_apart]
        troubles += work.assets_aside.items()
        for what, trouble in troubles:
            failed = f"failed {trouble.attempts} times, tried again once a day"
            state = failed if trouble.is_given_up else "will be tried again"
            states[state].append(f"{what} ({trouble.reason})")
    words = [f"{state}: {', '.join(which)}" for state, which in states.items()]
    return "; ".join([*words, f"due: {cursor.due}" if cursor.due else "no day is missing or stale"])


def _digest(seeds: Seed) -> str:
    tables = {
        table: rows
        for table, rows in seeds.tables.items()
        if table.row not in (*RELEASED, ConfiguredConnectionRow) and rows.num_rows
    }
    rows = [(table.name, rows.to_pylist()) for table, rows in tables.items()]
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:12] if rows else ""


def _now() -> int:
    return int(datetime.now(UTC).timestamp())
