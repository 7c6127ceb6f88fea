"""A mapping's way to Port: computed of archived answers, pushed, restated, emptied, changed, removed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest

from usage_assets.assets.looks import SCHEDULE
from usage_assets.assets.raw import FROM_ARCHIVE
from usage_assets.automation.jobs import USAGE_JOB
from usage_assets.config.settings import Settings
from usage_assets.core.errors import UserError
from usage_assets.features.port.graph import PORT_RECONCILE_JOB
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days, unpushed_days
from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import Project, hold_project, sandbox_environment
from usage_assets_tests.port_user import PortUser, port_user
from usage_assets_tests.terminal import Terminal

pytestmark = pytest.mark.slow
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

    def shown(self, blueprint: str) -> dict[str, dict[str, Any]]:
        """Identifier -> properties of each entity in Port."""
        return {each: self.user.entity(blueprint, each)["properties"] for each in self.user.identifiers(blueprint)}

    def restate(self, day: date, change: str) -> None:
        what = {"provider": "anthropic", "endpoint": "usage_messages", "days": [str(day)], "change": change}
        self.sandbox.control("POST", "restate", what)

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
        for name in ("model_use", "my_workspace"):
            properties = {"day": {"type": "string"}, "output": {"type": "number"}}
            schema: Mapping[str, Any] = {"properties": properties, "required": []}
            signed_in.call("POST", "/blueprints", {"identifier": name, "title": name, "schema": schema})
        yield signed_in


@pytest.fixture
def account(sandbox: Sandbox, tmp_path: Path, user: PortUser) -> Iterator[Account]:
    with ExitStack() as stack:
        account = Account.opened(sandbox, tmp_path, user, stack, BOTH)
        yield account
        account.stack.close()


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


def outputs(shown: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    return {name: each["output"] for name, each in shown.items()}


def test_a_mapping_is_computed_pushed_restated_emptied_and_reconciled(account: Account) -> None:
    sandbox, project = account.sandbox, account.project
    account.run()
    expected = {f"{model}/{day}": output for day in DAYS for model, output in by_model(sandbox, day).items()}
    assert outputs(account.shown("model_use")) == expected
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
    left = {f"{model}/{day}": output for day in DAYS[:-1] for model, output in by_model(sandbox, day).items()}
    assert outputs(account.shown("model_use")) == left
    assert outputs(account.shown("my_workspace")) == workspaces(sandbox, *DAYS[:-1])
    assert account.due() == account.due(pushes=True) == {}

    # what people did in Port is repaired
    [edited, deleted, *_] = sorted(account.shown("model_use"))
    account.user.edit("model_use", edited, {"properties": {"output": 7}})
    account.user.delete("model_use", deleted)
    assert project.run(PORT_RECONCILE_JOB, [dg.AssetKey(["anthropic", "port_reconcile"])]).success
    assert outputs(account.shown("model_use")) == left


def test_a_changed_expression_and_a_removed_resource_and_mapping_change_what_they_concern(account: Account) -> None:
    account.run()
    former = account.shown("my_workspace")
    account.reload(BOTH.replace("output: .output_tokens", "output: (.output_tokens * 2)", 1))
    assert account.due().keys() == {f"anthropic/mapped/models {day}" for day in DAYS}
    asked_before = len([each for each in account.sandbox.requests() if each["path"].startswith("/anthropic")])
    assert account.project.fetch("anthropic", DAYS, *ASSETS).success
    assert account.project.push_of("anthropic", DAYS).success
    assert len([each for each in account.sandbox.requests() if each["path"].startswith("/anthropic")]) == asked_before
    doubled = {f"{model}/{day}": 2 * n for day in DAYS for model, n in by_model(account.sandbox, day).items()}
    assert outputs(account.shown("model_use")) == doubled
    assert account.shown("my_workspace") == former

    account.reload(WORKSPACES.join(("resources:\n", "")))
    assert account.due(pushes=True).keys() == {f"anthropic/port_sync {day}" for day in DAYS}
    assert account.project.push_of("anthropic", DAYS[:1]).success
    assert len(account.shown("model_use")) < len(doubled)
    assert account.project.push_of("anthropic", DAYS).success
    assert (account.shown("model_use"), account.shown("my_workspace")) == ({}, former)

    account.reload("")
    assert account.project.push_of("anthropic", DAYS).success
    assert account.shown("my_workspace") == {}


def test_a_day_without_an_archived_answer_keeps_its_entities_and_is_named(account: Account) -> None:
    account.run()
    former = account.shown("model_use")
    for file in (account.folder / "raw").rglob("*.zst"):
        file.unlink()
    account.reload(BOTH.replace("output: .output_tokens", "output: (.output_tokens * 2)", 1))
    result = account.project.fetch("anthropic", DAYS, "mapped/models")
    assert not result.success
    [failed] = [event for event in result.all_node_events if event.is_step_failure]
    assert failed.step_failure_data.error
    said = failed.step_failure_data.error.message
    assert "no archived answer: fetch the day again (usage-assets backfill), then it is computed" in said
    assert "its entities stay as they are" in said
    assert account.project.push_of("anthropic", DAYS).success
    assert account.shown("model_use") == former


def test_a_lost_database_is_rebuilt_from_the_archive_and_the_mapping(account: Account) -> None:
    account.run()
    former = account.shown("model_use"), account.shown("my_workspace")
    account.reload(
        None, USAGE_WAREHOUSE=str(account.folder / "again.duckdb"), USAGE_ARCHIVE=str(account.folder / "raw")
    )
    requests = len([each for each in account.sandbox.requests() if each["path"].startswith("/anthropic")])
    keys = [dg.AssetKey(["anthropic", *name.split("/")]) for name in ("usage_messages", *ASSETS)]
    assert account.project.run(USAGE_JOB, keys, DAYS, **{FROM_ARCHIVE: "true"}).success
    assert account.project.push_of("anthropic", DAYS).success
    assert (account.shown("model_use"), account.shown("my_workspace")) == former
    assert len([each for each in account.sandbox.requests() if each["path"].startswith("/anthropic")]) == requests


def test_a_day_whose_push_failed_is_due_and_sent_again(account: Account) -> None:
    account.run()
    account.restate(DAYS[0], "scale")
    assert account.project.fetch("anthropic", DAYS[:1], "usage_messages", *ASSETS).success
    route = "POST /port/v1/blueprints/model_use/entities/bulk"
    account.sandbox.faults({"route": route, "fault": "status", "status": 403})
    assert not account.project.push_of("anthropic", DAYS).success
    assert account.due(pushes=True).keys() == {f"anthropic/port_sync {DAYS[0]}"}
    account.sandbox.control("DELETE", "faults")
    assert account.project.push_of("anthropic", DAYS[:1]).success
    assert account.due(pushes=True) == {}
    expected = {f"{model}/{day}": n for day in DAYS for model, n in by_model(account.sandbox, day).items()}
    assert outputs(account.shown("model_use")) == expected


def test_two_resources_that_give_one_identifier_are_refused(account: Account) -> None:
    same = WORKSPACES.replace("name: workspaces", "name: again").replace("output: .output_tokens", "output: 1")
    account.reload(BOTH + same)
    assert account.project.fetch("anthropic", DAYS, "usage_messages", *ASSETS).success
    result = account.project.fetch("anthropic", DAYS, "mapped/again")
    [failed] = [event for event in result.all_node_events if event.is_step_failure]
    assert failed.step_failure_data.error
    said = failed.step_failure_data.error.message
    assert "of my_workspace is also given by anthropic/mapped/workspaces: add what tells them apart" in said
    assert account.project.push_of("anthropic", DAYS).success
    assert outputs(account.shown("my_workspace")) == workspaces(account.sandbox, *DAYS)
    account.reload(MAPPING + same)
    assert account.project.fetch("anthropic", DAYS, "mapped/again").success, "the other one is no longer stated"


def test_a_collision_is_warned_of_and_the_last_item_counts(account: Account) -> None:
    account.reload(MAPPING.replace('(.model // "unknown") + "/" + .day[:10]', ".day[:10]"))
    checked = replace(account.project, checks=True)
    result = checked.fetch("anthropic", DAYS[:1], "usage_messages", "mapped/models")
    assert result.success
    checks = [each for each in result.get_asset_check_evaluations() if each.check_name == "collisions"]
    found = next(each for each in checks if not each.passed)
    assert found.severity is dg.AssetCheckSeverity.WARN
    models = by_model(account.sandbox, DAYS[0])
    said = f"1 identifiers of resource models stand for {len(models)} items of the day: model_use {DAYS[0]}"
    assert said in repr(checks)
    assert account.project.push_of("anthropic", DAYS[:1]).success
    assert outputs(account.shown("model_use")) == {str(DAYS[0]): [*models.values()][-1]}


def test_a_run_of_a_schedule_writes_what_has_changed(account: Account) -> None:
    account.run()
    keys = [dg.AssetKey(["anthropic", *name.split("/")]) for name in ("usage_messages", *ASSETS)]
    former = account.project.hashes()
    tags = {SCHEDULE: "daily_usage_schedule"}
    assert account.project.run(USAGE_JOB, keys, DAYS, **tags).success
    assert account.project.hashes() == former
    account.restate(DAYS[0], "scale")
    assert account.project.run(USAGE_JOB, keys, DAYS, **tags).success
    changed = {key for key, content in account.project.hashes().items() if former[key] != content}
    assert {(part, day) for table, part, _, day in changed if table == "mapping.entities"} == {
        ("models", DAYS[0]),
        ("workspaces", DAYS[0]),
    }
    assert account.due() == {}
    later = [*DAYS[1:], DAYS[-1] + timedelta(days=1)]
    assert account.project.run(USAGE_JOB, keys[1:], later, **tags).success, "a day that is not fetched yet is left out"


def test_filters_of_a_connection_hold_for_a_mapping_too(account: Account) -> None:
    model = next(iter(by_model(account.sandbox, DAYS[0])))
    text = MAPPING.replace("group_by[]: model", f"group_by[]: model\n        models[]: {model}")
    file = account.folder / "connections.toml"
    account.reload(MAPPING)
    file.write_text(file.read_text().replace("[[mapping]]", f'filters = {{ models = ["{model}"] }}\n[[mapping]]'))
    with pytest.raises(UserError, match=rf"stores models={model} only: state the same in query_params"):
        account.reload(None)
    (account.folder / "mapping.yml").write_text(text)
    account.reload(None)
    account.run(DAYS, "mapped/models")
    assert {row["model"] for row in account.project.rows("anthropic.usage_messages")} == {model}
    expected = {f"{model}/{day}": by_model(account.sandbox, day)[model] for day in DAYS}
    assert outputs(account.shown("model_use")) == expected


PEOPLE = """
resources:
  - name: actors
    kind: /v1/organizations/usage_report/claude_code
    selector:
      query: 'true'
      data_path: '[.data[]]'
    port:
      entity:
        mappings:
          identifier: '(.actor.email_address // .actor.api_key_name) + "-" + .date[:10] + "-" + .terminal_type'
          title: '"Use of " + (.actor.email_address // .actor.api_key_name)'
          blueprint: '"model_use"'
          properties:
            day: '(.actor.email_address // "nobody") + " on " + .date'
            output: .core_metrics.num_sessions
"""


def test_forgetting_a_person_reaches_mapped_entities(
    sandbox: Sandbox, tmp_path: Path, user: PortUser, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    variables = variables_of(sandbox, tmp_path, PEOPLE)
    file = Path(variables["USAGE_CONNECTIONS"])
    file.write_text(file.read_text().replace("claude_code = false", "usage_messages = false"))
    for name in ("ANTHROPIC_ADMIN_KEY", "USAGE_CONNECTIONS"):
        monkeypatch.setenv(name, variables[name])
    day = str(DAYS[-1])
    run = ("backfill", "--connection", "anthropic", "--start", day, "--end", day)
    assert terminal.type(*run, "--push").code == 0
    shown = {each: user.entity("model_use", each) for each in user.identifiers("model_use")}
    address = next(each.split("-" + day)[0] for each in sorted(shown) if "@" in each)
    concerned = {name for name in shown if address in name}
    said = terminal.type("people", "forget", address)
    assert said.code == 0, said.err
    after = {each: user.entity("model_use", each) for each in user.identifiers("model_use")}
    assert not [each for each in after.items() if address in repr(each)][:1]
    assert len(after) == len(shown)
    assert {name for name in shown if shown[name] == after.get(name)} == shown.keys() - concerned
    of_days = ("usage_date", "content_hash")
    query = f"select {', '.join(of_days)} from ledger.stored_days where table_name = 'mapping.entities'"
    hashes = terminal.warehouse.read(query).to_pylist()
    assert terminal.type(*run, "--from-archive", "--push").code == 0
    assert terminal.warehouse.read(query).to_pylist() == hashes, "derived again, it is the same"
    assert {each: user.entity("model_use", each) for each in user.identifiers("model_use")} == after
