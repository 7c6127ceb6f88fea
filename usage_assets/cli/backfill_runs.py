"""A backfill in this process: range runs on the same Dagster instance that the UI and the sensors use.

backfill_days.py chooses the days, progress.py shows the progress, the assets do the work of a run.
"""

import json
import signal
import socket
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import dagster as dg

from usage_assets.assets.failures import cause_of, days_of, reason_of
from usage_assets.assets.materializations import number_in
from usage_assets.assets.names import ALONE
from usage_assets.assets.raw import FROM_ARCHIVE
from usage_assets.automation.jobs import (
    CONNECTION_TAG,
    LOOKUPS_JOB,
    PORT_SYNC_JOB,
    USAGE_JOB,
    range_tags,
)
from usage_assets.cli.interrupts import CTRL_C, INTERRUPTS
from usage_assets.cli.progress import COUNTS, AssetProgress
from usage_assets.config.settings import Connection
from usage_assets.core.days import DAY, MOST_DAYS, Window, alike, spans, utc_today, windows
from usage_assets.core.errors import one_line
from usage_assets.dagster_internals import InMemoryJob, execute_run_iterator
from usage_assets.fetching.connected import earliest_day, lookups_of
from usage_assets.local.home import CODE_LOCATION, REPOSITORY
from usage_assets.local.workers import HOST_TAG
from usage_assets.models.connection_graph import ConnectionGraph
from usage_assets.models.due import PUSH, Due
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.database import Warehouse

NOT_COMPUTED = "not computed, because what it reads failed"
ROWS = ("dagster/partition_row_count", "rows")
"""What metadata calls the rows of a day, and those of a lookup."""

STORED = """
select
  sum(row_count) filter (list_contains($raw_tables, table_name))::bigint as rows,
  count(distinct usage_date) filter (list_contains($raw_tables, table_name)) as days,
  bool_or(table_name = 'costs.daily_costs') as has_costs,
  sum((costs ->> 'billed_usd')::decimal(38, 24))::varchar as "USD billed",
  sum((costs ->> 'estimated_usd')::decimal(38, 24))::varchar as "USD estimated",
  sum((costs ->> 'notional_usd')::decimal(38, 24))::varchar as "USD notional",
  sum((costs ->> 'credits')::decimal(38, 24))::varchar as "credits"
from (
  select *, if(table_name = 'costs.daily_costs', day_totals, null) as costs
  from ledger.stored_days
  where connection = $connection and usage_date between $first and $last
)
"""
LATE = """
select reason, list(distinct usage_date order by usage_date) as days, coalesce(bool_or(is_broken), false) as is_broken
from ledger.awaited_days
where connection = $connection
  and usage_date between $first and $last
  and list_contains($raw_tables, table_name)
group by reason
order by days, reason
"""
HAS_CHECKS = "from duckdb_tables() where schema_name = 'ledger' and table_name = 'failed_checks'"
"""A first run that fails has made no table of them."""
FAILED = """
select check_name, asset, list(usage_date order by usage_date) as days, arg_max(text, usage_date) as text
from ledger.failed_checks
where connection = $connection
  and usage_date between $first and $last
  and severity = 'ERROR'
group by check_name, asset
order by check_name, asset
"""
CHANGED = """
select because, list(distinct usage_date order by usage_date) as days
from ledger.bill_states
where connection = $connection
  and state in ('changed', 'accepted')
  and not waits
group by because
order by because
"""
WITHOUT_DOLLARS = """
select
  concat_ws(' ', native_unit, 'of', coalesce(currency, 'no currency'), cost_basis, 'without a dollar value') as unit,
  sum(native_amount) as amount
from costs.daily_costs
where connection = $connection
  and usage_date between $first and $last
  and amount_usd is null
  and cost_basis <> 'credits'
group by all
order by all
"""


@dataclass(frozen=True)
class RunPlan:
    """One run of a backfill: a connection's lookups, or its assets of a job for as many days as a run may have."""

    connection: str
    job: str
    assets: tuple[dg.AssetKey, ...]
    window: Window | None
    """None for lookups, which have no days."""
    tags: Mapping[str, str] = field(default_factory=dict)

    def still_to_compute(self, ended: Mapping[str, AssetProgress], graph: ConnectionGraph) -> "list[RunPlan]":
        """Return runs of what was not computed, because what it reads was refused on some days: of the other days. Days
        of what it can be computed without are not lacking."""
        if not self.window:
            return []
        days = defaultdict[date, list[dg.AssetKey]](list)
        refused = [step for step in ended.values() if step.failure and step.failure != NOT_COMPUTED]
        for key in self.assets:
            asset = key.to_user_string()
            if ended[asset].failure == NOT_COMPUTED:
                failed = [step for step in refused if asset in graph.computed_from.get(step.asset, ())]
                lacking = [step.days_refused for step in failed if asset in graph.needed_for[step.asset]]
                if failed and all(lacking):
                    for day in set(self.window.days).difference(*lacking):
                        days[day].append(key)
        wanted = {day: tuple(sorted(assets)) for day, assets in days.items()}
        return [replace(self, assets=assets, window=window) for window, assets in alike(wanted, len(wanted))]


@dataclass
class BackfillPlan:
    """One connection's share of a backfill."""

    connection: Connection
    window: Window
    run_plans: Sequence[RunPlan]
    steps: dict[str, list[AssetProgress]] = field(default_factory=lambda: defaultdict(list))
    """Job -> what became of its steps."""
    seconds: float = 0

    @property
    def asset_days(self) -> int:
        return sum(len(run_plan.assets) * len(run_plan.window.days) for run_plan in self.run_plans if run_plan.window)

    @property
    def pushes(self) -> bool:
        return any(run_plan.job == PORT_SYNC_JOB for run_plan in self.run_plans)

    @property
    def failures(self) -> dict[str, str]:
        """Asset -> why it failed."""
        return {step.asset: step.failure for steps in self.steps.values() for step in steps if step.failure}

    @property
    def failed_runs(self) -> Sequence[str]:
        return [step.run_id for steps in self.steps.values() for step in steps if step.failure]

    @property
    def assets(self) -> Collection[str]:
        return {key.to_user_string() for run_plan in self.run_plans for key in run_plan.assets}

    def counts(self, job: str) -> Counter[str]:
        return sum((step.counts for step in self.steps[job]), Counter())

    def run(
        self, definitions: dg.Definitions, graph: ConnectionGraph, instance: dg.DagsterInstance, *, log_level: str
    ) -> Iterator[AssetProgress]:
        """Run the parts one after the other, also beyond one that fails, and yield each step whenever it gets on.

        Where some of a part's days are refused, what reads them is run again for the others. Raises KeyboardInterrupt,
        with the run ended, where it was interrupted.
        """
        began = time.monotonic()
        run_plans = deque(self.run_plans)
        while run_plans:
            run_plan = run_plans.popleft()
            ended: dict[str, AssetProgress] = {}
            for step in _execute(run_plan, definitions, instance, log_level):
                ended[step.asset] = step
                yield step
            again = run_plan.still_to_compute(ended, graph)
            run_plans.extendleft(reversed(again))
            names = {key.to_user_string() for each in again for key in each.assets}
            self.steps[run_plan.job] += [step for step in ended.values() if step.asset not in names]
        self.seconds = time.monotonic() - began


@dataclass(frozen=True)
class Stored:
    """What the warehouse holds of a connection's days."""

    rows: int
    """Of the raw tables."""
    days: int
    """One of these is set, even where there was no usage."""
    costs: Mapping[str, Decimal]
    """Unit and cost basis -> total; never to be added up."""
    late: Sequence[str]
    """Days that the provider does not serve yet, and why."""
    held_up: Sequence[str]
    """Days that wait for something that is broken, and what that is."""
    wrong: Sequence[str]
    """Checks that are errors, with their days and what they found on the last one."""


def plan_of(
    connection: Connection,
    first: date,
    last: date,
    definitions: dg.Definitions,
    *,
    sets: Collection[Window] = (),
    push: bool,
    from_archive: bool = False,
) -> BackfillPlan | None:
    """What to run for those of the days that the connection can fetch; None if there are none.

    The archive has days only, and no lookups. ``sets``: days that are stored together.
    """
    provider = PROVIDERS[connection.provider]
    earliest = max(first, earliest_day(connection, provider, from_archive=from_archive))
    if earliest > last:
        return None
    window = Window(earliest, last)
    specs = [spec for spec in definitions.resolve_all_asset_specs() if ALONE.connection(spec.key) == connection.name]
    keys = {spec.key for spec in specs if spec.partitions_def}
    served = {
        dg.AssetKey([connection.name, each.name]): earliest_day(connection, provider, each, from_archive=from_archive)
        for each in provider.endpoints
    }
    pushed = ALONE.key(f"{connection.name}/{PUSH}")
    sent = {pushed} & keys if push else ()
    starts = sorted({earliest, *(day for day in served.values() if earliest < day <= last)})
    runs: list[tuple[str, Iterable[dg.AssetKey], Window | None]] = [
        (LOOKUPS_JOB, () if from_archive else _lookups(connection), None),
        *(
            (USAGE_JOB, [key for key in keys - {pushed} if served.get(key, start) <= start], run)
            for start, after in pairwise((*starts, last + DAY))
            for run in _runs(Window(start, after - DAY), sets)
        ),
        *((PORT_SYNC_JOB, sent, run) for run in windows(window.days, MOST_DAYS)),
    ]
    run_plans = [
        RunPlan(connection.name, job, tuple(sorted(assets)), run, {FROM_ARCHIVE: "true"} if from_archive else {})
        for job, assets, run in runs
        if assets
    ]
    return BackfillPlan(connection, window, run_plans)


def _runs(window: Window, sets: Collection[Window]) -> Sequence[Window]:
    """Return the days of a window as runs, the oldest first, that cut no set."""
    if not sets:
        return windows(window.days, MOST_DAYS)
    return [run for run, _ in reversed(alike(dict.fromkeys(window.days, ""), MOST_DAYS, sets))]


def lookups_plan_of(connection: Connection, instance: dg.DagsterInstance) -> BackfillPlan | None:
    """What lists the lookups of a connection that were not listed today (UTC); None if there are none.

    To be run before it is asked which days are due, because a new name makes days due.
    """
    events = {key: instance.get_latest_materialization_event(key) for key in _lookups(connection)}
    listed = {key: datetime.fromtimestamp(event.timestamp, UTC).date() for key, event in events.items() if event}
    unlisted = tuple(key for key in events if listed.get(key) != utc_today())
    run_plan = RunPlan(connection.name, LOOKUPS_JOB, unlisted, None)
    return BackfillPlan(connection, Window(utc_today(), utc_today()), [run_plan]) if unlisted else None


def _lookups(connection: Connection) -> tuple[dg.AssetKey, ...]:
    return tuple(sorted(dg.AssetKey([connection.name, lookup.name]) for lookup in lookups_of(connection)))


def due_plan_of(
    connection: Connection,
    due: Iterable[Due],
    graph: ConnectionGraph,
    sets: Collection[Window] = (),
    *,
    push: bool,
) -> BackfillPlan | None:
    """What is to be run for a connection's due days; None where none is due. ``sets``: days stored together."""
    days: dict[date, set[str]] = defaultdict(set)
    for row in due:
        if row.connection == connection.name and row.state != "late":
            days[row.day] |= graph.with_computed([row.asset])
    if not days:
        return None
    computed = {day: tuple(sorted(assets)) for day, assets in days.items() if assets}
    wanted = alike(computed, MOST_DAYS, sets)
    run_plans = [
        RunPlan(connection.name, USAGE_JOB, tuple(map(ALONE.key, assets)), window) for window, assets in wanted
    ]
    pushes = windows(days, MOST_DAYS) if push and graph.entities else []
    run_plans += [
        RunPlan(connection.name, PORT_SYNC_JOB, (ALONE.key(f"{connection.name}/{PUSH}"),), window) for window in pushes
    ]
    return BackfillPlan(connection, Window(min(days), max(days)), run_plans)


def _execute(
    run_plan: RunPlan, definitions: dg.Definitions, instance: dg.DagsterInstance, log_level: str
) -> Iterator[AssetProgress]:
    job = definitions.resolve_job_def(run_plan.job)
    run = _created_run(run_plan, job, instance, log_level)
    steps = {
        key.to_python_identifier(): AssetProgress(key.to_user_string(), run_plan.window, run_id=run.run_id)
        for key in run_plan.assets
    }
    for event in _events(job, run, instance):
        if step := _noted(event, steps, run_plan, run.run_id):
            yield step
    for step in steps.values():
        if not step.done and not step.failure:
            step.failure = NOT_COMPUTED
            yield step


def _noted(
    event: dg.DagsterEvent, steps: dict[str, AssetProgress], run_plan: RunPlan, run_id: str
) -> AssetProgress | None:
    """Note what an event says of a step, and return the step; None where it says nothing new."""
    name = event.step_key or run_plan.job
    if event.is_step_materialization:
        materialization = event.step_materialization_data.materialization
        metadata = materialization.metadata
        steps[name].days += materialization.partition is not None
        steps[name].rows += sum(number_in(metadata, rows) for rows in ROWS)
        steps[name].counts |= Counter({count: number_in(metadata, count) for count in COUNTS})
    elif (event.is_step_success or event.is_step_skipped) and name in steps:  # skipped: no day is served yet
        steps[name].done = True
    elif event.is_step_failure:
        step = steps.setdefault(name, AssetProgress(name, run_plan.window, run_id=run_id))
        step.failure, step.cause = reason_of(event.step_failure_data), cause_of(event.step_failure_data)
        step.days_refused = days_of(event.step_failure_data)
    elif event.is_failure and not any(step.failure for step in steps.values()):
        steps[name] = AssetProgress(
            name, run_plan.window, run_id=run_id, failure=one_line(event.message or "the run failed")
        )
    elif not event.is_step_start:
        return None
    return steps.get(name)


def _created_run(
    run_plan: RunPlan, job: dg.JobDefinition, instance: dg.DagsterInstance, log_level: str
) -> dg.DagsterRun:
    """Create the run of a part.

    ``execute_in_process`` would make a run that the UI shows but cannot run again: it does not say where its code is.
    So this makes it as a launcher does. This and ``_events`` are the one place that relies on how Dagster 1.13 does
    that.
    """
    place: Any = dg.deserialize_value(json.dumps(origin(job.name)))
    return instance.create_run_for_job(
        job,
        run_config={"loggers": {"console": {"config": {"log_level": log_level}}}},
        tags={
            **(range_tags(run_plan.window.first, run_plan.window.last) if run_plan.window else {}),
            CONNECTION_TAG: run_plan.connection,
            **run_plan.tags,
            HOST_TAG: socket.gethostname(),
        },
        asset_selection=frozenset(run_plan.assets),
        remote_job_origin=place,
    )


def origin(job_name: str) -> Mapping[str, object]:
    """Return where the code of a job is, as Dagster stores it with a run. The classes of it are private."""
    location = {"__class__": "RegisteredRepositoryLocationOrigin", "location_name": CODE_LOCATION}
    repository = {
        "__class__": "ExternalRepositoryOrigin",
        "repository_location_origin": location,
        "repository_name": REPOSITORY,
    }
    return {"__class__": "ExternalPipelineOrigin", "external_repository_origin": repository, "pipeline_name": job_name}


def _events(job: dg.JobDefinition, run: dg.DagsterRun, instance: dg.DagsterInstance) -> Iterator[dg.DagsterEvent]:
    """Execute a run here. Raises KeyboardInterrupt at its end, if it was interrupted.

    Dagster lets interrupts reach the assets' own code, which is rolled back. It would go on where that has made another
    error of them, as DuckDB does. Other interrupts wait until a step begins or ends, so that events are written whole.
    """
    with _kept_interrupts() as kept:
        events: Any = execute_run_iterator(InMemoryJob(job), run, instance)
        was_interrupted = False
        for event in events:
            if _is_interruption(event) or ((kept or CTRL_C.came) and event.is_step_failure):
                was_interrupted = True
            else:
                yield event
            if (kept or CTRL_C.came) and (event.is_step_start or event.is_step_success or event.is_step_failure):
                events.throw(KeyboardInterrupt)
        if was_interrupted or kept or CTRL_C.came:
            raise KeyboardInterrupt


@contextmanager
def _kept_interrupts() -> Iterator[Sequence[int]]:
    """Yield the interrupts that come meanwhile. Other threads than the main one get none."""
    kept: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield kept
        return
    before = {each: signal.signal(each, lambda number, _: kept.append(number)) for each in INTERRUPTS}
    try:
        yield kept
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _is_interruption(event: dg.DagsterEvent) -> bool:
    if event.event_type is dg.DagsterEventType.RUN_FAILURE:
        reason = getattr(event.event_specific_data, "failure_reason", None)
        return getattr(reason, "name", "") == "UNEXPECTED_TERMINATION"
    error = event.step_failure_data.error if event.is_step_failure else None
    return bool(error and error.cls_name == dg.DagsterExecutionInterruptedError.__name__)


def stored(warehouse: Warehouse, connection: Connection, window: Window) -> Stored:
    endpoints = PROVIDERS[connection.provider].endpoints
    parameters = {
        "connection": connection.name,
        "first": window.first,
        "last": window.last,
        "raw_tables": [endpoint.row.table for endpoint in endpoints],
    }
    with warehouse.one_moment() as now:
        (row,) = now.read(STORED, parameters).to_pylist()
        late = now.read(LATE, parameters).to_pylist()
        of_days = {name: parameters[name] for name in ("connection", "first", "last")}
        failed = now.read(FAILED, of_days).to_pylist() if now.read(HAS_CHECKS).num_rows else []
        rows, days, has_costs = row.pop("rows"), row.pop("days"), row.pop("has_costs")
        costs = {unit: Decimal(amount) for unit, amount in row.items() if amount is not None}
        if has_costs:
            del parameters["raw_tables"]
            unvalued = now.read(WITHOUT_DOLLARS, parameters).to_pylist()
            costs |= {each["unit"]: each["amount"] for each in unvalued}
    wrong = [f"{each['asset']}, check {each['check_name']}, {spans(each['days'])}: {each['text']}" for each in failed]
    waiting, held_up = (
        [f"{spans(each['days'])} ({each['reason']})" for each in late if each["is_broken"] is is_broken]
        for is_broken in (False, True)
    )
    return Stored(rows or 0, days, costs, waiting, held_up, wrong)


def of_older_files(warehouse: Warehouse, connection: Connection) -> Sequence[str]:
    """Which days of a connection are stored as files had them that have changed since, whichever days were run."""
    if not PROVIDERS[connection.provider].reads_files:
        return []
    found = warehouse.read(CHANGED, {"connection": connection.name}).to_pylist()
    return [f"{connection.name} {spans(each['days'])}: {each['because']}" for each in found]
