"""OpenAI's organization usage: a report per kind of use, its rows and endpoint. Costs and the provider: costs.py.

Source: SDK 3.51.0 (``openai.types.admin.organization.usage_*``) and the usage pages of OpenAI's API reference.
"""

import re
from functools import partial
from typing import Annotated, ClassVar

from usage_assets.provider import (
    Endpoint,
    GroupedBy,
    Item,
    Moment,
    OtherFields,
    PageOccurrence,
    Refusal,
    Row,
    Total,
    column,
    results,
    unix_seconds,
)

tokens = partial(column, unit="tokens")

ProjectId = Annotated[str | None, column("Project")]
UserId = Annotated[str | None, column("User; none for service accounts and in old data")]
ApiKeyId = Annotated[str | None, column("API key, deleted ones included")]
ApiSource = Annotated[str | None, column("Agents API activity (agents_api) or anything else (unlabeled)")]
Model = Annotated[str | None, column("Model")]
ModelRequests = Annotated[int | None, column("Requests made to the model", unit="requests")]


class OfKey(Row, kw_only=True):
    """A report by project, user and API key."""

    project_id: ProjectId = None
    user_id: UserId = None
    api_key_id: ApiKeyId = None
    occurrence: PageOccurrence = None


class OfModel(OfKey, kw_only=True):
    """A report by project, user, API key and model."""

    grain: ClassVar[tuple[str, ...]] = ("project_id", "user_id", "api_key_id", "model", "occurrence")

    model: Model = None


class UsageCompletions(OfModel, kw_only=True):
    """One row per connection, day, project, user, API key, model, batch, service tier, API source and occurrence.

    input_tokens contains the cached and cache-write tokens: do not add token columns to each other. Counters are null
    where OpenAI does not report them, which is normal in old data.
    """

    table = "openai.usage_completions"
    grain = ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source", "occurrence")

    batch: Annotated[bool | None, column("Whether it went through the Batch API")] = None
    service_tier: Annotated[str | None, column("Service tier, such as default, flex or priority")] = None
    api_source: ApiSource = None
    num_model_requests: ModelRequests
    input_tokens: Annotated[int | None, tokens("All input: text, audio, images, cached and cache-write included")]
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
    output_tokens: Annotated[int | None, tokens("All output: text, audio, images")]
    output_text_tokens: Annotated[int | None, tokens("Text output")] = None
    output_audio_tokens: Annotated[int | None, tokens("Audio output")] = None
    output_image_tokens: Annotated[int | None, tokens("Image output")] = None
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class UsageDecisions(UsageCompletions, kw_only=True):
    """One row per connection, day, project, user, API key, model, batch, service tier, API source and occurrence.

    OpenAI reports decisions with the columns of completions, in addition to them and not as part of them.
    """

    table = "openai.usage_decisions"


class UsageEmbeddings(OfModel, kw_only=True):
    """One row per connection, day, project, user, API key, model and occurrence."""

    table = "openai.usage_embeddings"

    num_model_requests: ModelRequests
    input_tokens: Annotated[int | None, tokens("Input")]
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class UsageModerations(UsageEmbeddings, kw_only=True):
    """One row per connection, day, project, user, API key, model and occurrence."""

    table = "openai.usage_moderations"


class UsageImages(OfModel, kw_only=True):
    """One row per connection, day, project, user, API key, model, size, source and occurrence."""

    table = "openai.usage_images"
    grain = ("project_id", "user_id", "api_key_id", "model", "size", "source", "occurrence")

    size: Annotated[str | None, column("Size in pixels, such as 1024x1024")] = None
    source: Annotated[str | None, column("image.generation, image.edit or image.variation")] = None
    num_model_requests: ModelRequests
    images: Annotated[int | None, column("Images", unit="images")]
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class UsageAudioSpeeches(OfModel, kw_only=True):
    """One row per connection, day, project, user, API key, model and occurrence."""

    table = "openai.usage_audio_speeches"

    num_model_requests: ModelRequests
    characters: Annotated[int | None, column("Characters turned into speech", unit="characters")]
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class UsageAudioTranscriptions(OfModel, kw_only=True):
    """One row per connection, day, project, user, API key, model and occurrence."""

    table = "openai.usage_audio_transcriptions"

    num_model_requests: ModelRequests
    seconds: Annotated[int | None, column("Audio turned into text", unit="seconds")]
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class UsageVectorStores(Row, kw_only=True):
    """One row per connection, day, project and occurrence.

    usage_bytes is a level: add it over the projects of a day, never over days.
    """

    table = "openai.usage_vector_stores"
    grain = ("project_id", "occurrence")
    totals = {"usage_bytes": Total("sum(usage_bytes)")}

    project_id: ProjectId = None
    occurrence: PageOccurrence = None
    usage_bytes: Annotated[int | None, column("Bytes stored that day, a level", unit="bytes", additive=False)]
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class UsageCodeInterpreterSessions(Row, kw_only=True):
    """One row per connection, day, project and occurrence."""

    table = "openai.usage_code_interpreter_sessions"
    grain = ("project_id", "occurrence")

    project_id: ProjectId = None
    occurrence: PageOccurrence = None
    num_sessions: Annotated[int | None, column("Code interpreter sessions", unit="sessions")]
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class UsageFileSearchCalls(OfKey, kw_only=True):
    """One row per connection, day, project, user, API key, vector store and occurrence."""

    table = "openai.usage_file_search_calls"
    grain = ("project_id", "user_id", "api_key_id", "vector_store_id", "occurrence")

    vector_store_id: Annotated[str | None, column("Vector store that was searched")] = None
    num_requests: Annotated[int | None, column("File searches", unit="searches")]
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class UsageWebSearchCalls(OfModel, kw_only=True):
    """One row per connection, day, project, user, API key, model, context level, API source and occurrence.

    Its model requests are those that searched. Completions count them too: do not add them.
    """

    table = "openai.usage_web_search_calls"
    grain = ("project_id", "user_id", "api_key_id", "model", "context_level", "api_source", "occurrence")

    context_level: Annotated[str | None, column("Size of the search context: low, medium or high")] = None
    api_source: ApiSource = None
    num_model_requests: Annotated[
        int | None, column("Model requests that searched, inside completions", unit="requests")
    ]
    num_requests: Annotated[int | None, column("Web searches", unit="searches")]
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class Bucket(Item, kw_only=True, rename={"start": "start_time", "end": "end_time"}):
    """A day of costs or usage."""

    start: Moment
    end: Moment
    results: list[object]


API_SOURCE_UNKNOWN = Refusal(
    # Newer than the published specification: an API that does not know the dimension yet names it in its refusal, and
    # not only in a list of what it supports.
    pattern=re.compile(r"^(?:(?!supported values).)*\bapi_source\b", re.I | re.S),
    drops=("api_source",),
    for_good=True,
)

bucketed = partial(Endpoint, item=Bucket, records=results, window_params=unix_seconds, bucket_per_day=True)


def _usage(row: type[Row], *filters: str, default_on: bool = True) -> Endpoint:
    """Return the endpoint of a report. It is grouped by every dimension that the report has: its grain.

    Rows of one bucket may agree in all of them and differ in their counters, as in exports of OpenAI's dashboard: each
    counts (``occurrence``). Rows that are equal in everything are refused.
    """
    name = row.table.removeprefix("openai.")
    return bucketed(
        name=name,
        group="usage",
        path=f"organization/usage/{name.removeprefix('usage_')}",
        row=row,
        window_days=31,
        params={"bucket_width": "1d", "limit": "31"},
        group_by=tuple(name for name in row.grain if name != "occurrence"),
        filters=filters,
        refusals=(API_SOURCE_UNKNOWN,) if "api_source" in row.grain else (),
        default_on=default_on,
    )


_CALLERS = ("project_ids[]", "user_ids[]", "api_key_ids[]")

USAGE = (
    _usage(UsageCompletions, *_CALLERS, "models[]", "batch"),
    _usage(UsageEmbeddings, *_CALLERS, "models[]"),
    _usage(UsageModerations, *_CALLERS, "models[]"),
    _usage(UsageImages, *_CALLERS, "models[]", "sizes[]", "sources[]"),
    _usage(UsageAudioSpeeches, *_CALLERS, "models[]"),
    _usage(UsageAudioTranscriptions, *_CALLERS, "models[]"),
    _usage(UsageVectorStores, "project_ids[]"),
    _usage(UsageCodeInterpreterSessions, "project_ids[]"),
    _usage(UsageFileSearchCalls, *_CALLERS, "vector_store_ids[]"),
    _usage(UsageWebSearchCalls, *_CALLERS, "models[]", "context_levels[]"),
    # In the SDK only; the published specification does not know it yet.
    _usage(UsageDecisions, *_CALLERS, "models[]", "batch", default_on=False),
)
"""Every usage endpoint. Which columns are optional is the SDK's word, too."""
