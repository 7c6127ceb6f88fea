"""What the processes of runs are forked from: a process that has imported what a run needs (definitions.py).

It has also built the definitions of a project without connections, so queries, columns and prices are read once. It
opens nothing that a person may change. Threads that libraries have started when they were imported are not in the
forked processes: usage_assets_tests/test_run_process.py names each of them.
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


def build_without_connections() -> None:
    """Fill what is kept of queries, declared columns and list prices."""
    from usage_assets.build import build_definitions  # noqa: PLC0415 - what cannot be imported is said below
    from usage_assets.config.settings import Settings  # noqa: PLC0415
    from usage_assets.models.prices import has_prices  # noqa: PLC0415

    build_definitions(Settings.model_construct())
    if has_prices():
        from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - optional

        get_snapshot()


def prepare() -> None:
    """Import and build what runs need. Whatever fails here, a run says it again where it matters."""
    for name in (*MODULES_OF_A_RUN, *OURS, "pandas"):  # which DuckDB imports with the first query
        try:
            import_module(name)
        except Exception as error:  # noqa: BLE001
            print(f"usage-assets: each run imports {name} again: {one_line(str(error))}", file=sys.stderr)
    try:
        build_without_connections()
    except Exception as error:  # noqa: BLE001
        print(f"usage-assets: each run reads the queries again: {one_line(str(error))}", file=sys.stderr)
    gc.freeze()


prepare()
