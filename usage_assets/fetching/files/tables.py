"""Rows of a CSV, JSONL or Parquet file, in batches, every value as exact text. A file is refused whole, never in part.

No number becomes a float on the way: CSV and JSON are read as text, and a double of a Parquet file is written as the
shortest text that means the same double, which is how its writer would print it.
"""

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from usage_assets.core.errors import first_line
from usage_assets.fetching.files.location import File, FileError, Location

_BLOCK = 1 << 20
"""Bytes of a text file that are read at once. A row must fit into it."""
_TOO_LONG = f"has more than {_BLOCK:,} bytes: a quote that does not end, or no file of charges"
_ROWS = 20_000
"""Rows of a Parquet or JSONL file that are read at once."""
LARGEST_GROUP = 4_000_000_000
"""Bytes of a row group of a Parquet file when it is unpacked. A few bytes can become all memory."""
_NULLS = ("", "NULL")
_BAD_ROW = re.compile(r"Row #(\d+): (.*)", re.S)
_COUNTED = re.compile(r"Expected (\d+) columns, got (\d+)")


Batch: TypeAlias = tuple[int, Sequence[str], pa.RecordBatch]
"""The row of the first one, the columns, and consecutive rows."""


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of a file."""

    file: File
    first: int
    """The row of the first one: in a CSV file, the header is row 1; in a JSONL file, each line is a row; in a Parquet
    file, the first row is row 1."""
    columns: Sequence[str]
    _batch: pa.RecordBatch

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    def texts(self, name: str) -> list[str | None]:
        """Return the values of a column as text: null if there is no such column."""
        if name not in self.columns:
            return [None] * len(self)
        return _texts(self._batch.column(self.columns.index(name)))

    def taken(self, positions: Sequence[int]) -> list[dict[str, str]]:
        """Return some rows: the values that are not null, by column."""
        taken = self._batch.take(pa.array(positions, pa.int64()))
        columns = [_texts(column) for column in taken.columns]
        return [
            {name: value for name, value in zip(self.columns, row, strict=True) if value is not None}
            for row in zip(*columns, strict=True)
        ]

    def place(self, position: int) -> str:
        return f"{self.file.path}, row {self.first + position}"


def rows_of(location: Location, file: File) -> Iterator[Rows]:
    """Yield all rows of a file. Raises FileError, maybe after some of them."""
    with _refused(file), location.unchanged(file), location.open(file) as opened:
        for row, names, batch in _reader_of(file)(file, opened):
            yield Rows(file, row, names, batch)


def header_of(location: Location, file: File) -> Sequence[str]:
    """Return the columns of a file. Raises FileError."""
    with _refused(file), location.open(file) as opened:
        if file.path.endswith(".parquet"):
            import pyarrow.parquet as pq  # noqa: PLC0415 - as below

            return _distinct(pq.ParquetFile(opened).schema_arrow.names)
        if ".jsonl" in file.name.suffixes:
            return next((names for _, names, _ in _jsonl(file, opened)), ())
        return _header(_bytes(file, opened))[0]


def _reader_of(file: File) -> Callable[[File, pa.NativeFile], Iterator[Batch]]:
    return _parquet if file.path.endswith(".parquet") else _jsonl if ".jsonl" in file.name.suffixes else _csv


@contextmanager
def _refused(file: File) -> Iterator[None]:
    """Raise FileError for everything that can be wrong with the bytes of a file."""
    try:
        yield
    except FileError as error:
        raise FileError(
            str(error) if str(error).startswith(file.path) else f"{file.path}: {error}", waits=error.waits
        ) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileError(f"{file.path}: is no complete gzip file ({error}): export it again", waits=False) from None
    except UnicodeDecodeError:
        raise FileError(f"{file.path}, row 1: is not UTF-8: export it as UTF-8") from None
    except pa.ArrowInvalid as error:
        raise FileError(_in_words(file, str(error))) from None
    except (OSError, pa.ArrowException) as error:
        text = first_line(error)
        raise FileError(f"{file.path}: cannot be read: {text}") from None


def _in_words(file: File, text: str) -> str:
    what = "is no complete Parquet file" if file.path.endswith(".parquet") else "is no CSV file that can be read"
    place, reason = file.path, text.splitlines()[0]
    if found := _BAD_ROW.search(text):
        place, reason = f"{file.path}, row {found[1]}", found[2].splitlines()[0]
        if counted := _COUNTED.search(reason):
            return f"{place}: has {counted[2]} values for {counted[1]} columns: the file is cut off or not quoted"
        if "UTF8" in reason:
            return f"{place}: is not UTF-8: export it as UTF-8"
    return f"{place}: {what} ({reason}): export it again"


def _csv(file: File, opened: pa.NativeFile) -> Iterator[Batch]:
    from pyarrow import csv as arrow_csv  # noqa: PLC0415 - slow to import, and most connections have no files

    stream = _bytes(file, opened)
    names, head = _header(stream)
    # columns are known by position until they are known to be distinct
    reader = arrow_csv.open_csv(
        pa.PythonFile(_Rest(head, stream), mode="r"),
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=_BLOCK),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=list(_NULLS),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    row = 2
    try:
        for batch in reader:
            yield row, names, batch
            row += batch.num_rows
    except pa.ArrowInvalid as error:
        if "straddl" in str(error):
            raise FileError(f"{file.path}, row {row}: {_TOO_LONG}") from None
        raise


def _jsonl(file: File, opened: pa.NativeFile) -> Iterator[Batch]:
    """Read one object a line. What an object does not have is null, and lines without one are skipped."""
    first, found = 0, list[dict[str, str]]()
    for row, line in enumerate(_lines(file, _bytes(file, opened)), 1):
        has_object = bool(line.strip())
        if found and (len(found) == _ROWS or not has_object):  # the rows of a batch are consecutive
            yield _batch(first, found)
            found = []
        if has_object:
            first = first if found else row
            found.append(_object(f"{file.path}, row {row}", line))
    if not first:
        raise FileError("is empty: remove it, or export it again")
    if found:
        yield _batch(first, found)


def _batch(first: int, rows: Sequence[Mapping[str, str]]) -> Batch:
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [pa.array([row.get(name) for row in rows], pa.string()) for name in names]
    return first, names, pa.RecordBatch.from_arrays(columns, names=names)


def _lines(file: File, stream: io.RawIOBase) -> Iterator[bytes]:
    rest, row = b"", 0
    while piece := stream.read(_BLOCK):
        *lines, rest = ((rest + piece) if row else (rest + piece).removeprefix(codecs.BOM_UTF8)).split(b"\n")
        yield from lines
        row += len(lines)
        if len(rest) > _BLOCK:
            raise FileError(f"{file.path}, row {row + 1}: has more than {_BLOCK} bytes: write one object a line")
    yield rest


def _object(place: str, line: bytes) -> dict[str, str]:
    """Return the values of a line that are not null: numbers as they are written, what has several parts as JSON."""
    try:
        found = _JSON.decode(line.decode())
        if isinstance(found, dict):
            texts = {name: _text_of(value) for name, value in found.items() if value is not None}
            if b"\\ud" in line.lower():
                "".join((*texts, *texts.values())).encode()  # half of a character
            return texts
        reason = "it is another value"
    except UnicodeError:
        raise FileError(f"{place}: is not UTF-8: export it as UTF-8") from None
    except FileError as error:
        raise FileError(f"{place}: {error}") from None
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise FileError(f"{place}: is no JSON object ({reason}): write one object a line")


def _text_of(value: Any) -> str:
    return str(value) if isinstance(value, str | Decimal) else _as_json(value).decode()


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _distinct([name for name, _ in pairs])
    return dict(pairs)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


_JSON = json.JSONDecoder(
    object_pairs_hook=_each_once, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_number
)
_as_json = msgspec.json.Encoder(decimal_format="number", order="sorted").encode


def _header(stream: io.RawIOBase) -> tuple[Sequence[str], bytes]:
    """Return the names of the columns, and the bytes that were read for it."""
    head = b""
    while b"\n" not in head and len(head) < _BLOCK and (more := stream.read(1 << 16)):
        head += more
    if not head.strip():
        raise FileError("is empty: remove it, or export it again")
    if b"\n" not in head and len(head) >= _BLOCK:
        raise FileError(f"row 1: {_TOO_LONG}")
    line = head.split(b"\n")[0].decode("utf-8-sig").rstrip("\r")
    try:
        names = next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise FileError(f"row 1: is no header of a CSV file ({error}): export it again") from None
    if len(names) == 1 and (separator := next((s for s in ";\t|" if s in line), None)):
        spelled = {";": "semicolons", "\t": "tabs", "|": "bars"}[separator]
        raise FileError(f"row 1: columns are separated by {spelled}: export it with commas")
    return _distinct(names), head


def _distinct(names: Sequence[str]) -> Sequence[str]:
    if twice := next((name for n, name in enumerate(names) if name in names[:n]), None):
        raise FileError(f"column {twice} is there twice: export each column once")
    return names


class _Checked(io.RawIOBase):
    """The bytes of a text file. Raises FileError for bytes that no text has."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._read = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        piece: bytes = self._source.read(size)
        if self._read == 0 and piece[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise FileError("is UTF-16: export it as UTF-8")
        if b"\0" in piece:
            raise FileError(f"has a NUL byte (byte {self._read + piece.index(0) + 1}): export it again as UTF-8")
        self._read += len(piece)
        return piece


class _Rest(io.RawIOBase):
    """A stream whose first bytes were read before."""

    def __init__(self, head: bytes, stream: io.RawIOBase) -> None:
        self._head, self._stream = head, stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self._head:
            return self._stream.read(size) or b""
        size = len(self._head) if size < 0 else size
        piece, self._head = self._head[:size], self._head[size:]
        return piece


def _bytes(file: File, opened: pa.NativeFile) -> io.RawIOBase:
    return _Checked(gzip.GzipFile(fileobj=opened) if file.path.endswith(".gz") else opened)


def _parquet(_: File, opened: pa.NativeFile) -> Iterator[Batch]:
    import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import, and most connections have no files

    file = pq.ParquetFile(opened)
    names = _distinct(file.schema_arrow.names)
    largest = max((file.metadata.row_group(n).total_byte_size for n in range(file.num_row_groups)), default=0)
    if largest > LARGEST_GROUP:
        most = f"{LARGEST_GROUP / 1e9:g} GB"
        raise FileError(f"has a row group of {largest / 1e9:,.1f} GB when unpacked: write row groups of at most {most}")
    row = 1
    for batch in file.iter_batches(batch_size=_ROWS):
        yield row, names, batch
        row += batch.num_rows


def _texts(column: pa.Array) -> list[str | None]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_nested(kind):
        return [None if value is None else _json(value) for value in column.to_pylist()]
    if pa.types.is_timestamp(kind):
        # without a zone: FOCUS has UTC only
        column = pc.strftime(
            column.cast(pa.timestamp("us", kind.tz or "UTC")).cast(pa.timestamp("us", "UTC")), "%Y-%m-%dT%H:%M:%SZ"
        )
    elif not pa.types.is_string(kind):
        column = column.cast(pa.string())
    texts: list[str | None] = column.to_pylist()
    return [None if text in _NULLS else text for text in texts] if "" in texts or "NULL" in texts else texts


def _json(value: Any) -> str:
    """Return a value of several parts as JSON. A map is an object."""
    if isinstance(value, list) and all(isinstance(each, tuple) for each in value):
        value = dict(value)
    return json.dumps(value, default=str, sort_keys=True, ensure_ascii=False)
