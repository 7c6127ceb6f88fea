"""What the tools answer: the report's figures, to the last digit, with all that one must know to quote them."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, get_args

import pytest
from mcp_types import CallToolResult

from usage_assets.core.money import total
from usage_assets.warehouse.values import WarehouseError
from usage_assets_assistant.mcp.answers import cleaned
from usage_assets_assistant.mcp.asking import query
from usage_assets_assistant.mcp.changes import compare
from usage_assets_assistant.mcp.insights import stored_insights
from usage_assets_assistant.mcp.questions import By
from usage_assets_assistant.mcp.spend import spend
from usage_assets_assistant.mcp.store import Opened
from usage_assets_assistant.mcp.tracing import due
from usage_assets_assistant_tests.explain.explained import figures_explained
from usage_assets_assistant_tests.mcp.conftest import See
from usage_assets_report.changes import KINDS, NOT_COMPARED
from usage_assets_report.figures import Report, read
from usage_assets_report_tests.conftest import NOVEMBER

MONTH = (str(NOVEMBER.first), str(NOVEMBER.last))
ALL = 200
DIMENSIONS = get_args(get_args(By)[0])


@pytest.fixture(scope="module")
def opened(see: See) -> Opened:
    return see(people="names")


@pytest.fixture(scope="module")
def report(opened: Opened) -> Report:
    """The report of the same days."""
    with opened.stored() as database:
        return read(database, NOVEMBER)


def structured(answer: CallToolResult) -> dict[str, Any]:
    found: dict[str, Any] | None = answer.structured_content
    assert found is not None
    return found


def spending(opened: Opened, by: str = "cost_basis", first: str = MONTH[0], last: str = MONTH[1], **only: str) -> Any:
    """What `spend` answers on one page."""
    return structured(spend(opened, first, last, by, only, ALL, None))


def rows_of_sql(opened: Opened, sql: str) -> Any:
    """The rows of a query."""
    return structured(query(opened, sql, ALL, None))["rows"]


def all_rows(ask: Any) -> list[dict[str, Any]]:
    """The rows of all pages."""
    rows, cursor = [], None
    while True:
        page = structured(ask(cursor))
        rows += page["rows"]
        if not page["truncated"]:
            assert len(rows) == page["row_count"]
            return rows
        cursor = page["cursor"]


def key_of(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["cost_basis"], row["unit"]


def test_what_was_spent_is_what_the_report_says_and_each_dimension_has_every_cost_once(
    opened: Opened, report: Report
) -> None:
    answer = spending(opened)
    headline = {
        (row["cost_basis"], row["unit"]): row["amount"]
        for row in report.figures["headline"].rows.to_pylist()
        if row["amount"] is not None
    }
    assert len(headline) >= 4
    assert {key_of(row): Decimal(row["values"]["amount"]) for row in answer["totals"]} == headline
    assert {key_of(row): Decimal(row["values"]["amount"]) for row in answer["rows"]} == headline
    assert (answer["first"], answer["last"]) == MONTH
    for by in DIMENSIONS:
        sums: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
        for row in all_rows(lambda cursor, by=by: spend(opened, *MONTH, by, {}, ALL, cursor)):
            sums[key_of(row)].append(Decimal(row["values"]["amount"]))
        assert {key: total(amounts) for key, amounts in sums.items()} == headline, by


def explained(opened: Opened, command: str) -> Decimal:
    """What `usage-assets explain` says a figure is."""
    with opened.stored() as database:
        [value] = figures_explained(command, database).values()
    return Decimal(value or 0)


def test_filters_keep_what_they_name_and_say_what_there_is(opened: Opened) -> None:
    of_team = spending(opened, "model", team="web")
    [by_team] = [
        row
        for row in spending(opened, "team", cost_basis="billed")["rows"]
        if row["about"]["team"] == "web" and row["unit"] == "USD"
    ]
    [billed] = [row for row in of_team["totals"] if key_of(row) == ("billed", "USD")]
    assert billed["values"] == by_team["values"]
    nothing = spending(opened, "model", team="wbe")
    assert nothing["rows"] == []
    assert "has team wbe" in nothing["sentence"]
    assert "The names nearest to it: web" in nothing["sentence"]
    never = spending(opened, "team", "2020-01-01", "2020-01-31")
    assert never["sentence"].startswith("No costs are stored for 2020-01-01 to 2020-01-31. Stored: 2026-10-01 to ")


def test_what_changed_is_what_the_report_says_and_adds_up(opened: Opened, report: Report) -> None:
    answer = structured(compare(opened, None, None, None, None, None, ALL, None))
    stored = report.figures["what_changed"].rows.to_pylist()
    assert len(answer["rows"]) == len(stored)
    for row, figure in zip(answer["rows"], stored, strict=True):
        values = {name: Decimal(text) for name, text in row["values"].items()}
        assert values == {name: figure[f"usd_{name}"] for name in ("before", "now", "change", *KINDS, *NOT_COMPARED)}
        assert total(values[name] for name in KINDS) == values["change"] == values["now"] - values["before"]
        if row.get("explain"):
            assert explained(opened, row["explain"]) == values["now"]


def test_any_two_periods_are_compared(opened: Opened) -> None:
    answer = structured(
        compare(opened, "2026-11-09", "2026-11-12", "2026-10-12", "2026-10-15", "everything", ALL, None)
    )
    [row] = answer["rows"]
    of_october = spending(opened, "cost_basis", "2026-10-12", "2026-10-15")
    [before] = [each for each in of_october["totals"] if key_of(each) == ("billed", "USD")]
    assert row["values"]["before"] == before["values"]["amount"]
    late = structured(compare(opened, "2026-10-01", "2026-10-05", None, None, None, ALL, None))
    for row in late["rows"]:
        assert (row["values"]["change"], row["note"]) == (None, "not known before"), row
        assert row["values"]["not_known_before"] != "0"
    assert late["sentence"].endswith(": everything is not compared (not known before).")
    for before_first, before_last in (("2026-11-01", None), ("2026-11-05", "2026-11-11")):
        with pytest.raises(WarehouseError, match="before_"):
            compare(opened, "2026-11-09", "2026-11-12", before_first, before_last, None, ALL, None)


def test_what_is_computed_after_a_run_is_what_the_report_says(opened: Opened, report: Report) -> None:
    first, last = map(date.fromisoformat, MONTH)  # the report also has incidents that are open today
    cases = (
        ("budgets", "budgets", "spent", "spent"),
        ("incidents", "anomalies", "actual", "actual"),
        ("forecast", "forecast", "expected", "usd_expected"),
    )
    for what, figure, value, column in cases:
        rows = all_rows(lambda cursor, what=what: stored_insights(opened, what, *MONTH, ALL, cursor))
        of_month = [
            row
            for row in report.figures[figure].rows.to_pylist()
            if what != "incidents" or (row["first_day"] <= last and row["last_day"] >= first)
        ]
        stored = [row[column] for row in of_month]
        assert stored, what
        assert [row["values"][value] for row in rows] == [cleaned(amount) for amount in stored], what
        assert all(row["explain"].startswith("usage-assets explain --table costs.") for row in rows), what


def test_what_is_due_is_said_with_each_figure(opened: Opened) -> None:
    answer = spending(opened)
    assert [each["connection"] for each in answer["freshness"]] == ["anthropic", "chatgpt", "openai"]
    assert any(note.startswith("provisional") for note in answer["notes"])
    assert any(note.startswith("never add these: ") for note in answer["notes"])
    assert "newest stored day" in structured(due(opened, None, ALL, None))["sentence"]
