"""Which shapes of answers were seen live. A money field is trusted only if a real answer has contained it.

An endpoint's shape is known from official examples and public reports of live answers (fixtures/README.md), or not.
What a user captures of an account is remembered next to the warehouse and counts from then on.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import msgspec
import pyarrow as pa

from usage_assets.core.schema import MONEY, columns
from usage_assets.providers.endpoint import Endpoint

logger = logging.getLogger(__name__)

SHAPE = "shape"
"""The column that names the shape of a row, in tables of endpoints that have several."""


class Shape(msgspec.Struct, frozen=True):
    """What real answers of an endpoint have had."""

    columns: frozenset[str]
    """Columns with a value."""
    shapes: frozenset[str]
    day: date
    """Newest day that was captured."""


Shapes = Mapping[str, Shape]
"""``<provider>/<endpoint>`` -> what was captured."""


def load(path: Path) -> Shapes:
    """What has been captured so far: nothing, where that cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Shape])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        logger.warning("%s: cannot be read, so nothing of it counts as captured: %s", path, error)
        return {}


def remember(path: Path, captured: Mapping[str, Shape]) -> None:
    known = dict(load(path))
    for name, shape in captured.items():
        before = known.get(name, shape)
        known[name] = Shape(shape.columns | before.columns, shape.shapes | before.shapes, max(shape.day, before.day))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(known, order="deterministic")) + b"\n")
    unfinished.replace(path)


def shape_of(rows: pa.Table, day: date) -> Shape:
    with_values = [name for name in rows.column_names if rows[name].null_count < rows.num_rows]
    return Shape(frozenset(with_values), frozenset(_shapes(rows)), day)


def money_columns(endpoint: Endpoint) -> Sequence[str]:
    return [column.name for column in columns(endpoint.row) if column.unit in MONEY]


def unverified(endpoint: Endpoint, rows: pa.Table, captured: Shape | None) -> Sequence[str]:
    """The columns that hold money in these rows although no real answer is known to have had it there."""
    if endpoint.seen_live and (not endpoint.newer or endpoint.newer.seen_live):
        return []
    held = [name for name in money_columns(endpoint) if rows[name].null_count < rows.num_rows]
    if endpoint.seen_live and not _is_newer(endpoint, held):
        return []
    if captured and captured.shapes.issuperset(_shapes(rows)):
        return [name for name in held if name not in captured.columns]
    return held


def _is_newer(endpoint: Endpoint, held: Sequence[str]) -> bool:
    """Whether rows with money in these columns are of the newer report: it states what the older one does not."""
    return any(column.is_added for column in columns(endpoint.row) if column.name in held)


def _shapes(rows: pa.Table) -> set[str]:
    return {shape for shape in rows[SHAPE].unique().to_pylist() if shape} if SHAPE in rows.column_names else set()
