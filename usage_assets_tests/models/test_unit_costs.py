"""What was spent on a day beside what was made with it: the same days and scope, unknown is never 0, bases apart."""

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from usage_assets.config.accounting import MetricRow, Owner
from usage_assets.core.schema import Row, to_arrow
from usage_assets.features.report.period import Period
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport
from usage_assets.providers.cursor.usage import DailyUsage, UsageEvents
from usage_assets.providers.github_copilot.billing import BillingUsage
from usage_assets.providers.github_copilot.metrics import Organization1Day, Users1Day
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import UsageCompletions, UsageEmbeddings, UsageModerations, UsageVectorStores
from usage_assets.providers.openrouter.activity import Activity
from usage_assets.warehouse.migrate import write_seed
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Seed
from usage_assets_tests.features.report.one_figure import rows_of_figure
from usage_assets_tests.models.days import DAY, Days, raw
from usage_assets_tests.models.test_valuation import stating

SECOND, THIRD = DAY + timedelta(days=1), DAY + timedelta(days=2)
PERIOD = Period.of_days(DAY, THIRD)


def fetch(days: Days, row: type[Row], *rows: Row, last: date = THIRD) -> None:
    """Store three days of a report, or those up to ``last``."""
    days.fetched(row, *rows, first=DAY, last=last)


def unit_costs(days: Days) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The report's rows of three days: scope, metric and cost basis -> row."""
    rows = rows_of_figure(days.warehouse, "unit_costs", PERIOD)
    return {(row.pop("scope"), row.pop("metric"), row.pop("cost_basis")): row for row in rows}


NO_COUNTER = "a counter is missing"


def made(
    usd: str, quantity: str, days_with_both: int, source: str, left_out: str = "0", because: str | None = None
) -> dict[str, Any]:
    """A row, with the division done again in Python, and the dollars that are in no division."""
    dollars, count = Decimal(usd), Decimal(quantity)
    each = (dollars / count).quantize(Decimal("1e-6"), ROUND_HALF_UP) if dollars and count else None
    counted = {"days_with_both": days_with_both, "days_in_period": 3, "source": source}
    rest = {"usd_left_out": Decimal(left_out), "left_out_because": because}
    before = {"usd_per_unit_on_same_days": None, "usd_per_unit_before": None}
    return {"usd": dollars, "quantity": count, "usd_per_unit": each, **before, **counted, **rest}


def state(days: Days, *rows: MetricRow) -> None:
    """Store numbers of users' own."""
    with days.warehouse.transaction() as database:
        seed = Seed("insights", {Table(MetricRow): to_arrow(MetricRow, rows)}, datetime(2026, 11, 9, tzinfo=UTC))
        write_seed(database, seed)


def metric(value: str, day: date = DAY, scope_type: str = "all", scope_id: str = "") -> MetricRow:
    return MetricRow(day, scope_type, scope_id, "merged", Decimal(value))


def billed_by_openai(days: Days, *rows: tuple[date, str, str], last: date = THIRD) -> Days:
    """Store costs of projects, of which p1 is owned by web."""
    days = stating(days, owners=[Owner(project="p1", team="web")])
    costs = [raw(Costs, usage_date=day, project_id=project, amount_value=usd) for day, project, usd in rows]
    fetch(days, Costs, *costs, last=last)
    days.derive("openai_costs", first=DAY, last=last)
    return days


def test_claude_code_is_set_against_its_own_estimate_on_the_days_that_are_stored(days: Days) -> None:
    """The bill of the API is no cost of commits, nor are customers' costs those of subscribers. A stored day without
    any counts, and a day that lacks does not."""
    used = '[{"model": "claude-opus-5", "currency": "USD", "estimated_cost_cents": "33.3"}]'
    people = [("a", "api"), ("b", "api"), ("c", "subscription")]
    fetch(
        days,
        ClaudeCode,
        *(raw(ClaudeCode, actor_email=who, customer_type=paid, model_breakdown=used) for who, paid in people),
        last=SECOND,
    )
    days.derive("anthropic_claude_code", first=DAY, last=SECOND)
    fetch(days, CostReport, *(raw(CostReport, usage_date=day) for day in (DAY, SECOND, THIRD)))
    days.derive("anthropic_cost_report", first=DAY, last=THIRD)
    source = "anthropic.claude_code"
    counted = (("commits", 4), ("pull requests", 5), ("accepted lines", 2), ("active people", 1))
    assert unit_costs(days) == {
        ("anthropic", name, basis): made(usd, str(people * each), 2, source)
        for basis, people, usd in (("estimated", 2, "0.666"), ("notional", 1, "0.333"))
        for name, each in counted
    }


def test_people_are_counted_once_in_a_period(days: Days) -> None:
    lines = {"loc_added_sum": 5, "prs_merged_by_copilot": 2}
    each_day = (DAY, SECOND, THIRD)
    fetch(days, Users1Day, *(raw(Users1Day, usage_date=day, user_login="bob") for day in each_day))
    fetch(days, Organization1Day, *(raw(Organization1Day, usage_date=day, **lines) for day in each_day))
    fetch(days, BillingUsage, raw(BillingUsage, net_amount=19, sku="seat"))
    days.derive("github_copilot_billing_usage", first=DAY, last=THIRD)
    assert unit_costs(days) == {
        ("github_copilot", "active people", "billed"): made("19", "1", 3, "github_copilot.users_1_day"),
        **{
            ("github_copilot", name, "billed"): made("19", total, 3, "github_copilot.organization_1_day")
            for name, total in (("accepted lines", "15"), ("merged pull requests", "6"))
        },
    }


def test_a_unit_cost_stands_beside_that_of_the_days_before(days: Days) -> None:
    """$10 a day for 2 merged pull requests, and for 1 on the days before."""
    first = DAY - timedelta(days=3)
    every = [first + timedelta(days=n) for n in range(6)]
    merged = [raw(Organization1Day, usage_date=day, prs_merged_by_copilot=1 if day < DAY else 2) for day in every]
    days.fetched(Organization1Day, *merged, first=first, last=THIRD)
    bill = [raw(BillingUsage, usage_date=day, net_amount=10) for day in every]
    days.spent(BillingUsage, *bill, first=first, last=THIRD)
    row = unit_costs(days)["github_copilot", "merged pull requests", "billed"]
    assert (row["usd_per_unit"], row["usd_per_unit_before"]) == (Decimal(5), Decimal(10))


def test_a_counter_that_is_unknown_on_a_day_takes_the_day_out(days: Days) -> None:
    known = [raw(Organization1Day, usage_date=day, loc_added_sum=5, prs_merged_by_copilot=1) for day in (DAY, SECOND)]
    fetch(days, Organization1Day, *known, raw(Organization1Day, usage_date=THIRD, loc_added_sum=5))
    seats = [raw(BillingUsage, usage_date=day, net_amount=10) for day in (DAY, SECOND, THIRD)]
    fetch(days, BillingUsage, *seats)
    days.derive("github_copilot_billing_usage", first=DAY, last=THIRD)
    found = unit_costs(days)
    source = "github_copilot.organization_1_day"
    assert found["github_copilot", "accepted lines", "billed"] == made("30", "15", 3, source)
    assert found["github_copilot", "merged pull requests", "billed"] == made("20", "2", 2, source, "10", NO_COUNTER)


def test_what_a_plan_covers_is_apart_and_use_of_an_own_key_is_not_counted(days: Days) -> None:
    events = [
        raw(UsageEvents, charge=charge, events=count, charged_cents=cents)
        for charge, count, cents in (("billed", 2, "700"), ("included", 3, "100"), ("own_key", 50, "0"))
    ]
    fetch(days, UsageEvents, *events)
    people = [("a", True, 0), ("b", True, 1), ("idle", False, 0)]
    made_by = [raw(DailyUsage, user_id=who, is_active=active, accepted_lines_added=n) for who, active, n in people]
    fetch(days, DailyUsage, *made_by)
    days.derive("cursor_usage_events", first=DAY, last=THIRD)
    found = unit_costs(days)
    name = "cursor"
    assert {key: (row["usd"], row["quantity"]) for key, row in found.items()} == {
        (name, "thousand requests", "billed"): (7, Decimal("0.002")),
        (name, "thousand requests", "notional"): (1, Decimal("0.003")),
        **{(name, "active people", basis): (usd, 2) for basis, usd in (("billed", 7), ("notional", 1))},
        **{(name, "accepted lines", basis): (usd, 1) for basis, usd in (("billed", 7), ("notional", 1))},
    }


def test_only_a_day_on_which_nobody_is_named_has_a_row_of_nobody(days: Days) -> None:
    billed_by_openai(days, (DAY, "p1", "3"))
    users = [(DAY, "u", "batch"), (DAY, None, "default"), (SECOND, None, "default")]
    used = [raw(UsageCompletions, usage_date=day, user_id=user, service_tier=tier) for day, user, tier in users]
    fetch(days, UsageCompletions, *used)
    rows = days.read("from costs.active_people order by usage_date")
    assert [(row["usage_date"], row["person"]) for row in rows] == [(DAY, "u"), (SECOND, None), (THIRD, None)]


def test_requests_count_on_days_on_which_no_report_of_usage_is_missing(days: Days) -> None:
    days = billed_by_openai(days, (DAY, "p1", "3"), (SECOND, "p1", "5"), (THIRD, "p1", "7"))
    used = [raw(UsageCompletions, usage_date=day, num_model_requests=2000, user_id="u") for day in (DAY, SECOND, THIRD)]
    fetch(days, UsageCompletions, *used)
    fetch(days, UsageVectorStores, raw(UsageVectorStores), last=DAY)  # counts no requests
    fetch(days, UsageModerations, last=DAY)  # switched off since: the other days do not need it
    for day in (DAY, THIRD):
        days.fetched(UsageEmbeddings, first=day)
    found = unit_costs(days)
    assert found["openai", "thousand requests", "billed"] == made("10", "4", 2, "openai.usage_*")
    assert found["openai", "active people", "billed"] == made("10", "1", 2, "openai.usage_*")
    fetch(days, UsageCompletions, *used, raw(UsageCompletions, user_id="v", num_model_requests=None))
    assert unit_costs(days)["openai", "thousand requests", "billed"] == made(
        "7", "2", 1, "openai.usage_*", "3", NO_COUNTER
    )
    fetch(days, UsageCompletions, *used, raw(UsageCompletions, num_model_requests=None, input_tokens=None))
    assert unit_costs(days)["openai", "thousand requests", "billed"]["quantity"] == 2, "nothing of the row is known"


def test_requests_and_dollars_are_of_the_same_rows_of_a_router(days: Days) -> None:
    """A row may have requests with an own key and requests on credits. Nobody knows how many of which: its requests
    count nowhere, and so do its dollars. 0.15 / 0.001 is 150; all dollars would make 1,150 of it."""
    rows = [
        raw(Activity, requests=1, usage="0.15"),
        raw(Activity, requests=10, usage="1", byok_usage_inference="5", provider_name="Azure"),
        raw(Activity, requests=4, usage="0", byok_usage_inference="2", provider_name="Groq"),
        raw(Activity, usage_date=SECOND, requests=3, usage="0.2", byok_usage_inference="0"),
    ]
    fetch(days, Activity, *rows)
    days.derive("openrouter_activity", first=DAY, last=THIRD)
    mixed = "own keys and credits in one row"
    expected = made("0.35", "0.004", 3, "openrouter.activity", "1", mixed)
    assert unit_costs(days) == {("openrouter", "thousand requests", "billed"): expected}
    [row] = days.read(f"from costs.unit_costs where usage_date = date '{DAY}'")
    assert (row["amount_usd"], row["quantity"]) == (Decimal("0.15"), Decimal("0.001"))
    assert (row["left_out_usd"], row["left_out_reason"]) == (1, mixed)
    fetch(days, Activity, *rows[1:3])
    days.derive("openrouter_activity", first=DAY, last=THIRD)
    assert [*unit_costs(days).values()] == [made("0", "0", 3, "openrouter.activity", "1", mixed)], "it does not vanish"


def test_a_metric_of_users_is_set_against_what_its_scope_was_billed_on_its_days(days: Days) -> None:
    days = billed_by_openai(days, (DAY, "p1", "3.5"), (SECOND, "p2", "8"), (THIRD, "p1", "100"))
    fetch(days, CostReport, raw(CostReport, usage_date=SECOND))
    days.derive("anthropic_cost_report", first=DAY, last=THIRD)
    billed = {("all", ""): "12.5", ("connection", "openai"): "11.5", ("project", "p1"): "3.5", ("team", "web"): "3.5"}
    state(days, *(metric(value, day, *scope) for scope in billed for day, value in ((DAY, "2"), (SECOND, "1.5"))))
    assert unit_costs(days) == {
        ({"all": "everything", "connection": name}.get(kind, f"{kind} {name}"), "merged", "billed"): made(
            usd, "3.5", 2, "accounting.metrics"
        )
        for (kind, name), usd in billed.items()
    }


def test_a_day_that_lacks_a_source_of_costs_is_left_out_and_it_says_so(days: Days) -> None:
    """But for a connection that has all of its own."""
    days = billed_by_openai(days, *((day, "p1", "1") for day in (DAY, SECOND, THIRD)))
    for day in (DAY, THIRD):
        days.spent(CostReport, raw(CostReport, usage_date=day), first=day)
    scopes = [("all", ""), ("project", "p1"), ("connection", "openai")]
    state(days, *(metric("1", day, *scope) for scope in scopes for day in (DAY, SECOND, THIRD)))
    assert [(row["days_with_both"], row["quantity"]) for row in unit_costs(days).values()] == [(2, 2), (2, 2), (3, 3)]


def test_an_amount_without_dollars_takes_its_day_out(days: Days) -> None:
    days = billed_by_openai(days, (DAY, "p1", "1"), (SECOND, "p1", "1"))
    euros = raw(Costs, usage_date=DAY, amount_currency="eur")
    fetch(days, Costs, euros, raw(Costs, usage_date=SECOND, project_id="p1"))
    days.derive("openai_costs", first=DAY, last=THIRD)
    state(days, metric("1"), metric("1", SECOND))
    assert unit_costs(days) == {
        ("everything", "merged", "billed"): made(
            "1", "1", 1, "accounting.metrics", because="an amount has no dollar value"
        )
    }


def test_a_scope_without_any_costs_is_unknown_and_has_not_spent_nothing(days: Days) -> None:
    """It may be misspelled. A known one that spent nothing on a day did."""
    days = billed_by_openai(days, (DAY, "p1", "1"), (SECOND, "p2", "1"))
    scopes = [("team", "web"), ("team", "wbe"), ("project", "P1"), ("connection", "opnai")]
    state(days, *(metric("1", day, *scope) for scope in scopes for day in (DAY, SECOND)))
    found = unit_costs(days)
    assert found.pop(("team web", "merged", "billed")) == made("1", "2", 2, "accounting.metrics")
    assert {key: (row["usd"], row["usd_per_unit"], row["left_out_because"]) for key, row in found.items()} == {
        (name, "merged", "billed"): (None, None, f"{kind} without stored costs")
        for name, kind in (("team wbe", "team"), ("project P1", "project"), ("opnai", "connection"))
    }


def test_a_division_is_exact_and_there_is_none_by_or_of_nothing(days: Days) -> None:
    cases = [("0", "3"), ("1", "0"), ("2", "3"), ("-2", "3"), ("0.0000005", "1"), ("9999999999999", "0.000001")]
    days = billed_by_openai(days, *((DAY, f"p{n}", usd) for n, (usd, _) in enumerate(cases)))
    state(days, *(metric(quantity, DAY, "project", f"p{n}") for n, (_, quantity) in enumerate(cases)))
    assert [*unit_costs(days).values()] == [made(*each, 1, "accounting.metrics") for each in cases]
