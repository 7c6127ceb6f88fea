"""Blueprints of Port: where the JSON of each is, and what relates them.

It is beside the module that declares its rows, or with those of no provider.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from usage_assets.core.schema import OwnRow, declarations

OF_NO_PROVIDER = Path(__file__).parents[1] / "models" / "blueprints"
CONNECTION = "ai_connection"
"""The blueprint that all others relate to, and what that relation is called."""
Foreign: TypeAlias = Mapping[str, Mapping[str, str]]
"""Blueprint of ours -> relation -> blueprint of the users' own to which it leads: where they have configured some."""
NOTHING: Foreign = MappingProxyType({})


def blueprint_file(identifier: str) -> Path | None:
    """Return the file of a blueprint of this release or a provider; None for those of the users' own and all others."""
    row = declarations().get(f"port_entities.{identifier}")
    of_provider = row is not None and not issubclass(row, OwnRow)
    beside = [Path(str(sys.modules[row.__module__].__file__)).parent / "blueprints"] if row and of_provider else []
    files = (folder / f"{identifier}.json" for folder in (*beside, OF_NO_PROVIDER))
    return next((file for file in files if file.is_file()), None)


def blueprint(identifier: str, foreign: Foreign = NOTHING) -> dict[str, Any]:
    """One of our blueprints as the file has it (Port's as they are published), or one of the users' own, related to its
    connection's and to other blueprints of the users.
    """
    own = declarations().get(f"port_entities.{identifier}")
    file = blueprint_file(identifier)
    declared: Mapping[str, Any]
    if file:
        declared = json.loads(file.read_text(encoding="utf-8"))
    elif own and issubclass(own, OwnRow):
        declared = own.blueprint
    else:
        raise KeyError(identifier)
    related = {} if identifier == CONNECTION else {CONNECTION: _relation("Connection", CONNECTION)}
    theirs = {name: _relation(name.capitalize(), target) for name, target in foreign.get(identifier, {}).items()}
    return {**declared, "relations": {**theirs, **declared["relations"], **related}}


def _relation(title: str, target: str) -> dict[str, Any]:
    return {"title": title, "target": target, "required": False, "many": False}
