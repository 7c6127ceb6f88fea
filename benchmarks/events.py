"""What Dagster takes to plan, record and check the days of a range run: our event log, and the class it comes with.

Both are the same SQLite files; ours stay open. The assets do nothing, so that all of it is Dagster's own.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import dagster as dg

from benchmarks.figures import ROUNDS, Figure, cpu_of

CONFIGURATION = Path(__file__).parent.parent / "dagster.yaml"
LAST = date(2026, 11, 19)
ASSETS = 2
DEMANDED = 2.5
PLANS = (dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED)


def figures(days: int, rounds: int = ROUNDS) -> Iterator[Figure]:
    """The CPU time of a run of ``days`` days over a few assets that do nothing, with a check each."""
    job, tags = nothing_of(days)
    seconds: list[tuple[float, float]] = []
    counts: set[int] = set()
    for _ in range(rounds):
        with TemporaryDirectory() as folder, project_instance(Path(folder)) as instance:
            ours = cpu_of(lambda: counts.add(run(job, tags, instance)))
        with TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder) as instance:
            seconds.append((ours, cpu_of(lambda: counts.add(run(job, tags, instance)))))
    if len(counts) > 1:
        raise RuntimeError(f"our class and Dagster's own store {counts} events")
    yield Figure.of_rounds(
        seconds,
        name=f"{max(counts):,} events of {days} days",
        unit="s",
        demanded=DEMANDED,
        note="CPU time; theirs: Dagster's SqliteEventLogStorage",
    )


@contextmanager
def project_instance(folder: Path) -> Iterator[dg.DagsterInstance]:
    """Open an instance of the project's dagster.yaml in a folder."""
    shutil.copy(CONFIGURATION, folder)
    with mock.patch.dict(os.environ, DAGSTER_HOME=str(folder)), dg.DagsterInstance.get() as instance:
        yield instance


def nothing_of(days: int) -> tuple[dg.JobDefinition, Mapping[str, str]]:
    """A job of assets that do nothing on each of so many days, and the tags that ask for all of them."""
    first = LAST - timedelta(days=days - 1)
    partitions = dg.DailyPartitionsDefinition(str(first), end_date=str(LAST + timedelta(days=1)))
    assets = [nothing(f"nothing_{n}", partitions) for n in range(ASSETS)]
    definitions = dg.Definitions(
        assets=assets,
        asset_checks=[check_of(asset) for asset in assets],
        executor=dg.in_process_executor,
    )
    tags = {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(LAST)}
    return definitions.resolve_implicit_global_asset_job_def(), tags


def nothing(name: str, partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """An asset that puts on each day what our IO manager puts there."""

    @dg.asset(name=name, partitions_def=partitions, backfill_policy=dg.BackfillPolicy.single_run())
    def asset(context: dg.AssetExecutionContext) -> None:
        for day in context.partition_keys:
            facts = {"dagster/partition_row_count": 1, "content_hash": "0" * 64, "changed": False, "amount": 1.0}
            context.add_asset_metadata(facts, partition_key=day)

    return asset


def check_of(asset: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    """A check that finds every day right: one result for all of them, as our checks have."""

    @dg.asset_check(asset=asset, name="content")
    def check() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    return check


def run(job: dg.JobDefinition, tags: Mapping[str, str], instance: dg.DagsterInstance) -> int:
    """Run the job; return how many events are stored but for plans: ours has one for all days, and none of checks."""
    run_id = job.execute_in_process(instance=instance, tags=tags).run_id
    events = [record.event_log_entry.dagster_event_type for record in instance.get_records_for_run(run_id).records]
    return sum(event not in PLANS for event in events)
