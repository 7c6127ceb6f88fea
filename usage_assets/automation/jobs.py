"""Jobs: all usage assets, all lookups, all pushes, all reconciliations, accounting. A launch of the first
four selects one connection's assets, and a range of days.

Lookups and reconciliations have no days. In one job with the others, they would run again with each range.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from usage_assets.assets.location import Part
from usage_assets.assets.names import Names
from usage_assets.core.days import Window
from usage_assets.dagster_internals.executor import one_process
from usage_assets.models.due import PUSH

USAGE_JOB = "usage"
LOOKUPS_JOB = "lookups"
PORT_SYNC_JOB = PUSH
ACCOUNTING_JOB = "accounting_tables"
"""It has not the name of its asset: Dagster's implicit job of an asset has it."""
COMPLETENESS_JOB = "completeness"
CONNECTION_TAG = "usage_assets/connection"
AssetJob = Any
"""What ``dg.define_asset_job`` returns. Its class is private."""
PARTITION = "dagster/partition"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def build_jobs(parts: Sequence[Part], names: Names) -> Mapping[str, AssetJob]:
    """Build the jobs that the parts of the graph state, by their own names. What several parts state of a job is one
    selection."""
    selections: dict[str, list[dg.AssetKey]] = {}
    described = {name: text for part in parts for name, text in part.described.items()}
    for part in parts:
        for name, keys in part.jobs.items():
            selections.setdefault(name, []).extend(keys)
    return {
        name: dg.define_asset_job(
            names.job(name),
            dg.AssetSelection.assets(*keys),
            description=described.get(name),
            executor_def=one_process,
        )
        for name, keys in selections.items()
        if keys
    }


def range_tags(first: date, last: date) -> Mapping[str, str]:
    """Return the tags that make one run of the days from ``first`` to ``last``."""
    return {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}


def days_of_run(run: dg.DagsterRun) -> Window | None:
    """Return the days of a run; None for a run without days."""
    days = [date.fromisoformat(run.tags[tag]) for tag in (RANGE_START, RANGE_END, PARTITION) if tag in run.tags]
    return Window(min(days), max(days)) if days else None
