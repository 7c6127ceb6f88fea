"""What the product needs of private names of Dagster: whoever upgrades Dagster begins here, and goes on in local/."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from usage_assets import dagster_internals
from usage_assets.assets.failures import failure
from usage_assets.assets.names import ALONE, REPOSITORY_LABEL_TAG
from usage_assets.cli.backfill_runs import origin
from usage_assets.dagster_internals import InMemoryJob, execute_run_iterator
from usage_assets.dagster_internals.executor import UNCHANGED, one_process
from usage_assets.dagster_internals.outputs import WITHOUT_EVENTS, events_of
from usage_assets.local.home import CODE_LOCATION, REPOSITORY
from usage_assets_tests.executed import executed as all_of


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


def executed(instance: dg.DagsterInstance, asset: dg.AssetsDefinition) -> list[dg.DagsterEvent]:
    """The events of a run of one asset, executed as ``usage-assets backfill`` does."""
    job = DEFINITIONS.resolve_implicit_global_asset_job_def().get_subset(asset_selection={asset.key})
    run = instance.create_run_for_job(job)
    return list(execute_run_iterator(InMemoryJob(job), run, instance))


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


def test_the_event_of_a_failed_run_says_whether_it_was_interrupted(instance: dg.DagsterInstance) -> None:
    """cli/backfill_runs.py reads it."""
    failed = [executed(instance, asset)[-1] for asset in (broken, stopped)]
    reasons = [event.job_failure_data.failure_reason for event in failed]
    assert [reason.name for reason in reasons if reason] == ["STEP_FAILURE", "UNEXPECTED_TERMINATION"]


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


PRIVATE = re.compile(r"dagster\._|dagster_\w+\.")
"""Modules that Dagster may change in any release."""
OF_STORAGES, OF_IO_MANAGER = {"storage", "postgres"}, {"db_io_manager"}
"""The tests of local/ and each run that stores use their names."""
IN_USE = {"CheckRunHealthResult", "DagsterGrpcClient", "WorkerStatus"}
"""local/test_workers.py uses them."""


def private_names(file: Path) -> Mapping[str, str]:
    """The private names of Dagster that a module imports -> their modules."""
    found = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
    return {name.name: str(each.module) for each in found if PRIVATE.match(str(each.module)) for name in each.names}


def test_every_private_name_has_its_test_and_there_are_few() -> None:
    _, tests = Path(__file__).read_text().split("DEFINITIONS = ", 1)
    package = Path(dagster_internals.__file__).parent
    names = {file.stem: private_names(file) for file in package.glob("*.py")}
    others = {name for stem, found in names.items() if stem not in OF_STORAGES | OF_IO_MANAGER for name in found}
    assert {name for name in others if name not in tests} <= IN_USE
    assert len(others) <= MOST, sorted(others)
    elsewhere = [file for file in package.parent.rglob("*.py") if file.parent != package and private_names(file)]
    assert elsewhere == []


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
