"""The demo's asset graph in Dagster's UI: each name is whole, and what is shown at first fits a laptop's screen."""

from collections.abc import Collection, Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from demo.__main__ import start_dagster, write_configuration, write_connections
from demo.services import DagsterServices
from usage_assets.cli.processes import only_one
from usage_assets.core.days import utc_today
from usage_assets_tests.browser import browser

__all__ = ["browser"]
pytestmark = pytest.mark.browser

NO_SANDBOX = "http://127.0.0.1:9"
"""The graph needs no provider."""
PORT = 3700
LAPTOP: ViewportSize = {"width": 1440, "height": 900}
LARGE: ViewportSize = {"width": 6000, "height": 6000}
"""A connection's assets at full size: Dagster draws only what is in sight."""
RESOURCES = {"usage", "costs", "entities", "lookups", "port"}
OTHERS = {"claude_code", "codex", "engagement", "charges", "activity", "billing", "metrics", "accounting", "report"}
VIEWS = {
    "everything": ("", RESOURCES | OTHERS),
    "a connection": ('tag:"connection"="openai"', RESOURCES),
    "a connection and what follows": ('tag:"connection"="openai"+', RESOURCES | {"report"}),
    "the longest name": ('tag:"connection"="anthropic_analytics"', (RESOURCES | {"engagement"}) - {"lookups"}),
}
BOXES = "svg foreignObject"
NAMES = f"{BOXES} [data-tooltip]"
"""Dagster keeps the whole name beside the one that it shortens in the middle."""
CUT = """names => names.filter(each => each.textContent !== each.dataset.tooltip || each.scrollWidth > each.clientWidth)
    .map(each => each.dataset.tooltip)"""
ARE_IN_SIGHT = """([boxes, count]) => {
    const found = [...document.querySelectorAll(boxes)]
    const seen = found[0]?.closest('[class*=splitPanel]').getBoundingClientRect()
    return found.length === count && found.map(each => each.getBoundingClientRect()).every(each =>
        each.left >= seen.left && each.top >= seen.top && each.right <= seen.right && each.bottom <= seen.bottom)
}"""


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterServices]:
    """Dagster's web server with the demo's connections, before anything is fetched."""
    home = tmp_path_factory.mktemp("demo")
    write_configuration(home)
    write_connections(home)
    with only_one(home, "the demo") as lock, start_dagster(home, lock, NO_SANDBOX, PORT, utc_today()) as dagster:
        dagster.wait_until_ready()
        yield dagster


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport=LAPTOP)
    yield context.new_page()
    context.close()


def address(dagster: DagsterServices, selection: str, expanded: Collection[str] = ()) -> str:
    """The address of a selection, or of everything, with these groups expanded."""
    shown = f"asset-groups~{quote(selection)}" if selection else "asset-groups/"
    groups = ",".join(f"global@global:{group}" for group in expanded)
    return f"{dagster.url}/{shown}?expanded={quote(groups)}"


@pytest.mark.parametrize("view", VIEWS)
def test_each_group_has_its_whole_name_and_all_of_them_fit(page: Page, dagster: DagsterServices, view: str) -> None:
    selection, groups = VIEWS[view]
    page.goto(address(dagster, selection))
    page.wait_for_function(ARE_IN_SIGHT, arg=[BOXES, len(groups)])
    assert page.locator(NAMES).evaluate_all(CUT) == []
    assert {*page.locator(NAMES).all_inner_texts()} == groups


def test_each_asset_of_a_connection_has_its_whole_name_and_its_provider(page: Page, dagster: DagsterServices) -> None:
    page.set_viewport_size(LARGE)
    for connection, kind in (("openai", "OpenAI"), ("github_copilot", "github_copilot")):
        page.goto(address(dagster, f'tag:"connection"="{connection}"', RESOURCES | OTHERS))
        expected = sorted(key[-1] for key in dagster.assets() if key[0] == connection)
        names = page.locator("[class*=assetName] [data-tooltip]")
        names.nth(len(expected) - 1).wait_for()
        assert names.evaluate_all(CUT) == []
        assert sorted(names.all_inner_texts()) == expected
        assert page.locator("[class*=opTagsContainer]", has_text=kind).count() == len(expected)
