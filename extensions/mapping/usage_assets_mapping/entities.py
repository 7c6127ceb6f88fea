"""What a resource makes of an answer: its items, and an entity of each. As Ocean does, but for what is said here.

Every output of ``data_path`` is an item, where Ocean keeps the first one. What fails is never left out silently.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from usage_assets_mapping.errors import MappingError, shown
from usage_assets_mapping.evaluating import Evaluator, Outcome
from usage_assets_mapping.reading import Expression, Resource

SPREAD = 'if type == "array" then .[] else . end'
NEEDED = ("identifier", "blueprint")
"""What must be a text for each item."""
_PLAIN_PATH = re.compile(r"(\.[A-Za-z_]\w*)+")


@dataclass(frozen=True, kw_only=True)
class MappedEntity:
    """An entity, as its resource makes it. Numbers are doubles, as in JQ."""

    identifier: str
    blueprint: str
    title: Any = None
    icon: Any = None
    team: Any = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    relations: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Mapped:
    """What a resource makes of an answer."""

    entities: Sequence[MappedEntity]
    """In the order of the items: of several with one identifier, the last one counts."""
    failures: Mapping[str, tuple[int, str]]
    """Place and name of an expression -> for how many items it failed and is null, and what jq said first."""


def entities_of(evaluator: Evaluator, resource: Resource, body: str) -> Mapped:
    """Return the entities of an answer, a text of JSON.

    Raises MappingError where ``data_path``, ``query``, ``identifier`` or ``blueprint`` fails or gives no text, or an
    expression cannot run at all.
    """
    evaluator.load(items_of(evaluator, resource, body))
    values: dict[str, list[Any]] = {}
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    made = [(name, each, f"{each.place}: {name}") for name, each in resource.expressions() if name != "query"]
    found = evaluator.first_of([(each.text, place) for _, each, place in made])
    for (name, expression, place), outcomes in zip(made, found, strict=True):
        if name in NEEDED:
            values[name] = [_text(outcome, name, expression) for outcome in outcomes]
            continue
        for outcome in outcomes:
            if outcome.failure is not None:
                counts[place] += 1
                first.setdefault(place, outcome.failure)
        values[name] = [outcome.value for outcome in outcomes]
    entities = [_entity({name: row[n] for name, row in values.items()}) for n in range(len(values["identifier"]))]
    return Mapped(entities, {place: (count, first[place]) for place, count in counts.items()})


def items_of(evaluator: Evaluator, resource: Resource, body: str) -> list[str]:
    """Return the items of an answer that become entities, as texts of JSON. Raises MappingError as ``entities_of``."""
    items = outputs_of(evaluator, resource, body)
    evaluator.load(items)
    items = [text for outcome in evaluator.all(SPREAD, resource.place) for text in outcome.outputs]
    if resource.items_to_parse:
        items = [*_parsed(evaluator, resource, resource.items_to_parse, items)]
    if resource.query is None:
        return items
    evaluator.load(items)
    place = f"{resource.query.place}: query"
    kept = [_succeeded(outcome, place) for outcome in evaluator.first(resource.query.text, place)]
    if odd := next((outcome for outcome in kept if outcome.outputs not in (["true"], ["false"])), None):
        raise MappingError(
            f"{place}: gives {shown(''.join(odd.outputs)) or 'nothing'} for an item: it must be true or false"
        )
    return [item for item, outcome in zip(items, kept, strict=True) if outcome.outputs == ["true"]]


def outputs_of(evaluator: Evaluator, resource: Resource, body: str) -> list[str]:
    """Return the outputs of a resource's ``data_path``, before lists are spread. Raises MappingError."""
    evaluator.load([body])
    if resource.data_path is None:
        return [body]
    place = f"{resource.data_path.place}: data_path"
    [outcome] = evaluator.all(resource.data_path.text, place)
    return [*_succeeded(outcome, place).outputs]


def _parsed(evaluator: Evaluator, resource: Resource, expression: Expression, items: Sequence[str]) -> Iterator[str]:
    """Yield for each item one for each element of the list in it, which it gets under a name."""
    evaluator.load(items)
    place = f"{expression.place}: itemsToParse"
    lists = evaluator.first(expression.text, place)
    if resource.items_to_parse_top_level_transform and _PLAIN_PATH.fullmatch(expression.text.strip()):
        left = evaluator.first(f"del({expression.text})", place)
        items = [_succeeded(outcome, place).outputs[0] for outcome in left]
    for item, found in zip(items, lists, strict=True):
        elements = _succeeded(found, place).value
        if not isinstance(elements, list):
            raise MappingError(f"{place}: gives no list for an item")
        whole = json.loads(item)
        if not isinstance(whole, dict):
            raise MappingError(f"{place}: an item is no object: select objects in data_path")
        yield from (json.dumps(whole | {resource.items_to_parse_name: each}) for each in elements)


def _succeeded(outcome: Outcome, place: str) -> Outcome:
    if outcome.failure is not None:
        raise MappingError(f"{place}: fails for an item: {outcome.failure}")
    return outcome


def _text(outcome: Outcome, name: str, expression: Expression) -> str:
    place = f"{expression.place}: {name}"
    value = _succeeded(outcome, place).value
    if not isinstance(value, str) or not value:
        given = "nothing" if not outcome.outputs else shown(outcome.outputs[0])
        raise MappingError(f"{place}: gives {given} for an item: it must be a text (| tostring makes one of a number)")
    return value


def _entity(values: Mapping[str, Any]) -> MappedEntity:
    fields: dict[str, Any] = {"properties": {}, "relations": {}}
    for name, value in values.items():
        group, _, key = name.partition(".")
        if key:
            fields[group][key] = value
        else:
            fields[name] = value
    return MappedEntity(**fields)
