"""A mapping's way to Port: computed of archived answers, pushed, restated, emptied, changed, removed, refused."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
import time_machine

from usage_assets.assets.failures import days_of
from usage_assets.config.settings import Settings
from usage_assets.features.port.graph import PORT_RECONCILE_JOB
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days, unpushed_days
from usage_assets_tests.end_to_end.conftest import Project, calls_to_port, hold_project, sandbox_environment
from usage_assets_tests.fixtures import IS_NIGHT, NOW, Sandbox, last_days
from usage_assets_tests.port_user import PortUser, port_user

DAYS = last_days(3)
MAPPING = """
resources:
  - name: models
    kind: /v1/organizations/usage_report/messages
    selector:
      query: 'true'
      query_params:
        bucket_width: 1d
        group_by[]: model
      data_path: '[.data[] | .starting_at as $day | .results[] | . + {day: $day}]'
    port:
      entity:
        mappings:
          identifier: '(.model // "unknown") + "/" + .day[:10]'
          title: .model
          blueprint: '"model_use"'
          properties:
            day: .day
            output: .output_tokens
"""
WORKSPACES = """\
  - name: workspaces
    kind: /v1/organizations/usage_report/messages
    selector:
      query: 'true'
      query_params:
        group_by[]: workspace_id
      data_path: '[.data[] | .starting_at as $day | .results[] | . + {day: $day}]'
    port:
      entity:
        mappings:
          identifier: '.workspace_id // "default"'
          blueprint: '"my_workspace"'
          properties:
            day: .day
            output: .output_tokens
"""
BOTH = MAPPING + WORKSPACES
ASSETS = ("mapped/models", "mapped/workspaces")


@dataclass
class Account:
    """A user who has Anthropic, Port and mappings."""

    sandbox: Sandbox
    folder: Path
    user: PortUser
    stack: ExitStack
    project: Project

    @classmethod
    def opened(cls, sandbox: Sandbox, folder: Path, user: PortUser, stack: ExitStack, text: str) -> "Account":
        return cls(sandbox, folder, user, stack, cls.load(sandbox, folder, stack, text))

    @staticmethod
    def load(
        sandbox: Sandbox, folder: Path, stack: ExitStack, text: str | None, more: str = "", **variables: str
    ) -> Project:
        return stack.enter_context(hold_project(sandbox, folder, variables_of(sandbox, folder, text, more) | variables))

    def reload(self, text: str | None, more: str = "", **variables: str) -> None:
        """Start again with another mapping; None: without one."""
        self.stack.pop_all().close()
        self.project = self.load(self.sandbox, self.folder, self.stack, text, more, **variables)
        self.variables = variables_of(self.sandbox, self.folder, text, more) | variables

    def run(self, days: Sequence[date] = DAYS, *assets: str) -> None:
        """Fetch, compute and push."""
        assert self.project.fetch("anthropic", [*days], "usage_messages", *(assets or ASSETS)).success
        assert self.project.push_of("anthropic", [*days]).success

    def compute(self, *assets: str) -> None:
        """Run assets for all days."""
        assert self.project.fetch("anthropic", DAYS, *assets).success

    def shown(self, blueprint: str) -> dict[str, dict[str, Any]]:
        """Identifier -> properties of each entity in Port."""
        return {each: self.user.entity(blueprint, each)["properties"] for each in self.user.identifiers(blueprint)}

    def restate(self, day: date, change: str) -> None:
        self.sandbox.restate("anthropic", day, endpoint="usage_messages", change=change)

    def due(self, *, pushes: bool = False) -> dict[str, str]:
        """Asset and day -> why it is due; those of this test."""
        settings = Settings.load(
            _env_file=None,
            **{name.lower(): value for name, value in variables_of(self.sandbox, self.folder, None).items()},
        )
        find = unpushed_days if pushes else due_days
        found = find(self.project.warehouse, seeds_of(settings))
        return {
            f"{each.asset} {each.day}": each.because
            for each in found
            if each.day in DAYS and each.asset in ("anthropic/port_sync", *(f"anthropic/{name}" for name in ASSETS))
        }


def variables_of(sandbox: Sandbox, folder: Path, text: str | None, more: str = "") -> dict[str, str]:
    """Variables with which ``anthropic`` has a mapping; with None for its text, the files stay."""
    key, file = folder / "anthropic.key", folder / "connections.toml"
    if text is not None:
        key.write_text("sk-ant-admin-sandbox")
        mapping = f'[[mapping]]\nconnection = "anthropic"\nfile = "mapping.yml"\n{more}' if text else ""
        file.write_text(
            f'[[connection]]\nname = "anthropic"\nprovider = "anthropic"\nkey = "file:{key}"\n'
            f'base_url = "{sandbox.base_url}/anthropic"\nendpoints = {{cost_report = false, claude_code = false}}\n'
            f"{mapping}"
        )
        (folder / "mapping.yml").write_text(text)
    environment = sandbox_environment(sandbox.base_url, folder / "usage.duckdb")
    return {**environment, "ANTHROPIC_ADMIN_KEY": "", "USAGE_CONNECTIONS": str(file)}


@pytest.fixture
def user(sandbox: Sandbox) -> Iterator[PortUser]:
    with port_user(sandbox) as signed_in:
        make_blueprints(signed_in)
        yield signed_in


def make_blueprints(user: PortUser) -> None:
    """Make what the mappings need."""
    for name in ("model_use", "my_workspace"):
        properties = {"day": {"type": "string"}, "output": {"type": "number"}}
        schema = {"properties": properties, "required": []}
        user.call("POST", "/blueprints", {"identifier": name, "title": name, "schema": schema})


@pytest.fixture
def account(sandbox: Sandbox, tmp_path: Path, user: PortUser) -> Iterator[Account]:
    with ExitStack() as stack:
        account = Account.opened(sandbox, tmp_path, user, stack, BOTH)
        yield account
        account.stack.close()


@dataclass(frozen=True)
class Ran:
    """What a first run has left behind: its files, and the calls that have filled Port."""

    folder: Path
    calls: Sequence[httpx.Request]


@pytest.fixture(scope="module")
def ran(sandbox_process: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Both mappings are computed and pushed once; tests get copies."""
    folder = tmp_path_factory.mktemp("ran")
    sandbox_process.control("POST", "reset", {"now": NOW.isoformat()})
    with time_machine.travel(NOW - timedelta(hours=1)), port_user(sandbox_process) as user, ExitStack() as stack:
        make_blueprints(user)
        with calls_to_port() as calls:
            account = Account.opened(sandbox_process, folder, user, stack, BOTH)
            account.run()
            account.stack.close()
    return Ran(folder, calls)


@pytest.fixture
def ran_account(sandbox: Sandbox, tmp_path: Path, user: PortUser, ran: Ran) -> Iterator[Account]:
    """The account after its first run."""
    shutil.copytree(ran.folder, tmp_path, dirs_exist_ok=True)
    user.repeat(ran.calls)
    with ExitStack() as stack:
        account = Account.opened(sandbox, tmp_path, user, stack, BOTH)
        yield account
        account.stack.close()


def by_model_and_day(sandbox: Sandbox, days: Sequence[date] = DAYS) -> dict[str, int]:
    """The same of each of these days."""
    return {f"{model}/{day}": output for day in days for model, output in by_model(sandbox, day).items()}


def by_model(sandbox: Sandbox, day: date) -> dict[str, int]:
    """Output tokens of each model, as the emulator answers."""
    return {(each["model"] or "unknown"): each["output_tokens"] for each in asked(sandbox, day, "model") if each}


def asked(sandbox: Sandbox, day: date, group: str) -> list[dict[str, Any]]:
    answer = httpx.get(
        f"{sandbox.base_url}/anthropic/v1/organizations/usage_report/messages",
        params={"starting_at": f"{day}T00:00:00Z", "limit": "1", "group_by[]": group},
        headers={"x-api-key": "sk-ant-admin-sandbox", "anthropic-version": "2023-06-01"},
    ).raise_for_status()
    results: list[dict[str, Any]] = answer.json()["data"][0]["results"]
    return results


def workspaces(sandbox: Sandbox, *days: date) -> dict[str, int]:
    found: dict[str, int] = {}
    for day in days:
        found |= {
            each["workspace_id"] or "default": each["output_tokens"] for each in asked(sandbox, day, "workspace_id")
        }
    return found


def asked_of_anthropic(account: Account) -> int:
    return len([each for each in account.sandbox.requests() if each["path"].startswith("/anthropic")])


def outputs(shown: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    return {name: each["output"] for name, each in shown.items()}


def test_a_mapping_is_computed_pushed_restated_emptied_and_reconciled(ran_account: Account) -> None:
    account, sandbox, project = ran_account, ran_account.sandbox, ran_account.project
    assert outputs(account.shown("model_use")) == by_model_and_day(sandbox)
    assert outputs(account.shown("my_workspace")) == workspaces(sandbox, *DAYS)
    assert account.due() == account.due(pushes=True) == {}
    before = len(project.port_requests())
    account.run()
    assert len(project.port_requests()) == before, "a second run sends nothing"

    # a restated day changes only its entities
    asked_before = by_model(sandbox, DAYS[0])
    account.restate(DAYS[0], "scale")
    assert project.fetch("anthropic", [DAYS[0]], "usage_messages").success
    assert account.due().keys() == {f"anthropic/{name} {DAYS[0]}" for name in ASSETS}
    former = account.shown("model_use")
    account.run([DAYS[0]])
    changed = {name for name, each in account.shown("model_use").items() if each != former[name]}
    now = by_model(sandbox, DAYS[0])
    assert changed == {f"{model}/{DAYS[0]}" for model in now if now[model] != asked_before[model]} != set()
    assert outputs(account.shown("my_workspace")) == workspaces(sandbox, *DAYS), "shows its newest day"

    # an emptied day takes its entities with it, and workspaces show the day before
    account.restate(DAYS[-1], "clear")
    account.run([DAYS[-1]])
    left = by_model_and_day(sandbox, DAYS[:-1])
    assert outputs(account.shown("model_use")) == left
    assert outputs(account.shown("my_workspace")) == workspaces(sandbox, *DAYS[:-1])
    assert account.due() == account.due(pushes=True) == {}

    # what people did in Port is repaired
    [edited, deleted, *_] = sorted(account.shown("model_use"))
    account.user.edit("model_use", edited, {"properties": {"output": 7}})
    account.user.delete("model_use", deleted)
    assert reconcile(account)
    assert outputs(account.shown("model_use")) == left

    # a reconciliation that dies when it has found an edit leaves its days due
    account.user.edit("model_use", edited, {"properties": {"output": 7}})
    sandbox.refuse("POST /port/v1/blueprints/model_use/entities/bulk", 403)
    assert not reconcile(account)
    sandbox.mend()
    settle(account)
    assert outputs(account.shown("model_use")) == left


def test_a_changed_expression_and_a_removed_resource_and_mapping_change_what_they_concern(
    ran_account: Account,
) -> None:
    account = ran_account
    former = account.shown("my_workspace")
    account.reload(BOTH.replace("output: .output_tokens", "output: (.output_tokens * 2)", 1))
    assert account.due().keys() == {f"anthropic/mapped/models {day}" for day in DAYS}
    asked_before = asked_of_anthropic(account)
    account.compute(*ASSETS)
    assert pushed(account).success
    assert asked_of_anthropic(account) == asked_before
    doubled = {name: 2 * output for name, output in by_model_and_day(account.sandbox).items()}
    assert outputs(account.shown("model_use")) == doubled
    assert account.shown("my_workspace") == former

    account.reload(WORKSPACES.join(("resources:\n", "")))
    assert account.due(pushes=True).keys() == {f"anthropic/port_sync {day}" for day in DAYS}
    assert account.project.push_of("anthropic", DAYS[:1]).success
    assert len(account.shown("model_use")) < len(doubled)
    assert pushed(account).success
    assert (account.shown("model_use"), account.shown("my_workspace")) == ({}, former)

    account.reload("")
    assert pushed(account).success
    assert account.shown("my_workspace") == {}


def test_a_day_without_an_archived_answer_keeps_its_entities_and_is_named(ran_account: Account) -> None:
    account = ran_account
    former = account.shown("model_use")
    for file in (account.folder / "raw").rglob("*.zst"):
        file.unlink()
    account.reload(BOTH.replace("output: .output_tokens", "output: (.output_tokens * 2)", 1))
    result = account.project.fetch("anthropic", DAYS, "mapped/models")
    assert not result.success
    said = failure_of(result).error.message
    assert "no archived answer: fetch the day again (usage-assets backfill), then it is computed" in said
    assert "its entities stay as they are" in said
    assert pushed(account).success
    assert account.shown("model_use") == former


# Removed, added again, interrupted, refused, or contradicting each other


REPLACES = "replaces = true\n"
OURS = "claude_usage_record"
OF_OURS = "entities/claude_usage_record"
RECORDS = """
resources:
  - name: records
    kind: /v1/organizations/usage_report/messages
    selector:
      query: 'true'
      data_path: '[.data[]]'
    port:
      entity:
        mappings:
          identifier: .starting_at[:10] + "-usage"
          title: '"Mine " + .starting_at[:10]'
          blueprint: '"claude_usage_record"'
          properties:
            record_date: .starting_at
            output_tokens: (.results[0].output_tokens // 0)
"""


def failure_of(result: dg.ExecuteInProcessResult) -> Any:
    [failed] = [event for event in result.all_node_events if event.is_step_failure]
    return failed.step_failure_data


def pushed(account: Account, *days: date) -> dg.ExecuteInProcessResult:
    return account.project.push_of("anthropic", [*(days or DAYS)])


def settle(account: Account) -> None:
    """Push what is due, as the sensor does, until nothing is."""
    for _ in range(4):
        due = sorted({name.split()[-1] for name in account.due(pushes=True)})
        if not due:
            return
        for day in due:
            assert pushed(account, date.fromisoformat(day)).success
    raise AssertionError(account.due(pushes=True))


def test_replacing_ours_can_be_switched_on_and_off_and_on(account: Account) -> None:
    """Ours stay where what replaces them was not computed."""
    account.reload("")
    account.compute("usage_messages", OF_OURS)
    assert pushed(account).success
    ours = account.shown(OURS)
    assert ours
    account.reload(RECORDS + WORKSPACES, REPLACES)
    account.compute("mapped/workspaces")
    assert pushed(account).success
    assert account.shown(OURS) == ours
    for _ in range(2 if IS_NIGHT else 1):
        account.reload(RECORDS, REPLACES)
        account.compute("mapped/records")
        settle(account)
        mapped = account.shown(OURS)
        assert mapped.keys() == {f"{day}-usage" for day in DAYS}
        titles = {account.user.entity(OURS, each)["title"] for each in mapped}
        assert titles == {f"Mine {day}" for day in DAYS}
        account.reload("")
        account.compute(OF_OURS)
        settle(account)
        assert account.shown(OURS).keys() == ours.keys()
        shown = account.shown(OURS)
        assert {name: shown[name] for name in ours} == ours


def test_two_resources_that_give_one_identifier_are_refused(ran_account: Account) -> None:
    account = ran_account
    again = WORKSPACES.replace("name: workspaces", "name: again").replace("output: .output_tokens", "output: 1")
    account.reload(BOTH + again)
    result = account.project.fetch("anthropic", DAYS, "mapped/again")
    said = failure_of(result).error.message
    assert "of my_workspace is also given by anthropic/mapped/workspaces: add what tells them apart" in said
    assert pushed(account).success
    assert outputs(account.shown("my_workspace")) == workspaces(account.sandbox, *DAYS)


def test_a_refused_entity_makes_the_run_fail_for_its_own_days(account: Account, user: PortUser) -> None:
    """Its entity is that of the newest day. The sensor must not ask for the older one at once again."""
    account.reload(MAPPING + WORKSPACES.replace(".output_tokens", "'\"no number\"'"))
    account.compute("usage_messages", *ASSETS)
    for days in (DAYS[:1], DAYS):
        result = pushed(account, *days)
        assert not result.success
        failed = failure_of(result)
        assert failed.user_failure_data, failed.error
        assert "my_workspace" in str(failed.user_failure_data.description)
        assert {*days_of(failed)} & {*days}, "or the sensor asks again at once"
    assert outputs(account.shown("model_use")) == by_model_and_day(account.sandbox)
    account.reload(BOTH)
    account.compute(*ASSETS)
    settle(account)
    assert outputs(account.shown("my_workspace")) == workspaces(account.sandbox, *DAYS)


def reconcile(account: Account) -> bool:
    return account.project.run(PORT_RECONCILE_JOB, [dg.AssetKey(["anthropic", "port_reconcile"])]).success


CODEX = """
resources:
  - name: daily
    kind: /dashboard/billing/usage
    selector:
      query: 'true'
      data_path: '[.daily_costs[]]'
    port:
      entity:
        mappings:
          identifier: .timestamp | tostring
          blueprint: '"model_use"'
          properties:
            output: .line_items | length
"""


def test_a_connection_whose_use_another_one_counts_has_its_mapping(
    sandbox: Sandbox, tmp_path: Path, user: PortUser
) -> None:
    """What is counted twice is left out of costs. The mapping's entities are no costs of ours."""
    text = ""
    for name, key in (("openai", "sk-admin-sandbox"), ("openai_legacy", "sess-sandbox")):
        (tmp_path / name).write_text(key)
        text += f'[[connection]]\nname = "{name}"\nprovider = "{name}"\nkey = "file:{tmp_path / name}"\n'
    (tmp_path / "mapping.yml").write_text(CODEX)
    file = tmp_path / "connections.toml"
    file.write_text(f'{text}[[mapping]]\nconnection = "openai_legacy"\nfile = "mapping.yml"\n')
    environment = sandbox_environment(sandbox.base_url, tmp_path / "usage.duckdb")
    environment |= {"OPENAI_ADMIN_KEY": "", "USAGE_CONNECTIONS": str(file)}
    with hold_project(sandbox, tmp_path, environment) as project:
        assert project.fetch("openai_legacy", DAYS, "billing_usage", "mapped/daily").success
        assert project.push_of("openai_legacy", DAYS).success
    assert len(user.identifiers("model_use")) == len(DAYS)
