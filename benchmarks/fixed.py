"""What a short backfill costs, with pushes: one day, ten days, and the same ten days again, of three connections.

Nearly all of it is the fixed cost of a command, a run and an asset: there are few rows.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.commands import make_home, run, stored_days, usage_assets
from benchmarks.figures import Figure
from benchmarks.server import running
from benchmarks.year import CONNECTIONS
from usage_assets.core.days import DAY, utc_today

BACKFILLS = (("1 day", 1, 8), ("10 days", 10, 10), ("the same 10 days again", 10, 5))
"""What it is called, its days, and the CPU seconds that are allowed."""


def figures(days: int) -> Iterator[Figure]:
    """CPU time of each, with all processes of the command; of at most so many days."""
    last = utc_today() - DAY * 3
    with running("usage_assets_sandbox") as url, TemporaryDirectory() as folder:
        settings = make_home(Path(folder), url, *(name.upper() for name in (*CONNECTIONS, "port")))
        for name, length, allowed in BACKFILLS:
            first = last - DAY * (min(days, length) - 1)
            took = run(
                usage_assets("backfill", "--start", str(first), "--end", str(last), "--push"), Path(folder), settings
            )
            assets, _ = stored_days(Path(folder))
            yield Figure(
                name=f"a backfill of {name}, to Port",
                ours=took.cpu,
                theirs=allowed,
                unit="s",
                demanded=1,
                is_at_factor_1=True,
                note=f"CPU time, {assets} assets; {took.wall:.1f} s; theirs: what is allowed",
            )
