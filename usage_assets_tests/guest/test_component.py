"""What an instance of ours adds to somebody else's project, and what it says of attributes that are wrong."""

from typing import Any

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.testing import DefsFolderSandbox

import usage_assets
from usage_assets.component import UsageAssetsComponent
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
    assert computed.automation_condition == dg.AutomationCondition.eager()
    assert specs["ai_spend/report"].automation_condition is None
    names = named(definitions)
    assert not names & {"ai_spend_daily_usage_schedule", "ai_spend_daily_lookups_schedule"}
    assert {"ai_spend_weekly_restatement_schedule", "ai_spend_due_days_sensor"} < names


def test_a_connections_file_states_all_that_a_project_of_its_own_can(host: DefsFolderSandbox) -> None:
    entries = '[[connection]]\nname = "acme"\nprovider = "openai"\nkey = "env:ACME"\n\n[[rate]]\nfrom = "EUR"\n'
    (host.project_root / "ai.toml").write_text(entries.partition("[[rate]]")[0])
    instance_at(host, "ai_spend", connections="ai.toml")
    assert {"ai_spend/acme/costs", "ai_spend/accounting"} < keys(loaded(host))


def test_a_key_that_is_set_adds_no_connection(host: DefsFolderSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-x")
    monkeypatch.setenv("ANTHROPIC_ADMIN_KEY", "sk-ant-admin-x")
    instance_at(host, "ai_spend")
    assert not {key for key in keys(loaded(host)) if "anthropic" in key}


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"key_prefix": []}, "key_prefix: []: letters, digits and _ in each part, and at least one"),
        ({"connections": [{**OPENAI, "provider": "opnai"}]}, "ai_spend/defs.yaml: connection.1.provider: "),
        ({"connections": [{**OPENAI, "key": "sk-admin-secret"}]}, "connection.1.key: write env:NAME or file:PATH"),
        ({"connections": "nowhere.toml"}, "nowhere.toml: No such file or directory"),
        ({"start_date": "soon"}, "USAGE_START_DATE: "),
        ({"port": {"client_key": "env:X"}}, "port: client_key: unknown; known: client_id, client_secret, base_url"),
        ({"port": {"client_id": "id-in-clear"}}, "port: client_id: write env:NAME or file:PATH"),
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
