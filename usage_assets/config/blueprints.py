"""Blueprints of the users' own: pairs of files in the folder USAGE_BLUEPRINTS, read and turned into declared rows.

`<name>.json` is a blueprint as Port takes it, `<name>.sql` computes its entities. Nothing here opens a database: what
only DuckDB can tell of the SQL is in models/own_blueprints.py.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import msgspec

from usage_assets.core.blueprints import blueprint_file
from usage_assets.core.errors import UserError
from usage_assets.core.schema import OwnRow, column

DAY = ("connection", "usage_date")
ADDED = "ai_connection"
"""The relation that every entity gets."""
_GRAIN = re.compile(r"-- grain: ([\w, ]+)")
_NAME = re.compile("[a-z][a-z0-9_]{0,59}")
_TYPES: Mapping[str, type] = {"string": str, "number": Decimal, "boolean": bool, "object": str, "array": str}


class BlueprintError(UserError):
    """A pair of files that cannot be used: file, column and what is wrong, in one line."""


class _Property(msgspec.Struct):
    type: Literal["string", "number", "boolean", "object", "array"]
    title: str = ""


class _Schema(msgspec.Struct):
    properties: dict[str, _Property]
    required: list[str] = []


class _Relation(msgspec.Struct):
    target: str
    many: Literal[False] = False


class _Blueprint(msgspec.Struct):
    """What is needed of a blueprint. Port judges the rest."""

    identifier: str
    title: str
    schema: _Schema
    relations: dict[str, _Relation] = {}


@dataclass(frozen=True)
class OwnBlueprint:
    """A pair of files."""

    row: type[OwnRow]
    sql: str
    grain: tuple[str, ...]
    """The columns that the first line of the SQL names, besides ``DAY``."""
    relations: tuple[tuple[str, str], ...]
    """Relation -> blueprint to which it leads."""
    path: str
    """The SQL file."""

    @property
    def name(self) -> str:
        return self.row.table.removeprefix("port_entities.")


def read_blueprints(folder: Path) -> Sequence[OwnBlueprint]:
    """Read the pairs of a folder, sorted by name. Raises BlueprintError for the first mistake."""
    if not folder.is_dir():
        raise BlueprintError(f"USAGE_BLUEPRINTS: {folder}: is no folder")
    files = [path for path in sorted(folder.iterdir()) if path.suffix in (".json", ".sql")]
    try:
        texts = {path: path.read_text(encoding="utf-8") for path in files}
    except (OSError, UnicodeDecodeError) as error:
        raise BlueprintError(f"USAGE_BLUEPRINTS: {folder}: cannot be read: {error}") from None
    for path in texts:
        other = path.with_suffix(".sql" if path.suffix == ".json" else ".json")
        if other not in texts:
            raise BlueprintError(f"{path}: has no {other.name} beside it: a blueprint is a pair of files")
    return [
        _pair(str(path), text, str(path.with_suffix(".sql")), texts[path.with_suffix(".sql")])
        for path, text in texts.items()
        if path.suffix == ".json"
    ]


@cache
def _pair(path: str, text: str, sql_path: str, sql: str) -> OwnBlueprint:
    """Return a pair as data. The same files are the same row model: each one is declared for good."""
    declared, body = _declared(path, text)
    if blueprint_file(declared.identifier):  # before the row is made, which declares the table
        raise BlueprintError(
            f"{sql_path}: {declared.identifier} is a blueprint of usage-assets or a provider: choose another name"
        )
    first = _GRAIN.fullmatch(sql.partition("\n")[0].rstrip())
    grain = tuple(first[1].replace(" ", "").split(",")) if first else ()
    if not {*DAY} <= {*grain}:
        raise BlueprintError(f"{sql_path}: the first line must be -- grain: connection, usage_date, ...")
    columns = {
        name: _field(each.type, each.title or name, is_required=name in declared.schema.required)
        for name, each in declared.schema.properties.items()
    }
    relations = {name: each.target for name, each in declared.relations.items() if name != ADDED}
    columns |= {name: _field("string", f"Entity of {target}", is_required=False) for name, target in relations.items()}
    for name in grain:
        if name not in (*DAY, *columns):
            raise BlueprintError(f"{sql_path}: grain: {name} is no property and no relation of {Path(path).name}")
    row = msgspec.defstruct(
        f"Own_{declared.identifier}",
        [
            ("identifier", _field("string", "Identifier in Port", is_required=True)),
            ("title", _field("string", "Title in Port", is_required=True)),
            *columns.items(),
        ],
        bases=(OwnRow,),
        namespace={
            "table": f"port_entities.{declared.identifier}",
            "grain": ("identifier",),
            "blueprint": body,
            "__doc__": f"One entity per {', '.join(grain)}. A blueprint of your own.",
        },
        kw_only=True,
        gc=False,
    )
    key = tuple(name for name in grain if name not in DAY)
    return OwnBlueprint(cast("type[OwnRow]", row), sql, key, tuple(relations.items()), sql_path)


def _declared(path: str, text: str) -> tuple[_Blueprint, Mapping[str, Any]]:
    """Return what a JSON file declares, and all that it says."""
    try:
        body = json.loads(text)
        declared = msgspec.convert(body, _Blueprint)
    except json.JSONDecodeError as error:
        raise BlueprintError(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}") from None
    except msgspec.ValidationError as error:
        raise BlueprintError(f"{path}: is no blueprint as Port takes it: {error}") from None
    if declared.identifier != Path(path).stem or not _NAME.fullmatch(declared.identifier):
        raise BlueprintError(
            f"{path}: identifier: must be the file's name, in lower-case letters, digits and _: {declared.identifier!r}"
        )
    names = [*DAY, "identifier", "title", *declared.schema.properties, *declared.relations]
    for number, name in enumerate(names):
        if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
            raise BlueprintError(f"{path}: {name}: cannot be a column: use letters, digits and _")
        if name.lower() in (former.lower() for former in names[:number]):
            raise BlueprintError(f"{path}: {name}: is also the name of another column")
    for name in declared.schema.required:
        if name not in declared.schema.properties:
            raise BlueprintError(f"{path}: required: {name} is no property")
    return declared, {"calculationProperties": {}, "relations": {}, **body}


def _field(kind: str, description: str, *, is_required: bool) -> Any:
    """Return the type of a column. Texts may name people, so that previews leave them out."""
    python = _TYPES[kind]
    meta = column(description, personal=python is str)
    return Annotated[python, meta] if is_required else Annotated[python | None, meta]
