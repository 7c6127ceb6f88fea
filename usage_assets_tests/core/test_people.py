"""No address is kept unless the policy says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usage_assets.core.people import People

ADDRESS = "Ann.O'Neil+ai@mail.example.com"


def test_names_keeps_everything_and_ids_an_address_only_where_it_is_the_only_id() -> None:
    everything, ids = People("names"), People("ids")
    assert everything.only_id(ADDRESS) == everything.sent_unasked(ADDRESS) == ids.only_id(ADDRESS) == ADDRESS
    assert everything.person_name("Ann O'Neil") == "Ann O'Neil"
    assert ids.sent_unasked(ADDRESS) is ids.person_name("Ann O'Neil") is None


def test_hash_is_stable_keyed_and_one_per_person() -> None:
    people = People("hash", "a secret key")
    assert people.only_id(ADDRESS) == people.sent_unasked(f" {ADDRESS.upper()} ")
    assert people.only_id(ADDRESS) != People("hash", "another key").only_id(ADDRESS)
    assert people.only_id(ADDRESS) != people.only_id(f"x{ADDRESS}")
    assert "@" not in people.only_id(ADDRESS)
    assert People("hash", "key").only_id("someone@example.com") == "person-c8acd56a2d51d2152d063b4f"
    assert people.person_name("Ann O'Neil") is None
    assert [people.only_id(nobody) for nobody in ("", "null")] == ["", "null"], "a text for nobody is no person"
    assert "a secret key" not in repr(people)


def test_no_address_is_nobodys() -> None:
    """Also what an archived answer says where one was dropped."""
    for people in (People("ids"), People("hash", "key"), People("names")):
        assert [people.sent_unasked(address) for address in (None, "address-dropped")] == [None, None], people


def test_a_name_loses_its_address_under_hash_only() -> None:
    people = People("hash", "key")
    assert people.in_name(f"Laptop of {ADDRESS} (2)") == f"Laptop of {people.only_id(ADDRESS)} (2)"
    assert people.in_name("ci") == "ci"
    assert People("ids").in_name(ADDRESS) == People("names").in_name(ADDRESS) == ADDRESS


def test_text_of_unknown_meaning_loses_its_addresses() -> None:
    for value, scrubbed in (
        ("by a@b.example, c@d.example.org!", "by address-dropped, address-dropped!"),
        (
            {"x\ny@example.com": ["a\tz@example.com", 7, None, True]},
            {"x\naddress-dropped": ["a\taddress-dropped", 7, None, True]},
        ),
        ("jürgen@bücher.example", "address-dropped"),
        ("@handle, a@b, 10@", "@handle, a@b, 10@"),
    ):
        assert People("ids").scrubbed(value) == scrubbed
        assert People("names").scrubbed(value) == value


def test_a_hashed_address_in_text_is_the_hash_that_columns_have() -> None:
    people = People("hash", "key")
    assert people.scrubbed([f"for {ADDRESS}"]) == [f"for {people.only_id(ADDRESS)}"]


PARTS = st.sampled_from(
    ["ann", "a.b+c", "@", "@corp.example", ".", "x@y.z", " ", "person-c8acd56a2d51d2152d063b4f", "\u00e9", "'"]
)


@pytest.mark.parametrize("people", [People("ids"), People("hash", "key"), People("names")], ids=lambda p: p.policy)
@given(parts=st.lists(PARTS, max_size=6), name=st.text(max_size=8))
def test_a_policy_changes_nothing_in_what_it_has_made(people: People, parts: list[str], name: str) -> None:
    text = "".join(parts) + name
    for make in (people.only_id, people.sent_unasked, people.in_name):
        made = make(text)
        assert made is None or make(made) == made
    assert people.scrubbed(made_of_json := people.scrubbed({text: [text]})) == made_of_json
