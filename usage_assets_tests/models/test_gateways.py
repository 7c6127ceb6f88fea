"""A gateway's estimate beside the bills of its model, per day, and a warning if it is far above them."""

from decimal import Decimal

import pytest

from usage_assets.models.model import sql_files
from usage_assets.providers.anthropic.reports import CostReport
from usage_assets.providers.litellm.activity import UserActivity
from usage_assets.providers.openai.costs import Costs
from usage_assets_tests.models.days import DAY, Days, raw

OPENAI, CLAUDE = "openai/gpt-5.4-mini-2026-01-31", "claude-haiku-4-5"


def store(days: Days, estimates: dict[str, str]) -> None:
    """Store what a gateway takes models for, and bills of $10 for gpt-5.4-mini and $2 for claude-haiku-4-5."""
    activity = [raw(UserActivity, cut="model", model=model, spend=Decimal(spend)) for model, spend in estimates.items()]
    days.fetched(UserActivity, *activity)
    days.derive("litellm_user_activity")
    parts = [("gpt-5.4-mini, input", "4"), ("gpt-5.4-mini-2026-01-31, output", "6")]
    bill = [raw(Costs, line_item=item, amount_value=Decimal(amount)) for item, amount in parts]
    days.fetched(Costs, *bill)
    days.derive("openai_costs")
    days.fetched(CostReport, raw(CostReport, model="claude-haiku-4-5", amount_cents=Decimal(200)))
    days.derive("anthropic_cost_report")


def test_an_estimate_stands_beside_each_bill_of_its_model_on_days_that_both_have(days: Days) -> None:
    store(days, {OPENAI: "9", CLAUDE: "2.5", "gpt-unknown": "7"})
    rows = days.warehouse.read("from costs.gateways_and_bills order by model").to_pylist()
    names = ("connection", "usage_date", "model", "billed_by", "estimated_usd", "billed_usd", "difference_usd")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("litellm", DAY, "claude-haiku-4-5", "anthropic", Decimal("2.5"), Decimal(2), Decimal("0.5")),
        ("litellm", DAY, "gpt-5.4-mini", "openai", Decimal(9), Decimal(10), Decimal(-1)),
    ]
    assert [row["ratio"] for row in rows] == pytest.approx([1.25, 0.9])


@pytest.mark.parametrize(
    ("openai", "claude", "warned"),
    [
        ("9", "2.5", []),  # 25 %, and half a dollar
        ("11", "2", []),  # 10 %
        ("11.5", "3.5", ["claude-haiku-4-5, billed by anthropic", "gpt-5.4-mini, billed by openai"]),
    ],
)
def test_an_estimate_far_above_the_bills_is_a_warning(days: Days, openai: str, claude: str, warned: list[str]) -> None:
    store(days, {OPENAI: openai, CLAUDE: claude})
    [file] = sql_files("warnings/daily_costs/litellm_user_activity.bill.sql")
    rows = days.warehouse.read(file.read_text()).to_pylist()
    assert sorted(row["total"].removeprefix("the estimate in dollars of ") for row in rows) == warned
