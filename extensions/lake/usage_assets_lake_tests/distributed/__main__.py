"""`make distributed` holds the drill; exit 0 where nothing differs."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import click
import httpx

from benchmarks.server import running
from usage_assets.cli.processes import terminate_like_ctrl_c
from usage_assets.core.warehouse_address import WarehouseAddress
from usage_assets.warehouse.opened import warehouse_at
from usage_assets_lake_tests.distributed.cluster import Cluster
from usage_assets_lake_tests.distributed.network import OUTSIDE, PORT, DrillError, Forward, build, enter, refusal
from usage_assets_lake_tests.distributed.story import Story
from usage_assets_tests.end_to_end.conftest import Project, open_project
from usage_assets_tests.end_to_end.shards import PLACES, location
from usage_assets_tests.fixtures import Sandbox

DAYS = 5
LONGEST = timedelta(minutes=25)
LAKE = ("USAGE_WAREHOUSE", "USAGE_WAREHOUSE_DATA")


def hold(folder: Path, days: int) -> None:
    """Make the hosts and play the story. Raises DrillError."""
    today = datetime.now(UTC).date()
    build()
    with running("usage_assets_sandbox") as url, httpx.Client(base_url=url, timeout=30) as switches:
        sandbox, outside = Sandbox(url, switches), Forward(f"{OUTSIDE}:{PORT}", url.removeprefix("http://"))
        outside.start()
        say("starting PostgreSQL, three code locations and the web server")
        cluster = Cluster(folder, today - timedelta(days=days), days)
        try:
            cluster.start()
            with one_location(cluster, sandbox) as one:
                address = WarehouseAddress(*(cluster.settings[name] for name in LAKE))
                ours = replace(one, warehouse=warehouse_at(address))
                played = [today - timedelta(days=n) for n in range(days, 0, -1)]
                Story(cluster, sandbox, outside, ours, one, played, say).play()
        finally:
            cluster.stop()


@contextmanager
def one_location(cluster: Cluster, sandbox: Sandbox) -> Iterator[Project]:
    """The same connections in one location on this host, with a file."""
    os.environ.update(cluster.access)
    folder = cluster.main.folder / "one"
    folder.mkdir()
    same = {name: value for name, value in cluster.settings.items() if name not in LAKE}
    with open_project(sandbox, folder, same | location(folder, None, dict.fromkeys(PLACES))) as project:
        yield project


def say(text: str) -> None:
    click.echo(f"{time.monotonic() - BEGAN:4.0f} s  {text}")


BEGAN = time.monotonic()


@click.command()
@click.option("--days", type=click.IntRange(4), default=DAYS, show_default=True)
@click.option("--inside", is_flag=True, hidden=True)
def main(days: int, *, inside: bool) -> None:
    """Hold the drill on hosts that are namespaces of this machine."""
    if not inside:
        if reason := refusal():
            click.echo(f"skipped: the distributed drill cannot be held here: {reason}")
            return
        enter("usage_assets_lake_tests.distributed", "--inside", "--days", str(days))
    terminate_like_ctrl_c()
    now = datetime.now(UTC)
    tomorrow = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    if tomorrow - now < LONGEST:
        say(f"waiting for midnight UTC: no day may end during the drill ({(tomorrow - now).seconds} s)")
        time.sleep((tomorrow - now).total_seconds())
    folder = Path(mkdtemp(prefix="distributed-"))
    folder.chmod(0o755)  # the server of PostgreSQL is another user's
    try:
        hold(folder, days)
    except DrillError as error:
        say(f"FAILED: {error}")
        say(f"what was said on the hosts is in {folder}")
        sys.exit(1)
    shutil.rmtree(folder)
    say("nothing differs")


if __name__ == "__main__":
    main()
