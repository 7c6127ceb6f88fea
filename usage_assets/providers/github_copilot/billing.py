"""GitHub's billing reports of an organization's Copilot, and the provider. Money here is dollars: gross, discount, net.

Since 2026-06-01, Copilot is billed in AI credits (1 credit is $0.01), before that in premium requests. Seats are in the
report of all products. Source: @octokit/openapi-types 29.0.1 and docs.github.com, "Billing usage". No answer has been
seen live.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Annotated, ClassVar

import msgspec

from usage_assets.core.days import Window
from usage_assets.core.schema import Row, Total, column
from usage_assets.providers.auth import bearer
from usage_assets.providers.endpoint import BilledAs, CostSource, Endpoint, Provider
from usage_assets.providers.github_copilot.entities import ENTITIES
from usage_assets.providers.github_copilot.lookups import LOOKUPS
from usage_assets.providers.github_copilot.metrics import METRICS
from usage_assets.providers.records import (
    CountedFields,
    Item,
    Json,
    Moment,
    OtherFields,
    Parser,
    ShapeError,
    whole_answer,
)

OF_SEATS = "lower(product) like '%copilot%' and lower(unit_type) like 'user%'"
"""SQL: whether a row of the report of all products is billed per seat of Copilot, in user-months."""
OF_MODELS = (
    "(lower(product) in ('models', 'github models') or regexp_matches(lower(sku), '^models[ _]inference')) "
    "and not regexp_matches(lower(concat_ws(' ', sku, unit_type)), 'ai[ _-]?(credit|unit)|premium[ _-]?request')"
)
"""SQL: whether it is use of GitHub Models, as sql/views/github_copilot.bill.sql decides."""
OF_REQUESTS = "not regexp_matches(lower(concat_ws(' ', sku, unit_type)), 'ai[ _-]?(credit|unit)')"
"""SQL: whether a row of the report of premium requests is one, and not AI credits."""
ENVELOPE = frozenset(("timePeriod", "organization", "usageItems", "user", "product", "model"))
"""What stands around the items. The last three repeat filters that are never sent."""

dollars = partial(column, unit="USD", additive=False)
quantity = partial(column, unit="see unit_type", additive=False)
Product = Annotated[str, column("Product, such as Copilot")]
Sku = Annotated[str, column("What was billed, such as Copilot AI Credits")]
UnitType = Annotated[str | None, column("Unit of the quantities, such as ai-credits, requests or user-months")]
Price = Annotated[Decimal | None, column("Price of a unit, in dollars", additive=False)]
Gross = Annotated[Decimal, dollars("Price of the whole quantity: never billed")]
Discount = Annotated[Decimal, dollars("What the plan includes")]
Net = Annotated[Decimal, dollars("What is billed: gross less discount")]
MONEY = {name: Total(f"sum({name})") for name in ("gross_amount", "discount_amount", "net_amount")}


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

    grain: ClassVar[tuple[str, ...]] = ("product", "sku", "model", "unit_type", "price_per_unit")

    product: Product
    sku: Sku
    model: Annotated[str | None, column("Model; none where it is not stated")] = None
    unit_type: UnitType = None
    price_per_unit: Price = None
    gross_quantity: Annotated[Decimal | None, quantity("What was used")]
    discount_quantity: Annotated[Decimal | None, quantity("What of it the plan includes")]
    net_quantity: Annotated[Decimal | None, quantity("What of it is billed")]
    gross_amount: Gross
    discount_amount: Discount
    net_amount: Net
    other_fields: OtherFields = None


class AiCredits(Metered, kw_only=True, rename="camel"):
    """One row per connection, day, product, SKU, model, unit and price: AI credits, since 2026-06-01.

    net_amount is what GitHub bills: gross_amount less discount_amount. Do not add the three. The same use is in
    github_copilot.billing_usage, without models: count one of the two.
    """

    table = "github_copilot.ai_credits"
    totals = MONEY | {"ai_credits": Total("sum(gross_quantity)", "credits")}


class PremiumRequests(Metered, kw_only=True, rename="camel"):
    """One row per connection, day, product, SKU, model, unit and price: premium requests, until 2026-05-31.

    net_amount is what GitHub bills: gross_amount less discount_amount. Do not add the three. The same use is in
    github_copilot.billing_usage, without models: count one of the two. Since June 2026, GitHub repeats the AI credits
    of github_copilot.ai_credits here: no total and no cost has these rows.
    """

    table = "github_copilot.premium_requests"
    totals = {
        **{name: Total(f"sum({name}) filter (where {OF_REQUESTS})") for name in MONEY},
        "premium_requests": Total(f"sum(gross_quantity) filter (where {OF_REQUESTS})", "requests"),
    }


def metered_items(item: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """The items of an answer, which have no date: the answer states it. Raises ShapeError for another day's."""
    answer, path = item["answer"], f"{path}.answer"
    period = answer["timePeriod"]
    stated = tuple(period.get(name) for name in ("year", "month", "day"))
    if parser.day is None or stated != (parser.day.year, parser.day.month, parser.day.day):
        what = "-".join(str(part) for part in stated if part is not None)
        raise ShapeError(f"{path}.timePeriod", parser.day, f"date {what} is not the requested day")
    yield from _items(answer, path)


def _items(answer: Json, path: str) -> Iterator[tuple[str, Json]]:
    """The items, each with what is not known of their envelope."""
    others = {f"answer.{name}": answer[name] for name in answer.keys() - ENVELOPE}
    for n, record in enumerate(answer["usageItems"]):
        yield f"{path}.usageItems[{n}]", record | others


class BilledAnswer(msgspec.Struct, rename="camel"):
    """What is read of a whole answer about all products."""

    usage_items: list[dict[str, object]]


class BilledDay(Item, kw_only=True, rename={"start": "asked_for"}):
    """The answer for one day."""

    start: Moment
    answer: BilledAnswer


class BillingUsage(Row, kw_only=True, rename="camel"):
    """One row per connection, day, product, SKU, unit, price, organization and repository: all that GitHub bills,
    without models. Items of one day that differ in nothing but their time are added up.

    Costs are computed from Copilot's seats (unit_type user-months) and use of GitHub Models, as github_copilot.bill
    says. AI credits and premium requests are those of github_copilot.ai_credits and github_copilot.premium_requests
    once more: never add them. Other products are in costs.left_out. net_amount is what is billed: gross_amount less
    discount_amount. Do not add the three.
    """

    table = "github_copilot.billing_usage"
    is_summed = True
    grain = ("product", "sku", "unit_type", "price_per_unit", "organization", "repository")
    totals = MONEY | {
        "seats_amount": Total(f"sum(net_amount) filter (where {OF_SEATS})", "USD"),
        "models_amount": Total(f"sum(net_amount) filter (where {OF_MODELS})", "USD"),
    }

    product: Product
    sku: Sku
    unit_type: UnitType = None
    price_per_unit: Price = None
    organization: Annotated[str | None, column("Organization")] = msgspec.field(name="organizationName", default=None)
    repository: Annotated[str | None, column("Repository")] = msgspec.field(name="repositoryName", default=None)
    quantity: Annotated[Decimal | None, quantity("Quantity; of seats, months of a user")]
    gross_amount: Gross
    discount_amount: Discount
    net_amount: Net
    other_fields: CountedFields = None


def billed_items(item: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """The items of an answer. Raises ShapeError for an item of another day."""
    for place, record in _items(item["answer"], f"{path}.answer"):
        stated = record.pop("date", None)
        if str(stated)[:10] != str(parser.day):
            raise ShapeError(place, parser.day, f"date {stated} is not the requested day")
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


one_day = partial(
    Endpoint,
    group="billing",
    page=whole_answer,
    window_days=1,
    window_params=year_month_day,
    bucket_per_day=False,
    seen_live=False,
)
PERMISSIONS = "Administration: read (billing) and Organization Copilot metrics: read (metrics)"
BILLING = "organizations/{organization}/settings/billing"

GITHUB_COPILOT = Provider(
    name="github_copilot",
    company="GitHub",
    service="GitHub Copilot",
    billed_as=BilledAs(services=("*GitHub Copilot*", "Copilot Business*", "Copilot Enterprise*")),
    sub_account_type="Organization",
    base_url="https://api.github.com",
    base_url_variable="GITHUB_COPILOT_BASE_URL",
    auth=bearer,
    headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
    error_message=error_message,
    advice={
        401: "Check the connection's key: a fine-grained token of the organization",
        403: f"Give the fine-grained token the organization permissions {PERMISSIONS}",
        404: f"Check the connection's organization, and that the token has the permissions {PERMISSIONS}",
    },
    settling_days=7,
    lookback_days=729,  # "the past 24 months"
    costs=(
        CostSource(table="github_copilot.ai_credits", billed_totals="net_amount"),
        CostSource(table="github_copilot.premium_requests", billed_totals="net_amount"),
        CostSource(table="github_copilot.billing_usage", billed_totals="[sm]*s_amount"),  # of seats and of models
    ),
    allocations={"github_copilot.ai_credits": ("github_copilot.users_1_day",)},
    endpoints=(
        one_day(
            name="ai_credits",
            path=f"{BILLING}/ai_credit/usage",
            row=AiCredits,
            item=MeteredDay,
            records=metered_items,
        ),
        one_day(
            name="premium_requests",
            path=f"{BILLING}/premium_request/usage",
            row=PremiumRequests,
            item=MeteredDay,
            records=metered_items,
        ),
        one_day(
            name="billing_usage",
            path=f"{BILLING}/usage",
            row=BillingUsage,
            item=BilledDay,
            records=billed_items,
        ),
        *METRICS,
    ),
    lookups=LOOKUPS,
    entities=ENTITIES,
)
