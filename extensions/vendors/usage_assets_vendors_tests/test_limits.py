"""The providers' limits beside our budgets: whole units of the currency, and the difference to the last digit."""

from collections.abc import Mapping
from datetime import UTC, datetime

from usage_assets.config.accounting import Budget
from usage_assets.core.schema import LookupRow
from usage_assets.models.costs import VIEWS, DailyCost
from usage_assets.providers.anthropic.lookups import SpendLimits as AnthropicLimits
from usage_assets.providers.openai.lookups import SpendLimits as OpenaiLimits
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.views import make_views
from usage_assets_tests.models.days import Days, lines, listed_in, seen
from usage_assets_tests.models.stated import entries, state
from usage_assets_vendors.cursor.lookups import Spend
from usage_assets_vendors.github_copilot.lookups import Budgets as CopilotBudgets

SINCE = datetime(2026, 11, 1, tzinfo=UTC)


BUDGETS = """
    name          project  connection  workspace  amount    credits  period
    project       p1       .           .          1200.505  .        .
    quarter       p2       .           .          9         .        quarter
    organization  .        openai      .          6000      .        .
    credits       .        .           w1         .         7        .
"""
LIMITS: Mapping[tuple[type[LookupRow], str], str] = {
    (OpenaiLimits, "openai"): """
        id            project_id  threshold_amount  interval  enforcement_status
        organization  .           500000            month     .
        p1            p1          120050            month     enforcing
    """,
    (AnthropicLimits, "anthropic"): """
        id  scope_type            period   amount  currency  is_enabled  workspace_id  user_id  seat_tier  service
        1   workspace             monthly  50001   JPY       .           w1            .        .          .
        2   user                  weekly   .       .         no          .             u        .          .
        3   seat_tier             daily    100     .         .           .             .        premium    .
        4   organization_service  daily    100     .         .           .             .        .          claude_code
    """,
    (CopilotBudgets, "copilot"): """
        id  budget_scope  budget_product_sku    budget_amount  prevent_further_usage  user   budget_entity_name
        1   organization  copilot               900            yes                    .      .
        2   user          ai_credits            20             .                      alice  acme
        3   organization  actions               100            .                      .      .
        4   organization  copilot_for_business  30             .                      .      .
    """,
    (Spend, "cursor"): """
        id           hard_limit_override_dollars  monthly_limit_dollars  effective_limit_dollars
        a of cursor  100                          200                    50
        b of cursor  0                            200                    -
        c of cursor  30                           -                      -
        d of cursor  0                            -                      -
        e of cursor  -                            -                      -
    """,
    (CopilotBudgets, "enterprise"): """
        id  budget_scope         budget_product_sku  budget_amount  enterprise  budget_entity_name
        1   enterprise           ai_credits          7000           acme        .
        2   organization         ai_credits          70             acme        labs
        3   multi_user_customer  ai_credits          7              acme        .
    """,
}
"""Lookup and connection -> the limits that the provider lists. Dollars, if nothing else is said."""
BESIDE = """
    multi_user_customer         -            month    USD  7       -      -             -         -
    organization                copilot      month    USD  900     True   -             -         -
    organization                enterprise   month    USD  7000    -      -             -         -
    organization                openai       month    USD  5000    -      organization  6000      -1000
    organization_of_enterprise  labs         month    USD  70      -      -             -         -
    organization_service        claude_code  day      USD  1       -      -             -         -
    project                     p1           month    USD  1200.5  True   project       1200.505  -0.005
    project                     p2           quarter  USD  -       -      quarter       9         -
    seat_tier                   premium      day      USD  1       -      -             -         -
    user                        a of cursor  month    USD  50      True   -             -         -
    user                        alice        month    USD  20      -      -             -         -
    user                        b of cursor  month    USD  200     True   -             -         -
    user                        c of cursor  month    USD  30      True   -             -         -
    user                        u            week     USD  -       False  -             -         -
    workspace                   w1           month    JPY  50001   -      -             -         -
    workspace                   w1           month    -    -       -      credits       7         -
"""
"""Scope and its id, period, currency, limit, whether it is enforced, the budget, its amount and the difference."""


def test_a_limit_stands_beside_the_budget_of_its_scope_and_either_may_be_missing(days: Days) -> None:
    state(days, budgets=entries(Budget, BUDGETS))
    for (row, connection), limits in LIMITS.items():
        currency = {} if row in (CopilotBudgets, Spend) else {"currency": "USD"}
        listed = listed_in(row, limits, connection=connection, valid_from=SINCE, **currency)
        days.listed(row, listed, SINCE, connection)
    with days.warehouse.transaction() as database:
        create_or_alter(database, Table(DailyCost))
        make_views(database, VIEWS)
    found = days.tuples(
        "select scope_type, scope_id, period, currency, limit_amount, enforced, budget, budget_amount, difference "
        "from costs.budgets_and_limits order by all"
    )
    assert seen(found) == lines(BESIDE)
