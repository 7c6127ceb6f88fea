"""Which days of a run Dagster shows as materialized."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.execution.plan.execute_step import _log_materialization_or_observation_events_for_asset

WITHOUT_EVENTS = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}
"""Metadata of an output that Dagster writes no materializations of. Its IO manager yields them (``events_of``).

Dagster writes one for each partition of the run, and has no public way to leave some out."""


@dataclass(frozen=True)
class _Stored:
    """What Dagster reads of an output's context to make its events."""

    asset_key: dg.AssetKey
    asset_partition_keys: Sequence[str]
    has_asset_key = has_asset_partitions = True


def events_of(
    context: dg.OutputContext, partitions: Sequence[str], data_version: dg.DataVersion
) -> Iterator[dg.DagsterEvent]:
    """Yield the materializations of these partitions of an output, at least one, as Dagster makes them of all."""
    yield from _log_materialization_or_observation_events_for_asset(
        context.step_context,
        _Stored(context.asset_key, partitions),  # type: ignore[arg-type]
        dg.Output(None, data_version=data_version),
        None,  # type: ignore[arg-type]  # the output's definition is not read
        {},
    )
