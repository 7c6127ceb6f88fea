"""GitHub's bill of all products: AI is a cost once, everything else is named with its dollars."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from usage_assets.core.schema import Row
from usage_assets.models.costs import VIEWS
from usage_assets.models.model import sql_files
from usage_assets.warehouse.checks import differences
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.values import WarehouseError
from usage_assets.warehouse.views import make_views
from usage_assets_tests.models.days import DAY, Days, cases, days_from, lines, raw, seen
from usage_assets_vendors.github_copilot.billing import AiCredits, BillingUsage, PremiumRequests, unit_of
from usage_assets_vendors.github_copilot.metrics import Users1Day

UNKNOWN, NO_AI = "a product that is not known: it may be AI", "no AI product"
METERED = "metered use, of which no report by model is stored"


def billed_item(item: tuple[str, str, str | None], usd: str, **values: Any) -> Row:
    """A row of GitHub's bill: product, SKU and unit, and what is billed."""
    product, sku, unit = item
    of = {"product": product, "sku": sku, "unit_type": unit, "unit": unit_of({"unitType": unit}), **values}
    return raw(BillingUsage, net_amount=usd, gross_amount=90, **of)


def billed_by_day(days: Days, table: str, *names: str) -> dict[date, Decimal]:
    """What the ledger says that each day of a report was billed."""
    query = "select usage_date, day_totals from ledger.stored_days where table_name = $table"
    return {
        row["usage_date"]: sum((Decimal(json.loads(row["day_totals"]).get(name) or 0) for name in names), Decimal())
        for row in days.read(query, {"table": table})
    }


def warnings(days: Days, pattern: str, last: date = DAY) -> list[str]:
    [path] = sql_files(f"warnings/{pattern}.sql")
    with days.warehouse.transaction() as database:
        make_views(database, VIEWS)
        return [found.text for found in differences(database, path.read_text(), Slice("github_copilot", DAY, last))]


ITEMS = [
    tuple(None if cell == "-" else cell for cell in line)
    for line in lines("""
    Copilot                   Copilot Business         user-months       cost
    copilot                   copilot_for_business     User-Months       cost
    Models                    Models inference         token-units       cost
    models                    models_inference         Requests          cost
    Other                     models_inference         -                 cost
    models                    models_inference         ai-credits        metered
    Copilot                   Copilot AI Credits       ai-credits        metered
    Copilot                   copilot_ai_unit          ai-units          metered
    Copilot                   Copilot Premium Request  requests          metered
    Copilot                   models_inference         requests          metered
    Spark                     Spark AI credits         ai-credits        metered
    Spark                     Spark premium requests   premium-requests  metered
    Spark                     Spark premium requests   -                 unknown
    code_quality              Copilot Cloud Agent      AICredits         metered
    Copilot                   copilot_premium_request  credits           metered
    Actions                   actions_api              requests          no AI
    Spark                     spark_premium_request    requests          metered
    Actions                   Actions Linux            minutes           no AI
    git_lfs                   git_lfs_storage          GigabyteHours     no AI
    GitHub Advanced Security  ghas_licenses            user-months       no AI
    Agents                    agents_inference         minutes           unknown
    """)
]
"""Product, SKU and unit, and whether they are a cost or left out, and why. AI credits of models are billed per model in
the report of AI credits; of Copilot all is metered, whatever its SKU; of Spark the unit decides."""
REASONS = {"unknown": UNKNOWN, "no AI": NO_AI, "metered": METERED}


def test_each_product_is_a_cost_or_elsewhere_or_named(days: Days) -> None:
    """Each day bills another item."""
    by_case = [*zip(days_from(len(ITEMS)), ITEMS, strict=True)]
    last = by_case[-1][0]
    items = [
        billed_item((product or "", sku or "", unit), "44", usage_date=day) for day, (product, sku, unit, _) in by_case
    ]
    days.fetched(BillingUsage, *items, last=last)
    rows = days.rows("github_copilot_billing_usage", last=last)
    query = "select usage_date, product, amount, reason, is_unknown from costs.left_out order by usage_date"
    left = days.tuples(query)
    totals = billed_by_day(days, "github_copilot.billing_usage", "seats_amount", "models_amount")
    assert [(row["usage_date"], row["native_amount"]) for row in rows] == [
        (day, 44) for day, (*_, is_) in by_case if is_ == "cost"
    ]
    assert totals == {day: 44 if is_ == "cost" else 0 for day, (*_, is_) in by_case}
    assert left == [
        (day, f"{product}, {sku}", 44, REASONS[is_], is_ == "unknown")
        for day, (product, sku, _, is_) in by_case
        if is_ in REASONS
    ]
    found = warnings(days, "daily_costs/github_copilot_billing_usage.left_out", last)
    unknown = [product for _, (product, *_, is_) in by_case if is_ == "unknown"]
    assert len(found) == len(unknown), found
    assert all(str(product) in text and "44" in text for product, text in zip(unknown, found, strict=True)), found


GPT = {"product": "Copilot", "model": "GPT-5"}
CREDIT: dict[str, Any] = {**GPT, "sku": "Copilot AI Credits", "unit_type": "AI credits", "unit": "ai-credits"}
REQUEST: dict[str, Any] = {**GPT, "sku": "Copilot Premium Request", "unit_type": "requests", "unit": "requests"}
REPORTS = {
    AiCredits: "github_copilot_ai_credits",
    PremiumRequests: "github_copilot_premium_requests",
}
METERED_DAYS = """
    5  -  5  2  5  2
    5  2  5  2  5  2
    .  .  5  2  .  7
    5  2  .  .  7  .
    -  -  5  2  0  7
"""
"""Credits and requests that the report of AI credits states, and that of premium requests; what each then costs. A
point: it is switched off, or refused."""


def test_a_unit_that_two_reports_state_is_billed_by_its_owner(days: Days) -> None:
    """Since June 2026, the report of premium requests may repeat the AI credits of the other report. A restatement of
    what is repeated corrects no invoice."""
    cases = [*zip(days_from(5), lines(METERED_DAYS), strict=True)]
    for n, row in enumerate(REPORTS):
        for day, cells in cases:
            amounts = cells[2 * n : 2 * n + 2]
            if "." not in amounts:
                units = zip((CREDIT, REQUEST), amounts, strict=True)
                stored = [raw(row, usage_date=day, **unit, net_amount=usd) for unit, usd in units if usd != "-"]
                days.fetched(row, *stored, first=day)
    for day, cells in cases:
        for (row, file), costs in zip(REPORTS.items(), cells[4:], strict=True):
            if costs != ".":
                found = days.rows(file, first=day)
                assert sum(each["native_amount"] for each in found) == int(costs), (day, row)
    assert warnings(days, "github_copilot_premium_requests.repeated", cases[-1][0]) == []
    totals = billed_by_day(days, "github_copilot.premium_requests", "net_amount")
    assert totals == {day: 2 for day, cells in cases if cells[3] != "."}


def test_the_unit_decides_and_not_the_sku_and_what_is_repeated_is_compared_with_its_owner(days: Days) -> None:
    """AI credits are also sent as copilot_premium_request, and in several spellings: none is counted twice."""
    credit = {**CREDIT, "sku": "copilot_premium_request", "unit_type": "credits", "net_amount": "5.25"}
    days.fetched(AiCredits, raw(AiCredits, **CREDIT, net_amount="5"))
    days.fetched(PremiumRequests, raw(PremiumRequests, **credit))
    assert [len(days.rows(file)) for file in REPORTS.values()] == [1, 0]
    [found] = warnings(days, "github_copilot_premium_requests.repeated")
    assert found == (
        "net amount of ai-credits: the report that owns them says $5.00, and the other metered report $5.25 "
        "($0.25 apart)"
    )


def test_rows_without_a_unit_are_in_no_total(days: Days) -> None:
    """An earlier release stored none: the day's costs stay as they are until it is read from the archive again."""
    days.fetched(PremiumRequests, raw(PremiumRequests, **{**REQUEST, "unit": None}))
    with pytest.raises(WarehouseError, match=r"holds \$0.00, and the rows that it is computed from hold \$1.00"):
        days.derive("github_copilot_premium_requests")


def test_the_metered_reports_are_compared_with_all_metered_rows_of_the_bill(days: Days) -> None:
    credit = {"unit_type": "ai-credits", "unit": "ai-credits", "gross_amount": 0, "discount_amount": 0}
    spark = {"product": "Spark", "sku": "Spark AI credits", "net_amount": 3, **credit}
    copilot = {"product": "Copilot", "sku": "Copilot AI Credits", "net_amount": 5, **credit}
    models = {**credit, "product": "models", "sku": "models_inference", "unit": None, "net_amount": 44}
    days.fetched(BillingUsage, *(raw(BillingUsage, **each) for each in (spark, copilot, models)))
    days.fetched(PremiumRequests, raw(PremiumRequests, **copilot))
    days.fetched(AiCredits, raw(AiCredits, **copilot), raw(AiCredits, **spark))
    assert not warnings(days, "github_copilot_billing_usage.metered")
    assert days.read("from costs.left_out") == [], "metered use is billed per model"
    days.fetched(AiCredits, raw(AiCredits, **copilot))
    [found] = warnings(days, "github_copilot_billing_usage.metered")
    assert found == (
        "net amount of ai-credits: the report of all products says $8.00, and the two metered reports $5.00 "
        "($3.00 apart)"
    )


# GitHub


THIRD = "0." + 23 * "3"
CREDITS = [
    *cases(f"""
    a 1, b 1, c 1 -> a {THIRD}4, b {THIRD}3, c {THIRD}3
    a 0.000000001, b 0.000000003 -> a 0.25, b 0.75
    a 12.5, b 0 -> a 1
    a 12.5, b - -> - 1
    a 0 -> - 1
    """),
    ("", "- 1"),
]
"""People and the credits that they used, and whose a bill of one dollar is."""


def test_github_bills_ai_credits_to_people_by_the_credits_that_they_used(days: Days) -> None:
    """Each day has a bill of one dollar: net, to the last place."""
    stored = [*zip(days_from(len(CREDITS)), CREDITS, strict=True)]
    last = stored[-1][0]
    bill = [raw(AiCredits, usage_date=day, net_amount=1, gross_amount=4) for day, _ in stored]
    days.spent(AiCredits, *bill, last=last)
    people = [
        raw(Users1Day, usage_date=day, user_login=login, ai_credits_used=None if used == "-" else used)
        for day, (text, _) in stored
        for login, used in map(str.split, filter(None, text.split(", ")))
    ]
    days.fetched(Users1Day, *people, last=last)
    rows = days.rows("github_copilot_allocated_costs", last=last)
    for day, (text, parts) in stored:
        of_day = [row for row in rows if row["usage_date"] == day]
        assert sorted(seen(of_day, "user_id native_amount")) == [tuple(part.split()) for part in parts.split(", ")]
        assert sum(row["native_amount"] for row in of_day) == 1, text
