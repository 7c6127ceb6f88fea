"""The audit: every table, view, entity and export says what the providers' books say, to the last digit.

`make audit` plays 400 days. What happens in them: audit_story.py. What must stand then: audit_books.py, audit_views.py.
"""

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from usage_assets.cli.main import main
from usage_assets.features.focus.columns import COLUMNS
from usage_assets_sandbox.anthropic_engagement import latest_day
from usage_assets_sandbox.company_github_copilot import CREDITS_PER_PERSON_SINCE
from usage_assets_tests.conftest import Sandbox
from usage_assets_tests.end_to_end import audit_models, audit_views, audit_what_if
from usage_assets_tests.end_to_end.audit_books import Content, content
from usage_assets_tests.end_to_end.audit_story import COUNT, DAYS, FIRST, LAST, Story, play, story_of
from usage_assets_tests.end_to_end.audit_sums import ALLOCATED, DAILY, Row, total
from usage_assets_tests.end_to_end.conftest import ONE_PLAN_PER_ASSET
from usage_assets_tests.end_to_end.test_backfill import RELATIONS
from usage_assets_tests.end_to_end.test_port_connection import in_port as described_in_port

Read = Callable[[str], list[Row]]
"""The rows of a relation."""
Books = Mapping[str, Sequence[Row]]
"""Relation -> its rows, by the books."""
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
    "accounting.bill_names",  # in docs/one-bill.md, which models/test_billed_twice.py reads
    "accounting.list_prices",  # in what-if
    "costs.budget_status", "costs.forecast", "costs.forecast_totals", "costs.anomalies",  # in the games of insights
    "costs.seat_use", "costs.seat_prices", "costs.listed_seats", "costs.seat_counts",  # in models/test_seats.py
    "costs.complete_days", "costs.unit_costs",  # in models/test_unit_costs.py
    "accounting.tag_allocations", "costs.tag_shares", "costs.tagged_costs", "costs.by_tag",
    "litellm.tag_activity_by_model", "costs.gateway_tags",  # these are in models/test_gateways.py
    "costs.billed_to_share", "costs.cost_shares", "costs.by_cost_center",  # in features/statement/test_cost_centers.py
    "costs.doubts",  # in features/report/insights/test_doubts.py
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
        the_story_has_everything(story, books)
        with story.project.warehouse.get_connection() as database:
            everything_stored_is_in_the_books(database, books)
            what_people_read_is_the_database(story, database)
        port_is_what_the_books_say(story)
        exports_are_the_view(story, books["costs.focus"], tmp_path, monkeypatch)
        with story.project.warehouse.get_connection() as database:
            wrong += wrong_what_ifs(story, database)
        assert not wrong, "\n".join(wrong)


def everything_stored_is_in_the_books(database: duckdb.DuckDBPyConnection, books: Books) -> None:
    """And the other way round."""
    relations = {name for name, _ in database.execute(RELATIONS).fetchall()}
    others = relations - UNCOMPARED - books.keys()
    assert [name for name in others if database.execute(f"from {name} limit 1").fetchall()] == []
    no_differences(database, books)


def no_differences(database: duckdb.DuckDBPyConnection, books: Mapping[str, Sequence[Row]]) -> None:
    """All of what differs is said: an audit of 400 days takes half an hour."""
    found = [str(problem) for name in books for problem in different(reader(database), name, content(books[name]))]
    assert not found, "\n".join(found)


def port_is_what_the_books_say(story: Story) -> None:
    """Every entity, and what describes each connection."""
    assert content(in_port(story)) == content(in_books(story))
    connections_are_described(story)


ANALYTICS = "/anthropic/v1/organizations/analytics"


def what_is_fetched_alone_changes_no_costs(story: Story) -> None:
    """Costs, what is computed from them, and FOCUS with its corrections stay those of before."""
    ahead = {key for key in story.behind() if key[0].startswith(("costs.", "port_entities."))}
    fetched_alone = {"openai", "openai_emea", "anthropic", "chatgpt"}
    assert {connection for _, _, connection, _ in ahead} == fetched_alone
    keeper = story.keeper
    books = {
        "costs.allocated_costs_named": audit_views.attributed(keeper),
        "costs.focus": audit_views.focus(keeper),
        "ledger.restatements": keeper.restatements,
    }
    with story.project.warehouse.get_connection() as database:
        no_differences(database, books)
    invoiced = total(row["BilledCost"] for row in books["costs.focus"] if row.get("x_InvoiceId") == "I-1")
    [invoice] = [entry.said for entry in keeper.accounting if entry.said.get("id") == "I-1"]
    assert round(invoiced, 2) == invoice["total"]


def costs_of(story: Story) -> dict[str, Sequence[Row]]:
    """The views over costs."""
    keeper = story.keeper
    return {
        **dict(audit_views.sums(keeper)),
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
        "ledger.restatements": keeper.restatements,
        "ledger.day_states": list(keeper.day_states()),
        "ledger.stored_days": list(keeper.stored_days()),
        "ledger.due_days": list(due(story)),
        **audit_views.stated(keeper),
        "costs.budgets_and_limits": audit_views.budgets_without_limits(keeper),
    }


def due(story: Story) -> Iterator[Row]:
    """What the daily schedule reads again next, and nothing else."""
    assets = {part: key for key, parts in story.tables.items() for part in parts}
    for state in story.keeper.day_states():
        if state["state"] == "provisional" and story.served(state["connection"], [state["usage_date"]]):
            key = assets[state["table_name"], state["slice"]]
            yield {
                **{name: state[name] for name in ("connection", "usage_date", "table_name", "slice")},
                "asset": f"{state['connection']}/{key.path[-1]}",
                "state": "unsettled",
                "since": state["last_fetched_at"],
                "because": "the provider may still change it",
            }
    for (key, day), asked in story.late.items():
        if story.is_to_come(key, day):
            wait = max((asked - datetime.combine(day + timedelta(days=1), time(), UTC)) / 2, timedelta(hours=1))
            again = asked + min(wait, timedelta(days=1))
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


def the_story_has_everything(story: Story, books: Books) -> None:
    """What is compared below is there to be compared."""
    costs, restated = books[DAILY], books["ledger.restatements"]
    assert {row["currency"] for row in costs} == {None, "USD", "EUR", "GBP", "JPY"}
    assert {row["native_unit"] for row in costs} == {"dollars", "cents", "credits", "major units", "minor units"}
    assert {row["cost_basis"] for row in costs} == {"billed", "estimated", "notional", "credits"}
    amounts = {row["native_amount"] for row in costs if row["native_unit"] == "dollars"}
    assert min(amounts) < 0
    assert 0 in amounts
    assert any(0 < amount < Decimal("0.01") for amount in amounts)
    unknown = {(row["currency"], bool(row["usd_reason"])) for row in costs if row["amount_usd"] is None}
    assert unknown >= {(None, True), ("GBP", True)}
    rates = {(row["currency"], row["usd_rate"]) for row in costs if row["usd_rate"]}
    assert Counter(currency for currency, _ in rates) == {None: 2, "EUR": 2, "JPY": 2}
    allocations = {"stated", "tokens", "requests", "images", "unattributed"}
    if LAST >= CREDITS_PER_PERSON_SINCE:
        allocations |= {"nanocredits"}
    assert {row["allocation"] for row in books[ALLOCATED]} == allocations
    providers = {account.provider for account in story.keeper.accounts.values()}
    assert {row["provider"] for row in costs} == providers - {"anthropic_analytics"}
    assert books["costs.gateways_and_bills"]
    discounts = {row["x_Connection"] for row in books["costs.focus"] if row["ListCost"] > row["ContractedCost"] > 0}
    assert discounts >= {"anthropic", "copilot"}
    assert {row["change"] for row in restated} == {"rose", "fell", "appeared", "vanished", "rows"}
    assert {row["cause"] for row in restated} == {"provider", "derived"}
    assert {row["state"] for row in books["ledger.day_states"]} == {"settled", "provisional"}
    assert {row["usage_date"] for row in costs} == {*DAYS}
    assert {row["scope"] for row in books["port_entities.codex_usage_record"]} == {"user", "workspace"}
    actors = {row["actor_kind"] for row in books["costs.by_actor"]}
    assert actors == {"person", "service_account", "api_key", "unknown"}


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


def what_people_read_is_the_database(story: Story, database: duckdb.DuckDBPyConnection) -> None:
    """Every table of the published copy, or of a state of a lake, and all views."""
    with story.project.warehouse.reading() as copy:
        copy.execute("set variable usage_now = $now", {"now": story.now})
        relations = copy.execute(RELATIONS).fetchall()
        assert relations == database.execute(RELATIONS).fetchall()
        for name in (name for name, kind in relations if kind == "BASE TABLE"):
            rows = f"select * from {name} order by all"
            assert copy.execute(rows).to_arrow_table() == database.execute(rows).to_arrow_table(), name


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

MONTH = {"first": audit_views.month_of(LAST), "last": LAST}


def wrong_what_ifs(story: Story, database: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """A line for each figure of what-if that the books and public prices do not make."""
    shown = database.execute("select * from costs.what_if($first, $last)", MONTH).to_arrow_table().to_pylist()
    expected = {asked: audit_what_if.expected_what_if(story.keeper, asked, **MONTH) for asked in audit_what_if.WHAT_IFS}
    return audit_what_if.wrong_what_ifs(shown, expected)


# --- FOCUS ------------------------------------------------------------------------------------------------------------


def exports_are_the_view(story: Story, books: Sequence[Row], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person exports, row by row."""
    for name, value in story.environment.items():
        monkeypatch.setenv(name, value)
    file, version = folder / "all.csv", "1.2"
    lacking = {column.name: None for column in COLUMNS if version not in column.versions}
    expected = [{**row, **lacking, "InvoiceId": None, "x_FirstDay": None} for row in books]  # not every row has one
    days = ("--start", str(FIRST), "--end", str(LAST))
    with pytest.raises(SystemExit) as ended:
        main(["export", "focus", *days, "--focus-version", version, "--out", str(file)])
    assert not ended.value.code
    assert content(map(decoded, from_csv(file))) == content(expected)
    corrected = {row["BillingCurrency"] for row in books if row.get("ChargeClass") == "Correction"}
    assert corrected == {"USD", "EUR", "JPY"}


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
