"""What the tests are told about an account with a provider."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Protocol

Totals = Mapping[str, Mapping[date, Decimal]]
"""Column or total of a table -> day -> what it adds up to. Days of nothing may be left out."""


def last_days(count: int) -> list[date]:
    """Return the last closed UTC days, ascending."""
    today = datetime.now(UTC).date()
    return [today - timedelta(days=n) for n in range(count, 0, -1)]


class Account(Protocol):
    """An account whose numbers are known. ``Emulator`` is one."""

    @property
    def base_url(self) -> str:
        """Where the provider is asked."""

    @property
    def key(self) -> str:
        """The key that it takes."""

    @property
    def ids(self) -> Mapping[str, str]:
        """The settings of a connection that say whose usage is fetched (``workspace_id``)."""

    @property
    def days(self) -> Sequence[date]:
        """At least three contiguous closed days. Endpoints have rows on the second last one."""

    @property
    def without_rows(self) -> Collection[str]:
        """The endpoints that have no rows on these days, such as a report that another one has replaced."""

    def small_pages(self, endpoint: str) -> Mapping[str, str]:
        """Return parameters with which an endpoint's answer has several pages; nothing if it has no pages."""

    @property
    def connections(self) -> str:
        """What the connections file states besides the connection, such as a ``[[credit_rate]]``."""

    def truth(self, endpoint: str) -> Totals:
        """Return the totals of an endpoint's rows, from the account's own books."""

    def reset(self) -> None:
        """Let everything be as it was at the beginning."""

    def clear(self, day: date) -> None:
        """Let a day have no usage."""

    def restate(self, day: date) -> None:
        """Let the provider correct its numbers of a day."""
