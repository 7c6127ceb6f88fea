"""What the product needs of each private name of Dagster: whoever upgrades Dagster begins here."""

import ast
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
from dagster._config import validate_config
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from sqlalchemy import inspect, text

from usage_assets import dagster_internals
from usage_assets.assets.failures import failure
from usage_assets.assets.names import ALONE, REPOSITORY_LABEL_TAG
from usage_assets.cli.backfill_runs import origin
from usage_assets.dagster_internals import CheckRunHealthResult, InMemoryJob, WorkerStatus, execute_run_iterator
from usage_assets.dagster_internals.executor import UNCHANGED, one_process
from usage_assets.dagster_internals.grpc import DagsterGrpcClient
from usage_assets.dagster_internals.outputs import WITHOUT_EVENTS, events_of
from usage_assets.dagster_internals.postgres import (
    CompositeStorage,
    PgTokenProvider,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
    create_pg_connection,
    create_pg_engine,
    get_token_provider_from_config,
    pg_config,
    pg_url_from_config,
)
from usage_assets.dagster_internals.storage import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
    SQLITE_BUSY_TIMEOUT_SECONDS,
    ConfigurableClassData,
    InstigatorState,
    InstigatorStatus,
    PartitionsSubset,
    PlannedMaterializationInfo,
    SensorInstigatorData,
    SqlEventLogStorage,
    SqlEventLogStorageTable,
    SqliteEventLogStorage,
    SqliteRunStorage,
    SqliteScheduleStorage,
    SqlRunStorage,
    SqlScheduleStorage,
    create_db_conn_string,
)
from usage_assets.local.home import CODE_LOCATION, REPOSITORY
from usage_assets.local.workers import GRPC_INFO_TAG
from usage_assets_tests.executed import executed as all_of
from usage_assets_tests.postgres import url_of


@dg.asset
def whole() -> None:
    """Succeeds."""


@dg.asset
def broken() -> None:
    """Fails."""
    raise dg.Failure("a reason", allow_retries=False)


@dg.asset
def stopped() -> None:
    """Is interrupted, as by a person who presses Ctrl-C."""
    raise dg.DagsterExecutionInterruptedError


DEFINITIONS = dg.Definitions([whole, broken, stopped], executor=dg.in_process_executor)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An empty instance."""
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def executed(instance: dg.DagsterInstance, asset: dg.AssetsDefinition) -> list[dg.DagsterEvent]:
    """The events of a run of one asset, executed as ``usage-assets backfill`` does."""
    job = DEFINITIONS.resolve_implicit_global_asset_job_def().get_subset(asset_selection={asset.key})
    run = instance.create_run_for_job(job)
    return list(execute_run_iterator(InMemoryJob(job), run, instance))


def test_in_memory_job_and_execute_run_iterator_run_a_job_of_this_process(instance: dg.DagsterInstance) -> None:
    assert executed(instance, whole)[-1].event_type is dg.DagsterEventType.RUN_SUCCESS
    assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS]


class OnlyTheFirst(dg.IOManager):
    """Stores the first partition of a run."""

    def handle_output(self, context: dg.OutputContext, obj: object) -> Iterator[dg.DagsterEvent]:  # type: ignore[override]
        """Store nothing, in truth."""
        yield from events_of(context, context.asset_partition_keys[:1], dg.DataVersion("a version"))

    def load_input(self, context: dg.InputContext) -> None:
        """Never called."""


def test_system_metadata_key_source_asset_observation_leaves_the_events_to_the_io_manager(
    instance: dg.DagsterInstance,
) -> None:
    """SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: Dagster writes no event of an output that has it.
    _log_materialization_or_observation_events_for_asset makes those of some partitions as Dagster does of all."""
    days = dg.DailyPartitionsDefinition("2026-11-01")

    @dg.asset(partitions_def=days, backfill_policy=dg.BackfillPolicy.single_run(), code_version="1", deps=[whole])
    def daily() -> dg.MaterializeResult[int]:
        return dg.MaterializeResult(value=1, metadata=WITHOUT_EVENTS)

    tags = {"dagster/asset_partition_range_start": "2026-11-02", "dagster/asset_partition_range_end": "2026-11-04"}
    result = dg.materialize([daily], instance=instance, tags=tags, resources={"io_manager": OnlyTheFirst()})
    assert result.success
    assert [event.partition for event in result.get_asset_materialization_events()] == ["2026-11-02"]
    assert instance.get_materialized_partitions(daily.key) == {"2026-11-02"}
    written = instance.get_latest_materialization_event(daily.key)
    assert written
    assert written.asset_materialization
    assert written.asset_materialization.tags
    assert {
        "dagster/data_version": "a version",
        "dagster/code_version": "1",
        "dagster/input_event_pointer/whole": "NULL",
    }.items() <= written.asset_materialization.tags.items()


def observed(*, unchanged: bool) -> dg.AssetsDefinition:
    """An asset that stores nothing, because nothing has changed or for another reason."""

    @dg.asset(name="unchanged" if unchanged else "absent", output_required=False)
    def nothing(context: dg.AssetExecutionContext) -> Iterator[dg.Output[None]]:
        if unchanged:
            context.log_event(dg.AssetObservation(context.asset_key, metadata={UNCHANGED: 1}))
        yield from ()

    return nothing


def test_active_execution_runs_what_has_a_source_that_changed_and_others_that_did_not(
    instance: dg.DagsterInstance,
) -> None:
    """ActiveExecution says which steps follow; ExecutionPlan starts it."""
    unchanged, absent = observed(unchanged=True), observed(unchanged=False)

    @dg.asset(deps=[unchanged, whole])
    def computed() -> None: ...

    @dg.asset(deps=[unchanged])
    def kept() -> None: ...

    @dg.asset(deps=[kept, whole])
    def computed_of_kept() -> None: ...

    @dg.asset(deps=[absent, whole])
    def waiting() -> None: ...

    assets = [whole, unchanged, absent, computed, kept, computed_of_kept, waiting]
    done = executed_by(dg.Definitions(assets, executor=one_process), instance)
    assert [each.step_key for each in done.all_events if each.is_step_skipped] == ["kept", "waiting"]
    assert done.success
    with dg.DagsterInstance.ephemeral() as other:
        theirs = executed_by(dg.Definitions(assets, executor=dg.in_process_executor), other)
    skipped = {each.step_key for each in theirs.all_events if each.is_step_skipped}
    assert skipped == {"computed", "kept", "computed_of_kept", "waiting"}, "else executor.py is not needed any more"


def executed_by(definitions: dg.Definitions, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """A run of all assets, by the executor of the definitions."""
    return all_of(definitions.resolve_implicit_global_asset_job_def(), instance)


def test_the_data_of_a_failed_step_holds_the_failure_that_a_step_raised(instance: dg.DagsterInstance) -> None:
    (failed,) = [event for event in executed(instance, broken) if event.is_step_failure]
    assert failed.step_failure_data.user_failure_data
    assert failed.step_failure_data.user_failure_data.description == "a reason"


def test_an_explained_failure_has_its_description_alone(instance: dg.DagsterInstance) -> None:
    """DagsterUserCodeProcessError says itself what Dagster shows of it, as SerializableErrorInfo."""

    @dg.asset
    def refused() -> None:
        raise failure("openai costs 2026-11-02: 403. Ask for another key.")

    job = dg.Definitions([refused, broken], executor=dg.in_process_executor).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    errors = {event.step_key: event.step_failure_data.error for event in result.all_events if event.is_step_failure}
    assert str(errors["refused"]) == "openai costs 2026-11-02: 403. Ask for another key.\n"
    assert errors["broken"]
    assert errors["broken"].stack, "others keep theirs"


def test_dagster_execution_interrupted_error_names_itself_in_the_events(instance: dg.DagsterInstance) -> None:
    (failed,) = [event for event in executed(instance, stopped) if event.is_step_failure]
    assert failed.step_failure_data.error
    assert failed.step_failure_data.error.cls_name == dg.DagsterExecutionInterruptedError.__name__


def test_the_event_of_a_failed_run_says_whether_it_was_interrupted(instance: dg.DagsterInstance) -> None:
    """cli/backfill_runs.py reads it."""
    failed = [executed(instance, asset)[-1] for asset in (broken, stopped)]
    reasons = [event.job_failure_data.failure_reason for event in failed]
    assert [reason.name for reason in reasons if reason] == ["STEP_FAILURE", "UNEXPECTED_TERMINATION"]


def test_the_first_engine_event_names_the_process_of_a_run(instance: dg.DagsterInstance) -> None:
    executed(instance, whole)
    (run,) = instance.get_runs()
    logged = [entry.dagster_event for entry in instance.all_logs(run.run_id, dg.DagsterEventType.ENGINE_EVENT)]
    data = [event.event_specific_data for event in logged if event]
    named = [getattr(each, "metadata", {}) for each in data]
    pids = [metadata["pid"].value for metadata in named if "pid" in metadata]
    assert set(map(str, pids)) == {str(os.getpid())}


def test_default_run_launcher_cannot_say_whether_a_run_has_its_process() -> None:
    assert not dg.DefaultRunLauncher().supports_check_run_worker_health, "else local/workers.py is not needed any more"


def test_grpc_info_tag_says_where_a_run_was_launched_and_a_code_server_that_nobody_runs_is_unreachable(
    tmp_path: Path,
) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance, socket.socket() as bound:
        job = DEFINITIONS.resolve_implicit_global_asset_job_def()
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("place"), REPOSITORY)
        run = instance.create_run_for_job(job, remote_job_origin=RemoteJobOrigin(repository, job.name))
        bound.bind(("127.0.0.1", 0))
        address = {"host": "127.0.0.1", "port": bound.getsockname()[1]}
        client = DagsterGrpcClient(**address)
        with pytest.raises(dg.DagsterError):
            dg.DefaultRunLauncher.launch_run_from_grpc_client(instance, run, client)
        with pytest.raises(dg.DagsterError):
            client.get_current_runs()
        launched = instance.get_run_by_id(run.run_id)
    assert launched
    assert json.loads(launched.tags[GRPC_INFO_TAG]) == address


def test_check_run_health_result_takes_a_worker_status_and_a_reason() -> None:
    result = CheckRunHealthResult(WorkerStatus.NOT_FOUND, "gone")
    assert (result.status, result.msg) == (WorkerStatus.NOT_FOUND, "gone")
    assert WorkerStatus.RUNNING is not result.status


def test_what_definitions_are_called() -> None:
    assert DEFINITIONS.get_repository_def().name == REPOSITORY


def test_the_origin_and_the_tag_of_the_repository_are_those_of_the_runs_that_the_daemon_launches(
    instance: dg.DagsterInstance,
) -> None:
    """The UI finds a run's code by them."""
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(CODE_LOCATION), REPOSITORY)
    stored: RemoteJobOrigin = dg.deserialize_value(json.dumps(origin("job")), RemoteJobOrigin)
    assert stored == RemoteJobOrigin(repository, "job")
    assert stored.repository_origin.get_label() == f"{REPOSITORY}@{CODE_LOCATION}"
    job = DEFINITIONS.resolve_implicit_global_asset_job_def()
    instance.create_run_for_job(job, remote_job_origin=stored, job_code_origin=None)
    labeled = dg.RunsFilter(tags={REPOSITORY_LABEL_TAG: stored.repository_origin.get_label()})
    assert len(instance.get_runs(filters=labeled)) == 1


def test_instigator_state_and_status_tell_what_a_person_has_switched() -> None:
    assert {"status", "instigator_name", "instigator_origin_id", "selector_id"} <= {*dir(InstigatorState)}
    assert {status.name for status in InstigatorStatus} >= {"DECLARED_IN_CODE", "RUNNING", "STOPPED"}


def test_sensor_instigator_data_tells_when_a_sensor_ticked_last() -> None:
    ticked = SensorInstigatorData(last_tick_timestamp=1.0, cursor="c")
    assert ticked._replace(last_tick_start_timestamp=2.0).last_tick_timestamp == 1
    assert "with_data" in dir(InstigatorState)


def test_sqlite_event_log_storage_has_what_ours_overrides_and_calls(tmp_path: Path) -> None:
    """test_event_log.py compares what both store."""
    storage = SqliteEventLogStorage(str(tmp_path))
    assert {"_connect", "_event_to_row", "_initdb", "_db_lock", "has_table", "store_event", "wipe", "dispose"} <= {
        *dir(storage)
    }
    assert storage.path_for_shard("run") == str(tmp_path / "run.db")
    assert storage.conn_string_for_shard("run").endswith("run.db")


def test_sqlite_busy_timeout_seconds_is_how_long_a_writer_waits() -> None:
    assert SQLITE_BUSY_TIMEOUT_SECONDS >= 1


def test_configurable_class_data_names_the_class_of_a_storage() -> None:
    data = ConfigurableClassData("usage_assets.local.event_log", "KeptSqliteEventLogStorage", "{}\n")
    assert (data.module_name, data.class_name) == ("usage_assets.local.event_log", "KeptSqliteEventLogStorage")


def test_asset_events_and_asset_check_events_are_those_that_have_rows_beside_the_event_itself() -> None:
    """ASSET_EVENTS have a row of their asset and tags, ASSET_CHECK_EVENTS one of the check's executions."""
    types = dg.DagsterEventType
    assert {types.ASSET_MATERIALIZATION, types.ASSET_MATERIALIZATION_PLANNED, types.ASSET_OBSERVATION} <= ASSET_EVENTS
    assert {types.ASSET_CHECK_EVALUATION, types.ASSET_CHECK_EVALUATION_PLANNED} == ASSET_CHECK_EVENTS
    assert {types.RUN_START, types.RUN_SUCCESS, types.RUN_FAILURE} <= EVENT_TYPE_TO_PIPELINE_RUN_STATUS.keys()
    assert not ASSET_EVENTS & ASSET_CHECK_EVENTS
    assert types.STEP_SUCCESS not in ASSET_EVENTS | ASSET_CHECK_EVENTS


def test_sql_event_log_storage_table_is_where_sqlite_event_log_storage_has_its_events(tmp_path: Path) -> None:
    """SqlEventLogStorageTable takes rows in bulk: each is what _event_to_row says of an event, with the next id."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        run_id = instance.create_run_for_job(DEFINITIONS.resolve_implicit_global_asset_job_def()).run_id
        instance.report_engine_event("found", run_id=run_id, job_name="any")
        storage = instance.event_log_storage
        assert isinstance(storage, SqliteEventLogStorage)
        with storage.run_connection(run_id) as connection:
            *_, row = connection.execute(SqlEventLogStorageTable.select().order_by(SqlEventLogStorageTable.c.id))
        entry = instance.get_records_for_run(run_id).records[-1].event_log_entry
        assert storage._event_to_row(entry).items() <= row._asdict().items()


def test_an_event_that_plans_several_days_has_them_as_a_partitions_subset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PlannedMaterializationInfo says which event and run planned an asset."""
    monkeypatch.setenv("DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS", "true")
    days = dg.DailyPartitionsDefinition("2026-11-01", end_date="2026-11-06")

    @dg.asset(partitions_def=days)
    def asset() -> None:
        """Is planned."""

    job = dg.Definitions([asset])
    tags = {"dagster/asset_partition_range_start": "2026-11-02", "dagster/asset_partition_range_end": "2026-11-04"}
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        run = instance.create_run_for_job(job.resolve_implicit_global_asset_job_def(), tags=tags)
        info = instance.get_latest_planned_materialization_info(asset.key)
        planned = dg.EventRecordsFilter(dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, asset_key=asset.key)
        [record] = instance.event_log_storage.get_event_records(planned)
    assert info == PlannedMaterializationInfo(storage_id=record.storage_id, run_id=run.run_id)
    subset = record.event_log_entry.get_dagster_event().asset_materialization_planned_data.partitions_subset
    assert isinstance(subset, PartitionsSubset)
    assert list(subset.get_partition_keys()) == ["2026-11-02", "2026-11-03", "2026-11-04"]
    assert "2026-11-03" in subset
    assert "2026-11-05" not in subset


def test_the_sqlite_storages_of_runs_and_schedules_have_the_columns_that_pruning_reads(tmp_path: Path) -> None:
    """SqliteRunStorage and SqliteScheduleStorage are what a home has by default."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert isinstance(instance.run_storage, SqliteRunStorage)
        assert isinstance(instance.schedule_storage, SqliteScheduleStorage)
        assert create_db_conn_string("/home/history", "runs") == "sqlite:////home/history/runs.db"
        with instance.run_storage.connect() as runs, instance.schedule_storage.connect() as schedules:
            found = {
                table: {column["name"] for column in inspect(database).get_columns(table)}
                for database, table in ((runs, "runs"), (runs, "run_tags"), (schedules, "job_ticks"))
            }
    assert {"id", "run_id", "status", "run_body", "end_time", "update_timestamp"} <= found["runs"]
    assert "run_id" in found["run_tags"]
    assert {"id", "job_origin_id", "selector_id", "timestamp", "tick_body"} <= found["job_ticks"]


def test_sql_storages_are_what_those_of_sqlite_and_postgresql_have_in_common() -> None:
    """SqlEventLogStorage asks whether a table has a column through the one method that ours overrides."""
    trios = [
        (SqlEventLogStorage, SqliteEventLogStorage, PostgresEventLogStorage),
        (SqlRunStorage, SqliteRunStorage, PostgresRunStorage),
        (SqlScheduleStorage, SqliteScheduleStorage, PostgresScheduleStorage),
    ]
    assert all(issubclass(each, base) for base, *classes in trios for each in classes)
    theirs = {"_event_to_row", "_has_asset_key_col_on_connection", "has_table", "index_connection", "run_connection"}
    assert theirs <= {*dir(SqlEventLogStorage)}
    assert {"store_asset_event", "store_asset_event_tags", "index_transaction"} <= {*dir(SqlEventLogStorage)}
    assert "_store_asset_event" in vars(PostgresEventLogStorage), "which stores the row of an asset in one statement"


@pytest.mark.slow
def test_the_storages_in_postgresql_take_their_connections_from_an_engine_that_ours_replaces(postgres: str) -> None:
    """PostgresRunStorage, PostgresEventLogStorage and PostgresScheduleStorage: create_pg_engine makes what they use,
    create_pg_connection waits for a server that starts."""
    configured = {"postgres_url": url_of(postgres)}
    url, tokens = pg_url_from_config(configured), get_token_provider_from_config(configured)
    assert tokens is None or isinstance(tokens, PgTokenProvider)
    assert validate_config(pg_config(), configured).success
    engine = create_pg_engine(url, tokens, isolation_level="AUTOCOMMIT")
    for storage_class in (PostgresRunStorage, PostgresEventLogStorage, PostgresScheduleStorage):
        opened = storage_class(url, should_autocreate_tables=False)
        opened._engine = engine
        assert opened._token_provider is None
        connect = opened.index_connection if isinstance(opened, PostgresEventLogStorage) else opened.connect
        with connect() as connection:
            assert connection.engine is engine
    with create_pg_connection(engine) as connection:
        assert connection.execute(text("select 1")).scalar_one() == 1
    engine.dispose()


def test_composite_storage_is_three_storages_in_one(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        parts = instance.run_storage, instance.event_log_storage, instance.schedule_storage
        assert parts[2]
        composed = CompositeStorage(parts[0], parts[1], parts[2], None)
        assert (composed.run_storage, composed.event_log_storage, composed.schedule_storage) == parts


PRIVATE = re.compile(r"dagster\._|dagster_\w+\.")
"""Modules that Dagster may change in any release."""
OF_STORAGES, OF_IO_MANAGER = {"storage", "postgres"}, {"db_io_manager"}


def private_names(file: Path) -> Mapping[str, str]:
    """The private names of Dagster that a module imports -> their modules."""
    found = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
    return {name.name: str(each.module) for each in found if PRIVATE.match(str(each.module)) for name in each.names}


def test_every_private_name_has_its_test_and_there_are_few() -> None:
    _, tests = Path(__file__).read_text().split("DEFINITIONS = ", 1)
    package = Path(dagster_internals.__file__).parent
    names = {file.stem: private_names(file) for file in package.glob("*.py")}
    assert [name for found in names.values() for name in found if name not in tests and name not in IN_USE] == []
    counted = {stem: len(found) for stem, found in names.items()}
    others = sum(counted[stem] for stem in counted.keys() - OF_STORAGES - OF_IO_MANAGER)
    assert others <= MOST, sorted(counted.items())
    elsewhere = [file for file in package.parent.rglob("*.py") if file.parent != package and private_names(file)]
    assert elsewhere == []


IN_USE = ("DbIOManager", "DbTypeHandler", "TableSlice", "DuckDbClient")
"""Each run that stores uses these."""
MOST = 12
"""Of private names that are neither of the storages nor of the IO manager. docs/upstream.md lists them."""


def test_no_private_name_is_written_to_except_by_the_code_server_of_our_own() -> None:
    """A host imports none of definitions.py."""
    written = re.compile(r"setattr\(|\._[a-z]\w* = ")
    package = Path(dagster_internals.__file__).parent
    lines = [line.strip() for file in package.glob("*.py") for line in file.read_text().splitlines()]
    found = [line.partition(" = ")[0] for line in lines if written.search(line) and not line.startswith("self._")]
    assert found == ["server.DagsterApiServer._mp_ctx"]


def test_an_error_that_nobody_expected_has_no_password_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    password = "-".join(("geheim", "4711"))  # the stack shows this file's lines
    monkeypatch.setenv("PGPASSWORD", password)

    @dg.asset
    @ALONE.bound
    def broken() -> None:
        try:
            raise ConnectionError(f"no server takes {password}")
        except ConnectionError as error:
            raise KeyError(password) from error

    ended = dg.materialize([broken], instance=dg.DagsterInstance.ephemeral(), raise_on_error=False)
    [failed] = [event.step_failure_data.error for event in ended.all_events if event.is_step_failure]
    assert failed
    assert "no server takes ***" in failed.to_string()
    assert "in broken" in failed.to_string(), "and still where it was"
    assert password not in failed.to_string()
