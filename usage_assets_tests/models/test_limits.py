"""The providers' limits beside our budgets: whole units of the currency, and the difference to the last digit."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from usage_assets.config.accounting import Budget
from usage_assets.core.schema import LookupRow, to_arrow
from usage_assets.models.costs import VIEWS, DailyCost
from usage_assets.models.model import money_seed
from usage_assets.providers.anthropic.lookups import SpendLimits as AnthropicLimits
from usage_assets.providers.github_copilot.lookups import Budgets as CopilotBudgets
from usage_assets.providers.openai.lookups import SpendLimits as OpenaiLimits
from usage_assets.warehouse.lookups import record
from usage_assets.warehouse.migrate import create_or_alter, write_seed
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.views import make_views
from usage_assets_tests.models.days import Days
from usage_assets_tests.models.test_valuation import stating

SINCE = datetime(2026, 11, 1, tzinfo=UTC)
MONTHLY: dict[str, Any] = {"valid_from": SINCE, "currency": "USD"}


def test_a_limit_stands_beside_the_budget_of_its_scope_and_either_may_be_missing(days: Days) -> None:
    budgets = [
        Budget(name="project", project="p1", amount=Decimal("1200.505")),
        Budget(name="quarter", project="p2", amount=Decimal(9), period="quarter"),
        Budget(name="organization", connection="openai", amount=Decimal(6000)),
        Budget(name="credits", workspace="w1", credits=Decimal(7)),
    ]
    days = stating(days, budgets=budgets)
    openai: list[LookupRow] = [
        OpenaiLimits(
            connection="openai", id="organization", threshold_amount=Decimal(500_000), interval="month", **MONTHLY
        ),
        OpenaiLimits(
            connection="openai",
            id="p1",
            project_id="p1",
            threshold_amount=Decimal(120_050),
            interval="month",
            enforcement_status="enforcing",
            **MONTHLY,
        ),
    ]
    anthropic: list[LookupRow] = [
        AnthropicLimits(
            connection="anthropic",
            id="spl_1",
            scope_type="workspace",
            workspace_id="w1",
            period="monthly",
            amount=Decimal(50_001),
            currency="JPY",
            valid_from=SINCE,
        ),
        AnthropicLimits(
            connection="anthropic",
            id="spl_2",
            scope_type="user",
            user_id="u",
            period="weekly",
            is_enabled=False,
            **MONTHLY,
        ),
    ]
    anthropic += [
        AnthropicLimits(
            connection="anthropic", id=f"spl_{name}", scope_type=name, period="daily", amount=Decimal(100), **more
        )
        for name, more in (
            ("seat_tier", {"seat_tier": "premium", **MONTHLY}),
            ("organization_service", {"service": "claude_code", **MONTHLY}),
        )
    ]
    of_copilot: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("organization", "copilot", {"budget_amount": Decimal(900), "prevent_further_usage": True}),
        ("user", "ai_credits", {"budget_amount": Decimal(20), "user": "alice", "budget_entity_name": "acme"}),
        ("organization", "actions", {"budget_amount": Decimal(100)}),
        ("organization", "copilot_for_business", {"budget_amount": Decimal(30)}),
        ("enterprise", "ai_credits", {"budget_amount": Decimal(7000), "enterprise": "acme"}),
        (
            "organization",
            "ai_credits",
            {"budget_amount": Decimal(70), "enterprise": "acme", "budget_entity_name": "labs"},
        ),
        ("multi_user_customer", "ai_credits", {"budget_amount": Decimal(7), "enterprise": "acme"}),
    )
    copilot: list[LookupRow] = [
        CopilotBudgets(
            connection="enterprise" if "enterprise" in more else "copilot",
            id=str(n),
            valid_from=SINCE,
            budget_scope=scope,
            budget_product_sku=sku,
            **more,
        )
        for n, (scope, sku, more) in enumerate(of_copilot)
    ]
    for row, limits in ((OpenaiLimits, openai), (AnthropicLimits, anthropic), (CopilotBudgets, copilot)):
        for name in dict.fromkeys(limit.connection for limit in limits):
            own = [limit for limit in limits if limit.connection == name]
            record(days.warehouse, Table(row), to_arrow(row, own), name, SINCE, {})
    with days.warehouse.transaction() as database:
        write_seed(database, money_seed(days.accounting, datetime.now(UTC)))
        create_or_alter(database, Table(DailyCost))
        make_views(database, VIEWS)
    found = days.warehouse.read(
        "select scope_type, scope_id, period, currency, limit_amount, enforced, budget, budget_amount, difference "
        "from costs.budgets_and_limits order by all"
    )
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        ("multi_user_customer", None, "month", "USD", 7, None, None, None, None),
        ("organization", "copilot", "month", "USD", 900, True, None, None, None),
        ("organization", "enterprise", "month", "USD", 7000, None, None, None, None),
        ("organization", "openai", "month", "USD", 5000, None, "organization", 6000, -1000),
        ("organization_of_enterprise", "labs", "month", "USD", 70, None, None, None, None),
        ("organization_service", "claude_code", "day", "USD", 1, None, None, None, None),
        ("project", "p1", "month", "USD", Decimal("1200.50"), True, "project", Decimal("1200.505"), Decimal("-0.005")),
        ("project", "p2", "quarter", "USD", None, None, "quarter", 9, None),
        ("seat_tier", "premium", "day", "USD", 1, None, None, None, None),
        ("user", "alice", "month", "USD", 20, None, None, None, None),
        ("user", "u", "week", "USD", None, False, None, None, None),
        ("workspace", "w1", "month", "JPY", 50_001, None, None, None, None),
        ("workspace", "w1", "month", None, None, None, "credits", 7, None),
    ]
