"""What a process was started to run. Dagster says it only after it has loaded the whole graph."""

import multiprocessing
import sys
from collections.abc import Set as AbstractSet

from dagster import AssetKey, RunsFilter

ARGUMENTS = '{"__class__": "Execute'
"""Beginning of what Dagster writes about the run that it wants."""


def assets_of_this_run() -> AbstractSet[AssetKey] | None:
    """Return the assets of the run that this process was started for; None where there is none, or it is a whole job.

    A code server starts a process of its own for each run (``multiprocessing``, which keeps the arguments); Kubernetes
    starts ``dagster api execute_run ARGUMENTS``.
    """
    given = (*getattr(multiprocessing.current_process(), "_args", ()), *sys.argv)
    arguments = [text for text in given if isinstance(text, str) and text.startswith(ARGUMENTS)]
    if not arguments:
        return None
    from dagster._grpc.types import ExecuteExternalJobArgs, ExecuteRunArgs  # noqa: PLC0415 - brings gRPC with it
    from dagster._serdes import deserialize_value  # noqa: PLC0415 - as above

    wanted = deserialize_value(arguments[0], (ExecuteExternalJobArgs, ExecuteRunArgs))
    storage = wanted.instance_ref.run_storage if wanted.instance_ref else None
    runs = storage.get_runs(RunsFilter(run_ids=[wanted.run_id])) if storage else ()
    if not runs or not runs[0].asset_selection:
        return None
    return runs[0].asset_selection | {check.asset_key for check in runs[0].asset_check_selection or ()}
