"""Acme's API, emulated: let it answer as the real one does."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from starlette.requests import Request

from usage_assets.testing import Emulator, Refused


class Acme(Emulator):
    """An account with three projects."""

    page_size = "limit"
    totals = {
        "usage": {
            "requests": "requests",
            "input_tokens": "input_tokens",
            "output_tokens": "output_tokens",
            "cost": "cost",
        },
        "tool_calls": {"calls": "calls"},
    }

    def rows_of(self, day: date) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Rows of each endpoint on a day."""
        return {
            "usage": [
                {
                    "date": str(day),
                    "project_id": project,
                    "model": "acme-large",
                    "requests": n + day.day,
                    "input_tokens": 1000 * n,
                    "output_tokens": 10 * n,
                    "cost": Decimal(f"{n}.{day.day:02}5"),
                }
                for n, project in enumerate(("web", "search", None), start=1)
            ],
            "tool_calls": [
                {"date": str(day), "project_id": "web", "tool": tool, "calls": n * day.day}
                for n, tool in enumerate(("browser", "files"), start=1)
            ],
        }

    def answers(self) -> Mapping[str, Callable[[Request], object]]:
        """What answers each path."""
        return {"/usage": self.usage, "/tool_calls/query": self.tool_calls, "/projects": self.projects}

    def usage(self, request: Request) -> object:
        """A page of usage: a GET states its days in the address."""
        self.authenticate(request)
        return self.page("usage", request.query_params)

    async def tool_calls(self, request: Request) -> object:
        """A page of tool calls: a POST states its days in the body."""
        self.authenticate(request)
        return self.page("tool_calls", await request.json())

    def page(self, endpoint: str, asked: Mapping[str, Any]) -> object:
        """The rows of the days from a place on, and the place of the next page."""
        first, last = date.fromisoformat(asked["from"]), date.fromisoformat(asked["to"])
        rows = [row for day, rows in self.rows[endpoint].items() if first <= day <= last for row in rows]
        begin, limit = int(asked.get("cursor", 0)), int(asked["limit"])
        end = begin + limit
        return {"data": rows[begin:end], "next_cursor": str(end) if end < len(rows) else None}

    def projects(self, request: Request) -> object:
        """All projects."""
        self.authenticate(request)
        return {"data": [{"id": "web", "name": "Web shop"}, {"id": "search", "name": "Search"}], "has_more": False}

    def authenticate(self, request: Request) -> None:
        """Refuse another key, in the words of the real API."""
        if request.headers.get("authorization") != f"Bearer {self.key}":
            raise Refused(401, {"error": {"message": "unknown key"}})
