"""What ``follows_restatements`` requests of an asset of the host, as Dagster evaluates it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from usage_assets.component import follows_restatements

NOW = datetime(2026, 11, 20, 6, tzinfo=UTC)
DAYS = dg.DailyPartitionsDefinition("2025-11-01", timezone="UTC")
YEAR = DAYS.get_partition_keys(NOW)


@dg.asset(partitions_def=DAYS)
def costs(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """As ours: each run has a data version of its own."""
    return dg.MaterializeResult(data_version=dg.DataVersion(context.run.run_id[:8]))


@dg.asset(partitions_def=DAYS, deps=[costs], automation_condition=follows_restatements())
def spend() -> None:
    """An asset of the host."""


@dg.asset(deps=[spend], automation_condition=follows_restatements())
def months() -> None:
    """One without partitions."""


@dataclass
class Host:
    """A project whose sensor evaluates conditions."""

    instance: dg.DagsterInstance
    now: datetime = NOW
    cursor: Any = field(default=None)

    def run(self, asset: dg.AssetsDefinition, *days: str) -> None:
        """Materialize days, each in a run of its own."""
        for day in days or (None,):
            assert dg.materialize([costs, spend, months], selection=[asset], partition_key=day, instance=self.instance)

    def report(self, day: str, version: str) -> None:
        """Report a day that nobody has run here, with the digest of its content."""
        told = dg.AssetMaterialization(costs.key, partition=day, tags={"dagster/data_version": version})
        self.instance.report_runless_asset_event(told)

    def tick(self) -> dict[str, set[str | None]]:
        """Evaluate the conditions once, and return what is requested."""
        done = dg.evaluate_automation_conditions(
            [costs, spend, months], self.instance, dg.AssetSelection.all(), evaluation_time=self.now, cursor=self.cursor
        )
        self.cursor, self.now = done.cursor, self.now + timedelta(minutes=1)
        names = ("spend", "months")
        requested = {name: {*done.get_requested_partitions(dg.AssetKey(name))} for name in names}
        return {name: days for name, days in requested.items() if days}


@pytest.fixture
def host() -> Iterator[Host]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Host(instance)


def test_each_day_that_changed_is_requested_and_no_other(host: Host) -> None:
    for day in YEAR[-3:]:
        host.run(costs, day)
        host.run(spend, day)
    host.run(months)
    assert host.tick() == {}
    host.run(costs, YEAR[-3], YEAR[-1])
    assert host.tick() == {"spend": {YEAR[-3], YEAR[-1]}}
    host.run(spend, YEAR[-3], YEAR[-1])
    assert host.tick() == {"months": {None}}
    host.run(months)
    assert host.tick() == {}
    for version, days in (("first", {YEAR[-2]}), ("first", set()), ("second", {YEAR[-2]})):
        host.report(YEAR[-2], version)
        assert host.tick().get("spend", set()) == days, "reported without a run, as due_days_sensor does it"
        for day in days:
            host.run(spend, day)


def test_history_that_the_host_does_not_have_is_not_requested(host: Host) -> None:
    """A year that is fetched for the first time requests no run for each of its days."""
    host.run(costs, YEAR[0])
    assert host.tick() == {}
    host.run(costs, *YEAR[1:7])
    assert host.tick() == {}
    host.run(spend, YEAR[5])
    assert host.tick() == {}
    host.run(costs, YEAR[5], YEAR[6])
    assert host.tick() == {"spend": {YEAR[5]}}
