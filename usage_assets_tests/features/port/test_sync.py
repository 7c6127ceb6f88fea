"""The pure half of the sync: what is sent, what it hashes to, what counts as changed."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usage_assets.features.port.catalog.sync import UNKNOWN, Acknowledged, Entity, Value, diff
from usage_assets_tests.models.days import lines

DAY = date(2026, 11, 1)


def entity(amount: Value = Decimal("1.50")) -> Entity:
    """A cost record."""
    properties = {"amount": amount, "currency": "USD"}
    return Entity("claude_cost_record", "2026-11-01-cost", f"Claude Cost - {DAY}", properties, DAY)


def acknowledged(*entities: Entity) -> list[Acknowledged]:
    """The ledger's lines after Port has taken the entities."""
    return [Acknowledged(e.blueprint, e.identifier, e.usage_date, e.content_hash()) for e in entities]


def test_what_is_wanted_no_more_is_deleted_and_what_is_unknown_is_sent_or_deleted() -> None:
    for held in (acknowledged(entity()), [replace(line, content_hash=UNKNOWN) for line in acknowledged(entity())]):
        gone = diff([], held)
        assert (gone.upserts, gone.deletes) == ((), tuple(held))
    assert diff([entity()], held).upserts == (entity(),)


def test_two_entities_of_one_identifier_are_refused() -> None:
    with pytest.raises(ValueError, match="two entities of claude_cost_record are called 2026-11-01-cost"):
        diff([entity(), entity(amount=Decimal(2))], [])


def test_equal_values_hash_alike_and_a_lost_value_is_not_a_missing_one() -> None:
    assert entity(amount=Decimal(1)).content_hash() == entity(amount=1).content_hash()
    other = entity(amount=[{"b": 2, "a": Decimal("1.00")}])
    assert entity(amount=[{"a": Decimal("1.0"), "b": 2}]).content_hash() == other.content_hash()
    assert entity(amount=None).content_hash() != entity(amount=Decimal(0)).content_hash()
    assert b'"amount":null' in entity(amount=None).encoded()


def test_a_decimal_is_sent_as_its_plain_digits() -> None:
    for value, digits in lines("""
        0.000000000000000000000001               0.000000000000000000000001
        1E+3                                     1000
        12345678901234.123456789012345678901234  12345678901234.123456789012345678901234
        -0.50                                    -0.5
        -0.00                                    0
        100.00                                   100
    """):
        assert f'"amount":{digits},'.encode() in entity(amount=Decimal(value)).encoded()


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_every_decimal_arrives_as_the_number_that_it_is(value: Decimal) -> None:
    sent = msgspec.json.Decoder(float_hook=Decimal).decode(entity(amount=[value]).encoded())
    assert sent["properties"]["amount"] == [value]


def test_what_is_no_exact_number_is_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        entity(amount=1.5).encoded()  # type: ignore[arg-type]  # the refusal is what is tested
    for value in ("NaN", "Infinity"):
        with pytest.raises(ValueError, match="not a number that Port can hold"):
            entity(amount=Decimal(value)).encoded()


def related(target: str | None, blueprint: str | None = "service") -> Entity:
    """A cost record that is related to its connection and, where there is one, to a blueprint of the users' own."""
    foreign = {"project": blueprint} if blueprint else {}
    relations = {"ai_connection": "anthropic"} | ({"project": target} if foreign else {})
    return replace(entity(), relations=relations, foreign=foreign)


def test_without_a_relation_to_users_blueprints_an_entity_hashes_as_it_always_has() -> None:
    hashed = "5bc297a13f59d46af55ed2b91e774169a38b0b465a946aeeabb9d4c46ff6a134"
    assert related(None, blueprint=None).content_hash() == hashed, "otherwise an upgrade sends every catalog again"
