"""OpenAI's organization costs, their refusals, and the provider. Money here is dollars, not cents.

Usage is in usage.py. Source: the costs page of OpenAI's API reference, its SDK 3.51.0, and public reports of
live answers.
"""

import re
from decimal import Decimal
from functools import partial
from typing import Annotated

from usage_assets.provider import (
    BilledAs,
    Control,
    CostSource,
    Entities,
    GroupedBy,
    OtherFields,
    PageOccurrence,
    Provider,
    Refusal,
    Row,
    Total,
    bearer,
    column,
    entity_rows,
    error_message,
)
from usage_assets.providers.openai.lookups import LOOKUPS
from usage_assets.providers.openai.usage import (
    API_SOURCE_UNKNOWN,
    USAGE,
    ApiKeyId,
    ApiSource,
    ProjectId,
    UserId,
    bucketed,
)

billed = partial(column, unit="currency units", kind="billed", within=("amount_currency",), additive=False)
MONEY = {
    "amount_usd": Total("sum(amount_value) filter (where lower(amount_currency) = 'usd')", "USD"),
    "amount": Total(
        "sum(amount_value) filter (where lower(amount_currency) is distinct from 'usd')", "{}", by="amount_currency"
    ),
}
"""What a day costs, each currency alone: ``amount_eur``, ``amount_usd``."""


class Costs(Row, kw_only=True, rename={"amount_value": "amount.value", "amount_currency": "amount.currency"}):
    """One row per connection, day, project, user, line item, API key, API source, currency, unit of quantity and
    occurrence.

    What OpenAI bills. Do not add amounts of different currencies.
    """

    table = "openai.costs"
    grain = (
        "project_id",
        "user_id",
        "line_item",
        "api_key_id",
        "api_source",
        "amount_currency",
        "quantity_unit",
        "occurrence",
    )
    totals = MONEY

    project_id: ProjectId = None
    user_id: UserId = None
    user_email: Annotated[
        str | None, column("Address of the user; undocumented, sent unasked", address="sent_unasked")
    ] = None
    line_item: Annotated[str | None, column("What was billed, such as `gpt-5, input`; not a stable grammar")] = None
    api_key_id: ApiKeyId = None
    api_source: ApiSource = None
    occurrence: PageOccurrence = None
    organization_id: Annotated[str | None, column("Organization; undocumented, sent unasked")] = None
    amount_value: Annotated[Decimal, billed("Cost in whole units of amount_currency: dollars for usd")]
    amount_currency: Annotated[str | None, column("Currency code as sent: lower case, may be missing")] = None
    quantity: Annotated[Decimal | None, column("Quantity billed", unit="see quantity_unit", additive=False)] = None
    quantity_unit: Annotated[str | None, column("Unit of quantity: tokens, 1000_tokens, images and others")] = None
    grouped_by: GroupedBy
    other_fields: OtherFields = None


class CostsControl(Row, kw_only=True):
    """One row per connection, day and currency: what OpenAI bills, requested without grouping.

    Control totals of openai.costs, fetched and stored with it. Never add the two tables.
    """

    table = "openai.costs_control"
    grain = ("amount_currency",)
    totals = MONEY

    amount_value: Annotated[Decimal, billed("Cost in whole units of amount_currency")]
    amount_currency: Annotated[str | None, column("Currency, ISO 4217")] = None


API_KEY_FLOOR = Refusal(
    # Seen live for every grouping of costs that includes api_key_id and starts before 2025-12-06. Clients that took it
    # for "api_key_id is not supported" lost the dimension for all days.
    pattern=re.compile(r"group_by=api_key_id is not available for this time range.* on or after (?P<since>\d+)"),
    drops=("api_key_id",),
)

USER_UNKNOWN = Refusal(
    # The published specification of August 2026 does not list it yet.
    pattern=re.compile(r"^(?:(?!supported values).)*\buser_id\b.*\bsupported values\b", re.I | re.S),
    drops=("user_id",),
    for_good=True,
)

USER_BY_PROJECT = Refusal(
    # The SDK says that user_id together with project_id "depends on the organization and requested time range" and is
    # refused with 400, not in which words. A list of supported values may name user_id where something else is refused.
    pattern=re.compile(r"^(?:(?!supported values).)*\buser_id\b|\bgroup.*\bcombin|\bcombin.*\bgroup", re.I | re.S),
    drops=("user_id",),
)

BILLED_AS = BilledAs(services=("OpenAI", "OpenAI API*", "OpenAI Platform*"), sellers=("OpenAI*",))
DAILY_USAGE, MODEL_USAGE = (entity_rows(__file__, name) for name in ("openai_daily_usage", "openai_model_usage"))
MODEL_REQUESTS = tuple(
    f"openai.usage_{report}"
    for report in ("embeddings", "moderations", "images", "audio_speeches", "audio_transcriptions", "decisions")
)
"""The reports that count model requests, besides completions: ``sql/macros/openai_model_requests.sql`` reads them."""
IN_REPORTS = f"query_table({['openai.usage_completions', *MODEL_REQUESTS]}, true)"
"""Their rows, by name: what a report does not have is null."""
TOKENS = "coalesce(input_tokens, 0) + coalesce(output_tokens, 0)"
IN_DOLLARS = """
select connection, usage_date, sum(amount_value) as dollars
from openai.costs
group by connection, usage_date
having bool_and(lower(amount_currency) is not distinct from 'usd' or amount_value = 0)
"""
"""Costs of days without another currency."""
OPENAI = Provider(
    name="openai",
    surface=2,
    module=__name__,
    position=1,
    company="OpenAI",
    service="OpenAI API",
    billed_as=BILLED_AS,
    develops_models=True,
    sub_account_type="Project",
    base_url="https://api.openai.com/v1",
    base_url_variable="OPENAI_BASE_URL",
    key_variable="OPENAI_ADMIN_KEY",
    auth=bearer,
    scope_headers={"organization": "OpenAI-Organization", "project": "OpenAI-Project"},
    error_message=error_message,
    advice={
        401: "Check the admin key (OPENAI_ADMIN_KEY for the default connection): it starts with sk-admin-",
        403: "An owner has to give the admin key the scopes api.usage.read and, for names, api.management.read",
        404: "Check the base URL (OPENAI_BASE_URL)",
    },
    settling_days=7,
    lookback_days=365,
    lookups=LOOKUPS,
    costs=(
        CostSource(
            table="openai.costs",
            columns={"native_amount": "amount_value", "currency": "upper(amount_currency)"},
            billed_totals="amount_*",
            splits_line_items=True,
        ),
    ),
    allocations={
        "openai.costs": (
            "openai.usage_completions",
            "openai.usage_embeddings",
            "openai.usage_moderations",
            "openai.usage_images",
            "openai.usage_audio_speeches",
            "openai.usage_audio_transcriptions",
        )
    },
    entities=(
        Entities(
            row=DAILY_USAGE,
            reads=("openai.costs", "openai.usage_completions"),
            rows=f"(from {IN_REPORTS} union all by name {IN_DOLLARS})",
            columns={"total_requests": "num_model_requests", "total_tokens": TOKENS, "total_cost": "dollars"},
            optional_refs=MODEL_REQUESTS,
        ),
        Entities(
            row=MODEL_USAGE,
            reads=("openai.usage_completions",),
            rows=IN_REPORTS,
            columns={"requests": "num_model_requests", "tokens": TOKENS},
            optional_refs=MODEL_REQUESTS,
        ),
    ),
    is_published=True,
    endpoints=(
        bucketed(
            name="costs",
            group="costs",
            path="organization/costs",
            row=Costs,
            window_days=180,
            params={"bucket_width": "1d", "limit": "180"},
            group_by=("project_id", "user_id", "line_item", "api_key_id", "api_source"),
            details="line_item",
            filters=("project_ids[]", "api_key_ids[]", "line_items[]"),
            must_add_up=Control(row=CostsControl, measures=("amount_value",), currency="amount_currency"),
            refusals=(API_KEY_FLOOR, API_SOURCE_UNKNOWN, USER_UNKNOWN, USER_BY_PROJECT),
        ),
        *USAGE,
    ),
)
