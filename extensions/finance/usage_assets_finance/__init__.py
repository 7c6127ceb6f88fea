"""What a finance department asks for: FOCUS, the FinOps Foundation's specification for cost data, with other files of
what is stored (``export/``), the bills of clouds in such files (``focus/``, ``bills/``), and what each cost center owes
for a month (``statement/``).
"""

from usage_assets.core.features import DOCTOR, Feature

FEATURE = Feature(
    commands={
        "bills": "List files of bills, and accept days they no longer have.",
        "export": "Export stored data to files.",
        "statement": "Write what each cost center owes for a month, and verify it.",
    },
    hooks=[DOCTOR],
)
