"""Answers made up from an endpoint's declaration: what a mapping can be tried on before anything is stored.

They have the declared fields at their places, and one value of each. Endpoints whose answers have another form have
none (``example_of`` returns None).
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any, get_origin

import msgspec

from usage_assets.core.days import Window
from usage_assets.core.schema import Column, columns
from usage_assets_mapping.questions import Answer

DAYS = (date(2026, 1, 1), date(2026, 1, 2))
NOT_SENT = frozenset(("connection", "usage_date", "grouped_by", "other_fields", "occurrence"))
"""Columns that no answer has."""
AMOUNT = 12.5
VALUES: Mapping[type, object] = {str: "", bool: True, int: 7, Decimal: AMOUNT}
Names = tuple[str, ...]
"""Names of fields, from the outside in."""


@dataclass(frozen=True)
class Field:
    """A column, and where the answer has it."""

    column: Column
    path: Names


@dataclass(frozen=True)
class Example:
    """Made-up answers of an endpoint to one question."""

    answer: Answer

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The columns that the provider sends, by name."""
        sent = {each.name: each.encode_name for each in msgspec.structs.fields(self.answer.endpoint.row)}
        return {
            each.name: Field(each, tuple(sent[each.name].split(".")))
            for each in columns(self.answer.endpoint.row)
            if each.name not in NOT_SENT and each.type in VALUES
        }

    @cached_property
    def dimensions(self) -> tuple[str, ...]:
        """The columns that tell the rows of this answer apart."""
        grouped, grain = self.answer.endpoint.group_by, self.answer.endpoint.row.grain
        return tuple(
            name
            for name in grain
            if name in self.fields and (name in self.answer.groups if grouped else not is_currency(name))
        )

    @cached_property
    def hidden(self) -> frozenset[str]:
        """The dimensions that are null: what was not asked for, and what comes with it (``Endpoint.details``)."""
        endpoint, fields = self.answer.endpoint, self.fields
        hidden = {*endpoint.group_by} - {*self.answer.groups}
        others = {*endpoint.row.grain} - {*endpoint.group_by} if endpoint.group_by else set()
        if endpoint.details in hidden or not endpoint.details:
            hidden |= {name for name in others & fields.keys() if fields[name].column.nullable}
        return frozenset(name for name in hidden if not is_currency(name))

    def body(
        self,
        day: date = DAYS[0],
        *others: Mapping[Names, object],
        unknown: Collection[Names] = (),
        amounts: type[float | str] = float,
    ) -> str:
        """Return an answer with one row, and one more for each mapping of paths to other values.

        What is ``unknown`` is null in all of them, unless a row has its own value. Amounts are of a type: providers
        send them as numbers or as texts.
        """
        endpoint = self.answer.endpoint
        start = next(iter(endpoint.window_params(Window(day, day)).values()))
        frame: dict[str, Any] = {}
        for each in msgspec.structs.fields(endpoint.item):
            if each.name == "start":
                frame[each.encode_name] = int(start) if start.isdigit() else start
            elif get_origin(each.type) is list:
                frame[each.encode_name] = []
        row = self._row() | {path: amounts(AMOUNT) for path in self.amounts} | dict.fromkeys(unknown)
        rows = [_nested({**row, **other}) for other in ({}, *others)]
        data = [frame | {"results": rows}] if "results" in frame else [row | frame for row in rows]
        return json.dumps({endpoint.items: data, "has_more": False, "next_page": None})

    def _row(self) -> dict[Names, object]:
        """Return the values of a row. Dimensions that were not asked for are null."""
        return {
            field.path: None if name in self.hidden else _value_of(field.column) for name, field in self.fields.items()
        }

    def others(self) -> Iterator[tuple[str, Mapping[Names, object]]]:
        """Yield each dimension with what a row that differs only in it has instead."""
        for name in self.dimensions:
            field = self.fields[name]
            yield name, {field.path: False if field.column.type is bool else f"{name}-2"}

    @property
    def amounts(self) -> frozenset[Names]:
        """Where amounts are."""
        return frozenset(field.path for field in self.fields.values() if field.column.type is Decimal)

    @property
    def booleans(self) -> frozenset[Names]:
        """Where values are true or false."""
        return frozenset(field.path for field in self.fields.values() if field.column.type is bool)

    @property
    def nullable(self) -> frozenset[Names]:
        """Where the dimensions are that the provider may not state."""
        return frozenset(self.fields[name].path for name in self.dimensions if self.fields[name].column.nullable)


def example_of(answer: Answer) -> Example | None:
    """Return made-up answers to a question; None where the endpoint's answers are declared in another form."""
    endpoint = answer.endpoint
    return None if endpoint.page or endpoint.links or endpoint.answer else Example(answer)


def is_currency(name: str) -> bool:
    return name.endswith("currency")


def _value_of(column: Column) -> object:
    """Return a value of a column, which says its name where it is a text."""
    if is_currency(column.name):
        return "USD"
    return f"{column.name}-1" if column.type is str else VALUES[column.type]


def _nested(values: Mapping[Names, object]) -> dict[str, Any]:
    """Return an object that has each value at its path."""
    whole: dict[str, Any] = {}
    for path, value in values.items():
        place = whole
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = value
    return whole
