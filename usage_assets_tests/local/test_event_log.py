"""The event log whose files stay open, beside Dagster's own: what is stored, followed, wiped, left by a killed run."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance

from usage_assets.local.event_log import FILES_KEPT, TEMPORARY, KeptSqliteEventLogStorage
from usage_assets_tests.terminal import ROOT

DAYS = dg.DailyPartitionsDefinition("2026-03-01", end_date="2026-03-06")
DESCRIPTORS = Path("/proc/self/fd")
KEYS = DAYS.get_partition_keys()


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def amounts(context: dg.AssetExecutionContext) -> None:
    """Put a number on each day."""
    for day in context.partition_keys:
        context.add_asset_metadata({"rows": 1}, partition_key=day)


@dg.multi_asset_check(specs=[dg.AssetCheckSpec("is_early", asset=amounts.key, partitions_def=DAYS)])
def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckEvaluation | dg.AssetCheckResult]:
    """Say of each day whether it is early: the last one is not."""
    for day in context.partition_keys:
        yield dg.AssetCheckEvaluation(
            asset_key=amounts.key, check_name="is_early", passed=day != KEYS[-1], metadata={}, partition=day
        )
    yield dg.AssetCheckResult(asset_key=amounts.key, check_name="is_early", passed=False)


DEFINITIONS = dg.Definitions(assets=[amounts], asset_checks=[checks], executor=dg.in_process_executor)
RANGE = {"dagster/asset_partition_range_start": KEYS[0], "dagster/asset_partition_range_end": KEYS[-1]}


def run(instance: DagsterInstance) -> str:
    """Materialize and check all days in one run. Returns its id."""
    return DEFINITIONS.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance, tags=RANGE).run_id


def stored(instance: DagsterInstance, run_id: str) -> object:
    """What the UI shows of a run, its asset and its checks."""
    events = [record.event_log_entry for record in instance.get_records_for_run(run_id).records]
    key = dg.AssetCheckKey(amounts.key, "is_early")
    executions = instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
    asset = instance.get_asset_records([amounts.key])[0].asset_entry
    return (
        [(event.step_key, event.dagster_event_type, event.get_dagster_event().partition) for event in events],
        sorted(instance.get_materialized_partitions(amounts.key)),
        sorted((check.partition or "", check.status) for check in executions),
        asset.last_run_id == run_id,
        [record.partition_key for record in instance.fetch_materializations(amounts.key, limit=3).records],
        list(instance.get_latest_storage_id_by_partition(amounts.key, dg.DagsterEventType.ASSET_MATERIALIZATION)),
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Dagster home with the project's dagster.yaml."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(ROOT / "dagster.yaml", folder)
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return folder


def test_it_stores_what_dagsters_own_class_stores_and_each_reads_the_others_files(home: Path, tmp_path: Path) -> None:
    (tmp_path / "stock").mkdir()
    with DagsterInstance.get() as ours, DagsterInstance.local_temp(str(tmp_path / "stock")) as stock:
        assert isinstance(ours.event_log_storage, KeptSqliteEventLogStorage)
        assert type(stock.event_log_storage) is not type(ours.event_log_storage)
        run_id, stock_run_id = run(ours), run(stock)
        assert stored(ours, run_id) == stored(stock, stock_run_id)
        (home / "dagster.yaml").unlink()
        with DagsterInstance.get() as default:
            assert type(default.event_log_storage) is type(stock.event_log_storage)
            assert stored(default, run_id) == stored(ours, run_id)
            second = run(default)
            assert stored(ours, second) == stored(default, second)


@pytest.mark.usefixtures("home")
def test_who_follows_a_run_in_another_process_sees_its_events_as_they_come() -> None:
    with DagsterInstance.get() as web_server, DagsterInstance.get() as worker:
        run_id = dg.DagsterRun("followed").run_id
        worker.report_engine_event("first", run_id=run_id, job_name="followed")
        seen, is_seen = [], threading.Event()

        def follow(event: dg.EventLogEntry, _cursor: str) -> None:
            seen.append(event.message)
            is_seen.set()

        web_server.watch_event_logs(run_id, None, follow)
        for message in ("second", "third"):
            is_seen.clear()
            worker.report_engine_event(message, run_id=run_id, job_name="followed")
            assert is_seen.wait(30), f"{message} was not shown"
        assert set(seen) == {"first", "second", "third"}


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="only Linux lists the open files there")
@pytest.mark.usefixtures("home")
def test_it_keeps_few_files_open_however_many_runs_are_read_and_closes_them_all() -> None:
    with DagsterInstance.get() as instance:
        storage = instance.event_log_storage
        assert isinstance(storage, KeptSqliteEventLogStorage)
        runs = [run(instance) for _ in range(FILES_KEPT + 2)]
        assert all(instance.get_records_for_run(run_id).records for run_id in runs)
        assert len(open_files(storage)) <= FILES_KEPT
        instance.wipe()
        assert not instance.get_records_for_run(runs[0]).records
        assert run(instance)
    assert not open_files(storage)


def open_files(storage: KeptSqliteEventLogStorage) -> set[Path]:
    """The database files of the event log that this process has open."""
    folder = Path(storage.path_for_shard("index")).parent
    targets = {link.readlink() for link in DESCRIPTORS.iterdir() if link.is_symlink()}
    return {target for target in targets if target.parent == folder and target.suffix == ".db"}


REPORT_FOR_EVER = """
import dagster as dg
with dg.DagsterInstance.get() as instance:
    number = 0
    while True:
        instance.report_engine_event(str(number), run_id="killed", job_name="killed")
        print(number, flush=True)
        number += 1
"""


@pytest.mark.usefixtures("home")
def test_what_a_killed_process_has_reported_is_there() -> None:
    process = subprocess.Popen([sys.executable, "-c", REPORT_FOR_EVER], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    reported = [process.stdout.readline().strip() for _ in range(50)]
    process.send_signal(signal.SIGKILL)
    reported += process.stdout.read().split()
    process.wait()
    with DagsterInstance.get() as instance:
        messages = [record.event_log_entry.message for record in instance.get_records_for_run("killed").records]
    assert messages[: len(reported)] == reported


def test_dagster_dev_without_a_home_has_one_temporary_log_for_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv(TEMPORARY, "")
    folders = []
    for _ in range(2):
        storage = KeptSqliteEventLogStorage.from_config_value(None, {})
        folders.append(storage.path_for_shard("index"))
        storage.dispose()
    assert folders[0] == folders[1]
    assert folders[0].startswith(os.environ[TEMPORARY])
    shutil.rmtree(os.environ[TEMPORARY])
