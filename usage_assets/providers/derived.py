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
class Entities:
    """The entities of one of Port's blueprints, which is called like the rows' table."""

    row: type[EntityRow]
    """What ``entity_rows`` has read of the blueprint's file."""
    reads: tuple[str, ...]
    """Tables that must hold the day."""
    optional_refs: tuple[str, ...] = ()
    """Tables of endpoints that may be switched off, and of lookups."""
    views: tuple[str, ...] = ()
    """Views that are read. What these read is in ``reads`` and ``optional_refs``, too."""
    within: str = ""
    """A query below ``sql/`` over ``native``, the result of the file."""
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
