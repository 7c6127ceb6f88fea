"""A process of a run builds only what the run needs and imports little: all ways in which Dagster starts one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.instance.ref import InstanceRef
from dagster._core.test_utils import poll_for_finished_run
from dagster._core.workspace.context import BaseWorkspaceRequestContext, WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._grpc.types import ExecuteRunArgs

from usage_assets.build import build_definitions
from usage_assets.config.settings import Settings

LOADED = """
import threading
from pathlib import Path
import dagster as dg
from usage_assets.dagster_internals.run_process import assets_of_this_run

SELECTED = assets_of_this_run()  # while Dagster loads the definitions
BEGUN = Path(__file__).with_name("begun")


def asset(key):
    @dg.asset(key=key)
    def selected():
        return dg.MaterializeResult(metadata={"selected": [each.to_user_string() for each in SELECTED or ()]})

    return selected


@dg.asset
def hangs():
    if BEGUN.is_fifo():
        BEGUN.write_text("begun")
        threading.Event().wait()


defs = dg.Definitions([asset(["a", "one"]), asset(["b", "two"]), hangs], executor=dg.in_process_executor)
"""
FORKED = """
from usage_assets.dagster_internals.run_process import fork_runs

fork_runs("usage_assets.preload")
"""
IMPATIENT = FORKED.replace(")", ", idle_seconds=0.1)")
WHERE = """
import os
import sys
import dagster as dg

HEAVY = {"alembic", "dagster", "duckdb", "httpx", "pandas", "pyarrow", "sqlalchemy", "usage_assets.build"}
IMPORTED = sorted(HEAVY - {*sys.modules})


@dg.asset
def where():
    return dg.MaterializeResult(metadata={"parent": os.getppid(), "imports": IMPORTED})


defs = dg.Definitions([where], executor=dg.in_process_executor)
"""


@dataclass(frozen=True)
class CodeServer:
    """A code server that has loaded a file."""

    instance: dg.DagsterInstance
    folder: Path
    workspace: BaseWorkspaceRequestContext

    def new_run(self, *asset: str) -> dg.DagsterRun:
        """Create a run of an asset, or of all, that is still to be started."""
        (repository,) = self.workspace.get_code_location("here").get_repositories().values()
        job = repository.get_full_job("__ASSET_JOB")
        nothing = dict.fromkeys(
            ("run_config", "status", "tags", "root_run_id", "parent_run_id", "step_keys_to_execute", "run_id",
             "execution_plan_snapshot", "job_snapshot", "parent_job_snapshot", "asset_check_selection",
             "resolved_op_selection", "op_selection")
        )  # fmt: skip
        return self.instance.create_run(
            job_name=job.name,
            asset_selection={dg.AssetKey(asset)} if asset else None,
            remote_job_origin=job.get_remote_origin(),
            job_code_origin=job.get_python_origin(),
            asset_graph=repository.asset_graph,
            **nothing,
        )


def by_the_code_server(
    instance: dg.DagsterInstance, workspace: BaseWorkspaceRequestContext, run: dg.DagsterRun
) -> object:
    return instance.launch_run(run.run_id, workspace)


def by_a_command(instance: dg.DagsterInstance, workspace: BaseWorkspaceRequestContext, run: dg.DagsterRun) -> object:
    """As in a container."""
    assert run.job_code_origin
    arguments = ExecuteRunArgs(run.job_code_origin, run.run_id, instance.get_ref()).get_command_args()
    return subprocess.run([sys.executable, "-m", *arguments[-4:]], check=True, capture_output=True)


@contextmanager
def serving(folder: Path, definitions: str) -> Iterator[CodeServer]:
    """Start a code server with these definitions, and an instance that other processes can open."""
    file = folder / "loaded.py"
    file.write_text(definitions)
    target = PythonFileTarget(str(file), attribute=None, working_directory=str(folder), location_name="here")
    with (
        dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(folder))) as instance,
        WorkspaceProcessContext(instance, target) as process,
    ):
        yield CodeServer(instance, folder, process.create_request_context())


@pytest.fixture(scope="module", params=[LOADED, FORKED + LOADED], ids=["spawned", "forked"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CodeServer]:
    """A code server that starts a new Python for each run, or forks one."""
    with serving(tmp_path_factory.mktemp("server"), request.param) as started:
        yield started


def said(instance: dg.DagsterInstance, asset: list[str]) -> dict[str, object]:
    """What the newest event of an asset says."""
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event
    assert event.asset_materialization
    return {name: fact.value for name, fact in event.asset_materialization.metadata.items()}


def test_a_run_says_which_assets_it_is_for_while_the_definitions_are_loaded(server: CodeServer) -> None:
    one = ["b", "two"]
    for start, selection in ((by_the_code_server, one), (by_the_code_server, []), (by_a_command, one)):
        run = server.new_run(*selection)
        start(server.instance, server.workspace, run)
        case = f"{start.__name__}, {selection or 'all'}"
        assert poll_for_finished_run(server.instance, run.run_id).is_success, case
        assert said(server.instance, one)["selected"] == (["b/two"] if selection else []), case


def test_a_run_is_canceled_however_its_process_was_started(server: CodeServer) -> None:
    begun = server.folder / "begun"
    os.mkfifo(begun)
    run = server.new_run("hangs")
    by_the_code_server(server.instance, server.workspace, run)
    assert begun.read_text() == "begun"
    assert server.instance.run_launcher.terminate(run.run_id)
    assert poll_for_finished_run(server.instance, run.run_id).status is dg.DagsterRunStatus.CANCELED


def test_the_process_of_a_run_is_forked_from_one_that_ends_with_its_code_server(tmp_path: Path) -> None:
    with serving(tmp_path, FORKED + WHERE) as server:
        run = server.new_run()
        by_the_code_server(server.instance, server.workspace, run)
        assert poll_for_finished_run(server.instance, run.run_id).is_success
        found = said(server.instance, ["where"])
        warm = psutil.Process(int(str(found["parent"])))
        parent = warm.parent()
        assert "multiprocessing.forkserver" in " ".join(warm.cmdline())
        assert parent
        assert "grpc" in parent.cmdline()
        assert found["imports"] == []
    assert not psutil.wait_procs([warm], timeout=60)[1]


def test_the_process_that_runs_are_forked_from_ends_when_it_is_idle_and_is_started_again(tmp_path: Path) -> None:
    parents = []
    with serving(tmp_path, IMPATIENT + WHERE) as server:
        for _ in range(2):
            run = server.new_run()
            by_the_code_server(server.instance, server.workspace, run)
            assert poll_for_finished_run(server.instance, run.run_id).is_success
            parents.append(int(str(said(server.instance, ["where"])["parent"])))
            with suppress(psutil.NoSuchProcess):
                assert not psutil.wait_procs([psutil.Process(parents[-1])], timeout=60)[1]
    assert parents[0] != parents[1]


def test_only_three_libraries_start_threads_before_processes_are_forked() -> None:
    """A forked process lacks the threads of the first one. These three start theirs again when they need them."""
    code = (
        "import os, threading; from pathlib import Path; {}; print(threading.active_count() == 1, "
        "*(Path('/proc/self/task', each, 'comm').read_text().strip() for each in os.listdir('/proc/self/task')))"
    )
    known, warm = (
        subprocess.run([sys.executable, "-c", code.format(each)], check=True, capture_output=True, text=True).stdout
        for each in ("import duckdb, numpy, pyarrow.compute", "import usage_assets.preload")
    )
    assert known.startswith("True")
    assert sorted(warm.split()) == sorted(known.split())


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
    for job in ("usage", "port_sync"):
        assert steps(part, job) == steps(whole, job) != set()
    assert not part.schedules
    assert not part.sensors
