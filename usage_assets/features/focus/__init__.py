"""FOCUS, the FinOps Foundation's specification for cost data: the export, and its validation by FOCUS's validator."""

from usage_assets.core.features import Feature

FEATURE = Feature(commands={"export": "Export stored data to files."})
