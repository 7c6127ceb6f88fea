"""What a person types about Port: what it lacks, making it so, and clearing up after the published Ocean mappings."""

from collections.abc import Iterator
from typing import Any

import pytest

from usage_assets.features.port.catalog.provision import provision
from usage_assets.features.port.catalog.sync import Changes, Entity, push
from usage_assets.features.port.ledger import PortLedger
from usage_assets.warehouse.slices import Slice
from usage_assets_tests.fixtures import Sandbox, last_days
from usage_assets_tests.port_user import OCEAN, PortUser, port_of, port_user
from usage_assets_tests.terminal import Said, Terminal, refusal

DAY = last_days(1)[0]
MIDNIGHT = 1_767_225_600
COST, DAILY, CLAUDE, MODEL, CODE = (
    "claude_cost_record",
    "openai_daily_usage",
    "claude_model_usage",
    "openai_model_usage",
    "claude_code_analytics",
)


@pytest.fixture
def ocean(sandbox: Sandbox) -> Iterator[PortUser]:
    """An Ocean integration."""
    with port_user(sandbox, OCEAN) as signed_in:
        yield signed_in


def blueprints(user: PortUser) -> dict[str, dict[str, Any]]:
    """The data model in Port."""
    return {each["identifier"]: each for each in user.call("GET", "/blueprints")["blueprints"]}


def succeeds(said: Said) -> list[str]:
    """The lines of a command that complains about nothing."""
    assert (said.code or 0, said.err) == (0, "")
    return said.lines


# What Port lacks


def test_provisioning_does_what_the_plan_says_and_then_there_is_nothing_to_do(
    terminal: Terminal, user: PortUser
) -> None:
    planned = succeeds(terminal.type("port", "plan"))
    assert blueprints(user) == {}
    assert succeeds(terminal.type("port", "adopt")) == ["no entity in Port is left of the published mappings"]
    assert planned[-1] == "nothing was changed; to do this: usage-assets port provision"
    assert any(line.startswith(f"{COST}: creates it with record_date, amount, currency") for line in planned)
    assert succeeds(terminal.type("port", "provision"))[-1] == "all of this is done"
    assert blueprints(user).keys() == {line.partition(":")[0] for line in planned[:-1]}
    assert succeeds(terminal.type("port", "plan")) == ["every blueprint is as it must be"]
    assert succeeds(terminal.type("port", "provision")) == ["every blueprint is as it must be"]


def test_a_refusal_is_one_line_without_a_secret(terminal: Terminal) -> None:
    terminal.set(PORT_CLIENT_ID="somebody")
    for command in ("plan", "provision", "adopt"):
        said = refusal(terminal.type("port", command))
        assert "Port answered 401 to POST /port/v1/auth/access_token" in said, command
    terminal.set(PORT_CLIENT_ID=None, PORT_CLIENT_SECRET=None)
    said = refusal(terminal.type("port", "plan"))
    assert said == "Port is not configured: set PORT_CLIENT_ID and PORT_CLIENT_SECRET"


# A catalog that the published mappings filled


def entities(text: str) -> list[tuple[str, str, dict[str, str]]]:
    """Blueprint, identifier and properties of each line."""
    found = map(str.split, text.strip().splitlines())
    return [(name, identifier, dict(each.split("=") for each in given)) for name, identifier, *given in found]


DAY_OF_CODE = "record_date=2026-01-01T00:00:00Z organization_id=org"
MADE_BY_BOTH = entities(f"""
    {DAILY}   daily-2026-01-01                date=2026-01-01
    {MODEL}   gpt-5-{MIDNIGHT}                date=2026-01-01 model=gpt-5
    {MODEL}   gpt-5-{MIDNIGHT}-12345678       date=2026-01-01 model=gpt-5
    {CLAUDE}  claude-opus-2026-01-01          record_date=2026-01-01T00:00:00Z model=m
    {CODE}    org-ada@acme.test-2026-01-01    {DAY_OF_CODE}
    {CODE}    org-key-unknown-2026-01-01      {DAY_OF_CODE}
    {COST}    2026-01-01-cost                 record_date=2026-01-01T00:00:00Z currency=USD
""")
ONLY_PUBLISHED = entities(f"""
    {DAILY}   daily-unknown           date=2026-01-01
    {MODEL}   gpt-5-{MIDNIGHT + 300}  date=2026-01-01 model=gpt-5
    {MODEL}   -{MIDNIGHT}             date=2026-01-01 model=
    {MODEL}   -0                      date=2026-01-01 model=
    {MODEL}   gpt-5-0                 date=2026-01-01 model=gpt-5
    {CLAUDE}  -2026-01-01             record_date=2026-01-01T00:00:00Z model=m
    {CODE}    org-unknown-2026-01-01  {DAY_OF_CODE}
""")


@pytest.fixture
def filled(terminal: Terminal, ocean: PortUser) -> Terminal:
    """The same person, whose catalog the published mappings have filled."""
    with port_of(terminal.sandbox) as port:
        provision(port, [COST, DAILY, MODEL, CLAUDE, CODE])
    for name, identifier, properties in (*MADE_BY_BOTH, *ONLY_PUBLISHED):
        ocean.create(name, identifier, properties)
    return terminal


def named(entities: list[tuple[str, str, dict[str, str]]]) -> set[tuple[str, str]]:
    """Blueprint and identifier of each."""
    return {(name, identifier) for name, identifier, _ in entities}


def in_port(user: PortUser) -> set[tuple[str, str]]:
    """Blueprint and identifier of everything."""
    return {(name, identifier) for name in blueprints(user) for identifier in user.identifiers(name)}


def test_without_yes_the_leftovers_are_listed_and_with_it_they_go_and_all_else_stays(
    filled: Terminal, user: PortUser
) -> None:
    before = in_port(user)
    assert succeeds(filled.type("port", "adopt")) == [
        f"{CODE}: entities 1: org-unknown-2026-01-01",
        f"{CLAUDE}: entities 1: -2026-01-01",
        f"{DAILY}: entities 1: daily-unknown",
        f"{MODEL}: entities 4: -0, -{MIDNIGHT}, gpt-5-0, gpt-5-{MIDNIGHT + 300}",
        "nothing was deleted; to delete these: usage-assets port adopt --yes",
    ]
    assert in_port(user) == before == named(MADE_BY_BOTH) | named(ONLY_PUBLISHED)
    assert not filled.database.exists()
    assert succeeds(filled.type("port", "adopt", "--yes"))[-1] == "all of these are deleted"
    assert in_port(user) == named(MADE_BY_BOTH)
    assert succeeds(filled.type("port", "adopt", "--yes")) == ["no entity in Port is left of the published mappings"]


def test_entities_that_no_ocean_integration_made_or_the_ledger_has_stay(
    filled: Terminal, user: PortUser, ocean: PortUser
) -> None:
    others = [each for each in ONLY_PUBLISHED if each[0] != CODE]
    for name, identifier, properties in others:
        user.create(name, identifier, properties)
    nobody = Entity(CODE, "org-unknown-2026-01-01", "unknown - 2026-01-01", ONLY_PUBLISHED[-1][2], DAY)
    with port_of(filled.sandbox) as port:
        ledger = PortLedger(filled.warehouse, port.account, Slice("anthropic", DAY, DAY), ())
        assert push(port, Changes((nobody,)), ledger).upserted == 1
    ocean.edit(CODE, nobody.identifier, {"title": "Somebody"})
    assert succeeds(filled.type("port", "adopt", "--yes")) == ["no entity in Port is left of the published mappings"]
    assert in_port(user) == named(MADE_BY_BOTH) | named(ONLY_PUBLISHED)


def test_an_entity_that_others_depend_on_is_named_and_stays(filled: Terminal, user: PortUser) -> None:
    relation = {"day": {"target": DAILY, "title": "Day", "required": False, "many": False}}
    note = {"identifier": "note", "title": "Note", "schema": {"properties": {}, "required": []}, "relations": relation}
    user.call("POST", "/blueprints", note)
    user.create("note", "n1", {}, relations={"day": "daily-unknown"})
    said = filled.type("port", "adopt", "--yes")
    assert said.code == 1
    (failed,) = said.complaints
    assert failed.startswith(f"FAILED: Port, {DAILY} daily-unknown: Port answered 409 to ")
    assert said.lines[-1] == "1 entities are still in Port"
    assert in_port(user) == named(MADE_BY_BOTH) | {(DAILY, "daily-unknown"), ("note", "n1")}
