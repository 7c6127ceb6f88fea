"""Loads and runs a host project, alone and with the component, and says what has changed of all that is global.

``python -m usage_assets_tests.guest.watched FOLDER``: a folder with the projects ``alone`` and ``with_component``.
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
from pathlib import Path
from types import FunctionType
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator

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
MEMBERS = (type, FunctionType, property, classmethod, staticmethod)
WARNED: list[str] = []


class Warned(logging.Handler):
    """Keeps what is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        WARNED.append(record.getMessage())


def of_dagster() -> Iterator[tuple[str, object]]:
    """Yield each function and class of Dagster's modules, and the members of these classes."""
    for module_name, module in sorted(sys.modules.items()):
        if not module_name.startswith("dagster"):
            continue
        for name, value in list(vars(module).items()):
            if isinstance(value, MEMBERS):
                yield f"{module_name}:{name}", value
            if isinstance(value, type) and value.__module__ == module_name:
                for attribute, member in list(vars(value).items()):
                    if isinstance(member, MEMBERS) and not attribute.startswith(CACHED):
                        yield f"{module_name}:{name}.{attribute}", member


def state() -> dict[str, object]:
    """All that is global in a process and that a library may change."""
    loggers = {"root": logging.root, **logging.root.manager.loggerDict}
    return {
        **dict(of_dagster()),
        **{
            f"logger {name}": [each.level, each.propagate, each.disabled, [*each.filters], [*each.handlers]]
            for name, each in loggers.items()
            if isinstance(each, logging.Logger) and name.startswith(("root", "dagster"))
        },
        "logging": [logging.raiseExceptions, logging.root.manager.disable, logging.getLogRecordFactory()],
        "warnings": [*sorted(map(repr, warnings.filters)), warnings.showwarning],
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "gc": [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count(), len(gc.callbacks)],
        "environment": dict(os.environ),
        "hooks": [sys.excepthook, sys.unraisablehook, sys.displayhook],
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


def loaded_and_run(project: Path, *jobs: str) -> dict[str, Any]:
    """What the jobs of a project have done, and what Dagster has warned of."""
    WARNED.clear()
    defs_module = importlib.import_module(f"{project.name}.defs")
    definitions = dg.ComponentTree(defs_module=defs_module, project_root=project.parent).build_defs()
    runs = {"theirs": executed(definitions.resolve_job_def("theirs"))}
    for job in jobs:
        runs[job] = executed(definitions.resolve_job_def(job), **{"dagster/partition": "2026-11-02"})
    return {"runs": runs, "warned": [*WARNED]}


def main(folder: str) -> None:
    """Load, run, and say."""
    sys.path.insert(0, folder)
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    (decides := logging.getLogger("dagster._core.execution.plan.active")).addHandler(Warned())
    decides.setLevel(logging.WARNING)
    alone = loaded_and_run(Path(folder, "alone"))
    before = state()
    both = loaded_and_run(Path(folder, "with_component"), "ai_spend_usage")
    after = state()
    changed = sorted(name for name, value in before.items() if after.get(name) != value)
    print(json.dumps({"alone": alone, "both": both, "changed": changed}))


if __name__ == "__main__":
    main(sys.argv[1])
