"""The blueprints that Port must have: for what pushes, and for what shows what is missing."""

from collections.abc import Sequence

from usage_assets.config.settings import Connection, Settings, SettingsError
from usage_assets.core.blueprints import CONNECTION
from usage_assets.features.port.account import ATTEMPTS, port_client
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.provision import provision
from usage_assets.features.port.mapped import Mapped
from usage_assets.fetching.connected import endpoints_of
from usage_assets.models.entities import OF_INSIGHTS, all_entities, entities_of, foreign_relations
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.opened import warehouse_at

NOT_MADE = "Port has none, and a mapping creates none: create it there"
"""What is said of a blueprint that a mapping writes and Port lacks."""
TAKEN = "select distinct blueprint from ledger.port_entities where account = $account"
"""Blueprints that Port has entities of ours in: they need no look before a push that may have nothing to send."""


def blueprints_of(settings: Settings, connections: Sequence[Connection] | None = None) -> list[str]:
    """Return the blueprints that the connections' entities need, and the one that these relate to.

    Without ``connections``, those of everything that this code location pushes.
    """
    known = all_entities(settings)
    needed = {
        name
        for each in (settings.own_connections() if connections is None else connections)
        for entity in entities_of(
            [one.row.table for one in endpoints_of(PROVIDERS[each.provider], each)], known, each.name
        )
        for name in entity.blueprints
    }
    if connections is None and settings.usage_shard is None:
        needed |= {each.name for each in OF_INSIGHTS}
    return sorted({*needed, CONNECTION}) if needed else []


def missing_of_mappings(port: PortClient, settings: Settings) -> list[str]:
    """Return the blueprints that mappings write and that Port lacks: people make them."""
    sent = [each.pushed_as for each in all_entities(settings)]
    stated = sorted({name for each in sent if isinstance(each, Mapped) for name in each.writes})
    return [name for name in stated if port.get_blueprint(name) is None]


def prepare(settings: Settings, connections: Sequence[Connection]) -> None:
    """Create the blueprints that a push of these connections needs and that Port was never sent an entity of.

    Raises SettingsError where Port is not configured or an extension that one of them needs is missing, and PortError.
    """
    if kept := settings.kept_connections & {each.name for each in connections}:
        raise SettingsError(f"{settings.unread_sections[0]}: {', '.join(sorted(kept))} cannot be pushed")
    with port_client(settings, "--push: ", attempts=ATTEMPTS) as port:
        taken = warehouse_at(settings.warehouse).read(TAKEN, {"account": port.account}).column("blueprint").to_pylist()
        if missing := [name for name in blueprints_of(settings, connections) if name not in taken]:
            provision(port, missing, foreign_relations(settings))
