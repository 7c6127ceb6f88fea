"""Both ends of the process in which an assistant's SQL runs (``core/cage.py``)."""

from collections.abc import Callable
from typing import Any

import duckdb
from mcp_types import CallToolResult

from usage_assets.core.cage import CageError
from usage_assets.core.errors import UserError, first_line, one_line
from usage_assets.core.warehouse_address import WarehouseAddress
from usage_assets.core.without_pandas import hide_pandas
from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.spilling import spilling
from usage_assets_assistant.mcp import asking
from usage_assets_assistant.mcp.sight import Sight
from usage_assets_assistant.mcp.store import Store, is_of

MOST_BYTES = 1 << 20
"""Of an answer: an assistant reads 20,000 characters."""


def query(store: Store, sql: str, limit: int, cursor: str | None) -> CallToolResult:
    """Answer one SELECT. Raises WarehouseError for one that is refused, or takes too much."""
    try:
        answer = store.cage.ask({"asked": [sql, limit, cursor]}, MOST_BYTES)
    except CageError as error:
        raise WarehouseError(str(error)) from None
    if "refused" in answer:
        raise WarehouseError(answer["refused"])
    return CallToolResult.model_validate(answer)


def begin(setup: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what answers, in the process."""
    hide_pandas()  # to import it was half of the first answer
    spilling()  # makes its folder, while the process may still write: nothing will be in it
    store = Store(WarehouseAddress(**setup["address"]), Sight(**setup["sight"]))

    def answer_to(asked: dict[str, Any]) -> dict[str, Any]:
        try:
            with store.opened() as opened:
                return asking.query(opened, *asked["asked"]).model_dump(mode="json")
        except (UserError, duckdb.Error, OSError) as error:
            if is_of(error, duckdb.OutOfMemoryException):
                raise MemoryError from None  # which ends the process: DuckDB keeps what it had
            return {"refused": one_line(str(error)) if isinstance(error, UserError) else first_line(error)}

    return answer_to
