"""The emulated reports of GitHub about Copilot: one day a request, without pages. Metrics are files behind links.

Facts: @octokit/openapi-types 29.0.1 and docs.github.com, as listed in fixtures/README.md.
"""

import hmac
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from usage_assets.sandbox.api import (
    BadParameterError,
    Parameter,
    RefusedError,
    catch_all,
    endpoint,
    integer,
    iso_date,
    json_response,
    read_query,
)
from usage_assets.sandbox.company import Row
from usage_assets.sandbox.credentials import (
    COPILOT_ORGANIZATION,
    COPILOT_SIGNATURE,
    COPILOT_TOKEN,
    is_one_of,
)
from usage_assets.sandbox.ledger import Ledger

PARAMETERS = {
    parameter.name: parameter
    for parameter in (
        Parameter("year", integer(2008, 2999), required=True),
        Parameter("month", integer(1, 12), required=True),
        Parameter("day", integer(1, 31), required=True),
    )
}
BILLING = "/organizations/{organization}/settings/billing"
REPORTS = "/github_copilot_reports"
REPORTS_SINCE = date(2025, 10, 10)
METRICS = "/orgs/{organization}/copilot/metrics/reports"
PULL_REQUESTS = {
    "prs_created": "total_created_by_copilot",
    "prs_reviewed": "total_reviewed_by_copilot",
    "prs_merged": "total_merged_created_by_copilot",
    "suggestions_applied": "total_copilot_applied_suggestions",
}
DOCUMENTATION = "https://docs.github.com/rest/billing/usage"


def github_copilot_routes(ledger: Ledger) -> list[BaseRoute]:
    """The routes to mount at /github_copilot."""
    return [
        endpoint(f"{BILLING}/ai_credit/usage", lambda request: _metered(ledger, "ai_credits", request), bad_parameter),
        endpoint(
            f"{BILLING}/premium_request/usage",
            lambda request: _metered(ledger, "premium_requests", request),
            bad_parameter,
        ),
        endpoint(f"{BILLING}/usage", lambda request: _all_products(ledger, request), bad_parameter),
        _links(f"{METRICS}/users-1-day", ledger, "users_1_day"),
        _links(f"{METRICS}/organization-1-day", ledger, "organization_1_day"),
        catch_all(lambda _request: _refuse(404, "Not Found")),
    ]


def report_routes(ledger: Ledger) -> list[BaseRoute]:
    """The routes to mount at REPORTS: files, for whoever has a link and shows no other credentials."""

    async def file(request: Request) -> Response:
        report, day, part = (request.path_params[name] for name in ("report", "day", "part"))
        if "authorization" in request.headers:
            return json_response({"error": {"code": "InvalidAuthenticationInfo"}}, 400)
        if request.query_params.get("sig") != signature(request.url.path):
            return json_response({"error": {"code": "AuthenticationFailed"}}, 403)
        rows = parts(ledger, report, date.fromisoformat(day))[part - 1]
        return Response(rows, media_type="application/x-ndjson")

    return [Route("/{report}/{day}/{part:int}", file, methods=["GET"])]


def signature(path: str) -> str:
    """What signs the link to a path."""
    return hmac.digest(COPILOT_SIGNATURE.encode(), path.encode(), "sha256").hex()


def parts(ledger: Ledger, report: str, day: date) -> list[bytes]:
    """The files of a report: persons are a line each, in two files; an organization is one object."""
    rows = [*_metrics(ledger, report, day)]
    encode = msgspec.json.Encoder(decimal_format="number").encode
    if report == "organization_1_day":
        return [encode(rows[0] if len(rows) == 1 else rows)]
    half = (len(rows) + 1) // 2
    return [_lines(encode, some) for some in (rows[:half], rows[half:]) if some] or [b"[]"]


def _lines(encode: Callable[[Any], bytes], rows: Sequence[Any]) -> bytes:
    return b"".join(encode(row) + b"\n" for row in rows)


def _metrics(ledger: Ledger, report: str, day: date) -> Iterator[dict[str, Any]]:
    for row in ledger.rows("github_copilot", report, day):
        sent = {name: value for name, value in row.items() if value is not None and name not in PULL_REQUESTS}
        cut = {"feature": "chat", "user_initiated_interaction_count": row["user_initiated_interaction_count"]}
        if report == "organization_1_day":
            sent["pull_requests"] = {sent_as: row[name] for name, sent_as in PULL_REQUESTS.items()}
        yield {"day": str(day), **sent, "totals_by_feature": [cut]}


def _links(path: str, ledger: Ledger, report: str) -> BaseRoute:
    async def links(request: Request) -> Response:
        try:
            authorized(request)
            day = read_query(request, {"day": Parameter("day", iso_date, required=True)})["day"]
        except BadParameterError as problem:
            refused = bad_parameter(problem)
            return json_response(refused.body, refused.status)
        except RefusedError as refused:
            return json_response(refused.body, refused.status)
        if not REPORTS_SINCE <= day < ledger.clock.today():
            return Response(status_code=204)
        paths = [f"{REPORTS}/{report}/{day}/{n}" for n in range(1, len(parts(ledger, report, day)) + 1)]
        host = f"{request.url.scheme}://{request.url.netloc}"
        return json_response(
            {"download_links": [f"{host}{path}?sig={signature(path)}" for path in paths], "report_day": str(day)}
        )

    return Route(path, links, methods=["GET"])


def _metered(ledger: Ledger, report: str, request: Request) -> dict[str, Any]:
    """The items have no date: the envelope says which day they are of."""
    organization, day = _asked(request)
    return {
        "timePeriod": {"year": day.year, "month": day.month, "day": day.day},
        "organization": organization,
        "usageItems": [
            {_camel(name): value for name, value in row.items()} for row in ledger.rows("github_copilot", report, day)
        ],
    }


def _all_products(ledger: Ledger, request: Request) -> dict[str, Any]:
    organization, day = _asked(request)
    rows = ledger.rows("github_copilot", "billing_usage", day)
    return {"usageItems": [_item(row, day, organization) for row in rows]}


def _item(row: Row, day: date, organization: str) -> dict[str, Any]:
    fields = {_camel(name): value for name, value in row.items() if name != "repository"}
    return {
        "date": str(day),
        **fields,
        "organizationName": organization,
        **({"repositoryName": row["repository"]} if row["repository"] else {}),
    }


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


def authorized(request: Request) -> str:
    organization: str = request.path_params["organization"]
    if not is_one_of(request.headers.get("authorization", "").removeprefix("Bearer "), COPILOT_TOKEN):
        raise _refuse(401, "Bad credentials")
    if not is_one_of(organization, COPILOT_ORGANIZATION):
        raise _refuse(404, "Not Found")
    return organization


def _asked(request: Request) -> tuple[str, date]:
    organization = authorized(request)
    query = read_query(request, PARAMETERS)
    try:
        return organization, date(query["year"], query["month"], query["day"])
    except ValueError:
        raise _refuse(400, "Invalid date") from None


def _refuse(status: int, message: str) -> RefusedError:
    return RefusedError(status, {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)})


def bad_parameter(problem: BadParameterError) -> RefusedError:
    return _refuse(400, f"Problem with '{problem.name}': {problem.problem}")
