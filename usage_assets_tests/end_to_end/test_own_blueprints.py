"""Blueprints of the users' own: what a person reads of each mistake, the preview, and the way to Port and back."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import pytest
from click.testing import CliRunner

from usage_assets.config.blueprints import BlueprintError
from usage_assets.config.settings import Settings
from usage_assets.core.blueprints import parse, rows_of
from usage_assets.core.schema import columns, declared
from usage_assets.features.port.command import port
from usage_assets.features.port.graph import PORT_RECONCILE_JOB
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days
from usage_assets.models.entities import ENTITIES, all_entities
from usage_assets_tests.end_to_end.conftest import Project, hold_project, sandbox_environment, with_main_endpoints
from usage_assets_tests.fixtures import ROOT, Sandbox, last_days, set_all
from usage_assets_tests.models.days import cases
from usage_assets_tests.port_user import PortUser, port_user

DAY = last_days(1)[0]
DECODER = msgspec.json.Decoder(float_hook=Decimal)
NAME = "model_day"
PROPERTIES: Mapping[str, Any] = {
    "record_date": {"type": "string", "format": "date-time"},
    "model": {"type": "string"},
    "dollars": {"type": "number"},
    "items": {"type": "array"},
}
BLUEPRINT: Mapping[str, Any] = {
    "identifier": NAME,
    "title": "Model day",
    "schema": {"properties": PROPERTIES, "required": ["record_date", "model"]},
    "relations": {"service": {"title": "Service", "target": "service", "required": False, "many": False}},
}
SQL = """-- grain: connection, usage_date, model
select
  connection,
  usage_date,
  coalesce(model, 'none') || ' on ' || usage_date as title,
  usage_date || 'T00:00:00Z' as record_date,
  coalesce(model, 'none') as model,
  sum(amount_usd) as dollars,
  to_json(list(distinct line_item order by line_item))::varchar as items,
  'billing' as service
from costs.daily_costs
where cost_basis = 'billed'
group by connection, usage_date, costs.daily_costs.model; -- the end
"""


def write(folder: Path, blueprint: Mapping[str, Any] = BLUEPRINT, sql: str = SQL) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{NAME}.json").write_text(json.dumps(blueprint))
    (folder / f"{NAME}.sql").write_text(sql)


def mistake(folder: Path) -> str:
    with pytest.raises(BlueprintError) as refused:
        all_entities(Settings.load(_env_file=None, usage_blueprints=folder))
    text = str(refused.value)
    assert "\n" not in text
    return text.replace(f"{folder}/", "")


# Mistakes


def test_a_mistake_in_the_sql_is_one_line_with_file_and_column(tmp_path: Path) -> None:
    for old, new, said in cases("""
        as title -> as name -> column title is missing
        'billing' as service -> 'billing' as service, 1 as more -> column more is no property and
        sum(amount_usd) -> sum(amount_usd) / 2 -> column dollars is DOUBLE, which would be converted to
        sum(amount_usd) -> sum(amount) -> Binder Error: Referenced column "amount" not found in FROM
        usage_date, model -> model -> the first line must be -- grain: connection, usage_date, ...
        select -> create table x as select -> must be one select statement
        from costs. -> from ledger.assets, costs. -> reads ledger.assets, which is not a table that da
        from costs.daily_costs -> from openai.users -> reads no table of days: a provider's, or costs.*
    """):
        assert SQL.count(old)
        write(tmp_path, sql=SQL.replace(old, new, 1))
        assert mistake(tmp_path).startswith(f"{NAME}.sql: {said}")


def with_property(name: str, kind: str = "string", **stated: Any) -> dict[str, Any]:
    return {**BLUEPRINT, "schema": {"properties": {**PROPERTIES, name: {"type": kind, **stated}}}}


def test_what_a_column_means_is_stated_in_the_blueprint_or_in_another_table_and_port_gets_none_of_it() -> None:
    like = {"columns_of": "openai.usage_completions", "description": "Calls."}
    added = with_property("calls", "number", title="Calls", column={"unit": "calls", "nullable": False})
    added["schema"]["properties"]["input_tokens"] = {"type": "number"}
    stated, given = parse(json.dumps(added | {"identifier": "calls_of_day", "table": like}))
    row = rows_of(stated, given, "Own.")
    known = {each.name: each for each in columns(row)}
    raw = {each.name: each for each in columns(declared("openai.usage_completions"))}
    assert row.__doc__ == "Calls."
    assert (known["calls"].type, known["calls"].nullable, known["calls"].unit) == (int, False, "calls")
    assert (known["input_tokens"].type, known["input_tokens"].unit) == (int, "tokens")
    assert known["input_tokens"].description == raw["input_tokens"].description
    assert "table" not in given
    assert given["schema"]["properties"]["calls"] == {"type": "number", "title": "Calls"}


def test_a_mistake_in_the_json_is_one_line_with_file_and_name(tmp_path: Path) -> None:
    for blueprint, said in (
        ({"identifier": NAME}, "is no blueprint as Port takes it: Object missing required field `title`"),
        (
            {**BLUEPRINT, "identifier": "other"},
            "identifier: must be the file's name, in lower-case letters, digits and _",
        ),
        (with_property("a-b"), "a-b: cannot be a column: use letters, digits and _"),
        (with_property("Model"), "Model: is also the name of another column"),
        (
            with_property("calls", column={"units": "calls"}),
            "is no blueprint as Port takes it: Object contains unknown",
        ),
        ({**BLUEPRINT, "table": {"columns_of": "openai.use"}}, "table: columns_of: openai.use is no table"),
    ):
        write(tmp_path, blueprint)
        assert mistake(tmp_path).startswith(f"model_day.json: {said}")


def test_files_that_are_no_pair_or_no_json_are_named(tmp_path: Path) -> None:
    for kept, lost in (("json", "sql"), ("sql", "json")):
        write(tmp_path)
        (tmp_path / f"{NAME}.{lost}").unlink()
        said = f"model_day.{kept}: has no model_day.{lost} beside it: a blueprint is a pair of files"
        assert mistake(tmp_path) == said
    (tmp_path / f"{NAME}.json").write_text('{"identifier": \n oops}')
    assert mistake(tmp_path) == "model_day.json, line 2, column 2: Expecting value"


def test_a_name_of_ours_and_a_folder_that_is_not_there_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {**BLUEPRINT, "identifier": NAME})
    for suffix in ("json", "sql"):
        text = (tmp_path / f"{NAME}.{suffix}").read_text().replace(NAME, "ai_user_cost")
        (tmp_path / f"ai_user_cost.{suffix}").write_text(text)
        (tmp_path / f"{NAME}.{suffix}").unlink()
    said = "ai_user_cost.sql: ai_user_cost is a blueprint of usage-assets or a provider: choose another name"
    assert mistake(tmp_path) == said
    assert declared("port_entities.ai_user_cost") in {each.row for each in ENTITIES}, (
        "a name that is refused declares no table"
    )
    assert "none: is no folder" in mistake(tmp_path / "none").replace(f"{tmp_path}/", "")


def test_a_view_and_names_are_found_with_all_that_they_read(tmp_path: Path) -> None:
    sql = SQL.replace("from costs.daily_costs", "from costs.allocated_costs_named").replace("costs.daily_costs.", "")
    write(tmp_path, sql=sql.replace("group by connection, usage_date, model;", "group by all;"))
    model = all_entities(Settings.load(_env_file=None, usage_blueprints=tmp_path))[-1]
    assert {"costs.daily_costs", "costs.allocated_costs", "openai.users"} <= {*model.optional_refs}
    assert {"openai.users", "anthropic.workspaces"} <= {*model.query.names}, "a day is due when an id gets a name"
    assert any("owners" in each for each in model.query.stated_inputs), "and when an owner changes"


def test_the_example_of_the_documentation_is_a_pair(tmp_path: Path) -> None:
    page = (ROOT / "docs/port.md").read_text()
    for suffix in ("json", "sql"):
        text = page.partition("## Blueprints of your own")[2].partition(f"```{suffix}\n")[2].partition("```")[0]
        (tmp_path / f"project_day.{suffix}").write_text(text)
    model = all_entities(Settings.load(_env_file=None, usage_blueprints=tmp_path))[-1]
    assert (model.name, model.relations) == ("project_day", {"service": "service"})


# The way to Port


@pytest.fixture
def variables(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    write(tmp_path / "own")
    accounts = sandbox_environment(sandbox.base_url, tmp_path / "usage.duckdb")
    return {**accounts, **with_main_endpoints(tmp_path), "USAGE_BLUEPRINTS": str(tmp_path / "own")}


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path, variables: dict[str, str]) -> Iterator[Project]:
    """OpenAI's costs, and a blueprint of the user's own."""
    with hold_project(sandbox, tmp_path, variables) as opened:
        yield opened


@pytest.fixture
def user(sandbox: Sandbox) -> Iterator[PortUser]:
    with port_user(sandbox) as signed_in:
        yield signed_in


def previewed(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> dict[str, Any]:
    """What the command shows of the day, by identifier."""
    set_all(monkeypatch, variables)
    said = CliRunner().invoke(port, ["preview", NAME, "--day", str(DAY), "--connection", "openai"])
    assert said.exception is None
    return {each["identifier"]: each for each in map(DECODER.decode, said.stdout.splitlines())}


def due(variables: dict[str, str], project: Project) -> list[str]:
    """Why the entities of the pair are due."""
    settings = Settings.load(_env_file=None, **{name.lower(): value for name, value in variables.items()})
    found = due_days(project.warehouse, seeds_of(settings))
    return [each.because for each in found if (each.day, each.asset.rpartition("/")[2]) == (DAY, NAME)]


def test_a_pair_is_previewed_computed_pushed_restated_and_reconciled_as_ours_are(
    project: Project, user: PortUser, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    user.call("POST", "/blueprints", {"identifier": "service", "title": "Service", "schema": {"properties": {}}})
    user.create("service", "billing", {})
    assert project.fetch("openai", [DAY], "costs", "costs/daily_costs").success
    before = previewed(monkeypatch, variables)
    assert f"port_entities.{NAME}" not in project.tables(), "a preview stores nothing"
    assert project.fetch("openai", [DAY], f"entities/{NAME}").success
    assert project.push_of("openai", [DAY]).success

    def in_port() -> dict[str, Any]:
        names = ("identifier", "title", "properties", "relations")
        shown = (user.entity(NAME, identifier) for identifier in user.identifiers(NAME))
        return {each["identifier"]: {name: each[name] for name in names} for each in shown}

    assert in_port() == before != {}
    assert f"openai/gpt-5.4/{DAY}" in before
    assert {each["relations"]["service"] for each in before.values()} == {"billing"}
    assert due(variables, project) == []

    project.sandbox.restate("openai", DAY, endpoint="costs")
    assert project.fetch("openai", [DAY], "costs", "costs/daily_costs").success
    assert due(variables, project) == ["costs.daily_costs/openai.costs changed"]
    assert project.fetch("openai", [DAY], f"entities/{NAME}").success
    assert project.push_of("openai", [DAY]).success
    restated = in_port()
    assert restated != before
    assert restated == previewed(monkeypatch, variables)

    edited, deleted = sorted(restated)[:2]
    user.edit(NAME, edited, {"properties": {"dollars": 7}})
    user.delete(NAME, deleted)
    assert project.run(PORT_RECONCILE_JOB, [dg.AssetKey(["openai", "port_reconcile"])]).success
    assert in_port() == restated


ROWS = (
    (
        "usage_date || 'T",
        "coalesce(model, '-') as identifier, usage_date || 'T",
        "2 rows have the identifier gpt-5.5, and Port would keep one of them",
    ),
)


def test_what_only_the_rows_show_fails_the_run_with_the_file_and_stores_nothing(
    sandbox: Sandbox, tmp_path: Path, variables: dict[str, str]
) -> None:
    for old, new, said in ROWS:
        write(tmp_path / "own", sql=SQL.replace(old, new))
        with hold_project(sandbox, tmp_path, variables) as wrong:
            result = wrong.fetch("openai", last_days(2), "costs", "costs/daily_costs", f"entities/{NAME}")
            [failed] = [event for event in result.all_node_events if event.is_step_failure]
            assert failed.step_failure_data.error
            message = failed.step_failure_data.error.message
            assert f"{NAME}.sql: " in message
            assert said in message
            assert f"port_entities.{NAME}" not in wrong.tables()
