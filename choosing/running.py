"""Run test modules, each in a process of its own that records what it uses.

The processes are forked from one that has imported the product's dependencies and nothing of the product.
"""

import importlib
import os
import signal
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from choosing import tracing

_IMPORTED = (
    "dagster",
    "duckdb",
    "httpx",
    "hypothesis",
    "msgspec",
    "pandas",
    "pydantic_settings",
    "rich",
    "sqlalchemy",
    "starlette.applications",
    "tenacity",
    "time_machine",
)


@dataclass(frozen=True)
class Ran:
    """How a module ended."""

    module: str
    passed: bool
    seconds: float
    """CPU time, with that of the processes that it started."""
    record: list[str]
    log: str


def warm() -> None:
    """Import what every test imports."""
    for module in _IMPORTED:
        importlib.import_module(module)


def forked(work: Callable[[], int], log: Path) -> int:
    """Do something in a forked process, the leader of a group of its own; its output goes to a file. Returns its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = work()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        raise
    finally:
        os._exit(code)


def run(root: Path, modules: Sequence[str], *, workers: int) -> Iterator[Ran]:
    """Run modules side by side, in this order; yields them as they end."""
    work = Path(tracing.WORK)
    (work / "records").mkdir(parents=True, exist_ok=True)
    Path(sysconfig.get_path("purelib"), "usage_assets_choosing.pth").write_text(tracing.PTH)
    warm()
    waiting, running = [*modules], dict[int, tuple[str, Path]]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                module = waiting.pop(0)
                record = work / "records" / module.replace("/", ".")
                record.unlink(missing_ok=True)
                pid = forked(partial(_test, root, module, record), record.with_suffix(".log"))
                running[pid] = module, record
            pid, status, usage = os.wait4(-1, 0)
            if pid not in running:
                continue
            end_group(pid)
            module, record = running.pop(pid)
            yield Ran(
                module,
                os.waitstatus_to_exitcode(status) in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED),
                usage.ru_utime + usage.ru_stime,
                record.read_text().splitlines() if record.exists() else [],
                record.with_suffix(".log").read_text(errors="replace"),
            )
    finally:
        for pid in running:
            end_group(pid)


def end_group(pid: int) -> None:
    """End a process that ``forked`` has made, and what it has left running."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _test(root: Path, module: str, record: Path) -> int:
    os.environ |= {"CHOOSING_ROOT": str(root), "CHOOSING_RECORD": str(record), "CHOOSING_TRACER": tracing.__file__}
    os.chdir(root)
    tracing.install()
    sys.argv = ["pytest", module]
    quiet = ["-q", "--disable-warnings", "-p", "no:cacheprovider", "--rootdir", str(root)]
    quiet += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plugins are imported before the fork
    return int(pytest.main([*quiet, "-m", "not browser and not litellm", module], plugins=[_Tests()]))


class _Tests:
    """Notes which test uses what, and how long each takes."""

    def __init__(self) -> None:
        self._seconds = 0.0

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        tracing.begin(item.nodeid)
        self._seconds = 0
        try:
            return (yield)
        finally:
            tracing.touched(f"took {self._seconds:.4f} {item.nodeid}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds += report.duration
