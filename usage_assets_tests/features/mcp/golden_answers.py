"""Answers of the server, as its client gets them: a separate process over stdio."""

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

PROGRAM = "from usage_assets.cli.main import main; main()"


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
async def asking(folder: Path, environment: Mapping[str, str], *options: str) -> AsyncIterator[Client]:
    """A client of a server of its own, which runs in a folder."""
    path = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    server = StdioServerParameters(
        command=sys.executable, args=["-c", PROGRAM, "mcp", *options], env={**environment, **path}, cwd=folder
    )
    async with Client(stdio_client(server)) as client:
        yield client


async def ask(client: Client, tool: str, arguments: Mapping[str, Any]) -> Answer:
    """Call a tool, and follow its cursor to the last page."""
    rows: list[Any] = []
    cursor: str | None = None
    while True:
        result = await client.call_tool(tool, {**arguments, **({"cursor": cursor} if cursor else {})})
        text = "\n".join(part.text for part in result.content if part.type == "text")
        content = result.structured_content or {}
        rows += content.get("rows", [])
        cursor = content.get("cursor")
        if not cursor:
            return Answer(bool(result.is_error), text, content, rows)
