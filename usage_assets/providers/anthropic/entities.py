"""Anthropic's usage, costs and Claude Code analytics as the rows of Port's blueprints."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any

from usage_assets.provider import Entities, Midnight, Row, Title, Total, column, ids_in
from usage_assets.providers.anthropic.lookups import Workspaces

UncachedInput = Annotated[int | None, column("Input tokens neither read from nor written to a cache", unit="tokens")]
Output = Annotated[int | None, column("Output tokens", unit="tokens")]
CacheRead = Annotated[int | None, column("Input tokens read from a cache", unit="tokens")]
CacheCreation5m = Annotated[int | None, column("Input tokens written to a 5-minute cache", unit="tokens")]
CacheCreation1h = Annotated[int | None, column("Input tokens written to a 1-hour cache", unit="tokens")]
WebSearches = Annotated[int | None, column("Web searches", unit="requests")]


class ClaudeUsageRecord(Row):
    """One entity per connection and day that was fetched, also an empty one. The token classes are disjoint."""

    table = "port_entities.claude_usage_record"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <day>-usage")]
    title: Title
    record_date: Midnight
    uncached_input_tokens: UncachedInput
    output_tokens: Output
    cache_read_input_tokens: CacheRead
    cache_creation_5m_tokens: CacheCreation5m
    cache_creation_1h_tokens: CacheCreation1h
    web_search_requests: WebSearches


class ClaudeWorkspaceUsage(Row):
    """One entity per connection, day and workspace with usage. The token classes are disjoint."""

    table = "port_entities.claude_workspace_usage"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <workspace>-<day>")]
    title: Title
    record_date: Midnight
    workspace_id: Annotated[str, column("Workspace; the default workspace, which has no id, is default")]
    uncached_input_tokens: UncachedInput
    output_tokens: Output
    cache_read_input_tokens: CacheRead
    cache_creation_5m_tokens: CacheCreation5m
    cache_creation_1h_tokens: CacheCreation1h
    web_search_requests: WebSearches


class ClaudeModelUsage(Row):
    """One entity per connection, day and model with usage. The token classes are disjoint."""

    table = "port_entities.claude_model_usage"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <model>-<day>")]
    title: Title
    record_date: Midnight
    model: Annotated[str, column("Model; unknown where the provider states none")]
    uncached_input_tokens: UncachedInput
    output_tokens: Output
    cache_read_input_tokens: CacheRead
    cache_creation_5m_tokens: CacheCreation5m
    cache_creation_1h_tokens: CacheCreation1h
    web_search_requests: WebSearches


class ClaudeCostRecord(Row):
    """One entity per connection and day that was fetched, also an empty one; further currencies have their own."""

    table = "port_entities.claude_cost_record"
    grain = ("identifier",)
    totals = {"amount_usd": Total("sum(amount) filter (where currency = 'USD')", "USD")}

    identifier: Annotated[str, column("Identifier in Port: <day>-cost, and the currency where it is not USD")]
    title: Title
    record_date: Midnight
    amount: Annotated[
        Decimal, column("Cost, in whole units of its currency", unit="currency", kind="billed", additive=False)
    ]
    currency: Annotated[str, column("Currency, ISO 4217")]


class ClaudeCodeAnalytics(Row):
    """One entity per connection, day, organization and actor; rows of several terminals are added up."""

    table = "port_entities.claude_code_analytics"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <organization>-<actor>-<day>", personal=True)]
    title: Annotated[str, column("Title in Port", personal=True)]
    record_date: Midnight
    organization_id: Annotated[str, column("Anthropic organization")]
    actor_type: Annotated[str, column("user_actor or api_actor")]
    actor_name: Annotated[str, column("E-mail address of a person, or name of an API key", personal=True)]
    terminal_type: Annotated[str | None, column("Terminals used that day, sorted, comma-separated")]
    num_sessions: Annotated[int | None, column("Sessions", unit="sessions")]
    lines_added: Annotated[int | None, column("Lines of code added", unit="lines")]
    lines_removed: Annotated[int | None, column("Lines of code removed", unit="lines")]
    commits: Annotated[int | None, column("Commits by Claude Code", unit="commits")]
    pull_requests: Annotated[int | None, column("Pull requests by Claude Code", unit="pull requests")]
    edit_tool_accepted: Annotated[int, column("Edit tool: proposals accepted", unit="proposals")]
    edit_tool_rejected: Annotated[int, column("Edit tool: proposals rejected", unit="proposals")]
    write_tool_accepted: Annotated[int, column("Write tool: proposals accepted", unit="proposals")]
    write_tool_rejected: Annotated[int, column("Write tool: proposals rejected", unit="proposals")]
    model_breakdown: Annotated[
        str, column("JSON list: tokens and estimated cost per model and currency, in its whole units")
    ]


def _of_claude_code(row: Mapping[str, Any]) -> Iterator[str]:
    """A person, not an API key with an email-like name: where both exist, the SQL appends the person's actor type."""
    if row["actor_type"] == "user_actor":
        yield row["actor_name"].removesuffix(":user_actor")


ENTITIES = (
    Entities(row=ClaudeUsageRecord, reads=("anthropic.usage_messages",)),
    Entities(row=ClaudeCostRecord, reads=("anthropic.cost_report",)),
    Entities(
        row=ClaudeWorkspaceUsage,
        reads=("anthropic.usage_messages",),
        optional_refs=(Workspaces.table,),
        about={"project": ids_in("workspace_id")},
    ),
    Entities(row=ClaudeModelUsage, reads=("anthropic.usage_messages",)),
    Entities(row=ClaudeCodeAnalytics, reads=("anthropic.claude_code",), about={"user": _of_claude_code}),
)
