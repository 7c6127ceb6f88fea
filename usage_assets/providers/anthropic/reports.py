"""Anthropic's Admin API: messages usage, cost report and Claude Code analytics. Money here is cents, with fractions.

Source: the Admin API reference at platform.claude.com (usage report, cost report, Claude Code).
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Annotated

import msgspec

from usage_assets.provider import (
    BilledAs,
    Control,
    CostSource,
    Endpoint,
    GroupedBy,
    HeaderAuth,
    Item,
    Json,
    Moment,
    Occurrence,
    OtherFields,
    PageOccurrence,
    Parser,
    Provider,
    Row,
    TierPrice,
    Total,
    as_json,
    column,
    error_message,
    money,
    results,
    rfc3339,
    single_day,
)
from usage_assets.providers.anthropic.entities import ENTITIES
from usage_assets.providers.anthropic.lookups import LOOKUPS

tokens = partial(column, unit="tokens")
proposals = partial(column, unit="proposals")
MONEY = {
    "amount_cents": Total("sum(amount_cents) filter (where upper(currency) = 'USD')"),
    "amount": Total("sum(amount_cents) filter (where upper(currency) <> 'USD')", "minor units of {}", by="currency"),
}
"""What a day costs, each currency alone: ``amount_eur``, and ``amount_cents`` of a dollar."""

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


class CostReport(Row, kw_only=True, rename={"amount_cents": "amount"}):
    """One row per connection, day, workspace, description (with what it consists of), currency and occurrence.

    What Anthropic bills, without Priority Tier. Do not add amounts of different currencies.
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
        "occurrence",
    )
    totals = MONEY

    workspace_id: WorkspaceId = None
    description: Annotated[str | None, column("What was billed, in words")] = None
    cost_type: Annotated[str | None, column("Kind of cost: tokens, web_search, code_execution or session_usage")] = None
    model: Model = None
    service_tier: ServiceTier = None
    token_type: Annotated[str | None, column("Class of tokens, spelled as in the usage report")] = None
    context_window: ContextWindow = None
    inference_geo: InferenceGeo = None
    amount_cents: Annotated[
        Decimal, column("Cost in minor units of currency, with fractions: cents for USD", unit="cents", additive=False)
    ]
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

    amount_cents: Annotated[Decimal, column("Cost in minor units of currency", unit="cents", additive=False)]
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
    estimated_cost_cents: Annotated[Decimal, column("Estimated cost in minor units of currency", unit="cents")]
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
        Decimal, column("Sum of the models' estimates in US dollars", unit="cents", additive=False)
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

ANTHROPIC = Provider(
    name="anthropic",
    surface=1,
    module=__name__,
    position=2,
    company="Anthropic",
    service="Claude API",
    billed_as=BilledAs(
        services=("Anthropic", "Anthropic API*", "Claude API*", "Claude Platform*", "Claude Developer Platform*"),
        sellers=("Anthropic*",),
    ),
    develops_models=True,
    tier_prices=(
        TierPrice(
            tier="batch",
            multiple=Decimal("0.5"),  # of all usage, cache reads and writes included
            since=date(2024, 10, 8),
            source="https://platform.claude.com/docs/en/build-with-claude/batch-processing#pricing",
        ),
    ),
    sub_account_type="Workspace",
    default_sub_account="Default workspace",
    base_url="https://api.anthropic.com",
    base_url_variable="ANTHROPIC_BASE_URL",
    key_variable="ANTHROPIC_ADMIN_KEY",
    auth=lambda key: HeaderAuth("x-api-key", key),
    headers={"anthropic-version": "2023-06-01"},
    error_message=error_message,
    advice={
        401: "Check the admin key (ANTHROPIC_ADMIN_KEY for the default connection): it starts with sk-ant-admin",
        403: "The key must be an admin key of an organization in which this report is enabled",
        404: "Check the base URL (ANTHROPIC_BASE_URL); individual accounts have no Admin API",
    },
    settling_days=3,
    names_organization=True,
    lookups=LOOKUPS,
    costs=(
        CostSource(table="anthropic.cost_report", billed_totals="amount_*"),
        CostSource(table="anthropic.claude_code"),
    ),
    allocations={"anthropic.cost_report": ("anthropic.usage_messages",)},
    entities=ENTITIES,
    is_published=True,
    endpoints=(
        bucketed(
            name="usage_messages",
            group="usage",
            path="v1/organizations/usage_report/messages",
            row=UsageMessages,
            group_by=("workspace_id", "api_key_id", "account_id", "model", "service_tier"),  # more than five: 400
            filters=tuple(f"{name}[]" for name in FILTERS),
        ),
        bucketed(
            name="cost_report",
            group="costs",
            path="v1/organizations/cost_report",
            row=CostReport,
            group_by=("workspace_id", "description"),
            details="description",
            must_add_up=Control(row=CostReportControl, measures=("amount_cents",), currency="currency"),
        ),
        Endpoint(
            name="claude_code",
            group="claude_code",
            path="v1/organizations/usage_report/claude_code",
            row=ClaudeCode,
            item=ClaudeCodeRecord,
            records=claude_code_records,
            window_days=1,
            window_params=single_day,
            params={"limit": "1000"},
            bucket_per_day=False,
        ),
    ),
)
