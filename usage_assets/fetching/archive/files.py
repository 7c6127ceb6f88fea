"""The archive's files: what is in one, how it is written, and how small ones are put together.

An answer is a row of JSON texts: what was asked, then each page as it was sent. A file is a list of its answers, in a
frame that Zstandard skips, then the texts, compressed: ``zstdcat FILE | jq .`` shows all of them. Small answers of an
endpoint are much alike, so they are compressed together (26 % of a file for each answer; with a Zstandard dictionary,
30 %). A large one has a file of its own.

A file never changes, and no name is used twice. Small files are put into the next one of their folder, and are removed
when that is on the disk. So no lock is needed: whatever is killed, and whoever writes at the same time, an answer is
in one file or in two.
"""

import hashlib
import io
import os
import re
import secrets
import struct
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path

import msgspec
import pyarrow as pa

from usage_assets.core.days import Window
from usage_assets.core.forgotten import Forgotten
from usage_assets.core.people import Policy
from usage_assets.providers.records import as_json

CODEC = "zstd"
"""Level 1 takes 0.03 s for 100,000 rows of costs (43 MB) and leaves 3 MB; gzip takes 0.16 s and leaves 6 MB."""
UNFINISHED = ".part"
TOGETHER = pa.Codec(CODEC, 6)
"""For small answers: 140 MB/s, and a quarter less than at level 1."""
SMALL = 1 << 15
"""A smaller file is put into the next one: each file costs half a block of the disk, on average."""
SHORT = 1 << 20
"""Bytes of texts from which on a file is not small: answers of mornings in a row are nearly the same, so that a file
of them hardly grows."""
AT_ONCE = 1 << 18
"""Bytes of compressed answers that are put together in one file."""
_NAME = re.compile(
    r"(?P<first>\d{4}-\d\d-\d\d)_(?P<last>\d{4}-\d\d-\d\d)_(?P<stored>\d{8}T\d{6}\.\d{6}Z)_(?P<series>[0-9a-f]{8})"
    r"\.(?P<kind>json|pack)\.zst"
)
"""``json`` names an answer, ``pack`` a file of answers: their first and last day, and when the newest was stored.
Earlier releases wrote each answer into a file of its own."""
_STORED = "%Y%m%dT%H%M%S.%fZ"
_SKIPPED = 0x184D2A50
"""Begins a frame that Zstandard skips."""
_LIST = struct.Struct("<III")
"""What is before a list: that number, the size of the rest of the frame, and the checksum of the list."""


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
class File:
    """One archived answer, whichever file it is in."""

    folder: Path
    window: Window
    stored_at: datetime
    """When its rows were stored: what was stored later is newer."""
    series: str | None
    """None where the list of a file cannot be read: it may have answered any question of its days."""
    path: Path = field(default=Path(), compare=False)
    offset: int = field(default=0, compare=False)
    """Where the answer begins in what the file is uncompressed."""
    length: int | None = field(default=None, compare=False)
    """How long it is there; None where the file holds it alone."""
    size: int = field(default=0, compare=False)
    """Its part of the file on the disk."""

    @property
    def name(self) -> str:
        """What the list of a file calls it."""
        return _name_of(self.window, self.stored_at, f"{self.series}.json.zst")

    @property
    def place(self) -> str:
        """The file, and the answer's first byte, from 1: ``zstdcat FILE | tail -c +BYTE`` shows it."""
        return f"{self.path}:{self.offset + 1}"

    @cached_property
    def asked(self) -> RequestRecord:
        """What was asked. Raises ArchiveError."""
        with self._open() as texts:
            return self._asked(texts)

    def pages(self) -> Iterator[bytes]:
        """The pages, each as it was kept. Raises ArchiveError for the first that is not."""
        with self._open() as texts:
            for page in self._asked(texts).pages:
                content = texts.read(page.bytes + 1)[:-1]
                if PageSum(len(content), zlib.crc32(content)) != page:
                    raise msgspec.DecodeError("a page is not as it was written")
                yield content

    def names(self, forgotten: Forgotten) -> bool:
        """Whether what was asked or answered names somebody who was forgotten. Raises ArchiveError."""
        return any(forgotten.in_json(text) != text for text in (as_json(self.asked).encode(), *self.pages()))

    def _asked(self, texts: io.BufferedIOBase) -> RequestRecord:
        asked = msgspec.json.decode(texts.readline(), type=RequestRecord)
        if asked.question.series != self.series:
            raise msgspec.DecodeError("what was asked is not as it was written")
        return asked

    @contextmanager
    def _open(self) -> Iterator[io.BufferedIOBase]:
        file = self
        try:
            while True:
                try:
                    if file.length is None:
                        with _stream(file.path) as stream:
                            yield io.BufferedReader(stream)
                    else:
                        yield io.BytesIO(_texts_of(file.path)[file.offset :][: file.length])
                    return
                except FileNotFoundError:  # since it was found, another process has put it into another file
                    found = {each: each for each in files_in(self.folder)}
                    if self not in found:
                        raise
                    file = found[self]
        except (OSError, msgspec.DecodeError) as error:
            what = f"{file.path}: cannot be read: {' '.join(str(error).split())}"
            what_to_do = (
                f"fetch {self.window} again, or remove the file and all answers in it: older ones are then used"
            )
            raise ArchiveError(f"{what}; {what_to_do}") from None


def _stream(path: Path) -> pa.NativeFile:
    return pa.CompressedInputStream(pa.OSFile(str(path)), CODEC)


@lru_cache(maxsize=1)
def _texts_of(path: Path) -> bytes:
    """What a file of small answers is uncompressed: they are read one after the other, and no file changes."""
    with _stream(path) as stream:
        return bytes(stream.read())


def _name_of(window: Window, stored_at: datetime, end: str) -> str:
    return f"{window.first}_{window.last}_{stored_at.strftime(_STORED)}_{end}"


def _named(path: Path) -> tuple[File, bool] | None:
    """What a name says, and whether it is that of a file of answers. None for anything else."""
    if not (named := _NAME.fullmatch(path.name)):
        return None
    window = Window(date.fromisoformat(named["first"]), date.fromisoformat(named["last"]))
    file = File(path.parent, window, datetime.fromisoformat(named["stored"]), named["series"], path)
    return file, named["kind"] == "pack"


def files_of(path: Path) -> Sequence[File]:
    """The answers in a file: none in one that is not the archive's. Raises FileNotFoundError."""
    if not (named := _named(path)):
        return ()
    whole, is_pack = named
    size = path.stat().st_size
    if not is_pack:
        return [replace(whole, size=size)]
    try:
        with path.open("rb") as source:
            _, length, checksum = _LIST.unpack(source.read(_LIST.size))
            content = source.read(length - 4)
        if zlib.crc32(content) != checksum:
            return [replace(whole, series=None, size=size)]
        listed = msgspec.json.decode(content, type=list[tuple[str, int]])
    except FileNotFoundError:
        raise
    except (OSError, struct.error, msgspec.DecodeError):
        return [replace(whole, series=None, size=size)]
    answers = [(answer[0], length) for name, length in listed if (answer := _named(path.with_name(name)))]
    if len(answers) == 1:
        return [replace(answers[0][0], path=path, size=size)]
    total, offset, found = sum(length for _, length in answers), 0, []
    for file, length in answers:
        found.append(replace(file, path=path, offset=offset, length=length, size=size * length // total))
        offset += length
    return found


def files_in(folder: Path, days: Collection[date] | None = None) -> Collection[File]:
    """The answers in a folder, each once: all, or those in files that have some of the days.

    Meanwhile, another process may put files together. So the folder is read until it is the same before and after.
    """
    found: dict[File, None] = {}
    before: list[Path] | None = None
    while before != (paths := sorted(folder.glob("*.zst"))):
        before, found = paths, {}
        for path in paths:
            named = _named(path)
            if named and (days is None or any(named[0].window.first <= day <= named[0].window.last for day in days)):
                with suppress(FileNotFoundError):
                    found |= dict.fromkeys(files_of(path))
    return found


def after_all(paths: Iterable[Path], moment: datetime) -> datetime:
    """Return a moment that is later than that of every answer in files: this one, unless the clock was set back."""
    stored = (named[0].stored_at for path in paths if (named := _named(path)))
    return max((moment, *(each + timedelta(microseconds=1) for each in stored)))


def copies_in(archive: Path) -> Iterator[File]:
    """All answers of an archive. One is there twice if a process was killed while it put files together."""
    for path in archive.glob("*/*/*.zst"):
        with suppress(FileNotFoundError):
            yield from files_of(path)


def put(
    folder: Path,
    new: Mapping[File, Sequence[bytes]],
    known: Mapping[File, bytes] | None = None,
    instead_of: Iterable[Path] = (),
) -> None:
    """Write answers into new files, then remove the files that these replace. Raises OSError: nothing has changed then.

    New answers are compressed, known ones are the texts themselves.
    """
    drafts: list[Path] = []
    try:
        for texts, content in _new_files(new, known or {}):
            listed = msgspec.json.encode([(file.name, length) for file, length in texts.items()])
            days = [day for file in texts for day in (file.window.first, file.window.last)]
            newest = max(file.stored_at for file in texts)
            name = _name_of(Window(min(days), max(days)), newest, f"{secrets.token_hex(4)}.pack.zst")
            drafts.append(folder / f"{name}{UNFINISHED}")
            with drafts[-1].open("xb") as target:
                target.write(_LIST.pack(_SKIPPED, len(listed) + 4, zlib.crc32(listed)))
                target.write(listed)
                target.writelines(content)
                target.flush()
                os.fsync(target.fileno())  # names follow their order by themselves, but not bytes
        for draft in drafts:
            draft.replace(draft.with_suffix(""))
    except OSError:
        for draft in drafts:
            with suppress(OSError):
                draft.unlink()
        raise
    for path in instead_of:
        path.unlink(missing_ok=True)


def _new_files(
    new: Mapping[File, Sequence[bytes]], known: Mapping[File, bytes]
) -> Iterator[tuple[Mapping[File, int], Sequence[bytes]]]:
    """Yield what each file gets: its answers with the length of their texts, and the bytes."""
    together, taken = {**known}, 0
    for file, content in new.items():
        size = sum(map(len, content))
        if size >= SMALL:
            yield {file: 0}, content
            continue
        together[file] = pa.CompressedInputStream(pa.BufferReader(b"".join(content)), CODEC).read()
        taken += size
        if taken >= AT_ONCE:
            yield _compressed(together)
            together, taken = {}, 0
    if together:
        yield _compressed(together)


def _compressed(answers: Mapping[File, bytes]) -> tuple[Mapping[File, int], Sequence[bytes]]:
    lengths = {file: len(texts) for file, texts in answers.items()}
    return lengths, [TOGETHER.compress(b"".join(answers.values()), asbytes=True)]


def small_files(paths: Iterable[Path]) -> Mapping[Path, Mapping[File, bytes]]:
    """The small ones of a folder's files with their answers. Those that cannot be read stay alone."""
    found: dict[Path, Mapping[File, bytes]] = {}
    taken = 0
    for path in paths:
        with suppress(OSError):
            files, size = files_of(path), path.stat().st_size
            is_small = size < SMALL and sum(file.length or 0 for file in files) < SHORT
            if files and all(file.series for file in files) and is_small and taken < AT_ONCE:
                found[path] = _texts_in(path, files)
                taken += size
    return found


def remove(answers: Iterable[File]) -> None:
    """Remove answers, given the oldest first: with their files, or from them. Raises OSError."""
    gone: dict[Path, list[File]] = {}
    for file in answers:  # a file comes as late as its last answer: no older answer of a day is left when that is gone
        gone[file.path] = [*gone.pop(file.path, ()), file]
    for path, own in gone.items():
        kept: Mapping[File, bytes] = {}
        with suppress(FileNotFoundError):  # another process has just removed it, too
            if left := [file for file in files_of(path) if file not in own]:
                try:
                    kept = _texts_in(path, left)
                except OSError:  # damaged, or put into another file: it stays as it is
                    continue
        put(path.parent, {}, kept, [path])


def _texts_in(path: Path, files: Iterable[File]) -> Mapping[File, bytes]:
    texts = _texts_of(path)
    return {file: texts[file.offset :][: file.length] for file in files}
