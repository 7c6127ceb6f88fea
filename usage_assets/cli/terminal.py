"""Where text meets a terminal: names that others wrote must not control what people see."""

import os
import re
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from usage_assets.core.errors import printable

_ALLOWED = re.compile(r"(\x1b\[[012;]*m|[\n\t])")
"""What our own output has: lines, bold and dim."""


class Terminal:
    """A stream to a terminal. It drops control and bidirectional characters."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be shown of a text."""
        return self._stream.write(shown(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def shown(text: str) -> str:
    """Return a text of our own output, without what names in it must not do."""
    if text.isprintable():
        return text
    return "".join(part if number % 2 else printable(part) for number, part in enumerate(_ALLOWED.split(text)))


def open_closed_streams() -> None:
    """Let what is closed lead nowhere: Python has None for it, and the next file that is opened gets its number.

    What the encoding of stdout lacks is escaped, as Python does on stderr.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - until the end
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def guard_terminals() -> None:
    """Let nothing control the terminals that this process prints to. Files and pipes get each character."""
    for name in ("stdout", "stderr"):
        if (stream := getattr(sys, name)).isatty():
            setattr(sys, name, Terminal(stream))
