"""The archive: the bodies that days were stored from, as files. What is kept of the people in them: bodies.py.

A file is a Zstandard stream of JSON texts, one after the other: what was asked, then each page of the answer as it was
sent (``zstdcat FILE | jq .``). Files are written when their rows are stored, never before and never for another answer.
"""

import hashlib
import io
import logging
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Self

import msgspec
import pyarrow as pa

from usage_assets.core.days import Window
from usage_assets.core.forgotten import Forgotten
from usage_assets.core.people import People, Policy
from usage_assets.fetching.bodies import kept_of
from usage_assets.fetching.scope import Scope
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.records import as_json

logger = logging.getLogger(__name__)

_CODEC = "zstd"
"""Level 1 takes 0.03 s for 100,000 rows of costs (43 MB) and leaves 3 MB; gzip takes 0.16 s and leaves 6 MB."""
_NAME = re.compile(
    r"(?P<first>\d{4}-\d\d-\d\d)_(?P<last>\d{4}-\d\d-\d\d)_(?P<stored>\d{8}T\d{6}\.\d{6}Z)_(?P<series>[0-9a-f]{8})"
    r"\.json\.zst"
)
_STORED = "%Y%m%dT%H%M%S.%fZ"
_UNFINISHED = ".part"
_ONE_DAY = timedelta(days=1)
_PRUNED_PER = 50
"""After this part of the size limit has been written, the limits are checked again."""


class ArchiveError(Exception):
    """A file that cannot be read: which, why and what to do, in one line."""


class PageSum(msgspec.Struct, frozen=True):
    """What one page in a file must be."""

    bytes: int
    crc32: int


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """The request, without its days."""

    connection: str
    endpoint: str
    path: str
    query: Mapping[str, str]
    """Which variant of the question it is, where there are several."""
    headers: Mapping[str, str]
    """Whose usage is requested, where the connection says: an organization, a project."""
    filters: Mapping[str, Sequence[str]]
    """What the answer is narrowed down to."""
    is_grouped: bool
    """Whether dimensions are requested: control totals have none."""

    @property
    def series(self) -> str:
        """Names the answers, within connection and endpoint."""
        what = (self.path, self.query, self.headers, self.filters, self.is_grouped)
        return hashlib.sha256(as_json(what).encode()).hexdigest()[:8]


def question_of(endpoint: Endpoint, query: Mapping[str, str], scope: Scope) -> Question:
    names = {name: name.removesuffix("[]") for name in endpoint.filters}
    return Question(
        connection=scope.connection,
        endpoint=endpoint.name,
        path=endpoint.path_in(scope.ids),
        query=query,
        headers=scope.headers,
        filters={name: scope.filters[given] for name, given in names.items() if given in scope.filters},
        is_grouped=bool(endpoint.group_by),
    )


class RequestRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The first text of a file: what was asked, and what is to be known of the pages that follow."""

    question: Question
    params: Sequence[tuple[str, str]]
    """As they were sent, without page tokens."""
    grouped_by: tuple[str, ...]
    """The dimensions that were granted."""
    first: date
    last: date
    people: Policy
    fetched_at: datetime
    pages: tuple[PageSum, ...] = ()


@dataclass(frozen=True)
class Body:
    """A page as it is kept."""

    sum: PageSum
    packed: bytes


@dataclass(frozen=True)
class ArchivedResponse:
    """The complete answer to one window, as it is kept."""

    asked: RequestRecord
    bodies: Sequence[Body]


ArchivePage = Callable[[Endpoint, People, bytes], Body]
"""Makes of a page what is kept of it, before anyone knows whether it becomes rows."""


def packed(endpoint: Endpoint, people: People, content: bytes) -> Body:
    """A page as it is kept: what the policy leaves of the people, compressed."""
    return _packed(kept_of(endpoint, people, content))


def _packed(pieces: Iterable[bytes]) -> Body:
    size, checksum, sink = 0, 0, pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, _CODEC) as stream:
        for piece in pieces:
            size, checksum = size + len(piece), zlib.crc32(piece, checksum)
            stream.write(piece)
        stream.write(b"\n")
    return Body(PageSum(size, checksum), sink.getvalue().to_pybytes())


@dataclass(frozen=True)
class File:
    """One archived answer."""

    path: Path
    window: Window
    stored_at: datetime
    """When its rows were stored: what was stored later is newer."""
    series: str

    @classmethod
    def at(cls, path: Path) -> Self | None:
        """The file that a path names; None for anything else."""
        if not (named := _NAME.fullmatch(path.name)):
            return None
        window = Window(date.fromisoformat(named["first"]), date.fromisoformat(named["last"]))
        return cls(path, window, datetime.strptime(named["stored"], _STORED).replace(tzinfo=UTC), named["series"])

    @cached_property
    def asked(self) -> RequestRecord:
        """What was asked. Raises ArchiveError."""
        with self._open() as texts:
            asked = _asked(texts)
            if asked.question.series != self.series:
                raise msgspec.DecodeError("what was asked is not as it was written")
            return asked

    def pages(self) -> Iterator[bytes]:
        """The pages, each as it was kept. Raises ArchiveError for the first that is not."""
        with self._open() as texts:
            for page in _asked(texts).pages:
                content = texts.read(page.bytes + 1)[:-1]
                if PageSum(len(content), zlib.crc32(content)) != page:
                    raise msgspec.DecodeError("a page is not as it was written")
                yield content

    def names(self, forgotten: Forgotten) -> bool:
        """Whether what was asked or answered names somebody who was forgotten. Raises ArchiveError."""
        return any(forgotten.in_json(text) != text for text in (as_json(self.asked).encode(), *self.pages()))

    @contextmanager
    def _open(self) -> Iterator[io.BufferedReader]:
        try:
            with pa.CompressedInputStream(pa.OSFile(str(self.path)), _CODEC) as stream:
                yield io.BufferedReader(stream)
        except (OSError, msgspec.DecodeError) as error:
            what_to_do = "remove it, and an older answer is used where there is one"
            raise ArchiveError(f"{self.path}: cannot be read: {error}; {what_to_do}") from None


def _asked(texts: io.BufferedReader) -> RequestRecord:
    return msgspec.json.decode(texts.readline(), type=RequestRecord)


def newest(files: Iterable[File], days: Iterable[date] | None = None) -> dict[File, list[date]]:
    """The files, of one series, whose answers are the newest: which days each answers for. All days, or some."""
    wanted = None if days is None else set(days)
    taken: set[date] = set()
    found: dict[File, list[date]] = {}
    for file in sorted(files, key=lambda file: file.stored_at, reverse=True):
        if own := [day for day in file.window.days if day not in taken and (wanted is None or day in wanted)]:
            found[file] = own
            taken.update(own)
    return found


def answers_before(folder: Path, first: date) -> list[Path]:
    """The files below an archive's folder whose days are all before one."""
    found = map(File.at, folder.glob("*/*/*"))
    return sorted(file.path for file in found if file and file.window.last < first)


def answers_with(folder: Path, forgotten: Forgotten) -> list[Path]:
    """The files below an archive's folder that name forgotten people, and unfinished ones. Raises ArchiveError."""
    found = [path for path in folder.glob("*/*/*") if (file := File.at(path)) and file.names(forgotten)]
    return sorted((*found, *folder.glob(f"*/*/*{_UNFINISHED}")))


def forget_in(path: Path, forgotten: Forgotten) -> None:
    """Rewrite an answer without forgotten people, or remove it where it is about them alone.

    Raises ArchiveError. What is read from it is then what the provider's answer would be read as.
    """
    file = File.at(path)
    if not file or forgotten.in_json(as_json(file.asked).encode()) != as_json(file.asked).encode():
        path.unlink(missing_ok=True)
        return
    unfinished = path.with_name(f"{path.name}{_UNFINISHED}")
    bodies = [_packed([forgotten.in_json(page)]) for page in file.pages()]
    _write(ArchivedResponse(file.asked, bodies), unfinished)
    unfinished.replace(path)


class Archive:
    """A folder of files: ``<connection>/<endpoint>/<first day>_<last day>_<stored at>_<series>.json.zst``.

    It holds copies. What cannot be written is said in one line and is no error.
    """

    def __init__(self, folder: Path, *, max_megabytes: int, max_days: int) -> None:
        self.folder = folder
        self._max_bytes = max_megabytes * 1_000_000
        self._max_age = timedelta(days=max_days)
        self._bytes_until_pruned = 0

    def files(self, question: Question) -> list[File]:
        found = map(File.at, (self.folder / question.connection / question.endpoint).glob("*"))
        return [file for file in found if file and file.series == question.series]

    def lacks(self, answers: Iterable[ArchivedResponse], days: Iterable[date]) -> set[date]:
        """The days on which one of the questions that were answered has no archived answer."""
        asked = {answer.asked.question.series: answer.asked.question for answer in answers}
        wanted = set(days)
        return {
            day
            for question in asked.values()
            for day in wanted.difference(*(file.window.days for file in self.files(question)))
        }

    def write(self, answers: Sequence[ArchivedResponse]) -> None:
        """Keep the answers whose rows have just been stored, all or none, and what the limits allow of the others."""
        stored_at = datetime.now(UTC)
        unfinished: list[Path] = []
        try:
            for response in answers:
                unfinished.append(self._new_path(response.asked, stored_at))
                self._bytes_until_pruned -= _write(response, unfinished[-1])
            for path in unfinished:
                path.replace(path.with_suffix(""))
            if self._bytes_until_pruned < 0:
                self._prune(stored_at)
                self._bytes_until_pruned = self._max_bytes // _PRUNED_PER
        except OSError as error:
            for path in unfinished:
                with suppress(OSError):
                    path.unlink()
            questions = [response.asked.question for response in answers]
            names = sorted({f"{question.connection} {question.endpoint}" for question in questions})
            logger.warning(
                "The archive is not complete, but the days of %s are stored: %s: %s (USAGE_ARCHIVE)",
                ", ".join(names),
                error.filename or self.folder,
                error.strerror or error,
            )

    def _new_path(self, asked: RequestRecord, stored_at: datetime) -> Path:
        """Where a file is written until all of them are."""
        folder = self.folder / asked.question.connection / asked.question.endpoint
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{asked.first}_{asked.last}_{stored_at.strftime(_STORED)}_{asked.question.series}.json.zst"
        return folder / f"{name}{_UNFINISHED}"

    def _prune(self, now: datetime) -> None:
        """Remove what is too old or too much, oldest first: answers that newer ones have replaced before others."""
        for path in self.folder.glob(f"*/*/*{_UNFINISHED}"):
            if datetime.fromtimestamp(path.stat().st_mtime, UTC) < now - _ONE_DAY:
                path.unlink(missing_ok=True)
        files = sorted(filter(None, map(File.at, self.folder.glob("*/*/*"))), key=lambda file: file.stored_at)
        alone = _newest_of_all(files)
        replaced = [file for file in files if file not in alone]
        sizes = {file: _size(file.path) for file in files}
        excess = sum(sizes.values()) - self._max_bytes
        lost: set[date] = set()
        for file in (*replaced, *(file for file in files if file in alone)):
            if excess <= 0 and (file in alone or file.stored_at >= now - self._max_age):
                continue
            file.path.unlink(missing_ok=True)
            excess -= sizes[file]
            lost.update(alone.get(file, ()))
        if lost:
            logger.warning(
                "The archive is too small: the only answers for days from %s to %s are removed; raise "
                "USAGE_ARCHIVE_MAX_MB to keep such days",
                min(lost),
                max(lost),
            )


def _write(response: ArchivedResponse, path: Path) -> int:
    """Write the answer to a new file; returns its size."""
    asked = msgspec.structs.replace(response.asked, pages=tuple(body.sum for body in response.bodies))
    with path.open("wb") as file:
        file.write(pa.Codec(_CODEC).compress(msgspec.json.encode(asked) + b"\n", asbytes=True))
        file.writelines(body.packed for body in response.bodies)
        return file.tell()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # another run has just removed it
        return 0


def _newest_of_all(files: Iterable[File]) -> dict[File, list[date]]:
    """What is the newest of its days, in each series."""
    series: defaultdict[tuple[Path, str], list[File]] = defaultdict(list)
    for file in files:
        series[file.path.parent, file.series].append(file)
    return {file: days for group in series.values() for file, days in newest(group).items()}
