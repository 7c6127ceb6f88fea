"""What is planted in a file is said, and the commands that are printed, run as they stand, bring back what was.

Lakes: ``test_repair.py``.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets_tests.end_to_end.conftest import with_endpoints
from usage_assets_tests.fixtures import Sandbox, last_days
from usage_assets_tests.terminal import Said, Terminal

pytestmark = pytest.mark.timeout(1800)

DAYS = last_days(2)
PRINTED = re.compile(
    r"usage-assets (?:repair|backfill|connection remove \w+)(?: --[a-z-]+(?: \w[\w-]*)?)*"
    r"|chmod go= [^:;\n]+|install -m 600 \S+ [^\s`]+|mv \S+ [^\s`]+"
)
YESTERDAY = "yesterday.duckdb"
ROUNDS = 4
"""Each may print what is next."""
HELD = (
    "select table_name, slice, connection, usage_date, content_hash, row_count from ledger.stored_days order by all",
    "select usage_date, line_item, project_id, api_key_id, user_id, amount_value from openai.costs order by all",
    "select usage_date, amount_value from openai.costs_control order by all",
    "select usage_date, cost_basis, line_item, native_amount, amount_usd from costs.daily_costs order by all",
    "from costs.daily_costs_sums order by all",
    "select id, name from openai.projects where valid_to is null order by all",
)
"""What the ledger says, and what is there."""


def change_rows(terminal: Terminal) -> None:
    """Of a report, its control totals, costs and their sums."""
    sql(terminal, f"update openai.costs set amount_value = amount_value + 1 where usage_date = date '{DAYS[-1]}'")
    sql(terminal, "update openai.costs_control set amount_value = amount_value - 1")
    sql(terminal, "update costs.daily_costs set line_item = 'of nobody'")
    sql(terminal, f"update costs.daily_costs_sums set native_amount = 0 where usage_date = date '{DAYS[0]}'")


def lose_rows(terminal: Terminal) -> None:
    sql(terminal, "delete from costs.daily_costs")
    sql(terminal, "alter table openai.costs drop column line_item")


def double_rows(terminal: Terminal) -> None:
    """And what the answers were that they are of: only the provider has them."""
    sql(terminal, "insert into openai.costs from openai.costs")
    for answer in (terminal.folder / "raw").rglob("*.zst"):
        answer.write_bytes(answer.read_bytes()[:100])


def add_rows(terminal: Terminal) -> None:
    """Of a day and of a connection that nobody has stored."""
    sql(terminal, "insert into openai.costs select * replace (usage_date - 400 as usage_date) from openai.costs")
    sql(terminal, "insert into costs.daily_costs select * replace ('nobody' as connection) from costs.daily_costs")
    terminal.warehouse.published.unlink()


def lose_control_totals(terminal: Terminal) -> None:
    sql(terminal, "delete from openai.costs_control")
    shutil.rmtree(terminal.folder / "raw")


def lose_versions(terminal: Terminal) -> None:
    sql(terminal, "delete from ledger.partition_versions where table_name = 'openai.costs'")


def drop_tables(terminal: Terminal) -> None:
    """Of rows, of sums, of a lookup, of what another provider would write."""
    for name in ("openai.costs", "costs.daily_costs_sums", "openai.projects", "ledger.bill_days"):
        sql(terminal, f"drop table {name}")


def drop_the_ledger(terminal: Terminal) -> None:
    sql(terminal, "drop table ledger.partition_versions")


def put_others_in_the_place(terminal: Terminal) -> None:
    """Of Dagster's files, of the archive, of the published copy."""
    for file in ("history/runs/index.db", "schedules/schedules.db"):
        damaged = terminal.folder / "home" / file
        damaged.write_bytes(damaged.read_bytes()[:20_000] + b"no database" * 20_000)
    shutil.rmtree(terminal.folder / "raw")
    (terminal.folder / "raw").touch(0o600)
    terminal.warehouse.published.unlink()
    terminal.warehouse.published.mkdir(0o700)


def lose_the_file(terminal: Terminal) -> None:
    terminal.database.unlink()


def put_back_the_file_of_yesterday(terminal: Terminal) -> None:
    shutil.copy(terminal.folder / YESTERDAY, terminal.database)


def cut_the_file(terminal: Terminal) -> None:
    terminal.database.write_bytes(terminal.database.read_bytes()[:20_000])


def overwrite_the_file(terminal: Terminal) -> None:
    """And what Dagster has of its runs."""
    terminal.database.write_bytes(b"no database")
    history = terminal.folder / "home" / "history"
    shutil.rmtree(history)
    history.touch()


def open_to_others(terminal: Terminal) -> None:
    """The database, the archive and what Dagster has of its runs. And the copy has lost bytes, at a time that stays."""
    copy = terminal.warehouse.published
    was = copy.stat()
    copy.chmod(0o644)
    copy.write_bytes(copy.read_bytes()[:4096].ljust(was.st_size, b"\0"))
    os.utime(copy, ns=(was.st_atime_ns, was.st_mtime_ns))
    for path in (terminal.database, terminal.folder / "raw", terminal.folder / "home" / "history"):
        path.chmod(0o755)


PLANTED = (
    change_rows,
    lose_rows,
    double_rows,
    add_rows,
    lose_control_totals,
    lose_versions,
    drop_tables,
    drop_the_ledger,
    put_others_in_the_place,
    lose_the_file,
    put_back_the_file_of_yesterday,
    cut_the_file,
    overwrite_the_file,
    open_to_others,
)


def sql(terminal: Terminal, statement: str) -> None:
    with terminal.warehouse.transaction() as database:
        database.execute(statement)


def held(terminal: Terminal) -> Sequence[Any]:
    with terminal.warehouse.one_moment() as warehouse:
        return [warehouse.read(query).to_pylist() for query in HELD]


def run(terminal: Terminal, command: str) -> Said:
    """Run a printed command as it stands, in the folder where it was printed."""
    words = shlex.split(command)
    if words[0] == "usage-assets":
        said = terminal.type(*words[1:])
    else:
        done = subprocess.run(words, cwd=terminal.folder, capture_output=True, text=True, check=False)
        said = Said(done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in said.out + said.err, (command, said)
    return said


def healed(terminal: Terminal) -> tuple[list[str], list[str]]:
    """Run what the doctor prints, and what these commands print, until nothing new is printed. Return all of it, and
    what the doctor says in the end."""
    done: list[str] = []
    for _ in range(ROUNDS):
        said = [examined := run(terminal, "usage-assets doctor --deep")]
        new = 0
        while said:
            each = said.pop()
            for command in PRINTED.findall(each.out + each.err):
                if command not in done and not command.endswith(" D"):  # a range that nobody but a person knows
                    done.append(command)
                    said.append(run(terminal, command))
                    new += 1
        if not new:
            break
    return done, examined.lines


def test_printed_commands_bring_back_what_was(
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    subtests: pytest.Subtests,
) -> None:
    folder, whole = tmp_path / "here", tmp_path / "whole"
    folder.mkdir()
    terminal = Terminal.open(sandbox, folder, monkeypatch, capfd)
    off = ("ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY", "PORT_CLIENT_ID", "PORT_CLIENT_SECRET")
    terminal.set({**dict.fromkeys(off, ""), **with_endpoints(folder, "costs")}, USAGE_START_DATE=str(DAYS[0]))
    first, last = map(str, DAYS)
    assert terminal.run("backfill --start", first, "--end", first).code == 0
    shutil.copy(terminal.database, folder / YESTERDAY)
    assert terminal.run("backfill --start", last, "--end", last).code == 0
    before, at_first = held(terminal), run(terminal, "usage-assets doctor --deep")
    assert at_first.code == 0, at_first
    shutil.copytree(folder, whole)
    for plant in PLANTED:
        with subtests.test(plant.__name__):
            for each in folder.iterdir():
                (shutil.rmtree if each.is_dir() else Path.unlink)(each)
            shutil.copytree(whole, folder, dirs_exist_ok=True)
            plant(terminal)
            done, lines = healed(terminal)
            assert held(terminal) == before, done
            with terminal.warehouse.reading() as copy:
                assert [fetch_arrow(copy.execute(query)).to_pylist() for query in HELD] == before, "what people read"
            assert lines == at_first.lines, done
