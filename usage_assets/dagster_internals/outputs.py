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
    """Let steps follow where one of their sources has stored something, in this process.

    Dagster skips a step if one of its sources had nothing to store, though another had. It also warns of the blocking
    checks of an asset that had nothing to store: they are skipped, too.
    """
    logging.getLogger(active.__name__).addFilter(_is_no_skipped_check)
    active.ActiveExecution._should_skip_step = _should_skip_step  # type: ignore[assignment,method-assign]  # noqa: SLF001


_should_skip_by_default = active.ActiveExecution._should_skip_step  # noqa: SLF001


def _should_skip_step(execution: active.ActiveExecution, step_key: str) -> bool:
    """Whether none of the step's sources has stored anything. A step that loads values needs each of them."""
    if not _should_skip_by_default(execution, step_key):
        return False
    inputs = execution.get_step_by_key(step_key).step_inputs
    if any(each.dagster_type_key != "Nothing" for each in inputs):
        return True
    sources = {handle for each in inputs for handle in each.get_step_output_handle_dependencies()}
    return sources.isdisjoint(execution._step_outputs)  # noqa: SLF001


def _is_no_skipped_check(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Blocking asset check")
