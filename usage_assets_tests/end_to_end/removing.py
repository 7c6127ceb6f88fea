"""Removing a connection, and what is left of it."""

from collections.abc import Mapping

from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.port_user import port_user
from usage_assets_tests.terminal import Terminal

OF_COLUMN = """
select distinct columns.schema_name || '.' || columns.table_name
from duckdb_columns() as columns
join duckdb_tables() as tables using (database_name, schema_name, table_name)
where database_name = current_database() and column_name = $column and columns.schema_name <> 'accounting'
order by all
"""


def typed(terminal: Terminal, *words: str) -> str:
    """What is said by a command that succeeds in a process of its own, which knows of the tables that it imports."""
    process = terminal.start(*words)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    return out + err


def rows_of(warehouse: Warehouse, column: str, value: str) -> Mapping[str, int]:
    """Table -> rows with the value, of each table that has such a column, whoever has made it."""
    with warehouse.transaction(keep=False) as database:
        tables = [name for (name,) in database.execute(OF_COLUMN, {"column": column}).fetchall()]
        assert len(tables) > 20
        found = {}
        for name in tables:
            query = f"select count(*) from {name} where {column}::text = $value"
            [(found[name],)] = database.execute(query, {"value": value}).fetchall()
    return {name: count for name, count in found.items() if count}


def remove(terminal: Terminal, *left: str) -> None:
    """Remove OpenAI: these tables keep rows of it, and what costs of the other connection stays."""
    usd = "select sum(amount_usd) as usd from costs.daily_costs"
    before = terminal.warehouse.read(f"{usd} where connection = 'anthropic'")
    said = typed(terminal, "connection", "remove", "openai", "--yes")
    assert "all of this is deleted" in said
    assert "not reached: statements, exports" in said
    assert rows_of(terminal.warehouse, "connection", "openai").keys() == {*left}
    assert terminal.warehouse.read(usd).to_pylist() == before.to_pylist()
    with port_user(terminal.sandbox) as user:
        there = user.identifiers("ai_cost_record")
        assert any(each.startswith("openai/") for each in there) == bool(left), there
    files = [file for file in terminal.folder.rglob("*") if file.is_file() and "home" not in file.parts]
    holding = [file.name for file in files if b"proj_search" in file.read_bytes()]
    assert not holding, "no byte of its projects"
    assert not (terminal.folder / "report.html").exists()
