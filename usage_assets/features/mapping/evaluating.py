"""Runs JQ that other people wrote, in a process of its own with hard limits (``child.py``). Never imports jq.

What an expression names is checked first (``tokens.py``). The process is started when it is needed, and again after an
expression has ended it.
"""

import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Timer
from types import TracebackType
from typing import Any, Self

from usage_assets.core.errors import one_line
from usage_assets.features.mapping.errors import MappingError, extra_at
from usage_assets.features.mapping.tokens import refuse_unsafe

CHILD = Path(__file__).with_name("child.py")
ESCAPED = 2
"""How much longer a text of JSON may become as a string in JSON, at most: it has no control characters."""
_CUT = re.compile(r"""\(.*?\.\.\.["}\]]*\)""")
"""A value of the input that jq quotes in part. It may end within an address, which is then not known as one."""
ROOM = 1 << 20
"""Bytes around the outputs in an answer: commas, quotes and brackets of many short ones are part of this."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one expression may take, over all inputs that are loaded."""

    cpu_seconds: int = 10
    wall_seconds: float = 60
    memory_bytes: int = 512 << 20
    """Address space of the whole process."""
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
        try:
            return json.loads(self.outputs[0]) if self.outputs else None
        except (RecursionError, ValueError):  # a number of thousands of digits, for example
            raise MappingError("the value nests too deep, or has a number that is too long") from None


@dataclass
class Evaluator:
    """A process that evaluates expressions over inputs. Use it in ``with``."""

    now: float = 0
    """Unix seconds: what ``now`` is for what is loaded next, so that an answer gives the same again."""
    limits: Limits = field(default_factory=Limits)
    _inputs: Sequence[str] = ()
    _process: subprocess.Popen[bytes] | None = None
    _folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        extra_at("jq")
        self._folder = tempfile.TemporaryDirectory(prefix="usage-assets-jq-")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        if self._folder:
            self._folder.cleanup()

    def load(self, inputs: Sequence[str]) -> None:
        """Evaluate over these texts of JSON from now on."""
        self._inputs = inputs
        if self._process:
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
        if not self._process:
            self._start()
        place = expressions[0][1]
        answer = self._ask({"programs": [each for each, _ in expressions], "only_first": only_first}, place)
        if "refused" in answer:
            said = one_line(answer["refused"].partition(" at <top-level>")[0].removeprefix("jq: error: "))
            raise MappingError(f"{place}: jq cannot read it: {said}")
        if "too_large" in answer:
            raise MappingError(f"{place}: gives more than {self.limits.answer_bytes >> 20} MB: select less")
        rows = [[_outcome(each) for each in json.loads(text)] for text in answer["outcomes"]]
        return [[row[n] for row in rows] for n in range(len(expressions))]

    def _start(self) -> None:
        assert self._folder, "use it in `with`"  # noqa: S101
        limits = self.limits
        numbers = (limits.memory_bytes, limits.cpu_seconds, limits.answer_bytes)
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", CHILD, extra_at("jq").parent, *map(str, numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._folder.name,
            env={"LC_CTYPE": "C.UTF-8", "TZ": "UTC"},  # Python would set the first itself
            start_new_session=True,
        )
        self._send_inputs()

    def _ask(self, asked: dict[str, Any], place: str) -> dict[str, Any]:
        """Return the answer. Raises MappingError if the process ended over it, or had to be ended."""
        process, is_late = self._process, Event()
        assert process  # noqa: S101
        assert process.stdin  # noqa: S101

        def end() -> None:
            is_late.set()
            process.kill()

        timer = Timer(self.limits.wall_seconds, end)
        timer.start()
        try:
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            process.stdin.flush()
            return self._read(process, is_late, place)
        except BrokenPipeError:
            raise MappingError(f"{place}: {self._why(is_late)}") from None
        finally:
            timer.cancel()

    def _read(self, process: subprocess.Popen[bytes], is_late: Event, place: str) -> dict[str, Any]:
        assert process.stdout  # noqa: S101
        line = process.stdout.readline(self.limits.answer_bytes * ESCAPED + len(self._inputs) * 8 + ROOM)
        if not line.endswith(b"\n"):
            raise MappingError(f"{place}: {self._why(is_late)}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _why(self, is_late: Event) -> str:
        """Say why the process ended, and let it go."""
        code, limits = self._end(), self.limits
        if is_late.is_set():
            return f"has not ended after {limits.wall_seconds:g} s: simplify it"
        if code == -signal.SIGXCPU:
            return f"takes more than {limits.cpu_seconds} s of CPU time: simplify it"
        if code and code > 0:
            return f"jq cannot be run here (exit code {code}): install it again, on a system with limits for processes"
        return f"ended jq (code {code}): it takes more than {limits.memory_bytes >> 20} MB of memory, or nests too deep"

    def _end(self) -> int | None:
        if not self._process:
            return None
        process, self._process = self._process, None
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with suppress(BrokenPipeError):  # what was not written is lost with it
                    pipe.close()
        try:
            return process.wait(1)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _outcome(found: list[str] | dict[str, str]) -> Outcome:
    return Outcome(found) if isinstance(found, list) else Outcome(failure=_CUT.sub("(...)", one_line(found["failed"])))
