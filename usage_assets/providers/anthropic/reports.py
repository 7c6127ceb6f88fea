"""Anthropic's Admin API: messages usage, cost report and Claude Code analytics. Money here is cents, with fractions.

Source: the Admin API reference at platform.claude.com (usage report, cost report, Claude Code).
"""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Annotated

import msgspec

from usage_assets.provider import (
    Endpoint,
    GroupedBy,
    Item,
    Json,
    Moment,
    Occurrence,
    OtherFields,
    PageOccurrence,
    Parser,
    Row,
    Total,
    as_json,
    column,
    money,
    results,
    rfc3339,
)

tokens = partial(column, unit="tokens")
proposals = partial(column, unit="proposals")
cents = partial(column, unit="cents", within=("currency",), additive=False)
billed = partial(cents, kind="billed")
MONEY = {
    "amount_cents": Total("sum(amount_cents) filter (where upper(currency) = 'USD')"),
    "amount": Total("sum(amount_cents) filter (where upper(currency) <> 'USD')", "minor units of {}", by="currency"),
}
"""What a day costs, each currency alone: ``amount_eur``, and ``amount_cents`` of a dollar."""

OF_CURRENCY = {
    "native_unit": "if(upper(currency) = 'USD', 'cents', 'minor units')",
    "currency": "upper(currency)",
}
BILLED = {"native_amount": "amount_cents", "list_amount": "list_amount_cents", **OF_CURRENCY}
"""What costs add up to."""
TOKENS = {f"cache_creation_{time}_tokens": f"cache_creation_{time}_input_tokens" for time in ("5m", "1h")}
"""What entities add up to, of columns with other names."""

WorkspaceId = Annotated[str | None, column("Workspace; none is the default workspace")]
Model = Annotated[str | None, column("Model")]
ServiceTier = Annotated[str | None, column("Service tier, such as standard, batch or priority")]
ContextWindow = Annotated[str | None, column("Context window: 0-200k or 200k-1M")]
InferenceGeo = Annotated[str | None, column("Where inference ran: global, us or not_available")]
UncachedInput = Annotated[int | None, tokens("Input that was neither read from nor written to the cache")]
CacheRead = Annotated[int | None, tokens("Input read from the cache")]
CacheWrite5m = Annotated[int | None, tokens("Input written to the cache for 5 minutes")]
CacheWrite1h = Annotated[int | None, tokens("Input written to the cache for 1 hour")]
Output = Annotated[int | None, tokens("Output")]
WebSearches = Annotated[int | None, column("Web searches by the server tool", unit="requests")]


class Bucket(Item, kw_only=True, rename={"start": "starting_at", "end": "ending_at"}):
    """A day of a report."""

    start: Moment
    end: Moment
    results: list[object]


class UsageMessages(
    Row,
    kw_only=True,
    rename={
        "cache_creation_5m_input_tokens": "cache_creation.ephemeral_5m_input_tokens",
        "cache_creation_1h_input_tokens": "cache_creation.ephemeral_1h_input_tokens",
        "web_search_requests": "server_tool_use.web_search_requests",
    },
):
    """One row per connection, day, workspace, API key, account, model, service tier, service account, context window,
    place of inference, speed and occurrence.

    The four classes of input tokens are disjoint: all input is their sum. Priority Tier is in here, not in the costs.
    """

    table = "anthropic.usage_messages"
    grain = (
        "workspace_id",
        "api_key_id",
        "account_id",
        "model",
        "service_tier",
        "service_account_id",
        "context_window",
        "inference_geo",
        "speed",
        "occurrence",
    )

    workspace_id: WorkspaceId = None
    api_key_id: Annotated[str | None, column("API key; none is use in the Console")] = None
    account_id: Annotated[str | None, column("Account of a person; none where no person signed in")] = None
    model: Model = None
    service_tier: ServiceTier = None
    service_account_id: Annotated[str | None, column("Service account")] = None
    context_window: ContextWindow = None
    inference_geo: InferenceGeo = None
    speed: Annotated[str | None, column("Speed: standard or fast")] = None
    uncached_input_tokens: UncachedInput
    cache_read_input_tokens: CacheRead
    cache_creation_5m_input_tokens: CacheWrite5m
    cache_creation_1h_input_tokens: CacheWrite1h
    output_tokens: Output
    web_search_requests: WebSearches
    occurrence: PageOccurrence = None
    grouped_by: GroupedBy
    other_fields: OtherFields = None


NAMED = "named by the newer report alone"
NAMES = ("actor_email", "actor_name")
"""They change with the account, and tell no two rows apart."""
added = partial(column, is_added=True)


class WhoseCost(Row, kw_only=True):
    """Whose a cost is, where the report names it."""

    actor_type: Annotated[str | None, added(f"Kind of actor: user_actor or service_account_actor, say; {NAMED}")] = None
    actor_user_id: Annotated[str | None, added(f"Person, {NAMED}")] = None
    actor_email: Annotated[
        str | None, added(f"Current address of the person, {NAMED}; sent unasked", address="sent_unasked")
    ] = None
    actor_name: Annotated[
        str | None, added(f"Current name of the person, {NAMED}; sent unasked", address="person_name")
    ] = None
    actor_service_account_id: Annotated[str | None, added(f"Service account, {NAMED}")] = None
    actor_api_key_id: Annotated[str | None, added(f"API key of an api_actor, {NAMED}")] = None
    actor_subject: Annotated[
        str | None, added(f"A federated_actor, as its cloud platform names it, {NAMED}", address="in_name")
    ] = None
    actor_provider: Annotated[str | None, added(f"Platform of a federated_actor, {NAMED}")] = None
    actor_account_id: Annotated[str | None, added(f"AWS account of a federated_actor, {NAMED}")] = None
    actor_signed_principal: Annotated[
        str | None, added(f"AWS principal of a federated_actor, {NAMED}", address="in_name")
    ] = None
    actor_subscription_id: Annotated[str | None, added(f"Azure subscription of a federated_actor, {NAMED}")] = None
    actor_project_number: Annotated[str | None, added(f"Google Cloud project of a federated_actor, {NAMED}")] = None
    actor_issuer: Annotated[str | None, added(f"Issuer of a federated_actor, {NAMED}")] = None
    api_key_id: Annotated[str | None, added(f"API key of the requests, whoever the actor is, {NAMED}")] = None


class CostReport(WhoseCost, kw_only=True, rename={"amount_cents": "amount"}):
    """One row per connection, day, workspace, description (with what it consists of) or actor and API key, currency and
    occurrence.

    What Anthropic bills, without Priority Tier. A day is that of one report, whole: of the newer one, which names
    actors, API keys and list prices, or of the older one, which has descriptions. Do not add amounts of different
    currencies.
    """

    table = "anthropic.cost_report"
    grain = (
        "workspace_id",
        "description",
        "currency",
        "cost_type",
        "model",
        "service_tier",
        "token_type",
        "context_window",
        "inference_geo",
        *(name for name in WhoseCost.__struct_fields__ if name.startswith(("actor_", "api_")) and name not in NAMES),
        "occurrence",
    )
    totals = MONEY

    workspace_id: Annotated[
        str | None,
        column("Workspace; none is the default workspace, but the newer report names that one by its id, too"),
    ] = None
    description: Annotated[str | None, column("What was billed, in words; none in the newer report")] = None
    cost_type: Annotated[str | None, column("Kind of cost: tokens, web_search, code_execution or session_usage")] = None
    model: Model = None
    service_tier: ServiceTier = None
    token_type: Annotated[str | None, column("Class of tokens, spelled as in the usage report")] = None
    context_window: ContextWindow = None
    inference_geo: InferenceGeo = None
    amount_cents: Annotated[Decimal, billed("Cost in minor units of currency, with fractions: cents for USD")]
    list_amount_cents: Annotated[
        Decimal | None,
        cents(f"The same at list price, before discounts, {NAMED}: never billed", kind="list", is_added=True),
    ] = None
    currency: Annotated[str, column("Currency code as sent: USD")]
    occurrence: PageOccurrence = None
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class CostReportControl(Row, kw_only=True):
    """One row per connection, day and currency: what Anthropic bills, requested without grouping.

    Control totals of anthropic.cost_report, fetched and stored with it. Never add the two tables.
    """

    table = "anthropic.cost_report_control"
    grain = ("currency",)
    totals = MONEY

    amount_cents: Annotated[Decimal, billed("Cost in minor units of currency")]
    currency: Annotated[str, column("Currency, ISO 4217")]


TOOLS = ("edit_tool", "multi_edit_tool", "write_tool", "notebook_edit_tool")


class ClaudeCodeRecord(Item, kw_only=True, rename={"start": "date"}):
    """What is read of a Claude Code record before its row is built."""

    start: Moment
    tool_actions: dict[str, object]
    model_breakdown: list[object]


class ModelUse(
    msgspec.Struct,
    kw_only=True,
    rename={
        "input": "tokens.input",
        "output": "tokens.output",
        "cache_read": "tokens.cache_read",
        "cache_creation": "tokens.cache_creation",
        "estimated_cost_cents": "estimated_cost.amount",
        "currency": "estimated_cost.currency",
    },
):
    """One entry of ``model_breakdown``, as it is stored."""

    model: Annotated[str, column("Model")]
    input: Annotated[int | None, tokens("Input")]
    output: Annotated[int | None, tokens("Output")]
    cache_read: Annotated[int | None, tokens("Input read from the cache")]
    cache_creation: Annotated[int | None, tokens("Input written to the cache")]
    estimated_cost_cents: Annotated[
        Decimal, column("Estimated cost in minor units of currency", unit="cents", kind="estimated")
    ]
    currency: Annotated[str, column("Currency code as sent")]


class ClaudeCode(
    Row,
    kw_only=True,
    rename={
        "actor_type": "actor.type",
        "actor_email": "actor.email_address",
        "api_key_name": "actor.api_key_name",
        "num_sessions": "core_metrics.num_sessions",
        "lines_added": "core_metrics.lines_of_code.added",
        "lines_removed": "core_metrics.lines_of_code.removed",
        "commits": "core_metrics.commits_by_claude_code",
        "pull_requests": "core_metrics.pull_requests_by_claude_code",
    }
    | {f"{tool}_{what}": f"tool_actions.{tool}.{what}" for tool in TOOLS for what in ("accepted", "rejected")},
):
    """One row per connection, day, organization, actor, terminal, customer type, subscription, remote or local, and
    occurrence: two API keys of one name are one actor to Anthropic.

    Estimates are never billed money: those of API customers are already inside the cost report, those of subscribers
    are notional. Sessions are distinct within a row only.
    """

    table = "anthropic.claude_code"
    grain = (
        "organization_id",
        "actor_type",
        "actor_email",
        "api_key_name",
        "terminal_type",
        "customer_type",
        "subscription_type",
        "is_remote",
        "occurrence",
    )
    parts = {"model_breakdown": ModelUse}
    totals = {
        "estimated_cents_api": Total("sum(estimated_cost_usd_cents) filter (where customer_type = 'api')", "cents"),
        "estimated_cents_subscription": Total(
            "sum(estimated_cost_usd_cents) filter (where customer_type <> 'api')", "cents"
        ),
    }

    organization_id: Annotated[str, column("Organization")]
    actor_type: Annotated[str, column("Who used it: user_actor or api_actor")]
    actor_email: Annotated[
        str | None, column("Address of the person, the only id that Anthropic gives", address="only_id")
    ] = None
    api_key_name: Annotated[str | None, column("Name of the API key of an api_actor", address="in_name")] = None
    terminal_type: Annotated[str, column("Terminal or editor, such as vscode or iTerm.app")]
    customer_type: Annotated[str, column("How it is paid: api or subscription")]
    subscription_type: Annotated[str | None, column("Subscription: enterprise or team")] = None
    is_remote: Annotated[bool | None, column("Whether it ran remotely; none in old records")] = None
    occurrence: Occurrence = 1
    num_sessions: Annotated[int | None, column("Sessions", unit="sessions")]
    lines_added: Annotated[int | None, column("Lines of code added", unit="lines")]
    lines_removed: Annotated[int | None, column("Lines of code removed", unit="lines")]
    commits: Annotated[int | None, column("Commits by Claude Code", unit="commits")]
    pull_requests: Annotated[int | None, column("Pull requests by Claude Code", unit="pull requests")]
    edit_tool_accepted: Annotated[int, proposals("Accepted proposals of the edit tool")] = 0
    edit_tool_rejected: Annotated[int, proposals("Rejected proposals of the edit tool")] = 0
    multi_edit_tool_accepted: Annotated[int, proposals("Accepted proposals of the multi-edit tool")] = 0
    multi_edit_tool_rejected: Annotated[int, proposals("Rejected proposals of the multi-edit tool")] = 0
    write_tool_accepted: Annotated[int, proposals("Accepted proposals of the write tool")] = 0
    write_tool_rejected: Annotated[int, proposals("Rejected proposals of the write tool")] = 0
    notebook_edit_tool_accepted: Annotated[int, proposals("Accepted proposals of the notebook edit tool")] = 0
    notebook_edit_tool_rejected: Annotated[int, proposals("Rejected proposals of the notebook edit tool")] = 0
    model_breakdown: Annotated[
        str, column("Per model and currency, as JSON: tokens and estimated_cost_cents, an exact decimal as text")
    ]
    estimated_cost_usd_cents: Annotated[
        Decimal, column("Sum of the models' estimates in US dollars", unit="cents", kind="estimated", additive=False)
    ]
    other_fields: OtherFields = None

    @property
    def is_anonymous(self) -> bool:
        """Whether it is not a person's: names of API keys are not unique."""
        return self.actor_email is None


def claude_code_records(record: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """A record as one row: its models become text, sorted, so that their order is no change.

    A field that is new in a model joins the record's own unknown fields: a value for each model, in the text's order.
    """
    uses: list[tuple[ModelUse, Json]] = []
    for n, fields in enumerate(record["model_breakdown"]):
        place = f"{path}.model_breakdown[{n}]"
        unknown = parser.take_unknown(ModelUse, place, fields)
        uses.append((parser.build(ModelUse, place, fields), unknown))
    uses.sort(key=lambda use: (use[0].model, use[0].currency, as_json(use)))
    others = {
        f"model_breakdown.{name}": [unknown.get(name) for _, unknown in uses]
        for name in {name for _, unknown in uses for name in unknown}
    }
    yield (
        path,
        record
        | others
        | {
            "model_breakdown": as_json([_stored_use(use) for use, _ in uses]),
            "estimated_cost_usd_cents": money.total(
                use.estimated_cost_cents for use, _ in uses if use.currency.upper() == "USD"
            ),
        },
    )


def _stored_use(use: ModelUse) -> Json:
    return msgspec.structs.asdict(use) | {"estimated_cost_cents": money.plain(use.estimated_cost_cents)}


FILTERS = ("workspace_ids", "api_key_ids", "models", "service_tiers", "context_window", "inference_geos")
bucketed = partial(
    Endpoint,
    item=Bucket,
    records=results,
    window_days=31,
    window_params=rfc3339,
    params={"bucket_width": "1d", "limit": "31"},
    bucket_per_day=True,
)
