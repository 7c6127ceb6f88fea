"""What is in files."""

import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa


def contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below a folder, as it is and as what is in it."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        yield path, content
        if path.suffix == ".zst":
            with pa.CompressedInputStream(io.BytesIO(content), "zstd") as stream:
                yield path, stream.read()
        elif content.startswith(b"SQLite format 3"):
            with closing(sqlite3.connect(path)) as database:
                yield path, "\n".join(database.iterdump()).encode()
        elif path.suffix == ".duckdb":
            with closing(duckdb.connect(str(path), read_only=True)) as database:
                tables = database.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
                for (table,) in tables:
                    yield path, "\n".join(map(repr, database.execute(f"from {table}").fetchall())).encode()
