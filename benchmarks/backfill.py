"""A year of one Anthropic connection through ``usage-assets backfill``, and days of a project as Dagster's tutorial
teaches it: CPU per asset-day.

Both fetch from the same sandbox, whose own CPU is not counted. Everything else that they start is. Ours begins with an
empty folder in each round. The tutorial's environment is made in .venv-tutorial.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.commands import ROOT, history_bytes, make_home, run, stored_days, usage_assets
from benchmarks.figures import ROUNDS, Figure
from benchmarks.server import running
from usage_assets.core.days import DAY, Window, utc_today

TUTORIAL = Path(__file__).parent / "tutorial"
ALLOWED_CPU_SECONDS = 0.008
DEMANDED = 300
ALLOWED_BYTES = 2 * 1024


def figures(days: int, rounds: int = ROUNDS) -> Iterator[Figure]:
    """CPU and history of an asset-day of ours, and how many times the tutorial takes."""
    last = utc_today() - DAY
    year = Window(last - DAY * (days - 1), last)
    dagster = environment(TUTORIAL) / "dagster"
    seconds: list[tuple[float, float]] = []
    sizes: list[float] = []
    with running("usage_assets_sandbox") as url, TemporaryDirectory() as tutorial:
        for n in range(rounds):
            with TemporaryDirectory() as folder:
                ours, size, assets = backfill(url, Path(folder), year)
            seconds.append((ours, teach(dagster, url, Path(tutorial), year.first, year.last - DAY * n)))
            sizes.append(size)
    name = f"asset-day of {len(year.days)} days, {assets} assets"
    yield Figure.of_rounds(
        [(ours, ALLOWED_CPU_SECONDS) for ours, _ in seconds],
        scale=1000,
        name=name,
        unit="ms",
        demanded=1,
        is_at_factor_1=True,
        note="CPU time of all processes; theirs: what is allowed",
    )
    yield Figure.of_rounds(
        seconds,
        scale=1000,
        name=name,
        unit="ms",
        demanded=DEMANDED,
        note="CPU time of all processes; theirs: the tutorial's project, a run of one day",
    )
    yield Figure.of_rounds(
        [(size, ALLOWED_BYTES) for size in sizes],
        scale=1 / 1024,
        name=f"history of an {name}",
        unit="KB",
        demanded=1,
        note="Dagster's SQLite files; theirs: what is allowed",
    )


def backfill(url: str, home: Path, window: Window) -> tuple[float, float, int]:
    """Backfill an empty home; return CPU seconds and bytes of history of an asset-day, and the number of assets.

    Raises RuntimeError where a day of an asset is not stored.
    """
    settings = make_home(home, url, "ANTHROPIC")
    days = ["--start", str(window.first), "--end", str(window.last)]
    took = run(usage_assets("backfill", *days, "--connection", "anthropic"), home, settings)
    assets, stored = stored_days(home)
    if stored != assets * len(window.days):
        raise RuntimeError(f"{stored} days of {assets} assets are stored, not {len(window.days)} of each")
    return took.cpu / stored, history_bytes(home) / stored, assets


def teach(dagster: Path, url: str, home: Path, first: date, day: date) -> float:
    """Run a day of the tutorial's project; return CPU seconds of an asset-day."""
    settings = {
        "DAGSTER_HOME": str(home),
        "FIRST_DAY": str(first),
        "SANDBOX_URL": url,
        "TUTORIAL_DATABASE": str(home / "tutorial.duckdb"),
    }
    code = "-f", TUTORIAL / "definitions.py"
    took = run([dagster, "asset", "materialize", "--select", "*", "--partition", str(day), *code], home, settings)
    return took.cpu / len(re.findall(" - STEP_SUCCESS - ", took.output))


def environment(of: Path) -> Path:
    """Make the environment of the other side in this folder, unless it is there; return its ``bin``.

    It has the versions of constraints.txt, but for what its own requirements pin.
    """
    requirements, made = of / "requirements.txt", ROOT / f".venv-{of.name}"
    ready = made / "requirements.txt"
    if not ready.is_file() or ready.read_text() != requirements.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", made], check=True)  # noqa: S603 - our own Python
        constraints = made / "constraints.txt"
        constraints.write_text(constraints_beside(requirements.read_text(), (ROOT / "constraints.txt").read_text()))
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        python = made / "bin" / "python"
        subprocess.run(  # noqa: S603 - pinned versions
            [python, *install, "-c", constraints, "-r", requirements], check=True, cwd=made
        )
        ready.write_text(requirements.read_text())
    return made / "bin"


def constraints_beside(requirements: str, constraints: str) -> str:
    """The constraints without those of packages that the requirements pin themselves."""
    pinned = {line.partition("==")[0] for line in requirements.splitlines() if "==" in line}
    lines = constraints.splitlines(keepends=True)
    return "".join(line for line in lines if line.partition("==")[0] not in pinned)
