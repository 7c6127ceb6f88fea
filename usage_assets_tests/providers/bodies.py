"""The recorded and official answers in fixtures/."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from usage_assets.core.days import Window
from usage_assets.core.people import People
from usage_assets.fetching.page_parser import PageParser
from usage_assets.fetching.scope import Scope
from usage_assets.providers.records import page_of_lines
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT
from usage_assets_tests.models.days import seen

FIXTURES = Path(__file__).parents[2] / "fixtures"
ALWAYS = Window(date(2020, 1, 1), date(2039, 12, 31))
BODIES = {
    str(file.relative_to(FIXTURES)): file
    for name in EVERY_ENDPOINT
    for file in sorted((FIXTURES / name).glob("*.*json"))
    if "_error_" not in file.name
}
SPOILT = {name: file for name, file in BODIES.items() if "_bad_" in name}
ASKED_FOR = Window(date(2026, 11, 14), date(2026, 11, 14))
"""The day of all answers that state none themselves."""
WINDOWS = {
    "openai_legacy": ASKED_FOR,
    "litellm": ASKED_FOR,
    "openrouter": ASKED_FOR,
    "github_copilot": ASKED_FOR,
    "cursor": ASKED_FOR,
    "anthropic_analytics": Window(date(2026, 1, 1), date(2026, 11, 19)),
}
"""What was asked for where it is not ALWAYS: the newer reports say until when their figures reach."""
SOUND = BODIES.keys() - SPOILT.keys()
POLICIES = {policy: People(policy, "key") for policy in ("ids", "hash", "names")}
every_policy = pytest.mark.parametrize("people", POLICIES.values(), ids=POLICIES)


def page_in(name: str) -> bytes:
    """A fixture as a page: that of a report behind links is a file of it."""
    file = BODIES[name]
    provider, endpoint = EVERY_ENDPOINT[f"{file.parts[-3]}/{file.parts[-2]}"]
    return page_of_lines(file.read_bytes(), WINDOWS[provider.name]) if endpoint.links else file.read_bytes()


def read(name: str) -> list[dict[str, Any]]:
    """The rows of a fixture."""
    file = BODIES[name]
    provider, endpoint = EVERY_ENDPOINT[f"{file.parts[-3]}/{file.parts[-2]}"]
    window = WINDOWS.get(provider.name, ALWAYS)
    query = {"group": "workspace"} if "workspace" in file.name else {}
    parser = PageParser(
        Scope(connection="fixture", ids={"workspace_id": "ws-fixture", "organization": "acme"}, people=People("names")),
        window,
        query,
        endpoint.group_by,
    )
    body = msgspec.json.Decoder(float_hook=Decimal).decode(page_in(name))
    body = endpoint.page(body, window) if endpoint.page else body
    found = parser.read(endpoint.row, endpoint.item, endpoint.records, body["data"], endpoint.items)
    assert found == len(parser.tables[0])
    assert bool(parser.unknown_fields) == ("unknown" in file.name)
    rows: list[dict[str, Any]] = pa.concat_tables(parser.tables).to_pylist()
    return rows


def fields_of(row: dict[str, Any]) -> list[tuple[str, ...]]:
    """The same as ``lines`` has it, by name."""
    return sorted(seen(known(row).items()))


def known(row: dict[str, Any]) -> dict[str, Any]:
    """What a row says beside connection and grouping."""
    return {
        name: value for name, value in row.items() if value is not None and name not in ("connection", "grouped_by")
    }
