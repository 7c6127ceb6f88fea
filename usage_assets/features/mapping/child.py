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


def main(folder: str, *limits: int) -> None:
    """Answer until the input ends."""
    sys.path.append(folder)
    import jq  # noqa: PLC0415 - of the folder that the parent names

    memory_bytes, cpu_seconds, answer_bytes = limits
    limit(resource.RLIMIT_AS, memory_bytes)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    inputs: list[str] = []
    compiled: dict[str, Any] = {}
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        if "inputs" in asked:
            inputs = [f"[{asked['now']},{text}]" for text in asked["inputs"]]
            answer({"loaded": len(inputs)})
            continue
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = math.ceil(used.ru_utime + used.ru_stime) + cpu_seconds
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        program = together(asked["programs"], only_first=asked["only_first"])
        try:
            if program not in compiled:
                for each in asked["programs"]:
                    jq.compile(each)  # alone first: then it cannot close the parentheses around it
                compiled[program] = jq.compile(program)
        except ValueError as error:
            answer({"refused": str(error)})
        else:
            answer(evaluated(compiled[program], inputs, answer_bytes))


def together(programs: list[str], *, only_first: bool) -> str:
    """Return one program that gives a list with an entry for each: its outputs as texts, or why it failed.

    An input is a list: what ``now`` is, and that of the programs. Most time goes into compiling them, and into reading
    an input, so all of them share one pass.
    """
    outputs = "limit(1; ({}\n))" if only_first else "({}\n)"
    failed = 'catch {failed: (if type == "string" then . else tojson end)}'
    entries = (f"(try [{outputs} | tojson] {failed})".replace("{}", program) for program in programs)
    return f". as [$__now, $__input] | $__input | def now: $__now; [{', '.join(entries)}] | tojson"


def limit(kind: int, value: int) -> None:
    """Set a limit for good."""
    resource.setrlimit(kind, (value, value))


def answer(answered: dict[str, Any]) -> None:
    """Write a line."""
    sys.stdout.buffer.write(json.dumps(answered, ensure_ascii=False).encode() + b"\n")
    sys.stdout.buffer.flush()


def evaluated(compiled: Any, inputs: list[str], answer_bytes: int) -> dict[str, Any]:
    """Return what the programs give for each input, as a text of JSON."""
    outcomes: list[str] = []
    left = answer_bytes
    for text in inputs:
        [outcome] = compiled.input_text(text)
        outcomes.append(outcome)
        left -= len(outcome.encode())
        if left < 0:
            return {"too_large": True}
    return {"outcomes": outcomes}


if __name__ == "__main__":
    try:
        main(sys.argv[1], *map(int, sys.argv[2:]))
    except MemoryError:
        os.abort()
