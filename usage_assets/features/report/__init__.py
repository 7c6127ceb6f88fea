"""The report: what was spent, on what, by whom, and how sure that is.

The page only reads; ``insights/`` stores what it computes.
"""

from usage_assets.core.features import DOCTOR, GRAPH, Feature

FEATURE = Feature(
    commands={"report": "Write what was spent, by whom and on what."},
    hooks=[GRAPH, DOCTOR],
)
