"""OpenAI's organization usage and costs: endpoints, rows, refusals. Money here is dollars, not cents.

Source: the usage and costs pages of OpenAI's API reference, its SDK 3.51.0, and public reports of live answers.
"""

import re
from decimal import Decimal
from functools import partial
from typing import Annotated

from usage_assets.providers.endpoint import Endpoint, Provider, Refusal, error_message
from usage_assets.providers.reading import GroupedBy, Item, Moment, OtherFields, results
from usage_assets.providers.windows import unix_seconds
from usage_assets.rows import Row, column

tokens = partial(column, unit="tokens")

ProjectId = Annotated[str | None, column("Project")]
UserId = Annotated[str | None, column("User; none for service accounts and in old data")]
ApiKeyId = Annotated[str | None, column("API key, deleted ones included")]
ApiSource = Annotated[str | None, column("Agents API activity (agents_api) or anything else (unlabeled)")]


class Bucket(Item, kw_only=True, rename={"start": "start_time", "end": "end_time"}):
    """A day of costs or usage."""

    start: Moment
    end: Moment
    results: list[object]


class Costs(Row, kw_only=True, rename={"amount_value": "amount.value", "amount_currency": "amount.currency"}):
    """One row per connection, day, project, user, line item, API key, API source, currency and unit of quantity.

    What OpenAI bills. Do not add amounts of different currencies.
    """

    table = "openai.costs"
    grain = ("project_id", "user_id", "line_item", "api_key_id", "api_source", "amount_currency", "quantity_unit")
    totals = {"amount_usd": "sum(amount_value) filter (where lower(amount_currency) = 'usd')"}

    project_id: ProjectId = None
    user_id: UserId = None
    user_email: Annotated[
        str | None, column("Address of the user; undocumented, sent unasked", address="sent_unasked")
    ] = None
    line_item: Annotated[str | None, column("What was billed, such as `gpt-5, input`; not a stable grammar")] = None
    api_key_id: ApiKeyId = None
    api_source: ApiSource = None
    organization_id: Annotated[str | None, column("Organization; undocumented, sent unasked")] = None
    amount_value: Annotated[
        Decimal,
        column("Cost in whole units of amount_currency: dollars for usd", unit="currency units", additive=False),
    ]
    amount_currency: Annotated[str | None, column("Currency code as sent: lower case, may be missing")] = None
    quantity: Annotated[Decimal | None, column("Quantity billed", unit="see quantity_unit", additive=False)] = None
    quantity_unit: Annotated[str | None, column("Unit of quantity: tokens, 1000_tokens, images and others")] = None
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class UsageCompletions(Row, kw_only=True):
    """One row per connection, day, project, user, API key, model, batch, service tier and API source.

    input_tokens contains the cached and cache-write tokens: do not add token columns to each other. Counters are null
    where OpenAI does not report them, which is normal in old data.
    """

    table = "openai.usage_completions"
    grain = ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source")

    project_id: ProjectId = None
    user_id: UserId = None
    api_key_id: ApiKeyId = None
    model: Annotated[str | None, column("Model")] = None
    batch: Annotated[bool | None, column("Whether it went through the Batch API")] = None
    service_tier: Annotated[str | None, column("Service tier, such as default, flex or priority")] = None
    api_source: ApiSource = None
    num_model_requests: Annotated[int, column("Requests made to the model", unit="requests")]
    input_tokens: Annotated[int, tokens("All input: text, audio, images, cached and cache-write included")]
    input_uncached_tokens: Annotated[
        int | None, tokens("Input that was neither read from nor written to the cache")
    ] = None
    input_cached_tokens: Annotated[int | None, tokens("Input read from the cache")] = None
    input_cache_write_tokens: Annotated[int | None, tokens("Input written to the cache, both retentions")] = None
    input_cache_write_30m_tokens: Annotated[int | None, tokens("Input written to the cache for 30 minutes")] = None
    input_cache_write_12h_tokens: Annotated[int | None, tokens("Input written to the cache for 12 hours")] = None
    input_text_tokens: Annotated[int | None, tokens("Uncached text input without cache-write")] = None
    input_audio_tokens: Annotated[int | None, tokens("Uncached audio input")] = None
    input_image_tokens: Annotated[int | None, tokens("Uncached image input")] = None
    input_cached_text_tokens: Annotated[int | None, tokens("Cached text input")] = None
    input_cached_audio_tokens: Annotated[int | None, tokens("Cached audio input")] = None
    input_cached_image_tokens: Annotated[int | None, tokens("Cached image input")] = None
    output_tokens: Annotated[int, tokens("All output: text, audio, images")]
    output_text_tokens: Annotated[int | None, tokens("Text output")] = None
    output_audio_tokens: Annotated[int | None, tokens("Audio output")] = None
    output_image_tokens: Annotated[int | None, tokens("Image output")] = None
    grouped_by: GroupedBy
    other_fields: OtherFields = None


API_KEY_FLOOR = Refusal(
    # Seen live for every grouping of costs that includes api_key_id and starts before 2025-12-06. Clients that took it
    # for "api_key_id is not supported" lost the dimension for all days.
    pattern=re.compile(r"group_by=api_key_id is not available for this time range.* on or after (?P<since>\d+)"),
    drops=("api_key_id",),
)

bucketed = partial(Endpoint, item=Bucket, records=results, window_params=unix_seconds, bucket_per_day=True)

OPENAI = Provider(
    name="openai",
    base_url="https://api.openai.com/v1",
    headers=lambda key: {"Authorization": f"Bearer {key}"},
    error_message=error_message,
    advice={
        401: "Check the admin key (OPENAI_ADMIN_KEY for the default connection): it starts with sk-admin-",
        403: "The admin key needs the scope api.usage.read: create one as an organization owner",
        404: "Check the base URL (OPENAI_BASE_URL)",
    },
    lookback_days=365,
    endpoints=(
        bucketed(
            name="costs",
            group="costs",
            path="organization/costs",
            row=Costs,
            window_days=180,
            params={"bucket_width": "1d", "limit": "180"},
            group_by=("project_id", "user_id", "line_item", "api_key_id"),
            refusals=(API_KEY_FLOOR,),
        ),
        bucketed(
            name="usage_completions",
            group="usage",
            path="organization/usage/completions",
            row=UsageCompletions,
            window_days=31,
            params={"bucket_width": "1d", "limit": "31"},
            group_by=("project_id", "user_id", "api_key_id", "model", "batch", "service_tier"),
        ),
    ),
)
