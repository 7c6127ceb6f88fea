"""Records relate to the users' own entities as configured, through Dagster: to whom the policy for people allows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from usage_assets_tests.end_to_end.conftest import IMPATIENT, hold_project
from usage_assets_tests.fixtures import Sandbox, last_days
from usage_assets_tests.port_user import PortUser, port_user

DAYS = last_days(1)
PEOPLE = "ai_user_cost"
USERS = """
[[port_relation]]
from = "user"
blueprint = "_user"
"""
ALICE, BOB = "alice@acme-robotics.example", "bob@acme-robotics.example"


@pytest.fixture
def user(sandbox: Sandbox) -> Iterator[PortUser]:
    """Somebody who has services and users in Port."""
    with port_user(sandbox) as signed_in:
        for blueprint in ("service", "_user"):
            schema: dict[str, object] = {"properties": {}, "required": []}
            body = {"identifier": blueprint, "title": "Theirs", "schema": schema}
            signed_in.call("POST", "/blueprints", body)
        signed_in.create("_user", ALICE, {})
        yield signed_in


@pytest.mark.parametrize(("people", "target"), [("hash", None), ("names", ALICE), ("ids", "E17")])
def test_only_addresses_and_ids_that_the_policy_for_people_keeps_relate_to_somebody(
    sandbox: Sandbox, tmp_path: Path, user: PortUser, people: str, target: str | None
) -> None:
    """A person may be known by the provider's id."""
    user.create("service", "E17", {})
    relations = USERS.replace("_user", "service") + 'targets = { user-93ff17b866b99358082dd2c5 = "E17" }\n'
    relations = relations if people == "ids" else USERS
    file = tmp_path / "connections.toml"
    file.write_text(relations)
    variables = {"USAGE_CONNECTIONS": str(file), "USAGE_PEOPLE": people, "USAGE_HASH_KEY": "k" * 32}
    with hold_project(sandbox, tmp_path, variables, patience=IMPATIENT) as project:
        if people == "names":
            assert project.look_up("openai", "users").success
        assert project.fetch("openai", DAYS, "costs", "costs/daily_costs", f"entities/{PEOPLE}").success
        result = project.push_of("openai", DAYS)
        assert result.success
        *_, event = result.asset_materializations_for_node("openai__port_sync")
        if people == "hash":
            assert event.metadata["targets_not_in_port"].value == 0, "a hashed address is asked for nowhere"
        records = [*user.search(PEOPLE)]
    assert {record["relations"]["user"] for record in records} == {None, target}


@pytest.mark.usefixtures("user")
def test_the_log_names_nobody_who_is_missing_in_port(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "connections.toml"
    file.write_text(USERS)
    with hold_project(sandbox, tmp_path, {"USAGE_CONNECTIONS": str(file)}) as project:
        assert project.fetch("anthropic", DAYS, "claude_code", "entities/claude_code_analytics").success
        result = project.push_of("anthropic", DAYS)
        assert result.success
        logged = "\n".join(entry.user_message for entry in project.instance.all_logs(result.run_id))
    assert "_user address-dropped" in logged
    assert BOB not in logged
