"""72 million billed rows: 200 connections with 12,000 rows a day each, for 30 days. On a lake and on a file.

One connection is loaded as a run does it, each step in a process of its own. The others are copies of its rows, made in
SQL. Then the month is asked for by team, and exported. PostgreSQL's own CPU time is not counted.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import dagster as dg
import duckdb

from benchmarks.commands import PYTHON_PATH, Took, run, usage_assets
from benchmarks.figures import ROUNDS, Figure
from benchmarks.growth import ENTRY
from benchmarks.server import running
from usage_assets.automation.jobs import USAGE_JOB, range_tags
from usage_assets.build import build_definitions
from usage_assets.config.settings import Settings
from usage_assets.core.days import DAY, Window, utc_today
from usage_assets.models.costs import AllocatedCost, AllocatedCostSums, DailyCost, DailyCostSums
from usage_assets.providers import PROVIDERS
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import VERSIONS
from usage_assets.warehouse.opened import warehouse_at
from usage_assets_lake.move.copying import attach
from usage_assets_tests.postgres import lake_of, running_postgres

ROWS_A_DAY = 12_000
PEOPLE = 200
"""Of a connection, with a project and a key each."""
DAYS = 30
SMALL = 240_000
ALLOWED_CPU_SECONDS = 20
"""For a million rows: 50,000 a second."""
ALLOWED_MIB = 1536
ALLOWED_SECONDS = 1
STEPS: Mapping[str, tuple[str, ...]] = {
    "fetched and stored": ("openai", "costs"),
    "derived": ("openai", "costs", "daily_costs"),
    "allocated": ("openai", "costs", "allocated_costs"),
}
COPIED = (*(row.table for row in (Costs, DailyCost, DailyCostSums, AllocatedCost, AllocatedCostSums)), VERSIONS.name)
BY_TEAM = """
select team, currency, sum(amount_usd) as amount_usd
from costs.by_team
where cost_basis = 'billed' and usage_date between $first and $last
group by all
order by all
"""
TOTALS = """
select
  count(*) as rows,
  sum(amount_usd) as usd,
  (select sum(amount_usd) from costs.by_team where usage_date between $first and $last) as usd_of_teams
from costs.allocated_costs
"""


def figures(days: int, rows: int = SMALL, rows_a_day: int = ROWS_A_DAY) -> Iterator[Figure]:
    """Each step of so many rows, of at most DAYS days. Raises RuntimeError where a row is lost."""
    last = utc_today() - DAY
    window = Window(last - DAY * (min(days, DAYS, max(1, rows // rows_a_day // 2)) - 1), last)
    copies = rows // (rows_a_day * len(window.days)) - 1
    with (
        running("benchmarks.server", "--rows", str(rows_a_day), "--people", str(PEOPLE)) as url,
        running_postgres() as server,
    ):
        for kind in ("lake", "file"):
            with TemporaryDirectory() as folder:
                home = Path(folder)
                place = lake_of(server, home) if kind == "lake" else {"USAGE_WAREHOUSE": str(home / "usage.duckdb")}
                environment = {**place, "PYTHONPATH": PYTHON_PATH, **configured(home, url)}
                yield from figures_of(kind, home, environment, window, rows_a_day, copies)


def configured(home: Path, url: str) -> dict[str, str]:
    """Write a connections file of one organization with nothing but costs, and owners; return its variables."""
    off = ", ".join(f"{each.name} = false" for each in PROVIDERS["openai"].endpoints if each.row is not Costs)
    owners = "".join(f'[[owner]]\nproject = "proj_{n}"\nteam = "team {n % 40}"\n' for n in range(0, PEOPLE, 2))
    connections = home / "connections.toml"
    connections.write_text(f"{ENTRY.format('openai', 'openai', 0, url)}endpoints = {{ {off} }}\n{owners}")
    return {"USAGE_CONNECTIONS": str(connections), "KEY_0": "sk-admin-made-up"}


def figures_of(
    kind: str, home: Path, environment: Mapping[str, str], window: Window, rows_a_day: int, copies: int
) -> Iterator[Figure]:
    """Load a connection, copy it so many times, load its last week again, ask and export."""
    rows = rows_a_day * len(window.days)
    for step in STEPS:
        yield from loaded(f"{kind}: {rows:,} rows {step}", step, home, environment, window, rows)
    if copies:
        step_of("copied", home, environment, window, str(copies))
    if copies > 1:
        week = Window(max(window.first, window.last - DAY * 6), window.last)
        of_week = rows_a_day * len(week.days)
        for step in STEPS:
            yield from loaded(f"{kind}: a week of them again, {step}", step, home, environment, week, of_week)
    asked = step_of("asked", home, environment, window)
    *seconds, counted, usd, of_teams = asked.output.splitlines()[-1].split()
    if int(counted) != rows * (copies + 1) or usd != of_teams:
        raise RuntimeError(f"{counted} rows of {usd} are stored, not {rows * (copies + 1)}; teams have {of_teams}")
    yield Figure.of_rounds(
        [(float(each), ALLOWED_SECONDS) for each in seconds],
        name=f"{kind}: the month by team, of {int(counted):,} rows",
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note=f"wall time, DuckDB's threads; {asked.mib:.0f} MiB",
    )
    days = ["--start", str(window.first), "--end", str(window.last), "--out", str(home / "focus.parquet")]
    exported = run(usage_assets("export", "focus", *days), home, environment)
    yield from took(f"{kind}: {int(counted):,} rows exported", exported, int(counted))


def loaded(
    name: str, step: str, home: Path, environment: Mapping[str, str], window: Window, rows: int
) -> Iterator[Figure]:
    """What a step of the load takes, without the imports."""
    done = step_of(step, home, environment, window)
    yield from took(name, replace(done, cpu=float(done.output.splitlines()[-1])), rows)


def step_of(step: str, home: Path, environment: Mapping[str, str], window: Window, *arguments: str) -> Took:
    """Run a step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.volume", step, str(window.first), str(window.last), *arguments]
    return run(command, home, environment)


def took(name: str, step: Took, rows: int) -> Iterator[Figure]:
    """CPU time of a million rows, and peak memory."""
    yield Figure(
        name=name,
        ours=step.cpu / rows * 1_000_000,
        theirs=ALLOWED_CPU_SECONDS,
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note=f"CPU time of a million rows; {rows / step.cpu:,.0f} rows a CPU second, {step.cpu:.1f} s",
    )
    yield Figure(name=name, ours=step.mib, theirs=ALLOWED_MIB, unit="MiB", demanded=1, note="peak memory")


def materialize(settings: Settings, step: str, window: Window) -> None:
    """Materialize an asset's days in this process."""
    with dg.DagsterInstance.ephemeral() as instance:
        build_definitions(settings).resolve_job_def(USAGE_JOB).execute_in_process(
            asset_selection=[dg.AssetKey(STEPS[step])],
            tags=range_tags(window.first, window.last),
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
            instance=instance,
        )


def copy(warehouse: Warehouse, copies: int) -> None:
    """Make other connections of the rows of this one: other people, projects and keys, the same amounts."""
    for n in range(copies):
        with warehouse.transaction() as database:
            for table in COPIED:
                columns = {name for name, *_ in database.execute(f"describe {table}").fetchall()}
                others = "".join(
                    f", {name} || '{n}' as {name}"
                    for name in ("user_id", "project_id", "api_key_id")
                    if name in columns
                )
                of_costs = " and list_contains($tables, table_name)" if table == VERSIONS.name else ""
                select = f"select * replace ('copy_{n}' as connection{others}) from {table}"  # noqa: S608 - declared
                database.execute(
                    f"insert into {table} by name {select} where connection = 'openai'{of_costs}",
                    {"tables": [*COPIED]} if of_costs else {},
                )


def ask(warehouse: Warehouse, window: Window) -> str:
    """Seconds of each round, rows, their dollars, those of all teams."""
    with duckdb.connect() as database:
        attach(database, warehouse, "usage", read_only=True)
        database.execute("use usage; set TimeZone = 'UTC'")
        days = {"first": window.first, "last": window.last}
        seconds = []
        for _ in range(ROUNDS):
            began = perf_counter()
            database.execute(BY_TEAM, days).fetchall()
            seconds.append(perf_counter() - began)
        [totals] = database.execute(TOTALS, days).fetchall()
    return " ".join(map(str, (*seconds, *totals)))


def main() -> None:
    """One step, on the warehouse of this environment."""
    step, first, last, *arguments = sys.argv[1:]
    settings = Settings.load(_env_file=None)
    warehouse = warehouse_at(settings.warehouse)
    window = Window(date.fromisoformat(first), date.fromisoformat(last))
    if step in STEPS:
        began = process_time()
        materialize(settings, step, window)
        print(process_time() - began)
    elif step == "copied":
        copy(warehouse, int(*arguments))
    else:
        print(ask(warehouse, window))


if __name__ == "__main__":
    main()
