"""Where each amount is that bills of files deliver (``costs.delivered``), in words."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import duckdb

from usage_assets.core.money import in_words
from usage_assets.models.costs import used_views
from usage_assets.warehouse.views import make_views

VIEW = "costs.delivered"
IN_SETS = """
select
  set_name,
  currency,
  reason,
  sum(delivered) as delivered,
  sum(charged) as charged,
  sum(left_out) as left_out,
  sum(not_stored) as not_stored,
  sum(not_delivered) as not_delivered,
  sum(difference) as difference,
  bool_or(delivered is null) as is_unread
from costs.delivered
where connection = $connection
group by set_name, currency, reason
order by set_name, currency, reason
"""


@dataclass
class Delivered:
    """What a set of files delivers in a currency, and where it is."""

    currency: str
    amount: Decimal = Decimal()
    where: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    is_unread: bool = False
    """Whether this release has not read it yet."""

    def in_words(self) -> str:
        """Return one phrase.

        >>> Delivered("USD", Decimal(145), {"stored": Decimal(140), "left out": Decimal(5)}).in_words()
        'delivers $145.00: $140.00 stored, $5.00 left out'
        """
        if self.is_unread:
            return f"what it delivers in {self.currency} is not known before it is read again"
        where = {what: amount for what, amount in self.where.items() if amount}
        shown = in_words([self.amount, *where.values()], self.currency)
        parts = ", ".join(f"{shown[amount]} {what}" for what, amount in where.items())
        return f"delivers {shown[self.amount]}: {parts or 'nothing is stored'}"


def of_sets(database: duckdb.DuckDBPyConnection, connection: str) -> Mapping[str, Sequence[Delivered]]:
    """Return what each set of a connection delivers, a value for each currency. Raises WarehouseError."""
    make_views(database, used_views([VIEW]))
    found: defaultdict[str, dict[str, Delivered]] = defaultdict(dict)
    rows = database.execute(IN_SETS, {"connection": connection}).fetchall()
    for name, currency, reason, amount, charged, left_out, not_stored, not_delivered, difference, is_unread in rows:
        each = found[name].setdefault(currency, Delivered(currency))
        each.amount += amount or 0
        each.is_unread = each.is_unread or is_unread
        each.where["stored"] += charged
        each.where["left out"] += left_out
        each.where[f"not stored ({reason})"] += not_stored
        each.where["stored of an earlier delivery"] += not_delivered
        each.where["missing without a reason"] += difference
    return {name: [*of_set.values()] for name, of_set in found.items()}
