"""What tokens of the past would have cost on another model, tier or cache rate."""

from usage_assets.features import Feature

FEATURE = Feature(
    commands={"what-if": "Compare the bill with list prices of the same tokens on another model, tier or cache rate."},
    needs=["report"],
)
