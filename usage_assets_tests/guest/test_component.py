"""What an instance of ours adds to somebody else's project, and what it says of attributes that are wrong."""

import traceback
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.testing import DefsFolderSandbox

import usage_assets
from usage_assets.assets.names import Names
from usage_assets.component import UsageAssetsComponent, follows_restatements
from usage_assets_tests.guest.conftest import ANTHROPIC, OPENAI, QUIETLY, instance_at, loaded

pytestmark = QUIETLY


def keys(definitions: dg.Definitions) -> set[str]:
    return {spec.key.to_user_string() for spec in definitions.resolve_all_asset_specs()}


def named(definitions: dg.Definitions) -> set[str]:
    """All jobs, schedules, sensors and resources."""
    repository = definitions.get_repository_def()
    jobs = [job.name for job in repository.get_all_jobs() if not job.name.startswith("__")]
    schedules = [each.name for each in repository.schedule_defs]
    return {*jobs, *schedules, *(each.name for each in repository.sensor_defs), *(definitions.resources or ())}


def test_two_instances_stand_beside_things_of_the_same_names(host: DefsFolderSandbox) -> None:
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
    (host.defs_folder_path / "ai_spend" / "defs.yaml").unlink()
    alone = loaded(host)
    assert {key for key in keys(both) if key.startswith("ai_lab/")} == keys(alone) - keys(before)


def test_runs_of_our_jobs_have_one_process_whatever_the_project_runs_in(host: DefsFolderSandbox) -> None:
    instance_at(host, "ai_spend")
    definitions = loaded(host)
    for job in ("usage", "lookups", "report_page", "prune"):
        assert definitions.resolve_job_def(f"ai_spend_{job}").executor_def.name == "in_process"


def test_the_prefix_may_have_parts_and_groups_a_prefix_of_their_own(host: DefsFolderSandbox) -> None:
    instance_at(host, "ai", key_prefix=["finops", "ai"], group_prefix="costs_of_")
    definitions = loaded(host)
    [spec] = [each for each in definitions.resolve_all_asset_specs() if each.key.path[-2:] == ["openai", "costs"]]
    assert (spec.key.to_user_string(), spec.group_name) == ("finops/ai/openai/costs", "costs_of_openai_costs")
    assert "finops_ai_usage" in named(definitions)


def test_owners_tags_and_post_processing_reach_the_assets(host: DefsFolderSandbox) -> None:
    owned = {**ANTHROPIC, "owners": ["team:research"]}
    instance_at(host, "ai_spend", connections=[OPENAI, owned], owners=["team:finops"], tags={"domain": "ai"})
    path = host.defs_folder_path / "ai_spend" / "defs.yaml"
    content = yaml.safe_load(path.read_text())
    content["post_processing"] = {"assets": [{"target": "*", "attributes": {"tags": {"tier": "1"}}}]}
    path.write_text(yaml.safe_dump(content))
    specs = {each.key.to_user_string(): each for each in loaded(host).resolve_all_asset_specs()}
    openai, anthropic = specs["ai_spend/openai/costs"], specs["ai_spend/anthropic/cost_report"]
    assert (openai.owners, anthropic.owners) == (["team:finops"], ["team:research"])
    assert {"domain": "ai", "tier": "1", "connection": "openai"}.items() <= openai.tags.items()


def test_templates_are_filled_in(host: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST_DAY", "2026-11-07")
    instance_at(host, "ai_spend", start_date="{{ env.FIRST_DAY }}")
    costs = loaded(host).get_assets_def(dg.AssetKey(["ai_spend", "openai", "costs"]))
    assert isinstance(costs.partitions_def, dg.DailyPartitionsDefinition)
    assert costs.partitions_def.start.date().isoformat() == "2026-11-07"


def test_parts_can_be_left_out(host: DefsFolderSandbox) -> None:
    instance_at(host, "ai_spend", report=False, automation="none")
    definitions = loaded(host)
    ours = {key for key in keys(definitions) if key.startswith("ai_spend/")}
    assert "ai_spend/openai/costs" in ours
    assert not ours & {"ai_spend/report", "ai_spend/forecasts", "ai_spend/openai/port_sync"}
    assert not [name for name in named(definitions) if name.endswith(("_schedule", "_sensor")) and "ai_spend" in name]


def test_conditions_stand_for_the_daily_schedules(host: DefsFolderSandbox) -> None:
    instance_at(host, "ai_spend", automation="declarative")
    definitions = loaded(host)
    specs = {each.key.to_user_string(): each for each in definitions.resolve_all_asset_specs()}
    fetched, computed = specs["ai_spend/openai/costs"], specs["ai_spend/openai/costs/daily_costs"]
    assert fetched.automation_condition == dg.AutomationCondition.on_cron("0 6 * * *")
    assert computed.automation_condition == follows_restatements()
    assert specs["ai_spend/report"].automation_condition is None
    names = named(definitions)
    assert not names & {"ai_spend_daily_usage_schedule", "ai_spend_daily_lookups_schedule"}
    assert {"ai_spend_weekly_restatement_schedule", "ai_spend_due_days_sensor"} < names


def test_a_connections_file_states_all_that_a_project_of_its_own_can(host: DefsFolderSandbox) -> None:
    entries = '[[connection]]\nname = "acme"\nprovider = "openai"\nkey = "env:ACME"\n\n[[rate]]\nfrom = "EUR"\n'
    (host.project_root / "ai.toml").write_text(entries.partition("[[rate]]")[0])
    instance_at(host, "ai_spend", connections="ai.toml")
    assert {"ai_spend/acme/costs", "ai_spend/accounting"} < keys(loaded(host))


MAPPING = """
resources:
  - name: models
    kind: /v1/organizations/usage_report/messages
    selector: {query: 'true'}
    port: {entity: {mappings: {identifier: .id, blueprint: '"b"'}}}
"""


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        (MAPPING, ""),
        (None, "/ai/mapping.yml is not there: a relative path begins at the connections file"),
        (
            MAPPING.replace("/messages", "/nothing"),
            "mapping.yml:3: models: no endpoint of connection acme has the path",
        ),
        (MAPPING.replace('"b"', '"claude_usage_record"'), "/ai/ai.toml, line 6: mapping.1), or map to another"),
    ],
)
def test_a_mapping_lies_beside_its_connections_file(host: DefsFolderSandbox, mapping: str | None, said: str) -> None:
    (folder := host.project_root / "ai").mkdir()
    entries = (
        '[[connection]]\nname = "acme"\nprovider = "anthropic"\nkey = "env:ACME"\n\n[[mapping]]\nconnection = "acme"'
    )
    (folder / "ai.toml").write_text(f'{entries}\nfile = "mapping.yml"\n')
    if mapping is not None:
        (folder / "mapping.yml").write_text(mapping)
    instance_at(host, "ai_spend", connections="ai/ai.toml")
    if not said:
        assert "ai_spend/acme/mapped/models" in keys(loaded(host))
        return
    with pytest.raises(ComponentTreeException) as raised:
        loaded(host)
    reason = str(raised.value.__cause__)
    assert said in reason
    assert "\n" not in reason


def test_a_key_that_is_set_adds_no_connection(host: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-x")
    monkeypatch.setenv("ANTHROPIC_ADMIN_KEY", "sk-ant-admin-x")
    instance_at(host, "ai_spend")
    assert not {key for key in keys(loaded(host)) if "anthropic" in key}


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"key_prefix": []}, "key_prefix: []: letters, digits and single _ in each part, and at least one"),
        ({"connections": [{**OPENAI, "provider": "opnai"}]}, "ai_spend/defs.yaml: connection.1.provider: "),
        ({"connections": [{**OPENAI, "key": "sk-admin-secret"}]}, "connection.1.key: write env:NAME or file:PATH"),
        ({"connections": "nowhere.toml"}, "nowhere.toml: No such file or directory"),
        ({"start_date": "soon"}, "USAGE_START_DATE: "),
        ({"port": {"client_key": "env:X"}}, "port: client_key: unknown; known: client_id, client_secret, base_url"),
        ({"port": {"client_id": "id-in-clear"}}, "port: client_id: write env:NAME or file:PATH"),
        ({"port": {"client_id": "file:keys/id"}}, "/keys/id does not exist or is empty"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(host: DefsFolderSandbox, attributes: dict[str, Any], said: str) -> None:
    instance_at(host, "ai_spend", **attributes)
    with pytest.raises(ComponentTreeException) as raised:
        loaded(host)
    reason = str(raised.value.__cause__)
    assert said in reason
    assert "\n" not in reason
    assert "secret" not in reason.replace("client_secret", "")


def test_dagster_can_read_the_component_and_its_attributes() -> None:
    """One that it cannot read breaks `dg list`, `dg scaffold` and `dg check` for everything that is installed."""
    fields = UsageAssetsComponent.get_model_cls().model_fields  # type: ignore[union-attr]
    assert set(fields) == {
        "connections",
        "warehouse",
        "warehouse_data",
        "key_prefix",
        "group_prefix",
        "owners",
        "tags",
        "port",
        "report",
        "automation",
        "start_date",
    }
    assert UsageAssetsComponent.get_spec().description
    assert "UsageAssetsComponent" in dir(usage_assets)
    assert usage_assets.UsageAssetsComponent is UsageAssetsComponent
    with pytest.raises(AttributeError, match="has no attribute 'UsageAssets'"):
        _ = usage_assets.UsageAssets


def test_two_instances_in_one_file(host: DefsFolderSandbox) -> None:
    (host.defs_folder_path / "ai").mkdir()
    texts = [
        yaml.safe_dump(
            {
                "type": "usage_assets.UsageAssetsComponent",
                "attributes": {"connections": [OPENAI], "key_prefix": name},
            }
        )
        for name in ("one", "two")
    ]
    (host.defs_folder_path / "ai" / "defs.yaml").write_text("---\n".join(texts))
    assert {"one/openai/costs", "two/openai/costs"} < keys(loaded(host))


@pytest.mark.parametrize(
    ("spend", "lab", "said"),
    [
        ({"warehouse": "data/one.duckdb"}, {"warehouse": "data/two.duckdb"}, "data (warehouse) is also that of ai_"),
        (
            {"port": {"client_id": "env:PORT_ID", "client_secret": "env:PORT_ID"}},
            {"port": {"client_id": "env:PORT_ID", "client_secret": "env:PORT_ID"}},
            "the connection openai in Port account",
        ),
    ],
)
def test_instances_that_would_mix_what_they_store_or_push_are_refused(
    host: DefsFolderSandbox,
    monkeypatch: pytest.MonkeyPatch,
    spend: dict[str, Any],
    lab: dict[str, Any],
    said: str,
) -> None:
    monkeypatch.setenv("PORT_ID", "an-account")
    instance_at(host, "ai_spend", **spend)
    instance_at(host, "ai_lab", **lab)
    with pytest.raises(ComponentTreeException) as raised:
        loaded(host)
    assert said in str(raised.value.__cause__)


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


def test_secrets_of_port_and_files_of_a_lake_are_those_of_the_project(
    host: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (host.project_root / "secrets").mkdir()
    (host.project_root / "secrets" / "id").write_text("our-id\n")
    (tmp_path / "secret").write_text("our-secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    port = {"client_id": "file:secrets/id", "client_secret": "file:~/secret"}
    lake: dict[str, Any] = {"warehouse": "ducklake:postgres:dbname=usage", "connections": [OPENAI]}
    component = UsageAssetsComponent(**lake, port=port, warehouse_data="data/lake")
    settings = component._settings(Names(("ai_spend",)), host.project_root, host.project_root)
    account = settings.port_account
    assert account
    assert (account.client_id, account.client_secret.get_secret_value()) == ("our-id", "our-secret")
    assert settings.warehouse.data == str(host.project_root / "data/lake")
    component = UsageAssetsComponent(**lake, warehouse_data="s3://bucket/lake")
    settings = component._settings(Names(("ai_spend",)), host.project_root, host.project_root)
    assert settings.warehouse.data == "s3://bucket/lake"


def test_a_connections_file_may_be_in_the_home_folder(
    host: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ai.toml").write_text('[[connection]]\nname = "acme"\nprovider = "openai"\nkey = "env:ACME"\n')
    component = UsageAssetsComponent(connections="~/ai.toml")
    settings = component._settings(Names(("ai_spend",)), host.project_root, host.project_root)
    assert [each.name for each in settings.connections()] == ["acme"]


def test_an_instance_may_be_renamed_while_its_process_goes_on(host: DefsFolderSandbox) -> None:
    """Equal trees of one module are loads of their own."""
    with host.build_component_tree() as tree:
        for prefix in ("one", "two"):
            instance_at(host, "ai_spend", key_prefix=prefix, warehouse="data/usage.duckdb")
            again = dg.ComponentTree.from_module(tree.defs_module, tree.project_root)
            assert f"{prefix}/openai/costs" in keys(again.build_defs())


def test_old_days_can_be_pruned_by_hand_and_conditions_are_evaluated(host: DefsFolderSandbox) -> None:
    instance_at(host, "ai_spend", automation="none")
    assert "ai_spend_prune" in named(loaded(host))
    instance_at(host, "ai_spend", automation="declarative")
    repository = loaded(host).get_repository_def()
    assert repository.get_sensor_def("ai_spend_conditions_sensor").default_status is dg.DefaultSensorStatus.RUNNING


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


def test_steps_of_others_are_skipped_as_dagster_does() -> None:
    @dg.asset(output_required=False)
    def quiet(context: dg.AssetExecutionContext) -> Any:
        context.log_event(dg.AssetObservation("quiet"))
        yield from ()

    @dg.asset
    def loud() -> None: ...

    @dg.asset(deps=[quiet, loud])
    def after() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([quiet, loud, after], instance=instance)
    assert [event.step_key for event in done.all_events if event.is_step_skipped] == ["after"]


def test_no_connection_is_one_line_and_no_secret_is_shown(host: DefsFolderSandbox) -> None:
    instance_at(host, "ai_spend", connections=[])
    with pytest.raises(ComponentTreeException) as raised:
        loaded(host)
    assert str(raised.value.__cause__) == "connections: there is none: state at least one"
    instance_at(host, "ai_spend", connections={"name": "openai", "key": "sk-admin-secret"})
    with pytest.raises(ComponentTreeException) as raised:
        loaded(host)
    assert "connections: write a list: each connection begins with a dash" in str(raised.value.__cause__)
    shown = "".join(traceback.format_exception(raised.value))
    assert "sk-admin-secret" not in shown
