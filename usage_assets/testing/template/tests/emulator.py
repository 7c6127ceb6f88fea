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
    totals = {"usage": {"requests": "requests", "input_tokens": "input_tokens", "cost": "cost"}}

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
            ]
        }

    def answers(self) -> Mapping[str, Callable[[Request], object]]:
        """What answers each path."""
        return {"/usage": self.usage, "/projects": self.projects}

    def usage(self, request: Request) -> object:
        """A page of usage."""
        self.authenticate(request)
        query = request.query_params
        first, last = date.fromisoformat(query["from"]), date.fromisoformat(query["to"])
        rows = [row for day, rows in self.rows["usage"].items() if first <= day <= last for row in rows]
        begin, limit = int(query.get("cursor", 0)), int(query["limit"])
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
