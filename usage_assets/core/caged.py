"""The process of ``cage.py``: it runs what strangers wrote, with hard limits, until its input ends.

It is started as a script with ``python -I -S``, and imports what answers from the file that it is told.
"""

import json
import math
import os
import resource
import site
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

Work = Callable[[dict[str, Any]], dict[str, Any]]


def main(work: str, *limits: int) -> None:
    """Answer until the input ends. The first line says how to begin, each other one asks something."""
    memory_bytes, cpu_seconds, open_files = limits
    first = json.loads(sys.stdin.buffer.readline())
    for path in first["paths"]:
        site.addsitedir(path)  # also packages that are installed from a checkout: a file there says where they are
    answer_to = begun(work, first["setup"])
    if sys.platform != "darwin":  # which keeps no limit of address space, and refuses to set one
        limit(resource.RLIMIT_AS, memory_bytes)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_NOFILE, open_files)
    for line in sys.stdin.buffer:
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = math.ceil(used.ru_utime + used.ru_stime) + cpu_seconds
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        try:
            answer = answer_to(json.loads(line))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - the next question is answered
            answer = {"broken": type(error).__name__}
        sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
        sys.stdout.buffer.flush()


def begun(work: str, setup: dict[str, Any]) -> Work:
    """Return what answers: ``begin`` of a module, by its file."""
    spec = spec_from_file_location("work", work)
    assert spec  # noqa: S101
    assert spec.loader  # noqa: S101
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    answer_to: Work = module.begin(setup)
    return answer_to


def limit(kind: int, value: int) -> None:
    """Set a limit for good."""
    resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    try:
        main(sys.argv[1], *map(int, sys.argv[2:]))
    except MemoryError:
        os.abort()
