"""Which files belong together, which days they are said to be about, and whether all of them are there.

A manifest lists the files of a set (AWS Data Exports: ``dataFiles``; Azure exports: ``blobs``). Without one, files that
are numbered (``...-00001.csv.gz``, ``...-00002.csv.gz``) are a set, and any other file is one by itself.

A manifest is delivered after all of its files, and says which of them to read: a newer one is of a delivery under way,
an older part that it does not list was left by a delivery that had more. Sources: AWS Data Exports user guide
(export delivery), Azure Cost Management's export manifests.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import msgspec

from usage_assets.core.bills import ListedSet
from usage_assets.core.days import DAY, Window, end_of_month
from usage_assets.fetching.files.location import MANIFEST, TABLES, File, FileError, Location

UNDER_WAY = timedelta(hours=24)
"""How long a delivery may take."""
_PERIOD = re.compile(r"(?i:BILLING_PERIOD)=(?P<month>\d{4}-\d{2})|(?P<first>\d{8})-(?P<last>\d{8})")
"""The folder of a period: AWS, Azure."""
_NUMBERED = re.compile(r"(?P<stem>.*[-_])(?P<number>0\d{3,})(?P<rest>\.[a-z.]+)")
"""The name of a part. A number that does not begin with 0 is a date."""


class _Blob(msgspec.Struct, rename="camel"):
    """A file in Azure's manifest."""

    blob_name: str
    byte_count: int | None = None


class _Run(msgspec.Struct, rename="camel"):
    """The run that wrote Azure's manifest."""

    submitted_time: str = ""


class _Manifest(msgspec.Struct, rename="camel"):
    """What is read of a manifest."""

    data_files: list[str] | None = None
    blobs: list[_Blob] | None = None
    run_info: _Run = msgspec.field(default_factory=_Run)

    @property
    def listed(self) -> list[_Blob]:
        return self.blobs if self.blobs is not None else [_Blob(name) for name in self.data_files or ()]


@dataclass(frozen=True)
class FileSet:
    """Files that are one answer."""

    name: str
    files: Sequence[File]
    period: Window | None = None
    """The days that it is said to be about. None: only its rows tell."""
    missing: str | None = None
    """Why it is not complete."""
    is_broken: bool = False
    """Whether waiting does not help: its manifest cannot be read."""
    manifest: File | None = None
    left: Sequence[File] = ()
    """Older files beside it that its manifest does not list."""

    @property
    def waiting(self) -> str:
        """What is wrong, and what to do."""
        return f"{self.missing}: {'write it again' if self.is_broken else 'wait for the rest of the delivery'}"

    def may_say(self, first: date) -> bool:
        """Whether it may have charges of a day or of later ones. A month that ends in another time zone (Google's:
        Pacific) has hours of the next UTC day."""
        return self.period is None or first <= self.period.last + DAY

    def holds_up(self, day: date, beside: Collection[date] = ()) -> bool:
        """Whether a day waits for it: those of its period, and before, which the rest of a delivery may correct.

        So does the month after its period if that begins with a day of ``beside``, which is stored with charges of it:
        each month is stored whole.
        """
        if self.period is None:
            return True
        following = self.period.last + DAY
        if day >= following:
            return following in beside and day <= end_of_month(following)
        return not (self.is_broken and day < self.period.first)

    def listed(self, location: Location) -> ListedSet:
        """Return it as the ledger knows it: by a name that stays, and by a digest of its files."""
        files = [*self.files, *([self.manifest] if self.manifest else [])]
        lines = sorted(f"{location.below(each)} {each.size} {each.changed_at.isoformat()}" for each in files)
        first = self.manifest or self.files[0]
        return ListedSet(
            name=self._lasting(location.below(first)),
            files=hashlib.sha256("\n".join(lines).encode()).hexdigest(),
            manifest=location.below(self.manifest) if self.manifest else None,
            period=self.period,
            missing=self.missing,
        )

    def _lasting(self, path: str) -> str:
        """Return a path without what each delivery calls otherwise: the folder of a run, the number of a part."""
        *folders, name = path.split("/")
        if self.manifest:
            at = next((n for n, part in enumerate(folders) if _PERIOD.fullmatch(part)), len(folders))
            return "/".join([*folders[: at + 1], name])
        numbered = _NUMBERED.fullmatch(name)
        return "/".join([*folders, f"{numbered['stem']}*{numbered['rest']}" if numbered else name])


def sets_of(location: Location) -> list[FileSet]:
    """Return the sets of a location. Raises FileError."""
    found = location.found()
    tables = [file for file in found if file.path.endswith(TABLES)]
    newest, listed, older, announced = _with_manifest(location, found, tables)
    rest: list[File] = []
    for file in tables:
        if file in listed or file in older:
            continue
        beside = [n for n, each in enumerate(newest) if _beside(file, each)]
        if beside:
            n = next((n for n in beside if _is_part(file, newest[n])), beside[0])
            newest[n] = _with_unlisted(newest[n], file)
        elif (_prefix(file), _period_of(file.path)) not in announced or _period_of(file.path) is None:
            rest.append(file)  # others are of a delivery that no manifest announces yet
    return [*newest, *_without_manifest(rest)]


def _with_manifest(
    location: Location, found: Sequence[File], tables: Sequence[File]
) -> tuple[list[FileSet], set[File], set[File], set[tuple[str, Window | None]]]:
    """Return the newest set of each period, the files that these list, the files that only older ones list, and the
    exports and periods that have a manifest."""
    deliveries: defaultdict[tuple[str, str, Window | None], list[tuple[tuple[str, datetime, str], FileSet]]]
    deliveries = defaultdict(list)
    for file in found:
        if MANIFEST.search(file.path):
            submitted, delivered = _delivery(location, file, tables)
            age = (submitted, file.changed_at, file.path)
            deliveries[_prefix(file), file.name.name, delivered.period].append((age, delivered))
    newest, older = [], set[File]()
    for of_period in deliveries.values():
        are_stated = all(submitted for (submitted, *_), _ in of_period)
        *before, (_, last) = sorted(of_period, key=lambda each: each[0] if are_stated else ("", *each[0][1:]))
        newest.append(last)
        older |= {file for _, each in before for file in each.files}
    listed = {file for each in newest for file in each.files}
    return newest, listed, older - listed, {(prefix, period) for prefix, _, period in deliveries}


def _delivery(location: Location, file: File, tables: Sequence[File]) -> tuple[str, FileSet]:
    """Return when the set of a manifest was submitted, where that is stated, and the set. Raises FileError."""
    try:
        with location.open(file) as opened:
            manifest = msgspec.json.decode(opened.read(), type=_Manifest)
        wrong = None if manifest.listed else "lists no files (dataFiles or blobs)"
    except (OSError, msgspec.DecodeError) as error:
        manifest, wrong = _Manifest(), f"is no manifest that can be read: {error}"
    files, missing = _listed(manifest, file, tables)
    period = _period_of(file.path) or next((_period_of(each.path) for each in files), None)
    name = file.path if period else str(file.name.parent)
    if wrong:
        return "", FileSet(name, files, period, f"{file.path}: {wrong}", is_broken=True, manifest=file)
    states_sizes = all(each.byte_count is not None for each in manifest.listed)
    missing = missing or (None if states_sizes else _under_way(file, files))
    return manifest.run_info.submitted_time, FileSet(name, files, period, missing, manifest=file)


def _listed(manifest: _Manifest, file: File, tables: Sequence[File]) -> tuple[list[File], str | None]:
    """Return the files that a manifest lists, and which of them is missing."""
    files: list[File] = []
    missing: list[str] = []
    for blob in manifest.listed:
        parts = blob.blob_name.partition("://")[2].split("/") if "://" in blob.blob_name else blob.blob_name.split("/")
        fits = [each for each in tables if each.name.parts[-2:] == tuple(parts[-2:])]
        fits = fits or [each for each in tables if each.name == file.name.with_name(parts[-1])]
        fits.sort(key=lambda each: _alike(each.name.parts, parts))
        if not fits:
            missing.append(f"{parts[-1]} is missing, which {file.path} lists")
            continue
        files.append(fits[-1])
        if blob.byte_count is not None and fits[-1].size != blob.byte_count:
            size = fits[-1].size
            missing.append(f"{fits[-1].path} has {size} bytes and not the {blob.byte_count} of {file.path}")
    return files, missing[0] if missing else None


def _under_way(manifest: File, files: Iterable[File]) -> str | None:
    """Say which of the files is of a delivery that is under way.

    Copies may have any times, so one that is under way for longer than UNDER_WAY is none.
    """
    newest = max(files, key=lambda each: each.changed_at, default=manifest)
    if newest.changed_at <= manifest.changed_at or datetime.now(UTC) - newest.changed_at > UNDER_WAY:
        return None
    return f"{newest.path} is newer than {manifest.path} (if you copied the files, copy the manifest last)"


def _with_unlisted(delivered: FileSet, file: File) -> FileSet:
    """Add a file beside a set that its manifest does not list: left by an earlier delivery, or a reason to wait."""
    if _is_part(file, delivered) and delivered.manifest and file.changed_at <= delivered.manifest.changed_at:
        return replace(delivered, left=[*delivered.left, file])
    return replace(delivered, missing=delivered.missing or f"{file.path} is not in the manifest of its folder")


def _is_part(file: File, delivered: FileSet) -> bool:
    """Whether it is called as a part of the set, but for its number."""
    named = _NUMBERED.fullmatch(file.name.name)
    parts = (_NUMBERED.fullmatch(each.name.name) for each in delivered.files if each.name.parent == file.name.parent)
    return named is not None and any(
        part is not None and (part["stem"], part["rest"]) == (named["stem"], named["rest"]) for part in parts
    )


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many of the last parts of two paths are equal."""
    equal = 0
    for mine, theirs in zip(reversed(one), reversed(other), strict=False):
        if mine != theirs:
            break
        equal += 1
    return equal


def _without_manifest(files: Iterable[File]) -> Iterator[FileSet]:
    numbered: defaultdict[tuple[str, str, str], dict[int, File]] = defaultdict(dict)
    for file in files:
        if parts := _NUMBERED.fullmatch(file.name.name):
            numbered[str(file.name.parent), parts["stem"], parts["rest"]][int(parts["number"])] = file
        else:
            yield FileSet(file.path, [file], _period_of(file.path))
    for parts_of in numbered.values():
        first = 0 if 0 in parts_of else 1
        absent = next((n for n in range(first, max(parts_of)) if n not in parts_of), None)
        some = parts_of[max(parts_of)]
        missing = None if absent is None else f"part {absent} is missing beside {some.path}"
        yield FileSet(some.path, [parts_of[n] for n in sorted(parts_of)], _period_of(some.path), missing)


def _beside(file: File, delivered: FileSet) -> bool:
    return any(file.name.parent == each.name.parent for each in delivered.files)


def _period_of(path: str) -> Window | None:
    """Return the period that a folder of the path names. Raises FileError for one that does not exist."""
    for part in path.split("/"):
        if stated := _PERIOD.fullmatch(part):
            try:
                if month := stated["month"]:
                    first = date.fromisoformat(f"{month}-01")
                    return Window(first, end_of_month(first))
                return Window(*(date.fromisoformat(stated[name]) for name in ("first", "last")))
            except ValueError:
                raise FileError(f"{path}: the folder {part} names no days that exist: rename it") from None
    return None


def _prefix(file: File) -> str:
    """Return what stands before the period in a path: one export, however often it was delivered.

    AWS writes data and manifests into folders of these names.
    """
    parts = file.path.split("/")
    at = next((n for n, part in enumerate(parts) if _PERIOD.fullmatch(part)), None)
    if at is None:
        return str(file.name.parent)
    return "/".join(parts[: at - 1] if parts[at - 1] in ("data", "metadata") else parts[:at])
