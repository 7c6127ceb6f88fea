"""The report of a large company: five years, 40,000 people, 2,000 models and as many projects, in three connections.

The rows are made in SQL: everybody uses something on every second of the last DENSE days, and on one of 20 days before.
The command makes the page of the last whole month and Chromium opens it.
"""

import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import duckdb
from playwright.sync_api import sync_playwright

from benchmarks.commands import DATABASE, PYTHON_PATH, Took, run, usage_assets
from benchmarks.figures import ROUNDS, Figure
from usage_assets.config.accounting import Accounting, Owner
from usage_assets.core.days import DAY, Window, utc_today
from usage_assets.models.costs import ALLOCATIONS, COSTS, VIEWS, AllocatedCost, DailyCost
from usage_assets.models.due import VIEWS as DUE
from usage_assets.models.model import money_seed
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.lookups import OpenaiUsers, ProjectApiKeys, Projects
from usage_assets.providers.openai.usage import UsageCompletions
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import VERSIONS, FailedCheck
from usage_assets.warehouse.ledger import VIEWS as LEDGER
from usage_assets.warehouse.migrate import create_or_alter, write_seed
from usage_assets.warehouse.published import publish
from usage_assets.warehouse.readable import ONE_THREAD
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.views import make_views
from usage_assets_report.insights.compute import compute
from usage_assets_report.insights.stated import Stated

YEARS = 5
PEOPLE, NAMES, CONNECTIONS, TEAMS = 40_000, 2_000, 3, 40
DENSE = 62
"""The last days: the month of the page and the one before."""
ALLOWED_CPU_SECONDS, ALLOWED_SECONDS, ALLOWED_MB = 8, 2, 4
ALLOWED_OF_RANGES = 2
"""How many times as long all ranges of the page may take as its own days alone."""
ALLOWED_INSIGHTS_SECONDS = 6
BROWSER = ("chromium", "chromium-browser", "google-chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
MADE_UP = """
create temp table made_up as
select
  'acme_' || person % $connections as connection,
  day::date as usage_date,
  'user-' || person as user_id,
  'key_' || person as api_key_id,
  'proj_' || person % $names as project_id,
  'model-' || (person * 7 + day_number) % $names as model,
  if(person % 2 = 0, 'input', 'output') as usage_type,
  model || ', ' || usage_type as line_item,
  ((hash(person, day_number) % 1000000)::decimal(18, 0) * 0.0000100)::decimal(38, 24) as amount
from (
  select day, row_number() over (order by day) as day_number, day > $last::date - $dense as is_dense
  from generate_series($first::timestamp, $last::timestamp, interval 1 day) as days(day)
)
join range($people) as people(person) on (person + day_number) % if(is_dense, 2, 20) = 0
"""
COST = """
select
  connection,
  usage_date,
  'openai' as provider,
  'openai.costs' as source_table,
  'billed' as cost_basis,
  amount as native_amount,
  'dollars' as native_unit,
  'USD' as currency,
  amount as amount_usd,
  model,
  usage_type,
  project_id,
  user_id,
  api_key_id,
  line_item,
  'line_item,project_id,api_key_id,user_id' as grouped_by,
  'stated' as allocation,
  amount as billed_amount
from made_up
"""
COMPLETIONS = """
select
  connection,
  usage_date,
  project_id,
  user_id,
  api_key_id,
  model,
  1 as num_model_requests,
  (amount * 10000)::bigint as input_tokens,
  (amount * 1000)::bigint as output_tokens,
  'project_id,user_id,api_key_id,model' as grouped_by
from made_up
"""
VERSION = """
select distinct
  connection,
  usage_date,
  table_name,
  slice,
  1 as version,
  '' as content_hash,
  true as changed,
  '' as changed_run_id,
  1 as row_count,
  '{}' as day_totals,
  false as is_open,
  settling as settling_days,
  inputs,
  slice <> '' as has_sums,
  '' as run_id,
  now() as written_at
from made_up
cross join (
  values
    ('openai.costs', '', 7, null),
    ('openai.usage_completions', '', 7, null),
    ('costs.daily_costs', 'openai.costs', null, '{"openai.costs": "1"}'),
    ('costs.allocated_costs', 'openai.costs', null, '{"costs.daily_costs/openai.costs": "1"}')
) as written (table_name, slice, settling, inputs)
"""
NAME = """
select
  'acme_' || number % {connections} as connection,
  '{prefix}' || number as id,
  '{called}' || number as name,
  timestamptz '2020-01-01' as valid_from
from range({count}) as numbers(number)
"""


def figures(days: int) -> Iterator[Figure]:
    """The page of a company that exists for so many years of ``days``."""
    yield from figures_of(days * YEARS, PEOPLE, NAMES)


def figures_of(days: int, people: int, names: int) -> Iterator[Figure]:
    """What the estimates and the page take. Raises RuntimeError where the page's sums are not those of the bill."""
    last = utc_today() - DAY
    window = Window(last - DAY * (days - 1), last)
    with TemporaryDirectory() as folder:
        home = Path(folder)
        filled = step_of("filled", home, window, people, names)
        rows = int(filled.output.split()[-1])
        watched = step_of("watched", home, window)
        yield Figure(
            name=f"insights of {rows:,} rows",
            ours=float(watched.output.split()[-1]),
            theirs=ALLOWED_INSIGHTS_SECONDS,
            unit="s",
            demanded=1,
            is_at_factor_1=True,
            note=f"CPU time; {watched.mib:.0f} MiB",
        )
        yield from figures_of_page(home, window, rows)


def figures_of_page(home: Path, window: Window, rows: int) -> Iterator[Figure]:
    """What the page takes to be made and to be opened."""
    first = max(window.first, window.last - DAY * 29)
    days = ("--start", str(first), "--end", str(window.last))
    one = run(usage_assets("report", *days, "--text"), home, environment_of(home))
    made = run(usage_assets("report", *days, "--out", str(home / "report.html")), home, environment_of(home))
    yield Figure(
        name=f"report of {rows:,} rows",
        ours=one.cpu,
        theirs=ALLOWED_CPU_SECONDS,
        unit="s",
        demanded=1,
        is_at_factor_1=True,
        note=f"CPU time of the command with --text; {one.wall:.1f} s, {one.mib:.0f} MiB",
    )
    yield Figure(
        name="report: a page of all ranges",
        ours=made.cpu,
        theirs=ALLOWED_OF_RANGES * one.cpu,
        unit="s",
        demanded=1,
        note=f"CPU time of the command; {made.wall:.1f} s, {made.mib:.0f} MiB",
    )
    size = (home / "report.html").stat().st_size / 1_000_000
    yield Figure(name="report: size", ours=size, theirs=ALLOWED_MB, unit="MB", demanded=1)
    seconds = [(each, float(ALLOWED_SECONDS)) for each in opened(home / "report.html")]
    yield Figure.of_rounds(
        seconds, name="report: interactive", unit="s", demanded=1, is_at_factor_1=True, note="wall time in Chromium"
    )


def opened(page: Path) -> Iterator[float]:
    """Yield the seconds until everything on the page is drawn and can be clicked, a new browser tab each."""
    with sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, BROWSER)), None)
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        for _ in range(ROUNDS):
            tab = browser.new_page(viewport={"width": 1440, "height": 900})
            began = perf_counter()
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-ready]", state="attached")
            yield perf_counter() - began
            tab.close()
        browser.close()


def environment_of(home: Path) -> Mapping[str, str]:
    """The settings of the company."""
    return {"USAGE_WAREHOUSE": str(home / DATABASE), "PYTHONPATH": PYTHON_PATH}


def step_of(step: str, home: Path, window: Window, *numbers: int) -> Took:
    """Run a step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.report", step, str(window.first), str(window.last)]
    return run([*command, *map(str, numbers)], home, environment_of(home))


def fill(warehouse: Warehouse, window: Window, people: int, names: int, connections: int = CONNECTIONS) -> int:
    """Store what everybody has used, with sums, versions and names; return how many rows of costs there are."""
    owners = [Owner(project=f"proj_{n}", team=f"team {n % TEAMS}") for n in range(0, names, 2)]
    lookups = ((OpenaiUsers, "user-", "Person ", people), (Projects, "proj_", "Project ", names))
    with warehouse.transaction() as database:
        for row in (DailyCost, AllocatedCost, Costs, UsageCompletions, FailedCheck, *(each for each, *_ in lookups)):
            create_or_alter(database, Table(row))
        create_or_alter(database, VERSIONS)
        create_or_alter(database, Table(ProjectApiKeys))
        write_seed(database, money_seed(Accounting(owners=owners)))
        asked = {"first": window.first, "last": window.last, "people": people, "names": names}
        database.execute(MADE_UP, {**asked, "connections": connections, "dense": DENSE})
        for table, query in ((DailyCost, COST), (AllocatedCost, COST), (UsageCompletions, COMPLETIONS)):
            insert(database, table.table, query)
        for model in (*COSTS, *ALLOCATIONS):
            if model.part == Costs.table and model.sums:
                summed, query = model.sums
                create_or_alter(database, Table(summed))
                insert(database, summed.table, query)
        insert(database, VERSIONS.name, VERSION)
        for lookup, prefix, called, count in (*lookups, (ProjectApiKeys, "key_", "Key ", people)):
            query = NAME.format(prefix=prefix, called=called, count=count, connections=connections)
            insert(database, lookup.table, query)
        make_views(database, (*LEDGER, *VIEWS, *DUE))
        [(rows,)] = database.execute("select count(*) from costs.daily_costs").fetchall()
    publish(warehouse)
    return int(rows)


def insert(database: duckdb.DuckDBPyConnection, table: str, query: str) -> None:
    """Insert the columns of a query that a table has."""
    known = {name for name, *_ in database.execute(f"describe {table}").fetchall()}
    names = ", ".join(name for name, *_ in database.execute(f"describe {query}").fetchall() if name in known)
    database.execute(f"insert into {table} by name select {names} from ({query})")  # noqa: S608 - declared


def watch(warehouse: Warehouse, newest: date) -> float:
    """Store forecasts and anomalies; return the CPU seconds that they take."""
    began = process_time()
    with warehouse.reading() as database:
        database.execute(ONE_THREAD)
        found = compute(database, Stated(), newest, newest + DAY)
    with warehouse.transaction() as database:
        write_seed(database, found.seed(datetime.now(UTC)))
    took = process_time() - began
    publish(warehouse)
    return took


def main() -> None:
    """One step, on the warehouse of this folder."""
    step, first, last, *numbers = sys.argv[1:]
    warehouse = Warehouse(database=str(Path.cwd() / DATABASE))
    window = Window(date.fromisoformat(first), date.fromisoformat(last))
    print(fill(warehouse, window, *map(int, numbers)) if step == "filled" else watch(warehouse, window.last))


if __name__ == "__main__":
    main()
