"""An executor that runs a step if one of its sources has stored something and the others are unchanged."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.plan.plan import ExecutionPlan

UNCHANGED = "days_unchanged"
"""In the metadata of an observation: that its step had nothing to store."""


@dg.executor(  # type: ignore[untyped-decorator, call-overload]  # it takes the schema of another executor
    name="in_process", config_schema=dg.in_process_executor.config_schema
)
def one_process(context: dg.InitExecutorContext) -> dg.Executor:
    """Run the steps in one process, as Dagster's ``in_process``.

    Dagster skips a step if one of its sources has no output, though another has one.
    """
    return _OneProcess(dg.in_process_executor.executor_creation_fn(context))  # type: ignore[misc]


class _OneProcess(dg.Executor):
    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> Any:
        return self._inner.retries

    @property
    def step_dependency_config(self) -> Any:
        return self._inner.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: ExecutionPlan) -> Iterator[dg.DagsterEvent]:
        """Let Dagster's executor run the plan; ``_Plan`` says which steps run."""
        data = plan_context.plan_data._replace(execution_plan=_Plan(*execution_plan))
        others = plan_context.log, self, plan_context.output_capture, plan_context.resume_from_failure
        yield from self._inner.execute(type(plan_context)(data, *others), data.execution_plan)


class _Plan(ExecutionPlan):
    def start(self, *args: Any, **kwargs: Any) -> "_Execution":
        return _Execution(self, *args, **kwargs)


class _Execution(ActiveExecution):
    """The steps of a run. One that is unchanged logs an observation and has no output.

    A source that has no output for another reason is waited for: what needs it is skipped.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._unchanged: set[str] = set()
        super().__init__(*args, **kwargs)

    def handle_event(self, dagster_event: dg.DagsterEvent) -> None:
        super().handle_event(dagster_event)
        if dagster_event.event_type is dg.DagsterEventType.ASSET_OBSERVATION and dagster_event.step_key:
            observed = dagster_event.asset_observation_data.asset_observation
            if UNCHANGED in observed.metadata:  # other observations are of other projects' assets
                self._unchanged.add(dagster_event.step_key)

    def _should_skip_step(self, step_key: str) -> bool:
        inputs = self.get_step_by_key(step_key).step_inputs
        if any(each.dagster_type_key != "Nothing" for each in inputs):  # it loads the value of each
            return super()._should_skip_step(step_key)
        stored, lacking = set(), set()
        for each in inputs:
            handles = each.get_step_output_handle_dependencies()
            sources = {
                handle for handle in handles if not self._plan.get_step_output(handle).properties.asset_check_key
            }
            missing = {each for each in sources - self._step_outputs if each.step_key in self._success | self._skipped}
            stored |= sources & self._step_outputs
            lacking |= missing if missing == sources else set()  # of several in one input, one is enough
        if not lacking:
            return False
        is_unchanged = self._unchanged.issuperset(handle.step_key for handle in lacking)
        if is_unchanged and stored:
            return False
        if is_unchanged:
            self._unchanged.add(step_key)
        self._skipped_deps[step_key] = sorted(f"{handle.step_key}.{handle.output_name}" for handle in lacking)
        return True
