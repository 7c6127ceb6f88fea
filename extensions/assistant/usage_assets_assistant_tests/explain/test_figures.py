"""The commands of each figure of the report explain what it shows."""

import duckdb

from usage_assets_assistant_tests.explain.explained import assert_commands_explain
from usage_assets_report.figures import Report


def test_the_commands_of_a_row_explain_the_figures_of_that_row(
    november: Report, published: duckdb.DuckDBPyConnection
) -> None:
    explained = {
        name: assert_commands_explain(figure, published)
        for name, figure in november.figures.items()
        if name != "movers"
    }
    without_rows = {name for name, figure in november.figures.items() if not figure.rows.num_rows}
    without_commands = {"connections", "caching", "compared", "kinds", "notes", "what_changed", "savings", "seats"}
    without_commands |= {"seat_break_even"}
    assert {name for name, count in explained.items() if not count} == without_commands | without_rows
    assert explained["by_person"] == november.figures["by_person"].rows.num_rows - 2, "all but the others and no person"
    assert november.figures["movers"].commands[0]
