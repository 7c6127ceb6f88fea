"""What an instance of ours adds to somebody else's project, and what it says of attributes that are wrong."""

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]
from dagster.components.testing import DefsFolderSandbox

from usage_assets.assets.names import Names
from usage_assets.component import UsageAssetsComponent, follows_restatements
from usage_assets_tests.alone import is_there, needs
from usage_assets_tests.guest.conftest import ANTHROPIC, OPENAI, QUIETLY, instance_at, keys, loaded, refusal
from usage_assets_tests.models.days import cases

pytestmark = QUIETLY


def named(definitions: dg.Definitions) -> set[str]:
    """All jobs, schedules, sensors and resources."""
    repository = definitions.get_repository_def()
    jobs = [job.name for job in repository.get_all_jobs() if not job.name.startswith("__")]
    schedules = [each.name for each in repository.schedule_defs]
    return {*jobs, *schedules, *(each.name for each in repository.sensor_defs), *(definitions.resources or ())}


@needs("report")
def test_two_instances_stand_beside_things_of_the_same_names(
    host: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_ADMIN_KEY", "sk-ant-admin-x")
    before = loaded(host)
    port = {"client_id": "env:HOME", "client_secret": "env:HOME"}
    instance_at(host, "ai_spend", connections=[OPENAI, ANTHROPIC], port=port)
    instance_at(host, "ai_lab")
    both = loaded(host)
    assert keys(both) - keys(before) == {key for key in keys(both) if key.startswith(("ai_spend/", "ai_lab/"))}
    ours = named(both) - named(before)
    assert {"ai_spend_usage", "ai_lab_usage", "ai_spend_io_manager", "ai_lab_due_days_sensor"} < ours
    assert all(name.startswith(("ai_spend_", "ai_lab_")) for name in ours)
    assert {"io_manager", "warehouse", "usage", "daily_usage_schedule"} < named(both)
    assert both.executor is dg.multiprocess_executor
    assert {"ai_spend/anthropic/cost_report", "ai_spend/report", "ai_lab/openai/costs"} < keys(both)
    assert "ai_lab/anthropic/cost_report" not in keys(both), "a key that is set adds no connection"
    for job in ("usage", "lookups", "report_page", "prune"):
        assert both.resolve_job_def(f"ai_spend_{job}").executor_def.name == "in_process"
    (host.defs_folder_path / "ai_spend" / "defs.yaml").unlink()
    alone = loaded(host)
    assert {key for key in keys(both) if key.startswith("ai_lab/")} == keys(alone) - keys(before)


def test_attributes_and_post_processing_reach_the_assets(
    host: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRST_DAY", "2026-11-07")
    attributes: dict[str, Any] = {
        "connections": [OPENAI, {**ANTHROPIC, "owners": ["team:research"]}],
        "owners": ["team:finops"],
        "tags": {"domain": "ai"},
        "key_prefix": ["finops", "ai"],
        "group_prefix": "costs_of_",
        "start_date": "{{ env.FIRST_DAY }}",
        "report": False,
        "automation": "none",
    }
    instance_at(host, "ai_spend", **attributes)
    path = host.defs_folder_path / "ai_spend" / "defs.yaml"
    content = yaml.safe_load(path.read_text())
    content["post_processing"] = {"assets": [{"target": "*", "attributes": {"tags": {"tier": "1"}}}]}
    path.write_text(yaml.safe_dump(content))
    definitions = loaded(host)
    specs = {each.key.to_user_string(): each for each in definitions.resolve_all_asset_specs()}
    openai, anthropic = specs["finops/ai/openai/costs"], specs["finops/ai/anthropic/cost_report"]
    assert (openai.owners, anthropic.owners) == (["team:finops"], ["team:research"])
    assert {"domain": "ai", "tier": "1", "connection": "openai"}.items() <= openai.tags.items()
    assert openai.group_name == "costs_of_costs"
    assert isinstance(openai.partitions_def, dg.DailyPartitionsDefinition)
    assert openai.partitions_def.start.date().isoformat() == "2026-11-07"
    assert not specs.keys() & {"finops/ai/report", "finops/ai/forecasts", "finops/ai/openai/port_sync"}
    repository = definitions.get_repository_def()
    assert repository.has_job("finops_ai_usage")
    schedules, sensors = repository.schedule_defs, repository.sensor_defs
    acting = [*(each.name for each in schedules), *(each.name for each in sensors)]
    assert [name for name in acting if name.startswith("finops_ai_")] == []


def test_conditions_stand_for_the_daily_schedules(host: DefsFolderSandbox) -> None:
    instance_at(host, "ai_spend", automation="declarative")
    definitions = loaded(host)
    specs = {each.key.to_user_string(): each for each in definitions.resolve_all_asset_specs()}
    fetched, computed = specs["ai_spend/openai/costs"], specs["ai_spend/openai/costs/daily_costs"]
    assert fetched.automation_condition == dg.AutomationCondition.on_cron("0 6 * * *")
    assert computed.automation_condition == follows_restatements()
    assert not is_there("report") or specs["ai_spend/report"].automation_condition is None
    schedules = {each.name for each in definitions.get_repository_def().schedule_defs}
    assert not schedules & {"ai_spend_daily_usage_schedule", "ai_spend_daily_lookups_schedule"}
    assert "ai_spend_weekly_restatement_schedule" in schedules
    sensor = definitions.get_repository_def().get_sensor_def("ai_spend_conditions_sensor")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_what_is_wrong_is_said_in_one_line(host: DefsFolderSandbox) -> None:
    openai = json.dumps(OPENAI)[:-1]
    for attributes, said in cases(f"""
        "key_prefix": [] -> key_prefix: []: letters, digits and single _ in each part, and at least one
        "connections": [] -> connections: there is none: state at least one
        "connections": {{"name": "openai", "key": "sk-admin-secret"}}
            -> connections: write a list: each connection begins
        "connections": [{openai}, "provider": "opnai"}}] -> ai_spend/defs.yaml: connection.1.provider:
        "connections": [{openai}, "key": "sk-admin-secret"}}] -> connection.1.key: write env:NAME or file:PATH
        "connections": "nowhere.toml" -> nowhere.toml: No such file or directory
        "start_date": "soon" -> USAGE_START_DATE:
        "port": {{"client_key": "env:X"}} -> port: client_key: unknown; known: client_id, client_secret, base_url
        "port": {{"client_id": "id-in-clear"}} -> port: client_id: write env:NAME or file:PATH
        "port": {{"client_id": "file:keys/id"}} -> /keys/id does not exist or is empty
    """):
        instance_at(host, "ai_spend", **json.loads(f"{{{attributes}}}"))
        assert said in refusal(host), attributes


def test_instances_that_would_mix_what_they_store_or_push_are_refused(
    host: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT_ID", "an-account")
    instance_at(host, "ai_spend", warehouse="data/one.duckdb")
    instance_at(host, "ai_lab", warehouse="data/two.duckdb")
    assert "data (warehouse) is also that of ai_" in refusal(host)
    for name in ("ai_spend", "ai_lab"):
        instance_at(host, name, port={"client_id": "env:PORT_ID", "client_secret": "env:PORT_ID"})
    assert "the connection openai in Port account" in refusal(host)


def test_variables_of_places_and_shards_do_not_mix_instances(
    host: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """USAGE_ARCHIVE once gave an instance the archived answers of another one's organization."""
    monkeypatch.setenv("USAGE_ARCHIVE", str(tmp_path / "raw"))
    monkeypatch.setenv("USAGE_REPORT", str(tmp_path / "report.html"))
    monkeypatch.setenv("USAGE_SHARD", "eu")
    component = UsageAssetsComponent(connections=[OPENAI])
    settings = component._settings(Names(("ai_spend",)), host.project_root, host.project_root)
    assert settings.archive_path == host.project_root / "data/ai_spend/raw"
    assert settings.report_path == host.project_root / "data/ai_spend/report.html"
    assert [each.name for each in settings.own_connections()] == ["openai"]


def test_files_are_those_of_the_project_wherever_dagster_is_started(
    host: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (host.project_root / "openai.key").write_text("sk-admin-ours")
    (tmp_path / ".env").write_text("OPENAI_ADMIN_KEY=sk-of-another-project\n")
    monkeypatch.chdir(tmp_path)
    component = UsageAssetsComponent(connections=[{**OPENAI, "key": "file:openai.key"}, ANTHROPIC])
    settings = component._settings(Names(("ai_spend",)), host.project_root, host.project_root)
    openai, anthropic = settings.connections()
    assert openai.key
    assert openai.key.get_secret_value() == "sk-admin-ours"
    assert anthropic.key is None


@needs("report")
def test_it_is_found_by_the_documented_commands_and_scaffolded(host: DefsFolderSandbox) -> None:
    """One that Dagster cannot read breaks `dg list`, `dg scaffold` and `dg check` for everything that is installed."""
    [registered] = entry_points(group="dagster_dg_cli.registry_modules", name="usage_assets")
    component = registered.load().UsageAssetsComponent
    assert "UsageAssetsComponent" in dir(registered.load())
    assert component.get_spec().description
    host.scaffold_component(component, "ai_spend")
    host.scaffold_component(component, "ai_lab")
    assert {"report", "ai_spend/report", "ai_spend/anthropic/cost_report", "ai_lab/openai/costs"} <= keys(loaded(host))


def test_what_only_begins_like_ours_is_not_ours() -> None:
    names, other = Names(("ai",)), Names(("ai", "eu"))
    ours, theirs = names.key("openai/costs"), other.key("openai/costs")
    found = [names.asset(key) for key in (ours, theirs, dg.AssetKey(["ai", "model"]))]
    assert found == ["openai/costs", "", ""]
    names.job("usage")
    with dg.DagsterInstance.ephemeral() as instance:
        for job, is_ours in (("ai_usage", True), ("ai_dashboards", False), ("ai_eu_usage", False)):
            assert names.has_run(instance.create_run_for_job(dg.JobDefinition(name=job, graph_def=GRAPH))) == is_ours


GRAPH = dg.GraphDefinition("empty")
