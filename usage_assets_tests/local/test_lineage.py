"""Dagster's page of the lineage, as somebody sees it who has not filled in any key."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from usage_assets.cli.dagster_dev import BIN, Dagster
from usage_assets.cli.processes import HOST, only_one
from usage_assets.local.home import WORKSPACE
from usage_assets_tests.features.report.test_page import browser

__all__ = ["browser"]
pytestmark = pytest.mark.browser

WIDTH, HEIGHT = 1440, 900
SMALLEST_TEXT = 9
"""Pixels of a letter that can still be read."""
PATIENCE = 60_000
"""Milliseconds that a busy machine may take to lay out the graph."""
GROUPS = "foreignObject.group"
NAME = "node => node.querySelector('*:not(:has(*))')"
SIZE = f"node => parseFloat(getComputedStyle(({NAME})(node)).fontSize)"
SIZE += " * node.getBoundingClientRect().width / node.width.baseVal.value"


class WebServer(Dagster):
    """The web server alone."""

    def _begin(self, workspace: Path) -> None:
        place = ["-h", HOST, "-p", str(self.port), "-w", str(workspace)]
        self._start("Dagster's web server", [str(BIN / "dagster-webserver"), *place])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """The graph of OpenAI, Anthropic and ChatGPT, which is there without any key, and of Port."""
    folder = tmp_path_factory.mktemp("home")
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "HOME")}
    env |= {"PORT_CLIENT_ID": "id", "PORT_CLIENT_SECRET": "secret"}
    with (
        only_one(folder, "Dagster") as lock,
        WebServer(folder, WORKSPACE, 3700, lock, cwd=folder, env=env, log=folder / "log") as started,
    ):
        started.wait_until_ready()
        yield started


def groups(page: Page, address: str, count: int) -> dict[str, dict[str, float]]:
    """The groups that the page draws without a click, and where each is."""
    page.goto(address)
    expect(page.locator(GROUPS)).to_have_count(count, timeout=PATIENCE)
    found = {}
    for each in page.locator(GROUPS).all():
        box = each.bounding_box()
        assert box
        found[each.evaluate(f"node => ({NAME})(node).textContent")] = {**box, "text": each.evaluate(SIZE)}
    return found


def test_three_providers_fit_a_screen(browser: Browser, server: WebServer) -> None:
    """The whole story from left to right, each group to be read, with nothing to scroll to."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    drawn = groups(page, f"{server.url}/asset-groups", 16)
    for name, box in drawn.items():
        assert 0 <= box["x"] <= box["x"] + box["width"] <= WIDTH, name
        assert 0 <= box["y"] <= box["y"] + box["height"] <= HEIGHT, name
        assert box["text"] >= SMALLEST_TEXT, name
    story = ("openai_usage", "openai_costs", "costs", "report")
    assert sorted(story, key=lambda name: drawn[name]["x"]) == [*story]
    assert drawn["openai_entities"]["x"] < drawn["openai_port"]["x"]


def test_a_tag_shows_one_provider(browser: Browser, server: WebServer) -> None:
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    selection = quote('tag:"provider"="chatgpt"')
    assert {*groups(page, f"{server.url}/asset-groups~{selection}/", 3)} == {
        "chatgpt_codex",
        "chatgpt_entities",
        "chatgpt_port",
    }
