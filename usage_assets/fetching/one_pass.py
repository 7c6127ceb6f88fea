"""Pages to rows in one pass: JSON becomes typed objects, and their fields become columns. Equal to page_parser.py.

Derived from the declarations of item and row. A page that is not exactly as declared is refused as a whole. Then
page_parser.py reads it: it keeps what is unknown, and says what is wrong, and where. Arrow's own JSON reader is faster,
but its cast to decimal128 is wrong: of "92947822275463134113657120090.789e-7" it makes 513902166325.35.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from operator import attrgetter, ne
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from usage_assets.core import money
from usage_assets.core.bounded_http import decoded
from usage_assets.core.people import People
from usage_assets.core.schema import Column, Row, columns, packed_schema, sent_names
from usage_assets.fetching.page_parser import POLICY, ROWS_AT_ONCE, PageParser
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.records import FRAME, OURS, ShapeError, results

_TYPES = (str, int, bool, Decimal)
"""What JSON is decoded to exactly as page_parser.py does it."""
_REFUSALS = (msgspec.DecodeError, ShapeError, ValueError, OverflowError)
"""What is raised for a page that is not as declared. Errors of Arrow and of amounts are ValueErrors."""


def read_in_one_pass(endpoint: Endpoint, parser: PageParser, items: Sequence[Any]) -> int | None:
    """Add the rows of a page's items; returns how many.

    None: nothing was added, because the page is not as declared, or because such pages cannot be read in one pass.
    """
    is_text = endpoint.page is None
    way = _way(endpoint.row) if is_text and endpoint.records is results and not parser.builds_each_row else None
    if way is None:
        return None
    page = parser.new_page()
    try:
        _add(endpoint, way, page, items)
    except _REFUSALS:
        return None
    return parser.add_page(endpoint.row, page)


@dataclass(frozen=True)
class _Way:
    """How a row model's results are read."""

    decoder: msgspec.json.Decoder[Any]
    """Of a bucket."""
    getters: Mapping[str, Callable[[Any], Any]]
    """Column that the provider sends -> its value in a result."""


@cache
def _way(row: type[Row]) -> _Way | None:
    """None: a row cannot be read without being an object first, or has columns of other types."""
    spelled = sent_names(row)
    sent = {spelled[column.name]: column for column in columns(row) if column.name not in OURS}
    if row.is_anonymous is not Row.is_anonymous or any(column.type not in _TYPES for column in sent.values()):
        return None
    defaults = {field.name: field.default for field in msgspec.structs.fields(row) if not field.required}
    defaults |= {column.name: None for column in sent.values() if column.expected}
    result = _struct(row.__name__, sent, defaults, FRAME)
    frame = [(name, Any, msgspec.UNSET) for name in FRAME - {"results"}]
    bucket = msgspec.defstruct("Bucket", [("results", list[result]), *frame], forbid_unknown_fields=True)  # type: ignore[valid-type]
    decoder = msgspec.json.Decoder(bucket, float_hook=Decimal)
    return _Way(decoder, {column.name: attrgetter(name) for name, column in sent.items()})


def _struct(
    name: str, sent: Mapping[str, Column], defaults: Mapping[str, Any], ignored: Iterable[str] = ()
) -> type[msgspec.Struct]:
    """The model of an object with these fields. A dotted name is that of a field in an inner object."""
    inner: defaultdict[str, dict[str, Column]] = defaultdict(dict)
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for spelled, column in sent.items():
        first, dot, rest = spelled.partition(".")
        if dot:
            inner[first][rest] = column
        else:
            of_type = column.type | None if column.nullable else column.type
            default = (defaults[column.name],) if column.name in defaults else ()
            fields.append((spelled, of_type, *default))
    for first, part in inner.items():
        model = _struct(first, part, defaults)
        is_needed = any(field.required for field in msgspec.structs.fields(model))
        fields.append((first, model) if is_needed else (first, model, msgspec.field(default_factory=model)))
    fields += [(each, Any, None) for each in ignored if each not in {known[0] for known in fields}]
    return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True, gc=False)


def _add(endpoint: Endpoint, way: _Way, page: PageParser, items: Iterable[msgspec.Raw]) -> None:
    """Add the rows of items. Raises one of _REFUSALS, with part of them added."""
    rows: list[Any] = []
    days: list[date] = []
    for text in items:
        bucket = decoded(text, way.decoder)
        frame = {name: value for name in FRAME if (value := getattr(bucket, name)) is not msgspec.UNSET}
        day = page.begin(endpoint.row, endpoint.item, frame | {"results": []}, "$")
        rows += bucket.results
        days += [day] * len(bucket.results)
        if len(rows) >= ROWS_AT_ONCE:
            page.tables.append(_table(endpoint.row, way, page, rows, days))
            rows, days = [], []
    page.tables.append(_table(endpoint.row, way, page, rows, days))


def _table(row: type[Row], way: _Way, page: PageParser, rows: Sequence[Any], days: Sequence[date]) -> pa.Table:
    """Rows as columns, with what is ours. Counts what is rounded."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(row)}
    ours = defaults | {"connection": page.scope.connection, "grouped_by": page.grouping}
    first = pa.array(np.zeros(len(rows), np.int32))
    schema, arrays = packed_schema(row), []
    for column, field in zip(columns(row), schema, strict=True):
        if column.name == "usage_date":
            array = pa.array(days, field.type)
        elif column.name in OURS:
            array = pa.array([ours[column.name]], field.type).take(first)
        else:
            values: Sequence[Any] = [*map(way.getters[column.name], rows)]
            if column.type is Decimal:
                values = _stored(page, values)
            array = pa.array(values, field.type)
            if column.type is str:
                array = _kept(page.people, column, array)
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=schema)


def _stored(page: PageParser, amounts: Sequence[Decimal | None]) -> Sequence[Decimal | None]:
    """Amounts as they are stored. Raises AmountError."""
    sent = [amount for amount in amounts if amount is not None]
    kept = money.all_stored(sent)
    page.rounded += sum(map(ne, kept, sent))
    if len(sent) == len(amounts):
        return kept
    stored = iter(kept)
    return [None if amount is None else next(stored) for amount in amounts]


def _kept(people: People, column: Column, texts: pa.DictionaryArray) -> pa.DictionaryArray:
    """Texts as the policy wants them. An empty one is null where the column may be."""
    if not column.address and pc.index(texts.dictionary, "").as_py() < 0:
        return texts
    keep = POLICY[column.address] if column.address else lambda _people, text: text
    kept = [None if not text and column.nullable else keep(people, text) for text in texts.dictionary.to_pylist()]
    return pa.array(kept, pa.string()).take(texts.indices).dictionary_encode()
