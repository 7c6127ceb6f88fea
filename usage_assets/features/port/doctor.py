"""What the doctor finds of Port: whether its credentials are accepted, and which blueprints are ready."""

from collections.abc import Iterator

from usage_assets.cli.findings import Finding, Level
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.features.port.account import ATTEMPTS, port_client
from usage_assets.features.port.catalog.client import PortError
from usage_assets.features.port.catalog.provision import plan
from usage_assets.features.port.needed import NOT_MADE, blueprints_of, missing_of_mappings
from usage_assets.models.entities import foreign_relations


def services(settings: Settings) -> Iterator[Finding]:
    """Ask Port, and change nothing."""
    try:
        account = settings.port_account
        if account is None:
            yield Finding(Level.WARN, "Port", "nothing is pushed: PORT_CLIENT_ID and PORT_CLIENT_SECRET are not set")
            return
        blueprints = blueprints_of(settings)
        with port_client(settings, attempts=ATTEMPTS) as port:
            port.authenticate()
            yield Finding(Level.OK, "Port", f"credentials accepted by {account.base_url}")
            missing = missing_of_mappings(port, settings)
            steps = plan(port, blueprints, foreign_relations(settings))
    except (SettingsError, PortError) as error:
        yield Finding(Level.FAIL, "Port", str(error))
        return
    for name in missing:
        yield Finding(Level.FAIL, f"blueprint {name}", NOT_MADE)
    for step in steps:
        doing = "does not exist yet, the first push creates it" if step.creates else f"gets {', '.join(step.adds)}"
        yield Finding(Level.OK, f"blueprint {step.blueprint}", doing)
    ready = len(blueprints) - len(steps)
    yield Finding(Level.OK, "Port", f"{ready} of {len(blueprints)} blueprints are ready")
