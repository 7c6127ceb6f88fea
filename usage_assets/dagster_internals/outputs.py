"""Which days of a run Dagster shows as materialized, and steps that store nothing."""

import logging
from collections.abc import Iterable

import dagster as dg
from dagster._core.execution.plan import active


def only_partitions(context: dg.OutputContext, keys: Iterable[str]) -> None:
    """Let Dagster write the events of these partitions of an output alone, at least one. For an IO manager.

    Dagster writes an event for each partition of the run, and has no public way to leave some out: it asks the output's
    context for them when the IO manager has stored the value. Without any partition it would write one event without.
    """
    context._asset_partitions_subset = context.asset_partitions_def.subset_with_partition_keys(keys)  # noqa: SLF001


def expect_steps_without_output() -> None:
    """Let Dagster not warn of the blocking checks of an asset that had nothing to store: they are skipped, too."""
    logging.getLogger(active.__name__).addFilter(_is_no_skipped_check)


def _is_no_skipped_check(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Blocking asset check")
