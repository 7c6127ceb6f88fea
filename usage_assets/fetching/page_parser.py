"""Turns decoded pages into rows: typed, exact, on their day, with nothing lost. Pure: no HTTP.

A row model is also the model of the provider's result: a column that is renamed to a dotted name is read from inside
an object (``amount_value`` from ``amount.value``). A new endpoint needs no code here.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache, cached_property, partial
from typing import Any, ClassVar, Self, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from usage_assets.core import money
from usage_assets.core.days import DAY, Window
from usage_assets.core.people import People
from usage_assets.core.schema import (
    MONEY,
    Address,
    Column,
    Row,
    arrow_schema,
    columns,
    packed_schema,
    sent_names,
    to_arrow,
)
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
_DIGITS = re.compile(r"-?\d{1,18}", re.ASCII)
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
        """Return a parser for a new page, with nothing added to it."""
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
            self.begin(row, item, raw, path)
            for place, fields in records(raw, path, self):
                rows.append(self._told_apart(self.build(row, place, fields)))
                if len(rows) == ROWS_AT_ONCE:
                    self._pack(row, rows)
        self._pack(row, rows)

    def begin(self, row: type[Row], item: type[Item], raw: object, path: str) -> date:
        """Return the day of an item, which is that of the rows to come. Raises ShapeError.

        A page has a day once where equal rows of a page are as many records: two would be counted twice.
        """
        self.day = self.window.first if self.window.first == self.window.last else None
        self.day = self._day_of(self._convert(item, path, raw, strict=False), path)
        if self.day in self.days_seen and is_by_page(row):
            raise ShapeError(path, self.day, "the day is there twice")
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
        layout = _layout(model)
        unknown = self.take_unknown(model, path, fields)
        fields["connection"] = self.scope.connection
        fields["usage_date"] = self.day
        fields["grouped_by"] = self.grouping
        for name in layout.expected:
            fields.setdefault(name, None)
        if "" in fields.values():
            fields |= {name: None for name in layout.texts if fields.get(name) == ""}
        try:
            return self._built(model, path, fields, unknown)
        except ShapeError:
            read = {name: read(fields.get(name)) for name, read in layout.beside_money.items()}
            read = {name: value for name, value in read.items() if value != fields.get(name)}
            if not read:
                raise
        unknown |= {name: fields[name] for name, value in read.items() if value is None}
        return self._built(model, path, fields | read, unknown)

    def _built(self, model: type[S], path: str, fields: Json, unknown: Json) -> S:
        layout = _layout(model)
        built = self._convert(model, path, fields)
        for name, spelled in layout.amounts:
            if (amount := getattr(built, name)) is not None:
                setattr(built, name, self._stored(amount, path, spelled))
        for name, spelled in layout.counters:
            if not _fits(getattr(built, name)):
                raise ShapeError(f"{path}.{spelled}", self.day, "is too large to be stored")
        for name, keep in layout.addresses:
            if (address := getattr(built, name)) is not None:
                setattr(built, name, keep(self.people, address))
        kept = self._kept(unknown) if unknown else None
        if layout.keeps_unknown:
            setattr(built, "other_fields", kept)  # noqa: B010 - not every model has it
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
                if "." in missing[1]:
                    reason += f", or `{missing[1].rpartition('.')[0]}` is null"
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
    pages than two records, and the warehouse refuses them rather than count one twice. Equal rows of one page are as
    many records, as are those of files (``Row.pages_may_shift``).
    """
    if "occurrence" not in row.grain or is_by_page(row) != per_page:
        return rows
    is_nullable = _is_nullable(row)
    grain = ["usage_date", *(name for name in row.grain if name != "occurrence")]
    if rows.select(grain).unify_dictionaries().group_by(grain).aggregate([]).num_rows == rows.num_rows:
        return rows
    content = (name for name in rows.column_names if name != "occurrence")
    ranks = [_ranks(rows[name]) for name in dict.fromkeys((*grain, *content, "occurrence"))]
    order = np.lexsort(ranks[::-1])
    differs = np.array([np.diff(rank[order], prepend=-1) != 0 for rank in ranks])
    contents = np.arange(1, len(order) + 1) if is_nullable else differs.any(axis=0).cumsum()
    before = np.where(differs[: len(grain)].any(axis=0), contents - 1, 0)  # contents of the keys before this one
    numbers = np.empty_like(contents)
    numbers[order] = contents - np.maximum.accumulate(before)
    place = rows.schema.get_field_index("occurrence")
    column = pa.array(numbers, pa.int64(), mask=numbers == 1 if is_nullable else None)
    return rows.set_column(place, rows.schema.field(place), column)


def as_rows(row: type[Row], rows: pa.Table) -> pa.Table:
    """The rows of a newer report as rows of the older one (``Endpoint.newer``): what it does not state is null."""
    schema = packed_schema(row) if any(map(pa.types.is_dictionary, rows.schema.types)) else arrow_schema(row)
    found = {name: rows[name] for name in rows.column_names} | {
        "occurrence": pc.if_else(pc.equal(rows["occurrence"], 1), None, rows["occurrence"])
    }
    columns_of = [found[each.name] if each.name in found else pa.nulls(len(rows), each.type) for each in schema]
    return pa.Table.from_arrays(columns_of, names=schema.names).cast(schema)


@cache
def is_by_page(row: type[Row]) -> bool:
    """Whether rows are numbered on their page."""
    return "occurrence" in row.grain and _is_nullable(row) and row.pages_may_shift


def _is_nullable(row: type[Row]) -> bool:
    return next(column.nullable for column in columns(row) if column.name == "occurrence")


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
    keeps_unknown: bool
    """Whether it has a column of unknown fields."""
    counters: tuple[tuple[str, str], ...]
    """Columns of whole numbers beside money: name, and how the provider spells it."""
    expected: tuple[str, ...]
    """Counters that are null where the provider leaves them out, as it spells them."""
    texts: tuple[str, ...]
    """Text columns that may be null, as the provider spells them."""
    amounts: tuple[tuple[str, str], ...]
    """Decimal columns: name, and how the provider spells it."""
    addresses: tuple[tuple[str, Callable[[People, str], str | None]], ...]
    beside_money: Mapping[str, Callable[[object], object]]
    """Of a row with money: each field that may be null and is neither money nor of the grain, and what its column can
    hold of a value."""


@cache
def _layout(model: type[msgspec.Struct]) -> _Layout:
    spelled = sent_names(model)
    declared = columns(model)
    return _Layout(
        objects=tuple(sorted({name[: dot.start()] for name in spelled.values() for dot in re.finditer(r"\.", name)})),
        known=frozenset(field for name, field in spelled.items() if name not in OURS) | FRAME,
        keeps_unknown="other_fields" in spelled,
        counters=tuple((each.name, spelled[each.name]) for each in beside_money(model) if each.type is int),
        expected=tuple(spelled[column.name] for column in declared if column.expected),
        texts=tuple(spelled[column.name] for column in declared if column.type is str and column.nullable),
        amounts=tuple((column.name, spelled[column.name]) for column in declared if column.type is Decimal),
        addresses=tuple((column.name, POLICY[column.address]) for column in declared if column.address),
        beside_money={spelled[column.name]: partial(_held, column.type) for column in beside_money(model)},
    )


def beside_money(model: type[msgspec.Struct]) -> Sequence[Column]:
    """Return the columns whose values never stop an amount of money: a value that does not fit is kept beside them."""
    declared, grain = columns(model), getattr(model, "grain", ())
    if not any(column.unit in MONEY for column in declared) or "other_fields" not in model.__struct_fields__:
        return []
    kept = {*grain, *OURS, *(each.name for each in declared if each.name.endswith("currency"))}
    return [each for each in declared if each.nullable and each.unit not in MONEY and each.name not in kept]


def _held(kind: type, value: object) -> object:
    """Return what a column of this type holds of a value; None where it cannot hold it. Digits may be text."""
    if kind is int and isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    try:
        found = msgspec.convert(value, kind | None)
        fits = money.stored(found) is not None if isinstance(found, Decimal) else _fits(found)
    except (msgspec.ValidationError, money.AmountError):
        return None
    return value if fits else None


def _fits(value: object) -> bool:
    return not isinstance(value, int) or -(2**63) <= value < 2**63
