"""Records relate to the users' own entities as configured, through Dagster: what is there, what is not, and later."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from usage_assets_tests.conftest import NOW, Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import IMPATIENT, Project, hold_project, placed, saved
from usage_assets_tests.end_to_end.test_reconcile import NOTHING_TO_DO, failure, reconcile
from usage_assets_tests.port_user import PortUser, port_user

DAYS = last_days(2)
COSTS, PEOPLE, CODE, WORKSPACES = "ai_cost_record", "ai_user_cost", "claude_code_analytics", "claude_workspace_usage"
ASSETS = (
    "cost_report",
    "usage_messages",
    "claude_code",
    "cost_report/daily_costs",
    "claude_code/daily_costs",
    *(f"entities/{name}" for name in (COSTS, PEOPLE, CODE, WORKSPACES)),
)
FIRST, SECOND = "wrkspc_0159665371dc5f63169f5649e0", "wrkspc_016e22e040e290728b73270e50"
PROJECTS = f"""
[[port_relation]]
from = "project"
blueprint = "service"
targets = {{ {FIRST} = "billing", {SECOND} = "unborn" }}
"""
USERS = """
[[port_relation]]
from = "user"
blueprint = "_user"
"""
THEIRS = ("service", "_user")
ALICE, BOB = "alice@acme-robotics.example", "bob@acme-robotics.example"


@dataclass(frozen=True)
class Folder:
    """Where a person keeps the warehouse and the connections file; Dagster starts anew each time."""

    path: Path
    sandbox: Sandbox

    def opened(self, relations: str = PROJECTS + USERS, **variables: str) -> AbstractContextManager[Project]:
        """Start with these relations."""
        file = self.path / "connections.toml"
        file.write_text(relations)
        return hold_project(self.sandbox, self.path, {"USAGE_CONNECTIONS": str(file), **variables}, patience=IMPATIENT)


@pytest.fixture
def empty_folder(sandbox: Sandbox, tmp_path: Path) -> Folder:
    """An empty one."""
    return Folder(tmp_path, sandbox)


@pytest.fixture(scope="module")
def fetched(
    request: pytest.FixtureRequest, sandbox_process: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Folder, Callable[[], None]]:
    """The folder after everything was fetched and computed that most tests look at, and what brings that back."""
    folder = Folder(tmp_path_factory.mktemp("fetched"), sandbox_process)
    sandbox_process.control("POST", "reset", {"now": NOW.isoformat()})
    with placed(request, folder.path):
        with time_machine.travel(NOW - timedelta(hours=1)), folder.opened("") as project:  # before each test
            assert project.fetch("anthropic", DAYS, *ASSETS).success
        return folder, saved(project.warehouse)


@pytest.fixture
def folder(fetched: tuple[Folder, Callable[[], None]], sandbox: Sandbox) -> Folder:
    """That folder."""
    filled, bring_back = fetched
    bring_back()
    return filled


@pytest.fixture
def user(sandbox: Sandbox) -> Iterator[PortUser]:
    """Somebody who has services and users in Port."""
    with port_user(sandbox) as signed_in:
        for blueprint in THEIRS:
            schema: dict[str, object] = {"properties": {}, "required": []}
            body = {"identifier": blueprint, "title": "Theirs", "schema": schema}
            signed_in.call("POST", "/blueprints", body)
        signed_in.create("service", "billing", {})
        signed_in.create("_user", ALICE, {})
        yield signed_in


def push(project: Project) -> dict[str, Any]:
    """Push it, successfully, and return what the event says."""
    result = project.push_of("anthropic", DAYS)
    assert result.success
    *_, event = result.asset_materializations_for_node("anthropic__port_sync")
    return {name: value.value for name, value in event.metadata.items()}


def related(user: PortUser, blueprint: str, relation: str, known_by: str) -> dict[str | None, str | None]:
    """What the records of a blueprint relate to, by the property that tells; each must have only one answer."""
    records = user.call("POST", f"/blueprints/{blueprint}/entities/search", {"limit": 1000})["entities"]
    found = {(record["properties"][known_by], record["relations"][relation]) for record in records}
    assert len(dict(found)) == len(found)
    return dict(found)


def test_records_relate_to_what_is_there_as_configured_and_are_sent_again_only_where_that_has_changed(
    folder: Folder, user: PortUser
) -> None:
    with folder.opened("") as project:
        assert "targets_not_in_port" not in push(project)
        paths = [request["path"] for request in project.port_requests()]
        assert paths
        assert not any(path.endswith(("/search", "/service", "/_user")) for path in paths), "nothing is asked"
        costs, workspaces = (len(project.rows(f"port_entities.{name}")) for name in (COSTS, WORKSPACES))
    with folder.opened(PROJECTS) as project:
        said = push(project)
        assert (said["entities_sent"], said["targets_not_in_port"]) == (costs + workspaces, 1)
    with folder.opened() as project:
        what_is_related_to_users_follows_them(project, user)
        people_and_code = sum(len(project.rows(f"port_entities.{name}")) for name in (PEOPLE, CODE))
    for blueprint, known_by, others in ((COSTS, "scope_id", None), (WORKSPACES, "workspace_id", "default")):
        targets = related(user, blueprint, "project", known_by)
        assert targets.keys() >= {FIRST, SECOND, others}
        assert {key: target for key, target in targets.items() if target} == {FIRST: "billing"}
    of_second = len([name for name in user.identifiers(WORKSPACES) if SECOND in name])
    with folder.opened(PROJECTS.replace("unborn", "billing") + USERS) as project:
        assert push(project)["entities_sent"] >= of_second > 0
        assert related(user, WORKSPACES, "project", "workspace_id")[SECOND] == "billing"
    with folder.opened("") as project:
        assert push(project)["entities_sent"] == costs + workspaces + people_and_code
        assert related(user, WORKSPACES, "project", "workspace_id")[FIRST] == "billing", "it stays in Port"
        assert push(project)["entities_sent"] == 0
    assert user.identifiers("service") == {"billing"}, "nothing of theirs is created"


def what_is_related_to_users_follows_them(project: Project, user: PortUser) -> None:
    """It is quiet while somebody is missing. The log names nobody."""
    people = {row["user_email"] for row in project.rows(f"port_entities.{PEOPLE}")} - {None}
    result = project.push_of("anthropic", DAYS)
    logged = "\n".join(entry.user_message for entry in project.instance.all_logs(result.run_id))
    [line] = [line for line in logged.splitlines() if "should relate to are missing in Port" in line]
    assert "; those relations stay empty: " in line
    assert "_user address-dropped" in line
    assert BOB not in logged
    in_port = project.in_port()
    assert {key: content for key, content in in_port.items() if key[0] not in THEIRS} == project.entities()
    asked = project.port_requests()
    assert push(project)["targets_not_in_port"] == 0
    assert project.port_requests() == asked
    before = reconcile(project)
    assert {name: before[name] for name in NOTHING_TO_DO} == NOTHING_TO_DO
    assert before["targets_not_in_port"] == len({"unborn"} | people - {ALICE}) > 1
    for everybody in ({ALICE}, {ALICE, BOB}):
        if BOB in everybody:
            user.create("_user", BOB, {})
            came = reconcile(project)
            of_bob = [row for table in (PEOPLE, CODE) for row in project.rows(f"port_entities.{table}")]
            assert came["edited_in_port"] == len([row for row in of_bob if BOB in row.values()]) > 0
            assert reconcile(project) == before | {"targets_not_in_port": before["targets_not_in_port"] - 1}
        for blueprint, known_by in ((PEOPLE, "user_email"), (CODE, "actor_name")):
            targets = related(user, blueprint, "user", known_by)
            assert targets.keys() > {ALICE, BOB}
            assert {key: target for key, target in targets.items() if target} == {each: each for each in everybody}
        assert user.identifiers("_user") == everybody


def test_a_blueprint_that_is_not_there_fails_the_push_in_one_line_and_changes_nothing(
    folder: Folder, user: PortUser
) -> None:
    user.call("DELETE", "/blueprints/_user/all-entities", delete_blueprint="true")
    with folder.opened() as project:
        [reason] = failure(project.push_of("anthropic", DAYS)).splitlines()
        assert "relation user leads to the blueprint _user, which is not there: create it in Port" in reason
        assert project.in_port() == {("service", "billing"): {"title": None}}


@pytest.mark.parametrize(("people", "target"), [("hash", None), ("names", ALICE), ("ids", "E17")])
def test_only_addresses_and_ids_that_the_policy_for_people_keeps_relate_to_somebody(
    empty_folder: Folder, user: PortUser, people: str, target: str | None
) -> None:
    """A person may be known by the provider's id."""
    user.create("service", "E17", {})
    relations = USERS.replace("_user", "service") + 'targets = { user-93ff17b866b99358082dd2c5 = "E17" }\n'
    relations = relations if people == "ids" else USERS
    with empty_folder.opened(relations, USAGE_PEOPLE=people, USAGE_HASH_KEY="k" * 32) as project:
        if people == "names":
            assert project.look_up("openai", "users").success
        assert project.fetch("openai", DAYS[:1], "costs", "costs/daily_costs", f"entities/{PEOPLE}").success
        result = project.push_of("openai", DAYS[:1])
        assert result.success
        *_, event = result.asset_materializations_for_node("openai__port_sync")
        if people == "hash":
            assert event.metadata["targets_not_in_port"].value == 0, "a hashed address is asked for nowhere"
        records = user.call("POST", f"/blueprints/{PEOPLE}/entities/search", {"limit": 1000})["entities"]
    assert {record["relations"]["user"] for record in records} == {None, target}
