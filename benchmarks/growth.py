"""How a year grows: with the rows of a day, and with the connections. Nothing is demanded, and it takes hours.

Rows are those of OpenAI's costs, made up by benchmarks/server.py; of completions there are as many. Connections are
Anthropic's, each of the sandbox's company. Each size begins with an empty folder.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import dagster as dg

from benchmarks.commands import DATABASE, PYTHON_PATH, Took, history_bytes, make_home, run, stored_days, usage_assets
from benchmarks.figures import Figure, cpu_of
from benchmarks.server import running
from usage_assets.assets.warehouse_resource import WarehouseResource
from usage_assets.build import build_from_environment
from usage_assets.core.days import DAY, Window, utc_today
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import copy_of, publish
from usage_assets_sandbox.credentials import ANTHROPIC_ADMIN_KEY

ROWS = {200: 365, 2_000: 365, 20_000: 31}
"""Rows a day -> days at most."""
CONNECTIONS = {1: 365, 10: 365, 50: 31, 200: 31}
"""Connections -> days at most."""
ENTRY = '[[connection]]\nname = "{}"\nprovider = "{}"\nkey = "env:KEY_{}"\nbase_url = "{}"\n'
FETCHED = ("costs", "usage_completions")
SENSORS = ("port_changed_partitions_sensor", "due_days_sensor")


@dataclass(frozen=True)
class Standing:
    """What a process of a filled home takes."""

    load: float
    """CPU seconds until the definitions are loaded, without imports."""
    ticks: float
    """CPU seconds of an idle tick of each of SENSORS, together."""
    publish: float
    """Wall seconds in which the published copy is made."""


def figures(days: int) -> Iterator[Figure]:
    """Everything of each size, of so many days or of those that a size is limited to."""
    for rows, most in ROWS.items():
        with running("benchmarks.server", "--rows", str(rows)) as url, TemporaryDirectory() as folder:
            yield from figures_of(f"{rows:,} rows a day", url, Path(folder), of_rows(url), 1, min(days, most))
    for count, most in CONNECTIONS.items():
        with running("usage_assets_sandbox") as url, TemporaryDirectory() as folder:
            connections = of_connections(url, count)
            yield from figures_of(f"{count} connections", url, Path(folder), connections, count, min(days, most))


def of_rows(url: str) -> str:
    """A connections file of one organization of OpenAI, with costs and completions only."""
    off = ", ".join(f"{each.name} = false" for each in PROVIDERS["openai"].endpoints if each.name not in FETCHED)
    return f"{ENTRY.format('openai', 'openai', 0, url)}endpoints = {{ {off} }}\n"


def of_connections(url: str, count: int) -> str:
    """A connections file of so many organizations of Anthropic."""
    return "".join(ENTRY.format(f"anthropic_{n}", "anthropic", n, f"{url}/anthropic") for n in range(count))


def settings_of(home: Path, connections: str, keys: int, window: Window) -> dict[str, str]:
    """Write the connections file of a home; return the settings that name it, its keys and the first day."""
    file = home / "connections.toml"
    file.write_text(connections)
    return {
        # the sandbox takes any number of keys of one organization; two connections may not have the same
        **{f"KEY_{n}": f"{ANTHROPIC_ADMIN_KEY}-{n}" for n in range(keys)},
        "USAGE_CONNECTIONS": str(file),
        "USAGE_START_DATE": str(window.first),
    }


def figures_of(size: str, url: str, home: Path, connections: str, keys: int, days: int) -> Iterator[Figure]:
    """Backfill an empty home; what that took, what it left, and what a process of it takes then."""
    window = Window(utc_today() - DAY * days, utc_today() - DAY)
    settings = make_home(home, url, "PORT") | settings_of(home, connections, keys, window)
    took = run(usage_assets("backfill", "--start", str(window.first), "--end", str(window.last)), home, settings)
    command = [sys.executable, "-m", "benchmarks.growth"]
    standing = Standing(
        **json.loads(run(command, home, {**settings, "PYTHONPATH": PYTHON_PATH}).output.splitlines()[-1])
    )
    assets, stored = stored_days(home)
    for what, amount, unit in (
        *measures(took, stored),
        ("database", (home / DATABASE).stat().st_size / 2**20, "MiB"),
        ("archive", sum(file.stat().st_size for file in (home / "raw").rglob("*.zst")) / 2**20, "MiB"),
        ("Dagster's history", history_bytes(home) / 2**20, "MiB"),
        ("load of the definitions, CPU", standing.load, "s"),
        ("idle ticks of the sensors, CPU", standing.ticks * 1000, "ms"),
        ("publish, wall", standing.publish, "s"),
    ):
        note = f"{days} days, {assets} assets, {stored:,} asset-days"
        yield Figure(name=f"{size}: {what}", ours=amount, unit=unit, note=note)


def measures(took: Took, stored: int) -> Iterator[tuple[str, float, str]]:
    """What a backfill took."""
    yield "CPU", took.cpu, "s"
    yield "CPU of an asset-day", took.cpu / stored * 1000, "ms"
    yield "wall", took.wall, "s"
    yield "peak memory", took.mib, "MiB"


def stand() -> Standing:
    """Load the definitions of this home, evaluate sensors that have read everything, and publish."""
    loaded: list[dg.Definitions] = []
    load = cpu_of(lambda: loaded.append(build_from_environment()))
    warehouse = Warehouse(database=os.environ["USAGE_WAREHOUSE"])
    with dg.DagsterInstance.get() as instance:
        ticks = sum(idle_tick(loaded[0].resolve_sensor_def(name), instance, warehouse) for name in SENSORS)
    copy_of(warehouse.database).unlink()
    began = monotonic()
    publish(warehouse)
    return Standing(load, ticks, monotonic() - began)


def idle_tick(sensor: dg.SensorDefinition, instance: dg.DagsterInstance, warehouse: Warehouse) -> float:
    """Evaluate a sensor until it asks for nothing more, and once more: CPU seconds of that."""
    cursor: str | None = None

    def tick() -> str | None:
        with dg.build_sensor_context(
            instance, cursor, resources={"warehouse": WarehouseResource.of(warehouse, publishes=False)}
        ) as context:
            return sensor.evaluate_tick(context).cursor

    while (after := tick()) != cursor:
        cursor = after
    return cpu_of(tick)


if __name__ == "__main__":
    print(json.dumps(asdict(stand())))
