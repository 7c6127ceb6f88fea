"""What mappings do when they are removed, added again, interrupted, refused, or contradict each other."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from usage_assets.assets.failures import days_of
from usage_assets.build import build_definitions
from usage_assets.config.settings import Settings
from usage_assets.features.deletion.old_days import old_days
from usage_assets.features.port.account import port_client
from usage_assets.features.port.graph import PORT_RECONCILE_JOB
from usage_assets_tests.conftest import Sandbox
from usage_assets_tests.end_to_end.conftest import hold_project, sandbox_environment, with_main_endpoints
from usage_assets_tests.end_to_end.test_shards import PLACES, keys_of, settings_of
from usage_assets_tests.features.mapping.test_in_port import (
    ASSETS,
    BOTH,
    DAYS,
    MAPPING,
    WORKSPACES,
    Account,
    by_model,
    outputs,
    user,
    variables_of,
    workspaces,
)
from usage_assets_tests.port_user import PortUser
from usage_assets_tests.terminal import Terminal

__all__ = ["user"]
pytestmark = pytest.mark.slow
BULK = "POST /port/v1/blueprints/my_workspace/entities/bulk"
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


@pytest.fixture
def account(sandbox: Sandbox, tmp_path: Path, user: PortUser) -> Iterator[Account]:
    with ExitStack() as stack:
        account = Account.opened(sandbox, tmp_path, user, stack, BOTH)
        yield account
        account.stack.close()


@pytest.fixture
def terminal(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Terminal:
    """A person who has a mapping, and begins with the last day."""
    terminal = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    for name, value in variables_of(sandbox, tmp_path, MAPPING).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("USAGE_START_DATE", str(DAYS[-1]))
    return terminal


def failure_of(result: dg.ExecuteInProcessResult) -> tuple[str, set[date]]:
    """What a failed run says, and the days that it names."""
    [failed] = [event for event in result.all_node_events if event.is_step_failure]
    said = failed.step_failure_data.user_failure_data
    assert said, failed.step_failure_data.error
    return str(said.description), {*days_of(failed.step_failure_data)}


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


def test_a_mapping_that_was_removed_and_is_added_again_is_pushed_again(account: Account) -> None:
    account.run()
    former = account.shown("model_use"), account.shown("my_workspace")
    account.reload("")
    assert pushed(account, DAYS[-1]).success
    assert account.shown("model_use") == account.shown("my_workspace") == {}
    account.reload(BOTH)
    settle(account)
    assert (account.shown("model_use"), account.shown("my_workspace")) == former


def test_a_resource_that_is_renamed_keeps_its_entities(account: Account) -> None:
    account.run()
    former = account.shown("model_use"), account.shown("my_workspace")
    account.reload(BOTH.replace("name: models", "name: a_models"))
    assert account.project.fetch("anthropic", DAYS, "mapped/a_models").success
    settle(account)
    assert (account.shown("model_use"), account.shown("my_workspace")) == former
    account.reload(BOTH)
    settle(account)
    assert (account.shown("model_use"), account.shown("my_workspace")) == former


def test_replacing_ours_can_be_switched_on_and_off_and_on(account: Account) -> None:
    account.reload("")
    assert account.project.fetch("anthropic", DAYS, "usage_messages", OF_OURS).success
    assert pushed(account).success
    ours = account.shown(OURS)
    assert ours
    for _ in range(2):
        account.reload(RECORDS, REPLACES)
        assert account.project.fetch("anthropic", DAYS, "mapped/records").success
        settle(account)
        mapped = account.shown(OURS)
        assert mapped.keys() == {f"{day}-usage" for day in DAYS}
        titles = {account.user.entity(OURS, each)["title"] for each in mapped}
        assert titles == {f"Mine {day}" for day in DAYS}
        account.reload("")
        assert account.project.fetch("anthropic", DAYS, OF_OURS).success
        settle(account)
        assert account.shown(OURS).keys() == ours.keys()
        shown = account.shown(OURS)
        assert {name: shown[name] for name in ours} == ours


def test_ours_stay_where_what_replaces_them_was_not_computed(account: Account) -> None:
    account.reload("")
    assert account.project.fetch("anthropic", DAYS, "usage_messages", OF_OURS).success
    assert pushed(account).success
    ours = account.shown(OURS)
    account.reload(RECORDS + WORKSPACES, REPLACES)
    assert account.project.fetch("anthropic", DAYS, "mapped/workspaces").success
    assert pushed(account).success
    assert account.shown(OURS) == ours


@pytest.mark.parametrize("name", ["a_same", "z_same"])
def test_what_two_resources_have_stored_of_one_identifier_is_not_pushed(account: Account, name: str) -> None:
    """The second was computed while the first was not stated."""
    account.run()
    former = account.shown("model_use")
    same = MAPPING.partition("resources:\n")[2].replace("name: models", f"name: {name}")
    same = same.replace(".output_tokens", "(.output_tokens * 2)")
    account.reload(f"resources:\n{WORKSPACES}{same}")
    assert account.project.fetch("anthropic", DAYS, f"mapped/{name}").success
    account.reload(BOTH + same)
    result = pushed(account)
    assert not result.success
    said, _ = failure_of(result)
    assert said.count("\n") == 0
    assert "models" in said
    assert name in said
    assert account.shown("model_use") == former


def test_a_refused_entity_makes_the_run_fail_for_its_own_days(account: Account, user: PortUser) -> None:
    """Its entity is that of the newest day. The sensor must not ask for the older one at once again."""
    account.reload(MAPPING + WORKSPACES.replace(".output_tokens", "'\"no number\"'"))
    assert account.project.fetch("anthropic", DAYS, "usage_messages", *ASSETS).success
    for days in (DAYS[:1], DAYS):
        result = pushed(account, *days)
        assert not result.success
        said, named = failure_of(result)
        assert "my_workspace" in said
        assert named & {*days}, "or the sensor asks again at once"
    assert outputs(account.shown("model_use")) == {
        f"{model}/{day}": output for day in DAYS for model, output in by_model(account.sandbox, day).items()
    }
    account.reload(BOTH)
    assert account.project.fetch("anthropic", DAYS, *ASSETS).success
    settle(account)
    assert outputs(account.shown("my_workspace")) == workspaces(account.sandbox, *DAYS)


def test_a_reconciliation_that_dies_leaves_its_days_due(account: Account) -> None:
    """It dies when it has found an edit, before it is sent again."""
    account.run()
    [edited, *_] = sorted(account.shown("my_workspace"))
    former = account.shown("my_workspace")
    account.user.edit("my_workspace", edited, {"properties": {"output": 7}})
    account.sandbox.faults({"route": BULK, "fault": "status", "status": 403})
    assert not reconcile(account)
    account.sandbox.control("DELETE", "faults")
    settle(account)
    assert account.shown("my_workspace") == former


def test_pushes_of_single_days_in_any_order_show_the_newest(account: Account) -> None:
    project = account.project
    assert project.fetch("anthropic", DAYS, "usage_messages", *ASSETS).success
    for day in (DAYS[1], DAYS[2], DAYS[0]):
        assert pushed(account, day).success
    assert outputs(account.shown("my_workspace")) == workspaces(account.sandbox, *DAYS)
    assert account.due(pushes=True) == {}
    account.restate(DAYS[2], "clear")
    assert project.fetch("anthropic", [DAYS[2]], "usage_messages", *ASSETS).success
    account.restate(DAYS[1], "scale")
    assert project.fetch("anthropic", [DAYS[1]], "usage_messages", *ASSETS).success
    settle(account)
    assert outputs(account.shown("my_workspace")) == workspaces(account.sandbox, *DAYS[:2])
    for day in DAYS[:2]:
        account.restate(day, "clear")
    assert project.fetch("anthropic", DAYS, "usage_messages", *ASSETS).success
    settle(account)
    assert account.shown("my_workspace") == account.shown("model_use") == {}


def test_another_blueprint_takes_the_old_entities_away(account: Account) -> None:
    account.run()
    account.reload(BOTH.replace("'\"model_use\"'", "'\"my_workspace\"'"))
    assert account.project.fetch("anthropic", DAYS, *ASSETS).success
    settle(account)
    assert account.shown("model_use") == {}
    expected = {f"{model}/{day}": n for day in DAYS for model, n in by_model(account.sandbox, day).items()}
    assert outputs(account.shown("my_workspace")) == expected | workspaces(account.sandbox, *DAYS)


def second_connection(account: Account) -> None:
    """The same mapping for another organization."""
    file = account.folder / "connections.toml"
    [first, mapping] = file.read_text().split("[[mapping]]")
    other = first.replace('name = "anthropic"', 'name = "another"').replace("127.0.0.1", "localhost")
    both = first + other
    file.write_text(both + "[[mapping]]" + mapping + "[[mapping]]" + mapping.replace('"anthropic"', '"another"'))
    account.reload(None)


def test_two_connections_that_give_one_identifier_are_refused(account: Account) -> None:
    account.run()
    former = account.shown("model_use")
    second_connection(account)
    account.restate(DAYS[0], "scale")
    result = account.project.fetch("another", DAYS, "usage_messages", *ASSETS)
    failed = [event for event in result.all_node_events if event.is_step_failure]
    said = [event.step_failure_data.error.message for event in failed if event.step_failure_data.error]
    assert sorted(each.partition(" is also given by ")[2].partition(":")[0] for each in said) == [
        f"anthropic/{name}" for name in ASSETS
    ]
    assert account.project.push_of("another", DAYS).success
    assert account.shown("model_use") == former


def reconcile(account: Account) -> bool:
    return account.project.run(PORT_RECONCILE_JOB, [dg.AssetKey(["anthropic", "port_reconcile"])]).success


RELATED: dict[str, Any] = {"title": "Next", "target": "my_workspace", "required": False, "many": False}


@pytest.mark.parametrize("kind", ["itself", "cycle", "chain"])
def test_entities_of_one_push_may_relate_to_each_other(account: Account, user: PortUser, kind: str) -> None:
    user.call("PATCH", "/blueprints/my_workspace", {"relations": {"next": RELATED}})
    target = {
        "itself": '.workspace_id // "default"',
        "cycle": "(.all | .[(index($mine) + 1) % length])",
        "chain": "(.all | .[index($mine) + 1])",
    }[kind]
    relation = target if kind == "itself" else f'(.workspace_id // "default") as $mine | {target}'
    data = (
        '\'[.data[] | .starting_at as $day | [.results[] | .workspace_id // "default"] as $all '
        "| .results[] | . + {day: $day, all: $all}]'"
    )
    text = WORKSPACES.replace("'[.data[] | .starting_at as $day | .results[] | . + {day: $day}]'", data)
    account.reload(f"resources:\n{text}          relations:\n            next: '{relation}'\n")
    assert account.project.fetch("anthropic", DAYS[-1:], "usage_messages", "mapped/workspaces").success
    assert pushed(account, DAYS[-1]).success
    shown = {each: user.entity("my_workspace", each)["relations"]["next"] for each in user.identifiers("my_workspace")}
    assert len(shown) > 2
    assert len([each for each in shown.values() if each]) == len(shown) - (kind == "chain"), shown
    assert account.due(pushes=True) == {}


def test_a_shard_may_have_the_mapping_of_its_connection(tmp_path: Path) -> None:
    (tmp_path / "mapping.yml").write_text(BOTH)
    more = '[[mapping]]\nconnection = "claude"\nfile = "../mapping.yml"\n'
    found = {
        key.to_user_string(): shard
        for shard in PLACES.values()
        for key in keys_of(build_definitions(settings_of(tmp_path, shard, more=more)))
        if "mapped" in key.path
    }
    assert found == {f"claude/{name}": "east" for name in ASSETS}


def test_the_doctor_and_the_preview_know_what_is_mapped(sandbox: Sandbox, terminal: Terminal, user: PortUser) -> None:
    day = str(DAYS[-1])
    assert terminal.type("backfill", "--connection", "anthropic", "--start", day, "--end", day, "--push").code == 0
    said = terminal.type("doctor", "--all").lines
    of_table = [line for line in said if "mapping.entities" in line]
    assert of_table == [f"OK    table mapping.entities: 1 day of anthropic, models, the newest is {day}"]
    [refused] = terminal.type("port", "preview", "nothing", "--day", day).complaints
    assert "claude_usage_record" in refused
    assert "models" not in refused
    with terminal.warehouse.transaction() as database:  # as an earlier release has left it
        database.execute("alter table ledger.port_entities drop column resource")
    assert terminal.type("backfill", "--connection", "anthropic", "--start", day, "--end", day, "--push").code == 0
    assert len(user.identifiers("model_use")) == len(by_model(sandbox, DAYS[-1]))


def test_a_filter_by_what_the_provider_did_not_group_by_fails_the_day(
    sandbox: Sandbox, tmp_path: Path, user: PortUser
) -> None:
    """No row has the dimension: none would be selected, and the day's entities would be deleted."""
    day = date(2025, 12, 1)
    text = MAPPING.replace("/v1/organizations/usage_report/messages", "/organization/costs").replace(
        "group_by[]: model", "api_key_ids[]: key_1"
    )
    variables = with_main_endpoints(tmp_path)
    (tmp_path / "mapping.yml").write_text(text)
    file = Path(variables["USAGE_CONNECTIONS"])
    file.write_text(file.read_text() + '[[mapping]]\nconnection = "openai"\nfile = "mapping.yml"\n')
    environment = sandbox_environment(sandbox.base_url, tmp_path / "usage.duckdb") | variables
    with hold_project(sandbox, tmp_path, environment) as project:
        assert project.fetch("openai", [day], "costs").success
        said, _ = failure_of(project.fetch("openai", [day], "mapped/models"))
    assert "the provider did not group 2025-12-01 by api_key_id; its entities stay as they are" in said


def test_days_past_their_retention_are_gone_from_port(account: Account) -> None:
    """Of an entity without a day, what a newer day has stays."""
    old = date(2026, 7, 1)
    account.reload(BOTH, USAGE_START_DATE=str(old))
    account.run([old])
    account.run()
    assert any(name.endswith(str(old)) for name in account.shown("model_use"))
    shown = {name for name in account.shown("model_use") if not name.endswith(str(old))}
    variables = variables_of(account.sandbox, account.folder, None)
    names = {name.lower(): value for name, value in variables.items()}
    settings = Settings.load(_env_file=None, **names, usage_retention_months=3)
    with port_client(settings) as port:
        assert not old_days(settings, account.project.warehouse, port.account).remove(account.project.warehouse, port)
    assert account.shown("model_use").keys() == shown
    assert outputs(account.shown("my_workspace")) == workspaces(account.sandbox, *DAYS)
    assert account.due(pushes=True) == {}


def test_moved_to_another_file_nothing_is_sent_again(
    terminal: Terminal, tmp_path: Path, user: PortUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = str(DAYS[-1])
    run = ("backfill", "--connection", "anthropic", "--start", day, "--end", day, "--push")
    assert terminal.type(*run).code == 0
    former = {each: user.entity("model_use", each) for each in user.identifiers("model_use")}
    said = terminal.type("move", "--to", str(tmp_path / "moved.duckdb"))
    assert not said.code, said.err
    monkeypatch.setenv("USAGE_WAREHOUSE", str(tmp_path / "moved.duckdb"))
    monkeypatch.setenv("USAGE_ARCHIVE", str(tmp_path / "raw"))
    said = terminal.type(*run)
    assert "nothing to send" in said.out, said.out
    assert {each: user.entity("model_use", each) for each in user.identifiers("model_use")} == former


def test_equal_days_follow_the_newest_and_are_not_sent_again(account: Account) -> None:
    text = BOTH.replace("day: .day\n            output: .output_tokens", "output: 1")
    account.reload(text)
    account.run(DAYS[:2])
    lines = "select distinct usage_date from ledger.port_entities where blueprint = 'my_workspace' order by all"
    former = account.shown("my_workspace")
    assert {each["output"] for each in former.values()} == {1}
    before = [each for each in account.project.port_requests() if "my_workspace" in each["path"]]
    account.run(DAYS[2:])
    assert workspaces(account.sandbox, DAYS[2]).keys() <= former.keys()
    assert [each for each in account.project.port_requests() if "my_workspace" in each["path"]] == before
    assert DAYS[2] in account.project.warehouse.read(lines).column(0).to_pylist()
    account.restate(DAYS[2], "clear")
    account.run(DAYS[2:])
    assert account.shown("my_workspace") == former
    assert account.due(pushes=True) == {}


def test_a_missing_blueprint_is_named_and_everything_else_is_sent(account: Account) -> None:
    relation = "          relations:\n            next: '\"nobody\"'\n"
    account.reload(MAPPING + WORKSPACES.replace("my_workspace", "not_there") + relation)
    assert account.project.fetch("anthropic", DAYS, "usage_messages", *ASSETS).success
    said, _ = failure_of(pushed(account))
    assert "Port has no blueprint not_there: create it there, a mapping does not" in said
    assert len(account.shown("model_use")) == sum(len(by_model(account.sandbox, day)) for day in DAYS)


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
