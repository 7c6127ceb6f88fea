"""The daily activity of a LiteLLM proxy, and the provider. Spend is tokens times a price map: estimated, never billed.

Each report adds up one table of the proxy, and each of its pages adds up some rows of that table: the figures of a day
are the sums over its pages. The reports show the same use in several cuts: never add two of them. Source: the response
models and endpoints of the package ``litellm`` 1.106.2, whose own proxy answers in ``make litellm``. The endpoints are
marked beta there.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Annotated, ClassVar

import msgspec

from usage_assets.provider import (
    CostSource,
    CountedFields,
    Each,
    Endpoint,
    Item,
    Json,
    Moment,
    Numbers,
    Parser,
    Provider,
    Records,
    Row,
    ShapeError,
    Total,
    Window,
    bearer,
    column,
)

ROWS_PER_PAGE = 1000
"""Rows of the proxy's table per page: the most that its report of users takes."""
COUNTERS = (
    "api_requests",
    "successful_requests",
    "failed_requests",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
NOT_KEPT = frozenset(
    (
        "autorouter_savings_spend",
        "compression_saved_tokens",
        "compression_savings_spend",
        "gateway_injected_caching_savings_spend",
        "prompt_caching_savings_spend",
        "ptu_hours",
        "timed_requests",
        "total_response_time_ms",
    )
)
"""Metrics of what was not spent, and of times."""
OF_PART = frozenset(("metrics", "metadata", "api_key_breakdown"))
OF_PAGES = re.compile("page|total_.*|has_more|api_key_limit|entity_total_api_keys")
"""What stands around the days of a page. Its totals are those of the page alone."""

measure = partial(column, additive=False)
"""Cuts overlap, and so do tags: no column may be summed over all rows."""
tokens = partial(measure, unit="tokens")
requests = partial(measure, unit="requests")
UserId = Annotated[str | None, column("User of the proxy, as its administrators call them", address="in_name")]
TeamAlias = Annotated[str | None, column("What the team is called now", address="in_name")]
ApiKey = Annotated[str | None, column("API key of the proxy, as a hash")]
ApiKeyAlias = Annotated[str | None, column("What the API key is called", address="in_name")]


# --- Answers ----------------------------------------------------------------------------------------------------------


class Key(msgspec.Struct):
    """What is read of an API key in a breakdown."""

    metrics: dict[str, object]
    metadata: "KeyMetadata"


class KeyMetadata(msgspec.Struct):
    """What the proxy knows of an API key."""

    key_alias: ApiKeyAlias = None


class Part(msgspec.Struct):
    """What is read of a model, a provider, a user, a team or whatever else a breakdown has."""

    metrics: dict[str, object]
    metadata: "PartMetadata"
    api_key_breakdown: dict[str, Key]


class PartMetadata(msgspec.Struct):
    """What the proxy knows of a team. Of a user it also sends the address, which is not kept."""

    team_alias: TeamAlias = None


class Breakdown(msgspec.Struct):
    """What is read of the cuts of a day."""

    models: dict[str, Part]
    providers: dict[str, Part]
    entities: dict[Annotated[str, column("User, end user, team or tag", address="in_name")], Part]


class ActivityOfDay(msgspec.Struct):
    """What is read of a day of a page."""

    date: str
    metrics: dict[str, object]
    breakdown: Breakdown


class PageNumbers(msgspec.Struct):
    """Which page it is, and how many there are."""

    page: int
    total_pages: int
    has_more: bool


class ActivityAnswer(msgspec.Struct):
    """What is read of a page."""

    results: list[ActivityOfDay]
    metadata: PageNumbers


class ActivityItem(Item, kw_only=True, rename={"start": "asked_for"}):
    """A page of the answer for one day."""

    start: Moment
    answer: ActivityAnswer


# --- Rows -------------------------------------------------------------------------------------------------------------


class Activity(Row, kw_only=True, rename={name: f"metrics.{name}" for name in ("spend", "flat_cost", *COUNTERS)}):
    """What was used and what the proxy takes it for, in dollars. Each page has a part of it."""

    is_summed = True

    spend: Annotated[
        Decimal, measure("Tokens times the proxy's price map: an estimate, never billed", unit="USD", kind="estimated")
    ]
    flat_cost: Annotated[
        Decimal | None,
        measure(
            "Capacity that is paid for by time, as the proxy spreads it; not in spend", unit="USD", kind="estimated"
        ),
    ] = None
    api_requests: Annotated[int | None, requests("Requests")]
    successful_requests: Annotated[int | None, requests("Requests that succeeded")]
    failed_requests: Annotated[int | None, requests("Requests that failed")]
    prompt_tokens: Annotated[int | None, tokens("Input, cached tokens included")]
    completion_tokens: Annotated[int | None, tokens("Output")]
    total_tokens: Annotated[int | None, tokens("Input and output")]
    cache_read_input_tokens: Annotated[int | None, tokens("Input that was read from a cache")]
    cache_creation_input_tokens: Annotated[int | None, tokens("Input that was written to a cache")]
    other_fields: CountedFields = None


TOTAL = "filter (where cut = 'total')"


class UserActivity(
    Activity,
    kw_only=True,
    rename={"custom_llm_provider": "provider", "api_key_alias": "metadata.key_alias"},
):
    """One row per connection, day, cut, and what the cut is by: model and API key, provider, user, or nothing.

    The cuts total, model, provider and user show the same use four times: choose one before summing. Use without a
    model (MCP tools) is not in the cut model: costs have it as the difference to the total.
    """

    table = "litellm.user_activity"
    grain = ("cut", "model", "api_key", "custom_llm_provider", "user_id")
    totals = {name: Total(f"sum({name}) {TOTAL}") for name in ("spend", *COUNTERS)}

    cut: Annotated[str, column("total, model, provider or user: what the row is a part of")]
    model: Annotated[str | None, column("Model in the cut model, as the proxy sends it to the provider")] = None
    api_key: ApiKey = None
    api_key_alias: ApiKeyAlias = None
    custom_llm_provider: Annotated[str | None, column("Provider in the cut provider, as the proxy calls it")] = None
    user_id: UserId = None


class TeamActivity(Activity, kw_only=True, rename={"team_alias": "metadata.team_alias"}):
    """One row per connection, day and team: what the proxy's API keys of a team were used for, and what is reserved.

    Its spend is a part of litellm.user_activity once more (not all keys are of a team): never add the two. Its
    flat_cost is in no other report.
    """

    table = "litellm.team_activity"
    grain: ClassVar[tuple[str, ...]] = ("team_id",)
    totals = {name: Total(f"sum({name})") for name in ("spend", "flat_cost", "api_requests")}

    team_id: Annotated[str, column("Team of the proxy", address="in_name")]
    team_alias: TeamAlias = None


class TagActivity(Activity, kw_only=True):
    """One row per connection, day and tag of requests.

    A request with several tags is in several rows: never add tags up. A part of litellm.user_activity once more (not
    all requests have a tag): never add the two.
    """

    table = "litellm.tag_activity"
    grain: ClassVar[tuple[str, ...]] = ("tag",)
    totals = {
        "overlapping_spend": Total("sum(spend)", "USD"),
        "overlapping_requests": Total("sum(api_requests)", "requests"),
    }

    tag: Annotated[str, column("Tag, as the request or its key or team had it", address="in_name")]


class TagActivityByModel(Activity, kw_only=True, rename={"api_key_alias": "metadata.key_alias"}):
    """One row per connection, day, tag of requests, model and API key.

    litellm.tag_activity once more, by model: never add the two. A request with several tags is in several rows: never
    add tags up, unless no request has two of them. Use without a model (MCP tools) is not here. The proxy does not show
    both in one answer, so each model of a day is a request of its own.
    """

    table = "litellm.tag_activity_by_model"
    grain: ClassVar[tuple[str, ...]] = ("tag", "model", "api_key")
    totals = {
        "overlapping_model_spend": Total("sum(spend)", "USD"),
        "overlapping_model_requests": Total("sum(api_requests)", "requests"),
    }

    tag: Annotated[str, column("Tag, as the request or its key or team had it", address="in_name")]
    model: Annotated[str, column("Model, as the proxy sends it to the provider")]
    api_key: Annotated[str, column("API key of the proxy, as a hash")]
    api_key_alias: ApiKeyAlias = None


class CustomerActivity(Activity, kw_only=True):
    """One row per connection, day and end user (customer): whom the requests were made for.

    A part of litellm.user_activity once more (not all requests name an end user): never add the two.
    """

    table = "litellm.customer_activity"
    grain: ClassVar[tuple[str, ...]] = ("end_user_id",)
    totals = {"spend": Total("sum(spend)"), "api_requests": Total("sum(api_requests)")}

    end_user_id: Annotated[str, column("End user, as the request named them", address="in_name")]


def days_of(item: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """The days of a page: the requested one. Raises ShapeError for another day."""
    for n, day in enumerate(item["answer"]["results"]):
        place = f"{path}.answer.results[{n}]"
        if day["date"] != str(parser.day):
            raise ShapeError(place, parser.day, f"date {day['date']} is not the requested day")
        yield place, day


def cuts(item: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """The day as a whole, and its cuts by model and API key, provider and user."""
    for place, day in days_of(item, path, parser):
        breakdown = day["breakdown"]
        yield place, _measured(day, "date", "breakdown") | {"cut": "total"}
        for model, part in breakdown["models"].items():
            for key, of_key in part["api_key_breakdown"].items():
                inner = f"{place}.breakdown.models{_named(model)}.api_key_breakdown{_named(key)}"
                yield inner, _of_key(of_key) | {"cut": "model", "model": model, "api_key": key}
        for name, column_name in (("providers", "provider"), ("entities", "user_id")):
            for value, part in breakdown[name].items():
                inner = f"{place}.breakdown.{name}{_named(value)}"
                yield inner, _measured(part) | {"cut": column_name.removesuffix("_id"), column_name: value}


def entities(column_name: str, *metadata: str) -> Records:
    """The records of a report's entities, whose names are a column."""

    def records(item: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
        for place, day in days_of(item, path, parser):
            for name, part in day["breakdown"]["entities"].items():
                known = {"metadata": {each: part["metadata"].get(each) for each in metadata}} if metadata else {}
                inner = f"{place}.breakdown.entities{_named(name)}"
                yield inner, _measured(part) | known | {column_name: name}

    return records


def models(answer: Json) -> Iterator[str]:
    """The models in a page."""
    for day in answer["results"]:
        yield from day["breakdown"]["models"]


def tags_of_one_model(item: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """The tags and API keys of a page that is about one model. Raises ShapeError if it is about more."""
    for place, day in days_of(item, path, parser):
        named = [*day["breakdown"]["models"]]
        if len(named) > 1:
            reason = f"{len(named)} models in the answer for one: the proxy does not know the parameter model"
            raise ShapeError(f"{place}.breakdown.models", parser.day, reason)
        for tag, part in day["breakdown"]["entities"].items() if named else ():
            for key, of_key in part["api_key_breakdown"].items():
                inner = f"{place}.breakdown.entities{_named(tag)}.api_key_breakdown{_named(key)}"
                yield inner, _of_key(of_key) | {"tag": tag, "model": named[0], "api_key": key}


def _of_key(part: Json) -> Json:
    """The metrics of an API key, and what it is called."""
    return _measured(part) | {"metadata": {"key_alias": part["metadata"].get("key_alias")}}


def _measured(part: Json, *known: str) -> Json:
    """The metrics of a part, without those that are not kept, and what we do not know of it."""
    others = {f"part.{name}": part[name] for name in part.keys() - OF_PART.union(known)}
    return others | {"metrics": {name: value for name, value in part["metrics"].items() if name not in NOT_KEPT}}


def _named(name: str) -> str:
    """A name in a JSONPath."""
    return f"[{json.dumps(name)}]"


def error_message(body: object) -> str | None:
    """The message of ``{"error": {"message": ...}}`` (no access) or ``{"detail": {"error": ...}}`` (anything else)."""
    match body:
        case {"error": {"message": str(message)}} | {"detail": {"error": str(message)}} | {"detail": str(message)}:
            return message
        case {"detail": [{"loc": [*places], "msg": str(message)}, *_]}:
            return f"{'.'.join(map(str, places))}: {message}"
    return None


def one_day(window: Window) -> dict[str, str]:
    """Window parameters: both dates are inclusive, and UTC where no ``timezone`` is sent."""
    return {"start_date": str(window.first), "end_date": str(window.last)}


activity = partial(
    Endpoint,
    group="activity",
    item=ActivityItem,
    answer=ActivityAnswer,
    page=Numbers(
        items="results",
        as_one=True,
        number="metadata.page",
        pages="metadata.total_pages",
        more="metadata.has_more",
        ignored=OF_PAGES,
    ),
    window_days=1,
    window_params=one_day,
    params={"page_size": str(ROWS_PER_PAGE)},
    bucket_per_day=False,
    seen_live=False,
)
TOTAL_OR_MODELS = "coalesce(sum(spend) filter (where cut = 'total'), sum(spend) filter (where cut = 'model'))"
"""A day's total spend, or that of its models on a day without a total."""

LITELLM = Provider(
    name="litellm",
    surface=2,
    module=__name__,
    position=7,
    company="LiteLLM",
    service="LiteLLM",
    people_ids="local",
    sub_account_type="Team",
    base_url_variable="LITELLM_BASE_URL",
    auth=bearer,
    error_message=error_message,
    advice={
        401: "Check the connection's key: the proxy's master key, or the key of a proxy admin",
        403: "Use the proxy's master key, or the key of a proxy admin or proxy_admin_viewer",
        404: "Check the connection's base_url: the address of the proxy, without /v1",
    },
    settling_days=2,
    costs=(
        CostSource(
            table="litellm.user_activity",
            rows="litellm.user_activity where cut in ('total', 'model') group by connection, usage_date",
            columns={"native_amount": TOTAL_OR_MODELS, "cost_basis": "'estimated'"},
        ),
        CostSource(
            table="litellm.team_activity",
            columns={"native_amount": "flat_cost", "cost_basis": "'estimated'"},
        ),
    ),
    tags="tag_activity_by_model",
    endpoints=(
        activity(name="user_activity", path="user/daily/activity", row=UserActivity, records=cuts),
        activity(
            name="team_activity",
            path="team/daily/activity",
            row=TeamActivity,
            records=entities("team_id", "team_alias"),
        ),
        activity(
            name="tag_activity",
            path="tag/daily/activity",
            row=TagActivity,
            records=entities("tag"),
            part_of=UserActivity.table,
        ),
        activity(
            name="tag_activity_by_model",
            path="tag/daily/activity",
            row=TagActivityByModel,
            records=tags_of_one_model,
            part_of=UserActivity.table,
            each=Each(parameter="model", named_in=models),
            default_on=False,
        ),
        activity(
            name="customer_activity",
            path="customer/daily/activity",
            row=CustomerActivity,
            records=entities("end_user_id"),
            part_of=UserActivity.table,
        ),
    ),
)
