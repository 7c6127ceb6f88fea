"""Forecasts, anomalies, budgets and guardrails of stored days, and their alerts."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import time_machine

from usage_assets.assets.warehouse_resource import WarehouseResource
from usage_assets.config.accounting import Accounting, Budget, Guardrail, Owner, Purchase
from usage_assets.config.settings import Settings
from usage_assets.core.days import DAY
from usage_assets.features.report.graph.insights import build_insights
from usage_assets.features.report.insights.alerts import Alert
from usage_assets.features.report.insights.compute import Insights, compute
from usage_assets.features.report.insights.guardrails import crossed
from usage_assets.features.report.insights.series import MEASURES, read
from usage_assets.features.report.insights.stated import stated_in
from usage_assets.models.costs import VIEWS
from usage_assets.models.insights import KEPT, AnomalyRow, BudgetStatusRow, ForecastRow, ForecastTotalRow
from usage_assets.providers.anthropic.reports import CostReport
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import UsageCompletions
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import write_seed
from usage_assets.warehouse.published import publish
from usage_assets.warehouse.views import make_views
from usage_assets_tests.models.days import Days, raw

FIRST, NEWEST = date(2026, 9, 1), date(2026, 11, 12)
TODAY = NEWEST + DAY
WEEK = ("100", "104", "98", "101", "97", "20", "15")
"""Dollars from Monday to Sunday."""


def office(day: date) -> Decimal:
    """What an ordinary day costs."""
    return Decimal(WEEK[day.weekday()]) + Decimal(day.day) / 10


OWNED = Accounting(owners=[Owner(project="p1", team="web"), Owner(api_key="k1", team="bots")])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten weeks of an office: costs of two projects, tokens, credits."""
    file = tmp_path_factory.mktemp("insights") / "usage.duckdb"
    store(Days(Warehouse(database=str(file)), OWNED))
    return file


@pytest.fixture
def days(original: Path, tmp_path: Path) -> Iterator[Days]:
    """The same, to be changed."""
    warehouse = Warehouse(database=str(shutil.copy(original, tmp_path / "usage.duckdb")))
    with warehouse.get_connection():
        yield Days(warehouse, OWNED)


def store(days: Days, used: Mapping[date, Mapping[str, int]] | None = None, **dollars: Decimal) -> None:
    """Store the weeks; ``d20261110=...`` replaces a day's cost of the first project, ``used`` its counters."""
    every = [FIRST + timedelta(days=n) for n in range((NEWEST - FIRST).days + 1)]
    costs = [
        raw(Costs, usage_date=day, project_id=project, line_item=f"{model}, input", amount_value=amount)
        for day in every
        for project, model, amount in (
            ("p1", "gpt-5", dollars.get(f"d{day:%Y%m%d}", office(day))),
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
    codex = [raw(CodexUsage, usage_date=day, credits=Decimal("12.5")) for day in every]
    days.fetched(CodexUsage, *codex, first=FIRST, last=NEWEST)
    days.derive("openai_costs", first=FIRST, last=NEWEST)
    days.derive("chatgpt_codex_usage", first=FIRST, last=NEWEST)
    days.derive("openai_allocated_costs", first=FIRST, last=NEWEST)
    with days.warehouse.transaction() as database:
        make_views(database, VIEWS)


def found(days: Days, **stated: Any) -> Insights:
    """What follows from the days, with these entries."""
    with days.warehouse.get_connection() as database:
        return compute(database, stated_in(Accounting(**stated)), NEWEST, TODAY)


def rows(insights: Insights, row: type) -> Sequence[Any]:
    return insights.rows[row]


def texts(alerts: Sequence[Alert]) -> list[str]:
    return [alert.text for alert in alerts if alert.text]


BUDGET = Budget(name="all", amount=Decimal(1000))
PACK = Purchase(
    connection="chatgpt",
    kind="credits",
    quantity=Decimal(1000),
    amount=Decimal(40),
    id="po-9",
    valid_from=date(2026, 10, 1),
    valid_until=date(2026, 12, 31),
)
OF_ONE_NAME = PACK.model_copy(
    update={"id": "web", "quantity": Decimal(100), "valid_from": date(2026, 11, 1), "valid_until": None}
)
OF_A_SCOPE = [
    Budget(name="office", team="web", amount=Decimal(500)),
    Budget(name="small", project="p2", amount=Decimal(500)),
    Budget(name="mini", model="gpt-5-mini", amount=Decimal(500)),
    Budget(name="credits", credits=Decimal(500)),
    Budget(name="euros", amount=Decimal(500), currency="EUR"),
    Budget(name="nobody", user="u1", amount=Decimal(500)),
]
GUARDRAILS = [
    Guardrail(name="many tokens", measure="tokens", above=Decimal(24)),
    Guardrail(name="many dollars", measure="usd", above=Decimal(117)),
    Guardrail(name="many requests", measure="requests", above=Decimal(1)),
    Guardrail(name="tokens of gpt-4", measure="tokens", above=Decimal(24), model="gpt-4"),
    Guardrail(name="tokens rise", measure="tokens", rises_by=Decimal(3), at_least=Decimal(1000)),
]
STATED = Accounting(
    budgets=[
        BUDGET,
        Budget(name="changed", amount=Decimal(500), valid_until=date(2026, 11, 5)),
        Budget(name="changed", amount=Decimal(5000), valid_from=date(2026, 11, 6)),
        Budget(name="ended", amount=Decimal(500), valid_until=date(2026, 11, 5)),
        Budget(name="ended long ago", amount=Decimal(500), valid_until=date(2026, 9, 5)),
        *OF_A_SCOPE,
        Budget(name="quarter", amount=Decimal(9000), period="quarter"),
        Budget(name="web", amount=Decimal(500), valid_from=date(2026, 11, 1)),
    ],
    purchases=[
        PACK,
        PACK.model_copy(update={"id": "ends late", "valid_until": date(2027, 3, 31)}),
        PACK.model_copy(update={"id": "endless", "valid_until": None}),
        OF_ONE_NAME,
        OF_ONE_NAME.model_copy(update={"connection": "chatgpt-2", "quantity": Decimal(1)}),
    ],
    guardrails=GUARDRAILS,
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


def test_a_month_is_what_is_billed_and_what_is_to_come(unchanged: Insights) -> None:
    [month] = [row for row in rows(unchanged, ForecastTotalRow) if row.kind == "all"]
    november = [NEWEST.replace(day=1) + timedelta(days=n) for n in range(30)]
    billed = sum(office(day) + Decimal("10.5") for day in november if day <= NEWEST)
    assert (month.settled + month.provisional, month.month) == (billed, date(2026, 11, 1))
    truth = sum(office(day) + Decimal("10.5") for day in november)
    assert month.low <= truth <= month.high
    assert abs(month.expected / truth - 1) < Decimal("0.1")


def test_days_to_come_are_forecast_to_the_end_of_the_quarter_and_no_stored_day_is(unchanged: Insights) -> None:
    daily = [row for row in rows(unchanged, ForecastRow) if row.kind == "team" and row.id == "web"]
    assert [row.usage_date for row in daily] == [NEWEST + timedelta(days=n) for n in range(1, 50)]
    assert daily[-1].usage_date == date(2026, 12, 31)
    assert all(row.low <= row.expected <= row.high for row in daily)


def test_a_day_that_is_not_stored_is_not_zero(days: Days) -> None:
    with days.warehouse.transaction() as database:
        for table in ("costs.daily_costs", "costs.allocated_costs", "ledger.partition_versions"):
            database.execute(f"delete from {table} where usage_date = date '2026-11-04' and connection = 'openai'")
    with days.warehouse.get_connection() as database:
        scopes = read(database, NEWEST)
    series = scopes["connection", "openai"].series
    assert series
    assert date(2026, 11, 4) not in series.values
    [month] = [row for row in rows(found(days), ForecastTotalRow) if row.id == "openai"]
    assert month.expected is None


def test_a_connection_that_was_taken_out_has_ended_and_hides_no_day_of_the_others(days: Days) -> None:
    last = FIRST + 44 * DAY
    before = [
        raw(
            Costs,
            connection="old",
            usage_date=FIRST + DAY * n,
            project_id="old",
            line_item="gpt-5, input",
            amount_value=50,
        )
        for n in range(45)
    ]
    days.fetched(Costs, *before, connection="old", first=FIRST, last=last)
    for derived in ("openai_costs", "openai_allocated_costs"):
        days.derive(derived, "old", FIRST, last)
    with days.warehouse.get_connection() as database:
        for connections, newest in ((["openai", "chatgpt"], NEWEST), (["openai", "chatgpt", "old"], last)):
            series = read(database, NEWEST, configured=connections)["all", ""].series
            assert series
            assert (series.last, series.settled) == (newest, (newest - FIRST).days + 1)
        insights = compute(database, stated_in(Accounting(), ["openai", "chatgpt"]), NEWEST, TODAY)
    months = {row.id: row for row in rows(insights, ForecastTotalRow) if row.kind in ("all", "connection")}
    assert months["old"].expected == 0
    assert months[""].provisional == 0


def test_a_spike_is_one_incident_with_its_driver_and_one_alert_on_two_days(days: Days) -> None:
    store(days, d20261110=Decimal(900))
    insights = found(days)
    [spike] = rows(insights, AnomalyRow)
    assert (spike.kind, spike.id, spike.what, spike.first_day) == ("project", "p1", "spike", date(2026, 11, 10))
    assert (spike.actual, spike.driver, spike.is_open) == (Decimal(900), "gpt-5, p1", True)
    others = [text.partition(" $")[0] for text in spike.evidence.split("; ")]
    assert sorted(others) == ["connection openai", "everything", "model gpt-5", "team web"]
    assert "everything $910.50 instead of $1" in spike.evidence, "with the ten dollars and a half of the other project"
    [told] = texts(insights.alerts[AnomalyRow])
    assert told.startswith("spike of project p1, 2026-11-10: $900.00 a day")
    assert told.endswith("; most of it: gpt-5, p1")
    assert "1 open anomaly: spike of project p1, 2026-11-10" in insights.digest.lines[-1] if insights.digest else False
    keep(days, insights)
    again = found(days)
    assert again.rows[AnomalyRow] == insights.rows[AnomalyRow]
    assert [alert.key for alert in again.alerts[AnomalyRow]] == [spike.incident]


def keep(days: Days, insights: Insights) -> None:
    """Store what was found, as a run does."""
    with days.warehouse.transaction() as database:
        write_seed(database, insights.seed(datetime.now(UTC)))


def incident(insights: Insights) -> AnomalyRow:
    """The only one."""
    [row] = rows(insights, AnomalyRow)
    assert isinstance(row, AnomalyRow)
    return row


def test_an_odd_day_that_a_restatement_explains_is_closed_and_opens_when_it_is_odd_again(days: Days) -> None:
    store(days, d20261110=Decimal(900))
    keep(days, found(days))
    store(days)
    explained = found(days)
    assert not explained.alerts[AnomalyRow]
    assert (incident(explained).is_open, incident(explained).closed_on) == (False, TODAY)
    assert incident(explained).driver == "gpt-5, p1", "it keeps what explained it"
    assert "everything $910.50 instead of " in str(incident(explained).evidence)
    keep(days, explained)
    with days.warehouse.get_connection() as database:
        later = compute(database, stated_in(Accounting()), NEWEST + 2 * DAY, TODAY + 2 * DAY)
        much_later = compute(database, stated_in(Accounting()), NEWEST + KEPT, TODAY + KEPT)
    assert incident(later).closed_on == TODAY, "it stays the day on which it was closed"
    assert not rows(much_later, AnomalyRow)
    store(days, d20261110=Decimal(900))
    again = incident(found(days))
    assert (again.is_open, again.closed_on, again.driver) == (True, None, "gpt-5, p1")
    assert again.incident == incident(explained).incident, "its days overlap"


def test_what_has_ended_stays_odd_when_it_is_no_longer_looked_at(days: Days) -> None:
    store(days, d20260928=Decimal(900))
    keep(days, found(days))
    with days.warehouse.transaction() as database:
        database.execute(
            "update costs.anomalies set incident = 'gone', id = 'gone', first_day = '2026-09-01', "
            "last_day = '2026-09-20'"
        )
    [row] = [row for row in rows(found(days), AnomalyRow) if row.id == "gone"]
    assert (row.first_day, row.is_open, row.closed_on) == (date(2026, 9, 1), False, None)


def test_the_table_of_the_release_before_is_read_and_gets_the_new_columns(days: Days) -> None:
    store(days, d20261110=Decimal(900))
    first = found(days)
    keep(days, first)
    with days.warehouse.transaction() as database:
        for column in ("incident", "evidence"):
            database.execute(f"alter table costs.anomalies drop column {column}")
        database.execute("update ledger.statements set digest = 'of that release' where name = 'insights'")
    again = found(days)
    assert incident(again) == incident(first)
    keep(days, again)
    stored = days.warehouse.read("select incident, evidence from costs.anomalies").to_pylist()
    assert stored == [{"incident": incident(first).incident, "evidence": incident(first).evidence}]


def test_two_spikes_of_one_week_stay_two_when_both_are_known(days: Days) -> None:
    store(days, d20261106=Decimal(900), d20261110=Decimal(600))
    for _ in range(2):
        insights = found(days)
        spikes = sorted(rows(insights, AnomalyRow), key=lambda row: row.first_day)
        assert [(row.first_day.day, row.last_day.day, row.actual, row.closed_on) for row in spikes] == [
            (6, 6, Decimal(900), None),
            (10, 10, Decimal(600), None),
        ]
        assert spikes[0].incident != spikes[1].incident
        keep(days, insights)


def test_an_incident_that_grows_by_a_day_before_it_is_the_same(days: Days) -> None:
    store(days, d20261110=Decimal(900))
    first = found(days)
    keep(days, first)
    store(days, d20261109=Decimal(900), d20261110=Decimal(900))
    grown = incident(found(days))
    assert (grown.incident, grown.first_day.day, grown.last_day.day) == (incident(first).incident, 9, 10)


def test_tokens_and_requests_are_watched_like_dollars_and_are_evidence_of_them(days: Days) -> None:
    usual = {FIRST + DAY * n: {"input_tokens": 2_000_000 + n, "num_model_requests": 400} for n in range(73)}
    odd = usual | {date(2026, 11, 10): {"input_tokens": 9_000_000, "num_model_requests": 4000}}
    store(days, used=odd)
    insights = found(days)
    spike = incident(insights)
    assert (spike.kind, spike.id, spike.measure, spike.what) == ("api_key", "k1", "tokens", "spike")
    assert (spike.first_day, spike.actual) == (date(2026, 11, 10), Decimal(9_000_005))
    assert (spike.driver, spike.volume_usd, spike.price_usd) == ("gpt-5, p1, u1", None, None)
    assert "api_key k1 4,000 requests instead of 400" in str(spike.evidence)
    [told] = texts(insights.alerts[AnomalyRow])
    assert told.startswith("spike of api_key k1, 2026-11-10: 9,000,005 tokens a day, ordinary days are 1,9")
    keep(days, insights)
    store(days, used=odd, d20261110=Decimal(900))
    dollars = found(days)
    with_dollars = incident(dollars)
    assert (with_dollars.incident, with_dollars.measure) == (spike.incident, "usd"), "the bill came later"
    assert "api_key k1 9,000,005 tokens instead of 2,000,0" in str(with_dollars.evidence)
    [told] = texts(dollars.alerts[AnomalyRow])
    assert told.startswith("spike of project p1, 2026-11-10: $900.00 a day")
    store(days, used=usual)
    assert not found(days).alerts[AnomalyRow]


def test_a_day_whose_counters_are_not_stored_is_not_zero(days: Days) -> None:
    with days.warehouse.transaction() as database:
        database.execute("delete from openai.usage_completions where usage_date = date '2026-11-04'")
        database.execute(
            "delete from ledger.partition_versions "
            "where usage_date = date '2026-11-04' and table_name = 'openai.usage_completions'"
        )
    with days.warehouse.get_connection() as database:
        [tokens] = [read(database, NEWEST, measure) for measure in MEASURES if measure.name == "tokens"]
    series = tokens["connection", "openai"].series
    assert series
    assert date(2026, 11, 4) not in series.values


def test_a_counter_belongs_to_the_team_of_its_key_before_that_of_its_project(days: Days) -> None:
    with days.warehouse.get_connection() as database:
        [tokens] = [read(database, NEWEST, measure) for measure in MEASURES if measure.name == "tokens"]
    assert {key for key in tokens if key[0] == "team"} == {("team", "bots")}


def test_a_threshold_is_reached_on_a_day_and_the_highest_one_is_told(unchanged: Insights) -> None:
    november, october = statuses(unchanged, "all")
    assert (november.first_day, november.last_day, november.unit) == (date(2026, 11, 1), date(2026, 11, 30), "USD")
    spent = sum(office(NEWEST.replace(day=n)) + Decimal("10.5") for n in range(1, 13))
    assert november.settled + november.provisional == spent
    assert november.thresholds == "0.5 on 2026-11-06, 0.8 on 2026-11-10, 1 on 2026-11-12"
    assert november.exhausted_on == NEWEST
    assert october.thresholds.count(" on ") == 3
    told = [text for text in texts(unchanged.alerts[BudgetStatusRow]) if text.startswith("budget all, ")]
    assert len(told) == 2
    assert told[0].startswith("budget all, 2026-11-01 to 2026-11-30: 100% of $1,000.00 was reached on 2026-11-12: $")


def test_of_a_budget_that_is_changed_within_a_month_each_entry_counts_its_own_days(unchanged: Insights) -> None:
    periods = {
        (row.first_day, row.last_day): (row.amount, row.settled + row.provisional)
        for row in statuses(unchanged, "changed")
    }
    november = [NEWEST.replace(day=n + 1) for n in range(NEWEST.day)]
    spent = [office(day) + Decimal("10.5") for day in november]
    assert periods.pop((date(2026, 11, 1), date(2026, 11, 5))) == (Decimal(500), sum(spent[:5]))
    assert periods.pop((date(2026, 11, 6), date(2026, 11, 30))) == (Decimal(5000), sum(spent[5:]))
    assert [*periods] == [(date(2026, 10, 1), date(2026, 10, 31))]


def test_a_budget_that_has_ended_keeps_its_last_state_until_the_month_ends(unchanged: Insights) -> None:
    november, october = statuses(unchanged, "ended")
    spent = sum(office(NEWEST.replace(day=n)) + Decimal("10.5") for n in range(1, 6))
    assert (november.first_day, november.last_day) == (date(2026, 11, 1), date(2026, 11, 5))
    assert november.settled + november.provisional == november.expected == spent
    assert november.thresholds == "0.5 on 2026-11-03, 0.8 on 2026-11-05"
    assert (october.first_day, october.last_day) == (date(2026, 10, 1), date(2026, 10, 31))
    assert not statuses(unchanged, "ended long ago")


def test_without_statsmodels_nothing_is_expected_and_what_is_spent_stays(
    days: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels.tsa.statespace.kalman_filter", None)
    insights = found(days, budgets=[BUDGET])
    assert {row.kind for row in rows(insights, ForecastRow)} == {"team"}, "one that costs the same every day"
    [month] = [row for row in rows(insights, ForecastTotalRow) if row.kind == "all"]
    november = rows(insights, BudgetStatusRow)[0]
    assert month.expected is november.expected is None
    assert month.settled + month.provisional == november.settled + november.provisional > 0
    assert november.exhausted_on == NEWEST


def test_a_budget_counts_its_scope_in_its_unit(unchanged: Insights) -> None:
    expected = {
        "office": sum((office(NEWEST.replace(day=n)) for n in range(1, 13)), Decimal(0)),
        "small": Decimal("126.0"),
        "mini": Decimal("126.0"),
        "credits": Decimal("150.0"),
        "euros": Decimal(0),
        "nobody": Decimal(0),
    }
    newest = {budget.name: statuses(unchanged, budget.name)[0] for budget in OF_A_SCOPE}
    assert {name: row.settled + row.provisional for name, row in newest.items()} == expected
    assert {name: row.has_costs for name, row in newest.items()} == {
        name: bool(spent) for name, spent in expected.items()
    }, "nobody has costs: a misspelled scope is not one that spent nothing"


def test_a_quarter_and_prepaid_credits_have_their_own_days(unchanged: Insights) -> None:
    fourth, third = statuses(unchanged, "quarter")
    [prepaid] = statuses(unchanged, "po-9")
    assert [(row.first_day.month, row.last_day.month) for row in (fourth, third)] == [(10, 12), (7, 9)]
    assert (prepaid.source, prepaid.unit, prepaid.settled + prepaid.provisional) == (
        "purchase",
        "credits",
        Decimal("537.5"),
    )
    assert prepaid.exhausted_on == date(2026, 12, 19)


def test_nothing_is_expected_of_a_period_that_ends_after_the_forecasts(unchanged: Insights) -> None:
    for purchase, said in (("ends late", "ends on 2027-03-31"), ("endless", "has no end")):
        [prepaid] = statuses(unchanged, purchase)
        assert (prepaid.expected, prepaid.expected_reason) == (
            None,
            f"forecasts end on 2026-12-31, but the period {said}",
        )


def test_purchases_and_budgets_of_one_name_are_told_apart(unchanged: Insights) -> None:
    subjects = {row.subject for row in statuses(unchanged, "web")}
    assert len(subjects) == 3
    of_web = tuple(f"{subject} 2026-" for subject in subjects)
    alerts = [alert for alert in unchanged.alerts[BudgetStatusRow] if alert.key.startswith(of_web)]
    assert len(alerts) == len({alert.key for alert in alerts}) == 6


def test_a_yen_has_no_smaller_unit(days: Days) -> None:
    yen = raw(CostReport, usage_date=NEWEST, currency="JPY", amount_cents=Decimal(700), workspace_id="w1")
    days.fetched(CostReport, yen, first=NEWEST)
    days.derive("anthropic_cost_report", first=NEWEST)
    days.derive("anthropic_allocated_costs", first=NEWEST)
    budget = Budget(name="yen", amount=Decimal(1000), currency="JPY")
    [november, _] = rows(found(days, budgets=[budget]), BudgetStatusRow)
    assert november.settled + november.provisional == 700


def test_a_guardrail_is_crossed_on_the_days_that_are_above_it(unchanged: Insights) -> None:
    those = {
        guardrail.name: [row.first_day for row in rows(unchanged, AnomalyRow) if row.what == guardrail.name]
        for guardrail in GUARDRAILS
    }
    of_tokens = {day.day for day in those.pop("many tokens")}
    assert of_tokens
    assert of_tokens <= {*range(20, 32)}
    days_above = [d for d in (FIRST + DAY * n for n in range(73)) if office(d) + Decimal("10.5") > 117]
    assert those == {
        "many dollars": [day for day in days_above if day >= NEWEST - timedelta(days=60)],
        "many requests": [],
        "tokens of gpt-4": [],
        "tokens rise": [],
    }


def test_a_guardrail_of_a_rise_stays_crossed_as_long_as_its_day_is_kept(days: Days) -> None:
    rise = Guardrail(name="rise", measure="usd", rises_by=Decimal(3), at_least=Decimal(500))
    store(days, d20260914=Decimal(900))
    with days.warehouse.get_connection() as database:
        assert [
            row.first_day for row in crossed(database, [stated_in(Accounting(guardrails=[rise])).guardrails[0]], NEWEST)
        ] == [date(2026, 9, 14)]


def test_a_rise_is_not_measured_against_days_that_are_not_stored(days: Days) -> None:
    """Six of seven days missing were six zeros: an ordinary Thursday was three times their mean."""
    rise = Guardrail(name="rise", measure="usd", rises_by=Decimal(3), at_least=Decimal(50))
    with days.warehouse.transaction() as database:
        for table in ("costs.daily_costs", "costs.allocated_costs", "ledger.partition_versions"):
            missing = "usage_date between date '2026-11-06' and date '2026-11-11' and connection = 'openai'"
            database.execute(f"delete from {table} where {missing}")
    crossed = [row.first_day for row in rows(found(days, guardrails=[rise]), AnomalyRow) if row.what == "rise"]
    assert date(2026, 11, 12) not in crossed


def test_the_asset_observes_the_week_where_a_digest_is_wanted_and_links_to_the_report(days: Days) -> None:
    url = "https://finops.example.com/ai.html"
    publish(days.warehouse)
    observed = []
    for wanted in (False, True):
        settings = Settings.load(_env_file=None, usage_digest=wanted, usage_report_url=url)
        asset = build_insights(days.accounting, settings, lambda: date(2026, 11, 8), [], ["openai", "chatgpt"])
        with time_machine.travel(datetime(2026, 11, 9, 8, tzinfo=UTC)), dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                [asset],
                instance=instance,
                resources={"warehouse": WarehouseResource.of(days.warehouse, publishes=False)},
            )
        observed += [event.asset_observation_data.asset_observation for event in result.get_asset_observation_events()]
    [week] = observed
    assert (week.asset_key.to_user_string(), week.metadata["week"].value) == ("forecast_totals", "2026-W45")
    assert str(week.metadata["digest"].value).startswith("AI spend, 2026-11-02 to 2026-11-08: $")
    events = result.asset_materializations_for_node("insights")
    assert {event.metadata["report"].value for event in events} == {url}
