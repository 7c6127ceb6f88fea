"""Search over the emulated Port's entities: rules, what of an entity is returned, pages.

Pure functions over stored entities. Operators of Port that are not in `OPERATORS` are refused like unknown ones.
"""

import base64
import hashlib
import operator
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from usage_assets_sandbox.port_validation import JsonObject, PortError, Request, converted, is_date, is_date_time

Predicate = Callable[[JsonObject], bool]

# Rules and `include` write an entity's own fields with a dollar sign, and its properties bare.
META_PROPERTIES = {
    "$blueprint": "blueprint",
    "$createdAt": "createdAt",
    "$createdBy": "createdBy",
    "$datasource": "$datasource",
    "$icon": "icon",
    "$identifier": "identifier",
    "$team": "team",
    "$title": "title",
    "$updatedAt": "updatedAt",
    "$updatedBy": "updatedBy",
}


class Query(Request):
    """A group of rules and nested groups; the whole body of POST /entities/search."""

    combinator: Literal["and", "or"]
    rules: list[JsonObject]


class Rule(Request):
    """One comparison; `isEmpty` and `isNotEmpty` have no value."""

    property: str
    operator: str
    value: Any = UNSET


class SearchBody(Request):
    """Body of POST /blueprints/{id}/entities/search."""

    query: Query | UnsetType = UNSET
    include: list[str] = msgspec.field(default_factory=list)
    exclude: list[str] = msgspec.field(default_factory=list)
    limit: Annotated[int, Meta(ge=1, le=1000)] = 200
    from_: str | UnsetType = msgspec.field(name="from", default=UNSET)


class Operator(NamedTuple):
    """`accepts` a rule's value; `holds` between what the entity has and that value."""

    accepts: Callable[[Any], bool]
    holds: Callable[[Any, Any], bool]


def _is_a(*types: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, types)


def _position(value: object) -> Decimal | datetime | None:
    """Where a number or an instant stands in its order; None for what has no order."""
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and (is_date_time(value) or is_date(value)):
        instant = datetime.fromisoformat(value)
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return None


def _is_bound(value: object) -> bool:
    """A number or an instant; Port takes no bare day here."""
    return _position(value) is not None and (not isinstance(value, str) or is_date_time(value))


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def holds(actual: object, bound: object) -> bool:
        here, there = _position(actual), _position(bound)
        return here is not None and type(here) is type(there) and compare(here, there)

    return holds


def _on_text(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda actual, text: isinstance(actual, str) and test(actual, text)


def _is_range(value: object) -> bool:
    bounds = value.values() if isinstance(value, dict) and value.keys() == {"from", "to"} else [None]
    return all(isinstance(bound, str) and is_date_time(bound) for bound in bounds)


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_empty(actual: object, _: object) -> bool:
    return actual in (None, "", [], {})


_at_least, _at_most = _ordered(operator.ge), _ordered(operator.le)
_scalar = _is_a(str, int, Decimal, type(None))
_absent = _is_a(UnsetType)

OPERATORS = {
    "=": Operator(_scalar, operator.eq),
    "!=": Operator(_scalar, operator.ne),
    "in": Operator(_is_list_of_texts, lambda actual, values: actual in values),
    "notIn": Operator(_is_list_of_texts, lambda actual, values: actual not in values),
    "contains": Operator(_is_a(str), lambda actual, part: isinstance(actual, (str, list)) and part in actual),
    "beginsWith": Operator(_is_a(str), _on_text(str.startswith)),
    "endsWith": Operator(_is_a(str), _on_text(str.endswith)),
    ">": Operator(_is_bound, _ordered(operator.gt)),
    ">=": Operator(_is_bound, _at_least),
    "<": Operator(_is_bound, _ordered(operator.lt)),
    "<=": Operator(_is_bound, _at_most),
    "between": Operator(_is_range, lambda actual, r: _at_least(actual, r["from"]) and _at_most(actual, r["to"])),
    "isEmpty": Operator(_absent, _is_empty),
    "isNotEmpty": Operator(_absent, lambda actual, _: not _is_empty(actual, _)),
}


def predicate_of(query: Query) -> Predicate:
    """The query as a test of one entity; a rule that Port would refuse raises a 422."""
    tests = [
        predicate_of(converted(rule, Query)) if "combinator" in rule else rule_predicate(converted(rule, Rule))
        for rule in query.rules
    ]
    combine = all if query.combinator == "and" else any
    return lambda entity: combine(test(entity) for test in tests)


def rule_predicate(rule: Rule) -> Predicate:
    """The rule as a test of one entity, or a 422."""
    if rule.operator not in OPERATORS:
        raise PortError("invalid_request", f"operator {rule.operator!r} is not one of {', '.join(OPERATORS)}")
    chosen = OPERATORS[rule.operator]
    if not chosen.accepts(rule.value):
        raise PortError("invalid_request", f"operator {rule.operator!r} does not take this value")
    if not rule.property.startswith("$"):
        return lambda entity: chosen.holds(entity["properties"].get(rule.property), rule.value)
    if rule.property not in META_PROPERTIES:
        raise PortError("invalid_request", f"meta property {rule.property!r} is unknown")
    field = META_PROPERTIES[rule.property]
    return lambda entity: chosen.holds(entity[field], rule.value)


# What of an entity is returned

Names = Callable[[str], Collection[str]]


def dotted_names(path: str) -> Collection[str]:
    """Names of a field in POST /entities/search: `title`, `properties.amount` or all of `properties`."""
    return {path, path.partition(".")[0]}


def short_names(path: str) -> Collection[str]:
    """Names of a field in POST /blueprints/{id}/entities/search: `$title`, `amount`."""
    section, _, key = path.partition(".")
    return {key} if key else {"$" + section.removeprefix("$")}


def projected(entity: JsonObject, names: Names, include: Collection[str], exclude: Collection[str]) -> JsonObject:
    """The entity with only the fields that `include` names (all when it is empty) and none that `exclude` names."""

    def kept(path: str) -> bool:
        known_as = set(names(path))
        return (not include or not known_as.isdisjoint(include)) and known_as.isdisjoint(exclude)

    nested = ("properties", "relations")
    fields = {name: value for name, value in entity.items() if name not in nested and kept(name)}
    for section in nested:
        fields[section] = {key: value for key, value in entity[section].items() if kept(f"{section}.{key}")}
    return fields


# Pages


class Page(NamedTuple):
    """One page in the order of identifiers; `next` is None on the last one."""

    entities: list[JsonObject]
    next: str | None


def page_of(entities: Iterable[JsonObject], blueprint: str, body: SearchBody) -> Page:
    """The page that `body` asks for. `from` belongs to one blueprint and query: with another it is a 422."""
    query = hashlib.sha256(msgspec.json.encode([blueprint, None if body.query is UNSET else body.query])).hexdigest()[
        :16
    ]
    after = "" if body.from_ is UNSET else _position_of_cursor(body.from_, query)
    rest = sorted((e for e in entities if e["identifier"] > after), key=lambda entity: str(entity["identifier"]))
    shown = rest[: body.limit]
    return Page(shown, _cursor(query, shown[-1]["identifier"]) if len(rest) > len(shown) else None)


def _cursor(query: str, identifier: str) -> str:
    return base64.urlsafe_b64encode(f"{query}{identifier}".encode()).decode()


def _position_of_cursor(cursor: str, query: str) -> str:
    try:
        text = base64.urlsafe_b64decode(cursor).decode()
    except ValueError as error:
        raise PortError("invalid_request", "from is not a cursor that a search returned") from error
    if not text.startswith(query):
        raise PortError("invalid_request", "from belongs to another search")
    return text.removeprefix(query)
