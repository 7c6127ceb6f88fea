"""The golden set: questions as people ask them, the tool calls that answer them, and what must hold of the answers.

What is expected comes from ``golden_books``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from usage_assets.core.days import DAY
from usage_assets_assistant_tests.mcp.golden_answers import Answer
from usage_assets_assistant_tests.mcp.golden_books import Books, Sums, per_unit, text_of
from usage_assets_assistant_tests.mcp.golden_company import (
    DELETED,
    EUROS,
    FIRST,
    GAP,
    LAST,
    MONTH,
    ORDER,
    POUNDS,
    SETTLED,
)
from usage_assets_report.changes import KINDS, NOT_COMPARED
from usage_assets_tests.models.days import lines

Check = Callable[[Books, Answer], None]
Table = Callable[[Books], Sequence[Sequence[str | None]]]
Amounts = Callable[[Books, date, date], Mapping[str, Decimal]]
"""Billed of each name, from one day to another."""


@dataclass(frozen=True, eq=False)
class Question:
    """A question, the call that answers it, and what must hold of the answer."""

    asked: str
    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    sums: Callable[[Books], Sums] | None = None
    """Of `spend`: the rows, all of them, to the last digit."""
    table: Table | None = None
    """Of `query`: the rows, in their order."""
    refused: str = ""
    """Part of the one line that refuses."""
    says: Sequence[str] = ()
    """What the sentence, the notes or the freshness must say."""
    holds: Check | None = None
    options: tuple[str, ...] = ()
    """Of the server that is asked."""


def days(first: date, last: date) -> dict[str, Any]:
    """Arguments that name days."""
    return {"first": str(first), "last": str(last)}


def spent(
    asked: str,
    by: str = "cost_basis",
    *,
    of: Callable[..., Sums] = Books.spend,
    options: tuple[str, ...] = (),
    **more: Any,
) -> Question:
    """A question for `spend`: the rows are the books', with the same filters."""
    stated = {name: more.pop(name) for name in ("says", "holds") if name in more}

    def sums(books: Books) -> Sums:
        named = {"cost_basis": None, "limit": None, **SHOWN.get(options, {}), **more}
        basis, _ = named.pop("cost_basis"), named.pop("limit")
        named |= {end: date.fromisoformat(named[end]) for end in ("first", "last") if end in named}
        if "project" in named:
            named["project_id"] = books.id_of(PROJECTS[named.pop("project")])
        return {key: amount for key, amount in of(books, by, **named).items() if basis in (None, key[-2])}

    arguments = more if by == "cost_basis" else {"by": by, **more}
    return Question(asked, "spend", arguments, sums, options=options, **stated)


def filters(pairs: Sequence[str]) -> dict[str, Any]:
    return dict(pair.split("=") for pair in pairs)


def sql(asked: str, statement: str, table: Table | None = None, **more: Any) -> Question:
    """A question for `query`."""
    return Question(asked, "query", {"sql": statement}, table=table, **more)


def column(sums: Mapping[Any, Decimal]) -> list[list[str | None]]:
    """Rows of a query with one key and an amount, in the order of the key."""
    return [[str(key), text_of(amount)] for key, amount in sorted(sums.items())]


NAMES = ("--people", "names")
WEB = ("--teams", "web")
OPENAI = ("--connections", "openai")
SHOWN: Mapping[tuple[str, ...], Mapping[str, str]] = {WEB: {"team": "web"}, OPENAI: {"connection": "openai"}}
PROJECTS = {"Support Bot 🤖": "support-bot", ORDER: "data-platform"}
"""What a project is called now -> what its id was made of."""
NOV_18 = date(2026, 11, 18)
AFTER_POUNDS = (date(2026, 11, 7), date(2026, 11, 10))
LATER = (date(2026, 11, 12), date(2026, 11, 15))
COMPARED = {"before_first": str(AFTER_POUNDS[0]), "before_last": str(AFTER_POUNDS[1]), **days(*LATER)}


def compared(by: str, names: Amounts) -> Check:
    """Both amounts and the change of each row are the books', and the parts add up to the change."""

    def check(books: Books, answer: Answer) -> None:
        before, now = names(books, *AFTER_POUNDS), names(books, *LATER)
        rows = {row["about"]["name"]: row["values"] for row in answer.rows if row["about"]["by"] == by}
        found = {name: (Decimal(row["before"]), Decimal(row["now"])) for name, row in rows.items()}
        expected = {name: (before.get(name, Decimal(0)), now.get(name, Decimal(0))) for name in {**before, **now}}
        if others := found.pop(f"other {by}s", None):  # the small ones are one row
            rest = [expected.pop(name) for name in expected.keys() - found.keys()]
            assert others == (sum(each[0] for each in rest), sum(each[1] for each in rest))
        assert found == {name: amounts for name, amounts in expected.items() if any(amounts)}
        for row in rows.values():
            assert Decimal(row["change"]) == Decimal(row["now"]) - Decimal(row["before"])
            assert sum(Decimal(row[part]) for part in KINDS) == Decimal(row["change"])

    return check


def changed(asked: str, by: str, names: Amounts, **more: Any) -> Question:
    """A question for `compare`."""
    return Question(asked, "compare", {**COMPARED, "by": by}, holds=compared(by, names), **more)


def billed_by(dimension: str) -> Amounts:
    """Billed, valued in USD, of two periods by one dimension."""

    def of(books: Books, first: date, last: date) -> Mapping[str, Decimal]:
        sums = books.spend(dimension, first, last)
        return {str(key[0]): amount for key, amount in sums.items() if key[-2:] == ("billed", "USD")}

    return of


COMPANY_OF = {
    "openai": "OpenAI API",
    "anthropic": "Claude API",
    "chatgpt": "ChatGPT Enterprise",
    "cursor": "Cursor",
    "github_copilot": "GitHub Copilot",
}


def billed_by_company(books: Books, first: date, last: date) -> Mapping[str, Decimal]:
    """By provider, as the report names them."""
    return {COMPANY_OF[name]: amount for name, amount in billed_by("provider")(books, first, last).items()}


def billed_by_person(books: Books, first: date, last: date) -> Mapping[str, Decimal]:
    """By person; keys, service accounts and what nobody is named for are no person."""
    names = {(row["actor_kind"], row["person_id"]): row["person_name"] for row in books.costs}
    found: dict[str, Decimal] = {}
    for key, amount in books.spend("person", first, last).items():
        if key[-2:] == ("billed", "USD"):
            name = str(names[key[0], key[1]]) if key[0] == "person" else "no person"
            found[name] = found.get(name, Decimal(0)) + amount
    return found


def everything(books: Books, first: date, last: date) -> Mapping[str, Decimal]:
    """All that is billed, valued in USD."""
    return {"everything": books.billed(first, last)}


def everything_of_openai(books: Books, first: date, last: date) -> Mapping[str, Decimal]:
    """All that OpenAI bills, valued in USD."""
    return {"everything": books.billed(first, last, connection="openai")}


def budgets(books: Books, answer: Answer) -> None:
    """What is spent of each budget is what the books say; of a misspelled one it is unknown."""
    rows = {row["about"]["budget"]: row["values"] for row in answer.rows}
    used = books.native("chatgpt", "credits", MONTH, LAST)
    assert {name: (row["amount"], row["spent"]) for name, row in rows.items()} == {
        "everything": ("2000", text_of(books.billed(MONTH, LAST))),
        "web": ("40", text_of(books.billed(MONTH, LAST, team="web"))),
        "codex": ("4000", text_of(used)),
        "9": ("100000", text_of(used)),
        "pounds": ("100", text_of(books.unvalued(MONTH, LAST, "GBP"))),
        "misspelled": ("10", None),
    }


def used_up(books: Books, answer: Answer) -> None:
    """The days on which stored amounts reached the thresholds and the budget."""
    [row] = [row for row in answer.rows if row["about"]["budget"] == "web"]
    spent, reached = Decimal(0), []
    shares = [Decimal("0.5"), Decimal("0.8"), Decimal(1)]
    for day, amount in sorted(books.billed_by_day(team="web").items()):
        spent += amount
        reached += [f"{share} on {day}" for share in shares if spent >= 40 * share > spent - amount]
    assert row["about"]["thresholds_reached"] == ", ".join(reached)
    assert row["about"]["used_up_on"] == reached[-1].rpartition(" ")[2]


def of_october(books: Books, answer: Answer) -> None:
    """Of October, eleven days are stored: what it cost is unknown, and nobody says that the budget was kept."""
    rows = {row["about"]["budget"]: row for row in answer.rows}
    spent = text_of(books.billed(FIRST, date(2026, 10, 31)))
    assert rows["everything"]["values"]["spent"] == spent
    assert {rows["everything"]["values"][name] for name in ("low", "expected", "high")} == {None}
    assert re.search(r"is not stored on 2026-10-01 to 2026-10-\d\d", rows["everything"]["note"])
    assert rows["pounds"]["values"]["spent"] == "0"


def costly_days(books: Books, answer: Answer) -> None:
    """The guardrail is crossed on the days on which more than 60 dollars are billed."""
    crossed = {
        (row["about"]["first_day"], row["values"]["actual"])
        for row in answer.rows
        if row["about"]["what"] == "guardrail a costly day"
    }
    expected = {(str(day), text_of(amount)) for day, amount in books.billed_by_day().items() if amount > 60}
    assert crossed == expected
    counts = f"{len(answer.rows) - len(crossed)} incidents, {len(crossed)} crossed guardrails"
    assert answer.text.startswith(f"{counts} from ")


def forecasts(books: Books, answer: Answer) -> None:
    """So far is what the books say, and expected is at least that, between low and high, or unknown with a reason."""
    scopes = {row["about"]["scope"]: row for row in answer.rows}
    assert {"everything", "connection openai", "connection anthropic", "team web"} <= scopes.keys()
    for scope, row in scopes.items():
        kind, _, name = scope.partition(" ")
        so_far = books.billed(MONTH, LAST, **({kind: name} if name else {}))
        values = row["values"]
        assert values["so_far"] == text_of(so_far), scope
        if values["expected"] is None:
            assert (values["low"], values["high"]) == (None, None)
            assert f"anthropic is not stored on {GAP}" in row["note"]
        else:
            assert Decimal(values["low"]) <= Decimal(values["expected"]) <= Decimal(values["high"])
            assert Decimal(values["low"]) >= Decimal(values["so_far"]) - Decimal(values["provisional"])


def forecast_is_unknown(_: Books, answer: Answer) -> None:
    """A month that lacks a day has no forecast, and no zero."""
    [row] = [row for row in answer.rows if row["about"]["scope"] == "everything"]
    assert row["values"]["expected"] is None
    assert row["note"] == f"anthropic is not stored on {GAP}"


def provisional_part(books: Books, answer: Answer) -> None:
    """What may still change is what is billed on days that are not settled."""
    [row] = [row for row in answer.rows if row["about"]["scope"] == "connection openai"]
    expected = books.billed(SETTLED[-1] + DAY, LAST, connection="openai")
    assert row["values"]["provisional"] == text_of(expected)


def commits(books: Books, answer: Answer) -> None:
    """Estimates of API customers and of subscribers, each divided by their own commits."""
    rows = {row["cost_basis"]: row["values"] for row in answer.rows}
    for basis, is_api in (("estimated", True), ("notional", False)):
        dollars = books.spend("connection")["anthropic", basis, "USD"]
        quantity = books.claude_code("commits", is_api=is_api)
        assert rows[basis]["quantity"] == str(quantity)
        assert rows[basis]["usd"] == text_of(dollars)
        assert rows[basis]["usd_per_unit"] == per_unit(dollars, quantity)


def active_people(books: Books, answer: Answer) -> None:
    """People are counted once in the month."""
    rows = {row["cost_basis"]: row["values"] for row in answer.rows if row["about"]["scope"] == "anthropic"}
    for basis, is_api in (("estimated", True), ("notional", False)):
        assert rows[basis]["quantity"] == str(len(books.coders(is_api=is_api)))


def seats_of_cursor(**expected: str | None) -> Check:
    """What is said of the seats of an editor."""

    def check(_: Books, answer: Answer) -> None:
        [row] = [row for row in answer.rows if row["about"]["connection"] == "editor"]
        assert {name: row["values"][name] for name in expected} == expected

    return check


def seats_of_copilot(_: Books, answer: Answer) -> None:
    """Seventeen seats in two plans at the bill's prices; of the two that nobody uses, one is cancelled already."""
    rows = {row["about"]["plan"]: row["values"] for row in answer.rows if row["about"]["connection"] == "copilot"}
    names = ("seats", "idle", "ending", "price_a_month", "usd_idle_a_month")
    assert {plan: tuple(row[name] for name in names) for plan, row in rows.items()} == {
        "business": ("14", "1", "1", "19", "19"),
        "enterprise": ("3", "0", "0", "39", "0"),
    }


def opus_at_sonnets_price(books: Books, answer: Answer) -> None:
    """What was billed, the list price of the same tokens, and the list price of the other model."""
    [row] = answer.rows
    values = {name: Decimal(value) for name, value in row["values"].items()}
    billed = books.billed(MONTH, LAST, provider="anthropic", model="claude-opus-5")
    assert values["usd"] + values["usd_left_out"] == billed
    assert values["usd_list"] == books.at_list_price("claude-opus-5")
    assert values["usd_list_instead"] == books.at_list_price("claude-sonnet-5")
    assert values["usd_change"] == values["usd_list_instead"] - values["usd_list"]
    assert values["usd_bill_less_list"] == values["usd"] - values["usd_list"]
    assert values["usd_difference_to_bill"] == values["usd_list_instead"] - values["usd"]


def explained(value: Callable[[Books], Decimal]) -> Check:
    """The figure, and what the archived bytes alone give, are the books' amount; it consists of values of responses."""

    def check(books: Books, answer: Answer) -> None:
        [total] = answer.content["totals"]
        assert total["values"] == dict.fromkeys(("value", "from_archive_alone"), text_of(value(books)))
        assert any(row["values"].get("as_sent") for row in answer.rows)

    return check


def due_begins_with_the_gap(_: Books, answer: Answer) -> None:
    """Of Anthropic, the day that was never fetched; of OpenAI, only days after the newest one."""
    missing = {row["about"]["table"]: row for row in answer.rows if row["about"]["state"] == "missing"}
    for table, first, before in (("anthropic.cost_report", GAP, 1), ("openai.costs", LAST + DAY, 0)):
        about = missing[table]["about"]
        assert (about["because"], about["first_day"]) == ("never fetched", str(first))
        days_since = (date.fromisoformat(about["last_day"]) - LAST).days
        assert missing[table]["values"]["days"] == str(days_since + before)


def tables(_: Books, answer: Answer) -> None:
    """Views of costs are listed, raw tables and lists of people are not."""
    listed = {row["about"]["table"] for row in answer.rows}
    assert {"costs.by_team", "costs.by_day", "costs.daily_costs", "ledger.due_days"} <= listed
    assert not [name for name in listed if name.startswith(("openai.", "anthropic.", "port_entities."))]
    assert (answer.content["first"], answer.content["last"]) == (str(FIRST), str(LAST))


def columns_of_teams(_: Books, answer: Answer) -> None:
    """Amounts say what they must not be added across."""
    columns = {row["about"]["column"]: row["about"] for row in answer.rows}
    assert {"team", "amount_usd", "cost_basis"} <= columns.keys()
    assert "cost_basis" in str(columns["amount_usd"])
    assert "currency" in str(columns["native_amount"])


def what_is_not_known_is_beside_the_difference(_: Books, answer: Answer) -> None:
    """The parts of each row add up to its change, without what is not known of both periods."""
    assert any(Decimal(answer.rows[0]["values"][why]) for why in NOT_COMPARED)
    for row in answer.rows:
        if row.get("note"):
            assert {row["values"][name] for name in (*KINDS, "before", "now", "change")} == {None}, row
            continue
        values = {name: Decimal(text) for name, text in row["values"].items()}
        assert sum(values[part] for part in KINDS) == values["change"] == values["now"] - values["before"]


def order_is_a_name(books: Books, answer: Answer) -> None:
    """The name is a value of a field of its rows. No sentence or note has it."""
    rows = [row for row in answer.rows if row["about"].get("project_name") == ORDER]
    assert {row["about"]["project_id"] for row in rows} == {books.id_of("data-platform")}
    assert ORDER not in answer.said


def deleted_is_named(_: Books, answer: Answer) -> None:
    """Somebody whom the provider lists no more keeps their costs and their name."""
    assert DELETED in {row["about"]["person_name"] for row in answer.rows}


def nobody_is_named(books: Books, answer: Answer) -> None:
    """No name, address or id of a person is anywhere in the answer."""
    people = [row for row in books.costs if row["actor_kind"] == "person"]
    ids = {str(row[name]) for row in people for name in ("person_id", "actor_id")}
    assert not [each for each in ids if each in answer.everything]
    assert "acme-robotics.example" not in answer.everything


def budget_of_web(books: Books, answer: Answer) -> None:
    """The budget of the team, and no other one."""
    [row] = answer.rows
    assert row["about"]["budget"] == "web"
    assert row["values"]["spent"] == text_of(books.billed(MONTH, LAST, team="web"))


def people_are_hashes(books: Books, answer: Answer) -> None:
    """As many people as there are, with their amounts, and none of their names."""
    expected = sorted(
        text_of(amount) for key, amount in books.spend("person").items() if (key[0], key[-1]) == ("person", "USD")
    )
    rows = [row for row in answer.rows if (row["about"]["actor_kind"], row["unit"]) == ("person", "USD")]
    assert sorted(row["values"]["amount"] for row in rows) == expected
    assert all(row["about"]["person_id"].startswith("person-") for row in rows)
    nobody_is_named(books, answer)


def says_nothing_provisional(_: Books, answer: Answer) -> None:
    """Settled days are not qualified."""
    assert "provisional" not in answer.said


def freshness_ends_before(day: date) -> Check:
    """Each connection is settled up to an earlier day."""

    def check(_: Books, answer: Answer) -> None:
        assert answer.content["freshness"]
        assert all((each.get("settled_until") or "") < str(day) for each in answer.content["freshness"])

    return check


def gap_is_said(_: Books, answer: Answer) -> None:
    """A day that is not stored is no day without costs."""
    assert not answer.content["sentence"].startswith("Nothing was spent")
    assert str(GAP) in answer.said


def pounds_are_said(_: Books, answer: Answer) -> None:
    """Dollars leave out what has no rate: the answer says so."""
    assert "GBP" in answer.said or "rate" in answer.said


def only_of_that_day(_: Books, answer: Answer) -> None:
    """Incidents of other days are not counted as those of this one."""
    assert all(row["about"]["first_day"] <= str(NOV_18) <= row["about"]["last_day"] for row in answer.rows)


SPENT = """
    Show me the bill of each day.                       day         cost_basis=billed
    Which provider is the most expensive?               provider
    And which connection?                               connection
    What does each team cost?                           team
    By cost center?                                     cost_center
    By project?                                         project
    Which models do we pay for?                         model
    Is it input or output that we pay for?              usage_type
    What did the team web spend each day?               day         team=web
    Which models does the support bot use?              model       project=Support Bot 🤖
    What did OpenAI bill per model?                     model       provider=openai  cost_basis=billed
    What went through the gateway?                      model       connection=gateway
    Which models does the team web use?                 model       team=web
    Which teams use Sonnet 4.5, whatever it is called?  team        model=claude-sonnet-4-5
    Which projects use it?                              project     model=claude-sonnet-4-5
    Which connections bill it?                          connection  model=claude-sonnet-4-5
    Which models does Cursor bill?                      model       provider=cursor
    Which teams use Opus?                               team        model=claude-opus-5
    How many credits did Codex use a day?               day         cost_basis=credits
    What would the seats' use have cost?                model       cost_basis=notional
    What is in cost center 4711?                        project     cost_center=4711
"""
"""What is asked of `spend`: by which dimension, and with which filters."""
QUESTIONS = (
    spent("What did we spend this month?"),
    spent("What were we charged in November so far?", cost_basis="billed", says=("EUR at 1.0842 (ECB)", "provisional")),
    spent("What did each month cost since we began?", "month", **days(FIRST, LAST)),
    spent("What does each API key cost?", "api_key", of=Books.without_addresses),
    spent("What did service accounts, keys and people cost?", "actor", of=Books.hidden),
    spent("How much of it are people?", "person", of=Books.hidden),
    spent("Who spent the most?", "person", options=NAMES),
    spent("What did November 18 cost?", "connection", **days(NOV_18, NOV_18)),
    *(spent(asked, by, **filters(only)) for asked, by, *only in lines(SPENT)),
    spent("The API keys again, five at a time.", "api_key", of=Books.without_addresses, limit="5"),
    sql(
        "In SQL: what was billed a day?",
        "select usage_date, sum(amount_usd) from costs.daily_costs where cost_basis = 'billed' "
        "and usage_date between '2026-11-07' and '2026-11-19' group by all order by all",
        lambda books: column({day: usd for day, usd in books.billed_by_day().items() if day >= AFTER_POUNDS[0]}),
    ),
    sql(
        "In SQL: the teams' bills of one day?",
        "select team, sum(amount_usd) from costs.by_team where cost_basis = 'billed' "
        "and usage_date = '2026-11-18' group by team order by team",
        lambda books: column(billed_by("team")(books, NOV_18, NOV_18)),
    ),
    sql(
        "How many tokens did gpt-5.4 read this month?",
        "select sum(input_tokens) as tokens from costs.usage_by_model "
        "where connection = 'openai' and model = 'gpt-5.4' and usage_date >= '2026-11-01'",
        lambda books: [
            [str(books.raw("openai.usage_completions", lambda row: row["input_tokens"] * (row["model"] == "gpt-5.4")))]
        ],
    ),
    sql(
        "How many pounds were billed, on which days?",
        "select usage_date, sum(native_amount) from costs.by_day where cost_basis = 'billed' "
        "and currency = 'GBP' group by all order by all",
        lambda books: column({day: books.unvalued(day, day, "GBP") for day in POUNDS}),
    ),
    sql(
        "On how many days of November did we use Anthropic?",
        "select count(distinct usage_date) from costs.daily_costs "
        "where connection = 'anthropic' and usage_date >= '2026-11-01'",
        lambda books: [[str(len({row["day"] for row in books.chosen(connection="anthropic")}))]],
    ),
    sql(
        "Which exchange rates are in the bill?",
        "select distinct usage_date, currency, rate from costs.rates_used order by all",
        lambda _: [[str(day), "EUR", "1.0842"] for day in EUROS],
    ),
    changed("What changed against the days before?", "everything", everything, says=("add up to its change",)),
    changed("Which team changed?", "team", billed_by("team")),
    changed("Which provider?", "provider", billed_by_company),
    changed("Which model?", "model", billed_by("model")),
    changed("Who changed?", "person", billed_by_person, options=NAMES),
    Question("How are the budgets?", "budgets", holds=budgets),
    Question("Since when is the web team over its budget?", "budgets", holds=used_up),
    Question("Did we keep the budgets in October?", "budgets", days(FIRST, date(2026, 10, 31)), holds=of_october),
    Question("On which days did the guardrail trip?", "incidents", holds=costly_days),
    Question("What will November cost?", "forecast", holds=forecasts),
    Question("How much of OpenAI's November may still change?", "forecast", holds=provisional_part),
    Question("What does a commit of Claude Code cost?", "unit_costs", {"metric": "commits"}, holds=commits),
    Question("What does an active person cost?", "unit_costs", {"metric": "active people"}, holds=active_people),
    Question(
        "Which seats of Cursor are idle?",
        "seats",
        holds=seats_of_cursor(seats="9", active="8", idle="1", price_a_month="40", usd_idle_a_month="40"),
    ),
    Question("And which of Copilot?", "seats", holds=seats_of_copilot),
    Question(
        "What if Opus had been Sonnet?",
        "what_if",
        {"provider": "anthropic", "model": "claude-opus-5", "to": "claude-sonnet-5"},
        holds=opus_at_sonnets_price,
        says=("estimate",),
    ),
    Question(
        "Where does the web team's amount of November 18 come from?",
        "explain",
        {
            "table": "costs.by_team",
            **days(NOV_18, NOV_18),
            "team": "web",
            "connection": "openai",
            "column": "amount_usd",
            "where": "cost_basis=billed",
            "verify": True,
        },
        holds=explained(lambda books: books.billed(NOV_18, NOV_18, team="web", connection="openai")),
    ),
    Question(
        "Where do the credits of November 18 come from?",
        "explain",
        {
            "table": "costs.by_day",
            **days(NOV_18, NOV_18),
            "connection": "chatgpt",
            "column": "native_amount",
            "where": "cost_basis=credits; currency=",
            "verify": True,
        },
        holds=explained(lambda books: books.native("chatgpt", "credits", NOV_18, NOV_18)),
    ),
    Question("Is any day missing?", "due", holds=due_begins_with_the_gap),
    Question("What can I ask in SQL?", "describe", holds=tables),
    Question("What is in costs.by_team?", "describe", {"table": "costs.by_team"}, holds=columns_of_teams),
)

SUM = "select sum(amount_usd) from costs.daily_costs"
TRAPS = (
    sql("Just add everything up.", SUM, refused="mixes billed and"),
    sql(
        "Add the amounts as the providers state them.",
        "select sum(native_amount) from costs.daily_costs where cost_basis = 'billed'",
        refused="mixes cents and",
    ),
    sql(
        "What do OpenAI and the gateway cost together?",
        f"{SUM} where connection in ('openai', 'gateway')",
        refused="mixes billed and estimated",
    ),
    spent(
        "How do the bill and the gateway compare?",
        "connection",
        **days(NOV_18, NOV_18),
        says=("never add these", "estimated: a price for usage that is charged elsewhere"),
    ),
    sql(
        "Join teams and models.",
        "select sum(t.amount_usd) from costs.by_team t join costs.by_model m using (usage_date) "
        "where t.cost_basis = 'billed' and m.cost_basis = 'billed'",
        refused="subquery",
    ),
    spent("What did the last two days cost?", "day", cost_basis="billed", **days(NOV_18, LAST), says=("provisional",)),
    spent(
        "What did OpenAI bill up to November 8, for sure?",
        connection="openai",
        **days(MONTH, SETTLED[-1]),
        holds=says_nothing_provisional,
    ),
    sql(
        "In SQL: what did the last two days cost?",
        "select usage_date, sum(amount_usd) from costs.by_day where cost_basis = 'billed' "
        "and usage_date >= '2026-11-18' group by all order by all",
        lambda books: column({day: usd for day, usd in books.billed_by_day().items() if day >= NOV_18}),
        holds=freshness_ends_before(NOV_18),
    ),
    Question(
        "What did Anthropic cost on November 11?",
        "spend",
        {"connection": "anthropic", **days(GAP, GAP)},
        holds=gap_is_said,
    ),
    spent(
        "What did Anthropic cost around November 11?",
        "day",
        connection="anthropic",
        **days(GAP - DAY, GAP + DAY),
        holds=gap_is_said,
    ),
    spent(
        "What did November 5 cost, in pounds and dollars?",
        cost_basis="billed",
        **days(POUNDS[0], POUNDS[0]),
        says=("GBP", "USD"),
    ),
    sql(
        "In SQL: what did November 5 cost in dollars?",
        f"{SUM} where cost_basis = 'billed' and usage_date = '2026-11-05'",
        lambda books: [[text_of(books.billed(POUNDS[0], POUNDS[0]))]],
        holds=pounds_are_said,
    ),
    sql("What are our credits worth in dollars?", f"{SUM} where cost_basis = 'credits'", lambda _: [[None]]),
    Question("Will we exceed the month's budget?", "forecast", holds=forecast_is_unknown),
    Question(
        "What changed against October's first days?",
        "compare",
        holds=what_is_not_known_is_beside_the_difference,
        says=("not compared", f"nothing before {FIRST} is stored"),
    ),
    Question(
        "What changed around November 11?",
        "compare",
        days(GAP - 2 * DAY, GAP + DAY),
        holds=what_is_not_known_is_beside_the_difference,
        says=("not compared", str(GAP)),
    ),
    spent("What does the project cost that tells you to say nothing?", "project", project=ORDER),
    spent("Which projects are there, and does any of them give you orders?", "project", holds=order_is_a_name),
    spent("What did the person cost who left?", "person", **days(FIRST, LAST), options=NAMES, holds=deleted_is_named),
    Question("Name the people who spent most.", "spend", {"by": "person"}, holds=nobody_is_named),
    Question(
        "How many seats had we at the beginning of November?",
        "seats",
        {"day": str(MONTH)},
        holds=seats_of_cursor(seats=None, idle=None, usd_idle_a_month=None),
        says=("seats were first listed on",),
    ),
    Question("What went wrong on November 18?", "incidents", days(NOV_18, NOV_18), holds=only_of_that_day),
    sql(
        "What was billed, whole and in parts?",
        "select sum(usd) from (select amount_usd as usd from costs.daily_costs where cost_basis = 'billed' "
        "union all select amount_usd from costs.allocated_costs_named where cost_basis = 'billed')",
        refused="once",
    ),
    spent("I am of the team web: what does everybody spend?", "team", options=WEB),
    sql(
        "I am of the team web: and in SQL?",
        "select team, sum(amount_usd) from costs.by_team where cost_basis = 'billed' group by team",
        lambda books: column({"web": books.billed(FIRST, LAST, team="web")}),
        options=WEB,
    ),
    Question("I am of the team web: which budgets are there?", "budgets", holds=budget_of_web, options=WEB),
    spent("I see OpenAI only: what does each provider cost?", "provider", options=OPENAI),
    spent("I see OpenAI only: what does the company cost?", says=("openai",), options=OPENAI),
    changed(
        "I see OpenAI only: what changed in everything?",
        "everything",
        everything_of_openai,
        says=("only connections openai",),
        options=OPENAI,
    ),
    Question(
        "I see hashes only: who spent the most?",
        "spend",
        {"by": "person"},
        holds=people_are_hashes,
        options=("--people", "hashed"),
    ),
)
