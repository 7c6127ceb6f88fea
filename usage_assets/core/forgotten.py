"""Forgotten people: which stand-in replaces which id, address or name.

``Forgotten`` is stored, as a file next to the database. It holds no id, address or name, only their salted hashes.
``Person`` holds the texts themselves. It exists only while the forgetting command runs, and is never stored.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from pathlib import Path
from typing import Self
from urllib.parse import quote

import msgspec

_ADDRESS = re.compile(r"person-[0-9a-f]{24}|[\w.+%'-]+(@[\w-]+(?:\.[\w-]+)+)*")
"""A hashed address, an address, or a word, which is skipped (see core/people.py)."""
_TEXTS = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"')
"""A JSON string, with its escapes."""
_REFUSED_BY_PORT = re.compile(r"[^\w@.+:\\/=-]")
"""What models/sql/macros/port_entity.sql replaces in an identifier."""
_MADE_VALID = re.compile(r"-[0-9a-f]{8}$")
"""What it appends to an identifier that it had to change: the start of a hash of the original, so a trace of it."""
_ESCAPE = r"(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2})"
"""The end of an escape of JSON or of a URL, before a match. Its last character is no part of the word."""
_ALONE = rf"(?:(?<![\w.+%-])(?<!\w')|{_ESCAPE})", r"(?![\w-]|\.\w|@)"
_AS_PART = rf"(?:(?<![^\W_])|{_ESCAPE})", r"(?![^\W_])"
"""What must stand before and after a match: ``_ALONE`` for a text that is no part of a longer one, ``_AS_PART`` for a
part of a composed identifier."""


class ForgottenError(Exception):
    """The file of forgotten people cannot be read. The message, one line, says why and what to do."""


@dataclass(frozen=True)
class Forgotten:
    """The stand-ins of forgotten people. By default, nobody is forgotten."""

    salt: bytes = b""
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    """Salted hash of an id, an address or a name -> its stand-in."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file; without one, nobody is forgotten. Raises ForgottenError if it cannot be read."""
        try:
            stored = msgspec.json.decode(path.read_bytes(), type=_File)
            return cls(bytes.fromhex(stored.salt), stored.stand_ins)
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError) as error:
            raise ForgottenError(
                f"{path}: cannot be read: {error}: without it forgotten people come back; restore it from a backup"
            ) from None

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        stored = msgspec.json.encode(_File(self.salt.hex(), self.stand_ins), order="deterministic")
        with unfinished.open("wb") as file:
            file.write(msgspec.json.format(stored) + b"\n")
            file.flush()
            os.fsync(file.fileno())  # before anything else is changed: without this file, they would come back
        unfinished.replace(path)

    def stand_in(self, value: str) -> str | None:
        """Return the stand-in of an id, a name or an address (in any case); None if it is not forgotten."""
        found = self.stand_ins.get(self._hash(value))
        return found or (self.stand_ins.get(self._hash(value.casefold())) if "@" in value else None)

    def of(self, value: str) -> str:
        """Return the stand-in of a text that has one."""
        return self.stand_ins[self._hash(value)]

    def with_stand_ins(self, values: Iterable[tuple[str, Callable[[], str]]]) -> "Forgotten":
        """Return a copy that also has these texts. A text that already has a stand-in keeps it."""
        salt = self.salt or secrets.token_bytes(16)
        known = Forgotten(salt, self.stand_ins)
        added = {known._hash(value): make() for value, make in values}
        return Forgotten(salt, {**added, **known.stand_ins})

    def in_json(self, content: bytes) -> bytes:
        """Return a provider's answer with stand-ins. If it names nobody who is forgotten, these are the same bytes.

        Whole strings are replaced, and addresses within strings. All other bytes stay.
        """
        if not self.stand_ins:
            return content
        kept_content = content
        for text in {found[1] for found in _TEXTS.finditer(content)}:
            try:
                plain = json.loads(b'"' + text + b'"') if b"\\" in text else text.decode()
            except ValueError:  # a broken answer, which is refused when it is read
                continue
            if (kept := self._in_text(plain)) != plain:
                kept_content = kept_content.replace(b'"' + text + b'"', msgspec.json.encode(kept))
        return kept_content

    def _in_text(self, text: str) -> str:
        if whole := self.stand_in(text):
            return whole
        if "@" not in text and "person-" not in text:
            return text
        return _ADDRESS.sub(self._instead, text)

    def _instead(self, found: re.Match[str]) -> str:
        address = found[0].lstrip("'.+%-")  # these may be part of the address, or stand before it
        stand_in = self.stand_in(address)
        return found[0].removesuffix(address) + stand_in if stand_in else found[0]

    def _hash(self, value: str) -> str:
        return hmac.digest(self.salt, value.encode(errors="surrogatepass"), hashlib.sha256).hex()


class _File(msgspec.Struct, forbid_unknown_fields=True):
    salt: str
    stand_ins: Mapping[str, str]


def new_address() -> str:
    """Return a stand-in for an address. It is an address, so every policy for people treats it like one."""
    return f"{new_id()}@forgotten.invalid"


def new_id() -> str:
    """Return a stand-in for an id or a name. It is random, so nothing leads from it to the person."""
    return f"forgotten-{secrets.token_hex(12)}"


@dataclass(frozen=True)
class Person:
    """Every text that names one person, with its stand-in."""

    stand_ins: Mapping[str, str]
    """Ids, and every spelling of the addresses -> stand-in."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names of the person and of their keys -> stand-in."""

    def in_value(self, value: str) -> str:
        """Replace them in a value of a table: ids and addresses anywhere, a name only if it is the whole value.

        Any word can be a name: a key that is called "max" is no reason to rename a model.
        """
        return self.names.get(value) or self._addresses.alone(self._ids.as_part(value))

    def in_text(self, text: str) -> str:
        """Replace them in a text for people, such as a log: names in the middle of it, too.

        The text may quote composed identifiers, so an address is replaced even if it is the end of a longer one.
        """
        return self._names.alone(self._addresses.as_part(self._ids.as_part(text)))

    def in_identifier(self, text: str) -> str:
        """Replace them in an identifier or title that is composed of parts."""
        spelled = (self._ids, self._addresses, self._names)
        kept = reduce(lambda so_far, each: each.as_part(so_far), spelled, text)
        return _MADE_VALID.sub("", kept) if any(part in text for each in spelled for part in each.made_valid) else kept

    @cached_property
    def needles(self) -> list[str]:
        """Lower-case texts to search for. Whatever names the person contains one of them."""
        return sorted({*self._ids.lowered, *self._addresses.lowered, *self._names.lowered})

    @cached_property
    def _ids(self) -> "_Spelled":
        return _Spelled({value: stand_in for value, stand_in in self.stand_ins.items() if "@" not in value})

    @cached_property
    def _addresses(self) -> "_Spelled":
        return _Spelled({value: stand_in for value, stand_in in self.stand_ins.items() if "@" in value})

    @cached_property
    def _names(self) -> "_Spelled":
        return _Spelled(self.names)


class _Spelled:
    """Texts in all of their spellings: as they are, in JSON, in a URL and in an identifier."""

    def __init__(self, stand_ins: Mapping[str, str]) -> None:
        self.forms: dict[str, str] = {}
        self.made_valid: set[str] = set()
        for value, stand_in in stand_ins.items():
            valid = _REFUSED_BY_PORT.sub("_", value)
            in_part = value.replace("%", "%25").replace("/", "%2F")
            ways = (value, valid, in_part, quote(value), quote(value, safe=""), json.dumps(value)[1:-1])
            self.forms |= dict.fromkeys(ways, stand_in)
            self.made_valid |= {valid} - {value}
        self.lowered = {form.lower(): self.forms[form] for form in sorted(self.forms)}  # lower case wins: it sorts last
        anyone = "|".join(map(re.escape, sorted(self.forms, key=len, reverse=True))) or "(?!)"
        self._alone, self._as_part = (
            re.compile(f"{before}(?:{anyone}){after}", re.I) for before, after in (_ALONE, _AS_PART)
        )

    def alone(self, text: str) -> str:
        return self._alone.sub(self._stand_in, text)

    def as_part(self, text: str) -> str:
        return self._as_part.sub(self._stand_in, text)

    def _stand_in(self, found: re.Match[str]) -> str:
        return self.forms.get(found[0]) or self.lowered.get(found[0].lower(), found[0])
