"""Allocation: what is billed, by API key and person. ``sql/allocated_costs/<source>.sql`` says who used what is billed,
``sql/allocated.sql`` splits it."""

from decimal import Decimal
from typing import Annotated

from usage_assets.assets.costs import DailyCost
from usage_assets.assets.derived import Derived
from usage_assets.rows import Row, Total, column


class AllocatedCost(Row):
    """One row per connection, day, billed row of costs.daily_costs, and API key and user that it is for.

    All that Anthropic and OpenAI bill, once: whole where the provider says whose it is or nobody knows, otherwise in
    parts by what was used, which add up to the bill to the last digit. Never add it to costs.daily_costs, which holds
    the same money. Sum native_amount only within one native_unit and currency. A part is native_amount =
    billed_amount * units / all_units, rounded by the largest remainder (sql/macros/part_of.sql).
    """

    table = "costs.allocated_costs"
    slice_by = "source_table"
    grain = (
        "source_table",
        "native_unit",
        "currency",
        "model",
        "project_id",
        "workspace_id",
        "user_id",
        "api_key_id",
        "line_item",
        "cost_type",
        "token_type",
        "service_tier",
        "context_window",
        "inference_geo",
    )
    totals = {
        "billed_usd": Total("sum(amount_usd)", "USD"),
        "unattributed_usd": Total("sum(amount_usd) filter (where allocation = 'unattributed')", "USD"),
    }

    provider: Annotated[str, column("Provider")]
    source_table: Annotated[str, column("Raw table that the bill stands in")]
    native_amount: Annotated[Decimal, column("Amount of this part", unit="native_unit", additive=False)]
    native_unit: Annotated[str, column("dollars, cents; major or minor units of other currencies")]
    currency: Annotated[str | None, column("Currency, ISO 4217")]
    amount_usd: Annotated[
        Decimal | None, column("The dollars of the bill, split alike; null where unknown", unit="USD", additive=False)
    ]
    usd_reason: Annotated[str | None, column("Why amount_usd is null")]
    model: Annotated[str | None, column("Model: the source's own, or what an OpenAI line item names first")]
    usage_type: Annotated[
        str | None, column("Anthropic token class or cost type; what an OpenAI line item names second; null: not known")
    ]
    project_id: Annotated[str | None, column("OpenAI project")]
    workspace_id: Annotated[str | None, column("Anthropic workspace; null: the default one")]
    user_id: Annotated[
        str | None, column("OpenAI user or Anthropic account; null: no person's, or not known", personal=True)
    ]
    api_key_id: Annotated[str | None, column("API key; null: use without one, or not known")]
    line_item: Annotated[str | None, column("OpenAI line item or Anthropic description")]
    cost_type: Annotated[str | None, column("Anthropic: tokens, web_search, code_execution, session_usage")]
    token_type: Annotated[str | None, column("Anthropic token class")]
    service_tier: Annotated[str | None, column("Anthropic service tier")]
    context_window: Annotated[str | None, column("Anthropic context window")]
    inference_geo: Annotated[str | None, column("Anthropic inference region")]
    allocation: Annotated[
        str,
        column(
            "How key and user are known: stated by the provider; by tokens, requests, images, characters or seconds, "
            "which they used; unattributed: not at all"
        ),
    ]
    basis: Annotated[str | None, column("What the units are, and what their usage has in common with the bill")]
    units: Annotated[int | None, column("What was used by this key and user", unit="allocation", additive=False)]
    all_units: Annotated[
        int | None, column("What was used by all who share the bill", unit="allocation", additive=False)
    ]
    billed_amount: Annotated[Decimal, column("Amount that this is a part of", unit="native_unit", additive=False)]


def _allocation(source: str, *usage: str) -> Derived:
    provider, _, name = source.partition(".")
    return Derived(
        name=name,
        file=f"{provider}_allocated_costs",
        folder="allocated_costs",
        group="costs",
        row=AllocatedCost,
        reads=(DailyCost.table,),
        within="allocated.sql",
        may_read=usage,
        part=source,
    )


ALLOCATIONS = (
    _allocation("anthropic.cost_report", "anthropic.usage_messages"),
    _allocation(
        "openai.costs",
        "openai.usage_completions",
        "openai.usage_embeddings",
        "openai.usage_moderations",
        "openai.usage_images",
        "openai.usage_audio_speeches",
        "openai.usage_audio_transcriptions",
    ),
)
"""One part of ``costs.allocated_costs`` per source that bills more than one API key or person in a row."""
