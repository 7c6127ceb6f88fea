"""Four reports of 90 days: ours beside what a data engineer writes with dlt.

OpenAI's completions and costs, Anthropic's messages and costs. dlt loads each answer's days and their results into
DuckDB as they are. Ours verifies control totals, keeps the answers, names, allocates and computes costs and entities.
dlt's environment is made in .venv-pipeline.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import monotonic

import duckdb

from benchmarks.backfill import environment
from benchmarks.commands import DATABASE, Took, make_home, run, usage_assets
from benchmarks.figures import Figure
from benchmarks.server import answered, running
from usage_assets.core.days import DAY, Window, utc_today
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.published import copy_of
from usage_assets_sandbox.credentials import ANTHROPIC_ADMIN_KEY, OPENAI_ADMIN_KEY

PIPELINE = Path(__file__).parent / "pipeline"
DAYS, ROUNDS = 90, 3
ALLOWED = 2.5
"""Times dlt's CPU time, for everything."""
REPORTS = {"openai": ("costs", "usage_completions"), "anthropic": ("cost_report", "usage_messages")}
ENTRY = '[[connection]]\nname = "{0}"\nprovider = "{0}"\nkey = "env:KEY_{0}"\nbase_url = "{1}"\nendpoints = {{ {2} }}\n'
RAW = "select count(*) from openai.costs"


def figures(days: int) -> Iterator[Figure]:
    """CPU time of both, and when the first raw rows can be read; of at most 90 days."""
    last = utc_today() - DAY
    window = Window(last - DAY * (min(days, DAYS) - 1), last)
    python = environment(PIPELINE) / "python"
    seconds, waits = [], []
    with running("usage_assets_sandbox") as url:
        for _ in range(ROUNDS):
            with TemporaryDirectory() as ours, TemporaryDirectory() as theirs:
                (took, seen), asked = backfill(url, Path(ours), window), len(answered(url))
                loaded, other = load(python, url, Path(theirs), window), len(answered(url))
            seconds.append((took.cpu, loaded.cpu))
            waits.append((seen, loaded.wall))
    note = f"{len(window.days)} days of four reports; {asked} requests, dlt: {other}"
    yield Figure.of_rounds(
        seconds, name="everything, beside dlt's rows", unit="s", demanded=1 / ALLOWED, note=f"CPU time; {note}"
    )
    yield Figure.of_rounds(
        waits, name="until raw rows can be read", unit="s", demanded=1, note="wall time; theirs: until dlt's are loaded"
    )


def backfill(url: str, home: Path, window: Window) -> tuple[Took, float]:
    """Backfill the reports in an empty home; return what that took, and the seconds until raw rows could be read."""
    file = home / "connections.toml"
    file.write_text("".join(entry(provider, url) for provider in REPORTS))
    keys = {"KEY_openai": OPENAI_ADMIN_KEY, "KEY_anthropic": ANTHROPIC_ADMIN_KEY}
    settings = make_home(home, url, "PORT") | keys | {"USAGE_CONNECTIONS": str(file)}
    seen: list[float] = []
    began, ended = monotonic(), Event()

    def look() -> None:
        while not seen and not ended.wait(0.1):
            with suppress(duckdb.Error), duckdb.connect(copy_of(home / DATABASE), read_only=True) as database:
                seen.extend([monotonic() - began] * bool(database.execute(RAW).fetchall() != [(0,)]))

    looking = Thread(target=look)
    looking.start()
    try:
        took = run(usage_assets("backfill", "--start", str(window.first), "--end", str(window.last)), home, settings)
    finally:
        ended.set()
        looking.join()
    return took, seen[0] if seen else took.wall


def entry(provider: str, url: str) -> str:
    """A connection with these reports alone."""
    names = [each.name for each in PROVIDERS[provider].endpoints]
    off = ", ".join(f"{name} = false" for name in names if name not in REPORTS[provider])
    return ENTRY.format(provider, f"{url}/openai/v1" if provider == "openai" else f"{url}/{provider}", off)


def load(python: Path, url: str, home: Path, window: Window) -> Took:
    """Load the reports with dlt into an empty folder."""
    settings = {"HOME": str(home), "DLT_TELEMETRY": "0", "RUNTIME__DLTHUB_TELEMETRY": "false"}
    return run([python, PIPELINE / "load.py", url, str(window.first), str(window.last + DAY)], home, settings)
