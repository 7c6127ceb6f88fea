"""A range of days: those that are not refused are stored, then the step fails and names the refused ones.

An asset yields the ``result`` of ``DaysToStore``. The IO manager stores what it can, yields the events of these days
alone, and notes the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import dagster as dg

from usage_assets.assets.failures import failure
from usage_assets.core.days import spans
from usage_assets.dagster_internals.outputs import WITHOUT_EVENTS
from usage_assets.fetching.transport import ProviderError
from usage_assets.warehouse.values import Batch, Query, WarehouseError


@dataclass
class DaysToStore:
    """The content of days of a run. The IO manager says what became of them."""

    content: Batch | Query
    days: Sequence[date]
    refused: dict[date, ProviderError | WarehouseError] = field(default_factory=dict)
    """Day -> why it was not stored."""
    stored: set[date] = field(default_factory=set)
    unchanged: int = 0
    """How many other days of the run are stored as they were."""

    @property
    def result(self) -> "dg.MaterializeResult[DaysToStore]":
        """What the asset yields. The IO manager yields the events of the days that it has stored."""
        return dg.MaterializeResult(value=self, metadata=WITHOUT_EVENTS)

    def raise_refused(self) -> None:
        """Raise dg.Failure if a day was refused."""
        if self.refused:
            raise refusal(self.refused, len(self.stored) + self.unchanged)


def refusal(refused: Mapping[date, ProviderError | WarehouseError], others: int = 0) -> dg.Failure:
    """Return the failure of a step: the days that it did not store, why, and how many others are stored."""
    reasons: dict[str, str] = {}
    for _, error in sorted(refused.items()):
        reasons.setdefault(error.cause or str(error), str(error))
    first, *more = reasons.values()
    said = first
    if others:
        said = f"refused: {spans(refused)}; {others} other {'day is' if others == 1 else 'days are'} stored. {first}"
    if more:
        said += f" And: {more[0]}" + (f" (and {len(more) - 1} more)" if len(more) > 1 else "")
    return failure(said, sorted(refused), refused[min(refused)].cause)
