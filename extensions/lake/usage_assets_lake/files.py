"""The files of a lake, and a digest of each: what its bytes were when it was added.

A file of a lake never changes. Its digest is in a table of ours beside DuckLake's own in the catalog, so a dump of the
catalog has it, too. In a folder, it is taken before the next commit to the lake can begin (``noting``). Files of an
object store would have to be downloaded for that: they get theirs, like files of an earlier release and those of a
process that was killed after its commit, when the nightly comparison has found their rows right (``note``).

A file that holds other bytes is set aside: in the catalog, its name gets an end that no file has. So whatever needs it,
a query, a push, a statement, fails as if the file was lost, until it is restored or repaired.

SHA-256, because Python and DuckDB both have it: 40 MB take 0.04 CPU s, and to write them 0.8.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    import psycopg  # which files of DuckDB do not need

    Session = psycopg.Connection[Any]

DIGESTS = """
create table if not exists usage_assets_digest (
  file_id bigint primary key,
  sha256 text not null
)
"""
FILES = """
select
  data_file_id as file_id,
  data_file_id,
  false as is_of_deletions,
  table_id,
  path,
  path_is_relative,
  file_size_bytes as size
from ducklake_data_file
where end_snapshot is null and data_file_id >= %(since)s
union all
select delete_file_id, data_file_id, true, table_id, path, path_is_relative, file_size_bytes
from ducklake_delete_file
where end_snapshot is null and delete_file_id >= %(since)s
"""
"""DuckLake counts both kinds together."""
PLACED = f"""
select
  file_id,
  data_file_id,
  is_of_deletions,
  size,
  schema_name || '.' || table_name as table_name,
  concat(
    case
      when files.path_is_relative then concat(
        case
          when tables.path_is_relative
          then concat(case when schemas.path_is_relative then root.value end, schemas.path)
        end,
        tables.path
      )
    end,
    regexp_replace(files.path, '[.]damaged$', '')
  ) as path,
  files.path like '%%.damaged' as is_set_aside
from ({FILES}) as files
join ducklake_table as tables using (table_id)
join ducklake_schema as schemas using (schema_id)
join ducklake_metadata as root on root.key = 'data_path'
where tables.end_snapshot is null and schemas.end_snapshot is null
"""
"""Relative paths are those of schema, table and file, one below the other."""
CURRENT = f"""
with days as (
  select data_file_id, min_value::date as first, max_value::date as last
  from ducklake_file_column_stats
  join ducklake_column using (table_id, column_id)
  where column_name = 'usage_date' and end_snapshot is null
)
select table_name, file_id, data_file_id, is_of_deletions, path, size, first, last, sha256, is_set_aside
from ({PLACED}) as placed
left join days using (data_file_id)
left join usage_assets_digest using (file_id)
order by 1, 2
"""
NEXT = "select next_file_id from ducklake_snapshot order by snapshot_id desc limit 1"
NOTE = """
insert into usage_assets_digest (file_id, sha256)
select unnest(%s::bigint[]), unnest(%s::text[])
on conflict (file_id) do nothing
"""
FORGET = """
delete from usage_assets_digest
where file_id not in (
  select data_file_id from ducklake_data_file union all select delete_file_id from ducklake_delete_file
)
"""
SET_ASIDE = "update {table} set path = path || '.damaged' where {file_id} = any(%s)"
BRING_BACK = "update {table} set path = left(path, -length('.damaged')) where {file_id} = any(%s)"
TABLES = {"ducklake_data_file": "data_file_id", "ducklake_delete_file": "delete_file_id"}
OF_OBJECT = "select sha256(content) from read_blob($path)"
"""The whole object is in memory. A month of a table is a file, at most 512 MB as DuckLake writes them."""
DIFFERS, UNREADABLE = "holds other bytes than were written", "cannot be read"
FORGET_CACHED = ("set enable_external_file_cache = false", "set enable_external_file_cache = true")
"""DuckDB keeps parts of files that it has read. It read them where a file had just been overwritten."""


@dataclass(frozen=True)
class LakeFile:
    """A file of the newest state, as the catalog has it."""

    table: str
    file_id: int
    data_file_id: int
    """Of the file itself, or of the one of whose rows it says which are deleted."""
    is_of_deletions: bool
    path: str
    size: int
    first: date | None
    """The first day of the data file's rows; None where they have none."""
    last: date | None
    sha256: str | None
    """None where it has not been taken yet."""
    is_set_aside: bool
    """Whether its bytes had another digest when they were last compared."""


def is_in_store(data: str) -> bool:
    """Whether files are objects of a store, and not in a folder."""
    return "://" in data


def current_files(session: "Session") -> Sequence[LakeFile]:
    """Return the files of the newest state."""
    session.execute(DIGESTS)
    return [LakeFile(*row) for row in session.execute(CURRENT, {"since": 0}).fetchall()]


@contextmanager
def noting(session: "Session", data: str) -> Iterator[None]:
    """Note the digests of files that are added in here; nobody else may commit meanwhile."""
    [(since,)] = session.execute(NEXT).fetchall()
    yield
    if not is_in_store(data):
        added = session.execute(PLACED, {"since": since}).fetchall()
        _note(session, {file_id: digest for file_id, *_, path, _ in added if (digest := _of_file(path))})


def note(session: "Session", database: duckdb.DuckDBPyConnection) -> None:
    """Note the digests of all files that have none; their rows must have been found right."""
    found = ((file.file_id, digest_of(file.path, database)) for file in current_files(session) if not file.sha256)
    _note(session, {file_id: digest for file_id, digest in found if digest})


def _note(session: "Session", digests: Mapping[int, str]) -> None:
    session.execute(DIGESTS)
    # not executemany: behind a pooler, psycopg logs three lines of it beside the error where the server goes away
    session.execute(NOTE, [[*digests], [*digests.values()]])


def different(database: duckdb.DuckDBPyConnection, files: Iterable[LakeFile]) -> Mapping[LakeFile, str]:
    """Return those of the files whose bytes are not those that were written, in words; those without a digest are
    left out."""
    digests = {file: digest_of(file.path, database) for file in files if file.sha256}
    return {file: DIFFERS if digest else UNREADABLE for file, digest in digests.items() if digest != file.sha256}


def set_aside(session: "Session", files: Collection[LakeFile], *, back: bool = False) -> None:
    """Let nothing use these files, or bring them ``back``."""
    for table, file_id in TABLES.items():
        change = (BRING_BACK if back else SET_ASIDE).format(table=table, file_id=file_id)
        session.execute(change, [[file.file_id for file in files]])


def digest_of(path: str, database: duckdb.DuckDBPyConnection) -> str | None:
    """Return the SHA-256 of a file, in hex; None where it cannot be read. The database reads object stores."""
    if not is_in_store(path):
        return _of_file(path)
    with suppress(duckdb.Error):
        for statement in FORGET_CACHED:
            database.execute(statement)
        [(digest,)] = database.execute(OF_OBJECT, {"path": path}).fetchall()
        return str(digest)
    return None


def _of_file(path: str) -> str | None:
    with suppress(OSError), Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None
