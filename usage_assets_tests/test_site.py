"""The documentation as a site: everything is in it and found, a broken link fails, and no page asks another host."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from usage_assets_tests.browser import browser
from website.__main__ import all_pages, build
from website.pages import GENERATED, SECTIONS

__all__ = ["browser"]

ROOT = Path(__file__).parents[1]
VISITED = ("index", "extensions/report/README", "docs/tables", "docs/python")


def test_every_page_has_a_reader() -> None:
    named = [page for section in SECTIONS for page in section.pages]
    kept = [f"docs/{path.stem}" for path in (ROOT / "docs").glob("*.md")]
    kept += [f"extensions/{path.parent.name}/README" for path in ROOT.glob("extensions/*/README.md")]
    kept += [path.stem for path in ROOT.glob("*.md") if path.stem != "README"]
    assert sorted(named) == sorted([*kept, *GENERATED])


def test_a_broken_link_fails(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    links = "[a](docs/nothing.md)\n\n[b](#nothing)\n\n[c](other.md#nothing)"
    pages = [("index", f"# Page\n\n{links}\n\n```{{toctree}}\nother\n```\n"), ("other", "# Other\n")]
    assert build(tmp_path, pages) != 0
    said = capfd.readouterr().err
    assert [line for line in (3, 5, 7) if f"index.md:{line}: WARNING" not in said] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site, built without a warning."""
    folder = tmp_path_factory.mktemp("site")
    assert build(folder, all_pages()) == 0
    return folder / "html"


@pytest.fixture(params=[1440, 390], ids=["screen", "phone"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": request.param, "height": 900})
    yield context.new_page()
    context.close()


@pytest.mark.browser
def test_a_page_asks_no_host_and_fits(page: Page, site: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for name in VISITED:
        page.goto(f"{(site / name).as_uri()}.html", wait_until="networkidle")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    assert len(asked) > 10
    assert not [address for address in asked if not address.startswith(("file:", "data:"))]


@pytest.mark.browser
def test_the_search_finds_a_column(page: Page, site: Path) -> None:
    page.goto(f"{(site / 'search.html').as_uri()}?q=billing_currency")
    assert page.locator("ul.search li a").first.inner_text(timeout=20_000)
