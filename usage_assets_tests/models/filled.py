"""Days for exports."""

from datetime import date
from decimal import Decimal

from usage_assets.config.accounting import Invoice, Purchase
from usage_assets.providers.anthropic.reports import CostReport
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets_tests.models.days import Days, raw
from usage_assets_tests.models.stated import FOUR_CENTS, stating

PACK = Purchase(
    connection="chatgpt",
    kind="credits",
    quantity=Decimal(100),
    amount=Decimal("3.5"),
    id="order 9",
    valid_from=date(2026, 11, 5),
    valid_until=date(2027, 1, 31),
)
SMALLEST = Decimal("0.000000000000000000000001")
INVOICE = Invoice(connection="openai", month="2026-11", total=Decimal(1), id="INV-1", issued=date(2026, 12, 1))


def fill(days: Days) -> Days:
    days = stating(days, credit_rates=[FOUR_CENTS], purchases=[PACK], invoices=[INVOICE])
    days.fetched(
        Costs,
        raw(Costs, amount_value=SMALLEST, line_item="gpt-5, input", project_id="p, q", api_key_id='"k"'),
        raw(Costs, amount_value=Decimal("-20"), line_item="gpt-5, input"),
        raw(Costs, amount_value=Decimal("0.1"), amount_currency="eur", line_item="gpt-5, output"),
    )
    days.fetched(CostReport, raw(CostReport, amount_cents=Decimal("12.345"), workspace_id="w"))
    days.fetched(
        CodexUsage,
        raw(CodexUsage, credits=Decimal("12.5")),
        raw(CodexUsage, credits=Decimal("7.5"), workspace_id="another"),
    )
    for file in ("openai_costs", "anthropic_cost_report", "chatgpt_codex_usage"):
        days.derive(file)
    return days
