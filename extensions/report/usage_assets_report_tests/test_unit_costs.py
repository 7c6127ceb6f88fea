"""What was spent on a day beside what was made with it: the same days and scope, unknown is never 0, bases apart."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from usage_assets.config.accounting import MetricRow, Owner
from usage_assets.core.schema import Row
from usage_assets.models.costs import COSTS
from usage_assets.providers.anthropic.reports import CostReport
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import UsageCompletions, UsageEmbeddings, UsageModerations, UsageVectorStores
from usage_assets.warehouse.database import Warehouse
from usage_assets_report.period import Period
from usage_assets_report_tests.computed import store_insights
from usage_assets_report_tests.one_figure import rows_of_figure
from usage_assets_tests.models.days import DAY, Days, days_from, emptied, raws
from usage_assets_tests.models.stated import stating
from usage_assets_vendors.cursor.usage import DailyUsage, UsageEvents
from usage_assets_vendors.github_copilot.billing import BillingUsage
from usage_assets_vendors.github_copilot.metrics import Organization1Day, Users1Day
from usage_assets_vendors.openrouter.activity import Activity

_, SECOND, THIRD = days_from(3)
PERIOD = Period.of_days(DAY, THIRD)
FILES = {cost.file for cost in COSTS}
Found = Mapping[tuple[str, str, str], dict[str, Any]]


def store(days: Days, name: str, row: type[Row], text: str = "", last: date = THIRD, first: date = DAY) -> None:
    """Store three days of a report of a connection, or those up to ``last``, and what they cost."""
    days.fetched(row, *(raws(row, text, connection=name) if text else ()), connection=name, first=first, last=last)
    if (file := row.table.replace(".", "_")) in FILES:
        days.derive(file, name, first, last)


def unit_costs(days: Days) -> Found:
    """The report's rows of three days: scope, metric and cost basis -> row."""
    rows = rows_of_figure(days.warehouse, "unit_costs", PERIOD)
    return {(row.pop("scope"), row.pop("metric"), row.pop("cost_basis")): row for row in rows}


NO_COUNTER = "a counter is missing"
MIXED = "own keys and credits in one row"


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


# What providers count: a connection for each test


COMPLETIONS = """
    usage_date  num_model_requests  user_id  input_tokens
    0           2000                u        10
    1           2000                u        10
    2           2000                u        10
"""
"""Use of a model, and what is added to that of a connection."""
ROUTER = """
    usage_date  requests  usage  byok_usage_inference  provider_name
    0           1         0.15   -                     .
    0           10        1      5                     Azure
    0           4         0      2                     Groq
    1           3         0.2    0                     .
"""
MERGED = """
    usage_date  prs_merged_by_copilot
    -3          1
    -2          1
    -1          1
    0           2
    1           2
    2           2
"""
TEN_A_DAY = MERGED.replace("prs_merged_by_copilot", "net_amount").replace("  1\n", "  10\n").replace("  2\n", "  10\n")


@pytest.fixture(scope="module")
def counted(warehouse: Warehouse) -> tuple[Found, list[Any]]:
    """The figure of all connections, and a router's rows of a day."""
    with emptied(warehouse):
        days = Days(warehouse)
        # Store what providers count.
        store(days, "people", Users1Day, "usage_date  user_login\n0  bob\n1  bob\n2  bob")
        lines = "usage_date  loc_added_sum  prs_merged_by_copilot\n0  5  2\n1  5  2\n2  5  2"
        store(days, "people", Organization1Day, lines)
        store(days, "people", BillingUsage, "net_amount  sku\n19  seat")
        first = DAY - timedelta(days=3)
        store(days, "before", Organization1Day, MERGED, first=first)
        store(days, "before", BillingUsage, TEN_A_DAY, first=first)
        store(days, "unknown", Organization1Day, lines.replace("5  2", "5  1").replace("2  5  1", "2  5  -"))
        store(days, "unknown", BillingUsage, "usage_date  net_amount\n0  10\n1  10\n2  10")
        store(
            days, "plan", UsageEvents, "charge  events  charged_cents\nbilled  2  700\nincluded  3  100\nown_key  50  0"
        )
        store(days, "plan", DailyUsage, "user_id  is_active  accepted_lines_added\na  yes  0\nb  yes  1\nidle  no  0")
        for name, unknown in (("requests", ""), ("one unknown", "0  -  v  10"), ("nothing known", "0  -  -  -")):
            store(days, name, Costs, "usage_date  amount_value\n0  3\n1  5\n2  7")
            store(days, name, UsageCompletions, COMPLETIONS + unknown)
            store(days, name, UsageVectorStores, "usage_bytes\n1", last=DAY)  # counts no requests
            store(days, name, UsageModerations, last=DAY)  # switched off since: the other days do not need it
            for day in (DAY, THIRD):
                store(days, name, UsageEmbeddings, first=day, last=day)
        store(days, "router", Activity, ROUTER)
        head, _, second, third, _ = ROUTER.strip().splitlines()
        store(days, "mixed", Activity, "\n".join((head, second, third)))
        of_router = days.read(f"from costs.unit_costs where usage_date = date '{DAY}' and scope_id = 'router'")
        return unit_costs(days), of_router


def of(name: str, counted: tuple[Found, list[Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Metric and basis -> row of a connection."""
    return {key[1:]: row for key, row in counted[0].items() if key[0] == name}


def test_people_are_counted_once_in_a_period_and_a_day_of_an_unknown_counter_is_out(counted: Any) -> None:
    source = "github_copilot.organization_1_day"
    assert of("people", counted) == {
        ("active people", "billed"): made("19", "1", 3, "github_copilot.users_1_day"),
        ("accepted lines", "billed"): made("19", "15", 3, source),
        ("merged pull requests", "billed"): made("19", "6", 3, source),
    }
    assert of("unknown", counted) == {
        ("accepted lines", "billed"): made("30", "15", 3, source),
        ("merged pull requests", "billed"): made("20", "2", 2, source, "10", NO_COUNTER),
    }
    row = of("before", counted)["merged pull requests", "billed"]
    assert (row["usd_per_unit"], row["usd_per_unit_before"]) == (5, 10), "$10 a day, for one before and then for two"


def test_what_a_plan_covers_is_apart_and_use_of_an_own_key_is_not_counted(counted: Any) -> None:
    assert {key: (row["usd"], row["quantity"]) for key, row in of("plan", counted).items()} == {
        (name, basis): (usd, quantity)
        for basis, usd, requests in (("billed", 7, "0.002"), ("notional", 1, "0.003"))
        for name, quantity in (("thousand requests", Decimal(requests)), ("active people", 2), ("accepted lines", 1))
    }


def test_requests_count_on_days_on_which_no_report_of_usage_is_missing(counted: Any) -> None:
    source = "openai.usage_*"
    assert of("requests", counted) == {
        (name, "billed"): made("10", quantity, 2, source)
        for name, quantity in (("thousand requests", "4"), ("active people", "1"))
    }
    unknown = of("one unknown", counted)["thousand requests", "billed"]
    assert unknown == made("7", "2", 1, source, "3", NO_COUNTER)
    assert of("nothing known", counted)["thousand requests", "billed"]["quantity"] == 2, "nothing of the row is known"


def test_requests_and_dollars_are_of_the_same_rows_of_a_router(counted: Any) -> None:
    """A row may have requests with an own key and requests on credits. Nobody knows how many of which: its requests
    count nowhere, and so do its dollars. 0.15 / 0.001 is 150; all dollars would make 1,150 of it."""
    metric, source = ("thousand requests", "billed"), "openrouter.activity"
    assert of("router", counted) == {metric: made("0.35", "0.004", 3, source, "1", MIXED)}
    [row] = counted[1]
    assert (row["amount_usd"], row["quantity"]) == (Decimal("0.15"), Decimal("0.001"))
    assert (row["left_out_usd"], row["left_out_reason"]) == (1, MIXED)
    assert of("mixed", counted) == {metric: made("0", "0", 3, source, "1", MIXED)}, "it does not vanish"


# What users count


def state(days: Days, text: str) -> None:
    """Store numbers of users' own: day, scope and its id, value."""
    rows = [
        MetricRow(DAY + timedelta(days=int(day)), kind, "" if kind == "all" else name, "merged", Decimal(value))
        for day, kind, name, value in (line.split() for line in text.strip().splitlines())
    ]
    store_insights(days.warehouse, {MetricRow: rows})


def billed_by_openai(days: Days, text: str) -> Days:
    """Store costs of projects, of which p1 is owned by web."""
    days = stating(days, owners=[Owner(project="p1", team="web")])
    store(days, "openai", Costs, f"usage_date  project_id  amount_value  amount_currency\n{text}")
    return days


SOURCE = "accounting.metrics"


def test_a_day_that_lacks_a_source_of_costs_is_left_out_and_it_says_so(days: Days) -> None:
    """But for a connection that has all of its own."""
    days = billed_by_openai(days, "0  p1  1  usd\n1  p1  1  usd\n2  p1  1  usd")
    for day in (DAY, THIRD):
        store(days, "anthropic", CostReport, first=day, last=day)
    scopes = ("all -", "project p1", "connection openai")
    state(days, "\n".join(f"{day} {scope} 1" for scope in scopes for day in range(3)))
    assert [(row["days_with_both"], row["quantity"]) for row in unit_costs(days).values()] == [(2, 2), (2, 2), (3, 3)]


DIVISIONS = (
    *(("0", "3"), ("1", "0"), ("2", "3"), ("-2", "3"), ("0.0000005", "1")),
    ("9999999999999", "0.000001"),
)


def test_a_division_is_exact_and_of_nothing_there_is_none(days: Days) -> None:
    """A scope without any costs may be misspelled: it is unknown and has not spent nothing. A known one that spent
    nothing on a day did. An amount without dollars takes its day out."""
    costs = "".join(f"0  d{n}  {usd}  usd\n" for n, (usd, _) in enumerate(DIVISIONS))
    days = billed_by_openai(days, f"{costs}0  p1  1  usd\n1  p2  1  usd\n0  e  1  eur\n1  e  1  usd")
    scopes = ("team web", "team wbe", "project P1", "connection opnai", "project e")
    divided = [f"0 project d{n} {quantity}" for n, (_, quantity) in enumerate(DIVISIONS)]
    state(days, "\n".join([*divided, *(f"{day} {scope} 1" for scope in scopes for day in (0, 1))]))
    found = {scope: row for (scope, *_), row in unit_costs(days).items()}
    for n, each in enumerate(DIVISIONS):
        assert found.pop(f"project d{n}") == made(*each, 1, SOURCE), each
    assert found.pop("team web") == made("1", "2", 2, SOURCE)
    assert found.pop("project e") == made("1", "1", 1, SOURCE, because="an amount has no dollar value")
    assert {name: (row["usd"], row["usd_per_unit"], row["left_out_because"]) for name, row in found.items()} == {
        name: (None, None, f"{kind} without stored costs")
        for name, kind in (("team wbe", "team"), ("project P1", "project"), ("opnai", "connection"))
    }
