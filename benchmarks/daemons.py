"""A day of Dagster's daemons by hand, at a clock that is moved on: schedules when they are due, sensors until they ask
for nothing, the queue, and the runs themselves, in this process.

All of it is the code of Dagster's own daemons, so that ticks, tags and run keys are as they are under ``make run``.
Left out are most of the ticks that find nothing: a day has 14,400 of them.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import import_module
from logging import getLogger
from statistics import median
from time import process_time

import dagster as dg
import time_machine
from dagster._core.events import EngineEventData
from dagster._core.launcher import LaunchRunContext
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.remote_representation.external import RemoteSchedule, RemoteSensor
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import ScheduleIterationTimes, launch_scheduled_runs

from usage_assets.automation.jobs import CONNECTION_TAG
from usage_assets.build import build_from_environment
from usage_assets.core.days import DAY
from usage_assets.dagster_internals import InMemoryJob, execute_run_iterator
from usage_assets.features.port.graph import CONNECTION_CRON
from usage_assets.local.home import CODE_LOCATION
from usage_assets.local.workers import WatchedRunLauncher

MODULE, ATTRIBUTE = "usage_assets.definitions", "defs"
PAUSE = timedelta(seconds=31)
"""Between two rounds of the sensors: each may tick again."""
HOURS = 4
"""Of hourly ticks, one in so many is played: the others would skip, because nothing was stored meanwhile."""
IDLE_ROUNDS = 5
"""At the end of a day, when nothing is new."""
MOST_ROUNDS = 100
WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]

logger = getLogger(__name__)


class InThisProcess(WatchedRunLauncher):
    """Executes a run where it is launched: a process of its own for each of 2,500 runs would take two hours."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Execute the run to its end, as ``dagster api execute_run`` does."""
        run, instance = context.dagster_run, self._instance
        instance.report_engine_event("Started a run in this process", run, EngineEventData.in_process(0))
        for _ in execute_run_iterator(InMemoryJob(definitions().resolve_job_def(run.job_name)), run, instance):
            pass


@cache
def definitions() -> dg.Definitions:
    """The definitions, built once a day. Dagster finds them where it would build them again for each run."""
    built = build_from_environment()
    vars(import_module(MODULE))[ATTRIBUTE] = built
    return built


@dataclass(frozen=True)
class Lived:
    """What a day took, and what happened in it."""

    cpu: float
    """Seconds of the daemons and the runs, without the starts of processes."""
    load: float
    """CPU seconds in which the definitions were loaded."""
    ticks: Mapping[str, float]
    """Sensor -> median CPU seconds of a tick that found nothing, with the daemon's part of it."""
    played: Mapping[str, int]
    """Sensor -> its ticks."""
    runs: Mapping[str, int]
    """Job -> its runs."""
    failed: list[tuple[str, str, str]]
    """Job, connection and reason of each run that has not succeeded."""


class Daemons:
    """The daemons of an instance at a clock that is moved on, and the code location that they ask."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        workspace: WorkspaceProcessContext,
        move_to: Callable[[datetime], None],
        moment: datetime,
    ) -> None:
        self.instance, self.workspace, self.moment = instance, workspace, moment
        self.spent: defaultdict[str, list[float]] = defaultdict(list)
        """Sensor -> CPU seconds of each of its ticks."""
        self._move_to = move_to
        self._iterations: dict[str, ScheduleIterationTimes] = {}
        self._queue = QueuedRunCoordinatorDaemon(interval_seconds=1)

    def live(self, until: datetime) -> None:
        """Do what is due until a moment, and what the sensors ask for then."""
        for moment in [*self._due_until(until), until]:
            self.wait_until(moment)
            _raise_errors(
                launch_scheduled_runs(self.workspace, logger, self.moment, self._iterations, max_catchup_runs=1)
            )
            if self._is_waiting() or moment == until:
                self.settle()

    def settle(self) -> None:
        """Launch what is queued and let the sensors tick, until there is nothing more to do."""
        for _ in range(MOST_ROUNDS):
            self._launch()
            self.tick()
            if not self._is_waiting():
                return
        raise RuntimeError(f"after {MOST_ROUNDS} rounds the sensors still ask for runs")

    def tick(self) -> None:
        """Let each sensor tick once, half a minute later."""
        self.wait_until(self.moment + PAUSE)
        began: list[tuple[str, float]] = []

        def note(sensor: RemoteSensor, *_: object) -> None:
            began.append((sensor.name, process_time()))

        for error in execute_sensor_iteration(self.workspace, logger, None, None, instrument_elapsed=note):
            _raise_errors([error])
            if began:
                name, since = began.pop()
                self.spent[name].append(process_time() - since)

    def wait_until(self, moment: datetime) -> None:
        """Let it be this moment everywhere; a moment that is over stays over."""
        self.moment = max(moment, self.moment)
        self._move_to(self.moment)

    def _is_waiting(self) -> bool:
        return bool(self.instance.get_runs_count(dg.RunsFilter(statuses=WAITING)))

    def _launch(self) -> None:
        while self.instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])):
            _raise_errors(self._queue.run_iteration(self.workspace, fixed_iteration_time=self.moment.timestamp()))

    def _due_until(self, until: datetime) -> list[datetime]:
        moments = set()
        for schedule in self._schedules():
            for moment in schedule.execution_time_iterator(self.moment.timestamp()):
                if moment > until:
                    break
                if schedule.cron_schedule != CONNECTION_CRON or moment.hour % HOURS == 0:
                    moments.add(moment)
        return sorted(moments)

    def _schedules(self) -> Iterator[RemoteSchedule]:
        for entry in self.workspace.create_request_context().get_code_location_entries().values():
            if entry.code_location is None:
                raise RuntimeError(f"the definitions cannot be loaded: {entry.load_error}")
            for repository in entry.code_location.get_repositories().values():
                yield from repository.get_schedules()


def live_through(day: date, move_to: Callable[[datetime], None]) -> Lived:
    """Live through a day of the home that the environment names; ``move_to`` moves everybody else's clock."""
    began, midnight = process_time(), datetime.combine(day, time(), UTC)
    with time_machine.travel(midnight, tick=True) as travel, dg.DagsterInstance.get() as instance:

        def move(moment: datetime) -> None:
            travel.move_to(moment)
            move_to(moment)

        before = process_time()
        with workspace_of(instance) as workspace:
            load = process_time() - before
            daemons = Daemons(instance, workspace, move, midnight)
            daemons.live(midnight + DAY - timedelta(hours=1))
            for _ in range(IDLE_ROUNDS):
                daemons.tick()
            ended = instance.get_runs(dg.RunsFilter(updated_after=midnight))
            return Lived(
                cpu=process_time() - began,
                load=load,
                ticks={name: median(spent[-IDLE_ROUNDS:]) for name, spent in daemons.spent.items()},
                played={name: len(spent) for name, spent in daemons.spent.items()},
                runs=dict(Counter(run.job_name for run in ended)),
                failed=[
                    (run.job_name, run.tags.get(CONNECTION_TAG, ""), run.run_id) for run in ended if not run.is_success
                ],
            )


@contextmanager
def workspace_of(instance: dg.DagsterInstance) -> Iterator[WorkspaceProcessContext]:
    """Load the code location in this process, whose clock it shall have."""
    definitions()
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=MODULE, attribute=ATTRIBUTE)
    origin = InProcessCodeLocationOrigin(target, location_name=CODE_LOCATION)
    with WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as workspace:
        yield workspace


def _raise_errors(said: Iterator[object] | list[object]) -> None:
    for error in said:
        if error is not None:
            raise RuntimeError(str(error))
