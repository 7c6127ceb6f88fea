"""What a configuration states is stored where it differs, and not looked at while its digest says that it does not."""

import shutil
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pytest
import time_machine

from usage_assets.config.accounting import Accounting, Owner
from usage_assets.models.model import money_seed
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import write_seed
from usage_assets.warehouse.values import Seed, WarehouseError
from usage_assets_tests.fixtures import NOW, execute
from usage_assets_tests.warehouse.samples import sample, write


class Asked:
    """A connection that notes what it is asked."""

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self.database, self.queries = database, list[str]()

    def execute(self, query: str, *parameters: Any) -> duckdb.DuckDBPyConnection:
        self.queries.append(query)
        return self.database.execute(query, *parameters)

    def register(self, *view: Any) -> None:
        self.database.register(*view)


def stating(*teams: str, minutes: int = 0) -> Seed:
    """Owners, as a process has read them so many minutes after the first one."""
    owners = [Owner(project=f"p{n}", team=team) for n, team in enumerate(teams)]
    return money_seed(Accounting(owners=owners), NOW + timedelta(minutes=minutes))


EARLIER_RELEASE = "alter table ledger.statements drop column digest"


LATER = {
    "again": (stating("web"), "", ["web"], False),
    "reloaded": (stating("web", minutes=1), "", ["web"], False),
    "edited": (stating("api", minutes=1), "", ["api"], True),
    "emptied": (replace(stating(minutes=1), empties=True), "", [], True),
    "older": (stating("api", minutes=-1), "", ["web"], False),
    "after an upgrade": (stating("web", minutes=1), EARLIER_RELEASE, ["web"], True),
    "unknown digest": (
        stating("web"),
        "delete from accounting.owners; update ledger.statements set digest = null",
        ["web"],
        True,
    ),
    "new table": (stating("web"), "drop table accounting.owners", ["web"], True),
}
"""What is stated later, what happens to the database meanwhile, the teams, and whether their table is compared."""


def test_tables_are_as_stated_and_read_only_where_the_digest_does_not_say_so(tmp_path: Path) -> None:
    stated = Warehouse(database=str(tmp_path / "stated.duckdb"))
    with stated.transaction() as database:
        assert write_seed(database, stating("web"))
    for name, (later, meanwhile, teams, is_compared) in LATER.items():
        warehouse = Warehouse(database=str(shutil.copy2(stated.database, tmp_path / f"{name}.duckdb")))
        execute(warehouse, meanwhile or "select 1")
        with warehouse.transaction() as database:
            assert write_seed(asked := Asked(database), later) == (later.read_at > NOW), name  # type: ignore[arg-type]
        assert any("from accounting.owners" in query for query in asked.queries) == is_compared, name
        assert warehouse.read("select team from accounting.owners")["team"].to_pylist() == teams, name
        with warehouse.transaction() as database:
            write_seed(again := Asked(database), later)  # type: ignore[arg-type]
        assert not any("from accounting.owners" in query for query in again.queries), name


def test_what_is_stated_after_the_clock_was_set_back_holds(warehouse: Warehouse) -> None:
    """A process that read before then states it once: its sensors look again whenever the database changes."""
    with time_machine.travel(NOW - timedelta(days=1)), warehouse.transaction() as database:
        assert [write_seed(database, stating("web")) for _ in range(3)] == [True, False, False]
    with time_machine.travel(NOW - timedelta(days=1)), warehouse.transaction() as database:
        assert write_seed(database, stating("api", minutes=-24 * 60 - 1))
        older, again = stating("web"), stating("api", minutes=-24 * 60 - 1)
        assert [write_seed(database, each) for each in (older, again)] == [False, False]
    assert warehouse.read("select team from accounting.owners")["team"].to_pylist() == ["api"]


NEWER = (
    r"release 99\.1\.0 of usage-assets has used it, and this is [\d.]+\. Install 99\.1\.0; or go back: stop Dagster "
    "and restore the backup from before the upgrade, of a file with `install -m 600 BACKUP data/usage.duckdb`"
)


def test_a_database_of_a_newer_release_is_refused_with_the_command_that_restores(warehouse: Warehouse) -> None:
    with warehouse.transaction() as database:
        write_seed(database, stating("web"))
    execute(warehouse, "update ledger.statements set release = '99.1.0'")
    for keep in (True, False):
        with pytest.raises(WarehouseError, match=NEWER), warehouse.transaction(keep=keep):
            pass
    with pytest.raises(WarehouseError, match=NEWER):
        write(warehouse, [sample()])
    assert warehouse.read("select team from accounting.owners")["team"].to_pylist() == ["web"]


def test_a_database_of_an_earlier_release_is_taken_over(warehouse: Warehouse) -> None:
    with warehouse.transaction() as database:
        write_seed(database, stating("web"))
    execute(warehouse, "alter table ledger.statements drop column release")
    with warehouse.transaction() as database:
        write_seed(database, stating("web", minutes=1))
    assert warehouse.read("select release from ledger.statements")["release"].to_pylist() == [version("usage-assets")]
