"""A game: whatever texts providers send, every view, page, statement, export and tool can be read, and sums stay."""

import random
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from mcp.client import Client

from usage_assets.config.settings import Settings
from usage_assets.core.schema import LookupRow, Row, columns
from usage_assets.core.warehouse_address import WarehouseAddress
from usage_assets.models.costs import ALLOCATIONS, COSTS, VIEWS
from usage_assets.models.due import VIEWS as DUE_DAYS
from usage_assets.models.entities import ENTITIES
from usage_assets.providers import LOOKUPS, PROVIDERS
from usage_assets.providers.anthropic.reports import CostReport
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.paths import parameters_of
from usage_assets.providers.records import OURS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import FailedCheck
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.published import publish
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.views import make_views
from usage_assets_assistant.mcp.server import server_of
from usage_assets_assistant.mcp.sight import Sight
from usage_assets_assistant.mcp.store import Store
from usage_assets_finance.focus.charges import Charges
from usage_assets_tests.fixtures import IS_NIGHT, NOW, NewWarehouse
from usage_assets_tests.models.days import OTHERS, Days, one_a_line, provider_of, raw
from usage_assets_tests.terminal import Terminal

DAY = NOW.date() - timedelta(days=30)
TEXTS = [
    *one_a_line(r"""
    claude-opus-4-20260230
    gpt-5-2026-13-45
    claude-sonnet-4-99999999
    2026-02-30
    NaN
    Infinity
    -0
    null
    true
    ''; drop table costs.daily_costs; --
    "quoted" \ back\nslash
    <script>alert(1)</script><x-any>
    </svg><x-any>&amp;%s %d {} {0} $1 ?
    =HYPERLINK(1)
    {
    []
    %
    _
    ,
    user-1@example.com
    /
    ..
    azure/gpt-5/2026-02-31:free
"""),
    "\u202eright to left\u202c אבג",
    "e\u0301\u200b",
    "a\tb\r\nc\x1b[31m",
    '{"a": [1, ',
    " ",
    "x" * 10_000,
    "😀" * 300,
]
ARGUMENTS = {
    "describe": {"table": "costs.by_model"},
    "query": {"sql": "select * from costs.by_model"},
    "explain": {
        "table": "costs.by_day",
        "first": str(DAY),
        "last": str(DAY),
        "column": "amount_usd",
        "where": "cost_basis=billed",
    },
    "what_if": {"provider": "openai", "model": "gpt-5", "to": "gpt-5-mini"},
}
"""What tools are asked, where they need more than nothing."""
OF_CONNECTION = ("organization_id", "enterprise_id")
"""A connection has one."""
MOMENT = datetime.combine(DAY, time(), UTC)
OF_FOCUS = {
    "billing_period_start": MOMENT.replace(day=1),
    "charge_period_start": MOMENT,
    "charge_period_end": MOMENT + timedelta(days=1),
    "charge_category": "Usage",
    "charge_class": None,
    "service_category": "AI and Machine Learning",
    "effective_cost": Decimal(1),
    "contracted_cost": Decimal(1),
    "list_cost": Decimal(1),
}
"""What the reader of files has looked at before a charge is a row."""
OF_ONE_DOLLAR = (Costs, CostReport, Charges)
"""Tables of bills whose rows are of one dollar each here."""
ENDPOINTS = [endpoint for provider in PROVIDERS.values() for endpoint in provider.endpoints]


class Page(HTMLParser):
    """What a browser would run of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


class Game:
    """Rows of all raw tables and lookups, whose texts are any."""

    def __init__(self, days: Days, seed: int) -> None:
        self.days, self.choice = days, random.Random(seed)
        self.billed: dict[str, Decimal] = {}
        """The dollars of a connection, as counted by hand."""

    def text(self) -> str:
        text = self.choice.choice(TEXTS)
        return text if self.choice.random() < 0.7 else f"{text[:200]}{self.choice.choice(TEXTS)[:200]}"

    def row(self, endpoint: Endpoint, number: int) -> Row:
        """A row whose texts are any, but for JSON of ours, what says what kind of row it is, and settings."""
        row = endpoint.row
        stated = OF_FOCUS if row is Charges else {}
        kept = {*OURS, *stated, *OTHERS.get(row.table, ()), *parameters_of(endpoint.path), *OF_CONNECTION}
        texts: dict[str, Any] = {}
        for column in columns(row):
            if column.type is not str or column.name in kept or "JSON" in column.description:
                continue
            tells_apart = column.name in row.grain or column.name.endswith("_id")
            is_missing = column.nullable and not tells_apart and self.choice.random() < 0.1
            texts[column.name] = None if is_missing else f"{number if tells_apart else ''}{self.text()}"
        return raw(row, usage_date=DAY, **texts, **stated)

    def fill(self) -> None:
        for endpoint in ENDPOINTS:
            row, rows = endpoint.row, [self.row(endpoint, number) for number in range(4)]
            distinct = {tuple(getattr(each, name) for name in row.grain): each for each in rows}
            self.days.fetched(row, *distinct.values(), first=DAY)
            if row in OF_ONE_DOLLAR:
                self.billed[provider_of(row)] = Decimal(len(distinct))
        for lookup in LOOKUPS:
            self.names(lookup.row)
        for model in (*COSTS, *ALLOCATIONS, *ENTITIES):
            if not model.compute:
                self.days.derive(model.file, first=DAY)

    def names(self, row: type[LookupRow]) -> None:
        owner, texts = row.table.partition(".")[0], dict[str, Any]()
        for column in columns(row):
            if column.type is str and column.name not in (*OURS, "id"):
                texts[column.name] = self.text()
        rows = [row(connection=owner, id=f"{n}{self.text()}", valid_from=NOW, **texts) for n in range(2)]
        self.days.listed(row, rows, NOW)


def dollars(warehouse: Warehouse, table: str) -> Mapping[str, Decimal]:
    """The dollars of each cost basis."""
    rows = warehouse.read(f"select cost_basis, sum(amount_usd) as usd from {table} group by all").to_pylist()
    return {row["cost_basis"]: row["usd"] for row in rows}


@pytest.mark.parametrize("seed", range(1, 5) if IS_NIGHT else [1])
def test_texts_end_nothing(terminal: Terminal, warehouse_with_views: NewWarehouse, seed: int) -> None:
    warehouse_with_views(terminal.folder)
    warehouse = terminal.warehouse
    terminal.set(USAGE_START_DATE=str(DAY), USAGE_CONNECTIONS="connections.toml")
    Path("connections.toml").write_text("[[owner]]\nproject = \"p\"\nteam = '<x-any>\"\\\\ %s'\ncost_center = '../x'\n")
    with warehouse.get_connection():
        game = Game(Days(warehouse, Settings.load().accounting()), seed)
        game.fill()
        with warehouse.transaction() as database:
            create_or_alter(database, Table(FailedCheck))
            make_views(database, (*VIEWS, *DUE_DAYS))
        views = warehouse.read(
            "select schema_name || '.' || view_name as name from duckdb_views() where not internal and sql is not null"
        )
        for name in views["name"].to_pylist():
            warehouse.read(f"from {name}")
    by_model, by_actor = dollars(warehouse, "costs.by_model"), dollars(warehouse, "costs.by_actor")
    assert dollars(warehouse, "costs.daily_costs") == by_model == by_actor
    found = warehouse.read(
        "select connection, sum(amount_usd) as usd from costs.daily_costs where cost_basis = 'billed' group by all"
    )
    assert game.billed == {
        each["connection"]: each["usd"] for each in found.to_pylist() if each["connection"] in game.billed
    }
    publish(warehouse)
    month = f"{DAY:%Y-%m}"
    typed = one_a_line(f"""
        report --refresh --month {month}
        statement --month {month} --out statements
        export focus --start {DAY} --end {DAY} --out focus.csv
        export csv costs.allocated_costs_named --out costs.csv
        what-if --month {month}
        query "select * from models.names"
        explain --table costs.by_day --day {DAY} --column amount_usd --where cost_basis=billed
        doctor --all
    """)
    for command in [*typed, *([f"report --text --month {month}"] if IS_NIGHT else [])]:
        said = terminal.type(*shlex.split(command))
        refuses = command.startswith("export focus") and "a currency has three capital letters" in said.err
        assert said.code in (None, 0, 1) or refuses, (command, said)
        assert "Traceback" not in said.out + said.err, command
    assert "x-any" not in Page((terminal.folder / "report.html").read_text()).tags, "texts are no markup"
    with start_blocking_portal() as portal:
        store = Store(WarehouseAddress(terminal.environment["USAGE_WAREHOUSE"]), Sight(key="a key"))
        opened = portal.wrap_async_context_manager(Client(server_of(store)))
        with opened as client:
            for tool in portal.call(client.list_tools).tools:
                answer = portal.call(partial(client.call_tool, tool.name, dict(ARGUMENTS.get(tool.name, {}))))
                refused = answer.is_error and "nothing is billed for it" not in str(answer.content)
                assert not refused, (tool.name, answer.content)
        store.close()
