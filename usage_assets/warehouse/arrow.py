"""Fetches answers of DuckDB as Arrow."""

import duckdb
import pyarrow as pa

BATCH_ROWS = 8192


def fetch_arrow(answer: duckdb.DuckDBPyConnection | duckdb.DuckDBPyRelation) -> pa.Table:
    """Return all rows, exact.

    DuckDB reserves memory for a whole batch of every column. Its batches are of 1,000,000 rows: a process that
    explained 200 figures had 30 GB of addresses that way, and could not fork any more.
    """
    return answer.to_arrow_table(BATCH_ROWS)
