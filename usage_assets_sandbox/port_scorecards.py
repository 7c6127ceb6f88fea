"""What the emulated Port accepts as a scorecard of a blueprint.

After Port's published schema of POST /blueprints/{id}/scorecards. Its rules are kept, never computed. That a rule must
name a property or relation of the blueprint, and a level of the scorecard, is [inferred].
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from usage_assets_sandbox.port_search import META_PROPERTIES
from usage_assets_sandbox.port_validation import Color, JsonObject, PortError, Request, check_entity_identifier

UNARY = {"isEmpty", "isNotEmpty"}
COMPARED = {
    "=", "!=", ">", "<", ">=", "<=", "contains", "doesNotContains", "beginsWith", "doesNotBeginsWith", "endsWith",
    "doesNotEndsWith",
}  # fmt: skip
OF_PROPERTIES = COMPARED | {"between", "notBetween", "containsAny", "in"}
MEDALS = ("Gold", "Silver", "Bronze")
"""The levels of a scorecard that declares none."""


class Condition(msgspec.Struct):
    """One condition. It names a property or a relation; keys that no variant has are let through, as published."""

    operator: str
    property: str | UnsetType = UNSET
    relation: str | UnsetType = UNSET
    value: Any = UNSET

    def __post_init__(self) -> None:
        """Check what belongs together."""
        if (self.property is UNSET) == (self.relation is UNSET):
            raise ValueError("a condition names a property or a relation")
        known = UNARY | (COMPARED if self.property is UNSET else OF_PROPERTIES)
        if self.operator not in known:
            raise ValueError(f"operator {self.operator!r} is not one of {sorted(known)}")
        if self.operator not in UNARY and self.value is UNSET:
            raise ValueError(f"operator {self.operator!r} needs a value")


class ConditionQuery(msgspec.Struct):
    """Conditions that are all met, or one of them."""

    combinator: Literal["and", "or"]
    conditions: Annotated[list[Condition], Meta(min_length=1)]


class ScorecardRule(msgspec.Struct):
    """What an entity must meet for a level."""

    identifier: Annotated[str, Meta(pattern=r"^[A-Za-z0-9@_=\\-]+\Z", max_length=20)]
    title: str
    level: str
    query: ConditionQuery
    description: str | UnsetType = UNSET


class Level(msgspec.Struct):
    """One level; the first is that of an entity that meets nothing."""

    title: str
    color: Color


class ScorecardBody(Request, kw_only=True):
    """Body of POST /blueprints/{id}/scorecards."""

    identifier: str
    title: str
    rules: list[ScorecardRule]
    filter: ConditionQuery | UnsetType = UNSET
    levels: list[Level] | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Check the pattern that `Meta` cannot express, and the levels."""
        check_entity_identifier(self.identifier)
        known = [level.title for level in self.levels] if self.levels else MEDALS
        for rule in self.rules:
            if rule.level not in known:
                raise ValueError(f"rule {rule.identifier!r}: level {rule.level!r} is not one of {', '.join(known)}")

    def conditions(self) -> Iterator[Condition]:
        """Every condition of the filter and the rules."""
        for query in (*([self.filter] if self.filter else []), *(rule.query for rule in self.rules)):
            yield from query.conditions


def check_scorecard(body: ScorecardBody, blueprint: JsonObject) -> None:
    """Raise a 422 for the first property or relation that a condition names and the blueprint does not have."""
    properties = {
        *META_PROPERTIES,
        *blueprint["schema"]["properties"],
        *blueprint["calculationProperties"],
        *blueprint["mirrorProperties"],
        *blueprint["aggregationProperties"],
    }
    for condition in body.conditions():
        if condition.property is not UNSET and condition.property not in properties:
            raise PortError("invalid_request", f"there is no property {condition.property!r}")
        if condition.relation is not UNSET and condition.relation not in blueprint["relations"]:
            raise PortError("invalid_request", f"there is no relation {condition.relation!r}")
