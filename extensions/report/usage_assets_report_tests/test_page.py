"""The page in Chromium: every number is the warehouse's, names stay text, everybody can read it."""

import csv
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from usage_assets_report.dimensions import DIMENSIONS
from usage_assets_report.figures import Report, in_words
from usage_assets_report.page import amount
from usage_assets_report.write import write_report
from usage_assets_report_tests.conftest import FORMULA, HOSTILE
from usage_assets_report_tests.test_figures import facts_of
from usage_assets_tests.browser import browser

__all__ = ["browser"]
pytestmark = pytest.mark.browser

LARGEST_BYTES = 4_000_000


@pytest.fixture(scope="module")
def file(november: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as it is written."""
    return write_report(november, tmp_path_factory.mktemp("page") / "report.html", datetime(2026, 11, 13, tzinfo=UTC))


@pytest.fixture(params=["light", "dark"], scope="module")
def page(request: pytest.FixtureRequest, browser: Browser, file: Path) -> Iterator[Page]:
    """The page, drawn, offline."""
    context = browser.new_context(color_scheme=request.param, viewport={"width": 1440, "height": 900}, offline=True)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    yield page
    assert not errors
    context.close()


def test_every_number_of_every_table_is_the_warehouses(
    page: Page, november: Report, rows_again: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    shown = {name: figure for name, figure in november.figures.items() if figure.rows.num_rows}
    assert page.locator("article:not([hidden])").count() == len(shown)
    for article in page.locator("article:not([hidden])").all():
        if shown[article.get_attribute("id") or ""].is_computed:
            continue
        query = article.locator(".query code").text_content() or ""
        expected = rows_again(query)
        rows = article.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => [cell.dataset.exact, cell.textContent]))"
        )
        assert len(rows) == len(expected), query
        for row, truth in zip(rows, expected, strict=True):
            for (exact, text), value in zip(row, truth, strict=True):
                if isinstance(value, Decimal):
                    assert Decimal(exact) == value
                    assert Decimal(text.replace("$", "").replace(",", "")) == round(value, len(text.partition(".")[2]))
                elif isinstance(value, int):
                    assert (exact, text) == (str(value), f"{value:,}")


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_every_bar_is_the_sum_of_its_name(page: Page, november: Report, dimension: str) -> None:
    unfold(page, f"by_{dimension}")
    bars = drawn(page, f"by_{dimension}", dimension)
    amounts = page.locator(f"#by_{dimension} .mark-text.role-mark text").all_text_contents()
    assert sorted(amounts) == sorted(bars.values())
    unfold(page, f"by_{dimension}")
    shown = {row[dimension]: row["usd"] for row in november.figures[f"by_{dimension}"].rows.to_pylist()}
    assert bars
    for name, text in bars.items():
        if name != november.facts.others[dimension]:
            assert text == amount(shown[name], "USD")


def unfold(page: Page, figure: str) -> None:
    """Open the details of a figure, or close them. What is open has its chart."""
    page.locator(f"#{figure} summary").click()
    page.wait_for_selector(f"#{figure} .chart svg, #{figure} details:not([open])", state="attached")


def drawn(page: Page, figure: str, dimension: str) -> dict[str, str]:
    """Name -> amount of the bars of a chart, as screen readers hear them."""
    labels = page.locator(f"#{figure} [aria-roledescription=bar]").evaluate_all("all => all.map(bar => bar.ariaLabel)")
    named = rf"(?s)usd: .*; {dimension}: (.+?)(; {in_words(dimension)}: .+)?; Billed: (.+)"
    return {found[1]: found[3] for label in labels if (found := re.fullmatch(named, label))}


def test_a_click_filters_every_chart_and_a_second_one_ends_it(page: Page, november: Report) -> None:
    unfold(page, "by_project")
    before = drawn(page, "by_project", "project")
    page.locator("#by_model [aria-roledescription=bar][aria-label*='claude-opus-5']").first.click()
    page.wait_for_function("document.querySelector('#filtered').value.startsWith('claude-opus-5: $')")
    of_model = sum(row["usd"] for row in facts_of(november) if row["model"] == "claude-opus-5")
    assert page.locator("#filtered").text_content() == f"claude-opus-5: {amount(of_model, 'USD')}"
    assert drawn(page, "by_project", "project").keys() == {"w1", "Default workspace"}
    for place in ("#unit_costs h3", "#a1 h2", "#legend", "#index", "#by_model .rows"):
        said = page.locator(place).evaluate("each => getComputedStyle(each, '::after').content")
        assert "not filtered" in said, place
    page.evaluate("scrollTo(0, 0)")
    assert page.locator("#clear").evaluate("each => each.getBoundingClientRect().bottom <= innerHeight"), "the way back"
    page.locator("[data-filter=model]").select_option("")
    page.wait_for_function("document.querySelector('#filtered').value === ''")
    assert drawn(page, "by_project", "project") == before
    unfold(page, "by_project")


def test_names_stay_text(page: Page) -> None:
    assert page.title() == "AI spend, November 2026"
    assert page.locator("#by_model td", has_text=HOSTILE).count() == 1
    assert page.locator("#by_team td", has_text="research & <b>bold</b>").count() == 1


def test_no_spreadsheet_computes_a_name(page: Page, tmp_path: Path) -> None:
    page.locator("#by_model summary").first.click()
    with page.expect_download() as download:
        page.locator("#by_model .csv").click()
    download.value.save_as(tmp_path / "x.csv")
    page.locator("#by_model summary").first.click()
    with (tmp_path / "x.csv").open(newline="") as lines:
        names = {row["Model"] for row in csv.DictReader(lines)}
    assert f"'{FORMULA}" in names
    assert HOSTILE in names


def test_a_button_copies_the_query_and_the_command_of_the_chosen_row(page: Page, november: Report) -> None:
    page.locator("#by_day summary").click()
    commands = november.figures["by_day"].commands
    page.locator("#by_day [data-explain]").select_option(index=3)
    assert copied(page, "#by_day .command + .copy") == commands[3][0]
    assert copied(page, "#by_day .query + .copy") == november.figures["by_day"].sql
    page.locator("#by_day summary").click()


def copied(page: Page, button: str) -> str:
    """What a button copies, or selects where a page may not write to the clipboard."""
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.locator(button).click()
    page.wait_for_function("window.copied")
    text: str = page.evaluate("window.copied.valueOf()")
    page.evaluate("window.copied = ''")
    return text


def test_everybody_can_read_it(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.evaluate("document.querySelectorAll('article.chart details').forEach(each => { each.open = false; })")


def test_it_fits_a_phone_and_asks_nothing_of_any_network(browser: Browser, file: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert asked == [file.as_uri()]
    assert file.stat().st_size < LARGEST_BYTES
    page.close()
