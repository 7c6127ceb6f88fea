"""The main job: what is stored equals what the providers billed, and Port equals what is stored."""

from datetime import date, timedelta

import dagster as dg
import pytest

from usage_assets_tests.conftest import last_days
from usage_assets_tests.end_to_end.conftest import (
    CONNECTIONS,
    ONE_PLAN_PER_ASSET,
    PUSHED,
    TOTALS,
    Project,
    on_both,
)


def test_days_are_exact_whatever_runs_fetch_them_and_when_three_are_restated(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every endpoint and asset: a range run equals its single-day runs. The audit has 400 days."""
    monkeypatch.setenv(*ONE_PLAN_PER_ASSET)
    days = last_days(4)
    project.fetch_all(days)
    project.push(days)
    assert project.totals_of(*TOTALS) == project.truth(days)
    entities = project.entities()
    assert project.in_port() == entities
    assert len(entities) > 100
    content, hashes, asked = project.content(), project.hashes(), len(project.port_requests())
    assets = [spec for spec in project.definitions.resolve_all_asset_specs() if spec.partitions_def]
    assert {spec.metadata.get("dagster/table_name", "costs.daily_costs") for spec in assets} <= content.keys()

    project.fetch_all(days[:1])
    project.fetch_all(days[1:])
    project.push(days)
    assert project.content() == content
    assert project.hashes() == hashes
    assert len(project.port_requests()) == asked

    restated = [days[1], days[2], days[-1]]
    for provider in CONNECTIONS:
        for change, day in zip(("scale", "remove", "clear"), restated, strict=True):
            body = {"provider": provider, "days": [str(day)], "change": change}
            assert project.sandbox.control("POST", "restate", body)
    project.fetch_all(days)
    project.push(days)
    calls = [request["path"] for request in project.port_requests()[asked:] if request["method"] == "POST"]
    assert all("/auth/" in call or "/bulk" in call for call in calls)
    assert project.totals_of(*TOTALS) == project.truth(days)
    assert {key[3] for key, value in project.hashes().items() if hashes[key] != value} == set(restated)
    restated_entities = project.entities()
    assert project.in_port() == restated_entities
    assert entities.keys() - restated_entities.keys(), "a cleared day should have lost entities"
    differing = [key for key, entity in restated_entities.items() if entities.get(key) != entity]
    assert _sent(project) == len(differing)


def _sent(project: Project) -> int:
    """Entities that the last push of each connection sent."""
    sent = 0
    for connection in PUSHED:
        event = project.instance.get_latest_materialization_event(dg.AssetKey([connection, "port_sync"]))
        assert event is not None
        assert event.asset_materialization is not None
        value = event.asset_materialization.metadata["entities_sent"].value
        assert isinstance(value, int)
        sent += value
    return sent


def test_a_range_over_a_refused_grouping_equals_its_single_day_runs(small_project: Project) -> None:
    project = small_project
    days = [date(2025, 12, 4) + timedelta(days=n) for n in range(4)]  # OpenAI refuses api_key_id before 12-06
    assets = ("costs", "costs/daily_costs")
    for day in days:
        assert project.fetch("openai", [day], *assets).success
    singles = project.content()
    assert project.fetch("openai", days, *assets).success
    assert project.content() == singles
    assert len({row["grouped_by"] for row in singles["openai.costs"]}) == 2


def test_a_fetched_empty_day_gives_zero_records_and_no_other_rows(project: Project) -> None:
    day = last_days(2)[0]
    for provider in CONNECTIONS:
        project.sandbox.control("POST", "restate", {"provider": provider, "days": [str(day)], "change": "clear"})
    project.fetch_all([day])
    rows = {table: project.rows(table) for table in project.tables()}
    assert {table for table, found in rows.items() if found} == {
        "port_entities.openai_daily_usage",
        "port_entities.claude_usage_record",
        "port_entities.claude_cost_record",
        "openai_legacy.billing_usage",
    }
    assert [row["total_usage_cents"] for row in rows["openai_legacy.billing_usage"]] == [0], "the stated total"
    assert rows["port_entities.claude_cost_record"][0]["amount"] == 0
    assert rows["port_entities.openai_daily_usage"][0]["total_cost"] == 0


@on_both
def test_a_day_that_is_now_empty_is_cleared(small_project: Project) -> None:
    project, days = small_project, last_days(3)
    assert project.fetch("openai", days).success
    assert project.push_of("openai", days).success
    project.sandbox.control("POST", "restate", {"provider": "openai", "days": [str(days[1])], "change": "clear"})
    assert project.fetch("openai", days).success
    assert project.push_of("openai", days).success
    assert not [row for row in project.rows("openai.costs") if row["usage_date"] == days[1]]
    assert [row for row in project.rows("openai.costs") if row["usage_date"] == days[2]]
    assert project.in_port() == project.entities()
