"""Files that are written from stored rows, CSV or Parquet: whole or not at all, and no spreadsheet runs their text.

Which rows they contain is decided elsewhere.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from usage_assets.core.errors import first_line
from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.readable import FAILED

SUFFIXES = (".csv", ".parquet")
NO_FORMULA = Path(__file__).with_name("no_formula.sql").read_text()
"""A macro for what is written to CSV."""
FORMULA = re.compile(r"[=+\-@\t\r]")
"""What a text that a spreadsheet runs begins with, as in the macro."""


@contextmanager
def draft_of(out: Path) -> Iterator[Path]:
    """Yield where to write what replaces a file at the end, with the mode of that.

    Raises WarehouseError, with the file as it was, where a query fails or a file cannot be written.
    """
    draft = out.with_name(f".{out.name}.new")
    try:
        yield draft
        if out.exists():  # whoever could read it still can
            draft.chmod(out.stat().st_mode)
        draft.replace(out)
    except FAILED as error:
        raise WarehouseError(f"{out}: {first_line(error)}; it was not written") from error
    except OSError as error:
        raise WarehouseError(f"{out}: {error.strerror}; it was not written") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def write_rows(rows: duckdb.DuckDBPyRelation, out: Path, draft: Path) -> None:
    """Write rows as the name of the file says. Raises duckdb.Error."""
    if out.suffix == ".csv":
        rows.write_csv(str(draft))
    else:
        exactly(rows).write_parquet(str(draft))


def exactly(rows: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Return the rows with sums of counters (HUGEINT) as decimals: Parquet would have doubles."""
    names = ['"' + name.replace('"', '""') + '"' for name in rows.columns]
    kinds = ["HUGEINT" in str(kind) for kind in rows.types]
    return rows.project(
        ", ".join(
            f"{name}::decimal(38, 0) as {name}" if large else name for name, large in zip(names, kinds, strict=True)
        )
    )


def no_formula(text: str) -> str:
    """Return a text as CSV has it, as the macro does."""
    return f"'{text}" if FORMULA.match(text) else text


def without_formulas(rows: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Return the rows as CSV has them; the connection needs NO_FORMULA."""
    texts = [str(kind) == "VARCHAR" for kind in rows.types]
    names = ['"' + name.replace('"', '""') + '"' for name in rows.columns]
    written = [f"no_formula({name}) as {name}" if text else name for name, text in zip(names, texts, strict=True)]
    return rows.project(", ".join(written))
