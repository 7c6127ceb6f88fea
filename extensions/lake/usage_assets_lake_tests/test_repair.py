"""A lake that has lost a file is repaired by the commands, and then holds what it held.

``warehouse/test_lost_files.py`` removes, cuts, overwrites and swaps files, without the commands.
"""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from usage_assets.build import build_definitions
from usage_assets.cli.main import COMMANDS
from usage_assets.config.settings import Settings
from usage_assets.core.warehouse_address import LAKE
from usage_assets.providers import PROVIDERS
from usage_assets_lake.files import LakeFile, current_files
from usage_assets_lake.graph import VERIFY_JOB
from usage_assets_lake.warehouse import Lake
from usage_assets_tests.end_to_end.conftest import SERVER
from usage_assets_tests.fixtures import Sandbox, last_days
from usage_assets_tests.postgres import new_database
from usage_assets_tests.terminal import Said, Terminal

pytestmark = pytest.mark.timeout(1800)

DAYS = last_days(2)
HELD = """
select table_name, slice, connection, usage_date, content_hash, row_count
from ledger.stored_days
order by all
"""
READ = [
    words
    for words in (
        ("query", "select sum(amount_usd) from costs.daily_costs where cost_basis = 'billed'"),
        ("report", "--text"),
        ("export", "csv", "costs.daily_costs", "--out", "costs.csv", "--force"),
    )
    if words[0] in COMMANDS
]
"""What reads the costs."""
NOTHING = "no file is lost or damaged; --deep compares the rows of each stored day"
WHOLE = "each stored day holds the rows that were written"


@pytest.fixture
def terminal(
    sandbox: Sandbox,
    postgres: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Terminal:
    """Somebody with two days of OpenAI's costs in a lake."""
    monkeypatch.setenv(SERVER, postgres)
    terminal = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    off = ", ".join(f"{each.name} = false" for each in PROVIDERS["openai"].endpoints if each.name != "costs")
    connection = f'[[connection]]\nname = "openai"\nprovider = "openai"\nkey = "env:A_KEY"\nendpoints = {{ {off} }}\n'
    (tmp_path / "connections.toml").write_text(connection)
    monkeypatch.setenv("A_KEY", "sk-admin-sandbox")
    monkeypatch.setenv("USAGE_CONNECTIONS", "connections.toml")
    monkeypatch.setenv("USAGE_START_DATE", str(DAYS[0]))
    for name in ("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY"):
        monkeypatch.setenv(name, "")
    for name in ("PORT_CLIENT_ID", "PORT_CLIENT_SECRET"):
        monkeypatch.setenv(name, "")
    said = terminal.type("backfill", "--start", str(DAYS[0]), "--end", str(DAYS[-1]))
    assert said.code == 0, said.err
    return terminal


def lake_of(terminal: Terminal) -> Lake:
    assert isinstance(terminal.warehouse, Lake)
    return terminal.warehouse


def held(terminal: Terminal) -> Sequence[Mapping[str, Any]]:
    """What is stored of each day. Fetch times and versions are left out."""
    rows: Sequence[Mapping[str, Any]] = terminal.warehouse.read(HELD).to_pylist()
    return rows


def follow(terminal: Terminal, said: Said) -> None:
    """Type what was said to be next."""
    for line in said.lines:
        if line.startswith("next: usage-assets "):
            done = terminal.type(*shlex.split(line.removeprefix("next: usage-assets ")))
            assert done.code == 0, (line, done)


def test_what_a_lake_has_lost_is_named_and_comes_back(terminal: Terminal) -> None:
    """One lake for all: to fill it is most of the work."""
    before = held(terminal)
    assert_a_whole_lake_has_nothing_to_repair(terminal)
    assert_a_lost_file_is_named_and_its_days_come_back(terminal)
    assert held(terminal) == before
    assert_a_day_whose_rows_were_changed_is_found_by_its_hash_and_written_again(terminal)
    assert held(terminal) == before


def assert_a_whole_lake_has_nothing_to_repair(terminal: Terminal) -> None:
    assert terminal.type("repair").lines == [NOTHING]
    assert terminal.type("repair", "--deep").lines == [WHOLE]
    assert "repair" not in terminal.type("doctor", "--deep", "--all").out


def repaired(terminal: Terminal, damaged: LakeFile) -> Said:
    """What is said of a file that is named, and let go."""
    told = terminal.type("doctor").out
    assert f"FAIL  {damaged.table}: {damaged.path} " in told, told
    shown = terminal.type("repair")
    assert (shown.code, damaged.path in shown.out) == (1, True)
    assert "usage-assets repair --yes" in shown.lines[-1]
    done = terminal.type("repair", "--yes")
    assert done.code == 0, done
    return done


def assert_a_lost_file_is_named_and_its_days_come_back(terminal: Terminal) -> None:
    lake = lake_of(terminal)
    lake.maintain(timedelta(0))
    with lake.session() as session:
        [file] = [each for each in current_files(session) if each.table == "costs.daily_costs"]
    Path(file.path).unlink()
    lake.detach()
    for words in READ:
        said = terminal.type(*words)
        assert said.code, words
        assert len(said.complaints) == 1, said
        assert "Traceback" not in said.out, said
    done = repaired(terminal, file)
    assert done.lines[-2:] == ["2 days of 1 table are no longer stored", "next: usage-assets backfill --due"]
    follow(terminal, done)


def assert_a_day_whose_rows_were_changed_is_found_by_its_hash_and_written_again(terminal: Terminal) -> None:
    day = DAYS[1]
    with terminal.warehouse.transaction() as database:
        database.execute(
            "update openai.costs set amount_value = amount_value + 1 where usage_date = $day", {"day": day}
        )
    found = f"openai.costs: 1 day does not hold the rows that were written (openai {day})"
    assert found in terminal.type("doctor", "--deep").out
    job = build_definitions(Settings.load()).resolve_job_def(VERIFY_JOB)
    with pytest.raises(dg.Failure, match=re.escape(found)):
        job.execute_in_process()
    assert terminal.type("repair").lines == [NOTHING]
    assert terminal.type("repair", "--deep").lines[0].startswith(f"openai.costs: openai {day}: ")
    done = terminal.type("repair", "--deep", "--yes")
    assert f"next: usage-assets backfill --connection openai --start {day} --end {day} --from-archive" in done.lines
    follow(terminal, done)
    assert job.execute_in_process().success


def test_a_lost_catalog_is_one_line_with_the_way_that_works(
    terminal: Terminal, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names in entities are of lookups, which are no days: the next run lists them."""

    def of_days(terminal: Terminal) -> Sequence[Mapping[str, Any]]:
        return [row for row in held(terminal) if not row["table_name"].startswith("port_entities.")]

    before, days = of_days(terminal), ("--start", str(DAYS[0]), "--end", str(DAYS[-1]))
    monkeypatch.setenv("USAGE_WAREHOUSE", f"{LAKE}{new_database(postgres)}")
    lost = "holds Parquet files, and the catalog is empty: "
    [line] = [line for line in terminal.type("doctor").lines if line.startswith("FAIL  warehouse")]
    assert lost in line
    for words in (("repair",), ("repair", "--deep", "--yes"), ("backfill", *days)):
        said = terminal.type(*words)
        assert said.code, words
        assert [lost in line for line in said.complaints].count(True) == 1, said
        assert "Traceback" not in said.out + said.err
    monkeypatch.setenv("USAGE_WAREHOUSE_DATA", str(tmp_path / "empty"))
    said = terminal.type("backfill", *days, "--from-archive")
    assert said.code == 0, said.err
    names = ("USAGE_WAREHOUSE", "USAGE_WAREHOUSE_DATA")
    assert of_days(replace(terminal, environment={name: os.environ[name] for name in names})) == before


def test_a_damaged_database_file_is_one_line_that_says_what_to_do(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    Path(terminal.database).write_bytes(b"no database")
    for words in (("repair",), ("repair", "--deep"), ("repair", "--deep", "--yes")):
        said = terminal.type(*words)
        [line] = said.complaints
        assert (said.code, said.out) == (2, "")
        assert "not a valid DuckDB database file: stop Dagster and move usage.duckdb" in line
