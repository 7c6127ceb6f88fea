"""What a provider's declarations are made of: items, records and the columns that every endpoint has. Pure: no HTTP.

How a body becomes rows is in fetching/page_parser.py.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Protocol, TypeVar

import msgspec

from usage_assets.core.days import Window
from usage_assets.core.people import People
from usage_assets.core.schema import column

Json = dict[str, Any]
"""A JSON object, decoded."""
JsonBody = Callable[[Sequence[tuple[str, str]]], Json]
"""Makes of the parameters of a request its JSON body."""
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with a time zone, as RFC 3339 or unix seconds."""
S = TypeVar("S", bound=msgspec.Struct)

GroupedBy = Annotated[
    str,
    column(
        "Dimensions that the provider granted, sorted, comma-separated. A dimension that is not listed is null "
        "because it was not requested; one that is listed is null because the usage has none"
    ),
]
Occurrence = Annotated[
    int, column("Number of the row among rows that are equal in every other column of the grain, from 1")
]
PageOccurrence = Annotated[
    int | None,
    column(
        "Number of the row among rows of one page that are equal in every other column of the grain, from 2; "
        "null: the first one, nearly always the only one",
        is_added=True,
    ),
]
"""``Occurrence`` of rows that are told apart on one page only. Two pages more likely have one that has changed."""
OtherFields = Annotated[
    str | None, column("Fields of the result that this version does not know, as JSON", personal=True)
]
CountedFields = Annotated[
    str | None, column("Fields that this version does not know, as JSON: how many records have each", personal=True)
]
"""``OtherFields`` of a row that is a sum."""

OURS = frozenset(("connection", "usage_date", "grouped_by", "occurrence", "other_fields"))
"""Columns that no provider sends."""
FRAME = frozenset(
    (
        "object",
        "date",
        "results",
        "start_time",
        "end_time",
        "start_time_iso",
        "end_time_iso",
        "starting_at",
        "ending_at",
    )
)
"""What stands around a result and is in ``usage_date`` already (the ``_iso`` ones are undocumented, seen at OpenAI)."""


def as_json(value: object) -> str:
    """JSON as it is stored: keys sorted, so that their order is no change; decimals as text, so that digits survive."""
    return msgspec.json.encode(value, order="sorted").decode()


LATER = "It was not stored: run the same days again later"
"""Advice of a ``ShapeError`` for an answer that is only incomplete."""
UNKNOWN_SHAPE = "It was not stored: this version does not know an answer of this shape"


class ShapeError(Exception):
    """An answer that cannot be stored: field path, day and what is wrong, in one line.

    It does not have the shape we know, unless ``advice`` says otherwise.
    """

    def __init__(self, path: str, day: date | None, reason: str, advice: str = UNKNOWN_SHAPE) -> None:
        super().__init__(f"{path} ({day}): {reason}" if day else f"{path}: {reason}")
        self.path = path
        self.day = day
        self.reason = reason
        self.advice = advice


class DayToComeError(ShapeError):
    """An answer that does not cover the day yet: it would be stored as one without use."""


class Item(msgspec.Struct, kw_only=True):
    """An item of a page's ``data``: something of one UTC day. Subclasses declare the times as their API does."""

    start: Moment
    """When it begins: its UTC day is the day of the rows. Where it is not sent, ``Pages.start`` makes it."""
    end: Moment | None = None
    """When it ends, if the answer says so."""


class Parser(Protocol):
    """What splits an item into records may ask of the page parser."""

    day: date | None
    """The UTC day of the item."""
    shapes: dict[date | None, str]
    """The shape of each day's rows, where more than one is known of an answer."""

    @property
    def ids(self) -> Mapping[str, str]:
        """The connection's ids, by name: its workspace, for example."""

    @property
    def window(self) -> Window:
        """The days that were requested."""

    @property
    def query(self) -> Mapping[str, str]:
        """The variant of the endpoint that was requested."""

    @property
    def people(self) -> People:
        """The policy for people."""

    def build(self, model: type[S], path: str, fields: Json) -> S:
        """Return a typed record. Raises ShapeError."""

    def take_unknown(self, model: type[msgspec.Struct], path: str, fields: Json) -> Json:
        """Move the fields out that the model does not know, and return them. Raises ShapeError."""


Records = Callable[[Json, str, Parser], Iterator[tuple[str, Json]]]
"""Splits an item of a page into records: (path, fields) each. The item's own model has checked what it relies on."""


def results(bucket: Json, path: str, _reading: Parser) -> Iterator[tuple[str, Json]]:
    """The results of a bucket. Unknown fields of the bucket itself are kept with each of them."""
    others = {f"bucket.{name}": bucket[name] for name in bucket.keys() - FRAME}
    for n, result in enumerate(bucket["results"]):
        yield f"{path}.results[{n}]", {**result, **others} if others and isinstance(result, dict) else result


_TEXT = msgspec.json.Decoder(msgspec.Raw)
_TEXTS = msgspec.json.Decoder(list[msgspec.Raw])


def page_of_lines(content: bytes, window: Window) -> bytes:
    """A file of JSON as a page, each text as it was written in an item as ``OneDay`` makes it.

    The file is one array, one text, or a text per line (NDJSON). Raises msgspec.DecodeError, also for an empty file:
    a report without rows is ``[]``.
    """
    if content.lstrip().startswith(b"["):
        texts = _TEXTS.decode(content)
    else:
        try:
            texts = [_TEXT.decode(content)]
        except msgspec.DecodeError:
            texts = _TEXT.decode_lines(content)
            if not texts:
                raise
    before = b'{"asked_for":' + msgspec.json.encode(window.start) + b',"answer":'
    items = b",\n".join(before + bytes(text) + b"}" for text in texts)
    return b'{"data":[' + items + b'],"has_more":false}'
