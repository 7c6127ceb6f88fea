"""Takes the pictures of the docs: Dagster's UI, the report on a screen, a phone and paper, a statement.

``make pictures`` runs it. It runs the demo. Needs the extra ``pictures`` and Chromium, on the path or from
``playwright install chromium``.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import httpx
import pypdfium2 as pdfium
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from demo.__main__ import settings_for

FOLDER = Path(__file__).with_name("pictures")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DAYS, PORT = "60", "3999"
DEMO = Path(".demo").absolute()
SIZE: ViewportSize = {"width": 1440, "height": 900}
LARGEST_BYTES = 300_000
REPORTS: Sequence[tuple[str, int, int, Literal["light", "dark"]]] = (
    ("report-dark", 1440, 900, "dark"),
    ("report-phone", 390, 844, "light"),
    ("report-phone-dark", 390, 844, "dark"),
    ("report", 1440, 900, "light"),
)
"""Name, size and colors. The last one is printed, too."""
ASSETS = "{ assetNodes { assetKey { path } } }"


@contextmanager
def demo() -> Iterator[tuple[str, str]]:
    """Run the demo until its UI shows everything. Yields the addresses of the UI and of the sandbox."""
    command = [sys.executable, "-m", "demo", "--days", DAYS, "--port", PORT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        try:
            address = sandbox = ""
            for line in process.stdout or ():
                print(line, end="")
                address = line.split()[-1] if " Dagster: " in line else address
                sandbox = line.partition(" sandbox: ")[2].partition(" ")[0] or sandbox
                if "which stays until Ctrl-C" in line:
                    break
            else:
                sys.exit("the demo ended before its UI was ready")
            yield address, sandbox
        finally:
            process.terminate()


def daily_costs(address: str) -> str:
    """Return the path of OpenAI's daily costs in the UI."""
    nodes = httpx.post(f"{address}/graphql", json={"query": ASSETS}).raise_for_status().json()["data"]["assetNodes"]
    paths = ("/".join(node["assetKey"]["path"]) for node in nodes)
    return next(path for path in sorted(paths) if path.startswith("openai/") and "daily_costs" in path)


def take(page: Page, name: str) -> None:
    """Write a picture of what is in sight."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(3000)  # the UI animates what it draws
    page.get_by_text("fetching statuses").first.wait_for(state="hidden")
    page.screenshot(path=FOLDER / f"{name}.png")
    require_small(name)


def take_paper(pdf: Path, name: str) -> None:
    """Write a picture of the first page of a PDF file."""
    with pdfium.PdfDocument(pdf) as document:
        document[0].render(scale=1.5).to_pil().quantize(256).save(FOLDER / f"{name}.png", optimize=True)
    require_small(name)


def require_small(name: str) -> None:
    """Exit where a picture is too large for a page of docs."""
    path = FOLDER / f"{name}.png"
    if (size := path.stat().st_size) > LARGEST_BYTES:
        sys.exit(f"{path}: {size:,} bytes, more than {LARGEST_BYTES:,}")
    print(f"{path}: {size:,} bytes")


def main() -> None:
    """Take every picture."""
    day = datetime.now(UTC).date() - timedelta(days=2)
    with demo() as (address, sandbox), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.goto(f"{address}/asset-groups")
        page.get_by_text("Hide navigation").click()
        page.reload()
        take(page, "graph")
        page.goto(f"{address}/assets/{daily_costs(address)}?view=partitions&partition={day}")
        page.get_by_text("Latest materialization").wait_for()
        take(page, "costs")
        take_report(browser)
    take_statement(sandbox, day.replace(day=1) - timedelta(days=1))


def take_report(browser: Browser) -> None:
    """Take the report as people see it on a desk, on a phone and on paper."""
    for name, width, height, scheme in REPORTS:
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.goto((DEMO / "report.html").as_uri())
        page.locator("html[data-ready]").wait_for(state="attached")
        take(page, name)
    with TemporaryDirectory() as folder:
        page.pdf(path=Path(folder, "report.pdf"), format="A4", print_background=True)
        take_paper(Path(folder, "report.pdf"), "report-paper")


def take_statement(sandbox: str, month: date) -> None:
    """Take the draft of a month that is over, of one cost center."""
    with TemporaryDirectory() as folder:
        command = [
            Path(sys.executable).with_name("usage-assets"),
            "statement",
            "--month",
            f"{month:%Y-%m}",
            "--out",
            folder,
        ]
        subprocess.run(command, env=os.environ | settings_for(sandbox, DEMO), check=True)  # noqa: S603 - ours
        take_paper(next(Path(folder).glob("statement-*-4711.pdf")), "statement")


if __name__ == "__main__":
    main()
