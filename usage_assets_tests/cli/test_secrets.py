"""A lake whose password or key is wrong: neither is in anything that is printed, logged, stored or listed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._grpc.types import ExecuteRunArgs

from usage_assets.automation.jobs import USAGE_JOB, range_tags
from usage_assets.build import build_from_environment
from usage_assets.cli.main import COMMANDS
from usage_assets.core.warehouse_address import LAKE
from usage_assets_tests.alone import needs
from usage_assets_tests.fixtures import last_days
from usage_assets_tests.object_store import CREDENTIALS
from usage_assets_tests.postgres import new_database, with_password
from usage_assets_tests.terminal import Terminal

SECRET = "geheim-4711"
DAY = str(last_days(1)[0])
OPENED = "it opens with this"


@pytest.fixture(params=["PGPASSWORD", "AWS_SECRET_ACCESS_KEY"])
def wrong(
    request: pytest.FixtureRequest,
    terminal: Terminal,
    postgres: str,
    object_store: str,
) -> Terminal:
    """A person who has set one of the two wrong."""
    lake = {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": object_store,
        "PGPASSWORD": OPENED,
        "USAGE_WAREHOUSE": f"{LAKE}{with_password(new_database(postgres), OPENED)}",
        "USAGE_WAREHOUSE_DATA": f"s3://lakes/{terminal.folder.name}",
        request.param: SECRET,
    }
    terminal.set(lake)
    return terminal


def listed_meanwhile(process: "subprocess.Popen[str]") -> Iterator[bytes]:
    """The process list, again and again until the process has ended."""
    while True:
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                yield entry.read_bytes()
            except OSError:  # it has ended
                continue
        try:
            process.wait(0.3)
        except subprocess.TimeoutExpired:
            continue
        return


@needs("lake")
def test_a_wrong_password_or_key_is_nowhere(wrong: Terminal) -> None:
    with dg.DagsterInstance.get() as instance:
        # Start a run in a process of its own, as a run launcher does.
        origin = JobPythonOrigin(
            USAGE_JOB, RepositoryPythonOrigin(sys.executable, ModuleCodePointer("usage_assets.definitions", "defs"))
        )
        run = instance.create_run_for_job(
            build_from_environment().resolve_job_def(USAGE_JOB),
            tags=range_tags(*last_days(1), *last_days(1)),
            asset_selection=frozenset([dg.AssetKey(["chatgpt", "codex_usage"])]),
            job_code_origin=origin,
        )
        asked = ExecuteRunArgs(origin, run.run_id, instance.get_ref())
        process = subprocess.Popen(
            asked.get_command_args(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert not [line for line in listed_meanwhile(process) if SECRET.encode() in line]
        said = [process.communicate()[0]]
        events = instance.all_logs(run.run_id)
        said += [str(event) for event in events]
    assert any(event.is_dagster_event and event.get_dagster_event().is_step_failure for event in events)
    days = ("--start", DAY, "--end", DAY)
    lake = ("--to", os.environ["USAGE_WAREHOUSE"], "--data", os.environ["USAGE_WAREHOUSE_DATA"])
    doctor = wrong.type("doctor", "--all")
    assert "problem" in doctor.lines[-1], "it says what it finds, and goes on"
    said += [doctor.out, doctor.err]
    commands = [
        ("query", "select 1"),
        ("move", *lake),
        ("prune",),
        ("export", "focus", *days, "--out", "costs.csv"),
        ("connection", "list"),
    ]
    for command in (each for each in commands if each[0] in COMMANDS):
        typed = wrong.type(*command)
        said += [typed.out, typed.err]
    assert any("password authentication failed" in each or "HTTP 403" in each for each in said)
    assert not [each for each in said if SECRET in each]
    written = [file for file in wrong.folder.rglob("*") if file.is_file()]
    assert {".err", ".db"} <= {file.suffix for file in written}
    assert not [file for file in written if SECRET.encode() in file.read_bytes()]
