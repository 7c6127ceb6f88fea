"""Runs JQ that other people wrote, in a process of its own with hard limits (``child.py``). Never imports jq.

What an expression names is checked first (``tokens.py``). The process is started when it is needed, and again after an
expression has ended it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Self

from usage_assets.core import cage
from usage_assets.core.errors import one_line
from usage_assets_mapping.errors import MappingError, extra_at
from usage_assets_mapping.tokens import refuse_unsafe

CHILD = Path(__file__).with_name("child.py")
ESCAPED = 2
"""How much longer a text of JSON may become as a string in JSON, at most: it has no control characters."""
_CUT = re.compile(r"""\(.*?\.\.\.["}\]]*\)""")
"""A value of the input that jq quotes in part. It may end within an address, which is then not known as one."""
MOST_LEVELS = 100
"""Lists and objects within each other. How many more can be read differs between versions of Python."""
_NO_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[^][{}"]')
ROOM = 1 << 20
"""Bytes around the outputs in an answer: commas, quotes and brackets of many short ones are part of this."""


@dataclass(frozen=True, kw_only=True)
class Limits(cage.Limits):
    """How much one expression may take, over all inputs that are loaded."""

    cpu_seconds: int = 10
    wall_seconds: float = 60
    memory_bytes: int = 512 << 20
    answer_bytes: int = 32 << 20


@dataclass(frozen=True)
class Outcome:
    """What an expression gives for one input."""

    outputs: Sequence[str] = ()
    """As texts of JSON; without any, the expression gave nothing (``empty``)."""
    failure: str | None = None
    """What jq says, in one line. It may quote the input, but no part of a value."""

    @property
    def value(self) -> Any:
        """The first output; None where there is none. Raises MappingError if Python cannot read it."""
        text = self.outputs[0] if self.outputs else "null"
        try:
            if text.count("[") + text.count("{") <= MOST_LEVELS or _levels(text) <= MOST_LEVELS:
                return json.loads(text)
        except ValueError:  # a number of thousands of digits
            pass
        raise MappingError("the value nests too deep, or has a number that is too long")


def _levels(text: str) -> int:
    """How deep lists and objects nest in a text of JSON."""
    return max(accumulate(1 if bracket in "[{" else -1 for bracket in _NO_BRACKETS.sub("", text)), default=0)


@dataclass
class Evaluator:
    """A process that evaluates expressions over inputs. Use it in ``with``."""

    now: float = 0
    """Unix seconds: what ``now`` is for what is loaded next, so that an answer gives the same again."""
    limits: Limits = field(default_factory=Limits)
    _inputs: Sequence[str] = ()
    _cage: cage.Cage | None = None

    def __enter__(self) -> Self:
        setup = {"answer_bytes": self.limits.answer_bytes}
        self._cage = cage.Cage(CHILD, setup, self.limits, "jq", [str(extra_at("jq").parent)])
        return self

    def __exit__(self, *_: object) -> None:
        if self._cage:
            self._cage.close()

    def load(self, inputs: Sequence[str]) -> None:
        """Evaluate over these texts of JSON from now on."""
        self._inputs = inputs
        if self._cage and self._cage.is_running:
            self._send_inputs()

    def _send_inputs(self) -> None:
        self._ask({"inputs": self._inputs, "now": f"{self.now:f}"}, "the inputs")

    def first(self, expression: str, place: str) -> list[Outcome]:
        """Return the first output for each input.

        Raises MappingError, which begins with ``place``, for an expression that must not or cannot run at all.
        """
        return self._evaluated([(expression, place)], only_first=True)[0]

    def all(self, expression: str, place: str) -> list[Outcome]:
        """Return all outputs for each input. Raises MappingError as ``first`` does."""
        return self._evaluated([(expression, place)], only_first=False)[0]

    def first_of(self, expressions: Sequence[tuple[str, str]]) -> list[list[Outcome]]:
        """Return for each expression, with its place, what ``first`` does: in one pass where that ends well."""
        try:
            return self._evaluated(expressions, only_first=True)
        except MappingError:  # which one it was is known once each has run alone
            return [self.first(*each) for each in expressions]

    def _evaluated(self, expressions: Sequence[tuple[str, str]], *, only_first: bool) -> list[list[Outcome]]:
        for expression, place in expressions:
            try:
                refuse_unsafe(expression)
            except MappingError as error:
                raise MappingError(f"{place}: {error}") from None
        assert self._cage, "use it in `with`"  # noqa: S101
        if not self._cage.is_running:
            self._send_inputs()
        place = expressions[0][1]
        answer = self._ask({"programs": [each for each, _ in expressions], "only_first": only_first}, place)
        if "refused" in answer:
            said = one_line(answer["refused"].partition(" at <top-level>")[0].removeprefix("jq: error: "))
            raise MappingError(f"{place}: jq cannot read it: {said}")
        if "too_large" in answer:
            raise MappingError(f"{place}: gives more than {self.limits.answer_bytes >> 20} MB: select less")
        rows = [[_outcome(each) for each in json.loads(text)] for text in answer["outcomes"]]
        return [[row[n] for row in rows] for n in range(len(expressions))]

    def _ask(self, asked: dict[str, Any], place: str) -> dict[str, Any]:
        assert self._cage, "use it in `with`"  # noqa: S101
        try:
            return self._cage.ask(asked, self.limits.answer_bytes * ESCAPED + len(self._inputs) * 8 + ROOM)
        except cage.CageError as error:
            raise MappingError(f"{place}: {error}") from None


def _outcome(found: list[str] | dict[str, str]) -> Outcome:
    return Outcome(found) if isinstance(found, list) else Outcome(failure=_CUT.sub("(...)", one_line(found["failed"])))
