"""The fixtures are what their README and their checksums say, and what the sandbox emits has the providers' shape."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from usage_assets_sandbox.tests.calling import (
    ANALYTICS_ENDPOINTS,
    COPILOT_ENDPOINTS,
    COPILOT_FILES,
    CURSOR_ENDPOINTS,
    ENDPOINTS,
    ENGAGEMENT_ENDPOINTS,
    FIXTURES,
    GATEWAY_ENDPOINTS,
    LEGACY_ENDPOINTS,
    TODAY,
    Endpoint,
    SandboxCaller,
    exact,
)
from usage_assets_sandbox.tests.record_fixtures import CHECKSUMS, checksums, recorded_queries

COLLECTED = FIXTURES / "recorded"
"""Bodies of others: each is listed in the meaning.toml beside it, which providers/test_recorded.py reads."""
FILES = sorted(path for path in FIXTURES.rglob("*.json") if COLLECTED not in path.parents)
# An error body, a shape that no provider sends, or amounts that are refused on purpose.
WITHOUT_SCHEMA = ("error", "illustrative", "bad_amount", "official_workspace_usage")
LOOKUPS = (
    "projects",
    "users",
    "project_api_keys",
    "service_accounts",
    "workspaces",
    "api_keys",
    "organization",
    "spend_limits",
    "spend_alerts",
    "members",
    "spend",
)
SHAPED = [
    path
    for path in FILES
    if path.parent.name not in ("schemas", *LOOKUPS) and not any(word in path.name for word in WITHOUT_SCHEMA)
]


def validator(endpoint: Endpoint) -> Draft202012Validator:
    file, fragment = endpoint.schema
    schema = json.loads((FIXTURES / "schemas" / file).read_text())
    if fragment:
        schema = {"$ref": fragment, "$defs": schema["$defs"]}
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def with_number_amounts(page: Any) -> Any:
    """The page with OpenAI's string amounts as numbers: the one departure from the official schema, seen live."""
    for bucket in page.get("data", ()) if isinstance(page, dict) else ():
        for row in bucket.get("results", []):
            if "amount" in row and isinstance(row["amount"], dict):
                row["amount"]["value"] = Decimal(row["amount"]["value"])
    return page


def test_the_checksums_cover_every_file_and_hold() -> None:
    assert CHECKSUMS.read_text() == checksums()


@pytest.mark.parametrize("path", SHAPED, ids=lambda path: path.relative_to(FIXTURES).as_posix())
def test_a_fixture_has_the_provider_s_shape(path: Any) -> None:
    every = ENDPOINTS | LEGACY_ENDPOINTS | ANALYTICS_ENDPOINTS | COPILOT_ENDPOINTS | COPILOT_FILES | GATEWAY_ENDPOINTS
    every |= CURSOR_ENDPOINTS | ENGAGEMENT_ENDPOINTS
    endpoint = every[path.parent.parent.name, path.parent.name]
    validator(endpoint).validate(with_number_amounts(exact(path.read_bytes())))


@pytest.mark.parametrize(
    ("path", "route", "query"), list(recorded_queries()), ids=lambda value: getattr(value, "name", None)
)
def test_the_sandbox_still_answers_as_recorded(sandbox: SandboxCaller, path: Any, route: str, query: Any) -> None:
    assert sandbox.get(route, query).content == path.read_bytes()


def test_the_schemas_refuse_what_is_not_the_shape(sandbox: SandboxCaller) -> None:
    for endpoint in ENDPOINTS.values():
        start = TODAY - timedelta(days=3)
        answer: httpx.Response = sandbox.get(endpoint.path, {**endpoint.window(start, TODAY), **endpoint.finest})
        for broken in ("has_more", "data"):
            page = {name: value for name, value in exact(answer.content).items() if name != broken}
            assert not validator(endpoint).is_valid(page)
        page = exact(answer.content)
        page["data"] = [{}]
        assert not validator(endpoint).is_valid(page)
