"""What the warehouse has lost is found, and let go, so that it can be fetched and computed again."""

from usage_assets.features import DEEP, GRAPH, SERVICES, Feature

FEATURE = Feature(
    commands={"repair": "Let go of lost files of a lake and of days that are not as written, so that they are due."},
    hooks=[GRAPH, SERVICES, DEEP],
    needs=["lake"],
)
