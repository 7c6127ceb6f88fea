"""`make run` is killed with everything in it; `make drill` does it 20 times."""

from pathlib import Path

import pytest

from usage_assets_tests.end_to_end.kill_drill import drill
from usage_assets_tests.fixtures import IS_NIGHT


@pytest.mark.timeout(1800)
def test_make_run_that_is_killed_ends_equal_to_an_undisturbed_run(tmp_path: Path) -> None:
    drill(kills=2 if IS_NIGHT else 1, seed=7, folder=tmp_path, say=print)
