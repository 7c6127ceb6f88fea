"""GitHub's bill of all products: AI is a cost once, everything else is named with its dollars."""

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from usage_assets.core.schema import Row
from usage_assets.features.report.period import Period
from usage_assets.models.costs import VIEWS
from usage_assets.models.model import sql_files
from usage_assets.providers.focus.charges import Charges
from usage_assets.providers.github_copilot.billing import AiCredits, BillingUsage, PremiumRequests, unit_of
from usage_assets.warehouse.checks import differences
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.values import WarehouseError
from usage_assets.warehouse.views import make_views
from usage_assets_tests.features.report.one_figure import rows_of_figure
from usage_assets_tests.models.days import DAY, Days, days_from, raw

SEATS = ("Copilot", "Copilot Business", "user-months")
CREDITS = ("Copilot", "Copilot AI Credits", "ai-credits")
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


ITEMS: Sequence[tuple[tuple[str, str, str | None], bool, str | None]] = [
    (SEATS, True, None),
    (("copilot", "copilot_for_business", "User-Months"), True, None),
    (("Models", "Models inference", "token-units"), True, None),
    (("models", "models_inference", "Requests"), True, None),
    (("Other", "models_inference", None), True, None),
    (("models", "models_inference", "ai-credits"), False, METERED),  # billed per model in the report of AI credits
    (CREDITS, False, METERED),
    (("Copilot", "copilot_ai_unit", "ai-units"), False, METERED),
    (("Copilot", "Copilot Premium Request", "requests"), False, METERED),
    (("Copilot", "models_inference", "requests"), False, METERED),  # of Copilot, whatever its SKU
    (("Spark", "Spark AI credits", "ai-credits"), False, METERED),
    (("Spark", "Spark premium requests", "premium-requests"), False, METERED),
    (("Spark", "Spark premium requests", None), False, UNKNOWN),  # the unit decides
    (("code_quality", "Copilot Cloud Agent", "AICredits"), False, METERED),
    (("Copilot", "copilot_premium_request", "credits"), False, METERED),
    (("Actions", "actions_api", "requests"), False, NO_AI),
    (("Spark", "spark_premium_request", "requests"), False, METERED),
    (("Actions", "Actions Linux", "minutes"), False, NO_AI),
    (("git_lfs", "git_lfs_storage", "GigabyteHours"), False, NO_AI),
    (("GitHub Advanced Security", "ghas_licenses", "user-months"), False, NO_AI),
    (("Agents", "agents_inference", "minutes"), False, UNKNOWN),
]
"""Product, SKU and unit; whether they are a cost; why they are left out."""


def test_each_product_is_a_cost_or_elsewhere_or_named(days: Days) -> None:
    """Each day bills another item."""
    stored = days_from(len(ITEMS))
    items = [billed_item(item, "44", usage_date=day) for day, (item, *_) in zip(stored, ITEMS, strict=True)]
    days.fetched(BillingUsage, *items, last=stored[-1])
    costs = [
        (row["usage_date"], row["native_amount"]) for row in days.rows("github_copilot_billing_usage", last=stored[-1])
    ]
    query = "select usage_date, product, amount, reason, is_unknown from costs.left_out order by usage_date"
    left = days.tuples(query)
    totals = billed_by_day(days, "github_copilot.billing_usage", "seats_amount", "models_amount")
    by_case = [*zip(stored, ITEMS, strict=True)]
    assert costs == [(day, 44) for day, (_, is_cost, _) in by_case if is_cost]
    assert totals == {day: 44 if is_cost else 0 for day, (_, is_cost, _) in by_case}
    assert left == [
        (day, f"{product}, {sku}", 44, reason, reason == UNKNOWN)
        for day, ((product, sku, _), _, reason) in by_case
        if reason
    ]
    found = warnings(days, "daily_costs/github_copilot_billing_usage.left_out", stored[-1])
    unknown = [product for _, ((product, *_), _, reason) in by_case if reason == UNKNOWN]
    assert len(found) == len(unknown), found
    assert all(product in text and "44" in text for product, text in zip(unknown, found, strict=True)), found


GPT = {"product": "Copilot", "model": "GPT-5"}
CREDIT: dict[str, Any] = {**GPT, "sku": "Copilot AI Credits", "unit_type": "AI credits", "unit": "ai-credits"}
REQUEST: dict[str, Any] = {**GPT, "sku": "Copilot Premium Request", "unit_type": "requests", "unit": "requests"}
REPORTS: dict[type[AiCredits | PremiumRequests], str] = {
    AiCredits: "github_copilot_ai_credits",
    PremiumRequests: "github_copilot_premium_requests",
}


def metered(days: Days, **billed: tuple[str | None, str | None]) -> dict[str, Decimal]:
    """Store what each report states of (credits, requests), in this order; return what each then costs."""
    for name, amounts in billed.items():
        row = AiCredits if name == "ai_credits" else PremiumRequests
        units = zip((CREDIT, REQUEST), amounts, strict=True)
        days.fetched(row, *(raw(row, **unit, net_amount=usd) for unit, usd in units if usd))
    rows = {
        row.table.removeprefix("github_copilot."): days.rows(file)
        for row, file in REPORTS.items()
        if row.table.removeprefix("github_copilot.") in billed
    }
    return {name: sum((row["native_amount"] for row in found), Decimal()) for name, found in rows.items()}


@pytest.mark.parametrize(
    ("billed", "costs"),
    [
        ({"ai_credits": ("5", None), "premium_requests": ("5", "2")}, {"ai_credits": 5, "premium_requests": 2}),
        ({"ai_credits": ("5", "2"), "premium_requests": ("5", "2")}, {"ai_credits": 5, "premium_requests": 2}),
        ({"premium_requests": ("5", "2")}, {"premium_requests": 7}),  # switched off, or refused
        ({"ai_credits": ("5", "2")}, {"ai_credits": 7}),
        ({"ai_credits": (None, None), "premium_requests": ("5", "2")}, {"ai_credits": 0, "premium_requests": 7}),
    ],
)
def test_a_unit_that_two_reports_state_is_billed_by_its_owner(
    days: Days, billed: dict[str, tuple[str | None, str | None]], costs: dict[str, int]
) -> None:
    """Since June 2026, the report of premium requests may repeat the AI credits of the other report."""
    assert metered(days, **billed) == costs
    assert warnings(days, "github_copilot_premium_requests.repeated") == []
    totals = billed_by_day(days, "github_copilot.premium_requests", "net_amount")
    assert totals == ({DAY: 2} if "premium_requests" in billed else {}), (
        "a restatement of what is repeated corrects no invoice"
    )


def test_the_unit_decides_and_not_the_sku(days: Days) -> None:
    """AI credits are also sent as copilot_premium_request, and in several spellings: none is counted twice."""
    credit = {**CREDIT, "sku": "copilot_premium_request", "unit_type": "credits", "net_amount": "9.45"}
    days.fetched(AiCredits, raw(AiCredits, **CREDIT, net_amount="9.45"))
    days.fetched(PremiumRequests, raw(PremiumRequests, **credit))
    assert [days.rows(file) for file in REPORTS.values()][1] == []


def test_what_is_repeated_is_compared_with_its_owner(days: Days) -> None:
    metered(days, ai_credits=("5", None), premium_requests=("5.25", "2"))
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


def test_the_report_names_what_bills_leave_out_of_costs(days: Days) -> None:
    """Of GitHub and of files alike, each with its dollars and the reason. A product that costs nothing is no row."""
    items = [(SEATS, "19"), (("Actions", "Actions Linux", "minutes"), "8"), (("New", "new_sku", None), "44")]
    days.spent(BillingUsage, *(billed_item(item, usd) for item, usd in items))
    days.spent(
        Charges,
        raw(Charges, service_name="Amazon S3", left_out_rows=7, billed_cost=100),
        raw(Charges, service_name="Amazon SQS", left_out_rows=1, billed_cost=0),
        raw(Charges, service_name="Amazon Bedrock", billed_cost=5),
    )
    rows = rows_of_figure(days.warehouse, "left_out", Period.of_days(DAY, DAY))
    assert [(row["connection"], row["product"], row["amount"], row["why"]) for row in rows] == [
        ("github_copilot", "New, new_sku", 44, UNKNOWN),
        ("focus", "Amazon S3", 100, "a service that the connection does not take"),
        ("github_copilot", "Actions, Actions Linux", 8, NO_AI),
    ]
