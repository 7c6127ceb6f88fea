"""OpenAI's old dashboard endpoints: billed cents per day and named line, and tokens per model. Deprecated.

OpenAI closed them to API keys in July 2023 and never documented ``usage``; gateways still emulate both. Source: public
reports of their answers and refusals. Their successors are in providers/openai/.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Annotated

import msgspec

from usage_assets.provider import (
    CostSource,
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
    bearer,
    column,
    date_alone,
    date_range,
    error_message,
)
from usage_assets.providers.openai.costs import BILLED_AS, DAILY_USAGE, MODEL_USAGE

tokens = partial(column, unit="tokens")

MODEL = column("Model or snapshot")
REQUESTS = column("Requests", unit="requests")
CONTEXT_TOKENS = tokens("Context tokens, cached ones included")
GENERATED_TOKENS = tokens("Generated tokens")
CACHED_CONTEXT_TOKENS = tokens("Cached context tokens, where stated")
IMAGES = column("Images", unit="images")
SECONDS = column("Seconds of audio transcribed", unit="seconds")
CHARACTERS = column("Characters spoken", unit="characters")


# --- dashboard/billing/usage ------------------------------------------------------------------------------------------


class Line(msgspec.Struct):
    """What is read of a line: its name and its cost in cents."""

    name: str
    cost: Decimal


class DailyCosts(msgspec.Struct):
    """What is read of an entry of ``daily_costs``."""

    timestamp: Decimal
    line_items: list[Line]


class BillingAnswer(msgspec.Struct):
    """What is read of a whole answer."""

    daily_costs: list[DailyCosts]
    total_usage: Decimal


class BillingOfDay(Item, kw_only=True, rename={"start": "asked_for"}):
    """The answer for one day."""

    start: Moment
    answer: BillingAnswer


class BillingUsage(Row, kw_only=True, rename={"cost_cents": "cost", "total_usage_cents": "total_usage"}):
    """One row per connection, day, and named line, and one without a name for the total that OpenAI states.

    What OpenAI bills, in cents. Costs and entities are computed from the lines; the check total_usage compares their
    sum with the stated total. The same use as in openai.costs of the same organization: count one of the two.
    """

    table = "openai_legacy.billing_usage"
    grain = ("name",)
    totals = {name: Total(f"sum({name})") for name in ("cost_cents", "total_usage_cents")}

    name: Annotated[str | None, column("Line, such as a group of models; null in the row of the total")] = None
    cost_cents: Annotated[
        Decimal | None,
        column("Cost of the line; null in the row of the total", unit="cents", kind="billed", additive=False),
    ] = None
    total_usage_cents: Annotated[
        Decimal | None,
        column("Total of the day as OpenAI states it; null in lines", unit="cents", kind="billed", additive=False),
    ] = None
    other_fields: OtherFields = None


def billing_records(item: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """The stated total, and every line of every entry. Raises ShapeError for an entry of another day."""
    answer, path = item["answer"], f"{path}.answer"
    yield path, {"total_usage": answer["total_usage"]} | _others("answer", answer, "daily_costs", "total_usage")
    for m, entry in enumerate(answer["daily_costs"]):
        place = f"{path}.daily_costs[{m}]"
        if entry["timestamp"] != parser.window.start.timestamp():
            what = f"timestamp {entry['timestamp']} is not the requested day"
            raise ShapeError(place, parser.day, what)
        of_day = _others("day", entry, "timestamp", "line_items")
        for n, line in enumerate(entry["line_items"]):
            known = {"name": line["name"], "cost": line["cost"]}
            yield f"{place}.line_items[{n}]", known | _others("line", line, *known) | of_day


# --- usage ------------------------------------------------------------------------------------------------------------


class Use(msgspec.Struct, kw_only=True, rename={"model": "model_id", "requests": "num_requests"}):
    """A row of one of the lists: some minutes of a model, project, key and person."""

    model: Annotated[str | None, MODEL] = None
    requests: Annotated[int, REQUESTS]


class TextUse(
    Use,
    kw_only=True,
    rename={
        "model": "snapshot_id",
        "requests": "n_requests",
        "context_tokens": "n_context_tokens_total",
        "generated_tokens": "n_generated_tokens_total",
        "cached_context_tokens": "n_cached_context_tokens_total",
    },
):
    """A row of ``data``: completions, embeddings, moderations and other operations on text."""

    model: Annotated[str | None, MODEL] = None
    requests: Annotated[int, REQUESTS]
    context_tokens: Annotated[int, CONTEXT_TOKENS]
    generated_tokens: Annotated[int, GENERATED_TOKENS]
    cached_context_tokens: Annotated[int | None, CACHED_CONTEXT_TOKENS] = None


class ImageUse(Use, kw_only=True, rename={"images": "num_images"}):
    """A row of ``dalle_api_data``."""

    images: Annotated[int, IMAGES]


class TranscriptionUse(Use, kw_only=True, rename={"seconds": "num_seconds"}):
    """A row of ``whisper_api_data``."""

    seconds: Annotated[int, SECONDS]


class SpeechUse(Use, kw_only=True, rename={"characters": "num_characters"}):
    """A row of ``tts_api_data``."""

    characters: Annotated[int, CHARACTERS]


LISTS: Mapping[str, type[Use]] = {
    "data": TextUse,
    "dalle_api_data": ImageUse,
    "whisper_api_data": TranscriptionUse,
    "tts_api_data": SpeechUse,
}
"""The lists of an answer whose rows we know."""
MOMENTS = ("aggregation_timestamp", "timestamp")
"""When a row was used, in unix seconds: one of them, by its list."""
ADDED_OVER = (
    "object",
    *MOMENTS,
    "operation",
    "request_type",
    "image_size",
    "project_id",
    "project_name",
    "api_key_id",
    "api_key_name",
    "api_key_redacted",
    "api_key_type",
    "organization_id",
    "organization_name",
    "user_id",
    "email",
)
"""What the rows of one model differ in: they are added up over it."""


class UsageAnswer(msgspec.Struct):
    """What is read of a whole answer before its rows are."""

    data: list[dict[str, object]]
    dalle_api_data: list[dict[str, object]] | None = None
    whisper_api_data: list[dict[str, object]] | None = None
    tts_api_data: list[dict[str, object]] | None = None


class UsageOfDay(Item, kw_only=True, rename={"start": "asked_for"}):
    """The answer for one day."""

    start: Moment
    answer: UsageAnswer


class Usage(Row, kw_only=True):
    """One row per connection, day, list of the answer and model: rows that differ in operation, project, key, person or
    time are added up.

    cached_context_tokens are inside context_tokens: do not add the two. A null measure is not stated by that list. The
    same use as in openai.usage_* of the same organization: count one of the two.
    """

    table = "openai_legacy.usage"
    grain = ("list_name", "model")

    list_name: Annotated[str, column("List of the answer: data (text), dalle_api_data, whisper_api_data, tts_api_data")]
    model: Annotated[str | None, MODEL] = None
    requests: Annotated[int | None, REQUESTS] = None
    context_tokens: Annotated[int | None, CONTEXT_TOKENS] = None
    generated_tokens: Annotated[int | None, GENERATED_TOKENS] = None
    cached_context_tokens: Annotated[int | None, CACHED_CONTEXT_TOKENS] = None
    images: Annotated[int | None, IMAGES] = None
    seconds: Annotated[int | None, SECONDS] = None
    characters: Annotated[int | None, CHARACTERS] = None
    other_fields: OtherFields = None


def usage_records(item: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """A record per list and model, and one for each list that we do not know, unless it is empty."""
    answer, path = item["answer"], f"{path}.answer"
    for name, model in LISTS.items():
        yield from _added_up(answer.get(name) or (), name, model, f"{path}.{name}", parser)
    for name, value in _others("answer", answer, *LISTS).items():
        if value:
            yield path, {"list_name": name.removeprefix("answer."), name: value}


def _added_up(
    rows: Iterable[Json], name: str, model: type[Use], path: str, parser: Parser
) -> Iterator[tuple[str, Json]]:
    """The rows of a list, added up per model. What we do not know of them is kept one by one.

    Raises ShapeError for use of another day.
    """
    uses: defaultdict[str | None, list[tuple[Use, Json]]] = defaultdict(list)
    first, end = (moment.timestamp() for moment in (parser.window.start, parser.window.end))
    for n, row in enumerate(rows):
        place, fields = f"{path}[{n}]", {field: value for field, value in row.items() if field not in ADDED_OVER}
        for field in MOMENTS:
            moment = row.get(field)
            if moment is not None and not (isinstance(moment, int | Decimal) and first <= moment < end):
                raise ShapeError(f"{place}.{field}", parser.day, f"timestamp {moment} is not the requested day")
        unknown = parser.take_unknown(model, place, fields)
        use = parser.build(model, place, fields)
        uses[use.model].append((use, unknown))
    measures = [measure for measure in model.__struct_fields__ if measure != "model"]
    for same in uses.values():
        others = {field for _, unknown in same for field in unknown}
        yield (
            path,
            {"list_name": name, "model": same[0][0].model}
            | {measure: _sum(getattr(use, measure) for use, _ in same) for measure in measures}
            | {f"row.{field}": [unknown.get(field) for _, unknown in same] for field in others},
        )


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _others(place: str, fields: Json, *known: str) -> Json:
    """What we do not know of an object, under names that no column has."""
    return {f"{place}.{name}": value for name, value in fields.items() if name not in (*known, "object")}


one_day = partial(Endpoint, page=OneDay(), window_days=1, bucket_per_day=False, seen_live=False)

LINES = "openai_legacy.billing_usage where name is not null"
TOKENS = "context_tokens + generated_tokens"
OPENAI_LEGACY = Provider(
    name="openai_legacy",
    surface=2,
    module=__name__,
    position=4,
    company="OpenAI",
    service="OpenAI API",
    billed_as=BILLED_AS,
    develops_models=True,
    sub_account_type="Project",
    base_url="https://api.openai.com/v1",
    base_url_variable="OPENAI_BASE_URL",
    auth=bearer,
    scope_headers={"organization": "OpenAI-Organization"},
    error_message=error_message,
    advice={
        401: "Check the connection's key",
        403: (
            "OpenAI closed this endpoint to API keys: use a connection of provider openai with an admin key instead, "
            "which asks organization/costs and organization/usage"
        ),
        404: "Check the connection's base URL",
    },
    settling_days=7,
    superseded_by="openai",
    costs=(
        CostSource(
            table="openai_legacy.billing_usage",
            rows=LINES,
            columns={"native_amount": "cost_cents", "native_unit": "'cents'"},
            billed_totals="cost_cents",
        ),
    ),
    entities=(
        Entities(
            row=DAILY_USAGE,
            reads=("openai_legacy.billing_usage", "openai_legacy.usage"),
            rows=f"(from openai_legacy.usage union all by name from {LINES})",
            columns={
                "total_requests": "requests",
                "total_tokens": TOKENS,
                "total_cost": "cost_cents",
                "currency": "'USD'",
            },
            in_minor_units=True,
            file="openai_legacy_daily_usage",
        ),
        Entities(
            row=MODEL_USAGE,
            reads=("openai_legacy.usage",),
            columns={"tokens": TOKENS},
            file="openai_legacy_model_usage",
        ),
    ),
    endpoints=(
        one_day(
            name="billing_usage",
            group="costs",
            path="dashboard/billing/usage",
            row=BillingUsage,
            item=BillingOfDay,
            records=billing_records,
            window_params=date_range,  # one day each: the stated total is that of the whole window
        ),
        one_day(
            name="usage",
            group="usage",
            path="usage",
            row=Usage,
            item=UsageOfDay,
            records=usage_records,
            window_params=date_alone,
        ),
    ),
)
