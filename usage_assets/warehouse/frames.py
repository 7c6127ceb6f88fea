"""Rows of a declared table as pandas frames, for assets and notebooks that users write. This package uses no frames.

Import this module only where a frame is needed: pandas takes longer to import than Dagster.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa

from usage_assets.warehouse.tables import Table

PANDAS_TYPES: Mapping[type, str] = {
    str: "string",
    int: "integer",
    Decimal: "decimal",
    bool: "boolean",
    date: "date",
    datetime: "datetime64 with a time zone",
}
"""What ``pandas.api.types.infer_dtype`` must return for a column's values. All others would be converted silently."""


def from_frame(table: Table, frame: object) -> pa.Table:
    """Convert a frame exactly. Raises ValueError, which names the column, if that is not possible.

    pandas and Arrow alone would accept extra columns, floats for decimals, NaN, fractions for integers, times of day
    for dates, and times without a time zone.
    """
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"{table.name}: neither a frame nor an Arrow table: {type(frame).__name__}")
    names = Counter(map(str, frame.columns))
    names.subtract(column.name for column in table.columns)
    if different := sorted(name for name, surplus in names.items() if surplus):
        raise ValueError(f"{table.name}: columns differ from the declaration: {', '.join(different)}")
    for column in table.columns:
        values = frame[column.name]
        found = pd.api.types.infer_dtype(values, skipna=True)
        if column.type in (int, Decimal) and any(map(_is_nan, values)):
            found = "NaN"
        if found == "date" and any(isinstance(value, datetime) for value in values):
            found = "datetime among dates"
        if found == "datetime64" and (values.isna().all() or values.dt.tz is not None):
            found = PANDAS_TYPES[datetime]
        if found not in (PANDAS_TYPES[column.type], "empty"):
            raise ValueError(f"{table.name}.{column.name}: holds {found}, not {PANDAS_TYPES[column.type]}")
    try:
        return pa.Table.from_pandas(frame, schema=table.arrow_schema, preserve_index=False)
    except (pa.ArrowInvalid, OverflowError) as error:
        raise ValueError(f"{table.name}: {': '.join(map(str, error.args))}") from error


def to_frame(rows: pa.Table) -> pd.DataFrame:
    """Return the rows as a frame with exact decimals and integers."""
    frame: pd.DataFrame = rows.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get)
    return frame


def _is_nan(value: object) -> bool:
    return isinstance(value, (float, Decimal)) and value != value
