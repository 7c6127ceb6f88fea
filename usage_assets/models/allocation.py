"""Allocation: what is billed, by API key and person. ``sql/allocated_costs/`` in a provider's folder says who used it,
``sql/allocated.sql`` splits it."""

from usage_assets.models.costs import GROUPS, AllocatedCost, DailyCost
from usage_assets.models.model import Model
from usage_assets.providers import PROVIDERS

ALLOCATIONS = tuple(
    Model(
        name="allocated_costs",
        file=f"{provider.name}_allocated_costs",
        folder="allocated_costs",
        under=source.partition(".")[2],
        group=GROUPS[source],
        row=AllocatedCost,
        reads=(DailyCost.table,),
        within="allocated.sql",
        optional_refs=usage,
        part=source,
    )
    for provider in PROVIDERS.values()
    for source, usage in provider.allocations.items()
)
"""One part of ``costs.allocated_costs`` per source that bills more than one API key or person in a row."""
