"""The emulated activity of OpenRouter: the last 30 completed UTC days, without pages.

Facts: the official SDK openrouter 1.3.84, as listed in fixtures/README.md.
"""

from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.routing import Mount

from usage_assets_sandbox.api import (
    BadParameterError,
    Parameter,
    RefusedError,
    catch_all,
    endpoint,
    iso_date,
    one_of,
    read_query,
)
from usage_assets_sandbox.company import Row
from usage_assets_sandbox.company_openrouter import BOOKS, DIMENSIONS
from usage_assets_sandbox.credentials import OPENROUTER_MANAGEMENT_KEY, is_one_of
from usage_assets_sandbox.ledger import Ledger, group
from usage_assets_sandbox.sandbox import Emulated, Sandbox

SERVED_DAYS = 30
PARAMETERS = {
    parameter.name: parameter
    for parameter in (Parameter("date", iso_date), Parameter("group_by", one_of(("workspace",))))
}


def _routes(sandbox: Sandbox) -> list[Mount]:
    ledger = sandbox.ledger
    routes = [
        endpoint("/activity", lambda request: _activity(ledger, request), _bad_parameter),
        catch_all(lambda _request: _refuse(404, "Not Found")),
    ]
    return [Mount("/openrouter", routes=routes)]


def _activity(ledger: Ledger, request: Request) -> dict[str, Any]:
    if not is_one_of(request.headers.get("authorization", "").removeprefix("Bearer "), OPENROUTER_MANAGEMENT_KEY):
        raise _refuse(401, "Invalid management key")
    query = read_query(request, PARAMETERS)
    today = ledger.clock.today()
    served = [today - timedelta(days=n) for n in range(1, SERVED_DAYS + 1)]
    if query["date"] and query["date"] not in served:
        raise _refuse(400, f"Date must be within the last {SERVED_DAYS} (completed) UTC days")
    days = [query["date"]] if query["date"] else served
    return {"data": [row for day in days for row in _rows(ledger, day, by_workspace=bool(query["group_by"]))]}


def _rows(ledger: Ledger, day: date, *, by_workspace: bool) -> list[Row]:
    rows = ledger.rows("openrouter", "activity", day)
    if not by_workspace:
        kept = [name for name in DIMENSIONS if name != "workspace_id"]
        rows = [
            {name: value for name, value in row.items() if name != "workspace_id"}
            for row in group(rows, DIMENSIONS, kept)
        ]
    return [{"date": str(day), **row} for row in rows]


def _refuse(status: int, message: str) -> RefusedError:
    return RefusedError(status, {"error": {"code": status, "message": message}})


def _bad_parameter(problem: BadParameterError) -> RefusedError:
    return _refuse(400, f"Invalid {problem.name}: {problem.problem}")


EMULATED = Emulated(BOOKS, _routes, key=OPENROUTER_MANAGEMENT_KEY, path="openrouter")
