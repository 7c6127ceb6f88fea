"""The emulated billing reports of GitHub: one day a request, without pages.

Facts: @octokit/openapi-types 29.0.1 and docs.github.com, as listed in fixtures/README.md.
"""

from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute

from usage_assets.sandbox.api import (
    BadParameterError,
    Parameter,
    RefusedError,
    catch_all,
    endpoint,
    integer,
    read_query,
)
from usage_assets.sandbox.company import Row
from usage_assets.sandbox.credentials import COPILOT_ORGANIZATION, COPILOT_TOKEN, is_one_of
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
DOCUMENTATION = "https://docs.github.com/rest/billing/usage"


def github_copilot_routes(ledger: Ledger) -> list[BaseRoute]:
    """The routes to mount at /github_copilot."""
    return [
        endpoint(f"{BILLING}/ai_credit/usage", lambda request: _metered(ledger, "ai_credits", request), _bad_parameter),
        endpoint(
            f"{BILLING}/premium_request/usage",
            lambda request: _metered(ledger, "premium_requests", request),
            _bad_parameter,
        ),
        endpoint(f"{BILLING}/usage", lambda request: _all_products(ledger, request), _bad_parameter),
        catch_all(lambda _request: _refuse(404, "Not Found")),
    ]


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


def _asked(request: Request) -> tuple[str, date]:
    organization: str = request.path_params["organization"]
    if not is_one_of(request.headers.get("authorization", "").removeprefix("Bearer "), COPILOT_TOKEN):
        raise _refuse(401, "Bad credentials")
    if not is_one_of(organization, COPILOT_ORGANIZATION):
        raise _refuse(404, "Not Found")
    query = read_query(request, PARAMETERS)
    try:
        return organization, date(query["year"], query["month"], query["day"])
    except ValueError:
        raise _refuse(400, "Invalid date") from None


def _refuse(status: int, message: str) -> RefusedError:
    return RefusedError(status, {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)})


def _bad_parameter(problem: BadParameterError) -> RefusedError:
    return _refuse(400, f"Problem with '{problem.name}': {problem.problem}")
