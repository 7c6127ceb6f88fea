"""A server that repeats secrets, in every spelling and place, and a search that shares nothing with the redactor."""

import base64
import html
import json
import quopri
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from urllib.parse import quote, unquote_plus

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

HARD_KEY = "sk-Qz8/1x+Vb&\"7<Kd0\\fPw2%41=Lm;Yt5'Hc9"
"""A key that every spelling changes."""
Spelled = Callable[[str], str]
SPELLINGS: Mapping[str, Spelled] = {
    "as it is": str,
    "cut at its end": lambda secret: secret[:-3],
    "cut at its beginning": lambda secret: secret[5:],
    "quoted in an address": quote,
    "quoted whole, in small letters": lambda secret: "".join(f"%{byte:02x}" for byte in secret.encode()),
    "quoted twice": lambda secret: quote(quote(secret, safe=""), safe=""),
    "in JSON, escaped": lambda secret: "".join(f"\\u{ord(each):04x}" for each in secret),
    "in JSON, in JSON": lambda secret: json.dumps(json.dumps(secret)),
    "in Python": lambda secret: repr(secret.encode()),
    "in bytes": lambda secret: "".join(f"\\x{byte:02X}" for byte in secret.encode()),
    "in HTML": html.escape,
    "in HTML, decimal": lambda secret: "".join(f"&#{ord(each)};" for each in secret),
    "in HTML, hexadecimal": lambda secret: "".join(f"&#x{ord(each):X};" for each in secret),
    "in Base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "in Base64 after one byte": lambda secret: base64.b64encode(b":" + secret.encode()).decode(),
    "in Base64 after two bytes": lambda secret: base64.urlsafe_b64encode(b"a:" + secret.encode()).decode().rstrip("="),
    "in Base64, quoted": lambda secret: quote(base64.b64encode(secret.encode()), safe=""),
    "in Base64, in lines": lambda secret: "\n".join(re.findall(".{1,7}", base64.b64encode(secret.encode()).decode())),
    "in hexadecimal digits": lambda secret: secret.encode().hex(),
    "in lines": lambda secret: "\r\n ".join(re.findall(".{1,5}", secret)),
    "in mail": lambda secret: quopri.encodestring(secret.encode(), quotetabs=True).decode(),
    "between invisible characters": "\u200b".join,
}
"""How a server may repeat a secret."""
CARRIERS = ("401", "400 in plain text", "500 in HTML", "200 that is broken", "redirect", "header")
"""Where it may do so."""
ORDINARY = ("host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length")
"""Headers that have no secret."""
_WINDOW = 8
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_DIGITS = re.compile(r"[0-9a-fA-F]{16,}")
_BACKSLASH = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))")


def echoing(carrier: str, text: str) -> Response:
    """Return an answer that repeats a text."""
    named = {"error": {"message": text, "code": text}, "message": text, "detail": text}
    line = quote(text, safe="") if "\n" in text or not text.isascii() else text
    return {
        "401": JSONResponse(named, 401),
        "400 in plain text": PlainTextResponse(text, 400),
        "500 in HTML": HTMLResponse(f"<p>{text}</p>", 500),
        "200 that is broken": Response(f'{{"data": "{text}', media_type=line),
        "redirect": Response(text, 302, {"Location": f"http://[{line}"}),
        "header": PlainTextResponse("", 500, {"Retry-After": line, "X-Request-Id": line, "Request-Id": line}),
    }[carrier]


def secret_headers(request: Request) -> list[str]:
    """Return the values of headers that are not ordinary ones."""
    return [value for name, value in request.headers.items() if name not in ORDINARY]


def leaked(text: str, secrets: Iterable[str], *, known: str = "", layers: int = 3) -> set[str]:
    """Return the parts of secrets, of eight characters, that a text has in any spelling.

    ``known``: what may be there, too. ``layers``: how often it is decoded.
    """
    readings = _readings(text, layers)
    parts = {secret[at : at + _WINDOW] for secret in secrets for at in range(len(secret) - _WINDOW + 1)}
    return {part for part in parts if part not in known and any(part in reading for reading in readings)}


def _readings(text: str, layers: int) -> set[str]:
    """Return a text and what it may mean, decoded in every order."""
    readings, newest = {text}, {text}
    for _ in range(layers):
        newest = {decode(each) for each in newest for decode in _DECODERS} - readings
        readings |= newest
    return readings


def _decoded(pattern: re.Pattern[str], decode: Callable[[str], Iterator[str]]) -> Callable[[str], str]:
    return lambda text: "\n".join(each for found in pattern.findall(text) for each in decode(found))


def _from_base64(run: str) -> Iterator[str]:
    for start in range(4):
        characters = run[start:].replace("-", "+").replace("_", "/")
        whole = characters[: len(characters) // 4 * 4]
        with suppress(ValueError):
            yield base64.b64decode(whole).decode("latin-1")
        with suppress(ValueError):
            yield base64.b64decode(characters + "=" * (-len(characters) % 4)).decode("latin-1")


def _from_digits(run: str) -> Iterator[str]:
    for start in range(2):
        yield bytes.fromhex(run[start : start + (len(run) - start) // 2 * 2]).decode("latin-1")


def _from_backslashes(found: re.Match[str]) -> str:
    return chr(int(found[1] or found[2], 16)) if found[1] or found[2] else str(found[3])


_DECODERS: tuple[Callable[[str], str], ...] = (
    unquote_plus,
    html.unescape,
    lambda text: _BACKSLASH.sub(_from_backslashes, text),
    lambda text: "".join(each for each in text if each.isprintable() and each != " "),
    lambda text: quopri.decodestring(text.encode("utf-8", "surrogatepass")).decode("latin-1"),
    _decoded(_BASE64, _from_base64),
    _decoded(_DIGITS, _from_digits),
)
