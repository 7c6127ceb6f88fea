"""Forecasts, anomalies, budgets and guardrails of stored days, and their alerts."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import time_machine

from usage_assets.assets.warehouse_resource import WarehouseResource
from usage_assets.config.accounting import Accounting, Budget, Owner, Purchase
from usage_assets.config.settings import Settings
from usage_assets.core.days import DAY, Window
from usage_assets.core.schema import to_arrow
from usage_assets.models.comparisons import comparisons_of
from usage_assets.models.connection_graph import graph_of
from usage_assets.models.costs import VIEWS
from usage_assets.models.insights import AnomalyRow, BudgetStatusRow, ForecastTotalRow
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import UsageCompletions
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import FailedCheck
from usage_assets.warehouse.migrate import create_or_alter, write_seed
from usage_assets.warehouse.published import publish
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.views import make_views
from usage_assets_report.answers import answers, text_of
from usage_assets_report.entries import Guardrail, Metric
from usage_assets_report.figures import read as read_report
from usage_assets_report.graph.insights import build_insights
from usage_assets_report.insights.compute import Insights, compute
from usage_assets_report.insights.doubts import doubts_of
from usage_assets_report.insights.series import MEASURES, read
from usage_assets_report.insights.stated import stated_in
from usage_assets_report.period import Period
from usage_assets_report_tests.computed import store_insights
from usage_assets_tests.connections import connection
from usage_assets_tests.fixtures import NewWarehouse
from usage_assets_tests.models.days import Days, filled, raw
from usage_assets_tests.models.stated import entries

FIRST, NEWEST = date(2026, 9, 1), date(2026, 11, 12)
TODAY = NEWEST + DAY
WEEK = ("100", "104", "98", "101", "97", "20", "15")
"""Dollars from Monday to Sunday."""
ODD_DAY = date(2026, 11, 10)
SPIKE = {ODD_DAY: Decimal(900)}


def office(day: date) -> Decimal:
    """What an ordinary day costs."""
    return Decimal(WEEK[day.weekday()]) + Decimal(day.day) / 10


OWNED = Accounting(owners=[Owner(project="p1", team="web"), Owner(api_key="k1", team="bots")])


@pytest.fixture(scope="module")
def original(warehouse_with_views: NewWarehouse) -> Path:
    """Ten weeks of an office: costs of two projects, tokens, credits."""
    warehouse = warehouse_with_views()
    store(Days(warehouse, OWNED))
    return Path(warehouse.database)


@pytest.fixture
def days(original: Path, tmp_path: Path) -> Iterator[Days]:
    """The same, to be changed."""
    warehouse = Warehouse(database=str(shutil.copy(original, tmp_path / "usage.duckdb")))
    with warehouse.get_connection():
        yield Days(warehouse, OWNED)


def store(
    days: Days, dollars: Mapping[date, Decimal] | None = None, used: Mapping[date, Mapping[str, int]] | None = None
) -> None:
    """Store the weeks, with other costs of the first project, or other counters, on some days."""
    every = Window(FIRST, NEWEST).days
    costs = [
        raw(Costs, usage_date=day, project_id=project, line_item=f"{model}, input", amount_value=amount)
        for day in every
        for project, model, amount in (
            ("p1", "gpt-5", (dollars or {}).get(day, office(day))),
            ("p2", "gpt-5-mini", Decimal("10.5")),
        )
    ]
    days.fetched(Costs, *costs, first=FIRST, last=NEWEST)
    counted = [
        raw(
            UsageCompletions,
            usage_date=day,
            model="gpt-5",
            project_id="p1",
            user_id="u1",
            api_key_id="k1",
            **{"input_tokens": day.day, **(used or {}).get(day, {})},
        )
        for day in every
    ]
    days.fetched(UsageCompletions, *counted, first=FIRST, last=NEWEST)
    days.daily(CodexUsage, FIRST, NEWEST, {"credits": "12.5"})
    for file in ("openai_costs", "chatgpt_codex_usage", "openai_allocated_costs"):
        days.derive(file, first=FIRST, last=NEWEST)
    with days.warehouse.transaction() as database:
        make_views(database, VIEWS)


def found(days: Days, **stated: Any) -> Insights:
    """What follows from the days, with these entries."""
    with days.warehouse.get_connection() as database:
        return compute(database, stated_in(Accounting(**stated)), NEWEST, TODAY)


def rows(insights: Insights, row: type) -> Sequence[Any]:
    return insights.rows[row]


PACKS = entries(
    Purchase,
    """
    connection  kind     quantity  amount  id       valid_from  valid_until
    chatgpt     credits  1000      40      po-9     2026-10-01  2026-12-31
    chatgpt     credits  1000      40      endless  2026-10-01  .
    chatgpt     credits  100       40      web      2026-11-01  2026-11-30
    """,
)
GUARDRAILS = entries(
    Guardrail,
    """
    name             measure   above  rises_by  at_least  model
    many tokens      tokens    24     .         .         .
    many dollars     usd       117    .         .         .
    many requests    requests  1      .         .         .
    tokens of gpt-4  tokens    24     .         .         gpt-4
    tokens rise      tokens    .      3         1000      .
    """,
)
BUDGETS = """
    name            amount  valid_from  valid_until
    changed         500     .           2026-11-05
    changed         5000    2026-11-06  .
    ended           500     .           2026-11-05
    ended long ago  500     .           2026-09-05
"""
STATED = Accounting(
    budgets=entries(Budget, BUDGETS),
    purchases=PACKS,
    added={"guardrail": GUARDRAILS},
)
"""What is asked of the weeks as they are."""


@pytest.fixture(scope="module")
def unchanged(original: Path) -> Insights:
    """What follows from the weeks as they are."""
    with Warehouse(database=str(original)).get_connection() as database:
        return compute(database, stated_in(STATED), NEWEST, TODAY)


def statuses(insights: Insights, budget: str) -> Sequence[Any]:
    """The periods of a budget, or of the purchases of an id."""
    return [row for row in rows(insights, BudgetStatusRow) if row.budget == budget]


def test_a_budget_that_is_changed_or_has_ended_counts_the_days_of_each_entry(unchanged: Insights) -> None:
    spent = [office(NEWEST.replace(day=n)) + Decimal("10.5") for n in range(1, 13)]
    october, first, second = (
        (date(2026, 10, 1), date(2026, 10, 31)),
        (date(2026, 11, 1), date(2026, 11, 5)),
        (date(2026, 11, 6), date(2026, 11, 30)),
    )
    periods = {
        name: {
            (row.first_day, row.last_day): (row.amount, row.settled + row.provisional)
            for row in statuses(unchanged, name)
        }
        for name in ("changed", "ended", "ended long ago")
    }
    for name in ("changed", "ended"):
        assert periods[name].pop(october)
    assert periods == {
        "changed": {first: (500, sum(spent[:5])), second: (5000, sum(spent[5:]))},
        "ended": {first: (500, sum(spent[:5]))},
        "ended long ago": {},
    }
    ended = statuses(unchanged, "ended")[0]
    assert (ended.expected, ended.thresholds) == (sum(spent[:5]), "0.5 on 2026-11-03, 0.8 on 2026-11-05")


def test_credits_are_drawn_from_the_order_that_expires_first(unchanged: Insights) -> None:
    """12.5 a day since 1 October: 537.5, of which the order that is valid from 1 to 30 November gives 100."""
    drawn = {
        row.budget: (row.settled + row.provisional, row.exhausted_on)
        for row in rows(unchanged, BudgetStatusRow)
        if (row.source, row.id) == ("purchase", "chatgpt")
    }
    assert drawn == {
        "web": (100, date(2026, 11, 8)),
        "po-9": (Decimal("437.5"), date(2026, 12, 27)),
        "endless": (0, None),
    }


def test_a_guardrail_is_crossed_on_the_days_that_are_above_it(unchanged: Insights) -> None:
    those = {
        guardrail.name: [row.first_day for row in rows(unchanged, AnomalyRow) if row.what == guardrail.name]
        for guardrail in GUARDRAILS
    }
    of_tokens = {day.day for day in those.pop("many tokens")}
    assert of_tokens
    assert of_tokens <= {*range(20, 32)}
    days_above = [d for d in Window(FIRST, NEWEST).days if office(d) + Decimal("10.5") > 117]
    assert those == {
        "many dollars": [day for day in days_above if day >= NEWEST - 60 * DAY],
        "many requests": [],
        "tokens of gpt-4": [],
        "tokens rise": [],
    }


def test_a_spike_is_one_incident_that_a_restatement_closes_and_the_next_one_opens_again(days: Days) -> None:
    store(days, SPIKE)
    insights = found(days)
    spike = incident(insights)
    assert (spike.kind, spike.id, spike.what, spike.first_day) == ("project", "p1", "spike", ODD_DAY)
    assert (spike.actual, spike.driver, spike.is_open) == (Decimal(900), "gpt-5, p1", True)
    others = [text.partition(" $")[0] for text in str(spike.evidence).split("; ")]
    assert sorted(others) == ["connection openai", "everything", "model gpt-5", "team web"]
    assert "everything $910.50 instead of $1" in str(spike.evidence), "with what the other project costs"
    [told] = [alert.text for alert in insights.alerts[AnomalyRow] if alert.text]
    assert told.startswith("spike of project p1, 2026-11-10: $900.00 a day")
    assert told.endswith("; most of it: gpt-5, p1")
    assert insights.digest
    assert "open: 1 incident (spike of project p1, 2026-11-10)" in insights.digest.lines[-1]
    keep(days, insights)
    with days.warehouse.transaction() as database:  # as the release before has stored it
        for column in ("incident", "evidence"):
            database.execute(f"alter table costs.anomalies drop column {column}")
        database.execute("update ledger.statements set digest = 'of that release' where name = 'insights'")
    again = found(days)
    assert incident(again) == spike
    assert [alert.key for alert in again.alerts[AnomalyRow]] == [spike.incident]
    keep(days, again)
    assert days.warehouse.read("select evidence from costs.anomalies")["evidence"].to_pylist() == [spike.evidence]
    store(days)
    closed = found(days)
    assert not closed.alerts[AnomalyRow]
    assert (incident(closed).is_open, incident(closed).closed_on) == (False, TODAY)
    assert incident(closed).evidence == spike.evidence, "it keeps what explained it"
    keep(days, closed)
    store(days, SPIKE)
    assert incident(found(days)) == spike


def test_a_shift_lasts_until_its_level_ends_however_long_ago_it_began(days: Days) -> None:
    def said(first: date, last: date) -> Sequence[str]:
        store(days, {day: 3 * office(day) for day in Window(first, last).days})
        keep(days, found(days))
        with days.warehouse.get_connection() as database:
            lines = answers(read_report(database, Period.of_month(NEWEST.replace(day=1), NEWEST)))[3].lines
        return [text_of(line) for line in lines]

    first = NEWEST - 30 * DAY
    counted, shift = said(first, NEWEST)
    assert counted == "1 incident, 0 still open, 1 lasts."
    assert shift.startswith("13 Oct to 12 Nov: shift, project p1: $")
    assert shift.endswith(" (lasts)")
    ended = said(FIRST + 28 * DAY, NEWEST - 11 * DAY)
    assert [line.rpartition(" ")[2] for line in ended[1:]] == ["(open)", "(closed)"], "back to the level before"


def test_the_page_of_a_month_that_is_over_says_what_the_next_one_will_cost(days: Days) -> None:
    def month(first: date, provisional: int, *estimate: int) -> ForecastTotalRow:
        known = dict(zip(("expected", "low", "high"), estimate, strict=True))
        return filled(
            ForecastTotalRow,
            kind="all",
            name="all",
            month=first,
            settled=0,
            provisional=provisional,
            made_on=TODAY,
            **known,
        )

    store(days)
    november, december = date(2026, 11, 1), date(2026, 12, 1)
    rows_of_months = [month(november, 300, 300, 300, 300), month(december, 0, 310, 290, 330)]
    store_insights(days.warehouse, {ForecastTotalRow: rows_of_months})
    found = {}
    for first in (november, november - DAY):
        with days.warehouse.get_connection() as database:
            report = read_report(database, Period.of_month(first, december - DAY))
        lines = map(text_of, answers(report)[0].lines)
        found[first] = [line for line in lines if line.startswith("Forecast")]
    assert found == {
        november: ["Forecast: $300.", "Forecast of December: $310 (80% range $290 to $330)."],
        november - DAY: [],
    }, "nothing more is expected of November, which is not October's next month any more"


def test_an_incident_that_lasts_is_said_before_larger_ones_that_are_over(days: Days) -> None:
    states = [(False, False), (False, True), (True, False)]
    odd = [
        filled(
            AnomalyRow,
            kind="connection",
            id=f"c{n}",
            name=f"c{n}",
            what="shift",
            measure="usd",
            first_day=NEWEST,
            last_day=NEWEST,
            actual=1000 - n,
            expected=0,
            is_open=is_open,
            lasts=lasts,
            closed_on=None,
        )
        for n, (is_open, lasts) in enumerate(states)
    ]
    store(days)
    store_insights(days.warehouse, {AnomalyRow: odd})
    with days.warehouse.get_connection() as database:
        lines = answers(read_report(database, Period.of_month(NEWEST.replace(day=1), NEWEST)))[3].lines
    assert [text_of(line).rpartition(" ")[2] for line in lines[1:]] == ["(open)", "(lasts)", "(closed)"]


def keep(days: Days, insights: Insights) -> None:
    """Store what was found, as a run does."""
    with days.warehouse.transaction() as database:
        write_seed(database, insights.seed(datetime.now(UTC)))


def incident(insights: Insights) -> AnomalyRow:
    """The only one."""
    [row] = rows(insights, AnomalyRow)
    assert isinstance(row, AnomalyRow)
    return row


def test_tokens_and_requests_are_watched_and_a_day_whose_counters_are_not_stored_is_not_zero(days: Days) -> None:
    every = Window(FIRST, NEWEST).days
    used = {day: {"input_tokens": 2_000_000 + n, "num_model_requests": 400} for n, day in enumerate(every)}
    store(days, used=used | {ODD_DAY: {"input_tokens": 9_000_000, "num_model_requests": 4000}})
    missing = "where usage_date = date '2026-11-04' and"
    with days.warehouse.transaction() as database:
        database.execute(f"delete from openai.usage_completions {missing} true")
        database.execute(f"delete from ledger.partition_versions {missing} table_name = 'openai.usage_completions'")
    with days.warehouse.get_connection() as database:
        [tokens] = [read(database, NEWEST, measure) for measure in MEASURES if measure.name == "tokens"]
    series = tokens["connection", "openai"].series
    assert series
    assert series.values.keys() == {*every} - {date(2026, 11, 4)}
    assert {key for key in tokens if key[0] == "team"} == {("team", "bots")}, "that of the key, not of the project"
    insights = found(days)
    spike = incident(insights)
    assert (spike.kind, spike.id, spike.measure, spike.what) == ("api_key", "k1", "tokens", "spike")
    assert (spike.first_day, spike.actual) == (ODD_DAY, Decimal(9_000_005))
    assert (spike.driver, spike.volume_usd, spike.price_usd) == ("gpt-5, p1, u1", None, None)
    assert "api_key k1 4,000 requests instead of 400" in str(spike.evidence)
    [told] = [alert.text for alert in insights.alerts[AnomalyRow] if alert.text]
    assert told.startswith("spike of api_key k1, 2026-11-10: 9,000,005 tokens a day, ordinary days are 1,9")


def test_the_asset_tells_the_week_and_a_file_that_it_refuses_which_changes_nothing(days: Days, tmp_path: Path) -> None:
    """The stored rows stay, budgets and forecasts are computed, and the check says it once, as the webhook posts it.

    A view is missing, as after an upgrade: the first run was red, until another run had made this release's views.
    """
    with days.warehouse.get_connection() as database:
        database.execute("drop view costs.allocated_costs_named")
    file, url = tmp_path / "metrics.csv", "https://finops.example.com/ai.html"
    accounting = days.accounting.model_copy(update={"added": {"metric": [Metric(file=file)]}})
    publish(days.warehouse)
    stored, results = [], []
    for value, wants_digest in (("7", False), ("x", True)):
        file.write_text(f"date,scope,metric,value\n2026-11-01,,merged,{value}\n")
        settings = Settings.load(_env_file=None, usage_digest=wants_digest, usage_report_url=url)
        both = [connection("openai"), connection("chatgpt")]
        asset = build_insights(accounting, days.seed, settings, lambda: date(2026, 11, 8), [], both)
        resources = {"warehouse": WarehouseResource.of(days.warehouse, publishes=False)}
        with time_machine.travel(datetime(2026, 11, 9, 8, tzinfo=UTC)), dg.DagsterInstance.ephemeral() as instance:
            results.append(dg.materialize([asset], instance=instance, resources=resources))
        stored += days.warehouse.read("select value from accounting.metrics")["value"].to_pylist()
    assert stored == [7, 7]
    right, wrong = [
        {str(event.asset_key and event.asset_key.path[-1]) for event in result.get_asset_materialization_events()}
        for result in results
    ]
    assert right - wrong == {"metrics"}
    assert wrong >= {"forecast", "forecast_totals", "anomalies", "budget_status", "list_prices"}
    checks = [
        [check for check in result.get_asset_check_evaluations() if check.check_name == "metrics"] for result in results
    ]
    assert [check.passed for [check] in checks] == [True, False]
    told = f"{file}, line 2, value: 'x': write a number from 0 to 9999999999, with 6 decimal places at most"
    assert checks[1][0].description == told
    assert json.loads(str(checks[1][0].metadata["alerts"].value)) == {told: told}
    [week] = [
        event.asset_observation_data.asset_observation
        for result in results
        for event in result.get_asset_observation_events()
    ]
    assert (week.asset_key.to_user_string(), week.metadata["week"].value) == ("forecast_totals", "2026-W45")
    assert str(week.metadata["digest"].value).startswith("AI spend, 2026-11-02 to 2026-11-08: $")
    events = results[1].asset_materializations_for_node("insights")
    assert {event.metadata["report"].value for event in events} == {url}


def errors_of_bills(of: Days) -> Iterator[tuple[str, str]]:
    """The assets of OpenAI's bill, and their checks that are errors."""
    graph = graph_of(connection("openai"), of.seed)
    looked = [
        *((each.name, Table(each.row), None, each.control) for each in graph.endpoints),
        *((model.name, Table(model.row), query, None) for model, query in graph.models),
    ]
    for asset, table, query, control in looked:
        for each in comparisons_of(table, query, control):
            if each.severity == "ERROR" and not table.name.startswith("port_entities."):
                yield f"openai/{asset}", each.name


def test_each_check_of_a_bill_that_is_an_error_is_named_beside_the_amount(days: Days) -> None:
    checks = [*dict.fromkeys(errors_of_bills(days))]
    assert {"content", "control_total"} <= {name for _, name in checks}
    day = NEWEST - DAY
    known: dict[str, Any] = {"connection": "openai", "usage_date": day, "run_id": "run", "found_at": datetime.now(UTC)}
    failed = [FailedCheck(asset=asset, check_name=name, severity="ERROR", text="it", **known) for asset, name in checks]
    failed += [FailedCheck(asset="openai/costs", check_name="a_warning", severity="WARN", text="it", **known)]
    with days.warehouse.transaction() as database:
        create_or_alter(database, Table(FailedCheck))
        database.from_arrow(to_arrow(FailedCheck, failed)).insert_into("ledger.failed_checks")
        found = [*doubts_of(database, [], NEWEST)]
        insights = compute(database, stated_in(OWNED), NEWEST, TODAY, doubts=found)
        write_seed(database, insights.seed(datetime.now(UTC)))
    names = sorted({name for _, name in checks})
    assert [(row.check_name, row.connection, row.usage_date) for row in found] == [
        (each, "openai", day) for each in names
    ]
    assert insights.digest
    assert (
        insights.digest.lines[-1]
        == f"Contradicted, so it may be wrong: {', '.join(f'{each} on 1 day' for each in names)}"
    )
    with days.warehouse.get_connection() as database:
        first = answers(read_report(database, Period.of_month(day.replace(day=1), NEWEST)))[0]
    said = [text_of(line) for line in first.lines if "May be wrong" in text_of(line)]
    assert said == [f"May be wrong, {each} fails: openai on 1 day." for each in names]
    assert first.needs_attention
