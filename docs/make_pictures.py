"""Takes the README's pictures: runs the demo and photographs Dagster's UI with Chromium. ``make pictures`` runs it.

Needs the extra ``pictures`` (Playwright) and Chromium, on the path or from ``playwright install chromium``.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import httpx
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

FOLDER = Path(__file__).with_name("pictures")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DAYS, PORT = "60", "3999"
SIZE: ViewportSize = {"width": 1400, "height": 860}
LARGEST_BYTES = 300_000
REPORTS: Sequence[tuple[str, int, int, Literal["light", "dark"]]] = (
    ("report", 1440, 1000, "light"),
    ("report-dark", 1440, 1000, "dark"),
    ("report-phone", 390, 844, "light"),
    ("report-phone-dark", 390, 844, "dark"),
)
"""Name, size and colors."""
ASSETS = "{ assetNodes { assetKey { path } } }"


@contextmanager
def demo() -> Iterator[str]:
    """Run the demo until its UI shows everything. Yields the UI's address."""
    command = [sys.executable, "-m", "usage_assets.demo", "--days", DAYS, "--port", PORT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        try:
            address = ""
            for line in process.stdout or ():
                print(line, end="")
                address = line.split()[-1] if " Dagster: " in line else address
                if "which stays until Ctrl-C" in line:
                    break
            else:
                sys.exit("the demo ended before its UI was ready")
            yield address
        finally:
            process.terminate()


def daily_costs(address: str) -> str:
    """Return the path of OpenAI's daily costs in the UI."""
    nodes = httpx.post(f"{address}/graphql", json={"query": ASSETS}).raise_for_status().json()["data"]["assetNodes"]
    paths = ("/".join(node["assetKey"]["path"]) for node in nodes)
    return next(path for path in sorted(paths) if path.startswith("openai/") and "daily_costs" in path)


def take(page: Page, name: str) -> None:
    """Write a picture. Exits where it is too large for a README."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(3000)  # the UI animates what it draws
    page.get_by_text("fetching statuses").first.wait_for(state="hidden")
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path)
    if (size := path.stat().st_size) > LARGEST_BYTES:
        sys.exit(f"{path}: {size:,} bytes, more than {LARGEST_BYTES:,}")
    print(f"{path}: {size:,} bytes")


def main() -> None:
    """Take every picture."""
    day = datetime.now(UTC).date() - timedelta(days=2)
    with demo() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.goto(f"{address}/asset-groups")
        page.get_by_text("Hide navigation").click()
        take(page, "graph")
        page.goto(f"{address}/assets/{daily_costs(address)}?view=partitions&partition={day}")
        page.get_by_text("Latest materialization").wait_for()
        take(page, "costs")
        take_report(browser)


def take_report(browser: Browser) -> None:
    """Take the report as people see it on a desk and on a phone."""
    for name, width, height, scheme in REPORTS:
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.goto(Path(".demo/report.html").absolute().as_uri())
        page.locator("html[data-ready]").wait_for(state="attached")
        take(page, name)


if __name__ == "__main__":
    main()
