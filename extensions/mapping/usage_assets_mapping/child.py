"""Evaluates JQ of other people, in the process of ``core/cage.py``. It imports nothing of ours.

``evaluating.py`` is the other end.
"""

from collections.abc import Callable
from typing import Any


def begin(setup: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what loads inputs, and what evaluates programs over them."""
    import jq  # noqa: PLC0415 - of the folder that the parent names

    inputs: list[str] = []
    compiled: dict[str, Any] = {}

    def answer_to(asked: dict[str, Any]) -> dict[str, Any]:
        if "inputs" in asked:
            inputs[:] = [f"[{asked['now']},{text}]" for text in asked["inputs"]]
            return {"loaded": len(inputs)}
        program = together(asked["programs"], only_first=asked["only_first"])
        try:
            if program not in compiled:
                for each in asked["programs"]:
                    jq.compile(each)  # alone first: then it cannot close the parentheses around it
                compiled[program] = jq.compile(program)
        except ValueError as error:
            return {"refused": str(error)}
        return evaluated(compiled[program], inputs, setup["answer_bytes"])

    return answer_to


def together(programs: list[str], *, only_first: bool) -> str:
    """Return one program that gives a list with an entry for each: its outputs as texts, or why it failed.

    An input is a list: what ``now`` is, and that of the programs. Most time goes into compiling them, and into reading
    an input, so all of them share one pass.
    """
    outputs = "limit(1; ({}\n))" if only_first else "({}\n)"
    failed = 'catch {failed: (if type == "string" then . else tojson end)}'
    entries = (f"(try [{outputs} | tojson] {failed})".replace("{}", program) for program in programs)
    return f". as [$__now, $__input] | $__input | def now: $__now; [{', '.join(entries)}] | tojson"


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
