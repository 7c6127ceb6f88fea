"""What the package consists of, and what a question loads."""

import re
from pathlib import Path

import pytest

import usage_assets
import usage_assets_assistant
from usage_assets.core.schema import declarations
from usage_assets_tests.alone import core_alone
from usage_assets_tests.loaded import loaded_by, loaded_by_command, published_in

DAGSTER = {"dagster", "dagster_shared"}


def test_no_command_loads_dagster() -> None:
    commands = "'dbt', 'explain', 'mcp', 'query'"
    assert not DAGSTER & loaded_by("usage_assets.cli.main", f"[*map(usage_assets.cli.main.load, ({commands}))]")


def test_a_query_loads_what_it_needs_and_no_more(tmp_path: Path) -> None:
    """DuckDB and click take 0.2 s; each of the others takes at least half as long, and settings thrice."""
    published_in(tmp_path)
    others = {"pydantic", "pydantic_settings", "httpx", "numpy", "pandas", "pyarrow", "msgspec", "rich", "tenacity"}
    of_nothing = loaded_by_command(tmp_path, "query", "select 1")
    of_costs = loaded_by_command(
        tmp_path, "query", "select sum(t.amount_usd) from (select 1 as amount_usd) as t", "--csv"
    )
    assert not (others | {"sqlglot"}) & of_nothing
    assert {"sqlglot"} == (others | {"sqlglot"}) & of_costs
    assert "usage_assets.config.settings" not in of_costs


def test_it_imports_one_module_of_the_report() -> None:
    used = {
        name
        for file in Path(usage_assets_assistant.__file__).parent.rglob("*.py")
        for name in re.findall(r"^ *(?:from|import) (usage_assets_report[.\w]*)", file.read_text(), re.M)
    }
    assert used == {"usage_assets_report.shared"}


def test_it_declares_no_table() -> None:
    """So a deletion, a prune and a move reach all that is stored without it."""
    assert not [name for name, row in declarations().items() if row.__module__.startswith("usage_assets_assistant")]


def test_without_it_the_warehouse_cannot_be_opened_in_a_notebook() -> None:
    assert callable(usage_assets.open)
    with core_alone(), pytest.raises(ImportError, match="the package usage-assets-assistant is missing"):
        usage_assets.open  # noqa: B018 - it is loaded when it is asked for
