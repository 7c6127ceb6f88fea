"""`usage-assets explain`: each kind of start, what is printed, and what it says where a link is missing."""

import json
import re
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import time_machine

from usage_assets.fetching.archive.files import files_in, remove
from usage_assets.warehouse.published import publish
from usage_assets_assistant.explain import lineage
from usage_assets_assistant.explain.chain import refuse_what_no_answer_states
from usage_assets_assistant.explain.computed import METHODS
from usage_assets_assistant.explain.figures import COMPUTED, measures_of
from usage_assets_assistant.explain.lineage import MissingLinkError
from usage_assets_report_tests.computed import compute_insights
from usage_assets_tests.end_to_end.conftest import hold_project, settings_in, with_main_endpoints
from usage_assets_tests.fixtures import NOW, Sandbox, last_days
from usage_assets_tests.models.days import cases
from usage_assets_tests.terminal import SECRETS, Said, Terminal

DAY = last_days(2)[0]
PERSON = "bob@acme-robotics.example"
TEAM = "o'brien \x1b[31m"
MONEY = f"""
[[credit_rate]]
workspace = "ws-sandbox"
usd_per_credit = 0.04
valid_from = 2026-01-01
source = "contract 7"

[[owner]]
user = "{PERSON}"
team = {json.dumps(TEAM)}

[[invoice]]
connection = "anthropic"
month = "2026-11"
total = 1
id = "INV-1"
issued = 2026-11-10

[[budget]]
name = "all"
amount = 1

[[budget]]
name = "codex"
credits = 100
connection = "chatgpt"

[[guardrail]]
name = "tokens"
connection = "openai"
measure = "tokens"
above = 1

[[purchase]]
connection = "chatgpt"
kind = "credits"
quantity = 1000
amount = 40
id = "order 9"
valid_from = {DAY}
"""
OF_DAY = f"--day {DAY}"


@pytest.fixture(scope="module")
def published(sandbox_process: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of three connections, restated once, and its published copy."""
    folder = tmp_path_factory.mktemp("published")
    sandbox_process.control("POST", "reset", {"now": NOW.isoformat()})
    connections = Path(with_main_endpoints(folder)["USAGE_CONNECTIONS"])
    connections.write_text(connections.read_text() + MONEY)
    variables = {"OPENAI_ADMIN_KEY": "", "USAGE_CONNECTIONS": str(connections)}
    with time_machine.travel(NOW), hold_project(sandbox_process, folder, variables) as project:
        for connection in ("openai", "anthropic", "chatgpt"):
            assert project.fetch(connection, [DAY]).success
        sandbox_process.restate("anthropic", DAY)
        assert project.fetch("anthropic", [DAY]).success
        compute_insights(project.warehouse, settings_in(sandbox_process, folder, variables))
        publish(project.warehouse)
    return folder


@pytest.fixture
def home(
    sandbox_process: Sandbox,
    published: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Terminal:
    """A person with that day, its archive and the published copy."""
    terminal = Terminal.open(sandbox_process, tmp_path, monkeypatch, capfd)
    for name in ("usage.duckdb", "usage-latest.duckdb", "connections.toml"):
        shutil.copy(published / name, tmp_path)
    shutil.copytree(published / "raw", tmp_path / "raw")
    terminal.set(OPENAI_ADMIN_KEY="", USAGE_CONNECTIONS=str(tmp_path / "connections.toml"))
    return terminal


def change(home: Terminal, statement: str) -> None:
    """Change what is published."""
    copy = home.warehouse.published
    copy.chmod(0o600)
    with duckdb.connect(str(copy)) as database:
        database.execute(statement)


def first(home: Terminal, query: str) -> Any:
    """The first value of an answer."""
    with duckdb.connect(str(home.warehouse.published), read_only=True) as database:
        [value, *_] = database.execute(query).fetchone() or [None]
        return value


def explained(said: Said) -> dict[str, Any]:
    """What was printed as JSON. Amounts are texts."""
    assert not said.code, said.err
    decoded: dict[str, Any] = json.loads(said.out)
    return decoded


def refusal(said: Said, code: int = 2) -> str:
    """The one line that was said."""
    assert (said.code, len(said.complaints)) == (code, 1), said.err
    return said.err


# Where one may start


def test_an_entity_is_followed_to_the_values_that_are_in_each_of_its_figures(home: Terminal) -> None:
    said = home.run(f"explain daily-{DAY} --json")
    found = explained(said)
    figures = {figure["column"]: figure for figure in found["figures"]}
    assert [*figures] == ["total_requests", "total_tokens", "total_cost"]
    names = {column: {value["path"].rpartition(".")[2] for value in each["values"]} for column, each in figures.items()}
    assert names == {
        "total_requests": {"num_model_requests"},
        "total_tokens": {"input_tokens", "output_tokens"},
        "total_cost": {"value"},
    }
    for figure in figures.values():
        values = [Decimal(value["text"]) for value in figure["values"]]
        assert sum(values) == Decimal(figure["value"])
    relations = ["port_entities.openai_daily_usage", "openai.costs", "openai.usage_completions"]
    assert [step["relation"] for step in found["steps"]] == relations
    paths = {"organization/costs", "organization/usage/completions"}
    assert {request["path"] for request in found["requests"]} == paths
    assert not any(secret in said.out for secret in SECRETS)


def test_many_rows_of_a_day_are_told_apart_as_a_few_are(home: Terminal) -> None:
    of_bills = "--where token_type=output_tokens --model claude-opus-5 --column native_amount"
    words = f"--table costs.allocated_costs {OF_DAY} --connection anthropic {of_bills} --json"
    few = explained(home.run(f"explain {words}"))
    [step] = [each for each in few["steps"] if each["relation"] == "costs.allocated_costs"]
    assert all("rounded by the largest remainder" in line for line in step["arithmetic"])
    assert {row["cause"] for row in few["restatements"] if row["table_name"] == "anthropic.cost_report"} == {"provider"}
    [figure] = few["figures"]
    values = sorted(map(str, figure.pop("values")))
    with pytest.MonkeyPatch.context() as patch:
        for limit in ("MOST_ROWS_TWICE", "MOST_ROWS_CHANGED"):
            patch.setattr(lineage, limit, 0)
        many = explained(home.run(f"explain {words}"))
    [same] = many["figures"]
    assert sorted(map(str, same.pop("values"))) == values
    assert same == figure
    assert many["steps"] == few["steps"]


def test_a_cell_of_a_view_is_explained_in_text(home: Terminal) -> None:
    words = f"--table costs.by_team {OF_DAY} --connection anthropic --where cost_basis=notional --column amount_usd"
    said = home.run(f"explain {words} --verify --sql --team", TEAM)
    assert not said.code
    value = first(home, f"select amount_usd from costs.by_team where team = '{TEAM.replace(chr(39), chr(39) * 2)}'")
    assert said.lines[0] == f"costs.by_team amount_usd: {value.normalize():f} USD"
    assert "o'brien \\x1b[31m" in said.lines[1]
    assert "\x1b" not in said.out.partition("\nSQL\n")[0]
    assert said.lines[2] == f"  from the archived answers alone: {value.normalize():f}"
    amounts = re.findall(r"^  \$\.data\[\d+\]\.model_breakdown\[\d+\]\.estimated_cost\.amount = (\S+)", said.out, re.M)
    assert sum(map(Decimal, amounts)) / 100 == value
    prices = "list prices, in dollars per million tokens"
    for heading in ("rows", "requests", "versions", prices, "restatements", "runs", "SQL"):
        assert f"\n{heading}\n" in said.out
    assert "; inputs: anthropic.claude_code 2, query " in said.out
    kinds = ", ".join(rf"{kind} [\d.]+" for kind in ("input", "read", "write", "write 1h", "output"))
    assert re.search(rf"^  claude-[\w-]+, standard: {kinds}$", said.out, re.M)
    assert "GET v1/organizations/usage_report/claude_code?starting_at=" in said.out
    assert "http://localhost:3000/runs/" in said.out


def test_runs_are_linked_where_the_ui_is(home: Terminal) -> None:
    home.set(USAGE_UI_URL="https://dagster.example/")
    found = explained(home.run("explain --table openai.costs_control --json"))
    assert [run["link"].startswith("https://dagster.example/runs/") for run in found["runs"]] == [True]


BUDGET = f"--table costs.budget_status --where budget=all --where first_day={DAY.replace(day=1)} --column provisional"


def test_each_figure_that_is_computed_has_a_method() -> None:
    figures = {(model, each.name) for relation, model in COMPUTED.items() for each in measures_of(relation)}
    assert METHODS.keys() == figures


# Missing links


def test_a_budget_that_is_computed_otherwise_now_is_named(home: Terminal) -> None:
    change(home, "update costs.budget_status set provisional = provisional + 1 where budget = 'all'")
    assert "and what is stored gives" in refusal(home.run(f"explain {BUDGET}"), 1)
    change(home, "update costs.budget_status set budget = 'none' where budget = 'all'")
    said = home.run("explain " + BUDGET.replace("=all", "=none"))
    assert "budget none is no longer in the connections file" in refusal(said, 1)


def test_a_restatement_whose_first_answer_was_pruned_is_named(home: Terminal) -> None:
    files = files_in(home.folder / "raw" / "anthropic" / "cost_report")
    remove(sorted(files, key=lambda file: file.stored_at)[:2])
    of_first = "version = 1 and table_name = 'anthropic.cost_report'"
    change(home, f"update ledger.partition_versions set row_count = 7 where {of_first}")
    words = "--where table_name=anthropic.cost_report --where total=row_count --column before"
    said = home.run(f"explain --table ledger.restatements --connection anthropic {words}")
    assert f"has no answer for {DAY}" in refusal(said, 1)


def test_a_pruned_answer_is_named(home: Terminal) -> None:
    shutil.rmtree(home.folder / "raw" / "chatgpt")
    words = f"--table costs.by_day {OF_DAY} --connection chatgpt --column amount_usd"
    refusal(home.run(f"explain {words}"))  # credits and dollars
    said = home.run(f"explain {words} --where cost_basis=credits --verify")
    assert f"has no answer for {DAY}" in refusal(said, 1)
    assert "costs.daily_costs: " in said.out


def test_an_unreadable_answer_is_named(home: Terminal) -> None:
    for path in (home.folder / "raw" / "openai" / "costs").iterdir():
        path.write_bytes(b"no archive")
    assert "cannot be read" in refusal(home.run("explain --table openai.costs_control"), 1)


CHANGES = cases("""
    update openai.costs set amount_value = amount_value + 1 -> costs.by_day --column amount_usd -> backfill --due
    delete from openai.costs -> costs.by_day --column amount_usd -> no longer computes this row
    update costs.daily_costs set amount_usd = 0 -> port_entities.openai_daily_usage --column total_cost ->
    update openai.costs_control set amount_value = 0
      -> openai.costs_control --column amount_value -> does not have this row
""")
"""A change of what is published, what is explained then, and what is said; nothing where nothing is wrong."""


def test_rows_that_have_changed_since_are_found(home: Terminal, published: Path) -> None:
    for statement, words, message in CHANGES:
        home.warehouse.published.unlink()
        shutil.copy(published / "usage-latest.duckdb", home.folder)
        change(home, statement)
        said = home.run(f"explain {OF_DAY} --connection openai --table {words}")
        if message:
            assert message in refusal(said, 1), statement
        else:
            assert not said.code, (statement, said.err)


def test_a_figure_that_the_archive_does_not_give_is_found(home: Terminal) -> None:
    row = first(home, "select line_item from openai.costs order by amount_value desc limit 1")
    for table in ("openai.costs", "costs.daily_costs", "costs.allocated_costs"):
        change(home, f"delete from {table} where line_item = '{row}'")
    change(home, "update ledger.partition_versions set has_sums = null")  # the view adds up the rows then
    words = f"--table costs.by_day {OF_DAY} --connection openai --column amount_usd"
    assert not home.run(f"explain {words}").code
    assert "and the archived answers give" in refusal(home.run(f"explain {words}", "--verify"), 1)


def test_a_list_cost_before_discounts_is_not_taken_for_the_bills_amount() -> None:
    row = {"ListCost": 10, "ContractedCost": 9, "x_SourceTable": "anthropic.cost_report", "x_Allocation": "tokens"}
    with pytest.raises(MissingLinkError, match="report of another connection"):
        refuse_what_no_answer_states(row, ["ListCost"])
    refuse_what_no_answer_states(row, ["BilledCost"])
    refuse_what_no_answer_states({**row, "ListCost": 9}, ["ListCost"])


def test_a_forgotten_person_is_found_under_a_stand_in_alone(home: Terminal) -> None:
    stored = f"select identifier from port_entities.ai_user_cost where user_id = '{PERSON}'"
    identifier = first(home, stored)
    titled = f"contains(title, '{PERSON}')"
    record = first(home, f"select identifier from port_entities.claude_code_analytics where {titled}")
    people = "select list(distinct user_id) from costs.daily_costs where source_table = 'anthropic.claude_code'"
    before = first(home, people)
    connections = home.folder / "connections.toml"
    connections.write_text(connections.read_text().replace(PERSON, "somebody"))
    assert not home.run("people forget", PERSON).code
    for each in (identifier, record):
        assert "the person was forgotten" in refusal(home.run("explain", each))
    words = f"--table costs.by_user {OF_DAY} --where cost_basis=notional --column amount_usd --user"
    assert "the person was forgotten" in refusal(home.run(f"explain {words}", PERSON))
    [stand_in] = {*first(home, people)} - {*before}
    said = home.run(f"explain {words}", stand_in, "--verify")
    assert not said.code, said.err
    assert stand_in in said.out
    assert PERSON not in said.out


# Bad input


BAD_INPUT = cases(f"""
    an-id --table openai.costs -> give the identifier
    an-id -> no entity is called an-id
    an-id --blueprint ai_connection -> these have: ai_anomaly, ai_budget, ai_cost_record
    --table nowhere -> no table or view with figures
    --table openai.costs --team web -> openai.costs has no column for --team
    --table openai.costs --day 2020-01-01 -> no row fits
    --table openai.costs -> name a --column to explain its sum
    --table costs.by_day --column native_amount -> are never added
    --table costs.budget_status --column amount -> rows fit: say which row is meant
    {BUDGET} --input 2026-12-01 -> is not computed from 2026-12-01
""")


def test_bad_input_is_one_line(home: Terminal) -> None:
    for words, message in (*BAD_INPUT, ("", "give the identifier of an entity in Port, or a --table")):
        assert message in refusal(home.run(f"explain {words}")), words


def test_days_are_checked_before_anything_is_loaded(home: Terminal) -> None:
    home.set(USAGE_WAREHOUSE="nowhere/usage.duckdb")
    for words, said in cases("""
        --day 2026-02-30 -> --day '2026-02-30' is not a day: write YYYY-MM-DD
        --input today -> --input 'today' is not a day: write YYYY-MM-DD
        --month 2026-13 -> --month '2026-13' is not a month: write YYYY-MM
    """):
        assert said in refusal(home.run(f"explain --table costs.by_day {words}"))


def test_nothing_is_written_beside_the_warehouse(home: Terminal) -> None:
    """The writer's lock is another's, and the copy is read-only."""

    def files() -> Iterator[tuple[Path, int]]:
        yield from sorted((path, path.stat().st_mtime_ns) for path in home.folder.rglob("*") if path.is_file())

    before = [*files()]
    with duckdb.connect(str(home.database)):
        assert not home.run("explain --table openai.costs_control --verify").code
    after = {*files()} - {*before}
    assert {path for path, _ in after} <= {home.database}
