"""Run the tests that execute a mutant, cheapest first, until one fails. Each group of them has a process of its own.

That process is forked from this one, which has imported the product's dependencies and nothing of the product.
"""

import importlib
import json
import os
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import pytest
from coverage import CoverageData

from mutants.mutations import Mutant

_IMPORTED = (
    "dagster",
    "dagster_duckdb",
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
class Verdict:
    """What became of a mutant: killed (by which test), timeout, survived, not executed by any test, or broken test."""

    state: str
    test: str = ""
    tests: int = 0
    seconds: float = 0


@dataclass
class Map:
    """Which tests execute which lines, and how long each test takes, as ``coverage_map`` has written it."""

    root: Path
    folders: Sequence[Path]
    declarations: str
    """The test of what every table declares."""
    seconds: dict[str, float] = field(default_factory=dict)
    _lines: dict[str, Mapping[int, set[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in self.folders:
            self.seconds |= json.loads((folder / "seconds.json").read_text())

    def lines(self, file: str) -> Mapping[int, set[str]]:
        """Line -> the tests that execute it; an empty name stands for the import."""
        if file not in self._lines:
            lines: defaultdict[int, set[str]] = defaultdict(set)
            for folder in self.folders:
                data = CoverageData(str(folder / "coverage"))
                data.read()
                for line, tests in data.contexts_by_lineno(str(self.root / file)).items():
                    lines[line].update(tests)
            self._lines[file] = lines
        return self._lines[file]

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that execute the mutant's lines, or else its function; those of the module's test file first.

        Code at module level is executed by the import, so for a mutant there: the test of the declarations, the
        module's test file, the tests that execute anything in the file, and all tests of the package.
        """
        lines = self.lines(mutant.name.file)
        executed = [
            set().union(*(lines.get(n, ()) for n in numbers)) for numbers in (mutant.lines, mutant.scope, lines)
        ]
        path = Path(mutant.name.file)
        folder = f"usage_assets_tests/{path.parts[1]}/"
        if mutant.scope:
            own = executed[0] & self.seconds.keys() or executed[1]
            parts = [self._of(own, f"{folder}test_{path.stem}.py"), own]
        else:
            names = (self.declarations, f"{folder}test_{path.stem}.py", folder)
            declarations, own, room = (self._of(self.seconds, start) for start in names)
            parts = [declarations, own, executed[2], room]
        return [*dict.fromkeys(chain.from_iterable(map(self._by_cost, parts)))]

    def _of(self, tests: Iterable[str], start: str) -> set[str]:
        return {test for test in tests if test.startswith(start)}

    def _by_cost(self, names: set[str]) -> list[str]:
        """Cheapest first, but one test of each file before the others, and further cases of a test function last."""
        seen: Counter[str] = Counter()
        order: dict[str, tuple[int, int, float]] = {}
        for name in sorted(names & self.seconds.keys(), key=lambda name: (self.seconds[name], name)):
            function, file = name.partition("[")[0], name.partition("::")[0]
            order[name] = (seen[function], 0 if seen[function] else seen[file], self.seconds[name])
            seen.update((function, file))
        return sorted(order, key=order.__getitem__)


@dataclass
class Judge:
    """Judges mutants in a copy of a checkout."""

    root: Path
    map: Map
    log: Path
    budget: float
    """Seconds that the tests of one mutant may take together, as measured without it."""
    first: float
    """Seconds of the tests that are run before all others: most mutants do not survive these."""

    def __post_init__(self) -> None:
        sys.path.insert(0, str(self.root))
        os.environ |= {"PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}
        for module in _IMPORTED:
            importlib.import_module(module)

    def judge(self, mutant: Mutant, *, hint: str = "") -> Verdict:
        """Put the mutant into its file and run its tests, ``hint`` first."""
        began = time.monotonic()
        tests = self.map.tests(mutant)
        if hint in self.map.seconds:
            tests = [hint, *(test for test in tests if test != hint)]
        if not tests:
            return Verdict("not executed")
        ran = 0
        with self._put(mutant):
            for group in self._groups(tests, with_hint=tests[0] == hint):
                state, failed = self.run(group)
                ran += len(group)
                if state != "survived":
                    return Verdict(state, failed, ran, time.monotonic() - began)
        return Verdict("survived", "", ran, time.monotonic() - began)

    def _groups(self, tests: Sequence[str], *, with_hint: bool) -> Iterator[list[str]]:
        if with_hint:
            yield [tests[0]]
            tests = tests[1:]
        limits, spent = [self.first, self.budget], 0.0
        group: list[str] = []
        for test in tests:
            spent += self.map.seconds[test]
            if spent > self.budget and group:
                break
            if len(limits) == 2 and spent > self.first and group:
                limits.pop(0)
                yield group
                group = []
            group.append(test)
        if group:
            yield group

    def run(self, tests: Sequence[str]) -> tuple[str, str]:
        """Run tests until one fails, in a new process. Returns the state, and the test that failed."""
        report = self.log.with_suffix(".failed")
        report.unlink(missing_ok=True)
        limit = 40 + 8 * sum(self.map.seconds[test] for test in tests)
        pid = os.fork()
        if not pid:
            code = 1
            try:
                code = self._in_child(tests, report)
            finally:
                os._exit(code)
        end = time.monotonic() + limit
        while time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            time.sleep(0.02)
        else:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "timeout", ""
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # what the tests have started
        code = os.waitstatus_to_exitcode(status)
        if code == pytest.ExitCode.INTERNAL_ERROR:
            raise RuntimeError(f"pytest failed: see {self.log}")
        return ("killed", report.read_text() if report.exists() else "(import)") if code else ("survived", "")

    def _in_child(self, tests: Sequence[str], report: Path) -> int:
        os.setsid()
        os.chdir(self.root)
        output = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.dont_write_bytecode = True
        options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "--rootdir", str(self.root)]
        return int(pytest.main([*options, *tests], plugins=[_Reporter(report)]))

    @contextmanager
    def _put(self, mutant: Mutant) -> Iterator[None]:
        """Write the mutant, with another modification time, or Python would run the bytecode of the original."""
        path = self.root / mutant.name.file
        original, times = path.read_bytes(), path.stat()
        try:
            path.write_text(mutant.code)
            os.utime(path, (times.st_atime, times.st_mtime + 1000))
            yield
        finally:
            path.write_bytes(original)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@dataclass(eq=False)
class _Reporter:
    """Writes down which test failed."""

    report: Path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Of several, the first one."""
        if report.failed and not self.report.exists():
            self.report.write_text(report.nodeid)
