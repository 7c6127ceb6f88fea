"""What is money is declared once: tables and views say kind and unit, and the checks of queries know it from there."""

import duckdb

from usage_assets.features.query.money import FILE, KIND, UNIT, relations
from usage_assets_tests.money_columns import OF_VIEWS, money_json


def test_the_checks_know_what_is_declared() -> None:
    assert FILE.read_text() == money_json(), "run `make snapshot`"


def test_every_amount_of_a_view_has_kind_and_unit(published: duckdb.DuckDBPyConnection) -> None:
    """A view of costs has no other fractions than amounts, quantities and shares, and each is declared."""
    known = relations()
    fractions = published.sql(
        "select schema_name || '.' || table_name, lower(column_name) from duckdb_columns() "
        "where not internal and schema_name = 'costs' and data_type like 'DECIMAL%'"
    ).fetchall()
    views = {(name, column) for name, column in fractions if name in OF_VIEWS}
    assert len(views) > 60
    undeclared = {each for each in views if each[1] not in getattr(known.get(each[0]), "columns", {})}
    assert undeclared == set()
    for name, declared in known.items():
        for column, said in declared.columns.items():
            assert UNIT in said, (name, column)
            assert KIND in said or said[UNIT].startswith("="), (name, column)
