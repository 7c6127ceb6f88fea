"""What tokens of the past would have cost on another model, tier or cache rate."""

from usage_assets.core.features import Feature

FEATURE = Feature(
    commands={"what-if": "Price the same tokens with another model, tier or cache."},
    needs=["report"],
)
