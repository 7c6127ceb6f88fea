"""Sets of files as values: which are there, and what each says about days. Reading them is not here, nor the ledger."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from usage_assets.core.days import Window

KeptRows = Mapping[date, Mapping[str | None, Sequence[Mapping[str, Any]]]]
"""Day -> set that corrects it, or None for the set that covers it -> what is stored of it, where the set does not have
the day any more and its files are kept for a limited time."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a run knows of the stored days of a connection before it reads files."""

    cleared: Collection[date] = ()
    """Days that have no charges where no set covers them: somebody has accepted that their bill was withdrawn."""
    kept: KeptRows = field(default_factory=dict)
    """What days keep of sets that do not have them any more."""
    beside: Mapping[str, Collection[date]] = field(default_factory=dict)
    """Set -> days that are stored with charges of it, and that it does not cover."""
    charged: Mapping[str, Collection[date]] = field(default_factory=dict)
    """Set -> days that no set covers, and on which it had a charge. Without the charge, they are stored again."""


NO_DAYS = Stored()
"""Nothing is known."""


@dataclass(frozen=True, kw_only=True)
class ListedSet:
    """Files that are one answer, as they were listed."""

    name: str
    """Path below the location. It stays the same when the set is delivered again."""
    files: str
    """Digest of its files: path, size and time of each."""
    manifest: str | None
    period: Window | None
    """The days that its path says it is about. None: only its rows tell."""
    missing: str | None
    """Why it is not complete."""


@dataclass(frozen=True, kw_only=True)
class ReadSet:
    """What a set says, after all of it was read."""

    files: str
    covered: Window | None
    says: Mapping[date, str]
    """Day that it covers or has charges of -> digest of what it says about it."""
    amounts: Mapping[tuple[date, str], Decimal]
    """Day and currency -> what all of its charges are billed, each rounded to what is stored."""

    def covers(self, day: date) -> bool:
        return self.covered is not None and day in self.covered


@dataclass(kw_only=True)
class Bills:
    """The sets of a location at one moment."""

    listed: Sequence[ListedSet]
    read: dict[str, ReadSet] = field(default_factory=dict)
    """Name -> what it says. Only sets that may be about the days that were asked for are read."""
    kept: Collection[date] = ()
    """Days with KeptRows, also those that were not asked for."""
