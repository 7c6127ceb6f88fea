"""Errors that a user can fix, how they are shown (in one line, without a traceback), and which have one cause."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from usage_assets.core.redaction import redacted

_NUMBERS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+")
"""What differs between two failures of one cause: runs, days and other numbers."""

ANOTHER_USER = "run this as the user who owns it, or give this one access"
"""What to do where permission is denied."""


class UserError(Exception):
    """Something that a person can put right: what is wrong, where, and what to do, in one line."""


@dataclass(frozen=True)
class Reason:
    """Why something failed."""

    text: str
    """In the words that a person is shown."""
    cause: str
    """What it says, without the days and ids that differ between requests."""

    @property
    def fault(self) -> str:
        """The cause without numbers: equal for all failures that one fault causes."""
        return _NUMBERS.sub("", self.cause)


def by_cause(reasons: Mapping[str, Reason]) -> Mapping[Reason, Sequence[str]]:
    """Group what failed by its fault: the first reason of each -> names."""
    groups: dict[str, tuple[Reason, list[str]]] = {}
    for name, reason in reasons.items():
        groups.setdefault(reason.fault, (reason, []))[1].append(name)
    return dict(groups.values())


def first(texts: Sequence[str], most: int) -> Sequence[str]:
    """Return the first texts, and how many more there are."""
    return [*texts[:most], *([f"and {len(texts) - most} more"] if len(texts) > most else [])]


def one_line(text: str) -> str:
    """Return a message as one line that shows what it says."""
    return printable(" ".join(text.split()))


def first_line(error: Exception) -> str:
    """Return what an error of a library says first, without passwords: what follows repeats the query, or is of use to
    its authors."""
    return printable(redacted((text_of(error).splitlines() or [type(error).__name__])[0]))


def text_of(error: Exception) -> str:
    """Return what an error says, also where it could not be read: DuckDB's may end within a letter."""
    if isinstance(error, OverflowError):
        return f"a value is too large for Python ({error}): cast it to varchar"
    return error.object.decode(errors="replace") if isinstance(error, UnicodeDecodeError) else str(error)


def printable(text: str) -> str:
    """Return text without characters that control what people see: control and bidirectional ones, for example."""
    if text.isprintable():
        return text
    return "".join(each for each in text if each.isprintable() or unicodedata.category(each) == "Zs")
