"""What runs what strangers wrote, with whatever it is told to run. Limits are tested where they are set."""

from pathlib import Path

import pytest

from usage_assets.core.cage import Cage, CageError, Limits

BREAKS = """
def begin(setup):
    def answer_to(asked):
        return {"half": setup["whole"] / asked["by"]}
    return answer_to
"""


def test_an_error_that_nobody_foresaw_ends_one_question(tmp_path: Path) -> None:
    (work := tmp_path / "work.py").write_text(BREAKS)
    cage = Cage(work, {"whole": 1}, Limits(cpu_seconds=60, wall_seconds=60, memory_bytes=1 << 30), "it")
    with pytest.raises(CageError, match=r"^cannot be answered \(ZeroDivisionError\): write it in another way$"):
        cage.ask({"by": 0}, 100)
    assert cage.is_running
    assert cage.ask({"by": 2}, 100) == {"half": 0.5}
    cage.close()
