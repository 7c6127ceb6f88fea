"""The providers' limits beside our budgets: whole units of the currency, and the difference to the last digit."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from usage_assets.config.accounting import Budget
from usage_assets.core.schema import LookupRow, to_arrow
from usage_assets.models.costs import VIEWS, DailyCost
from usage_assets.models.model import money_seed
from usage_assets.providers.anthropic.lookups import SpendLimits as AnthropicLimits
from usage_assets.providers.cursor.lookups import Spend
from usage_assets.providers.github_copilot.lookups import Budgets as CopilotBudgets
from usage_assets.providers.openai.lookups import SpendLimits as OpenaiLimits
from usage_assets.warehouse.lookups import record
from usage_assets.warehouse.migrate import create_or_alter, write_seed
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.views import make_views
from usage_assets_tests.models.days import Days
from usage_assets_tests.models.test_valuation import stating

SINCE = datetime(2026, 11, 1, tzinfo=UTC)


def copilot(scope: str, sku: str, dollars: int, **more: Any) -> Mapping[str, Any]:
    return {"budget_scope": scope, "budget_product_sku": sku, "budget_amount": Decimal(dollars), **more}


BUDGETS = (
    Budget(name="project", project="p1", amount=Decimal("1200.505")),
    Budget(name="quarter", project="p2", amount=Decimal(9), period="quarter"),
    Budget(name="organization", connection="openai", amount=Decimal(6000)),
    Budget(name="credits", workspace="w1", credits=Decimal(7)),
)


OF_MEMBERS = ("hard_limit_override_dollars", "monthly_limit_dollars", "effective_limit_dollars")
LIMITS: Mapping[tuple[type[LookupRow], str], Sequence[Mapping[str, Any]]] = {
    (OpenaiLimits, "openai"): (
        {"id": "organization", "threshold_amount": Decimal(500_000), "interval": "month"},
        {
            "id": "p1",
            "project_id": "p1",
            "threshold_amount": Decimal(120_050),
            "interval": "month",
            "enforcement_status": "enforcing",
        },
    ),
    (AnthropicLimits, "anthropic"): (
        {
            "scope_type": "workspace",
            "workspace_id": "w1",
            "period": "monthly",
            "amount": Decimal(50_001),
            "currency": "JPY",
        },
        {"scope_type": "user", "user_id": "u", "period": "weekly", "is_enabled": False},
        {"scope_type": "seat_tier", "seat_tier": "premium", "period": "daily", "amount": Decimal(100)},
        {"scope_type": "organization_service", "service": "claude_code", "period": "daily", "amount": Decimal(100)},
    ),
    (CopilotBudgets, "copilot"): (
        copilot("organization", "copilot", 900, prevent_further_usage=True),
        copilot("user", "ai_credits", 20, user="alice", budget_entity_name="acme"),
        copilot("organization", "actions", 100),
        copilot("organization", "copilot_for_business", 30),
    ),
    (Spend, "cursor"): tuple(
        {"id": f"{person} of cursor", **dict(zip(OF_MEMBERS, dollars, strict=True))}
        for person, dollars in {
            "a": (Decimal(100), Decimal(200), Decimal(50)),
            "b": (Decimal(0), Decimal(200), None),
            "c": (Decimal(30), None, None),
            "d": (Decimal(0), None, None),
            "e": (None, None, None),
        }.items()
    ),
    (CopilotBudgets, "enterprise"): (
        copilot("enterprise", "ai_credits", 7000, enterprise="acme"),
        copilot("organization", "ai_credits", 70, enterprise="acme", budget_entity_name="labs"),
        copilot("multi_user_customer", "ai_credits", 7, enterprise="acme"),
    ),
}
"""Lookup and connection -> the limits that the provider lists. Dollars, if nothing else is said."""


def test_a_limit_stands_beside_the_budget_of_its_scope_and_either_may_be_missing(days: Days) -> None:
    days = stating(days, budgets=BUDGETS)
    for (row, connection), limits in LIMITS.items():
        currency = {} if row in (CopilotBudgets, Spend) else {"currency": "USD"}
        listed = [
            row(connection=connection, valid_from=SINCE, **{"id": str(n), **currency, **limit})
            for n, limit in enumerate(limits)
        ]
        record(days.warehouse, Table(row), to_arrow(row, listed), connection, SINCE, {})
    with days.warehouse.transaction() as database:
        write_seed(database, money_seed(days.accounting, datetime.now(UTC)))
        create_or_alter(database, Table(DailyCost))
        make_views(database, VIEWS)
    found = days.tuples(
        "select scope_type, scope_id, period, currency, limit_amount, enforced, budget, budget_amount, difference "
        "from costs.budgets_and_limits order by all"
    )
    assert found == [
        ("multi_user_customer", None, "month", "USD", 7, None, None, None, None),
        ("organization", "copilot", "month", "USD", 900, True, None, None, None),
        ("organization", "enterprise", "month", "USD", 7000, None, None, None, None),
        ("organization", "openai", "month", "USD", 5000, None, "organization", 6000, -1000),
        ("organization_of_enterprise", "labs", "month", "USD", 70, None, None, None, None),
        ("organization_service", "claude_code", "day", "USD", 1, None, None, None, None),
        ("project", "p1", "month", "USD", Decimal("1200.50"), True, "project", Decimal("1200.505"), Decimal("-0.005")),
        ("project", "p2", "quarter", "USD", None, None, "quarter", 9, None),
        ("seat_tier", "premium", "day", "USD", 1, None, None, None, None),
        ("user", "a of cursor", "month", "USD", 50, True, None, None, None),
        ("user", "alice", "month", "USD", 20, None, None, None, None),
        ("user", "b of cursor", "month", "USD", 200, True, None, None, None),
        ("user", "c of cursor", "month", "USD", 30, True, None, None, None),
        ("user", "u", "week", "USD", None, False, None, None, None),
        ("workspace", "w1", "month", "JPY", 50_001, None, None, None, None),
        ("workspace", "w1", "month", None, None, None, "credits", 7, None),
    ]
