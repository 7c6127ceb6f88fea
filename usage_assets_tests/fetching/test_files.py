"""Files are read whole or refused in one line; docs/faults.md says so, row by row."""

import re
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from usage_assets.fetching.files import tables
from usage_assets_tests.conftest import Sandbox
from usage_assets_tests.end_to_end.conftest import Project, hold_project
from usage_assets_tests.fetching.file_faults import DAY, FAULTS, FileFault, parquet
from usage_assets_tests.focus_files import connection, on, write

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
THE_DAY = [date.fromisoformat(DAY)]


@pytest.fixture(scope="module")
def stored(sandbox_process: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose day is stored from a file that was in order."""
    folder = tmp_path_factory.mktemp("faults")
    alone = {"OPENAI_ADMIN_KEY": "", "ANTHROPIC_ADMIN_KEY": "", "CHATGPT_ANALYTICS_KEY": ""}
    write(folder / "bills" / "bill.csv", [on(DAY)])
    with hold_project(sandbox_process, folder, alone | connection(folder, folder / "bills")) as opened:
        assert opened.fetch("bill", THE_DAY).success
        yield opened


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_it_is_refused_in_one_line_and_nothing_changes(stored: Project, fault: FileFault) -> None:
    before, versions = stored.rows("focus.charges"), stored.rows("ledger.partition_versions")
    folder = Path(stored.warehouse.database).parent / "bills"
    shutil.rmtree(folder)
    folder.mkdir()
    fault.plant(folder)
    result = stored.fetch("bill", [date.fromisoformat(fault.day)], "charges")
    assert result.success is fault.waits
    assert not result.get_asset_materialization_events()
    if fault.waits:
        of_day = "select reason from ledger.late_days where usage_date = $day"
        [message] = stored.warehouse.read(of_day, {"day": fault.day})["reason"].to_pylist()
    else:
        [failed] = result.get_step_failure_events()
        assert failed.step_failure_data.user_failure_data is not None
        message = str(failed.step_failure_data.user_failure_data.description)
    message = message.removeprefix(f"bill charges {fault.day}: ")
    form = "".join(".+" if part[:1] == "<" else re.escape(part) for part in re.split(r"(<[a-z]+>)", fault.reads))
    assert re.fullmatch(form, message), message
    assert stored.rows("focus.charges") == before
    assert stored.rows("ledger.partition_versions") == versions


def test_what_would_fill_the_memory_is_not_unpacked(stored: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LARGEST_GROUP", 1_000)
    folder = Path(stored.warehouse.database).parent / "bills"
    shutil.rmtree(folder)
    folder.mkdir()
    parquet(folder / "bill.parquet", BilledCost=pa.array(["1.00"]))
    [failed] = stored.fetch("bill", THE_DAY, "charges").get_step_failure_events()
    assert failed.step_failure_data.user_failure_data is not None
    assert "when unpacked: write row groups of at most 1e-06 GB" in str(
        failed.step_failure_data.user_failure_data.description
    )


def test_the_page_lists_these_faults() -> None:
    cells = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    listed = [tuple(row) for row in cells if len(row) == 3 and row[2][:1] == "`"]
    waits = {True: "the days wait", False: "the run fails at once"}
    assert listed == [(fault.name, waits[fault.waits], f"`{fault.reads}`") for fault in FAULTS]
