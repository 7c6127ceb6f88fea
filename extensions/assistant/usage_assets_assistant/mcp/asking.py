"""Questions in SQL, and what they may be about."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
from mcp_types import CallToolResult

from usage_assets.core.errors import first_line
from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.readable import FAILED, without_version
from usage_assets.warehouse.values import listed
from usage_assets_assistant.mcp.answers import Answer, Column, Page, Row, Table, about, cleaned, paged
from usage_assets_assistant.mcp.freshness import freshness, stored_days
from usage_assets_assistant.mcp.store import Opened
from usage_assets_assistant.query.command import behind_of
from usage_assets_assistant.query.guard import amounts_of
from usage_assets_assistant.query.money import shared_by

MOST_OF_QUERY = 5_000
"""Rows that a query may have, on all pages."""
UNVALUED = """
select currency, min(usage_date), max(usage_date)
from {catalog}.costs.daily_costs
where cost_basis = 'billed' and amount_usd is null and native_amount <> 0 and currency is not null
group by currency
order by currency
"""
COMMENTS = """
select lower(schema_name), lower(table_name), comment from duckdb_tables() where database_name = $catalog
union all
select lower(schema_name), lower(view_name), comment from duckdb_views() where database_name = $catalog
"""
OF_COLUMNS = """
select column_name, comment
from duckdb_columns()
where database_name = $catalog and lower(schema_name) = $schema and lower(table_name) = $name
"""


@paged
def query(opened: Opened, page: Page, sql: str) -> CallToolResult:
    """Answer one SELECT, with what each of its amounts is. Raises WarehouseError for one that is refused."""
    with opened.seen() as database:
        opened.allow(sql)
        amounts = amounts_of(database, sql, opened.allow)
        try:
            answer = database.execute(sql)
            columns = [(name, str(type_)) for name, type_, *_ in answer.description or ()]
            found = answer.fetchmany(MOST_OF_QUERY + 1)
        except duckdb.InterruptException:
            raise
        except FAILED as error:
            raise WarehouseError(first_line(error)) from None
        unvalued = database.execute(UNVALUED.format(catalog=opened.catalog)).fetchall() if amounts else []
    with opened.stored() as database:
        behind = behind_of(database, sql)
    rows = [[cleaned(value) for value in row] for row in found[:MOST_OF_QUERY]]
    notes = [f"the query has more than {MOST_OF_QUERY} rows: group or filter"] if len(found) > MOST_OF_QUERY else []
    described = [_column(name, type_, amounts.get(n, {})) for n, (name, type_) in enumerate(columns)]
    if unvalued and any(each.unit == "USD" for each in described):
        without = listed((f"{currency} from {first} to {last}" for currency, first, last in unvalued), 10)
        notes.append(f"dollars leave out what is billed without an exchange rate: {without} (native_amount has it)")
    notes += [behind] if behind else []
    table = Table(
        sentence=f"{len(rows)} rows." if rows else f"No row fits. {_days(opened)}",
        columns=described,
        rows=[],
        row_count=len(rows),
        freshness=freshness(opened),
        notes=notes,
    )
    return page.put(table, rows)


def _column(name: str, type_: str, shared: Mapping[str, Sequence[str]]) -> Column:
    return Column(
        name=cleaned(name) or "",
        type=type_,
        unit=next(iter(shared.get("unit", ())), None),
        shares={key: [cleaned(each) or "" for each in found] for key, found in shared.items()},
    )


def _days(opened: Opened) -> str:
    first, last = stored_days(opened)
    return f"Costs are stored from {first} to {last}."


@paged
def describe(opened: Opened, page: Page, table: str | None) -> CallToolResult:
    """Answer with the tables and views that can be asked for, or the columns of one of them."""
    rows = _columns(opened, table.lower()) if table else _tables(opened)
    first, last = stored_days(opened)
    what = f"Columns of {cleaned(table)}" if table else "Tables and views that query can read"
    answer = Answer(
        sentence=f"{what}. Costs are stored from {first} to {last}, UTC. Shown here: {opened.sight.in_words}.",
        first=first,
        last=last,
        freshness=freshness(opened),
        notes=["each of costs.by_*, daily_costs* and allocated_costs* contains every cost exactly once: choose one"],
    )
    return page.put(answer, rows)


def _tables(opened: Opened) -> list[Row]:
    with opened.stored() as database:
        comments = {
            (schema, name): without_version(comment) or None
            for schema, name, comment in database.execute(COMMENTS, {"catalog": opened.catalog}).fetchall()
        }
    return [
        Row(about=about(table=".".join(relation), contains=comments.get(relation), columns=len(columns)))
        for relation, columns in sorted(opened.offered.items())
    ]


def _columns(opened: Opened, table: str) -> list[Row]:
    schema, _, name = table.partition(".")
    known = opened.offered.get((schema, name))
    if known is None:
        raise WarehouseError(f"{cleaned(table)}: is not offered; describe without a table lists those that are")
    parameters: dict[str, Any] = {"catalog": opened.catalog, "schema": schema, "name": name}
    with opened.stored() as database:
        comments = dict(database.execute(OF_COLUMNS, parameters).fetchall())
    return [
        Row(
            about=about(
                column=column,
                type=type_,
                contains=comments.get(column),
                never_add_several=", ".join(each for each in shared_by(table, column.lower()) if each in known) or None,
            )
        )
        for column, type_ in known.items()
    ]
