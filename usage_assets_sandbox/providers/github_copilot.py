"""The emulated reports of GitHub about Copilot: one day a request, without pages. Metrics are files behind links.

An enterprise has one organization here, so both are answered the same use. Its report of all products leaves out what
belongs to a cost center, unless that is asked for; its summary has all. Facts: @octokit/openapi-types 29.0.1 and
docs.github.com, as listed in fixtures/README.md; the shape ``repeated`` is what others have recorded.
"""

import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from usage_assets_sandbox.api import (
    BadParameterError,
    Parameter,
    RefusedError,
    catch_all,
    endpoint,
    integer,
    iso_date,
    json_response,
    read_query,
    stamp,
    text,
)
from usage_assets_sandbox.company import Row
from usage_assets_sandbox.company_github_copilot import BOOKS
from usage_assets_sandbox.credentials import (
    COPILOT_ENTERPRISE,
    COPILOT_ORGANIZATION,
    COPILOT_SIGNATURE,
    COPILOT_TOKEN,
    is_one_of,
)
from usage_assets_sandbox.directory import USED_DAILY, Directory, created
from usage_assets_sandbox.ledger import Ledger
from usage_assets_sandbox.sandbox import Emulated, Sandbox
from usage_assets_sandbox.shapes import Shapes

PARAMETERS = {
    parameter.name: parameter
    for parameter in (
        Parameter("year", integer(2008, 2999), required=True),
        Parameter("month", integer(1, 12), required=True),
        Parameter("day", integer(1, 31), required=True),
    )
}
NUMBERED = {
    "page": Parameter("page", integer(1), default=1),
    "per_page": Parameter("per_page", integer(1, 100), default=50),
}
OF_ENTERPRISE = PARAMETERS | {"cost_center_id": Parameter("cost_center_id", text)}
BILLING = "/organizations/{organization}/settings/billing"
BILLING_OF_ENTERPRISE = "/enterprises/{enterprise}/settings/billing"
REPORTS = "/github_copilot_reports"
REPORTS_SINCE = date(2025, 10, 10)
METRICS = "/orgs/{organization}/copilot/metrics/reports"
METRICS_OF_ENTERPRISE = "/enterprises/{enterprise}/copilot/metrics/reports"
VERSIONS = ("2022-11-28", "2026-03-10")
COST_CENTERS: Mapping[str, tuple[str, frozenset[str]]] = {
    "cc-research": ("Research", frozenset(("GPT-5", "Copilot Enterprise")))
}
"""Id -> name, and the models and seats that it pays for."""
OTHER_SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "premium_requests": {"ai-credits": "AI credits", "Copilot AI Credits": "copilot_premium_request"},
    "billing_usage": {
        "Copilot": "copilot",
        "Copilot AI Credits": "copilot_ai_unit",
        "ai-credits": "ai-units",
        "requests": "Requests",
        "user-months": "UserMonths",
    },
}
"""How the shape ``repeated`` spells products, SKUs and units of a report."""
PULL_REQUESTS = {
    "prs_created": "total_created_by_copilot",
    "prs_reviewed": "total_reviewed_by_copilot",
    "prs_merged": "total_merged_created_by_copilot",
    "suggestions_applied": "total_copilot_applied_suggestions",
}
DOCUMENTATION = "https://docs.github.com/rest/billing/usage"


def _routes(sandbox: Sandbox) -> list[Mount]:
    ledger, shapes = sandbox.ledger, sandbox.shapes
    routes = [
        *_lists(sandbox.directory),
        *(route for billing in (BILLING, BILLING_OF_ENTERPRISE) for route in _billing(billing, ledger, shapes)),
        _links(f"{METRICS}/users-1-day", ledger, "users_1_day"),
        _links(f"{METRICS}/organization-1-day", ledger, "organization_1_day"),
        _links(f"{METRICS_OF_ENTERPRISE}/users-1-day", ledger, "users_1_day"),
        _links(f"{METRICS_OF_ENTERPRISE}/enterprise-1-day", ledger, "enterprise_1_day"),
        catch_all(lambda _request: _refuse(404, "Not Found")),
    ]
    return [Mount("/github_copilot", routes=routes), Mount(REPORTS, routes=_files(ledger))]


def _lists(directory: Directory) -> list[BaseRoute]:
    return [
        endpoint(f"{path}/{name}", partial(_numbered_page, directory, name), bad_parameter)
        for path, name in (
            ("/orgs/{organization}/copilot/billing", "seats"),
            ("/enterprises/{enterprise}/copilot/billing", "seats"),
            (BILLING, "budgets"),
            (BILLING_OF_ENTERPRISE, "budgets"),
        )
    ]


def _in_enterprise(seats: list[Row]) -> Iterator[Row]:
    """An enterprise's list has a seat for each organization that gives it, and seats of teams."""
    for n, seat in enumerate(seats):
        for organization in ("acme-robotics", "acme-labs")[: 1 + (n % 2 == 0)]:
            yield {**seat, "organization": {"login": organization, "id": len(organization)}}
    team = {"id": 77, "slug": "night-shift", "name": "Night shift", "type": "Team"}
    yield {"id": "Team night-shift", "name": None, "assignee": team, "created_at": stamp(created(0))}


def _numbered_page(directory: Directory, name: str, request: Request) -> Row:
    whose = authorized(request)
    query = read_query(request, NUMBERED)
    items = directory.lists["github_copilot"][name]
    if name == "seats" and "enterprise" in whose:
        items = [*_in_enterprise(items)]
    first = (query["page"] - 1) * query["per_page"]
    left_out = {"name"} if name == "budgets" else {"name", "id"}
    today = f"{directory.clock.now().date()}T00:00:00Z"
    page = [
        {key: today if value == USED_DAILY else value for key, value in item.items() if key not in left_out}
        for item in items
    ]
    return {
        **({"total_seats": len({item["id"] for item in items})} if name == "seats" else {}),
        name: page[first : first + query["per_page"]],
    }


def _billing(path: str, ledger: Ledger, shapes: Shapes) -> list[BaseRoute]:
    return [
        endpoint(
            f"{path}/ai_credit/usage", lambda request: _metered(ledger, shapes, "ai_credits", request), bad_parameter
        ),
        endpoint(
            f"{path}/premium_request/usage",
            lambda request: _metered(ledger, shapes, "premium_requests", request),
            bad_parameter,
        ),
        endpoint(f"{path}/usage", lambda request: _all_products(ledger, shapes, request), bad_parameter),
        endpoint(f"{path}/usage/summary", lambda request: _summary(ledger, shapes, request), bad_parameter),
    ]


def _files(ledger: Ledger) -> list[BaseRoute]:
    """Files, for whoever has a link and shows no other credentials."""

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
    if report in ("organization_1_day", "enterprise_1_day"):
        return [encode(rows[0] if len(rows) == 1 else rows)]
    half = (len(rows) + 1) // 2
    return [_lines(encode, some) for some in (rows[:half], rows[half:]) if some] or [b"[]"]


def _lines(encode: Callable[[Any], bytes], rows: Sequence[Any]) -> bytes:
    return b"".join(encode(row) + b"\n" for row in rows)


def _metrics(ledger: Ledger, report: str, day: date) -> Iterator[dict[str, Any]]:
    is_of_enterprise = report == "enterprise_1_day"
    for row in ledger.rows("github_copilot", "organization_1_day" if is_of_enterprise else report, day):
        sent = {name: value for name, value in row.items() if value is not None and name not in PULL_REQUESTS}
        cut = {"feature": "chat", "user_initiated_interaction_count": row["user_initiated_interaction_count"]}
        if report != "users_1_day":
            sent["pull_requests"] = {sent_as: row[name] for name, sent_as in PULL_REQUESTS.items()}
        if is_of_enterprise:
            sent["enterprise_id"] = f"7{sent.pop('organization_id')}"
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


def _metered(ledger: Ledger, shapes: Shapes, report: str, request: Request) -> dict[str, Any]:
    """The items have no date: the envelope says which day they are of."""
    whose, day, cost_center = _asked(request)
    rows = [*ledger.rows("github_copilot", report, day)]
    if report == "premium_requests" and shapes.github_copilot == "repeated":
        rows += ledger.rows("github_copilot", "ai_credits", day)
    envelope = {"timePeriod": {"year": day.year, "month": day.month, "day": day.day}, **whose}
    if cost_center:
        rows = _paid_by(cost_center, rows)
        envelope["costCenter"] = {"id": cost_center, "name": COST_CENTERS.get(cost_center, ("",))[0]}
    return {**envelope, "usageItems": [*_sent(rows, shapes, report)]}


def _paid_by(cost_center: str, rows: Iterable[Row]) -> list[Row]:
    """What a cost center pays for; ``none``: what belongs to none."""
    others = frozenset().union(*(taken for _, taken in COST_CENTERS.values()))
    _, own = COST_CENTERS.get(cost_center, ("", frozenset()))
    named = [(row, row.get("model", row["sku"])) for row in rows]
    return [row for row, name in named if (name not in others if cost_center == "none" else name in own)]


def _summary(ledger: Ledger, shapes: Shapes, request: Request) -> dict[str, Any]:
    """All products over all organizations, repositories and cost centers."""
    whose, day, cost_center = _asked(request)
    rows = ledger.rows("github_copilot", "billing_usage", day)
    items: dict[str, Row] = {}
    for row in _sent(_paid_by(cost_center, rows) if cost_center else rows, shapes, "billing_usage"):
        del row["repository"]
        row["grossQuantity"], price = row.pop("quantity"), row["pricePerUnit"]
        row |= {f"{part}Quantity": row[f"{part}Amount"] / price for part in ("discount", "net")}
        same = items.setdefault(row["sku"], row)
        if same is not row:
            same |= {name: same[name] + row[name] for name in row if name.endswith(("Quantity", "Amount"))}
    period = {"year": day.year, "month": day.month, "day": day.day}
    return {"timePeriod": period, **whose, "usageItems": [*items.values()]}


def _all_products(ledger: Ledger, shapes: Shapes, request: Request) -> dict[str, Any]:
    whose, day, cost_center = _asked(request)
    rows = ledger.rows("github_copilot", "billing_usage", day)
    if "enterprise" in whose:
        rows = _paid_by(cost_center or "none", rows)
    organization = whose.get("organization", COPILOT_ORGANIZATION)
    return {"usageItems": [_item(row, day, organization) for row in _sent(rows, shapes, "billing_usage")]}


def _sent(rows: Iterable[Row], shapes: Shapes, report: str) -> Iterator[dict[str, Any]]:
    """Rows as they are sent, spelled as the shape has it."""
    spelled = OTHER_SPELLINGS.get(report, {}) if shapes.github_copilot == "repeated" else {}
    for row in rows:
        again = {name: spelled.get(row[name], row[name]) for name in ("product", "sku", "unit_type")}
        yield {_camel(name): value for name, value in {**row, **again}.items()}


def _item(row: Row, day: date, organization: str) -> dict[str, Any]:
    fields = {name: value for name, value in row.items() if name != "repository"}
    return {
        "date": str(day),
        **fields,
        "organizationName": organization,
        **({"repositoryName": row["repository"]} if row["repository"] else {}),
    }


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


def authorized(request: Request) -> dict[str, str]:
    """Whose use is asked for, as the envelope states it."""
    if not is_one_of(request.headers.get("authorization", "").removeprefix("Bearer "), COPILOT_TOKEN):
        raise _refuse(401, "Bad credentials")
    if request.headers.get("x-github-api-version", VERSIONS[0]) not in VERSIONS:
        raise _refuse(400, "Unsupported API version")
    for kind, known in (("organization", COPILOT_ORGANIZATION), ("enterprise", COPILOT_ENTERPRISE)):
        if kind in request.path_params and is_one_of(request.path_params[kind], known):
            return {kind: request.path_params[kind]}
    raise _refuse(404, "Not Found")


def _asked(request: Request) -> tuple[dict[str, str], date, str | None]:
    whose = authorized(request)
    query = read_query(request, OF_ENTERPRISE if "enterprise" in whose else PARAMETERS)
    try:
        return whose, date(query["year"], query["month"], query["day"]), query.get("cost_center_id")
    except ValueError:
        raise _refuse(400, "Invalid date") from None


def _refuse(status: int, message: str) -> RefusedError:
    return RefusedError(status, {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)})


def bad_parameter(problem: BadParameterError) -> RefusedError:
    return _refuse(400, f"Problem with '{problem.name}': {problem.problem}")


EMULATED = Emulated(
    BOOKS, _routes, key=COPILOT_TOKEN, path="github_copilot", ids={"organization": COPILOT_ORGANIZATION}
)
