"""The error of a warehouse. What only reads loads this module without PyArrow and the tables."""

from collections.abc import Iterable
from datetime import date

from usage_assets.core.errors import UserError


class WarehouseError(UserError):
    """The file or a write was refused: what, where and what to do, in one line. Nothing was changed."""

    cause = ""
    """As of a ProviderError: nothing beside the message."""

    def __init__(self, message: str, *, days: Iterable[date] = (), waits: bool = False) -> None:
        super().__init__(message)
        self.days = tuple(days)
        """The days that it is about, where others may well be accepted."""
        self.waits = waits
        """Whether these days can only be waited for, because a provider does not serve them yet."""
