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


def test_records_relate_to_what_is_there_and_to_nothing_where_it_is_not(folder: Folder, user: PortUser) -> None:
    with folder.opened() as project:
        said = push(project)
        people = {row["user_email"] for row in project.rows(f"port_entities.{PEOPLE}")} - {None}
        in_port = project.in_port()
        assert {key: content for key, content in in_port.items() if key[0] not in THEIRS} == project.entities()
    for blueprint, known_by, others in ((COSTS, "scope_id", None), (WORKSPACES, "workspace_id", "default")):
        targets = related(user, blueprint, "project", known_by)
        assert targets.keys() >= {FIRST, SECOND, others}
        assert {key: target for key, target in targets.items() if target} == {FIRST: "billing"}
    for blueprint, known_by in ((PEOPLE, "user_email"), (CODE, "actor_name")):
        targets = related(user, blueprint, "user", known_by)
        assert targets.keys() > {ALICE, BOB}
        assert {key: target for key, target in targets.items() if target} == {ALICE: ALICE}
    assert said["targets_not_in_port"] == len({"unborn"} | people - {ALICE})
    assert user.identifiers("service") == {"billing"}, "nothing of theirs is created"
    assert user.identifiers("_user") == {ALICE}


def test_a_push_without_changes_makes_no_request_and_nothing_is_asked_where_nothing_is_configured(
    folder: Folder, user: PortUser
) -> None:
    with folder.opened() as project:
        push(project)
        asked = len(project.port_requests())
        assert push(project)["targets_not_in_port"] == 0
        assert len(project.port_requests()) == asked
    with folder.opened("") as project:
        assert "targets_not_in_port" not in push(project)
        paths = [request["path"] for request in project.port_requests()[asked:]]
        assert paths
        assert not any(path.endswith(("/search", "/service", "/_user")) for path in paths)


def test_only_records_that_a_change_of_the_configuration_concerns_are_sent_again(
    folder: Folder, user: PortUser
) -> None:
    with folder.opened("") as project:
        push(project)
        costs, workspaces = (len(project.rows(f"port_entities.{name}")) for name in (COSTS, WORKSPACES))
    with folder.opened(PROJECTS) as project:
        assert push(project)["entities_sent"] == costs + workspaces
    of_second = len([name for name in user.identifiers(WORKSPACES) if SECOND in name])
    with folder.opened(PROJECTS.replace("unborn", "billing")) as project:
        assert push(project)["entities_sent"] >= of_second > 0
        assert related(user, WORKSPACES, "project", "workspace_id")[SECOND] == "billing"
    with folder.opened("") as project:
        assert push(project)["entities_sent"] == costs + workspaces
        assert related(user, WORKSPACES, "project", "workspace_id")[FIRST] == "billing", "it stays in Port"
        assert push(project)["entities_sent"] == 0


def test_the_reconciliation_is_quiet_while_a_target_is_missing_and_relates_to_it_when_it_has_come(
    folder: Folder, user: PortUser
) -> None:
    with folder.opened() as project:
        push(project)
        of_bob = [
            row for table in (PEOPLE, CODE) for row in project.rows(f"port_entities.{table}") if BOB in row.values()
        ]
        before = reconcile(project)
        assert {name: before[name] for name in NOTHING_TO_DO} == NOTHING_TO_DO
        assert before["targets_not_in_port"] > 1
        user.create("_user", BOB, {})
        came = reconcile(project)
        assert came["edited_in_port"] == len(of_bob) > 0
        assert came["targets_not_in_port"] == before["targets_not_in_port"] - 1
        for blueprint, known_by in ((PEOPLE, "user_email"), (CODE, "actor_name")):
            assert related(user, blueprint, "user", known_by)[BOB] == BOB
        after = reconcile(project)
        assert after == before | {"targets_not_in_port": came["targets_not_in_port"]}


def test_a_blueprint_that_is_not_there_fails_the_push_in_one_line_and_changes_nothing(
    folder: Folder, user: PortUser
) -> None:
    user.call("DELETE", "/blueprints/_user/all-entities", delete_blueprint="true")
    with folder.opened() as project:
        [reason] = failure(project.push_of("anthropic", DAYS)).splitlines()
        assert "relation user leads to the blueprint _user, which is not there: create it in Port" in reason
        assert project.in_port() == {("service", "billing"): {"title": None}}


@pytest.mark.parametrize(
    ("people", "of_openai", "of_claude"), [("ids", None, ALICE), ("hash", None, None), ("names", ALICE, ALICE)]
)
def test_only_addresses_that_the_policy_for_people_keeps_relate_to_somebody(
    empty_folder: Folder, user: PortUser, people: str, of_openai: str | None, of_claude: str | None
) -> None:
    with empty_folder.opened(USERS, USAGE_PEOPLE=people, USAGE_HASH_KEY="k" * 32) as project:
        assert project.look_up("openai", "users").success
        of_costs = ("costs", "costs/daily_costs", f"entities/{PEOPLE}")
        assert project.fetch("openai", DAYS, *of_costs).success
        assert project.fetch("anthropic", DAYS, *ASSETS).success
        for connection in ("openai", "anthropic"):
            result = project.push_of(connection, DAYS)
            assert result.success
            if people == "hash":
                *_, event = result.asset_materializations_for_node(f"{connection}__port_sync")
                assert event.metadata["targets_not_in_port"].value == 0, "a hashed address is asked for nowhere"
    records = user.call("POST", f"/blueprints/{PEOPLE}/entities/search", {"limit": 1000})["entities"]
    for provider, target in (("openai", of_openai), ("anthropic", of_claude)):
        of_provider = [record for record in records if record["properties"]["provider"] == provider]
        assert {record["relations"]["user"] for record in of_provider} == {None, target}
    assert set(related(user, CODE, "user", "actor_name").values()) == {None, of_claude}


def test_a_person_may_be_known_by_the_providers_id(empty_folder: Folder, user: PortUser) -> None:
    user.create("service", "E17", {})
    alice = "user-93ff17b866b99358082dd2c5"
    relations = USERS.replace("_user", "service") + f'targets = {{ {alice} = "E17" }}\n'
    with empty_folder.opened(relations) as project:
        assert project.fetch("openai", DAYS, "costs", "costs/daily_costs", f"entities/{PEOPLE}").success
        assert project.push_of("openai", DAYS).success
    targets = related(user, PEOPLE, "user", "user_id")
    assert {key: target for key, target in targets.items() if target} == {alice: "E17"}


def test_the_log_names_what_is_missing_as_the_policy_for_people_allows(folder: Folder, user: PortUser) -> None:
    with folder.opened(PROJECTS + USERS) as project:
        result = project.push_of("anthropic", DAYS)
        logged = "\n".join(entry.user_message for entry in project.instance.all_logs(result.run_id))
        [line] = [line for line in logged.splitlines() if "should relate to are missing in Port" in line]
        assert "; those relations stay empty: " in line
        assert "_user address-dropped" in line
        assert BOB not in logged
