"""What a materialization writes, what it says on each day's event, and what it refuses, in real in-process runs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeAlias

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
import time_machine

from usage_assets.assets.io_manager import TABLE, UsageIOManager, table_metadata
from usage_assets.assets.warehouse_resource import WarehouseResource
from usage_assets.core.schema import to_arrow
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.values import Batch, Query
from usage_assets_tests.warehouse.conftest import ON_BOTH
from usage_assets_tests.warehouse.samples import (
    FULL,
    Sample,
    day,
    days,
    models,
    sample,
    stored,
    write,
)

PARTITIONS = dg.DailyPartitionsDefinition("2026-11-01", end_date="2026-12-01")
KEY = dg.AssetKey(["c", "sample"])
Content: TypeAlias = pa.Table | pd.DataFrame | Batch | Query | None


def sample_asset(content: Callable[[Sequence[str]], Content]) -> dg.AssetsDefinition:
    """An asset that writes what ``content`` gives for its partition keys."""

    @dg.asset(
        key=KEY,
        partitions_def=PARTITIONS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        metadata=table_metadata(Sample, "c"),
    )
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(value=content(context.partition_keys), metadata={"requests_made": 3})

    return asset


def days_of(first: int, last: int | None = None) -> dict[str, Any]:
    """What chooses a day, or a range of days."""
    if last is None:
        return {"partition_key": str(day(first))}
    ends = {"start": str(day(first)), "end": str(day(last))}
    return {"tags": {f"dagster/asset_partition_range_{end}": text for end, text in ends.items()}}


class Run:
    """Materializes rows of the sample table and reads the events."""

    def __init__(self, warehouse: Warehouse, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.resources = {
            "warehouse": WarehouseResource.of(warehouse, publishes=False),
            "io_manager": UsageIOManager(database=warehouse.database),
        }

    def __call__(self, content: Content, first: int = 0, last: int | None = None) -> dg.ExecuteInProcessResult:
        """Run the asset for a day, or for a range of days, as the daemon does."""
        return self.run([sample_asset(lambda _: content)], **days_of(first, last))

    def run(self, assets: Sequence[dg.AssetsDefinition | dg.AssetSpec], **chosen: Any) -> dg.ExecuteInProcessResult:
        """Run assets, or those that are selected."""
        return dg.materialize(assets, resources=self.resources, instance=self.instance, raise_on_error=False, **chosen)

    def events(self) -> list[tuple[str | None, dict[str, Any]]]:
        """Partition and metadata of every materialization, oldest first."""
        events = self.instance.fetch_materializations(KEY, limit=100, ascending=True)
        return [
            (record.partition_key, {name: value.value for name, value in record.asset_materialization.metadata.items()})
            for record in events.records
            if record.asset_materialization
        ]

    def changes(self) -> list[tuple[str | None, bool]]:
        """Partition and ``changed`` of every materialization, oldest first. A new day does not say it, and is."""
        return [(partition, metadata.get("changed", True)) for partition, metadata in self.events()]


@pytest.fixture
def run(warehouse: Warehouse, instance: dg.DagsterInstance) -> Run:
    return Run(warehouse, instance)


def arrow(*rows: Sample) -> pa.Table:
    return to_arrow(Sample, rows)


def failure(result: dg.ExecuteInProcessResult) -> str:
    """The message of the failed step, which a user sees."""
    assert not result.success
    [event] = [event for event in result.all_events if event.is_step_failure]
    error = event.step_failure_data.error
    assert error is not None
    return error.message


@ON_BOTH
def test_a_day_is_written_and_described_on_its_event(run: Run, warehouse: Warehouse) -> None:
    rows = [FULL, sample(model="n", amount=Decimal("0.25"), trial=True)]
    assert run(arrow(*rows)).success
    assert stored(warehouse) == arrow(*rows).to_pylist()
    [(partition, metadata)] = run.events()
    assert partition == "2026-11-01"
    preview = metadata.pop("preview")
    assert {type(metadata[name]) for name in ("requests", "amount", "paid_usd")} == {float}, "so that they are plotted"
    assert FULL.person
    assert FULL.person not in preview
    assert metadata == {
        "dagster/partition_row_count": 2,
        "content_hash": write(warehouse, rows)[0].content_hash,
        "requests": 2.0,
        "amount": 0.38080438340307526,
        "paid_usd": 0.13080438340307526,
        "requests_made": 3,
    }
    assert preview.splitlines()[0] == "| model | requests | amount | level | trial | noted_at |"
    assert "| n | 1 | 0.25 |" in preview


def test_a_range_describes_each_day_on_its_own_event(run: Run, warehouse: Warehouse) -> None:
    assert run(arrow(sample(0, requests=5), sample(2, "a", requests=7), sample(2, "b")), 0, 2).success
    assert len(stored(warehouse, days(0, 2))) == 3
    facts = {
        partition: (metadata["dagster/partition_row_count"], metadata.get("requests"), "preview" in metadata)
        for partition, metadata in run.events()
    }
    assert facts == {
        "2026-11-01": (1, 5.0, False),
        "2026-11-02": (0, None, False),
        "2026-11-03": (2, 8.0, True),
    }
    assert len({metadata["content_hash"] for _, metadata in run.events()}) == 3


def test_a_change_whose_event_is_missing_is_announced_once_by_the_next_equal_write(
    run: Run, warehouse: Warehouse
) -> None:
    run(arrow(sample(0), sample(1)), 0, 1)
    write(warehouse, [sample(0), sample(1, requests=2)], days(0, 1), run_id="killed before its events")
    for _ in range(3):
        run(arrow(sample(0), sample(1, requests=2)), 0, 1)
    assert run.changes() == [
        ("2026-11-01", True),
        ("2026-11-02", True),
        ("2026-11-01", False),
        ("2026-11-02", True),
        *[("2026-11-01", False), ("2026-11-02", False)] * 2,
    ]


@ON_BOTH
def test_a_refused_value_fails_the_run_and_leaves_neither_rows_nor_event(run: Run, warehouse: Warehouse) -> None:
    failure(run(arrow(sample(0), sample(1), sample(1)), 0, 1))
    assert run.events() == [], "one refused day of a range"
    run(arrow(sample(model="old")))
    never = Query("select * from tests.sample", ("tests.never",))
    for content, message in (
        (arrow(sample(), sample()), "2 rows for one connection, usage_date, model"),
        (never, "tests.never of connection c was never fetched"),
    ):
        text = failure(run(content))
        assert message in text
        assert "\n" not in text.strip().removeprefix("dagster._core.definitions.events.Failure: ")
        assert models(warehouse) == ["old"]
        assert len(run.events()) == 1


def read_back(run: Run, first: int, last: int | None = None) -> pd.DataFrame:
    """What a downstream asset or a notebook is given for the days."""
    seen: list[pd.DataFrame] = []

    @dg.asset(
        ins={"sample": dg.AssetIn(KEY)}, partitions_def=PARTITIONS, backfill_policy=dg.BackfillPolicy.single_run()
    )
    def person(sample: pd.DataFrame) -> None:
        seen.append(sample)

    chosen = days_of(first, first if last is None else last)
    assert run.run([sample_asset(lambda _: None), person], selection=[person], **chosen).success
    return seen[0]


@ON_BOTH
def test_a_downstream_reader_gets_exact_decimals_of_its_days_only(run: Run) -> None:
    run(arrow(FULL, sample(1), sample(2, level=2**53 + 1)), 0, 2)
    frame = read_back(run, 0, 1)
    assert list(frame["usage_date"]) == [day(0), day(1)]
    assert frame["amount"][0] == Decimal("0.130804383403075260000001")
    assert isinstance(frame["amount"][0], Decimal)
    frame = read_back(run, 2)
    assert frame["level"][0] == 2**53 + 1
    assert run(frame, 2).success
    assert run.changes()[-1] == (str(day(2)), False), "what is read can be written again unchanged"


IDENTITY = dg.IdentityPartitionMapping()
UTC_DAYS = dg.DailyPartitionsDefinition("2026-10-01")
FROM_SIX = dg.DailyPartitionsDefinition("2026-10-01", hour_offset=6)
NEW_YORK = dg.DailyPartitionsDefinition("2026-10-01", timezone="America/New_York")
SAMPLES = [sample(number, level=number) for number in range(10)]


def loaded_by(
    run: Run, host: dg.PartitionsDefinition[Any] | None, mapping: dg.PartitionMapping | None = None, **chosen: Any
) -> tuple[dg.ExecuteInProcessResult, list[Any]]:
    """What an asset of somebody else with its own days is given."""
    seen: list[Any] = []

    @dg.asset(ins={"rows": dg.AssetIn(KEY, partition_mapping=mapping)}, partitions_def=host)
    def person(rows: pa.Table) -> None:
        seen.extend(rows["level"].to_pylist())

    return run.run([sample_asset(lambda _: None), person], selection=[person], **chosen), seen


def test_a_day_of_the_host_is_one_utc_day(run: Run) -> None:
    """Also the day of 25 hours, 2026-11-01."""
    run(arrow(*SAMPLES), 0, 9)
    hosts = {"utc": (UTC_DAYS, None), "new york": (NEW_YORK, IDENTITY), "six": (FROM_SIX, IDENTITY)}
    for name, (host, mapping) in hosts.items():
        for number in (0, 5):
            done, seen = loaded_by(run, host, mapping, **days_of(number))
            assert (name, done.success, seen) == (name, True, [number])


LONGER: Sequence[tuple[dg.PartitionsDefinition[Any] | None, str | None, list[int]]] = (
    (dg.WeeklyPartitionsDefinition("2026-10-25"), "2026-11-01", [*range(7)]),
    (dg.MonthlyPartitionsDefinition("2026-10-01"), "2026-11-01", [*range(10)]),
    (dg.HourlyPartitionsDefinition("2026-11-01-00:00"), "2026-11-03-05:00", [2]),
    (None, None, [*range(10)]),
)
"""Partitions, one of them, and the days that it has."""


def test_weeks_and_months_load_all_of_their_days(run: Run) -> None:
    run(arrow(*SAMPLES), 0, 9)
    for host, key, expected in LONGER:
        with time_machine.travel("2026-12-05T06:00Z"):
            done, seen = loaded_by(run, host, partition_key=key)
        assert (host, done.success, sorted(seen)) == (host, True, expected)


def test_a_table_of_all_connections_is_loaded_whole(run: Run, warehouse: Warehouse) -> None:
    """As ``costs``: nothing materializes it here, and it is of no connection."""
    run(arrow(*SAMPLES), 0, 9)
    another = [sample(4, connection="another", level=40)]
    write(warehouse, another, replace(days(4), connection="another"))
    whole = dg.AssetSpec("whole", partitions_def=PARTITIONS, metadata={TABLE: Sample.table})
    seen: list[Any] = []

    @dg.asset(ins={"rows": dg.AssetIn("whole")}, partitions_def=PARTITIONS)
    def person(rows: pa.Table) -> None:
        seen.extend(rows["level"].to_pylist())

    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [whole.with_io_manager_key("io_manager"), person]
    assert run.run(assets, **days_of(4)).success
    assert sorted(seen) == [4, 40]
