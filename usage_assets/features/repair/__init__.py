"""What the warehouse has lost is found, and let go, so that it can be fetched and computed again."""

from usage_assets.core.features import DEEP, GRAPH, SERVICES, Feature

FEATURE = Feature(
    commands={"repair": "Make days due whose files are lost or whose rows changed."},
    hooks=[GRAPH, SERVICES, DEEP],
    needs=["lake"],
)
