"""Acme's API: a report of usage and cost, one of tool calls that is read with POST, and the names of projects.

Money is dollars.

Source: name the page of the API's documentation here, and the day on which you have read it.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated

from usage_assets.provider import (
    ChosenName,
    CostSource,
    Cursors,
    Endpoint,
    Entities,
    Item,
    Json,
    Lookup,
    LookupRow,
    Moment,
    OtherFields,
    Parser,
    Provider,
    Row,
    Total,
    Window,
    bearer,
    column,
    entity_rows,
)


class Usage(Row, kw_only=True):
    """One row per connection, day, project and model."""

    table = "acme.usage"
    grain = ("project_id", "model")
    totals = {"cost": Total("sum(cost)")}

    project_id: Annotated[str | None, column("Project; null: none")]
    model: Annotated[str, column("Model")]
    requests: Annotated[int | None, column("Requests", unit="requests")]
    input_tokens: Annotated[int | None, column("Input tokens", unit="tokens")]
    output_tokens: Annotated[int | None, column("Output tokens", unit="tokens")]
    cost: Annotated[Decimal, column("What is billed", unit="USD", kind="billed", additive=False)]
    other_fields: OtherFields = None


class ToolCalls(Row, kw_only=True):
    """One row per connection, day, project and tool."""

    table = "acme.tool_calls"
    grain = ("project_id", "tool")

    project_id: Annotated[str | None, column("Project; null: none")]
    tool: Annotated[str, column("Tool")]
    calls: Annotated[int | None, column("Calls", unit="calls")]
    other_fields: OtherFields = None


class Projects(LookupRow, kw_only=True):
    """One row per connection, project and version of its attributes."""

    table = "acme.projects"

    name: ChosenName = None


class OfDay(Item, kw_only=True):
    """What is read of an item before it becomes a row."""

    start: Moment


def start_of_day(item: Json, _path: str) -> str:
    """The beginning of the day that an item states."""
    return f"{item.get('date')}T00:00:00Z"


def one_row(item: Json, path: str, _parser: Parser) -> Iterator[tuple[str, Json]]:
    """An item is a row. ``date`` is in usage_date."""
    yield path, {name: value for name, value in item.items() if name not in ("date", "start")}


def first_and_last_day(window: Window) -> Mapping[str, str]:
    """Window parameters: both days are included."""
    return {"from": str(window.first), "to": str(window.last)}


def as_body(params: Sequence[tuple[str, str]]) -> Json:
    """The body of a POST: all parameters, those of the window and the token of the page among them, as texts."""
    sent = dict(params)
    return {**sent, "limit": int(sent["limit"])}


BY_CURSOR = Cursors(cursor="next_cursor", parameter="cursor", start=start_of_day)

ACME = Provider(
    name="acme",
    surface=2,
    module=__name__,
    company="Acme",
    service="Acme",
    sub_account_type="Project",
    base_url="https://api.acme.example/v1",
    base_url_variable="ACME_BASE_URL",
    key_variable="ACME_API_KEY",
    auth=bearer,
    advice={
        401: "Check the key (ACME_API_KEY for the default connection)",
        403: "Give the key the permission to read usage",
    },
    settling_days=3,  # how long Acme still changes a day after its end
    costs=(CostSource(table="acme.usage", columns={"native_amount": "cost"}, billed_totals="cost"),),
    entities=(
        Entities(
            row=entity_rows(__file__, "acme_project_cost"),
            reads=("acme.usage",),
        ),
    ),
    endpoints=(
        Endpoint(
            name="usage",
            group="usage",
            path="usage",
            row=Usage,
            item=OfDay,
            records=one_row,
            page=BY_CURSOR,
            params={"limit": "500"},
            window_days=31,
            window_params=first_and_last_day,
            bucket_per_day=False,
            seen_live=False,
        ),
        Endpoint(
            name="tool_calls",
            group="usage",
            path="tool_calls/query",
            post=as_body,
            row=ToolCalls,
            item=OfDay,
            records=one_row,
            page=BY_CURSOR,
            params={"limit": "500"},
            window_days=31,
            window_params=first_and_last_day,
            bucket_per_day=False,
            seen_live=False,
        ),
    ),
    lookups=(Lookup(name="projects", path="projects", row=Projects, cursor="after", known_as="project_id"),),
)
