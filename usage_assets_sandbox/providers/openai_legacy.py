"""OpenAI's old endpoints, below the same address as the organization API: dashboard/billing/usage and usage.

They take a session key only; every other key is refused with 403, as since July 2023. Facts: public reports of their
answers, as listed in fixtures/README.md.
"""

from datetime import date
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute

from usage_assets_sandbox.api import (
    BadParameterError,
    Parameter,
    RefusedError,
    days_between,
    endpoint,
    iso_date,
    read_query,
    unix,
)
from usage_assets_sandbox.company import Row, total
from usage_assets_sandbox.company_openai_legacy import BOOKS
from usage_assets_sandbox.credentials import OPENAI_SESSION_KEY
from usage_assets_sandbox.ledger import Ledger
from usage_assets_sandbox.sandbox import Emulated

BILLING = {name: Parameter(name, iso_date, required=True) for name in ("start_date", "end_date")}
USAGE = {"date": Parameter("date", iso_date, required=True)}
PROBLEMS = {
    "missing": "Missing query parameter '{name}'",
    "extra_forbidden": "Unknown query parameter '{name}'",
    "repeated": "Query parameter '{name}' was given more than once",
    "date_parsing": "Invalid date format for '{name}': expected YYYY-MM-DD",
    "not_after_start": "end_date must be after start_date",
}
MEASURES = {
    "data": {
        "n_requests": "requests",
        "n_context_tokens_total": "context_tokens",
        "n_generated_tokens_total": "generated_tokens",
        "n_cached_context_tokens_total": "cached_context_tokens",
    },
    "dalle_api_data": {"num_images": "images", "num_requests": "requests"},
    "whisper_api_data": {"num_seconds": "seconds", "num_requests": "requests"},
    "tts_api_data": {"num_characters": "characters", "num_requests": "requests"},
}
EMPTY_LISTS = ("ft_data", "assistant_code_interpreter_data", "retrieval_storage_data")
SPAN_SECONDS = 300


def legacy_routes(ledger: Ledger) -> list[BaseRoute]:
    """The routes to mount at /openai/v1, before those that answer everything else there."""
    return [
        endpoint("/dashboard/billing/usage", lambda request: _billing(ledger, request), _bad_parameter),
        endpoint("/usage", lambda request: _usage(ledger, request), _bad_parameter),
    ]


def _billing(ledger: Ledger, request: Request) -> dict[str, Any]:
    _authenticate(request)
    query = read_query(request, BILLING)
    start, end = query["start_date"], query["end_date"]
    if end <= start:
        raise BadParameterError("end_date", "not_after_start", str(end))
    days = {day: ledger.rows("openai_legacy", "billing_usage", day) for day in days_between(start, end)}
    cents = total(row["cents"] for rows in days.values() for row in rows)
    return {
        "object": "list",
        "daily_costs": [
            {
                "timestamp": Decimal(f"{unix(day)}.0"),
                "line_items": [{"name": row["name"], "cost": row["cents"]} for row in rows],
            }
            for day, rows in days.items()
        ],
        "total_usage": cents or Decimal("0.0"),
    }


def _usage(ledger: Ledger, request: Request) -> dict[str, Any]:
    _authenticate(request)
    day = read_query(request, USAGE)["date"]
    rows = ledger.rows("openai_legacy", "usage", day)
    lists = {name: [_result(row, day) for row in rows if row["list"] == name] for name in MEASURES}
    return {"object": "list", **lists, **{name: [] for name in EMPTY_LISTS}, "current_usage_usd": Decimal("0.0")}


def _result(row: Row, day: date) -> dict[str, Any]:
    is_text = row["list"] == "data"
    moment = unix(day) + SPAN_SECONDS * row["span"]
    key = row["api_key_id"]
    return {
        "organization_id": "org-sandbox",
        "organization_name": "Acme Robotics",
        "aggregation_timestamp" if is_text else "timestamp": moment,
        "snapshot_id" if is_text else "model_id": row["model"],
        "operation": row["operation"],
        "image_size" if row["list"] == "dalle_api_data" else "request_type": row["kind"],
        "project_id": row["project_id"],
        "project_name": None,
        "api_key_id": key,
        "api_key_name": None,
        "api_key_redacted": key and f"sk-...{key[-4:]}",
        "api_key_type": key and "organization",
        "email": row["email"],
        **{name: row[measure] for name, measure in MEASURES[row["list"]].items()},
    }


def _authenticate(request: Request) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise _refuse(401, "You didn't provide an API key.", "invalid_request_error")
    if key != OPENAI_SESSION_KEY:
        message = (
            f"Your request to {request.method} {request.url.path.removeprefix('/openai')} must be made with a session "
            "key (that is, it can only be made from the browser). You made it with the following key type: secret."
        )
        raise _refuse(403, message, "server_error")


def _refuse(status: int, message: str, kind: str) -> RefusedError:
    return RefusedError(status, {"error": {"message": message, "type": kind, "param": None, "code": None}})


def _bad_parameter(problem: BadParameterError) -> RefusedError:
    message = PROBLEMS[problem.problem].format(name=problem.name)
    return _refuse(400, message, "invalid_request_error")


EMULATED = Emulated(BOOKS, key=OPENAI_SESSION_KEY, path="openai/v1")
