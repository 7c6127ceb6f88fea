"""What is money is declared once: tables and views say kind and unit, and the checks of queries know it from there."""

import sys
from decimal import Decimal

import duckdb

from usage_assets.core.installed import EXTENSIONS
from usage_assets.core.schema import KINDS, MONEY, columns, declarations
from usage_assets_assistant.query.money import FILE, KIND, UNIT, relations
from usage_assets_assistant_tests.money_columns import OF_VIEWS, money_json
from usage_assets_tests.alone import needs

OURS = {"usage_assets", *(f"usage_assets_{name}" for name in EXTENSIONS)}
NUMBERS_WITHOUT_UNIT = {("accounting.shared_costs", "position"), ("github_copilot.seats", "user_id")}


@needs(*EXTENSIONS)
def test_the_checks_know_what_is_declared() -> None:
    assert FILE.read_text() == money_json(), "run `make snapshot`"


def test_every_number_has_a_role_and_money_has_a_kind() -> None:
    for table, row in declarations().items():
        is_ours = row.__module__.partition(".")[0] in OURS
        if not is_ours or not hasattr(sys.modules[row.__module__], row.__name__):
            continue  # of a package or a blueprint of the users' own, or of a test
        named = {column.name for column in columns(row)}
        for column in columns(row):
            if column.unit in MONEY:
                assert column.kind in KINDS | named, (table, column.name)
            if column.type in (int, Decimal) and not column.unit and column.name not in row.grain:
                assert (table, column.name) in NUMBERS_WITHOUT_UNIT, column.name
            assert {*column.within} <= named, (table, column.name)


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
