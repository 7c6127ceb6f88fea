"""Ten questions of finance and platform people, answered at once or after one tap, on a screen, a phone and paper."""

import io
import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any

import duckdb
import pytest
from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from usage_assets_report_tests.test_page import file
from usage_assets_tests.browser import browser

__all__ = ["browser", "file"]
pytestmark = pytest.mark.browser

SIZES = {"screen": (1440, 900), "phone": (390, 844)}
MOST_PIXELS, MOST_OF_ROW = 6000, 80
LONG = (
    "12 Nov 2026, guardrail nightly labels of model gpt-5.4-nano",
    "69.1 million tokens a day, against 60.0 million tokens, closed, provisional",
)
"""Both sides of a row."""
IN_NOVEMBER = "usage_date between date '2026-11-01' and date '2026-11-12'"
BEFORE = "usage_date between date '2026-10-01' and date '2026-10-12'"
BILLED = "from costs.daily_costs where cost_basis = 'billed' and"
# what SQL says, without the queries of the report
TRUTH = {
    1: f"select sum(amount_usd) {BILLED} {IN_NOVEMBER}",
    2: f"select (select sum(amount_usd) {BILLED} {IN_NOVEMBER}) - (select sum(amount_usd) {BILLED} {BEFORE})",
    3: "select settled + provisional from costs.budget_status where budget = 'research' and last_day > '2026-11-12'",
    4: "select count(*) - count(score) from costs.anomalies where closed_on is null and last_day >= date '2026-11-01'",
    5: "select max(usd) from (select sum(amount_usd) as usd from costs.by_team where cost_basis = 'billed'"
    f" and {IN_NOVEMBER} and team <> 'unowned' group by team)",
    6: "select max(usd) from (select sum(amount_usd) as usd from costs.by_model where cost_basis = 'billed'"
    f" and {IN_NOVEMBER} group by family)",
    7: f"select sum(amount_usd) {BILLED} {IN_NOVEMBER} and charge_frequency is distinct from 'Recurring'",
    8: f"select sum(amount_usd) / sum(quantity) from costs.unit_costs where {IN_NOVEMBER} and metric = '<b>merged</b>'"
    " and amount_usd is not null",
    9: "select max(-usd_change) from costs.what_if(date '2026-11-01', date '2026-11-12') where usd_change < 0",
    10: "select sum(amount_usd) from costs.by_actor where actor_id is null and cost_basis = 'billed'"
    f" and {IN_NOVEMBER}",
}
AT_ONCE = (1, 2, 3, 4, 10)
COVERED = """all => {
  const shown = all.filter((each) => each.textContent && getComputedStyle(each).opacity !== "0");
  const boxes = shown.map((each) => each.getBoundingClientRect());
  const { left, right } = all[0].ownerSVGElement.getBoundingClientRect();
  const isCut = (box) => box.left < left || box.right > right;
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const isWrong = (box, n) => isCut(box) || boxes.slice(0, n).some((other) => meet(box, other));
  return shown.filter((_, n) => isWrong(boxes[n], n)).map((each) => each.textContent);
}"""
"""Labels that cover another one, or are cut."""
OUTSIDE = """() => {
  const { right } = document.getElementById("a1").getBoundingClientRect();
  const amounts = [...document.querySelectorAll("#a1 .amount")];
  return amounts.filter((each) => each.getBoundingClientRect().right > right).map((each) => each.textContent);
}"""


@pytest.fixture(params=SIZES, scope="module")
def page(request: pytest.FixtureRequest, browser: Browser, file: Path) -> Iterator[Page]:
    """The page at one size."""
    width, height = SIZES[request.param]
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    yield page
    page.close()


def shown(page: Page, answer: str) -> str:
    """The text of an answer, if all of it is in sight."""
    place = page.locator(answer)
    box, size = place.bounding_box(), page.viewport_size
    assert box
    assert size
    inside = box["y"] >= 0 and box["y"] + box["height"] <= size["height"]
    return place.inner_text() if inside else ""


def taps_for(page: Page, number: int) -> int:
    """How many taps show the answer to a question."""
    page.evaluate("scrollTo(0, 0)")
    if shown(page, f"#a{number}"):
        return 0
    page.locator(f"#a{number} a").first.click()
    return 1 if shown(page, f"#q{number} .lead") else 2


def exact(page: Page, answer: str) -> list[Decimal]:
    """The amounts of an answer with all their digits."""
    found: list[str] = page.locator(f"{answer} .amount").evaluate_all("all => all.map(each => each.dataset.exact)")
    return [Decimal(text) for text in found]


def truth(database: duckdb.DuckDBPyConnection, number: int) -> Any:
    row = database.execute(TRUTH[number]).fetchone()
    return row and row[0]


@pytest.mark.parametrize("number", TRUTH)
def test_a_question_is_answered_at_once_or_after_one_tap(
    page: Page, published: duckdb.DuckDBPyConnection, number: int
) -> None:
    taps = taps_for(page, number)
    assert taps == 0 if number in AT_ONCE else taps <= 1
    expected = truth(published, number)
    if number == 4:
        assert page.locator("#a4 .lead").inner_text().startswith(f"{expected} crossed guardrail")
    elif expected is None:
        assert re.search(r"\b(Unknown|Nothing)\b", page.locator(f"#a{number}").inner_text())
    else:
        found = exact(page, f"#a{number}")
        assert any(abs(each - Decimal(expected)) < 0.000001 for each in found), (expected, found)


def test_a_tap_on_an_amount_shows_every_digit(page: Page, published: duckdb.DuckDBPyConnection) -> None:
    amount = page.locator("#a1 .amount").first
    rounded = amount.inner_text()
    amount.click()
    assert Decimal(amount.inner_text()) == truth(published, 1)
    amount.click()
    assert amount.inner_text() == rounded == "$1,102"
    page.evaluate("document.querySelectorAll('#a1 .amount').forEach(each => each.click())")
    assert page.evaluate(OUTSIDE) == [], "no digit is outside of its box"
    page.evaluate("document.querySelectorAll('#a1 .amount').forEach(each => each.click())")


def test_the_page_is_short_and_nothing_scrolls_sideways(page: Page) -> None:
    width, height = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert page.viewport_size
    assert width == page.viewport_size["width"]
    assert height <= MOST_PIXELS
    first = page.locator(".short li").first
    shown = first.inner_html()
    first.evaluate("(row, texts) => [...row.children].forEach((each, n) => { each.textContent = texts[n]; })", LONG)
    rows = page.locator(".short li").evaluate_all("all => all.map(each => each.offsetHeight)")
    assert max(rows) <= MOST_OF_ROW, "nothing is squeezed into a column of letters"
    first.evaluate("(row, html) => { row.innerHTML = html; }", shown)
    assert page.locator("#tokens .short .whole", has_text="claude-opus-5").count() == 1, "no name is broken"
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    if width == SIZES["phone"][0]:
        wide = page.locator(".scroll").evaluate_all(
            "all => all.filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.ariaLabel)"
        )
        assert wide == []
        label = page.locator("#by_team tbody td").first.evaluate("cell => getComputedStyle(cell, '::before').content")
        assert label == '"Team"'
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = false; })")


def test_no_label_of_the_trend_covers_another_one_or_is_cut(page: Page) -> None:
    labels = page.locator("#trend-of-days .role-axis-label text")
    assert labels.count() > 5
    assert labels.evaluate_all(COVERED) == []


def test_words_that_stand_beside_each_other_are_explained_and_what_waits_says_what_follows(page: Page) -> None:
    for word in ("Unowned: ", "No person: ", "Unattributed: "):
        assert word in page.locator("#q5 .hint").inner_text()
    assert "usage-assets backfill --due" in page.locator("#q10 .hint").inner_text()


@pytest.fixture(params=["A4", "Letter"], scope="module")
def paper(request: pytest.FixtureRequest, browser: Browser, file: Path) -> tuple[str, list[list[str]]]:
    """The text of the printed page with all details open, and the headings that a screen shows."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    page.emulate_media(media="print")
    heads: list[list[str]] = page.locator("table").evaluate_all(
        "all => all.map(table => [...table.tHead.rows[0].cells].map(cell => cell.textContent))"
    )
    text = text_of(page.pdf(format=request.param))
    page.close()
    return text, heads


def text_of(pdf: bytes) -> str:
    """The text of a PDF without white space, because lines break anywhere."""
    text = "".join(each.extract_text() for each in PdfReader(io.BytesIO(pdf)).pages)
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))  # ligatures


def test_paper_has_every_heading_and_every_answer(paper: tuple[str, list[list[str]]], file: Path) -> None:
    text, heads = paper
    assert len(heads) > 15
    for head in {name for each in heads for name in each}:
        assert re.sub(r"\s", "", head) in text, head
    html = file.read_text().partition("<template")[0]
    answers = re.findall(r'(?s)<(?:div|p|li)[^>]* id="a\d+">(.*?)</(?:div|p|li)>', html)
    assert len(answers) == 10
    for answer in answers:
        words = re.sub(r"\s", "", unescape(re.sub(r"<[^>]+>", "", answer.partition("<svg")[0])))
        assert words[:60] in text, words
