"""A lake against a file: the same work on both, in turn. PostgreSQL's own CPU time is not counted.

The lake's catalog is in a PostgreSQL server on this machine, its files are in a folder.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psycopg

from benchmarks.commands import make_home, run, usage_assets
from benchmarks.costs import ASKED_ROWS, ROWS, ask, build, store
from benchmarks.costs import ROUNDS as TIMES
from benchmarks.figures import ROUNDS, Figure, cpu_of
from benchmarks.server import running
from usage_assets.core.days import DAY, Window, utc_today
from usage_assets.core.schema import to_arrow
from usage_assets.core.warehouse_address import LAKE
from usage_assets.providers.anthropic.reports import CostReport
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch
from usage_assets_lake.warehouse import Lake
from usage_assets_tests.postgres import new_database, running_postgres

ALLOWED_GROWTH = 1.5
"""How many times what the first writes into a lake cost a write may cost after a year of them."""
KEPT = timedelta(days=90)
WEEK = 7
A_DAY_PASSES = "update ducklake_snapshot set snapshot_time = snapshot_time - interval '1 day'"
STATES = "select state, count(*) from ledger.day_states group by all"
Both = Mapping[str, Warehouse]


def figures(days: int, rows: int = 200, asked_rows: int = ASKED_ROWS) -> Iterator[Figure]:
    """A year of mornings, what is asked after it, and a backfill. Raises RuntimeError where the two differ."""
    with running_postgres() as server, TemporaryDirectory() as folder:
        both = new(server, Path(folder, "mornings"))
        yield from figures_of_mornings(both, new(server, Path(folder, "young"))["lake"], days, rows)
        both = new(server, Path(folder, "costs"))
        yield figure_of_costs(both, asked_rows)
        with running("usage_assets_sandbox") as url:
            yield figure_of_backfill(url, server, Path(folder, "year"), days)


def new(server: str, folder: Path) -> Both:
    """An empty file and an empty lake."""
    lake = Lake(database=f"{LAKE}{new_database(server)}", data=str(folder / "lake"))
    return {"lake": lake, "file": Warehouse(database=str(folder / "usage.duckdb"))}


def figures_of_mornings(both: Both, young: Warehouse, days: int, rows: int) -> Iterator[Figure]:
    """Each morning the last seven days are written again, and the lake is maintained as the schedule does it.

    What a first week costs is measured in the last one, on a young lake and in turn: the load of the machine that a
    year passes on is not that of its beginning.
    """
    today = utc_today()
    took: dict[str, list[float]] = {name: [] for name in (*both, "young")}
    maintained: dict[str, list[float]] = {"lake": [], "young": []}
    for n in range(days):
        written = {**both, "young": young} if days - n <= WEEK + 1 else both
        for name, warehouse in written.items():
            took[name].append(cpu_of(partial(write, warehouse, today - DAY * (days - n), rows)))
        for name in maintained.keys() & written.keys():
            maintained[name].append(cpu_of(partial(written[name].maintain, KEPT)))
            with psycopg.connect(written[name].database.removeprefix(LAKE)) as catalog:
                catalog.execute(A_DAY_PASSES)
    same(both, "select content_hash from ledger.partition_versions order by all")
    first, last = took["young"][1:], took["lake"][-WEEK:]
    name = f"a write of 7 days of {rows} rows"
    yield pair(name, took["lake"][1 : WEEK + 1], took["file"][1 : WEEK + 1])
    yield pair(f"{name}, after {days} of them", last, took["file"][-WEEK:])
    yield Figure(
        name=f"{name}, after {days} of them",
        ours=median(last),
        theirs=median(first),
        unit="s",
        demanded=1 / ALLOWED_GROWTH,
        note="CPU time on a lake; theirs: a first week, at the same time",
    )
    yield Figure(
        name="the daily maintenance then",
        ours=median(maintained["lake"][-WEEK:]),
        unit="s",
        note=f"CPU time; {median(maintained['young'][1:]):.2f} s in a first week",
    )
    yield pair("what states days are in", *rounds(both, lambda warehouse: warehouse.read(STATES)))


def write(warehouse: Warehouse, last: date, rows: int) -> None:
    """Write seven days, with other amounts each morning."""
    first = last - DAY * (WEEK - 1)
    content = [
        CostReport(
            connection="anthropic",
            usage_date=first + DAY * day,
            workspace_id=f"wrkspc_{row % 20}",
            description=f"{row} on {last}",
            amount_cents=Decimal(row),
            currency="USD",
            grouped_by="description,workspace_id",
        )
        for day in range(WEEK)
        for row in range(rows)
    ]
    answer = Batch(rows=to_arrow(CostReport, content), began=datetime.now(UTC))
    warehouse.replace(Table(CostReport), answer, Slice("anthropic", first, last), "benchmark")


def figure_of_costs(both: Both, asked_rows: int) -> Figure:
    """Month to date by project, among many rows."""
    today = utc_today()
    window = Window(today - DAY * (-(-asked_rows // ROWS) - 1), today)
    for warehouse in both.values():
        store(warehouse, window, ROWS)
        build(warehouse, window)
    if isinstance(lake := both["lake"], Lake):
        lake.maintain(KEPT)
    asked = rounds(both, lambda warehouse: ask(warehouse, today))
    return pair(f"month to date among {asked_rows:,} rows, {TIMES} times", *asked)


def figure_of_backfill(url: str, server: str, folder: Path, days: int) -> Figure:
    """A backfill of one connection, with everything that it starts."""
    window = Window(utc_today() - DAY * days, utc_today() - DAY)
    took: dict[str, float] = {}
    both = new(server, folder)
    for name, warehouse in both.items():
        home = folder / name
        home.mkdir(parents=True)
        settings = make_home(home, url, "ANTHROPIC") | {"USAGE_WAREHOUSE": warehouse.database}
        if isinstance(warehouse, Lake):
            settings["USAGE_WAREHOUSE_DATA"] = warehouse.data
        span = ["--start", str(window.first), "--end", str(window.last)]
        took[name] = run(usage_assets("backfill", *span, "--connection", "anthropic"), home, settings).cpu
    same(both, "select table_name, usage_date, content_hash from ledger.stored_days order by all")
    return pair(f"a backfill of {days} days of a connection", [took["lake"]], [took["file"]])


def rounds(both: Both, work: Callable[[Warehouse], object]) -> tuple[list[float], list[float]]:
    """The CPU time of some work, on the lake and on the file, in turn."""
    took: dict[str, list[float]] = {name: [] for name in both}
    for _ in range(ROUNDS):
        for name, warehouse in both.items():
            took[name].append(cpu_of(partial(work, warehouse)))
    return took["lake"], took["file"]


def pair(name: str, lake: list[float], file: list[float]) -> Figure:
    note = f"CPU time; {median(file):.3g} s on a file: {median(lake) / median(file):.1f} times as much"
    return Figure(name=name, ours=median(lake), unit="s", note=note)


def same(both: Both, query: str) -> None:
    """Raises RuntimeError where the two answer differently."""
    if both["lake"].read(query) != both["file"].read(query):
        raise RuntimeError(f"the lake and the file differ: {query}")
