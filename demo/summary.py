"""The demo's result: stored totals against the sandbox's own totals, entities in Port against stored entities.

Only reads. The sandbox states its totals and its requests. Stored totals are queried as a user would query them.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import msgspec
from rich.console import Console
from rich.table import Table

from usage_assets.core import money
from usage_assets.core.days import Window
from usage_assets.core.schema import declared
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.sync import Entity
from usage_assets.features.port.ledger import PortLedger
from usage_assets.models.costs import DailyCost
from usage_assets.models.entities import ENTITIES
from usage_assets.providers import LOOKUPS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.frames import to_frame
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table as StoredTable
from usage_assets.warehouse.tables import stored_tables
from usage_assets_sandbox.providers import BOOKS

CLAUDE_CUTS = ("product", "agent", "session", "slack_channel", "organization")
UNITS: Mapping[str, Mapping[str, str]] = {
    **{
        f"{provider}.{endpoint}": {name: unit.column for name, unit in book.units.items() if unit.column}
        for provider, books in BOOKS.items()
        for endpoint, book in books.endpoints.items()
    },
    "litellm.tag_activity_by_model": {
        "tag_spend_usd": "overlapping_model_spend",
        "tag_requests": "overlapping_model_requests",
    },
    # a cut is stored only if all of its measures add up to what is stated without grouping
    **{
        f"anthropic_analytics.usage_by_{cut}": {"output_tokens": "output_tokens", "requests": "requests"}
        for cut in CLAUDE_CUTS
    },
    **{f"anthropic_analytics.cost_by_{cut}": {"cents": "amount_cents"} for cut in CLAUDE_CUTS},
}
"""Raw table -> unit of the sandbox's books -> the daily total, or the column, that shows it."""
COSTS: Mapping[str, Mapping[str, str]] = {
    "openai": {"usd": "sum(amount_usd) filter (cost_basis = 'billed')"},
    "anthropic": {
        "cents": "sum(native_amount) filter (cost_basis = 'billed')",
        "estimated_cents_api": "sum(native_amount) filter (cost_basis = 'estimated')",
        "estimated_cents_subscription": "sum(native_amount) filter (cost_basis = 'notional')",
    },
    "chatgpt": {
        "credits": "sum(native_amount) filter (cost_basis = 'credits')",
        "cost_usd": "sum(native_amount) filter (cost_basis = 'billed')",
        "estimated_cost_usd": "sum(native_amount) filter (cost_basis = 'estimated')",
    },
    "focus": {"usd": "sum(amount_usd) filter (cost_basis = 'billed')"},
    "litellm": {"gateway_spend_usd": "sum(native_amount) filter (cost_basis = 'estimated')"},
    "openrouter": {
        "usage_usd": "sum(amount_usd) filter (cost_basis = 'billed')",
        "own_keys_usd": "coalesce(sum(amount_usd) filter (cost_basis = 'notional'), 0)",
    },
    "github_copilot": {"copilot_usd": "sum(amount_usd) filter (cost_basis = 'billed')"},
    "cursor": {
        "billed_cents": "sum(native_amount) filter (cost_basis = 'billed')",
        "included_cents": "sum(native_amount) filter (cost_basis = 'notional')",
    },
}
"""Provider -> unit of the books -> SQL over its rows of ``costs.daily_costs``."""
ONE_OF_MANY = re.compile(r"(?<=/blueprints/)[^/]+|(?<=/projects/)[^/]+|(?<=/)\d{4}-\d\d-\d\d/\d+")
SUMS = "select usage_date, {sums} from {rows} group by usage_date"

ROWS = "select table_name, sum(row_count)::bigint as row_count from ledger.stored_days group by all order by all"

NUMBERS = frozenset({"ours", "the books", "rows", "in Port", "requests", "seconds"})

ByDay = Mapping[date, Decimal]


@dataclass(frozen=True)
class Compared:
    """A total of ours and the one in the sandbox's books."""

    provider: str
    unit: str
    source: str
    ours: Decimal
    truth: Decimal
    different_days: tuple[date, ...]

    @property
    def verdict(self) -> str:
        if not self.different_days:
            return "equal"
        return f"NOT EQUAL on {len(self.different_days)} days from {self.different_days[0]}"


@dataclass(frozen=True)
class ComparedBlueprint:
    """The entities of a blueprint: the stored ones and those in Port."""

    blueprint: str
    ours: int
    in_port: int
    missing: int
    different: int
    unknown: int

    @property
    def verdict(self) -> str:
        if not self.missing and not self.different and not self.unknown:
            return "equal"
        return f"NOT EQUAL: {self.missing} missing, {self.different} different, {self.unknown} of no row"


@dataclass(frozen=True)
class Summary:
    """What the demo came to."""

    totals: Sequence[Compared]
    blueprints: Sequence[ComparedBlueprint]
    rows: Mapping[str, int]
    requests: Mapping[str, int]
    money: Sequence[str] = ()
    """Lines that say what was billed."""

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs, and something was compared."""
        verdicts = {total.verdict for total in self.totals} | {each.verdict for each in self.blueprints}
        return bool(self.totals and self.blueprints) and verdicts == {"equal"}


BILLED_BY_MONTH = """
select
  provider,
  if(cost_basis = 'credits', 'credits', 'billed USD') as unit,
  strftime(usage_date, '%Y-%m') as month,
  sum(if(cost_basis = 'credits', native_amount, amount_usd)) as amount
from costs.daily_costs
where cost_basis in ('billed', 'credits')
group by all
having amount is not null
order by all
"""


class Books:
    """The sandbox's own books and request log, over its /control API."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/control", timeout=60, trust_env=False)

    def truth(self, provider: str, window: Window) -> Mapping[str, ByDay]:
        """The exact totals of the days: unit -> day -> amount."""
        days = self._get("truth", start=str(window.first), end=str(window.last))["days"][provider]
        return {
            unit: {date.fromisoformat(day): Decimal(amount) for day, amount in by_day.items()}
            for unit, by_day in days.items()
        }

    def requests(self) -> Mapping[str, int]:
        """How often each route was asked, Port's blueprints taken together, and so projects and files of reports."""
        counts: Counter[str] = Counter()
        for route, count in self._get("requests")["counts"].items():
            counts[ONE_OF_MANY.sub("{id}", route)] += count
        return counts

    def _get(self, path: str, **query: str) -> Any:
        return self._http.get(f"/{path}", params=query).raise_for_status().json()


def compare_totals(warehouse: Warehouse, books: Books, windows: Mapping[str, Window]) -> list[Compared]:
    """Compare every unit of every table that has it, day by day; a unit that no table has differs, too.

    A provider without a window has served no day yet, and has no tables.
    """
    truth = {provider: books.truth(provider, window) for provider, window in windows.items()}
    with warehouse.one_moment() as now:
        compared = [
            _compared(provider, unit, source, by_day, truth[provider].get(unit, {}))
            for provider, source, units in _ours()
            if provider in windows
            for unit, by_day in _by_unit(now, provider, source, units).items()
        ]
    seen = {(total.provider, total.unit) for total in compared}
    return compared + [
        _compared(provider, unit, "no table", {}, by_day)
        for provider, units in truth.items()
        for unit, by_day in units.items()
        if (provider, unit) not in seen
    ]


def _ours() -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Yield our totals of a day: provider, table, and SQL by unit. The warehouse holds nothing but the demo's days."""
    for table, units in UNITS.items():
        totals = StoredTable(declared(table)).totals
        sums = {unit: totals[name].sql if name in totals else f"sum({name})" for unit, name in units.items()}
        yield table.partition(".")[0], table, sums
    for provider, of_costs in COSTS.items():
        yield provider, DailyCost.table, of_costs


def _by_unit(warehouse: Warehouse, provider: str, source: str, units: Mapping[str, str]) -> dict[str, ByDay]:
    sums = ", ".join(f"({sql})::varchar as {unit}" for unit, sql in units.items())  # Arrow has no integer so wide
    rows_of = f"(from {source} where provider = '{provider}')" if source == DailyCost.table else source
    query = SUMS.format(sums=sums, rows=rows_of)
    rows = warehouse.read(query).to_pylist()
    return {unit: {row["usage_date"]: Decimal(row[unit]) for row in rows if row[unit] is not None} for unit in units}


def _compared(provider: str, unit: str, source: str, ours: ByDay, truth: ByDay) -> Compared:
    zero = Decimal(0)  # the books leave out days without a value, our tables days without a row
    return Compared(
        provider,
        unit,
        source,
        ours=money.total(ours.values()),
        truth=money.total(truth.values()),
        different_days=tuple(day for day in sorted({*ours, *truth}) if ours.get(day, zero) != truth.get(day, zero)),
    )


def compare_entities(warehouse: Warehouse, port: PortClient, windows: Mapping[str, Window]) -> list[ComparedBlueprint]:
    """Compare every stored entity with the one in Port, property by property, and the reverse."""
    ours: dict[str, dict[str, dict[str, Any]]] = {model.name: {} for model in ENTITIES}
    with warehouse.one_moment() as now:
        for provider, window in windows.items():
            days = Slice(provider, window.first, window.last)
            for entity in PortLedger(now, port.account, days, ENTITIES).read()[0]:
                ours[entity.blueprint][entity.identifier] = _as_sent(entity)
    return [_compared_entities(blueprint, entities, port) for blueprint, entities in ours.items()]


def _compared_entities(blueprint: str, ours: Mapping[str, Mapping[str, Any]], port: PortClient) -> ComparedBlueprint:
    exists = port.get_blueprint(blueprint) is not None
    theirs = {entity["identifier"]: entity for entity in port.search(blueprint)} if exists else {}
    return ComparedBlueprint(
        blueprint,
        ours=len(ours),
        in_port=len(theirs),
        missing=len(ours.keys() - theirs.keys()),
        different=sum(
            any(theirs[identifier][name] != value for name, value in entity.items())
            for identifier, entity in ours.items()
            if identifier in theirs
        ),
        unknown=len(theirs.keys() - ours.keys()),
    )


def _as_sent(entity: Entity) -> dict[str, Any]:
    sent: dict[str, Any] = msgspec.json.Decoder(float_hook=Decimal).decode(entity.encoded())
    return sent


LISTED_NOW = "select count(*) from {} where valid_to is null"


def stored_rows(warehouse: Warehouse) -> dict[str, int]:
    """Rows per table: of the days, and of what the lookups list now."""
    lookups = [lookup.row.table for lookup in LOOKUPS if lookup.default_on]
    days = {row["table_name"]: row["row_count"] for row in warehouse.read(ROWS).to_pylist()}
    counts = dict.fromkeys(lookups, 0)
    with warehouse.get_connection() as database:
        for table in stored_tables(database) & counts.keys():
            [(counts[table],)] = database.execute(LISTED_NOW.format(table)).fetchall()
    return days | counts


def money_by_month(warehouse: Warehouse) -> list[str]:
    """Say what each provider billed per month: a line of dollars each, and one of credits, which are no dollars."""
    frame = to_frame(warehouse.read(BILLED_BY_MONTH))
    by_month = frame["month"] + frame["amount"].map(" {:,.2f}".format)
    lines = by_month.groupby(frame["provider"] + ", " + frame["unit"]).agg(", ".join)
    return [f"{source}: {months}" for source, months in lines.items()]


def show(summary: Summary, seconds: Mapping[str, float], console: Console) -> None:
    for provider in dict.fromkeys(total.provider for total in summary.totals):
        rows = [
            (total.unit, total.source, _plain(total.ours), _plain(total.truth), total.verdict)
            for total in summary.totals
            if total.provider == provider
        ]
        _show(console, (provider, "table", "ours", "the books", ""), rows)
    entities = [(each.blueprint, f"{each.ours:,}", f"{each.in_port:,}", each.verdict) for each in summary.blueprints]
    _show(console, ("blueprint", "rows", "in Port", ""), entities)
    _show(console, ("table", "rows"), [(name, f"{count:,}") for name, count in summary.rows.items()])
    _show(console, ("route", "requests"), [(route, f"{count:,}") for route, count in sorted(summary.requests.items())])
    _show(console, ("part of the demo", "seconds"), [(part, f"{passed:.0f}") for part, passed in seconds.items()])


def _show(console: Console, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for head in heads:
        table.add_column(head, justify="right" if head in NUMBERS else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print()


def _plain(amount: Decimal) -> str:
    whole, point, places = money.plain(amount).partition(".")
    return f"{int(whole):,}{point}{places}"
