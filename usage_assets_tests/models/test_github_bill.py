"""GitHub's bill of all products: AI is a cost once, everything else is named with its dollars."""

import json
from decimal import Decimal
from typing import Any

import pytest

from usage_assets.features.report.period import Period
from usage_assets.models.costs import VIEWS
from usage_assets.models.model import sql_files
from usage_assets.providers.focus.charges import Charges
from usage_assets.providers.github_copilot.billing import AiCredits, BillingUsage, PremiumRequests, unit_of
from usage_assets.warehouse.checks import differences
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.values import WarehouseError
from usage_assets.warehouse.views import make_views
from usage_assets_tests.models.days import DAY, Days, raw

TARGET = Slice("github_copilot", DAY, DAY)
SEATS = ("Copilot", "Copilot Business", "user-months")
CREDITS = ("Copilot", "Copilot AI Credits", "ai-credits")
UNKNOWN, NO_AI = "a product that is not known: it may be AI", "no AI product"
METERED = "metered use, of which no report by model is stored"


def bill(days: Days, *rows: tuple[tuple[str, str, str | None], str]) -> list[dict[str, Any]]:
    """Store a day of GitHub's bill; return its costs."""
    items = [
        raw(
            BillingUsage,
            product=product,
            sku=sku,
            unit_type=unit,
            unit=unit_of({"unitType": unit}),
            net_amount=Decimal(usd),
            gross_amount=Decimal(90),
        )
        for (product, sku, unit), usd in rows
    ]
    days.fetched(BillingUsage, *items)
    return days.rows("github_copilot_billing_usage")


def billed_totals(days: Days, table: str, *names: str) -> Decimal:
    """What the ledger says that a day of a report was billed."""
    query = "select day_totals from ledger.stored_days where table_name = $table"
    [stored] = days.warehouse.read(query, {"table": table}).column(0).to_pylist()
    totals = json.loads(stored)
    return sum((Decimal(totals.get(name) or 0) for name in names), Decimal())


def warnings(days: Days, pattern: str) -> list[str]:
    [path] = sql_files(f"warnings/{pattern}.sql")
    with days.warehouse.transaction() as database:
        make_views(database, VIEWS)
        return [found.text for found in differences(database, path.read_text(), TARGET)]


@pytest.mark.parametrize(
    ("item", "is_cost", "reason"),
    [
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
    ],
)
def test_each_product_is_a_cost_or_elsewhere_or_named(
    days: Days, item: tuple[str, str, str | None], *, is_cost: bool, reason: str | None
) -> None:
    costs = bill(days, (item, "44"))
    assert [cost["native_amount"] for cost in costs] == ([44] if is_cost else [])
    assert billed_totals(days, "github_copilot.billing_usage", "seats_amount", "models_amount") == (
        44 if is_cost else 0
    )
    left = days.warehouse.read("select product, amount, reason, is_unknown from costs.left_out").to_pylist()
    expected = {"product": f"{item[0]}, {item[1]}", "amount": 44, "reason": reason, "is_unknown": reason == UNKNOWN}
    assert left == ([expected] if reason else [])
    found = warnings(days, "daily_costs/github_copilot_billing_usage.left_out")
    assert [item[0] in text and "44" in text for text in found] == ([True] if reason == UNKNOWN else [])


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
        days.fetched(row, *(raw(row, **unit, net_amount=Decimal(usd)) for unit, usd in units if usd))
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
        ({"premium_requests": ("5", "2"), "ai_credits": ("5", None)}, {"ai_credits": 5, "premium_requests": 2}),
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
    totals = billed_totals(days, "github_copilot.premium_requests", "net_amount") if "premium_requests" in billed else 2
    assert totals == 2, "a restatement of what is repeated corrects no invoice"


def test_the_unit_decides_and_not_the_sku(days: Days) -> None:
    """AI credits are also sent as copilot_premium_request, and in several spellings: none is counted twice."""
    credit = {**CREDIT, "sku": "copilot_premium_request", "unit_type": "credits", "net_amount": Decimal("9.45")}
    days.fetched(AiCredits, raw(AiCredits, **CREDIT, net_amount=Decimal("9.45")))
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
    spark = {"product": "Spark", "sku": "Spark AI credits", "net_amount": Decimal(3), **credit}
    copilot = {"product": "Copilot", "sku": "Copilot AI Credits", "net_amount": Decimal(5), **credit}
    models = {**credit, "product": "models", "sku": "models_inference", "unit": None, "net_amount": Decimal(44)}
    days.fetched(BillingUsage, *(raw(BillingUsage, **each) for each in (spark, copilot, models)))
    days.fetched(PremiumRequests, raw(PremiumRequests, **copilot))
    days.fetched(AiCredits, raw(AiCredits, **copilot), raw(AiCredits, **spark))
    assert not warnings(days, "github_copilot_billing_usage.metered")
    assert days.warehouse.read("from costs.left_out").to_pylist() == [], "metered use is billed per model"
    days.fetched(AiCredits, raw(AiCredits, **copilot))
    [found] = warnings(days, "github_copilot_billing_usage.metered")
    assert found == (
        "net amount of ai-credits: the report of all products says $8.00, and the two metered reports $5.00 "
        "($3.00 apart)"
    )


def test_the_report_names_what_bills_leave_out_of_costs(days: Days) -> None:
    """Of GitHub and of files alike, each with its dollars and the reason. A product that costs nothing is no row."""
    bill(days, (SEATS, "19"), (("Actions", "Actions Linux", "minutes"), "8"), (("New", "new_sku", None), "44"))
    days.fetched(
        Charges,
        raw(Charges, service_name="Amazon S3", left_out_rows=7, billed_cost=Decimal(100)),
        raw(Charges, service_name="Amazon SQS", left_out_rows=1, billed_cost=Decimal(0)),
        raw(Charges, service_name="Amazon Bedrock", billed_cost=Decimal(5)),
    )
    days.derive("focus_charges")
    rows = days.figure("left_out", Period.of_days(DAY, DAY))
    assert [(row["connection"], row["product"], row["amount"], row["why"]) for row in rows] == [
        ("github_copilot", "New, new_sku", 44, UNKNOWN),
        ("focus", "Amazon S3", 100, "a service that the connection does not take"),
        ("github_copilot", "Actions, Actions Linux", 8, NO_AI),
    ]
