"""Anthropic's Admin API: how it is asked, and which reports there are."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from usage_assets.provider import (
    BilledAs,
    Control,
    CostSource,
    Endpoint,
    Entities,
    HeaderAuth,
    Provider,
    TierPrice,
    entity_rows,
    error_message,
    ids_in,
    single_day,
)
from usage_assets.providers.anthropic.lookups import LOOKUPS, Workspaces
from usage_assets.providers.anthropic.reports import (
    BILLED,
    FILTERS,
    OF_CURRENCY,
    TOKENS,
    ClaudeCode,
    ClaudeCodeRecord,
    CostReport,
    CostReportControl,
    UsageMessages,
    bucketed,
    claude_code_records,
)
from usage_assets.providers.anthropic_analytics.reports import COST


def _of_claude_code(row: Mapping[str, Any]) -> Iterator[str]:
    """A person, not an API key with an email-like name: where both exist, the SQL appends the person's actor type."""
    if row["actor_type"] == "user_actor":
        yield row["actor_name"].removesuffix(":user_actor")


OF_MODELS = """(
  select *, unnest(
    from_json_strict(model_breakdown, '[{"estimated_cost_cents": "DECIMAL(38,24)", "currency": "VARCHAR"}]'),
    recursive := true
  )
  from anthropic.claude_code
)"""
ANTHROPIC = Provider(
    name="anthropic",
    surface=2,
    module=__name__,
    position=2,
    company="Anthropic",
    service="Claude API",
    billed_as=BilledAs(
        services=("Anthropic", "Anthropic API*", "Claude API*", "Claude Platform*", "Claude Developer Platform*"),
        sellers=("Anthropic*",),
    ),
    develops_models=True,
    tier_prices=(
        TierPrice(
            tier="batch",
            multiple=Decimal("0.5"),  # of all usage, cache reads and writes included
            since=date(2024, 10, 8),
            source="https://platform.claude.com/docs/en/build-with-claude/batch-processing#pricing",
        ),
    ),
    sub_account_type="Workspace",
    default_sub_account="Default workspace",
    base_url="https://api.anthropic.com",
    base_url_variable="ANTHROPIC_BASE_URL",
    key_variable="ANTHROPIC_ADMIN_KEY",
    auth=lambda key: HeaderAuth("x-api-key", key),
    headers={"anthropic-version": "2023-06-01"},
    error_message=error_message,
    advice={
        401: "Check the admin key (ANTHROPIC_ADMIN_KEY for the default connection): it starts with sk-ant-admin",
        403: "The key must be an admin key of an organization in which this report is enabled",
        404: "Check the base URL (ANTHROPIC_BASE_URL); individual accounts have no Admin API",
    },
    settling_days=3,
    names_organization=True,
    lookups=LOOKUPS,
    costs=(
        CostSource(table="anthropic.cost_report", columns=BILLED, billed_totals="amount_*", beside=(Workspaces.table,)),
        CostSource(
            table="anthropic.claude_code",
            rows=OF_MODELS,
            columns={
                "native_amount": "estimated_cost_cents",
                "cost_basis": "if(customer_type = 'api', 'estimated', 'notional')",
                **OF_CURRENCY,
            },
        ),
    ),
    allocations={"anthropic.cost_report": ("anthropic.usage_messages",)},
    entities=(
        Entities(
            row=entity_rows(__file__, "claude_usage_record"),
            reads=("anthropic.usage_messages",),
            columns=TOKENS,
        ),
        Entities(
            row=entity_rows(__file__, "claude_cost_record"),
            reads=("anthropic.cost_report",),
            columns={"amount": "amount_cents", "currency": "upper(currency)"},
            total="'billed'",
            in_minor_units=True,
        ),
        Entities(
            row=entity_rows(__file__, "claude_workspace_usage"),
            reads=("anthropic.usage_messages",),
            columns=TOKENS,
            optional_refs=(Workspaces.table,),
            about={"project": ids_in("workspace_id")},
        ),
        Entities(
            row=entity_rows(__file__, "claude_model_usage"),
            reads=("anthropic.usage_messages",),
            columns=TOKENS,
        ),
        Entities(
            row=entity_rows(__file__, "claude_code_analytics"),
            reads=("anthropic.claude_code",),
            about={"user": _of_claude_code},
        ),
    ),
    is_published=True,
    endpoints=(
        bucketed(
            name="usage_messages",
            group="usage",
            path="v1/organizations/usage_report/messages",
            row=UsageMessages,
            group_by=("workspace_id", "api_key_id", "account_id", "model", "service_tier"),  # more than five: 400
            filters=tuple(f"{name}[]" for name in FILTERS),
        ),
        bucketed(
            name="cost_report",
            group="costs",
            path="v1/organizations/cost_report",
            row=CostReport,
            group_by=("workspace_id", "description"),
            details="description",
            must_add_up=Control(row=CostReportControl, measures=("amount_cents",), currency="currency"),
            newer=replace(
                COST,
                name="cost_report",
                headers={**COST.headers, "anthropic-version": "2026-10-21"},
                filters=(),  # those of usage must not narrow a bill
                cross_check=None,
                lookback_days=364,
                first_day=date(2026, 1, 1),
            ),
        ),
        Endpoint(
            name="claude_code",
            group="claude_code",
            path="v1/organizations/usage_report/claude_code",
            row=ClaudeCode,
            item=ClaudeCodeRecord,
            records=claude_code_records,
            window_days=1,
            window_params=single_day,
            params={"limit": "1000"},
            bucket_per_day=False,
        ),
    ),
)
