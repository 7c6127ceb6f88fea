"""Finds services of a bill of several vendors that another connection bills, too: the dollars would count twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from usage_assets.core.days import Window, counted
from usage_assets.models.same_use import ALWAYS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.views import HAS_VIEW

BILLED_TWICE = """
select
  connection,
  billed_by,
  string_agg(distinct service, ', ' order by service) as services,
  count(distinct usage_date) as days,
  if(count(amount_usd) = count(*), sum(amount_usd), null) as amount_usd,
  if(count(billed_by_usd) = count(*), sum(billed_by_usd), null) as billed_by_usd,
  accounts is not null as is_same_account
from costs.billed_twice
where (accounts is null or connection < billed_by) and usage_date between $first and $last
group by connection, billed_by, is_same_account
order by connection, billed_by, is_same_account
"""


@dataclass(frozen=True)
class BilledTwice:
    """Services of a bill of several vendors that another connection bills, too."""

    connection: str
    billed_by: str
    services: str
    days: int
    amount_usd: Decimal | None
    """What the first connection bills of them on these days; None where a part has no rate."""
    billed_by_usd: Decimal | None
    """What the other one does."""
    is_same_account: bool
    """Whether both store charges of the same account; otherwise only names say that it is the same bill."""

    @property
    def text(self) -> str:
        amount, other = (
            "an unknown amount" if usd is None else f"${usd:.2f}" for usd in (self.amount_usd, self.billed_by_usd)
        )
        if self.is_same_account:
            return (
                f"both store {self.services} of the same account on {counted(self.days)}: {amount} of "
                f"{self.connection} and {other} of {self.billed_by} are in every total. Remove one of the two, or "
                f'leave its files out; if they share no charge, say so: no_overlap_with = ["{self.billed_by}"]'
            )
        return (
            f"both bill {self.services} on {counted(self.days)}, so {amount} of {self.connection} is counted twice: "
            f"leave the services out (filters.services of {self.connection}), or remove one of the connections"
        )


def billed_twice(warehouse: Warehouse, days: Window = ALWAYS) -> Iterator[BilledTwice]:
    """Yield the pairs of connections that bill the same services on the same days. Raises WarehouseError."""
    if warehouse.read(HAS_VIEW, {"name": "costs.billed_twice"}).num_rows:
        found = warehouse.read(BILLED_TWICE, {"first": days.first, "last": days.last})
        yield from (BilledTwice(**row) for row in found.to_pylist())
