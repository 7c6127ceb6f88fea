"""The emulated daily activity of a LiteLLM proxy: numbered pages of rows, each added up by itself.

Facts: the response models and endpoints of the package litellm 1.106.2, as listed in fixtures/README.md.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.routing import Mount

from usage_assets_sandbox.api import (
    BadParameterError,
    Parameter,
    RefusedError,
    catch_all,
    endpoint,
    integer,
    iso_date,
    read_query,
    text,
)
from usage_assets_sandbox.company import Row, total
from usage_assets_sandbox.company_litellm import BOOKS, ENTITIES, MEASURES, TEAMS
from usage_assets_sandbox.credentials import LITELLM_MASTER_KEY, is_one_of
from usage_assets_sandbox.ledger import Ledger
from usage_assets_sandbox.sandbox import Emulated, Sandbox

UNASSIGNED = "Unassigned"
NOT_MEASURED = (
    "compression_saved_tokens",
    "compression_savings_spend",
    "prompt_caching_savings_spend",
    "gateway_injected_caching_savings_spend",
    "autorouter_savings_spend",
    "total_response_time_ms",
    "timed_requests",
)


def _routes(sandbox: Sandbox) -> list[Mount]:
    ledger = sandbox.ledger
    routes = [
        *(endpoint(f"/{path}/daily/activity", partial(_report, ledger, path), _unprocessable) for path in ENTITIES),
        catch_all(lambda _request: RefusedError(404, {"detail": "Not Found"})),
    ]
    return [Mount("/litellm", routes=routes)]


def _report(ledger: Ledger, path: str, request: Request) -> dict[str, Any]:
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not is_one_of(key, LITELLM_MASTER_KEY):
        message = "Authentication Error, Invalid proxy server token passed."
        raise RefusedError(
            401, {"error": {"message": message, "type": "token_not_found_in_db", "param": "key", "code": "401"}}
        )
    usual, most = (50, 1000) if path == "user" else (10, None)  # rows of a page, and what the request may say at most
    parameters = (
        Parameter("start_date", iso_date),
        Parameter("end_date", iso_date),
        Parameter("model", text),
        *([Parameter("tags", text)] if path == "tag" else []),
        Parameter("page", integer(1), default=1),
        Parameter("page_size", integer(1, most), default=usual),
    )
    query = read_query(request, {parameter.name: parameter for parameter in parameters})
    first, last = query["start_date"], query["end_date"]
    if first is None or last is None:
        raise RefusedError(400, {"detail": {"error": "Please provide start_date and end_date"}})
    days = [last - timedelta(days=n) for n in range((last - first).days + 1)]
    tags = (query.get("tags") or "").split(",")
    rows = [
        (day, row)
        for day in days
        for row in ledger.rows("litellm", f"{path}_activity", day)
        if query["model"] in (None, "", row["model"]) and (tags == [""] or row["entity"] in tags)
    ]
    size = min(query["page_size"], request.scope.get("page_size", query["page_size"]))
    page = query["page"]
    shown = rows[(page - 1) * size : page * size]
    return {
        "results": [_day(day, [row for of, row in shown if of == day]) for day in dict.fromkeys(of for of, _ in shown)],
        "metadata": {
            f"total_{name.removeprefix('total_')}": value for name, value in _metrics([row for _, row in shown]).items()
        }
        | {
            "page": page,
            "total_pages": -(-len(rows) // size),
            "has_more": page * size < len(rows),
            "api_key_limit": None,
            "total_api_keys": None,
            "entity_total_api_keys": None,
        },
    }


def _day(day: date, rows: Sequence[Row]) -> dict[str, Any]:
    with_model = [row for row in rows if row["model"]]
    return {
        "date": str(day),
        "metrics": _metrics(rows),
        "breakdown": {
            "mcp_servers": {},
            "models": _parts(with_model, "model"),
            "model_groups": _parts(with_model, "model"),
            "providers": _parts([row | {"provider": row["provider"] or "unknown"} for row in rows], "provider"),
            "endpoints": _parts(rows, "endpoint"),
            "api_keys": _keys(rows),
            "entities": _parts([row | {"entity": row["entity"] or UNASSIGNED} for row in rows], "entity"),
        },
    }


def _parts(rows: Iterable[Row], dimension: str) -> dict[str, Any]:
    grouped = _grouped(rows, dimension)
    return {
        name: {"metrics": _metrics(same), "metadata": _metadata(dimension, name), "api_key_breakdown": _keys(same)}
        for name, same in grouped.items()
    }


def _metadata(dimension: str, name: str) -> dict[str, Any]:
    if dimension == "entity" and name in TEAMS:
        return {"team_alias": TEAMS[name]}
    return {"user_email": name, "user_alias": None} if dimension == "entity" and "@" in name else {}


def _keys(rows: Iterable[Row]) -> dict[str, Any]:
    return {
        key: {
            "metrics": _metrics(same),
            "metadata": {
                "key_alias": same[0]["api_key_alias"],
                "team_id": None,
                "user_id": None,
                "user_email": None,
                "key_exists": True,
            },
        }
        for key, same in _grouped(rows, "api_key").items()
    }


def _grouped(rows: Iterable[Row], dimension: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[dimension], []).append(row)
    return groups


def _metrics(rows: Sequence[Row]) -> dict[str, Any]:
    metrics = {name: total(row[name] for row in rows) or 0 for name in MEASURES}
    summed = metrics["prompt_tokens"] + metrics["completion_tokens"]
    return metrics | {"flat_cost": 0, "total_tokens": summed} | dict.fromkeys(NOT_MEASURED, 0)


def _unprocessable(problem: BadParameterError) -> RefusedError:
    detail = {"type": problem.problem, "loc": ["query", problem.name], "msg": problem.problem, "input": problem.value}
    return RefusedError(422, {"detail": [detail]})


EMULATED = Emulated(BOOKS, _routes, key=LITELLM_MASTER_KEY, path="litellm")
