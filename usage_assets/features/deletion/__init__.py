"""What is deleted: old days, a connection, what names a person. Entities in Port go with their rows."""

from usage_assets.features import DOCTOR, GRAPH, Feature

FEATURE = Feature(
    commands={
        "connection": "List connections, and remove all data of one that is no longer configured.",
        "people": "Forget a person; all numbers stay.",
        "prune": "Delete Dagster's old history and days past their retention, as the daily schedule does.",
    },
    hooks=[GRAPH, DOCTOR],
    needs=["move", "port"],
)
