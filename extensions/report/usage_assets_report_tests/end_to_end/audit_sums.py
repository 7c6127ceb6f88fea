"""Exact sums and the names of entities: the arithmetic of the audit, which shares none with the product."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from usage_assets.core.schema import declared
from usage_assets_sandbox.company import EXACT

Row = dict[str, Any]
DAILY, ALLOCATED = "costs.daily_costs", "costs.allocated_costs"
GRAIN = tuple(name for name in declared(DAILY).grain if name != "source_table")
STEP = Decimal("1e-24")
ROUNDED = Context(prec=100, rounding=ROUND_HALF_UP)
"""Half away from zero, once."""


def total(amounts: Iterable[Decimal | int | None]) -> Any:
    """The exact sum of those that are known; None of none."""
    known = [amount for amount in amounts if amount is not None]
    if not known:
        return None
    summed = known[0]
    for amount in known[1:]:
        summed = EXACT.add(Decimal(summed), Decimal(amount)) if isinstance(amount, Decimal) else summed + amount
    return summed


def times(amount: Decimal, rate: Decimal) -> Decimal:
    """The product, to 24 places."""
    return ROUNDED.multiply(amount, rate).quantize(STEP, context=ROUNDED)


def by(rows: Iterable[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by what they have in these columns."""
    groups: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return groups


def cost(source: str, **said: Any) -> Row:
    """A row of costs.daily_costs, before it is valued."""
    blank = dict.fromkeys((*GRAIN, "usage_type"))
    return {**blank, "provider": source.partition(".")[0], "source_table": source, "grouped_by": "", **said}


def valid(name: str) -> str:
    """An identifier that Port takes."""
    fits = [char if char.isalpha() or char in "0123456789@_.+:\\/=-" else "_" for char in name]
    if "".join(fits) == name and len(name) <= 1000:
        return name
    return "".join(fits)[:991] + "-" + hashlib.sha256(name.encode()).hexdigest()[:8]


def identifier(connection: str, published: str) -> str:
    """An identifier of a published blueprint."""
    is_default = connection in ("openai", "anthropic", "chatgpt")
    return valid(published if is_default else f"{connection}:{published}")


def path(*names: str | None) -> str:
    """An identifier of a blueprint of ours."""
    return valid("/".join((name or "").replace("%", "%25").replace("/", "%2F") for name in names))
