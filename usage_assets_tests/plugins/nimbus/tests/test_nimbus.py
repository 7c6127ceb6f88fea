"""Nimbus keeps the rules of every provider."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from nimbus_usage import NIMBUS
from starlette.requests import Request

from usage_assets.testing import Account, Emulator, ProviderSuite, Refused

RATE = """
[[credit_rate]]
workspace = "studio"
usd_per_credit = 0.08
valid_from = 2020-01-01
source = "contract"
"""


class Nimbus(Emulator):
    """A tenant with a person, a person of two workspaces, and a service."""

    ids = {"tenant": "acme"}
    page_size = "size"
    connections = RATE
    totals = {"renders": {"frames": "frames", "credits": "credits"}, "sessions": {"minutes": "minutes"}}

    def rows_of(self, day: date) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Rows of each endpoint on a day."""
        whose = (("u1", "studio"), ("u1", "lab"), (None, "studio"), ("u2", "studio"))
        return {
            "renders": [
                {
                    "on": int(f"{day:%Y%m%d}"),
                    "engine": "cirrus" if n % 2 else "stratus",
                    "workspace_id": workspace,
                    "who": {"id": person, "mail": f"{person}@acme.example" if person else None},
                    "quality": "high",
                    "frames": 24 * n + day.day,
                    "credits": Decimal(f"{n}.{day.day:02}"),
                }
                for n, (person, workspace) in enumerate(whose, start=1)
            ],
            "sessions": [{"person_id": f"u{n}", "minutes": 10 * n + day.day} for n in (1, 2, 3)],
        }

    def answers(self) -> Mapping[str, Callable[[Request], object]]:
        """What answers each path."""
        return {
            "/tenants/acme/renders": self.renders,
            "/tenants/acme/sessions": self.sessions,
            "/tenants/acme/people": self.people,
        }

    def renders(self, request: Request) -> object:
        """A page of renders with a cursor."""
        query = self.authenticated(request)
        sent = [
            {name: value for name, value in row.items() if name != "credits"}
            | {"price": {"amount": row["credits"], "unit": "credits"}}
            for day, rows in self.rows["renders"].items()
            if query["since"] <= f"{day:%Y%m%d}" < query["until"]
            for row in rows
        ]
        begin, size = int(query.get("after", "0")), int(query["size"])
        more = begin + size < len(sent)
        meta = {"after": str(begin + size) if more else None, "more": more}
        return {"result": sent[begin : begin + size], "meta": meta}

    def sessions(self, request: Request) -> object:
        """A numbered page of sessions."""
        query = self.authenticated(request)
        rows = self.rows["sessions"].get(date.fromisoformat(query["day"]), [])
        page, size = int(query.get("page", "1")), int(query["size"])
        pages = max(1, -(-len(rows) // size))
        return {"people": rows[(page - 1) * size : page * size], "page": page, "pages": pages, "count": len(rows)}

    def people(self, request: Request) -> object:
        """All people."""
        self.authenticated(request)
        data = [{"id": f"u{n}", "name": f"Person {n}", "email": f"u{n}@acme.example"} for n in (1, 2, 3)]
        return {"data": data, "has_more": False}

    def authenticated(self, request: Request) -> Mapping[str, str]:
        """Return the query. Refuse another key."""
        if request.headers.get("x-nimbus-key") != self.key:
            raise Refused(401, {"problem": {"detail": "who are you?"}})
        return request.query_params


class TestNimbus(ProviderSuite):
    """All rules, against the emulator."""

    provider = NIMBUS

    @pytest.fixture(scope="class")
    @classmethod
    def account(cls) -> Iterator[Account]:
        """A tenant."""
        with Nimbus().serving() as account:
            yield account
