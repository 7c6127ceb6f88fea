"""What the report has computed and stored (budgets, incidents, forecasts), and its unit costs, seats and what-if."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from mcp_types import CallToolResult

from usage_assets.models.insights import behind_in_words, incidents_in_words
from usage_assets.warehouse.errors import WarehouseError
from usage_assets_assistant.mcp.answers import Answer, Page, Row, about, cleaned, paged, shown, values
from usage_assets_assistant.mcp.freshness import doubts, freshness, period_of
from usage_assets_assistant.mcp.questions import named_as_parameters
from usage_assets_assistant.mcp.store import Opened
from usage_assets_report.shared import (
    Figure,
    Period,
    compared_as_wanted,
    entries_of,
    is_guardrail,
    read_figure,
    read_incidents,
)

Stored = Literal["budgets", "incidents", "forecast"]
LETTERS_OF_CURRENCY = 3
A_DAY = " a day"
"""At the end of the unit of what an incident is about."""
NO_TOTAL = "rows of several scopes may be about the same money: never add them"


class Shape(NamedTuple):
    """What an answer shows of a row of the report: columns, and the one that says why a value is unknown."""

    about: Sequence[str]
    values: Sequence[str]
    note: str | None = None
    prefix: str = ""
    """How the columns of values begin, which are called without it."""

    def row(
        self,
        found: Mapping[str, Any],
        unit: str | None = "USD",
        basis: str | None = "billed",
        command: str | None = None,
    ) -> Row:
        currency = (unit or "").removesuffix(A_DAY)
        return Row(
            about=about(**{name: None if found[name] == "" else found[name] for name in self.about}),
            values=values(**{name: found[f"{self.prefix}{name}"] for name in self.values}),
            unit=unit,
            currency=currency if len(currency) == LETTERS_OF_CURRENCY and currency.isupper() else None,
            cost_basis=basis,
            note=cleaned(found[self.note]) if self.note else None,
            explain=command,
        )


STORED: Mapping[Stored, tuple[str, str, Shape]] = {
    "budgets": (
        "budgets",
        "budget_status",
        Shape(
            ("budget", "scope", "first_day", "last_day", "thresholds_reached", "used_up_on", "rates"),
            ("amount", "spent", "provisional_part", "expected", "low", "high"),
            "why_unknown",
        ),
    ),
    "incidents": (
        "anomalies",
        "anomalies",
        Shape(
            ("what", "scope", "first_day", "last_day", "state", "driver", "evidence"),
            ("actual", "expected", "low", "high", "volume_usd", "price_usd"),
        ),
    ),
    "forecast": (
        "forecast",
        "forecast_totals",
        Shape(("scope", "month", "rates"), ("so_far", "provisional", "expected", "low", "high"), "why_unknown", "usd_"),
    ),
}
"""Question -> the report's figure, the table of costs that it reads (each row says what it is about), and its rows."""
UNIT_COST = Shape(
    ("scope", "metric", "source", "days_with_both", "days_in_period"),
    ("usd_per_unit", "usd_per_unit_on_same_days", "usd_per_unit_before", "usd", "quantity", "usd_left_out"),
    "left_out_because",
)
SEAT = Shape(
    ("connection", "plan"),
    (
        *("seats", "paid", "active", "idle", "ending", "unknown"),
        *("price_a_month", "included_a_month", "idle_a_month", "usd_idle_a_month"),
    ),
    "why_unknown",
)
IDLE_SEAT = Shape(("idle_seat_of", "connection", "plan", "last_active_on"), ("price_a_month", "usd_a_month"), "remarks")
PRICED_OTHERWISE = Shape(
    ("provider", "model", "instead", "tiers", "days", "days_without_price", "list_of", "share_of_bill"),
    (
        *("usd", "usd_list", "usd_list_instead", "usd_change", "usd_bill_less_list", "usd_difference_to_bill"),
        "usd_left_out",
    ),
    "left_out_because",
)


@paged
def stored_insights(opened: Opened, page: Page, what: Stored, first: str | None, last: str | None) -> CallToolResult:
    """Answer with the budgets, incidents or forecasts of a period, as they were computed last."""
    period = period_of(opened, first, last)
    figure, table, shape = STORED[what]
    if ("costs", table) not in opened.columns:
        raise WarehouseError(f"{what}: not computed yet: Dagster does it after runs, and usage-assets report --refresh")
    with opened.seen() as database:
        opened.allow(f"from costs.{table}")
        found = read_incidents(database, period) if what == "incidents" else read_figure(database, figure, period)
    with opened.stored() as database:
        behind = behind_in_words(database)
    rows = [
        shape.row(row, *_unit_and_basis(what, row), _command(opened, found, n))
        for n, row in enumerate(found.rows.to_pylist())
    ]
    counts = f"{len(rows)} rows of {what}"
    if what == "incidents":
        counts = incidents_in_words([*map(is_guardrail, found.rows.to_pylist())])
    none = f"No {what} from {period.first} to {period.last}. Shown here: {opened.sight.in_words}."
    sentence = f"{counts} from {period.first} to {period.last}, UTC." if rows else none
    return _answer(opened, page, period, sentence, rows, [found.note, NO_TOTAL, *([behind] if behind else [])])


def _unit_and_basis(what: Stored, row: Mapping[str, Any]) -> tuple[str, str | None]:
    if what == "budgets":
        return row["unit"], "credits" if row["unit"] == "credits" else "billed"
    if what == "forecast":
        return "USD", "billed"
    return ("USD" + A_DAY, "billed") if row["measure"] == "usd" else (row["measure"] + A_DAY, None)


@paged
def unit_costs(opened: Opened, page: Page, first: str | None, last: str | None, metric: str | None) -> CallToolResult:
    """Answer with dollars divided by what was made."""
    period = period_of(opened, first, last)
    with opened.stored() as database:
        found = read_figure(database, "unit_costs", period)
    rows = [
        UNIT_COST.row(row, "USD", row["cost_basis"], _command(opened, found, n))
        for n, row in enumerate(found.rows.to_pylist())
        if _is_seen(opened, row["scope"]) and metric in (None, row["metric"])
    ]
    sentence = f"{len(rows)} unit costs from {period.first} to {period.last}, UTC: dollars divided by output."
    if not rows:
        known = sorted({row["metric"] for row in found.rows.to_pylist()})
        sentence = f"No unit costs from {period.first} to {period.last}: metrics are {', '.join(known) or 'none'}."
    return _answer(opened, page, period, sentence, rows, [found.note])


def _is_seen(opened: Opened, scope: str) -> bool:
    """Whether a scope of unit costs is one that is seen: a connection stands there by its name alone."""
    teams, connections = {f"team {team}" for team in opened.sight.teams}, opened.sight.connections
    if teams and connections:
        return False  # that of a team is of all connections
    return opened.sight.is_whole or scope in teams or scope in connections


@paged
def seats(opened: Opened, page: Page, day: str | None) -> CallToolResult:
    """Answer with seats, how many are idle, and what these cost a month; with people's names, who has them."""
    if opened.sight.teams:
        raise WarehouseError(
            f"seats: no provider says which team has a seat, and this assistant is limited ({opened.sight.in_words})"
        )
    period = period_of(opened, day, day)
    with opened.stored() as database:
        found = read_figure(database, "seats", period)
        idle = read_figure(database, "idle_seats", period) if opened.sight.people == "names" else None
    rows = [SEAT.row(row, row["currency"], None) for row in found.rows.to_pylist()]
    rows += [
        IDLE_SEAT.row({**row, "idle_seat_of": row["person"]}, row["currency"], None)
        for row in (idle.rows.to_pylist() if idle else ())
    ]
    rows = [row for row in rows if opened.sight.sees_connection(row.about["connection"])]
    sentence = f"Seats at the end of {period.last}, UTC." if rows else f"No seats are known on {period.last}."
    return _answer(opened, page, period, sentence, rows, [found.note])


@paged
def what_if(
    opened: Opened, page: Page, wanted: Mapping[str, str], first: str | None, last: str | None
) -> CallToolResult:
    """Answer with what tokens would have cost at other list prices. Raises SettingsError, WarehouseError."""
    if not opened.sight.is_whole:
        raise WarehouseError(f"what_if compares whole bills, and this assistant is limited ({opened.sight.in_words})")
    period = period_of(opened, first, last)
    with named_as_parameters(), opened.stored() as database:
        found = compared_as_wanted(database, period, wanted, entries_of(wanted, database))
    rows = [PRICED_OTHERWISE.row(row) for row in found]
    sentence = (
        f"{len(rows)} models at other public list prices, {period.first} to {period.last}: an estimate, no offer."
    )
    note = "usd is what was billed; usd_list and usd_list_instead are list prices of the same tokens, and no cost"
    return _answer(opened, page, period, sentence, rows, [note])


def _answer(
    opened: Opened, page: Page, period: Period, sentence: str, rows: Sequence[Row], notes: Sequence[str]
) -> CallToolResult:
    states = freshness(opened)
    answer = Answer(
        sentence=sentence,
        first=period.first,
        last=period.last,
        freshness=states,
        notes=[*notes, *doubts(opened, states, period.first, period.last)],
    )
    return page.put(answer, rows)


def _command(opened: Opened, figure: Figure, row: int) -> str | None:
    """Return the first command that explains a row; none that would need the id of a person who is hidden."""
    commands = figure.commands[row]
    names = figure.rows.slice(row, 1).to_pylist()[0]
    is_hidden = opened.sight.people != "names" and str(names.get("scope", "")).startswith(("person ", "user "))
    return None if is_hidden or not commands else shown(*shlex.split(commands[0]))
