"""Blueprints of Port for entities that a mapping makes, as the person who wrote it would have made them."""

from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import Any

Relations = Mapping[str, tuple[str, bool]]
"""What a relation leads to: its name -> the target's blueprint, and whether it leads to many."""

CHANGED_RELATIONS: Relations = {"workspace": ("my_workspace", False), "models": ("my_model", True)}
"""Those of changed/relations.yml; no other file has any."""

TYPES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
}


def blueprints_for(
    entities: Mapping[tuple[str, str], Mapping[str, Any]], relations: Relations | None = None
) -> list[dict[str, Any]]:
    """Return the bodies of POST /blueprints for these entities, each after those that it relates to.

    A property has the type of its values, and is a string where all are null. Raises ValueError where its values have
    several types, and KeyError where an entity has a relation that is not described.
    """
    described = relations or {}
    properties: dict[str, dict[str, str]] = {}
    related: dict[str, set[str]] = {}
    for (blueprint, _), entity in entities.items():
        known = properties.setdefault(blueprint, {})
        for name, value in entity["properties"].items():
            known[name] = _type(f"{blueprint}.{name}", known.get(name, ""), value)
        related.setdefault(blueprint, set()).update(entity["relations"])
    for target in [described[name][0] for names in [*related.values()] for name in names]:
        properties.setdefault(target, {})
        related.setdefault(target, set())
    targets = {blueprint: {described[name][0] for name in names} - {blueprint} for blueprint, names in related.items()}
    return [
        {
            "identifier": blueprint,
            "title": blueprint.replace("_", " ").capitalize(),
            "schema": {
                "properties": {name: {"type": kind or "string"} for name, kind in properties[blueprint].items()}
            },
            "relations": {
                name: {"target": described[name][0], "required": False, "many": described[name][1]}
                for name in sorted(related[blueprint])
            },
        }
        for blueprint in TopologicalSorter(targets).static_order()
    ]


def _type(where: str, known: str, value: object) -> str:
    kind = known if value is None else TYPES[type(value)]
    if known and kind != known:
        raise ValueError(f"{where} is {known} and {kind}")
    return kind
