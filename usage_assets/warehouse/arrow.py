"""Fetches answers of DuckDB as Arrow."""

import sys
from contextlib import suppress

import duckdb
import pyarrow as pa

BATCH_ROWS = 8192


def fetch_arrow(answer: duckdb.DuckDBPyConnection | duckdb.DuckDBPyRelation) -> pa.Table:
    """Return all rows, exact.

    DuckDB reserves memory for a whole batch of every column. Its batches are of 1,000,000 rows: a process that
    explained 200 figures had 30 GB of addresses that way, and could not fork any more.
    """
    return answer.to_arrow_table(BATCH_ROWS)


def hide_pandas() -> None:
    """Hide pandas from this process, if it is not loaded yet.

    DuckDB and Arrow import it, in 0.27 CPU s, to see whether a parameter or a list is one of its objects.
    """
    if "pandas" not in sys.modules:
        sys.modules["pandas"] = None  # type: ignore[assignment]
        with suppress(AttributeError, ImportError):  # Arrow looks for it once, and does not expect this
            pa.array(())


def show_pandas() -> None:
    """Let it be found again."""
    if sys.modules.get("pandas", sys) is None:
        del sys.modules["pandas"]
