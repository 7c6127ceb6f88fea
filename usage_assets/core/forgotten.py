"""People who were forgotten: which ids and addresses are replaced by which stand-ins, wherever they come up again.

What is stored of them (``Forgotten``, a file next to the database) holds no id and no address, only salted hashes.
Who they are (``Person``) is known only while they are being forgotten. Opens no database and asks nobody.
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
"""A hashed address, an address, or a word that is none (see core/people.py)."""
_TEXTS = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"')
"""The texts in JSON, with their escapes."""
_REFUSED_BY_PORT = re.compile(r"[^\w@.+:\\/=-]")
"""What models/sql/macros/port_entity.sql replaces in an identifier."""
_MADE_VALID = re.compile(r"-[0-9a-f]{8}$")
"""What it appends to one that it had to change: the start of a hash, which an address would lead to."""
_ESCAPE = r"(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2})"
"""What looks like a letter of a word and is none: the end of an escape of JSON or of a URL."""
_ALONE = rf"(?:(?<![\w.+%-])(?<!\w')|{_ESCAPE})", r"(?![\w-]|\.\w|@)"
_AS_PART = rf"(?:(?<![^\W_])|{_ESCAPE})", r"(?![^\W_])"
"""What stands before and after an address that is no part of a longer one, and a part of a composed identifier."""


class ForgottenError(Exception):
    """The file of forgotten people cannot be read: which, why and what to do, in one line."""


@dataclass(frozen=True)
class Forgotten:
    """What stands for the ids and addresses of forgotten people. Of nobody, by default."""

    salt: bytes = b""
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    """Salted hash of an id, an address or a name -> what stands for it."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file; nobody is forgotten where there is none. Raises ForgottenError: else they would come back."""
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
            os.fsync(file.fileno())  # all else may be on the disk before this, and then they would come back
        unfinished.replace(path)

    def stand_in(self, value: str) -> str | None:
        """What stands for an id, a name or an address, in whatever case this is written. None: whose it is is known."""
        found = self.stand_ins.get(self._hash(value))
        return found or (self.stand_ins.get(self._hash(value.casefold())) if "@" in value else None)

    def of(self, value: str) -> str:
        """What stands for something that was given a stand-in."""
        return self.stand_ins[self._hash(value)]

    def with_stand_ins(self, values: Iterable[tuple[str, Callable[[], str]]]) -> "Forgotten":
        """Also these, each with a new stand-in where it has none yet."""
        salt = self.salt or secrets.token_bytes(16)
        known = Forgotten(salt, self.stand_ins)
        added = {known._hash(value): make() for value, make in values}
        return Forgotten(salt, {**added, **known.stand_ins})

    def in_json(self, content: bytes) -> bytes:
        """A provider's answer without them: the very bytes where it does not name them.

        Whole texts, and addresses within texts. Every other text keeps its bytes.
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
        address = found[0].lstrip("'.+%-")  # what may begin an address, and may stand before one
        stand_in = self.stand_in(address)
        return found[0].removesuffix(address) + stand_in if stand_in else found[0]

    def _hash(self, value: str) -> str:
        return hmac.digest(self.salt, value.encode(errors="surrogatepass"), hashlib.sha256).hex()


class _File(msgspec.Struct, forbid_unknown_fields=True):
    salt: str
    stand_ins: Mapping[str, str]


def new_address() -> str:
    """A stand-in for an address. It is one itself, so that every policy does with it what it does with addresses."""
    return f"{new_id()}@forgotten.invalid"


def new_id() -> str:
    """A stand-in for anything else: random, so that nothing leads from it to whom it stands for."""
    return f"forgotten-{secrets.token_hex(12)}"


@dataclass(frozen=True)
class Person:
    """Everything that names one person, and what stands for it."""

    stand_ins: Mapping[str, str]
    """Ids, and every way in which the address is written -> what stands for it."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names of the person and of their keys -> what stands for them."""

    def in_value(self, value: str) -> str:
        """A value of a table without them: ids and addresses anywhere in it, a name only where it is all of it.

        A name is anything: a key that is called "max" is no reason to rename a model.
        """
        return self.names.get(value) or self._addresses.alone(self._ids.as_part(value))

    def in_text(self, text: str) -> str:
        """A text for people, such as a log, without them: with names in the middle of it, too.

        It may quote composed identifiers, so the end of a longer address is taken for theirs.
        """
        return self._names.alone(self._addresses.as_part(self._ids.as_part(text)))

    def in_identifier(self, text: str) -> str:
        """An identifier or title that was composed of parts, one of which is theirs."""
        spelled = (self._ids, self._addresses, self._names)
        kept = reduce(lambda so_far, each: each.as_part(so_far), spelled, text)
        return _MADE_VALID.sub("", kept) if any(part in text for each in spelled for part in each.made_valid) else kept

    @cached_property
    def needles(self) -> list[str]:
        """Texts in lower case: one of them is in whatever names the person."""
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
    """Every way in which something is written: in JSON, in a URL and in an identifier, too."""

    def __init__(self, stand_ins: Mapping[str, str]) -> None:
        self.forms: dict[str, str] = {}
        self.made_valid: set[str] = set()
        for value, stand_in in stand_ins.items():
            valid = _REFUSED_BY_PORT.sub("_", value)
            in_part = value.replace("%", "%25").replace("/", "%2F")
            ways = (value, valid, in_part, quote(value), quote(value, safe=""), json.dumps(value)[1:-1])
            self.forms |= dict.fromkeys(ways, stand_in)
            self.made_valid |= {valid} - {value}
        self.lowered = {form.lower(): self.forms[form] for form in sorted(self.forms)}  # lower case itself comes last
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
