"""Entries of the connections file that only the payer knows: rates, purchases, invoices, owners, budgets.

Each entry names its source or its subject, and the days on which it is valid. Without a rate, an amount has no dollar
value: nothing is guessed. What became of a budget is not computed here.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, get_args

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

from usage_assets.core.features import missing_sections
from usage_assets.core.money import digits_of
from usage_assets.core.people import People, Policy
from usage_assets.core.schema import SeedRow, column, to_arrow
from usage_assets.providers import LOADED, PROVIDERS

E = TypeVar("E", bound="Entry")
FOR_EVER = date.max
USD = "USD"


def number(value: object) -> object:
    """Accept an int or a Decimal, as TOML numbers are read. Raises ValueError, for true and false, too."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError("write a number")
    return Decimal(value)


def _day(value: object) -> object:
    """Accept a date only: pydantic would take a number for seconds since 1970. Raises ValueError."""
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


def _several(value: object) -> object:
    """Accept one text for a list of one."""
    return [value] if isinstance(value, str) else value


def known_provider(provider: str) -> str:
    """Return the name of a provider. Raises ValueError for another one."""
    if provider not in LOADED.known:
        raise ValueError(f"unknown; the providers are {', '.join(PROVIDERS)}")
    return provider


def _address(text: str) -> str:
    if not re.fullmatch(r"[^\s@]+@[^\s@]+", text):
        raise ValueError("write an email address")
    return text


def _no_address(text: str) -> str:
    if "@" in text:
        raise ValueError("is an address: write it in addresses")
    return text


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Day = Annotated[date, BeforeValidator(_day)]
Amount = Annotated[Decimal, BeforeValidator(number), Field(max_digits=24, decimal_places=10)]
CurrencyCode = Annotated[str, AfterValidator(_currency)]
Positive = Annotated[Amount, Field(gt=0)]
Month = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{3}-(0[1-9]|1[0-2])$")]


ALL = "all"
SCOPES = ("connection", "team", "project", "workspace", "user", "model", "api_key")
"""What a budget or a guardrail may be limited to, by name or id as in costs."""
PLACES = ("connection", "team", "project", "workspace", "api_key")
"""What shared costs may be limited to."""
Provider = Annotated[str, column("Provider")]


class CreditRateRow(SeedRow):
    """One row per [[credit_rate]] of the connections file."""

    table = "accounting.credit_rates"
    grain = ("workspace_id", "valid_from")

    workspace_id: Annotated[str, column("ChatGPT workspace")]
    valid_from: Annotated[date, column("First day")]
    valid_until: Annotated[date | None, column("Last day; null: until further notice")]
    usd_per_credit: Annotated[Decimal, column("Price of a credit", unit="USD", kind="price", additive=False)]
    source: Annotated[str, column("Source of the rate: a contract, for example")]


class ExchangeRateRow(SeedRow):
    """One row per [[exchange_rate]] of the connections file."""

    table = "accounting.exchange_rates"
    grain = ("currency", "valid_from")

    currency: Annotated[str, column("Currency, ISO 4217")]
    valid_from: Annotated[date, column("First day")]
    valid_until: Annotated[date | None, column("Last day; null: until further notice")]
    usd: Annotated[Decimal, column("Value of one unit (a euro, a yen)", unit="USD", kind="price", additive=False)]
    minor_digits: Annotated[
        int, column("Decimal places of the currency (ISO 4217): 2 for euros, 0 for yen", unit="digits", additive=False)
    ]
    source: Annotated[str, column("Source of the rate: a central bank, for example")]


class PurchaseRow(SeedRow):
    """One row per [[purchase]] of the connections file. Never add it to usage, which consumes what was bought."""

    table = "accounting.purchases"
    grain = ("connection", "id", "valid_from")

    connection: Annotated[str, column("Connection")]
    id: Annotated[str, column("Number of the order or invoice")]
    kind: Annotated[str, column("credits or seats")]
    quantity: Annotated[Decimal, column("Credits or seats", unit="kind", additive=False)]
    amount: Annotated[Decimal, column("Price paid", unit="currency", kind="billed", additive=False)]
    currency: Annotated[str, column("Currency, ISO 4217")]
    valid_from: Annotated[date, column("First day that it covers")]
    valid_until: Annotated[date | None, column("Last day; null: until further notice")]


class SeatPriceRow(SeedRow):
    """One row per [[seat]] of the connections file. Read costs.seat_prices instead: it has prices of bills, too."""

    table = "accounting.seats"
    grain = ("connection", "valid_from")

    connection: Annotated[str, column("Connection")]
    price: Annotated[Decimal, column("Price of a seat and month", unit="currency", kind="price", additive=False)]
    currency: Annotated[str, column("Currency, ISO 4217")]
    included: Annotated[
        Decimal | None,
        column("Use that a seat includes a month; null: not entered", unit="currency", kind="planned", additive=False),
    ]
    count: Annotated[int | None, column("Seats that are paid for; null: not entered", unit="seats", additive=False)]
    valid_from: Annotated[date, column("First day")]
    valid_until: Annotated[date | None, column("Last day; null: until further notice")]


class InvoiceRow(SeedRow):
    """One row per [[invoice]] of the connections file."""

    table = "accounting.invoices"
    grain = ("connection", "id")

    connection: Annotated[str, column("Connection")]
    id: Annotated[str, column("Number of the invoice")]
    month: Annotated[date, column("First day of the invoiced month")]
    total: Annotated[Decimal, column("Total", unit="currency", kind="billed", additive=False)]
    currency: Annotated[str, column("Currency, ISO 4217")]
    issued: Annotated[
        date | None, column("Day it was issued; null: not entered, so the day on which the month is settled")
    ]


class OwnerRow(SeedRow):
    """One row per [[owner]] of the connections file."""

    table = "accounting.owners"
    grain = ("kind", "id", "valid_from")
    renamed = {"cost_centre": "cost_center"}

    connection: Annotated[str | None, column("Connection; null: any connection")]
    kind: Annotated[str, column("api_key, user, project or workspace; the first of these that has an owner decides")]
    id: Annotated[str, column("Its id, or the name of an API key where the provider states no id", personal=True)]
    team: Annotated[str, column("Team that pays")]
    cost_center: Annotated[str | None, column("Its cost center")]
    valid_from: Annotated[date, column("First day")]
    valid_until: Annotated[date | None, column("Last day; null: until further notice")]


ScopeType = Annotated[str, column(f"{ALL}, or one {', '.join(SCOPES[:-1])} or {SCOPES[-1]}")]
ScopeId = Annotated[str | None, column("Its name (connection, team, model) or id; null: all", personal=True)]


class BudgetRow(SeedRow):
    """One row per [[budget]] of the connections file. The amount is for each period between its days."""

    table = "accounting.budgets"
    grain = ("name", "valid_from")

    name: Annotated[str, column("Name")]
    scope_type: ScopeType
    scope_id: ScopeId
    amount: Annotated[Decimal, column("What may be spent in a period", unit="currency", kind="planned", additive=False)]
    currency: Annotated[str | None, column("Currency, ISO 4217; null: credits")]
    period: Annotated[str, column("month or quarter of the calendar, UTC")]
    valid_from: Annotated[date, column("First day")]
    valid_until: Annotated[date | None, column("Last day; null: until further notice")]


class BudgetThresholdRow(SeedRow):
    """One row per threshold of a [[budget]] of the connections file."""

    table = "accounting.budget_thresholds"
    grain = ("name", "valid_from", "threshold")

    name: Annotated[str, column("Name of the budget")]
    valid_from: Annotated[date, column("First day of the budget")]
    threshold: Annotated[Decimal, column("Share of the amount: 0.8 is 80 %", unit="share", additive=False)]


class GuardrailRow(SeedRow):
    """One row per [[guardrail]] of the connections file: it has either above, or rises_by and at_least."""

    table = "accounting.guardrails"
    grain = ("name", "valid_from")

    name: Annotated[str, column("Name")]
    scope_type: ScopeType
    scope_id: ScopeId
    measure: Annotated[str, column("usd (billed), tokens (input and output), or a column of costs.usage")]
    above: Annotated[Decimal | None, column("Most per day", unit="measure", additive=False)]
    rises_by: Annotated[
        Decimal | None, column("Most per day, by the mean of the 7 days before", unit="factor", additive=False)
    ]
    at_least: Annotated[Decimal | None, column("A day below it may rise by more", unit="measure", additive=False)]
    valid_from: Annotated[date, column("First day")]
    valid_until: Annotated[date | None, column("Last day; null: until further notice")]


class MetricRow(SeedRow):
    """One row per day, scope and metric of the files and queries of [[metric]]. A day without a row is unknown, not 0.

    Values are added over days, so they must be counts of things that happen on a day: merged pull requests, tickets.
    """

    table = "accounting.metrics"
    grain = ("usage_date", "scope_type", "scope_id", "metric")

    usage_date: Annotated[date, column("UTC day")]
    scope_type: Annotated[str, column(f"{ALL}, team, project (or workspace) or connection")]
    scope_id: Annotated[str, column("Its name (team, connection) or id; empty for all")]
    metric: Annotated[str, column("What is counted")]
    value: Annotated[Decimal, column("How many", unit="metric", additive=False)]


class WhatIfRow(SeedRow):
    """One row per [[what_if]] of the connections file."""

    table = "accounting.what_ifs"
    grain = ("provider", "model", "to_provider", "to_model", "tier", "cached_share")

    provider: Provider
    model: Annotated[str, column("Model whose tokens are compared")]
    to_provider: Annotated[str, column("Provider of the other model")]
    to_model: Annotated[str, column("The other model, or the same one")]
    tier: Annotated[str | None, column("standard, batch, flex, priority or fast; null: as it was")]
    cached_share: Annotated[
        Decimal | None,
        column("Share of the input that would be read from the cache; null: as it was", unit="share", additive=False),
    ]


class NoteRow(SeedRow):
    """One row per [[note]] of the connections file: what people know about some days. It changes no number."""

    table = "accounting.notes"
    grain = ("name", "valid_from")

    name: Annotated[str, column("What happened, in a few words")]
    scope_type: ScopeType
    scope_id: ScopeId
    text: Annotated[str, column("What there is to know about it")]
    valid_from: Annotated[date, column("First day")]
    valid_until: Annotated[date | None, column("Last day; null: until further notice")]


class ModelNameRow(SeedRow):
    """One row per name in a [[model]] of the connections file. Read models.names instead: it has every name."""

    table = "accounting.models"
    grain = ("provider", "model")

    provider: Annotated[str | None, column("Provider that sends the name; null: any")]
    model: Annotated[str, column("Name of the model as it is sent")]
    family: Annotated[str, column("Model that it means, in one spelling for all providers")]
    version: Annotated[str | None, column("Its version; null: not stated")]
    variant: Annotated[str | None, column("Its variant, such as fast or fine-tuned; null: none")]


def _list_price(kind: str) -> Any:
    return column(f"List price of a million {kind}", unit="USD", kind="price", additive=False)


class ListPriceRow(SeedRow):
    """One row per provider, model, tier, size of requests and first day of a price: public list prices.

    They are those of the package genai-prices, or what a provider publishes as a multiple of the standard price. A kind
    of tokens without a known price is null. Never what is billed. Without the package, there is no row.
    """

    table = "accounting.list_prices"
    grain = ("provider", "model", "tier", "context_window", "valid_from")

    provider: Provider
    model: Annotated[str, column("Model, as costs call it")]
    tier: Annotated[str, column("As usage states it: standard, batch, flex, priority, ...")]
    valid_from: Annotated[date, column("First day")]
    valid_until: Annotated[date | None, column("Last day; null: until further notice")]
    input: Annotated[Decimal | None, _list_price("input tokens that the cache has no part in")]
    cache_read: Annotated[Decimal | None, _list_price("input tokens read from the cache")]
    cache_write: Annotated[Decimal | None, _list_price("input tokens written to the cache for 5 minutes")]
    output: Annotated[Decimal | None, _list_price("output tokens")]
    context_window: Annotated[str | None, column("Size of the requests, as usage states it; null: short ones")] = None
    list_of: Annotated[
        str | None, column("Whose list, as genai-prices calls it: the provider's, or the maker's of the model")
    ] = None
    cache_write_1h: Annotated[Decimal | None, _list_price("input tokens written to the cache for an hour")] = None


class TagAllocationRow(SeedRow):
    """One row per [[tag_allocation]] of the connections file."""

    table = "accounting.tag_allocations"
    grain = ("connection", "api_key", "valid_from")

    connection: Annotated[str, column("Connection whose bill is split")]
    api_key: Annotated[str | None, column("API key whose part of it is split; null: every key's")]
    gateway: Annotated[str, column("Connection of the gateway")]
    tags: Annotated[str, column("What the tags of the family begin with")]
    valid_from: Annotated[date, column("First day")]
    valid_until: Annotated[date | None, column("Last day; null: until further notice")]


class SharedCostRow(SeedRow):
    """One row per [[shared_cost]] of the connections file and cost center that shares it."""

    table = "accounting.shared_costs"
    grain = ("name", "valid_from", "cost_center")

    position: Annotated[int, column("Place in the connections file: the first entry that covers a cost shares it")]
    name: Annotated[str, column("Name")]
    scope_type: Annotated[str, column(f"What is shared: {ALL}, or one {', '.join(PLACES[:-1])} or {PLACES[-1]}")]
    scope_id: Annotated[str | None, column("Its name (connection, team) or id; null: all", personal=True)]
    rule: Annotated[str, column("even, by_use, headcount or shares")]
    cost_center: Annotated[str | None, column("Cost center that has a share; null: each that has costs of its own")]
    weight: Annotated[
        Decimal | None, column("People, or the share; null: the rule needs none", unit="rule", additive=False)
    ]
    valid_from: Annotated[date, column("First day")]
    valid_until: Annotated[date | None, column("Last day; null: until further notice")]


class PersonRow(SeedRow):
    """One row per address, login and id of a [[person]] of the connections file, under each policy that it concerns.

    Under ids, an address is a digest: it matches only an address that is a provider's only id of a person. Under
    hash, it is hashed as in costs and usage.
    """

    table = "accounting.people"
    grain = ("policy", "person", "connection", "kind", "id")

    policy: Annotated[str, column("Policy of the connections that the row applies to: ids, hash or names")]
    person: Annotated[str, column("Digest, the same in all rows of a person; a different one under hash")]
    connection: Annotated[str | None, column("Connection; null: any connection of this policy")]
    kind: Annotated[str, column("address, login or id")]
    id: Annotated[str, column("The address, login or id; in lower case unless it is an id", personal=True)]
    name: Annotated[str | None, column("Name of the person; null unless the policy is names", personal=True)]


class ConfiguredConnectionRow(SeedRow):
    """One row per configured connection. It says what is kept of people, and how its provider knows them."""

    table = "accounting.connections"
    grain = ("connection",)

    connection: Annotated[str, column("Connection")]
    provider: Provider
    people: Annotated[str, column("What is kept of people (USAGE_PEOPLE): ids, hash or names")]
    people_ids: Annotated[
        str,
        column(
            "What the ids of people are: id, the provider's own; login, the same in any case; local, chosen in this "
            "connection, so that another one may mean somebody else"
        ),
    ]
    organization: Annotated[str | None, column("Organization that the connection states; null: none")] = None
    billed_from: Annotated[date | None, column("First billed day: those before it cost $0; null: unknown")] = None
    billed_until: Annotated[date | None, column("Last billed day: those after it cost $0; null: none")] = None


class SeparateBillRow(SeedRow):
    """One row per pair of connections that share no charge, as the connections file states (no_overlap_with)."""

    table = "accounting.separate_bills"
    grain = ("connection", "other")

    connection: Annotated[str, column("Connection with the no_overlap_with")]
    other: Annotated[str, column("Connection that it names")]


class CurrencyRow(SeedRow):
    """One row per ISO 4217 currency that has a smallest unit. Comes with the release, not from the connections file."""

    table = "accounting.currencies"
    grain = ("currency",)

    currency: Annotated[str, column("Currency, ISO 4217")]
    minor_unit: Annotated[
        Decimal,
        column("Value of its smallest unit: 0.01 for euros, 1 for yen", unit="currency", kind="price", additive=False),
    ]


class ProviderRow(SeedRow):
    """One row per provider, with its names in FOCUS. Comes with the release, not from the connections file."""

    table = "accounting.providers"
    grain = ("provider",)

    provider: Annotated[str, column("Provider")]
    company: Annotated[str, column("Company that bills")]
    service: Annotated[str, column("Service that is billed")]
    sub_account_type: Annotated[str, column("What an organization is divided into: projects or workspaces")]
    default_sub_account: Annotated[
        str | None, column("Name of the project or workspace without an id; null: each has an id")
    ]
    model_developer: Annotated[str | None, column("Who has made the models; null: several, or unknown")]


class CostSourceRow(SeedRow):
    """One row per raw table that costs are computed from. Comes with the release, not from the connections file."""

    table = "accounting.cost_sources"
    grain = ("source_table",)

    source_table: Annotated[str, column("Raw table")]
    billed_totals: Annotated[
        str | None,
        column("GLOB for its daily totals that are billed: if one is restated, that is a correction; null: none"),
    ]
    charge: Annotated[str | None, column("Name of a charge that has neither a line item nor a model")]
    splits_line_items: Annotated[
        bool | None, column("Whether model and kind of usage are read from the line item; null: no")
    ] = None
    is_focus: Annotated[bool | None, column("Whether its rows are exported as FOCUS as they are; null: no")] = None


class BillNameRow(SeedRow):
    """One row per provider and name by which bills of other vendors know what it bills.

    Comes with the release, not from the connections file.
    """

    table = "accounting.bill_names"
    grain = ("provider", "kind", "pattern")

    provider: Annotated[str, column("Provider")]
    kind: Annotated[str, column("service, or seller: counts only for a charge whose service no provider claims")]
    pattern: Annotated[str, column("GLOB, in lower case")]


class Entry(BaseModel):
    """One entry of the connections file about money."""

    model_config = ConfigDict(extra="forbid")

    stored_as: ClassVar[type[SeedRow] | None] = None
    """The row that holds it, if one does."""

    def stated(self) -> dict[str, Any]:
        """Return the fields as its row has them."""
        return self.model_dump()

    def rows(self, position: int) -> Iterable[SeedRow]:  # noqa: ARG002 - some are stored in their order
        """Return the rows that hold it; none of what is not stored as it is. ``position`` is its place in the file."""
        return [self.stored_as(**self.stated())] if self.stored_as else ()


class Unique(Entry):
    """An entry that covers some days."""

    identity: ClassVar[tuple[str, ...]]
    """Fields that identify the subject. Two entries with the same subject must not cover the same day."""

    @property
    def about(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.identity)

    @property
    def first(self) -> date:
        raise NotImplementedError

    @property
    def last(self) -> date:
        raise NotImplementedError


class Dated(Unique):
    """An entry that states its days."""

    valid_from: Day
    valid_until: Day | None = None
    """The last day; None: no end."""

    @field_validator("valid_until")
    @classmethod
    def _without_end(cls, day: date | None) -> date | None:
        """Read date.max as no end: the period's exclusive end, the day after it, would not be a date."""
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
    """US dollars per credit of a ChatGPT workspace, by contract."""

    identity = ("workspace",)
    stored_as = CreditRateRow

    workspace: Text
    usd_per_credit: Annotated[Decimal, BeforeValidator(number), Field(gt=0, max_digits=14, decimal_places=10)]
    source: Text

    def stated(self) -> dict[str, Any]:
        return {"workspace_id": self.workspace, **self.model_dump(exclude={"workspace"})}


class ExchangeRate(Dated):
    """US dollars per unit of a currency (a euro, a yen)."""

    identity = ("currency",)
    stored_as = ExchangeRateRow

    currency: Annotated[CurrencyCode, AfterValidator(_foreign)]
    usd: Annotated[Decimal, BeforeValidator(number), Field(gt=0, lt=10, max_digits=11, decimal_places=10)]
    source: Text

    def stated(self) -> dict[str, Any]:
        return {"minor_digits": digits_of(self.currency), **self.model_dump()}


class Purchase(Dated):
    """Credits or seats that were bought for a period. Never part of usage."""

    identity = ("connection", "id")
    stored_as = PurchaseRow

    connection: Text
    kind: Literal["credits", "seats"]
    amount: Amount
    currency: CurrencyCode = USD
    quantity: Positive
    """Credits or seats."""
    id: Text
    """Number of the order or invoice."""


class SeatPrice(Dated):
    """What one seat of a connection costs a month, where no API says it."""

    identity = ("connection",)
    stored_as = SeatPriceRow

    connection: Text
    price: Positive
    """Of one seat and month."""
    currency: CurrencyCode = USD
    included: Positive | None = None
    """Use that one seat includes a month, in the same currency."""
    count: Annotated[int, Field(gt=0, strict=True)] | None = None
    """Seats that are paid for."""
    valid_from: Day = date(1970, 1, 1)


class Invoice(Unique):
    """The total that a provider invoiced for a month."""

    identity = ("connection", "id")
    stored_as = InvoiceRow

    connection: Text
    month: Month
    total: Amount
    currency: CurrencyCode = USD
    id: Text
    issued: Day | None = None
    """The day it was issued; None: the day on which the month is settled."""

    @property
    def first(self) -> date:
        return date.fromisoformat(f"{self.month}-01")

    @property
    def last(self) -> date:
        """No end: an invoice is for one month, so its id must not be used for another month."""
        return FOR_EVER

    def stated(self) -> dict[str, Any]:
        return {**self.model_dump(), "month": self.first}


OWNED = ("api_key", "user", "project", "workspace")
"""What can have an owner. If several of these have one, the first in this order decides."""


class Owner(Dated):
    """The team that pays for a project, workspace, API key or user."""

    identity = ("owned",)
    stored_as = OwnerRow

    connection: Text | None = None
    """None: any connection."""
    api_key: Text | None = None
    user: Text | None = None
    project: Text | None = None
    workspace: Text | None = None
    team: Text
    cost_center: Text | None = None
    valid_from: Day = date(1970, 1, 1)

    @model_validator(mode="before")
    @classmethod
    def _with_former_key(cls, fields: Any) -> Any:
        if not isinstance(fields, dict) or "cost_centre" not in fields:
            return fields
        if "cost_center" in fields:
            raise ValueError("cost_centre is the former name of cost_center: write one of them")
        return {"cost_center" if key == "cost_centre" else key: value for key, value in fields.items()}

    @model_validator(mode="after")
    def _owns_one_thing(self) -> Self:
        if len([name for name in OWNED if getattr(self, name)]) != 1:
            raise ValueError(f"name one of {', '.join(OWNED)}")
        return self

    @property
    def owned(self) -> tuple[str, str]:
        return next((name, value) for name in OWNED if (value := getattr(self, name)))

    def stated(self) -> dict[str, Any]:
        kind, id_ = self.owned
        return {"kind": kind, "id": id_, **self.model_dump(exclude={*OWNED})}


class Placed(Dated):
    """An entry about everything, or about one connection, team, project, workspace or API key."""

    identity = ("name",)
    scopes: ClassVar[tuple[str, ...]] = PLACES
    """What it may be about."""

    name: Text
    connection: Text | None = None
    team: Text | None = None
    project: Text | None = None
    workspace: Text | None = None
    api_key: Text | None = None

    @model_validator(mode="after")
    def _is_about_one_thing(self) -> Self:
        if len([name for name in self.scopes if getattr(self, name)]) > 1:
            raise ValueError(f"name at most one of {', '.join(self.scopes)}")
        return self

    @property
    def scope(self) -> tuple[str, str | None]:
        return next(((kind, named) for kind in self.scopes if (named := getattr(self, kind))), (ALL, None))

    def stated(self) -> dict[str, Any]:
        """Return the fields as a row has them: the scope as its kind and its name or id."""
        kind, named = self.scope
        return {**self.model_dump(exclude={*self.scopes}), "scope_type": kind, "scope_id": named}


class Scoped(Placed):
    """An entry that may also be about one user or model."""

    scopes = SCOPES

    user: Text | None = None
    model: Text | None = None
    valid_from: Day = date(1970, 1, 1)


class Budget(Scoped):
    """What may be spent in each month or quarter: money, or credits."""

    stored_as = BudgetRow

    amount: Positive | None = None
    currency: CurrencyCode | None = None
    """None: USD, or credits."""
    credits: Positive | None = None
    period: Literal["month", "quarter"] = "month"
    thresholds: Annotated[list[Positive], Field(min_length=1)] = [Decimal("0.5"), Decimal("0.8"), Decimal(1)]
    """Shares of the amount that are worth a message."""

    @field_validator("thresholds")
    @classmethod
    def _ascends(cls, thresholds: list[Decimal]) -> list[Decimal]:
        if any(latter <= former for former, latter in pairwise(thresholds)):
            raise ValueError("write them in ascending order, each once")
        return thresholds

    @model_validator(mode="after")
    def _is_in_one_unit(self) -> Self:
        if (self.amount is None) == (self.credits is None):
            raise ValueError("name one of amount, credits")
        if self.credits is not None and self.currency:
            raise ValueError("credits have no currency")
        return self

    def stated(self) -> dict[str, Any]:
        fields = super().stated()
        fields.pop("thresholds")
        if of_credits := fields.pop("credits"):
            return {**fields, "amount": of_credits}
        return {**fields, "currency": self.currency or USD}

    def rows(self, position: int) -> Iterator[SeedRow]:
        """Yield its row, and one for each threshold."""
        yield from super().rows(position)
        for threshold in self.thresholds:
            yield BudgetThresholdRow(name=self.name, valid_from=self.valid_from, threshold=threshold)


Handle = Annotated[Text, AfterValidator(_no_address)]


class Person(Entry):
    """What the providers call one person. Entries of one name are about the same person."""

    name: Text
    connection: Text | None = None
    """Where they are called so. None: in any connection."""
    addresses: list[Annotated[Text, AfterValidator(_address)]] = []
    logins: list[Handle] = []
    """Of providers that know people by login. Upper and lower case are the same."""
    ids: list[Handle] = []

    @model_validator(mode="after")
    def _has_an_identity(self) -> Self:
        if not (self.addresses or self.logins or self.ids):
            raise ValueError("name at least one of addresses, logins, ids")
        return self

    @property
    def identities(self) -> Iterator[tuple[str, int, str, str]]:
        """Yield the field, the position in it, the kind, and the text in the case in which it is compared."""
        for field, kind, texts in (
            ("addresses", "address", map(str.lower, self.addresses)),
            ("logins", "login", map(str.lower, self.logins)),
            ("ids", "id", self.ids),
        ):
            for number, text in enumerate(texts):
                yield field, number, kind, text


class TagAllocation(Dated):
    """Bills of models that are split by the tags of a gateway's requests. A request has at most one of the family."""

    identity = ("billed",)
    stored_as = TagAllocationRow

    connection: Text
    """Whose bill is split."""
    api_key: Text | None = None
    """Only what this API key was billed: the gateway's. None: all of the connection's models."""
    gateway: Text
    """The gateway's connection."""
    tags: Text
    """What the tags of the family begin with, such as ``team:``."""
    valid_from: Day = date(1970, 1, 1)

    @property
    def billed(self) -> tuple[str, str]:
        return self.connection, self.api_key or ""


Rule = Literal["even", "by_use", "headcount", "shares"]
RULES: Sequence[Rule] = get_args(Rule)


class SharedCost(Placed):
    """Costs without a cost center of their own that several cost centers share, by one rule."""

    even: Annotated[list[Text], Field(min_length=1)] | None = None
    """The same for each of these cost centers."""
    by_use: Annotated[list[Text], Field(min_length=1)] | Literal[True] | None = None
    """As much as each of these was billed itself on the same days, in the same currency; true: all cost centers."""
    headcount: Annotated[dict[Text, Annotated[int, Field(gt=0)]], Field(min_length=1)] | None = None
    """Cost center -> people."""
    shares: Annotated[dict[Text, Positive], Field(min_length=1)] | None = None
    """Cost center -> share; 1 together."""
    valid_from: Day = date(1970, 1, 1)

    @model_validator(mode="after")
    def _has_one_rule(self) -> Self:
        if len([rule for rule in RULES if getattr(self, rule)]) != 1:
            raise ValueError(f"name one of {', '.join(RULES)}")
        listed = self.even or (self.by_use if isinstance(self.by_use, list) else None) or []
        if len({*listed}) != len(listed):
            raise ValueError("name each cost center once")
        if self.shares and sum(self.shares.values()) != 1:
            raise ValueError(f"shares add up to {sum(self.shares.values())}, not to 1; for thirds, write headcount")
        return self

    def rows(self, position: int) -> "Iterator[SharedCostRow]":
        """Yield a row for each cost center; one for all."""
        rule = next(rule for rule in RULES if getattr(self, rule))
        stated = getattr(self, rule)
        weights = stated if isinstance(stated, dict) else dict.fromkeys([None] if stated is True else stated)
        fields = {name: value for name, value in self.stated().items() if name not in RULES}
        for cost_center, weight in weights.items():
            yield SharedCostRow(
                position=position,
                rule=rule,
                cost_center=cost_center,
                weight=None if weight is None else Decimal(weight),
                **fields,
            )


class ModelName(Entry):
    """Which model a name means that a provider sends: for names that the rules of models.names cannot know."""

    provider: Text | None = None
    """None: whoever sends the name."""
    as_sent: Annotated[list[Text], BeforeValidator(_several), Field(min_length=1)]
    """The name, or several."""
    family: Text
    version: Text | None = None
    variant: Text | None = None

    @field_validator("provider")
    @classmethod
    def _is_known(cls, provider: str | None) -> str | None:
        return provider and known_provider(provider)

    def rows(self, position: int) -> Iterable[SeedRow]:  # noqa: ARG002 - as in Entry
        """Return a row for each name."""
        return [ModelNameRow(model=name, **self.model_dump(exclude={"as_sent"})) for name in self.as_sent]


ENTRIES = (
    CreditRateRow,
    ExchangeRateRow,
    PurchaseRow,
    SeatPriceRow,
    InvoiceRow,
    OwnerRow,
    BudgetRow,
    BudgetThresholdRow,
    GuardrailRow,
    WhatIfRow,
    NoteRow,
    TagAllocationRow,
    SharedCostRow,
    ModelNameRow,
    PersonRow,
    SeparateBillRow,
)
"""Tables whose rows come from the connections file alone."""
OF_SECTIONS: Mapping[str, type[SeedRow]] = {"guardrail": GuardrailRow, "what_if": WhatIfRow, "note": NoteRow}
"""Of these: section that an extension adds -> its table."""
STATED = (*ENTRIES, ConfiguredConnectionRow)
"""Tables whose rows are configured."""
RELEASED = (CurrencyRow, ProviderRow, CostSourceRow, BillNameRow)
"""Tables whose rows come with the release, not from the connections file."""


class Entries(BaseModel):
    """The entries of the connections file about money, by kind. A field is named like an array of tables, with an s."""

    model_config = ConfigDict(extra="forbid")

    credit_rates: Sequence[CreditRate] = ()
    exchange_rates: Sequence[ExchangeRate] = ()
    purchases: Sequence[Purchase] = ()
    seats: Sequence[SeatPrice] = ()
    invoices: Sequence[Invoice] = ()
    owners: Sequence[Owner] = ()
    budgets: Sequence[Budget] = ()
    tag_allocations: Sequence[TagAllocation] = ()
    shared_costs: Sequence[SharedCost] = ()
    models: Sequence[ModelName] = ()
    persons: Sequence[Person] = ()


class Accounting(Entries):
    """What the connections file says about money, as it is stored."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    people: Sequence[PersonRow] = ()
    """The persons (``person_rows``)."""
    connections: Sequence[ConfiguredConnectionRow] = ()
    separate_bills: Sequence[SeparateBillRow] = ()
    added: Mapping[str, Sequence[Entry]] = {}
    """Entries of the sections that features add, by section."""

    def of_section(self, section: str, kind: type[E]) -> Sequence[E]:
        """Return the entries of such a section."""
        return [each for each in self.added.get(section, ()) if isinstance(each, kind)]

    def tables(self) -> Mapping[type[SeedRow], pa.Table]:
        """Return the rows of every accounting table: the entries, and what comes with the release (RELEASED). There are
        no rows of a section that only a missing extension reads: what is stored of it stays."""
        unread = {OF_SECTIONS[section] for section in OF_SECTIONS.keys() & missing_sections().keys()}
        rows: dict[type[SeedRow], list[SeedRow]] = {row: [] for row in (*STATED, *RELEASED) if row not in unread}
        kinds = (*(getattr(self, kind) for kind in Entries.model_fields), *self.added.values())
        entries = ((n, entry) for kind in kinds for n, entry in enumerate(kind))
        stated = (row for position, entry in entries for row in entry.rows(position))
        for row in (*stated, *self.people, *self.connections, *self.separate_bills, *_released()):
            rows[type(row)].append(row)
        return {row: to_arrow(row, of_it) for row, of_it in rows.items()}


def _released() -> Iterator[SeedRow]:
    for currency in Currency:
        if currency.exponent is not None:
            yield CurrencyRow(currency=currency.code, minor_unit=Decimal(1).scaleb(-currency.exponent))
    for provider in PROVIDERS.values():
        yield ProviderRow(
            provider=provider.name,
            company=provider.company,
            service=provider.service,
            sub_account_type=provider.sub_account_type,
            default_sub_account=provider.default_sub_account,
            model_developer=provider.company if provider.develops_models else None,
        )
        for source in provider.costs:
            yield CostSourceRow(
                source_table=source.table,
                billed_totals=source.billed_totals,
                charge=source.charge,
                splits_line_items=source.splits_line_items,
                is_focus=source.is_focus,
            )
        if named := provider.billed_as:
            for kind, patterns in (("service", named.services), ("seller", named.sellers)):
                for pattern in patterns:
                    yield BillNameRow(provider=provider.name, kind=kind, pattern=pattern.lower())


def repeated(entries: Sequence[Unique]) -> Iterator[tuple[int, int]]:
    """Yield the positions of two entries with the same subject that cover the same day, the later position first."""
    ordered = sorted(range(len(entries)), key=lambda n: (entries[n].about, entries[n].first, n))
    for former, latter in pairwise(ordered):
        if entries[former].about == entries[latter].about and entries[latter].first <= entries[former].last:
            yield max(former, latter), min(former, latter)


def person_rows(
    entries: Sequence[Person], policies: Mapping[str, Policy], people_of: Callable[[Policy], People]
) -> Sequence[PersonRow]:
    """Return the identities of all persons as the connections of each policy store them, in an order of their own.

    Of a person who was forgotten there is none, whatever the entries say.
    """
    persons: defaultdict[str, list[Person]] = defaultdict(list)
    for entry in entries:
        persons[entry.name].append(entry)
    rows: list[PersonRow] = []
    for policy in {*policies.values()}:
        people = people_of(policy)
        for name, same in persons.items():
            if any(people.forgotten.stand_in(text) for entry in same for _, _, _, text in entry.identities):
                continue
            # a person of hashed addresses is not tied to readable ones
            readable = people if policy == "hash" else People("ids")
            first = min(
                (entry.connection or "", *_as_stored(kind, text, readable))
                for entry in same
                for _, _, kind, text in entry.identities
            )
            person = sha256("/".join((str(policy == "hash"), *first)).encode()).hexdigest()[:24]
            stated = {
                (entry.connection, *_as_stored(kind, text, people))
                for entry in same
                if entry.connection is None or policies.get(entry.connection) == policy
                for _, _, kind, text in entry.identities
            }
            shown = people.person_name(name)
            rows += [
                PersonRow(policy=policy, person=person, connection=connection, kind=kind, id=id_, name=shown)
                for connection, kind, id_ in stated
            ]
    return sorted(rows, key=lambda row: (row.policy, row.person, row.connection or "", row.kind, row.id))


def _as_stored(kind: str, text: str, people: People) -> tuple[str, str]:
    return kind, people.stated(text) if kind == "address" else text


def shared_identity(entries: Sequence[Person]) -> tuple[int, str, int, int] | None:
    """Return the first identity, as entry, field and position, that an earlier entry has of somebody else; and it."""
    stated: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for number, entry in enumerate(entries):
        for field, position, kind, text in entry.identities:
            for before in stated[kind, text]:
                other = entries[before]
                is_same_place = None in (entry.connection, other.connection) or entry.connection == other.connection
                if other.name != entry.name and is_same_place:
                    return number, field, position, before
            stated[kind, text].append(number)
    return None
