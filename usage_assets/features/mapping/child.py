"""The process that runs JQ of other people: it has no environment, files or network to speak of, and hard limits.

It is started as a script with ``python -I -S``, so it imports nothing of ours. Each line of its input and output is
JSON. ``evaluating.py`` is the other end.
"""

import json
import math
import os
import resource
import sys
from typing import Any

OPEN_FILES = 3
"""stdin, stdout, stderr."""


def main(folder: str, now: str, *limits: int) -> None:
    """Answer until the input ends."""
    sys.path.append(folder)
    import jq  # noqa: PLC0415 - of the folder that the parent names

    memory_bytes, cpu_seconds, answer_bytes = limits
    limit(resource.RLIMIT_AS, memory_bytes)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    answer({"ready": True})
    inputs: list[str] = []
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        if "inputs" in asked:
            inputs = asked["inputs"]
            answer({"loaded": len(inputs)})
            continue
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = math.ceil(used.ru_utime + used.ru_stime) + cpu_seconds
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        answer(evaluated(jq, asked["program"], inputs, answer_bytes, now, only_first=asked["only_first"]))


def limit(kind: int, value: int) -> None:
    """Set a limit for good."""
    resource.setrlimit(kind, (value, value))


def answer(answered: dict[str, Any]) -> None:
    """Write a line."""
    sys.stdout.buffer.write(json.dumps(answered, ensure_ascii=False).encode() + b"\n")
    sys.stdout.buffer.flush()


def evaluated(
    jq: Any, program: str, inputs: list[str], answer_bytes: int, now: str, *, only_first: bool
) -> dict[str, Any]:
    """Return for each input its outputs as texts of JSON, or why there are none.

    The program is compiled alone first: so it cannot close the parentheses around it.
    """
    try:
        jq.compile(program)
        compiled = jq.compile(f"def now: {now}; ({program}\n) | tojson")
    except ValueError as error:
        return {"refused": str(error)}
    outcomes: list[Any] = []
    left = answer_bytes
    for text in inputs:
        outputs: list[str] = []
        try:
            for output in compiled.input_text(text):
                outputs.append(output)
                left -= len(output.encode())
                if left < 0:
                    return {"too_large": True}
                if only_first:
                    break
        except ValueError as error:
            outcomes.append(str(error))
            left -= len(outcomes[-1].encode())
        else:
            outcomes.append(outputs)
    return {"outcomes": outcomes}


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
    except MemoryError:
        os.abort()
