"""How an estimate leaves the statistics: rounded, so that nobody takes it for money that was counted."""

from decimal import Decimal

CENT = Decimal("0.01")


def rounded(estimate: float) -> Decimal:
    """The estimate in hundredths of its unit, never negative."""
    return Decimal(repr(max(0.0, estimate))).quantize(CENT)
