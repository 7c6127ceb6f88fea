"""Writes a company into a warehouse: costs, their sums, and each version of each day as the product records it.

``Warehouse.replace`` takes 20 ms a write and a company has thousands. ``test_games.py`` compares one company with what
``Warehouse.replace`` writes.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa

from usage_assets.core.schema import TableRow
from usage_assets.models.costs import (
    ALLOCATIONS,
    COSTS,
    VIEWS,
    AllocatedCost,
    AllocatedCostSums,
    DailyCost,
    DailyCostSums,
)
from usage_assets.models.model import money_seed
from usage_assets.warehouse.database import LEDGERS
from usage_assets.warehouse.ledger import VIEWS as LEDGER_VIEWS
from usage_assets.warehouse.ledger import PartitionVersion
from usage_assets.warehouse.migrate import create_or_alter, write_seed
from usage_assets.warehouse.readable import SESSION
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.views import make_views
from usage_assets_report_tests.insights.books import (
    CREDITS,
    ONE,
    REPORTS,
    Books,
    Company,
    Fetch,
    Line,
    Share,
    Source,
    added,
    split,
    times,
)

FILLED = (DailyCost, AllocatedCost, DailyCostSums, AllocatedCostSums, PartitionVersion)
EMPTY = hashlib.sha256().hexdigest()
WORST = ("settled", "provisional", "open")
STATES = """
select connection, usage_date, list(distinct state)
from ledger.day_states
where list_contains($tables, table_name)
group by connection, usage_date
"""


COPIED = (
    *("costs.allocated_costs_named", "costs.counted_costs", "costs.names", "costs.usage", "costs.usage_by_model"),
    *("ledger.compared_versions", "ledger.day_states", "models.names"),
)
"""Views that are read several times. Their rows are in tables: to plan them takes most of the time of a company."""
NAMED = """
select schema_name, table_name from duckdb_tables() where database_name = 'memory' and not temporary
union
select schema_name, view_name from duckdb_views() where database_name = 'memory' and not internal
"""


def new_database() -> duckdb.DuckDBPyConnection:
    """An empty warehouse in memory, with the tables and views that costs have, and another one that shows its rows."""
    database = duckdb.connect(config={"threads": 1})
    database.execute(SESSION)
    for table in (*LEDGERS, *(Table(row) for row in FILLED)):
        create_or_alter(database, table)
    make_views(database, (*LEDGER_VIEWS, *VIEWS))
    database.execute("attach ':memory:' as shown")
    for schema, name in database.execute(NAMED).fetchall():
        database.execute(f"create schema if not exists shown.{schema}")
        if f"{schema}.{name}" not in COPIED:
            database.execute(f"create view shown.{schema}.{name} as from memory.{schema}.{name}")
    return database


def store(company: Company, database: duckdb.DuckDBPyConnection) -> Books:
    """Replace what the warehouse holds by a company, and show it."""
    database.execute("use memory")
    for row in FILLED:
        database.execute(f"delete from {row.table}")
    write_seed(database, money_seed(company.accounting))
    costs = [*rows_of(company)]
    insert(database, DailyCost, [daily_cost(company, *each) for each in costs])
    parts = [part for each in costs if REPORTS[each[0].table].is_allocated for part in allocated_costs(company, *each)]
    insert(database, AllocatedCost, parts)
    for models in (COSTS, ALLOCATIONS):
        assert models[0].sums
        sums, query = models[0].sums
        database.execute(f"insert into {sums.table} by name {query}")
    insert(database, PartitionVersion, [version for source in company.sources for version in versions(company, source)])
    billed = [table for table, report in REPORTS.items() if report.is_billed]
    for view in COPIED:
        database.execute(f"create or replace table shown.{view} as from memory.{view}")
    database.execute("use shown")
    states = database.execute(STATES, {"tables": billed}).fetchall()
    return Books(
        company=company,
        states={(connection, day): max(found, key=WORST.index) for connection, day, found in states},
    )


def insert(database: duckdb.DuckDBPyConnection, row: type[TableRow], rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows; a column that is not named is null."""
    schema = Table(row).arrow_schema
    columns = {name: [each.get(name) for each in rows] for name in schema.names}
    database.register("inserted", pa.table(columns, schema=schema))
    database.execute(f"insert into {row.table} by name select * from inserted")
    database.unregister("inserted")


def rows_of(company: Company) -> Iterator[tuple[Line, date, Decimal, Decimal | None]]:
    """Yield what each line costs on each stored day: amount, and dollars if they are known."""
    for line in company.lines:
        source = company.source(line.connection, line.table)
        stored = {*source.days}
        for day, final in line.amounts.items():
            if day in stored:
                amount = times(final, source.stored(day))
                yield line, day, amount, company.dollars(line, amount, day)


def common(company: Company, line: Line, day: date, dollars: Decimal | None) -> dict[str, Any]:
    found = {
        "connection": line.connection,
        "usage_date": day,
        "provider": line.table.partition(".")[0],
        "source_table": line.table,
        "native_unit": line.native_unit,
        "currency": line.currency,
        "usd_reason": "no rate" if dollars is None else None,
        "model": line.model,
        "project_id": line.project,
        "workspace_id": line.workspace,
        "line_item": line.item,
    }
    return found | {"charge_frequency": line.frequency}


def daily_cost(company: Company, line: Line, day: date, amount: Decimal, dollars: Decimal | None) -> Mapping[str, Any]:
    is_shared = bool(line.shares)
    return common(company, line, day, dollars) | {
        "cost_basis": CREDITS if line.currency is None else line.basis,
        "native_amount": line.native(amount),
        "amount_usd": dollars,
        "user_id": None if is_shared else line.user,
        "api_key_id": None if is_shared else line.api_key,
        "grouped_by": "",
    }


def allocated_costs(
    company: Company, line: Line, day: date, amount: Decimal, dollars: Decimal | None
) -> Iterator[Mapping[str, Any]]:
    shares = line.shares or (Share(line.user, line.api_key, 100),)
    for share, part, part_usd in zip(shares, split(amount, shares), split(dollars, shares), strict=True):
        assert part is not None
        by_use = {"allocation": "tokens", "units": share.hundredths, "all_units": 100}
        stated = {"allocation": "stated" if line.user or line.api_key else "unattributed"}
        yield (
            common(company, line, day, dollars)
            | (by_use if line.shares else stated)
            | {
                "native_amount": line.native(part),
                "amount_usd": part_usd,
                "user_id": share.user,
                "api_key_id": share.api_key,
                "billed_amount": line.native(amount),
            }
        )


def versions(company: Company, source: Source) -> Iterator[Mapping[str, Any]]:
    """Yield the versions of a source's days: those of the raw table, and of what is derived from each."""
    report = REPORTS[source.table]
    lines = [line for line in company.lines if (line.connection, line.table) == (source.connection, source.table)]
    of_day: dict[date, list[Line]] = defaultdict(list)
    for line in lines:
        for day in line.amounts:
            of_day[day].append(line)
    for day in source.days:
        billed = of_day[day]
        fetches = source.fetches(day)
        for table, part, delay in (
            (source.table, "", 0),
            ("costs.daily_costs", source.table, 1),
            *((("costs.allocated_costs", source.table, 2),) if report.is_allocated else ()),
        ):
            yield from versions_of_day(company, source, day, billed, fetches, table, part, delay)


def versions_of_day(
    company: Company,
    source: Source,
    day: date,
    lines: Collection[Line],
    fetches: Sequence[Fetch],
    table: str,
    part: str,
    delay: int,
) -> Iterator[Mapping[str, Any]]:
    hash_before = run = None
    content_version = 0
    known: dict[str, tuple[Mapping[str, str | None], Mapping[str, str]]] = {}
    for number, fetch in enumerate(fetches, 1):
        content = source.content(day, fetch.at)
        text = f"{source.table} {day} {content}"
        content_hash = hashlib.sha256(text.encode()).hexdigest() if lines else EMPTY
        changed = content_hash != hash_before
        run = f"run-{number}" if changed else run
        content_version = number if changed else content_version
        billed = str(source.billed(day, fetch.at))
        if billed not in known:
            known[billed] = totals_of(company, source, day, lines, fetch.at, table)
        totals, units = known[billed]
        yield {
            "connection": source.connection,
            "usage_date": day,
            "table_name": table,
            "slice": part,
            "version": number,
            "content_hash": content_hash,
            "changed": changed,
            "changed_run_id": run,
            "row_count": len(lines),
            "day_totals": json.dumps(totals, separators=(",", ":")),
            "total_units": json.dumps(units, separators=(",", ":")),
            "is_open": fetch.is_open,
            "settling_days": None if part else source.settling_days,
            "question": None if part else ("all of it" if source.is_anew(fetch.at) else "the question"),
            "inputs": inputs(source, table, content_version) if part else None,
            "has_sums": True if part else None,
            "run_id": f"run-{number}",
            "written_at": fetch.at + timedelta(minutes=delay),
        }
        hash_before = content_hash


def inputs(source: Source, table: str, content_version: int) -> str:
    """What a derived day was computed from; both tables change whenever the raw one does."""
    read = source.table if table == DailyCost.table else f"{DailyCost.table}/{source.table}"
    return json.dumps({read: f"{content_version}", "query": "0123456789ab"}, separators=(",", ":"))


def totals_of(
    company: Company, source: Source, day: date, lines: Collection[Line], at: datetime, table: str
) -> tuple[Mapping[str, str | None], Mapping[str, str]]:
    """What a day's rows add up to, and the units: of the raw table by currency, of a derived one by basis."""
    row = {each.table: each for each in (DailyCost, AllocatedCost)}.get(table, REPORTS[source.table].row)
    declared = {name: total for name, total in Table(row).totals.items() if not total.by}
    units = {name: total.unit for name, total in declared.items()}
    if not lines:
        return {}, units
    amounts: dict[str, list[Decimal]] = defaultdict(list)
    for line in lines:
        amount = times(line.amounts[day], source.billed(day, at))
        if table == source.table:
            for name, unit in raw_names(line):
                amounts[name].append(line.native(amount))
                units[name] = unit
            continue
        if line.currency is None and table == DailyCost.table:
            amounts["credits"].append(amount)
        usd = company.dollars(line, amount, day)
        if usd is not None and line.currency:
            amounts[f"{line.basis}_usd"].append(usd)
            if table == AllocatedCost.table and not (line.shares or line.user or line.api_key):
                amounts["unattributed_usd"].append(usd)
    totals = dict.fromkeys(units)
    if "line_items_unparsed" in totals and source.table == "openai.costs":
        totals["line_items_unparsed"] = "0"
    return totals | {name: f"{times(added(each), ONE):f}" for name, each in amounts.items()}, units


def raw_names(line: Line) -> Iterator[tuple[str, str]]:
    """Yield the totals of a raw table that count a line, with their units."""
    report = REPORTS[line.table]
    if line.currency is None:
        yield "credits", "credits"
    elif line.currency == "USD":
        yield from ((name, "cents" if report.in_cents else "USD") for name in report.in_dollars)
    else:
        unit = f"minor units of {line.currency}" if report.in_cents else line.currency
        yield f"{report.in_others}_{line.currency.lower()}", unit
