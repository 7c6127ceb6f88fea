"""The report: what was spent, on what, by whom, and how sure that is.

The page only reads; ``insights/`` stores what it computes, and ``in_port.py`` shows it in Port. ``what_if/`` prices the
tokens of the past elsewhere. Other packages import ``shared.py`` alone.
"""

from usage_assets.core.features import DOCTOR, GRAPH, PREVIEW, UNDATED, Feature

FEATURE = Feature(
    commands={
        "report": "Write what was spent, by whom and on what.",
        "what-if": "Price the same tokens with another model, tier or cache.",
    },
    hooks=[GRAPH, DOCTOR, PREVIEW, UNDATED],
    needs=["port"],
    sections={
        "guardrail": "entries:Guardrail",
        "metric": "entries:Metric",
        "note": "entries:Note",
        "what_if": "entries:WhatIf",
    },
)
