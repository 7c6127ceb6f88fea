"""What is left of a connection that was removed in a process of its own, as the database, Port and the files say."""

import importlib
import pkgutil
import shutil

import pytest

import usage_assets
from usage_assets.cli.main import COMMANDS
from usage_assets.core.schema import declarations as imported
from usage_assets.models.declared import declarations
from usage_assets.warehouse.published import publish
from usage_assets_tests.end_to_end.conftest import on_file
from usage_assets_tests.end_to_end.removing import OF_COLUMN, remove, rows_of, typed
from usage_assets_tests.fixtures import execute, file_with_views, last_days
from usage_assets_tests.terminal import Terminal

DAY = str(last_days(1)[0])
DAYS = ("--start", DAY, "--end", DAY)


@pytest.fixture
def terminal(place: None, terminal: Terminal) -> Terminal:
    """A person who has stored a day of two connections, and has no key of OpenAI any more."""
    shutil.copy(file_with_views(), terminal.folder)
    terminal.set(CHATGPT_ANALYTICS_KEY=None)
    stored = terminal.type("backfill", *DAYS, "--push")
    assert stored.code == 0, stored
    if "report" in COMMANDS:
        assert terminal.type("report", "--refresh").code is None
    terminal.set(OPENAI_ADMIN_KEY=None)
    return terminal


@on_file
def test_what_an_earlier_release_left_is_found_and_removed_unless_a_table_of_somebody_else_has_rows_of_it(
    terminal: Terminal,
) -> None:
    """It deleted the rows that its process knew of: the costs stayed, and counted. Port's key is gone, too."""
    # A printed command does what was typed.
    stored = terminal.warehouse.read("select min(id) as id from openai.users")["id"][0].as_py()
    said = terminal.type("people", "forget", "ann@example.com", "--id", stored, "--id", "user 2", "--dry-run")
    assert said.code == 0, said
    assert said.lines[-1].endswith(f"usage-assets people forget ann@example.com --id {stored} --id 'user 2'")
    with terminal.warehouse.transaction() as database:
        for (table,) in database.execute(OF_COLUMN, {"column": "connection"}).fetchall():
            if table.startswith(("openai.", "ledger.")) and table != "ledger.port_entities":
                database.execute(f"delete from {table} where connection = 'openai'")
        database.execute("create schema mine; create table mine.notes as select 'openai' as connection, 1 as note")
    publish(terminal.warehouse)
    [line] = [line for line in terminal.type("doctor").lines if "left of its removal" in line]
    assert line.startswith("FAIL  connection openai: ")
    refused = terminal.type(*line.partition("usage-assets ")[2].split())
    assert refused.code == 2
    assert "mine.notes: holds rows of it that are not ours. Delete them (delete from mine.notes where" in refused.err
    assert "costs.daily_costs" in rows_of(terminal.warehouse, "connection", "openai")
    execute(terminal.warehouse, "drop schema mine cascade")
    terminal.set(PORT_CLIENT_ID=None, PORT_CLIENT_SECRET=None)
    remove(terminal, "ledger.port_entities")
    # Days past their retention are in no table.
    terminal.set(USAGE_RETENTION_MONTHS="3")
    with terminal.warehouse.transaction() as database:
        for (table,) in database.execute(OF_COLUMN, {"column": "usage_date"}).fetchall():
            database.execute(f"update {table} set usage_date = date '2026-01-15'")
    assert "costs.daily_costs" in rows_of(terminal.warehouse, "usage_date", "2026-01-15")
    typed(terminal, "prune")
    assert rows_of(terminal.warehouse, "usage_date", "2026-01-15").keys() <= {"ledger.port_entities"}


def test_every_table_is_known_whatever_is_imported() -> None:
    known = {*declarations()}
    for module in pkgutil.walk_packages(usage_assets.__path__, "usage_assets."):
        if ".testing" not in module.name:
            importlib.import_module(module.name)
    ours = {name for name, row in imported().items() if row.__module__.startswith("usage_assets")}
    assert ours <= known
