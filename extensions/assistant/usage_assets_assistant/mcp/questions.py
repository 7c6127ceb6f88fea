"""The parameters of tools: flat, so that any client can fill them in."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Literal

from pydantic import Field

from usage_assets.core.errors import UserError
from usage_assets.warehouse.errors import WarehouseError

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
PARAMETERS: Mapping[str, str] = {
    "start": "first",
    "end": "last",
    **{
        name: name.replace("-", "_")
        for name in (
            *("api-key", "blueprint", "column", "connection", "model", "project", "team", "where", "workspace"),
            *("cached-share", "provider", "tier", "to", "to-provider"),
        )
    },
}
"""Option of `usage-assets explain` and `what-if` -> the parameter of the tool."""


@contextmanager
def named_as_parameters() -> Iterator[None]:
    """Let what a command refuses name the tool's parameters: an assistant has no options."""
    try:
        yield
    except UserError as error:
        text = re.sub(r"--([a-z]+(?:-[a-z]+)*)", lambda found: PARAMETERS.get(found[1], found[0]), str(error))
        raise WarehouseError(text) from error
