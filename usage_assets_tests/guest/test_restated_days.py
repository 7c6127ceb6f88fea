"""A day of two weeks ago is restated: what a host computes from all costs is requested for that day, and ends right.

The host's days are UTC days, those of New York, or begin at six in the morning; the second and third map a day to the
UTC day of its name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import DefsFolderSandbox

from usage_assets.automation.jobs import range_tags
from usage_assets_tests.conftest import NOW, Sandbox, last_days
from usage_assets_tests.guest.conftest import QUIETLY, instance_at, loaded, write_assets
from usage_assets_tests.guest.test_runs import Project, stated

pytestmark = [pytest.mark.slow, *QUIETLY]
DAYS = last_days(16)
RESTATED = DAYS[1]
SPEND = """
import dagster as dg
import pandas as pd

from usage_assets.component import follows_restatements

DAYS = dg.DailyPartitionsDefinition("2026-11-01", {days})


@dg.asset(
    ins={{"costs": dg.AssetIn(["ai_spend", "costs"]{mapping})}},
    partitions_def=DAYS,
    automation_condition=follows_restatements(),
)
def {name}(costs: pd.DataFrame) -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={{"usd": str(costs["amount_usd"].sum())}})
"""
SAME_NAME = ", partition_mapping=dg.IdentityPartitionMapping()"
KEY = dg.AssetKey("spend")
COSTS = "select usage_date, sum(amount_usd) as usd from costs.daily_costs group by all"


@dataclass
class Host:
    """A project with an asset that loads the costs of all connections, and a daemon of one tick at a time."""

    project: Project
    now: datetime = NOW
    cursor: Any = None
    sensor_cursor: str | None = None

    def tick(self) -> set[str]:
        """Let the sensor of due days report, and Dagster evaluate all conditions; return the requested days."""
        ticked = self.project.ask("ai_spend_due_days_sensor", self.sensor_cursor)
        self.sensor_cursor = ticked.cursor
        for event in ticked.asset_events:
            self.project.instance.report_runless_asset_event(event)
        done = dg.evaluate_automation_conditions(
            self.project.definitions,
            self.project.instance,
            dg.AssetSelection.all(),
            evaluation_time=self.now,
            cursor=self.cursor,
        )
        self.cursor, self.now = done.cursor, self.now + timedelta(minutes=1)
        requested = {
            result.key: {str(key) for key in done.get_requested_partitions(result.key)} for result in done.results
        }
        assert not [key for key, days in requested.items() if days and key != KEY]
        return requested[KEY]

    def fetch(self, first: date, last: date) -> None:
        self.project.run("ai_spend_usage", **range_tags(first, last))

    def compute(self, day: str, asset: str = "spend") -> dg.ExecuteInProcessResult:
        """Run an asset of the host for a day of its own."""
        everything = self.project.definitions.resolve_implicit_global_asset_job_def()
        job = everything.get_subset(asset_selection={dg.AssetKey(asset)})
        return job.execute_in_process(partition_key=day, instance=self.project.instance, raise_on_error=False)

    def computed(self) -> Mapping[str, Decimal]:
        """What the newest event of each day says."""
        found = self.project.instance.fetch_materializations(KEY, limit=1000, ascending=True).records
        return {str(each.partition_key): _usd(each.asset_materialization) for each in found}

    def stored(self) -> Mapping[str, Decimal]:
        rows = self.project.warehouse("ai_spend").read(COSTS).to_pylist()
        return {str(row["usage_date"]): row["usd"] for row in rows}


def _usd(event: dg.AssetMaterialization | None) -> Decimal:
    assert event
    return Decimal(str(event.metadata["usd"].value))


@pytest.fixture
def project(
    host: DefsFolderSandbox, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Project]:
    """An instance with two connections, and what it stored of two weeks; and a host whose days are as the test says."""
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-sandbox")
    monkeypatch.setenv("ANTHROPIC_ADMIN_KEY", "sk-ant-admin-sandbox")
    instance_at(host, "ai_spend", connections=stated(sandbox, "openai", "anthropic"))
    for name, mapping in request.param["assets"].items():
        write_assets(host, name, SPEND.format(name=name, mapping=mapping, days=request.param["days"]))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Project(host, loaded(host), instance, sandbox)


@pytest.mark.parametrize(
    "project",
    [
        {"days": 'timezone="UTC"', "assets": {"spend": ""}},
        {"days": 'timezone="America/New_York"', "assets": {"spend": SAME_NAME}},
        {"days": "hour_offset=6", "assets": {"spend": SAME_NAME, "unmapped": ""}},
    ],
    ids=["UTC", "New York", "from six o'clock"],
    indirect=True,
)
def test_a_restated_day_of_two_weeks_ago_is_requested_alone_and_ends_equal(
    project: Project, request: pytest.FixtureRequest
) -> None:
    host = Host(project)
    host.fetch(DAYS[0], DAYS[-1])
    if "from six" in request.node.name:
        refused = host.compute(str(RESTATED), "unmapped")
        [failed] = [event.step_failure_data for event in refused.all_events if event.is_step_failure]
        assert failed.error
        assert "IdentityPartitionMapping" in failed.error.to_string()
    host.tick()
    for day in DAYS:
        assert host.compute(str(day)).success
    assert host.computed() == (before := host.stored())
    assert host.tick() == set()

    restated = {"provider": "openai", "endpoint": "costs", "days": [str(RESTATED)], "change": "add"}
    project.sandbox.control("POST", "restate", restated)
    host.fetch(DAYS[0], DAYS[4])
    assert host.tick() == {str(RESTATED)}
    assert host.compute(str(RESTATED)).success
    assert host.tick() == set()

    after = host.stored()
    assert {day for day in after if after[day] != before[day]} == {str(RESTATED)}
    assert host.computed() == after
