"""Deletes days past USAGE_RETENTION_MONTHS, of all connections: their entities in Port, archived answers and rows.

The entities in Port go first and the rows last, so that the next run can find and finish an interrupted one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from usage_assets.config.settings import Settings
from usage_assets.core.blueprints import CONNECTION
from usage_assets.core.days import first_kept
from usage_assets.features.deletion.in_port import delete_in_port
from usage_assets.features.deletion.rows import Rows
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.sync import Acknowledged, Failure
from usage_assets.fetching.archive.files import File, remove
from usage_assets.fetching.archive.store import answers_before
from usage_assets.warehouse.database import Warehouse


@dataclass(frozen=True)
class OldDays:
    """What there is of the days before the first that is kept."""

    first: date
    """The first day that is kept."""
    rows: Mapping[str, int]
    """Table -> rows."""
    in_port: Mapping[str, Sequence[Acknowledged]]
    """Connection -> entities of the configured Port account. Those of other accounts stay."""
    archived: Sequence[File]
    """Archived answers of nothing but such days."""

    @property
    def table(self) -> Sequence[tuple[str, int, int]]:
        """What, how many of it, and bytes: DuckDB does not say how many those of its rows are."""
        return [
            ("rows", sum(self.rows.values()), 0),
            ("in Port", sum(map(len, self.in_port.values())), 0),
            ("archived", len(self.archived), sum(file.size for file in self.archived)),
        ]

    def remove(self, warehouse: Warehouse, port: PortClient | None) -> Sequence[Failure]:
        """Delete everything. Returns the entities that Port refused to delete; then the rest was left alone.

        Raises PortError where Port cannot be reached, and WarehouseError.
        """
        if port:
            for connection, lines in self.in_port.items():
                if failures := delete_in_port(warehouse, port, connection, lines):
                    return failures
        remove(self.archived)
        if self.rows:
            Rows.before(self.first).delete(warehouse)
        return ()


def old_days(settings: Settings, warehouse: Warehouse, account: str) -> OldDays:
    """Find what is not kept. Opens no database where everything is. Raises WarehouseError."""
    first = first_kept(settings.usage_retention_months)
    if settings.usage_retention_months is None or not warehouse.exists:
        return OldDays(first, {}, {}, ())
    with warehouse.one_moment() as now:
        stored = Rows.before(first)
        in_port, rows = stored.in_port(now), stored.count(now)
    lines = defaultdict(list)
    for of_account, connection, line in in_port:
        if of_account == account and line.blueprint != CONNECTION:
            lines[connection].append(line)
    archived = answers_before(settings.archive_path, first) if settings.archive_path else ()
    return OldDays(first, rows, lines, archived)
