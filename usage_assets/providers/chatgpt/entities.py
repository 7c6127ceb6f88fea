"""Codex use as the rows of a blueprint of our own."""

from decimal import Decimal
from typing import Annotated

from usage_assets.provider import Entities, Midnight, Row, Title, column, ids_in


class CodexUsageRecord(Row):
    """One entity per connection, day and user; on days without any user row one for the workspace.

    So all entities of some days can be summed. A null is unknown, not zero. Credits, cost_usd and estimated_cost_usd
    are never added to each other.
    """

    table = "port_entities.codex_usage_record"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <workspace>-<user, or workspace>-<day>")]
    title: Title
    record_date: Midnight
    workspace_id: Annotated[str, column("ChatGPT workspace")]
    user_id: Annotated[str | None, column("User; null for the workspace and for a user without an id")]
    scope: Annotated[str, column("user or workspace: whose use it is")]
    credits: Annotated[
        Decimal | None, column("Use that is billed in credits; not dollars", unit="credits", kind="credits")
    ]
    threads: Annotated[int | None, column("Threads", unit="threads")]
    turns: Annotated[int | None, column("Turns", unit="turns")]
    uncached_text_input_tokens: Annotated[int | None, column("Text input that was not cached", unit="tokens")]
    cached_text_input_tokens: Annotated[int | None, column("Text input read from the cache", unit="tokens")]
    text_output_tokens: Annotated[int | None, column("Text output", unit="tokens")]
    text_total_tokens: Annotated[int | None, column("All text tokens", unit="tokens")]
    cost_usd: Annotated[Decimal | None, column("Use that is billed in dollars", unit="USD", kind="billed")]
    estimated_cost_usd: Annotated[
        Decimal | None, column("The credits at the workspace's overage rate; not billed", unit="USD", kind="estimated")
    ]


ENTITIES = (Entities(row=CodexUsageRecord, reads=("chatgpt.codex_usage",), about={"project": ids_in("workspace_id")}),)
