"""What the report makes for itself has the rows of what is stored."""

from collections import Counter

import duckdb
import pytest

from usage_assets.features.report.temporary_views import MADE, Made
from usage_assets_tests.features.report.conftest import LAST, NOVEMBER

BETWEEN = f"usage_date between date '{NOVEMBER.before_first}' and date '{NOVEMBER.last}'"


@pytest.fixture
def database(published: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A session without temporary tables of others."""
    return published.cursor()


def narrowed(name: str, place: str) -> str:
    """The rows of a view or macro that a report may read."""
    if name == "costs.seats":
        return f"from {place}(date '{LAST}')"
    if name == "models.usage_families":
        days = f"select provider, coalesce(usage_type, '') from costs.daily_costs where {BETWEEN}"
        return f"from {place} where (provider, coalesce(usage_type, '')) in ({days})"
    if name.startswith("models."):
        days = f"select provider, model from costs.daily_costs where {BETWEEN}"
        if name == "models.names":
            days += f" union select provider, model from costs.usage where {BETWEEN}"
        return f"from {place} where (provider, model) in ({days})"
    return f"from {place}" + ("" if name == "costs.people" else f" where {BETWEEN}")


def test_what_is_made_again_has_the_rows_of_what_is_stored(database: duckdb.DuckDBPyConnection) -> None:
    for name in MADE:
        stored, again = narrowed(name, name), narrowed(name, Made(database, NOVEMBER, {}).instead(name))
        assert stored != again
        one, other = (database.sql(query) for query in (stored, again))
        assert (one.columns, one.types) == (other.columns, other.types), name
        assert Counter(map(str, one.fetchall())) == Counter(map(str, other.fetchall())), name


def test_views_of_another_release_are_read_as_they_are() -> None:
    with duckdb.connect() as empty:
        made = Made(empty, NOVEMBER, {})
        assert [made.instead(name) for name in MADE] == [*MADE]
