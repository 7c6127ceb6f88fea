"""What is deleted: old days, a connection, what names a person. Entities in Port go with their rows."""

from usage_assets.core.features import DOCTOR, GRAPH, Feature

FEATURE = Feature(
    commands={
        "connection": "List connections, and remove all data of a former one.",
        "people": "Forget a person; all numbers stay.",
        "prune": "Delete old history and days past their retention.",
    },
    hooks=[GRAPH, DOCTOR],
    needs=["port"],
)
