"""Two instances in somebody else's project: what they store, push, request and leave alone."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import DefsFolderSandbox

from usage_assets.automation.jobs import range_tags
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import copy_of
from usage_assets_tests.alone import needs
from usage_assets_tests.end_to_end.conftest import TOTALS
from usage_assets_tests.fixtures import ROOT, Sandbox, last_days
from usage_assets_tests.guest.conftest import QUIETLY, instance_at, loaded

pytestmark = QUIETLY
DAYS = last_days(2)
DAY = {"day": str(DAYS[-1])}
OWN_ASSETS = ROOT / "docs" / "examples" / "own_assets.py"
ASKED: Mapping[str, Sequence[str]] = {"ai_spend": ("openai usd", "anthropic cents"), "ai_lab": ("openai usd",)}
"""Instance -> what the books call what it stores."""
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Project:
    """The project, loaded, and its Dagster."""

    host: DefsFolderSandbox
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    sandbox: Sandbox

    def run(self, job: str, **tags: str) -> dg.ExecuteInProcessResult:
        """Execute a job, which succeeds."""
        done = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, run_config=QUIET, tags=tags
        )
        assert done.success
        return done

    def request(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Execute what a sensor requests."""
        job = self.definitions.resolve_job_def(str(request.job_name)).get_subset(
            asset_selection={*(request.asset_selection or ())}
        )
        tags = {**request.tags, "dagster/run_key": str(request.run_key)}
        return job.execute_in_process(instance=self.instance, run_config=QUIET, tags=tags, raise_on_error=False)

    def ask(self, sensor: str, cursor: str | None = None) -> dg.SensorResult:
        """Let a sensor look."""
        repository = self.definitions.get_repository_def()
        found = repository.get_sensor_def(sensor)
        resources = {name: self.definitions.resources[name] for name in found.required_resource_keys}  # type: ignore[index]
        with dg.build_sensor_context(self.instance, cursor, repository_def=repository, resources=resources) as context:
            result = found(context)
            assert isinstance(result, dg.SensorResult)
            return result

    def warehouse(self, name: str) -> Warehouse:
        return Warehouse(database=str(self.host.project_root / f"data/{name}/usage.duckdb"))

    def totals(self, name: str) -> Mapping[str, Decimal]:
        """What an instance has stored, by the names of the sandbox's books."""
        read = self.warehouse(name).read
        return {unit: Decimal(read(f"select {TOTALS[unit]}").column(0)[0].as_py()) for unit in ASKED[name]}

    def truth(self, name: str) -> Mapping[str, Decimal]:
        books = self.sandbox.truth(DAYS[0], DAYS[-1])
        return {unit: books[unit.split()[0]][unit.split()[1]] for unit in ASKED[name]}

    def stores_the_truth(self, name: str) -> bool:
        return self.totals(name) == self.truth(name)

    def runs_of_sensor(self, name: str, cursor: str | None = None) -> Sequence[dg.RunRequest]:
        return self.ask(name, cursor).run_requests or []


def stated(sandbox: Sandbox, *providers: str) -> list[dict[str, Any]]:
    """Connections that ask for costs alone."""
    places = {"openai": ("openai/v1", "costs"), "anthropic": ("anthropic", "cost_report")}
    return [
        {
            "name": name,
            "provider": name,
            "key": f"env:{name.upper()}_ADMIN_KEY",
            "base_url": f"{sandbox.base_url}/{places[name][0]}",
            "endpoints": {each.name: each.name == places[name][1] for each in PROVIDERS[name].endpoints},
        }
        for name in providers
    ]


@pytest.fixture
def project(host: DefsFolderSandbox, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The instance `ai_spend` asks both providers and pushes to Port; `ai_lab` asks one."""
    for name, value in {
        "OPENAI_ADMIN_KEY": "sk-admin-sandbox",
        "ANTHROPIC_ADMIN_KEY": "sk-ant-admin-sandbox",
        "PORT_CLIENT_ID": "sandbox-client-id",
        "PORT_CLIENT_SECRET": "sandbox-client-secret",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("USAGE_BACKFILL_HISTORY", "false")
    monkeypatch.setenv("USAGE_LOOKBACK_DAYS", str(len(DAYS)))
    port = {"base_url": f"{sandbox.base_url}/port"}
    instance_at(host, "ai_spend", connections=stated(sandbox, "openai", "anthropic"), port=port)
    instance_at(host, "ai_lab", connections=stated(sandbox, "openai"))
    shutil.copy(OWN_ASSETS, host.defs_folder_path / "own")
    with dg.DagsterInstance.ephemeral() as instance:
        yield Project(host, loaded(host), instance, sandbox)


@needs("report")
def test_two_instances_share_a_project_and_nothing_else(project: Project) -> None:
    theirs = project.definitions.resolve_job_def("usage")
    ended = project.instance.create_run_for_job(theirs, status=dg.DagsterRunStatus.SUCCESS)
    project.instance.create_run_for_job(theirs, status=dg.DagsterRunStatus.STARTED)
    # A sensor requests runs of its own instance.
    project.run("ai_lab_lookups")
    ticked = project.ask("ai_lab_due_days_sensor")
    [request] = ticked.run_requests or []
    assert request.job_name == "ai_lab_usage"
    assert {(*key.path[:2],) for key in request.asset_selection or ()} == {("ai_lab", "openai")}
    assert project.request(request).success
    assert project.stores_the_truth("ai_lab")
    assert not project.runs_of_sensor("ai_lab_due_days_sensor", ticked.cursor)
    assert not project.warehouse("ai_spend").exists
    # Runs of the project hold nothing of ours up. The report and the copy wait for runs that change what
    # is stored; others may always be under way.
    assert copy_of(project.warehouse("ai_lab").database).exists()
    project.run("ai_lab_prune")
    [request] = project.runs_of_sensor("ai_lab_report_sensor")
    assert str(request.run_key).startswith("ai_lab_report_page:")
    ours = project.definitions.resolve_job_def("ai_lab_usage")
    run = project.instance.create_run_for_job(ours, status=dg.DagsterRunStatus.STARTED)
    assert not project.runs_of_sensor("ai_lab_report_sensor")
    project.instance.delete_run(run.run_id)
    assert project.instance.get_run_by_id(ended.run_id) is not None, "the history of the project is not ours to prune"
    backfill(project, "ai_spend")
    assert project.stores_the_truth("ai_spend")
    # The project reads what is stored.
    everything = project.definitions.resolve_implicit_global_asset_job_def()

    def metadata(name: str, **day: str) -> dict[str, object]:
        """What the newest event of an asset of the project says, once it has run."""
        job = everything.get_subset(asset_selection={dg.AssetKey(name)})
        assert job.execute_in_process(instance=project.instance, run_config=QUIET, **day).success  # type: ignore[arg-type]
        event = project.instance.get_latest_materialization_event(dg.AssetKey(name))
        assert event is not None
        assert event.asset_materialization is not None
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}

    billed = "from costs.daily_costs where connection = 'openai' and cost_basis = 'billed'"
    [(of_day, of_month)] = [
        (*row.values(),)
        for row in project.warehouse("ai_spend")
        .read(f"select sum(amount_usd) filter (usage_date = $day)::varchar, sum(amount_usd)::varchar {billed}", DAY)
        .to_pylist()
    ]
    for day in DAYS:
        stored = metadata("model_spend", partition_key=str(day))
    assert {"dagster/partition_row_count", "content_hash", "amount_usd"} <= stored.keys()
    assert Decimal(str(metadata("day_spend", partition_key=DAY["day"])["usd"])) == Decimal(of_day) > 0
    months = metadata("month_spend")
    assert sum(Decimal(str(months[month])) for month in {f"{day:%Y-%m}" for day in DAYS}) == Decimal(of_month)
    assert_pushes_stay_with_their_instance(project)
    (project.host.defs_folder_path / "ai_spend" / "defs.yaml").unlink()
    (project.host.defs_folder_path / "own" / OWN_ASSETS.name).unlink()
    left = Project(project.host, loaded(project.host), project.instance, project.sandbox)
    backfill(left, "ai_lab")
    assert left.stores_the_truth("ai_lab")
    assert left.stores_the_truth("ai_spend"), "what is removed leaves what it has stored"


def backfill(project: Project, name: str) -> None:
    project.run(f"{name}_lookups")
    project.run(f"{name}_usage", **range_tags(DAYS[0], DAYS[-1]))


def assert_pushes_stay_with_their_instance(project: Project) -> None:
    ticked = project.ask("ai_spend_port_changed_partitions_sensor")
    requests = ticked.run_requests or []
    assert {request.job_name for request in requests} == {"ai_spend_port_sync"}
    for request in requests:
        assert project.request(request).success
    done = project.ask("ai_spend_port_changed_partitions_sensor", ticked.cursor)
    assert (done.run_requests, done.skip_reason and done.skip_reason.skip_message) == ([], "Port has every change")
    keys = project.definitions.resolve_asset_graph().get_all_asset_keys()
    assert dg.AssetKey(["ai_lab", "openai", "port_sync"]) not in keys
