"""Run the tests that execute a mutant, cheapest first, until one fails. Each group of them has a process of its own.

That process is forked from this one, which has imported the product's dependencies and nothing of the product.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

import pytest

from choosing import tracing
from choosing.map import Entry, used_by_test, using
from choosing.running import end_group, forked, warm
from choosing.units import files, units
from mutants.mutations import Mutant


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: killed (by which test), timeout, survived, not executed by any test, or broken test."""

    state: str
    test: str = ""
    tests: int = 0
    seconds: float = 0


@dataclass
class Map:
    """Which tests judge a mutant: those that use it, as far as they were recorded."""

    root: Path
    known: Mapping[str, Entry]
    """The map of the checkout."""
    records: Path
    """What each of the tests uses."""
    declarations: str
    """The test of what every table declares."""
    seconds: dict[str, float] = field(default_factory=dict)
    _used: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        recognized = tracing.recognized(str(self.root))
        for record in self.records.glob("*.py"):
            found = used_by_test(record.read_text().splitlines(), recognized=recognized)
            self.seconds |= {test: seconds for test, (seconds, _) in found.items()}
            self._used |= {test: units for test, (_, units) in found.items()}
        self._tree = files(self.root)
        self._units = units(self._tree)

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests of the chosen modules that use what is mutated; those of the mutated module's test file first.

        What runs at import is used by nobody in particular, so for a mutant there: the test of the declarations, the
        module's test file, the tests that use anything of the file, and all tests of the package.
        """
        file = mutant.name.file
        now = units(self._tree | {file: mutant.code.encode()})
        changed = {unit for unit in now.keys() | self._units.keys() if now.get(unit) != self._units.get(unit)}
        chosen = using(self.known, changed)
        may = {test for test in self._used if (module := test.partition("::")[0]) in chosen or module not in self.known}
        path = Path(file)
        folder = f"usage_assets_tests/{path.parts[1]}/"
        its_file = self._of(may, f"{folder}test_{path.stem}.py")
        use = {test for test in may if not self._used[test].isdisjoint(changed)}
        parts = [use & its_file, use]
        if f"{file}::" in changed:
            use_file = {test for test in may if any(unit.startswith(f"{file}::") for unit in self._used[test])}
            parts = [self._of(may, self.declarations), its_file, use_file, self._of(may, folder)]
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
        warm()
        if (verdict := self.run([self.map.declarations])) != ("survived", ""):
            raise RuntimeError(f"a test fails without a mutant: {verdict}; see {self.log}")

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
        pid = forked(partial(self._in_child, tests, report), self.log)
        end = time.monotonic() + limit
        while time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            time.sleep(0.02)
        else:
            end_group(pid)
            os.waitpid(pid, 0)
            return "timeout", ""
        end_group(pid)
        code = os.waitstatus_to_exitcode(status)
        if code == pytest.ExitCode.INTERNAL_ERROR:
            raise RuntimeError(f"pytest failed: see {self.log}")
        return ("killed", report.read_text() if report.exists() else "(import)") if code else ("survived", "")

    def _in_child(self, tests: Sequence[str], report: Path) -> int:
        os.chdir(self.root)
        sys.dont_write_bytecode = True
        options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "--rootdir", str(self.root)]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plugins are imported before the fork
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
