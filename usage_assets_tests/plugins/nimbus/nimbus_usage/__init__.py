"""Nimbus, an invented API: cursors inside an envelope, credits that a contract values, one report a day of people.

It is in one module, and shares nothing with usage-assets but ``usage_assets.provider``.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Annotated

from usage_assets.provider import (
    CostSource,
    Cursors,
    Email,
    Endpoint,
    Entities,
    HeaderAuth,
    Item,
    Json,
    Lookup,
    LookupRow,
    Moment,
    Numbers,
    OtherFields,
    Parser,
    PersonName,
    Provider,
    Row,
    ShapeError,
    Total,
    Window,
    column,
    entity_rows,
)

in_credits = partial(column, unit="credits", kind="credits", additive=False)


class Renders(Row, kw_only=True, rename={"person_id": "who.id", "person_email": "who.mail", "credits": "price.amount"}):
    """One row per connection, day, engine, workspace, person and quality."""

    table = "nimbus.renders"
    grain = ("engine", "workspace_id", "person_id", "quality")
    totals = {"credits": Total("sum(credits)")}

    engine: Annotated[str, column("Engine")]
    workspace_id: Annotated[str, column("Workspace")]
    person_id: Annotated[str | None, column("Person; null: a service")]
    person_email: Annotated[str | None, column("Address of the person", address="sent_unasked")] = None
    quality: Annotated[str, column("Quality")]
    frames: Annotated[int | None, column("Frames", unit="frames")]
    credits: Annotated[Decimal, in_credits("What is billed")]
    other_fields: OtherFields = None


class Sessions(Row, kw_only=True):
    """One row per connection, day and person."""

    table = "nimbus.sessions"
    grain = ("person_id",)

    person_id: Annotated[str, column("Person")]
    minutes: Annotated[int | None, column("Time in the editor", unit="minutes")]
    other_fields: OtherFields = None


class People(LookupRow, kw_only=True):
    """One row per connection, person and version of their attributes."""

    table = "nimbus.people"

    name: PersonName = None
    email: Email = None


class Render(Item, kw_only=True):
    """What is read of an item before it becomes a row."""

    start: Moment
    who: dict[str, str | None]
    price: dict[str, object]


class SessionOfDay(Item, kw_only=True, rename={"start": "asked_for"}):
    """What is read of a person's day, which names none."""

    start: Moment


def midnight(item: Json, path: str) -> str:
    """The day of a render, which is a number such as 20261101."""
    day = str(item.get("on"))
    if len(day) != 8 or not day.isdigit():
        raise ShapeError(f"{path}.on", None, f"{day} is no day")
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T00:00:00Z"


def rows_of_render(item: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """A render is a row. Raises ShapeError for a price in anything but credits."""
    if item["price"].get("unit") != "credits":
        raise ShapeError(f"{path}.price.unit", parser.day, f"{item['price'].get('unit')} are no credits")
    flat = {name: value for name, value in item.items() if name not in ("on", "start", "who", "price")}
    flat |= {f"who.{name}": value for name, value in item["who"].items()}
    yield path, flat | {f"price.{name}": value for name, value in item["price"].items() if name != "unit"}


def rows_of_session(item: Json, path: str, _parser: Parser) -> Iterator[tuple[str, Json]]:
    """A session is a row."""
    yield path, {name: value for name, value in item.items() if name != "asked_for"}


def in_numbers(window: Window) -> Mapping[str, str]:
    """Window parameters: numbers, and the end is exclusive."""
    return {"since": f"{window.first:%Y%m%d}", "until": f"{window.end:%Y%m%d}"}


def one_day(window: Window) -> Mapping[str, str]:
    """Window parameter of sessions."""
    return {"day": str(window.first)}


def error_message(body: object) -> str | None:
    """The message of ``{"problem": {"detail": ...}}``."""
    match body:
        case {"problem": {"detail": str(message)}}:
            return message
    return None


NIMBUS = Provider(
    name="nimbus",
    surface=2,
    module=__name__,
    company="Nimbus Rendering",
    service="Nimbus",
    sub_account_type="Workspace",
    base_url="https://api.nimbus.example",
    base_url_variable="NIMBUS_BASE_URL",
    key_variable="NIMBUS_KEY",
    id_variables={"tenant": "NIMBUS_TENANT"},
    auth=partial(HeaderAuth, "X-Nimbus-Key"),
    error_message=error_message,
    advice={401: "Check NIMBUS_KEY", 403: "The key needs the role auditor", 404: "Check NIMBUS_TENANT"},
    settling_days=5,
    costs=(
        CostSource(
            table="nimbus.renders",
            columns={
                "native_amount": "credits",
                "cost_basis": "'credits'",
                "native_unit": "'credits'",
                "currency": "null",
            },
            billed_totals="credits",
            charge="Renders",
        ),
    ),
    entities=(
        Entities(
            row=entity_rows(__file__, "nimbus_engine_use"),
            reads=("nimbus.renders",),
        ),
    ),
    endpoints=(
        Endpoint(
            name="renders",
            group="renders",
            path="tenants/{tenant}/renders",
            row=Renders,
            item=Render,
            records=rows_of_render,
            page=Cursors(items="result", cursor="meta.after", more="meta.more", parameter="after", start=midnight),
            params={"size": "200"},
            filters=("_regions[]",),
            window_days=10,
            window_params=in_numbers,
            bucket_per_day=False,
            seen_live=False,
        ),
        Endpoint(
            name="sessions",
            group="people",
            path="tenants/{tenant}/sessions",
            row=Sessions,
            item=SessionOfDay,
            records=rows_of_session,
            page=Numbers(
                items="people", number="page", pages="pages", total="count", parameter="page", asked_for="asked_for"
            ),
            params={"size": "200"},
            window_days=1,
            window_params=one_day,
            bucket_per_day=False,
            seen_live=False,
        ),
    ),
    lookups=(
        Lookup(
            name="people",
            path="tenants/{tenant}/people",
            row=People,
            cursor="after",
            known_as="person_id",
            is_of_one_organization=False,
        ),
    ),
)
