"""Errors that a user can fix, how they are shown (in one line, without a traceback), and which have one cause."""

import re
from dataclasses import dataclass

_NUMBERS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+")
"""What differs between two failures of one cause: runs, days and other numbers."""


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


def one_line(text: str) -> str:
    return " ".join(text.split())
