"""Python that has imported what others have written, and nothing of ours: each request is run in a fork of it.

A package of a provider is found when ours is imported, so each run needs a process of its own. To import Dagster,
pandas and pytest again would be most of its work.
"""

import json
import multiprocessing
import os
import runpy
import sys
from pathlib import Path
from typing import Any

import dagster_duckdb  # noqa: F401 - with Dagster, DuckDB and pandas
import dagster_webserver  # noqa: F401
import httpx  # noqa: F401
import pyarrow.compute  # noqa: F401
import pytest  # noqa: F401
import uvicorn  # noqa: F401
from sqlalchemy.dialects import sqlite  # noqa: F401

FORKS = multiprocessing.get_context("fork")
"""It ends processes without the destructors of libraries, which miss the threads of the first one."""
OWN = sys.path[1:]
"""Where modules are found that no package of a provider has brought: the first one is the folder of this file."""


def be(request: dict[str, Any]) -> None:
    """Be ``python ARGUMENTS`` in the folder of a request, with its environment."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[:] = [str(Path.cwd()), *os.environ["PYTHONPATH"].split(os.pathsep), *OWN]
    kind, what, *arguments = request["arguments"]
    sys.argv[:] = [what if kind == "-m" else kind, *arguments]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(what, {"__name__": "__main__"})


def serve() -> None:
    """Run what each line asks for, one after the other; say with what it has ended."""
    assert not [name for name in sys.modules if name.startswith("usage_assets")]
    while line := sys.stdin.readline():
        process = FORKS.Process(target=be, args=(json.loads(line),))
        process.start()
        process.join()
        sys.stdout.write(f"{process.exitcode}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
