"""A lake whose files are removed, cut or swapped is repaired, and then holds what an undisturbed one holds."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import dagster as dg
import pytest

from usage_assets.build import build_definitions
from usage_assets.config.settings import Settings
from usage_assets.features.lake.warehouse import Lake
from usage_assets.features.repair.files import CURRENT, LakeFile
from usage_assets.features.repair.graph import VERIFY_JOB
from usage_assets.features.repair.repairing import is_lost
from usage_assets.providers import PROVIDERS
from usage_assets_tests.conftest import IS_NIGHT, NewWarehouse, Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import SERVER
from usage_assets_tests.terminal import Said, Terminal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

DAYS = last_days(3)
KEYS = {"openai": "sk-admin-sandbox", "anthropic": "sk-ant-admin-sandbox"}
ENDPOINTS = {"openai": {"costs"}, "anthropic": {"cost_report"}}
if IS_NIGHT:
    ENDPOINTS = {"openai": {"costs", "usage_completions"}, "anthropic": {"cost_report", "usage_messages"}}
PORT = ("PORT_CLIENT_ID", "PORT_CLIENT_SECRET")
HELD = """
select table_name, slice, connection, usage_date, content_hash, row_count
from ledger.stored_days
order by all
"""
READ = (
    ("query", "select sum(amount_usd) from costs.daily_costs where cost_basis = 'billed'"),
    ("report", "--text"),
    ("export", "csv", "costs.daily_costs", "--out", "costs.csv"),
    ("explain", "costs.daily_costs"),
)
"""What reads the costs."""
NOTHING = "no file is lost or damaged; --deep compares the rows of each stored day"
WHOLE = "each stored day holds the rows that were written"


def open_terminal(
    sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *names: str
) -> Terminal:
    """Somebody with three days of some connections."""
    terminal = Terminal.open(sandbox, folder, monkeypatch, capfd)
    stated = ""
    for name in names:
        (folder / name).write_text(KEYS[name])
        on = {each.name: str(each.name in ENDPOINTS[name]).lower() for each in PROVIDERS[name].endpoints}
        switches = ", ".join(f"{endpoint} = {is_on}" for endpoint, is_on in on.items())
        stated += f'[[connection]]\nname = "{name}"\nprovider = "{name}"\nkey = "file:{folder}/{name}"\n'
        stated += f"endpoints = {{ {switches} }}\n"
    (folder / "connections.toml").write_text(stated)
    monkeypatch.setenv("USAGE_CONNECTIONS", "connections.toml")
    monkeypatch.setenv("USAGE_START_DATE", str(DAYS[0]))
    for name in ("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY", *PORT):
        monkeypatch.setenv(name, "")
    fetch(terminal)
    return terminal


@pytest.fixture
def terminal(
    sandbox: Sandbox,
    postgres: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Terminal:
    """Their warehouse is a lake. At night, one day was restated: the lake has files of deleted rows."""
    monkeypatch.setenv(SERVER, postgres)
    terminal = open_terminal(sandbox, tmp_path, monkeypatch, capfd, *KEYS)
    if IS_NIGHT:
        for provider in KEYS:
            sandbox.control("POST", "restate", {"provider": provider, "days": [str(DAYS[1])], "change": "scale"})
        fetch(terminal)
    return terminal


def fetch(terminal: Terminal) -> None:
    said = terminal.type("backfill", "--start", str(DAYS[0]), "--end", str(DAYS[-1]))
    assert said.code == 0, said.err


def lake_of(terminal: Terminal) -> Lake:
    assert isinstance(terminal.warehouse, Lake)
    return terminal.warehouse


def held(terminal: Terminal) -> Sequence[Mapping[str, Any]]:
    """What is stored of each day. Fetch times and versions are left out."""
    rows: Sequence[Mapping[str, Any]] = terminal.warehouse.read(HELD).to_pylist()
    return rows


def current_files(lake: Lake) -> Sequence[LakeFile]:
    with lake.session() as session:
        return [LakeFile(*row) for row in session.execute(CURRENT).fetchall()]


def follow(terminal: Terminal, said: Said) -> None:
    """Type what was said to be next."""
    for line in said.lines:
        if line.startswith("next: usage-assets "):
            done = terminal.type(*shlex.split(line.removeprefix("next: usage-assets ")))
            assert done.code == 0, (line, done)


def remove(chance: Random, files: Sequence[LakeFile]) -> LakeFile:
    file = chance.choice(files)
    Path(file.path).unlink()
    return file


def cut(chance: Random, files: Sequence[LakeFile]) -> LakeFile:
    file = chance.choice(files)
    content = Path(file.path).read_bytes()
    Path(file.path).write_bytes(content[: chance.randrange(len(content))])
    return file


def overwrite(chance: Random, files: Sequence[LakeFile]) -> LakeFile:
    """Its size stays, and nothing of its end."""
    file = chance.choice(files)
    content = Path(file.path).read_bytes()
    Path(file.path).write_bytes(content[:-8] + bytes(8))
    return file


def swap(chance: Random, files: Sequence[LakeFile]) -> LakeFile:
    """Two files of a table, of one size where there are such."""
    pairs = [
        (one, other)
        for one in files
        for other in files
        if one.table == other.table and one.path < other.path and one.delete_file_id is other.delete_file_id is None
    ]
    if not pairs:
        return remove(chance, files)
    one, other = chance.choice([pair for pair in pairs if pair[0].size == pair[1].size] or pairs)
    first, second = Path(one.path).read_bytes(), Path(other.path).read_bytes()
    Path(one.path).write_bytes(second)
    Path(other.path).write_bytes(first)
    return one


DAMAGE: Sequence[Callable[[Random, Sequence[LakeFile]], LakeFile]] = (cut, remove, overwrite, swap) if IS_NIGHT else ()
"""``warehouse/test_lost_files.py`` plays each of them, without the commands."""


def test_what_a_lake_has_lost_is_named_and_comes_back(terminal: Terminal) -> None:
    """One lake for all: to fill it is most of the work."""
    before, chance = held(terminal), Random(1)
    assert_a_whole_lake_has_nothing_to_repair(terminal)
    for damage in DAMAGE:
        assert_what_is_lost_is_named_and_comes_back(terminal, chance, damage, deletes=damage is remove)
        assert held(terminal) == before, damage.__name__
        assert terminal.type("repair", "--deep").lines == [WHOLE], damage.__name__
    assert_after_maintenance_a_lost_file_has_days_of_all_connections_and_all_come_back(terminal)
    assert held(terminal) == before


def assert_a_whole_lake_has_nothing_to_repair(terminal: Terminal) -> None:
    assert terminal.type("repair").lines == [NOTHING]
    assert terminal.type("repair", "--deep").lines == [WHOLE]
    assert "repair" not in terminal.type("doctor", "--deep", "--all").out


def assert_what_is_lost_is_named_and_comes_back(
    terminal: Terminal, chance: Random, damage: Callable[[Random, Sequence[LakeFile]], LakeFile], *, deletes: bool
) -> None:
    """Once of each kind, whatever the table."""
    lake = lake_of(terminal)
    if chance.random() < 0.3:
        lake.maintain(timedelta(0))
    files = [file for file in current_files(lake) if not is_lost(file.table)]
    deletions = [file for file in files if file.delete_file_id is not None]
    damaged = damage(chance, deletions if deletions and deletes else files)
    lake.detach()
    follow(terminal, repaired(terminal, damaged))


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


def assert_after_maintenance_a_lost_file_has_days_of_all_connections_and_all_come_back(terminal: Terminal) -> None:
    lake = lake_of(terminal)
    lake.maintain(timedelta(0))
    [file] = [each for each in current_files(lake) if each.table == "costs.daily_costs"]
    Path(file.path).unlink()
    lake.detach()
    for words in READ:
        said = terminal.type(*words)
        assert said.code, words
        assert len(said.complaints) == 1, said
        assert "Traceback" not in said.out, said
    done = repaired(terminal, file)
    assert done.lines[-2:] == ["6 days of 1 table are no longer stored", "next: usage-assets backfill --due"]
    follow(terminal, done)


def test_a_day_whose_rows_were_changed_is_found_by_its_hash_and_written_again(
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    warehouse_with_views: NewWarehouse,
) -> None:
    warehouse_with_views(tmp_path)
    terminal = open_terminal(sandbox, tmp_path, monkeypatch, capfd, "openai")
    before, day = held(terminal), DAYS[1]
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
    assert held(terminal) == before
    assert job.execute_in_process().success


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
