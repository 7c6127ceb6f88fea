"""What a company was billed and what is stored of it, as plain data. Its sums use no arithmetic of the product.

A company has lines (what is billed for one thing), sources (how a raw table of a connection was fetched), and what the
connections file states. ``stored_company`` writes it into a warehouse.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cached_property, reduce
from itertools import pairwise
from typing import NamedTuple

from usage_assets.config.accounting import Accounting, Owner
from usage_assets.core.schema import Row
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets_finance.focus.charges import Charges
from usage_assets_vendors.github_copilot.billing import AiCredits, BillingUsage, PremiumRequests

DAY = timedelta(days=1)
ZERO, ONE = Decimal(0), Decimal(1)
EXACT = Context(prec=100)
PLACES = Decimal(1).scaleb(-24)
"""What a stored decimal has."""
CREDITS = "credits"
MORNING, EVENING = time(6, tzinfo=UTC), time(18, tzinfo=UTC)
"""When a day is fetched that is over, and when one is that is not."""
SMALLEST = {"USD": 2, "EUR": 2, "JPY": 0, "BRL": 2}
"""Decimal places of the currencies."""


def added(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    return reduce(EXACT.add, amounts, ZERO)


def times(amount: Decimal, factor: Decimal) -> Decimal:
    """A product as it is stored."""
    return EXACT.multiply(amount, factor).quantize(PLACES, ROUND_HALF_UP, EXACT)


def days_between(first: date, last: date) -> Sequence[date]:
    """Both and those between; none if the last is before the first."""
    return [first + DAY * n for n in range((last - first).days + 1)]


def month_end(day: date) -> date:
    return (day.replace(day=28) + DAY * 4).replace(day=1) - DAY


class Report(NamedTuple):
    """A raw table that costs are computed from, and what its daily totals of money are called."""

    row: type[Row]
    in_dollars: tuple[str, ...]
    in_others: str = ""
    """What the totals of other currencies begin with."""
    in_cents: bool = False
    is_allocated: bool = False
    is_billed: bool = True


REPORTS = {
    report.row.table: report
    for report in (
        Report(Charges, ("billed_usd",), "billed"),
        Report(Costs, ("amount_usd",), "amount", is_allocated=True),
        Report(CostReport, ("amount_cents",), "amount", in_cents=True, is_allocated=True),
        Report(ClaudeCode, ("estimated_cents_api",), in_cents=True, is_billed=False),
        Report(CodexUsage, ("cost_usd",)),
        Report(AiCredits, ("net_amount",), is_allocated=True),
        Report(PremiumRequests, ("net_amount",)),
        Report(BillingUsage, ("net_amount", "seats_amount")),
    )
}


class Share(NamedTuple):
    """Who used a part of what is billed: hundredths of it."""

    user: str | None
    api_key: str | None
    hundredths: int


@dataclass(frozen=True, kw_only=True)
class Line:
    """What is billed for one thing, each day that it is billed."""

    connection: str
    table: str
    amounts: Mapping[date, Decimal]
    """In whole units, when they are final."""
    currency: str | None = "USD"
    """None: credits."""
    basis: str = "billed"
    project: str | None = None
    workspace: str | None = None
    user: str | None = None
    api_key: str | None = None
    model: str | None = None
    item: str | None = None
    shares: Sequence[Share] = ()
    """Who used it, where the bill does not say."""
    frequency: str | None = None
    """What the source states: Recurring, or None."""

    @property
    def unit(self) -> str:
        return self.currency or CREDITS

    @property
    def native_unit(self) -> str:
        if self.currency is None:
            return CREDITS
        if REPORTS[self.table].in_cents:
            return "cents" if self.currency == "USD" else "minor units"
        return "dollars" if self.currency == "USD" else "major units"

    def native(self, amount: Decimal) -> Decimal:
        """The amount as the provider states it."""
        in_minor = self.native_unit in ("cents", "minor units")
        return EXACT.scaleb(amount, SMALLEST[self.unit]) if in_minor else amount


class Fetch(NamedTuple):
    """A time at which a day was fetched."""

    at: datetime
    is_open: bool = False


@dataclass(frozen=True, kw_only=True)
class Source:
    """How a raw table of a connection was fetched."""

    connection: str
    table: str
    first: date
    last: date
    today: date
    settling_days: int
    since: date
    """Day of the first fetch, of all days before it."""
    again: Collection[int] = ()
    """Ages in days at which a day is read again."""
    lost: Collection[date] = ()
    """Days between that are not stored."""
    left_open: Collection[date] = ()
    """Days that were last fetched before they were over."""
    early: Mapping[date, tuple[int, Decimal]] = field(default_factory=dict)
    """Restated days: until this age, this part of the final amount was billed."""
    renamed: Mapping[date, int] = field(default_factory=dict)
    """Days whose rows were others until this age, with equal sums."""
    asked_anew: date | None = None
    """Day since which the request is another one: before, it found half of the amounts."""

    @property
    def days(self) -> Sequence[date]:
        return [day for day in days_between(self.first, self.last) if day not in self.lost]

    def fetches(self, day: date) -> Sequence[Fetch]:
        """When the day was fetched, in order."""
        early = [Fetch(datetime.combine(day, EVENING), is_open=True)] if day in self.left_open else []
        first = max(self.since, day + DAY)
        if day in self.left_open or first > self.today:
            return early or [Fetch(datetime.combine(day + DAY, MORNING))]
        ages = {first, *(day + DAY * age for age in self.again)}
        if self.asked_anew:
            ages.add(self.asked_anew)
        return [Fetch(datetime.combine(on, MORNING)) for on in sorted(ages) if first <= on <= self.today]

    def is_anew(self, at: datetime) -> bool:
        """Whether a fetch has asked the present question."""
        return self.asked_anew is not None and at.date() >= self.asked_anew

    def billed(self, day: date, at: datetime) -> Decimal:
        """What part of the final amount the provider said at a time."""
        until, part = self.early.get(day, (0, ONE))
        narrow = Decimal("0.5") if self.asked_anew and not self.is_anew(at) else ONE
        return EXACT.multiply(part if (at.date() - day).days < until else ONE, narrow)

    def stored(self, day: date) -> Decimal:
        """What part of the final amount is stored."""
        return self.billed(day, self.fetches(day)[-1].at)

    def content(self, day: date, at: datetime) -> tuple[Decimal, bool]:
        """What makes two answers equal."""
        return self.billed(day, at), (at.date() - day).days < self.renamed.get(day, 0)

    @cached_property
    def restated_at(self) -> int:
        """The highest age at which the provider was found to have changed an amount; -1: it never did."""
        found = [-1]
        for day in self.early:
            fetches = [fetch for fetch in self.fetches(day) if not fetch.is_open] if day in self.days else []
            for before, after in pairwise(fetches):
                is_same_question = self.is_anew(before.at) == self.is_anew(after.at)
                if is_same_question and self.billed(day, before.at) != self.billed(day, after.at):
                    found.append((after.at.date() - day).days)
        return max(found)


@dataclass(frozen=True, kw_only=True)
class Company:
    """A company on a day."""

    newest: date
    """The last day that is over."""
    lines: Sequence[Line]
    sources: Sequence[Source]
    accounting: Accounting = field(default_factory=Accounting)
    configured: Collection[str] = ()
    """The connections that it still has."""

    @property
    def today(self) -> date:
        return self.newest + DAY

    @cached_property
    def connections(self) -> Sequence[str]:
        return sorted({source.connection for source in self.sources})

    def source(self, connection: str, table: str) -> Source:
        [found] = [each for each in self.sources if (each.connection, each.table) == (connection, table)]
        return found

    def rate(self, currency: str, day: date) -> Decimal | None:
        """What a unit of a currency was worth."""
        if currency == "USD":
            return ONE
        rates = (rate for rate in self.accounting.exchange_rates if rate.currency == currency)
        return next((rate.usd for rate in rates if rate.first <= day <= rate.last), None)

    def dollars(self, line: Line, amount: Decimal, day: date) -> Decimal | None:
        """What an amount is worth; credits by the rate of their workspace."""
        rates = (rate for rate in self.accounting.credit_rates if rate.workspace == line.workspace)
        rate = (
            self.rate(line.currency, day)
            if line.currency
            else next((rate.usd_per_credit for rate in rates if rate.first <= day <= rate.last), None)
        )
        return None if rate is None else times(amount, rate)

    @cached_property
    def owners(self) -> Mapping[tuple[str, str], Sequence[Owner]]:
        """The owners of each thing that has some."""
        found: dict[tuple[str, str], list[Owner]] = defaultdict(list)
        for owner in self.accounting.owners:
            kind, name = owner.owned
            found[kind, name].append(owner)
        return found

    def team(self, entry: "Entry") -> str:
        """Whose it is: the owner of the key, the person, the project or the workspace, in this order."""
        for kind in ("api_key", "user", "project", "workspace"):
            for owner in self.owners.get((kind, getattr(entry, kind)), ()):
                if owner.connection in (None, entry.connection) and owner.first <= entry.day <= owner.last:
                    return owner.team
        return "unowned"


class Entry(NamedTuple):
    """What one user or key used of a line on a day."""

    line: Line
    connection: str
    day: date
    amount: Decimal
    usd: Decimal | None
    user: str | None
    api_key: str | None
    project: str | None
    workspace: str | None
    model: str | None


Parts = Mapping[str, Mapping[date, Decimal]]
"""What a scope was billed per connection and day."""


@dataclass(frozen=True, kw_only=True)
class Books:
    """What is stored of a company, and whether it may still change."""

    company: Company
    states: Mapping[tuple[str, date], str]
    """Connection and day: open, provisional or settled, of all tables that it is billed by."""
    sums: dict[tuple[str, str, str], Parts] = field(default_factory=dict)

    @cached_property
    def entries(self) -> Sequence[Entry]:
        return list(entries_of(self.company))

    @cached_property
    def scopes(self) -> Collection[tuple[str, str]]:
        """All that is billed or used."""
        found = {("all", "")}
        for entry in self.entries:
            values = {kind: getattr(entry, kind) for kind in KINDS} | {"team": self.company.team(entry)}
            found |= {(kind, value) for kind, value in values.items() if value}
        return found

    def parts(self, kind: str, name: str, unit: str = "USD") -> Parts:
        """What is stored of a scope. In USD: all that is billed and has a rate; else the amounts in that unit."""
        if (kind, name, unit) not in self.sums:
            found: dict[str, dict[date, list[Decimal]]] = defaultdict(lambda: defaultdict(list))
            for entry in self.entries:
                amount = value_in(entry, unit)
                if amount is not None and self.is_of(entry, kind, name):
                    found[entry.connection][entry.day].append(amount)
            self.sums[kind, name, unit] = {
                connection: {day: added(amounts) for day, amounts in days.items()} for connection, days in found.items()
            }
        return self.sums[kind, name, unit]

    def is_of(self, entry: Entry, kind: str, name: str) -> bool:
        if kind == "all":
            return True
        return name == (self.company.team(entry) if kind == "team" else getattr(entry, kind))

    def spent(self, parts: Parts, first: date, last: date) -> tuple[Decimal, Decimal]:
        """What is settled, and what is not."""
        settled: list[Decimal] = []
        provisional: list[Decimal] = []
        for connection, days in parts.items():
            for day, amount in days.items():
                if first <= day <= last:
                    (settled if self.states[connection, day] == "settled" else provisional).append(amount)
        return added(settled), added(provisional)

    @cached_property
    def first_and_last(self) -> Mapping[str, tuple[date, date]]:
        """The first and the last stored day of each connection."""
        days: dict[str, list[date]] = defaultdict(list)
        for connection, day in self.states:
            days[connection].append(day)
        return {connection: (min(stored), max(stored)) for connection, stored in days.items()}

    def days_of(self, connection: str) -> tuple[date, date]:
        """First and last day of a connection: after it ended, no day is missing."""
        first, last = self.first_and_last[connection]
        ended = connection not in self.company.configured
        return first, last if ended else self.company.newest

    def begins_after(self, connection: str, first: date) -> bool:
        """Whether nobody knows what the first days of a period cost: a provider's 0 would be stored."""
        return self.days_of(connection)[0] > first

    def lacks(self, connection: str, first: date, last: date) -> bool:
        """Whether a day of the period is missing between others."""
        begins, ends = self.days_of(connection)
        days = days_between(max(first, begins), min(last, ends))
        return any((connection, day) not in self.states for day in days)

    def is_open(self, connection: str, first: date, last: date) -> bool:
        return any(self.states.get((connection, day)) == "open" for day in days_between(first, last))

    def may_grow(self, connection: str, first: date, last: date) -> bool:
        """Whether days of the period are provisional at an age at which the provider has restated others."""
        ages = [
            (self.company.today - day).days
            for day in days_between(first, last)
            if self.states.get((connection, day)) in ("provisional", "open")
        ]
        sources = [source for source in self.company.sources if source.connection == connection]
        return any(age <= source.restated_at + 1 for age in ages for source in sources)


KINDS = ("connection", "project", "workspace", "user", "api_key", "model")


def value_in(entry: Entry, unit: str) -> Decimal | None:
    if unit == "USD":
        return None if entry.line.unit == CREDITS else entry.usd
    return entry.amount if entry.line.unit == unit else None


def entries_of(company: Company) -> Iterator[Entry]:
    """Yield what is stored, as finely as it is known whom it is for. What is estimated is never billed."""
    for line in company.lines:
        source = company.source(line.connection, line.table)
        stored = {*source.days}
        for day, final in line.amounts.items():
            if day not in stored or line.basis == "estimated":
                continue
            amount = times(final, source.stored(day))
            usd = company.dollars(line, amount, day)
            shares = line.shares or (Share(line.user, line.api_key, 100),)
            for share, part, part_usd in zip(shares, split(amount, shares), split(usd, shares), strict=True):
                yield Entry(
                    line=line,
                    connection=line.connection,
                    day=day,
                    amount=part or ZERO,
                    usd=part_usd,
                    user=share.user,
                    api_key=share.api_key,
                    project=line.project,
                    workspace=line.workspace,
                    model=line.model,
                )


def split(amount: Decimal | None, shares: Sequence[Share]) -> Sequence[Decimal | None]:
    """The parts of an amount; the last one is what the others leave."""
    if amount is None:
        return [None] * len(shares)
    parts = [times(amount, Decimal(share.hundredths).scaleb(-2)) for share in shares[:-1]]
    return [*parts, EXACT.subtract(amount, added(parts))]
