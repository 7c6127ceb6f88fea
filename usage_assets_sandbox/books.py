"""What the ledger keeps of a provider: whose rows each endpoint has, and the sums that are true of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from usage_assets_sandbox.company import Company, DayRows, Row, Value


@dataclass(frozen=True)
class Unit:
    """A sum that an endpoint's rows truly have."""

    value: Callable[[Row], Value]
    """Its part in one row."""
    column: str | None = None
    """What a table of the endpoint calls it; None where it is a sum of several endpoints only."""


@dataclass(frozen=True)
class Book:
    """What the ledger keeps of one endpoint: its rows' dimensions (every other field is a measure) and true units.

    `newcomer` gives the dimensions that make the n-th row that comes in late unlike the day's others.
    """

    dimensions: tuple[str, ...]
    units: Mapping[str, Unit]
    newcomer: Callable[[list[Row], int], Row]


def field(name: str, column: str | None = None) -> Unit:
    return Unit(lambda row: row[name], column or name)


def fields(*names: str, **renamed: str) -> dict[str, Unit]:
    """Units that tables call as the provider's fields are called."""
    return {unit: field(name) for unit, name in (dict(zip(names, names, strict=True)) | renamed).items()}


def computed(**values: Callable[[Row], Value]) -> dict[str, Unit]:
    """Units that are no field, and that tables call as the books do."""
    return {unit: Unit(value, unit) for unit, value in values.items()}


@dataclass(frozen=True)
class Books:
    """What the ledger keeps of one provider."""

    day: Callable[[Company, date], DayRows]
    """The rows of each endpoint on a day before any restatement, unique in their dimensions."""
    endpoints: Mapping[str, Book]


def dollars(row: Row) -> Value:
    """What a row costs in dollars; None in another currency."""
    return row["amount"] if row["currency"].upper() == "USD" else None
