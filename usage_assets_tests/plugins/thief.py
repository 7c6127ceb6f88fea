"""A module that declares a table of another package, and no provider."""

from typing import Annotated

from usage_assets.provider import Row, column
from usage_assets.providers import PROVIDERS


class Stolen(Row, kw_only=True):
    """One row per connection and day."""

    table = PROVIDERS["openai"].endpoints[0].row.table
    grain = ()

    model: Annotated[str, column("Model")]


X = "no provider"
