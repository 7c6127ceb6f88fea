"""The entities of one connection that Port has acknowledged, and those it should have. Reads and writes only the
database: requests to Port are in push.py.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from usage_assets.config.settings import PortRelation
from usage_assets.core.blueprints import CONNECTION, blueprint
from usage_assets.core.days import DAY, MOST_DAYS
from usage_assets.core.schema import to_arrow
from usage_assets.core.ticking import log_progress
from usage_assets.features.port.catalog.reconcile import Settled, settled
from usage_assets.features.port.catalog.sync import UNKNOWN, Acknowledged, Changes, Entity, Targets, diff
from usage_assets.features.port.mapped import MAPPED, SURE, Mapped, MappedEntity
from usage_assets.models.model import Related
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import PORT_ENTITIES, PUSHED_DAYS, PortEntity, PortPush, PushedDay
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.slices import IN_SLICE, Slice
from usage_assets.warehouse.tables import Table

logger = logging.getLogger(__name__)
_json = msgspec.json.Decoder(float_hook=Decimal)
_AS_JSON = ("array", "object")
_PUSHES = Table(PortPush)
MOST_ENTITIES = 20_000
"""That are compared and sent at once. One of them takes about 2 KB of memory."""
_READING_BACK = ""
"""Stands among the ids of pushes while Port is being read back."""
_OWN = "account = $account and connection = $connection"
_TABLES = "port_entities."
_DAYS = ("record_date", "date", "last_day")
"""Properties that hold the day of an entity; each of our blueprints with days has one of them."""


@dataclass(frozen=True)
class PortLedger:
    """The entities of one connection's days, and what one Port account has acknowledged of them.

    Blueprints that are not among ``entities``, or whose day was never computed, are left out of both sides: that
    nothing is known is no reason to delete.
    """

    warehouse: Warehouse
    account: str
    target: Slice
    entities: Sequence[Related]
    relations: Sequence[PortRelation] = field(default=(), kw_only=True)
    state: Callable[[], Entity] | None = field(default=None, kw_only=True)
    """Tells the connection's own entity, which has no day and no table, as it is now."""

    # What has to be sent

    def changes(self) -> Changes:
        """Return what must be pushed to Port, as of one moment, and note the days that Port has."""
        state = self.state() if self.state else None
        with log_progress(logger.info, "Port") as note, self._transaction() as database:
            note("comparing the stored entities with what was sent")
            changes = diff(*self._read(database))
            differing: list[Entity | Acknowledged] = [*changes.upserts, *changes.deletes]
            ours = self._blueprints  # all others are those of mappings
            sent = {(each.blueprint if each.blueprint in ours else MAPPED, each.usage_date) for each in differing}
            self._note_pushed(database, sent)
            return changes.signed(state, self._state_lines(database)) if state else changes

    def read(self) -> tuple[list[Entity], list[Acknowledged]]:
        """Return the stored entities of the days and what Port has acknowledged of them, as of one moment."""
        with self._reading() as database:
            return self._read(database)

    def mark(self, lines: Sequence[Acknowledged], push: str) -> None:
        """Note, before anything is sent, the push, and that nobody knows what Port holds of these until it says so."""
        with self._transaction() as database:
            self._replace(database, [replace(line, content_hash=push) for line in lines], [])
            if self.state:  # which takes the push's id to Port
                self._note(database, push)

    def acknowledge(self, held: Sequence[Acknowledged], gone: Sequence[Acknowledged], push: str) -> None:
        """Write what Port has taken and deleted; what another push has marked or written meanwhile is UNKNOWN."""
        with self._transaction() as database:
            mine = set(
                database.execute(
                    "select blueprint, identifier from ledger.port_entities "
                    "where account = $account and content_hash = $push",
                    {"account": self.account, "push": push},
                ).fetchall()
            )
            overtaken = [
                replace(line, content_hash=UNKNOWN)
                for line in (*held, *gone)
                if (line.blueprint, line.identifier) not in mine
            ]
            known = [line for line in held if (line.blueprint, line.identifier) in mine]
            self._replace(database, [*known, *overtaken], gone)
            if days := {line.usage_date for line in gone if line.resource}:
                database.execute(
                    f"delete from ledger.pushed_days where {_OWN} and blueprint = $mapped "
                    "and list_contains($days::date[], usage_date)",
                    {**self._own, "mapped": MAPPED, "days": [*days]},
                )

    # Reading Port back

    def knows(self, push: str | None) -> bool:
        """Whether the last push that Port heard of is one of this database; None: Port has no entity of the connection.

        Only then the ledger has all that Port holds. While Port is being read back it knows none.
        """
        with self._reading() as database:
            if push is None:
                return not database.execute(f"from ledger.port_entities where {_OWN} limit 1", self._own).fetchone()
            pushes = database.execute(f"select push from ledger.port_pushes where {_OWN}", self._own).fetchall()
        return (push,) in pushes and (_READING_BACK,) not in pushes

    def begin_reading_back(self) -> None:
        """Know no push until ``end_reading_back``: whoever dies in between leaves it to the next one."""
        with self._transaction() as database:
            self._note(database, _READING_BACK)

    def end_reading_back(self) -> None:
        with self._transaction() as database:
            database.execute(
                f"delete from ledger.port_pushes where {_OWN} and push = $push", {**self._own, "push": _READING_BACK}
            )

    def ranges(self) -> Iterator["PortLedger"]:
        """Yield the ledgers of all stored days, each of as many days as a push may have and of few enough entities."""
        days = [*self._counted("connection = $connection", connection=self.target.connection)]
        while days:
            near = [day for day in days if (day - days[0]).days < MOST_DAYS]
            yield from replace(self, target=replace(self.target, first=near[0], last=near[-1])).pieces()
            days = days[len(near) :]

    def pieces(self) -> Iterator["PortLedger"]:
        """Split this ledger into ledgers of at most MOST_ENTITIES entities; a larger day is split by blueprint."""
        first, entities = self.target.first, 0
        for day, more in self._counted(IN_SLICE, **self.target.bounds).items():
            if first < day and entities + more > MOST_ENTITIES:
                yield from self._of_days(first, day - DAY, entities)
                first, entities = day, 0
            entities += more
        yield from self._of_days(first, self.target.last, entities)

    def _of_days(self, first: date, last: date, entities: int) -> Iterator["PortLedger"]:
        piece = replace(self, target=replace(self.target, first=first, last=last))
        yield from [piece] if entities <= MOST_ENTITIES else [replace(piece, entities=[each]) for each in self.entities]

    def _counted(self, where: str, **parameters: Any) -> Mapping[date, int]:
        """Return how many entities each stored day has."""
        with self._reading() as database:
            rows = database.execute(
                f"select usage_date, sum(row_count)::bigint from ledger.stored_days "
                f"where {where} and list_contains($tables::text[], table_name) group by usage_date order by usage_date",
                {**parameters, "tables": [table for model in self.entities for table, _ in model.stored_in]},
            ).fetchall()
        return dict(rows)

    def settled(self, targets: Targets) -> Mapping[str, Sequence[Settled]]:
        """Return by blueprint the entities of all days that Port should hold as the tables have them."""
        found: dict[str, list[Settled]] = defaultdict(list, {name: [] for name in self._blueprints})
        for days in self.ranges():
            for entity in settled(*days.read(), targets):
                found[entity.line.blueprint].append(entity)
        return found

    def known(self, blueprint: str) -> set[str]:
        """Return the identifiers that the ledger has of a blueprint, of whatever connection."""
        with self._reading() as database:
            return self._known(database, blueprint)

    def mark_unknown(self, lines: Sequence[Acknowledged]) -> int:
        """Mark what nobody has pushed since these lines were read as UNKNOWN, and return how many that are."""
        if not lines:
            return 0
        with self._transaction() as database:
            database.register("seen", self._rows(lines))
            [(doubted,)] = database.execute(
                """
                update ledger.port_entities as stored
                set content_hash = $unknown
                from seen
                where stored.account = seen.account
                  and stored.blueprint = seen.blueprint
                  and stored.identifier = seen.identifier
                  and stored.content_hash = seen.content_hash
                """,
                {"unknown": UNKNOWN},
            ).fetchall()
            self._forget_pushed(database)
            return int(doubted)

    def doubt_state(self) -> None:
        """Mark the connection's own entity as UNKNOWN: it changes every day, so it is sent again without a look."""
        with self._reading() as database:
            lines = self._state_lines(database)
        self.mark_unknown(lines)

    def adopt(self, blueprint: str, days: Mapping[str, date]) -> None:
        """Enter entities of the connection that Port holds and no line has, as UNKNOWN: identifier -> its day.

        The day is that of the table, where this has the entity: people can edit the one that Port shows.
        """
        with self._transaction() as database:
            table = f"{_TABLES}{blueprint}"
            if self._computed(database, table):
                rows = database.execute(
                    f"select identifier, usage_date from {table} where connection = $connection",
                    {"connection": self.target.connection},
                ).fetchall()
                days = {**days, **{identifier: day for identifier, day in rows if identifier in days}}
            known = self._known(database, blueprint)
            lines = [Acknowledged(blueprint, name, day, UNKNOWN) for name, day in days.items() if name not in known]
            self._replace(database, lines, [])

    @property
    def _blueprints(self) -> Mapping[str, None]:
        """Our blueprints, in the order of the entities."""
        return dict.fromkeys(name for model in self.entities for name in model.blueprints)

    @property
    def _own(self) -> dict[str, str]:
        return {"account": self.account, "connection": self.target.connection}

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self.warehouse.transaction(PORT_ENTITIES.name, _PUSHES.name, PUSHED_DAYS.name) as database:
            create_or_alter(database, _PUSHES)
            create_or_alter(database, PUSHED_DAYS)
            yield database

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self.warehouse.transaction(keep=False) as database:
            create_or_alter(database, _PUSHES)
            yield database

    def _note(self, database: duckdb.DuckDBPyConnection, push: str) -> None:
        database.execute(
            "insert into ledger.port_pushes by name "
            "select $connection as connection, $account as account, $push as push, $now as began_at",
            {**self._own, "push": push, "now": datetime.now(UTC)},
        )

    def _note_pushed(self, database: duckdb.DuckDBPyConnection, differing: Set[tuple[str, date]]) -> None:
        """Note which version of each blueprint and day Port has. Those that differ are left out.

        Writes nothing where nothing is new: on a lake, each write is a snapshot.
        """
        models = {source: model for model in self.entities for source in model.stored_in}
        stored = database.execute(
            "select table_name, slice, usage_date, content_version::varchar from ledger.stored_days "
            f"where {IN_SLICE} and list_contains($tables::text[], table_name) order by all",
            {**self.target.bounds, "tables": [table for table, _ in models]},
        ).fetchall()
        inputs: dict[tuple[str, date], dict[str, str]] = defaultdict(dict)
        for table, part, day, version in stored:
            if model := models.get((table, part)):
                inputs[model.name, day]["/".join(filter(None, (table, part)))] = version
        digests = {model.name: model.relations_digest(self.relations) for model in self.entities}
        whole = {name for name, day in differing if name == MAPPED}  # what one day has may be shown on another
        known = database.execute(
            f"select usage_date, blueprint, inputs from ledger.pushed_days where account = $account and {IN_SLICE}",
            {**self.target.bounds, "account": self.account},
        ).fetchall()
        pushed = {
            (day, name, msgspec.json.encode({**versions, "query": digests[name]}).decode())
            for (name, day), versions in inputs.items()
            if (name, day) not in differing and name not in whole
        }
        if new := pushed.difference(known):
            now = datetime.now(UTC)
            rows = [
                PushedDay(**self._own, usage_date=day, blueprint=blueprint, inputs=inputs, pushed_at=now)
                for day, blueprint, inputs in sorted(new)
            ]
            database.register("pushed", to_arrow(PushedDay, rows))
            key = "(account, connection, usage_date, blueprint)"
            database.execute(f"delete from ledger.pushed_days where {key} in (select {key} from pushed)")
            database.execute("insert into ledger.pushed_days by name from pushed")

    def _forget_pushed(self, database: duckdb.DuckDBPyConnection) -> None:
        """Forget the days that Port may lack now: their lines have a mark, or are UNKNOWN.

        A mapping may write the blueprint, too, now or when it is stated again.
        """
        database.execute(
            f"""
            delete from ledger.pushed_days
            where (account, connection, usage_date, blueprint) in (
              select (account, connection, usage_date,
                unnest(if(resource is null or content_hash = $unknown, [blueprint, $mapped], [blueprint])))
              from ledger.port_entities
              where {_OWN} and blueprint <> $state and length(content_hash) < {SURE}
            )
            """,
            {**self._own, "mapped": MAPPED, "state": CONNECTION, "unknown": UNKNOWN},
        )

    def _known(self, database: duckdb.DuckDBPyConnection, blueprint: str) -> set[str]:
        lines = database.execute(
            "select identifier from ledger.port_entities where account = $account and blueprint = $blueprint",
            {"account": self.account, "blueprint": blueprint},
        ).fetchall()
        return {identifier for (identifier,) in lines}

    def _computed(self, database: duckdb.DuckDBPyConnection, *tables: str) -> list[str]:
        """Return the tables that hold days."""
        rows = database.execute("select distinct table_name from ledger.stored_days").fetchall()
        return [table for table in tables if (table,) in rows]

    def _state_lines(self, database: duckdb.DuckDBPyConnection) -> list[Acknowledged]:
        lines = database.execute(
            "select blueprint, identifier, usage_date, content_hash from ledger.port_entities "
            f"where {_OWN} and blueprint = $blueprint",
            {**self._own, "blueprint": CONNECTION},
        ).fetchall()
        return [Acknowledged(*line) for line in lines]

    def _read(self, database: duckdb.DuckDBPyConnection) -> tuple[list[Entity], list[Acknowledged]]:
        ours = {_table(model): model for model in self.entities if not isinstance(model, Mapped)}
        tables = self._computed(database, *ours, MappedEntity.table)
        computed = [model for table, model in ours.items() if table in tables]
        desired = [entity for model in computed for entity in self.stored_in(database, model)]
        acknowledged = database.execute(
            f"""
            select blueprint, identifier, usage_date, content_hash
            from ledger.port_entities
            semi join ledger.stored_days
              on stored_days.table_name = $tables || blueprint
              and stored_days.connection = port_entities.connection
              and stored_days.usage_date = port_entities.usage_date
            where account = $account and list_contains($blueprints::text[], blueprint) and {IN_SLICE}
            """,
            {
                **self.target.bounds,
                "account": self.account,
                "tables": _TABLES,
                "blueprints": [model.name for model in computed],
            },
        ).fetchall()
        lines = [Acknowledged(*row) for row in acknowledged]
        for model in self.entities:
            if isinstance(model, Mapped) and MappedEntity.table in tables:
                more, held = model.read(database, self.account, self.target)
                desired, lines = [*desired, *more], [*lines, *held]
        return desired, lines

    def _replace(
        self, database: duckdb.DuckDBPyConnection, written: Sequence[Acknowledged], gone: Sequence[Acknowledged]
    ) -> None:
        lines = self._rows([*written, *gone])
        database.register("lines", lines)
        database.register("written", lines.slice(0, len(written)))
        database.execute(
            """
            delete from ledger.port_entities as stored
            using lines
            where stored.account = lines.account
              and stored.blueprint = lines.blueprint
              and stored.identifier = lines.identifier
            """
        )
        database.execute("insert into ledger.port_entities by name select * from written")
        self._forget_pushed(database)

    def _rows(self, lines: Sequence[Acknowledged]) -> pa.Table:
        """Return lines as the ledger has them."""
        mine: dict[str, Any] = {"connection": self.target.connection, "account": self.account}
        now = datetime.now(UTC)
        return to_arrow(PortEntity, [PortEntity(**mine, **vars(line), pushed_at=now) for line in lines])

    def day_of(self, shown: Mapping[str, Any]) -> date | None:
        """Return the day of an entity as Port shows it; None if it is not known to be ours."""
        if not self._is_ours(shown):
            return None
        for text in (shown["properties"].get(name) for name in _DAYS):
            if isinstance(text, str):
                try:
                    return date.fromisoformat(text[: len("2026-01-01")])
                except ValueError:
                    return None
        return None

    def _is_ours(self, shown: Mapping[str, Any]) -> bool:
        return bool(shown["relations"].get(CONNECTION) == self.target.connection)

    def _rows_of(self, database: duckdb.DuckDBPyConnection, model: Related) -> duckdb.DuckDBPyConnection:
        return database.execute(f"select * from {_table(model)} where {IN_SLICE}", self.target.bounds)

    def stored_in(self, database: duckdb.DuckDBPyConnection, model: Related) -> Iterator[Entity]:
        """Yield the stored entities of the days, as they should be in Port."""
        properties, foreign = blueprint(model.name)["schema"]["properties"], model.foreign(self.relations)
        related = [relation for relation in self.relations if relation.name in model.about]
        for row in fetch_arrow(self._rows_of(database, model)).to_pylist():
            relations: dict[str, str | None] = {CONNECTION: self.target.connection}
            relations |= {name: row[name] for name in model.relations}
            relations |= {relation.name: relation.target(model.about[relation.name](row)) for relation in related}
            yield Entity(
                blueprint=model.name,
                identifier=row["identifier"],
                title=row["title"],
                properties={  # the table of an earlier release lacks a new one until its next write
                    name: _json.decode(value) if (value := row.get(name)) and declared["type"] in _AS_JSON else value
                    for name, declared in properties.items()
                },
                usage_date=row["usage_date"],
                relations=relations,
                foreign=foreign,
            )


def _table(model: Related) -> str:
    """Return the table of a blueprint's entities."""
    return f"{_TABLES}{model.name}"
