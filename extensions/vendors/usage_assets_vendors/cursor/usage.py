"""Cursor's Admin API: usage events with their money, daily activity, and the provider. Lists are in lookups.py.

Money here is cents, with fractions. Source: the Admin API page at cursor.com/docs/account/teams/admin-api, and public
connectors for what it does not say. No answer has been seen live; fixtures/recorded/cursor has what others recorded.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Annotated

import httpx
import msgspec

from usage_assets.provider import (
    NOBODY,
    BilledAs,
    CostSource,
    CountedFields,
    Endpoint,
    Entities,
    Item,
    Json,
    Numbers,
    OtherFields,
    Parser,
    Provider,
    Row,
    ShapeError,
    Total,
    Window,
    column,
    entity_rows,
    ids_in,
)
from usage_assets_vendors.cursor.lookups import LOOKUPS, MemberId, as_text, moment, numbers, of_person

BILLED, INCLUDED, OWN_KEY, NOT_CHARGED = "billed", "included", "own_key", "not_charged"
CHARGES: Mapping[str, str] = {
    "usage_based": BILLED,
    "on_demand": BILLED,
    "included": INCLUDED,
    "free": INCLUDED,
    "free_credit": INCLUDED,
    "custom_subscription_free": INCLUDED,
    "user_api_key": OWN_KEY,
}
"""Kind of an event -> what its amount is. Kinds that begin with ``included_in_`` name a plan; those that end with
``not_charged`` say why there is no charge: errored, or aborted. ``custom_subscription_`` is followed by its name."""

cents = partial(column, unit="cents", additive=False)
tokens = partial(column, unit="tokens")
of_events = partial(column, unit="events")
of_lines = partial(column, unit="lines")


class Event(Item, kw_only=True):
    """What is read of an event before it is a row. ``start`` is the midnight of its day."""

    timestamp: int
    kind: str
    is_chargeable: bool | None = msgspec.field(name="isChargeable", default=None)


class UsageEvents(
    Row,
    kw_only=True,
    rename={
        "user_id": "userEmail",
        "service_account_id": "serviceAccountId",
        "service_account_name": "serviceAccountName",
        "service_account_email": "serviceAccountEmail",
        "team_id": "teamId",
        "kind_as_sent": "kindAsSent",
        "is_chargeable": "isChargeable",
        "max_mode": "maxMode",
        "is_headless": "isHeadless",
        "is_cloud_agent": "isCloudAgent",
        "events_without_price": "eventsWithoutPrice",
        "request_units": "requestsCosts",
        "input_tokens": "tokenUsage.inputTokens",
        "output_tokens": "tokenUsage.outputTokens",
        "cache_read_tokens": "tokenUsage.cacheReadTokens",
        "cache_write_tokens": "tokenUsage.cacheWriteTokens",
        "model_cents": "tokenUsage.totalCents",
        "token_fee_cents": "cursorTokenFee",
        "charged_cents": "chargedCents",
    },
):
    """One row per connection, day, person or service account, team, model, kind, charge and mode: events, added up.

    Only charged_cents with the charge `billed` are billed. With `included` they are the price of what a plan covers.
    Never add token_fee_cents or model_cents to charged_cents, which contain both. The use of an own key is in the
    bill of that key's provider.

    An event is of a person or of a service account, never of both. Ids of conversations and cloud agents are no
    columns: with them, a row would be a single event. is_cloud_agent says whether an agent ran. Conversations cannot
    be counted in rows that are added up, because one has events of several models and days. The archive has them.
    """

    table = "cursor.usage_events"
    grain = (
        "user_id",
        "service_account_id",
        "team_id",
        "model",
        "kind",
        "kind_as_sent",
        "charge",
        "is_chargeable",
        "max_mode",
        "is_headless",
        "is_cloud_agent",
    )
    is_summed = True
    totals = {
        f"{charge}_cents": Total(f"sum(charged_cents) filter (where charge = '{charge}')", "cents")
        for charge in (BILLED, INCLUDED, OWN_KEY, NOT_CHARGED)
    } | {
        "service_account_cents": Total("sum(charged_cents) filter (where service_account_id is not null)", "cents"),
        "model_cents": Total("sum(model_cents)"),
        "token_fee_cents": Total("sum(token_fee_cents)"),
        "request_units": Total("sum(request_units)"),
    }

    user_id: Annotated[str | None, of_person] = None
    service_account_id: Annotated[
        str | None, column("Service account; its name where no id is sent", address="in_name", is_added=True)
    ] = None
    service_account_name: Annotated[
        str | None, column("Name of the service account", address="in_name", is_added=True)
    ] = None
    service_account_email: Annotated[
        str | None,
        column("Address of the service account, as USAGE_PEOPLE wants it", address="sent_unasked", is_added=True),
    ] = None
    team_id: Annotated[str | None, column("Team, where the event names it", is_added=True)] = None
    model: Annotated[str | None, column("Model")] = None
    kind: Annotated[str, column("Kind of charge, such as usage_based or included_in_business")]
    kind_as_sent: Annotated[str, column("The same, as Cursor spells it: a label or the name of a constant")]
    charge: Annotated[
        str, column("billed; included in a plan; own_key: billed by that key's provider; not_charged: failed requests")
    ]
    is_chargeable: Annotated[
        bool | None,
        column("What Cursor calls the events; `charge` decides, and a check compares the two", is_added=True),
    ] = None
    max_mode: Annotated[bool | None, column("Whether max mode was used")] = None
    is_headless: Annotated[bool | None, column("Whether it ran without a connected client")] = None
    is_cloud_agent: Annotated[
        bool | None, column("True if a cloud agent ran; null: the events name none", is_added=True)
    ] = None
    events: Annotated[int, of_events("Usage events")] = 1
    events_without_price: Annotated[
        int | None, of_events("Those of them that a plan covers and that state no price", additive=False, is_added=True)
    ] = None
    request_units: Annotated[
        Decimal | None, column("Request units, of plans that count requests", unit="request units", additive=False)
    ] = None
    input_tokens: Annotated[int | None, tokens("Input that was neither read from nor written to the cache")] = None
    output_tokens: Annotated[int | None, tokens("Output")] = None
    cache_read_tokens: Annotated[int | None, tokens("Input read from the cache")] = None
    cache_write_tokens: Annotated[int | None, tokens("Input written to the cache")] = None
    model_cents: Annotated[
        Decimal | None, cents("Price of the model, before a discount: part of charged_cents", kind="list")
    ] = None
    token_fee_cents: Annotated[Decimal | None, cents("Cursor's fee on tokens: part of charged_cents", kind="list")] = (
        None
    )
    charged_cents: Annotated[
        Decimal | None, cents("Price of the events, with the fee; `charge` says who pays", kind="charge")
    ] = None
    other_fields: CountedFields = None


def usage_events(event: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """An event with what its amount is, and whose. Raises ShapeError where nothing says what it is, or what is billed.

    An event that a plan covers may lack its price: what it is worth is unknown then, and nothing is billed.
    """
    is_chargeable = event.get("isChargeable")
    kind = normalized(f"{event['kind']} {event.pop('customSubscriptionName', None) or ''}")
    charge = charge_of(kind, is_chargeable)
    price = event.get("chargedCents")
    if charge is None:
        if is_chargeable is None or price != 0:
            raise ShapeError(f"{path}.kind", parser.day, f"nothing says whether the kind {event['kind']!r} is billed")
        charge = NOT_CHARGED
    if charge == BILLED and price is None and (price := price_of_2025(event)) is None:
        raise ShapeError(f"{path}.chargedCents", parser.day, f"the field is missing of an event that is {charge}")
    for known in ("start", "timestamp", "isTokenBasedCall", "isFreeBugbot"):
        event.pop(known, None)
    if isinstance(used := event.get("tokenUsage"), dict):
        used.pop("discountPercentOff", None)
    unpriced = {"eventsWithoutPrice": 1} if charge == INCLUDED and price is None else {}
    columns = whose(event) | unpriced
    columns |= {"kind": kind, "kindAsSent": event["kind"], "charge": charge, "chargedCents": price}
    yield path, event | columns


def charge_of(kind: str, is_chargeable: bool | None) -> str | None:
    """What the amount of an event is; None where that is not known. The kind decides, if it is known: Cursor also calls
    events chargeable that a plan covers, or that failed. ``isChargeable`` can only make an unknown kind billed."""
    if kind.startswith("included_in_"):
        return INCLUDED
    if kind.endswith((NOT_CHARGED, "no_charge")):
        return NOT_CHARGED
    return CHARGES.get(kind, BILLED if is_chargeable else None)


def price_of_2025(event: Json) -> int | Decimal | None:
    """The price of an event without ``chargedCents``: that of the model, plus the fee, as the reference of 2025 says.

    None if the model's price is missing, or has a discount: events of 2025 had none, so nothing says what the sum is.
    """
    match event.get("tokenUsage"), event.get("cursorTokenFee"):
        case {"discountPercentOff": _}, _:
            return None
        case {"totalCents": int() | Decimal() as model}, None:
            return model
        case {"totalCents": int() | Decimal() as model}, int() | Decimal() as fee:
            return model + fee
    return None


_IDS = ("userEmail", "serviceAccountId", "serviceAccountName", "conversationId", "cloudAgentId")


def whose(event: Json) -> Json:
    """Takes the ids out of an event, and returns them as columns. An id that is not there may be the text ``null``."""
    given = {name: value for name in _IDS if (value := event.pop(name, None)) not in (None, *NOBODY)}
    account = given.get("serviceAccountId", given.get("serviceAccountName"))
    return {
        "serviceAccountEmail" if account else "userEmail": given.get("userEmail"),
        "serviceAccountId": account,
        "serviceAccountName": given.get("serviceAccountName"),
        "isCloudAgent": "cloudAgentId" in given or None,
        "teamId": as_text(event.pop("teamId", None)),
    }


def normalized(kind: str) -> str:
    """A kind in one spelling: `Included in Business` and `USAGE_EVENT_KIND_INCLUDED_IN_BUSINESS` are one.

    >>> normalized("Errored, Not Charged")
    'errored_not_charged'
    """
    return re.sub(r"[^a-z0-9]+", "_", kind.removeprefix("USAGE_EVENT_KIND_").lower()).strip("_")


class Activity(Item, kw_only=True):
    """A person's day. ``start`` is its midnight."""


class DailyUsage(
    Row,
    kw_only=True,
    rename={
        "user_id": "email",
        "member_id": "userId",
        "is_active": "isActive",
        "total_lines_added": "totalLinesAdded",
        "total_lines_deleted": "totalLinesDeleted",
        "accepted_lines_added": "acceptedLinesAdded",
        "accepted_lines_deleted": "acceptedLinesDeleted",
        "total_applies": "totalApplies",
        "total_accepts": "totalAccepts",
        "total_rejects": "totalRejects",
        "total_tabs_shown": "totalTabsShown",
        "total_tabs_accepted": "totalTabsAccepted",
        "composer_requests": "composerRequests",
        "chat_requests": "chatRequests",
        "agent_requests": "agentRequests",
        "cmdk_usages": "cmdkUsages",
        "bugbot_usages": "bugbotUsages",
        "subscription_included_requests": "subscriptionIncludedReqs",
        "usage_based_requests": "usageBasedReqs",
        "api_key_requests": "apiKeyReqs",
        "most_used_model": "mostUsedModel",
        "apply_most_used_extension": "applyMostUsedExtension",
        "tab_most_used_extension": "tabMostUsedExtension",
        "client_version": "clientVersion",
    },
):
    """One row per connection, day and person, whether active or not: what they did with Cursor.

    The three counters of requests by who pays count events, not what plans bill. Costs are in cursor.usage_events.
    """

    table = "cursor.daily_usage"
    grain = ("user_id",)

    user_id: Annotated[str, of_person]
    member_id: MemberId = None
    is_active: Annotated[bool | None, column("Whether the person did anything on the day")] = None
    total_lines_added: Annotated[int | None, of_lines("Lines of code added")]
    total_lines_deleted: Annotated[int | None, of_lines("Lines of code deleted")]
    accepted_lines_added: Annotated[int | None, of_lines("Suggested lines that were added")]
    accepted_lines_deleted: Annotated[int | None, of_lines("Lines deleted as suggested")]
    total_applies: Annotated[int | None, column("Suggestions that were applied", unit="applies")]
    total_accepts: Annotated[int | None, column("Suggestions that were accepted", unit="accepts")]
    total_rejects: Annotated[int | None, column("Suggestions that were rejected", unit="rejects")]
    total_tabs_shown: Annotated[int | None, column("Tab completions that were shown", unit="completions")]
    total_tabs_accepted: Annotated[int | None, column("Tab completions that were accepted", unit="completions")]
    composer_requests: Annotated[int | None, column("Requests of Composer", unit="requests")]
    chat_requests: Annotated[int | None, column("Requests of the chat", unit="requests")]
    agent_requests: Annotated[int | None, column("Requests of the agent", unit="requests")]
    cmdk_usages: Annotated[int | None, column("Inline edits (Cmd+K)", unit="edits")] = None
    bugbot_usages: Annotated[int | None, column("Uses of Bugbot", unit="uses")] = None
    subscription_included_requests: Annotated[int | None, of_events("Events that the plan includes")]
    usage_based_requests: Annotated[int | None, of_events("Events that are billed by usage")]
    api_key_requests: Annotated[int | None, of_events("Events with the person's own key of another provider")]
    most_used_model: Annotated[str | None, column("Model that the person used most")] = None
    apply_most_used_extension: Annotated[str | None, column("Commonest file extension of applies")] = None
    tab_most_used_extension: Annotated[str | None, column("Commonest file extension of tab completions")] = None
    client_version: Annotated[str | None, column("Version of the client")] = None
    other_fields: OtherFields = None


def daily_usage(person: Json, path: str, _parser: Parser) -> Iterator[tuple[str, Json]]:
    for known in ("start", "day"):
        person.pop(known, None)
    yield path, person | {"userId": as_text(person.get("userId"))}


def midnight_of_event(event: Json, path: str) -> str:
    """The beginning of an event's day. Raises ShapeError."""
    return f"{moment(event.get('timestamp'), f'{path}.timestamp'):%Y-%m-%d}T00:00:00Z"


def midnight_of_day(person: Json, _path: str) -> str:
    """The beginning of the day that a person's row states."""
    return f"{person.get('day')}T00:00:00Z"


def epoch_ms(window: Window) -> Mapping[str, str]:
    """Window parameters of Cursor: milliseconds, up to the last one of the window, whose end is fixed."""
    first, end = (int(moment.timestamp()) * 1000 for moment in (window.start, window.end))
    return {"startDate": str(first), "endDate": str(end - 1)}


def basic(key: str) -> httpx.Auth:
    """The key as user name, without a password."""
    return httpx.BasicAuth(key, "")


def error_message(body: object) -> str | None:
    """The message of ``{"error": ..., "message": ...}``, or of one of the two alone."""
    match body:
        case {"message": str(message)} | {"error": str(message)} | {"error": {"message": str(message)}}:
            return message
    return None


pages = partial(Numbers, more="pagination.hasNextPage", ignored=re.compile("period|total|numPages|pageSize|has"))
reading = partial(Endpoint, window_params=epoch_ms, post=numbers, bucket_per_day=False, seen_live=False)

CURSOR = Provider(
    name="cursor",
    surface=2,
    module=__name__,
    position=9,
    company="Cursor",
    service="Cursor",
    billed_as=BilledAs(services=("Cursor*",), sellers=("Cursor*", "Anysphere*")),
    sub_account_type="Team",
    base_url="https://api.cursor.com",
    base_url_variable="CURSOR_BASE_URL",
    auth=basic,
    error_message=error_message,
    advice={
        401: "Check the connection's key: an Admin API key of the team, from its settings in Cursor",
        403: "The Admin API needs an Enterprise plan, and a key that an administrator of the team has made",
        404: "Check the base URL",
    },
    requests_per_minute=20,
    settling_days=3,
    costs=(
        CostSource(
            table="cursor.usage_events",
            rows="cursor.usage_events where charge in ('billed', 'included')",
            columns={
                "native_amount": "charged_cents",
                "cost_basis": "if(charge = 'billed', 'billed', 'notional')",
                "native_unit": "'cents'",
            },
            billed_totals="billed_cents",
        ),
    ),
    entities=(
        Entities(
            row=entity_rows(__file__, "cursorDailyUsage"),
            reads=("cursor.daily_usage",),
            columns={
                "subscription_included_reqs": "subscription_included_requests",
                "api_key_reqs": "api_key_requests",
                "usage_based_reqs": "usage_based_requests",
            },
            keeps_null=True,
            about={"user": ids_in("email", "user_id")},
        ),
    ),
    endpoints=(
        reading(
            name="usage_events",
            group="usage",
            path="teams/filtered-usage-events",
            params={"page": "1", "pageSize": "500"},
            row=UsageEvents,
            item=Event,
            records=usage_events,
            page=pages(
                number="pagination.currentPage",
                pages="pagination.numPages",
                total="totalUsageEventsCount",
                items="usageEvents",
                start=midnight_of_event,
            ),
            items="usageEvents",
            window_days=1,
        ),
        reading(
            name="daily_usage",
            group="usage",
            path="teams/daily-usage-data",
            params={"page": "1", "pageSize": "1000"},
            row=DailyUsage,
            item=Activity,
            records=daily_usage,
            # it states how many people there are, and not how many days
            page=pages(number="pagination.page", pages="pagination.totalPages", start=midnight_of_day),
            window_days=30,
        ),
    ),
    lookups=LOOKUPS,
)
