"""What the package adds, and what its commands load."""

from pathlib import Path

import usage_assets_finance
from usage_assets.models.model import sql_files
from usage_assets_finance.export.columns import COLUMNS
from usage_assets_tests.alone import core_alone
from usage_assets_tests.loaded import loaded_by, loaded_by_command, published_in
from website import tables

PACKAGE = Path(usage_assets_finance.__file__).parent


def test_its_views_are_found_and_without_it_are_not() -> None:
    [view] = sql_files("views/costs.daily_costs_to_focus.sql")
    assert view.is_relative_to(PACKAGE)
    with core_alone():
        assert sql_files("views/costs.daily_costs_to_focus.sql") == ()


def test_no_command_loads_dagster() -> None:
    loaded = loaded_by("usage_assets.cli.main", "[*map(usage_assets.cli.main.load, ('bills', 'export', 'statement'))]")
    assert not {"dagster", "dagster_shared"} & loaded


def test_an_export_loads_no_pandas(tmp_path: Path) -> None:
    """But DuckDB and Arrow import it where they find it."""
    published_in(tmp_path)
    words = ("export", "csv", "ledger.stored_days", "--out", "x.csv")
    assert not {"pandas.core", "rich"} & loaded_by_command(tmp_path, *words)


def test_the_page_of_tables_has_every_column_of_focus() -> None:
    page = tables.page()
    assert all(f"| `{column.name}` |" in page for column in COLUMNS)
