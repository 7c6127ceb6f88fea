"""A process of a run builds only what the run needs: both ways in which Dagster starts one."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance.ref import InstanceRef
from dagster._core.test_utils import poll_for_finished_run
from dagster._core.workspace.context import BaseWorkspaceRequestContext, WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._grpc.types import ExecuteRunArgs

from usage_assets.build import build_definitions
from usage_assets.config.settings import Settings
from usage_assets.dagster_internals.run_process import assets_of_this_run

LOADED = """
import dagster as dg
from usage_assets.dagster_internals.run_process import assets_of_this_run

SELECTED = assets_of_this_run()  # while Dagster loads the definitions


def asset(key):
    @dg.asset(key=key)
    def selected():
        return dg.MaterializeResult(metadata={"selected": [each.to_user_string() for each in SELECTED or ()]})

    return selected


defs = dg.Definitions([asset(["a", "one"]), asset(["b", "two"])], executor=dg.in_process_executor)
"""
Start = Callable[[dg.DagsterInstance, BaseWorkspaceRequestContext, dg.DagsterRun], object]


def by_the_code_server(
    instance: dg.DagsterInstance, workspace: BaseWorkspaceRequestContext, run: dg.DagsterRun
) -> object:
    return instance.launch_run(run.run_id, workspace)


def by_a_command(instance: dg.DagsterInstance, workspace: BaseWorkspaceRequestContext, run: dg.DagsterRun) -> object:
    """As in a container."""
    assert run.job_code_origin
    arguments = ExecuteRunArgs(run.job_code_origin, run.run_id, instance.get_ref()).get_command_args()
    return subprocess.run([sys.executable, "-m", *arguments[-4:]], check=True, capture_output=True)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance that other processes can open."""
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(tmp_path))) as instance:
        yield instance


@pytest.mark.slow
@pytest.mark.parametrize("start", [by_the_code_server, by_a_command])
@pytest.mark.parametrize("selection", [["b", "two"], None])
def test_a_run_says_which_assets_it_is_for_while_the_definitions_are_loaded(
    instance: dg.DagsterInstance, tmp_path: Path, start: Start, selection: list[str] | None
) -> None:
    file = tmp_path / "loaded.py"
    file.write_text(LOADED)
    target = PythonFileTarget(str(file), attribute=None, working_directory=str(tmp_path), location_name="here")
    with WorkspaceProcessContext(instance, target) as process:
        workspace = process.create_request_context()
        (repository,) = workspace.get_code_location("here").get_repositories().values()
        job = repository.get_full_job("__ASSET_JOB")
        nothing = dict.fromkeys(
            ("run_config", "status", "tags", "root_run_id", "parent_run_id", "step_keys_to_execute", "run_id",
             "execution_plan_snapshot", "job_snapshot", "parent_job_snapshot", "asset_check_selection",
             "resolved_op_selection", "op_selection")
        )  # fmt: skip
        run = instance.create_run(
            job_name=job.name,
            asset_selection={dg.AssetKey(selection)} if selection else None,
            remote_job_origin=job.get_remote_origin(),
            job_code_origin=job.get_python_origin(),
            asset_graph=repository.asset_graph,
            **nothing,
        )
        start(instance, workspace, run)
        assert poll_for_finished_run(instance, run.run_id).is_success
    event = instance.get_latest_materialization_event(dg.AssetKey(["b", "two"]))
    assert event
    assert event.asset_materialization
    assert event.asset_materialization.metadata["selected"].value == (["b/two"] if selection else [])


def test_another_process_is_for_no_run() -> None:
    assert assets_of_this_run() is None


def test_what_runs_of_one_connection_need_is_what_the_whole_graph_has_of_it() -> None:
    settings = Settings.load(
        _env_file=None,
        openai_admin_key="k",
        anthropic_admin_key="k",
        port_client_id="client",
        port_client_secret="secret",
    )
    whole, part = build_definitions(settings), build_definitions(settings, only={"openai"})

    def described(definitions: dg.Definitions) -> dict[str, object]:
        return {str(spec): spec for spec in definitions.resolve_all_asset_specs() if spec.key.path[0] == "openai"}

    def steps(definitions: dg.Definitions, job: str) -> set[str]:
        graph = definitions.resolve_job_def(job).graph
        return {node.name for node in graph.nodes if node.name.startswith("openai__")}

    assert described(part) == described(whole)
    assert {spec.key.path[0] for spec in part.resolve_all_asset_specs()} == {"openai"}
    for job in ("usage", "lookups", "port_sync", "port_connection", "port_reconcile"):
        assert steps(part, job) == steps(whole, job) != set()
    assert not part.schedules
    assert not part.sensors
