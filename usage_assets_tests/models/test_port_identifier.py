"""The SQL macro that names entities: valid for Port, stable, and never two names made one."""

import unicodedata
from functools import cache

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from usage_assets.models.model import MACROS
from usage_assets_tests.models.days import cases


@cache
def database() -> duckdb.DuckDBPyConnection:
    """A database that has the macros."""
    connection = duckdb.connect()
    for macro in MACROS:
        connection.execute(macro)
    return connection


def made_valid(text: str) -> str:
    """The identifier of a default connection's entity."""
    [(identifier,)] = database().execute("select port_identifier('openai', $text)", {"text": text}).fetchall()
    assert isinstance(identifier, str)
    return identifier


def test_entities_of_further_connections_bear_its_name() -> None:
    row = database().execute("select port_identifier('emea', 'daily-2026-11-01'), port_identifier('emea', 'a b')")
    assert row.fetchone() == ("emea:daily-2026-11-01", "emea:a_b-95f11a4b")


# Port's pattern, ^(?!\.{1,2}$)[\p{L}0-9@_.+:\\/=-]+$ with at most 1,000 characters, said by other means.
PORT_SIGNS = set("0123456789@_.+:\\/=-")


def port_accepts(text: str) -> bool:
    """Whether an entity may be called so."""
    letters_and_signs = all(unicodedata.category(c).startswith("L") or c in PORT_SIGNS for c in text)
    return 0 < len(text) <= 1000 and text not in (".", "..") and letters_and_signs


VALID = (
    *("2026-11-01-cost", "gpt-5-2025-08-07-1793491200", "openai_emea:daily-2026-11-01", "Zoë\\größe-東京", "..."),
    *("org/ada+test@example.com-2026-11-01", "x" * 1000),
)
MADE = {
    **dict(
        map(
            list,
            cases("""
        a b -> a_b-c8687a08
        Laptop key (Bob) -> Laptop_key__Bob_-cf3bff09
        100% -> 100_-32e48995
        O'Brien -> O_Brien-e6e62496
        say "hi" -> say__hi_-f65be999
        a,b|c#d*e -> a_b_c_d_e-4af2e38e
        e\u0301 -> e_-bf12767b
        ٣ -> _-1a4fd527
        . -> .-cdb4ee2a
        .. -> ..-5ec1f7e7
    """),
        )
    ),
    "": "-e3b0c442",
    "x" * 1001: "x" * 991 + "-cbe4a2e8",
}


def test_a_valid_identifier_stays_and_any_other_text_is_made_valid_and_told_apart_by_a_hash() -> None:
    assert [made_valid(text) for text in VALID] == [*VALID]
    assert {text: made_valid(text) for text in MADE} == MADE
    assert all(map(port_accepts, MADE.values()))


@given(st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=40))
def test_every_text_becomes_an_identifier_that_stays_one(text: str) -> None:
    made = made_valid(text)
    assert port_accepts(made)
    assert made_valid(made) == made
    assert (made == text) == port_accepts(text)
