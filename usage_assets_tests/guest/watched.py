"""Loads and runs a host project, and says what this process has then: Dagster's modules, and all that is global.

``python -m usage_assets_tests.guest.watched FOLDER [JOB]``: the folder of the project, and a job of ours to run.
Modules that the standard input names are imported at the end: what another process has that loaded more.
"""

import gc
import importlib
import json
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator

MODULE_OF_THIS = ("usage_assets", "host_project", "__main__")
CACHED = (
    "__new__",
    "__replace_new__",
    "__abstract",
    "_abc_",
    "__pydantic",
    "__weakref__",
    "__annotations__",
    "__dict__",
    "__doc__",
    "__slots__",
)
"""What Python, Pydantic and Dagster (of records, when the first one is made) keep on classes, or fill in late."""
WARNED: list[str] = []


class Warned(logging.Handler):
    """Keeps what is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        WARNED.append(record.getMessage())


def of_dagster() -> Iterator[tuple[str, object]]:
    """Yield each attribute of Dagster's modules, and of the classes that these define."""
    for module_name, module in sorted(sys.modules.items()):
        if not module_name.startswith("dagster"):
            continue
        for name, value in list(vars(module).items()):
            if name == "__warningregistry__":  # what was warned of
                continue
            yield f"{module_name}:{name}", value
            if isinstance(value, type) and value.__module__ == module_name:
                for attribute, member in list(vars(value).items()):
                    if not attribute.startswith(CACHED):
                        yield f"{module_name}:{name}.{attribute}", member


def described(value: object) -> str:
    """Say in which file an object was defined, and as what: it is the same in each process."""
    function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
    code = getattr(function, "__code__", None)
    place = f"{code.co_filename}:{code.co_firstlineno}" if isinstance(code, CodeType) else ""
    shown = repr(value) if isinstance(value, (bool, int)) else ""
    names = (getattr(function, each, "") for each in ("__module__", "__qualname__"))
    return " ".join((type(value).__name__, *map(str, names), place, shown))


def state() -> dict[str, Any]:
    """All that is global in a process and that a library may change."""
    loggers = {"": logging.root, **logging.root.manager.loggerDict}
    return {
        "dagster": {name: described(value) for name, value in of_dagster()},
        "loggers": {
            name: [
                each.level,
                each.propagate,
                each.disabled,
                *(str(type(part)) for part in (*each.filters, *each.handlers)),
            ]
            for name, each in loggers.items()
            if isinstance(each, logging.Logger) and (each.level or each.filters or each.handlers or each.disabled)
        },
        "logging": [logging.raiseExceptions, logging.root.manager.disable, described(logging.getLogRecordFactory())],
        "warnings": [*sorted(map(repr, warnings.filters)), described(warnings.showwarning)],
        "signals": {str(number): str(signal.getsignal(number)) for number in signal.valid_signals()},
        "gc": [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count(), len(gc.callbacks)],
        "environment": dict(os.environ),
        "hooks": [described(each) for each in (sys.excepthook, sys.unraisablehook, sys.displayhook)],
    }


def executed(job: dg.JobDefinition, **tags: str) -> list[list[str]]:
    """Run a job with its executor. Return its steps' events: kind, step, error."""
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(job, tags=tags)
        events = [event for event in execute_run_iterator(InMemoryJob(job), run, instance) if event.is_step_event]
    errors = [getattr(event.event_specific_data, "error", None) for event in events]
    return [
        [event.event_type_value, str(event.step_key), str(error)] for event, error in zip(events, errors, strict=True)
    ]


def main(folder: str, *ours: str) -> None:
    """Load, run, and say."""
    sys.path.insert(0, folder)
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    (decides := logging.getLogger("dagster._core.execution.plan.active")).addHandler(Warned())
    decides.setLevel(logging.WARNING)
    before = dict(of_dagster())
    defs_module = importlib.import_module("host_project.defs")
    definitions = dg.ComponentTree(defs_module=defs_module, project_root=Path(folder)).build_defs()
    runs = {"theirs": executed(definitions.resolve_job_def("theirs"))}
    for job in ours:
        runs[job] = executed(definitions.resolve_job_def(job), **{"dagster/partition": "2026-11-02"})
    replaced = sorted(name for name, value in of_dagster() if name in before and before[name] is not value)
    modules = sorted(
        name for name in sys.modules if name.partition(".")[0].partition("_tests")[0] not in MODULE_OF_THIS
    )
    for name in json.load(sys.stdin):
        with suppress(ImportError):  # some stand only in sys.modules
            importlib.import_module(name)
    print(json.dumps({"replaced": replaced, "modules": modules, "runs": runs, "warned": WARNED, "state": state()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
