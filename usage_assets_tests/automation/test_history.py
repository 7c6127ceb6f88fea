"""The history sensor as a state machine, tick by tick, on a real instance whose runs are moved from state to state."""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import dagster as dg
import pytest
import sqlalchemy
import time_machine
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.utils import make_new_run_id
from pydantic import SecretStr

from usage_assets.automation.history import build_history_sensor
from usage_assets.automation.jobs import USAGE_JOB, build_jobs
from usage_assets.providers.windows import Window
from usage_assets.settings import Connection, KeyReference, ProviderName

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
DAILY = dg.DailyPartitionsDefinition("2024-01-01", timezone="UTC")
LOCATION = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("usage_assets"), "__repository__")
LATEST, MIDDLE, OLDEST = "2026-11-17..2026-11-19", "2026-11-14..2026-11-16", "2026-11-12..2026-11-13"
DONE = "the whole past of every connection is stored"


def connection(name: str = "openai", **changes: Any) -> Connection:
    """A connection with a key whose history is eight days."""
    provider: ProviderName = "anthropic" if name.startswith("anthropic") else "openai"
    made = Connection(
        name=name,
        provider=provider,
        key_reference=KeyReference("env", "KEY"),
        key=SecretStr("k"),
        base_url="https://api.example",
        workspace_id=None,
        start_date=date(2026, 11, 12),
    )
    return replace(made, **changes)


def keys_of(name: str, *endpoints: str) -> list[dg.AssetKey]:
    """Keys of a connection's assets."""
    return [dg.AssetKey([name, endpoint]) for endpoint in endpoints or ("costs", "usage")]


@cache
def build_graph(*keys: dg.AssetKey) -> dg.Definitions:
    """Build the part of the graph that the sensor knows."""

    def asset(key: dg.AssetKey) -> dg.AssetsDefinition:
        @dg.asset(key=key, partitions_def=DAILY)
        def usage() -> None: ...

        return usage

    return dg.Definitions(assets=[*map(asset, keys)], jobs=build_jobs({"": keys}, {}, []))


@dataclass
class Daemon:
    """What Dagster's sensor daemon does with a tick: keeps the cursor, launches each run key once."""

    instance: dg.DagsterInstance
    connections: list[Connection] = field(default_factory=lambda: [connection()])
    keys: dict[str, list[dg.AssetKey]] = field(default_factory=dict)
    cursor: str | None = None
    said: str | None = None
    requests: list[dg.RunRequest] = field(default_factory=list)
    """Of the last tick."""
    max_days: int = 3

    def tick(self) -> list[str]:
        """Run one tick; return what it launched, as ``openai 2026-11-17..2026-11-19``."""
        keys = {each.name: self.keys.get(each.name, keys_of(each.name)) for each in self.connections}
        graph = build_graph(*itertools.chain(*keys.values()))
        sensor = build_history_sensor(self.connections, keys, max_days=self.max_days)
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor, definitions=graph) as context:
            data = sensor.evaluate_tick(context)
        self.cursor, self.said, self.requests = data.cursor, data.skip_message, list(data.run_requests or [])
        return [described(request.tags) for request in self.requests if self.launch(request)]

    def launch(self, request: dg.RunRequest) -> bool:
        """Queue the requested run, unless a run of this key exists already: Dagster never launches a key again."""
        tags = {**request.tags, "dagster/run_key": request.run_key or ""}
        if self.instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": tags["dagster/run_key"]})):
            return False
        run = dg.DagsterRun(
            USAGE_JOB,
            make_new_run_id(),
            status=dg.DagsterRunStatus.QUEUED,
            tags=tags,
            remote_job_origin=RemoteJobOrigin(LOCATION, USAGE_JOB),
        )
        self.instance.add_run(run)
        return True

    def end(self, kind: dg.DagsterEventType, of: str = "") -> None:
        """Let the runs under way end, or those whose description starts with ``of``."""
        for run in self.instance.get_runs():
            if not run.is_finished and described(run.tags).startswith(of):
                self.instance.report_dagster_event(dg.DagsterEvent(kind.value, run.job_name), run.run_id)

    def succeed(self, of: str = "") -> None:
        """Let them succeed."""
        self.end(dg.DagsterEventType.RUN_SUCCESS, of)

    def fail(self, of: str = "") -> None:
        """Let them fail."""
        self.end(dg.DagsterEventType.RUN_FAILURE, of)

    def store(self, first: str, last: str, *keys: dg.AssetKey) -> None:
        """Let the assets have the days, whoever fetched them."""
        for key in keys or keys_of("openai"):
            for day in Window(date.fromisoformat(first), date.fromisoformat(last)).days:
                self.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day.isoformat()))

    def finish(self) -> list[str]:
        """Tick and let every run succeed, until there is nothing more to do; return what was launched."""
        launched: list[str] = []
        while more := self.tick():
            launched += more
            self.succeed()
        return launched


def described(tags: Mapping[str, str]) -> str:
    """Say in words what a run fetches."""
    first, last = (tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))
    return f"{tags['usage_assets/connection']} {first}..{last}"


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still until it is shifted."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def daemon(clock: time_machine.Traveller) -> Iterator[Daemon]:
    """A daemon with an empty instance."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(instance)


def test_a_new_connections_history_is_fetched_once_newest_days_first_and_one_run_at_a_time(daemon: Daemon) -> None:
    for days in (LATEST, MIDDLE, OLDEST):
        assert daemon.tick() == [f"openai {days}"]
        assert daemon.tick() == [], "one run of a connection at a time"
        assert daemon.said == f"openai {days.replace('..', ' to ')}: being fetched"
        daemon.succeed()
    assert daemon.tick() == []
    assert daemon.said == DONE
    assert daemon.tick() == []


def test_a_request_is_like_those_of_the_schedules_but_goes_last(daemon: Daemon) -> None:
    daemon.tick()
    (request,) = daemon.requests
    assert request.asset_selection == keys_of("openai")
    assert request.tags == {
        "dagster/asset_partition_range_start": "2026-11-17",
        "dagster/asset_partition_range_end": "2026-11-19",
        "usage_assets/connection": "openai",
        "dagster/priority": "-10",
        "dagster/sensor_name": "history_sensor",
    }


def test_a_run_has_at_most_186_days(daemon: Daemon) -> None:
    daemon.max_days = 186
    daemon.connections = [connection("anthropic", start_date=date(2025, 1, 1))]
    assert daemon.tick() == ["anthropic 2026-05-18..2026-11-19"]


def test_no_day_is_asked_for_that_the_provider_has_forgotten(daemon: Daemon, clock: time_machine.Traveller) -> None:
    daemon.max_days = 200
    daemon.connections = [connection(start_date=date(2024, 1, 1)), connection("anthropic", start_date=date(2026, 1, 1))]
    assert daemon.tick() == ["openai 2026-05-04..2026-11-19", "anthropic 2026-05-04..2026-11-19"]
    clock.shift(timedelta(days=2))
    daemon.succeed()
    assert daemon.tick() == ["openai 2025-11-22..2026-05-03", "anthropic 2026-01-01..2026-05-03"]
    daemon.fail("openai")
    clock.shift(timedelta(days=1))
    daemon.tick()
    assert daemon.tick() == []


def test_an_attempt_that_comes_days_later_leaves_out_what_the_provider_has_forgotten_since(
    daemon: Daemon, clock: time_machine.Traveller
) -> None:
    daemon.max_days = 400
    daemon.connections = [connection(start_date=date(2024, 1, 1))]
    assert daemon.tick() == ["openai 2025-11-20..2026-11-19"]
    daemon.fail()
    daemon.tick()
    clock.shift(timedelta(days=2))
    assert daemon.tick() == ["openai 2025-11-22..2026-11-19"]


def test_connections_do_not_wait_for_each_other(daemon: Daemon, clock: time_machine.Traveller) -> None:
    daemon.connections = [connection(), connection("anthropic")]
    assert daemon.tick() == [f"openai {LATEST}", f"anthropic {LATEST}"]
    daemon.succeed("anthropic")
    daemon.fail("openai")
    assert daemon.tick() == [f"anthropic {MIDDLE}"]


@pytest.mark.parametrize("kind", [dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED])
def test_a_failed_run_is_repeated_twice_then_reported_and_older_days_go_on(
    daemon: Daemon, clock: time_machine.Traveller, kind: dg.DagsterEventType
) -> None:
    for pause in (10, 20):
        assert daemon.tick() == [f"openai {LATEST}"]
        daemon.end(kind)
        assert daemon.tick() == []
        assert daemon.said == "openai up to 2026-11-19: failed, another attempt follows"
        clock.shift(timedelta(minutes=pause, seconds=-1))
        assert daemon.tick() == []
        clock.shift(timedelta(seconds=1))
    assert daemon.tick() == [f"openai {LATEST}"]
    daemon.end(kind)
    assert daemon.finish() == [f"openai {MIDDLE}", f"openai {OLDEST}"]
    assert daemon.said == (
        "openai 2026-11-17 to 2026-11-19: given up after 3 failed runs "
        "(mend what they say, then reset this sensor's cursor)"
    )


def test_a_reset_cursor_asks_again_for_what_is_missing_only(daemon: Daemon, clock: time_machine.Traveller) -> None:
    for _ in range(3):
        daemon.tick()
        daemon.fail()
        daemon.tick()
        clock.shift(timedelta(hours=1))
    daemon.finish()
    daemon.store("2026-11-12", "2026-11-16")
    daemon.cursor = None
    assert daemon.finish() == [f"openai {LATEST}"]
    assert daemon.said == DONE


def test_a_run_whose_process_was_killed_is_repeated(daemon: Daemon, clock: time_machine.Traveller) -> None:
    daemon.tick()
    daemon.end(dg.DagsterEventType.RUN_START)
    clock.shift(timedelta(minutes=59))
    assert daemon.tick() == []
    assert daemon.said == "openai 2026-11-17 to 2026-11-19: being fetched"
    clock.shift(timedelta(minutes=2))
    daemon.tick()
    clock.shift(timedelta(minutes=10))
    assert daemon.tick() == [f"openai {LATEST}"]


def test_a_run_that_was_never_launched_or_was_deleted_is_repeated(
    daemon: Daemon, clock: time_machine.Traveller
) -> None:
    daemon.tick()
    for run in daemon.instance.get_runs():
        daemon.instance.delete_run(run.run_id)
    daemon.tick()
    clock.shift(timedelta(minutes=10))
    assert daemon.tick() == [f"openai {LATEST}"]


def test_days_that_all_assets_have_are_not_asked_for_again(daemon: Daemon) -> None:
    daemon.store("2026-11-14", "2026-11-19")
    assert daemon.finish() == [f"openai {OLDEST}"]


def test_days_that_one_asset_lacks_are_asked_for(daemon: Daemon) -> None:
    costs, usage = keys_of("openai")
    daemon.store("2026-11-12", "2026-11-19", costs)
    daemon.store("2026-11-12", "2026-11-15", usage)
    daemon.store("2026-11-17", "2026-11-19", usage)
    assert daemon.finish() == [f"openai {MIDDLE}"]


def test_days_that_someone_stored_while_an_attempt_was_awaited_are_passed_over(
    daemon: Daemon, clock: time_machine.Traveller
) -> None:
    daemon.tick()
    daemon.fail()
    daemon.tick()
    daemon.store("2026-11-17", "2026-11-19")
    clock.shift(timedelta(hours=1))
    assert daemon.tick() == [f"openai {MIDDLE}"]


@pytest.mark.parametrize(
    "change",
    [
        {"filters": {"models": ("gpt-5",)}},
        {"filters": {"models": ("gpt-5", "gpt-5-mini")}},
        {"organization": "org-2"},
        {"project": "proj_2"},
        {"people": "hash"},
    ],
)
def test_asking_for_something_else_begins_again_also_for_days_that_are_stored(
    daemon: Daemon, change: dict[str, Any]
) -> None:
    daemon.store("2026-11-12", "2026-11-19")
    assert daemon.finish() == []
    daemon.connections = [connection(**change)]
    assert daemon.tick() == [f"openai {LATEST}"]
    daemon.store("2026-11-14", "2026-11-19")
    daemon.succeed()
    assert daemon.finish() == [f"openai {OLDEST}"], "what was stored since the change counts"
    assert daemon.finish() == []


def test_an_organization_that_nobody_is_told_of_changes_no_answer(daemon: Daemon) -> None:
    daemon.connections = [connection("anthropic")]
    daemon.store("2026-11-12", "2026-11-19", *keys_of("anthropic"))
    assert daemon.finish() == []
    daemon.connections = [connection("anthropic", organization="one")]
    assert daemon.finish() == []


def test_a_change_while_a_run_is_under_way_begins_again_after_it(daemon: Daemon, clock: time_machine.Traveller) -> None:
    daemon.tick()
    clock.shift(timedelta(minutes=1))
    daemon.connections = [connection(filters={"batch": ("true",)})]
    assert daemon.tick() == []
    daemon.store("2026-11-17", "2026-11-19")
    daemon.succeed()
    assert daemon.finish() == [f"openai {LATEST}", f"openai {MIDDLE}", f"openai {OLDEST}"]


@pytest.mark.parametrize(
    "change",
    [
        {"base_url": "https://gateway.example"},
        {"requests_per_second": 1.0},
        {"key": SecretStr("another")},
        {"key_reference": KeyReference("file", "/run/secrets/key")},
    ],
)
def test_asking_otherwise_for_the_same_begins_nothing(daemon: Daemon, change: dict[str, Any]) -> None:
    daemon.finish()
    daemon.connections = [connection(**change)]
    assert daemon.tick() == []
    assert daemon.said == DONE


def test_the_order_of_filters_is_no_change(daemon: Daemon) -> None:
    daemon.connections = [connection(filters={"models": ("a", "b"), "sizes": ("c",)})]
    daemon.finish()
    daemon.connections = [connection(filters={"sizes": ("c",), "models": ("b", "a")})]
    assert daemon.tick() == []


def test_an_endpoint_that_is_switched_on_gets_its_history(daemon: Daemon) -> None:
    daemon.store("2026-11-12", "2026-11-19")
    daemon.tick()
    costs, usage, images = daemon.keys["openai"] = keys_of("openai", "costs", "usage", "images")
    daemon.store("2026-11-12", "2026-11-13", images)
    assert daemon.finish() == [f"openai {LATEST}", f"openai {MIDDLE}"]
    daemon.keys["openai"] = [usage, costs]
    assert daemon.tick() == []


def test_an_earlier_start_asks_for_the_days_before(daemon: Daemon) -> None:
    daemon.store("2026-11-12", "2026-11-19")
    daemon.tick()
    daemon.connections = [connection(start_date=date(2026, 11, 10))]
    assert daemon.finish() == ["openai 2026-11-11..2026-11-13", "openai 2026-11-10..2026-11-10"]


def test_later_days_are_the_schedules_business(daemon: Daemon, clock: time_machine.Traveller) -> None:
    daemon.finish()
    clock.shift(timedelta(days=40))
    assert daemon.tick() == []
    assert daemon.said == DONE


@pytest.mark.parametrize("cursor", ["", "{", "[]", '{"openai": 1}', '{"openai": ["a", "b"]}'])
def test_a_corrupt_cursor_is_started_again(daemon: Daemon, clock: time_machine.Traveller, cursor: str) -> None:
    daemon.tick()
    clock.shift(timedelta(minutes=1))
    daemon.cursor = cursor
    assert daemon.tick() == [f"openai {LATEST}"], "Dagster launches it: its run key is a new one"


def test_a_removed_connection_is_forgotten_and_one_that_comes_back_is_new(
    daemon: Daemon, clock: time_machine.Traveller
) -> None:
    daemon.connections = [connection(), connection("anthropic")]
    daemon.finish()
    daemon.connections = [connection()]
    assert daemon.tick() == []
    assert list(json.loads(daemon.cursor or "")) == ["openai"]
    clock.shift(timedelta(minutes=1))
    daemon.connections = [connection(), connection("anthropic")]
    assert daemon.tick() == [f"anthropic {LATEST}"]


def test_a_connection_without_a_key_waits_for_it(daemon: Daemon) -> None:
    daemon.connections = [connection(key=None)]
    assert daemon.tick() == []
    daemon.connections = [connection()]
    assert daemon.tick() == [f"openai {LATEST}"]
    daemon.connections = [connection(key=None)]
    daemon.succeed()
    assert daemon.tick() == []
    daemon.connections = [connection()]
    assert daemon.tick() == [f"openai {MIDDLE}"]


def test_a_connection_whose_endpoints_are_all_off_is_not_asked(daemon: Daemon) -> None:
    """An empty selection would be the whole job: every other connection again."""
    daemon.connections = [connection("anthropic"), connection()]
    daemon.keys["openai"] = []
    assert daemon.tick() == [f"anthropic {LATEST}"]


def test_a_connection_that_starts_today_has_no_history(daemon: Daemon) -> None:
    daemon.connections = [connection(start_date=date(2026, 11, 20))]
    assert daemon.tick() == []
    assert daemon.said == DONE


def test_an_idle_tick_asks_the_database_for_nothing(daemon: Daemon) -> None:
    daemon.connections = [connection(), connection("anthropic")]
    daemon.finish()
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", note)
    try:
        assert daemon.tick() == []
        assert statements == []
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", note)


def test_stored_days_are_looked_up_once_per_asset_however_many_runs_they_make(daemon: Daemon) -> None:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "GROUP BY event_logs.partition" in statement:
            statements.append(statement)

    daemon.store("2026-11-12", "2026-11-19")
    daemon.max_days = 1
    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", note)
    try:
        assert daemon.tick() == []
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", note)
    assert len(statements) == len(keys_of("openai"))


def test_the_cursor_of_ten_connections_stays_small_and_holds_no_secret(
    daemon: Daemon, clock: time_machine.Traveller
) -> None:
    daemon.connections = [connection(f"anthropic_{n}", key=SecretStr("very-secret")) for n in range(10)]
    for _ in range(3):
        daemon.tick()
        daemon.fail()
        daemon.tick()
        clock.shift(timedelta(hours=1))
    assert len(daemon.cursor or "") < 2000
    assert "very-secret" not in (daemon.cursor or "")


@pytest.mark.parametrize(
    ("key", "status"),
    [(SecretStr("k"), dg.DefaultSensorStatus.RUNNING), (None, dg.DefaultSensorStatus.STOPPED)],
)
def test_the_sensor_runs_by_default_only_where_a_connection_has_a_key(
    key: SecretStr | None, status: dg.DefaultSensorStatus
) -> None:
    sensor = build_history_sensor([connection(key=key)], {"openai": keys_of("openai")})
    assert sensor.default_status is status
