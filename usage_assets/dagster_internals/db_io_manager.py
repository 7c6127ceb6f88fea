"""What dagster-duckdb's IO manager is made of. Dagster's own packages of type handlers import the same names."""

from dagster._core.storage.db_io_manager import DbIOManager, DbTypeHandler, TableSlice
from dagster_duckdb.io_manager import DuckDbClient
