"""Our event logs beside Dagster's own: what is stored, and left by a killed run.

In SQLite files and in PostgreSQL; what only that has is in test_postgres.py.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count, islice
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from uuid import UUID

import dagster as dg
import pytest
import sqlalchemy
import time_machine
from dagster import DagsterInstance

from usage_assets.dagster_internals.storage import SqlEventLogStorage
from usage_assets.local.bulk_events import BulkEventLogStorage
from usage_assets.local.event_log import TABLES_OF_RUNS
from usage_assets_tests.forks import FORKS
from usage_assets_tests.postgres import close, dagster_yaml, drop, new_database, url_of
from usage_assets_tests.terminal import ROOT

pytestmark = pytest.mark.usefixtures("output_is_not_repeated")

DAYS = dg.DailyPartitionsDefinition("2026-03-01", end_date="2026-03-06")
KEYS = list(DAYS.get_partition_keys())


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def amounts(context: dg.AssetExecutionContext) -> None:
    """Put a number on each day."""
    for day in context.partition_keys:
        context.add_asset_metadata({"rows": 1}, partition_key=day)


@dg.multi_asset_check(specs=[dg.AssetCheckSpec("is_early", asset=amounts.key)])
def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckEvaluation | dg.AssetCheckResult]:
    """Say whether the days are early: the last one is not."""
    for day in context.partition_keys[-1:]:
        yield dg.AssetCheckEvaluation(
            asset_key=amounts.key, check_name="is_early", passed=False, metadata={}, partition=day
        )
    yield dg.AssetCheckResult(asset_key=amounts.key, check_name="is_early", passed=False)


DEFINITIONS = dg.Definitions(assets=[amounts], asset_checks=[checks], executor=dg.in_process_executor)
RANGE = {"dagster/asset_partition_range_start": KEYS[0], "dagster/asset_partition_range_end": KEYS[-1]}
PLANNED = "PLANNED"
PLANNED_CHECK = "ASSET_CHECK_EVALUATION_PLANNED"
NUMBERS_OF_EVENTS = ("event_id", "evaluation_event_storage_id", "materialization_event_storage_id")
TABLES = ("event_logs", "asset_keys", "asset_event_tags", "asset_check_executions")


def run(instance: DagsterInstance, run_id: str | None = None) -> str:
    """Materialize and check all days in one run. Returns its id."""
    job = DEFINITIONS.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, tags=RANGE, run_id=run_id).run_id


def rows(instance: DagsterInstance, shard: str, table: str) -> list[dict[str, Any]]:
    """The rows of a table of a run or of all of them ("index"), without what the database's own clock says."""
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    with storage.index_connection() if shard == "index" else storage.run_connection(shard) as connection:
        found = connection.execute(sqlalchemy.text(f"select * from {table} order by id")).mappings()
        stored = [dict(row) for row in found if shard == "index" or row.get("run_id") == shard]
    return [{name: value for name, value in row.items() if name != "create_timestamp"} for row in stored]


def stored(instance: DagsterInstance, run_id: str) -> dict[str, str]:
    """What is held of a run and of all, without how long steps took and the random name of their captured output.

    Plans of checks are left out, of their events and executions: ours has none. What it has is numbered accordingly.
    """
    tables = {"index": TABLES, run_id: TABLES_OF_RUNS}
    content = {f"{shard} {table}": rows(instance, shard, table) for shard, names in tables.items() for table in names}
    content["index asset_check_executions"] = [
        row | {"id": None} for row in content["index asset_check_executions"] if row["execution_status"] != PLANNED
    ]
    for name in ("index event_logs", f"{run_id} event_logs"):
        content[name] = [row for row in content[name] if row["dagster_event_type"] != PLANNED_CHECK]
        numbers = {row["id"]: number for number, row in enumerate(content[name], start=1)}
        for row in content[name]:
            row["id"] = numbers[row["id"]]
        if name.startswith("index"):
            content = {table: [renumbered(row, numbers) for row in found] for table, found in content.items()}
    for row in content["index event_logs"] + content[f"{run_id} event_logs"]:
        event = json.loads(row["event"])
        if event["dagster_event"]:
            event["dagster_event"]["logging_tags"] = {}  # ours leaves them out
        row["event"] = json.dumps(event)
    return {
        name: re.sub(r'"(duration_ms|log_key)": [^,}]+|[\d.]+m?s\b', "", str(found)) for name, found in content.items()
    }


def renumbered(row: dict[str, Any], numbers: Mapping[int, int]) -> dict[str, Any]:
    """The row with these numbers of events of all runs, also in the JSON of an event."""
    number = re.compile(r'(?<="storage_id":)( ?)(\d+)')
    texts = {
        name: number.sub(lambda found: f"{found[1]}{numbers[int(found[2])]}", value)
        for name, value in row.items()
        if isinstance(value, str)
    }
    events = {name: numbers[row[name]] for name in NUMBERS_OF_EVENTS if row.get(name)}
    return {**row, **texts, **events}


@dataclass(frozen=True)
class Homes:
    """Two Dagster homes: one with our event log, one with Dagster's."""

    ours: Path
    stock: Path
    stock_on_ours: str
    """A dagster.yaml with which Dagster's classes use the history of our home."""


@pytest.fixture(params=["sqlite", "postgresql"])
def homes(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Homes]:
    """Such homes, with their history in SQLite files or in PostgreSQL. DAGSTER_HOME is ours."""
    ours, stock = tmp_path / "home", tmp_path / "stock"
    ours.mkdir()
    stock.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(ours))
    if request.param == "sqlite":
        shutil.copy(ROOT / "dagster.yaml", ours)
        yield Homes(ours, stock, "telemetry: {enabled: false}\n")
        return
    server, template = (request.getfixturevalue(name) for name in ("postgres", "dagster_tables"))
    databases = [new_database(server, template) for _ in range(2)]
    (ours / "dagster.yaml").write_text(dagster_yaml(databases[0]))
    on_stock = [dagster_yaml(each, "dagster_postgres.DagsterPostgresStorage") for each in databases]
    (stock / "dagster.yaml").write_text(on_stock[1])
    yield Homes(ours, stock, on_stock[0])
    for database in databases:
        close(url_of(database))
        drop(database)


@pytest.fixture
def home(homes: Homes) -> Path:
    """Our home."""
    return homes.ours


def planned(instance: DagsterInstance) -> int:
    """How many executions of checks were planned and never ended: one for each day, though the check has no days."""
    found = rows(instance, "index", "asset_check_executions")
    return len([row for row in found if row["execution_status"] == PLANNED])


def test_it_stores_what_dagsters_own_class_stores_row_by_row_and_each_reads_what_the_other_has_stored(
    homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS", "true")  # one plan for all days, as ours
    with DagsterInstance.get() as ours, DagsterInstance.from_config(str(homes.stock)) as stock:
        assert isinstance(ours.event_log_storage, BulkEventLogStorage)
        assert type(stock.event_log_storage) in type(ours.event_log_storage).__mro__[1:]
        for run_id in (str(UUID(int=1)), str(UUID(int=2))):
            with time_machine.travel("2026-03-07T08:00Z", tick=False):
                assert run(ours, run_id) == run(stock, run_id)
            assert stored(ours, run_id) == stored(stock, run_id)
            assert planned(stock) > planned(ours) == 0
        for table in TABLES:
            numbers = [row["id"] for row in rows(ours, "index", table)]
            assert numbers == list(range(1, len(numbers) + 1)) != []
        (homes.ours / "dagster.yaml").write_text(homes.stock_on_ours)
        with DagsterInstance.get() as default:
            assert type(default.event_log_storage) is type(stock.event_log_storage)
            assert seen(default, run_id) == seen(ours, run_id)
            assert run(default)
            run_id = run(ours)
            assert seen(default, run_id) == seen(ours, run_id)


def seen(instance: DagsterInstance, run_id: str) -> object:
    """What the UI shows of a run, its asset and its check."""
    events = [record.event_log_entry for record in instance.get_records_for_run(run_id).records]
    history = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(amounts.key, "is_early"), 100
    )
    [asset] = instance.get_asset_records([amounts.key])
    return events, history, asset, sorted(instance.get_materialized_partitions(amounts.key))


@contextmanager
def in_process(target: Callable[..., None], home: Path, *arguments: object) -> Iterator[tuple[BaseProcess, Pipe]]:
    """A process that uses the instance of a home, and what it says."""
    ours, theirs = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=target, args=(str(home), theirs, *arguments))
    process.start()
    theirs.close()
    yield process, ours
    process.kill()
    process.join()


def killed(process: BaseProcess, said: Pipe, after: int) -> list[int]:
    """Kill a process when it has said something so many times; return all that it has said."""
    heard = [said.recv() for _ in range(after)]
    process.kill()
    process.join()
    with suppress(EOFError):
        while True:
            heard.append(said.recv())
    return heard


FIRST_RUN = str(UUID(int=1))


def store_batches(home: str, say: Pipe, run_id: str, most: int | None) -> None:
    """Store the materializations of the first run, as if another one had made them: so many times, or for ever."""
    os.environ["DAGSTER_HOME"] = home
    with DagsterInstance.get() as instance:
        records = instance.get_records_for_run(FIRST_RUN, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
        batch = [record.event_log_entry._replace(run_id=run_id) for record in records]
        for number in islice(count(), most):
            instance.event_log_storage.store_event_batch(batch)
            say.send(number)


def test_batches_of_several_processes_are_whole_and_none_is_lost(home: Path) -> None:
    names, most = ("a", "b", "c"), 10
    with DagsterInstance.get() as instance:
        run(instance, FIRST_RUN)
        before = rows(instance, "index", "event_logs")
        with ExitStack() as running:
            writers = [running.enter_context(in_process(store_batches, home, name, most)) for name in names]
            for process, _ in writers:
                process.join(120)
            assert [process.exitcode for process, _ in writers] == [0, 0, 0]
        added = rows(instance, "index", "event_logs")[len(before) :]
        numbers = [row["id"] for row in added]
        assert numbers == list(range(len(before) + 1, len(before) + 1 + len(names) * most * len(KEYS)))
        batches = [added[n : n + len(KEYS)] for n in range(0, len(added), len(KEYS))]
        assert all([row["partition"] for row in batch] == KEYS for batch in batches)
        assert all(len({row["run_id"] for row in batch}) == 1 for batch in batches)
        assert {tag["event_id"] for tag in rows(instance, "index", "asset_event_tags")} >= set(numbers)
        for name in names:
            assert [row["partition"] for row in rows(instance, name, "event_logs")] == KEYS * most
        [asset] = instance.get_asset_records([amounts.key])
        assert asset.asset_entry.last_materialization_storage_id == numbers[-1]


def test_a_process_that_is_killed_leaves_whole_batches(home: Path) -> None:
    with DagsterInstance.get() as instance:
        run(instance, FIRST_RUN)
        with in_process(store_batches, home, "killed", None) as (process, said):
            reported = killed(process, said, 20)
        of_run = [row["partition"] for row in rows(instance, "killed", "event_logs")]
        of_all = [row["partition"] for row in rows(instance, "index", "event_logs") if row["run_id"] == "killed"]
        for found in (of_run, of_all):
            assert found == KEYS * (len(found) // len(KEYS))
            assert len(found) // len(KEYS) in (len(reported), len(reported) + 1)


@pytest.mark.parametrize("homes", ["sqlite"], indirect=True)
def test_a_home_whose_first_process_was_killed_can_be_used(home: Path) -> None:
    index = home / "history" / "runs" / "index.db"
    index.parent.mkdir(parents=True)
    index.touch()  # as SQLite leaves it before the first table
    with DagsterInstance.get() as instance:
        assert rows(instance, run(instance), "event_logs")
