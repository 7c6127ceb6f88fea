"""The first screen and the ranges: each answer that ``questions.toml`` asks for is what SQL says of the days."""

import re
import tomllib
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from playwright.sync_api import Page, expect

from usage_assets_report.period import Period
from usage_assets_report_tests.conftest import NOVEMBER
from usage_assets_report_tests.test_page import file
from usage_assets_report_tests.test_questions import page
from usage_assets_tests.browser import browser

__all__ = ["browser", "file", "page"]
pytestmark = pytest.mark.browser

QUESTIONS: list[dict[str, str]] = tomllib.loads(Path(__file__).with_name("questions.toml").read_text())["question"]
AT_A_GLANCE = ("#a1 .lead", "#a1 p:has-text('Forecast')", "#trend-of-days", "#a3", "#glance", "#owners li")
"""Spent, forecast, trend, budget, a run rate, what caches saved, what has an owner, and most of what has none."""
RANGES = NOVEMBER.ranges()


def test_the_first_screen_shows_the_trend_and_what_people_ask_first(page: Page) -> None:
    size = page.viewport_size
    assert size
    for place in AT_A_GLANCE:
        box = page.locator(place).first.bounding_box()
        assert box, place
        assert box["y"] >= 0, place
        assert box["y"] + box["height"] <= size["height"], place
    drawn = "path => path.filter(each => each.getBBox().height > 0).length"
    bars, band = (page.locator(f"#trend-of-days {mark} path") for mark in (".mark-rect.role-mark", ".mark-area"))
    assert bars.evaluate_all(drawn) > 43, "a bar for each stored day and provider"
    assert band.evaluate_all(drawn) == 1, "the range of the forecast"
    assert page.locator("#trend-of-days .mark-rule.role-mark line").count() >= 1, "the budget"


def test_a_note_is_on_the_trend_and_beside_the_incidents_that_it_explains(page: Page) -> None:
    assert "load <b>test</b>" in page.locator("#trend-of-days .mark-text").all_text_contents()
    said = page.locator("#a4").text_content() or ""
    assert re.search(r"guardrail g1, everything: .*\(open, load <b>test</b>\)", said, re.DOTALL), said


def choose(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name, exact=True).check()
    title = RANGES[name].title if RANGES[name].is_month else name
    expect(page.locator("#title")).to_have_text(f"AI spend, {title}")


def exact(page: Page, place: str) -> list[Decimal]:
    """The amounts of a place with all their digits."""
    found = page.locator(f"{place} [data-exact]").evaluate_all("all => all.map(each => each.dataset.exact)")
    return [Decimal(text) for text in found if re.fullmatch(r"-?\d+(\.\d+)?", text)]


@cache
def truth(database: duckdb.DuckDBPyConnection, sql: str, period: Period) -> Any:
    row = database.execute(sql, period.used(sql)).fetchone()
    return row and row[0]


@pytest.mark.parametrize("name", RANGES)
def test_each_range_answers_each_question_as_sql_does(
    page: Page, published: duckdb.DuckDBPyConnection, name: str, subtests: pytest.Subtests
) -> None:
    choose(page, name)
    for question in QUESTIONS:
        period = RANGES[name] if question.get("of", "range") == "range" else NOVEMBER
        expected = truth(published, question["sql"], period)
        with subtests.test(question["asks"]):
            if question["answer"] == "text":
                assert (expected or "") in page.locator(question["at"]).inner_text()
            elif expected is None:
                assert re.search(r"\b(Unknown|Nothing|No budget)\b", page.locator(question["at"]).inner_text())
            else:
                found = exact(page, question["at"])
                assert any(abs(each - Decimal(expected)) < 0.000001 for each in found), (expected, found)


@pytest.mark.parametrize("page", ["screen"], indirect=True)
@pytest.mark.parametrize("name", [name for name, days in RANGES.items() if days != NOVEMBER])
def test_each_table_that_follows_is_what_its_query_says(
    page: Page, published: duckdb.DuckDBPyConnection, name: str
) -> None:
    """Those of the page's own days: test_page.py."""
    choose(page, name)
    articles = page.locator("article[data-follows]:not([hidden])")
    assert articles.count() > 10
    for article in articles.all():
        if article.get_attribute("id") == "what_changed":
            continue  # split in Python; test_figures says that it adds up
        query = article.locator(".query code").text_content() or ""
        rows = article.locator("tbody tr").evaluate_all(
            "all => all.map(row => [...row.cells].map(cell => cell.dataset.exact))"
        )
        expected = published.execute(query).fetchall()
        assert len(rows) == len(expected), query
        for row, values in zip(rows, expected, strict=True):
            for text, value in zip(row, values, strict=True):
                if isinstance(value, Decimal | int) and not isinstance(value, bool):
                    assert Decimal(text) == value, query


def test_what_does_not_follow_says_its_days_beside_its_title(page: Page) -> None:
    choose(page, "7 days")
    heads = page.locator("article:not([data-follows]):not([hidden]) h3")
    for said in heads.evaluate_all("all => all.map(each => getComputedStyle(each, '::after').content)"):
        assert "1 to 12 Nov" in said
    choose(page, "November")
    assert heads.first.evaluate("head => getComputedStyle(head, '::after').content") == "none"


def test_the_bars_are_those_of_the_range(page: Page, published: duckdb.DuckDBPyConnection) -> None:
    choose(page, "7 days")
    sql = """
    select sum(amount_usd) from costs.by_model
    where cost_basis = 'billed' and family = 'claude-opus-5' and usage_date between $first and $last
    """
    expected = truth(published, sql, RANGES["7 days"])
    bar = page.locator("#by_model [aria-roledescription=bar][aria-label*='model: claude-opus-5;']")
    expect(bar).to_have_attribute("aria-label", re.compile(re.escape(f"Billed: ${expected:,.2f}")))
    choose(page, "November")


def test_the_keyboard_alone_chooses_a_range(page: Page) -> None:
    page.get_by_role("radio", name="November", exact=True).focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#title")).to_have_text("AI spend, October 2026")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#title")).to_have_text("AI spend, November 2026")


@pytest.mark.parametrize("page", ["screen"], indirect=True)
def test_the_keyboard_alone_reaches_every_answer(page: Page) -> None:
    page.evaluate("met = new Set(); addEventListener('focusin', ({ target }) => met.add(target))")
    stops = "[...document.querySelectorAll('a, button, select, summary, input, [tabindex]')]"
    for _ in range(page.evaluate(f"{stops}.filter(each => each.checkVisibility()).length")):
        page.keyboard.press("Tab")
    answers = "[...document.querySelectorAll('summary, .answer h2 a, .index a, .certainty a, .answers .amount')]"
    left = page.evaluate(
        f"{answers}.filter(each => each.checkVisibility() && !met.has(each)).map(each => each.textContent)"
    )
    assert left == []
    assert page.evaluate("met.size") > 50
