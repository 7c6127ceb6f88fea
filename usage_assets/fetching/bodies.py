"""An endpoint's bodies before they are rows: the names that are declared in them, and what is kept of the people.

Derived from the declarations of item and row. How a body becomes rows is in page_parser.py.
"""

import operator
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from usage_assets.core.bounded_http import decoded
from usage_assets.core.people import DROPPED, People
from usage_assets.core.schema import Address, Column, columns, sent_names
from usage_assets.fetching.page_parser import POLICY
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.records import FRAME, OURS, Json, results

_exact = msgspec.json.Decoder(float_hook=msgspec.Raw)
"""Leaves numbers with a fraction as they are written."""
_TIMES = FRAME - {"results"}
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_PIECE = 1_000_000
"""Bytes of a body that are copied at once: a window may have hundreds of megabytes."""


@dataclass(frozen=True)
class Known:
    """The names that are declared in an object of a body. Any other is unknown, with all that is in it."""

    plain: frozenset[str]
    """What is stored as it is sent."""
    addresses: Mapping[str, Callable[[People, str], str | None]]
    """Name of an address -> what the policy makes of it."""
    objects: Mapping[str, "Known"]
    """Name of an object, or of a list of objects -> what is declared in it."""
    named: "Named | None" = None
    """What is declared if its names are values themselves, such as ids of people."""


@dataclass(frozen=True)
class Named:
    """An object whose names are values."""

    keep: Callable[[People, str], str | None]
    """What the policy makes of a name."""
    inner: Known
    """What is declared in each of its objects."""


def known_in(endpoint: Endpoint) -> Known:
    """What is declared in a page of the endpoint."""
    if endpoint.answer:
        return _known_in_answer(endpoint.answer)
    is_record = endpoint.records is not results
    parts = tuple(endpoint.row.parts.items())
    return _known_in_page(endpoint.row, endpoint.item, parts, endpoint.items, is_record=is_record)


@cache
def _known_in_page(
    row: type[msgspec.Struct],
    item: type[msgspec.Struct],
    parts: tuple[tuple[str, type[msgspec.Struct]], ...],
    items: str,
    *,
    is_record: bool,
) -> Known:
    """An item may be a record, or have a row's fields in it; what its own fields hold are records, too."""
    record, models = _known_in_record(row) if is_record else Known(_TIMES, {}, {}), dict(parts)
    held = {name: _known_in_record(models.get(name, row)) for name in item.__struct_encode_fields__}
    in_item = Known(record.plain - held.keys(), record.addresses, held | dict(record.objects))
    return Known(frozenset(("object", "has_more", "next_page", "data_refreshed_at")), {}, {items: in_item})


@cache
def _known_in_answer(model: type[msgspec.Struct]) -> Known:
    """What a model of a whole answer says of addresses and of objects; anything else is as if it was not declared."""
    hints = get_type_hints(model, include_extras=True)
    spelled = sent_names(model)
    objects = {spelled[name]: known for name, hint in hints.items() if (known := _known_in_type(hint))}
    addresses = {spelled[name]: POLICY[address] for name, hint in hints.items() if (address := _address_of(hint))}
    return Known(frozenset(), addresses, objects)


def _known_in_type(hint: Any) -> Known | None:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _known_in_answer(hint)
    if get_origin(hint) is list:
        return _known_in_type(get_args(hint)[0])
    if get_origin(hint) is dict and (inner := _known_in_type(get_args(hint)[1])):
        address = _address_of(get_args(hint)[0])
        return Known(frozenset(), {}, {}, Named(POLICY[address] if address else _as_sent, inner))
    return None


def _address_of(hint: Any) -> Address | None:
    """What kind of address an annotated type is, if any."""
    declared = (meta.extra for meta in getattr(hint, "__metadata__", ()) if meta.extra)
    return next((extra["address"] for extra in declared), None)


def _as_sent(_people: People, name: str) -> str:
    return name


@cache
def _known_in_record(model: type[msgspec.Struct]) -> Known:
    spelled = sent_names(model)
    known = _tree({spelled[column.name]: column for column in columns(model) if column.name not in OURS})
    return Known(known.plain | _TIMES, known.addresses, known.objects)


def _tree(named: Mapping[str, Column]) -> Known:
    inner: defaultdict[str, dict[str, Column]] = defaultdict(dict)
    leaves: dict[str, Column] = {}
    for name, column in named.items():
        first, dot, rest = name.partition(".")
        if dot:
            inner[first][rest] = column
        else:
            leaves[first] = column
    return Known(
        frozenset(name for name, column in leaves.items() if not column.personal),
        {name: POLICY[column.address] for name, column in leaves.items() if column.address},
        {name: _tree(fields) for name, fields in inner.items()},
    )


def kept_of(endpoint: Endpoint, people: People, content: bytes) -> Iterator[bytes]:
    """The body, in pieces, as the policy for people lets it be kept: the very bytes, unless an address or a person's
    name is in them.

    Rows that are read from it equal those that are read from ``content``. Numbers stay as they are written.
    """
    addresses, pattern = content.count(b"@") + content.count(rb"\u0040"), _unasked(endpoint.row)
    has_names = _has_names(frozenset(_persons_names(known_in(endpoint))), content)
    if people.policy == "names" or not (addresses or has_names):
        yield content
    elif pattern and not has_names and sum(1 for _ in pattern.finditer(content)) == addresses:
        yield from _without_unasked(people, content, pattern)
    else:
        yield _without_addresses(endpoint, people, content)


def seen_of(endpoint: Endpoint, people: People, content: bytes) -> bytes:
    """The body as ``kept_of`` has it, but with null for a dropped address wherever one is declared.

    What is kept says ``DROPPED`` there if no other address is on its page: one body must not tell what else was on it.
    """
    kept = b"".join(kept_of(endpoint, people, content))
    return _without_addresses(endpoint, people, kept) if DROPPED.encode() in kept else kept


def _persons_names(known: Known) -> Iterator[str]:
    """Yield the fields in which people's own names are sent."""
    yield from (name for name, keep in known.addresses.items() if keep is People.person_name)
    for inner in (*known.objects.values(), *([known.named.inner] if known.named else [])):
        yield from _persons_names(inner)


def _has_names(fields: frozenset[str], content: bytes) -> bool:
    """Whether one of these fields has a text somewhere in a body."""
    return bool(fields) and _with_text(fields).search(content) is not None


@cache
def _with_text(fields: frozenset[str]) -> re.Pattern[bytes]:
    return re.compile(rb'"(?:%s)"\s*:\s*"[^"]' % b"|".join(re.escape(name).encode() for name in sorted(fields)))


def _without_unasked(people: People, content: bytes, pattern: re.Pattern[bytes]) -> Iterator[bytes]:
    """Return the body without addresses that are sent unasked, without decoding it: OpenAI puts one into each row of
    costs. Each is replaced like any unknown address, so it does not matter where it is."""
    stand_ins: dict[bytes, bytes] = {}

    def stand_in(found: re.Match[bytes]) -> bytes:
        name, address = found.groups()
        if address not in stand_ins:
            stand_ins[address] = people.scrubbed(address.decode()).encode()
        return name + b'"' + stand_ins[address] + b'"'

    start = 0
    while start < len(content):
        end = content.rfind(b"}", start, start + _PIECE) + 1 or len(content)  # no match has a brace in it
        yield pattern.sub(stand_in, content[start:end])
        start = end


@cache
def _unasked(row: type[msgspec.Struct]) -> re.Pattern[bytes] | None:
    """Matches a plainly written address under one of the names that it is sent unasked under."""
    spelled = sent_names(row)
    names = [spelled[column.name] for column in columns(row) if column.address == "sent_unasked"]
    last = b"|".join(re.escape(name.rpartition(".")[2]).encode() for name in names)
    return re.compile(rb'("(?:%s)"\s*:\s*)"([\w.+%%-]+@[\w-]+(?:\.[\w-]+)+)"' % last) if names else None


def _without_addresses(endpoint: Endpoint, people: People, content: bytes) -> bytes:
    known, name = known_in(endpoint), endpoint.items
    page = decoded(content, _FIELDS)
    items = decoded(page[name], _ITEMS) if name in page else []
    # item by item: decoded together they take ten times the memory
    kept = [_kept_text(item, known.objects[name], people) for item in items]
    rest = {field: decoded(text, _exact) for field, text in page.items() if field != name}
    kept_rest = _kept(rest, known, people)
    if kept_rest is rest and not any(map(operator.is_not, kept, items)):
        return content
    return msgspec.json.encode(kept_rest | ({name: kept} if name in page else {}))


def _kept_text(text: msgspec.Raw, known: Known, people: People) -> msgspec.Raw:
    value = decoded(text, _exact)
    kept = _kept(value, known, people)
    return text if kept is value else msgspec.Raw(msgspec.json.encode(kept))


def _kept(value: Any, known: Known, people: People) -> Any:
    """The value as the policy wants it: the same object where that changes nothing."""
    if isinstance(value, list):
        items = [_kept(item, known, people) for item in value]
        return items if any(map(operator.is_not, items, value)) else value
    if not isinstance(value, dict):
        return value
    kept: Json
    if known.named:
        own = known.named
        kept = {str(own.keep(people, name)): _kept(inner, own.inner, people) for name, inner in value.items()}
        return kept if kept != value else value
    as_sent = {name: value[name] for name in value.keys() - known.plain}
    kept = {}
    for name, inner in as_sent.items():
        if name in known.addresses and isinstance(inner, str):
            kept[name] = known.addresses[name](people, inner)
        elif name in known.objects:
            kept[name] = _kept(inner, known.objects[name], people)
        else:
            kept |= people.scrubbed({name: inner})
    if kept == as_sent:
        return value
    return {name: inner for name, inner in value.items() if name not in as_sent or name in kept} | kept
