"""What Port has acknowledged of one connection's days, beside what it should hold; and pushing until both are equal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import msgspec

from usage_assets.assets.derived import Derived
from usage_assets.port.client import PortClient, PortError
from usage_assets.port.provision import CONNECTION, blueprint
from usage_assets.port.sync import UNKNOWN, Acknowledged, Entity, PushReport, diff, push
from usage_assets.rows import to_arrow
from usage_assets.settings import PortRelation
from usage_assets.warehouse.database import IN_SLICE, Slice, Warehouse
from usage_assets.warehouse.ledger import PortEntity

_json = msgspec.json.Decoder(float_hook=Decimal)
MOST_ROUNDS = 5


def push_until_equal(port: PortClient, ledger: "PortLedger") -> tuple[PushReport, int]:
    """Push until nothing differs: another push of the same days, or a new write, may come in between.

    Returns what was done and how many entities did not need it. Raises PortError where that does not come to an end.
    """
    total, unchanged = PushReport(), None
    for _ in range(MOST_ROUNDS):
        changes = diff(*ledger.read())
        unchanged = changes.unchanged if unchanged is None else unchanged
        if not changes or total.failures:
            return total, unchanged
        total.add(push(port, changes, ledger))
    raise PortError(f"other pushes of the same days went on during {MOST_ROUNDS} rounds: run port_sync again")


def in_words(report: PushReport) -> str:
    """The failures of a push."""
    listed = "; ".join(f"{f.blueprint} {f.identifier}: {f.reason}" for f in report.failures[:5])
    return (
        f"Port refused {len(report.failures)} entities, {report.upserted} others were sent and "
        f"{report.deleted} deleted: {listed}"
    )


def missing_in_words(report: PushReport) -> str:
    """What Port does not have of what was to be related to."""
    listed = "; ".join(f"{blueprint} {identifier}" for blueprint, identifier in sorted(report.missing)[:5])
    return f"Port does not have {len(report.missing)} targets of relations, whose records relate to nothing: {listed}"


@dataclass(frozen=True)
class PortLedger:
    """The entities of one connection's days, and what one Port account has acknowledged of them.

    Blueprints that are not among ``entities``, or whose day was never computed, are left out of both sides: that
    nothing is known is no reason to delete.
    """

    warehouse: Warehouse
    account: str
    target: Slice
    entities: Sequence[Derived]
    relations: Sequence[PortRelation] = field(default=(), kw_only=True)

    def read(self) -> tuple[list[Entity], list[Acknowledged]]:
        """Return the stored entities of the days and what Port has acknowledged of them, as of one moment."""
        with self.warehouse.transaction() as database:
            tables = database.execute("select distinct table_name from ledger.stored_days").fetchall()
            computed = [derived for derived in self.entities if (derived.row.table,) in tables]
            desired = [entity for derived in computed for entity in self._stored(database, derived)]
            acknowledged = database.execute(
                f"""
                select blueprint, identifier, usage_date, content_hash
                from ledger.port_entities
                semi join ledger.stored_days
                  on stored_days.table_name = 'port_entities.' || blueprint
                  and stored_days.connection = port_entities.connection
                  and stored_days.usage_date = port_entities.usage_date
                where account = $account and list_contains($blueprints, blueprint) and {IN_SLICE}
                """,
                {
                    **self.target.bounds,
                    "account": self.account,
                    "blueprints": [derived.name for derived in computed],
                },
            ).fetchall()
        return desired, [Acknowledged(*row) for row in acknowledged]

    def mark(self, lines: Sequence[Acknowledged], push: str) -> None:
        """Note, before they are sent, that nobody knows what Port holds of these until this push says so."""
        with self.warehouse.transaction() as database:
            self._replace(database, [replace(line, content_hash=push) for line in lines], [])

    def acknowledge(self, held: Sequence[Acknowledged], gone: Sequence[Acknowledged], push: str) -> None:
        """Write what Port has taken and deleted; what another push has marked or written meanwhile is UNKNOWN."""
        with self.warehouse.transaction() as database:
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

    def _replace(
        self, database: duckdb.DuckDBPyConnection, written: Sequence[Acknowledged], gone: Sequence[Acknowledged]
    ) -> None:
        now = datetime.now(UTC)
        lines = to_arrow(
            PortEntity,
            [
                PortEntity(
                    connection=self.target.connection,
                    usage_date=line.usage_date,
                    account=self.account,
                    blueprint=line.blueprint,
                    identifier=line.identifier,
                    content_hash=line.content_hash,
                    pushed_at=now,
                )
                for line in (*written, *gone)
            ],
        )
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

    def _stored(self, database: duckdb.DuckDBPyConnection, derived: Derived) -> Iterator[Entity]:
        properties, foreign = blueprint(derived.name)["schema"]["properties"], derived.foreign(self.relations)
        related = [relation for relation in self.relations if relation.name in foreign]
        rows = database.execute(f"select * from {derived.row.table} where {IN_SLICE}", self.target.bounds)
        for row in rows.to_arrow_table().to_pylist():
            relations: dict[str, str | None] = {CONNECTION: self.target.connection}
            relations |= {relation.name: relation.target(derived.about[relation.name](row)) for relation in related}
            yield Entity(
                blueprint=derived.name,
                identifier=row["identifier"],
                title=row["title"],
                properties={
                    name: _json.decode(row[name]) if declared["type"] in ("array", "object") else row[name]
                    for name, declared in properties.items()
                },
                usage_date=row["usage_date"],
                relations=relations,
                foreign=foreign,
            )
