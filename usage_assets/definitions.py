"""What pyproject.toml and workspace.yaml point Dagster at: the graph, built in each process that loads it."""

import gc

gc.disable()  # all that is imported stays: to look for garbage in it took a fifth of the time
import dagster as dg  # noqa: E402

from usage_assets.build import build_from_environment  # noqa: E402
from usage_assets.core.bounded_http import keep_headers_out_of_logs  # noqa: E402
from usage_assets.dagster_internals.run_process import fork_runs  # noqa: E402

keep_headers_out_of_logs()
fork_runs(preload="usage_assets.preload")
defs = dg.definitions(build_from_environment)
# Modules live as long as the process. Without this, Python examines their million objects again and again, and takes
# them apart one by one at its end: 0.4 s of CPU time in each process of a run.
gc.freeze()
gc.enable()
