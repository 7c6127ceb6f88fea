"""What is archived of a body: its rows are the same under every policy, and no address is kept unasked."""

from typing import Any

import msgspec
import pytest

from usage_assets.core.people import People
from usage_assets.fetching.bodies import kept_of
from usage_assets.fetching.client import read_page
from usage_assets.fetching.page_parser import PageParser
from usage_assets.fetching.scope import Scope
from usage_assets.providers.endpoint import Endpoint
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT
from usage_assets_tests.providers.bodies import ALWAYS, BODIES, POLICIES, SOUND, WINDOWS, every_policy, page_in

ANN = "ann@corp.example"
STRANGER = {"owner": {"email": ANN, "user_email": ANN, "note": f"ask {ANN}, or bo@corp.example", ANN: [ANN, 1.50]}}
"""An unknown field full of addresses, also under names that are declared elsewhere."""
_exact = msgspec.json.Decoder(float_hook=msgspec.Raw)


def endpoint_of(name: str) -> Endpoint:
    """The endpoint of a fixture."""
    provider, endpoint = name.split("/")[:2]
    return EVERY_ENDPOINT[f"{provider}/{endpoint}"][1]


def kept_in(name: str, people: People, content: bytes) -> bytes:
    """What is kept of a body: itself, where that is all of it."""
    pieces = list(kept_of(endpoint_of(name), people, content))
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def rows_of(name: str, people: People, content: bytes) -> list[dict[str, Any]]:
    """The rows of a body."""
    window = WINDOWS.get(name.partition("/")[0], ALWAYS)
    query = {"group": "workspace"} if "workspace" in name else {}
    parser = PageParser(
        Scope(connection="fixture", ids={"workspace_id": "ws-fixture", "organization": "acme"}, people=people),
        window,
        query,
        (),
    )
    read_page(endpoint_of(name), parser, content)
    return [row for table in parser.tables for row in table.to_pylist()]


def with_strangers(value: Any) -> Any:
    """The body with an unknown field in every object of it that may have one."""
    if isinstance(value, list):
        return [with_strangers(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    inner = {name: with_strangers(part) for name, part in value.items()}
    if all(isinstance(part, dict) and "metrics" in part for part in value.values()):
        return inner  # its names are values
    return inner | STRANGER if "email_address" not in value and "user" not in value else inner


@every_policy
def test_what_is_kept_of_a_body_gives_the_same_rows(people: People, subtests: pytest.Subtests) -> None:
    for name in sorted(SOUND):
        with subtests.test(name):
            content = page_in(name)
            kept = kept_in(name, people, content)
            assert rows_of(name, people, kept) == rows_of(name, people, content)
            if people.policy == "names" or b"@" not in content:
                assert kept is content


@every_policy
def test_unknown_fields_with_addresses_change_no_row(people: People, subtests: pytest.Subtests) -> None:
    for name in sorted(name for name in SOUND if name.endswith(("official.json", "recorded.json", ".ndjson"))):
        with subtests.test(name):
            content = msgspec.json.encode(with_strangers(_exact.decode(page_in(name))))
            kept = kept_in(name, people, content)
            assert rows_of(name, people, kept) == rows_of(name, people, content)
            assert (ANN.encode() in kept) == (people.policy == "names")


ACTORS = {
    "email_address": "Ann@corp.example",
    "api_key_name": "bo@corp.example's key",
}


@every_policy
@pytest.mark.parametrize("spelled", ["{}", "\\u0061{}", "{} "], ids=["plain", "escaped", "padded"])
def test_an_address_is_kept_where_the_tables_keep_it(people: People, spelled: str) -> None:
    body = _exact.decode(BODIES["anthropic/claude_code/official.json"].read_bytes())
    record = body["data"][0]
    body["data"] = [record | {"actor": {"type": "x", name: spelled.format(who)}} for name, who in ACTORS.items()]
    content = msgspec.json.encode(body).replace(b"\\\\u", b"\\u")
    kept = kept_in("anthropic/claude_code", people, content)
    rows = rows_of("anthropic/claude_code", people, content)
    assert rows_of("anthropic/claude_code", people, kept) == rows
    assert (b"corp.example" in kept) == (people.policy != "hash")
    if people.policy != "hash":
        assert kept is content


@every_policy
def test_an_address_that_is_sent_unasked_is_kept_as_the_policy_says(people: People) -> None:
    result = (
        b'{"amount": {"value": 1.50, "currency": "usd"}, "user_email" : "Ann@corp.example", "line_item": "a@b.co x"}'
    )
    content = (
        b'{"data": [{"start_time": 1794441600, "end_time": 1794528000, "results": [%s]}], "has_more": false}' % result
    )
    kept = kept_in("openai/costs", people, content)
    (row,) = rows_of("openai/costs", people, content)
    assert rows_of("openai/costs", people, kept) == [row]
    assert row["line_item"] == "a@b.co x"
    assert (b"corp.example" in kept) == (people.policy == "names")
    assert b"1.50" in kept


@every_policy
def test_a_persons_own_name_is_kept_under_names_only(people: People) -> None:
    """Whatever else is on its page."""
    for address in (
        None,
        ANN,
        f"of {ANN}",
    ):
        actor = {"type": "user_actor", "user_id": "user_01", "email_address": address, "name": "Ann Özdemir"}
        item = {
            "starting_at": "2026-11-12T00:00:00Z",
            "ending_at": "2026-11-13T00:00:00Z",
            "actor": actor,
            "product": "chat",
            "currency": "USD",
            "amount": "1",
            "list_amount": "1",
        }
        content = msgspec.json.encode({"data": [item], "has_more": False})
        kept = kept_in("anthropic_analytics/user_cost_report", people, content)
        assert ("Özdemir" in kept.decode()) == (people.policy == "names")
        for name, found in rows_of("anthropic_analytics/user_cost_report", people, content)[0].items():
            assert rows_of("anthropic_analytics/user_cost_report", people, kept)[0][name] == found


def test_digits_stay_as_they_are_written() -> None:
    digits = b"[0.10, 1e-7, 12345678901234567890.123456789012345678901234567890, 123456789012345678901234567890, -0.0]"
    content = b'{"data": [{"results": [], "unknown": %s, "who": "ann@corp.example"}], "has_more": false}' % digits
    kept = kept_in("openai/costs", POLICIES["ids"], content)
    assert b"ann" not in kept
    assert digits.replace(b" ", b"") in kept


def test_a_large_body_is_kept_piece_by_piece() -> None:
    result = b'{"amount": {"value": 1.5, "currency": "usd"}, "user_email": "someone%d@corp.example"}'
    results = b", ".join(result % n for n in range(20_000))
    item = b'{"start_time": 1794441600, "end_time": 1794528000, "results": [%s]}' % results
    content = b'{"data": [%s], "has_more": false}' % item
    pieces = list(kept_of(endpoint_of("openai/costs"), POLICIES["hash"], content))
    assert len(pieces) > 1
    assert len({row["user_email"] for row in rows_of("openai/costs", POLICIES["hash"], b"".join(pieces))}) == 20_000
    assert not any(b"@" in piece for piece in pieces)
