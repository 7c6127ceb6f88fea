"""The blueprints that Port must have, for the commands that push or plan."""

from collections.abc import Sequence

import dagster as dg

from usage_assets.assets.port_insights import PORT_INSIGHTS
from usage_assets.config.settings import Connection
from usage_assets.models.entities import OF_INSIGHTS
from usage_assets.port.provision import CONNECTION


def blueprints_of(definitions: dg.Definitions, connections: Sequence[Connection]) -> list[str]:
    """The blueprints that the connections' entities need, and the one that these relate to."""
    names = {connection.name for connection in connections}
    keys = [key.path for key in definitions.resolve_all_asset_keys()]
    needed = {path[-1] for path in keys if path[0] in names and path[1:-1] == ["entities"]}
    needed |= {each.name for each in OF_INSIGHTS if list(PORT_INSIGHTS.path) in keys}
    return sorted({*needed, CONNECTION}) if needed else []
