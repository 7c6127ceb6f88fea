"""Anthropic's newer reports: how they are asked, and which there are."""

import re
from datetime import date

from usage_assets.provider import (
    BilledAs,
    Control,
    CostSource,
    Entities,
    Lookup,
    Provider,
    bearer,
    entity_rows,
    error_message,
    ids_in,
)
from usage_assets.providers.anthropic.reports import UsageMessages
from usage_assets.providers.anthropic_analytics.cuts import CUT_ENDPOINTS
from usage_assets.providers.anthropic_analytics.engagement import ENGAGEMENT_ENDPOINTS
from usage_assets.providers.anthropic_analytics.reports import (
    BY,
    COST,
    AnalyticsCost,
    AnalyticsOrganization,
    AnalyticsUsage,
    EnterpriseCost,
    EnterpriseCostControl,
    EnterpriseUsage,
    EnterpriseUserCost,
    EnterpriseUserUsage,
    analytics,
    enterprise,
    per_person,
)

OF_PERSON = {"user": ids_in("email", "user_id")}

ANTHROPIC_ANALYTICS = Provider(
    name="anthropic_analytics",
    surface=2,
    module=__name__,
    position=5,
    company="Anthropic",
    service="Claude API",
    billed_as=BilledAs(services=("Claude Enterprise*", "Claude for Enterprise*", "Claude Team*", "Claude for Work*")),
    develops_models=True,
    sub_account_type="Workspace",
    default_sub_account="Default workspace",
    base_url="https://api.anthropic.com",
    base_url_variable="ANTHROPIC_BASE_URL",
    auth=bearer,  # key and version are sent as the official package sends them
    headers={"anthropic-version": "2026-10-21"},
    error_message=error_message,
    advice={
        401: "Check the connection's key: an API key with the scope read:analytics",
        403: "The key needs the scope read:analytics; for usage and cost an admin key does, too. The other reports are "
        "of organizations with Claude Enterprise only: switch them off (endpoints) for any other",
        404: "Check the connection's base URL; the reports are of organizations only",
    },
    settling_days=38,  # until about 7 days after the month's end
    lookback_days=364,  # the moment of the request less 365 days: the midnight before it is refused
    first_day=date(2026, 1, 1),
    names_organization=True,
    superseded_by="anthropic",
    lookups=(
        Lookup(
            name="organization",
            path="v1/organizations/me",
            row=AnalyticsOrganization,
            cursor=None,
            default_on=False,  # of an admin key: a key with read:analytics alone may be refused
            left_out=("type",),
        ),
    ),
    costs=(CostSource(table="anthropic_analytics.cost", billed_totals="amount_*", charge="Claude usage"),),
    entities=(
        *(
            Entities(row=entity_rows(__file__, blueprint), reads=(f"anthropic_analytics.{report}",), about=OF_PERSON)
            for blueprint, report in (
                ("claude_ai_user_activity", "users"),
                ("claude_ai_user_usage", "user_usage_report"),
                ("claude_ai_user_cost", "user_cost_report"),
            )
        ),
        Entities(row=entity_rows(__file__, "claude_ai_skill_usage"), reads=("anthropic_analytics.skills",)),
    ),
    too_recent=re.compile(r"\b(latest|most recent|too recent|not yet)\b", re.I),
    endpoints=(
        analytics(
            name="usage",
            group="usage",
            path="v1/organizations/analytics/usage",
            row=AnalyticsUsage,
            group_by=BY,
            cross_check=UsageMessages,
        ),
        COST,
        enterprise(
            name="usage_report",
            group="usage",
            path="v1/organizations/analytics/usage_report",
            row=EnterpriseUsage,
        ),
        enterprise(
            name="cost_report",
            group="costs",
            path="v1/organizations/analytics/cost_report",
            row=EnterpriseCost,
            part_of=AnalyticsCost.table,
            must_add_up=Control(row=EnterpriseCostControl, measures=("amount_cents",), currency="currency"),
            cross_check=AnalyticsCost,
        ),
        per_person(
            name="user_usage_report",
            group="usage",
            path="v1/organizations/analytics/user_usage_report",
            row=EnterpriseUserUsage,
        ),
        per_person(
            name="user_cost_report",
            group="costs",
            path="v1/organizations/analytics/user_cost_report",
            row=EnterpriseUserCost,
            part_of=AnalyticsCost.table,
        ),
        *CUT_ENDPOINTS,
        *ENGAGEMENT_ENDPOINTS,
    ),
)
