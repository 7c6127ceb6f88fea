"""Anthropic's newer reports: Usage and Cost Analytics (beta) and the Claude Enterprise reports. Money here is cents.

They cover the same usage as the reports of ``anthropic``, in more detail. Never add the two. Source:
the official ``anthropic`` package 2.10.0, which documents every parameter and field. No answer has been seen live.
"""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Annotated, ClassVar

from usage_assets.provider import (
    Control,
    Endpoint,
    GroupedBy,
    Item,
    Json,
    Moment,
    Occurrence,
    OtherFields,
    Parser,
    Row,
    ShapeError,
    column,
    results,
    rfc3339,
)
from usage_assets.providers.anthropic.lookups import Organization
from usage_assets.providers.anthropic.reports import (
    MONEY,
    CacheRead,
    CacheWrite1h,
    CacheWrite5m,
    CostReport,
    CostReportControl,
    Output,
    ServiceTier,
    UncachedInput,
    WebSearches,
    billed,
    bucketed,
    cents,
    tokens,
)

MOST_GROUPS = 100
"""A bucket of a Claude Enterprise report has its largest groups only, and nothing that stands for the rest."""
ASK_FOR_LESS = (
    "It was not stored: ask for less with the connection's filters (models, products, user_ids), or switch the report "
    "off (endpoints)"
)
DIMENSIONS = frozenset(
    (
        "actor",
        "actor_type",
        "agent_id",
        "api_key_id",
        "claude_tag_category",
        "claude_tag_user_id",
        "context_window",
        "cost_type",
        "deployment_id",
        "environment_id",
        "inference_geo",
        "model",
        "organization_id",
        "product",
        "rbac_group_id",
        "service_tier",
        "session_id",
        "slack_channel_id",
        "speed",
        "token_type",
        "user_profile_id",
        "workspace_id",
    )
)
"""Dimensions that are null unless they are requested. rbac_group_id is never requested: its groups overlap."""

WorkspaceId = Annotated[str | None, column("Workspace, the default one by its id, too")]
Model = Annotated[str | None, column("Model; none where no single one was used, as by code execution")]
Product = Annotated[str | None, column("Product, such as chat, claude_code or cowork; none where it is not known")]
Amount = Annotated[Decimal, billed("Cost after discounts, in minor units of currency, with fractions: cents for USD")]
ListAmount = Annotated[Decimal, cents("The same at list price, before discounts: never billed", kind="list")]
CostType = Annotated[str | None, column("Kind of cost: tokens, web_search, code_execution or session_usage")]
Currency = Annotated[str, column("Currency code as sent: USD")]
Requests = Annotated[
    int | None, column("API requests, of code execution its spans; none in parts of a cost", unit="requests")
]
AllTokens = Annotated[
    int | None, tokens("All tokens as Anthropic adds them up: never add it to the classes", additive=False)
]
UserEmail = Annotated[str | None, column("Current address of the person; sent unasked", address="sent_unasked")]
UserName = Annotated[str | None, column("Current name of the person; sent unasked", address="person_name")]

ACTOR = {
    "actor_type": "type",
    "actor_user_id": "user_id",
    "actor_email": "email_address",
    "actor_name": "name",
    "actor_service_account_id": "service_account_id",
    "actor_api_key_id": "api_key_id",
    "actor_subject": "subject",
    "actor_provider": "provider.type",
    "actor_account_id": "provider.account_id",
    "actor_signed_principal": "provider.signed_principal",
    "actor_subscription_id": "provider.subscription_id",
    "actor_project_number": "provider.project_number",
    "actor_issuer": "provider.issuer",
}
"""Column -> where an actor has it."""
TOKENS = {
    name: name
    for name in ("uncached_input_tokens", "cache_read_input_tokens", "output_tokens", "total_tokens", "requests")
} | {
    "cache_creation_5m_input_tokens": "cache_creation.ephemeral_5m_input_tokens",
    "cache_creation_1h_input_tokens": "cache_creation.ephemeral_1h_input_tokens",
    "web_search_requests": "server_tool_use.web_search_requests",
}
OF_PERSON = {name: f"actor.{ACTOR[name]}" for name in ("actor_type", "actor_user_id", "actor_email", "actor_name")}
IDENTITY = (
    "workspace_id",
    *(name for name in ACTOR if name not in ("actor_email", "actor_name")),
    "api_key_id",
    "model",
    "service_tier",
)


class Span(Item, kw_only=True, rename={"start": "starting_at", "end": "ending_at"}):
    """What is read of a flat row before its row is built."""

    start: Moment
    end: Moment


class Identified(Span, kw_only=True):
    """A row of Usage and Cost Analytics."""

    group: dict[str, object]


class OfPerson(Span, kw_only=True):
    """A row of a report per person."""

    actor: dict[str, object]


class ByIdentity(
    Row,
    kw_only=True,
    rename={name: f"group.{name}" for name in ("workspace_id", "api_key_id", "model", "service_tier")}
    | {name: f"group.actor.{field}" for name, field in ACTOR.items()},
):
    """Whose use it is."""

    workspace_id: WorkspaceId = None
    actor_type: Annotated[
        str | None,
        column("Kind of actor: user_actor, service_account_actor, federated_actor, api_actor; none without an actor"),
    ] = None
    actor_user_id: Annotated[str | None, column("Person")] = None
    actor_email: UserEmail = None
    actor_name: UserName = None
    actor_service_account_id: Annotated[str | None, column("Service account")] = None
    actor_api_key_id: Annotated[str | None, column("API key of an api_actor")] = None
    actor_subject: Annotated[
        str | None, column("A federated_actor, as its cloud platform names it", address="in_name")
    ] = None
    actor_provider: Annotated[str | None, column("Platform of a federated_actor: aws, azure, gcp or oidc")] = None
    actor_account_id: Annotated[str | None, column("AWS account of a federated_actor")] = None
    actor_signed_principal: Annotated[str | None, column("AWS principal of a federated_actor", address="in_name")] = (
        None
    )
    actor_subscription_id: Annotated[str | None, column("Azure subscription of a federated_actor")] = None
    actor_project_number: Annotated[str | None, column("Google Cloud project of a federated_actor")] = None
    actor_issuer: Annotated[str | None, column("Issuer of a federated_actor")] = None
    api_key_id: Annotated[str | None, column("API key of the requests, whoever the actor is")] = None
    model: Model = None
    service_tier: ServiceTier = None

    @property
    def is_anonymous(self) -> bool:
        """Whether Anthropic does not name the actor."""
        return not any(getattr(self, name) for name in ACTOR if name != "actor_type")


class AnalyticsUsage(ByIdentity, kw_only=True, rename={name: f"usage.{field}" for name, field in TOKENS.items()}):
    """One row per connection, day, workspace, actor, API key, model, service tier and occurrence: identities that
    Anthropic does not name are not told apart.

    The use of anthropic.usage_messages in more detail: never add the two for the same days.
    """

    table = "anthropic_analytics.usage"
    grain = (*IDENTITY, "occurrence")

    uncached_input_tokens: UncachedInput
    cache_read_input_tokens: CacheRead
    cache_creation_5m_input_tokens: CacheWrite5m
    cache_creation_1h_input_tokens: CacheWrite1h
    output_tokens: Output
    total_tokens: AllTokens
    web_search_requests: WebSearches
    requests: Requests = None
    occurrence: Occurrence = 1
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class AnalyticsCost(
    ByIdentity,
    kw_only=True,
    rename={
        "cost_type": "group.cost_type",
        "token_type": "group.token_type",
        "amount_cents": "cost.amount",
        "list_amount_cents": "cost.list_amount",
        "currency": "cost.currency",
        "requests": "cost.requests",
    },
):
    """One row per connection, day, workspace, actor, API key, model, service tier, kind of cost, class of tokens,
    currency and occurrence: identities that Anthropic does not name are not told apart.

    What anthropic.cost_report bills, in more detail: never add the two for the same days. Amounts are after discounts
    and before credits. Do not add amounts of different currencies.
    """

    table = "anthropic_analytics.cost"
    grain = (*IDENTITY, "cost_type", "token_type", "currency", "occurrence")
    totals = MONEY

    cost_type: CostType = None
    token_type: Annotated[str | None, column("Class of tokens; none where no tokens are billed")] = None
    amount_cents: Amount
    list_amount_cents: ListAmount
    currency: Currency
    requests: Requests = None
    occurrence: Occurrence = 1
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class AnalyticsCostControl(CostReportControl, kw_only=True):
    """One row per connection, day and currency: what Usage and Cost Analytics report, requested without grouping.

    Control totals of anthropic_analytics.cost, fetched and stored with it. Never add the two tables.
    """

    table = "anthropic_analytics.cost_control"


class AnalyticsOrganization(Organization, kw_only=True):
    """One row per connection, the organization that the key belongs to, and version of its attributes."""

    table = "anthropic_analytics.organization"


class EnterpriseUsage(Row, kw_only=True, rename=TOKENS):
    """One row per connection, day, product and model: the Claude Enterprise usage report.

    The use of anthropic_analytics.usage and anthropic.usage_messages once more: never add two of them for the same
    days.
    """

    table = "anthropic_analytics.usage_report"
    grain: ClassVar[tuple[str, ...]] = ("product", "model")

    product: Product = None
    model: Model = None
    uncached_input_tokens: UncachedInput
    cache_read_input_tokens: CacheRead
    cache_creation_5m_input_tokens: CacheWrite5m
    cache_creation_1h_input_tokens: CacheWrite1h
    output_tokens: Output
    web_search_requests: WebSearches
    requests: Requests = None
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class EnterpriseCost(Row, kw_only=True, rename={"amount_cents": "amount", "list_amount_cents": "list_amount"}):
    """One row per connection, day, product, model and currency: the Claude Enterprise cost report.

    The money of anthropic_analytics.cost and anthropic.cost_report once more: never add two of them for the same days.
    Do not add amounts of different currencies.
    """

    table = "anthropic_analytics.cost_report"
    grain: ClassVar[tuple[str, ...]] = ("product", "model", "currency")
    totals = MONEY

    product: Product = None
    model: Model = None
    amount_cents: Amount
    list_amount_cents: ListAmount
    currency: Currency
    requests: Requests = None
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class EnterpriseCostControl(CostReportControl, kw_only=True):
    """One row per connection, day and currency: what the Claude Enterprise cost report states, requested without
    grouping.

    Control totals of anthropic_analytics.cost_report, fetched and stored with it. Never add the two tables.
    """

    table = "anthropic_analytics.cost_report_control"


class EnterpriseUserUsage(EnterpriseUsage, kw_only=True, rename=OF_PERSON):
    """One row per connection, day, person, product and model: the part of the Claude Enterprise usage that is a
    person's.

    Use without an account is not in here. The use of anthropic_analytics.usage_report, anthropic_analytics.usage and
    anthropic.usage_messages once more: never add two of them for the same days.
    """

    table = "anthropic_analytics.user_usage_report"
    grain = ("actor_user_id", "product", "model")

    total_tokens: AllTokens
    actor_type: Annotated[str, column("Always user_actor")]
    actor_user_id: Annotated[str, column("Person")]
    actor_email: UserEmail = None
    actor_name: UserName = None


class EnterpriseUserCost(EnterpriseCost, kw_only=True, rename=OF_PERSON):
    """One row per connection, day, person, product, model and currency: the part of the Claude Enterprise costs that is
    a person's.

    Costs without an account are not in here. The money of anthropic_analytics.cost_report, anthropic_analytics.cost and
    anthropic.cost_report once more: never add two of them for the same days. Do not add amounts of different
    currencies.
    """

    table = "anthropic_analytics.user_cost_report"
    grain = ("actor_user_id", "product", "model", "currency")

    actor_type: Annotated[str, column("Always user_actor")]
    actor_user_id: Annotated[str, column("Person")]
    actor_email: UserEmail = None
    actor_name: UserName = None


def identified(record: Json, path: str, _parser: Parser) -> Iterator[tuple[str, Json]]:
    """A row of Usage and Cost Analytics as one record."""
    yield path, record | {"group": _asked_for(record["group"])}


def of_person(record: Json, path: str, _parser: Parser) -> Iterator[tuple[str, Json]]:
    """A row of a report per person as one record."""
    yield path, _asked_for(record)


def largest_groups(bucket: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """The results of a bucket. Raises ShapeError for one that may have lost its smaller groups."""
    if (groups := len(bucket["results"])) >= MOST_GROUPS:
        reason = f"{groups} groups, and smaller ones are left out of the answer"
        raise ShapeError(f"{path}.results", parser.day, reason, ASK_FOR_LESS)
    for place, result in results(bucket, path, parser):
        yield place, _asked_for(result) if isinstance(result, dict) else result


def _asked_for(fields: Json) -> Json:
    """Return the fields without dimensions that are null, and without the present state of an account
    (``deleted``): when a person leaves, it would change all of their days."""
    kept = {name: value for name, value in fields.items() if value is not None or name not in DIMENSIONS}
    if isinstance(actor := kept.get("actor"), dict):
        kept["actor"] = {name: value for name, value in actor.items() if name != "deleted"}
    return kept


analytics = partial(
    Endpoint,
    item=Identified,
    records=identified,
    window_days=31,
    window_params=rfc3339,
    params={"time_bucket_width": "1d", "limit": "1000", "order_by": "time", "order": "asc"},
    headers={"anthropic-beta": "analytics-usage-cost-2026-08-24"},
    filters=("api_key_ids[]", "models[]", "products[]"),
    bucket_per_day=False,
    seen_live=False,
)
enterprise = partial(
    bucketed,
    records=largest_groups,
    group_by=("product", "model"),
    filters=("models[]", "products[]", "user_ids[]"),
    seen_live=False,
    default_on=False,
)
per_person = partial(
    enterprise,
    item=OfPerson,
    records=of_person,
    params={"bucket_width": "1d", "limit": "1000"},
    bucket_per_day=False,
)
BY = ("workspace_id", "actor", "api_key_id", "model", "service_tier")
"""More than five are refused, but for those that only costs have."""
COST = analytics(
    name="cost",
    group="costs",
    path="v1/organizations/analytics/cost",
    row=AnalyticsCost,
    group_by=(*BY, "cost_type", "token_type"),
    must_add_up=Control(row=AnalyticsCostControl, measures=("amount_cents",), currency="currency"),
    cross_check=CostReport,
)
