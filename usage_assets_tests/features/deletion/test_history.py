"""Dagster's history after a pruning: the UI and the sensors see what they saw, and the files are smaller."""

import random
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import time_machine
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from sqlalchemy import text

from usage_assets.assets.failures import last_failures, reason_of
from usage_assets.assets.location import Location
from usage_assets.assets.warehouse_resource import WarehouseResource
from usage_assets.config.settings import Settings
from usage_assets.features.deletion import history
from usage_assets.features.deletion.graph import PRUNE_JOB, build
from usage_assets.features.deletion.history import History, Prunable
from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.fixtures import IS_NIGHT, NOW
from usage_assets_tests.postgres import close, dagster_yaml, drop, name_of, new_database, url_of
from usage_assets_tests.terminal import ROOT

pytestmark = pytest.mark.usefixtures("output_is_not_repeated")

BEFORE = NOW - timedelta(days=90)
DAYS = dg.DailyPartitionsDefinition("2026-03-01", end_date="2026-03-13")
KEYS = list(DAYS.get_partition_keys())
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
POLICY = dg.BackfillPolicy.single_run()


@dg.asset(partitions_def=DAYS, backfill_policy=POLICY)
def raw(context: dg.AssetExecutionContext) -> None:
    """Fail where the run is told to."""
    if "fails" in context.run.tags:
        raise dg.Failure(f"refused in {context.run.tags['fails']}", allow_retries=False)


@dg.asset(partitions_def=DAYS, backfill_policy=POLICY, deps=[raw])
def derived() -> None:
    """Read the other one."""


@dg.asset
def names(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Has no days, and observes what has."""
    context.log_event(dg.AssetObservation(raw.key, partition=KEYS[0], metadata={"run": context.run.run_id}))
    if "fails" in context.run.tags:
        raise dg.Failure("refused", allow_retries=False)
    return dg.MaterializeResult()


@dg.multi_asset_check(specs=[dg.AssetCheckSpec("is_whole", asset=raw.key)])
def whole(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckEvaluation | dg.AssetCheckResult]:
    """Each day has a result, and the run another."""
    passed = "wrong" not in context.run.tags
    for day in context.partition_keys:
        yield dg.AssetCheckEvaluation(
            asset_key=raw.key, check_name="is_whole", passed=passed, metadata={}, partition=day
        )
    yield dg.AssetCheckResult(asset_key=raw.key, check_name="is_whole", passed=passed)


DEFINITIONS = dg.Definitions(assets=[raw, derived, names], asset_checks=[whole], executor=dg.in_process_executor)
CHECK = dg.AssetCheckKey(raw.key, "is_whole")


@dataclass(frozen=True)
class Homes:
    """Makes Dagster homes, and copies of them: their history is in SQLite files, or in PostgreSQL."""

    server: str | None
    template: str
    databases: dict[Path, str] = field(default_factory=dict)

    def new(self, folder: Path) -> None:
        """Make an empty home of an existing folder."""
        if self.server is None:
            shutil.copy(ROOT / "dagster.yaml", folder)
        else:
            self.take(folder, self.template)

    def copy(self, lived: Path, folder: Path) -> None:
        """Make a folder a copy of a home that nobody uses."""
        shutil.copytree(lived, folder)
        if self.server is not None:
            self.take(folder, name_of(self.databases[lived]))

    def take(self, folder: Path, template: str) -> None:
        """Give a home a database like this one."""
        assert self.server
        self.databases[folder] = new_database(self.server, template)
        (folder / "dagster.yaml").write_text(dagster_yaml(self.databases[folder]))

    @contextmanager
    def opened(self, folder: Path) -> Iterator[dg.DagsterInstance]:
        """Open a home."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("DAGSTER_HOME", str(folder))
            with dg.DagsterInstance.get() as instance:
                yield instance
        if folder in self.databases:
            close(url_of(self.databases[folder]))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def homes(request: pytest.FixtureRequest) -> Iterator[Homes]:
    """Homes whose history is there."""
    if request.param == "sqlite":
        yield Homes(None, "")
        return
    made = Homes(*(request.getfixturevalue(name) for name in ("postgres", "dagster_tables")))
    yield made
    for database in made.databases.values():
        drop(database)


@dataclass(frozen=True)
class Life:
    """A home in which something happened for 200 days."""

    folder: Path
    shown: Mapping[str, Any]
    """What is seen of it."""


@pytest.fixture(scope="module")
def life(output_is_not_repeated: None, homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Live once."""
    folder = tmp_path_factory.mktemp("home")
    homes.new(folder)
    with homes.opened(folder) as instance:
        # Let 200 days go by until NOW, on some of which something ran.
        dice, times = random.Random(1), 30 if IS_NIGHT else 18
        for n in range(times):
            at = NOW - timedelta(days=200) * (1 - n / times)
            first = dice.randrange(len(KEYS))
            chosen = dice.choice([[], KEYS[first : first + dice.randint(1, 7)]])
            run(instance, at, chosen, *(word for word in ("fails", "wrong") if dice.random() < 0.3))
            # Note a tick of a schedule, with a log.
            name = dice.choice(["daily", "weekly"])
            log_key = ["repository", name, str(int(at.timestamp()))]
            instance.create_tick(
                TickData(
                    name,
                    name,
                    InstigatorType.SCHEDULE,
                    TickStatus.SUCCESS,
                    at.timestamp(),
                    run_ids=[],
                    log_key=log_key,
                    selector_id=name,
                )
            )
            path = Path(instance.storage_directory()).joinpath(*log_key).with_suffix(".err")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}\n")
            if dice.random() < 0.1:
                with time_machine.travel(at, tick=False):
                    instance.report_run_canceled(
                        instance.create_run_for_job(DEFINITIONS.resolve_implicit_global_asset_job_def())
                    )
        return Life(folder, seen(instance))


@pytest.fixture
def lived(homes: Homes, life: Life, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A copy of that home, opened."""
    homes.copy(life.folder, tmp_path / "home")
    with homes.opened(tmp_path / "home") as instance:
        yield instance


@pytest.fixture
def instance(homes: Homes, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An empty instance."""
    homes.new(tmp_path)
    with homes.opened(tmp_path) as opened:
        yield opened


def run(instance: dg.DagsterInstance, at: datetime, days: list[str], *what: str) -> str:
    """Materialize and check days at a moment, or what has no days; ``what``: how it goes. Returns the run's id."""
    keys = [raw.key, derived.key] if days else [names.key]
    job = DEFINITIONS.resolve_implicit_global_asset_job_def().get_subset(asset_selection={*keys})
    tags = dict(zip(RANGE, (days[0], days[-1]), strict=True)) if days else {}
    with time_machine.travel(at, tick=False):
        return job.execute_in_process(
            instance=instance, tags={**tags, **dict.fromkeys(what, str(at.date()))}, raise_on_error=False
        ).run_id


def seen(instance: dg.DagsterInstance) -> dict[str, Any]:
    """What the UI and the sensors ask for, whatever is old."""
    events = instance.event_log_storage
    checks = {
        day: events.get_latest_asset_check_execution_by_key([CHECK], PartitionKeyFilter(key=day))
        for day in (None, *KEYS)
    }
    types = (
        dg.DagsterEventType.ASSET_MATERIALIZATION,
        dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
        dg.DagsterEventType.ASSET_OBSERVATION,
    )
    found: dict[str, Any] = {"checks": checks, "info": events.get_asset_check_partition_info([CHECK])}
    found["summary"] = events.get_asset_check_summary_records([CHECK])
    for key, part in ((raw.key, DAYS), (derived.key, DAYS), (names.key, None)):
        status = get_and_update_asset_status_cache_value(instance, key, part)  # the first one to ask stores it
        newest = {kind: events.get_latest_storage_id_by_partition(key, kind) for kind in types}
        ids = [number for numbers in newest.values() for number in numbers.values()]
        events_of = [
            each
            for fetch in (instance.fetch_materializations, instance.fetch_observations)
            for each in (fetch(dg.AssetRecordsFilter(key, storage_ids=ids), limit=1000).records if ids else ())
        ]
        attempts = events.get_latest_asset_partition_materialization_attempts_without_materializations(key)
        failed = last_failures(instance, [key]).get(key)
        found[str(key)] = {
            "record": instance.get_asset_records([key]),
            "status": status,
            "materialized": instance.get_materialized_partitions(key),
            "newest": newest,
            "events": events_of,
            "tags": events.get_latest_tags_by_partition(key, types[0], ["dagster/data_version"]),
            "attempts": attempts,
            "planned": events.get_latest_planned_materialization_info(key),
            "awaited": {day: events.get_latest_planned_materialization_info(key, day) for day in attempts},
            "failed": reason_of(failed) if failed else None,
            "runs": [
                (found_run.run_id, found_run.status, found_run.tags)
                for run_id in sorted({each.run_id for each in events_of} | {run_id for run_id, _ in attempts.values()})
                if (found_run := instance.get_run_by_id(run_id)) or pytest.fail(f"{key} names a run that is gone")
            ],
        }
    return found


def held(instance: dg.DagsterInstance) -> dict[str, list[Any]]:
    """Every row of the history that pruning is about, and every file, with its size."""
    home, history = Path(instance.root_directory), History.of(instance)
    tables = {
        history.events.index_connection: ("event_logs", "asset_check_executions", "asset_event_tags"),
        history.runs.connect: ("runs", "run_tags"),
        history.schedules.connect: ("job_ticks",),
    }
    found: dict[str, list[Any]] = {}
    for connect, names_of in tables.items():
        with connect() as database:
            for table in names_of:
                found[table] = [tuple(row) for row in database.execute(text(f"select * from {table} order by id"))]
    found["files"] = sorted(
        str(path.relative_to(home))
        for folder in ("history/runs", "storage")
        for path in (home / folder).rglob("*.*")
        if path.is_file() and not path.name.startswith("index.db")
    )
    return found


def prune(instance: dg.DagsterInstance) -> Prunable:
    """Prune what is older."""
    found = History.of(instance).prunable(BEFORE)
    History.of(instance).prune(found)
    return found


def test_what_the_ui_and_the_sensors_see_stays_and_what_is_said_to_go_goes(lived: dg.DagsterInstance) -> None:
    instance = lived
    shown, before = seen(instance), held(instance)
    found = History.of(instance).prunable(BEFORE)
    assert held(instance) == before
    assert prune(instance) == found
    assert seen(instance) == shown
    after = held(instance)
    gone = {name: len(rows) - len(after[name]) for name, rows in before.items()}
    assert gone["event_logs"] == len(found.events) > 0
    assert gone["asset_check_executions"] == len(found.checks) > 0
    assert gone["runs"] == len(found.runs) > 0
    assert gone["job_ticks"] == len(found.ticks) > 0
    assert (len(found.logs) > 0) is History.of(instance).is_in_files
    assert {*before["files"]} - {*after["files"]} == {
        str(path.relative_to(instance.root_directory)) for path in found.files
    }
    for name, rows in after.items():
        assert {*rows} <= {*before[name]}
    for name, time_of in (("event_logs", 4), ("job_ticks", 5)):
        young = {row for row in before[name] if str(row[time_of]) >= str(BEFORE.replace(tzinfo=None))}
        assert young
        assert young <= {*after[name]}
    runs = {row[1] for row in after["runs"]}
    assert {row[1] for row in after["event_logs"]} | {row[4] for row in after["asset_check_executions"]} <= runs
    assert {row[1] for row in after["run_tags"]} <= runs
    assert {row[1] for row in after["asset_event_tags"]} <= {row[0] for row in after["event_logs"]}
    assert not any(count for _, count, _ in prune(instance).table)
    assert held(instance) == after


def test_a_run_in_progress_keeps_everything(instance: dg.DagsterInstance) -> None:
    run(instance, NOW - timedelta(days=200), KEYS)
    with time_machine.travel(NOW - timedelta(days=199), tick=False):
        under_way = instance.create_run_for_job(
            DEFINITIONS.resolve_implicit_global_asset_job_def(), tags=dict(zip(RANGE, (KEYS[0], KEYS[-1]), strict=True))
        )
        instance.report_engine_event("began", under_way)
    run(instance, NOW - timedelta(days=198), KEYS)
    found = prune(instance)
    assert found.runs
    assert under_way.run_id not in found.runs
    assert instance.get_records_for_run(under_way.run_id).records
    assert instance.get_run_by_id(under_way.run_id)


def test_a_pruning_that_dies_anywhere_is_finished_by_the_next(
    life: Life, lived: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where that one dies, a little later, and so on."""
    instance, shown = lived, life.shown
    has_files = History.of(instance).is_in_files
    monkeypatch.setattr(history, "ROWS_AT_ONCE", 20 if has_files else 3)
    steps = iter(range(0))

    class Killed(BaseException):
        """Nothing catches it, as nothing catches SIGKILL."""

    def dying(original: Any) -> Any:
        def step_of(*arguments: Any, **options: Any) -> Any:
            if next(steps, None) is None:
                raise Killed
            return original(*arguments, **options)

        return step_of

    with monkeypatch.context() as patched:
        patched.setattr(history, "_execute", dying(history._execute))
        patched.setattr(Path, "unlink", dying(Path.unlink))
        patched.setattr(Path, "replace", dying(Path.replace))
        for number in (0, 1, 2, 3, 5, 8, 13):
            steps = iter(range(number))
            with pytest.raises(Killed):
                prune(instance)
            assert seen(instance) == shown
    prune(instance)
    assert seen(instance) == shown
    assert not any(count for _, count, _ in prune(instance).table)


def test_the_daily_job_removes_what_is_older_than_the_settings_say(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    old = run(instance, NOW - timedelta(days=31), KEYS)
    run(instance, NOW - timedelta(days=29), KEYS)
    settings = Settings.load(_env_file=None, usage_history_days=30, openai_admin_key="k")
    [schedule] = build(Location(settings)).schedules
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    warehouse = Warehouse(database=str(tmp_path / "none.duckdb"))
    job = dg.Definitions(
        schedules=[schedule], resources={"warehouse": WarehouseResource.of(warehouse, publishes=False)}
    ).resolve_job_def(PRUNE_JOB)
    with time_machine.travel(NOW, tick=False):
        assert job.execute_in_process(instance=instance).success
    assert not instance.get_run_by_id(old)
    assert not Path(warehouse.database).exists()


def test_events_of_days_that_are_not_kept_go_even_if_they_are_the_newest(instance: dg.DagsterInstance) -> None:
    run(instance, NOW - timedelta(days=200), KEYS)
    first = date.fromisoformat(KEYS[5])
    History.of(instance).prune(History.of(instance).prunable(BEFORE, first))
    assert instance.get_materialized_partitions(raw.key) == {*KEYS[5:]}
    assert instance.get_materialized_partitions(derived.key) == {*KEYS[5:]}
    checks = instance.event_log_storage.get_asset_check_partition_info([CHECK])
    assert {each.partition_key for each in checks} == {None, *KEYS[5:]}
