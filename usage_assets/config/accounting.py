"""What only the payer knows: rates, purchases, invoices and owners, as the connections file states them.

Each entry says where it comes from or what it is about, and which days it is for. Without a rate an amount has no
dollar value; nothing is guessed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

import pyarrow as pa
from iso4217 import Currency
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from usage_assets.core.money import Money
from usage_assets.core.schema import SeedRow, column, to_arrow
from usage_assets.providers import PROVIDERS

FOR_EVER = date.max
USD = "USD"


def _number(value: object) -> object:
    """TOML numbers are read as decimals; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError("write a number")
    return Decimal(value)


def _day(value: object) -> object:
    """A number would be taken for seconds since 1970."""
    if not isinstance(value, date):
        raise ValueError("write a day, such as 2026-11-01 (without quotation marks)")
    return value


def _currency(code: str) -> str:
    try:
        return str(Currency(code).code)
    except ValueError:
        raise ValueError(f"{code} is not a currency of ISO 4217 (three capital letters)") from None


def _foreign(code: str) -> str:
    if code == USD:
        raise ValueError("USD needs no rate")
    return code


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Day = Annotated[date, BeforeValidator(_day)]
Amount = Annotated[Decimal, BeforeValidator(_number), Field(max_digits=24, decimal_places=10)]
CurrencyCode = Annotated[str, AfterValidator(_currency)]
Month = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{3}-(0[1-9]|1[0-2])$")]


class Entry(BaseModel):
    """One table of the connections file about money. It speaks of some days."""

    model_config = ConfigDict(extra="forbid")

    identity: ClassVar[tuple[str, ...]]
    """Fields that no two entries may have alike on the same days."""

    @property
    def about(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.identity)

    @property
    def first(self) -> date:
        raise NotImplementedError

    @property
    def last(self) -> date:
        raise NotImplementedError


class Dated(Entry):
    """An entry that states its days."""

    valid_from: Day
    valid_until: Day | None = None
    """The last day; None: until further notice."""

    @field_validator("valid_until")
    @classmethod
    def _without_end(cls, day: date | None) -> date | None:
        """The end of days is no day: a period that lasts until then would end on the day after it."""
        return None if day == FOR_EVER else day

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.last < self.valid_from:
            raise ValueError(f"valid_until {self.valid_until} is before valid_from {self.valid_from}")
        return self

    @property
    def first(self) -> date:
        return self.valid_from

    @property
    def last(self) -> date:
        return self.valid_until or FOR_EVER


class CreditRate(Dated):
    """What a credit of a ChatGPT workspace is worth by contract."""

    identity = ("workspace",)

    workspace: Text
    usd_per_credit: Annotated[Decimal, BeforeValidator(_number), Field(gt=0, max_digits=14, decimal_places=10)]
    source: Text


class ExchangeRate(Dated):
    """What one unit of a currency (a euro, a yen) is worth."""

    identity = ("currency",)

    currency: Annotated[CurrencyCode, AfterValidator(_foreign)]
    usd: Annotated[Decimal, BeforeValidator(_number), Field(gt=0, lt=10, max_digits=11, decimal_places=10)]
    source: Text


class Purchase(Dated):
    """A pack of credits or seats that was paid for a period: never part of usage."""

    identity = ("connection", "id")

    connection: Text
    kind: Literal["credits", "seats"]
    amount: Amount
    currency: CurrencyCode = USD
    quantity: Annotated[Amount, Field(gt=0)]
    """Credits or seats."""
    id: Text
    """Number of the order or invoice."""


class Invoice(Entry):
    """What a provider has invoiced for a month."""

    identity = ("connection", "id")

    connection: Text
    month: Month
    total: Amount
    currency: CurrencyCode = USD
    id: Text
    issued: Day | None = None
    """The day it was made; None: not before the month's days were settled."""

    @property
    def first(self) -> date:
        return date.fromisoformat(f"{self.month}-01")

    @property
    def last(self) -> date:
        """An invoice is for one month: its number cannot be used for another one."""
        return FOR_EVER

    @property
    def money(self) -> Money:
        return Money(self.total, self.currency)


OWNED = ("api_key", "user", "project", "workspace")
"""What can have an owner, what is decided by first standing first."""


class Owner(Dated):
    """The team that pays for a project, workspace, API key or user."""

    identity = ("owned",)

    connection: Text | None = None
    """None: whatever the connection."""
    api_key: Text | None = None
    user: Text | None = None
    project: Text | None = None
    workspace: Text | None = None
    team: Text
    cost_centre: Text | None = None
    valid_from: Day = date(1970, 1, 1)

    @model_validator(mode="after")
    def _owns_one_thing(self) -> Self:
        if len([name for name in OWNED if getattr(self, name)]) != 1:
            raise ValueError(f"name one of {', '.join(OWNED)}")
        return self

    @property
    def owned(self) -> tuple[str, str]:
        return next((name, value) for name in OWNED if (value := getattr(self, name)))


class CreditRateRow(SeedRow):
    """One row per [[credit_rate]] of the connections file."""

    table = "accounting.credit_rates"
    grain = ("workspace_id", "valid_from")

    workspace_id: Annotated[str, column("ChatGPT workspace")]
    valid_from: Annotated[date, column("First day")]
    valid_until: Annotated[date | None, column("Last day; null: until further notice")]
    usd_per_credit: Annotated[Decimal, column("What a credit is worth", unit="USD", additive=False)]
    source: Annotated[str, column("Who says so: a contract, for example")]


class ExchangeRateRow(SeedRow):
    """One row per [[exchange_rate]] of the connections file."""

    table = "accounting.exchange_rates"
    grain = ("currency", "valid_from")

    currency: Annotated[str, column("Currency, ISO 4217")]
    valid_from: Annotated[date, column("First day")]
    valid_until: Annotated[date | None, column("Last day; null: until further notice")]
    usd: Annotated[Decimal, column("What one unit (a euro, a yen) is worth", unit="USD", additive=False)]
    minor_digits: Annotated[int, column("Decimal places of the currency (ISO 4217): 2 for euros, 0 for yen")]
    source: Annotated[str, column("Who says so: a central bank, for example")]


class PurchaseRow(SeedRow):
    """One row per [[purchase]] of the connections file. Never add it to usage, which uses up what was bought."""

    table = "accounting.purchases"
    grain = ("connection", "id", "valid_from")

    connection: Annotated[str, column("Connection")]
    id: Annotated[str, column("Number of the order or invoice")]
    kind: Annotated[str, column("credits or seats")]
    quantity: Annotated[Decimal, column("Credits or seats", unit="kind", additive=False)]
    amount: Annotated[Decimal, column("What was paid", unit="currency", additive=False)]
    currency: Annotated[str, column("Currency, ISO 4217")]
    valid_from: Annotated[date, column("First day that it is for")]
    valid_until: Annotated[date | None, column("Last day; null: until further notice")]


class InvoiceRow(SeedRow):
    """One row per [[invoice]] of the connections file."""

    table = "accounting.invoices"
    grain = ("connection", "id")

    connection: Annotated[str, column("Connection")]
    id: Annotated[str, column("Number of the invoice")]
    month: Annotated[date, column("First day of the month that is invoiced")]
    total: Annotated[Decimal, column("Total", unit="currency", additive=False)]
    currency: Annotated[str, column("Currency, ISO 4217")]
    issued: Annotated[
        date | None, column("Day it was made; null: not stated, not before the month's days were settled")
    ]


class OwnerRow(SeedRow):
    """One row per [[owner]] of the connections file."""

    table = "accounting.owners"
    grain = ("kind", "id", "valid_from")

    connection: Annotated[str | None, column("Connection; null: whatever the connection")]
    kind: Annotated[str, column("api_key, user, project or workspace; the first of these that has an owner decides")]
    id: Annotated[str, column("Its id, or the name of an API key where the provider states no id", personal=True)]
    team: Annotated[str, column("Team that pays")]
    cost_centre: Annotated[str | None, column("Its cost centre")]
    valid_from: Annotated[date, column("First day")]
    valid_until: Annotated[date | None, column("Last day; null: until further notice")]


class CurrencyRow(SeedRow):
    """One row per currency of ISO 4217 that has a smallest unit. The connections file does not state it."""

    table = "accounting.currencies"
    grain = ("currency",)

    currency: Annotated[str, column("Currency, ISO 4217")]
    minor_unit: Annotated[
        Decimal, column("What its smallest unit is worth: 0.01 for euros, 1 for yen", unit="currency", additive=False)
    ]


class ProviderRow(SeedRow):
    """One row per provider, as FOCUS names it. The connections file does not state it."""

    table = "accounting.providers"
    grain = ("provider",)

    provider: Annotated[str, column("Provider")]
    company: Annotated[str, column("Who bills")]
    service: Annotated[str, column("What is billed")]
    sub_account_type: Annotated[str, column("What a part of an organization is: a project or workspace")]


class CostSourceRow(SeedRow):
    """One row per raw table that costs are computed from. The connections file does not state it."""

    table = "accounting.cost_sources"
    grain = ("source_table",)

    source_table: Annotated[str, column("Raw table")]
    billed_totals: Annotated[
        str | None, column("Which totals of its days (a GLOB) are billed: a restated one is a correction; null: none")
    ]
    charge: Annotated[str | None, column("What a charge is called that has neither a line item nor a model")]


RELEASED = frozenset((CurrencyRow, ProviderRow, CostSourceRow))
"""What a release states, whatever the connections file says."""


@dataclass(frozen=True)
class Accounting:
    """Everything that the connections file says about money."""

    credit_rates: Sequence[CreditRate] = ()
    exchange_rates: Sequence[ExchangeRate] = ()
    purchases: Sequence[Purchase] = ()
    invoices: Sequence[Invoice] = ()
    owners: Sequence[Owner] = ()

    def tables(self) -> Mapping[type[SeedRow], pa.Table]:
        """The entries as the rows of their tables, and what a release states (RELEASED)."""
        stated: Mapping[type[SeedRow], list[SeedRow]] = {
            CreditRateRow: [
                CreditRateRow(workspace_id=rate.workspace, **rate.model_dump(exclude={"workspace"}))
                for rate in self.credit_rates
            ],
            ExchangeRateRow: [
                ExchangeRateRow(minor_digits=digits_of(rate.currency), **rate.model_dump())
                for rate in self.exchange_rates
            ],
            PurchaseRow: [PurchaseRow(**purchase.model_dump()) for purchase in self.purchases],
            InvoiceRow: [
                InvoiceRow(month=invoice.first, **invoice.model_dump(exclude={"month"})) for invoice in self.invoices
            ],
            OwnerRow: [
                OwnerRow(kind=owner.owned[0], id=owner.owned[1], **owner.model_dump(exclude={*OWNED}))
                for owner in self.owners
            ],
            CurrencyRow: [
                CurrencyRow(currency=currency.code, minor_unit=Decimal(1).scaleb(-currency.exponent))
                for currency in Currency
                if currency.exponent is not None
            ],
            ProviderRow: [
                ProviderRow(
                    provider=provider.name,
                    company=provider.company,
                    service=provider.service,
                    sub_account_type=provider.sub_account_type,
                )
                for provider in PROVIDERS.values()
            ],
            CostSourceRow: [
                CostSourceRow(source_table=source.table, billed_totals=source.billed_totals, charge=source.charge)
                for provider in PROVIDERS.values()
                for source in provider.costs
            ],
        }
        return {row: to_arrow(row, rows) for row, rows in stated.items()}


def digits_of(currency: str) -> int:
    """Decimal places of a currency (ISO 4217): 2 for euros, 0 for yen; 2 for codes without a smallest unit (gold)."""
    exponent = Currency(currency).exponent
    return 2 if exponent is None else exponent


def repeated(entries: Sequence[Dated] | Sequence[Invoice]) -> Iterator[tuple[int, int]]:
    """Yield the positions of two entries that speak of the same thing on the same day, the later one first."""
    ordered = sorted(range(len(entries)), key=lambda n: (entries[n].about, entries[n].first, n))
    for former, latter in pairwise(ordered):
        if entries[former].about == entries[latter].about and entries[latter].first <= entries[former].last:
            yield max(former, latter), min(former, latter)
