"""Port: a push makes its catalog equal to the entity tables, and a reconciliation repairs what people changed there.

What Port's API is, and the difference that a push sends, is in ``catalog/``.
"""

from usage_assets.core.features import BEFORE_PUSH, GRAPH, SERVICES, Feature

FEATURE = Feature(
    commands={"port": "Plan, create and preview what Port needs."},
    hooks=[GRAPH, SERVICES, BEFORE_PUSH],
    declares=["mapped"],
)
