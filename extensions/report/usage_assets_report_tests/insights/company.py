"""A company made by hand: who uses what on which day, its scopes added up here, its rows in a DuckDB in memory."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from random import Random

import duckdb

from usage_assets.core.days import DAY, Window
from usage_assets.models.insights import AnomalyRow
from usage_assets_report.insights.anomalies import closed_anomalies, find_anomalies
from usage_assets_report.insights.series import MEASURES, Days, Key, Measure, Scope, keep
from usage_assets_tests.models.days import lines

FIRST, NEWEST = date(2026, 9, 1), date(2026, 11, 12)
EVERY = tuple(Window(FIRST, NEWEST).days)
RHYTHM = (100, 104, 98, 101, 97, 20, 15)
"""Percent of a usual day, from Monday to Sunday."""
TABLES = """
create schema costs; create schema accounting; create schema models;
create table costs.stored (
  usage_date date, connection text, provider text, team text, project_id text, workspace_id text, model text,
  actor_id text, api_key_id text, api_key_name text, project_name text, workspace_name text, actor_name text,
  api_key_display_name text, cost_basis text, amount_usd decimal(38, 24)
);
create view costs.allocated_costs_named as
select
  *,
  model as family,
  connection as source_table,
  'USD' as currency,
  amount_usd as native_amount,
  null::text as line_item,
  null::text as charge_frequency
from costs.stored;
create view costs.daily_costs as from costs.allocated_costs_named;
create view costs.counted_costs as select *, 'USD' as counted_in from costs.allocated_costs_named;
create table costs.usage (
  usage_date date, connection text, provider text, model text, project_id text, workspace_id text, user_id text,
  api_key_id text, input_tokens bigint, output_tokens bigint, requests bigint, images bigint, characters bigint,
  seconds bigint, usage_bytes bigint, sessions bigint
);
create table costs.usage_by_model (
  connection text, model text, family text, usage_date date, input_tokens bigint, output_tokens bigint
);
create view models.names as select distinct provider, model, model as family from costs.usage;
create table costs.names (kind text, connection text, id text, name text, service_account_id text);
create table accounting.owners (kind text, id text, connection text, team text, valid_from date, valid_until date);
"""


@dataclass(frozen=True)
class User:
    """A key of one person in one project, and what it costs and uses on a usual day."""

    connection: str
    project: str
    person: str
    key: str
    model: str
    usd: Decimal

    def keys(self, team: str) -> Iterator[Key]:
        """The scopes that its rows belong to."""
        places = (self.connection, self.connection, team, self.project, self.model, self.person, self.key)
        kinds = ("connection", "provider", "team", "project", "model", "person", "api_key")
        yield "all", ""
        yield from zip(kinds, places, strict=True)


TEAMS = {"web": "shop", "app": "shop", "research": "labs", "lab": "labs", "ops": "ops"}
USERS = tuple(
    User(connection, project, person, f"key of {person}", model, Decimal(usd))
    for connection, project, person, model, usd in lines("""
    openai     web       ada   gpt   100
    openai     web       bob   gpt   80
    openai     app       cleo  gpt   60
    openai     research  dan   mini  90
    openai     ops       eve   gpt   120
    anthropic  lab       fay   opus  150
    anthropic  ops       gus   opus  130
    """)
)
TOKENS, REQUESTS = 20_000, 20
"""Of each dollar."""


@dataclass
class Company:
    """What each user was billed and used per day: (user, measure, day) -> amount."""

    users: Sequence[User] = USERS
    used: dict[tuple[User, str, date], Decimal] = field(default_factory=dict)
    recurring: Mapping[Key, Mapping[date, Decimal]] = field(default_factory=dict)
    """Charges of scopes that are stored and not searched."""
    seed: int = 1

    def __post_init__(self) -> None:
        dice = Random(self.seed)
        for user in self.users:
            for day in EVERY:
                percent = RHYTHM[day.weekday()] * (100 + dice.randint(-4, 4))
                usd = user.usd * percent / 10_000
                amounts = {"usd": usd, "tokens": usd * TOKENS, "requests": Decimal(int(usd * REQUESTS))}
                self.used |= {(user, name, day): amount.quantize(Decimal("0.01")) for name, amount in amounts.items()}

    def times(
        self,
        factor: Decimal | int | str,
        days: Iterable[date],
        whose: Callable[[User], bool] = lambda _: True,
        measures: Sequence[str] = ("usd", "tokens", "requests"),
    ) -> "Company":
        """Return the company with so many times the use on some days."""
        those = {*days}
        changed = {
            (user, name, day): amount * Decimal(factor)
            for (user, name, day), amount in self.used.items()
            if day in those and name in measures and whose(user)
        }
        return replace_used(self, changed)

    def scopes(self) -> Mapping[Measure, Mapping[Key, Scope]]:
        """Return every scope, added up without SQL."""
        of_all = {name: Days(frozenset(EVERY), None) for name in {user.connection for user in self.users}}
        return {measure: self._scopes(measure, of_all) for measure in MEASURES}

    def _scopes(self, measure: Measure, days: Mapping[str, Days]) -> Mapping[Key, Scope]:
        amounts: dict[Key, dict[date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        connections: dict[Key, set[str]] = defaultdict(set)
        for (user, name, day), amount in self.used.items():
            if name == measure.name and amount:
                for key in user.keys(TEAMS[user.project]):
                    amounts[key][day] += amount
                    connections[key].add(user.connection)
        return {
            key: Scope(*key, key[1] or "all", dict(of_key), sorted(connections[key]), days, measure)
            for key, of_key in amounts.items()
        }

    @contextmanager
    def database(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a database in memory that holds the same rows."""
        costs, usage = [], []
        for (user, name, day), amount in self.used.items():
            if name == "usd" and amount:
                of_team = (user.connection, user.connection, TEAMS[user.project], user.project, None, user.model)
                names = (user.person, user.key, user.key, user.project, None, user.person, user.key)
                costs.append((day, *of_team, *names, "billed", amount))
            elif name == "tokens":
                requests = int(self.used[user, "requests", day])
                place = (user.connection, user.connection, user.model, user.project, None, user.person, user.key)
                if amount or requests:
                    usage.append((day, *place, int(amount), 0, requests, *[None] * 5))
        with duckdb.connect() as database:
            database.execute(TABLES)
            insert(database, "costs.stored", costs)
            insert(database, "costs.usage", usage)
            database.execute(
                "insert into costs.usage_by_model select connection, model, model, usage_date, sum(input_tokens), 0 "
                "from costs.usage group by all"
            )
            teams = [("project", project, None, team, FIRST, None) for project, team in TEAMS.items()]
            insert(database, "accounting.owners", teams)
            yield database


def replace_used(company: Company, changed: Mapping[tuple[User, str, date], Decimal]) -> Company:
    """Return a company that has used something else on some days."""
    made = Company((), recurring=company.recurring)
    made.users, made.used = company.users, {**company.used, **changed}
    return made


def insert(database: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Store rows at once: one by one takes a millisecond each."""
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        names = ", ".join(f"unnest($c{number})" for number in range(len(columns)))
        parameters = {f"c{number}": column for number, column in enumerate(columns)}
        database.execute(f"insert into {table} select {names}", parameters)


def found(company: Company, known: Sequence[AnomalyRow] = (), newest: date = NEWEST) -> list[AnomalyRow]:
    """Return all rows of a run on the day after ``newest``, the known closed ones too."""
    scopes = company.scopes()
    with company.database() as database:
        keep(database, newest, MEASURES)
        rows = [*find_anomalies(database, scopes, known, newest)]
    searched = {(*key, measure.name) for measure, of_measure in scopes.items() for key in of_measure}
    return [*rows, *closed_anomalies(known, rows, searched, newest, newest + DAY)]
