"""Raw rows with everything filled in that a test does not care about, and a warehouse to derive from them."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from functools import cache, cached_property
from inspect import cleandoc
from typing import Any, TypeVar

import msgspec

from usage_assets.config.accounting import Accounting
from usage_assets.core.days import Window
from usage_assets.core.schema import LookupRow, Row, TableRow, columns, to_arrow
from usage_assets.models.costs import ALLOCATIONS, COSTS, DailyCost
from usage_assets.models.entities import ENTITIES
from usage_assets.models.model import Model, money_seed
from usage_assets.providers import PROVIDERS
from usage_assets.providers.anthropic.reports import ClaudeCode
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.records import as_json
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.lookups import record
from usage_assets.warehouse.slices import IN_SLICE, Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch, Query, Seed, Version


def one_a_line(text: str) -> list[str]:
    """The lines of a text, such as statements; one that is indented goes on with the line above."""
    return re.sub(r"\n +", " ", cleandoc(text)).splitlines()


def columns_in(text: str) -> dict[str, dict[str, str]]:
    """Table -> columns and their values, from lines such as ``openai.costs amount_value=3``."""
    return {table: dict(pair.split("=") for pair in pairs) for table, *pairs in map(str.split, one_a_line(text))}


DAY = date(2026, 11, 1)
MIDNIGHT = "2026-11-01T00:00:00Z"
EXACT = Context(prec=100)
DERIVED: Mapping[str, Model] = {derived.file: derived for derived in (*ENTITIES, *COSTS, *ALLOCATIONS)}
EXAMPLES: Mapping[type, Any] = {str: "", int: 1, Decimal: Decimal(1), bool: False}
"""What a required column holds, by its type, where neither a test nor OTHERS says otherwise."""
OTHERS: Mapping[str, Mapping[str, Any]] = {
    **columns_in("""
        openai.costs amount_currency=usd
        openai.usage_completions input_tokens=10 output_tokens=5
        openai.usage_decisions input_tokens=10 output_tokens=5
        openai.usage_embeddings input_tokens=10
        openai.usage_moderations input_tokens=10
        openai.usage_images images=10
        openai.usage_audio_speeches characters=10
        openai.usage_audio_transcriptions seconds=10
        openai.usage_web_search_calls num_requests=10
        openai_legacy.billing_usage name=GPT-4 cost_cents=100
        openai_legacy.usage list_name=data requests=1 context_tokens=10 generated_tokens=5
        anthropic.usage_messages output_tokens=2 cache_read_input_tokens=3 cache_creation_5m_input_tokens=4
            cache_creation_1h_input_tokens=5 web_search_requests=6
        anthropic.cost_report amount_cents=100 currency=USD
        anthropic.claude_code organization_id=org actor_type=user_actor actor_email=bob@example.com terminal_type=vscode
            customer_type=api lines_added=2 lines_removed=3 commits=4 pull_requests=5 edit_tool_accepted=6
            edit_tool_rejected=7 write_tool_accepted=8 write_tool_rejected=9 model_breakdown=[]
            estimated_cost_usd_cents=0
        chatgpt.codex_usage cut=user workspace_id=ws user_id=user-1
        focus.charges billing_currency=USD
        litellm.user_activity cut=model model=gpt-5 spend=1
        litellm.team_activity team_id=team-1 spend=0 flat_cost=1
        github_copilot.billing_usage product=Copilot unit_type=user-months unit=user-months
        github_copilot.ai_credits unit_type=ai-credits unit=ai-credits
        github_copilot.premium_requests unit_type=requests unit=requests
        github_copilot.organization_1_day organization=acme
        github_copilot.users_1_day organization=acme
        cursor.usage_events charge=billed charged_cents=100
    """),
    "openrouter.activity": {"byok_usage_inference": None},
}


def raw_rows(tables: Collection[str]) -> Sequence[type[Row]]:
    """The rows of raw tables."""
    endpoints = (endpoint for provider in PROVIDERS.values() for endpoint in provider.endpoints)
    return [endpoint.row for endpoint in endpoints if endpoint.row.table in tables]


def owner_of(derived: Model) -> str:
    """The connection whose rows a derived table is computed from here."""
    source = derived.part or derived.reads[0]
    return "openai" if source == DailyCost.table else source.partition(".")[0]


Filled = TypeVar("Filled", bound=TableRow)


def raw(row: type[Row], **values: Any) -> Row:
    """A raw row of DAY, of the connection that is called like its provider."""
    of_day = {"usage_date": DAY, "connection": provider_of(row)}
    return filled(row, **{**required_of(row), **of_day, **OTHERS.get(row.table, {}), **values})


def filled(row: type[Filled], **given: Any) -> Filled:
    """A row of any table: nothing where it may have nothing. An amount or a count may be a text."""
    for c in columns(row):
        if c.name not in given and c.name in required_of(row):
            given[c.name] = None if c.nullable else EXAMPLES[c.type]
        elif c.type in (Decimal, int) and given.get(c.name) is not None:
            given[c.name] = c.type(given[c.name])
    return row(**given)


@cache
def required_of(row: type[TableRow]) -> Mapping[str, Any]:
    """The fields that have no default, and an example of each. msgspec evaluates all annotations for each answer: half
    of most fillings."""
    required = {field.name for field in msgspec.structs.fields(row) if field.required}
    return {c.name: EXAMPLES.get(c.type) for c in columns(row) if c.name in required}


def provider_of(row: type[TableRow]) -> str:
    """The provider of a raw table or a lookup."""
    return row.table.partition(".")[0]


def lines(text: str) -> list[tuple[str, ...]]:
    """The cells of a table as it is written in a test: two spaces part them."""
    return [tuple(re.split(r"\s{2,}", line.strip())) for line in text.strip().splitlines()]


def cases(text: str) -> list[tuple[str, ...]]:
    """What is given in each of these lines, and behind an arrow what is expected."""
    return [tuple(re.split(r" -> ?", line)) for line in one_a_line(text)]


def seen(rows: Iterable[Any], names: str = "") -> list[tuple[str, ...]]:
    """Rows, or these columns of them, as ``lines`` has them: amounts without zeros at their end, nothing as ``-``."""

    def text(value: Any) -> str:
        if isinstance(value, Decimal):
            return f"{value.normalize(EXACT):f}"
        return "-" if value is None else str(value)

    if names:
        rows = [[row[name] for name in names.split()] for row in rows]
    return [tuple(map(text, row.values() if isinstance(row, dict) else row)) for row in rows]


def beside(rows: Iterable[Any], text: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The columns of rows that the first line of a table names, and the table: both sorted."""
    head, *expected = lines(text)
    return sorted(seen(rows, " ".join(head))), sorted(expected)


def raws(row: type[Row], text: str, **same: Any) -> list[Row]:
    """Raw rows from a table whose first line names the columns: ``.`` is what ``raw`` fills in, ``-`` nothing, and a
    day is the number of days after DAY."""
    return [raw(row, **same | values) for values in values_of(row, text)]


def listed_in(row: type[LookupRow], text: str, **same: Any) -> list[LookupRow]:
    """The same of a lookup."""
    return [row(**same | values) for values in values_of(row, text)]


def values_of(row: type[TableRow], text: str) -> Iterator[dict[str, Any]]:
    """The values of each line that are no ``.``, of the types of their columns."""
    head, *table = lines(text)
    types = {column.name: column.type for column in columns(row)}

    def value(of: type, cell: str) -> Any:
        if of is date:
            return DAY + timedelta(days=int(cell))
        if of is bool:
            return cell == "yes"
        return None if cell == "-" else of(cell) if of in (int, Decimal) else cell

    for cells in table:
        yield {name: value(types[name], cell) for name, cell in zip(head, cells, strict=True) if cell != "."}


def models(*uses: tuple[str, ...], tokens: int = 1) -> str:
    """A stored ``model_breakdown``: (model, cents) or (model, cents, currency) each."""
    return as_json(
        [
            {
                "model": model,
                "input": tokens,
                "output": 2 * tokens,
                "cache_read": 3 * tokens,
                "cache_creation": 4 * tokens,
                "estimated_cost_cents": cents,
                "currency": currency[0] if currency else "USD",
            }
            for model, cents, *currency in uses
        ]
    )


@dataclass(frozen=True)
class Days:
    """Raw days that were fetched, and what is derived from them."""

    warehouse: Warehouse
    accounting: Accounting = field(default_factory=Accounting)
    """What the connections file states."""

    def fetched(
        self,
        row: type[Row],
        *rows: Row,
        connection: str | None = None,
        first: date = DAY,
        last: date | None = None,
        **facts: Any,
    ) -> None:
        """Store the days (DAY unless stated) as fetched, with these rows, and facts of the answer."""
        target = Slice(connection or provider_of(row), first, last or first)
        answer = Batch(**{"rows": to_arrow(row, rows), "began": datetime.now(UTC), **facts})
        self.warehouse.replace(Table(row), answer, target, "run")

    def daily(self, row: type[Row], first: date, last: date, *same: Mapping[str, Any]) -> None:
        """Store days of a report that all have the same rows; one of ``raw``, unless they are named."""
        rows = [raw(row, usage_date=day, **values) for day in Window(first, last).days for values in same or ({},)]
        self.fetched(row, *rows, first=first, last=last)

    def spent(
        self, row: type[Row], *rows: Row, connection: str | None = None, first: date = DAY, last: date | None = None
    ) -> None:
        """Store the days of a report, and the costs that are computed from it."""
        self.fetched(row, *rows, connection=connection, first=first, last=last)
        self.derive(row.table.replace(".", "_"), connection or provider_of(row), first, last)

    def listed(
        self, row: type[LookupRow], items: Sequence[LookupRow], moment: datetime, connection: str | None = None
    ) -> None:
        """Store a complete list as it was read at a moment."""
        record(self.warehouse, Table(row), to_arrow(row, items), connection or provider_of(row), moment, {})

    def derive(
        self, name: str, connection: str | None = None, first: date = DAY, last: date | None = None
    ) -> list[Version]:
        """Compute a derived table's days."""
        derived = DERIVED[name]
        owner = connection or owner_of(derived)
        target = Slice(owner, first, last or first, derived.part)
        return self.warehouse.replace(Table(derived.row), self.query(name, owner), target, "run")

    def query(self, name: str, connection: str | None = None) -> Query:
        """The query of a derived table for a connection whose parts of costs are those that are stored of it."""
        derived = DERIVED[name]
        parts: tuple[str, ...] = (derived.part,) if derived.part else ()
        if not parts and DailyCost.table in derived.reads:
            query = (
                "select distinct slice from ledger.stored_days where table_name = $t and connection = $c order by all"
            )
            with self.warehouse.transaction() as database:
                parameters = {"t": DailyCost.table, "c": connection or owner_of(derived)}
                parts = tuple(part for (part,) in database.execute(query, parameters).fetchall())
        seed = self.seed if derived.query.seed else None
        return replace(derived.query, seed=seed, parts={DailyCost.table: parts or ("any",)})

    @cached_property
    def seed(self) -> Seed:
        """What is stated, read once as a process does: one that reads it later compares every table with it."""
        return money_seed(self.accounting, datetime.now(UTC))

    def rows(
        self, name: str, connection: str | None = None, first: date = DAY, last: date | None = None
    ) -> list[dict[str, Any]]:
        """Compute a derived table's days and return their rows, sorted."""
        self.derive(name, connection, first, last)
        derived = DERIVED[name]
        target = Slice(connection or owner_of(derived), first, last or first)
        part = f"and source_table = '{derived.part}'" if derived.part else ""
        query = f"select * from {derived.row.table} where {IN_SLICE} {part} order by all"
        return self.read(query, target.bounds)

    def read(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The rows of a query."""
        found: list[dict[str, Any]] = self.warehouse.read(query, parameters).to_pylist()
        return found

    def tuples(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The same, without the names of the columns."""
        return [tuple(row.values()) for row in self.read(query, parameters)]

    def row(self, name: str, connection: str | None = None) -> dict[str, Any]:
        """The only row of DAY."""
        [row] = self.rows(name, connection)
        return row


FILLED = "select schema_name || '.' || table_name from duckdb_tables() where not temporary and estimated_size > 0"


@contextmanager
def emptied(warehouse: Warehouse) -> Iterator[Warehouse]:
    """Delete every row of an open warehouse at the end of a test. To make its tables again is a third of most tests."""
    yield warehouse
    with warehouse.get_connection() as database:
        for (table,) in database.execute(FILLED).fetchall():
            database.execute(f"delete from {table}")


def days_from(number: int) -> Sequence[date]:
    """DAY and the following days."""
    return [DAY + timedelta(days=n) for n in range(number)]


TOKENS = {
    "description": "Claude Usage",
    "cost_type": "tokens",
    "workspace_id": "wrk",
    "model": "opus",
    "token_type": "output_tokens",
    "service_tier": "standard",
    "grouped_by": "description,workspace_id",
}
"""What Anthropic bills for output tokens of a workspace, unless a row says otherwise."""
USE = {"workspace_id": "wrk", "model": "opus", "service_tier": "standard"}


PAID: dict[type[Row], dict[str, Any]] = {
    ClaudeCode: {"model_breakdown": models(("opus", "100"))},
    CodexUsage: {"credits": Decimal(1)},
}
"""What makes a default row one that costs something."""


def paid(row: type[Row], **values: Any) -> Row:
    return raw(row, **{**PAID.get(row, {}), **values})
