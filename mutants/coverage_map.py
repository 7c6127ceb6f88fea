"""A pytest plugin: which tests execute each line of the mutated folders, and how long each test takes.

``-p mutants.coverage_map``. It must be loaded before the product is imported.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

FOLDER = Path(os.environ["MUTANTS_MAP"])
"""Where the map is written."""

_coverage = coverage.Coverage(
    data_file=str(FOLDER / "coverage"), source=os.environ["MUTANTS_SOURCE"].split(":"), config_file=False
)
_seconds: defaultdict[str, float] = defaultdict(float)
_failed: set[str] = set()
_coverage.start()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Name the test that executes lines from now on."""
    _coverage.switch_context(item.nodeid)
    try:
        return (yield)
    finally:
        _coverage.switch_context("")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what a test takes, with its fixtures."""
    _seconds[report.nodeid] += report.duration
    if not report.passed:
        _failed.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write the map. A test that fails without a mutant judges none."""
    _coverage.stop()
    _coverage.save()
    passed = {test: round(seconds, 4) for test, seconds in _seconds.items() if test not in _failed}
    (FOLDER / "seconds.json").write_text(json.dumps(passed, indent=0))
