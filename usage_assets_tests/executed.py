"""Runs jobs with the executor that they have: ``execute_in_process`` and ``dg.materialize`` take Dagster's own."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator


def executed(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    *,
    run_config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """Execute a run of a job in this process, as a code server does. A step that fails raises nothing."""
    run = instance.create_run_for_job(job, run_config=run_config, tags=tags)
    events = list(execute_run_iterator(InMemoryJob(job), run, instance))
    return dg.ExecuteInProcessResult(events, instance.get_run_by_id(run.run_id) or run, {}, job)
