"""The graph as Dagster and its users see it: what exists, what stands on it, and that it loads with nothing set."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster_shared.serdes import serialize_value

from usage_assets.assets.failures import NEXT
from usage_assets.assets.io_manager import code_version
from usage_assets.assets.materializations import FOLLOWS
from usage_assets.automation.jobs import COMPLETENESS_JOB, LOOKUPS_JOB, PORT_SYNC_JOB, USAGE_JOB, range_tags
from usage_assets.build import build_definitions
from usage_assets.config.days import last_day
from usage_assets.core.installed import PLUGINS
from usage_assets.core.schema import declared
from usage_assets.features.port.graph import PORT_CONNECTION_JOB, PORT_RECONCILE_JOB
from usage_assets.providers import LOADED
from usage_assets.warehouse.tables import Table, described
from usage_assets_tests.alone import core_alone
from usage_assets_tests.graphs import KEYS, LOOKUPS, MERGED, PORT
from usage_assets_tests.snapshot import FILE, settings_of, snapshot, stored_graph

GRAPH = stored_graph()
"""Asset key, group, table, and the assets of the same connection that it is computed from."""

TO_PORT = {
    f"{connection}/{name}"
    for connection in ("openai", "anthropic", "chatgpt")
    for name in ("port_sync", "port_connection", "port_reconcile")
}
"""The assets that store nothing here."""


@pytest.fixture(scope="module", autouse=True)
def _alone() -> Iterator[None]:
    """Extensions test what they add."""
    with core_alone():
        yield


def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    """Asset specs by key, sorted."""
    by_key = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    return dict(sorted(by_key.items()))


def sensors(definitions: dg.Definitions) -> list[str]:
    """Names of the sensors."""
    return [str(getattr(sensor, "name", sensor)) for sensor in definitions.sensors or []]


def days_specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    """Specs of the assets whose days are materialized."""
    return {key: spec for key, spec in specs(definitions).items() if spec.partitions_def and key != MERGED}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    """The graph that a newcomer sees."""
    return build_definitions(settings_of())


def test_the_graph_loads_in_a_fresh_interpreter_with_an_empty_environment(
    definitions: dg.Definitions, tmp_path: Path
) -> None:
    """The only variable says which packages are asked."""
    code = (
        "import gc, dagster, usage_assets.definitions as module\n"
        "loaded = module.defs()\n"
        "dagster.Definitions.validate_loadable(loaded)\n"
        "print(len(loaded.resolve_all_asset_specs()), gc.get_freeze_count() > 100_000)"
    )
    command = [sys.executable, "-I", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env={PLUGINS: "core"}, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == ([str(len(specs(definitions))), "True"], "")
    assert list(tmp_path.iterdir()) == [], "loading the graph opens no file"


def test_what_there_is_is_what_the_snapshot_says(definitions: dg.Definitions) -> None:
    of_missing = rf"^({'|'.join(LOADED.missing) or 'none'})  serves.*\n(?:(?!\w+  serves).+\n)*"
    stated = re.sub(of_missing, "", FILE.read_text(), flags=re.MULTILINE)
    assert snapshot(definitions) == stated, "make snapshot writes it: look at what has changed"


def test_the_pages_of_assets_and_jobs_say_what_a_run_takes_and_what_follows(definitions: dg.Definitions) -> None:
    described = {key: spec.description or "" for key, spec in specs(definitions).items()}
    assert "A run makes at least 1 request for each 31 days and" in described["openai/usage_completions"]
    assert "A run makes at least 2 requests for each 31 days and" in described["chatgpt/codex_usage"]
    assert "A run makes at least 1 request for each day and" in described["anthropic/claude_code"]
    assert [key for key in days_specs(definitions).keys() - TO_PORT if FOLLOWS not in described[key]] == []
    jobs = definitions.get_repository_def().get_all_jobs()
    assert [job.name for job in jobs if not job.description] == ["__ASSET_JOB"], "which is Dagster's own"


def test_assets_of_a_connection_can_be_selected_by_its_tags(definitions: dg.Definitions) -> None:
    for key, spec in specs(definitions).items():
        connection = key.partition("/")[0]
        tags = {name: spec.tags.get(name) for name in ("connection", "provider")}
        is_theirs = connection in ("openai", "anthropic", "chatgpt")
        assert tags == dict.fromkeys(tags, connection if is_theirs else None), key


def test_code_versions_follow_columns_and_queries_and_not_connections(
    definitions: dg.Definitions, connections_file: Callable[[str], Path]
) -> None:
    """After an upgrade the UI says which days other code has written."""
    versions = {key: spec.code_version for key, spec in days_specs(definitions).items() if key not in TO_PORT}
    assert None not in versions.values()
    assert len(set(versions.values())) == len(versions) - 8, "the entities of all costs have one query in 3 connections"
    path = connections_file('[[connection]]\nname = "labs"\nprovider = "openai"\nkey = "env:LABS_KEY"\n')
    labs = days_specs(build_definitions(settings_of(usage_connections=path)))
    assert {key: spec.code_version for key, spec in labs.items()} == {
        key.replace("openai", "labs", 1): version for key, version in versions.items() if key.startswith("openai/")
    }
    reads = declared("openai.costs"), declared("openai.usage_images")
    assert len({code_version(row, code) for row in reads for code in ("select 1", "select 2")}) == 4


def test_all_assets_share_one_calendar_and_one_backfill_policy(definitions: dg.Definitions) -> None:
    """Dagster puts assets into one run only where both are the same."""
    repository = definitions.get_repository_def()
    days = days_specs(definitions)
    assets = [asset for key, asset in repository.assets_defs_by_key.items() if key.to_user_string() in days]
    assert len(assets) == len(days) > 0
    assert len({id(asset.partitions_def) for asset in assets}) == 1
    assert len({id(asset.backfill_policy) for asset in assets}) == 1
    assert assets[0].backfill_policy == dg.BackfillPolicy.multi_run(186)
    assert assets[0].partitions_def == dg.DailyPartitionsDefinition("2025-01-01", timezone="UTC")
    check_specs = [spec for checks in repository.asset_checks_defs_by_key.values() for spec in checks.check_specs]
    of_days = [spec for spec in check_specs if spec.asset_key.to_user_string() in days]
    assert {spec.partitions_def for spec in of_days} == {None}, "a check has one result a run"
    assert specs(definitions)[MERGED].partitions_def == assets[0].partitions_def, "which nothing materializes"


def test_every_column_of_a_stored_asset_is_described_and_every_measure_has_its_unit(
    definitions: dg.Definitions,
) -> None:
    for key, spec in specs(definitions).items():
        if key in TO_PORT:
            continue
        shown = {column.name: column for column in spec.metadata["dagster/column_schema"].columns}
        assert spec.description, key
        declaration = Table(declared(spec.metadata["dagster/table_name"])).columns
        assert list(shown) == [column.name for column in declaration]
        for column in declaration:
            description = shown[column.name].description or ""
            assert description.strip(), (key, column.name)
            assert description == described(column), (key, column.name)
            assert (f" [{column.unit}" in description) == bool(column.unit), (key, column.name)
        assert any(column.unit for column in declaration) == (key not in LOOKUPS), key


def test_with_keys_only_configured_connections_exist_and_pushes_only_with_port() -> None:
    graph = specs(build_definitions(settings_of(openai_admin_key="k")))
    assert {key.partition("/")[0] for key in graph} == {"openai", MERGED}
    assert not graph.keys() & TO_PORT
    assert {*sensors(build_definitions(settings_of(openai_admin_key="k")))} == {"due_days_sensor"}
    with_port = build_definitions(settings_of(openai_admin_key="k", **PORT))
    to_port = {key for key in TO_PORT if key.startswith("openai/")}
    assert specs(with_port).keys() & TO_PORT == to_port
    assert {*sensors(with_port)} == {"port_changed_partitions_sensor", "due_days_sensor"}
    statuses = {sensor.default_status for sensor in with_port.get_repository_def().sensor_defs}
    assert statuses == {dg.DefaultSensorStatus.RUNNING}


def test_without_keys_nothing_runs_by_itself(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert {schedule.default_status for schedule in repository.schedule_defs} == {dg.DefaultScheduleStatus.STOPPED}
    assert {sensor.default_status for sensor in repository.sensor_defs} == {dg.DefaultSensorStatus.STOPPED}


@pytest.fixture
def connections_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a connections file."""

    def write(text: str) -> Path:
        path = tmp_path / "connections.toml"
        path.write_text(text)
        return path

    return write


def test_an_endpoint_that_is_off_takes_only_what_reads_it_along(
    monkeypatch: pytest.MonkeyPatch, connections_file: Callable[[str], Path]
) -> None:
    monkeypatch.setenv("CLAUDE_KEY", "k")
    path = connections_file(
        '[[connection]]\nname = "claude"\nprovider = "anthropic"\nkey = "env:CLAUDE_KEY"\n'
        "endpoints = {claude_code = false, users = false}\n"
    )
    graph = specs(build_definitions(settings_of(usage_connections=path)))
    expected = {
        line.split()[0].replace("anthropic", "claude", 1)
        for line in [*GRAPH, *LOOKUPS - {"anthropic/users"}]
        if line.startswith("anthropic/") and "claude_code" not in line.split()[0]
    }
    assert graph.keys() == expected | {"accounting", MERGED}


VARIABLES = {
    "openai/costs": "OPENAI_ADMIN_KEY",
    "anthropic/claude_code": "ANTHROPIC_ADMIN_KEY",
    "chatgpt/codex_usage": "CHATGPT_ANALYTICS_KEY",
    "openai/port_sync": "PORT_CLIENT_ID",
}
"""Asset -> what it cannot do without."""


def test_a_run_without_credentials_fails_with_the_variables_name(tmp_path: Path) -> None:
    settings = settings_of(usage_warehouse=str(tmp_path / "usage.duckdb"))
    definitions, day = build_definitions(settings), last_day(settings)
    for asset, variable in VARIABLES.items():
        said = said_without_credentials(definitions, asset, day)
        assert variable in said, asset
        assert "\n" not in said, asset
        assert list(tmp_path.iterdir()) == [], "nothing is created by a run that cannot begin"


def said_without_credentials(definitions: dg.Definitions, asset: str, day: date) -> str:
    """Why the run of an asset fails, which it does before it stores anything."""
    name = asset.partition("/")[2]
    job = name if asset in TO_PORT else USAGE_JOB
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def(job).execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(asset.split("/"))],
            tags=dict(range_tags(day, day)),
            raise_on_error=False,
        )
        assert instance.get_latest_materialization_event(dg.AssetKey(asset.split("/"))) is None, asset
    (failure,) = (event for event in result.all_events if event.is_step_failure and not event.is_resource_init_failure)
    shown = failure.step_failure_data.user_failure_data
    assert shown is not None, asset
    assert shown.metadata["next"].value == NEXT, "its page says what to do"
    return str(shown.description)


@pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`:DeprecationWarning")
def test_no_secret_reaches_what_the_ui_is_told() -> None:
    secret = "very-secret-0123456789"
    names = ("openai_admin_key", "anthropic_admin_key", "chatgpt_analytics_key", "port_client_secret", "usage_hash_key")
    definitions = build_definitions(
        settings_of(**dict.fromkeys(names, secret), port_client_id="client", usage_people="hash")
    )
    snapshot = serialize_value(RepositorySnap.from_def(definitions.get_repository_def()))
    assert '"usage_completions"' in snapshot
    assert secret not in snapshot


OWNED = """
[[connection]]
name = "labs"
provider = "openai"
key = "env:LABS_KEY"
owners = ["team:finops", "ann@example.com"]

[[connection]]
name = "research"
provider = "chatgpt"
key = "env:RESEARCH_KEY"
workspace_id = "ws-research"

[[connection]]
name = "shared"
provider = "openai"
key = "env:SHARED_KEY"

[[owner]]
workspace = "ws-research"
team = "Research & Co"
valid_from = 2026-01-01

[[owner]]
workspace = "ws-research"
team = "before"
valid_until = 2025-12-31

[[owner]]
project = "proj_part"
team = "web"
"""


def test_assets_are_owned_by_whom_their_connection_names_or_by_the_team_of_its_only_workspace(
    connections_file: Callable[[str], Path],
) -> None:
    """Owners change nothing else: not the calendar, the policy or the code version."""
    built, others = (
        build_definitions(settings_of(usage_connections=connections_file(text), **PORT))
        for text in (OWNED, OWNED.replace("owners = ", "# ").partition("[[owner]]")[0])
    )
    graph = specs(built)
    owners = {(key.partition("/")[0], tuple(spec.owners)) for key, spec in graph.items()}
    assert owners == {
        ("labs", ("team:finops", "ann@example.com")),
        ("research", ("team:Research & Co",)),
        ("shared", ()),
        ("accounting", ()),
        (MERGED, ()),
    }
    assert {key: spec.replace_attributes(owners=[]) for key, spec in graph.items()} == specs(others)
    assets = built.get_repository_def().assets_defs_by_key.values()
    days = [asset for asset in assets if asset.partitions_def and asset.is_executable]
    assert len({id(asset.backfill_policy) for asset in days}) == 1


# Jobs


JOBS = (USAGE_JOB, LOOKUPS_JOB, PORT_SYNC_JOB, PORT_CONNECTION_JOB, PORT_RECONCILE_JOB)


def keys_of(definitions: dg.Definitions, job: str) -> set[dg.AssetKey]:
    """The assets of a job."""
    return set(definitions.resolve_job_def(job).asset_layer.executable_asset_keys)


def test_every_asset_is_in_exactly_one_job(definitions: dg.Definitions) -> None:
    assert {key.to_user_string() for key in keys_of(definitions, LOOKUPS_JOB)} == LOOKUPS
    for job in (PORT_SYNC_JOB, PORT_CONNECTION_JOB, PORT_RECONCILE_JOB):
        assert keys_of(definitions, job) == {dg.AssetKey([name, job]) for name in ("openai", "anthropic", "chatgpt")}
    in_jobs = [key for job in JOBS for key in keys_of(definitions, job)]
    assert len(in_jobs) == len(set(in_jobs))
    assert set(in_jobs) == {spec.key for spec in definitions.resolve_all_asset_specs()} - {dg.AssetKey(MERGED)}


def test_jobs_hold_the_checks_of_their_assets() -> None:
    definitions = build_definitions(settings_of(**KEYS, **PORT))
    graph = definitions.get_repository_def().asset_graph
    assert graph.asset_check_keys
    of_jobs = [
        definitions.resolve_job_def(job).asset_layer.asset_graph.asset_check_keys
        for job in (USAGE_JOB, LOOKUPS_JOB, COMPLETENESS_JOB)
    ]
    assert set().union(*of_jobs) == graph.asset_check_keys
    assert {check.asset_key.to_user_string() for check in of_jobs[1]} == LOOKUPS
    assert {check.asset_key.to_user_string() for check in of_jobs[2]} == {MERGED}
