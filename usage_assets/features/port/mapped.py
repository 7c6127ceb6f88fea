"""Entities of mappings: stored whole, as JSON, because their blueprints are the users' own.

An identifier may lack its day: several days then have an entity of that name, and Port shows the newest.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any

import duckdb
import msgspec
import pyarrow as pa

from usage_assets.core.schema import Row, column
from usage_assets.features.port.catalog.sync import Acknowledged, Entity
from usage_assets.models.model import Related
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.values import WarehouseError

SURE = len(sha256().hexdigest())
"""Length of a hash of what Port has. Marks of pushes, and UNKNOWN, are shorter."""
MAPPED = "(mapping)"
"""What the ledger of pushed days calls the entities of a connection's mappings: no blueprint has such a name."""
_json = msgspec.json.Decoder(float_hook=Decimal)


class MappedEntity(Row):
    """One row per connection, day, resource of a mapping, blueprint and identifier: an entity as Port gets it.

    Of several items of a day with one identifier, the last one counts.
    """

    table = "mapping.entities"
    grain = ("resource", "blueprint", "identifier")
    slice_by = "resource"

    resource: Annotated[str, column("Resource of the mapping that it comes from")]
    blueprint: Annotated[str, column("Blueprint")]
    identifier: Annotated[str, column("Identifier in Port", personal=True)]
    content: Annotated[
        str,
        column("The rest as JSON: title, icon, team, properties and relations, as far as stated", personal=True),
    ]
    items: Annotated[int, column("Items of the day that have this identifier", unit="items")]


def content_of(stated: Any) -> str:
    """Return what is stated of an entity as it is stored: one text for one content."""
    return json.dumps(stated, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class Mapped(Related):
    """The entities of all mappings of a connection. Without one, those that earlier ones have left in Port."""

    name: str = MAPPED
    resources: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    """Our blueprints that they write, each with the resource that does: ``<blueprint> <resource>``."""
    writes: tuple[str, ...] = ()
    """All blueprints that they name as plain texts. Nothing here creates one."""

    @property
    def stored_in(self) -> Sequence[tuple[str, str]]:
        return [(MappedEntity.table, resource) for resource in self.resources]

    @property
    def blueprints(self) -> Sequence[str]:
        return ()

    def read(
        self, database: duckdb.DuckDBPyConnection, account: str, target: Slice
    ) -> tuple[list[Entity], list[Acknowledged]]:
        """Return the entities that days concern, and what Port has acknowledged of them.

        An entity is concerned if it is stored on one of the days, or was, or if no day has it any more. It is that of
        its newest day. If Port has the same content already, its line gets that day.

        Raises WarehouseError where something else gives one of them, too: the last push would win. Days are refused
        before that, unless two were computed at the same time, or one while the other was not stated.
        """
        parameters: dict[str, Any] = {"account": account, "resources": [*self.resources], "replaces": [*self.replaces]}
        database.execute(CONCERNED, {**target.bounds, **parameters, "sure": SURE})
        if shared := database.execute(SHARED).fetchone():
            blueprint, identifier, writers = shared
            raise WarehouseError(
                f"{blueprint} {identifier}: {' and '.join(writers)} give it, and one would overwrite the other: add "
                "what tells them apart to the identifier, or remove one of the resources (of a connection that is no "
                "longer there: usage-assets connection remove)"
            )
        acknowledged = [Acknowledged(*row) for row in database.execute(LINES).fetchall()]
        desired = [_entity(*row) for row in database.execute(NEWEST).fetchall()]
        held = {(line.blueprint, line.identifier): line for line in acknowledged}
        moved = [
            entity
            for entity in desired
            if (line := held.get((entity.blueprint, entity.identifier)))
            if line.usage_date != entity.usage_date and line.content_hash == entity.content_hash()
        ]
        if moved:
            names = ("blueprint", "identifier", "usage_date")
            columns = {name: [getattr(entity, name) for entity in moved] for name in names}
            database.register("moved", pa.table(columns))
            database.execute(MOVE, {"account": account})
        return desired, acknowledged


def with_mappings(entities: Sequence[Related]) -> Sequence[Related]:
    """Return them with those of mappings, also where there is none: of one that is no longer stated, nothing stays."""
    return entities if any(isinstance(each, Mapped) for each in entities) else [*entities, Mapped()]


def _entity(blueprint: str, identifier: str, day: Any, content: str, resource: str) -> Entity:
    stated = _json.decode(content)
    return Entity(
        blueprint=blueprint,
        identifier=identifier,
        title=stated.pop("title", None),
        properties=stated.pop("properties", {}),
        relations=stated.pop("relations", {}),
        usage_date=day,
        others=stated,
        resource=resource,
    )


CONCERNED = """
create or replace temp table concerned as
with
lines as (
  select blueprint, identifier, usage_date, content_hash, resource
  from ledger.port_entities as stored
  where account = $account
    and connection = $connection
    and exists (
      from ledger.stored_days as days
      where days.table_name = 'mapping.entities'
        and days.connection = stored.connection
        and days.usage_date = stored.usage_date
        and (stored.resource is not null or list_contains($replaces::text[], stored.blueprint || ' ' || days.slice))
    )
),
entities as (
  select blueprint, identifier, usage_date, content, resource
  from mapping.entities
  where connection = $connection and list_contains($resources::text[], resource)
),
names as (
  select blueprint, identifier from entities where usage_date between $first and $last
  union
  select blueprint, identifier from lines where usage_date between $first and $last
  union
  (select blueprint, identifier from lines anti join entities using (blueprint, identifier))
  union
  select blueprint, identifier from lines where length(content_hash) < $sure  -- a push died, whatever days it had
)
select
  blueprint,
  identifier,
  usage_date,
  content,
  resource,
  null as content_hash,
  array_agg(distinct 'resource ' || resource) over (partition by blueprint, identifier)
    || coalesce(others, []) as writers
from entities
semi join names using (blueprint, identifier)
left join (
  select blueprint, identifier, ['connection ' || any_value(connection)] as others
  from ledger.port_entities
  where account = $account and connection <> $connection
  group by blueprint, identifier
) as elsewhere
  using (blueprint, identifier)
qualify row_number() over (partition by blueprint, identifier order by usage_date desc, resource) = 1
union all by name
select blueprint, identifier, usage_date, content_hash, resource
from lines
semi join names using (blueprint, identifier)
"""
"""The newest entity of each name that some days concern, with all who give it, and its line."""
SHARED = """
select blueprint, identifier, list_sort(writers) from concerned where len(writers) > 1 order by all limit 1
"""
NEWEST = """
select blueprint, identifier, usage_date, content, resource from concerned where content_hash is null order by all
"""
LINES = """
select blueprint, identifier, usage_date, content_hash, resource from concerned where content_hash is not null
"""
MOVE = """
update ledger.port_entities as stored
set usage_date = moved.usage_date
from moved
where stored.account = $account
  and stored.blueprint = moved.blueprint
  and stored.identifier = moved.identifier
"""
