"""Secrets in text from outside: one redactor for every place where such text is shown, logged, stored or sent.

A server may repeat a key in any form: in an address, in JSON or HTML, in Base64, cut short. So the text is read as it
is and with its escapes decoded, layer by layer. Eight characters in a row that a secret also has are replaced.
"""

import base64
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from html import unescape
from itertools import chain
from urllib.parse import urlsplit

HIDDEN = "***"
WINDOW = 8
"""Characters of a secret, in any spelling, that are never shown. Fewer are parts of ordinary words."""
SHORTEST = 6
"""Characters of the shortest text that is taken for a secret, and replaced where it is whole."""
LAYERS = 5
"""How often escapes may be escaped."""
PASSWORD = re.compile(r"(password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)|(://[^:/@\s]*:)[^@\s]{1,2000}(?=@)", re.IGNORECASE)
"""In connection strings, and in addresses."""

_SECRET_VARIABLE = re.compile(r"(KEY|SECRET|TOKEN|PASSWORD)$")
_ESCAPE = re.compile(
    r"(?P<utf8>(?:(?:%|\\+x|=)[89a-f][0-9a-f]){2,})|(?:%|\\+x|=)(?P<byte>[0-9a-f]{2})"
    r"|%u(?P<wide>[0-9a-f]{4})|\\+u\{?(?P<unit>[0-9a-f]{4})\}?"
    r"|(?-i:\\+U)(?P<point>[0-9a-f]{8})|\\+(?P<octal>[0-7]{3})|\\+(?P<plain>.)"
    r"|(?P<entity>&(?:#x[0-9a-f]{1,8}|#[0-9]{1,8}|[a-z][a-z0-9]{1,31});?)",
    re.IGNORECASE,
)
"""Of addresses, JSON, Python, HTML and mail."""
_SOFT_BREAK = re.compile(r"=[ \t]*\r?\n")
_BYTE = re.compile(r"[0-9a-f]{2}", re.IGNORECASE)
_BREAKS = "nrtabfv"
"""What a backslash before them means: no character that people see."""
_FOLDED = {**{ord(c): c.lower() for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}, ord("-"): "+", ord("_"): "/"}
"""Base64 has two alphabets. Hosts and hexadecimal digits are written in both cases."""
_Letter = tuple[str, int, int]
"""A character, and the part of the text that it is read from."""


class Redactor:
    """Replaces secrets in text, however they are spelled. Thread-safe, and pure.

    ``said``: our own words. A part of a secret that they have, too, such as how all keys of a provider begin, is shown
    where it stands alone.
    """

    def __init__(self, secrets: Iterable[str], said: Iterable[str] = ()) -> None:
        self._parts: dict[int, set[str]] = {}
        for secret in dict.fromkeys(secrets):
            for spelled in _spellings(secret):
                size = min(len(spelled), WINDOW)
                self._parts.setdefault(size, set()).update(_windows(spelled, size))
        self._said = {window for words in said for window in _windows(_folded(words), WINDOW)}

    def redacted(self, text: str) -> str:
        """Return the text without secrets, and without the passwords of connection strings and addresses."""
        text = PASSWORD.sub(lambda found: f"{found[1] or found[3]}{HIDDEN}", text)
        if not self._parts:
            return text
        shown, position = [], 0
        for start, end in self._secret_parts(text):
            shown += [text[position:start], HIDDEN]
            position = end
        return "".join([*shown, text[position:]])

    def _secret_parts(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where secrets begin and end, in order."""
        found = sorted(part for letters in _readings(text) for part in self._found(letters))
        position = 0
        for start, end, is_secret in _joined(found):
            if is_secret and end > position:
                yield max(start, position), end
                position = end

    def _found(self, letters: Sequence[_Letter]) -> Iterator[tuple[int, int, bool]]:
        """Yield the parts that secrets have, too, and whether our words have them not."""
        folded = _text(letters).translate(_FOLDED)
        for size, parts in self._parts.items():
            for at in range(len(folded) - size + 1):
                if (window := folded[at : at + size]) in parts:
                    yield letters[at][1], letters[at + size - 1][2], window not in self._said


def redacted(text: str) -> str:
    """Return the text of a library without the secrets that it may have from the environment."""
    return _of(secrets_of_environment()).redacted(text)


def parts_of_address(url: str) -> tuple[str, list[str]]:
    """Return what is secret of an address that is one: all after its host; and the words of it, such as ``/services/``,
    that are none."""
    path = urlsplit(url)._replace(scheme="", netloc="").geturl()
    return path, re.findall(r"[a-z/]+", path)


def secrets_of_environment() -> tuple[str, ...]:
    """Return what the variables of this process that are called like secrets have."""
    return tuple(value for name, value in os.environ.items() if _SECRET_VARIABLE.search(name))


@lru_cache(maxsize=4)
def _of(secrets: tuple[str, ...]) -> Redactor:
    return Redactor(secrets)


def _joined(found: Iterable[tuple[int, int, bool]]) -> Iterator[tuple[int, int, bool]]:
    """Join parts that overlap or touch; they are secret if one of them is."""
    joined: tuple[int, int, bool] | None = None
    for start, end, is_secret in found:
        if joined and start <= joined[1]:
            joined = (joined[0], max(joined[1], end), joined[2] or is_secret)
        else:
            if joined:
                yield joined
            joined = (start, end, is_secret)
    if joined:
        yield joined


def _readings(text: str) -> Iterator[list[_Letter]]:
    """Yield the text as it is, and then with one layer of escapes less each time; without what breaks it into lines,
    and what nobody sees."""
    broken = {at for found in _SOFT_BREAK.finditer(text) for at in range(*found.span())}
    letters = [(each, at, at + 1) for at, each in enumerate(text) if at not in broken and _is_seen(each)]
    yield letters
    for _ in range(LAYERS):
        written = _text(letters)
        decoded, position = [], 0
        for escape in _ESCAPE.finditer(written):
            meant = _meaning(escape)
            if meant != escape[0]:
                start, end = letters[escape.start()][1], letters[escape.end() - 1][2]
                decoded += letters[position : escape.start()]
                decoded += [(each, start, end) for each in meant if _is_seen(each)]
                position = escape.end()
        if not position:
            return
        letters = decoded + letters[position:]
        yield letters


def _meaning(escape: re.Match[str]) -> str:
    """Return what an escape stands for; itself, if it is none."""
    if escape["entity"]:
        return unescape(escape[0])
    if escape["utf8"]:
        return bytes.fromhex("".join(_BYTE.findall(escape[0]))).decode(errors="replace")
    if escape["plain"]:
        return "" if escape["plain"] in _BREAKS else escape["plain"]
    digits = escape["wide"] or escape["byte"] or escape["unit"] or escape["point"]
    code = int(digits, 16) if digits else int(escape["octal"] or "0", 8)
    return chr(code) if code <= 0x10FFFF else escape[0]


def _text(letters: Sequence[_Letter]) -> str:
    return "".join(character for character, _, _ in letters)


def _is_seen(character: str) -> bool:
    return character.isprintable() and not character.isspace()


def _folded(text: str) -> str:
    return "".join(filter(_is_seen, text)).translate(_FOLDED)


def _windows(text: str, size: int) -> Iterator[str]:
    return (text[at : at + size] for at in range(len(text) - size + 1))


def _spellings(secret: str) -> Iterator[str]:
    """Yield what a reading of a text has that has the secret: itself, in Base64 and in hexadecimal digits."""
    if len(secret) < SHORTEST or (len(secret) < WINDOW and (secret.isalpha() or secret.isdecimal())):
        return
    content = secret.encode()
    readings = map(_text, _readings(secret))
    plain = (secret, content.decode("latin-1"), secret.replace(" ", "+"), content.hex())
    spellings = chain(readings, plain, (_base64_at(content, offset) for offset in range(3)))
    yield from (folded for spelled in spellings if len(folded := _folded(spelled)) >= SHORTEST)


def _base64_at(content: bytes, offset: int) -> str:
    """Return the Base64 of bytes that follow others: the characters that do not depend on what is around them."""
    encoded = base64.b64encode(bytes(offset) + content + bytes(2)).decode()
    return encoded[-(-8 * offset // 6) : 8 * (offset + len(content)) // 6]
