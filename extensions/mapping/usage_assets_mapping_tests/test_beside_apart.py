"""Days of mappings in the emulated Port, ninety at night, against entities that were made apart (apart.py)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from decimal import Decimal
from math import isclose
from pathlib import Path
from typing import Any

import pytest

from usage_assets.automation.jobs import USAGE_JOB
from usage_assets_mapping_tests.apart import entities_of
from usage_assets_tests.end_to_end.conftest import Project, hold_project, sandbox_environment
from usage_assets_tests.fixtures import IS_NIGHT, Sandbox, last_days
from usage_assets_tests.port_user import PortUser, port_user

pytestmark = pytest.mark.timeout(1800)
HERE = Path(__file__).parent
DAYS = last_days(90 if IS_NIGHT else 4)
FETCHED = {
    "anthropic": ("usage_messages", "cost_report", "claude_code"),
    "openai": ("costs", "usage_completions"),
    "openai_legacy": ("usage", "billing_usage"),
}
SERVED = {
    "anthropic": ("sk-ant-admin-sandbox", "anthropic"),
    "openai": ("sk-admin-sandbox", "openai/v1"),
    "openai_legacy": ("sess-sandbox", "openai/v1"),
}
"""Connection -> its key, and where the sandbox serves its provider."""
MAPPINGS = {
    "mended/claude.yml": "anthropic",
    "mended/codex.yml": "openai_legacy",
    "changed/identifiers.yml": "anthropic",
    "changed/relations.yml": "anthropic",
    "changed/blueprints.yml": "anthropic",
    "changed/items.yml": "anthropic",
    "changed/filters.yml": "anthropic",
    "changed/openai.yml": "openai",
}
RESTATED = {
    "openai_legacy": (("usage", "scale"), ("billing_usage", "scale")),
    "anthropic": (("usage_messages", "scale"), ("cost_report", "add"), ("claude_code", "remove")),
    "openai": (("costs", "scale"), ("usage_completions", "remove")),
}
Entities = Mapping[tuple[str, str], Mapping[str, Any]]


@pytest.fixture
def user(sandbox: Sandbox) -> Iterator[PortUser]:
    with port_user(sandbox) as signed_in:
        yield signed_in


class Company:
    """A company that follows all mappings or none, with archived days."""

    def __init__(self, sandbox: Sandbox, folder: Path, user: PortUser) -> None:
        self.sandbox, self.folder, self.user = sandbox, folder, user
        self.stack = ExitStack()
        self.project: Project | None = None
        for name, (key, _) in SERVED.items():
            (folder / f"{name}.key").write_text(key)

    def follow(self, mappings: Mapping[str, str]) -> Project:
        """Have these mappings of connections."""
        self.stack.close()
        stated = "".join(
            f'[[mapping]]\nconnection = "{connection}"\nfile = "{HERE / name}"\nreplaces = true\n'
            for name, connection in mappings.items()
        )
        base = self.sandbox.base_url
        unused = ("usage_embeddings", "usage_moderations", "usage_images", "usage_audio_speeches")
        off = ", ".join(f"{each} = false" for each in unused)
        (self.folder / "connections.toml").write_text(
            "".join(
                f'[[connection]]\nname = "{name}"\nprovider = "{name}"\nkey = "file:{self.folder}/{name}.key"\n'
                f'base_url = "{base}/{path}"\nendpoints = {{{off if name == "openai" else ""}}}\n'
                for name, (_, path) in SERVED.items()
            )
            + stated
        )
        variables = {
            **sandbox_environment(base, self.folder / "usage.duckdb"),
            "ANTHROPIC_ADMIN_KEY": "",
            "OPENAI_ADMIN_KEY": "",
            "USAGE_CONNECTIONS": str(self.folder / "connections.toml"),
            "USAGE_START_DATE": str(DAYS[0]),
        }
        self.project = self.stack.enter_context(hold_project(self.sandbox, self.folder, variables))
        return self.project

    def fetch(self, days: Sequence[date]) -> None:
        assert self.project
        for connection, endpoints in FETCHED.items():
            assert self.project.fetch(connection, [*days], *endpoints).success

    def compute_and_push(self, days: Sequence[date]) -> None:
        """Compute some days, and push all."""
        assert self.project
        for connection in FETCHED:
            keys = [key for key in self.project.keys_of(USAGE_JOB) if [*key.path[:2]] == [connection, "mapped"]]
            mapped = ["/".join(key.path[1:]) for key in keys]
            assert mapped
            assert self.project.fetch(connection, [*days], *mapped).success
        self.push()

    def push(self) -> None:
        assert self.project
        for connection in FETCHED:
            assert self.project.push_of(connection, DAYS).success

    def shown(self, blueprints: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
        """What Port has of some blueprints."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for blueprint in blueprints:
            body = {"limit": 1000}
            while True:
                answer = self.user.call("POST", f"/blueprints/{blueprint}/entities/search", body)
                found |= {(blueprint, each["identifier"]): each for each in answer["entities"]}
                if not answer.get("next"):
                    break
                body["from"] = answer["next"]
        return found


TYPES = {
    str: "string",
    bool: "boolean",
    list: "array",
    dict: "object",
    **dict.fromkeys((int, float), "number"),
}
RELATIONS = {"workspace": ("my_workspace", False), "models": ("my_model", True)}
"""Those of changed/relations.yml: what each leads to, and whether it leads to many."""


def blueprints_for(entities: Entities) -> list[dict[str, Any]]:
    """The bodies of POST /blueprints for these entities, as who wrote the mapping would have made them: a property has
    the type of its values, and what others relate to comes first."""
    made: dict[str, dict[str, Any]] = {}
    for blueprint in (*(target for target, _ in RELATIONS.values()), *(blueprint for blueprint, _ in entities)):
        made[blueprint] = {"identifier": blueprint, "title": blueprint, "schema": {"properties": {}}, "relations": {}}
    for (blueprint, _), entity in entities.items():
        properties = made[blueprint]["schema"]["properties"]
        for name, value in entity["properties"].items():
            known = properties.setdefault(name, {"type": "string"})
            if value is not None:
                known["type"] = TYPES[type(value)]
        for name in entity["relations"]:
            target, many = RELATIONS[name]
            made[blueprint]["relations"][name] = {"target": target, "required": False, "many": many}
    return [*made.values()]


def is_alike(ours: Any, theirs: Any) -> bool:
    """Whole numbers are equal; of others, the last digits depend on the order in which doubles are added."""
    if isinstance(ours, (Decimal, float)) or isinstance(theirs, float):
        return isinstance(theirs, (int, float)) and isclose(float(ours), theirs, rel_tol=1e-12)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(is_alike(ours[name], theirs[name]) for name in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(is_alike, ours, theirs))
    return bool(ours == theirs)


def differences(shown: Entities, expected: Entities) -> list[str]:
    """What Port has otherwise than what was made apart."""
    found = [f"{key}: only in Port" for key in shown.keys() - expected.keys()]
    found += [f"{key}: not in Port" for key in expected.keys() - shown.keys()]
    for key in shown.keys() & expected.keys():
        here, there = shown[key], expected[key]
        stated = {"properties": there["properties"], "relations": there["relations"]}
        stated |= {name: there[name] for name in ("title", "icon", "team") if there.get(name) is not None}
        for name, value in stated.items():
            theirs = {each: here[name].get(each) for each in value} if isinstance(value, dict) else here[name]
            if not is_alike(theirs, value):
                found.append(f"{key}.{name}: {json.dumps(theirs, default=str)} is not {json.dumps(value)}")
    return sorted(found)


def test_days_of_each_mapping_are_in_port_as_they_are_made_apart(
    sandbox: Sandbox, tmp_path: Path, user: PortUser
) -> None:
    """No two mappings write one blueprint, so that the company follows all of them at once."""
    company = Company(sandbox, tmp_path, user)
    with company.stack:
        company.follow({})
        company.fetch(DAYS)
        project = company.follow(MAPPINGS)
        expected = made_apart(sandbox)
        for body in blueprints_for(expected):
            user.call("POST", "/blueprints", body)
        blueprints = sorted({blueprint for blueprint, _ in expected})
        requests = len(asked(sandbox))
        company.compute_and_push(DAYS)
        assert len(asked(sandbox)) == requests, "computed of the archive alone"
        former = company.shown(blueprints)
        assert not differences(former, expected)[:5]

        _, restated, *_, cleared = DAYS
        for connection, changes in RESTATED.items():
            for endpoint, change in changes:
                sandbox.restate(connection, restated, endpoint=endpoint, change=change)
                sandbox.restate(connection, cleared, endpoint=endpoint, change="clear")
        company.fetch(DAYS[1:])
        company.compute_and_push(DAYS[1:])
        shown = company.shown(blueprints)
        assert not differences(shown, made_apart(sandbox))[:5]
        changed = {key[0] for key in shown.keys() | former.keys() if shown.get(key) != former.get(key)}
        assert {*blueprints} - changed == {"my_model", "my_workspace"}, "what they show is of no day"
        before = len(project.port_requests())
        company.compute_and_push([restated])
        assert len(project.port_requests()) == before, "a second run sends nothing"
        company.follow({})
        company.push()
        assert company.shown(blueprints) == {}, "nothing stays of mappings that are not stated"


def made_apart(sandbox: Sandbox) -> dict[tuple[str, str], dict[str, Any]]:
    """The entities of all mappings, as the script makes them that is apart."""
    made = [entities_of(sandbox.base_url, (HERE / name).read_text(), DAYS) for name in MAPPINGS]
    blueprints = [blueprint for each in made for blueprint in {blueprint for blueprint, _ in each}]
    assert len(blueprints) == len({*blueprints})
    return {key: entity for each in made for key, entity in each.items()}


def asked(sandbox: Sandbox) -> list[dict[str, Any]]:
    """The requests to providers, but those of the script that is apart."""
    return [each for each in sandbox.requests() if not each["path"].startswith("/port")]
