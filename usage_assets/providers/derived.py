"""What is computed from a provider's tables: data. The SQL is in the provider's folder, below ``sql/``.

What is computed from costs, whatever the provider, is in models/.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from usage_assets.core.blueprints import EntityRow

Ids: TypeAlias = Callable[[Mapping[str, Any]], Iterable[str | None]]
"""The ids in a row by which something else knows what the row is about."""


@dataclass(frozen=True, kw_only=True)
class SourceRows:
    """What each day of a derived table adds up to: sums of its source's rows. A day that does not is never stored.

    Sums are of columns with a unit, and by the other ones that ``columns`` names (``sql/sums.sql``).
    """

    rows: str = ""
    """The rows that are added up: SQL after ``from``. Empty: those of the first table that is read."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Column of the derived table -> SQL over the rows, in the same unit. Empty: it is no sum."""
    total: str = "replace(measure, '_', ' ')"
    """SQL for the name of a sum in messages, over ``measure`` (its column) and what sums are by."""
    in_minor_units: bool = False
    """Whether the rows state money in the smallest unit of ``currency``, and the derived table in whole ones."""
    keeps_null: bool = False
    """Whether the sum of nulls is null. Otherwise it is as good as 0."""


@dataclass(frozen=True, kw_only=True)
class Entities(SourceRows):
    """The entities of one of Port's blueprints, which is called like the rows' table.

    Every column with a unit is a sum of the rows that it is computed from: of their column of the same name, unless
    ``columns`` names it.
    """

    row: type[EntityRow]
    """What ``entity_rows`` has read of the blueprint's file."""
    reads: tuple[str, ...]
    """Tables that must hold the day."""
    optional_refs: tuple[str, ...] = ()
    """Tables of endpoints that may be switched off, and of lookups."""
    views: tuple[str, ...] = ()
    """Views that are read. What these read is in ``reads`` and ``optional_refs``, too."""
    within: str = ""
    """A query below ``sql/`` over ``native``, the result of the file. Then no column is a sum."""
    file: str | None = None
    """The query is ``sql/entities/<file>.sql``; None: it is called like the blueprint."""
    about: Mapping[str, Ids] = field(default_factory=dict)
    """Relation that users may configure (``project``, ``user``) -> what its target is known by."""

    @property
    def name(self) -> str:
        return self.row.table.removeprefix("port_entities.")


def ids_in(*columns: str) -> Ids:
    """Return what reads the ids in these columns, for ``Entities.about``."""
    return lambda row: [row[name] for name in columns]
