"""A rate that is stated later: the sensor has exactly the days that it covers valued again, and Port is told."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from usage_assets.automation.jobs import ACCOUNTING_JOB, USAGE_JOB, range_tags
from usage_assets.definitions import build_definitions
from usage_assets.settings import Settings
from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import sandbox_environment

DAYS = last_days(4)
RATE = """
[[credit_rate]]
workspace = "ws-sandbox"
usd_per_credit = {usd}
valid_from = {first}
source = "contract"
"""
Open = Callable[[str], dg.Definitions]


@pytest.fixture
def opened(sandbox: Sandbox, tmp_path: Path) -> Open:
    """Load the graph as it is once the connections file states this."""

    def load(text: str) -> dg.Definitions:
        file = tmp_path / "connections.toml"
        file.write_text(text)
        environment = sandbox_environment(sandbox.base_url, tmp_path / "usage.duckdb")
        variables = {name.lower(): value for name, value in environment.items()}
        return build_definitions(Settings.load(_env_file=None, **variables | {"usage_connections": str(file)}))

    return load


def tick(definitions: dg.Definitions, instance: dg.DagsterInstance, cursor: str | None) -> Any:
    """Evaluate the sensor as the daemon does."""
    sensor = definitions.resolve_sensor_def("revaluation_sensor")
    resources = {"warehouse": definitions.get_repository_def().get_top_level_resources()["warehouse"]}
    repository = definitions.get_repository_def()
    with dg.build_sensor_context(
        instance=instance, cursor=cursor, repository_def=repository, resources=resources
    ) as context:
        return sensor.evaluate_tick(context)


def run(definitions: dg.Definitions, instance: dg.DagsterInstance, request: Any) -> None:
    """Run what the sensor requests."""
    job = definitions.resolve_job_def(request.job_name)
    tags = dict(request.tags)
    assert job.execute_in_process(instance=instance, asset_selection=request.asset_selection, tags=tags).success


def values(folder: Path, day: date) -> set[tuple[Any, ...]]:
    """Dollars per credit of a day's costs and of its entities in Port's shape."""
    with duckdb.connect(str(folder / "usage.duckdb"), read_only=True) as database:
        return set(
            database.execute(
                """
                select distinct usd_rate, amount_usd is null
                from costs.daily_costs
                where cost_basis = 'credits' and usage_date = $day
                union
                select distinct null, amount_usd is null
                from port_entities.ai_cost_record
                where cost_basis = 'credits' and usage_date = $day
                """,
                {"day": day},
            ).fetchall()
        )


def test_a_changed_rate_values_again_the_days_that_it_covers_and_no_others(opened: Open, tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        definitions = opened("")
        job = definitions.resolve_job_def(USAGE_JOB)
        codex = [key for key in job.asset_layer.selected_asset_keys if key.path[0] == "chatgpt"]
        tags = range_tags(DAYS[0], DAYS[-1])
        assert job.execute_in_process(instance=instance, asset_selection=codex, tags=tags).success
        nothing = tick(definitions, instance, None)
        assert (nothing.run_requests, nothing.skip_message) == ([], "costs are valued as the connections file states")

        definitions = opened(RATE.format(usd="0.04", first=DAYS[2]))
        stated = tick(definitions, instance, nothing.cursor)
        assert [request.job_name for request in stated.run_requests] == [ACCOUNTING_JOB, USAGE_JOB]
        assert stated.run_requests[1].tags["dagster/asset_partition_range_start"] == str(DAYS[2])
        assert stated.run_requests[1].tags["dagster/asset_partition_range_end"] == str(DAYS[3])
        assert all(key.path[0] == "chatgpt" for key in stated.run_requests[1].asset_selection)
        for request in stated.run_requests:
            run(definitions, instance, request)
        assert values(tmp_path, DAYS[1]) == {(None, True)}
        assert values(tmp_path, DAYS[2]) == {(Decimal("0.04"), False), (None, False)}
        assert tick(definitions, instance, stated.cursor).run_requests == []

        definitions = opened("")
        taken_back = tick(definitions, instance, stated.cursor)
        assert len(taken_back.run_requests) == 2, "as at the start, but not as it was stated last"
        for request in taken_back.run_requests:
            run(definitions, instance, request)
        assert values(tmp_path, DAYS[2]) == {(None, True)}


def test_a_tick_waits_for_a_run_that_has_the_file(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usage_assets.automation.revaluation.WAIT_SECONDS", 0)
    definitions = opened(RATE.format(usd="0.04", first=DAYS[0]))
    (tmp_path / "usage.duckdb").mkdir()
    with dg.DagsterInstance.ephemeral() as instance:
        waiting = tick(definitions, instance, "something else was stated before")
    assert waiting.skip_message.startswith("not yet: ")
    assert waiting.run_requests == []
    assert waiting.cursor == "something else was stated before"


def test_stated_invoices_are_compared_each_month(opened: Open) -> None:
    definitions = opened("")
    assert definitions.resolve_schedule_def("monthly_invoices_schedule").cron_schedule == "0 9 3 * *"
    assert definitions.resolve_job_def(ACCOUNTING_JOB).asset_layer.asset_graph.asset_check_keys == {
        dg.AssetCheckKey(dg.AssetKey("accounting"), "invoices")
    }
