"""The reconciliation: everything is read back from Port, and what people deleted or edited there is sent again."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from usage_assets.assets.derived import Derived
from usage_assets.assets.port_connection import push_state
from usage_assets.assets.port_ledger import PortLedger, in_words, missing_in_words, push_until_equal
from usage_assets.partitions import MAX_PARTITIONS_PER_RUN
from usage_assets.people import People
from usage_assets.port.client import USER_AGENT, PortClient, PortError
from usage_assets.port.provision import CONNECTION
from usage_assets.port.reconcile import Settled, compare, settled
from usage_assets.port.sync import UNKNOWN, Acknowledged, PushReport, Targets
from usage_assets.providers import Endpoint
from usage_assets.settings import Connection, PortRelation, SettingsError
from usage_assets.warehouse.database import Slice, Warehouse, WarehouseError

MOST_NAMED = 5
HASH_LENGTH = 64
"""Characters of a content hash. UNKNOWN and the marks of pushes that never came to an end have fewer."""


def build_port_reconcile(
    connection: Connection,
    endpoints: Sequence[Endpoint],
    entities: Sequence[Derived],
    relations: Sequence[PortRelation],
    client: Callable[[], PortClient],
    people: Callable[[], People],
) -> dg.AssetsDefinition:
    """Build the asset that reads a connection's entities back from Port and repairs what people did to them."""

    @dg.asset(
        key=[connection.name, "port_reconcile"],
        group_name=f"{connection.name}_port",
        description="One comparison per run: all that Port has acknowledged, on whatever day, is read back.\n\n"
        "Entities that people deleted, or whose title, properties of ours or relations of ours they edited, are sent "
        "again. What others have in the same blueprints, and their properties on our entities, stay as they are.",
        kinds={"port"},
    )
    def port_reconcile(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
        try:
            with client() as port:
                books = Books(warehouse, port.account, connection.name, entities, relations)
                done = _found(port, books)
                books.doubt(books.state())
                done.report.add(push_state(port, warehouse, context.instance, connection, endpoints))
                _repair(port, books, done.report)
                requests = port.requests
        except (SettingsError, PortError, WarehouseError) as error:
            raise dg.Failure(people().scrubbed(str(error)), allow_retries=False) from None
        metadata: dict[str, int | str] = {
            "entities_checked": done.checked,
            "deleted_in_port": done.deleted,
            "edited_in_port": done.edited,
            "not_in_ledger": len(done.not_in_ledger),
            "requests": requests,
            **({"targets_not_in_port": len(done.report.missing)} if relations else {}),
        }
        if done.not_in_ledger:
            metadata["not_in_ledger_first"] = people().scrubbed("; ".join(sorted(done.not_in_ledger)[:MOST_NAMED]))
        if done.report.missing:
            context.log.warning(people().scrubbed(missing_in_words(done.report)))
        if done.report.failures:
            raise dg.Failure(people().scrubbed(in_words(done.report)), metadata=metadata, allow_retries=False)
        context.log.info(f"Port: {', '.join(f'{name} {count}' for name, count in metadata.items())}")
        return dg.MaterializeResult(metadata=metadata)

    return port_reconcile


@dataclass
class _Findings:
    checked: int = 0
    deleted: int = 0
    edited: int = 0
    not_in_ledger: list[str] = field(default_factory=list)
    """Blueprint and identifier of entities that we made and that no ledger line has."""
    report: PushReport = field(default_factory=PushReport)
    """Of what repaired them."""


def _found(port: PortClient, books: "Books") -> _Findings:
    """Find what people did to our entities, and mark it as UNKNOWN: if this run is killed, the next one repairs it."""
    done, targets = _Findings(), Targets(port)
    for name, expected in books.settled(targets).items():
        known = books.known(name)
        findings = compare(expected, port.search(name), known)
        done.checked += len(expected)
        done.deleted += books.doubt(findings.deleted)
        done.edited += books.doubt(findings.edited)
        if findings.unknown:
            ours = {entity["identifier"] for entity in port.search(name, made_by=USER_AGENT)}
            done.not_in_ledger += [f"{name} {lost}" for lost in findings.unknown & ours - books.known(name)]
    done.report.missing |= targets.missing
    return done


def _repair(port: PortClient, books: "Books", report: PushReport) -> None:
    """Push the days of which not all is certain."""
    for ledger in books.ledgers(f"length(content_hash) < {HASH_LENGTH}"):
        pushed, _ = push_until_equal(port, ledger)
        report.add(pushed)


@dataclass(frozen=True)
class Books:
    """What one Port account has acknowledged of one connection, and the entities that should be there."""

    warehouse: Warehouse
    account: str
    connection: str
    entities: Sequence[Derived]
    relations: Sequence[PortRelation] = ()

    def ledgers(self, condition: str = "true") -> Iterator[PortLedger]:
        """Yield the ledgers of the days with lines of which this holds, each of as many days as a push may have."""
        days = [
            day
            for (day,) in self._rows(
                "select distinct usage_date from ledger.port_entities "
                "where account = $account and connection = $connection and list_contains($blueprints, blueprint) "
                f"and {condition} order by usage_date",
                connection=self.connection,
                blueprints=[derived.name for derived in self.entities],
            )
        ]
        while days:
            near = [day for day in days if (day - days[0]).days < MAX_PARTITIONS_PER_RUN]
            target = Slice(self.connection, near[0], near[-1])
            yield PortLedger(self.warehouse, self.account, target, self.entities, relations=self.relations)
            days = days[len(near) :]

    def settled(self, targets: Targets) -> Mapping[str, Sequence[Settled]]:
        """Return by blueprint the entities that Port should hold as the tables have them."""
        found: dict[str, list[Settled]] = defaultdict(list, {derived.name: [] for derived in self.entities})
        for ledger in self.ledgers():
            for entity in settled(*ledger.read(), targets):
                found[entity.line.blueprint].append(entity)
        return found

    def state(self) -> Sequence[Acknowledged]:
        """Return the line of the connection's own entity.

        It is sent again without a look: it changes every day, and all others relate to it.
        """
        lines = self._rows(
            "select blueprint, identifier, usage_date, content_hash from ledger.port_entities "
            "where account = $account and connection = $connection and blueprint = $blueprint",
            connection=self.connection,
            blueprint=CONNECTION,
        )
        return [Acknowledged(*line) for line in lines]

    def known(self, blueprint: str) -> set[str]:
        """Return the identifiers that the ledger has of a blueprint, of whatever connection."""
        lines = self._rows(
            "select identifier from ledger.port_entities where account = $account and blueprint = $blueprint",
            blueprint=blueprint,
        )
        return {identifier for (identifier,) in lines}

    def doubt(self, lines: Sequence[Acknowledged]) -> int:
        """Mark what nobody has pushed since these lines were read as UNKNOWN, and return how many that are."""
        if not lines:
            return 0
        return len(
            self._rows(
                """
                update ledger.port_entities as stored
                set content_hash = $unknown
                from (
                  select
                    unnest($blueprints::text[]) as blueprint,
                    unnest($identifiers::text[]) as identifier,
                    unnest($hashes::text[]) as content_hash
                ) as seen
                where account = $account
                  and stored.blueprint = seen.blueprint
                  and stored.identifier = seen.identifier
                  and stored.content_hash = seen.content_hash
                returning stored.identifier
                """,
                unknown=UNKNOWN,
                blueprints=[line.blueprint for line in lines],
                identifiers=[line.identifier for line in lines],
                hashes=[line.content_hash for line in lines],
            )
        )

    def _rows(self, query: str, **parameters: str | Sequence[str]) -> list[tuple[Any, ...]]:
        with self.warehouse.transaction() as database:
            return database.execute(query, {"account": self.account, **parameters}).fetchall()
