"""GitHub's billing reports of Copilot, and the provider. Money here is dollars: gross, discount, net.

Since 2026-06-01, Copilot is billed in AI credits (1 credit is $0.01), before that in premium requests. Seats are in the
report of all products. Source: @octokit/openapi-types 29.0.1 and docs.github.com, "Billing usage". No answer has been
seen live.

Net is billed. It is not gross less discount: recorded rows have a discount above gross, and a net of 0.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from usage_assets.provider import (
    BilledAs,
    CostSource,
    CountedFields,
    Endpoint,
    Entities,
    Item,
    Json,
    Moment,
    OneDay,
    OtherFields,
    Parser,
    Provider,
    Row,
    ShapeError,
    Total,
    Window,
    bearer,
    column,
    entity_rows,
    ids_in,
)
from usage_assets_vendors.github_copilot.lookups import LOOKUPS
from usage_assets_vendors.github_copilot.metrics import METRICS

AI_CREDITS, REQUESTS, USER_MONTHS = "ai-credits", "requests", "user-months"
UNITS: Mapping[str, str] = {
    **dict.fromkeys(("aicredit", "aicredits", "aiunit", "aiunits", "credit", "credits"), AI_CREDITS),
    **dict.fromkeys(("premiumrequest", "premiumrequests", "request", "requests"), REQUESTS),
    **dict.fromkeys(("usermonth", "usermonths"), USER_MONTHS),
}
"""Letters of a unit as GitHub spells it -> the unit. The only place that knows spellings: everything else reads the
column ``unit``. The unit decides what a row is, not its SKU: credits are also sent as ``copilot_premium_request``."""
NO_UNIT = (
    "It was not stored, because nothing else says what is billed. Please report it, so that a release knows the unit"
)
ENVELOPE = frozenset(
    ("timePeriod", "organization", "enterprise", "usageItems", "user", "product", "model", "costCenter")
)
"""What stands around the items. Users, products and models repeat filters that are never sent."""

dollars = partial(column, unit="USD", additive=False)
quantity = partial(column, unit="see unit_type", additive=False)
Product = Annotated[str, column("Product, such as Copilot")]
Sku = Annotated[str, column("What was billed, such as Copilot AI Credits")]
UnitType = Annotated[str | None, column("Unit of the quantities, as GitHub spells it")]
Unit = Annotated[
    str | None,
    column("The same unit in one spelling: ai-credits, requests or user-months; none of other products' units"),
]
CostCenter = Annotated[str | None, column("Id of the cost center; none where GitHub states none")]
CostCenterName = Annotated[str | None, column("Name of the cost center")]
Price = Annotated[Decimal | None, column("Price of a unit, in dollars", additive=False)]
Gross = Annotated[Decimal, dollars("Price of the whole quantity: never billed", kind="list")]
Discount = Annotated[Decimal, dollars("What the plan includes; it may be more than gross", kind="list")]
Net = Annotated[Decimal, dollars("What is billed; not always gross less discount", kind="billed")]
AMOUNTS = ("gross_amount", "discount_amount", "net_amount")


def _totals_of(unit: str, quantity: str, counted: str) -> Mapping[str, Total]:
    """Totals of the rows of one unit. What a report says of another report's unit is in none of them."""
    only = f"filter (where unit = '{unit}')"
    amounts = {name: Total(f"sum({name}) {only}") for name in AMOUNTS}
    return {**amounts, quantity: Total(f"sum(gross_quantity) {only}", counted)}


class TimePeriod(msgspec.Struct):
    """The days of an answer: one day, where all three are stated."""

    year: int
    month: int | None = None
    day: int | None = None


class MeteredAnswer(msgspec.Struct, rename="camel"):
    """What is read of a whole answer about metered use."""

    time_period: TimePeriod
    usage_items: list[dict[str, object]]


class MeteredDay(Item, kw_only=True, rename={"start": "asked_for"}):
    """The answer for one day."""

    start: Moment
    answer: MeteredAnswer


class Metered(Row, kw_only=True, rename="camel"):
    """What is billed of a metered use, per model."""

    grain: ClassVar[tuple[str, ...]] = ("product", "sku", "model", "unit_type", "price_per_unit", "cost_center_id")

    product: Product
    sku: Sku
    model: Annotated[str | None, column("Model; none where it is not stated")] = None
    unit_type: UnitType = None
    unit: Unit = None
    price_per_unit: Price = None
    gross_quantity: Annotated[Decimal | None, quantity("What was used")]
    discount_quantity: Annotated[Decimal | None, quantity("What of it the plan includes")]
    net_quantity: Annotated[Decimal | None, quantity("What of it is billed")]
    gross_amount: Gross
    discount_amount: Discount
    net_amount: Net
    cost_center_id: CostCenter = None
    cost_center_name: CostCenterName = None
    other_fields: OtherFields = None


class AiCredits(Metered, kw_only=True, rename="camel"):
    """One row per connection, day, product, SKU, model, unit, price and cost center: AI credits, since 2026-06-01.

    net_amount is what GitHub bills. Never add it to gross_amount or discount_amount. The same use is in
    github_copilot.billing_usage, without models, and may be in github_copilot.premium_requests: github_copilot.metered
    says which row is counted.
    """

    table = "github_copilot.ai_credits"
    totals = _totals_of(AI_CREDITS, "ai_credits", "credits")


class PremiumRequests(Metered, kw_only=True, rename="camel"):
    """One row per connection, day, product, SKU, model, unit, price and cost center: premium requests.

    Requests end on 2026-05-31. net_amount is what GitHub bills. Never add it to gross_amount or discount_amount. The
    same use is in github_copilot.billing_usage, without models. Since June 2026, GitHub may repeat the AI credits of
    github_copilot.ai_credits here: github_copilot.metered says which row is counted.
    """

    table = "github_copilot.premium_requests"
    totals = _totals_of(REQUESTS, "premium_requests", "requests")


def metered_items(item: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """The items of an answer, which have no date: the answer states it. Raises ShapeError for another day's."""
    answer, path = item["answer"], f"{path}.answer"
    _refuse_other_days(answer["timePeriod"], path, parser)
    for place, record in _items(answer, path):
        record["unit"] = unit_of(record)
        if record["unit"] not in (AI_CREDITS, REQUESTS):
            raise _unknown_unit(place, parser, record)
        yield place, record


def _refuse_other_days(period: Json, path: str, parser: Parser) -> None:
    stated = tuple(period.get(name) for name in ("year", "month", "day"))
    if parser.day is None or stated != (parser.day.year, parser.day.month, parser.day.day):
        what = "-".join(str(part) for part in stated if part is not None)
        raise ShapeError(f"{path}.timePeriod", parser.day, f"date {what} is not the requested day")


def unit_of(record: Json) -> str | None:
    """The unit of an item; None for one that is not known."""
    return UNITS.get(re.sub("[^a-z]", "", str(record.get("unitType", "")).lower()))


def _unknown_unit(place: str, parser: Parser, record: Json) -> ShapeError:
    what = ", ".join(str(record[name])[:100] for name in ("product", "sku") if name in record)
    which = f"the unit {str(record['unitType'])[:100]!r} is not known" if "unitType" in record else "there is no unit"
    return ShapeError(f"{place}.unitType", parser.day, f"{which}, of {what or 'an item'}", NO_UNIT)


def _items(answer: Json, path: str) -> Iterator[tuple[str, Json]]:
    """The items, each with the cost center and with what is not known of their envelope."""
    others = {f"answer.{name}": answer[name] for name in answer.keys() - ENVELOPE}
    match answer.get("costCenter"):
        case {"id": str(id_), **more}:
            others |= {"costCenterId": id_, "costCenterName": more.get("name")}
    for n, record in enumerate(answer["usageItems"]):
        yield f"{path}.usageItems[{n}]", others | record


CHARGE = (Path(__file__).parent / "sql" / "charge" / "github_copilot_billing_usage.sql").read_text()
"""SQL: what a row of the report of all products is, as github_copilot.bill has it."""


class BilledAnswer(msgspec.Struct, rename="camel"):
    """What is read of a whole answer about all products."""

    usage_items: list[dict[str, object]]
    time_period: TimePeriod | None = None


class BilledDay(Item, kw_only=True, rename={"start": "asked_for"}):
    """The answer for one day. GitHub dates a whole month on its first day if it is asked for no day.

    An enterprise is asked for the summary: unless a cost center is named, the report leaves out all that belong to one.
    """

    start: Moment
    answer: BilledAnswer


class BillingUsage(Row, kw_only=True, rename="camel"):
    """One row per connection, day, product, SKU, unit, price, organization, repository and cost center: all that GitHub
    bills, without models. Items of one day that differ in nothing but their time are added up. Of an enterprise it is
    the summary: all organizations, repositories and cost centers in one, and none is named.

    Costs are computed from Copilot's seats (unit_type user-months) and use of GitHub Models, as github_copilot.bill
    says. AI credits and premium requests are those of github_copilot.ai_credits and github_copilot.premium_requests
    once more: never add them. Other products are in costs.left_out. net_amount is what is billed. Never add it to
    gross_amount or discount_amount.
    """

    table = "github_copilot.billing_usage"
    is_summed = True
    grain = ("product", "sku", "unit_type", "price_per_unit", "organization", "repository", "cost_center_id")
    totals = {
        **{name: Total(f"sum({name})") for name in AMOUNTS},
        **{
            f"{charge}_amount": Total(f"sum(net_amount) filter (where '{charge}' = {CHARGE})", "USD")
            for charge in ("seats", "models")
        },
    }

    product: Product
    sku: Sku
    unit_type: UnitType = None
    unit: Unit = None
    price_per_unit: Price = None
    organization: Annotated[str | None, column("Organization")] = msgspec.field(name="organizationName", default=None)
    repository: Annotated[str | None, column("Repository")] = msgspec.field(name="repositoryName", default=None)
    quantity: Annotated[Decimal | None, quantity("Quantity; of seats, months of a user")]
    gross_amount: Gross
    discount_amount: Discount
    net_amount: Net
    cost_center_id: CostCenter = None
    cost_center_name: CostCenterName = None
    other_fields: CountedFields = None


def billed_items(item: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """The items of an answer. Raises ShapeError for an item of another day, and for an unknown unit of Copilot."""
    answer, path = item["answer"], f"{path}.answer"
    if is_summary := "timePeriod" in answer:
        _refuse_other_days(answer["timePeriod"], path, parser)
    for place, record in _items(answer, path):
        stated = parser.day if is_summary else record.pop("date", None)
        if str(stated)[:10] != str(parser.day):
            raise ShapeError(place, parser.day, f"date {stated} is not the requested day")
        if is_summary:
            quantities = {name: record.pop(f"{name}Quantity", None) for name in ("gross", "discount", "net")}
            record["quantity"] = quantities["gross"]
        record["unit"] = unit_of(record)
        if record["unit"] is None and "copilot" in str(record.get("product")).lower():
            raise _unknown_unit(place, parser, record)
        yield place, record


def year_month_day(window: Window) -> Mapping[str, str]:
    """Window parameters of GitHub: that one UTC day."""
    return {"year": str(window.first.year), "month": str(window.first.month), "day": str(window.first.day)}


def error_message(body: object) -> str | None:
    """The message of ``{"message": ..., "documentation_url": ...}``."""
    match body:
        case {"message": str(message)}:
            return message
    return None


NET = {"native_amount": "net_amount"}
METERED = "github_copilot.metered where is_counted is not false"
"""Rows of both metered reports that the other one does not own."""
one_day = partial(
    Endpoint,
    group="billing",
    page=OneDay(),
    window_days=1,
    window_params=year_month_day,
    bucket_per_day=False,
    seen_live=False,
)
CLASSIC = "of an enterprise, a classic token of an administrator with the scope manage_billing:enterprise"
PERMISSIONS = "Administration: read (billing) and Organization Copilot metrics: read (metrics)"
BILLING, OF_ENTERPRISE = "organizations/{organization}/settings/billing", "enterprises/{enterprise}/settings/billing"

GITHUB_COPILOT = Provider(
    name="github_copilot",
    surface=2,
    module=__name__,
    position=10,
    company="GitHub",
    service="GitHub Copilot",
    billed_as=BilledAs(services=("*GitHub Copilot*", "Copilot Business*", "Copilot Enterprise*")),
    people_ids="login",
    sub_account_type="Organization",
    base_url="https://api.github.com",
    base_url_variable="GITHUB_COPILOT_BASE_URL",
    auth=bearer,
    headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2026-03-10"},
    error_message=error_message,
    advice={
        401: "Check the connection's key: a fine-grained token of the organization, or a classic one of an enterprise",
        403: f"Give the fine-grained token the organization permissions {PERMISSIONS}; {CLASSIC}",
        404: (
            "Check the connection's organization or enterprise, and that the token has the permissions "
            f"{PERMISSIONS}; {CLASSIC}"
        ),
    },
    lacks={
        "organization": (
            "what an enterprise gives to a cost center is not in the reports of its organizations, and no answer "
            "says so: if there are cost centers, state enterprise instead of organization"
        )
    },
    settling_days=7,
    lookback_days=729,  # "the past 24 months"
    costs=(
        CostSource(
            table="github_copilot.ai_credits",
            rows=f"{METERED} and source_table = 'github_copilot.ai_credits'",
            columns=NET,
            billed_totals="net_amount",
            beside=("github_copilot.premium_requests",),
        ),
        CostSource(
            table="github_copilot.premium_requests",
            rows=f"{METERED} and source_table = 'github_copilot.premium_requests'",
            columns=NET,
            billed_totals="net_amount",
            beside=("github_copilot.ai_credits",),
        ),
        CostSource(
            table="github_copilot.billing_usage",
            rows="github_copilot.bill where charge in ('seats', 'models', 'no unit')",
            columns=NET,
            billed_totals="[sm]*s_amount",  # of seats and of models
        ),
    ),
    allocations={"github_copilot.ai_credits": ("github_copilot.users_1_day",)},
    endpoints=(
        one_day(
            name="ai_credits",
            path=f"{BILLING}/ai_credit/usage",
            or_path=f"{OF_ENTERPRISE}/ai_credit/usage",
            row=AiCredits,
            item=MeteredDay,
            records=metered_items,
        ),
        one_day(
            name="premium_requests",
            path=f"{BILLING}/premium_request/usage",
            or_path=f"{OF_ENTERPRISE}/premium_request/usage",
            row=PremiumRequests,
            item=MeteredDay,
            records=metered_items,
        ),
        one_day(
            name="billing_usage",
            path=f"{BILLING}/usage",
            or_path=f"{OF_ENTERPRISE}/usage/summary",
            row=BillingUsage,
            item=BilledDay,
            records=billed_items,
        ),
        *METRICS,
    ),
    lookups=LOOKUPS,
    entities=(
        Entities(
            row=entity_rows(__file__, "githubCopilotOrganizationUsage"),
            reads=("github_copilot.organization_1_day",),
            rows="github_copilot.organization_1_day where organization is not null",
            columns={"total_copilot_applied_suggestions": "copilot_applied_suggestions"},
            keeps_null=True,
        ),
        Entities(
            row=entity_rows(__file__, "githubCopilotUserUsage"),
            reads=("github_copilot.users_1_day",),
            rows="github_copilot.users_1_day where organization is not null",
            keeps_null=True,
            about={"user": ids_in("username")},
        ),
    ),
)
