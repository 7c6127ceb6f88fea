"""Blueprints of the users' own: pairs of files in the folder USAGE_BLUEPRINTS, read and turned into declared rows.

`<name>.json` is a blueprint as Port takes it, `<name>.sql` computes its entities. Nothing here opens a database: what
only DuckDB can tell of the SQL is in models/own_blueprints.py.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from usage_assets.core.blueprints import CONNECTION, Blueprint, EntityRow, is_released, parse, rows_of
from usage_assets.core.errors import UserError
from usage_assets.core.schema import declarations

DAY = ("connection", "usage_date")
_GRAIN = re.compile(r"-- grain: ([\w, ]+)")
_NAME = re.compile("[a-z][a-z0-9_]{0,59}")


class BlueprintError(UserError):
    """A pair of files that cannot be used: file, column and what is wrong, in one line."""


@dataclass(frozen=True)
class OwnBlueprint:
    """A pair of files."""

    row: type[EntityRow]
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
    if is_released(declared.identifier):  # before the row is made, which declares the table
        raise BlueprintError(
            f"{sql_path}: {declared.identifier} is a blueprint of usage-assets or a provider: choose another name"
        )
    first = _GRAIN.fullmatch(sql.partition("\n")[0].rstrip())
    grain = tuple(first[1].replace(" ", "").split(",")) if first else ()
    if not {*DAY} <= {*grain}:
        raise BlueprintError(f"{sql_path}: the first line must be -- grain: connection, usage_date, ...")
    relations = {name: each.target for name, each in declared.relations.items() if name != CONNECTION}
    for name in grain:
        if name not in (*DAY, *declared.schema.properties, *relations):
            raise BlueprintError(f"{sql_path}: grain: {name} is no property and no relation of {Path(path).name}")
    row = rows_of(declared, body, f"One entity per {', '.join(grain)}. A blueprint of your own.")
    key = tuple(name for name in grain if name not in DAY)
    return OwnBlueprint(row, sql, key, tuple(relations.items()), sql_path)


def _declared(path: str, text: str) -> tuple[Blueprint, Mapping[str, Any]]:
    """Return what a JSON file declares, and what Port is given of it. Raises BlueprintError."""
    try:
        declared, body = parse(text)
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
    if (alike := declared.table.columns_of) and alike not in declarations():
        raise BlueprintError(f"{path}: table: columns_of: {alike} is no table")
    return declared, body
