"""What estimates share: random numbers that are the same each time, and rounding, because no estimate is exact."""

from decimal import Decimal
from hashlib import sha256

import numpy as np

CENT = Decimal("0.01")


def dice(key: str) -> np.random.Generator:
    """Return the random numbers of a key."""
    return np.random.default_rng(int.from_bytes(sha256(key.encode()).digest()[:8]))


def rounded(estimate: float) -> Decimal:
    """The estimate in hundredths of its unit, never negative."""
    return cents(max(0.0, estimate))


def cents(estimate: float) -> Decimal:
    """The estimate in hundredths of its unit."""
    return Decimal(repr(float(estimate))).quantize(CENT)
