"""How the row of a table is declared: columns with type, unit and meaning, and the grain.

Everything else that describes a table (Arrow schema, DDL, column schema, dictionary, checks) is derived from the
declaration, here and in warehouse.tables. Knows neither Dagster nor DuckDB.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from operator import attrgetter
from types import NoneType
from typing import Annotated, ClassVar, Literal, NamedTuple, get_args, get_origin, get_type_hints
from weakref import WeakValueDictionary

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from usage_assets.core import money

ARROW_TYPES: Mapping[type, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    Decimal: pa.decimal128(money.PRECISION, money.SCALE),
    bool: pa.bool_(),
    date: pa.date32(),
    datetime: pa.timestamp("us", tz="UTC"),
}

MONEY = frozenset(("cents", "credits", "currency", "currency units", "native_unit", "USD"))
"""Units of amounts of money."""
Kind = Literal[
    "billed", "effective", "contracted", "list", "estimated", "notional", "credits", "expected", "planned", "price"
]
"""What an amount of money is. Amounts of two kinds are never added. ``expected`` is a forecast, ``planned`` a budget or
limit, ``price`` that of one unit."""
KINDS: frozenset[str] = frozenset(get_args(Kind))
Address = Literal["only_id", "sent_unasked", "in_name", "person_name"]


def column(
    description: str,
    *,
    unit: str | None = None,
    kind: str | None = None,
    within: tuple[str, ...] = (),
    additive: bool = True,
    personal: bool = False,
    address: Address | None = None,
    is_added: bool = False,
) -> msgspec.Meta:
    """What a column means.

    ``unit`` makes it a measure, whose daily total is shown unless it is not ``additive``. Money is in ``USD``,
    ``cents``, ``credits``, or ``currency``: units of the currency that another column states (``currency units`` is an
    older name of it). What is counted may have any other name (``tokens``); the name of another column says that this
    one states the unit. A measure of a provider that may be null and has no default is ``expected``. ``kind`` is what
    an amount of money is (``Kind``), or the column that states it. Rows that differ in a column that ``within`` names
    are never added. ``personal`` keeps its values out of previews: ids of people are personal. An
    email ``address`` is, too, and USAGE_PEOPLE decides what is stored: it is the provider's only id of a person
    (``only_id``), was sent unasked next to one (``sent_unasked``), or is part of a name that somebody chose
    (``in_name``). So is a person's own name (``person_name``). ``is_added`` says that days were stored before the
    column was there: a null leaves the content hash of a day as it was.
    """
    is_personal = personal or address is not None
    extra = {"unit": unit, "kind": kind, "within": within, "additive": additive, "personal": is_personal}
    return msgspec.Meta(description=description, extra=extra | {"address": address, "is_added": is_added})


@dataclass(frozen=True)
class Column:
    """One declared column, as everything derived from a row model reads it."""

    name: str
    type: type
    nullable: bool
    expected: bool
    """Whether it is a counter that the provider always sends: a null means that it left it out, and a check warns."""
    description: str
    unit: str | None
    kind: str | None
    within: tuple[str, ...]
    additive: bool
    personal: bool
    address: Address | None
    is_added: bool

    @property
    def arrow(self) -> pa.Field:
        return pa.field(self.name, ARROW_TYPES[self.type], nullable=self.nullable)


class Total(NamedTuple):
    """A total of a day that is not the plain sum of an additive measure."""

    sql: str
    """SQL aggregate."""
    unit: str = ""
    """What it counts; empty: what the column of the same name does. Of a total ``by`` a column, ``{}`` stands for its
    value, in upper case."""
    by: str | None = None
    """The column (a currency, say) whose every value has a total of its own: ``<name>_<value>``, in lower case."""


_DECLARED: MutableMapping[str, type["TableRow"]] = WeakValueDictionary()


class TableRow(msgspec.Struct, kw_only=True, gc=False):
    """A declared table. Its docstring's first line states the grain in words; ``grain`` states it in columns."""

    table: ClassVar[str]
    """``schema.name`` in the warehouse."""
    grain: ClassVar[tuple[str, ...]]
    """The columns that identify a row, besides ``connection`` and ``usage_date`` (null is a value of its own)."""
    totals: ClassVar[Mapping[str, Total]] = {}
    """Totals per day that are not the plain sum of an additive measure, by name."""
    parts: ClassVar[Mapping[str, type[msgspec.Struct]]] = {}
    """Columns of JSON whose records have a model of their own, as the provider's field of that name has them."""
    renamed: ClassVar[Mapping[str, str]] = {}
    """What columns were called until November 2026, and are called now."""
    slice_by: ClassVar[str | None] = None
    """The column whose values are written by different assets, where several share the table."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, "table"):
            _DECLARED[cls.table] = cls


class ConnectionRow(TableRow, kw_only=True, gc=False):
    """A declared table whose rows belong to connections."""

    connection: Annotated[str, column("Connection: one provider organization or ChatGPT workspace")]


class Row(ConnectionRow, kw_only=True, gc=False):
    """A declared table of days: what is written is a connection's days, whole.

    A column without a default must be in the answer; ``str | None`` may be null there. ``= None`` lets the field be
    missing, also because the object that it is in is null. A counter that may be null may always be missing.
    """

    is_summed: ClassVar[bool] = False
    """Whether a row is the sum of all records of its grain: of events, which have no ids, or of parts on several pages.
    Columns with a unit are added up, and ``other_fields`` says how many records have a field that we do not know."""

    pages_may_shift: ClassVar[bool] = True
    """Whether a record may be on two pages of an answer. Where it may not, equal rows are as many records."""

    usage_date: Annotated[date, column("UTC day of the usage")]

    @property
    def is_anonymous(self) -> bool:
        """Whether nothing in the row says whose it is: two rows that are equal may then be of two users."""
        return False


class LookupRow(ConnectionRow, kw_only=True, gc=False):
    """A declared table of versions: what ids stand for, and stood for. It only grows."""

    grain = ("id", "valid_from")
    renamed = {"first_seen": "valid_from", "seen_until": "valid_to"}

    id: Annotated[str, column("Id, as costs and usage name it")]
    valid_from: Annotated[datetime, column("When these attributes were first seen")]
    valid_to: Annotated[
        datetime | None, column("When they were found changed, or the id gone; null while they are current")
    ] = None


class SeedRow(TableRow, kw_only=True, gc=False):
    """A declared table of what the connections file states: it is as the file was when costs were last computed."""


def declared(table: str) -> type[TableRow]:
    """Return the row model of a table. Raises KeyError for a name that nothing declares."""
    return _DECLARED[table]


def declarations() -> Mapping[str, type[TableRow]]:
    """Return the row models of all tables, by name."""
    return dict(_DECLARED)


def restore_declarations(known: Mapping[str, type[TableRow]]) -> None:
    """Let tables be declared again as they were: a refused plug-in may have declared one that is not its own."""
    _DECLARED.update(known)


def sent_names(row: type[msgspec.Struct]) -> Mapping[str, str]:
    """Return each field, with what it is called where it comes from."""
    return dict(zip(row.__struct_fields__, row.__struct_encode_fields__, strict=True))


@cache
def columns(row: type[msgspec.Struct]) -> tuple[Column, ...]:
    """The declared columns, in declaration order (``connection`` and ``usage_date`` first)."""
    return tuple(_columns(row))


def _columns(row: type[msgspec.Struct]) -> Iterator[Column]:
    hints = get_type_hints(row, include_extras=True)
    required = {field.name for field in msgspec.structs.fields(row) if field.required}
    for name in sorted(row.__struct_fields__, key=lambda name: name not in ("connection", "usage_date")):
        annotated, meta = get_args(hints[name]) if get_origin(hints[name]) is Annotated else (None, None)
        options = [option for option in get_args(annotated) or (annotated,) if option is not NoneType]
        if len(options) != 1 or options[0] not in ARROW_TYPES:
            raise TypeError(f"{row.__name__}.{name} needs Annotated[<one storable type>, column(...)]")
        yield Column(
            name=name,
            type=options[0],
            nullable=NoneType in get_args(annotated),
            expected=NoneType in get_args(annotated) and meta.extra["unit"] is not None and name in required,
            description=meta.description,
            **meta.extra,
        )


@cache
def arrow_schema(row: type[TableRow]) -> pa.Schema:
    return pa.schema([column.arrow for column in columns(row)])


@cache
def packed_schema(row: type[TableRow]) -> pa.Schema:
    """The declared schema with texts as dictionaries: ids repeat, and a million rows take half the memory so."""
    packed = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([field.with_type(packed) if field.type == pa.string() else field for field in arrow_schema(row)])


def of_days(rows: pa.Table, days: Iterable[date]) -> pa.Table:
    """Return the rows of these days."""
    return rows.filter(pc.is_in(rows["usage_date"], pa.array(days, pa.date32())))


def to_arrow(row: type[TableRow], rows: Iterable[TableRow], *, packed: bool = False) -> pa.Table:
    """Rows as an Arrow table of the declared schema. Raises ArrowInvalid or OverflowError for a misfit."""
    schema = packed_schema(row) if packed else arrow_schema(row)
    values = list(zip(*map(attrgetter(*schema.names), rows), strict=True)) or [()] * len(schema)
    return pa.Table.from_arrays(
        [pa.array(column, type=field.type) for column, field in zip(values, schema, strict=True)], schema=schema
    )
