"""Our schemas of answers (``fixtures/schemas``), which the sandbox's answers fit: fields that no row keeps.

Those that follow a package's types (LiteLLM, Anthropic's analytics) are compared as that package.
OpenAI's old endpoints have no new fields.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from usage_assets_sandbox.tests.calling import (
    COPILOT_ENDPOINTS,
    CURSOR_ENDPOINTS,
    ENDPOINTS,
    FIXTURES,
    GATEWAY_ENDPOINTS,
    Endpoint,
)
from usage_assets_tests.drift.ours import of_endpoint
from usage_assets_tests.drift.surface import AROUND, FRAME
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT

ROUTER = {place: endpoint for place, endpoint in GATEWAY_ENDPOINTS.items() if place[0] == "openrouter"}
READ = ENDPOINTS | COPILOT_ENDPOINTS | CURSOR_ENDPOINTS | ROUTER
Schema = Mapping[str, Any]


def differences() -> Iterator[str]:
    """Each field of a schema that no row of the endpoint keeps, wherever it stands."""
    for (provider, name), endpoint in READ.items():
        table = f"{provider}/{name}" if provider != "openai" or name == "costs" else f"openai/usage_{name}"
        known = EVERY_ENDPOINT.get(table) or EVERY_ENDPOINT[f"{provider}/{name}"]
        ours = of_endpoint(known[1]).fields
        for field in sorted({FRAME.sub("", leaf) for leaf in _of(endpoint, name)} - AROUND):
            parts = field.split(".")
            spans = combinations(range(len(parts) + 1), 2)
            if ours.isdisjoint(".".join(parts[first:last]) for first, last in spans) and parts[-1] not in AROUND:
                yield f"schema {provider}/{name}: field {field} is new"


def _of(endpoint: Endpoint, name: str) -> Iterator[str]:
    file, fragment = endpoint.schema
    schema = json.loads((FIXTURES / "schemas" / file).read_text())
    start = {"$ref": fragment} if fragment else schema
    return _leaves(schema, start, "", name.removeprefix("usage_").removesuffix("_calls"), ())


def _leaves(whole: Schema, part: Schema, path: str, stem: str, within: tuple[str, ...]) -> Iterator[str]:
    if (reference := part.get("$ref")) and reference not in within:
        found: Any = whole
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        yield from _leaves(whole, found, path, stem, (*within, reference))
        return
    members = [*part.get("anyOf", ()), *part.get("oneOf", ()), *part.get("allOf", ())]
    called = [each for each in members if stem.replace("_", "") in str(each.get("$ref", "")).lower()]
    for member in called or members:
        yield from _leaves(whole, member, path, stem, within)
    if isinstance(part.get("items"), dict):
        yield from _leaves(whole, part["items"], path, stem, within)
    if isinstance(part.get("additionalProperties"), dict):
        yield from _leaves(whole, part["additionalProperties"], f"{path}.*" if path else "*", stem, within)
    for name, inner in part.get("properties", {}).items():
        yield from _leaves(whole, inner, f"{path}.{name}" if path else name, stem, within)
    if path and not (members or {"items", "properties", "additionalProperties"} & part.keys()):
        yield path
