"""What the costs of a large organization take: 5,000 billed rows a day made into ``costs.daily_costs``, and asked for.

The table is written as its asset writes it, in ranges of a run: query, insert, grain, totals and hashes are in the
figure, Dagster is not. The raw rows are there already.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import duckdb

from benchmarks.figures import Figure, cpu_of
from usage_assets.core.days import DAY, MOST_DAYS, Window, windows
from usage_assets.models.costs import COSTS
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch

ROWS = 5_000
ASKED_ROWS = 2_000_000
ALLOWED_CPU_SECONDS = 10
ALLOWED_SECONDS = 0.2
ROUNDS = 9
BILLED = """
select
  'openai' as connection,
  day::date as usage_date,
  'proj_' || lpad((n % 40)::varchar, 20, '0') as project_id,
  'user-' || lpad((n // 40 % 25)::varchar, 20, '0') as user_id,
  null as user_email,
  ['gpt-5, input', 'gpt-5, output', 'o4-mini, input', 'o4-mini, output', 'whisper'][n // 1000 % 5 + 1] as line_item,
  'key_' || lpad((n // 5000)::varchar, 16, '0') as api_key_id,
  null as api_source,
  null as occurrence,
  null as organization_id,
  ('0.' || lpad((hash(n, day) % 10000000000000000)::varchar, 17, '0'))::decimal(38, 24) as amount_value,
  'usd' as amount_currency,
  null::decimal(38, 24) as quantity,
  null as quantity_unit,
  'api_key_id,line_item,project_id,user_id' as grouped_by,
  null as other_fields
from range($first::timestamp, $last::timestamp + interval 1 day, interval 1 day) as days(day), range($rows) as rows(n)
"""
"""So many rows a day: 40 projects of 25 people, five line items, as many keys as it takes."""
MONTH_TO_DATE = """
select project_id, currency, cost_basis, sum(amount_usd) as amount_usd
from costs.daily_costs
where usage_date between date_trunc('month', $today::date) and $today
group by all
order by amount_usd desc
"""


def figures(days: int, rows: int = ROWS, asked_rows: int = ASKED_ROWS) -> Iterator[Figure]:
    """The CPU time of ``days`` days of so many rows, and the wall time of the month to date among ``asked_rows``."""
    today = datetime.now(UTC).date()
    year = Window(today - DAY * (days - 1), today)
    earlier = max(1, -(-asked_rows // rows) - days)
    before = Window(year.first - DAY * earlier, year.first - DAY)
    with TemporaryDirectory() as folder:
        warehouse = Warehouse(database=str(Path(folder, "usage.duckdb")))
        for window in (before, year):
            store(warehouse, window, rows)
        build(warehouse, before)
        seconds = cpu_of(lambda: build(warehouse, year))
        yield Figure(
            name=f"daily_costs: {days} days of {rows:,} rows",
            ours=seconds,
            theirs=ALLOWED_CPU_SECONDS,
            unit="s",
            demanded=1,
            is_at_factor_1=True,
            note="CPU time; theirs: what is allowed",
        )
        stored, took = ask(warehouse, today)
    if stored != rows * (days + earlier):
        raise RuntimeError(f"{stored} rows were stored, {rows * (days + earlier)} were billed")
    yield Figure.of_rounds(
        [(each, ALLOWED_SECONDS) for each in took],
        scale=1000,
        name=f"month to date among {stored:,} rows",
        unit="ms",
        demanded=1,
        is_at_factor_1=True,
        note="wall time; theirs: what is allowed",
    )


def store(warehouse: Warehouse, window: Window, rows: int) -> None:
    """Store billed rows as their asset does, a month at a time."""
    table = Table(Costs)
    with duckdb.connect() as generator:
        generator.execute("set TimeZone = 'UTC'")
        for month in windows(window.days, 31):
            bounds = {"first": month.first, "last": month.last, "rows": rows}
            billed = fetch_arrow(generator.execute(BILLED, bounds)).cast(table.arrow_schema)
            answer = Batch(rows=billed, began=datetime.now(UTC))
            warehouse.replace(table, answer, Slice("openai", month.first, month.last), "benchmark")


def build(warehouse: Warehouse, window: Window) -> None:
    """Make the costs of the days, a run's days at a time."""
    (billed,) = (derived for derived in COSTS if derived.part == Costs.table)
    for part in windows(window.days, MOST_DAYS):
        target = Slice("openai", part.first, part.last, billed.part)
        warehouse.replace(Table(billed.row), billed.query, target, "benchmark")


def ask(warehouse: Warehouse, today: date) -> tuple[int, list[float]]:
    """How many rows there are, and the seconds that the question takes."""
    with warehouse.get_connection() as connection:
        (counted,) = connection.execute("select count(*) from costs.daily_costs").fetchall()
        took: list[float] = []
        for _ in range(ROUNDS):
            began = perf_counter()
            connection.execute(MONTH_TO_DATE, {"today": today}).fetchall()
            took.append(perf_counter() - began)
    return counted[0], took
