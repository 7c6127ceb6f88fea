"""The entities of a resource's days, as rows that are stored and pushed: out of the archive, without a request."""

import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pyarrow as pa

from usage_assets.config.settings import Connection, Settings
from usage_assets.core.people import People
from usage_assets.core.schema import to_arrow
from usage_assets.features.port import mapped
from usage_assets.fetching.connected import archive_of, replay_of
from usage_assets.models.model import MACROS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.inputs import inputs_of
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import stored_tables
from usage_assets.warehouse.values import Batch, Query, WarehouseError
from usage_assets_mapping.answering import Answers, answers_for
from usage_assets_mapping.entities import Mapped, MappedEntity, entities_of
from usage_assets_mapping.errors import MappingError, shown
from usage_assets_mapping.evaluating import Evaluator
from usage_assets_mapping.questions import Answer
from usage_assets_mapping.reading import Resource

logger = logging.getLogger(f"usage_assets.{__name__}")  # commands show what is logged below usage_assets
SINCE = """
select usage_date, coalesce(answered_at, content_since) as since
from ledger.stored_days
where connection = $connection and table_name = $table and usage_date between $first and $last
"""
"""Days of a fetched table, and since when an archived answer has what they hold."""
TAKEN = """
select made.usage_date, blueprint, identifier, min(owner)
from made
join ({others}) as others using (blueprint, identifier)
group by all
order by all
"""
OF_OTHERS = """
select connection || '/mapped/' || resource as owner, blueprint, identifier
from mapping.entities
where list_contains($others::text[], connection || '/' || resource)
"""
OF_OURS = """
select connection || '/entities/{blueprint}' as owner, '{blueprint}' as blueprint, identifier
from port_entities.{blueprint}
where connection <> $connection
"""
VALID = "select name, valid_name(name) as valid from names"


@dataclass(frozen=True, kw_only=True)
class Making:
    """A resource of a connection, and what its days are computed with."""

    settings: Settings
    connection: Connection
    resource: Resource
    answer: Answer
    ours: frozenset[str]
    """Blueprints that our own entities write."""
    others: tuple[tuple[str, str], ...] = ()
    """All other resources, with their connections."""

    def __call__(
        self, query: Query, warehouse: Warehouse, days: Sequence[date]
    ) -> tuple[Batch, Mapping[date, WarehouseError]]:
        """Return the rows of some days, and why others have none. What is stored of those stays."""
        target = Slice(self.connection.name, days[0], days[-1], self.resource.name)
        began, inputs, since = datetime.now(UTC), *self._stored(warehouse, query, target)
        refused = {
            day: WarehouseError(
                f"{self.place}: {self.connection.name}/{self.answer.endpoint.name} was never fetched for {day}: "
                f"run usage-assets backfill --start {day} --end {day}",
                days=[day],
                waits=True,
            )
            for day in days
            if day not in since
        }
        replay = replay_of(self.connection, self.settings, archive_of(self.settings))
        answers = answers_for(replay, self.answer, [day for day in days if day not in refused])
        rows = [*self._evaluated(answers, since, replay.scope.people)]
        for day, why in self._taken(warehouse, rows):
            answers.refused[day] = replay.scope.people.scrubbed(why)
        rows = [row for row in rows if row.usage_date not in answers.refused]
        refused |= {
            day: WarehouseError(f"{self.place}: {day}: {why}; its entities stay as they are", days=[day])
            for day, why in answers.refused.items()
        }
        return Batch(rows=to_arrow(mapped.MappedEntity, rows), began=began, inputs=inputs), refused

    def _evaluated(
        self, answers: Answers, since: Mapping[date, datetime], people: People
    ) -> Iterator[mapped.MappedEntity]:
        """Yield the rows of the days, and note why others have none. What fails and is null is logged."""
        failed, reasons = Counter[str](), dict[str, str]()
        with Evaluator() as evaluator, duckdb.connect(config={"threads": 1}) as database:
            for day, answered in answers.found.items():
                evaluator.now = answered.stored_at.timestamp()
                try:
                    if answered.stored_at < since[day]:
                        raise MappingError("the archived answer is older than what is stored: fetch the day again")
                    made = entities_of(evaluator, self.resource, answered.body)
                    yield from self._rows(day, made, valid_names(database, [*_names(self.resource, made)]))
                except MappingError as error:
                    answers.refused[day] = people.scrubbed(str(error))
                else:
                    failed += Counter({place: count for place, (count, _) in made.failures.items()})
                    reasons |= {place: reason for place, (_, reason) in made.failures.items()}
        if failed:
            said = (f"{place} ({count:,} items: {reasons[place]})" for place, count in failed.items())
            logger.warning("null, because they fail: %s", people.scrubbed("; ".join(said)))

    def _taken(self, warehouse: Warehouse, rows: Sequence[mapped.MappedEntity]) -> Iterator[tuple[date, str]]:
        """Yield the days with an identifier that somebody else gives, too: Port would show one of both."""
        own = to_arrow(mapped.MappedEntity, rows)
        with warehouse.transaction(keep=False) as database:
            stored = stored_tables(database)
            queries = [OF_OTHERS] if mapped.MappedEntity.table in stored else []
            ours = sorted(name for name in {row.blueprint for row in rows} if f"port_entities.{name}" in stored)
            queries += [OF_OURS.format(blueprint=name) for name in ours if re.fullmatch(r"\w+", name)]
            if not queries:
                return
            database.register("made", own)
            others = [f"{connection}/{resource}" for connection, resource in self.others]
            parameters = {"connection": self.connection.name, "others": others}
            query = TAKEN.format(others=" union all ".join(queries))
            used = {name: value for name, value in parameters.items() if f"${name}" in query}
            found = database.execute(query, used).fetchall()
        for day, blueprint, identifier, owner in found:
            what = f"identifier {identifier} of {blueprint} is also given by {owner}"
            yield day, f"{self.resource.identifier.place}: {what}: add what tells them apart"

    @property
    def place(self) -> str:
        return f"{self.resource.place}: {self.resource.name}"

    def _stored(self, warehouse: Warehouse, query: Query, target: Slice) -> tuple[pa.Table, Mapping[date, datetime]]:
        """Return what the days are computed from, and since when it is what it is: as of now, before it is read."""
        with warehouse.transaction(keep=False) as database:
            inputs = inputs_of(database, query, target)
            table = {"table": self.answer.endpoint.row.table}
            bounds = {name: value for name, value in target.bounds.items() if name != "part"}
            return inputs, dict(database.execute(SINCE, {**bounds, **table}).fetchall())

    def _rows(self, day: date, made: Mapped, names: Mapping[str, str]) -> Iterator[mapped.MappedEntity]:
        """Yield the rows of a day. Raises MappingError for a blueprint that is ours."""
        last: dict[tuple[str, str], MappedEntity] = {}
        counts: Counter[tuple[str, str]] = Counter()
        for entity in made.entities:
            if entity.blueprint in self.ours:
                raise MappingError(
                    f"{self.resource.blueprint.place}: blueprint {entity.blueprint} is written by usage-assets itself: "
                    "state replaces = true in [[mapping]], with the blueprint as a plain text"
                )
            key = entity.blueprint, names[entity.identifier]
            counts[key] += 1
            last.pop(key, None)
            last[key] = entity
        for (blueprint, identifier), entity in last.items():
            yield mapped.MappedEntity(
                connection=self.connection.name,
                usage_date=day,
                resource=self.resource.name,
                blueprint=blueprint,
                identifier=identifier,
                content=mapped.content_of(_content(self.resource, entity, names)),
                items=counts[blueprint, identifier],
            )


def _content(resource: Resource, entity: MappedEntity, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what is sent besides the identifier: what the resource states. Targets are named as entities are."""
    stated = {name for name, _ in resource.expressions()}
    content: dict[str, Any] = {name: getattr(entity, name) for name in ("title", "icon", "team") if name in stated}
    content["properties"] = entity.properties
    content["relations"] = {name: _named(target, names) for name, target in entity.relations.items()}
    return content


def _named(target: Any, names: Mapping[str, str]) -> Any:
    return [names.get(each, each) for each in target] if isinstance(target, list) else names.get(target, target)


def _targets(resource: Resource, entity: MappedEntity) -> Iterator[str]:
    """Yield the identifiers to which an entity relates. Raises MappingError for anything else."""
    for name, target in entity.relations.items():
        for each in target if isinstance(target, list) else [target]:
            if isinstance(each, str):
                yield each
            elif each is not None or isinstance(target, list):
                given = shown(json.dumps(target, ensure_ascii=False))
                what = f"gives {given}: a relation is an identifier, a list of them, or null"
                raise MappingError(f"{resource.relations[name].place}: relations.{name}: {what}")


def _names(resource: Resource, made: Mapped) -> Iterator[str]:
    """Yield identifiers and targets. Raises MappingError as ``_targets``."""
    for entity in made.entities:
        yield entity.identifier
        yield from _targets(resource, entity)


def valid_names(database: duckdb.DuckDBPyConnection, names: Sequence[str]) -> Mapping[str, str]:
    """Return what names are called in Port, which refuses some characters."""
    for macro in MACROS:
        if "valid_name" in macro:
            database.execute(macro)
    database.register("names", pa.table({"name": pa.array(sorted({*names}), pa.string())}))
    return dict(database.execute(VALID).fetchall())
