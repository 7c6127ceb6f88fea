"""The emulated engagement reports of Claude Enterprise: a day at a time, about a day late.

Ranges are served of summaries alone: the others answer to `date`. Facts: the official `anthropic` package, as listed in
fixtures/README.md; it does not say in which words a day is refused, only that they name the latest available one.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute

from usage_assets_sandbox.api import (
    PageTokenError,
    Parameter,
    days_between,
    endpoint,
    integer,
    iso_date,
    page_of,
    read_query,
    stamp,
    text,
)
from usage_assets_sandbox.company import Row, email
from usage_assets_sandbox.credentials import ANTHROPIC_ADMIN_KEY, ANTHROPIC_ANALYTICS_KEY, ANTHROPIC_PARENT_KEY
from usage_assets_sandbox.ledger import Ledger
from usage_assets_sandbox.providers.anthropic import bad_parameter, refuse

PATHS = {
    "summaries": "summaries",
    "users": "users",
    "skills": "skills",
    "connectors": "connectors",
    "plugins": "plugins",
    "artifacts": "artifacts",
    "chat_projects": "apps/chat/projects",
}
API_VERSIONS = ("2023-06-01", "2026-10-21")
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
LAG = timedelta(hours=4)
LAGS = {"skills": timedelta(hours=28)}
"""How long after its end a day is there: skills take a day longer."""
TOOLS = ("edit_tool", "multi_edit_tool", "notebook_edit_tool", "write_tool")
OFFICE = ("excel", "outlook", "powerpoint", "word")
LONGEST_RANGE = timedelta(days=366)


def engagement_routes(ledger: Ledger) -> list[BaseRoute]:
    """The routes to mount at the address of the analytics."""

    def route(name: str, path: str) -> BaseRoute:
        return endpoint(f"/{path}", lambda request: _page(ledger, name, request), bad_parameter)

    return [route(name, path) for name, path in PATHS.items()]


def _page(ledger: Ledger, name: str, request: Request) -> dict[str, Any]:
    _authenticate(request)
    asked = ("starting_date", "ending_date") if name == "summaries" else ("date",)
    query = read_query(
        request,
        {parameter: Parameter(parameter, iso_date, required=True) for parameter in asked}
        | {"limit": Parameter("limit", integer(1, 1000), default=100), "page": Parameter("page", text)},
    )
    now = ledger.clock.now()
    first = query[asked[0]]
    end = query.get("ending_date") or first + timedelta(days=1)
    latest = latest_day(name, now)
    if first < FIRST_DAY.date():
        raise refuse(400, f"{asked[0]}: must be no earlier than {FIRST_DAY:%Y-%m-%d}")
    if end <= first or end - first > LONGEST_RANGE:
        raise refuse(400, "ending_date: must be after starting_date, by at most 366 days")
    if end > latest + timedelta(days=1):
        raise refuse(400, f"{asked[-1]}: {query[asked[-1]]} is too recent; the latest available day is {latest}")
    items = [_item(name, day, row) for day in days_between(first, end) for row in _rows(ledger, name, day)]
    if name == "summaries":
        return {"data": items, "next_page": None}
    try:
        served, more = page_of(request, items, query["limit"], now)
    except PageTokenError:
        raise refuse(400, "page: Invalid page token for these query parameters") from None
    return {"data": served, "next_page": more["next_page"]}


def latest_day(name: str, now: datetime) -> date:
    """The latest day that a report is there for."""
    return (now - LAGS.get(name, LAG)).date() - timedelta(days=1)


def _authenticate(request: Request) -> None:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    key = bearer if scheme.lower() == "bearer" else request.headers.get("x-api-key")
    if key not in (ANTHROPIC_ANALYTICS_KEY, ANTHROPIC_PARENT_KEY, ANTHROPIC_ADMIN_KEY):
        raise refuse(401, "invalid API key" if key else "an API key is required")
    if key == ANTHROPIC_ADMIN_KEY:
        raise refuse(403, "This endpoint requires an API key with the read:analytics scope")
    if request.headers.get("anthropic-version") not in API_VERSIONS:
        raise refuse(400, f"anthropic-version: must be one of {', '.join(API_VERSIONS)}")


def _rows(ledger: Ledger, name: str, day: date) -> list[Row]:
    return ledger.rows("anthropic_analytics", name, day)


def _item(name: str, day: date, row: Row) -> dict[str, Any]:
    known: Mapping[str, Any] = {
        "summaries": _summary,
        "users": _user,
        "skills": _skill,
        "connectors": _connector,
        "plugins": _plugin,
        "artifacts": _artifact,
        "chat_projects": _project,
    }
    item: dict[str, Any] = known[name](day, row)
    return item


def _summary(day: date, row: Row) -> dict[str, Any]:
    periods = {f"{period}_active_user_count": row[period] for period in ("daily", "weekly", "monthly")}
    return {
        "starting_at": stamp(day),
        "ending_at": stamp(day + timedelta(days=1)),
        "assigned_seat_count": row["seats"],
        "pending_invite_count": 1,
        **periods,
        **{
            f"{period}_adoption_rate": (Decimal(row[period] * 100) / row["seats"]).quantize(Decimal("0.01"))
            for period in ("daily", "weekly", "monthly")
        },
        **{f"cowork_{name}": count // 2 for name, count in periods.items()},
        **{f"claude_code_{name}": count // 2 for name, count in periods.items()},
    }


def _user(day: date, row: Row) -> dict[str, Any]:
    unified = dict.fromkeys(
        (
            "distinct_connectors_used_count",
            "distinct_files_uploaded_count",
            "distinct_projects_used_count",
            "distinct_shared_artifacts_viewed_count",
            "distinct_skills_used_count",
            "distinct_artifacts_created_count",
            "distinct_projects_created_count",
            "shared_conversations_viewed_count",
            "thinking_message_count",
        ),
        0,
    )
    in_office = dict.fromkeys(
        (
            "connectors_used_count",
            "distinct_connectors_used_count",
            "distinct_session_count",
            "distinct_skills_used_count",
            "message_count",
            "skills_used_count",
        ),
        0,
    )
    nothing = {"distinct_session_count": 0, "message_count": 0}
    return {
        "user": {"id": row["user_id"], "email_address": email(row["person"]), "type": "user"},
        "last_activity_date": str(day),
        "web_search_count": row["web_search_count"],
        "chat_metrics": unified
        | {
            "connectors_used_count": 0,
            "distinct_conversation_count": row["conversations"],
            "message_count": row["messages"],
        },
        "claude_code_metrics": {
            "core_metrics": {
                "artifacts_created_count": 0,
                "commit_count": row["commits"],
                "distinct_session_count": row["code_sessions"],
                "lines_of_code": {"added_count": row["lines_added"], "removed_count": row["lines_removed"]},
                "pull_request_count": row["pull_requests"],
            },
            "tool_actions": {tool: {"accepted_count": row["code_sessions"], "rejected_count": 0} for tool in TOOLS},
        },
        "cowork_metrics": nothing
        | dict.fromkeys(
            (
                "action_count",
                "artifacts_created_count",
                "connectors_used_count",
                "dispatch_turn_count",
                "distinct_connectors_used_count",
                "distinct_skills_used_count",
                "skills_used_count",
            ),
            0,
        )
        | dict.fromkeys(("edit_tool_count", "file_edit_count", "plugins_used_count")),
        "design_metrics": nothing | {"distinct_projects_created_count": 0, "distinct_projects_used_count": 0},
        "office_metrics": dict.fromkeys(OFFICE, in_office),
        "science_metrics": nothing | {"delegation_count": 0, "remote_compute_job_count": 0, "skills_used_count": 0},
    }


def _per_product(thing: str, row: Row, *, in_code: bool = False) -> dict[str, Any]:
    session = f"distinct_session_{thing}_used_count"
    return {
        "distinct_user_count": row["people"],
        "chat_metrics": {f"distinct_conversation_{thing}_used_count": 0 if in_code else row["people"]},
        "claude_code_metrics": {session: row["people"] if in_code else 0},
        "cowork_metrics": {session: 0},
        "office_metrics": {product: {session: 0} for product in OFFICE},
    }


def _skill(_day: date, row: Row) -> dict[str, Any]:
    return {
        "skill_name": row["skill_name"],
        "skill_display_name": None,
        "share_status": row["share_status"],
        "invocation_count": row["invocation_count"],
        "enable_count": None,
        "attributed_list_price": f"{row['attributed_list_price']:f}",
        "estimated_overage_spend": f"{row['estimated_overage_spend']:f}",
        "currency": "USD",
        **_per_product("skill", row, in_code=row["in_code"]),
    }


def _connector(_day: date, row: Row) -> dict[str, Any]:
    return {
        "connector_name": row["connector_name"],
        "connector_display_name": None,
        "read_call_count": row["read_call_count"],
        "write_call_count": row["write_call_count"],
        "unclassified_call_count": 0,
        "individual_auth_distinct_user_count": None,
        "managed_auth_distinct_user_count": None,
        **_per_product("connector", row),
    }


def _plugin(_day: date, row: Row) -> dict[str, Any]:
    shown = _per_product("plugin", row, in_code=True)
    return {
        "plugin_id": row["plugin_id"],
        "plugin_name": row["plugin_name"],
        "install_count": 0,
        "invocation_count": row["invocation_count"],
        **{name: shown[name] for name in ("distinct_user_count", "claude_code_metrics", "cowork_metrics")},
    }


def _artifact(_day: date, row: Row) -> dict[str, Any]:
    return {
        "artifact_type": row["artifact_type"],
        "is_shared": row["is_shared"],
        "artifacts_created_count": row["artifacts_created_count"],
        "published_artifacts_created_count": 0,
        "distinct_user_count": row["people"],
    }


def _project(_day: date, row: Row) -> dict[str, Any]:
    return {
        "project_id": row["project_id"],
        "project_name": row["project_name"],
        "created_at": "2026-02-03T09:30:00Z",
        "created_by": {"id": f"user_01{row['person']}", "email_address": email(row["person"]), "type": "user"},
        "distinct_conversation_count": row["people"],
        "distinct_user_count": row["people"],
        "message_count": row["message_count"],
    }
