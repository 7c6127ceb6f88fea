"""The sensor as a state machine, tick by tick, on a real instance whose runs are moved from state to state."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from typing import Any

import dagster as dg
import pytest
import sqlalchemy
import time_machine
from dagster._core.events import StepMaterializationData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from usage_assets.automation import port_sensor as sensors
from usage_assets.automation.jobs import PORT_SYNC_JOB, build_jobs, port_sync_key, range_tags
from usage_assets.automation.port_sensor import MAX_ATTEMPTS, build_port_sensor
from usage_assets_tests.conftest import NewInstance

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
DAILY = dg.DailyPartitionsDefinition("2024-01-01", timezone="UTC")
OPENAI_DAY, OPENAI_MODEL = (dg.AssetKey(["openai", "entities", f"openai_{name}_usage"]) for name in ("daily", "model"))
CLAUDE_DAY = dg.AssetKey(["anthropic", "entities", "claude_usage_record"])
ENTITIES = {"openai": [OPENAI_DAY, OPENAI_MODEL], "anthropic": [CLAUDE_DAY]}
MONDAY_TO_FRIDAY = st.sampled_from([f"2026-11-{day:02}" for day in range(2, 7)])
LOCATION = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("usage_assets"), "__repository__")


def graph_of(entities: dict[str, list[dg.AssetKey]]) -> dg.Definitions:
    """The part of the graph that the sensor knows: entity assets and a push per connection."""
    return build_graph(tuple((connection, tuple(keys)) for connection, keys in entities.items()))


@cache
def build_graph(named: tuple[tuple[str, tuple[dg.AssetKey, ...]], ...]) -> dg.Definitions:
    """Build it once."""
    entities = dict(named)
    assets = [dg.AssetSpec(key, partitions_def=DAILY) for keys in entities.values() for key in keys]

    def push(connection: str) -> dg.AssetsDefinition:
        @dg.asset(key=port_sync_key(connection), partitions_def=DAILY)
        def port_sync() -> None: ...

        return port_sync

    return dg.Definitions(
        assets=[*assets, *map(push, entities)],
        jobs=build_jobs([{PORT_SYNC_JOB: [port_sync_key(name) for name in entities]}]),
    )


@dataclass
class Daemon:
    """What Dagster's sensor daemon does with a tick: keeps the cursor, launches each run key once."""

    instance: dg.DagsterInstance
    entities: dict[str, list[dg.AssetKey]] = field(default_factory=lambda: dict(ENTITIES))
    cursor: str | None = None
    said: str | None = None
    requests: list[dg.RunRequest] = field(default_factory=list)
    """Of the last tick."""
    last_day: date = date.max
    """The newest day that has a partition."""

    def tick(self) -> list[str]:
        """Run one tick; return what it launched, as ``openai 2026-11-01..2026-11-03``."""
        sensor = build_port_sensor(self.entities, running=True, last_day=lambda: self.last_day)
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, definitions=graph_of(self.entities)
        ) as context:
            data = sensor.evaluate_tick(context)
        self.cursor, self.said, self.requests = data.cursor, data.skip_message, list(data.run_requests or [])
        return [described(request.tags) for request in self.requests if self.launch(request)]

    def launch(self, request: dg.RunRequest) -> bool:
        """Queue the requested run, unless a run of this key exists already: Dagster never launches a key again."""
        tags = {**request.tags, "dagster/run_key": request.run_key or ""}
        if self.instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": tags["dagster/run_key"]})):
            return False
        self.new_run(dg.DagsterRunStatus.QUEUED, tags, request.asset_selection)
        return True

    def new_run(
        self,
        status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
        tags: dict[str, str] | None = None,
        assets: Sequence[dg.AssetKey] | None = None,
    ) -> dg.DagsterRun:
        """Create a run that nothing executes."""
        run = self.instance.create_run_for_job(
            graph_of(self.entities).resolve_job_def(PORT_SYNC_JOB),
            tags=tags,
            status=status,
            asset_selection=frozenset(assets) if assets else None,
            remote_job_origin=RemoteJobOrigin(LOCATION, PORT_SYNC_JOB),
        )
        if status is dg.DagsterRunStatus.STARTED:
            self.event(run, dg.DagsterEventType.RUN_START)
        return run

    def event(self, run: dg.DagsterRun, kind: dg.DagsterEventType, data: Any = None) -> None:
        """Let a run tell something; events of the run itself change its status."""
        self.instance.report_dagster_event(
            dg.DagsterEvent(event_type_value=kind.value, job_name=run.job_name, event_specific_data=data), run.run_id
        )

    def pushes(self) -> list[dg.DagsterRun]:
        """Pushes that have not ended, the oldest first."""
        runs = self.instance.get_runs(ascending=True)
        return [run for run in runs if "dagster/run_key" in run.tags and not run.is_finished]

    def succeed(self, *, of: str = "") -> None:
        """Let the pushes under way succeed, or those whose description starts with ``of``."""
        for run in self.pushes():
            if described(run.tags).startswith(of):
                self.push_days(run)

    def push_days(self, run: dg.DagsterRun) -> None:
        """Let one run succeed with an event for each of its days."""
        first, last = (date.fromisoformat(run.tags[f"dagster/asset_partition_range_{end}"]) for end in ("start", "end"))
        for day in days(first, (last - first).days + 1):
            pushed = dg.AssetMaterialization(port_sync_key(run.tags["usage_assets/connection"]), partition=day)
            self.event(run, dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(pushed))
        self.event(run, dg.DagsterEventType.RUN_SUCCESS)

    def fail(self, *, of: str = "") -> None:
        """Let the pushes under way fail, or those whose description starts with ``of``."""
        for run in self.pushes():
            if described(run.tags).startswith(of):
                self.event(run, dg.DagsterEventType.RUN_FAILURE)

    def write(
        self,
        asset: dg.AssetKey,
        *partitions: str,
        content: str = "a",
        changed: bool = True,
        run: dg.DagsterRun | None = None,
    ) -> None:
        """Report written days as the IO manager does, of a run or of none."""
        for partition in partitions:
            metadata: dict[str, Any] = {"changed": changed, "content_hash": content}
            written = dg.AssetMaterialization(asset, partition=partition, metadata=metadata)
            if run:
                self.event(run, dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(written))
            else:
                self.instance.report_runless_asset_event(written)


def described(tags: Any) -> str:
    """Say in words what a run pushes."""
    first, last = (tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))
    return f"{tags['usage_assets/connection']} {first}..{last}"


def days(first: date, count: int) -> list[str]:
    """Partition keys of ``count`` days."""
    return [(first + timedelta(days=n)).isoformat() for n in range(count)]


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still until it is shifted."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def daemon(clock: time_machine.Traveller, new_instance: NewInstance) -> Iterator[Daemon]:
    """A daemon with an empty instance."""
    with new_instance() as instance:
        yield Daemon(instance)


def test_without_any_event_there_is_nothing_to_do(daemon: Daemon) -> None:
    assert daemon.tick() == []
    assert daemon.said == "Port has every change"


def test_a_changed_day_is_pushed(daemon: Daemon) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01")
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]
    (request,) = daemon.requests
    assert request.asset_selection == [port_sync_key("openai")]
    assert request.tags["dagster/asset_partition_range_start"] == "2026-11-01"
    assert request.tags["dagster/asset_partition_range_end"] == "2026-11-01"
    assert request.tags["usage_assets/connection"] == "openai"


def test_a_day_written_again_without_a_change_is_left_alone(daemon: Daemon) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01", changed=False)
    assert daemon.tick() == []
    assert daemon.said == "Port has every change"


def test_today_waits_for_its_partition_where_it_is_no_longer_included(daemon: Daemon) -> None:
    """A run of it would fail and be tried again until it is parked: nobody would push it the day after."""
    daemon.last_day = NOW.date() - timedelta(days=1)
    daemon.write(OPENAI_DAY, "2026-11-19", "2026-11-20")
    assert daemon.tick() == ["openai 2026-11-19..2026-11-19"]
    daemon.succeed()
    assert daemon.tick() == []
    assert daemon.said == "1 days waiting until they are over"
    daemon.last_day = NOW.date()
    assert daemon.tick() == ["openai 2026-11-20..2026-11-20"]


@pytest.mark.parametrize(
    ("partition", "metadata"),
    [
        pytest.param(None, {"changed": True, "content_hash": "a"}, id="no partition"),
        pytest.param("2026-11-01", {}, id="reported by hand in the UI"),
        pytest.param("2026-11-01", {"changed": False}, id="unchanged, without a hash"),
    ],
)
def test_events_of_others_are_left_alone(daemon: Daemon, partition: str | None, metadata: dict[str, Any]) -> None:
    daemon.instance.report_runless_asset_event(
        dg.AssetMaterialization(OPENAI_DAY, partition=partition, metadata=metadata)
    )
    assert daemon.tick() == []
    daemon.write(OPENAI_DAY, "2026-11-02")
    assert daemon.tick() == ["openai 2026-11-02..2026-11-02"]


def test_a_change_without_a_content_hash_stops_nothing(daemon: Daemon) -> None:
    daemon.instance.report_runless_asset_event(
        dg.AssetMaterialization(OPENAI_DAY, partition="2026-11-01", metadata={"changed": True})
    )
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]


def test_a_tick_between_sibling_assets_waits_for_the_run_that_writes_them(daemon: Daemon) -> None:
    launched: list[list[str]] = []

    @dg.asset(key=OPENAI_DAY, partitions_def=DAILY)
    def first() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"changed": True, "content_hash": "a"})

    @dg.asset(key=OPENAI_MODEL, partitions_def=DAILY, deps=[first])
    def second() -> dg.MaterializeResult[None]:
        launched.append(daemon.tick())
        return dg.MaterializeResult(metadata={"changed": True, "content_hash": "b"})

    assert dg.materialize([first, second], instance=daemon.instance, partition_key="2026-11-01").success
    assert launched == [[]]
    assert daemon.said == "1 days waiting for the run that writes them"
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]
    daemon.succeed()
    assert daemon.tick() == []
    assert daemon.said == "Port has every change"


def test_days_of_a_killed_run_wait_an_hour_and_no_longer(daemon: Daemon, clock: time_machine.Traveller) -> None:
    killed = daemon.new_run(dg.DagsterRunStatus.STARTED)
    daemon.write(OPENAI_DAY, "2026-11-01", run=killed)
    clock.shift(timedelta(minutes=59))
    assert daemon.tick() == []
    clock.shift(timedelta(minutes=2))
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]


def test_the_repeat_of_a_killed_run_releases_its_days(daemon: Daemon) -> None:
    killed, repeat = (daemon.new_run(dg.DagsterRunStatus.STARTED) for _ in range(2))
    daemon.write(OPENAI_DAY, "2026-11-01", run=killed)
    assert daemon.tick() == []
    daemon.write(OPENAI_DAY, "2026-11-01", run=repeat, changed=False)
    assert daemon.tick() == []
    daemon.event(repeat, dg.DagsterEventType.RUN_SUCCESS)
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]


@pytest.mark.parametrize("end", [dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED])
def test_days_that_a_failed_run_has_written_are_pushed(daemon: Daemon, end: dg.DagsterEventType) -> None:
    run = daemon.new_run(dg.DagsterRunStatus.STARTED)
    daemon.write(OPENAI_DAY, "2026-11-01", run=run)
    daemon.event(run, end)
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]


def test_days_of_a_deleted_run_that_were_seen_are_pushed(daemon: Daemon) -> None:
    run = daemon.new_run(dg.DagsterRunStatus.STARTED)
    daemon.write(OPENAI_DAY, "2026-11-01", run=run)
    assert daemon.tick() == []
    daemon.instance.delete_run(run.run_id)
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]


def test_contiguous_days_are_one_push_and_a_gap_makes_two(daemon: Daemon) -> None:
    daemon.write(OPENAI_DAY, "2026-01-01", "2025-12-30", "2025-12-31", "2026-02-28", "2026-03-01", "2026-07-04")
    assert daemon.tick() == [
        "openai 2025-12-30..2026-01-01",
        "openai 2026-02-28..2026-03-01",
        "openai 2026-07-04..2026-07-04",
    ]


def test_a_push_has_at_most_186_days(daemon: Daemon) -> None:
    daemon.write(OPENAI_DAY, *days(date(2026, 1, 1), 187))
    assert daemon.tick() == ["openai 2026-01-01..2026-07-05", "openai 2026-07-06..2026-07-06"]


def test_connections_are_pushed_apart(daemon: Daemon) -> None:
    for asset in (OPENAI_DAY, CLAUDE_DAY):
        daemon.write(asset, "2026-11-01", "2026-11-02")
    assert sorted(daemon.tick()) == ["anthropic 2026-11-01..2026-11-02", "openai 2026-11-01..2026-11-02"]
    assert sorted(str(request.asset_selection) for request in daemon.requests) == [
        str([port_sync_key("anthropic")]),
        str([port_sync_key("openai")]),
    ]
    daemon.fail(of="openai")
    daemon.succeed(of="anthropic")
    daemon.tick()
    assert daemon.said == "2 days waiting for another attempt"


def test_a_connection_that_is_being_written_does_not_hold_up_another(daemon: Daemon) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01", run=daemon.new_run(dg.DagsterRunStatus.STARTED))
    daemon.write(CLAUDE_DAY, "2026-11-01")
    assert daemon.tick() == ["anthropic 2026-11-01..2026-11-01"]


def test_several_assets_of_a_day_are_one_push(daemon: Daemon) -> None:
    for asset in ENTITIES["openai"]:
        daemon.write(asset, "2026-11-01")
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]
    daemon.succeed()
    assert daemon.tick() == []


def test_a_day_that_a_backfill_writes_twice_is_one_push(daemon: Daemon) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01", content="a")
    daemon.write(OPENAI_DAY, "2026-11-01", content="b")
    daemon.write(OPENAI_DAY, "2026-11-01", content="b", changed=False)
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]
    daemon.succeed()
    assert daemon.tick() == []
    assert daemon.said == "Port has every change"


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTED])
def test_a_push_under_way_is_waited_for(daemon: Daemon, status: dg.DagsterRunStatus) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01", "2026-11-02")
    daemon.tick()
    if status is dg.DagsterRunStatus.STARTED:
        daemon.event(daemon.pushes()[0], dg.DagsterEventType.RUN_START)
    for _ in range(3):
        assert daemon.tick() == []
        assert daemon.said == "2 days being pushed"


def test_a_push_may_wait_in_dagsters_queue_for_as_long_as_it_takes(
    daemon: Daemon, clock: time_machine.Traveller
) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01")
    daemon.tick()
    clock.shift(timedelta(days=3))
    assert daemon.tick() == []
    assert daemon.said == "1 days being pushed"


def test_a_push_whose_process_was_killed_is_repeated_after_an_hour(
    daemon: Daemon, clock: time_machine.Traveller
) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01")
    daemon.tick()
    daemon.event(daemon.pushes()[0], dg.DagsterEventType.RUN_START)
    clock.shift(timedelta(minutes=59))
    assert daemon.tick() == []
    assert daemon.said == "1 days being pushed"
    clock.shift(timedelta(minutes=2))
    assert daemon.tick() == []
    assert daemon.said == "1 days waiting for another attempt"
    clock.shift(timedelta(minutes=1))
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]


def test_a_pushed_day_is_forgotten(daemon: Daemon) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01")
    daemon.tick()
    daemon.succeed()
    assert daemon.tick() == []
    assert daemon.said == "Port has every change"
    assert "2026-11-01" not in (daemon.cursor or "")


def test_a_change_during_a_push_is_pushed_after_it(daemon: Daemon) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01", "2026-11-02")
    daemon.tick()
    daemon.write(OPENAI_DAY, "2026-11-02", content="b")
    assert daemon.tick() == []
    daemon.succeed()
    assert daemon.tick() == ["openai 2026-11-02..2026-11-02"]
    daemon.succeed()
    assert daemon.tick() == []
    assert daemon.said == "Port has every change"


def test_a_change_during_a_push_that_fails_is_pushed_with_the_next_attempt(
    daemon: Daemon, clock: time_machine.Traveller
) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01")
    daemon.tick()
    daemon.write(OPENAI_DAY, "2026-11-01", content="b")
    daemon.tick()
    daemon.fail()
    daemon.tick()
    clock.shift(timedelta(hours=1))
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]
    daemon.succeed()
    assert daemon.tick() == []
    assert daemon.said == "Port has every change"


def test_a_b_a_is_three_pushes(daemon: Daemon) -> None:
    keys = set()
    for content in "aba":
        daemon.write(OPENAI_DAY, "2026-11-01", content=content)
        assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]
        keys |= {request.run_key for request in daemon.requests}
        daemon.succeed()
        assert daemon.tick() == []
    assert len(keys) == 3


def fail_until_parked(daemon: Daemon, clock: time_machine.Traveller) -> None:
    """Let every attempt at what is pending fail."""
    for _ in range(MAX_ATTEMPTS):
        assert daemon.tick()
        daemon.fail()
        assert daemon.tick() == []
        clock.shift(timedelta(hours=1))


def test_a_failed_push_is_repeated_after_growing_pauses(daemon: Daemon, clock: time_machine.Traveller) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01")
    daemon.tick()
    for attempt, minutes in enumerate((1, 2, 4, 8, 16, 32, 60, 60, 60), start=2):
        daemon.fail()
        assert daemon.tick() == []
        assert daemon.said == "1 days waiting for another attempt"
        pause = timedelta(minutes=minutes)
        clock.shift(pause - timedelta(seconds=1))
        assert daemon.tick() == []
        clock.shift(timedelta(seconds=1))
        assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]
        assert str(daemon.requests[0].run_key).endswith(f":{attempt}")
    assert attempt == MAX_ATTEMPTS


def test_after_ten_failures_a_day_is_parked_and_named(daemon: Daemon, clock: time_machine.Traveller) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01")
    fail_until_parked(daemon, clock)
    clock.shift(timedelta(days=30))
    assert daemon.tick() == []
    assert daemon.said is not None
    assert daemon.said == (
        "1 days parked after 10 failed pushes (openai 2026-11-01): "
        "see the failed port_sync run, then materialize port_sync for them"
    )
    assert len(daemon.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))) == 10


def fail_for_real(daemon: Daemon, reason: str) -> None:
    """Let the runs that the last tick requested be executed, and fail as a push does."""
    for request in daemon.requests:
        (launched,) = daemon.instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": str(request.run_key)}))
        daemon.instance.delete_run(launched.run_id)

        @dg.asset(key=port_sync_key(request.tags["usage_assets/connection"]))
        def port_sync() -> None:
            raise dg.Failure(reason, allow_retries=False)

        tags = {**request.tags, "dagster/run_key": str(request.run_key)}
        assert not dg.materialize([port_sync], instance=daemon.instance, tags=tags, raise_on_error=False).success


REFUSED = "Port refused 1 entities, 40 others were sent and 0 deleted: claude_cost_record 2026-11-02-cost: it must be"


def test_the_skip_reason_names_the_entity_that_port_refuses_and_why(
    daemon: Daemon, clock: time_machine.Traveller
) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01", "2026-11-02")
    for _ in range(MAX_ATTEMPTS):
        assert daemon.tick() == ["openai 2026-11-01..2026-11-02"]
        fail_for_real(daemon, f"{REFUSED}\nnumber")
        daemon.tick()
        said, limit = daemon.said, len(daemon.cursor or "")
        clock.shift(timedelta(hours=1))
    assert limit < 1000
    assert said == (
        "2 days parked after 10 failed pushes (openai 2026-11-01, openai 2026-11-02): see the failed port_sync run, "
        f"then materialize port_sync for them; the last push failed: {REFUSED} number"
    )
    daemon.write(OPENAI_DAY, "2026-11-01", "2026-11-02", content="b")
    daemon.tick()
    assert daemon.tick() == []
    assert daemon.said == "2 days being pushed"


def test_what_a_failed_push_said_is_kept_in_bounds(daemon: Daemon) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01")
    daemon.write(CLAUDE_DAY, "2026-11-01")
    daemon.tick()
    fail_for_real(daemon, "x" * 10_000)
    daemon.tick()
    assert len(daemon.cursor or "") < 1300
    assert daemon.said == f"2 days waiting for another attempt; the last push failed: {'x' * 300}"


def test_a_parked_day_does_not_hold_up_others(daemon: Daemon, clock: time_machine.Traveller) -> None:
    daemon.write(OPENAI_DAY, "2026-11-02")
    fail_until_parked(daemon, clock)
    daemon.write(OPENAI_DAY, "2026-11-01", "2026-11-03")
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01", "openai 2026-11-03..2026-11-03"]


def test_a_new_change_takes_a_day_out_of_parking(daemon: Daemon, clock: time_machine.Traveller) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01")
    fail_until_parked(daemon, clock)
    daemon.write(OPENAI_DAY, "2026-11-01", content="b")
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]
    daemon.succeed()
    daemon.tick()
    assert daemon.said == "Port has every change"


def test_a_parked_day_that_a_person_pushes_is_done(daemon: Daemon, clock: time_machine.Traveller) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01", "2026-11-02")
    fail_until_parked(daemon, clock)
    daemon.push_days(daemon.new_run(dg.DagsterRunStatus.STARTED, by_hand("2026-11-01")))
    assert daemon.tick() == []
    assert daemon.said is not None
    assert daemon.said.startswith("1 days parked after 10 failed pushes (openai 2026-11-02): ")


@pytest.mark.parametrize("failures", [1, MAX_ATTEMPTS])
def test_a_push_that_began_before_the_change_does_not_count(
    daemon: Daemon, clock: time_machine.Traveller, failures: int
) -> None:
    """It may have read the day before it changed, however late its event comes."""
    slow = daemon.new_run(dg.DagsterRunStatus.STARTED, by_hand("2026-11-01"))
    clock.shift(timedelta(seconds=1))
    daemon.write(OPENAI_DAY, "2026-11-01")
    daemon.tick()
    for _ in range(failures):
        daemon.fail()
        daemon.tick()
        clock.shift(timedelta(hours=1))
        daemon.tick()
    daemon.push_days(slow)
    daemon.tick()
    assert daemon.said is not None
    assert daemon.said.startswith("1 days being pushed" if failures == 1 else "1 days parked")


def by_hand(day: str) -> dict[str, str]:
    """Tags of a push of one OpenAI day that a person launched."""
    return {**range_tags(date.fromisoformat(day), date.fromisoformat(day)), "usage_assets/connection": "openai"}


def test_a_failed_push_that_is_run_again_from_the_ui_counts(daemon: Daemon) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01")
    daemon.tick()
    (failed,) = daemon.pushes()
    daemon.fail()
    again = daemon.new_run(dg.DagsterRunStatus.STARTED, dict(failed.tags))
    assert daemon.tick() == []
    assert daemon.said == "1 days being pushed"
    daemon.push_days(again)
    daemon.tick()
    assert daemon.said == "Port has every change"


@pytest.mark.parametrize("how", ["deleted", "canceled"])
def test_a_push_that_was_taken_away_is_repeated(daemon: Daemon, clock: time_machine.Traveller, how: str) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01")
    daemon.tick()
    (run,) = daemon.pushes()
    if how == "deleted":
        daemon.instance.delete_run(run.run_id)
    else:
        daemon.instance.report_run_canceled(run)
    assert daemon.tick() == []
    clock.shift(timedelta(minutes=1))
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]


@pytest.mark.parametrize(
    "cursor", ["", "{", "[]", "null", '{"read": 5}', '{"pending": {"openai": {"2026-11-01": []}}}', "\x00", "42"]
)
def test_an_unreadable_cursor_starts_again(daemon: Daemon, cursor: str) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01")
    daemon.cursor = cursor
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]


def test_a_lost_cursor_pushes_everything_once_more(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the log is longer than one tick reads and holds several changes of a day."""
    monkeypatch.setattr(sensors, "EVENTS_PER_TICK", 5)
    daemon.write(OPENAI_DAY, *days(date(2026, 11, 1), 4))
    daemon.tick()
    daemon.succeed()
    daemon.write(OPENAI_DAY, *days(date(2026, 11, 1), 4), content="b")
    daemon.tick()
    daemon.succeed()
    daemon.cursor = None
    assert [launched for _ in range(4) for launched in daemon.tick()] == ["openai 2026-11-01..2026-11-04"]
    daemon.succeed()
    assert daemon.tick() == []
    assert daemon.said == "Port has every change"


def test_no_day_is_lost_where_one_tick_cannot_read_all_events(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "EVENTS_PER_TICK", 5)
    daemon.write(OPENAI_DAY, *days(date(2026, 11, 1), 12))
    daemon.write(OPENAI_MODEL, *days(date(2026, 11, 5), 12))
    assert daemon.tick() == []
    assert daemon.said is not None
    assert daemon.said.startswith("reading the event log")
    assert daemon.tick() == []
    assert daemon.tick() == ["openai 2026-11-01..2026-11-16"]


def test_an_older_event_that_is_read_later_is_not_lost(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "EVENTS_PER_TICK", 3)
    daemon.write(OPENAI_DAY, *days(date(2026, 11, 1), 5))
    daemon.write(OPENAI_MODEL, "2026-11-05")
    launched = [described for _ in range(3) for described in daemon.tick()]
    daemon.succeed()
    launched += daemon.tick()
    covered = {day for text in launched for day in days_of_description(text)}
    assert covered == set(days(date(2026, 11, 1), 5))


def days_of_description(text: str) -> list[str]:
    """Partition keys that a described push covers."""
    first, last = map(date.fromisoformat, text.split()[1].split(".."))
    return days(first, (last - first).days + 1)


def test_a_daemon_killed_before_it_saved_the_cursor_launches_nothing_twice(daemon: Daemon) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01", "2026-11-02", "2026-11-05")
    daemon.write(CLAUDE_DAY, "2026-11-01")
    saved = daemon.cursor
    assert len(daemon.tick()) == 3
    daemon.cursor = saved
    assert daemon.tick() == []
    daemon.succeed()
    assert daemon.tick() == []
    assert daemon.said == "Port has every change"


def test_a_daemon_killed_before_it_launched_a_run_requests_it_again(
    daemon: Daemon, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.write(OPENAI_DAY, "2026-11-01")
    with monkeypatch.context() as killed:
        killed.setattr(Daemon, "launch", lambda *_: False)
        assert daemon.tick() == []
    assert daemon.tick() == []
    clock.shift(timedelta(minutes=1))
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]


def test_a_connection_that_was_removed_is_forgotten_and_comes_back_whole(daemon: Daemon) -> None:
    """A request for an asset that is gone makes every tick fail, and no other connection is pushed."""
    daemon.write(OPENAI_DAY, "2026-11-01", run=daemon.new_run(dg.DagsterRunStatus.STARTED))
    daemon.write(CLAUDE_DAY, "2026-11-01")
    assert daemon.tick() == ["anthropic 2026-11-01..2026-11-01"]
    daemon.succeed()
    daemon.entities = {"anthropic": ENTITIES["anthropic"]}
    for run in daemon.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        daemon.event(run, dg.DagsterEventType.RUN_SUCCESS)
    assert daemon.tick() == []
    assert daemon.said == "Port has every change"
    daemon.entities = dict(ENTITIES)
    assert daemon.tick() == ["openai 2026-11-01..2026-11-01"]


@pytest.mark.parametrize("beyond", [-1, 0, 3])
def test_no_day_is_lost_when_a_run_that_was_read_is_deleted(
    daemon: Daemon, clock: time_machine.Traveller, beyond: int
) -> None:
    """SQLite gives out its ids again: the repeat's events stand where the deleted ones stood, and end before, at or
    after the last one. In PostgreSQL they come after them."""
    deleted = daemon.new_run(dg.DagsterRunStatus.STARTED)
    daemon.write(OPENAI_DAY, "2026-10-02", "2026-10-03", run=deleted)
    daemon.tick()
    read_to = newest_storage_id(daemon.instance, OPENAI_DAY)
    daemon.instance.delete_run(deleted.run_id)
    clock.shift(timedelta(minutes=1))
    repeated = days(date(2026, 11, 5), read_to + beyond)
    daemon.write(OPENAI_DAY, *repeated)
    newest, is_on_postgres = newest_storage_id(daemon.instance, OPENAI_DAY), not daemon.instance.is_ephemeral
    assert newest > read_to if is_on_postgres else newest == read_to + beyond
    covered = {day for text in daemon.tick() for day in days_of_description(text)}
    assert covered >= set(repeated)


def newest_storage_id(instance: dg.DagsterInstance, asset: dg.AssetKey) -> int:
    """Return the id of an asset's newest materialization."""
    return instance.fetch_materializations(asset, limit=1).records[0].storage_id


def test_an_idle_tick_asks_the_database_as_much_after_fifty_days_as_after_two(daemon: Daemon) -> None:
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT"):
            statements.append(statement)

    def idle_tick() -> int:
        daemon.tick()
        daemon.succeed()
        daemon.tick()
        statements.clear()
        assert daemon.tick() == []
        assert daemon.said == "Port has every change"
        return len(statements)

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", count)
    try:
        daemon.write(OPENAI_DAY, "2026-01-01", "2026-01-02")
        few = idle_tick()
        daemon.write(OPENAI_DAY, *days(date(2026, 2, 1), 50))
        assert 0 < idle_tick() == few <= 4
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", count)


def test_the_cursor_holds_pending_days_and_no_others(daemon: Daemon) -> None:
    daemon.write(OPENAI_DAY, *days(date(2026, 1, 1), 50))
    daemon.tick()
    daemon.succeed()
    daemon.tick()
    assert json.loads(daemon.cursor or "")["pending"] == {}


def test_the_cursor_does_not_grow_with_the_days_that_are_pushed_or_parked(
    daemon: Daemon, clock: time_machine.Traveller
) -> None:
    """Dagster stores it with every tick: an entry per day would be gigabytes for a year that is parked for a week."""
    for asset in (OPENAI_DAY, OPENAI_MODEL, CLAUDE_DAY):
        daemon.write(asset, *days(date(2026, 1, 1), 40))
    for _ in range(MAX_ATTEMPTS):
        assert daemon.tick()
        assert len(daemon.cursor or "") < 1000
        daemon.fail()
        daemon.tick()
        clock.shift(timedelta(hours=1))
    daemon.tick()
    assert len(daemon.cursor or "") < 1000
    assert daemon.said is not None
    assert daemon.said.startswith("80 days parked")


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens between ticks, in any order: in the end each change is in a push that was requested after it."""

    def __init__(self, new_instance: NewInstance) -> None:
        super().__init__()
        self.opened = ExitStack()
        self.clock = self.opened.enter_context(time_machine.travel(NOW, tick=False))
        self.instance = self.opened.enter_context(new_instance())
        self.daemon = Daemon(self.instance)
        self.moment = 0
        self.changed: dict[tuple[str, str], int] = {}
        self.launched: dict[str, int] = {}
        self.pushed: dict[tuple[str, str], int] = {}

    def tick(self) -> list[str]:
        """Run one tick and note when its pushes were launched."""
        described = self.daemon.tick()
        self.moment += 1
        for run in self.daemon.pushes():
            self.launched.setdefault(run.run_id, self.moment)
        return described

    @rule()
    def one_tick(self) -> None:
        """The daemon's everyday."""
        self.tick()

    @rule()
    def a_daemon_that_died_before_it_saved_the_cursor(self) -> None:
        """The same cursor is evaluated twice, and nothing launched twice."""
        saved = self.daemon.cursor
        self.tick()
        self.daemon.cursor = saved
        assert self.tick() == []

    @rule(asset=st.sampled_from([OPENAI_DAY, OPENAI_MODEL, CLAUDE_DAY]), days=st.sets(MONDAY_TO_FRIDAY, min_size=1))
    def write(self, asset: dg.AssetKey, days: set[str]) -> None:
        """Some days change, perhaps to what they were before."""
        self.moment += 1
        for day in sorted(days):
            self.daemon.write(asset, day, content="ab"[self.moment % 2])
            self.changed[asset.path[0], day] = self.moment

    @rule(first=st.booleans())
    def succeed(self, first: bool) -> None:
        """The oldest or the newest push ends well."""
        if pushes := self.daemon.pushes():
            run = pushes[0 if first else -1]
            self.daemon.push_days(run)
            for day in days_of_description(described(run.tags)):
                key = (run.tags["usage_assets/connection"], day)
                self.pushed[key] = max(self.pushed.get(key, 0), self.launched[run.run_id])

    @rule(how=st.sampled_from(["fails", "is canceled", "is deleted"]))
    def fail(self, how: str) -> None:
        """The oldest push comes to nothing."""
        for run in self.daemon.pushes()[:1]:
            if how == "is deleted":
                self.instance.delete_run(run.run_id)
            elif how == "is canceled":
                self.instance.report_run_canceled(run)
            else:
                self.daemon.event(run, dg.DagsterEventType.RUN_FAILURE)

    @rule(cursor=st.sampled_from([None, "{", '{"pending": 1}']))
    def lose_the_cursor(self, cursor: str | None) -> None:
        """Somebody resets it, or what is stored cannot be read."""
        self.daemon.cursor = cursor

    @rule(minutes=st.sampled_from([1, 5, 90]))
    def wait(self, minutes: int) -> None:
        """Time goes by."""
        self.clock.shift(timedelta(minutes=minutes))

    def teardown(self) -> None:
        """Let everything that is asked for succeed from now on."""
        with self.opened:
            for _ in range(20):
                self.tick()
                if self.daemon.said == "Port has every change":
                    break
                while self.daemon.pushes():
                    self.succeed(first=True)
                self.clock.shift(timedelta(hours=1))
            assert self.daemon.said == "Port has every change"
            assert {key for key, moment in self.changed.items() if self.pushed.get(key, 0) < moment} == set()


@pytest.mark.slow
def test_no_change_is_lost_whatever_happens_in_which_order(new_instance: NewInstance) -> None:
    game: Any = partial(AnyOrder, new_instance)
    run_state_machine_as_test(
        game,
        settings=settings(
            max_examples=10,
            stateful_step_count=25,
            derandomize=True,
            database=None,
            phases=[Phase.generate],  # shrinking takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize(
    ("running", "status"), [(True, dg.DefaultSensorStatus.RUNNING), (False, dg.DefaultSensorStatus.STOPPED)]
)
def test_the_sensor_runs_by_default_only_where_port_is_configured(
    running: bool, status: dg.DefaultSensorStatus
) -> None:
    assert build_port_sensor(ENTITIES, running=running, last_day=NOW.date).default_status is status
