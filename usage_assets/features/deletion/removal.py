"""Removes a connection: its entities in Port, its days in Dagster, its archived answers and its rows.

They go in this order, so that an interrupted removal can be run again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from usage_assets.assets.names import ALONE
from usage_assets.config.settings import NAME, Settings, SettingsError
from usage_assets.features.deletion.files import clean
from usage_assets.features.deletion.rows import Rows, delete_in_port
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.sync import Acknowledged, Failure
from usage_assets.warehouse.database import Warehouse


@dataclass(frozen=True)
class Removal:
    """Everything that is stored of a connection: what its removal deletes."""

    connection: str
    rows: Mapping[str, int]
    """Table -> rows."""
    in_port: Sequence[Acknowledged]
    """Entities in the configured Port account."""
    elsewhere: Mapping[str, int]
    """Other Port account -> number of entities. They are not deleted."""
    assets: Sequence[dg.AssetKey]
    """Assets whose days Dagster remembers. It would take them for stored if the name were used again."""

    archived: Sequence[Path]
    """Files of archived answers. They would be taken for another organization's if the name were used again."""

    @property
    def entities(self) -> Mapping[str, int]:
        """Blueprint -> number of entities in the configured Port account."""
        return Counter(line.blueprint for line in self.in_port)

    def run(
        self, settings: Settings, warehouse: Warehouse, instance: dg.DagsterInstance, port: PortClient | None
    ) -> Sequence[Failure]:
        """Delete everything. Return the entities that Port refused to delete; if there are any, the rest is kept.

        Raises PortError if Port cannot be reached, and WarehouseError.
        """
        if port and self.in_port and (failures := delete_in_port(warehouse, port, self.connection, self.in_port)):
            return failures
        instance.wipe_assets(self.assets)
        for path in self.archived:
            path.unlink(missing_ok=True)
        Rows.of_connection(self.connection).delete(warehouse)
        if warehouse.exists:
            clean(settings, warehouse)
        return ()


def removal_of(
    name: str, settings: Settings, warehouse: Warehouse, instance: dg.DagsterInstance, account: str
) -> Removal:
    """Return what is stored of a connection. Raises SettingsError if it is configured, or nothing is stored.

    Also raises it if the name is not valid, because the name becomes part of a path.
    """
    if not NAME.fullmatch(name):
        raise SettingsError(
            f"connection {name!r}: is not a valid name: lower-case letters, digits and _, at most 40 characters"
        )
    for connection in settings.connections():
        if connection.name == name and connection.is_configured:
            what = "take it out of the connections file" if connection.place else f"unset {connection.key_reference}"
            raise SettingsError(f"connection {name} is configured: {what} first")
    with warehouse.one_moment() as now:
        stored = Rows.of_connection(name)
        in_port, rows = stored.in_port(now), stored.count(now)
    removal = Removal(
        name,
        rows=rows,
        in_port=in_port.pop(account, {}).get(name, []),
        elsewhere={other: len(entities[name]) for other, entities in in_port.items()},
        assets=[key for key in instance.all_asset_keys() if ALONE.connection(key) == name],
        archived=sorted((settings.archive_path / name).glob("*/*")) if settings.archive_path else (),
    )
    if not (removal.rows or removal.in_port or removal.elsewhere or removal.assets or removal.archived):
        raise SettingsError(f"connection {name!r} is unknown: nothing is stored of it (usage-assets connection list)")
    return removal
