"""What resources make of answers, beside jq itself over the same answer."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from usage_assets.core.people import People
from usage_assets_mapping.entities import Mapped, entities_of
from usage_assets_mapping.errors import MappingError
from usage_assets_mapping.evaluating import Evaluator
from usage_assets_mapping.reading import Expression, Resource, read
from usage_assets_tests.models.days import cases, one_a_line

OFFICIAL = Path(__file__).parent / "official"
RESOURCES = read(OFFICIAL / "claude.yml").resources
PLAIN = replace(RESOURCES[0], query=None, data_path=None, title=None, properties={})


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator(now=0) as opened:
        yield opened


def expression(text: str) -> Expression:
    return Expression(text, "m.yml:1", 0, 0)


def resource(**expressions: Any) -> Resource:
    stated = {"identifier": ".id", "blueprint": '"b"'} | expressions
    made = {name: expression(each) if isinstance(each, str) else each for name, each in stated.items()}
    return replace(PLAIN, **cast("Any", made))


def mapped(evaluator: Evaluator, body: object, **expressions: Any) -> Mapped:
    return entities_of(evaluator, resource(**expressions), json.dumps(body))


NO_ENTITY = cases("""
    data_path: .id.x[] -> data_path: fails for an item: Cannot index string with string ("x")
    query: .id > error -> query: fails for an item:
    identifier: .id + 1 -> identifier: fails for an item: string ("a") and number (1) cannot be added
    identifier: .n -> identifier: gives 1 for an item: it must be a text (| tostring makes one of a number)
    identifier: .x -> identifier: gives null for an item
    identifier: empty -> identifier: gives nothing for an item
    blueprint: .x[] -> blueprint: fails for an item: Cannot iterate over null
    title: env -> title: env must not be used: an expression sees the answer only
    items_to_parse: .n -> itemsToParse: gives no list for an item
""")


def test_what_makes_no_entity_is_one_error(evaluator: Evaluator) -> None:
    for stated, reason in NO_ENTITY:
        field, text = stated.split(": ")
        with pytest.raises(MappingError) as raised:
            mapped(evaluator, {"id": "a", "n": 1}, **{field: text})
        assert str(raised.value).startswith(f"m.yml:1: {reason}")


LONG = "dana.oezdemir-of-the-team@acme-robotics.example"


OF_SOMEBODY = one_a_line("""
    identifier: .who | tonumber
    identifier: .id + (.who | tonumber)
    identifier: {who} | tojson | fromjson
    identifier: [.n, .who]
    identifier: .who | strptime(.who)
    query: .who
    query: {who}
    title: .who + 1
    title: {who} | tonumber
    title: .n[.who]
""")


def test_what_is_said_of_a_value_has_no_half_of_an_address(evaluator: Evaluator) -> None:
    """No policy would hide it, and nobody who forgets a person would find it."""
    for stated in OF_SOMEBODY:
        field, text = stated.split(": ")
        body = {"who": LONG, "n": 1, "id": "a"}
        try:
            failures = mapped(evaluator, body, data_path="[.]", **{field: text}).failures
            said = " ".join(reason for _, reason in failures.values())
        except MappingError as error:
            said = str(error)
        assert said, stated
        assert not any(part in People("ids").scrubbed(said) for part in ("dana", "oezdemir", "acme", "example")), stated
