"""Where the warehouse is: a DuckDB file, or a lake that many processes and hosts share. Opens neither."""

import re
from dataclasses import dataclass
from pathlib import Path

from usage_assets.core.errors import UserError
from usage_assets.core.redaction import PASSWORD

LAKE = "ducklake:postgres:"
SCHEME = re.compile(r"[a-z][a-z0-9+]+:")


class AddressError(UserError, ValueError):
    """The address cannot be one of a warehouse."""


@dataclass(frozen=True)
class WarehouseAddress:
    """``USAGE_WAREHOUSE`` and ``USAGE_WAREHOUSE_DATA``."""

    url: str
    """A path; or LAKE and the connection string of the catalog, without a password."""
    data: str | None = None
    """Of a lake: the folder of its files, or the address of an object store."""

    def __post_init__(self) -> None:
        """Raises AddressError, which repeats no password."""
        if SCHEME.match(self.url) and not self.is_lake:
            raise AddressError(f"must be a path or {LAKE}... with the connection string of a PostgreSQL database")
        if self.is_lake and PASSWORD.search(self.url):
            raise AddressError("has a password, which errors and lists of processes would show: set PGPASSWORD")
        if PASSWORD.search(self.data or ""):
            raise AddressError("USAGE_WAREHOUSE_DATA has a secret, which errors would show: set AWS_SECRET_ACCESS_KEY")
        if self.is_lake and not self.data:
            raise AddressError(
                "is a lake: set USAGE_WAREHOUSE_DATA to the folder of its files, or to s3://bucket/folder"
            )

    @property
    def is_lake(self) -> bool:
        return self.url.startswith(LAKE)

    @property
    def file(self) -> Path:
        """The database file, absolute, so that runs started elsewhere write the same one."""
        return Path(self.url).expanduser().absolute()

    @property
    def folder(self) -> Path:
        """The folder of what is kept next to the warehouse: that of the database file, with a lake ``data`` here."""
        return Path("data").absolute() if self.is_lake else self.file.parent
