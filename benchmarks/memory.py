"""What a large organization takes: 5,000 rows a day fetched, stored, verified and checked in one asset run.

The run is a process of its own, its provider another: the peak is that of the run alone, Dagster and DuckDB included.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory
from time import process_time

import dagster as dg

from benchmarks.figures import Figure
from benchmarks.server import running
from usage_assets.automation.jobs import USAGE_JOB, range_tags
from usage_assets.build import build_definitions
from usage_assets.config.days import last_day
from usage_assets.config.settings import Settings
from usage_assets.warehouse.database import Warehouse

ROWS = 5_000
ALLOWED_MIB = 1024
KIB = 1 if sys.platform == "darwin" else 1024
"""What getrusage counts memory in."""


@dataclass(frozen=True)
class Run:
    """What a run took."""

    rows: int
    mib: float
    cpu_seconds: float


def figures(days: int, rows: int = ROWS) -> Iterator[Figure]:
    """The peak memory of a run of ``days`` days with so many rows each, and what is allowed."""
    with running("benchmarks.server", "--rows", str(rows)) as url:
        command = [sys.executable, "-m", "benchmarks.memory", url, str(days)]
        run = Run(**json.loads(subprocess.check_output(command)))  # noqa: S603 - this module
    if run.rows != days * rows:
        raise RuntimeError(f"{run.rows} rows were stored, {days * rows} were served")
    yield Figure(
        name=f"{days} days of {rows:,} rows",
        ours=run.mib,
        theirs=ALLOWED_MIB,
        unit="MiB",
        demanded=1,
        note=f"peak memory; theirs: what is allowed; {run.cpu_seconds:.0f} s CPU",
    )


def run(url: str, days: int, warehouse: Path) -> Run:
    """Materialize OpenAI's completions of the last ``days`` days in this process."""
    settings = Settings.load(
        _env_file=None, openai_admin_key="sk-admin-made-up", openai_base_url=url, usage_warehouse=str(warehouse)
    )
    last = last_day(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        build_definitions(settings).resolve_job_def(USAGE_JOB).execute_in_process(
            asset_selection=[dg.AssetKey(["openai", "usage_completions"])],
            tags=range_tags(last - timedelta(days=days - 1), last),
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
            instance=instance,
        )
    stored = Warehouse(database=str(warehouse)).read("select count(*) as rows from openai.usage_completions")
    return Run(stored["rows"][0].as_py(), getrusage(RUSAGE_SELF).ru_maxrss * KIB / 2**20, process_time())


def main() -> None:
    """Run once, with a warehouse that is thrown away, and print what it took."""
    _, url, days = sys.argv
    with TemporaryDirectory() as folder:
        print(json.dumps(asdict(run(url, int(days), Path(folder, "usage.duckdb")))))


if __name__ == "__main__":
    main()
