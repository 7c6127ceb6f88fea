"""Sections of the connections file that only the report reads: guardrails, metrics, comparisons of prices and notes.

What is stored of them is declared in ``config/accounting.py``, where a deletion finds it.
"""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from usage_assets.config.accounting import (
    Amount,
    Day,
    Entry,
    GuardrailRow,
    NoteRow,
    Scoped,
    Text,
    WhatIfRow,
    known_provider,
    number,
)
from usage_assets.core.schema import SeedRow

Measure = Literal["usd", "requests", "tokens", "images", "characters", "seconds", "usage_bytes", "sessions"]
KINDS = ("spike", "drop", "shift")
"""What an odd day is called where a crossed guardrail has its name (costs.anomalies.what)."""
CALLED = {"num_model_requests": "requests", "num_sessions": "sessions"}
"""OpenAI's names of measures."""


def _measure(name: object) -> object:
    return CALLED.get(name, name) if isinstance(name, str) else name


class Guardrail(Scoped):
    """A bound of one day's usage or dollars, or of their rise."""

    measure: Annotated[Measure, BeforeValidator(_measure)]
    above: Annotated[Amount, Field(ge=0)] | None = None
    """The most of a day that is no alarm."""
    rises_by: Annotated[Amount, Field(gt=1)] | None = None
    """The most that a day may be, as a multiple of the mean of the 7 days before."""
    at_least: Annotated[Amount, Field(ge=0)] | None = None
    """A day below this is no alarm, however much it rises."""

    @field_validator("name")
    @classmethod
    def _is_no_kind(cls, name: str) -> str:
        if name in KINDS:
            raise ValueError(f"{', '.join(KINDS)} are kinds of anomalies: choose another name")
        return name

    @model_validator(mode="after")
    def _has_one_bound(self) -> Self:
        if (self.above is None) == (self.rises_by is None):
            raise ValueError("name one of above, rises_by")
        if (self.at_least is None) != (self.rises_by is None):
            raise ValueError("name rises_by and at_least together: a rise from almost nothing is no alarm")
        return self

    def rows(self, position: int) -> "Iterable[SeedRow]":  # noqa: ARG002 - as in Entry
        return [GuardrailRow(**self.stated())]


class Note(Scoped):
    """What people know about some days. The page draws it on the trend, and beside the incidents that it explains."""

    text: Text
    valid_from: Day
    """Required: a note is about days."""

    def rows(self, position: int) -> "Iterable[SeedRow]":  # noqa: ARG002 - as in Entry
        return [NoteRow(**self.stated())]


class Metric(Entry):
    """Where numbers of users' own are, with the columns date, scope, metric and value: a CSV file, or a query."""

    file: Path | None = None
    """A CSV file."""
    database: Path | None = None
    """A DuckDB file, which is opened read-only."""
    sql: Text | None = None
    """A query of that database. It can read and write nothing else."""
    scope: Literal["team", "project", "connection"] | None = None
    """What the column ``scope`` names. None: the metric is about everything, and the column is empty or missing."""

    @field_validator("file", "database")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path and path.expanduser().absolute()

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.file is None) == (self.sql is None) or (self.sql is None) != (self.database is None):
            raise ValueError("name file, or database and sql")
        return self


class WhatIf(Entry):
    """The tokens of a model on another one, at another tier, or with another part of the input read from the cache."""

    provider: Text
    model: Text
    to_provider: Text | None = None
    """None: the same."""
    to: Text | None = None
    """The other model. None: the same."""
    tier: Literal["standard", "batch", "flex", "priority", "fast"] | None = None
    """None: each token's own."""
    cached_share: Annotated[Decimal, BeforeValidator(number), Field(ge=0, le=1, decimal_places=4)] | None = None
    """Share of all input that would be read from the cache. None: as it was."""

    @field_validator("provider", "to_provider")
    @classmethod
    def _is_known(cls, provider: str) -> str:
        return known_provider(provider)

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not (self.to or self.tier or self.cached_share is not None):
            raise ValueError("name at least one of to, tier, cached_share")
        return self

    @property
    def row(self) -> "WhatIfRow":
        return WhatIfRow(
            provider=self.provider,
            model=self.model,
            to_provider=self.to_provider or self.provider,
            to_model=self.to or self.model,
            tier=self.tier,
            cached_share=self.cached_share,
        )

    def rows(self, position: int) -> "Iterable[SeedRow]":  # noqa: ARG002 - as in Entry
        return [self.row]
