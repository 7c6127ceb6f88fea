"""How a code server starts the process of a run, and what that process was started to run."""

import multiprocessing
import sys
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from multiprocessing.forkserver import _forkserver  # nothing public ends it
from threading import Lock, Timer, current_thread
from typing import Any

from dagster import AssetKey, DagsterRun, RunsFilter, deserialize_value

ARGUMENTS = '{"__class__": "Execute'
"""Beginning of what Dagster writes about the run that it wants."""
MODULES_OF_A_RUN = (
    "dagster._grpc.server",
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.storage.legacy_storage",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.root",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.types.primitive_mapping",
    "dagster._utils.test",
    "sqlalchemy.dialects.sqlite",
    "upath.implementations.local",
)
"""What the process of a run imports of Dagster, besides what defines assets."""


def assets_of_this_run() -> AbstractSet[AssetKey] | None:
    """Return the assets of the run that this process was started for; None where there is none, or it is a whole job.

    A code server starts a process of its own for each run (``multiprocessing``, which keeps the arguments); Kubernetes
    starts ``dagster api execute_run ARGUMENTS``.
    """
    given = (*getattr(multiprocessing.current_process(), "_args", ()), *sys.argv)
    arguments = [text for text in given if isinstance(text, str) and text.startswith(ARGUMENTS)]
    if not arguments:
        return None
    wanted: Any = deserialize_value(arguments[0])  # of a class that whoever started the process has imported
    storage = wanted.instance_ref.run_storage if wanted.instance_ref else None
    runs: Sequence[DagsterRun] = storage.get_runs(RunsFilter(run_ids=[wanted.run_id])) if storage else ()
    if not runs or not runs[0].asset_selection:
        return None
    return runs[0].asset_selection | {check.asset_key for check in runs[0].asset_check_selection or ()}


class Forks:
    """The process that a code server forks runs from. It ends when no run has been started for a while."""

    def __init__(self, preload: str, idle_seconds: float) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([preload])
        self._idle_seconds = idle_seconds
        self._lock = Lock()
        self._timer: Timer | None = None

    def about_to_start(self, server: Any) -> Any:
        """Return where the server's next process comes from."""
        with self._lock:
            self._wait_anew(server)
        return self._context

    def _wait_anew(self, server: Any) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = Timer(self._idle_seconds, self._end, [server])
        self._timer.daemon = True
        self._timer.start()

    def _end(self, server: Any) -> None:
        with self._lock:
            if self._timer is not current_thread():  # a run is being started
                return
            if server._executions:  # noqa: SLF001
                self._wait_anew(server)
            else:
                _forkserver._stop()  # type: ignore[attr-defined]  # noqa: SLF001


def fork_runs(preload: str, idle_seconds: float = 600) -> None:
    """Let this code server fork the processes of runs from one that has imported ``preload``. Elsewhere, do nothing.

    Dagster starts a new Python for each, which imports everything again (``DagsterApiServer``). On macOS it still does:
    the libraries there are not safe to use after a fork. The process that is forked ends with its code server, or after
    ``idle_seconds``: it holds 170 MiB. A reload starts new ones. Arguments, signals and exit codes are as before.
    """
    server = sys.modules.get("dagster._grpc.server")
    if server is None or sys.platform != "linux" or multiprocessing.parent_process() is not None:
        return
    # a server has set its own by the time it loads the definitions; a property of the class has precedence
    server.DagsterApiServer._mp_ctx = property(Forks(preload, idle_seconds).about_to_start, lambda *_: None)  # noqa: SLF001
