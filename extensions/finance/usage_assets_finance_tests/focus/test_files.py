"""Files are read whole or refused in one line; docs/faults.md says so, row by row."""

import re
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from usage_assets.fetching.files import tables
from usage_assets.fetching.transport import NotServedYetError, PermanentError
from usage_assets_finance_tests.focus.file_faults import DAY, FAULTS, PLANTED, FileFault, parquet
from usage_assets_finance_tests.focus_files import connection, on, write
from usage_assets_tests.end_to_end.conftest import Project, hold_project
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT, client_of
from usage_assets_tests.fixtures import NO_KEYS, Sandbox

THE_DAY = [date.fromisoformat(DAY)]


@pytest.fixture(scope="module")
def stored(sandbox_process: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose day is stored from a file that was in order."""
    folder = tmp_path_factory.mktemp("faults")
    alone = dict.fromkeys(NO_KEYS, "")
    write(folder / "bills" / "bill.csv", [on(DAY)])
    with hold_project(sandbox_process, folder, alone | connection(folder, folder / "bills")) as opened:
        assert opened.fetch("bill", THE_DAY, "charges").success
        yield opened


def refused_as_stated(fault: FileFault, message: str) -> bool:
    """Whether a message is what the page says; what stands in angle brackets there may be anything."""
    form = "".join(".+" if part[:1] == "<" else re.escape(part) for part in re.split(r"(<[a-z]+>)", fault.reads))
    return bool(re.fullmatch(form, message.removeprefix(f"bill charges {fault.day}: ")))


def test_it_is_refused_in_one_line(tmp_path: Path) -> None:
    for n, fault in enumerate(FAULTS[:-1]):
        folder = tmp_path / str(n)
        folder.mkdir()
        fault.plant(folder)
        provider, endpoint = EVERY_ENDPOINT["focus/charges"]
        with client_of(provider, key="", base_url=str(folder), connection="bill") as client:
            client.look()
            with pytest.raises(PermanentError) as refused:
                client.fetch(endpoint, [date.fromisoformat(fault.day)])
        assert isinstance(refused.value, NotServedYetError) is fault.waits
        assert refused_as_stated(fault, refused.value.message), refused.value.message


def test_nothing_of_it_is_stored(stored: Project) -> None:
    for fault in [FAULTS[0], *FAULTS[-3:]]:
        before, versions = stored.rows("focus.charges"), stored.rows("ledger.partition_versions")
        folder = Path(stored.warehouse.database).parent / "bills"
        shutil.rmtree(folder)
        folder.mkdir()
        fault.plant(folder)
        result = stored.fetch("bill", [date.fromisoformat(fault.day)], "charges")
        assert result.success is fault.waits
        assert not result.get_asset_materialization_events(), fault
        if fault.waits:
            of_day = "select reason from ledger.late_days where usage_date = $day"
            [message] = stored.warehouse.read(of_day, {"day": fault.day})["reason"].to_pylist()
        else:
            [failed] = result.get_step_failure_events()
            assert failed.step_failure_data.user_failure_data is not None
            message = str(failed.step_failure_data.user_failure_data.description)
        assert refused_as_stated(fault, message), message
        assert stored.rows("focus.charges") == before, fault
        assert stored.rows("ledger.partition_versions") == versions, fault


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
    assert [fault.name for fault in FAULTS] == [*PLANTED]
