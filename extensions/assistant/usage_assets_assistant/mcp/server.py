"""The tools, prompts and resources, as an assistant sees them. Other modules answer; they are imported when needed."""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Thread
from typing import Annotated

import duckdb
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import Field

from usage_assets.core.errors import UserError, first_line, one_line
from usage_assets.core.warehouse_address import WarehouseAddress
from usage_assets_assistant.mcp import texts
from usage_assets_assistant.mcp.answers import Answer, Table
from usage_assets_assistant.mcp.questions import ROWS, Basis, Before, By, Cursor, Cut, Day, Limit, Only
from usage_assets_assistant.mcp.sight import Sight
from usage_assets_assistant.mcp.store import Store
from usage_assets_assistant.query.untrusted import AGAIN

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
Figures = Annotated[CallToolResult, Answer]
Rows = Annotated[CallToolResult, Table]
Answered = Callable[..., CallToolResult]


def serve(address: WarehouseAddress, sight: Sight) -> None:
    """Serve over stdio until the assistant closes it. Nothing is written, so Ctrl-C may end it in the middle."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    store = Store(address, sight)
    Thread(target=_stop_with_client, args=(store, os.dup(0)), daemon=True).start()
    try:
        server_of(store).run()
    finally:
        store.close()


def _stop_with_client(store: Store, stdin: int) -> None:
    """Interrupt what is being answered when the client has gone: the SDK would wait for it, and drop the answer."""
    client = select.poll()
    client.register(stdin, 0)  # that the other end was closed is always told
    client.poll()
    while True:
        store.interrupt()
        time.sleep(AGAIN)


def server_of(store: Store) -> MCPServer:
    """Return the server of a warehouse. Nothing is opened before the first question."""
    server: MCPServer = MCPServer(
        "usage-assets",
        instructions=f"{texts.INSTRUCTIONS}This assistant is shown: {store.sight.in_words}.",
        log_level="WARNING",
    )
    answered = answers_of(store)
    for add in (add_money, add_economics, add_insights, add_evidence):
        add(server, answered)
    add_query(server, store)
    for prompt in (texts.monthly_review, texts.why_did_it_rise, texts.prepare_statement):
        server.prompt()(prompt)
    server.resource("usage://glossary", name="glossary", mime_type="text/markdown")(lambda: texts.GLOSSARY)
    server.resource("usage://questions", name="questions", mime_type="text/markdown")(lambda: texts.QUESTIONS)
    return server


def answers_of(store: Store) -> Answered:
    """Return what calls ``function(opened, ...)`` of a module of this room."""

    def answered(module: str, function: str, *arguments: object, **options: object) -> CallToolResult:
        with in_words():
            answer: Answered = getattr(import_module(f"{__package__}.{module}"), function)
            with store.opened() as opened:
                return answer(opened, *arguments, **options)

    return answered


@contextmanager
def in_words() -> Iterator[None]:
    """Say in one line what is wrong. Raises ToolError."""
    try:
        yield
    except UserError as error:
        raise ToolError(one_line(str(error))) from None
    except duckdb.Error as error:
        raise ToolError(first_line(error)) from None
    except OSError as error:  # the folder of the copy cannot be read
        raise ToolError(f"{one_line(str(error))}: usage-assets doctor says what is missing") from None


def add_money(server: MCPServer, answered: Answered) -> None:
    """Add the tools about what was spent."""

    @server.tool(annotations=READS)
    def spend(
        first: Day = None,
        last: Day = None,
        by: By = "cost_basis",
        cost_basis: Basis = None,
        provider: Only = None,
        connection: Only = None,
        team: Only = None,
        cost_center: Only = None,
        project: Only = None,
        model: Only = None,
        limit: Limit = ROWS,
        cursor: Cursor = None,
    ) -> Figures:
        """What was spent, by one dimension. One total per cost basis and unit: never add them."""
        filters = {
            "cost_basis": cost_basis,
            "provider": provider,
            "connection": connection,
            "team": team,
            "cost_center": cost_center,
            "project": project,
            "model": model,
        }
        return answered("spend", "spend", first, last, by, filters, limit, cursor)

    @server.tool(annotations=READS)
    def compare(
        first: Day = None,
        last: Day = None,
        before_first: Before = None,
        before_last: Before = None,
        by: Cut = None,
        limit: Limit = ROWS,
        cursor: Cursor = None,
    ) -> Figures:
        """What changed between two periods and why: billed, valued in USD, split exactly into volume, mix, price and
        so on, for everything and by provider, team, model and person."""
        return answered("changes", "compare", first, last, before_first, before_last, by, limit, cursor)


def add_economics(server: MCPServer, answered: Answered) -> None:
    """Add the tools about what money was spent on, and what else it could have been."""

    @server.tool(annotations=READS)
    def unit_costs(
        first: Day = None,
        last: Day = None,
        metric: Only = None,
        limit: Limit = ROWS,
        cursor: Cursor = None,
    ) -> Figures:
        """Dollars divided by what was made: commits, pull requests, active people, requests, own metrics."""
        return answered("insights", "unit_costs", first, last, metric, limit, cursor)

    @server.tool(annotations=READS)
    def seats(day: Day = None, limit: Limit = ROWS, cursor: Cursor = None) -> Figures:
        """Seats at the end of a day: how many are active, idle or ending, and what idle ones cost a month."""
        return answered("insights", "seats", day, limit, cursor)

    @server.tool(annotations=READS)
    def what_if(
        provider: Annotated[str | None, Field(description="Of the model. Without it: the largest models.")] = None,
        model: Annotated[str | None, Field(description="Whose tokens are compared; needs provider.")] = None,
        to: Annotated[str | None, Field(description="The other model. Default: the same.")] = None,
        to_provider: Annotated[str | None, Field(description="Of the other model. Default: the same.")] = None,
        tier: Annotated[str | None, Field(description="standard, batch, flex, priority or fast.")] = None,
        cached_share: Annotated[
            str | None, Field(description="Share of input read from the cache, such as 0.5.")
        ] = None,
        first: Day = None,
        last: Day = None,
        limit: Limit = ROWS,
        cursor: Cursor = None,
    ) -> Figures:
        """What the same tokens would have cost at other public list prices. An estimate: no saving, no cost."""
        stated = {
            "provider": provider,
            "model": model,
            "to": to,
            "to_provider": to_provider,
            "tier": tier,
            "cached_share": cached_share,
        }
        wanted = {name: value for name, value in stated.items() if value is not None}
        return answered("insights", "what_if", wanted, first, last, limit, cursor)


def add_insights(server: MCPServer, answered: Answered) -> None:
    """Add the tools about what is computed after each run, and about tables."""

    @server.tool(annotations=READS)
    def budgets(first: Day = None, last: Day = None, limit: Limit = ROWS, cursor: Cursor = None) -> Figures:
        """Budgets and prepaid credits whose period has one of these days: spent, expected at its end, used up on."""
        return answered("insights", "stored_insights", "budgets", first, last, limit, cursor)

    @server.tool(annotations=READS)
    def incidents(first: Day = None, last: Day = None, limit: Limit = ROWS, cursor: Cursor = None) -> Figures:
        """Spikes, drops, level shifts and crossed guardrails: what is stored per day, and what was expected."""
        return answered("insights", "stored_insights", "incidents", first, last, limit, cursor)

    @server.tool(annotations=READS)
    def forecast(first: Day = None, last: Day = None, limit: Limit = ROWS, cursor: Cursor = None) -> Figures:
        """Billed, valued in USD, so far and expected at the end of each month that has one of these days; low and high
        hold four times out of five."""
        return answered("insights", "stored_insights", "forecast", first, last, limit, cursor)

    @server.tool(annotations=READS)
    def describe(
        table: Annotated[
            str | None, Field(description="Such as costs.by_team: its columns. Default: all tables.")
        ] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Figures:
        """The tables and views that query can read, or the columns of one; first and newest day; freshness."""
        return answered("asking", "describe", table, limit, cursor)


def add_query(server: MCPServer, store: Store) -> None:
    """Add the tool whose SQL the assistant writes: other tools answer while it runs."""

    @server.tool(annotations=READS)
    def query(
        sql: Annotated[str, Field(description="One SELECT (DuckDB) of tables and views that describe lists.")],
        limit: Limit = ROWS,
        cursor: Cursor = None,
    ) -> Rows:
        """Answer one SELECT. Refused is what mixes kinds of money or units, and what cannot be proved not to:
        keep one (where cost_basis = 'billed'), or select and group by cost_basis. Add amounts up before joining."""
        from usage_assets_assistant.mcp.caged import query as answer  # noqa: PLC0415 - as the other tools

        with in_words():
            return answer(store, sql, limit, cursor)


def add_evidence(server: MCPServer, answered: Answered) -> None:
    """Add the tools about where figures come from."""

    @server.tool(annotations=READS)
    def explain(
        table: Annotated[str | None, Field(description="Such as costs.by_team, costs.by_day or a raw table.")] = None,
        column: Annotated[str | None, Field(description="The figure: amount_usd, native_amount and so on.")] = None,
        identifier: Annotated[str | None, Field(description="Of an entity in Port, instead of a table.")] = None,
        blueprint: Annotated[str | None, Field(description="Of an identifier that several blueprints have.")] = None,
        first: Day = None,
        last: Day = None,
        connection: Only = None,
        team: Only = None,
        project: Only = None,
        workspace: Only = None,
        model: Only = None,
        api_key: Only = None,
        where: Annotated[
            str | None, Field(description="Other columns: cost_basis=billed; currency=EUR. No value: null.")
        ] = None,
        verify: Annotated[bool, Field(description="Compute it again from archived bytes alone. Slower.")] = False,
        limit: Limit = ROWS,
        cursor: Cursor = None,
    ) -> Figures:
        """Where a figure comes from: each number of the providers' archived responses that is in it. Explain small
        figures, such as those of a day."""
        options = {
            "start": first,
            "end": last,
            "connection": connection,
            "team": team,
            "project": project,
            "workspace": workspace,
            "model": model,
            "api-key": api_key,
        }
        stated = {name: value for name, value in options.items() if value is not None}
        about = (identifier, table, column, stated, where)
        return answered("tracing", "explain", *about, limit, cursor, verify=verify, blueprint=blueprint)

    @server.tool(annotations=READS)
    def due(connection: Only = None, limit: Limit = ROWS, cursor: Cursor = None) -> Figures:
        """Which days are missing or must be computed again, and why; how fresh each connection is."""
        return answered("tracing", "due", connection, limit, cursor)
