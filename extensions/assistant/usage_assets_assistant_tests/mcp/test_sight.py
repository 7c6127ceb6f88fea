"""What an assistant does not see: people, other teams, other connections; by no tool and by no SQL."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from mcp_types import CallToolResult

from usage_assets.core.money import total
from usage_assets.warehouse.values import WarehouseError
from usage_assets_assistant.mcp import store
from usage_assets_assistant.mcp.asking import describe, query
from usage_assets_assistant.mcp.changes import compare
from usage_assets_assistant.mcp.insights import seats, stored_insights, unit_costs, what_if
from usage_assets_assistant.mcp.sight import A_PERSON
from usage_assets_assistant.mcp.spend import spend
from usage_assets_assistant.mcp.store import Opened
from usage_assets_assistant.mcp.tracing import due, explain
from usage_assets_assistant.query.untrusted import Relation
from usage_assets_assistant_tests.mcp.conftest import ADDRESS, ID, KEY, NAME, OTHER, See
from usage_assets_assistant_tests.mcp.test_figures import (
    ALL,
    MONTH,
    all_rows,
    explained,
    rows_of_sql,
    spending,
    structured,
)
from usage_assets_assistant_tests.query import hostile
from usage_assets_tests.alone import needs
from usage_assets_tests.fixtures import IS_NIGHT
from usage_assets_tests.models.days import one_a_line

PEOPLE = (ADDRESS, OTHER, NAME)
IDS = re.compile(r"\bu\d+\b")
"""The ids that the company's users have at OpenAI."""
Ask = Callable[[Opened], CallToolResult]
TOOLS: Mapping[str, Ask] = {
    **{
        f"spend by {by}": lambda opened, by=by: spend(opened, *MONTH, by, {}, ALL, None)  # type: ignore[misc]
        for by in ("team", "project", "actor", "person", "api_key")
    },
    "compare": lambda opened: compare(opened, None, None, None, None, None, ALL, None),
    **{
        what: lambda opened, what=what: stored_insights(opened, what, *MONTH, ALL, None)  # type: ignore[misc]
        for what in ("budgets", "incidents", "forecast")
    },
    "unit_costs": lambda opened: unit_costs(opened, *MONTH, None, ALL, None),
    "seats": lambda opened: seats(opened, None, ALL, None),
    "due": lambda opened: due(opened, None, ALL, None),
    "describe": lambda opened: describe(opened, None, ALL, None),
}


def said(answer: CallToolResult) -> str:
    """All that an assistant gets to read."""
    return str(answer.content) + str(answer.structured_content)


HIDDEN = ("none", "hashed")
"""How people are seen when nobody is named."""


def named_in(text: str) -> list[str]:
    """The people whom a text names."""
    return [each for each in PEOPLE if each in text] + IDS.findall(text)


def test_no_tool_names_a_person(see: See) -> None:
    found = {
        (tool, people): named_in(said(ask(see(people=people)))) for tool, ask in TOOLS.items() for people in HIDDEN
    }
    assert {of: named for of, named in found.items() if named} == {}


def rows_of(opened: Opened, relations: Iterable[Relation]) -> str:
    """All rows of what an assistant may ask for."""
    found = ""
    for relation in relations:
        sql = f"select * from {'.'.join(relation)}"
        with opened.seen() as database:
            opened.allow(sql)
            found += str(database.execute(sql).fetchall())
    return found


def test_no_table_has_a_person(see: See) -> None:
    read: set[str] = set()
    for people in HIDDEN:
        opened = see(people=people)
        assert len(opened.offered) > 40
        views = {each: opened.sight.view_of(each, opened.columns[each], opened.catalog) for each in opened.offered}
        new = [each for each, view in views.items() if view not in read]  # the others have no column of a person
        assert named_in(rows_of(opened, new)) == [], people
        read |= {*views.values()}
    opened = see(people="names")
    of_people = rows_of(opened, (("costs", name) for name in ("by_person", "by_actor", "allocated_costs_named")))
    assert all(each in of_people for each in (*PEOPLE, KEY)), "this looks for something"
    assert IDS.search(of_people)


@needs("finance")
def test_each_text_column_is_known_or_left_out(see: See) -> None:
    """A new column is hidden until somebody has said what it may hold (sight.py)."""
    opened = see(people="none")
    left_out = {
        (*relation, column)
        for relation, columns in opened.offered.items()
        for column in opened.columns[relation].keys() - columns.keys()
    }
    assert {column for _, _, column in left_out} == {
        "ResourceId",
        "ResourceName",
        "SkuPriceDetails",
        "Tags",
        "accounts",
        "driver",
        "evidence",
        "text",
        "x_OtherColumns",
        "x_TagShares",
    }


def test_hidden_people_change_no_sum(see: See) -> None:
    kinds = ("none", "hashed", "names")
    sums = [spending(see(people=people), "person")["totals"] for people in kinds]
    assert sums[0] == sums[1] == sums[2]
    rows = {
        people: all_rows(lambda cursor, people=people: spend(see(people=people), *MONTH, "person", {}, ALL, cursor))
        for people in kinds
    }
    names = {people: {row["about"].get("person_name") for row in each} for people, each in rows.items()}
    assert A_PERSON in names["none"]
    assert len([name for name in names["hashed"] if name and name.startswith("person-")]) > 10
    assert len(rows["hashed"]) == len(rows["names"])
    by_person = "select count(distinct person_id) as people from costs.active_people"
    counted = [rows_of_sql(see(people=people), by_person) for people in ("hashed", "names")]
    assert counted[0] == counted[1] != [["0"]], "people are counted without being shown"


def test_a_key_that_is_called_after_a_person_loses_the_address(see: See) -> None:
    names = {row["about"].get("api_key_display_name") for row in all_rows(lambda c: TOOLS["spend by api_key"](see()))}
    assert "laptop of an address" in names


def test_only_a_team_is_shown(see: See) -> None:
    opened, whole = see(teams=("web",)), see()
    [seen, *_] = spending(opened)["totals"]
    [of_team, *_] = spending(whole, "team", team="web")["totals"]
    assert seen["values"] == of_team["values"]
    assert explained(whole, seen["explain"]) == Decimal(seen["values"]["amount"])
    assert "explain" not in spending(see(teams=("web", "a")), "day")["rows"][0]
    for tool in ("spend by team", "compare", "budgets", "incidents", "forecast", "unit_costs", "spend by project"):
        assert "research" not in said(TOOLS[tool](opened)), tool
    changes = structured(TOOLS["compare"](opened))["rows"]
    assert [row["about"] for row in changes] == [{"by": "team", "name": "web"}]
    with pytest.raises(WarehouseError, match="only teams web"):
        TOOLS["seats"](opened)
    with pytest.raises(WarehouseError, match="only teams web"):
        what_if(opened, {}, *MONTH, ALL, None)
    with pytest.raises(WarehouseError, match="name a team of web"):
        explain(opened, None, "costs.by_day", "amount_usd", {}, "cost_basis=billed", ALL, None, verify=False)
    with pytest.raises(WarehouseError, match=r"costs\.by_day is about more than this assistant may see"):
        query(opened, "select sum(amount_usd) from costs.by_day where cost_basis = 'billed'", ALL, None)
    sql = "select distinct team from costs.allocated_costs_named"
    assert rows_of_sql(opened, sql) == [["web"]]


def test_only_a_connection_is_shown(see: See) -> None:
    opened, whole = see(connections=("openai",)), see()
    [seen, *_] = spending(opened)["totals"]
    [of_one, *_] = spending(whole, connection="openai")["totals"]
    assert seen["values"] == of_one["values"]
    assert explained(whole, seen["explain"]) == Decimal(seen["values"]["amount"])
    for tool in TOOLS.keys() - {"spend by person", "describe"}:
        assert "anthropic" not in said(TOOLS[tool](opened)), tool
    [everything, *rows] = structured(TOOLS["compare"](opened))["rows"]
    assert everything["values"]["now"] == seen["values"]["amount"]
    assert explained(whole, everything["explain"]) == Decimal(seen["values"]["amount"])
    assert total(Decimal(row["values"]["now"]) for row in rows if row["about"]["by"] == "team") == Decimal(
        seen["values"]["amount"]
    )
    for sql in (
        "select sum(amount_usd) from costs.by_person where cost_basis = 'billed'",
        "from costs.by_model select 1",
    ):
        with pytest.raises(WarehouseError, match="is about more than this assistant may see"):
            query(opened, sql, ALL, None)
    for name in OF_ANY_USE:
        with pytest.raises(WarehouseError, match="is not offered"):
            query(opened, f"select * from {name}", ALL, None)
    sql = "select distinct connection from costs.daily_costs"
    assert rows_of_sql(opened, sql) == [["openai"]]


def test_of_a_team_and_a_connection_nothing_is_shown_that_is_of_one_alone(see: See) -> None:
    opened = see(teams=("web",), connections=("openai",))
    for tool in ("budgets", "incidents", "forecast"):
        with pytest.raises(WarehouseError, match="is about more than this assistant may see"):
            TOOLS[tool](opened)
    assert structured(TOOLS["unit_costs"](opened))["rows"] == []


def test_an_explanation_does_not_say_who_rows_are_of(see: See) -> None:
    opened = see()
    days = {"start": "2026-11-03", "end": "2026-11-03"}
    with pytest.raises(WarehouseError) as caught:
        explain(opened, None, "costs.by_actor", None, days, "cost_basis=billed", ALL, None, verify=False)
    assert not IDS.search(str(caught.value))
    for table, where in (
        ("costs.by_actor", f"actor_id={ID}"),
        ("costs.by_actor", f"actor_kind=person; actor_id={ID}"),
        ("costs.daily_costs", f"user_id={ID}"),
        ("costs.by_person", f"person_name={NAME}"),
        ("anthropic.claude_code", f"actor_email={ADDRESS}"),
    ):
        with pytest.raises(WarehouseError, match="people are hidden"):
            explain(opened, None, table, "amount_usd", days, where, ALL, None, verify=False)
    with pytest.raises(WarehouseError, match="people are hidden"):
        explain(opened, f"anthropic/estimated/{ADDRESS}", None, None, {}, None, ALL, None, verify=False)


OF_ANY_USE = ("models.names", "models.names_in_costs", "models.usage_families", "accounting.credit_rates")
"""What says of whatever is used that it is used."""
OF_PEOPLE = ("costs.by_person", "costs.by_actor", "costs.by_user")
IN_ANY_PLACE = one_a_line("""
    select * from costs.by_person
    select * from costs.by_actor
    select * from costs.by_user
    select * from warehouse.costs.by_user
    select * from memory.costs.by_user
    select * from seen_whole.costs.by_user
    select * from costs.people
    select * from costs.names
    select * from openai.users
    select * from accounting.people
    select * from temp.main.billed
    select * from costs.what_if
    select * from duckdb_views()
    select * from duckdb_columns()
    select * from information_schema.views
    select * from pg_catalog.pg_views
    select person_name from costs.by_person
    select user_email from costs.by_user where user_email is not null
""")
"""What a lake may answer otherwise than a file: its catalog has other names."""
ATTEMPTS = (
    *IN_ANY_PLACE,
    *(f"select {words} from {relation} as a" for relation in OF_PEOPLE for words in ("to_json(a)", "columns('.*')")),
    *one_a_line(f"""
    select * from (from costs.by_person)
    select * from costs.by_person tablesample 50%
    select * from costs.seats(current_date)
    select upper(actor_name), error(actor_name) from costs.by_actor
    select actor_id::integer from costs.by_actor
    select count(*) from costs.by_actor where actor_id = '{ID}'
    select getvariable('key_of_people')
    select current_setting('key_of_people')
    """),
)


MANY = 2_000 if IS_NIGHT else 150


def test_no_statement_finds_a_person_or_what_is_not_offered(
    see: See, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_nothing(see(), [*hostile.statements(MANY, 35, tmp_path, 9), *ATTEMPTS], tmp_path, monkeypatch)


def find_nothing(opened: Opened, sqls: Sequence[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask, beside a file with a secret. A query without an end gets two seconds: no other one needs as long."""
    monkeypatch.setattr(store, "SECONDS_OF_QUERY", 2)
    (folder / hostile.FILE).write_text(f"content\n{hostile.SECRET}\n")
    for sql in sqls:
        try:
            found = said(query(opened, sql, ALL, None))
        except WarehouseError as error:
            found = str(error)
        assert hostile.SECRET not in found, sql
        assert named_in(found) == [], sql
    assert [path.name for path in folder.iterdir() if path.is_file()] == [hostile.FILE]
