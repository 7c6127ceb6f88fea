"""What the report has computed and stored (budgets, incidents, forecasts), and its unit costs, seats and what-if."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mcp.types import CallToolResult

from usage_assets.models.insights import behind_in_words
from usage_assets.warehouse.errors import WarehouseError
from usage_assets_assistant.mcp.answers import Answer, Page, Row, about, cleaned, shown, values
from usage_assets_assistant.mcp.freshness import doubts, freshness, period_of
from usage_assets_assistant.mcp.questions import named_as_parameters
from usage_assets_assistant.mcp.store import Opened
from usage_assets_report.shared import Figure, Period, compared_as_wanted, entries_of, read_figure, read_incidents

Stored = Literal["budgets", "incidents", "forecast"]
TABLES: Mapping[Stored, tuple[str, str]] = {
    "budgets": ("budgets", "costs.budget_status"),
    "incidents": ("anomalies", "costs.anomalies"),
    "forecast": ("forecast", "costs.forecast_totals"),
}
"""Question -> the report's figure, and the table that it reads: each of its rows says what it is about."""
LETTERS_OF_CURRENCY = 3
NO_TOTAL = "rows of several scopes may be about the same money: never add them"


def stored_insights(
    opened: Opened, what: Stored, first: str | None, last: str | None, limit: int, cursor: str | None
) -> CallToolResult:
    """Answer with the budgets, incidents or forecasts of a period, as they were computed last."""
    period = period_of(opened, first, last)
    figure, table = TABLES[what]
    if ("costs", table.partition(".")[2]) not in opened.columns:
        raise WarehouseError(f"{what}: not computed yet: Dagster does it after runs, and usage-assets report --refresh")
    with opened.seen() as database:
        opened.allow(f"from {table}")
        found = read_incidents(database, period) if what == "incidents" else read_figure(database, figure, period)
    with opened.stored() as database:
        behind = behind_in_words(database)
    build = {"budgets": _budget, "incidents": _incident, "forecast": _forecast}[what]
    rows = [build(row, _command(opened, found, n)) for n, row in enumerate(found.rows.to_pylist())]
    none = f"No {what} from {period.first} to {period.last}. Shown here: {opened.sight.in_words}."
    sentence = f"{len(rows)} rows of {what} from {period.first} to {period.last}, UTC." if rows else none
    return _answer(
        opened, period, what, sentence, rows, limit, cursor, [found.note, NO_TOTAL, *([behind] if behind else [])]
    )


def _budget(row: Mapping[str, Any], command: str | None) -> Row:
    return Row(
        about=about(
            budget=row["budget"],
            scope=row["scope"],
            first_day=row["first_day"],
            last_day=row["last_day"],
            thresholds_reached=row["thresholds_reached"] or None,
            used_up_on=row["used_up_on"],
            rates=row["rates"],
        ),
        values=values(
            **{name: row[name] for name in ("amount", "spent", "provisional_part", "expected", "low", "high")}
        ),
        unit=row["unit"],
        currency=_currency(row["unit"]),
        cost_basis="credits" if row["unit"] == "credits" else "billed",
        note=cleaned(row["why_unknown"]),
        explain=command,
    )


def _incident(row: Mapping[str, Any], command: str | None) -> Row:
    unit = "USD" if row["measure"] == "usd" else row["measure"]
    names = ("what", "scope", "first_day", "last_day", "state", "driver", "evidence")
    return Row(
        about=about(**{name: row[name] for name in names}),
        values=values(**{name: row[name] for name in ("actual", "expected", "low", "high", "volume_usd", "price_usd")}),
        unit=f"{unit} a day",
        currency=_currency(unit),
        cost_basis="billed" if unit == "USD" else None,
        explain=command,
    )


def _forecast(row: Mapping[str, Any], command: str | None) -> Row:
    names = ("so_far", "provisional", "expected", "low", "high")
    return Row(
        about=about(scope=row["scope"], month=row["month"], rates=row["rates"]),
        values=values(**{name: row[f"usd_{name}"] for name in names}),
        unit="USD",
        currency="USD",
        cost_basis="billed",
        note=cleaned(row["why_unknown"]),
        explain=command,
    )


def unit_costs(
    opened: Opened, first: str | None, last: str | None, metric: str | None, limit: int, cursor: str | None
) -> CallToolResult:
    """Answer with dollars divided by what was made."""
    period = period_of(opened, first, last)
    with opened.stored() as database:
        found = read_figure(database, "unit_costs", period)
    rows = [
        Row(
            about=about(
                **{name: row[name] for name in ("scope", "metric", "source", "days_with_both", "days_in_period")}
            ),
            values=values(
                **{
                    name: row[name]
                    for name in (
                        "usd_per_unit",
                        "usd_per_unit_on_same_days",
                        "usd_per_unit_before",
                        "usd",
                        "quantity",
                        "usd_left_out",
                    )
                }
            ),
            unit="USD",
            currency="USD",
            cost_basis=row["cost_basis"],
            note=cleaned(row["left_out_because"]),
            explain=_command(opened, found, n),
        )
        for n, row in enumerate(found.rows.to_pylist())
        if _is_seen(opened, row["scope"]) and metric in (None, row["metric"])
    ]
    sentence = f"{len(rows)} unit costs from {period.first} to {period.last}, UTC: dollars divided by output."
    if not rows:
        known = sorted({row["metric"] for row in found.rows.to_pylist()})
        sentence = f"No unit costs from {period.first} to {period.last}: metrics are {', '.join(known) or 'none'}."
    return _answer(opened, period, f"unit_costs {metric}", sentence, rows, limit, cursor, [found.note])


def _is_seen(opened: Opened, scope: str) -> bool:
    """Whether a scope of unit costs is one that is seen: a connection stands there by its name alone."""
    teams, connections = {f"team {team}" for team in opened.sight.teams}, opened.sight.connections
    if teams and connections:
        return False  # that of a team is of all connections
    return opened.sight.is_whole or scope in teams or scope in connections


def seats(opened: Opened, day: str | None, limit: int, cursor: str | None) -> CallToolResult:
    """Answer with seats, how many are idle, and what these cost a month; with people's names, who has them."""
    if opened.sight.teams:
        raise WarehouseError(
            f"seats: no provider says which team has a seat, and this assistant is limited ({opened.sight.in_words})"
        )
    period = period_of(opened, day, day)
    with opened.stored() as database:
        found = read_figure(database, "seats", period)
        idle = read_figure(database, "idle_seats", period) if opened.sight.people == "names" else None
    counts = ("seats", "paid", "active", "idle", "ending", "unknown")
    prices = ("price_a_month", "included_a_month", "idle_a_month", "usd_idle_a_month")
    rows = [
        Row(
            about=about(connection=row["connection"], plan=row["plan"]),
            values=values(**{name: row[name] for name in (*counts, *prices)}),
            unit=row["currency"],
            currency=row["currency"],
            note=cleaned(row["why_unknown"]),
        )
        for row in found.rows.to_pylist()
    ]
    rows += [
        Row(
            about=about(
                idle_seat_of=row["person"], **{name: row[name] for name in ("connection", "plan", "last_active_on")}
            ),
            values=values(price_a_month=row["price_a_month"], usd_a_month=row["usd_a_month"]),
            unit=row["currency"],
            currency=row["currency"],
            note=cleaned(row["remarks"]),
        )
        for row in (idle.rows.to_pylist() if idle else ())
    ]
    rows = [row for row in rows if opened.sight.sees_connection(row.about["connection"])]
    sentence = f"Seats at the end of {period.last}, UTC." if rows else f"No seats are known on {period.last}."
    return _answer(opened, period, "seats", sentence, rows, limit, cursor, [found.note])


def what_if(
    opened: Opened, wanted: Mapping[str, str], first: str | None, last: str | None, limit: int, cursor: str | None
) -> CallToolResult:
    """Answer with what tokens would have cost at other list prices. Raises SettingsError, WarehouseError."""
    if not opened.sight.is_whole:
        raise WarehouseError(f"what_if compares whole bills, and this assistant is limited ({opened.sight.in_words})")
    period = period_of(opened, first, last)
    with named_as_parameters(), opened.stored() as database:
        found = compared_as_wanted(database, period, wanted, entries_of(wanted, database))
    amounts = ("usd", "usd_list", "usd_list_instead", "usd_change", "usd_bill_less_list", "usd_difference_to_bill")
    names = ("provider", "model", "instead", "tiers", "days", "days_without_price", "list_of", "share_of_bill")
    rows = [
        Row(
            about=about(**{name: row[name] for name in names}),
            values=values(**{name: row[name] for name in (*amounts, "usd_left_out")}),
            unit="USD",
            currency="USD",
            cost_basis="billed",
            note=cleaned(row["left_out_because"]),
        )
        for row in found
    ]
    sentence = (
        f"{len(rows)} models at other public list prices, {period.first} to {period.last}: an estimate, no offer."
    )
    note = "usd is what was billed; usd_list and usd_list_instead are list prices of the same tokens, and no cost"
    return _answer(opened, period, f"what_if {sorted(wanted.items())}", sentence, rows, limit, cursor, [note])


def _answer(
    opened: Opened,
    period: Period,
    question: str,
    sentence: str,
    rows: Sequence[Row],
    limit: int,
    cursor: str | None,
    notes: Sequence[str],
) -> CallToolResult:
    page = Page({"question": question, "first": period.first, "last": period.last}, opened.state, limit, cursor)
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


def _currency(unit: str) -> str | None:
    return unit if len(unit) == LETTERS_OF_CURRENCY and unit.isupper() else None
