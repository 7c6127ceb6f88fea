"""What was spent: sums of the views of costs, by one dimension, for one filter of each."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from mcp.types import CallToolResult

from usage_assets.core.money import total
from usage_assets.features.mcp.answers import Answer, Page, Row, about, cleaned, listed, values
from usage_assets.features.mcp.freshness import doubts, freshness, period_of, stored_days
from usage_assets.features.mcp.questions import By
from usage_assets.features.mcp.store import Opened
from usage_assets.features.report.figures import rates_of
from usage_assets.features.report.period import Period
from usage_assets.warehouse.errors import WarehouseError

BY: Mapping[str, Sequence[str]] = {
    "cost_basis": (),
    "day": ("usage_date",),
    "month": ("month",),
    "provider": ("provider",),
    "connection": ("connection",),
    "team": ("team",),
    "cost_center": ("cost_center",),
    "project": ("connection", "project_id", "project_name", "workspace_id", "workspace_name"),
    "model": ("family",),
    "usage_type": ("usage_type",),
    "actor": ("connection", "actor_kind", "actor_id", "actor_name"),
    "person": ("actor_kind", "person_id", "person_name"),
    "api_key": ("connection", "api_key_id", "api_key_display_name"),
}
"""What rows are by -> the columns."""
FILTERS: Mapping[str, Sequence[str]] = {
    "provider": ("provider",),
    "connection": ("connection",),
    "team": ("team",),
    "cost_center": ("cost_center",),
    "project": ("project_id", "project_name", "workspace_id", "workspace_name"),
    "model": ("family", "model"),
    "cost_basis": ("cost_basis",),
}
"""Filter -> the columns of which one has its value."""
VIEWS: Mapping[str, str] = {
    **{
        f"costs.{name}": f"costs.{name}" for name in ("by_day", "by_team", "by_project", "by_model_as_sent", "by_actor")
    },
    "costs.by_person": "costs.by_person",
    "costs.allocated_costs_by_key_named": "costs.allocated_costs_named",
    "costs.allocated_costs_by_key_of_people": "costs.allocated_costs_of_people",
    "costs.allocated_costs_named": "costs.allocated_costs_named",
    "costs.allocated_costs_of_people": "costs.allocated_costs_of_people",
}
"""Views with every cost once, the smallest first: the first one that has the columns is read. Which one to explain."""
MONTH = "date_trunc('month', usage_date)::date as month"
SQL = """
select {columns}cost_basis, unit, if(unit = 'USD', 'USD', currency) as currency, native_unit, sum(amount) as amount
from (
  select
    * exclude (native_unit),
    case
      when {is_valued} then 'USD'
      when native_unit = 'minor units' then 'minor units of ' || coalesce(currency, 'an unknown currency')
      else coalesce(currency, native_unit)
    end as unit,
    if({is_valued}, amount_usd, native_amount) as amount,
    if({is_valued}, null, native_unit) as native_unit
  from {view}
  where usage_date between $first and $last{conditions}
)
group by all
"""
VALUED = "cost_basis <> 'credits' and amount_usd is not null"
"""As in the report (headline.sql). Credits stay credits."""
WORDS = {"usage_date": "day", "family": "model"}
BASES: Mapping[str, str] = {
    "billed": "what providers charge",
    "estimated": "a price for usage that is charged elsewhere",
    "notional": "a price for usage that a seat or plan covers",
    "credits": "credits, not dollars",
}


def spend(
    opened: Opened,
    first: str | None,
    last: str | None,
    by: By,
    filters: Mapping[str, str | None],
    limit: int,
    cursor: str | None,
) -> CallToolResult:
    """Answer with a row per value of a dimension, cost basis and unit, the largest first; days in their order."""
    period = period_of(opened, first, last)
    chosen = {name: value for name, value in filters.items() if value is not None}
    page = Page({"by": by, "first": period.first, "last": period.last, **chosen}, opened.state, limit, cursor)
    view, columns = _view(opened, by, chosen)
    found = _read(opened, period, view, [columns.get(name, name) for name in BY[by]], chosen, columns)
    if by in ("day", "month"):
        found.sort(key=lambda row: (*_order(row), row[BY[by][0]]))
    else:
        found.sort(key=lambda row: (*_order(row), -row["amount"]))
    states = freshness(opened, chosen.get("connection"))
    with opened.whole("costs", "accounting") as database:
        rates = rates_of(database, period)
    totals = [*_totals(found)]
    answer = Answer(
        sentence=_sentence(period, totals, chosen),
        first=period.first,
        last=period.last,
        totals=totals,
        rates=cleaned(rates),
        freshness=states,
        notes=[*doubts(states, period.first, period.last), *_bases(totals)],
    )
    if not found:
        answer.sentence = _why_nothing(opened, period, view, chosen, columns)
    return page.put(answer, [_row(row, by, period, view, chosen, columns) for row in found])


def _view(opened: Opened, by: By, chosen: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    """Return the smallest view with the columns, and what some of them are called there."""
    for view in VIEWS:
        schema, _, name = view.partition(".")
        known = opened.offered.get((schema, name), {})
        columns = {"family": "family" if "family" in known else "model", "month": MONTH}
        needed = [{columns.get(each, each)} for each in BY[by] if each != "month"]
        needed += [{columns.get(each, each) for each in FILTERS[name]} for name in chosen]
        if known and all(each & known.keys() for each in needed):
            return view, columns
    raise WarehouseError(
        f"by {by} and {listed(chosen)} together are not available to {opened.sight.in_words}: leave one out"
    )


def _read(
    opened: Opened,
    period: Period,
    view: str,
    wanted: Sequence[str],
    chosen: Mapping[str, str],
    columns: Mapping[str, str],
) -> list[dict[str, Any]]:
    known = opened.columns[_relation(view)]
    conditions, parameters = [""], dict[str, object](first=period.first, last=period.last)
    for name, value in chosen.items():
        fitting = [each for each in dict.fromkeys(columns.get(each, each) for each in FILTERS[name]) if each in known]
        conditions.append(f"({' or '.join(f'{each} = ${name}' for each in fitting)})")
        parameters[name] = value
    sql = SQL.format(
        columns="".join(f"{name}, " for name in wanted),
        is_valued=VALUED + (" and rows_without_usd = 0" if "rows_without_usd" in known else ""),
        view=view,
        conditions="\n    and ".join(conditions),
    )
    with opened.seen() as database:
        opened.allow(f"from {view}")
        answer = database.execute(sql, parameters)
        names = [name for name, *_ in answer.description]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def _order(row: Mapping[str, Any]) -> tuple[bool, str, bool, str]:
    """Dollars that are billed come first, as in the report."""
    basis, unit = row["cost_basis"], row["unit"]
    return basis != "billed", basis, unit != "USD", unit


def _relation(view: str) -> tuple[str, str]:
    schema, _, name = view.partition(".")
    return schema, name


def _totals(found: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """Yield one sum per cost basis and unit: there is none of several."""
    amounts: dict[tuple[str, str, str | None], list[Decimal]] = {}
    for row in found:
        amounts.setdefault((row["cost_basis"], row["unit"], row["currency"]), []).append(row["amount"])
    for (basis, unit, currency), each in amounts.items():
        yield Row(about={}, values=values(amount=total(each)), unit=unit, currency=currency, cost_basis=basis)


def _row(
    row: Mapping[str, Any], by: By, period: Period, view: str, chosen: Mapping[str, str], columns: Mapping[str, str]
) -> Row:
    names = {WORDS.get(name, name): row.get(columns.get(name, name), row.get(name)) for name in BY[by]}
    return Row(
        about=about(**names) or about(**{by: _called_nothing(by)} if by != "cost_basis" else {}),
        values=values(amount=row["amount"]),
        unit=row["unit"],
        currency=row["currency"],
        cost_basis=row["cost_basis"],
        explain=_command(row, by, period, view, chosen, columns),
    )


def _called_nothing(by: By) -> str:
    return f"no {by.replace('_', ' ')}"


def _command(
    row: Mapping[str, Any], by: By, period: Period, view: str, chosen: Mapping[str, str], columns: Mapping[str, str]
) -> str:
    """Return the command that explains a figure."""
    first, last = period.first, period.last
    where = {"cost_basis": row["cost_basis"]}
    for name in BY[by]:
        column = columns.get(name, name)
        if name == "usage_date":
            first = last = row[name]
        elif name == "month":
            first, last = _days_of_month(row[name], period)
        else:
            where[column] = row[column]
    for name, value in chosen.items():
        column = columns.get(FILTERS[name][0], FILTERS[name][0])
        where.setdefault(column, value)
    if row["unit"] != "USD":
        where |= {"native_unit": row["native_unit"], "currency": row["currency"]}
    words = ["usage-assets", "explain", "--table", VIEWS[view], "--start", str(first), "--end", str(last)]
    for column, value in where.items():
        words += ["--where", f"{column}={'' if value is None else value}"]
    words += ["--column", "amount_usd" if row["unit"] == "USD" else "native_amount"]
    return shlex.join(words)


def _days_of_month(month: date, period: Period) -> tuple[date, date]:
    of_month = Period.of_month(month, period.last)
    return max(month, period.first), of_month.last


def _sentence(period: Period, totals: Sequence[Row], chosen: Mapping[str, str]) -> str:
    amounts = "; ".join(f"{row.cost_basis} {row.values['amount']} {row.unit}" for row in totals)
    of = "".join(f", {name} {cleaned(value)}" for name, value in chosen.items())
    return f"{period.first} to {period.last}, UTC{of}: {amounts}."


def _bases(totals: Sequence[Row]) -> Iterator[str]:
    """Yield what must be known where there are several amounts."""
    bases = list(dict.fromkeys(row.cost_basis for row in totals if row.cost_basis))
    if len(totals) > 1:
        yield f"never add these: {'; '.join(f'{basis}: {BASES[basis]}' for basis in bases if basis in BASES)}"


def _why_nothing(
    opened: Opened, period: Period, view: str, chosen: Mapping[str, str], columns: Mapping[str, str]
) -> str:
    """Say why there is no cost: no such day, or no such name, with names that are nearly the same."""
    first, last = stored_days(opened)
    if period.last < first or period.first > last:
        return f"No costs are stored for {period.first} to {period.last}: there are {first} to {last}."
    for name, value in chosen.items():
        wanted = [columns.get(column, column) for column in FILTERS[name]]
        known = opened.columns[_relation(view)]
        names = {
            str(row[column])
            for column in wanted
            if column in known
            for row in _read(opened, period, view, [column], {}, columns)
            if row[column] is not None
        }
        if value not in names:
            near = get_close_matches(value, names, 5) or sorted(names)[:10]
            there = listed(cleaned(each) or "" for each in near) or "none"
            return (
                f"Nothing was spent by {name} {cleaned(value)} from {period.first} to {period.last}: there are {there}."
            )
    return f"Nothing was spent from {period.first} to {period.last} with these filters together."
