"""Every figure of the report is what the warehouse holds, to the last digit, and its query says so again."""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa

from usage_assets.core.money import total
from usage_assets.warehouse.published import copy_of
from usage_assets_report.answers import PARTS, Amount, answers, facts, text_of
from usage_assets_report.changes import KINDS
from usage_assets_report.dimensions import DIMENSIONS
from usage_assets_report.figures import FOLLOWS, MOST_ROWS, Report, read, read_figure
from usage_assets_report.page import change
from usage_assets_report.period import Period
from usage_assets_report.rows_in_words import COLUMN, rows_in_words
from usage_assets_report_tests.conftest import NOVEMBER
from usage_assets_tests.fixtures import IS_NIGHT
from usage_assets_tests.models.days import Days

FIRST = int(os.environ.get("USAGE_FIRST_SEED", "0"))
BILLED = """
select sum(amount_usd) from costs.daily_costs
where cost_basis = 'billed' and usage_date between date '2026-11-01' and date '2026-11-12'
"""


def billed(database: duckdb.DuckDBPyConnection) -> Decimal:
    """Dollars billed in the period."""
    [amount] = database.execute(BILLED).fetchall()[0]
    assert isinstance(amount, Decimal)
    return amount


def test_the_query_that_is_shown_gives_the_rows_that_are_shown(
    november: Report, rows_again: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    """The figures by dimension are one query with other columns: by day, two of them are enough."""
    assert not november.missing
    alike = () if IS_NIGHT else [f"by_{name}" for name in DIMENSIONS if name not in ("team", "model")]
    for figure in november.figures.values():
        assert "$" not in figure.sql
        if not figure.is_computed and figure.name not in alike:
            assert rows_again(figure.sql) == [tuple(row.values()) for row in figure.rows.to_pylist()], figure.name


def test_each_range_of_the_page_says_what_a_report_of_its_days_says(company: Days) -> None:
    """Also where a connection has read some of the days around it from another report, which states list prices."""
    newer = "usage_date < date '2026-10-20'"
    with company.warehouse.transaction(keep=False) as database:
        database.execute(f"update costs.daily_costs set list_amount = 1 where connection = 'anthropic' and {newer}")
        database.execute(f"delete from ledger.failed_checks where {newer}")
        page = read(database, NOVEMBER, is_page=True)
        for name, period in NOVEMBER.ranges().items():
            shown, own = page.ranges[name], read(database, period)
            assert shown.rates == own.rates, name
            for figure in ("what_changed", *FOLLOWS):
                rows = [report.figures[figure].rows.to_pylist() for report in (shown, own)]
                assert rows[0] == rows[1], (name, figure)


def test_a_long_tail_is_one_row_and_every_sum_is_that_of_the_bill(
    november: Report, published: duckdb.DuckDBPyConnection
) -> None:
    of_the_bill = billed(published)
    for dimension in DIMENSIONS:
        rows = november.figures[f"by_{dimension}"].rows.to_pylist()
        assert sum(row["usd"] for row in rows) == of_the_bill, dimension
        assert len(rows) <= MOST_ROWS + 1, dimension
        assert None not in {row[dimension] for row in rows}, dimension
        largest = [row["usd"] for row in rows if not row[dimension].startswith("other ")]
        assert largest == sorted(largest, reverse=True), dimension
    last = november.figures["by_person"].rows.to_pylist()[-1]
    assert last["person"] == "other people and keys"
    assert last["count"] > 20
    assert sum(row["usd"] for row in facts_of(november)) == of_the_bill
    assert november.facts.others["person"] == "59 others", "two keys are no person"


def facts_of(report: Report) -> list[dict[str, Any]]:
    """The facts of a report's days: the page has those of all of its ranges."""
    first, last = report.period.first, report.period.last
    return [row for row in report.facts.rows.to_pylist() if first <= row["day"] <= last]


def test_what_changed_adds_up_to_the_bill_in_every_cut(november: Report, published: duckdb.DuckDBPyConnection) -> None:
    rows = november.figures["what_changed"].rows.to_pylist()
    [everything] = [row for row in rows if row["name"] == "everything"]
    [before] = published.execute(BILLED.replace("-11-", "-10-")).fetchall()[0]
    assert (everything["usd_before"], everything["usd_now"]) == (before, billed(published))
    for cut in ("provider", "team", "model", "person"):
        of_cut = [row for row in rows if row["by"] == cut]
        for column in everything.keys() - {"by", "name", "why_unknown"}:
            assert total(row[column] for row in of_cut) == everything[column], (cut, column)
    for row in rows:
        assert total(row[f"usd_{kind}"] for kind in KINDS) == row["usd_change"] == row["usd_now"] - row["usd_before"]


def test_the_parts_that_are_listed_of_a_change_add_up_to_it(november: Report) -> None:
    dice, figure = Random(FIRST), november.figures["what_changed"]
    [everything] = [row for row in figure.rows.to_pylist() if row["name"] == "everything"]
    for _ in range(10_000 if IS_NIGHT else 200):
        parts = {f"usd_{part}": Decimal(dice.choice([0, dice.randrange(-(10**9), 10**9)])).scaleb(-6) for part in PARTS}
        row = everything | parts | {"usd_change": sum(parts.values())}
        rows = pa.Table.from_pylist([row], schema=figure.rows.schema)
        answer = answers(replace(november, figures={**november.figures, "what_changed": replace(figure, rows=rows)}))[1]
        heading, *listed = [line[0].value for line in answer.lines if isinstance(line[0], Amount)]
        assert sum(listed) == heading == row["usd_change"], parts


def test_every_number_of_a_card_has_a_name_and_a_unit(november: Report) -> None:
    for figure in november.figures.values():
        about, colon, says = figure.short.partition(": ")
        assert bool(colon) == bool(figure.short), figure.name
        for name, how, _ in COLUMN.findall(about + says):
            kind = figure.rows.schema.field(name).type
            assert how == "#" or not pa.types.is_integer(kind), (figure.name, name)
            assert how == ":" or "usd" in name or name == "rate" or not pa.types.is_decimal(kind), (figure.name, name)
        for about_row, says_of_row in rows_in_words(figure, 1000):
            words = [*about_row, *says_of_row]
            assert all(word.unit for word in words if isinstance(word, Amount)), figure.name
            for text in (text_of(about_row), text_of(says_of_row)):
                assert re.fullmatch(r"\S(.*\S)?", text, re.S), (figure.name, text)
                assert not re.match(r"[,;:.]|.*(, ,|[{}])", text), (figure.name, text)
            assert re.search(r"[a-z$]", text_of(says_of_row)), figure.name


def test_each_figure_belongs_to_one_question(november: Report) -> None:
    shown = [name for answer in answers(november) for name in answer.figures if name in november.figures]
    assert sorted(shown) == sorted(november.figures)


def test_bases_units_and_currencies_stay_apart(november: Report) -> None:
    projects = {row["project"] for row in november.figures["by_project"].rows.to_pylist()}
    assert {"p1", "w1", "Default workspace"} <= projects, "what has no name is called after its id or what it is"
    rows = {(row["cost_basis"], row["unit"]): row["amount"] for row in november.figures["headline"].rows.to_pylist()}
    assert rows.keys() == {("billed", "USD"), ("billed", "EUR"), ("credits", "credits")}
    assert rows["billed", "EUR"] == Decimal("1.2")
    assert rows["credits", "credits"] == 150
    unpriced = november.figures["unpriced"].rows.to_pylist()
    assert {(row["unit"], row["amount"]) for row in unpriced} == {("EUR", Decimal("1.2")), ("credits", Decimal(150))}


def test_tokens_have_a_price_and_a_hit_rate(november: Report) -> None:
    [row] = [row for row in november.figures["tokens"].rows.to_pylist() if row["model"] == "gpt-5-mini"]
    assert (row["input_tokens"], row["output_tokens"], row["requests"]) == (12_000, 2_400, 36)
    assert row["cached_share"] == 0.25
    exact = row["usd"] / 14_400 * 1_000_000
    assert abs(row["usd_per_million_tokens"] - exact) < 0.001


PERIODS = """
    month  2026-11-12  2026-11-12  November 2026             2026-10-01  2026-10-12
    days   2026-11-01  2026-11-30  November 2026             2026-10-01  2026-10-31
    days   2026-11-03  2026-11-09  2026-11-03 to 2026-11-09  2026-10-27  2026-11-02
    days   2026-03-01  2026-03-28  2026-03-01 to 2026-03-28  2026-02-01  2026-02-28
    month  2028-03-28  2028-03-28  March 2028                2028-02-01  2028-02-28
    month  2028-03-30  2028-03-30  March 2028                2028-02-01  2028-02-29
    days   2028-02-01  2028-02-29  February 2028             2028-01-01  2028-01-31
    days   2028-02-01  2028-02-28  2028-02-01 to 2028-02-28  2028-01-04  2028-01-31
    month  2026-03-31  2026-03-31  March 2026                2026-02-01  2026-02-28
"""


def test_a_period_is_compared_with_as_many_days_before() -> None:
    for text in PERIODS.strip().splitlines():
        kind, first, last, title, *before = re.split(r"\s{2,}", text.strip())
        days = date.fromisoformat(first), date.fromisoformat(last)
        period = Period.of_month(*days) if kind == "month" else Period.of_days(*days)
        assert [period.title, str(period.before_first), str(period.before_same)] == [title, *before]


def test_an_amount_is_compared_with_the_days_before_that_are_known_of_both(
    company: Days, november: Report, tmp_path: Path
) -> None:
    row = {"amount": Decimal(3), "not_compared": None, "same_days_before": Decimal(2), "unit": "USD"}
    assert change(row, november) == "1 to 12 Oct: $2.00 (+50%)"
    none = {"amount": Decimal(3), "not_compared": Decimal(3), "same_days_before": None, "unit": "USD"}
    assert change(none, november) == "not compared with 1 to 12 Oct"
    refunds = {**row, "amount": Decimal(50), "same_days_before": Decimal(-100)}
    assert change(refunds, november).endswith(": -$100.00"), "not -150%"
    later = replace(november, stored_since=date(2026, 10, 13))
    assert change(row, later) == "not compared with 1 to 12 Oct", "what is not stored is not zero"
    part = {**row, "amount": Decimal(10), "not_compared": Decimal(7)}
    assert change(part, november) == "1 to 12 Oct: $2.00 (+50%); $7.00 not compared"
    with duckdb.connect(shutil.copy(copy_of(company.warehouse.database), tmp_path / "usage.duckdb")) as database:
        for day, why in (("2026-10-05", "not known before"), ("2026-11-05", "not known now")):
            database.begin()
            for table in ("costs.daily_costs", "ledger.partition_versions"):
                database.execute(f"delete from {table} where usage_date = date '{day}' and connection = 'openai'")
            rows = read_figure(database, "compared", NOVEMBER).rows.to_pylist()
            database.rollback()
            [found] = [row for row in rows if row["compared"] != "compared"]
            assert (found["connection"], found["compared"], found["days"], found["days_before"]) == (
                "openai",
                why,
                1,
                1,
            )


def test_a_budget_of_which_nothing_is_known_is_not_called_in_range(november: Report) -> None:
    budgets = november.figures["budgets"]
    last = november.period.last
    first = next(row for row in budgets.rows.to_pylist() if row["first_day"] <= last <= row["last_day"])
    unknown = {**first, "spent": first["amount"] / 2, "expected": None, "why_unknown": "a is not stored on 2026-11-01"}
    unknown |= {"low": None, "high": None, "used_up_on": None}
    figure = replace(budgets, rows=pa.Table.from_pylist([unknown], schema=budgets.rows.schema))
    [answer] = [
        each
        for each in answers(replace(november, figures={**november.figures, "budgets": figure}))
        if each.question == "Will we exceed a budget?"
    ]
    assert answer.lines[0] == ["1 budget unknown."]
    assert "forecast unknown (a is not stored on 2026-11-01)" in "".join(map(str, answer.bars[0].words))


def test_what_does_not_follow_a_range_of_the_page_names_its_days(november: Report) -> None:
    october = Period.of_days(date(2026, 10, 1), date(2026, 10, 31))
    said = {each.question: "".join(map(str, each.lines[0])) for each in answers(replace(november, period=october))}
    assert "1 to 12 Nov" in said["What does a result cost?"]


def test_parts_that_credits_make_larger_than_their_sum_have_no_share_of_it(november: Report) -> None:
    """A company that owns -$50 of $50 had an owner for -100%, and 200% of it was unattributed."""
    headline = november.figures["headline"]
    rows = [row | {"amount": Decimal(50)} for row in headline.rows.to_pylist()]
    figure = replace(headline, rows=pa.Table.from_pylist(rows, schema=headline.rows.schema))
    credited = replace(november, figures={**november.figures, "headline": figure})
    said = {each.question: text_of(each.lines[0]) for each in answers(credited)}
    for question in ("Who spent it?", "Which models?", "How sure is this?"):
        assert "%" not in said[question]
    assert [each.name for each in facts(credited)] == ["Run rate", "Cached input"]


def test_what_is_not_computed_yet_is_unknown_and_not_nothing(november: Report) -> None:
    figures = {name: figure for name, figure in november.figures.items() if name not in ("anomalies", "what_if")}
    said = {each.question: each.lines for each in answers(replace(november, figures=figures))}
    assert said["What went wrong?"] == [["Unknown: anomalies are not computed yet."]]
    assert said["What could we save?"] == [["Unknown: what if is not computed yet."]]
