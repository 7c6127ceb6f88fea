"""Where stored rows are in the archived answers: file, page, JSONPath and exact text of each value.

Answers are read by the page parser that fetched them; nothing here knows a provider. A value is in a column if the
column changes when the value does: each number of a record is changed and the record is parsed again.
"""

import json
import re
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, localcontext
from functools import cached_property
from typing import Any, TypeAlias

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from usage_assets.core import money
from usage_assets.core.bounded_http import decoded
from usage_assets.core.schema import Row
from usage_assets.fetching.archive.files import File
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.client import read_page
from usage_assets.fetching.page_parser import PageParser, S, as_rows, numbered, summed
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.files import FILE, ROW
from usage_assets.providers.pages import OneDay
from usage_assets.providers.records import Item, Json, Records, ShapeError
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import NEVER

_DIGITS = 80
"""Of sums that are exact: twice as many as are stored."""
ROW_COUNT = "row_count"
_STEP = re.compile(r'\.(\w+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]')
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
Path: TypeAlias = tuple[str | int, ...]


@dataclass
class PlacedParser(PageParser):
    """A page parser that also notes where each row was."""

    builds_each_row = True

    places: list[str] = field(default_factory=list)
    """The path of each row in its page."""
    pages: list[int] = field(default_factory=list)
    """How many rows there were before each page."""

    def read(self, row: type[Row], item: type[Item], records: Records, data: Any, items: str = "data") -> int:
        self.pages.append(len(self.places))
        return super().read(row, item, records, data, items)

    def build(self, model: type[S], path: str, fields: Json) -> S:
        if issubclass(model, Row):
            self.places.append(path)
        return super().build(model, path, fields)


@dataclass(frozen=True)
class Place:
    """Where a row or a value is."""

    file: File
    page: int
    """From 1."""
    path: Path

    @property
    def json_path(self) -> str:
        return "$" + "".join(f"[{step}]" if isinstance(step, int) else _named(step) for step in self.path)


@dataclass(frozen=True)
class Value:
    """A number in an archived answer."""

    place: Place
    text: str
    """As the provider wrote it."""
    read_at: str = ""
    """The provider's file and the row in it, if it was read from one."""


@dataclass(frozen=True)
class Variant:
    """A row after one value of its record was changed."""

    value: Value
    row: pa.Table


class Answers:
    """The archived answers of an endpoint, each read once."""

    def __init__(self, replay: Replay, endpoint: Endpoint, stored: type[Row]) -> None:
        """``stored``: what rows of the endpoint are stored as."""
        self.replay, self.endpoint, self.stored = replay, endpoint, stored
        self._parsers: dict[File, PlacedParser] = {}
        self._pages: dict[File, Sequence[Any]] = {}

    def parsed(self, file: File) -> PlacedParser:
        """Return the rows of an answer, and where they are. Raises PermanentError for a file that cannot be read."""
        if file not in self._parsers:
            self._parsers[file] = self.replay.read(self.endpoint, file, file.window.days, PlacedParser)
        return self._parsers[file]

    def page(self, file: File, number: int) -> Any:
        """Return a page as it was sent, with numbers as they are written."""
        if file not in self._pages:
            forgotten = self.replay.scope.people.forgotten
            self._pages[file] = [_exact(forgotten.in_json(content)) for content in file.pages()]
        return self._pages[file][number - 1]


class ArchivedDay:
    """What the newest archived answers have for a day of an endpoint, or had."""

    def __init__(self, answers: Answers, day: date, before: datetime | None = None) -> None:
        """Read it, as of a time. Raises PermanentError for a day that no answer covers, or for an unreadable file."""
        self._answers, self._replay, self._endpoint = answers, answers.replay, answers.endpoint
        parts: list[pa.Table] = []
        self._places: list[Place] = []
        self.files = [file for file, _ in self._replay.newest(self._endpoint, [day], before)]
        for file in self.files:
            parser = answers.parsed(file)
            table = pa.concat_tables(parser.tables)
            own = pc.indices_nonzero(pc.equal(table["usage_date"], pa.scalar(day))).to_pylist()
            parts.append(table.take(pa.array(own, pa.int64())))
            self._places += [Place(file, bisect(parser.pages, n), steps_of(parser.places[n])) for n in own]
        self._records = pa.concat_tables(parts)
        rows = numbered(self._endpoint.row, summed(self._endpoint.row, self._records))
        self.rows: pa.Table = self._stored(rows)
        self.stored_at = max((file.stored_at for file in self.files), default=NEVER)

    @cached_property
    def _positions(self) -> Mapping[tuple[Any, ...], int]:
        return {tuple(row.values()): n for n, row in enumerate(self.rows.to_pylist())}

    @cached_property
    def _events(self) -> Mapping[int, Sequence[int]]:
        """Which records each row is the sum of."""
        grain = ["usage_date", *self._endpoint.row.grain]
        found: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
        for n, whose in enumerate(_values(self._records, grain)):
            found[whose].append(n)
        return {position: found[whose] for position, whose in enumerate(_values(self.rows, grain))}

    def _stored(self, rows: pa.Table) -> pa.Table:
        row = self._answers.stored
        return rows if row is self._endpoint.row else as_rows(row, rows)

    def position_of(self, row: Mapping[str, Any]) -> int | None:
        """Return which row equals a stored one in every column; None if none does."""
        return self._positions.get(tuple(row[name] for name in self.rows.column_names))

    def _as_sent(self, place: Place) -> Path:
        """Return the path of a place in the page as it was sent.

        ``OneDay`` puts an answer into an envelope. A record that has been put together from several objects
        is where the innermost of them is.
        """
        body = self._answers.page(place.file, place.page)
        path = place.path
        if isinstance(self._endpoint.page, OneDay):
            envelope = self._endpoint.page(body, place.file.window)
            around = next(found for found, inner in _walk(envelope) if inner is body)
            path = path[len(around) :]
        at = body
        for depth, step in enumerate(path):
            if not _has(at, step):
                return path[:depth]
            at = at[step]
        return path

    def variants(self, positions: Sequence[int]) -> Iterator[tuple[int, Variant]]:
        """Yield each row once for each number of its record, with that number changed."""
        if self._endpoint.row.is_summed:
            rows = {event: position for position in positions for event in self._events[position]}
            for event, variant in self._of_records([*rows]):
                yield rows[event], Variant(variant.value, self._sum_with(rows[event], event, variant.row))
        else:
            yield from self._of_records(positions)

    def _sum_with(self, position: int, event: int, changed: pa.Table) -> pa.Table:
        """Return a row that is a sum, after one of its records has changed."""
        [row], [before], [after] = (
            table.to_pylist() for table in (self.rows.slice(position, 1), self._records.slice(event, 1), changed)
        )
        with localcontext(prec=_DIGITS):
            for name, value in after.items():
                if isinstance(value, int | Decimal) and not isinstance(value, bool):
                    row[name] += value - before[name]
        return pa.Table.from_pylist([row], schema=self.rows.schema)

    def _of_records(self, positions: Sequence[int]) -> Iterator[tuple[int, Variant]]:
        pages: defaultdict[tuple[File, int], list[int]] = defaultdict(list)
        for position in positions:
            place = self._places[position]
            pages[place.file, place.page].append(position)
        for (file, page), of_page in pages.items():
            yield from self._variants(file, page, of_page)

    def _variants(self, file: File, page: int, positions: Sequence[int]) -> Iterator[tuple[int, Variant]]:
        """Change the numbers at the same path of several records at once: records do not affect each other."""
        sent = {position: self._as_sent(self._places[position]) for position in positions}
        body = self._answers.page(file, page)
        alike: defaultdict[Path, dict[int, str]] = defaultdict(dict)
        for position, path in sent.items():
            for inner, value in _walk(_at(body, path)):
                if (text := _number(value)) is not None:
                    alike[inner][position] = text
        items = None if self._endpoint.page else sorted({path[1] for path in sent.values()}, key=int)
        ordinals: Counter[Path] = Counter()
        wanted: dict[tuple[Path, int], int] = {}
        for position in range(len(self._places)):  # several rows may be of one record
            place = self._places[position]
            if (place.file, place.page) == (file, page):
                if position in sent:
                    wanted[self._cut(place.path, items), ordinals[place.path]] = position
                ordinals[place.path] += 1
        for inner, texts in alike.items():
            changed = {(*sent[position], *inner) for position in texts}
            for path in changed:
                _put(body, path, _more(_at(body, path)))
            rows = self._parsed(file, body, items)
            for path, text in {(*sent[position], *inner): text for position, text in texts.items()}.items():
                _put(body, path, _as(_at(body, path), text))
            for at, position in wanted.items():
                if at in rows and position in texts:
                    read_at = _read_at(_at(body, sent[position]))
                    value = Value(Place(file, page, (*sent[position], *inner)), texts[position], read_at)
                    yield position, Variant(value, self._renumbered(rows[at], position))

    def _cut(self, path: Path, items: Sequence[Any] | None) -> Path:
        """Return the path in a page that has only these items."""
        return path if items is None else (path[0], items.index(path[1]), *path[2:])

    def _parsed(self, file: File, body: Any, items: Sequence[Any] | None) -> Mapping[tuple[Path, int], pa.Table]:
        """Parse these items of a page; nothing if the changed page is refused."""
        page = body if items is None else {"data": [body["data"][n] for n in items], "has_more": False}
        parser = PlacedParser(self._replay.scope, file.window, file.asked.question.query, file.asked.grouped_by)
        try:
            read_page(self._endpoint, parser, msgspec.json.encode(page))
        except (ShapeError, msgspec.DecodeError):
            return {}
        table, ordinals = pa.concat_tables(parser.tables), Counter[str]()
        found: dict[tuple[Path, int], pa.Table] = {}
        for n, place in enumerate(parser.places):
            found[steps_of(place), ordinals[place]] = table.slice(n, 1)
            ordinals[place] += 1
        return found

    def _renumbered(self, row: pa.Table, position: int) -> pa.Table:
        """Return the row with the number that it has among all rows of the day."""
        if "occurrence" not in row.column_names:
            return row
        row = self._stored(row)
        at = row.column_names.index("occurrence")
        return row.set_column(at, row.schema.field(at), self.rows["occurrence"].slice(position, 1))


@dataclass(frozen=True)
class Totals:
    """A total of a table's days, of any of its rows."""

    table: Table
    name: str
    """As ``ledger.restatements`` calls it."""

    def of(self, rows: pa.Table) -> Decimal | None:
        """Return the total of some rows; None without a row that counts."""
        return self._grouped(rows, [0] * rows.num_rows).get(0)

    def moved(self, rows: pa.Table, variants: Sequence[tuple[int, Variant]]) -> Sequence[bool]:
        """Tell which variants of single rows change the total of all rows."""
        if not variants:
            return []
        alone = self._grouped(rows, range(rows.num_rows))
        changed = self._grouped(pa.concat_tables([each.row for _, each in variants]), range(len(variants)))
        rises = [_rise(alone.get(position), changed.get(n)) for n, (position, _) in enumerate(variants)]
        pairs = list(zip(variants, rises, strict=True))
        counted = self._counted(rows, {position: (each.row, rise) for (position, each), rise in pairs if rise})
        return [rise != 0 and position in counted for (position, _), rise in pairs]

    def _counted(self, rows: pa.Table, changes: Mapping[int, tuple[pa.Table, Decimal]]) -> Set[int]:
        """Return which rows that count alone count among all rows, too: some cuts count only where others are missing.

        Changes of rows that all count raise the total by the sum of what each does alone. Others are halved.
        """
        if not changes:
            return set()
        others = rows.take(pa.array([n for n in range(rows.num_rows) if n not in changes], pa.int64()))
        rise = _rise(self.of(rows), self.of(pa.concat_tables([others, *(row for row, _ in changes.values())])))
        if rise == money.total(each for _, each in changes.values()):
            return changes.keys()
        if len(changes) == 1:
            return changes.keys() if rise else set()
        items = [*changes.items()]
        middle = len(items) // 2
        return self._counted(rows, dict(items[:middle])) | self._counted(rows, dict(items[middle:]))

    def _grouped(self, rows: pa.Table, groups: Iterable[int]) -> Mapping[int, Decimal]:
        """Return the total of each group of rows."""
        total, where = "count(*)", "true"
        if (plain := self.table.totals.get(self.name)) and not plain.by:
            total = plain.sql
        elif self.name != ROW_COUNT:
            name, each = next(
                (name, each) for name, each in self.table.totals.items() if each.by and self.name.startswith(f"{name}_")
            )
            total, where = each.sql, f"'{name}_' || coalesce(lower({each.by}), 'unknown') = $total"
        with duckdb.connect(config={"threads": 1}) as database:
            database.register("numbered", rows.append_column("n", pa.array(groups, pa.int64())))
            sql = f"select n, ({total})::decimal(38, 24) from numbered where {where} group by n"
            return dict(database.execute(sql, {"total": self.name} if "$" in where else {}).fetchall())


def _rise(before: Decimal | None, after: Decimal | None) -> Decimal:
    """Return the exact difference; nothing counts as 0."""
    return money.total((after or Decimal(0), (before or Decimal(0)).copy_negate()))


def _read_at(record: Any) -> str:
    if not isinstance(record, dict) or FILE not in record:
        return ""
    return f"{record[FILE]}, row {_number(record[ROW])}"


def steps_of(path: str) -> Path:
    """Return the steps of a path as parsers write it: ``$.data[0].results[5]``, ``$.data[0].models["gpt-5.4"]``."""
    return tuple(
        int(index) if index else json.loads(text) if text else name for name, index, text in _STEP.findall(path)
    )


def _named(step: str) -> str:
    return f".{step}" if re.fullmatch(r"[A-Za-z_]\w*", step) else f"[{json.dumps(step)}]"


def _exact(content: bytes) -> Any:
    """Decode a page whose numbers stay as they are written. Raises msgspec.DecodeError for one that is broken."""
    decoded(content)
    return json.loads(content, parse_float=_raw, parse_int=_raw)


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def _walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield everything in a value, outer things first, with its path."""
    yield path, value
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for step, each in inner:
        yield from _walk(each, (*path, step))


def _has(value: Any, step: str | int) -> bool:
    return (isinstance(value, dict) and step in value) or (
        isinstance(value, list) and isinstance(step, int) and step < len(value)
    )


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _put(value: Any, path: Path, new: Any) -> None:
    _at(value, path[:-1])[path[-1]] = new


def _values(rows: pa.Table, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return zip(*(rows[name].to_pylist() for name in names), strict=True)


def _number(value: Any) -> str | None:
    """Return the text of a number, which may be written as text; None for anything else."""
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    return value if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def _as(before: Any, text: str) -> Any:
    return _raw(text) if isinstance(before, msgspec.Raw) else text


def _more(value: Any) -> Any:
    """Return a larger number, in the same form."""
    return _as(value, str(Decimal(_number(value) or 0) + 1))
