"""Estimates are returned rounded, so that nobody takes them for exact money."""

from decimal import Decimal

CENT = Decimal("0.01")


def rounded(estimate: float) -> Decimal:
    """The estimate in hundredths of its unit, never negative."""
    return Decimal(repr(max(0.0, estimate))).quantize(CENT)
