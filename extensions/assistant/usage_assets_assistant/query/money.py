"""Which columns of tables and views are money, their kind and their unit: what ``amounts.py`` knows of a query.

``money.json`` is made from the declarations (``make snapshot``), and a test holds it to them: to import all of them
takes four times as long as a query.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

KIND, UNIT = "@kind", "@unit"
"""What an amount is, and in which unit."""
FILE = Path(__file__).parent / "money.json"


class Relation(NamedTuple):
    """A table or view that has amounts."""

    grain: Sequence[str]
    """The columns that identify a row; none: not declared."""
    bases: Sequence[str]
    """The tables whose amounts it adds up."""
    columns: Mapping[str, Mapping[str, str]]
    """Amount -> ``KIND``, ``UNIT`` or another column -> what all rows are, or the column that says it, as ``=name``."""


@cache
def relations() -> Mapping[str, Relation]:
    """Return all relations that have amounts, by ``schema.name``."""
    return {name: Relation(**declared) for name, declared in json.loads(FILE.read_text()).items()}


def shared_by(relation: str, column: str) -> Sequence[str]:
    """Return the columns in which rows must be equal for an amount of them to be added."""
    known = relations().get(relation)
    return [said[1:] for said in known.columns.get(column, {}).values() if said.startswith("=")] if known else []
