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
from usage_assets.providers.anthropic.reports import BILLED, TOKENS, TOOLS, UsageMessages
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

APPS = ("excel", "powerpoint", "word", "outlook")
SESSIONS = "distinct_session_skill_used_count"


def _of_apps(count: str) -> str:
    """A count of all apps of Office."""
    return f"list_sum(try_cast(office_metrics ->> {[f'$.{app}.{count}' for app in APPS]} as bigint[]))"


ACTIVITY = {
    "chat_conversation_count": "chat_distinct_conversation_count",
    "chat_skills_used_count": "chat_distinct_skills_used_count",
    "code_session_count": "claude_code_distinct_session_count",
    "code_commit_count": "claude_code_commit_count",
    "code_pull_request_count": "claude_code_pull_request_count",
    "lines_added": "claude_code_lines_added_count",
    "lines_removed": "claude_code_lines_removed_count",
    "chat_projects_used_count": "chat_distinct_projects_used_count",
    "chat_projects_created_count": "chat_distinct_projects_created_count",
    "chat_artifacts_created_count": "chat_distinct_artifacts_created_count",
    "chat_files_uploaded_count": "chat_distinct_files_uploaded_count",
    "cowork_session_count": "cowork_distinct_session_count",
    "design_session_count": "design_distinct_session_count",
    "office_session_count": _of_apps("distinct_session_count"),
    "office_message_count": _of_apps("message_count"),
    **{
        f"{tool}_{what}": f"try_cast(claude_code_tool_actions ->> '$.{tool}.{what}_count' as bigint)"
        for tool in TOOLS
        for what in ("accepted", "rejected")
    },
}
SKILLS = {
    "estimated_overage_spend": "estimated_overage_spend_cents",
    "attributed_list_price": "attributed_list_price_cents",
    "currency": "upper(coalesce(currency, 'USD'))",
    "chat_conversation_skill_used_count": "chat_distinct_conversation_skill_used_count",
    "code_session_skill_used_count": "claude_code_distinct_session_skill_used_count",
    "cowork_session_skill_used_count": "cowork_distinct_session_skill_used_count",
    **{
        f"{app}_session_skill_used_count": f"try_cast(office_metrics ->> '$.{app}.{SESSIONS}' as bigint)"
        for app in APPS
    },
}
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
    costs=(
        CostSource(table="anthropic_analytics.cost", columns=BILLED, billed_totals="amount_*", charge="Claude usage"),
    ),
    entities=(
        Entities(
            row=entity_rows(__file__, "claude_ai_user_activity"),
            reads=("anthropic_analytics.users",),
            columns=ACTIVITY,
            keeps_null=True,
            about=OF_PERSON,
        ),
        Entities(
            row=entity_rows(__file__, "claude_ai_user_usage"),
            reads=("anthropic_analytics.user_usage_report",),
            columns=TOKENS,
            keeps_null=True,
            about=OF_PERSON,
        ),
        Entities(
            row=entity_rows(__file__, "claude_ai_user_cost"),
            reads=("anthropic_analytics.user_cost_report",),
            columns={"amount": "amount_cents", "list_amount": "list_amount_cents", "currency": "upper(currency)"},
            total="if(measure = 'requests', concat('requests that cost ', currency), replace(measure, '_', ' '))",
            in_minor_units=True,
            keeps_null=True,
            about=OF_PERSON,
        ),
        Entities(
            row=entity_rows(__file__, "claude_ai_skill_usage"),
            reads=("anthropic_analytics.skills",),
            columns=SKILLS,
            in_minor_units=True,
            keeps_null=True,
        ),
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
