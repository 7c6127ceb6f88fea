"""Where the warehouse is, for a command that needs no other setting: ``Settings`` takes 0.3 s to import and to read."""

import os
from collections.abc import Mapping

from dotenv import dotenv_values

from usage_assets.core.errors import UserError
from usage_assets.core.warehouse_address import AddressError, WarehouseAddress

ENV_FILE = ".env"
ENCODING = "utf-8-sig"
"""Of files that people edit: editors of Windows begin them with a mark, which would be part of the first name."""
WAREHOUSE = "data/usage.duckdb"
"""Where USAGE_WAREHOUSE is not set."""
DEMO = ".demo/usage.duckdb"
"""The warehouse of `make demo`."""


class SettingsError(UserError):
    """A setting that cannot be used: what is wrong, where, and what to do, in one line."""


def address_of(url: str, data: str | None) -> WarehouseAddress:
    """Return the address. Raises SettingsError for a lake whose files are nowhere, or that names a password."""
    try:
        return WarehouseAddress(url, data)
    except AddressError as error:
        raise SettingsError(f"USAGE_WAREHOUSE: {error}") from None


def warehouse_address() -> WarehouseAddress:
    """Read the two variables from the environment and ``.env`` as ``Settings`` does, and no others: the environment
    wins, names may be in any case, and what is empty is not set. Raises SettingsError."""
    stated = {name.lower(): value for source in (env_file(), os.environ) for name, value in source.items() if value}
    data = stated.get("usage_warehouse_data")
    return address_of(stated.get("usage_warehouse", WAREHOUSE).strip(), data.strip() if data else None)


def env_file() -> Mapping[str, str | None]:
    """Read what ``.env`` states. Raises SettingsError."""
    try:
        return dotenv_values(ENV_FILE, encoding=ENCODING)
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(error) from None


def unreadable(error: Exception) -> SettingsError:
    """Return what to say of an ``.env`` that is no text, or that may not be read."""
    return SettingsError(f"{ENV_FILE}: cannot be read: {getattr(error, 'strerror', None) or error}")
