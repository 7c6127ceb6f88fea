"""What a benchmark finds: a line each, with what is demanded of it."""

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Ours beside what it is measured against. The ratio says how many times less ours is."""

    name: str
    ours: float
    theirs: float
    unit: str
    demanded: float
    """The smallest ratio that will do; infinite where ours must be nothing."""
    note: str = ""

    @property
    def ratio(self) -> float:
        """Theirs in parts of ours."""
        return self.theirs / self.ours if self.ours else inf

    @property
    def holds(self) -> bool:
        """Whether the demand is met."""
        return self.ratio >= self.demanded

    def __str__(self) -> str:
        return (
            f"{self.name:<42} {self.ours:>9.2f} {self.theirs:>9.2f} {self.unit:<3} {self.ratio:>6.2f}x"
            f"  {'ok' if self.holds else 'MISSED'}, demanded {self.demanded:g}x{f' ({self.note})' if self.note else ''}"
        )


HEADER = f"{'':<42} {'ours':>9} {'theirs':>9}"
