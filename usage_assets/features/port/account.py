"""The client of the configured Port account."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from usage_assets.config.settings import MissingKeyError, Settings
from usage_assets.features.port.catalog.client import PortClient

ATTEMPTS = 2
"""Of a command. A person waits: what Port does not answer now is reported, not waited for."""


def port_client(settings: Settings, who: str = "", **patience: Any) -> PortClient:
    """Return a client; with ``patience`` (attempts, base_delay, ...) instead of its own.

    Raises MissingKeyError, in the name of ``who``, where Port is not configured.
    """
    account = settings.port_account
    if account is None:
        raise MissingKeyError(f"{who}Port is not configured: set PORT_CLIENT_ID and PORT_CLIENT_SECRET")
    return PortClient(account.base_url, account.client_id, account.client_secret.get_secret_value(), **patience)


@contextmanager
def port_if_configured(settings: Settings, **patience: Any) -> Iterator[PortClient | None]:
    """Yield a client; None where Port is not configured."""
    if settings.port_account is None:
        yield None
        return
    with port_client(settings, **patience) as port:
        yield port
