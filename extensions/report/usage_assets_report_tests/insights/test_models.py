"""Which costs and tokens a budget or a guardrail of a model is about."""

from decimal import Decimal

from usage_assets.providers.openai.usage import UsageCompletions
from usage_assets_report.insights.series import counter, query
from usage_assets_tests.models.days import DAY, Days, raw
from usage_assets_tests.models.test_model_names import several

__all__ = ["several"]


def test_a_budget_of_a_model_is_of_a_family_or_of_a_name_as_sent(several: Days) -> None:
    """And so is a guardrail."""
    budgets = {
        "claude-sonnet-4-5": Decimal("4.17000000000000000001"),
        "claude-4.5-sonnet": Decimal(1),
        "anthropic/claude-sonnet-4.5": Decimal("0.1"),
        "gpt-5": Decimal(1),
        "gpt-5-codex": None,
    }
    sizes = {"gpt-5-2025-08-07": 20, "gpt-5": 5}
    several.fetched(
        UsageCompletions, *(raw(UsageCompletions, model=name, input_tokens=size) for name, size in sizes.items())
    )
    guardrails = {"gpt-5": 35, "gpt-5-2025-08-07": 25, "gpt-5-mini": None}
    asked = {"kind": "model", "first": DAY, "last": DAY}
    with several.warehouse.get_connection() as database:
        for sql, more, expected in (
            (query("spent"), {"unit": "USD"}, budgets),
            (counter("tokens").query("measured"), {}, guardrails),
        ):
            total = f"select sum(amount) from ({sql})"
            found = {model: database.execute(total, asked | more | {"id": model}).fetchone() for model in expected}
            assert found == {model: (amount,) for model, amount in expected.items()}
