"""`usage_assets.open()`: the warehouse for a notebook or a script. It refuses what `usage-assets query` refuses.

Loads neither Dagster nor, before an answer is asked for as one of theirs, pandas or polars.
"""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import duckdb
import pyarrow as pa

from usage_assets.config.address import SettingsError, address_of
from usage_assets.core.warehouse_address import WarehouseAddress
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.readable import FAILED, ReadableFile, reading_at
from usage_assets_assistant.query.command import answer_to, moment_of, unanswered, warehouse_or_demo
from usage_assets_assistant.query.untrusted import kept_inside

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

MOST_ROWS_SHOWN = 20


def open_warehouse(
    warehouse: str | Path | None = None, *, data: str | None = None, as_of: str | date | datetime | None = None
) -> "Reader":
    """Open the newest published copy of a database file, or a lake, for reading.

    ``warehouse`` and ``data`` are what USAGE_WAREHOUSE and USAGE_WAREHOUSE_DATA say; without them, the configured
    warehouse is read, or the demo's while nothing is stored. ``as_of`` is a time (UTC) that a lake still keeps. What is
    read is one state, however long it stays open: open it again for a newer one. Raises SettingsError or
    WarehouseError, both with one line that says what to do.

        with usage_assets.open() as spend:
            spend.sql("select * from costs.by_month").polars()
    """
    if data and warehouse is None:
        raise SettingsError("data: needs warehouse, the address of a lake")
    address = warehouse_or_demo() if warehouse is None else address_of(str(warehouse), data)
    text = as_of.isoformat() if isinstance(as_of, date) else as_of  # a datetime is a date, too
    return Reader(address, moment_of(text, "as_of") if text else None)


class Reader:
    """An open warehouse. It reads one state and changes nothing; close it, or use it in a ``with``."""

    def __init__(self, address: WarehouseAddress, moment: datetime | None = None) -> None:
        self.address = address
        is_copy = moment is None and not address.is_lake
        file = ReadableFile(database=str(address.file)) if is_copy else None
        self._opened = file.reading_apart() if file else reading_at(address, moment)
        self._database: duckdb.DuckDBPyConnection | None = self._opened.__enter__()
        self._database.execute("set python_enable_replacements = false")  # a table is not a variable of that name
        self._allow = kept_inside(self._database, is_lake=address.is_lake)

    def sql(self, query: str, *, mixed: bool = False) -> "Answer":
        """Return the rows of a query, exact.

        Raises WarehouseError for one that adds amounts of several cost bases, units or currencies, unless ``mixed``
        allows it, for one that reads anything but the warehouse, and for one that cannot run.
        """
        if self._database is None:
            raise WarehouseError(f"{self.address.url}: is closed: open it again")
        try:
            answer = answer_to(query, self._database, self._allow, mixed=mixed)
            return Answer(fetch_arrow(answer) if answer is not None else pa.table({}))
        except WarehouseError as error:
            raise WarehouseError(str(error).replace("--mixed", "mixed=True")) from None
        except FAILED as error:
            raise unanswered(self._database, error) from None

    def close(self) -> None:
        """Close it. Answers stay."""
        if self._database is not None:
            self._database = None
            self._opened.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{self.address.url}{' (closed)' if self._database is None else ''}>"


@dataclass(frozen=True, repr=False)
class Answer:
    """The rows of a query. No form of it makes a float of an amount."""

    table: pa.Table

    def arrow(self) -> pa.Table:
        """Return an Arrow table, with amounts as ``decimal128(38, 24)``."""
        return self.table

    def pandas(self) -> "pd.DataFrame":
        """Return a pandas frame of Arrow's types: DuckDB's own would hold amounts as floats."""
        import pandas as pd  # noqa: PLC0415 - only who asks for it needs it

        frame: pd.DataFrame = self.table.to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    def polars(self) -> "pl.DataFrame":
        """Return a polars frame, with amounts as ``Decimal``. Needs polars: `pip install polars`."""
        import polars as pl  # noqa: PLC0415 - no part of the product needs it

        return pl.DataFrame(self.table)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries, with amounts as ``Decimal``."""
        rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        """The first rows, as `usage-assets query` prints them."""
        with duckdb.connect(":memory:") as database:
            return str(database.from_arrow(self.table).limit(MOST_ROWS_SHOWN))
