"""Which days of a run Dagster shows as materialized, and steps that store nothing."""

import logging
from collections.abc import Iterable
from typing import Any

import dagster as dg
from dagster._core.execution.plan import active

UNCHANGED = "days_unchanged"
"""In the metadata of an observation: that its step had nothing to store."""


def only_partitions(context: dg.OutputContext, keys: Iterable[str]) -> None:
    """Let Dagster write the events of these partitions of an output alone, at least one. For an IO manager.

    Dagster writes an event for each partition of the run, and has no public way to leave some out: it asks the output's
    context for them when the IO manager has stored the value. Without any partition it would write one event without.
    """
    context._asset_partitions_subset = context.asset_partitions_def.subset_with_partition_keys(keys)  # noqa: SLF001


def expect_steps_without_output() -> None:
    """Let steps of this process follow where one of their sources has stored something and the others are unchanged.

    Dagster skips a step if one of its sources had nothing to store, though another had. It also warns of the blocking
    checks of an asset that had nothing to store: they are skipped, too.
    """
    logging.getLogger(active.__name__).addFilter(_is_no_skipped_check)
    active.ActiveExecution = _Execution  # type: ignore[misc]


class _Execution(active.ActiveExecution):
    """The steps of a run. One that is unchanged logs an observation and has no output.

    A source that has no output for another reason is waited for: what needs it is skipped.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unchanged: set[str] = set()

    def handle_event(self, dagster_event: dg.DagsterEvent) -> None:
        super().handle_event(dagster_event)
        if dagster_event.event_type is dg.DagsterEventType.ASSET_OBSERVATION and dagster_event.step_key:
            observed = dagster_event.asset_observation_data.asset_observation
            if UNCHANGED in observed.metadata:  # other observations are of other projects' assets
                self._unchanged.add(dagster_event.step_key)

    def _should_skip_step(self, step_key: str) -> bool:
        if not super()._should_skip_step(step_key):
            return False
        inputs = self.get_step_by_key(step_key).step_inputs
        if any(each.dagster_type_key != "Nothing" for each in inputs):  # it loads the value of each
            return True
        sources = {
            handle
            for each in inputs
            for handle in each.get_step_output_handle_dependencies()
            if self._plan.get_step_output(handle).properties.asset_check_key is None
        }
        without = {handle.step_key for handle in sources - self._step_outputs} - self._failed - self._abandoned
        is_unchanged = without <= self._unchanged
        if is_unchanged and not sources.isdisjoint(self._step_outputs):
            return False
        if is_unchanged:
            self._unchanged.add(step_key)
        return True


def _is_no_skipped_check(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Blocking asset check")
