"""A TOML file with line numbers for error messages, which ``tomllib`` drops. settings.py gives it meaning."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from usage_assets.config.address import ENCODING

Key = str | int
"""Name in a table, or position in an array from 0."""


@dataclass(frozen=True)
class TomlFile:
    """A file that was read."""

    path: Path
    text: str = field(repr=False)
    used: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Array of tables -> the positions of those that are used, where some are not."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file. Raises OSError, or UnicodeDecodeError for one that is not text."""
        return cls(path, path.read_text(encoding=ENCODING))

    @cached_property
    def content(self) -> dict[str, Any]:
        """What the file says, numbers with every digit. Raises tomllib.TOMLDecodeError, which names the line."""
        return tomllib.loads(self.text, parse_float=Decimal)

    def using(self, array: str, positions: Sequence[int]) -> Self:
        """Return the file with some tables of an array alone. ``place`` takes their new positions."""
        return replace(self, used={**self.used, array: positions})

    @property
    def used_content(self) -> dict[str, Any]:
        """What is used of the content."""
        return self.content | {name: [self.content[name][n] for n in used] for name, used in self.used.items()}

    def place(self, *keys: Key) -> str:
        """Name a field with file and line, such as ``connections.toml, line 7: connection.2.base_url``.

        A field that is not there is said to be on the line of the table that should hold it.
        """
        match keys:
            case (str(name), int(position), *rest) if name in self.used:
                keys = (name, self.used[name][position], *rest)
        found = next(keys[:depth] for depth in range(len(keys), -1, -1) if _holds(self.content, keys[:depth]))
        name = ".".join(str(key + 1) if isinstance(key, int) else key for key in keys)
        return f"{self.path}, line {self._line(found)}: {name}"

    def _line(self, keys: tuple[Key, ...]) -> int:
        """The first line without which the beginning of the file lacks the field; errors only, so it may be slow."""
        lines = self.text.split("\n")
        statement = 1
        for number in range(1, len(lines) + 1):
            try:
                content = tomllib.loads("\n".join(lines[:number]))
            except tomllib.TOMLDecodeError:  # the end of a value of several lines is still to come
                continue
            if _holds(content, keys):
                return statement
            statement = number + 1
        return statement


@dataclass(frozen=True)
class GivenTables(TomlFile):
    """Tables that somebody states in place of a file: what a TOML file would hold, of another one."""

    given: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def content(self) -> dict[str, Any]:
        return {**self.given}

    def place(self, *keys: Key) -> str:
        """Name a field with the file that states it."""
        return f"{self.path}: {'.'.join(str(key + 1) if isinstance(key, int) else key for key in keys)}"


def _holds(content: Any, keys: tuple[Key, ...]) -> bool:
    for key in keys:
        try:
            content = content[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True
