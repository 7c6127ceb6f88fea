"""What the processes of runs are forked from: a process that has imported what a run needs (definitions.py).

It opens nothing. Threads that libraries have started when they were imported are not in the forked processes:
usage_assets_tests/test_run_process.py names each of them.
"""

import gc
import sys
from importlib import import_module

from usage_assets.core.errors import one_line
from usage_assets.dagster_internals.run_process import MODULES_OF_A_RUN

OURS = (
    "usage_assets.definitions",
    "usage_assets.local.event_log",
    "usage_assets.local.storages",
    "usage_assets.local.workers",
)

for name in (*MODULES_OF_A_RUN, *OURS, "pandas"):  # which DuckDB imports with the first query
    try:
        import_module(name)
    except Exception as error:  # noqa: BLE001 - whatever it is, a run says it again where it matters
        print(f"usage-assets: each run imports {name} again: {one_line(str(error))}", file=sys.stderr)
gc.freeze()
