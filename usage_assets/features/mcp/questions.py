"""The parameters of tools: flat, so that any client can fill them in."""

from typing import Annotated, Literal

from pydantic import Field

Day = Annotated[
    str | None, Field(description="YYYY-MM-DD, UTC, included. Default: the month of the newest stored day.")
]
Before = Annotated[str | None, Field(description="Of the earlier period. Default: the period before, of as many days.")]
Limit = Annotated[int, Field(description="Rows of a page, at most 200.")]
Cursor = Annotated[str | None, Field(description="Of the former page, for the next one. Repeat all other parameters.")]
Only = Annotated[str | None, Field(description="Keep only this one: name or id, as answers have it.")]
Basis = Annotated[
    Literal["billed", "estimated", "notional", "credits"] | None, Field(description="Default: all, apart.")
]
By = Annotated[
    Literal[
        "cost_basis",
        "day",
        "month",
        "provider",
        "connection",
        "team",
        "cost_center",
        "project",
        "model",
        "usage_type",
        "actor",
        "person",
        "api_key",
    ],
    Field(description="One row per value, cost basis and unit. actor: person, service account or API key."),
]
Cut = Annotated[
    Literal["everything", "provider", "team", "model", "person"] | None, Field(description="Default: all of these.")
]
ROWS = 50
"""Of a page."""
