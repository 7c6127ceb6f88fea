"""The entities of a mapping, computed apart from the product: from answers to the mapping's own questions.

Nothing of the product is imported here, so that both can be compared. It asks the emulator with each resource's own
``query_params``, a day at a time, and evaluates the resource's JQ in this process: for tests, whose JQ is known.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from io import StringIO
from typing import Any

import httpx
import jq
from ruamel.yaml import YAML

from usage_assets_sandbox.credentials import ANTHROPIC_ADMIN_KEY, OPENAI_ADMIN_KEY, OPENAI_SESSION_KEY

Entity = dict[str, Any]
Key = tuple[str, str]
"""A blueprint and an identifier."""

OPENAI_LEGACY = ("/dashboard/billing/usage", "/usage")
LIMITS = {"usage_report/claude_code": 1000, "organization/costs": 180}
MOST_BUCKETS = 31
OURS = frozenset(
    ("starting_at", "ending_at", "start_time", "end_time", "start_date", "end_date", "date", "limit", "page")
)
"""Parameters that say which days are asked for, and in which pieces."""
PLAIN_PATH = re.compile(r"(\.[A-Za-z_]\w*)+")
LONGEST_IDENTIFIER = 1000


def entities_of(base_url: str, mapping: str, days: Sequence[date]) -> dict[Key, Entity]:
    """Return what the mapping makes of these days: a blueprint and an identifier -> title, properties, relations.

    The newest day of an identifier wins, and the last item in it.
    Raises ValueError where an identifier, a blueprint, a query or a data_path fails, or two resources make one entity.
    """
    entities: dict[Key, Entity] = {}
    made_by: dict[Key, int] = {}
    resources = resources_in(mapping)
    with httpx.Client(timeout=60) as client:
        for day in sorted(days):
            for number, resource in enumerate(resources):
                body = _answer(client, base_url, resource, day)
                for key, entity in _entities_in(resource, body):
                    if made_by.setdefault(key, number) != number:
                        raise ValueError(f"two resources make {key}")
                    entities[key] = entity
    return entities


def resources_in(mapping: str) -> list[dict[str, Any]]:
    """The resources of all ``resources:`` blocks of a file: a parser would keep the last block."""
    blocks = re.split(r"^(?=resources:)", mapping, flags=re.MULTILINE)[1:]
    return [resource for block in blocks for resource in YAML(typ="safe").load(StringIO(block))["resources"]]


def port_name(identifier: str) -> str:
    """The identifier as Port takes it: a name that has to change ends in a digest of what it was."""
    taken = "".join(c if c.isalpha() or c in "0123456789@_.+:\\/=-" else "_" for c in identifier)
    if taken == identifier and len(identifier) <= LONGEST_IDENTIFIER:
        return identifier
    return f"{taken[: LONGEST_IDENTIFIER - 9]}-{hashlib.sha256(identifier.encode()).hexdigest()[:8]}"


# Questions


def _answer(client: httpx.Client, base_url: str, resource: Mapping[str, Any], day: date) -> dict[str, Any]:
    """What the emulator answers to a resource about one day: all pages as one."""
    selector = resource["selector"]
    url, headers, partition = _question(base_url, resource["kind"], day)
    own = {name: value for name, value in (selector.get("query_params") or {}).items() if name not in OURS}
    parameters, pages = own | partition, list[dict[str, Any]]()
    while not pages or pages[-1].get("has_more"):
        more = {"page": pages[-1]["next_page"]} if pages else {}
        answer = client.get(url, params=parameters | more, headers=headers | (selector.get("headers") or {}))
        pages.append(answer.raise_for_status().json())
    if "has_more" not in pages[0]:
        return pages[0]
    joined = [item for page in pages for item in page["data"]]
    return pages[0] | {"data": joined, "has_more": False, "next_page": None}


def _question(base_url: str, kind: str, day: date) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The address of an endpoint, the headers that open it and the parameters that mean this day."""
    following = day + timedelta(days=1)
    limit = {"limit": next((most for ending, most in LIMITS.items() if kind.endswith(ending)), MOST_BUCKETS)}
    path = kind.removeprefix("/v1")
    if path.startswith("/organizations/"):
        url = f"{base_url}/anthropic/v1{path}"
        headers = {"x-api-key": ANTHROPIC_ADMIN_KEY, "anthropic-version": "2023-06-01"}
        if path.endswith("claude_code"):
            return url, headers, {"starting_at": f"{day}", **limit}
        bounds = {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{following}T00:00:00Z"}
        return url, headers, bounds | limit
    url = f"{base_url}/openai/v1{path}"
    if path in OPENAI_LEGACY:
        of_day = {"date": f"{day}"} if path == "/usage" else {"start_date": f"{day}", "end_date": f"{following}"}
        return url, {"Authorization": f"Bearer {OPENAI_SESSION_KEY}"}, of_day
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    times = {"start_time": start, "end_time": start + 86_400}
    return url, {"Authorization": f"Bearer {OPENAI_ADMIN_KEY}"}, times | limit


# Entities


def _entities_in(resource: Mapping[str, Any], body: dict[str, Any]) -> Iterator[tuple[Key, Entity]]:
    wanted = resource["port"]["entity"]["mappings"]
    for item in _items(resource, body):
        if _first(resource["selector"].get("query", "true"), item) is not True:
            continue
        identifier, blueprint = (_first(wanted[name], item) for name in ("identifier", "blueprint"))
        if not (identifier and isinstance(identifier, str) and blueprint and isinstance(blueprint, str)):
            raise ValueError(f"no identifier or no blueprint: {identifier!r}, {blueprint!r}")
        entity = {"title": _or_null(wanted.get("title", "null"), item)}
        for part in ("properties", "relations"):
            expressions = wanted.get(part) or {}
            entity[part] = {name: _or_null(expression, item) for name, expression in expressions.items()}
        entity["relations"] = {name: _targets(value) for name, value in entity["relations"].items()}
        entity |= {name: _or_null(wanted[name], item) for name in ("icon", "team") if name in wanted}
        yield (blueprint, port_name(identifier)), entity


def _items(resource: Mapping[str, Any], body: dict[str, Any]) -> Iterator[Any]:
    """The items of a body: every output of data_path, lists spread, and then the elements of itemsToParse."""
    path, port = resource["selector"].get("data_path"), resource["port"]
    outputs = [body] if path is None else _outputs(path, body)
    for output in outputs:
        for item in output if isinstance(output, list) else [output]:
            if (parsed := port.get("itemsToParse")) is None:
                yield item
                continue
            elements, kept = _or_null(parsed, item), item
            if port.get("itemsToParseTopLevelTransform", True) and PLAIN_PATH.fullmatch(parsed.strip()):
                kept = _first(f"del({parsed})", item)
            for element in elements if isinstance(elements, list) else []:
                yield kept | {port.get("itemsToParseName", "item"): element}


def _targets(value: Any) -> Any:
    if isinstance(value, list):
        return [_targets(target) for target in value]
    return port_name(value) if isinstance(value, str) else value


def _or_null(expression: Any, value: Any) -> Any:
    """The first output of an expression; None where it has none or fails. Raises ValueError if it is no JQ."""
    outputs = _outputs(expression, value)
    try:
        return next(outputs, None)
    except ValueError:
        return None


def _first(expression: Any, value: Any) -> Any:
    return next(_outputs(expression, value), None)


def _outputs(expression: Any, value: Any) -> Iterator[Any]:
    text = expression if isinstance(expression, str) else json.dumps(expression)  # YAML reads `true` as a boolean
    return iter(_program(text).input_value(value))


@cache
def _program(text: str) -> Any:
    return jq.compile(text)
