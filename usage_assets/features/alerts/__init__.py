"""Posts to a webhook: what failed, what recovered, alerts and the weekly digest."""

from usage_assets.features import Feature

FEATURE = Feature(adds_to_graph=True)
