"""What was spent: sums of the views of costs, by one dimension, for one filter of each."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Self

from mcp_types import CallToolResult

from usage_assets.core.days import spans
from usage_assets.core.money import total
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.values import listed
from usage_assets_assistant.mcp.answers import Answer, Page, Row, about, cleaned, paged, shown, values
from usage_assets_assistant.mcp.freshness import doubts, freshness, missing_days, period_of, stored_days
from usage_assets_assistant.mcp.questions import By
from usage_assets_assistant.mcp.sight import A_HASH, A_PERSON, AN_ADDRESS
from usage_assets_assistant.mcp.store import Opened
from usage_assets_assistant.query.untrusted import Relation
from usage_assets_report.shared import Period, rates_of

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
    "usage_type": ("usage_family",),
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
VIEWS = (
    *("costs.by_day", "costs.by_team", "costs.by_project", "costs.by_model_as_sent", "costs.by_actor"),
    *("costs.by_usage_type", "costs.by_person"),
    *("costs.allocated_costs_by_key_named", "costs.allocated_costs_by_key_of_people"),
    *("costs.allocated_costs_named", "costs.allocated_costs_of_people"),
)
"""Views with every cost once, the smallest first: the first one that has the columns is read."""
BY_KEY = "_by_key"
"""In the name of a view that sums another one, which is explained instead."""
NAMED = """(
    select spent.*, coalesce(names.family, spent.model) as family, kinds.usage_family
    from {view} as spent
    left join models.names_in_costs as names using (provider, model)
    left join models.usage_families as kinds
      on kinds.provider = spent.provider and kinds.usage_type is not distinct from spent.usage_type
  )"""
"""A view that has models and kinds of use as they are sent, with their families."""
SENT = """
select coalesce(family, model), list(distinct model)
from models.names_in_costs
where model is not null
group by all
"""
MONTH = ", date_trunc('month', usage_date)::date as month"
SQL = """
select {columns}cost_basis, unit, if(unit = 'USD', 'USD', currency) as currency, native_unit, sum(amount) as amount
from (
  select
    * exclude (native_unit){month},
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
OF_TOTAL = ("cost_basis", "unit", "currency", "native_unit")
IDS: Mapping[str, Sequence[str]] = {
    "actor_name": ("actor_id",),
    "api_key_display_name": ("api_key_id",),
    "person_name": ("person_id",),
    "project_name": ("project_id", "workspace_id"),
    "workspace_name": ("project_id", "workspace_id"),
}
"""Name -> the ids that say what it is the name of."""
WORDS = {"usage_date": "day", "family": "model", "usage_family": "usage_type"}
BASES: Mapping[str, str] = {
    "billed": "what providers charge",
    "estimated": "a price for usage that is charged elsewhere",
    "notional": "a price for usage that a seat or plan covers",
    "credits": "credits, not dollars",
}


@paged
def spend(
    opened: Opened, page: Page, first: str | None, last: str | None, by: By, filters: Mapping[str, str | None]
) -> CallToolResult:
    """Answer with a row per value of a dimension, cost basis and unit, the largest first; days in their order."""
    period = period_of(opened, first, last)
    chosen = {name: value for name, value in filters.items() if value is not None}
    question = _Question.of(opened, period, by, chosen)
    found = question.rows()
    states = freshness(opened, chosen.get("connection"))
    with opened.whole("costs", "accounting") as database:
        rates = rates_of(database, period)
    totals = [*question.totals(found)]
    answer = Answer(
        sentence=_sentence(period, totals, chosen) if found else question.why_nothing(),
        first=period.first,
        last=period.last,
        totals=totals,
        rates=cleaned(rates),
        freshness=states,
        notes=[*doubts(opened, states, period.first, period.last, chosen.get("connection")), *_notes(totals)],
    )
    return page.put(answer, [question.row(each) for each in found])


@dataclass(frozen=True, kw_only=True)
class _Question:
    """What is asked, and the view that has the answer."""

    opened: Opened
    period: Period
    by: By
    chosen: Mapping[str, str]
    """Filter -> value."""
    view: str
    known: Mapping[str, str]
    """The columns of the view that are seen, with their types."""

    @classmethod
    def of(cls, opened: Opened, period: Period, by: By, chosen: Mapping[str, str]) -> Self:
        """Choose the smallest view with the columns that are needed. Raises WarehouseError where none has them."""
        for view in VIEWS:
            known = opened.offered.get(_relation(view), {})
            if "model" in known and "family" not in known:
                known = {**known, "family": "VARCHAR", "usage_family": "VARCHAR"}  # NAMED
            question = cls(opened=opened, period=period, by=by, chosen=chosen, view=view, known=known)
            needed = [*([name] for name in question.columns if name != "month"), *map(question.fitting, chosen)]
            if known and all(known.keys() & names for names in needed):
                return question
        raise WarehouseError(
            f"by {by} and {listed(chosen) or 'no filter'} is not shown to this assistant ({opened.sight.in_words}): "
            "leave a filter out, or ask by something else"
        )

    @property
    def columns(self) -> Sequence[str]:
        """The columns that rows are by."""
        return BY[self.by]

    def fitting(self, name: str) -> Sequence[str]:
        """Return the columns of the view that a filter is about."""
        return [each for each in FILTERS[name] if each in self.known]

    def _has_family(self) -> bool:
        """Whether the view itself says to which family a model belongs."""
        return "family" in self.opened.offered.get(_relation(self.view), {})

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """Return the sums, in their order."""
        found = self._sums(self.columns, self.chosen)
        if self.by in ("day", "month"):
            return sorted(found, key=lambda row: (*_order(row), row[self.columns[0]]))
        return sorted(found, key=lambda row: (*_order(row), -row["amount"]))

    def _sums(self, columns: Sequence[str], chosen: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        conditions = "".join(
            f"\n    and ({' or '.join(f'{each} = ${name}' for each in self.fitting(name))})" for name in chosen
        )
        is_named = "family" in self.known and not self._has_family()
        read = NAMED.format(view=self.view) if is_named else self.view
        sql = SQL.format(
            columns="".join(f"{name}, " for name in columns),
            month=MONTH if self.by == "month" else "",
            is_valued=VALUED + (" and rows_without_usd = 0" if "rows_without_usd" in self.known else ""),
            view=read,
            conditions=conditions,
        )
        with self.opened.seen() as database:
            self.opened.allow(f"from {read}", is_ours=True)
            asked = {"first": self.period.first, "last": self.period.last, **chosen}
            rows: list[dict[str, Any]] = fetch_arrow(database.execute(sql, asked)).to_pylist()
            return rows

    def row(self, found: Mapping[str, Any]) -> Row:
        names = about(**{WORDS.get(name, name): found[name] for name in self.columns})
        nothing = {} if self.by == "cost_basis" else {self.by: f"no {self.by.replace('_', ' ')}"}
        return Row(
            about=names or about(**nothing),
            values=values(amount=found["amount"]),
            unit=found["unit"],
            currency=found["currency"],
            cost_basis=found["cost_basis"],
            explain=self.command(found, self.columns),
        )

    def totals(self, found: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
        """Yield one sum per cost basis and unit: there is none of several."""
        amounts: dict[tuple[Any, ...], list[Decimal]] = {}
        for row in found:
            amounts.setdefault(tuple(row[name] for name in OF_TOTAL), []).append(row["amount"])
        for key, each in amounts.items():
            known = dict(zip(OF_TOTAL, key, strict=True))
            yield Row(
                about={},
                values=values(amount=total(each)),
                unit=known["unit"],
                currency=known["currency"],
                cost_basis=known["cost_basis"],
                explain=self.command(known, ()),
            )

    def command(self, found: Mapping[str, Any], columns: Sequence[str]) -> str | None:
        """Return the command that explains a figure; None where it would need a hidden name, or several."""
        first, last = self.period.first, self.period.last
        where: dict[str, Any] = {"cost_basis": found["cost_basis"]}
        for name in columns:
            if name == "usage_date":
                first = last = found[name]
            elif name == "month":
                of_month = Period.of_month(found[name], self.period.last)
                first, last = max(of_month.first, first), of_month.last
            elif not any(found.get(id_) for id_ in IDS.get(name, ())):
                where[name] = found[name]
        for name, value in self.chosen.items():
            if not where.keys() & self.fitting(name):
                fitting = self.fitting(name)
                if len(fitting) > 1:
                    fitting = [each for each in fitting if value in self._values(each)]
                if not fitting or (name == "project" and len(fitting) > 1):
                    return None  # a project and a workspace may have one name
                where[fitting[0]] = value
        sight = self.opened.sight
        for column, names in (("team", sight.teams), ("connection", sight.connections)):
            if names and column not in where:
                if len(names) > 1:
                    return None  # no command is about several
                where[column] = next(iter(names))
        if "usage_family" in where and self.view != "costs.by_usage_type":
            kinds = self._kinds[where.pop("usage_family")]
            if len(kinds) > 1:
                return None  # the table has several names of it
            where["usage_type"] = next(iter(kinds))
        if "family" in where and not self._has_family():
            family = where.pop("family")
            sent = self._sent.get(family, {family})
            if len(sent) > 1:
                return None  # the table has several names of it
            where["model"] = next(iter(sent))
        if found["unit"] != "USD":
            where |= {"native_unit": found["native_unit"], "currency": found["currency"]}
        if any(hidden in str(value) for value in where.values() for hidden in (A_PERSON, A_HASH, AN_ADDRESS)):
            return None
        words = [
            "usage-assets",
            "explain",
            "--table",
            self.view.replace(BY_KEY, ""),
            "--start",
            str(first),
            "--end",
            str(last),
        ]
        for column, value in where.items():
            words += ["--where", f"{column}={'' if value is None else value}"]
        return shown(*words, "--column", "amount_usd" if found["unit"] == "USD" else "native_amount")

    @cached_property
    def _kinds(self) -> Mapping[str, Collection[str | None]]:
        """Return the kinds of use, as they are sent, of each family among what is asked."""
        found: dict[str, set[str | None]] = {}
        for row in self._sums(["usage_family", "usage_type"], self.chosen):
            found.setdefault(row["usage_family"], set()).add(row["usage_type"])
        return found

    @property
    def _sent(self) -> Mapping[str, Collection[str]]:
        """Return the names, as they are sent, of each family of models."""
        if SENT not in self.opened.known:
            with self.opened.stored() as database:
                self.opened.known[SENT] = dict(database.execute(SENT).fetchall())
        known: Mapping[str, Collection[str]] = self.opened.known[SENT]
        return known

    def _values(self, column: str) -> Collection[str]:
        known: dict[str, frozenset[str]] = self.opened.known.setdefault(f"{self.view} {self.period}", {})
        if column not in known:
            known[column] = frozenset(str(row[column]) for row in self._sums([column], {}) if row[column] is not None)
        return known[column]

    def why_nothing(self) -> str:
        """Say why there is no cost: no such day, or no such name, with names that are nearly the same."""
        first, last = stored_days(self.opened)
        days = f"{self.period.first} to {self.period.last}"
        if self.period.last < first or self.period.first > last:
            return f"No costs are stored for {days}. Stored: {first} to {last}."
        connection = self.chosen.get("connection", "")
        missing = missing_days(self.opened, self.period.first, self.period.last)
        if connection in missing:
            return f"No costs of {connection} are stored for {spans(missing[connection])}: missing, and not 0."
        for name, value in self.chosen.items():
            names = {each for column in self.fitting(name) for each in self._values(column)}
            if value not in names:
                near = get_close_matches(value, names, 5) or sorted(names)[:10]
                there = listed((cleaned(each) or "" for each in near), 10) or "none"
                return f"Nothing from {days} has {name} {cleaned(value)}. The names nearest to it: {there}."
        return f"Nothing was spent from {days} with these filters together."


def _relation(view: str) -> Relation:
    schema, _, name = view.partition(".")
    return schema, name


def _order(row: Mapping[str, Any]) -> tuple[bool, str, bool, str]:
    """Dollars that are billed come first, as in the report."""
    basis, unit = row["cost_basis"], row["unit"]
    return basis != "billed", basis, unit != "USD", unit


def _sentence(period: Period, totals: Sequence[Row], chosen: Mapping[str, str]) -> str:
    amounts = "; ".join(f"{row.cost_basis} {row.values['amount']} {row.unit}" for row in totals)
    of = "".join(f", {name} {cleaned(value)}" for name, value in chosen.items())
    return f"{period.first} to {period.last}, UTC{of}: {amounts}."


def _notes(totals: Sequence[Row]) -> Iterator[str]:
    """Yield what must be known where there are several amounts."""
    if len(totals) > 1:
        bases = dict.fromkeys(row.cost_basis or "" for row in totals)
        yield f"never add these: {'; '.join(f'{basis}: {BASES[basis]}' for basis in bases if basis in BASES)}"
    for row in totals:
        if row.unit != "USD" and row.cost_basis != "credits":
            yield f"{row.cost_basis} {row.unit}: has no exchange rate, and is in no amount in USD"
