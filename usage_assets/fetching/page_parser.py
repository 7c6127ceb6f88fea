"""Turns decoded pages into rows: typed, exact, on their day, with nothing lost. Pure: no HTTP.

A row model is also the model of the provider's result: a column that is renamed to a dotted name is read from inside
an object (``amount_value`` from ``amount.value``). A new endpoint needs no code here.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache, cached_property
from typing import Any, ClassVar, Self, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from usage_assets.core import money
from usage_assets.core.days import DAY, Window
from usage_assets.core.people import People
from usage_assets.core.schema import Address, Row, arrow_schema, columns, packed_schema, to_arrow
from usage_assets.fetching.scope import Scope
from usage_assets.providers.records import FRAME, OURS, Item, Json, Records, ShapeError, as_json

S = TypeVar("S", bound=msgspec.Struct)

POLICY: Mapping[Address, Callable[[People, str], str | None]] = {
    "only_id": People.only_id,
    "sent_unasked": People.sent_unasked,
    "in_name": People.in_name,
    "person_name": People.person_name,
}
"""What the policy for people makes of an address or a person's name."""
ROWS_AT_ONCE = 5_000
"""Rows of a page that are objects at once, before they become Arrow. As objects, they take ten times the memory."""
_WIDE = pa.decimal256(76, money.SCALE)
"""In which sums are made."""
_MISSING = re.compile(r"Object missing required field `(.+)`")


@dataclass
class PageParser:
    """What is known, and what is counted, while the pages of one window become rows."""

    builds_each_row: ClassVar[bool] = False
    """Whether each row has to come through ``build``: then no page is read in one pass (one_pass.py)."""

    scope: Scope
    window: Window
    query: Mapping[str, str]
    grouped_by: tuple[str, ...]
    tables: list[pa.Table] = field(default_factory=list)
    days_seen: set[date] = field(default_factory=set)
    day: date | None = None
    shapes: dict[date | None, str] = field(default_factory=dict)
    """The shape of each day's rows, where more than one is known of an answer."""
    alike: Counter[tuple[object, ...]] = field(default_factory=Counter)
    """How often a page has equal rows that name no user."""
    rounded: int = 0
    unknown_fields: Counter[str] = field(default_factory=Counter)

    @property
    def ids(self) -> Mapping[str, str]:
        return self.scope.ids

    @property
    def people(self) -> People:
        return self.scope.people

    @cached_property
    def grouping(self) -> str:
        """The dimensions that were requested and granted, as stored in ``grouped_by``."""
        return ",".join(sorted(self.grouped_by))

    def read(self, row: type[Row], item: type[Item], records: Records, data: Iterable[Any], items: str = "data") -> int:
        """Add the rows of a page's items, which it calls ``items``; returns how many.

        Raises ShapeError: nothing of the window is usable.
        ``data`` may decode its items one by one: what it raises is passed on, and nothing of the page was added.
        """
        page = self.new_page()
        page.add(row, item, records, data, items)
        return self.add_page(row, page)

    def new_page(self) -> Self:
        """Return a parser of a page, of which nothing is here until it is added."""
        return replace(self, tables=[], days_seen=set(), alike=Counter(), rounded=0, unknown_fields=Counter())

    def add_page(self, row: type[Row], page: Self) -> int:
        """Add the rows of a page; returns how many."""
        rows = numbered(row, pa.concat_tables(page.tables), per_page=True)
        self.tables.append(rows)
        self.days_seen |= page.days_seen
        self.rounded += page.rounded
        self.unknown_fields += page.unknown_fields
        return len(rows)

    def add(self, row: type[Row], item: type[Item], records: Records, data: Iterable[Any], items: str = "data") -> None:
        """Add the rows of items. Raises ShapeError, with part of them added."""
        rows: list[Row] = []
        for n, raw in enumerate(data):
            path = f"$.{items}[{n}]"
            self.begin(item, raw, path)
            for place, fields in records(raw, path, self):
                rows.append(self._told_apart(self.build(row, place, fields)))
                if len(rows) == ROWS_AT_ONCE:
                    self._pack(row, rows)
        self._pack(row, rows)

    def begin(self, item: type[Item], raw: object, path: str) -> date:
        """Return the day of an item, which is that of the rows to come. Raises ShapeError."""
        self.day = self.window.first if self.window.first == self.window.last else None
        self.day = self._day_of(self._convert(item, path, raw, strict=False), path)
        self.days_seen.add(self.day)
        return self.day

    def _told_apart(self, row: Row) -> Row:
        """Return the row, numbered if the page has equal rows that name no user: they belong to several users."""
        if row.is_anonymous:
            content = msgspec.structs.astuple(row)
            self.alike[content] += 1
            return msgspec.structs.replace(row, occurrence=self.alike[content])
        return row

    def _pack(self, row: type[Row], rows: list[Row]) -> None:
        try:
            self.tables.append(to_arrow(row, rows, packed=True))
        except (pa.ArrowInvalid, OverflowError) as error:
            raise ShapeError("$.data", None, f"a value does not fit its column: {error}") from None
        rows.clear()

    def build(self, model: type[S], path: str, fields: Json) -> S:
        """One record, typed: amounts as they are stored, addresses as the policy wants them, unknown fields kept.

        An empty text is null where a column may be: else it would be another id than null, or another currency. Takes
        ``fields`` over. Raises ShapeError.
        """
        unknown = self.take_unknown(model, path, fields)
        layout = _layout(model)
        fields[layout.other_fields] = self._kept(unknown) if unknown else None
        fields["connection"] = self.scope.connection
        fields["usage_date"] = self.day
        fields["grouped_by"] = self.grouping
        for name in layout.expected:
            fields.setdefault(name, None)
        if "" in fields.values():
            fields |= {name: None for name in layout.texts if fields.get(name) == ""}
        built = self._convert(model, path, fields)
        for name, spelled in layout.amounts:
            if (amount := getattr(built, name)) is not None:
                setattr(built, name, self._stored(amount, path, spelled))
        for name, keep in layout.addresses:
            if (address := getattr(built, name)) is not None:
                setattr(built, name, keep(self.people, address))
        return built

    def take_unknown(self, model: type[msgspec.Struct], path: str, fields: Json) -> Json:
        """Flatten ``fields`` and move those out of it that the model does not know. Raises ShapeError."""
        layout = _layout(model)
        self._flatten(fields, layout.objects, path)
        return {} if layout.known.issuperset(fields) else {n: fields.pop(n) for n in fields.keys() - layout.known}

    def _day_of(self, item: Item, path: str) -> date:
        day = item.start.astimezone(UTC).date()
        midnight = datetime.combine(day, time(), UTC)
        if item.start != midnight or not midnight < (item.end or midnight + DAY) <= midnight + DAY:
            raise ShapeError(path, day, f"{item.start} to {item.end} is not within one UTC day")
        if day not in self.window:
            raise ShapeError(path, day, f"outside the requested days ({self.window})")
        return day

    def _flatten(self, fields: Json, objects: Iterable[str], path: str) -> None:
        """Replace the objects by their fields, under dotted names."""
        if not isinstance(fields, dict):
            raise ShapeError(path, self.day, "Expected `object`")
        for name in objects:
            inner = fields.pop(name, None)
            if isinstance(inner, dict):
                for key, value in inner.items():
                    fields[f"{name}.{key}"] = value
            elif inner is not None:
                raise ShapeError(f"{path}.{name}", self.day, "Expected `object`")

    def _convert(self, model: type[S], path: str, value: object, *, strict: bool = True) -> S:
        try:
            return msgspec.convert(value, model, strict=strict)
        except msgspec.ValidationError as error:
            reason, _, inner = str(error).partition(" - at `$")
            place = path + inner.removesuffix("`")
            if missing := _MISSING.fullmatch(reason):
                place, reason = f"{place}.{missing[1]}", "the field is missing"
            raise ShapeError(place, self.day, reason) from None

    def _stored(self, amount: Decimal, path: str, spelled: str) -> Decimal:
        try:
            kept = money.stored(amount)
        except money.AmountError as error:
            raise ShapeError(f"{path}.{spelled}", self.day, str(error)) from None
        if kept != amount:
            self.rounded += 1
        return kept

    def _kept(self, unknown: Json) -> str:
        self.unknown_fields.update(unknown.keys())
        return as_json(self.people.scrubbed(unknown))


def summed(row: type[Row], rows: pa.Table) -> pa.Table:
    """The rows of a fetch, with the records of one grain added up (``Row.is_summed``).

    Exact: they are added with more digits than are stored. A sum leaves out missing values, and is null if all are
    missing. Names keep the first record's value. Raises ArrowInvalid for a sum that does not fit.
    """
    if not row.is_summed:
        return rows
    schema, grain = packed_schema(row), ["connection", "usage_date", *row.grain]
    others = [field for field in arrow_schema(row) if field.name not in (*grain, "other_fields")]
    how = {column.name: "sum" if column.unit else "first" for column in columns(row)}
    wide = {field.name: field.with_type(_WIDE) if how[field.name] == "sum" else field for field in others}
    added = (
        rows.cast(pa.schema([wide.get(field.name, field) for field in schema]))
        .unify_dictionaries()
        .group_by(grain, use_threads=False)
        .aggregate([(name, how[name]) for name in wide])
        .rename_columns([*grain, *wide])
    )
    unknown: defaultdict[tuple[object, ...], Counter[str]] = defaultdict(Counter)
    for *whose, fields in _values(rows.filter(rows["other_fields"].is_valid()).select([*grain, "other_fields"])):
        unknown[*whose].update(msgspec.json.decode(fields).keys())
    texts = [as_json(unknown[whose]) if whose in unknown else None for whose in _values(added.select(grain))]
    added = added.append_column("other_fields", pa.array(texts, pa.string()))
    return added.select(schema.names).cast(schema)


def _values(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in rows.columns), strict=True)


def numbered(row: type[Row], rows: pa.Table, *, per_page: bool = False) -> pa.Table:
    """The rows of a fetch, or of a page, with their ``occurrence``: by content, so that their order is no change.

    Rows of several pages that are equal in everything keep one number: they are more likely one record on two shifting
    pages than two records, and the warehouse refuses them rather than count one twice. So do equal rows of one page
    that name a user; those that name none have come numbered (``PageParser``).
    """
    declared = {column.name: column for column in columns(row)}
    if "occurrence" not in row.grain or declared["occurrence"].nullable != per_page:
        return rows
    grain = ["usage_date", *(name for name in row.grain if name != "occurrence")]
    if rows.select(grain).unify_dictionaries().group_by(grain).aggregate([]).num_rows == rows.num_rows:
        return rows
    content = (name for name in rows.column_names if name != "occurrence")
    ranks = [_ranks(rows[name]) for name in dict.fromkeys((*grain, *content, "occurrence"))]
    order = np.lexsort(ranks[::-1])
    differs = np.array([np.diff(rank[order], prepend=-1) != 0 for rank in ranks])
    contents = differs.any(axis=0).cumsum()
    before = np.where(differs[: len(grain)].any(axis=0), contents - 1, 0)  # contents of the keys before this one
    numbers = np.empty_like(contents)
    numbers[order] = contents - np.maximum.accumulate(before)
    place = rows.schema.get_field_index("occurrence")
    column = pa.array(numbers, pa.int64(), mask=numbers == 1 if per_page else None)
    return rows.set_column(place, rows.schema.field(place), column)


def _ranks(column: pa.ChunkedArray) -> "np.typing.NDArray[np.int32]":
    """Each value as its place among the column's values; none comes last."""
    values = column.combine_chunks()
    encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    places = pc.rank(encoded.dictionary, tiebreaker="dense").cast(pa.int32())
    ranks: np.typing.NDArray[np.int32] = places.take(encoded.indices).fill_null(len(places) + 1).to_numpy()
    return ranks


@dataclass(frozen=True)
class _Layout:
    """What ``build`` needs to know about a model."""

    objects: tuple[str, ...]
    """Objects that columns are read from, outer ones first."""
    known: frozenset[str]
    other_fields: str
    """How the column of unknown fields is spelled: a row that is renamed as a whole renames it, too."""
    expected: tuple[str, ...]
    """Counters that are null where the provider leaves them out, as it spells them."""
    texts: tuple[str, ...]
    """Text columns that may be null, as the provider spells them."""
    amounts: tuple[tuple[str, str], ...]
    """Decimal columns: name, and how the provider spells it."""
    addresses: tuple[tuple[str, Callable[[People, str], str | None]], ...]


@cache
def _layout(model: type[msgspec.Struct]) -> _Layout:
    spelled = dict(zip(model.__struct_fields__, model.__struct_encode_fields__, strict=True))
    declared = columns(model)
    return _Layout(
        objects=tuple(sorted({name[: dot.start()] for name in spelled.values() for dot in re.finditer(r"\.", name)})),
        known=frozenset(field for name, field in spelled.items() if name not in OURS) | FRAME,
        other_fields=spelled.get("other_fields", "other_fields"),
        expected=tuple(spelled[column.name] for column in declared if column.expected),
        texts=tuple(spelled[column.name] for column in declared if column.type is str and column.nullable),
        amounts=tuple((column.name, spelled[column.name]) for column in declared if column.type is Decimal),
        addresses=tuple((column.name, POLICY[column.address]) for column in declared if column.address),
    )
