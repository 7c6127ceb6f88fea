"""Posts to a webhook: what failed, what recovered, alerts and the weekly digest."""

from usage_assets.core.features import GRAPH, SERVICES, Feature

FEATURE = Feature(commands={"metrics": "Print spend, freshness and faults for Prometheus."}, hooks=[GRAPH, SERVICES])
