"""Usage and Cost Analytics by other dimensions: by product, agent, session, Slack channel or child organization.

A report takes five dimensions at most, so each cut is a report of its own, which a connection switches on. All cuts
contain the whole usage. Source: the official ``anthropic`` package 2.12.0. No answer has been seen live.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, NamedTuple, cast

import msgspec

from usage_assets.provider import Endpoint, GroupedBy, OtherFields, Row, Sums, column
from usage_assets.providers.anthropic.reports import (
    MONEY,
    CacheRead,
    CacheWrite1h,
    CacheWrite5m,
    Output,
    UncachedInput,
    WebSearches,
)
from usage_assets.providers.anthropic_analytics.reports import (
    TOKENS,
    AllTokens,
    Amount,
    AnalyticsCost,
    CostType,
    Currency,
    ListAmount,
    Model,
    Product,
    Requests,
    WorkspaceId,
    analytics,
)


class UsageOfCut(Row, kw_only=True, rename={name: f"usage.{field}" for name, field in TOKENS.items()}):
    """The measures of a cut of usage."""

    uncached_input_tokens: UncachedInput
    cache_read_input_tokens: CacheRead
    cache_creation_5m_input_tokens: CacheWrite5m
    cache_creation_1h_input_tokens: CacheWrite1h
    output_tokens: Output
    total_tokens: AllTokens
    web_search_requests: WebSearches
    requests: Requests = None
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class CostOfCut(
    Row,
    kw_only=True,
    rename={
        "cost_type": "group.cost_type",
        "amount_cents": "cost.amount",
        "list_amount_cents": "cost.list_amount",
        "currency": "cost.currency",
        "requests": "cost.requests",
    },
):
    """The measures of a cut of costs."""

    totals = MONEY

    cost_type: CostType = None
    amount_cents: Amount
    list_amount_cents: ListAmount
    currency: Currency
    requests: Requests = None
    grouped_by: GroupedBy
    other_fields: OtherFields = None


_of_session = "none outside of managed sessions"
COLUMNS: Mapping[str, object] = {
    "product": Product,
    "agent_id": Annotated[str | None, column(f"Agent of Claude Managed Agents; {_of_session}")],
    "deployment_id": Annotated[
        str | None, column(f"Deployment that started the session; none where none did, and {_of_session}")
    ],
    "environment_id": Annotated[str | None, column(f"Environment that the session ran in; {_of_session}")],
    "session_id": Annotated[str | None, column(f"Session of Claude Managed Agents; {_of_session}")],
    "slack_channel_id": Annotated[
        str | None, column("Slack channel; none outside of Slack, and where Claude Tag recorded none")
    ],
    "claude_tag_category": Annotated[
        str | None,
        column("Kind of Claude Tag usage: engaged, proactive, scheduled, monitoring, dm; none for other usage"),
    ],
    "organization_id": Annotated[
        str | None, column("Child organization (UUID); none unless the key is of its parent organization")
    ],
    "workspace_id": WorkspaceId,
    "model": Model,
}


class Cut(NamedTuple):
    """What a cut is called, and by what its rows are grouped: at most five dimensions."""

    name: str
    words: str
    group_by: tuple[str, ...]


CUTS = (
    Cut("product", "product, workspace and model", ("product", "workspace_id", "model")),
    Cut(
        "agent",
        "agent, deployment, environment, workspace and model",
        ("agent_id", "deployment_id", "environment_id", "workspace_id", "model"),
    ),
    Cut(
        "session",
        "session, agent, environment, workspace and model",
        ("session_id", "agent_id", "environment_id", "workspace_id", "model"),
    ),
    Cut(
        "slack_channel",
        "Slack channel, kind of Claude Tag usage, product and model",
        ("slack_channel_id", "claude_tag_category", "product", "model"),
    ),
    Cut(
        "organization",
        "child organization, product, workspace and model",
        ("organization_id", "product", "workspace_id", "model"),
    ),
)


def _row(measures: type[Row], cut: Cut, report: str, doc: str, further: tuple[str, ...] = ()) -> type[Row]:
    """Declare the table of a cut: its dimensions, then the measures."""
    own = [field for field in msgspec.structs.fields(measures) if field.name not in Row.__struct_fields__]
    spelled = {name: f"group.{name}" for name in cut.group_by} | {field.name: field.encode_name for field in own}
    declared = msgspec.defstruct(
        f"{measures.__name__}By{cut.name.title().replace('_', '')}",
        [
            *((name, COLUMNS[name], None) for name in cut.group_by),
            *((field.name, field.type, *(() if field.required else (field.default,))) for field in own),
        ],
        bases=(Row,),
        namespace={
            "__doc__": doc,
            "table": f"anthropic_analytics.{report}_by_{cut.name}",
            "grain": (*cut.group_by, *further),
            "totals": measures.totals,
        },
        module=__name__,
        kw_only=True,
        gc=False,
        rename=spelled,
    )
    return cast("type[Row]", declared)


def _endpoints() -> Iterator[Endpoint]:
    for cut in CUTS:
        yield analytics(
            name=f"usage_by_{cut.name}",
            group="usage",
            path="v1/organizations/analytics/usage",
            row=_row(
                UsageOfCut,
                cut,
                "usage",
                f"""One row per connection, day, {cut.words}.

    The use of anthropic_analytics.usage and anthropic.usage_messages once more, by other dimensions: never add two of
    them for the same days. A day is stored only if its tokens add up to those that are stated without grouping.
    """,
            ),
            group_by=cut.group_by,
            must_add_up=Sums(measures=tuple(name for name in TOKENS if name != "requests")),
            default_on=False,
        )
        yield analytics(
            name=f"cost_by_{cut.name}",
            group="costs",
            path="v1/organizations/analytics/cost",
            row=_row(
                CostOfCut,
                cut,
                "cost",
                f"""One row per connection, day, {cut.words}, kind of cost and currency.

    The money of anthropic_analytics.cost and anthropic.cost_report once more, by other dimensions: never add two of
    them for the same days. A day is stored only if its amounts add up to those that are stated without grouping.
    Do not add amounts of different currencies.
    """,
                further=("cost_type", "currency"),
            ),
            group_by=(*cut.group_by, "cost_type"),
            part_of=AnalyticsCost.table,
            must_add_up=Sums(measures=("amount_cents", "list_amount_cents"), currency="currency"),
            default_on=False,
        )


CUT_ENDPOINTS = tuple(_endpoints())
