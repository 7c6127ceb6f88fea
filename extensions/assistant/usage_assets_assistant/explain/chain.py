"""Follows a figure to the archived answers. lineage.py finds the rows, answers.py the values.

Reads the published copy (or the lake) and the archive. Sends no request and changes nothing.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache, cached_property
from itertools import chain
from typing import Any, TypeAlias

import duckdb
import msgspec
import pyarrow as pa

from usage_assets.config.settings import Connection, Settings, SettingsError
from usage_assets.core import money
from usage_assets.core.schema import Row, TableRow, arrow_schema, columns, declared, to_arrow
from usage_assets.fetching.archive.files import File
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.connected import archive_of, replay_of
from usage_assets.fetching.control_totals import replaced_days
from usage_assets.fetching.transport import ProviderError
from usage_assets.models.connection_graph import ConnectionGraph, graph_of, stated_money
from usage_assets.models.costs import ALLOCATIONS, COSTS, VIEWS, AllocatedCost, DailyCost, used_views
from usage_assets.models.entities import ENTITIES
from usage_assets.models.model import LOOKUP_TABLES
from usage_assets.models.prices import STANDARD, ListPrices, has_prices
from usage_assets.providers.endpoint import Control, Endpoint
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Query, Seed, listed
from usage_assets_assistant.explain.answers import ROW_COUNT, Answers, ArchivedDay, Totals, Value
from usage_assets_assistant.explain.computed import Computations, ShownComputation
from usage_assets_assistant.explain.figures import (
    AMOUNTS,
    COMPUTED,
    FOCUS,
    FOCUS_AMOUNTS,
    FROM_RAW,
    GATEWAY_TAGS,
    PASSED,
    RESTATEMENTS,
    USAGE,
    USAGE_SQL,
    Figure,
    condition_of,
    exists,
    fetch,
    identity_of,
    measures_of,
    passed_columns,
    row_model,
    sources_of_view,
    sum_of,
)
from usage_assets_assistant.explain.lineage import FRAME, Change, MissingLinkError, Trial


def _query_of(view: str, sql: str) -> Query:
    """Return the query of a view over raw tables."""
    [made] = (each for each in VIEWS if view in each.names)
    read = tuple(name for name in dict.fromkeys(made.reads) if not name.startswith("ledger."))
    return Query(sql, reads=(), optional_refs=read, uses=used_views([view]))


QUERIES = {USAGE: _query_of(USAGE, USAGE_SQL), GATEWAY_TAGS: _query_of(GATEWAY_TAGS, f"from {GATEWAY_TAGS}")}
"""View over raw tables -> what computes its rows; of costs.usage, those whose ids are equal are one."""
DERIVED = frozenset(model.row.table for model in (*COSTS, *ALLOCATIONS, *ENTITIES))
UI = "http://localhost:3000"
"""Address of Dagster's UI without USAGE_UI_URL."""


WrittenDay: TypeAlias = tuple[str, str, str, date]
"""Table, part of it, connection and day."""
OF_WRITTEN = ("table_name", "slice", "connection", "usage_date")
OF_DAYS = f"semi join (select unnest($days, recursive := true)) using ({', '.join(OF_WRITTEN)})"
VERSIONS = f"""
select
  {", ".join(OF_WRITTEN)}, version, state, row_count, content_hash, inputs, changed_run_id as found_by, written_at,
  run_id as run
from ledger.stored_days
left join ledger.day_states using ({", ".join(OF_WRITTEN)})
{OF_DAYS}"""
RESTATED = f"""
select *
from ledger.restatements
{OF_DAYS}
order by version, total"""


class ShownValue(msgspec.Struct, frozen=True):
    """A number of an archived answer that is in the figure."""

    table: str
    day: date
    path: str
    text: str
    page: int
    file: str
    """The file of the archive, and the byte of it where the answer begins, from 1."""
    read_at: str = ""
    """The provider's own file and the row in it, if it delivers files."""


class ShownDay(msgspec.Struct, frozen=True):
    """A figure's part of one day."""

    day: date
    value: Decimal | int | None


class ShownFigure(msgspec.Struct):
    """What is explained."""

    relation: str
    column: str
    unit: str | None
    value: Decimal | int | None
    rows: list[Mapping[str, Any]]
    """What identifies each of its rows."""
    values: list[ShownValue] = []
    days: list[ShownDay] = []
    """What each day adds, of several."""
    computation: ShownComputation | None = None
    """How it is computed from figures of days. None: it is a sum of archived values, or a part of one."""
    recomputed: Decimal | int | msgspec.UnsetType | None = msgspec.UNSET
    """The figure, computed again from the archived bytes alone, if that was asked for."""


class Step(msgspec.Struct):
    """The rows of one table or view that are part of the figure."""

    relation: str
    rows: list[Mapping[str, Any]]
    sql: str
    """Shows these rows."""
    query: str | None = None
    """Computes them, in a derived table."""
    arithmetic: list[str] = []
    """How amounts were converted and split."""


class ShownVersion(msgspec.Struct):
    """The write that made a day of a table what it is."""

    table: str
    slice: str
    connection: str
    day: date
    version: int
    state: str | None
    row_count: int
    content_hash: str
    inputs: Mapping[str, str | None] | None
    found_by: str
    """Run that wrote this content first."""
    written_at: datetime
    run: str
    """Run of the newest write, which may have found the same."""


class ShownRequest(msgspec.Struct):
    """A request, and the file with its answer. API keys are in headers that are not stored."""

    connection: str
    endpoint: str
    method: str
    path: str
    parameters: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    days: str
    grouped_by: Sequence[str]
    fetched_at: datetime
    stored_at: datetime
    pages: int
    file: str


class ShownPrice(msgspec.Struct, frozen=True):
    """The list price of a model on a day, in dollars per million tokens. No figure is computed from it."""

    provider: str
    model: str
    day: date
    tier: str
    per_million: Mapping[str, Decimal]


class ShownRun(msgspec.Struct, frozen=True):
    """A run of Dagster."""

    id: str
    link: str


class Explanation(msgspec.Struct):
    """Figures with all links of their chains. ``missing`` has one message per missing link."""

    figures: list[ShownFigure] = []
    steps: list[Step] = []
    versions: list[ShownVersion] = []
    restatements: list[Mapping[str, Any]] = []
    list_prices: list[ShownPrice] = []
    requests: list[ShownRequest] = []
    runs: list[ShownRun] = []
    missing: list[str] = []


@dataclass(frozen=True)
class InFigure:
    """A value that is in a figure."""

    table: str
    connection: str
    day: date
    value: Value


Origin: TypeAlias = InFigure | str
"""What was changed: an archived value, or a column."""


class Explainer:
    """Explains figures of one published state. It caches days, because many figures share them."""

    def __init__(self, settings: Settings, database: duckdb.DuckDBPyConnection) -> None:
        self.settings, self.database = settings, database
        self.archive = archive_of(settings)
        self.graph: Callable[[str], ConnectionGraph] = cache(self._graph)
        self.replay: Callable[[str], Replay] = cache(self._replay)
        self.rows_of_day: Callable[[str, str, date], pa.Table] = cache(self._rows_of_day)
        self.stored: Callable[[str, frozenset[date]], Set[tuple[str, str]]] = cache(self._stored)
        self._trials: dict[tuple[str, str, str, date], Trial] = {}
        self._changed: defaultdict[Trial, dict[int, list[tuple[Change, Origin]]]] = defaultdict(dict)
        self._answers: dict[tuple[str, str, str, bool], Answers] = {}
        self._archived: dict[tuple[str, str, str, bool, date, datetime | None], ArchivedDay] = {}
        self._touched: dict[str, dict[tuple[Any, ...], Mapping[str, Any]]] = {}
        self._files: dict[File, None] = {}

    # --- cached reads ------------------------------------------------------------------------------------------------

    @cached_property
    def _connections(self) -> Mapping[str, Connection]:
        return {each.name: each for each in self.settings.connections()}

    @cached_property
    def money(self) -> Seed:
        """The rates as they are published: those in force."""
        stated = stated_money(self.settings, self.settings.accounting())
        return Seed(stated.name, {table: self.published(table.name) for table in stated.tables}, stated.read_at)

    def _graph(self, connection: str) -> ConnectionGraph:
        """Return what a connection fetches and computes. Raises MissingLinkError for one that is not configured."""
        if connection not in self._connections:
            raise MissingLinkError(f"connection {connection} is no longer configured: nothing says what it asked for")
        return graph_of(self._connections[connection], self.money)

    def _replay(self, connection: str) -> Replay:
        """Return the archived answers of a connection. Raises MissingLinkError where there is no archive."""
        try:
            return replay_of(self.graph(connection).connection, self.settings, self.archive)
        except SettingsError as error:
            raise MissingLinkError(str(error)) from None

    def endpoint(self, table: str, connection: str) -> Endpoint:
        for endpoint in self.graph(connection).provider.endpoints:
            if table in endpoint.tables:
                return endpoint
        raise MissingLinkError(f"{table}: nothing that connection {connection} fetches now is stored there")

    def archived(self, endpoint: Endpoint, connection: str, day: date, before: datetime | None = None) -> ArchivedDay:
        """Return what the archive has for a day, or had at a time. Raises MissingLinkError."""
        older = self._answered(replace(endpoint, newer=None), connection, day, before, endpoint.row)
        if not endpoint.newer:
            return older
        try:
            newer = self._answered(endpoint.newer, connection, day, before, endpoint.row)
        except MissingLinkError:
            return older
        is_read = newer.stored_at >= older.stored_at and day in replaced_days(endpoint, newer.rows, older.rows)
        return newer if is_read else older

    def _answered(
        self, endpoint: Endpoint, connection: str, day: date, before: datetime | None, stored: type[Row]
    ) -> ArchivedDay:
        question = (connection, endpoint.path, endpoint.name, bool(endpoint.group_by))
        key = (*question, day, before)
        if key not in self._archived:
            if question not in self._answers:
                self._answers[question] = Answers(self.replay(connection), endpoint, stored)
            try:
                self._archived[key] = ArchivedDay(self._answers[question], day, before)
            except ProviderError as error:
                raise MissingLinkError(f"the archived answer is missing: {error}") from None
        return self._archived[key]

    def _rows_of_day(self, table: str, connection: str, day: date) -> pa.Table:
        return self.published(table, "connection = $connection and usage_date = $day", connection=connection, day=day)

    def published(self, table: str, where: str = "true", **parameters: object) -> pa.Table:
        """Return rows of a table as it is declared; none of a table that is not there. Raises MissingLinkError."""
        schema = arrow_schema(declared(table))
        if not exists(self.database, table):
            return schema.empty_table()
        found = fetch_arrow(self.database.execute(f"from {table} where {where}", parameters))
        if missing := sorted({*schema.names} - {*found.column_names}):
            raise MissingLinkError(
                f"{table}: an earlier release has published it, without {listed(missing)}: the next run adds that"
            )
        return found.select(schema.names).cast(schema)

    def _stored(self, connection: str, days: frozenset[date]) -> Set[tuple[str, str]]:
        """Return the tables, and the parts of them, that hold any of the days."""
        sql = (
            "select distinct table_name, slice from ledger.stored_days "
            "where connection = $connection and list_contains($days::date[], usage_date)"
        )
        found = self.database.execute(sql, {"connection": connection, "days": [*days]}).fetchall()
        return {(table, part) for table, part in found}

    def query_of(self, row: Mapping[str, Any], relation: str) -> tuple[str, Query]:
        """Return what computes a row of a derived table, and the part of the table. Raises MissingLinkError."""
        if relation in QUERIES:
            return "", QUERIES[relation]
        for model, query in self.graph(str(row["connection"])).models:
            if model.row.table == relation and model.part == part_of(model.row, row):
                return model.part, query
        raise MissingLinkError(f"{relation}: nothing that connection {row['connection']} fetches now computes this row")

    def trial(self, relation: str, part: str, query: Query, connection: str, day: date) -> Trial:
        key = (relation, part, connection, day)
        if key not in self._trials:
            model = row_model(relation)
            names = [each.name for each in columns(model)] if model else [*chain(*FROM_RAW[relation])]
            read = {*query.reads, *query.optional_refs}
            looked_up = sorted(read.intersection(LOOKUP_TABLES)) if relation == DailyCost.table else ()
            stored = "select * from ledger.stored_days where connection = $connection and usage_date = $day"
            self._trials[key] = Trial(
                relation,
                identity_of(relation, [])[len(FRAME) :],
                names,
                query,
                {name: self.rows_of_day(name, connection, day) for name in sorted(read.difference(LOOKUP_TABLES))},
                {table.name: rows for table, rows in query.seed.tables.items()} if query.seed else {},
                fetch_arrow(self.database.execute(stored, {"connection": connection, "day": day})),
                {name: self.published(name, "connection = $connection", connection=connection) for name in looked_up},
            )
        return self._trials[key]

    # --- the chain ----------------------------------------------------------------------------------------------------

    def explain(self, figures: Sequence[Figure]) -> Explanation:
        """Follow the figures as far as their chains go."""
        self._touched, self._files = {}, {}
        explained = Explanation()
        for figure in figures:
            names = identity_of(figure.relation, [*figure.rows[0]])
            shown = ShownFigure(
                figure.relation,
                figure.column,
                figure.unit,
                figure.value,
                [{name: row[name] for name in names} for row in figure.rows],
                days=[ShownDay(day, value) for day, value in figure.days.items()],
            )
            explained.figures.append(shown)
            try:
                if figure.relation in COMPUTED:
                    self._touch(figure.relation, figure.rows)
                    shown.computation = self._computed_again(figure)
                else:
                    found = self.follow(figure.relation, figure.rows, figure.column)
                    shown.values = [self._shown(each) for each in found]
            except MissingLinkError as error:
                if str(error) not in explained.missing:
                    explained.missing.append(str(error))
        explained.steps = [self._step(relation, [*rows.values()]) for relation, rows in self._touched.items()]
        explained.versions = [
            ShownVersion(*written, inputs=msgspec.json.decode(row.pop("inputs") or "null"), **row)
            for written, row in self._of_days(VERSIONS)
        ]
        explained.restatements = [
            {**dict(zip(OF_WRITTEN, written, strict=True)), **row} for written, row in self._of_days(RESTATED)
        ]
        explained.list_prices = self._list_prices()
        explained.requests = [_request(file) for file in self._files]
        runs = [run for version in explained.versions for run in (version.found_by, version.run)]
        runs += [row["run_id"] for row in self._touched.get(RESTATEMENTS, {}).values()]
        explained.runs = [
            ShownRun(run, f"{(self.settings.usage_ui_url or UI).rstrip('/')}/runs/{run}") for run in dict.fromkeys(runs)
        ]
        return explained

    @cached_property
    def computations(self) -> Computations:
        """What insights are computed from."""
        return Computations(self.settings, self.database)

    def parts_of(self, figure: Figure) -> Sequence[Figure]:
        """Return what is in the archive of a figure: all days of a computed one. Raises MissingLinkError."""
        return self.computations.inputs(figure) if figure.relation in COMPUTED else [figure]

    def _computed_again(self, figure: Figure) -> ShownComputation:
        found = self.computations.shown(figure)
        if found.again != figure.value:
            raise MissingLinkError(
                f"{figure.relation}: {figure.column} is {figure.value}, and what is stored gives {found.again}: the "
                "next report computes it again"
            )
        return found

    def follow(self, relation: str, rows: Sequence[Mapping[str, Any]], column: str) -> Sequence[InFigure]:
        """Return the archived values that are in a column of rows. Raises MissingLinkError."""
        return list(dict.fromkeys(self._follow(relation, rows, [column])))

    def _follow(self, relation: str, rows: Sequence[Mapping[str, Any]], shown: Sequence[str]) -> Iterable[InFigure]:
        self._touch(relation, rows)
        if relation == RESTATEMENTS:
            for row in rows:
                yield from self._follow_restatement(row, shown)
            return
        if (model := row_model(relation)) is None and relation not in QUERIES:
            yield from self._follow_view(relation, rows, shown)
            return
        days: defaultdict[tuple[str, date, str], list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            days[row["connection"], row["usage_date"], part_of(model, row)].append(row)
        for (connection, day, _), of_day in days.items():
            if relation in (*DERIVED, *QUERIES):
                yield from self._follow_derived(relation, connection, day, of_day, shown)
                continue
            endpoint = self.endpoint(relation, connection)
            if relation == endpoint.row.table:
                yield from self._follow_raw(endpoint, connection, day, of_day, shown)
            elif endpoint.control:
                yield from self._follow_control(endpoint, endpoint.control, connection, day, of_day)

    def _follow_view(
        self, relation: str, rows: Sequence[Mapping[str, Any]], shown: Sequence[str]
    ) -> Iterable[InFigure]:
        if relation == FOCUS:
            for row in rows:
                if row["x_SourceTable"] not in PASSED:
                    refuse_what_no_answer_states(row, shown)
            amounts: Sequence[str] = AMOUNTS if set(shown) <= {*FOCUS_AMOUNTS} else shown
        else:
            amounts = shown
        for source, made_from in sources_of_view(self.database, relation, rows).items():
            if source in PASSED:
                of_charges = passed_columns(source)
                amounts = [of_charges.get(name, of_charges["BilledCost"]) for name in shown]
            # the part of a bill in its own currency is split by the gateway's dollars, too
            yield from self._follow(source, made_from, ["amount_usd"] if source == GATEWAY_TAGS else amounts)

    def _follow_derived(
        self, relation: str, connection: str, day: date, rows: Sequence[Mapping[str, Any]], shown: Sequence[str]
    ) -> Iterable[InFigure]:
        part, query = self.query_of(rows[0], relation)
        trial = self.trial(relation, part, query, connection, day)
        for row in rows:
            _refuse_other_amounts(trial, row)
        found = trial.sources_of([tuple(row[name] for name in trial.grain) for row in rows])
        used = sorted({number for each in found.values() for number in each.rows})
        changes = self._changes(trial, used)
        requests = [
            (key, each, [change for number in each.rows for change, _ in changes[number]])
            for key, each in found.items()
        ]
        origins = {change.new: origin for of_row in changes.values() for change, origin in of_row}
        columns_of: defaultdict[int, set[str]] = defaultdict(set)
        for (_, _, changed), moved in zip(requests, trial.moved(shown, requests), strict=True):
            for change, is_moved in zip(changed, moved, strict=True):
                origin = origins[change.new]
                if is_moved and isinstance(origin, str):
                    columns_of[change.old].add(origin)
                elif is_moved and isinstance(origin, InFigure):
                    yield origin
        further: defaultdict[tuple[str, tuple[str, ...]], list[Mapping[str, Any]]] = defaultdict(list)
        for number, names in columns_of.items():
            further[trial.table_of(number), tuple(sorted(names))].append(trial.row_of(number))
        for (table, shown_further), of_table in further.items():
            yield from self._follow(table, of_table, shown_further)

    def _changes(self, trial: Trial, numbers: Sequence[int]) -> Mapping[int, Sequence[tuple[Change, Origin]]]:
        """Return, for each source row, the rows that it would be if one value or amount were another."""
        tables: defaultdict[str, list[int]] = defaultdict(list)
        for number in numbers:
            tables[trial.table_of(number)].append(number)
        known = self._changed[trial]
        for table, of_table in tables.items():
            self._touch(table, [trial.row_of(number) for number in of_table])
            new = [number for number in of_table if number not in known]
            known |= {number: [] for number in new}
            found = self._changed_columns if table in DERIVED else self._changed_values
            for change, origin in found(trial, table, new):
                known[change.old].append((change, origin))
        return known

    def _changed_values(self, trial: Trial, table: str, numbers: Sequence[int]) -> Iterable[tuple[Change, Origin]]:
        """Yield raw rows as they would be if one archived value were another."""
        days: defaultdict[tuple[str, date], list[int]] = defaultdict(list)
        for number in numbers:
            row = trial.row_of(number)
            days[row["connection"], row["usage_date"]].append(number)
        for (connection, day), of_day in days.items():
            archived = self.archived(self.endpoint(table, connection), connection, day)
            numbered = {self._position(archived, table, trial.row_of(number)): number for number in of_day}
            variants = list(archived.variants([*numbered]))
            rows = [variant.row.cast(arrow_schema(declared(table))) for _, variant in variants]
            added = trial.add(table, pa.concat_tables(rows)) if rows else ()
            for new, (position, variant) in zip(added, variants, strict=True):
                kind = ".".join(step for step in variant.value.place.path if isinstance(step, str))
                yield Change(numbered[position], new, kind), InFigure(table, connection, day, variant.value)

    def _changed_columns(self, trial: Trial, table: str, numbers: Sequence[int]) -> Iterable[tuple[Change, Origin]]:
        """Yield derived rows as they would be if one amount were another."""
        model = declared(table)
        others: list[tuple[int, str, TableRow]] = [
            (number, measure.name, model(**{**row, measure.name: _other(amount)}))
            for number in numbers
            for row in [trial.row_of(number)]
            for measure in measures_of(table)
            if (amount := row[measure.name]) is not None
        ]
        added = trial.add(table, to_arrow(model, [row for _, _, row in others])) if others else ()
        for new, (number, name, _) in zip(added, others, strict=True):
            yield Change(number, new, f"{table}.{name}"), name

    def _follow_raw(
        self,
        endpoint: Endpoint,
        connection: str,
        day: date,
        rows: Sequence[Mapping[str, Any]],
        shown: Sequence[str],
    ) -> Iterable[InFigure]:
        archived = self.archived(endpoint, connection, day)
        positions = {self._position(archived, endpoint.row.table, row): row for row in rows}
        for position, variant in archived.variants([*positions]):
            changed = variant.row.select(shown).to_pylist()[0]
            if any(changed[name] != positions[position][name] for name in shown):
                yield InFigure(endpoint.row.table, connection, day, variant.value)

    def _follow_control(
        self, endpoint: Endpoint, control: Control, connection: str, day: date, rows: Sequence[Mapping[str, Any]]
    ) -> Iterable[InFigure]:
        """Control totals are added up as they are fetched, per currency."""
        archived = self.archived(endpoint.ungrouped, connection, day)
        answered = archived.rows.select([control.currency, control.amount]).to_pylist()
        for row in rows:
            currency = row[control.currency]
            own = [n for n, each in enumerate(answered) if (each[control.currency] or "").upper() == (currency or "")]
            if sum_of(answered[n][control.amount] for n in own) != row[control.amount]:
                raise _changed_since(control.row.table, connection, day, archived)
            for position, variant in archived.variants(own):
                if variant.row[control.amount][0].as_py() != answered[position][control.amount]:
                    yield InFigure(control.row.table, connection, day, variant.value)

    def _follow_restatement(self, row: Mapping[str, Any], shown: Sequence[str]) -> Iterable[InFigure]:
        """A restated total is in two answers: that of the version before, and that of the version."""
        table, connection, day = row["table_name"], row["connection"], row["usage_date"]
        if table in DERIVED:
            raise MissingLinkError(f"{table} is computed: explain the restatement of what it is computed from")
        endpoint = self.endpoint(table, connection)
        is_control = endpoint.control is not None and table == endpoint.control.row.table
        asked = endpoint.ungrouped if is_control else endpoint
        for name, version in (("before", row["version"] - 1), ("after", row["version"])):
            if shown == ["difference"] or name in shown:
                archived = self.archived(asked, connection, day, self._replaced_at(row, version))
                totals = Totals(Table(declared(table)), row["total"])
                if (found := totals.of(archived.rows)) != row[name]:
                    raise MissingLinkError(
                        f"{table} of {connection} {day}: {row['total']} of version {version} is {row[name]}, and the "
                        f"archived answer of that time gives {found}"
                    )
                positions = range(archived.rows.num_rows)
                variants = [] if row["total"] == ROW_COUNT else [*archived.variants(positions)]
                for (_, variant), is_moved in zip(variants, totals.moved(archived.rows, variants), strict=True):
                    if is_moved:
                        yield InFigure(table, connection, day, variant.value)

    def _replaced_at(self, row: Mapping[str, Any], version: int) -> datetime | None:
        """Return when the version after this one was written; None for the newest."""
        sql = (
            "select min(written_at) from ledger.partition_versions where table_name = $table_name and slice = $slice "
            "and connection = $connection and usage_date = $usage_date and version > $version"
        )
        asked = {name: row[name] for name in ("table_name", "slice", "connection", "usage_date")}
        [(at,)] = self.database.execute(sql, {**asked, "version": version}).fetchall()
        found: datetime | None = at
        return found

    def _position(self, archived: ArchivedDay, table: str, row: Mapping[str, Any]) -> int:
        position = archived.position_of(row)
        if position is None:
            raise _changed_since(table, str(row["connection"]), row["usage_date"], archived)
        return position

    # --- what is shown ------------------------------------------------------------------------------------------------

    def _touch(self, relation: str, rows: Iterable[Mapping[str, Any]]) -> None:
        known = self._touched.setdefault(relation, {})
        for row in rows:
            known.setdefault(tuple(row[name] for name in identity_of(relation, [*row])), row)

    def _shown(self, found: InFigure) -> ShownValue:
        place = found.value.place
        self._files[place.file] = None
        return ShownValue(
            found.table,
            found.day,
            place.json_path,
            found.value.text,
            place.page,
            place.file.place,
            found.value.read_at,
        )

    def _step(self, relation: str, rows: list[Mapping[str, Any]]) -> Step:
        names = (
            [*rows[0]]
            if row_model(relation) is None
            else [*identity_of(relation, []), *(each.name for each in measures_of(relation))]
        )
        condition = condition_of(relation, rows)
        step = Step(
            relation,
            [{name: row[name] for name in names} for row in rows],
            f"select *\nfrom {relation}\nwhere {condition}",
        )
        if relation in (*DERIVED, *QUERIES):
            step.query = self._query(relation, rows, condition)
            step.arithmetic = [text for row in rows if (text := arithmetic(relation, row))]
        return step

    def _query(self, relation: str, rows: Sequence[Mapping[str, Any]], condition: str) -> str | None:
        try:
            _, query = self.query_of(rows[0], relation)
        except MissingLinkError:
            return None
        return f"{macros_of(query)}select *\nfrom (\n{query.sql}\n)\nwhere {condition}"

    def _of_days(self, sql: str) -> Iterator[tuple[WrittenDay, dict[str, Any]]]:
        """Yield what the ledger has of the days of tables that the figures are made of."""
        days: dict[WrittenDay, list[dict[str, Any]]] = {}
        for relation, rows in self._touched.items():
            if (model := row_model(relation)) is not None:
                found = {(relation, part_of(model, row), row["connection"], row["usage_date"]) for row in rows.values()}
                days |= {written: [] for written in sorted(found)}
        asked = [dict(zip(OF_WRITTEN, written, strict=True)) for written in days]
        for row in fetch(self.database, sql, {"days": asked}) if asked else ():
            table, part, connection, day = (row.pop(name) for name in OF_WRITTEN)
            days[table, part, connection, day].append(row)
        yield from ((written, row) for written, of_day in days.items() for row in of_day)

    def _list_prices(self) -> list[ShownPrice]:
        """Return the list prices of billed tokens, if the package that knows them is installed."""
        billed = {
            (
                row["provider"],
                row["model"],
                row["usage_date"],
                row["service_tier"] or STANDARD,
                row["context_window"] or "",
            )
            for row in self._touched.get(DailyCost.table, {}).values()
            if row["model"] and row["native_unit"] != "credits"
        }
        shown: list[ShownPrice] = []
        for provider, model, day, tier, window in sorted(billed) if has_prices() else ():
            if (found := ListPrices.of(provider, model)) and (prices := found.on(day, tier, window or None)):
                per_million = {kind: price * 1_000_000 for kind, price in prices.items()}
                shown.append(ShownPrice(provider, model, day, tier, per_million))
        return shown


def part_of(model: type[Row] | None, row: Mapping[str, Any]) -> str:
    """Return the part of its table that a row is in."""
    return str(row[model.slice_by]) if model and model.slice_by else ""


def _other(amount: Decimal | int) -> Decimal | int:
    """Return another amount that fits into the same column."""
    return amount - 1 if amount > 0 else amount + 1


def _refuse_other_amounts(trial: Trial, row: Mapping[str, Any]) -> None:
    """Raise MissingLinkError if a row is not what its query computes from what is stored."""
    table = trial.relation
    if (computed := trial.whole.get(tuple(row[name] for name in trial.grain))) is None:
        return
    amounts = {each.name for each in measures_of(table)}
    for name, value in zip(trial.columns, computed, strict=True):
        if name in amounts and value != row[name]:
            raise MissingLinkError(
                f"{table} of {row['connection']} {row['usage_date']}: {name} is {row[name]}, and what is stored gives "
                f"{value}: run usage-assets backfill --due"
            )


def refuse_what_no_answer_states(row: Mapping[str, Any], shown: Sequence[str]) -> None:
    """Raise MissingLinkError for amounts of a row of FOCUS that no single answer states."""
    if "ListCost" in shown and row["ListCost"] != row["ContractedCost"]:
        raise MissingLinkError(
            "a ListCost before discounts is in a report of another connection, which the bill was compared with: "
            "explain ContractedCost, or the list amounts of that report"
        )
    if row["x_SourceTable"] == "accounting.purchases":
        raise MissingLinkError("a purchase is in no provider's answer: the connections file states it ([[purchase]])")
    if row["x_Allocation"] is None and " of " in row["ChargeDescription"] and ", version " in row["ChargeDescription"]:
        raise MissingLinkError(
            f"{row['ChargeDescription']!r} is booked from two answers: ledger.restatements has both totals"
        )


def _changed_since(table: str, connection: str, day: date, archived: ArchivedDay) -> MissingLinkError:
    newest = max((file.name for file in archived.files), default="none")
    return MissingLinkError(
        f"{table} of {connection} {day}: the newest archived answer ({newest}) does not have this row: "
        "what is published and the archive are of different fetches"
    )


def macros_of(query: Query) -> str:
    """Return the macros that a query needs, each followed by a semicolon: in `usage-assets query` they come first."""
    statements = [re.sub(r"^-- .*\n", "", text, flags=re.M).strip().rstrip(";") for text in query.macros_in(query.sql)]
    return "".join(f"{statement};\n" for statement in statements)


def arithmetic(relation: str, row: Mapping[str, Any]) -> str | None:
    """Return how an amount was converted or split, in one line."""
    native = f"{money.plain(row['native_amount'])} {row['native_unit']}" if "native_unit" in row else ""
    if relation == AllocatedCost.table:
        if row["units"] is None or row["allocation"] == "stated":
            return f"{native}: {row['allocation']}, not split"
        return (
            f"{native} = {money.plain(row['billed_amount'])} * {row['units']} / {row['all_units']} "
            f"{row['allocation']}, rounded by the largest remainder ({row['basis']})"
        )
    if relation == DailyCost.table:
        if row["amount_usd"] is None:
            return f"{native}: no dollar value: {row['usd_reason']}"
        rate = f" * {money.plain(row['usd_rate'])} ({row['usd_rate_source']})" if row["usd_rate"] is not None else ""
        return f"{native}{rate} = {money.plain(row['amount_usd'])} USD"
    return None


def _request(file: File) -> ShownRequest:
    asked = file.asked
    return ShownRequest(
        connection=asked.question.connection,
        endpoint=asked.question.endpoint,
        method="GET",
        path=asked.question.path,
        parameters=asked.params,
        headers=asked.question.headers,
        days=str(file.window),
        grouped_by=asked.grouped_by,
        fetched_at=asked.fetched_at,
        stored_at=file.stored_at,
        pages=len(asked.pages),
        file=file.place,
    )
