"""FOCUS, the FinOps Foundation's specification for cost data: the export, and its validation by FOCUS's validator."""
