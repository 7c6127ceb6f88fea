"""A plugin of pytest: from UNTIL on (Unix seconds), tests are skipped. The nightly run has them."""

import os
import time

import pytest

UNTIL = "CHOOSING_UNTIL"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that would begin too late."""
    if time.time() > float(os.environ.get(UNTIL, "inf")):
        pytest.skip(f"make nightly runs {item.nodeid}: the time for slow tests is over")
