"""Allocation: what is billed, by API key and person. ``sql/allocated_costs/<source>.sql`` says who used what is billed,
``sql/allocated.sql`` splits it."""

from usage_assets.models.costs import GROUPS, AllocatedCost, DailyCost
from usage_assets.models.model import Model


def _allocation(source: str, *usage: str) -> Model:
    provider, _, raw = source.partition(".")
    return Model(
        name="allocated_costs",
        file=f"{provider}_allocated_costs",
        folder="allocated_costs",
        under=raw,
        group=GROUPS[source],
        row=AllocatedCost,
        reads=(DailyCost.table,),
        within="allocated.sql",
        optional_refs=usage,
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
