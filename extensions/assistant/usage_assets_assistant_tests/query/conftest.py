"""Costs to ask about, which must not all be added."""

from collections.abc import Iterator

import duckdb
import pytest

from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.published import publish
from usage_assets_tests.fixtures import NewWarehouse
from usage_assets_tests.models.days import Days, models, raw


@pytest.fixture(scope="package")
def published(warehouse_with_views: NewWarehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    """A day of four sources: billed dollars, euros and cents, estimated cents, credits."""
    days = Days(warehouse_with_views())
    with days.warehouse.get_connection():
        days.fetched(Costs, raw(Costs, amount_value=3), raw(Costs, amount_currency="eur"))
        days.fetched(CostReport, raw(CostReport, amount_cents=200))
        days.fetched(ClaudeCode, raw(ClaudeCode, model_breakdown=models(("claude-opus-5", "30"))))
        days.fetched(CodexUsage, raw(CodexUsage, credits="12.5"))
        for file in ("openai_costs", "anthropic_cost_report", "anthropic_claude_code", "chatgpt_codex_usage"):
            assert days.rows(file)
        for file in ("openai_allocated_costs", "anthropic_allocated_costs"):
            days.derive(file)
        publish(days.warehouse)
        with days.warehouse.reading() as database:
            yield database
