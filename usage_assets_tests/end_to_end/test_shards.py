"""Connections split over code locations: together they are what one is, and each keeps to its own."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest

from usage_assets.build import build_definitions
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days
from usage_assets.models.stated import difference
from usage_assets.warehouse.opened import warehouse_at
from usage_assets_tests.end_to_end.conftest import open_project, sandbox_environment
from usage_assets_tests.end_to_end.shards import MONEY, PLACES, location
from usage_assets_tests.fixtures import Sandbox, last_days

DAYS = last_days(1)


def settings_of(
    folder: Path, shard: str | None, places: Mapping[str, str | None] = PLACES, more: str = MONEY
) -> Settings:
    """The settings of a code location that asks nobody."""
    environment = sandbox_environment("http://127.0.0.1:1", folder / "usage.duckdb")
    variables = environment | location(folder, shard, places, more)
    return Settings.load(_env_file=None, **{name.lower(): value for name, value in variables.items()})


def keys_of(definitions: dg.Definitions) -> set[dg.AssetKey]:
    return {spec.key for spec in definitions.resolve_all_asset_specs() if spec.group_name not in (None, "default")}


def reasons(run: dg.ExecuteInProcessResult) -> set[str | None]:
    """Why steps failed."""
    failures = [event.step_failure_data.user_failure_data for event in run.all_events if event.is_step_failure]
    return {failure.description for failure in failures if failure}


FETCHED = {
    "openai": ("costs", "costs/daily_costs", "entities/ai_cost_record"),
    "claude": ("cost_report", "cost_report/daily_costs", "entities/ai_cost_record"),
    "chat": ("codex_usage", "entities/codex_usage_record"),
}


def test_together_they_have_every_asset_once(tmp_path: Path) -> None:
    whole = keys_of(build_definitions(settings_of(tmp_path, None, dict.fromkeys(PLACES))))
    parts = [build_definitions(settings_of(tmp_path, shard)) for shard in PLACES.values()]
    owned = [
        {key for key in keys_of(part) if key.path[0] == name or key.path[0] not in PLACES}
        for name, part in zip(PLACES, parts, strict=True)
    ]
    assert set.union(*owned) == whole
    assert sum(map(len, owned)) == len(whole)
    assert [dg.AssetKey("costs") in keys for keys in owned] == [True, False, False]


def test_only_the_main_one_looks_after_what_is_no_connections(tmp_path: Path) -> None:
    names = {"daily_prune_schedule", "monthly_invoices_schedule"}
    for shard in PLACES.values():
        settings = settings_of(tmp_path, shard).model_copy(update={"usage_webhook_url": "http://127.0.0.1:1/hook"})
        definitions = build_definitions(Settings.model_validate(settings.model_dump()))
        automated = {each.name for each in (*(definitions.schedules or ()), *(definitions.sensors or ()))}
        assert names & automated == (set() if shard else names)
        own = {"daily_usage_schedule", "due_days_sensor", "port_changed_partitions_sensor", "webhook_sensor"}
        assert own <= automated


def test_each_states_its_own_assets_and_only_the_main_one_what_it_says_about_money(tmp_path: Path) -> None:
    warehouse = warehouse_at(settings_of(tmp_path, None).warehouse)
    for shard, money in ((None, MONEY), ("east", ""), ("west", "")):
        due = due_days(warehouse, seeds_of(settings_of(tmp_path, shard, more=money), "always"), keep=True)
    assert {day.connection for day in due} == {*PLACES}
    stated = warehouse.read("select distinct connection, shard from ledger.assets order by all").to_pylist()
    assert stated == [{"connection": name, "shard": PLACES[name]} for name in sorted(PLACES)]
    assert warehouse.read("select team from accounting.owners").column(0).to_pylist() == ["Research"]
    with warehouse.transaction(keep=False) as database:
        for shard in PLACES.values():
            assert difference(database, settings_of(tmp_path, shard), is_required=True) is None
            other = settings_of(tmp_path, shard, more=MONEY.replace("Research", "Sales"))
            assert "differ from the stored ones (owners 1)" in (difference(database, other) or "")


def test_a_connection_in_two_is_refused_until_the_main_one_agrees(sandbox: Sandbox, tmp_path: Path) -> None:
    moved = {**PLACES, "claude": "west"}
    warehouse = warehouse_at(settings_of(tmp_path, None).warehouse)
    due_days(warehouse, seeds_of(settings_of(tmp_path, "east")), keep=True)
    with open_project(sandbox, tmp_path, location(tmp_path, "west", moved)) as project:
        run = project.fetch("claude", DAYS, *FETCHED["claude"])
        assert not run.success
        assert reasons(run) == {
            (
                "connection claude is in shard west here, but another code location states shard east: "
                "give all of them the same connections file, and restart the main one first"
            )
        }
        assert project.tables() == []
        looked_up = project.look_up("claude", "workspaces")
        assert reasons(looked_up) == reasons(run)
        due_days(warehouse, seeds_of(settings_of(tmp_path, None, moved)), keep=True)
        assert project.fetch("claude", DAYS, *FETCHED["claude"]).success


def test_a_shard_without_connections_is_refused(tmp_path: Path) -> None:
    for shard, reason in (
        ("north", "USAGE_SHARD: no connection has shard = 'north'; known: east, west"),
        ("East", "USAGE_SHARD: String should match pattern '^[a-z][a-z0-9_]{0,39}$' (set in the environment or .env)"),
    ):
        with pytest.raises(SettingsError) as refused:
            build_definitions(settings_of(tmp_path, shard))
        assert str(refused.value) == reason
