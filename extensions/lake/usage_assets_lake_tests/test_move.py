"""`usage-assets move` into the file itself: what a person reads, and what is left of it."""

import duckdb
import pytest

from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import copy_of, is_current
from usage_assets_lake.doctor import is_in_format
from usage_assets_lake.move.copying import move
from usage_assets_tests.terminal import Terminal
from usage_assets_tests.warehouse.samples import models, sample, write


@pytest.fixture
def terminal(terminal: Terminal) -> Terminal:
    """A person whose database file is of an earlier release."""
    duckdb.connect(str(terminal.database)).close()
    write(terminal.warehouse, [sample(model="stored")])
    return terminal


def test_the_doctor_names_the_command_that_rewrites_an_old_file(terminal: Terminal) -> None:
    hint = (
        f"OK    warehouse: {terminal.database} has blocks or a format that take more space or time: "
        f"usage-assets move --to {terminal.database} rewrites it"
    )
    assert hint in terminal.run("doctor --all").lines
    size = terminal.database.stat().st_size
    said = terminal.run("move --to usage.duckdb")
    assert (said.code, said.complaints) == (None, [])
    assert said.lines == [f"{terminal.database}: rewritten, every table is equal"]
    assert hint not in terminal.run("doctor --all").lines
    assert is_in_format(terminal.warehouse)
    assert terminal.database.stat().st_size < size
    assert models(terminal.warehouse) == ["stored"]
    assert is_current(terminal.database)
    assert copy_of(terminal.database).stat().st_size == terminal.database.stat().st_size


def test_a_copy_has_the_format_of_new_files(terminal: Terminal) -> None:
    new, copied = (Warehouse(database=str(terminal.folder / f"{name}.duckdb")) for name in ("new", "copied"))
    write(new, [sample()])
    move(terminal.warehouse, copied)
    assert not is_in_format(terminal.warehouse)
    assert is_in_format(new)
    assert is_in_format(copied)


def test_a_file_that_somebody_has_open_is_not_rewritten(terminal: Terminal) -> None:
    with duckdb.connect(str(terminal.database), config={"threads": 2}):
        said = terminal.run("move --to usage.duckdb")
    assert (said.code, len(said.complaints)) == (2, 1)
    assert not is_in_format(terminal.warehouse)
