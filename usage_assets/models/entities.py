"""Entities: the rows of Port's blueprints, one table each. ``sql/entities/<blueprint>.sql`` computes them.

Property names, types and identifiers are Port's (port/blueprints/<blueprint>.json); departures from the published
mappings are listed in docs/port-parity.md. codex_usage_record, ai_cost_record and ai_user_cost are ours.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

from usage_assets.config.settings import PortRelation
from usage_assets.core.schema import Row, Total, column
from usage_assets.models.costs import DailyCost, costs_of
from usage_assets.models.model import Ids, Model
from usage_assets.port.provision import Foreign
from usage_assets.providers.anthropic.lookups import AnthropicUsers, Workspaces
from usage_assets.providers.openai.lookups import OpenaiUsers, Projects, ServiceAccounts

Midnight = Annotated[str, column("UTC midnight that opens the day, RFC 3339")]
Title = Annotated[str, column("Title in Port")]
UncachedInput = Annotated[int | None, column("Input tokens neither read from nor written to a cache", unit="tokens")]
Output = Annotated[int | None, column("Output tokens", unit="tokens")]
CacheRead = Annotated[int | None, column("Input tokens read from a cache", unit="tokens")]
CacheCreation5m = Annotated[int | None, column("Input tokens written to a 5-minute cache", unit="tokens")]
CacheCreation1h = Annotated[int | None, column("Input tokens written to a 1-hour cache", unit="tokens")]
WebSearches = Annotated[int | None, column("Web searches", unit="requests")]


class OpenaiDailyUsage(Row):
    """One entity per connection and day that was fetched, also an empty one."""

    table = "port_entities.openai_daily_usage"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: daily-<day>")]
    title: Title
    date: Annotated[str, column("Day, YYYY-MM-DD")]
    total_requests: Annotated[int | None, column("Model requests (sum of num_model_requests)", unit="requests")]
    total_tokens: Annotated[int | None, column("Input and output tokens (cached ones are inside input)", unit="tokens")]
    total_cost: Annotated[Decimal | None, column("Cost; null where every cost is in another currency", unit="USD")]


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
    amount: Annotated[Decimal, column("Cost, in whole units of its currency", unit="currency", additive=False)]
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
    credits: Annotated[Decimal | None, column("Use that is billed in credits; not dollars", unit="credits")]
    threads: Annotated[int | None, column("Threads", unit="threads")]
    turns: Annotated[int | None, column("Turns", unit="turns")]
    uncached_text_input_tokens: Annotated[int | None, column("Text input that was not cached", unit="tokens")]
    cached_text_input_tokens: Annotated[int | None, column("Text input read from the cache", unit="tokens")]
    text_output_tokens: Annotated[int | None, column("Text output", unit="tokens")]
    text_total_tokens: Annotated[int | None, column("All text tokens", unit="tokens")]
    cost_usd: Annotated[Decimal | None, column("Use that is billed in dollars", unit="USD")]
    estimated_cost_usd: Annotated[
        Decimal | None, column("The credits at the workspace's overage rate; not billed", unit="USD")
    ]


class AiCostRecord(Row):
    """One entity per connection, day, cost basis, unit, currency, project or workspace, and model.

    Sum amount_usd only within one cost_basis, as in costs.daily_costs, of which this is a coarser cut.
    """

    table = "port_entities.ai_cost_record"
    grain = ("identifier",)
    totals = {"billed_usd": Total("sum(amount_usd) filter (where cost_basis = 'billed')", "USD")}

    identifier: Annotated[
        str, column("Identifier in Port: <connection>/<cost basis and unit>/<project or workspace>/<model>/<day>")
    ]
    title: Title
    record_date: Midnight
    provider: Annotated[str, column("Provider")]
    cost_basis: Annotated[str, column("billed, estimated, notional or credits; never add one to another")]
    scope_id: Annotated[str | None, column("OpenAI project, Anthropic or ChatGPT workspace; null: none is stated")]
    scope_name: Annotated[str | None, column("What the project or workspace was last listed as, or its id")]
    model: Annotated[str, column("Model, or what the line item names first where no model is stated; else unknown")]
    native_amount: Annotated[Decimal, column("Amount as the provider states it", unit="native_unit", additive=False)]
    native_unit: Annotated[str, column("dollars, cents, credits; major or minor units of other currencies")]
    currency: Annotated[str | None, column("Currency, ISO 4217; null for credits")]
    amount_usd: Annotated[Decimal | None, column("The same amount; null where unknown", unit="USD", additive=False)]


class AiUserCost(Row):
    """One entity per connection, day and user; one without a user for what no user is known of, so that all add up.

    The four moneys are never added to each other. A null is unknown, not zero: an amount in another currency, or a bill
    that is switched off.
    """

    table = "port_entities.ai_user_cost"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <connection>/<user, or unassigned>/<day>", personal=True)]
    title: Annotated[str, column("Title in Port", personal=True)]
    record_date: Midnight
    provider: Annotated[str, column("Provider")]
    user_id: Annotated[str | None, column("User, as the provider knows them; null: none is stated", personal=True)]
    user_email: Annotated[str | None, column("E-mail address, where the policy for people keeps it", personal=True)]
    billed_usd: Annotated[Decimal | None, column("What is billed", unit="USD")]
    estimated_usd: Annotated[Decimal | None, column("Estimates, which are inside what is billed", unit="USD")]
    notional_usd: Annotated[Decimal | None, column("List prices of what a seat covers", unit="USD")]
    credits: Annotated[Decimal, column("Credits; no currency", unit="credits")]


def _entity(
    row: type[Row],
    *reads: str,
    optional_refs: tuple[str, ...] = (),
    file: str | None = None,
    about: Mapping[str, Ids] = {},
) -> Model:
    name = row.table.removeprefix("port_entities.")
    return Model(
        name=name,
        file=file or name,
        folder="entities",
        under="entities",
        group="entities",
        row=row,
        reads=reads,
        optional_refs=optional_refs,
        about=about,
    )


def _of(*columns: str) -> Ids:
    return lambda row: [row[name] for name in columns]


def _of_claude_code(row: Mapping[str, Any]) -> Iterator[str]:
    """A person, and no API key that is called like one: beside such a key the SQL appends the person's actor type."""
    if row["actor_type"] == "user_actor":
        yield row["actor_name"].removesuffix(":user_actor")


MODEL_REQUESTS = tuple(
    f"openai.usage_{report}"
    for report in ("embeddings", "moderations", "images", "audio_speeches", "audio_transcriptions", "decisions")
)
"""What ``sql/macros/openai_model_requests.sql`` reads besides completions."""

ENTITIES = (
    _entity(OpenaiDailyUsage, "openai.costs", "openai.usage_completions", optional_refs=MODEL_REQUESTS),
    _entity(OpenaiModelUsage, "openai.usage_completions", optional_refs=MODEL_REQUESTS),
    _entity(ClaudeUsageRecord, "anthropic.usage_messages"),
    _entity(ClaudeCostRecord, "anthropic.cost_report"),
    _entity(
        ClaudeWorkspaceUsage,
        "anthropic.usage_messages",
        optional_refs=(Workspaces.table,),
        about={"project": _of("workspace_id")},
    ),
    _entity(ClaudeModelUsage, "anthropic.usage_messages"),
    _entity(ClaudeCodeAnalytics, "anthropic.claude_code", about={"user": _of_claude_code}),
    _entity(CodexUsageRecord, "chatgpt.codex_usage", about={"project": _of("workspace_id")}),
    _entity(OpenaiDailyUsage, "openai_legacy.billing_usage", "openai_legacy.usage", file="openai_legacy_daily_usage"),
    _entity(OpenaiModelUsage, "openai_legacy.usage", file="openai_legacy_model_usage"),
    _entity(
        AiCostRecord,
        DailyCost.table,
        optional_refs=(Projects.table, Workspaces.table),
        about={"project": _of("scope_id")},
    ),
    _entity(
        AiUserCost,
        DailyCost.table,
        optional_refs=(OpenaiUsers.table, ServiceAccounts.table, AnthropicUsers.table),
        about={"user": _of("user_email", "user_id")},
    ),
)
"""One derived table per blueprint, whose id is the table's name; two of them have two sources.

The last two stand on ``costs.daily_costs`` and are there for every provider.
"""


def entities_of(tables: Collection[str]) -> Sequence[Model]:
    """Return the entities that are computed from these raw tables, also from costs that are."""
    known = {*tables, *([DailyCost.table] if costs_of(tables) else [])}
    return [entity for entity in ENTITIES if {*entity.reads} <= known]


def foreign_relations(relations: Iterable[PortRelation]) -> Foreign:
    """Return the relations of every blueprint to the users' own."""
    return {derived.name: derived.foreign(relations) for derived in ENTITIES}
