"""Mappings that show people: what each policy leaves of them, wherever it is set, and what forgetting takes away."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from usage_assets.core.people import People
from usage_assets.providers import PROVIDERS
from usage_assets_tests.features.deletion.contents import contents
from usage_assets_tests.fixtures import NO_KEYS, NewWarehouse, Sandbox, last_days
from usage_assets_tests.port_user import PortUser, port_user
from usage_assets_tests.terminal import Said, Terminal

DAY = last_days(1)[0]
BULK = "/port/v1/blueprints/day_of_people/entities/bulk"
DANA = "dana@acme-robotics.example"
CODE = """
resources:
  - name: code_people
    kind: /v1/organizations/usage_report/claude_code
    selector:
      query: '.actor.email_address != null'
      data_path: '[.data[]]'
    port:
      entity:
        mappings:
          identifier: .actor.email_address
          title: '"Use of " + .actor.email_address'
          team: '[.actor.email_address]'
          blueprint: '"person"'
          properties:
            local: '.actor.email_address | split("@")[0] | ascii_upcase'
            odd: '.actor.email_address | tonumber'
  - name: code_days
    kind: /v1/organizations/usage_report/claude_code
    selector:
      query: 'true'
      data_path: '{day: .data[0].date[:10], who: [.data[].actor.email_address | values] | unique}'
    port:
      entity:
        mappings:
          identifier: '"code_" + .day'
          title: '"Code on " + .day'
          blueprint: '"day_of_people"'
          properties:
            members: '.who'
            text: '.who | join(", ")'
            names: '.who | map(split("@")[0])'
          relations:
            first: '.who[0]'
            everybody: '.who'
"""
COSTS = """
resources:
  - name: costs_of_people
    kind: /organization/costs
    selector:
      query: 'true'
      query_params:
        group_by[]: user_id,project_id,line_item,api_key_id
      data_path: '{day: (.data[0].start_time | todate), rows: [.data[].results[]]}'
    port:
      entity:
        mappings:
          identifier: '"costs_" + .day[:10]'
          blueprint: '"day_of_people"'
          properties:
            members: '[.rows[] | .user_email // .user_id // "nobody"] | unique'
            text: '[.rows[] | .user_email | tojson] | unique | join(", ")'
"""
LEGACY = """
resources:
  - name: legacy_people
    kind: /usage
    selector:
      query: 'true'
      data_path: '.'
    port:
      entity:
        mappings:
          identifier: '"legacy_" + (.data[0].aggregation_timestamp | todate)[:10]'
          blueprint: '"day_of_people"'
          properties:
            members: '[.data[].email] | unique'
"""
MAPPINGS = {"anthropic": CODE, "openai": COSTS, "openai_legacy": LEGACY}
ONLY = {"anthropic": "claude_code", "openai": "costs", "openai_legacy": "usage"}

USED = ("anthropic", "openai_legacy")


def connected(sandbox: Sandbox, folder: Path, *names: str) -> None:
    """Write a connections file with these connections and their mappings."""
    keys = {"anthropic": "sk-ant-admin-sandbox", "openai": "sk-admin-sandbox", "openai_legacy": "sess-sandbox"}
    paths = {"anthropic": "anthropic", "openai": "openai/v1", "openai_legacy": "openai/v1"}
    text = ""
    for name in names:
        (folder / f"{name}.key").write_text(keys[name])
        (folder / f"{name}.yml").write_text(MAPPINGS[name])
        known = (*PROVIDERS[name].endpoints, *PROVIDERS[name].lookups)
        switches = ", ".join(f"{each.name} = {str(each.name == ONLY[name]).lower()}" for each in known)
        text += (
            f'[[connection]]\nname = "{name}"\nprovider = "{name}"\nkey = "file:{name}.key"\n'
            f'base_url = "{sandbox.base_url}/{paths[name]}"\nendpoints = {{ {switches} }}\n'
            f'[[mapping]]\nconnection = "{name}"\nfile = "{name}.yml"\n'
        )
    (folder / "connections.toml").write_text(text)


@pytest.fixture
def user(sandbox: Sandbox) -> Iterator[PortUser]:
    """Somebody whose Port has the blueprints of the mappings."""
    to_people = {
        name: {"target": "person", "required": False, "many": many}
        for name, many in (("first", False), ("everybody", True))
    }
    of_person = {"local": "string", "odd": "number"}
    of_day = {"members": "array", "text": "string", "names": "array"}
    with port_user(sandbox) as signed_in:
        for name, types, relations in (("person", of_person, {}), ("day_of_people", of_day, to_people)):
            schema = {"properties": {each: {"type": kind} for each, kind in types.items()}, "required": []}
            body = {"identifier": name, "title": name, "schema": schema, "relations": relations}
            signed_in.call("POST", "/blueprints", body)
        yield signed_in


@pytest.fixture
def terminal(terminal: Terminal, user: PortUser, warehouse_with_views: NewWarehouse) -> Terminal:
    """A person who begins with the last day."""
    warehouse_with_views(terminal.folder)
    terminal.set(dict.fromkeys(NO_KEYS, ""))
    terminal.set(USAGE_CONNECTIONS="connections.toml", USAGE_HASH_KEY="key", USAGE_START_DATE=str(DAY))
    return terminal


def run(terminal: Terminal, *options: str) -> Said:
    """Fetch, compute and push the day."""
    said = terminal.run(f"backfill --start {DAY} --end {DAY} --push", *options)
    assert said.code == 0, said.err
    return said


def shown(user: PortUser) -> dict[tuple[str, str], dict[str, Any]]:
    """What Port has of the mappings' entities."""
    kept = ("title", "team", "properties", "relations")
    return {
        (name, each): {field: user.entity(name, each)[field] for field in kept}
        for name in ("person", "day_of_people")
        for each in sorted(user.identifiers(name))
    }


def places(terminal: Terminal, user: PortUser, *words: str) -> set[str]:
    """Where one of these words is, in any case: in files, and in Port."""
    wanted = re.compile("|".join(rf"(?<![a-z]){re.escape(word)}(?![a-z])" for word in words).encode(), re.I)
    found = {str(path.relative_to(terminal.folder)) for path, text in contents(terminal.folder) if wanted.search(text)}
    return found | {f"Port {key}" for key, entity in shown(user).items() if wanted.search(repr((key, entity)).encode())}


def test_each_policy_leaves_the_same_entities_whenever_it_is_set(
    sandbox: Sandbox, terminal: Terminal, user: PortUser
) -> None:
    """Whatever was before is replaced. Nobody who is hashed is in a file, in Port, or in what is said."""
    connected(sandbox, terminal.folder, *USED)
    played: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for policy in ("hash", "names", "hash"):
        terminal.set(USAGE_PEOPLE=policy)
        said = [terminal.run("backfill --due --push")]
        assert said[0].code == 0, said[0].err
        if not played:
            assert "null, because they fail: anthropic.yml:" in said[0].err
            said += [terminal.run(f"port mapping check {name}.yml --day {DAY}") for name in USED]
            said += [terminal.run(f"capture --day {DAY} --examples")]
            assert "acme-robotics.example" not in repr(said)
            assert places(terminal, user, "acme-robotics.example") == set()
        assert shown(user) == played.setdefault(policy, shown(user))
    hashed, named = People("hash", "key"), played["names"]
    people = {address for kind, address in named if kind == "person"}
    assert len(people) > 5
    assert {address for kind, address in played["hash"] if kind == "person"} == {*map(hashed.only_id, people)}
    legacy = {policy: repr(found["day_of_people", f"legacy_{DAY}"]) for policy, found in played.items()}
    assert {policy for policy, entity in legacy.items() if "acme-robotics.example" in entity} == {"names"}


def test_forgetting_reaches_what_a_mapping_has_made_of_a_person(
    sandbox: Sandbox, terminal: Terminal, user: PortUser
) -> None:
    """Also lists, relations, the team, and what JQ has cut out of the address; also if Port refuses it at first."""
    connected(sandbox, terminal.folder, "anthropic", "openai")
    terminal.set(USAGE_PEOPLE="names")
    run(terminal)
    before = shown(user)
    assert ("person", DANA) in before
    assert DANA in before["day_of_people", f"costs_{DAY}"]["properties"]["members"]
    mapping = terminal.folder / "openai.yml"
    mapping.write_text(COSTS + f"# {DANA}\n")
    [said] = terminal.run("people forget", DANA).complaints
    assert said.endswith("openai.yml: names them in line 18, and would again: take that out first; nothing was changed")
    mapping.write_text(COSTS)
    sandbox.refuse(f"POST {BULK}", 403)
    assert terminal.run("people forget", DANA).complaints[0].startswith("FAILED: Port: ")
    sandbox.mend()
    assert places(terminal, user, "dana") > {f"Port {('day_of_people', f'{name}_{DAY}')}" for name in ("code", "costs")}
    assert terminal.run("people forget", DANA).code == 0
    assert places(terminal, user, "dana") == set()
    after = shown(user)
    run(terminal, "--from-archive")
    assert shown(user) == after
    assert len(after) == len(before)
