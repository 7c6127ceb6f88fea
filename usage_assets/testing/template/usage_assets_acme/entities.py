"""What is pushed to Port: the rows of ``blueprints/acme_project_cost.json``."""

from decimal import Decimal
from typing import Annotated

from usage_assets.provider import Entities, Row, Title, column


class AcmeProjectCost(Row, kw_only=True):
    """One entity per connection, day and project."""

    table = "port_entities.acme_project_cost"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <connection>:<project>-<day>")]
    title: Title
    project: Annotated[str, column("Project")]
    date: Annotated[str, column("Day, YYYY-MM-DD")]
    requests: Annotated[int, column("Requests", unit="requests")]
    cost: Annotated[Decimal, column("What is billed", unit="USD", kind="billed")]


ENTITIES = (Entities(row=AcmeProjectCost, reads=("acme.usage",)),)
