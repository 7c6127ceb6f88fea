"""What a finance department asks for: FOCUS, the FinOps Foundation's specification for cost data, with other files of
what is stored (``export/``), and what each cost center owes for a month (``statement/``).
"""

from usage_assets.core.features import Feature

FEATURE = Feature(
    commands={
        "export": "Export stored data to files.",
        "statement": "Write what each cost center owes for a month, and verify it.",
    }
)
