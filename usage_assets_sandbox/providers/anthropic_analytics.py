"""The emulated newer reports of Anthropic: Usage and Cost Analytics (beta), and the Claude Enterprise reports.

They serve days only: other buckets, and none, are refused with 400. Facts: the official `anthropic` package, as listed
in fixtures/README.md; it does not say in which words something is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Mount

from usage_assets_sandbox.api import (
    ExpiredTokenError,
    PageTokenError,
    Parameter,
    catch_all,
    days_between,
    endpoint,
    integer,
    one_of,
    page_of,
    read_query,
    rfc3339,
    rfc3339_day,
    stamp,
    text,
)
from usage_assets_sandbox.company import Row, email
from usage_assets_sandbox.company_anthropic_analytics import ACTOR, BOOKS
from usage_assets_sandbox.credentials import ANTHROPIC_ADMIN_KEY, ANTHROPIC_ANALYTICS_KEY, ANTHROPIC_PARENT_KEY
from usage_assets_sandbox.directory import PEOPLE
from usage_assets_sandbox.ledger import Ledger, group
from usage_assets_sandbox.providers.anthropic import bad_parameter, refuse
from usage_assets_sandbox.providers.anthropic_engagement import API_VERSIONS, FIRST_DAY, engagement_routes
from usage_assets_sandbox.sandbox import Emulated, Sandbox
from usage_assets_sandbox.shapes import Shapes

BETA = "analytics-usage-cost-2026-08-24"
LOOKBACK = timedelta(days=365)
LONGEST_RANGE = timedelta(days=31)
REFRESHED_EVERY = timedelta(hours=4)
MAX_GROUP_BY = 5
TOP_GROUPS = 100
UNCOUNTED = ("cost_type", "token_type")
PROJECT_NUMBER = "123456789012"
FORMER_MEMBERS = frozenset(("dana",))
# The company has no use of claude_tag_user_id, rbac_group_id and user_profile_id: they are null in every row.
OF_SLACK = ("claude_tag_category", "claude_tag_user_id", "rbac_group_id", "slack_channel_id")
OF_SESSIONS = ("agent_id", "deployment_id", "environment_id", "organization_id", "session_id", "user_profile_id")
SHARED = ("context_window", "inference_geo", "model", "product", "speed", *OF_SLACK)
BY_IDENTITY = ("actor", "actor_type", "api_key_id", "service_tier", "workspace_id", *SHARED, *OF_SESSIONS)
FILTERS = {"models[]": "model", "products[]": "product", "user_ids[]": "actor_id", "api_key_ids[]": "api_key_id"}
TOTALS = ("output_tokens", "requests", "total_tokens", "uncached_input_tokens")


@dataclass(frozen=True)
class Report:
    """A report: its book, what it groups and ranks by, and whether it needs an Enterprise key or groups people."""

    name: str
    group_by: tuple[str, ...]
    order_by: tuple[str, ...]
    by_identity: bool = False
    by_person: bool = False
    bucketed: bool = False

    @property
    def is_cost(self) -> bool:
        """Whether it is one of cost."""
        return "cost" in self.name


REPORTS = (
    Report("usage", BY_IDENTITY, (*TOTALS, "time"), by_identity=True),
    Report("cost", (*BY_IDENTITY, *UNCOUNTED), ("amount", "list_amount", "time"), by_identity=True),
    Report("usage_report", SHARED, (), bucketed=True),
    Report("cost_report", (*SHARED, *UNCOUNTED), (), bucketed=True),
    Report("user_usage_report", SHARED, TOTALS, by_person=True),
    Report("user_cost_report", (*SHARED, *UNCOUNTED), ("amount", "list_amount"), by_person=True),
)


def _routes(sandbox: Sandbox) -> list[Mount]:
    def route(report: Report) -> BaseRoute:
        parameters = _parameters(report)
        page = partial(_page, sandbox.ledger, sandbox.shapes, report, parameters)
        return endpoint(f"/{report.name}", page, bad_parameter)

    routes = [*map(route, REPORTS), *engagement_routes(sandbox.ledger), catch_all(lambda _: refuse(404, "Not found"))]
    return [Mount("/anthropic/v1/organizations/analytics", routes=routes)]


def _parameters(report: Report) -> dict[str, Parameter]:
    parameters = [
        Parameter("starting_at", rfc3339, required=True),
        Parameter("ending_at", rfc3339, required=True),
        Parameter("time_bucket_width" if report.by_identity else "bucket_width", one_of(("1d",)), required=True),
        Parameter("limit", integer(1, 31), default=7) if report.bucketed else _rows_limit(),
        Parameter("page", text),
        Parameter("group_by[]", one_of(report.group_by), many=True),
        Parameter("models[]", text, many=True),
        Parameter("products[]", text, many=True),
    ]
    if report.order_by:
        parameters.append(Parameter("order_by", one_of(report.order_by)))
        parameters.append(Parameter("order", one_of(("asc", "desc")), default="desc"))
    narrowing = "api_key_ids[]" if report.by_identity else "user_ids[]"
    parameters.append(Parameter(narrowing, text, many=True))
    return {parameter.name: parameter for parameter in parameters}


def _rows_limit() -> Parameter:
    return Parameter("limit", integer(1, 1000), default=20)


def _page(
    ledger: Ledger, shapes: Shapes, report: Report, parameters: Mapping[str, Parameter], request: Request
) -> dict[str, Any]:
    key = _authenticate(request, report, shapes)
    query = read_query(request, parameters)
    now = ledger.clock.now()
    refreshed = refreshed_at(now)
    days = _days(query, now)
    if report.by_identity and len([name for name in query["group_by[]"] if name not in UNCOUNTED]) > MAX_GROUP_BY:
        raise refuse(400, f"group_by[]: At most {MAX_GROUP_BY} dimensions are supported")
    if key != ANTHROPIC_PARENT_KEY:  # then no child organization is named
        query = query | {"group_by[]": [name for name in query["group_by[]"] if name != "organization_id"]}
    grouped = {day: _grouped(ledger, report, query, day, refreshed) for day in days}
    if report.bucketed:
        items: Sequence[Any] = [_bucket(report, query, day, groups) for day, groups in grouped.items()]
    else:
        items = _ranked(report, query, grouped)
    try:
        served, more = page_of(request, items, query["limit"], now, valid_from=refreshed)
    except ExpiredTokenError:
        raise refuse(410, "page: The cursor has expired because the data was refreshed; start again") from None
    except PageTokenError:
        raise refuse(400, "page: Invalid page token for these query parameters") from None
    data = served if report.bucketed else [_item(report, query, day, row) for day, rows in served for row in rows]
    return {"data": data, **more, "data_refreshed_at": stamp(refreshed)}


def refreshed_at(now: datetime) -> datetime:
    """When the data was refreshed last."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (now - midnight) // REFRESHED_EVERY * REFRESHED_EVERY


def _authenticate(request: Request, report: Report, shapes: Shapes) -> str:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    key = bearer if scheme.lower() == "bearer" else request.headers.get("x-api-key")
    if key not in (ANTHROPIC_ANALYTICS_KEY, ANTHROPIC_ADMIN_KEY, ANTHROPIC_PARENT_KEY):
        raise refuse(401, "invalid API key" if key else "an API key is required")
    if request.headers.get("anthropic-version") not in API_VERSIONS:
        raise refuse(400, f"anthropic-version: must be one of {', '.join(API_VERSIONS)}")
    if report.by_identity:
        if BETA not in request.headers.get("anthropic-beta", ""):
            raise refuse(400, f"anthropic-beta: this endpoint requires {BETA}")
        if report.is_cost and key == ANTHROPIC_ADMIN_KEY and shapes.anthropic_costs == "older":
            raise refuse(403, "Usage and Cost Analytics are not enabled for this organization")
    elif key == ANTHROPIC_ADMIN_KEY:
        raise refuse(403, "This endpoint requires an API key with the read:analytics scope")
    return key


def _days(query: Mapping[str, Any], now: datetime) -> list[date]:
    start, end = query["starting_at"], query["ending_at"]
    if start < FIRST_DAY:
        raise refuse(400, f"starting_at: must be no earlier than {stamp(FIRST_DAY)}")
    if start < now - LOOKBACK:
        raise refuse(400, "starting_at: must be within the last 365 days")
    if end <= start:
        raise refuse(400, "ending_at: Input should be after starting_at")
    if end - start > LONGEST_RANGE:
        raise refuse(400, "ending_at: the range may span at most 31 days")
    return days_between(rfc3339_day("starting_at", start), rfc3339_day("ending_at", end))


def _grouped(
    ledger: Ledger, report: Report, query: Mapping[str, Any], day: date, refreshed: datetime
) -> list[list[Row]]:
    """The day's groups, largest first; those that differ in uncounted dimensions only stand together."""
    rows = [
        row
        for row in ledger.rows("anthropic_analytics", report.name, day)
        if all(not query.get(name) or row[field] in query[name] for name, field in FILTERS.items())
    ]
    if datetime(day.year, day.month, day.day, tzinfo=UTC) >= refreshed:
        return []  # nothing is known of it yet
    asked = {name for name in query["group_by[]"] if name != "actor"}
    kept = asked | (set(ACTOR) if "actor" in query["group_by[]"] or report.by_person else set())
    kept |= {"cost_type"} if "token_type" in asked else set()
    together: dict[tuple[Any, ...], list[Row]] = {}
    for row in group(rows, BOOKS.endpoints[report.name].dimensions, kept):
        if "token_type" in asked and "cost_type" not in asked and row["cost_type"] != "tokens":
            continue
        if "cost_type" in asked or "token_type" in asked:
            row["requests"] = None
        identity = tuple(row[name] for name in sorted(kept) if name not in UNCOUNTED)
        together.setdefault(identity, []).append(row)
    measure = query.get("order_by") if query.get("order_by") in (*TOTALS, "amount", "list_amount") else None
    return sorted(together.values(), key=lambda rows: (-_size(report, measure, rows), repr(rows)))


def _size(report: Report, measure: str | None, rows: list[Row]) -> Decimal:
    measure = measure or ("amount" if report.is_cost else "total_tokens")
    return sum((Decimal(_measures(report, row).get(measure) or 0) for row in rows), Decimal(0))


def _ranked(
    report: Report, query: Mapping[str, Any], grouped: Mapping[date, list[list[Row]]]
) -> list[tuple[date, list[Row]]]:
    """All groups of all days, by time or by size."""
    ranked = [(day, rows) for day, groups in grouped.items() for rows in groups]
    backwards = query["order"] == "desc"
    if query["order_by"] == "time":
        return sorted(ranked, key=lambda group: group[0], reverse=backwards)
    return sorted(ranked, key=lambda group: _size(report, query["order_by"], group[1]), reverse=backwards)


def _bucket(report: Report, query: Mapping[str, Any], day: date, groups: list[list[Row]]) -> dict[str, Any]:
    shown = [row for rows in groups[:TOP_GROUPS] for row in rows]
    return _span(day) | {"results": [_measures(report, row) | _dimensions(report, query, row) for row in shown]}


def _item(report: Report, query: Mapping[str, Any], day: date, row: Row) -> dict[str, Any]:
    if report.by_identity:
        measures = _measures(report, row)
        return _span(day) | {
            "group": _dimensions(report, query, row),
            "cost" if report.is_cost else "usage": measures,
        }
    return {"actor": _actor(row), **_measures(report, row), **_dimensions(report, query, row), **_span(day)}


def _span(day: date) -> dict[str, Any]:
    return {"starting_at": stamp(day), "ending_at": stamp(day + timedelta(days=1))}


def _dimensions(report: Report, query: Mapping[str, Any], row: Row) -> dict[str, Any]:
    """Every dimension that the report knows; null unless it was asked for."""
    shown = {name: row.get(name) for name in report.group_by if name not in ("actor", "actor_type")}
    if report.by_identity:
        is_grouped = "actor" in query["group_by[]"]
        shown["actor"] = _actor(row) if is_grouped else None
        shown["actor_type"] = row["actor_type"] if "actor_type" in query["group_by[]"] else None
    return shown


def _actor(row: Row) -> dict[str, Any] | None:
    kind, identifier, person = (row[name] for name in ACTOR)
    known: dict[str | None, Callable[[], dict[str, Any]]] = {
        "user_actor": lambda: {
            "user_id": identifier,
            "email_address": email(person),
            "name": PEOPLE.get(person),
            "deleted": person in FORMER_MEMBERS,
        },
        "service_account_actor": lambda: {"service_account_id": identifier},
        "api_actor": lambda: {"api_key_id": identifier},
        "federated_actor": lambda: {
            "provider": {"type": "gcp", "project_number": PROJECT_NUMBER},
            "subject": identifier,
        },
    }
    return {"type": kind, **known[kind]()} if kind else None


def _measures(report: Report, row: Row) -> dict[str, Any]:
    if report.is_cost:
        amounts = {name: f"{row[name]:f}" for name in ("amount", "list_amount")}
        return {**amounts, "currency": "USD", "requests": row["requests"]}
    cached = ("cache_creation_5m_input_tokens", "cache_creation_1h_input_tokens", "cache_read_input_tokens")
    total = row["uncached_input_tokens"] + row["output_tokens"] + sum(row[name] for name in cached)
    return {
        "uncached_input_tokens": row["uncached_input_tokens"],
        "cache_read_input_tokens": row["cache_read_input_tokens"],
        "cache_creation": {
            "ephemeral_5m_input_tokens": row["cache_creation_5m_input_tokens"],
            "ephemeral_1h_input_tokens": row["cache_creation_1h_input_tokens"],
        },
        "output_tokens": row["output_tokens"],
        "server_tool_use": {"web_search_requests": row["web_search_requests"]},
        **({} if report.bucketed else {"total_tokens": total}),
        "requests": row["requests"],
    }


EMULATED = Emulated(BOOKS, _routes, key=ANTHROPIC_ANALYTICS_KEY, path="anthropic")
