"""The archive: the bodies that days were stored from. bodies.py says what is kept of the people in them.

Answers are written when their rows are stored, never before and never for another answer.
"""

import logging
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa

from usage_assets.core.days import Window
from usage_assets.core.forgotten import Forgotten
from usage_assets.core.people import People
from usage_assets.fetching.archive.files import (
    CODEC,
    UNFINISHED,
    ArchiveError,
    File,
    PageSum,
    Question,
    RequestRecord,
    after_all,
    copies_in,
    files_in,
    files_of,
    put,
    remove,
    small_files,
)
from usage_assets.fetching.bodies import kept_of
from usage_assets.fetching.scope import Scope
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.records import as_json

logger = logging.getLogger(__name__)

_ONE_DAY = timedelta(days=1)
_PRUNED_PER = 50
"""After this part of the size limit has been written, the limits are checked again."""


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

    @property
    def window(self) -> Window:
        """The days that it answers for."""
        return Window(self.asked.first, self.asked.last)


ArchivePage = Callable[[Endpoint, People, bytes], Body]
"""Makes of a page what is kept of it, before anyone knows whether it becomes rows."""


def packed(endpoint: Endpoint, people: People, content: bytes) -> Body:
    """A page as it is kept: what the policy leaves of the people, compressed."""
    return _packed(kept_of(endpoint, people, content))


def _packed(pieces: Iterable[bytes]) -> Body:
    size, checksum, sink = 0, 0, pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, CODEC) as stream:
        for piece in pieces:
            size, checksum = size + len(piece), zlib.crc32(piece, checksum)
            stream.write(piece)
        stream.write(b"\n")
    return Body(PageSum(size, checksum), sink.getvalue().to_pybytes())


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


def answers_before(folder: Path, first: date) -> Sequence[File]:
    """The answers in an archive's folder whose days are all before one, the oldest first."""
    found = [file for file in copies_in(folder) if file.window.last < first]
    return sorted(found, key=lambda file: file.stored_at)


def answers_with(folder: Path, forgotten: Forgotten) -> list[Path]:
    """The files in an archive's folder that name forgotten people, and unfinished ones. Raises ArchiveError."""
    paths = folder.glob("*/*/*.zst")
    found = [path for path in paths if any(file.names(forgotten) for file in files_of(path))]
    return sorted((*found, *folder.glob(f"*/*/*{UNFINISHED}")))


def forget_in(path: Path, forgotten: Forgotten) -> None:
    """Write the answers of a file without forgotten people, and leave out those that are about them alone.

    Raises ArchiveError. What is read from it is then what the provider's answer would be read as.
    """
    kept: dict[File, Sequence[bytes]] = {}
    try:
        for file in files_of(path):
            asked = as_json(file.asked).encode()
            if forgotten.in_json(asked) == asked:
                bodies = [_packed([forgotten.in_json(page)]) for page in file.pages()]
                kept[file] = _content_of(ArchivedResponse(file.asked, bodies))
    except FileNotFoundError:
        raise ArchiveError(f"{path}: a run has put it into another file: run this again") from None
    put(path.parent, kept, instead_of=[path])


class Archive:
    """A folder of files: ``<connection>/<endpoint>/<first day>_<last day>_<stored at>_<number>.pack.zst``.

    It holds copies. What cannot be written is said in one line and is no error.
    """

    def __init__(self, folder: Path, *, max_megabytes: int, max_days: int) -> None:
        self.folder = folder
        self._max_bytes = max_megabytes * 1_000_000
        self._max_age = timedelta(days=max_days)
        self._bytes_until_pruned = 0

    def files(self, question: Question, days: Sequence[date] | None = None) -> list[File]:
        """The answers to a question: all, or at least those for some days. One that cannot be read may be another's."""
        found = files_in(self.folder / question.connection / question.endpoint, days)
        return [file for file in found if file.series in (question.series, None)]

    def write(self, answers: Sequence[ArchivedResponse]) -> None:
        """Keep the answers of an endpoint whose rows have just been stored, all or none.

        Of the others, what the limits allow stays.
        """
        question = answers[0].asked.question
        folder = self.folder / question.connection / question.endpoint
        now = datetime.now(UTC)
        new: dict[File, Sequence[bytes]] = {}
        try:
            paths = sorted(folder.glob("*.zst"))  # oldest days first
            stored_at = after_all(paths, now)
            for response in answers:
                new[File(folder, response.window, stored_at, response.asked.question.series)] = _content_of(response)
            folder.mkdir(parents=True, exist_ok=True)
            small = small_files(paths)
            together = {file: content for each in small.values() for file, content in each.items()}
            put(folder, new, together, small)
            self._bytes_until_pruned -= sum(len(piece) for content in new.values() for piece in content)
            if self._bytes_until_pruned < 0:
                self._prune(now)
                self._bytes_until_pruned = self._max_bytes // _PRUNED_PER
        except OSError as error:
            logger.warning(
                "The archive is not complete, but the days of %s are stored: %s: %s (USAGE_ARCHIVE)",
                f"{question.connection} {question.endpoint}",
                error.filename or self.folder,
                error.strerror or error,
            )

    def _prune(self, now: datetime) -> None:
        """Remove what is there twice, too old or too much, oldest first: first what newer answers have replaced."""
        for path in self.folder.glob(f"*/*/*{UNFINISHED}"):
            if datetime.fromtimestamp(path.stat().st_mtime, UTC) < now - _ONE_DAY:
                path.unlink(missing_ok=True)
        copies = sorted(copies_in(self.folder), key=lambda file: (file.stored_at, file.path))
        once: dict[File, None] = {}
        gone: list[File] = []
        for file in copies:
            if file in once:
                gone.append(file)
            once.setdefault(file)
        alone = _newest_of_all(once)
        replaced = [file for file in once if file not in alone]
        excess = sum(file.size for file in once) - self._max_bytes
        lost: set[date] = set()
        for file in (*replaced, *(file for file in once if file in alone)):
            if excess <= 0 and (file in alone or file.stored_at >= now - self._max_age):
                continue
            gone.append(file)
            excess -= file.size
            lost.update(alone.get(file, ()))
        remove(gone)
        if lost:
            logger.warning(
                "The archive is too small: the only answers for days from %s to %s are removed; raise "
                "USAGE_ARCHIVE_MAX_MB to keep such days",
                min(lost),
                max(lost),
            )


def _content_of(response: ArchivedResponse) -> Sequence[bytes]:
    """An answer as it is in a file."""
    asked = msgspec.structs.replace(response.asked, pages=tuple(body.sum for body in response.bodies))
    first = pa.Codec(CODEC).compress(msgspec.json.encode(asked) + b"\n", asbytes=True)
    return [first, *(body.packed for body in response.bodies)]


def _newest_of_all(files: Iterable[File]) -> dict[File, list[date]]:
    """What is the newest of its days, in each series."""
    series: defaultdict[tuple[Path, str | None], list[File]] = defaultdict(list)
    for file in files:
        series[file.folder, file.series].append(file)
    return {file: days for group in series.values() for file, days in newest(group).items()}
