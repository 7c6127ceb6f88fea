"""Derived tables as declarations: one per row model and SQL file. What they compute is in sql/, not here."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import TypeAlias

from usage_assets.config.accounting import ENTRIES, Accounting, ConfiguredConnectionRow, ModelNameRow, OwnerRow
from usage_assets.config.settings import PortRelation
from usage_assets.core.features import features
from usage_assets.core.schema import Row, columns, declared
from usage_assets.providers import LOADED, LOOKUPS, PROVIDERS
from usage_assets.providers.derived import Ids, SourceRows
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import NEVER, Batch, Query, Seed, View, WarehouseError

SQL = Path(__file__).parent / "sql"
Sources: TypeAlias = Mapping[str, Mapping[str, str]]
"""A connection's assets by the table that they write and the part of it; the part is empty where a table has none."""
SUMS = (SQL / "sums.sql").read_text()
IN_MINOR_UNITS = {
    "unit": "concat(currency, ' minor units')",
    "scale": "any_value((1 / coalesce(minor_unit, 0.01))::integer)",
    "tolerance": "count(in_table) * scale * 0.000000000000000000000001",
    "join": "left join accounting.currencies using (currency)",
}
"""How ``sql/sums.sql`` compares amounts in whole units of a currency with rows in its smallest ones."""
Compute: TypeAlias = Callable[[Query, Warehouse, Sequence[date]], tuple[Batch, Mapping[date, WarehouseError]]]
"""What some days are computed from, where they are stored, the days -> their rows, and why days have none."""
INPUTS = frozenset(path.stem for path in (SQL / "inputs").glob("*.sql"))
MAY_LACK_DAYS = frozenset(
    endpoint.row.table for provider in PROVIDERS.values() for endpoint in provider.endpoints if endpoint.may_lack_days
)
LOOKUP_TABLES = tuple(lookup.row.table for lookup in LOOKUPS if lookup.default_on)


@cache
def sql_files(pattern: str) -> tuple[Path, ...]:
    """Return the SQL files of this room, of each feature and of each provider that match a pattern, sorted."""
    folders = (SQL, *(each.sql for each in features().values()), *(each.sql for each in PROVIDERS.values()))
    found = {path.relative_to(folder): path for folder in folders for path in folder.glob(pattern)}
    return tuple(found[name] for name in sorted(found))


def with_providers(sql: str) -> str:
    """Return a query in which the providers' queries stand for a line such as ``{names}``: all of ``sql/names/``.

    Where an extension is missing, ``sql/nothing/`` has the columns that only its providers' queries have.
    """

    def queries(folder: re.Match[str]) -> str:
        files = sql_files(f"{folder[1]}/*.sql") + (sql_files(f"nothing/{folder[1]}.sql") if LOADED.missing else ())
        return "union all by name\n".join(path.read_text() for path in files)

    return re.sub(r"^\{(\w+)\}\n", queries, sql, flags=re.M)


SUPERSEDING = ", ".join(
    f"('{name}', '{source.table}', '{own.table}')"
    for name, provider in PROVIDERS.items()
    if (better := PROVIDERS.get(provider.superseded_by or ""))
    for source in better.costs
    for own in provider.costs
    if source.billed_totals and own.billed_totals
)
"""Providers whose usage another one bills, the source of its bill, and the source that it is instead of, as SQL."""
NOT_SUPERSEDED = """\
select *
from (
{}
)
anti join (from ledger.superseded_days where superseded_by is not null) using (connection, usage_date)
"""
STATED: Mapping[str, tuple[str, View]] = {
    name: (table, View(with_providers((SQL / "ledger" / f"{view}.sql").read_text()).format(superseding=SUPERSEDING)))
    for name, table, view in (
        ("owners", OwnerRow.table, "owner_periods"),
        ("models", ModelNameRow.table, "stated_models"),
        ("superseded", "ledger.superseded_days", "superseded_days"),
    )
}
"""Input of what is computed with what is stated of connections, models and owners -> a table or view that a query with
it reads, and the view that says what is stated now."""


def macros(pattern: str) -> tuple[str, ...]:
    """Return the files of macros that match a pattern, with the connections whose entities have published names."""
    published = ", ".join(f"'{name}'" for name, provider in PROVIDERS.items() if provider.is_published) or "null"
    return tuple(path.read_text().replace("{published}", published) for path in sql_files(pattern))


MACROS = macros("macros/*.sql")


def money_seed(accounting: Accounting, read_at: datetime = NEVER) -> Seed:
    """Return the tables that hold what the connections file says about money, with their rows."""
    tables = {Table(row): rows for row, rows in accounting.tables().items()}
    return Seed(
        "accounting",
        tables,
        read_at,
        entries=[table for table in tables if table.row in ENTRIES],
        beside=[Table(ConfiguredConnectionRow)],
    )


def _selected(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{sql} as {name}" for name, sql in columns.items())


@dataclass(frozen=True, kw_only=True)
class Related:
    """The entities of one of Port's blueprints, and what they relate to besides their connection."""

    name: str
    """The blueprint; of any derived table, the last part of the asset key."""
    relations: Mapping[str, str] = field(default_factory=dict)
    """Column that holds the target of a relation of the same name -> blueprint to which it leads."""
    about: Mapping[str, Ids] = field(default_factory=dict)
    """Relation that users may configure (``PortRelation.name``) -> what its target is known by."""

    @property
    def blueprints(self) -> Sequence[str]:
        """The blueprints of ours that its entities have."""
        return [self.name]

    @property
    def stored_in(self) -> Sequence[tuple[str, str]]:
        """The tables that hold its entities, and the part of each."""
        return [(f"port_entities.{self.name}", "")]

    def foreign(self, relations: Iterable[PortRelation]) -> dict[str, str]:
        """Return the relations whose targets need not be in Port, above all those to the users' blueprints: relation ->
        blueprint."""
        configured: dict[str, str] = {
            relation.name: relation.blueprint for relation in relations if relation.name in self.about
        }
        return {**configured, **self.relations}

    def relations_digest(self, relations: Iterable[PortRelation]) -> str:
        """Digest of the configured relations of its entities. With others, days have to be pushed again."""
        stated = [
            (each.name, each.blueprint, each.targets and sorted(each.targets.items()))
            for each in relations
            if each.name in self.about
        ]
        return hashlib.sha256(repr(stated).encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class Model(Related):
    """A derived table, or one source's part of it: where its rows come from and what they must add up to."""

    file: str
    """The query is ``sql/<folder>/<file>.sql``, here or in a provider's folder; what it must add up to is in
    ``adds_up_to``, and what else is checked in ``sql/checks/<file>.*`` and ``<within>.*``."""
    folder: str
    """Below ``sql/``."""
    under: str
    """Middle part of the asset key: the raw asset that costs are computed from, or ``entities``."""
    row: type[Row]
    group: str
    """Asset group."""
    reads: tuple[str, ...]
    """Tables that must hold the day."""
    optional_refs: tuple[str, ...] = ()
    """Tables that are read, too, but that a connection need not have: those of endpoints that may be switched off, and
    of lookups."""
    may_lack: frozenset[str] = MAY_LACK_DAYS
    """Those of the tables that need not hold the day: it is computed without them, and again when they hold it."""
    adds_up_to: SourceRows | None = None
    """What each day adds up to."""
    part: str = ""
    """The value of the table's ``slice_by`` column that this asset writes."""
    within: str = ""
    """A query below ``sql/`` over ``native``, which is what the file computes then."""
    views: tuple[View, ...] = ()
    """Views for people over the table."""
    sums: tuple[type[Row], str] | None = None
    """A coarser table that is written with it, and the query over it that sums its rows."""
    uses: tuple[View, ...] = ()
    """Views that the query reads, and those that they read."""
    checked_by: str | None = None
    """What else is checked: ``sql/checks/<checked_by>.sql``."""
    own_sql: str | None = None
    """The query, if it is a user's own."""
    place: str | None = None
    """The user's file that holds it."""
    compute: Compute | None = None
    """Computes the rows where no query can."""
    only: str | None = None
    """The only connection that it is computed of."""
    replaces: frozenset[str] = frozenset()
    """Blueprints that are computed from nothing else for that connection."""
    pushed_as: Related | None = None
    """What Port gets its rows as, together with those of other models; None: the entities of its blueprint."""

    @property
    def blueprints(self) -> Sequence[str]:
        return self.pushed_as.blueprints if self.pushed_as else super().blueprints

    def asset_of(self, connection: str) -> str:
        """Return the asset that computes it, as Dagster's UI and ``ledger.assets`` name it."""
        return f"{connection}/{self.under}/{self.name}"

    @cached_property
    def query(self) -> Query:
        """The query and its reconciliation, as the IO manager runs them; read once for all connections."""
        sql = self.own_sql
        if sql is None:
            [file] = sql_files(f"{self.folder}/{self.file}.sql")
            sql = file.read_text()
        if self.is_superseded:
            sql = NOT_SUPERSEDED.format(sql)
        if self.within:
            sql = f"with native as (\n{sql})\n{(SQL / self.within).read_text()}"
        within = self.within.removesuffix(".sql")
        checks = filter(None, (self.file, within, self.checked_by))
        read = "\n".join((sql, *(view.code for view in self.uses)))
        stated = [name for name, (table, _) in STATED.items() if table in read]
        seed = money_seed(Accounting()) if stated or "accounting." in read else None
        released = seed.tables.items() if seed else ()  # what has rows without a connections file
        return Query(
            sql=sql,
            reads=self.reads,
            optional_refs=self.optional_refs,
            part=self.part,
            seed=seed,
            constants=tuple(str(rows.to_pylist()) for table, rows in released if rows.num_rows and table.name in read),
            names=tuple(name for name in LOOKUP_TABLES if name in (read if name in self.optional_refs else sql)),
            inputs=tuple((SQL / "inputs" / f"{name}.sql").read_text() for name in [within] if name in INPUTS),
            stated_inputs=tuple((SQL / "inputs" / f"{name}.sql").read_text() for name in stated),
            reconciliations=(
                *(self._sums(self.adds_up_to) if self.adds_up_to else ()),
                *(
                    path.read_text().replace("{table}", self.row.table)
                    for check in checks
                    for path in sql_files(f"checks/{check}.*")
                ),
            ),
            uses=(*self.uses, *(STATED[name][1] for name in stated)),
            place=self.place,
            macros=MACROS,
            views=self.views,
            sums=(Table(self.sums[0]), self.sums[1]) if self.sums else None,
        )

    def _sums(self, source: SourceRows) -> Iterator[str]:
        """Yield the queries that compare what each day adds up to with its source: counts, and amounts with units."""
        own = {column.name: column for column in columns(self.row)}
        by = {name: sql for name, sql in source.columns.items() if name not in own or not own[name].unit}
        stated = ", ".join(("null", *(name for name in ("currency", "native_unit") if name in by)))
        for kind in (int, Decimal):
            named = {name: name for name in own if self.folder == "entities"} | {**source.columns}
            summed = [each for each in own.values() if each.unit and each.type is kind and named.get(each.name)]
            if not summed:
                continue
            units = {each.name: each.unit for each in summed if each.unit in ("USD", "cents", "credits")}
            expected = by | {each.name: named[each.name] for each in summed}
            found = {name: name if name in own else sql for name, sql in expected.items()}
            rows = f"select connection, usage_date, {_selected(expected)} from {source.rows or self.reads[0]}"
            how = {"unit": f"coalesce(map {units}[measure], concat_ws(' ', {stated}))" if kind is Decimal else "''"}
            how |= {"scale": "1", "tolerance": "0", "join": ""}
            yield SUMS.format(
                **how | (IN_MINOR_UNITS if source.in_minor_units and kind is Decimal else {}),
                table=self.row.table,
                rows=NOT_SUPERSEDED.format(rows) if self.is_superseded else rows,
                found=_selected(found),
                in_part=f"{self.row.slice_by} = $part" if self.row.slice_by else "true",
                measures=", ".join(each.name for each in summed),
                by="".join(f", {name}" for name in by),
                total=source.total,
                nothing="null" if source.keeps_null else "0",
            )

    @cached_property
    def _parted(self) -> frozenset[str]:
        """Of the tables that it may read, those that have parts; asked once for all connections."""
        return frozenset(table for table in (*self.reads, *self.optional_refs) if declared(table).slice_by)

    def query_of(self, sources: Sources) -> Query:
        """Return the query for a connection with these sources: what is read of them must be stored first.

        A part of a table stands on the same part of another one; what has no parts itself, on all parts of it.
        """
        reads = (*self.reads, *(table for table in self.optional_refs if table in sources))
        parts = {
            table: tuple(part for part in sources.get(table, ()) if part == self.part or not self.part) or (self.part,)
            for table in reads
            if table in self._parted
        }
        return replace(self.query, reads=reads, parts=parts, may_lack=self.may_lack.intersection(reads))

    @cached_property
    def is_superseded(self) -> bool:
        """Whether another provider bills, or has entities of, the same usage: its days are empty then."""
        provider = PROVIDERS.get(self.reads[0].partition(".")[0]) if self.reads else None
        better = PROVIDERS.get(provider.superseded_by or "") if provider else None
        return better is not None and (
            self.folder == "daily_costs" or self.row in [entities.row for entities in better.entities]
        )
