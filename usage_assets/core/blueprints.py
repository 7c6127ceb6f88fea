"""Blueprints of Port: a JSON file declares what Port shows of an entity, and the table that its rows are stored in.

The file is the blueprint as Port takes it. Beside what Port knows, ``table`` says of the rows what they stand for, and
``column`` of a property what its column means (``schema.column``). Port gets neither.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, cast

import msgspec
from msgspec import UNSET, UnsetType

from usage_assets.core.schema import MONEY, Row, Total, column, columns, declarations, declared

OF_NO_PROVIDER = Path(__file__).parents[1] / "models" / "blueprints"
CONNECTION = "ai_connection"
"""The blueprint that all others relate to, and what that relation is called."""
Foreign: TypeAlias = Mapping[str, Mapping[str, str]]
"""Blueprint of ours -> relation -> blueprint of the users' own to which it leads: where they have configured some."""
NOTHING: Foreign = MappingProxyType({})
_TYPES: Mapping[str, type] = {"string": str, "number": Decimal, "boolean": bool, "object": str, "array": str}
_INHERITED = ("description", "unit", "kind", "within", "additive", "personal")


class Meaning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a column means, as ``schema.column`` takes it. What is not stated is as in the table ``columns_of``."""

    description: str | UnsetType = UNSET
    unit: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    within: tuple[str, ...] | UnsetType = UNSET
    additive: bool | UnsetType = UNSET
    personal: bool | UnsetType = UNSET
    is_added: bool | UnsetType = UNSET
    nullable: bool | UnsetType = UNSET
    """Whether it may be null; not stated: unless the property is required."""


class Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the table of a blueprint's entities holds."""

    description: str = ""
    """The grain in words, then what to know before summing."""
    columns_of: str | None = None
    """The table whose columns of the same name mean the same."""
    identifier: Meaning = Meaning()
    title: Meaning = Meaning()
    totals: dict[str, Total] = {}


class Property(msgspec.Struct):
    """A property and its column. A number that has a unit and is no money is a whole number."""

    type: Literal["string", "number", "boolean", "object", "array"]
    title: str = ""
    column: Meaning = Meaning()


class Properties(msgspec.Struct):
    """The properties, and which of them each entity has."""

    properties: dict[str, Property]
    required: list[str] = []


class Relation(msgspec.Struct):
    """A relation to one entity of another blueprint."""

    target: str
    many: Literal[False] = False


class Blueprint(msgspec.Struct):
    """What is needed of a blueprint. Port judges the rest."""

    identifier: str
    title: str
    schema: Properties
    relations: dict[str, Relation] = {}
    table: Stored = Stored()


class EntityRow(Row, kw_only=True, gc=False):
    """The entities of a blueprint."""

    grain = ("identifier",)

    blueprint: ClassVar[Mapping[str, Any]]
    """What Port is given."""
    is_own: ClassVar[bool] = False
    """Whether the blueprint is one of the users' own."""


def parse(text: str) -> tuple[Blueprint, Mapping[str, Any]]:
    """Return what a JSON file declares, and what Port is given of it. Raises JSONDecodeError and ValidationError."""
    body = json.loads(text)
    stated = msgspec.convert(body, Blueprint)
    properties = {
        name: {key: value for key, value in each.items() if key != "column"}
        for name, each in body["schema"]["properties"].items()
    }
    given = {**body, "schema": {**body["schema"], "properties": properties}}
    given.pop("table", None)
    for name in ("calculationProperties", "relations"):
        given.setdefault(name, {})
    return stated, given


def entity_rows(file: str, name: str) -> type[EntityRow]:
    """Declare the table of the entities of ``blueprints/<name>.json`` beside a module, whose ``__file__`` is given."""
    stated, body = parse((Path(file).parent / "blueprints" / f"{name}.json").read_text(encoding="utf-8"))
    return rows_of(stated, body)


def rows_of(stated: Blueprint, body: Mapping[str, Any], own: str = "") -> type[EntityRow]:
    """Declare the table of a blueprint's entities: identifier, title, and a column of each property and relation.

    ``own`` describes the rows of a blueprint of the users' own. Previews leave out their texts, which may name people.
    """
    like = columns(declared(stated.table.columns_of)) if stated.table.columns_of else ()
    known = {each.name: {fact: getattr(each, fact) for fact in _INHERITED} for each in like}

    def field(name: str, kind: str, description: str, meaning: Meaning, *, nullable: bool = True) -> tuple[str, Any]:
        facts = {"description": description, "personal": bool(own) and _TYPES[kind] is str, **known.get(name, {})}
        facts |= {fact: value for fact, value in msgspec.structs.asdict(meaning).items() if value is not UNSET}
        nullable = facts.pop("nullable", nullable)
        is_count = facts.get("unit") and facts["unit"] not in MONEY and not facts.get("kind")
        python = int if kind == "number" and is_count else _TYPES[kind]
        return name, Annotated[python | None if nullable else python, column(**facts)]

    fields = [
        field("identifier", "string", "Identifier in Port", stated.table.identifier, nullable=False),
        field("title", "string", "Title in Port", stated.table.title, nullable=False),
    ]
    for name, each in stated.schema.properties.items():
        is_required = name in stated.schema.required
        fields.append(field(name, each.type, each.title or name, each.column, nullable=not is_required))
    for name, relation in stated.relations.items():
        if name != CONNECTION:
            fields.append(field(name, "string", f"Entity of {relation.target}", Meaning()))
    facts = {"table": f"port_entities.{stated.identifier}", "blueprint": body, "is_own": bool(own)}
    facts |= {"totals": stated.table.totals, "__doc__": stated.table.description or own}
    row = msgspec.defstruct(
        f"{stated.identifier}_row", fields, bases=(EntityRow,), namespace=facts, kw_only=True, gc=False
    )
    return cast("type[EntityRow]", row)


def is_released(identifier: str) -> bool:
    """Whether a blueprint is of this release or a provider, and not one of the users' own."""
    row = declarations().get(f"port_entities.{identifier}")
    return (OF_NO_PROVIDER / f"{identifier}.json").is_file() or (row is not None and not getattr(row, "is_own", False))


def blueprint(identifier: str, foreign: Foreign = NOTHING) -> dict[str, Any]:
    """One of our blueprints as Port takes it (Port's as they are published), or one of the users' own, related to its
    connection's and to other blueprints of the users. Raises KeyError for one that nobody declares.
    """
    row = declarations().get(f"port_entities.{identifier}")
    file = OF_NO_PROVIDER / f"{identifier}.json"
    if row and issubclass(row, EntityRow):
        declared_as = row.blueprint
    elif file.is_file():
        _, declared_as = parse(file.read_text(encoding="utf-8"))
    else:
        raise KeyError(identifier)
    related = {} if identifier == CONNECTION else {CONNECTION: _relation("Connection", CONNECTION)}
    theirs = {name: _relation(name.capitalize(), target) for name, target in foreign.get(identifier, {}).items()}
    return {**declared_as, "relations": {**theirs, **declared_as["relations"], **related}}


def _relation(title: str, target: str) -> dict[str, Any]:
    return {"title": title, "target": target, "required": False, "many": False}
