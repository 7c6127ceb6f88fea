"""Answers of the server, as its client gets them, in this process. ``test_server`` has a process of its own."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
from mcp import Client

from usage_assets_assistant.mcp import server
from usage_assets_assistant.mcp.command import mcp
from usage_assets_assistant.mcp.store import Store


@dataclass(frozen=True)
class Answer:
    """What a tool said. Rows of all pages."""

    is_refused: bool
    text: str
    content: Mapping[str, Any]
    rows: list[Any]

    @cached_property
    def said(self) -> str:
        """The texts beside the figures: sentence, notes, why rows lack values, freshness, rates."""
        notes = [row["note"] for row in self.rows if isinstance(row, dict) and row.get("note")]
        parts = [self.content["sentence"], *self.content["notes"], *notes, self.content.get("rates") or ""]
        return "\n".join([*parts, *(each.get("why_due") or "" for each in self.content["freshness"])])

    @property
    def everything(self) -> str:
        """All that the assistant reads."""
        return self.text + json.dumps(self.content, ensure_ascii=False) + json.dumps(self.rows, ensure_ascii=False)


@asynccontextmanager
async def asking(*options: str) -> AsyncIterator[Client]:
    """A client of the server that ``usage-assets mcp`` starts with these options."""
    stores: list[Store] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "serve", lambda *shown: stores.append(Store(*shown)))
        mcp.main([*options], standalone_mode=False)
    [store] = stores
    async with Client(server.server_of(store)) as client:
        yield client
    store.close()


async def ask(client: Client, tool: str, arguments: Mapping[str, Any]) -> Answer:
    """Call a tool, and follow its cursor to the last page."""
    rows: list[Any] = []
    cursor: str | None = None
    while True:
        result = await client.call_tool(tool, {"limit": 200, **arguments, **({"cursor": cursor} if cursor else {})})
        text = "\n".join(part.text for part in result.content if part.type == "text")
        content = result.structured_content or {}
        rows += content.get("rows", [])
        cursor = content.get("cursor")
        if not cursor:
            return Answer(bool(result.is_error), text, content, rows)
