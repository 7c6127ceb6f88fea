"""OpenAI's usage as the rows of Port's blueprints."""

from decimal import Decimal
from typing import Annotated

from usage_assets.provider import Entities, Row, Title, column


class OpenaiDailyUsage(Row):
    """One entity per connection and day that was fetched, also an empty one."""

    table = "port_entities.openai_daily_usage"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: daily-<day>")]
    title: Title
    date: Annotated[str, column("Day, YYYY-MM-DD")]
    total_requests: Annotated[int | None, column("Model requests (sum of num_model_requests)", unit="requests")]
    total_tokens: Annotated[int | None, column("Input and output tokens (cached ones are inside input)", unit="tokens")]
    total_cost: Annotated[
        Decimal | None, column("Cost; null where every cost is in another currency", unit="USD", kind="billed")
    ]


class OpenaiModelUsage(Row):
    """One entity per connection, day and model with usage."""

    table = "port_entities.openai_model_usage"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <model>-<unix seconds of the day's UTC midnight>")]
    title: Title
    model: Annotated[str, column("Model; unknown where the provider states none")]
    date: Annotated[str, column("Day, YYYY-MM-DD")]
    requests: Annotated[int | None, column("Model requests", unit="requests")]
    tokens: Annotated[int | None, column("Input and output tokens (cached ones are inside input)", unit="tokens")]


MODEL_REQUESTS = tuple(
    f"openai.usage_{report}"
    for report in ("embeddings", "moderations", "images", "audio_speeches", "audio_transcriptions", "decisions")
)
"""The reports that count model requests, besides completions: ``sql/macros/openai_model_requests.sql`` reads them."""

ENTITIES = (
    Entities(row=OpenaiDailyUsage, reads=("openai.costs", "openai.usage_completions"), optional_refs=MODEL_REQUESTS),
    Entities(row=OpenaiModelUsage, reads=("openai.usage_completions",), optional_refs=MODEL_REQUESTS),
)
