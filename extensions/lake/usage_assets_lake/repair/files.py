"""Compares a lake's catalog with its files: which are lost, and which hold something else than the catalog says.

DuckLake 1.5.5 looks at a file when a query needs it, and skips it where the catalog's statistics rule it out: two
swapped files of one size gave a filtered query no rows and no error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from usage_assets.warehouse.database import Warehouse
from usage_assets_lake import is_lake

CURRENT = """
with files as (
  select
    data_file_id,
    null::bigint as delete_file_id,
    table_id,
    path,
    path_is_relative,
    record_count as row_count,
    file_size_bytes as size,
    footer_size
  from ducklake_data_file
  where end_snapshot is null
  union all
  select
    data_file_id,
    delete_file_id,
    table_id,
    path,
    path_is_relative,
    delete_count as row_count,
    file_size_bytes as size,
    footer_size
  from ducklake_delete_file
  where end_snapshot is null
),
days as (
  select data_file_id, min_value::date as first, max_value::date as last
  from ducklake_file_column_stats
  join ducklake_column using (table_id, column_id)
  where column_name = 'usage_date' and end_snapshot is null
)
select
  schema_name || '.' || table_name as table_name,
  data_file_id,
  delete_file_id,
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
    files.path
  ) as path,
  row_count,
  size,
  footer_size,
  first,
  last
from files
join ducklake_table as tables using (table_id)
join ducklake_schema as schemas using (schema_id)
join ducklake_metadata as root on root.key = 'data_path'
left join days using (data_file_id)
where tables.end_snapshot is null and schemas.end_snapshot is null
order by 1, 2, 3
"""
"""The files of the newest state. Relative paths are those of schema, table and file, one below the other."""
STATISTICS = """
select data_file_id, column_name, min_value, max_value
from ducklake_file_column_stats
join ducklake_column using (table_id, column_id)
join ducklake_data_file using (data_file_id, table_id)
where ducklake_column.end_snapshot is null
  and ducklake_data_file.end_snapshot is null
  and column_type in ('date', 'varchar')
  and min_value is not null
"""
"""Of the columns whose text has the order of their values, as files and catalog both have it."""
SIZES = "select filename, size from read_blob($pattern)"
"""Reads no content: these two columns come from the listing."""
FOOTERS = "select file_name, num_rows, footer_size from parquet_file_metadata($files)"
READ = "select bit_xor(hash(file)) from read_parquet($files, union_by_name = true) as file"
"""Every value of every column: a flipped bit may be in any."""
MEASURED = """
select file_name, path_in_schema, min(stats_min_value), max(stats_max_value)
from parquet_metadata($files)
where stats_min_value is not null
group by all
"""

UNREADABLE = "cannot be read"
FORGET_CACHED = ("set enable_external_file_cache = false", "set enable_external_file_cache = true")
"""DuckDB keeps parts of files that it has read. It read them where a file had just been overwritten."""


@dataclass(frozen=True)
class LakeFile:
    """A file of the newest state, as the catalog has it."""

    table: str
    data_file_id: int
    delete_file_id: int | None
    """Of a file that says which rows of its data file are deleted; None for a data file."""
    path: str
    rows: int
    size: int
    footer: int
    first: date | None
    """The first day of the data file's rows; None where they have none."""
    last: date | None


@dataclass(frozen=True)
class Damage:
    """A file that is not what the catalog says."""

    file: LakeFile
    what: str


def damages(lake: Warehouse, *, read: bool = False) -> Sequence[Damage]:
    """Return the damaged files of the newest state. Raises WarehouseError where the lake cannot be opened.

    A warehouse that is no lake has none. Reads the footer of each file: 2,400 files of a folder take a second of CPU
    time. With ``read``, reads all of them: a file whose listing and footer are right may still not be one.
    """
    if not is_lake(lake) or not lake.exists:
        return ()
    with lake.session() as session:
        files = [LakeFile(*row) for row in session.execute(CURRENT).fetchall()]
        said: dict[int, dict[str, tuple[str, str]]] = {}
        for number, column, *bounds in session.execute(STATISTICS).fetchall():
            said.setdefault(number, {})[column] = (bounds[0], bounds[1])
    with lake.get_connection() as connection:
        for statement in FORGET_CACHED:
            connection.execute(statement)
        sizes = dict(connection.execute(SIZES, {"pattern": f"{lake.data.rstrip('/')}/**/*.parquet"}).fetchall())
        found = {file.path: _in_listing(file, sizes.get(file.path)) for file in files}
        whole = [file.path for file in files if not found[file.path]]
        footers = _footers(connection, whole)
        measured = _measured(connection, [path for path in whole if path in footers])
        broken = _broken(connection, [path for path in whole if path in footers]) if read else ()
    for file in files:
        found[file.path] = found[file.path] or _in_footer(file, footers.get(file.path))
        if not found[file.path] and file.delete_file_id is None:
            found[file.path] = _in_statistics(said.get(file.data_file_id, {}), measured.get(file.path, {}))
        if not found[file.path] and file.path in broken:
            found[file.path] = UNREADABLE
    return [Damage(file, what) for file in files if (what := found[file.path])]


def _in_listing(file: LakeFile, size: int | None) -> str:
    if size is None:
        return "is missing"
    return "" if size == file.size else f"has {size:,} bytes instead of {file.size:,}"


def _in_footer(file: LakeFile, footer: tuple[int, int] | None) -> str:
    if footer is None:
        return UNREADABLE
    rows, size = footer
    if rows != file.rows:
        return f"has {rows:,} rows instead of {file.rows:,}"
    return "" if size == file.footer else "is another file"


def _in_statistics(said: Mapping[str, tuple[str, str]], measured: Mapping[str, tuple[str, str]]) -> str:
    for column in said.keys() & measured.keys():
        if said[column] != measured[column]:
            return f"is another file: {column} is from {measured[column][0]} to {measured[column][1]}"
    return ""


def _footers(connection: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> Mapping[str, tuple[int, int]]:
    """Return rows and size of the footer of each file that has one."""
    if not paths:
        return {}
    try:
        rows = connection.execute(FOOTERS, {"files": paths}).fetchall()
    except duckdb.Error:  # one of them has none
        if len(paths) == 1:
            return {}
        middle = len(paths) // 2
        return {**_footers(connection, paths[:middle]), **_footers(connection, paths[middle:])}
    return {name: (count, size) for name, count, size in rows}


def _broken(connection: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> Sequence[str]:
    """Return the files that cannot be read to their end."""
    if not paths:
        return ()
    try:
        connection.execute(READ, {"files": paths}).fetchall()
    except duckdb.Error:
        middle = len(paths) // 2
        return [*_broken(connection, paths[:middle]), *_broken(connection, paths[middle:])] if middle else paths
    return ()


def _measured(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[str]
) -> Mapping[str, Mapping[str, tuple[str, str]]]:
    found: dict[str, dict[str, tuple[str, str]]] = {}
    if paths:
        for path, column, *bounds in connection.execute(MEASURED, {"files": paths}).fetchall():
            found.setdefault(path, {})[column] = (bounds[0], bounds[1])
    return found
