"""The audit: every table, view, entity and export says what the providers' books say, to the last digit.

`make audit` plays 400 days. What happens in them: audit_story.py. What must stand then: audit_books.py, audit_views.py.
"""

import csv
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from usage_assets.cli.main import main
from usage_assets.core.days import DAY
from usage_assets.core.schema import declared
from usage_assets.warehouse.tables import Table
from usage_assets_finance.export.columns import COLUMNS
from usage_assets_report.figures import SQL
from usage_assets_report_tests.end_to_end import audit_models, audit_ratios, audit_views
from usage_assets_report_tests.end_to_end.audit_books import USES, Accounting, Content, content
from usage_assets_report_tests.end_to_end.audit_insights import (
    Spendings,
    wrong_budgets,
    wrong_forecasts,
    wrong_guardrails,
)
from usage_assets_report_tests.end_to_end.audit_story import (
    COUNT,
    DAYS,
    FIRST,
    KEYS_SINCE,
    LAST,
    ORGANIZATION,
    SHORT,
    Story,
    metric_rows,
    play,
    story_of,
)
from usage_assets_report_tests.end_to_end.audit_sums import (
    ALLOCATED,
    DAILY,
    Row,
    added,
    by,
    midnight,
    month_of,
    picked,
    total,
)
from usage_assets_sandbox.company_anthropic import claude_lines
from usage_assets_sandbox.company_github_copilot import CREDITS_PER_PERSON_SINCE
from usage_assets_sandbox.providers.anthropic_engagement import latest_day
from usage_assets_tests.end_to_end.conftest import ONE_PLAN_PER_ASSET
from usage_assets_tests.end_to_end.test_backfill import RELATIONS
from usage_assets_tests.end_to_end.test_port_connection import in_port as described_in_port
from usage_assets_tests.fixtures import Sandbox, set_all

Read = Callable[[str], list[Row]]
"""The rows of a relation."""
Books = Mapping[str, Sequence[Row]]
"""Relation -> its rows, by the books."""
Amounts = dict[tuple[Any, ...], Decimal]
LAST_PLACE = Decimal("1e-24")
ROUNDED = Decimal("1e-6")
"""The sandbox reports amounts as doubles that are off by up to a ten-millionth, as providers do."""
SECONDS = (600 + 10 * COUNT) * (3 if os.environ.get("USAGE_TEST_WAREHOUSE") == "lake" else 1)
UNCOMPARED = {
    "ledger.partition_versions",  # its newest lines are ledger.stored_days, what they changed ledger.restatements
    "ledger.compared_versions",  # what ledger.restatements and ledger.day_states read
    "ledger.port_entities", "ledger.pushed_days",  # what they speak of is read from Port
    "ledger.port_pushes", "ledger.statements",  # which process pushed and stated what when
    "ledger.assets", "accounting.connections",  # what is configured
    "costs.days_ahead", "costs.quantities",  # in every row of costs.focus
    "ledger.failed_checks",  # what checks say in the UI
    "ledger.namings", "ledger.owner_periods", "ledger.stated_models",  # what makes days due, which are compared
    "accounting.currencies",  # ISO 4217, in test_accounting.py
    "accounting.providers", "accounting.cost_sources",  # in every row of costs.focus
    "accounting.bill_names",  # in docs/money.md, which models/test_billed_twice.py reads
    "accounting.list_prices",  # in what-if
    "accounting.notes",  # what people know about days, in ../test_entries.py
    "costs.budget_status", "costs.forecast", "costs.forecast_totals", "costs.anomalies",  # by their rules, below
    "costs.unit_costs",  # with the figures, below
    "costs.seat_use", "costs.seat_prices", "costs.listed_seats", "costs.seat_counts",  # in models/test_seats.py
    "costs.complete_days",  # in every row of costs.unit_costs
    "accounting.tag_allocations", "costs.tag_shares", "costs.tagged_costs", "costs.by_tag",
    "litellm.tag_activity_by_model", "costs.gateway_tags",  # these are in models/test_gateways.py
    "costs.billed_to_share", "costs.cost_shares", "costs.by_cost_center",  # in ../test_cost_centers.py
    "costs.doubts",  # in ../insights/test_insights.py
    "models.usage_families",  # in models/test_model_names.py
    "github_copilot.bill", "github_copilot.metered",  # in models/test_github_bill.py
    "ledger.late_days", "ledger.awaited_days",  # what is late is in ledger.due_days
    "ledger.bill_sets", "ledger.bill_days", "ledger.bill_states",  # in fetching/test_bills.py
    "ledger.bill_amounts", "costs.delivered",  # in fetching/test_every_charge.py
    "ledger.superseded_days", "anthropic_analytics.organization",  # in test_one_bill.py
    "ledger.accepted_bill_days",  # the same
    "accounting.separate_bills",  # the same
    "openai.projects", "openai.users", "openai.project_api_keys", "openai.service_accounts",
    "anthropic.workspaces", "anthropic.users", "anthropic.api_keys", "anthropic.organization",  # in costs.names
}  # fmt: skip
"""Relations of names, and of our own bookkeeping."""
EMPTY = (
    *("openai.spend_limits", "anthropic.spend_limits"),
    *("cursor.members", "cursor.spend", "github_copilot.budgets", "accounting.people", "accounting.shared_costs"),
    "costs.billed_twice",
    "accounting.models",
    *("accounting.seats", "github_copilot.seats"),
)
"""What nobody states here, lists that no connection asks for, and two bills of one use, which there are none of."""
UNCOMPARED_COLUMNS = {
    "ledger.stored_days": {
        "answered_at", "changed_run_id", "content_hash", "filters", "grouped_by", "has_sums", "inputs", "is_open",
        "question", "run_id", "settling_days", "total_units",
    },
    "models.names": {"source", "reason"},  # in models/test_model_names.py
    "models.names_in_costs": {"source", "reason"},
    "costs.gateways_and_bills": {"ratio"},  # a double: of two amounts that are compared
}  # fmt: skip
OF_JSON = (
    "Tags",
    "SkuPriceDetails",
    "x_OtherColumns",
    "day_totals",
    "breakdown",
    "office_metrics",
    "claude_code_tool_actions",
)


@pytest.mark.timeout(SECONDS)
def test_everything_says_what_the_books_say(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*ONE_PLAN_PER_ASSET)
    with story_of(tmp_path, sandbox) as story:
        play(story, what_is_fetched_alone_changes_no_costs)
        wrong = [*story.compute()]
        the_copies_of_the_books_are_the_sandboxes_own(story)
        books = books_of(story)
        the_story_has_everything(books)
        with story.project.warehouse.get_connection() as database:
            # Everything that people read is in the books. And the other way round. What people read, the
            # published copy or a state of a lake, has the tables of the database, and the same views of
            # them.
            with story.project.warehouse.reading() as copy:
                copy.execute("set variable usage_now = $now", {"now": story.now})
                relations = copy.execute(RELATIONS).fetchall()
                assert {name for name, _ in relations} - UNCOMPARED - books.keys() == set()
                for query in (RELATIONS, VIEWS):
                    assert copy.execute(query).fetchall() == database.execute(query).fetchall()
                for name, kind in relations:
                    if kind == "BASE TABLE" or name not in books:
                        rows = f"select * from {name} order by all"
                        assert copy.execute(rows).to_arrow_table() == database.execute(rows).to_arrow_table(), name
                no_differences(copy, books)
            # One use is billed once. All that is billed, of every provider together, is what the
            # sandboxes say is billed, per currency.
            truths = [
                organization.sandbox.control("GET", "truth", start=str(FIRST), end=str(LAST))["days"]
                for organization in story.organizations
            ]
            theirs: defaultdict[str, list[Decimal]] = defaultdict(list)
            for account in story.keeper.accounts.values():
                truth = truths[ORGANIZATION[account.name]][account.provider]
                for unit, (currency, digits) in BILLED.get(account.provider, {}).items():
                    days = (str(day) for day in story.keeper.days_of(account.name))
                    theirs[currency] += [Decimal(truth.get(unit, {}).get(day, 0)).scaleb(-digits) for day in days]
            ours: defaultdict[str, list[Decimal]] = defaultdict(list)
            for currency, unit, amount in database.execute(
                "select currency, native_unit, sum(native_amount) "
                f"from {DAILY} where cost_basis = 'billed' group by all"
            ).fetchall():
                ours[currency].append(audit_views.whole_units(amount, unit, currency))
            assert {currency: total(amounts) for currency, amounts in ours.items()} == {
                currency: total(amounts) for currency, amounts in theirs.items()
            }
            if COUNT == SHORT:
                every_planted_error_is_found(database, reader(database), books)
        everybodys_part_is_theirs(story, books)
        # Port is what the books say. Every entity, and what describes each connection.
        entities = in_books(story)
        assert content(in_port(story)) == content(entities)
        assert content(spoilt(in_port(story), "native_amount")) != content(entities)
        connections_are_described(story)
        exports_are_the_view(story, books["costs.focus"], tmp_path, monkeypatch)
        with story.project.warehouse.get_connection() as database:
            figures = Figures.of(story, books)
            found = [*figures.wrong(database)]
            if COUNT == SHORT:
                every_planted_error_is_a_line(database, figures, found)
            wrong += found
        assert not wrong, "\n".join(wrong)


def no_differences(database: duckdb.DuckDBPyConnection, books: Mapping[str, Sequence[Row]]) -> None:
    """All of what differs is said: an audit of 400 days takes half an hour."""
    found = [str(problem) for name in books for problem in different(reader(database), name, content(books[name]))]
    assert not found, "\n".join(found)


BILLED = {
    "openai": {"usd": ("USD", 0), "eur": ("EUR", 0), "gbp": ("GBP", 0)},
    "anthropic": {"cents": ("USD", 2), "eur": ("EUR", 2), "jpy": ("JPY", 0)},
    "chatgpt": {"cost_usd": ("USD", 0)},
    "focus": {"usd": ("USD", 0)},
    "github_copilot": {f"{of}_usd": ("USD", 0) for of in ("ai_credits", "premium_requests", "seats")},
    "cursor": {"billed_cents": ("USD", 2)},
    "openrouter": {"usage_usd": ("USD", 0)},
    "openai_legacy": {"cents": ("USD", 2)},
    "litellm": {},
}
"""Provider -> what the sandbox says is billed -> its currency, and how many digits of it are behind the point."""


ANALYTICS = "/anthropic/v1/organizations/analytics"
OF_REFUSED = "port_entities.claude_ai_user_usage"
"""Entities of a report that is refused once: its stored days are read again by the next day's schedule."""


def what_is_fetched_alone_changes_no_costs(story: Story) -> None:
    """Costs, what is computed from them, and FOCUS with its corrections stay those of before."""
    ahead = {key for key in story.behind() if key[0].startswith(("costs.", "port_entities."))}
    fetched_alone = {"openai", "openai_emea", "anthropic", "chatgpt"}
    assert {connection for table, _, connection, _ in ahead if table != OF_REFUSED} == fetched_alone
    books = costs_of(story) | {"ledger.restatements": story.keeper.restatements}
    with story.project.warehouse.get_connection() as database:
        no_differences(database, books)
    invoiced = total(row["BilledCost"] for row in books["costs.focus"] if row.get("x_InvoiceId") == "I-1")
    [invoice] = [entry.said for entry in story.keeper.accounting if entry.said.get("id") == "I-1"]
    assert round(invoiced, 2) == invoice["total"]


def costs_of(story: Story) -> dict[str, Sequence[Row]]:
    """The views over costs."""
    keeper = story.keeper
    return {
        **dict(audit_views.added_up(keeper)),
        "costs.daily_costs_named": audit_views.named(keeper),
        "costs.allocated_costs_named": audit_views.attributed(keeper),
        "costs.counted_costs": list(audit_views.counted_costs(keeper)),
        "costs.rates_used": list(audit_views.rates_used(keeper)),
        **audit_views.by_key(keeper),
        "costs.amortized": list(audit_views.amortized(keeper)),
        "costs.focus": audit_views.focus(keeper),
        "costs.focus_left_out": audit_views.left_out(keeper),
        "costs.left_out": audit_views.products_left_out(keeper),
        "costs.gateways_and_bills": audit_views.gateways_and_bills(keeper),
    }


def books_of(story: Story) -> Books:
    """Everything that must be stored."""
    keeper = story.keeper
    return {
        **{table: keeper.rows(table) for table in keeper.tables()},
        **costs_of(story),
        **audit_views.usage(keeper),
        "costs.active_people": list(audit_views.active_people(keeper)),
        "costs.names": list(audit_views.names(keeper)),
        "costs.people": audit_views.people(keeper),
        "models.names_in_costs": audit_models.names(keeper.rows(DAILY)),
        "models.names": audit_models.names([*keeper.rows(DAILY), *audit_views.usage(keeper)["costs.usage"]]),
        **dict.fromkeys(EMPTY, ()),
        "ledger.restatements": keeper.restatements,
        "ledger.day_states": list(keeper.day_states()),
        "ledger.stored_days": list(keeper.stored_days()),
        "ledger.due_days": list(due(story)),
        **audit_views.stated(keeper),
        "accounting.metrics": metric_rows(),
        "costs.budgets_and_limits": audit_views.budgets_without_limits(keeper),
    }


def due(story: Story) -> Iterator[Row]:
    """What the daily schedule reads again next, and nothing else."""
    assets = {part: key for key, parts in story.tables.items() for part in parts}
    for state in story.keeper.day_states():
        if state["state"] == "provisional" and story.served(state["connection"], [state["usage_date"]]):
            key = assets[state["table_name"], state["slice"]]
            yield {
                **picked(state, "connection usage_date table_name slice since=last_fetched_at"),
                "asset": f"{state['connection']}/{key.path[-1]}",
                "state": "unsettled",
                "because": "the provider may still change it",
            }
    for (key, day), asked in story.late.items():
        if story.is_to_come(key, day):
            wait = max((asked - midnight(day + DAY)) / 2, timedelta(hours=1))
            again = asked + min(wait, DAY)
            [(table, _)] = story.tables[key]
            connection, report = key.path
            reason = (
                f"{connection} {report} {day}: 400 from GET {ANALYTICS}/{report}: date: {day} is too recent; "
                f"the latest available day is {latest_day(report, asked)}. It was not stored: "
                "run the same days again later."
            )
            yield {
                "connection": connection,
                "usage_date": day,
                "table_name": table,
                "slice": "",
                "asset": key.to_user_string(),
                "state": "late",
                "since": asked,
                "because": f"not served yet, tried again from {again:%Y-%m-%d %H:%M} UTC on: {reason}",
            }


def the_story_has_everything(books: Books) -> None:
    """What is compared below is there to be compared."""
    costs, restated = books[DAILY], "ledger.restatements"
    units = {"dollars", "cents", "credits", "major units", "minor units"}
    allocations = {"stated", "tokens", "requests", "images", "unattributed"}
    if LAST >= CREDITS_PER_PERSON_SINCE:
        allocations |= {"nanocredits"}
    for table, column, values in (
        (DAILY, "currency", {None, "USD", "EUR", "GBP", "JPY"}),
        (DAILY, "native_unit", units),
        (DAILY, "cost_basis", {"billed", "estimated", "notional", "credits"}),
        (DAILY, "provider", BILLED.keys()),
        (DAILY, "usage_date", {*DAYS}),
        (ALLOCATED, "allocation", allocations),
        (restated, "change", {"rose", "fell", "appeared", "vanished", "rows"}),
        (restated, "cause", {"provider", "derived"}),
        ("ledger.day_states", "state", {"settled", "provisional"}),
        ("port_entities.codex_usage_record", "scope", {"user", "workspace"}),
        ("costs.by_actor", "actor_kind", {"person", "service_account", "api_key", "unknown"}),
    ):
        assert {row[column] for row in books[table]} == values, (table, column)
    amounts = {row["native_amount"] for row in costs if row["native_unit"] == "dollars"}
    assert min(amounts) < 0
    assert 0 in amounts
    assert any(0 < amount < Decimal("0.01") for amount in amounts)
    unknown = {(row["currency"], bool(row["usd_reason"])) for row in costs if row["amount_usd"] is None}
    assert unknown >= {(None, True), ("GBP", True)}
    rates = {(row["currency"], row["usd_rate"]) for row in costs if row["usd_rate"]}
    assert Counter(currency for currency, _ in rates) == {None: 2, "EUR": 2, "JPY": 2}
    assert books["costs.gateways_and_bills"]
    discounts = {row["x_Connection"] for row in books["costs.focus"] if row["ListCost"] > row["ContractedCost"] > 0}
    assert discounts >= {"anthropic", "copilot"}


def the_copies_of_the_books_are_the_sandboxes_own(story: Story) -> None:
    """What was computed here was computed from the books that the product was shown."""
    for organization in story.organizations:
        truth = organization.sandbox.control("GET", "truth", start=str(FIRST), end=str(LAST))
        assert truth == organization.ledger.truth(FIRST, LAST)


# --- Tables and views -------------------------------------------------------------------------------------------------


def reader(database: duckdb.DuckDBPyConnection) -> Read:
    """Reads relations; what is JSON is decoded."""

    def read(name: str) -> list[Row]:
        rows: list[Row] = database.execute(f"select * from {name}").to_arrow_table().to_pylist()
        return [decoded(row) for row in rows]

    return read


def decoded(row: Row) -> Row:
    """A row whose JSON is what it says."""
    for name in OF_JSON:
        if row.get(name):
            said = json.loads(row[name])
            numbers = (
                {total: Decimal(value) for total, value in said.items() if value} if name == "day_totals" else said
            )
            row[name] = numbers
    if row.get("other_columns"):  # the tags of a bill are JSON in JSON
        others = json.loads(row["other_columns"])
        row["other_columns"] = others | {"Tags": json.loads(others["Tags"])}
    return row


def different(read: Read, name: str, theirs: Content) -> list[Any]:
    """What is wrong with a relation: some rows that it has and the books do not have, and some that it lacks."""
    ignored = UNCOMPARED_COLUMNS.get(name, set())
    ours = content({column: row[column] for column in row.keys() - ignored} for row in read(name))
    if ours == theirs:
        return []
    return [
        *([f"{name}: not in the books", *list(ours - theirs)[:2]] if ours - theirs else []),
        *([f"{name}: not stored", *list(theirs - ours)[:2]] if theirs - ours else []),
    ]


VIEWS = """
select schema_name || '.' || view_name, sql
from duckdb_views()
where database_name = current_database()
order by all
"""


OF_ROWS = ("costs.by_model", "costs.by_model_as_sent", "costs.by_usage_type", "costs.daily_costs_named")
OF_SUMS = (
    *(view for view in audit_views.VIEWS if view not in (*OF_ROWS, *audit_views.OF_PARTS)),
    *("costs.daily_costs_by_key", "costs.daily_costs_by_key_named"),
)
ONE = (
    f"update {DAILY}{{0}} set {{1}} where rowid = "
    f"(select min(rowid) from {DAILY}{{0}} where cost_basis = '{{2}}' and amount_usd {{3}})"
)
ONE_PART = f"update {ALLOCATED}{{0}} set {{1}} where rowid = (select min(rowid) from {ALLOCATED}{{0}})"
MORE = f"native_amount = native_amount + {LAST_PLACE:f}"
LESS = f"amount_usd = amount_usd - {LAST_PLACE:f}"
PLANTED = {
    ONE.format("", MORE, "billed", "is not null"): OF_ROWS,
    ONE.format("", LESS, "billed", "is not null"): OF_ROWS,
    ONE.format("_sums", MORE, "billed", "is not null"): OF_SUMS,
    ONE.format("_sums", LESS, "billed", "is not null"): OF_SUMS[:2],
    ONE_PART.format("", MORE): (
        *("costs.allocated_costs_named", "costs.allocated_costs_of_people"),
        *("costs.counted_costs", "costs.focus"),
    ),
    ONE_PART.format("_sums", MORE): (
        *(*audit_views.OF_PARTS, "costs.by_person"),
        *("costs.allocated_costs_by_key_named", "costs.allocated_costs_by_key_of_people"),
    ),
    ONE.format("", MORE, "credits", "is null"): ("costs.focus_left_out",),
    f"update {DAILY} set {LESS} where provider = 'litellm'": ("costs.gateways_and_bills",),
    "update openrouter.activity set requests = requests + 1 where byok_usage_inference = 0": (
        "costs.usage",
        "costs.usage_by_model",
    ),
    "delete from cursor.daily_usage where is_active": ("costs.active_people",),
    "update accounting.connections set people_ids = 'local' where provider = 'openai'": ("costs.people",),
    "update focus.charges set left_out_rows = left_out_rows + 1 where left_out_rows is not null": ("costs.left_out",),
    "update github_copilot.billing_usage set net_amount = net_amount + 1 where product = 'Actions'": (
        "costs.left_out",
    ),
    "update openai.projects set name = upper(name)": ("costs.names",),
    "update ledger.partition_versions set row_count = row_count + 1 where version = 1": (
        "ledger.restatements",
        "ledger.stored_days",
    ),
    "update ledger.partition_versions set written_at = written_at + interval 1 second": ("ledger.day_states",),
    "update accounting.owners set team = 'web' where team = 'bots'": ("costs.by_team", "costs.focus"),
    "delete from accounting.invoices where id = 'I-2'": ("costs.focus",),
    "update focus.charges set service_name = 'GitHub Copilot' where service_name = 'Amazon Bedrock';"
    f"update {DAILY} set cost_type = 'GitHub Copilot' where cost_type = 'Amazon Bedrock'": ("costs.billed_twice",),
}
"""An error, and the views that must show it."""


def every_planted_error_is_found(database: duckdb.DuckDBPyConnection, read: Read, books: Books) -> None:
    """One amount of every table, by as little as it can be wrong; and what views must notice."""
    tables = {name for name, kind in database.execute(RELATIONS).fetchall() if kind == "BASE TABLE"} & books.keys()
    tables -= {*EMPTY, "github_copilot.ai_credits"}  # of these days, which were billed in premium requests
    in_tables = {planted_in(table, books[table]): (table,) for table in sorted(tables)}
    contents = {name: content(rows) for name, rows in books.items()}
    for error, noticed in (*in_tables.items(), *PLANTED.items()):
        database.execute("begin")
        try:
            database.execute(error)
            assert [name for name in noticed if not different(read, name, contents[name])] == [], error
        finally:
            database.execute("rollback")


def planted_in(table: str, rows: Sequence[Row]) -> str:
    """A statement that makes one amount of a table wrong, by one in its last place."""
    stated = {name for row in rows for name, value in row.items() if value is not None}
    amounts = [column for column in Table(declared(table)).columns if column.unit and column.name in stated]
    if not amounts:
        return f"delete from {table} where rowid = (select min(rowid) from {table})"
    column = next((column for column in amounts if column.type is Decimal), amounts[0])
    change = f"{LAST_PLACE:f}" if column.type is Decimal else "1"
    row = f"(select min(rowid) from {table} where {column.name} is not null)"
    return f"update {table} set {column.name} = {column.name} + {change} where rowid = {row}"


# --- Allocation -------------------------------------------------------------------------------------------------------


def added_by(rows: Iterable[Row], amount: str, names: str) -> Amounts:
    """The sum of a column, by what rows have in others."""
    return {key: added(same, amount) for key, same in by(rows, names).items()}


def used_at_list_price(messages: Iterable[tuple[date, dict[str, Any]]]) -> tuple[Amounts, set[tuple[Any, ...]]]:
    """Cents by day, workspace, model, key and account, where all use of a workspace's model has one price; and where
    that is (usage cannot be grouped by context window and region, too)."""
    messages = list(messages)
    prices = defaultdict(set)
    for day, row in messages:
        prices[day, row["workspace_id"], row["model"]].add((row["context_window"], row["inference_geo"]))
    # what was searched is not told by model
    one_price = {priced for priced, kinds in prices.items() if len(kinds) == 1} | {(*key[:2], None) for key in prices}
    lines = [
        {**row, "day": day, "model": model, "cents": cents}
        for day, row in messages
        if row["service_tier"] != "priority"
        for (_, _, _, model, *_), cents in claude_lines(row)
        if (day, row["workspace_id"], model) in one_price
    ]
    return added_by(lines, "cents", "day workspace_id model api_key_id account_id"), one_price


def everybodys_part_is_theirs(story: Story, books: Books) -> None:
    """The parts of each bill are the bill; of undisturbed days each part is what the books know to be its user's.

    OpenAI's to the last digit. Anthropic's but for a millionth: its books know a user's part before the bill's amounts
    were rounded to the 17 digits of a double.
    """
    names = "source_table connection usage_date currency project_id workspace_id line_item"
    bills = [row for row in books[DAILY] if row["source_table"] in USES]
    for amount in ("native_amount", "amount_usd"):
        billed, parts = (added_by(table, amount, names) for table in (bills, books[ALLOCATED]))
        assert billed == parts
    of_openai = [row for row in books[ALLOCATED] if (row["connection"], row["allocation"]) == ("openai", "tokens")]
    one, _ = story.organizations
    days = {day for day in DAYS if day < KEYS_SINCE and ("openai", day) not in one.changed}
    keys = "usage_date project_id user_id api_key_id line_item"
    known = [
        {**row, "usage_date": day}
        for day in days
        for row in one.rows("openai/costs", day)
        if row["quantity_unit"] == "tokens"
    ]
    undisturbed = (row for row in of_openai if row["usage_date"] in days)
    assert added_by(undisturbed, "native_amount", keys) == added_by(known, "amount", keys)
    days = {day for day in DAYS if ("anthropic", day) not in one.changed}
    messages = [(day, row) for day in days for row in one.rows("anthropic/usage_messages", day)]
    truth, one_price = used_at_list_price(messages)
    of_anthropic = [row for row in books[ALLOCATED] if row["connection"] == "anthropic" and row["usage_date"] in days]
    of_users = (row for row in of_anthropic if row["allocation"] != "unattributed")
    sums = added_by(of_users, "native_amount", "usage_date workspace_id model api_key_id user_id")
    ours = {key: cents for key, cents in sums.items() if key[:3] in one_price}
    assert ours.keys() == truth.keys()
    assert all(abs(ours[key] - cents) < cents * ROUNDED for key, cents in truth.items())
    assert min(len(ours), len(known)) > 0


# --- Port -------------------------------------------------------------------------------------------------------------


def in_books(story: Story) -> list[Row]:
    """Every entity that must be in Port."""
    return [
        {"blueprint": table.removeprefix("port_entities."), **row, "connection": None, "usage_date": None}
        for table in story.keeper.tables()
        if table.startswith("port_entities.")
        for row in story.keeper.rows(table)
    ]


def in_port(story: Story) -> list[Row]:
    """Every entity that is in Port."""
    entities = story.project.in_port()
    return [{"blueprint": blueprint, "identifier": name, **row} for (blueprint, name), row in entities.items()]


def connections_are_described(story: Story) -> None:
    """What Port is told of each connection."""
    entities = described_in_port(story.project.sandbox)
    assert entities.keys() == {*story.pushing}
    for name, entity in entities.items():
        settled = story.keeper.settled_until(name, story.now.date())
        reports = [key for key in story.tables if key.path[0] == name]
        last = max(day for day in DAYS if not any(story.is_to_come(key, day) for key in reports))
        assert entity["properties"].pop("last_push")
        assert entity["properties"] == {
            "provider": story.keeper.accounts[name].provider,
            "state": "ok",
            "last_closed_day": f"{last}T00:00:00Z",
            "settled_until": settled and f"{settled}T00:00:00Z",
            "last_error": None,
        }


# --- Figures ----------------------------------------------------------------------------------------------------------

MONTH = {"first": month_of(LAST), "last": LAST}
_MONTH_BEFORE = month_of(MONTH["first"] - DAY)
BEFORE = {
    "before_first": _MONTH_BEFORE,
    "before_same": min(_MONTH_BEFORE + (LAST - MONTH["first"]), MONTH["first"] - DAY),
}
"""The same days of the month before."""
OF_MONTH = (
    ((SQL / "unit_costs.sql").read_text(), MONTH | BEFORE),
    ("select * from costs.what_if($first, $last)", MONTH),
)
"""Queries of the month's unit costs and of what-if, with their days."""


@dataclass(frozen=True)
class Figures:
    """What is computed from costs, by the books."""

    spendings: Spendings
    accounting: Accounting
    unit_costs: Sequence[Row]
    people: Sequence[Row]
    what_ifs: Mapping[audit_ratios.WhatIf, Row]

    @classmethod
    def of(cls, story: Story, books: Books) -> "Figures":
        """What must stand at the end of the story."""
        keeper = story.keeper
        return cls(
            Spendings.of(keeper, books),
            keeper.accounting,
            [*audit_ratios.unit_costs(keeper, books["costs.allocated_costs_named"], metric_rows())],
            books["costs.active_people"],
            {asked: audit_ratios.expected_what_if(keeper, asked, **MONTH) for asked in audit_ratios.WHAT_IFS},
        )

    def wrong(self, database: duckdb.DuckDBPyConnection) -> Iterator[str]:
        """A line for each budget, forecast, guardrail, unit cost and what-if that contradicts them."""
        read = reader(database)
        yield from wrong_budgets(read, self.spendings, self.accounting, LAST)
        yield from wrong_forecasts(read, self.spendings, LAST)
        yield from wrong_guardrails(read, self.spendings, self.accounting, LAST)
        unit_costs, what_if = (database.execute(sql, each).to_arrow_table().to_pylist() for sql, each in OF_MONTH)
        yield from audit_ratios.wrong_days(read("costs.unit_costs"), self.unit_costs)
        yield from audit_ratios.wrong_unit_costs(unit_costs, self.unit_costs, self.people, **MONTH, **BEFORE)
        yield from audit_ratios.wrong_what_ifs(what_if, self.what_ifs)


TOMORROW = LAST + DAY
PLANTED_FIGURES = {
    "update costs.budget_status set settled = settled + 0.01 where budget = 'lab'": "budget lab, ",
    "update costs.budget_status set provisional = provisional - 0.01 where budget = 'cloud'": "budget cloud, ",
    f"update costs.budget_status set expected = expected + 0.01 where budget = 'yen, too' and last_day > '{LAST}'": (
        "but "
    ),
    "update costs.budget_status set exhausted_on = exhausted_on - 1 where budget = 'everything'": "exhausted_on: ",
    "update costs.budget_status set thresholds = '' where budget = 'opus'": "thresholds: ",
    f"delete from costs.budget_status where budget = 'codex' and last_day > '{LAST}'": "budget codex, ",
    "update costs.forecast_totals set settled = settled + 0.01 where id = 'anthropic'": "connection anthropic, settled",
    "update costs.forecast_totals set provisional = provisional + 0.01 where id = 'legacy'": "legacy, provisional",
    "update costs.forecast_totals set expected = expected + 0.01 where id = 'openai_emea'": "emea, expected",
    f"update costs.forecast set expected = expected + 0.01 where id = 'openai' and usage_date = '{TOMORROW}'": (
        "connection openai, expected: "
    ),
    "update costs.anomalies set actual = actual + 0.01 where what = 'router'": "guardrail router, ",
    "update accounting.list_prices set output = output + 0.01 where model = 'claude-opus-5'": "claude-opus-5, instead",
    "update accounting.metrics set value = value + 1 where scope_id = 'lab'": "team, lab, accounting.metrics",
}
"""An error in what is computed from costs, by a cent or a day -> what the line says that finds it."""


def every_planted_error_is_a_line(
    database: duckdb.DuckDBPyConnection, figures: Figures, found: Collection[str]
) -> None:
    """Each error of a copy in which all are made."""
    database.execute("begin")
    try:
        for error in PLANTED_FIGURES:
            database.execute(error)
        lines = {*figures.wrong(database)} - {*found}
    finally:
        database.execute("rollback")
    unseen = [error for error, line in PLANTED_FIGURES.items() if not any(line in each for each in lines)]
    assert unseen == []


# --- FOCUS ------------------------------------------------------------------------------------------------------------


def exports_are_the_view(story: Story, books: Sequence[Row], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person exports: row by row, and per currency, category and class."""
    set_all(monkeypatch, story.environment)
    for file, version in ((folder / "all.csv", "1.2"), (folder / "all.parquet", "1.4")):
        lacking = {column.name: None for column in COLUMNS if version not in column.versions}
        expected = [
            {**row, **lacking, "InvoiceId": None, "x_FirstDay": None} for row in books
        ]  # not every row has an invoice
        days = ("--start", str(FIRST), "--end", str(LAST))
        with pytest.raises(SystemExit) as ended:
            main(["export", "focus", *days, "--focus-version", version, "--out", str(file)])
        assert not ended.value.code
        exported = [decoded(row) for row in READ[file.suffix](file)]
        assert sums_of(exported) == sums_of(expected)
        assert content(exported) == content(expected)
        assert content(spoilt(exported, "BilledCost")) != content(expected)
        assert sums_of(spoilt(exported, "BilledCost")) != sums_of(expected)
    corrected = {row["BillingCurrency"] for row in books if row.get("ChargeClass") == "Correction"}
    assert corrected == {"USD", "EUR", "JPY"}


def sums_of(rows: Iterable[Row]) -> dict[tuple[Any, ...], Decimal]:
    """What is billed, per currency, category and class."""
    cut = ({"ChargeClass": None, **row} for row in rows)
    return added_by(cut, "BilledCost", "BillingCurrency ChargeCategory ChargeClass")


def from_csv(file: Path) -> Iterator[Row]:
    """The rows of a CSV file, typed."""
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            yield {name: _typed(name, text) for name, text in row.items()}


def _typed(name: str, text: str) -> Any:
    if not text:
        return None
    if name.endswith(("Cost", "Quantity", "Amount", "UnitPrice", "UsdPerCredit")):
        return Decimal(text)
    return datetime.fromisoformat(text) if name.endswith(("Start", "End")) else text


def from_parquet(file: Path) -> Iterator[Row]:
    """The rows of a Parquet file."""
    with duckdb.connect() as database:
        database.execute("set TimeZone = 'UTC'")
        yield from database.execute("select * from read_parquet($1)", [str(file)]).to_arrow_table().to_pylist()


READ = {".csv": from_csv, ".parquet": from_parquet}


def spoilt(rows: Sequence[Row], name: str) -> list[Row]:
    """The same with one amount wrong in its last place."""
    n = next(n for n, row in enumerate(rows) if row.get(name) is not None)
    return [*rows[:n], {**rows[n], name: rows[n][name] + LAST_PLACE}, *rows[n + 1 :]]
