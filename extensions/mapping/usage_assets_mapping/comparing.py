"""A stored day of a mapping against what usage-assets itself computes for the same blueprints."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import isclose
from typing import Any

from usage_assets.config.settings import Connection, Settings
from usage_assets.core.errors import one_line
from usage_assets.features.port.catalog.reconcile import is_same
from usage_assets.features.port.ledger import PortLedger
from usage_assets.models.entities import ENTITIES, entities_of
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.values import Query
from usage_assets_mapping.errors import MappingError
from usage_assets_mapping.making import Making
from usage_assets_mapping.questions import Answer
from usage_assets_mapping.reading import Resource

MOST_NAMED = 10
"""Differences of a blueprint that are shown."""
ROUNDING = 1e-12
"""What doubles may lose of a number in a few steps."""
Entities = Mapping[str, Mapping[str, Any]]
"""Identifier -> title and properties."""


@dataclass(frozen=True)
class Compared:
    """What a resource has of a blueprint, next to ours."""

    blueprint: str
    theirs: Entities
    ours: Entities | None
    """None: usage-assets has no such blueprint for the connection."""

    def words(self) -> Iterator[str]:
        """Yield what is equal, different and on one side only, in lines."""
        if self.ours is None:
            yield f"{self.blueprint}: entities {len(self.theirs):,}; usage-assets has none of its own to compare with"
            return
        both = self.theirs.keys() & self.ours.keys()
        different = {each: lines for each in both if (lines := [*self._different(each, self.ours[each])])}
        mapping = {each: [f"  {each}: only in the mapping"] for each in self.theirs.keys() - both}
        ours = {each: [f"  {each}: only in usage-assets"] for each in self.ours.keys() - both}
        yield (
            f"{self.blueprint}: equal {len(both) - len(different):,}, different {len(different):,}, only in the "
            f"mapping {len(mapping):,}, only in usage-assets {len(ours):,}"
        )
        lines = [line for _, lines in sorted({**different, **mapping, **ours}.items()) for line in lines]
        yield from lines[:MOST_NAMED]
        if len(lines) > MOST_NAMED:
            yield f"  and {len(lines) - MOST_NAMED:,} more"

    def _different(self, identifier: str, ours: Mapping[str, Any]) -> Iterator[str]:
        """Yield a line for each value in which an entity differs from ours."""
        theirs = self.theirs[identifier]
        for field in sorted(theirs.keys() | ours.keys()):
            if not _is_alike(theirs.get(field), ours.get(field)):
                here, there = (json.dumps(each.get(field), default=_number) for each in (theirs, ours))
                yield f"  {identifier}: {field} is {here}, usage-assets has {there}"


def compared(
    settings: Settings, warehouse: Warehouse, connection: Connection, resource: Resource, answer: Answer, day: date
) -> Sequence[Compared]:
    """Compare what a resource makes of a stored day. Raises MappingError where the day has no answer, or JQ fails."""
    making = Making(settings=settings, connection=connection, resource=resource, answer=answer, ours=frozenset())
    batch, refused = making(Query(resource.text, (answer.endpoint.row.table,)), warehouse, [day])
    if refused:
        raise MappingError(str(refused[day]))
    theirs: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in batch.rows.to_pylist():
        content = json.loads(row["content"])
        shown = {"title": content["title"]} if "title" in content else {}
        theirs.setdefault(row["blueprint"], {})[row["identifier"]] = {**shown, **content["properties"]}
    return [Compared(name, found, _ours(warehouse, connection, name, day)) for name, found in sorted(theirs.items())]


def _ours(warehouse: Warehouse, connection: Connection, blueprint: str, day: date) -> Entities | None:
    """Return our entities of a blueprint and day; None where there is no such blueprint for the connection."""
    tables = [each.row.table for each in PROVIDERS[connection.provider].endpoints]
    for model in entities_of(tables, ENTITIES):
        if model.name == blueprint:
            ledger = PortLedger(warehouse, "", Slice(connection.name, day, day), [model])
            return {each.identifier: {"title": each.title, **each.properties} for each in ledger.read()[0]}
    return None


def _is_alike(theirs: object, ours: object) -> bool:
    """Whether two values are the same, or numbers that only differ because JQ computes with doubles."""
    if isinstance(theirs, (int, float)) and isinstance(ours, (int, Decimal)):
        return isclose(theirs, ours, rel_tol=ROUNDING)
    return is_same(theirs, ours)


def _number(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else one_line(str(value))
