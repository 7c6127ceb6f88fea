"""Statements of a month, and corrections of months that were issued before. Pure: issued.py asks the ledger."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

from usage_assets.core.days import DAY, end_of_month
from usage_assets.core.money import digits_of, with_unit
from usage_assets_finance.statement.lines import Line, Month, in_order

K = TypeVar("K")
ZERO = Fraction()
WITHOUT = "without a cost center"
DIMENSIONS: Mapping[str, str] = {
    "provider": "By provider",
    "model": "By model",
    "project": "By project",
    "person": "By person or key",
}
"""What a statement's lines are added up by -> heading."""


@dataclass(frozen=True)
class Correction:
    """By how much an issued month has changed for a cost center, in one currency."""

    month: date
    currency: str
    payable: int
    """In the smallest unit of the currency."""
    amounts: Mapping[str, Fraction]
    """Connection -> exact difference. A cent may move although none of these has changed: the bill is rounded once."""

    def line(self, cost_center: str | None) -> Line:
        why = ", ".join(sorted(self.amounts)) or "rounding"
        return Line(
            cost_center,
            self.currency,
            sum(self.amounts.values(), Fraction()),
            kind="correction",
            what=f"Correction of {self.month:%Y-%m}: {why}",
            payable=self.payable,
        )


@dataclass(frozen=True)
class Issued:
    """What the ledger keeps of an issued statement."""

    month: date
    cost_center: str | None
    issued_at: datetime
    accepted: str | None
    """What was not final and was accepted; in further lines what was wrong and was accepted."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Form (csv, xlsx, pdf) -> SHA-256."""
    amounts: Mapping[tuple[str, str], Fraction] = field(default_factory=dict)
    """Connection and currency -> exact sum of the month."""
    payable: Mapping[str, int] = field(default_factory=dict)
    """Currency -> what is payable for the month."""
    corrections: Sequence[Correction] = ()
    """Of earlier months."""

    @property
    def title(self) -> str:
        return title_of(self.month, self.cost_center)


@dataclass(frozen=True)
class Statement:
    """What one cost center owes for a month."""

    month: date
    cost_center: str | None
    lines: Sequence[Line]
    issued_at: datetime | None
    """None: it is a draft."""
    accepted: str | None
    rates: str | None
    not_settled: Sequence[str]
    corrections: Sequence[Correction]

    @property
    def title(self) -> str:
        return title_of(self.month, self.cost_center)

    @property
    def status(self) -> str:
        return "DRAFT, not issued" if self.issued_at is None else f"Issued on {self.issued_at:%Y-%m-%d}"

    @property
    def dated(self) -> datetime:
        """The date of its files: of a draft, the end of the month."""
        return self.issued_at or datetime.combine(end_of_month(self.month) + DAY, time(), UTC)

    @property
    def totals(self) -> Mapping[str, int]:
        """Currency -> what is payable, in its smallest unit."""
        return added_up((line.currency, line.payable) for line in self.lines)

    def by(self, dimension: str) -> Mapping[tuple[str, str], int]:
        """Return what is payable per currency and name of a dimension, the largest first."""
        sums = added_up(((line.currency, named(line, dimension)), line.payable) for line in self.lines)
        return dict(sorted(sums.items(), key=lambda each: (each[0][0], -each[1], each[0][1])))

    @property
    def notes(self) -> Iterator[str]:
        """Yield what a reader has to know."""
        yield (
            "This is what the providers billed on the days of the month (UTC). Each currency is a sum of its own. "
            "Credits, estimates and usage that a seat or plan includes are not in it."
        )
        not_final, *wrong = (self.accepted or "").split("\n")
        if not_final:
            yield f"Issued although days were not final: {not_final}. A later change is corrected in a later month."
        elif self.issued_at is None and self.not_settled:
            yield f"Providers may still change days of this month: {'; '.join(self.not_settled)}."
        for each in wrong:
            yield f"Issued although it was known and accepted: {each}."
        if self.rates:
            yield f"Exchange rates of the month's reports, for comparison only: {self.rates}."


def title_of(month: date, cost_center: str | None) -> str:
    return f"Statement {month:%Y-%m}, {WITHOUT if cost_center is None else f'cost center {cost_center}'}"


def named(line: Line, dimension: str) -> str:
    """Return what a line is called in the sums by a dimension."""
    if line.kind == "correction":
        return "corrections of earlier months"
    if dimension == "provider":
        return " / ".join(dict.fromkeys(filter(None, (line.provider, line.connection))))
    if line.kind == "shared":
        return f"shared: {line.what}"
    return getattr(line, dimension) or f"no {dimension}"


def added_up(pairs: Iterable[tuple[K, int]]) -> Mapping[K, int]:
    sums: Counter[K] = Counter()
    for key, amount in pairs:
        sums[key] += amount
    return sums


def money(amount: int, currency: str) -> Decimal:
    """Return an amount in the smallest unit of a currency as people write it.

    >>> money(-1234, "USD"), money(1234, "JPY")
    (Decimal('-12.34'), Decimal('1234'))
    """
    return Decimal(amount).scaleb(-digits_of(currency))


def in_words(amount: int, currency: str) -> str:
    return with_unit(f"{money(amount, currency):,f}", currency)


def statements_of(
    month: Month, issued: Sequence[Issued], corrections: Mapping[str | None, Sequence[Correction]]
) -> Sequence[Statement]:
    """Return the statements of a month: of an issued month those that were issued, as they would be today; otherwise
    drafts, with these corrections of months before."""
    own = [each for each in issued if each.month == month.first]
    if own:
        corrections = {each.cost_center: each.corrections for each in own}
    lines: defaultdict[str | None, list[Line]] = defaultdict(list)
    for line in month.lines:
        lines[line.cost_center].append(line)
    for cost_center, several in corrections.items():
        lines[cost_center] += [correction.line(cost_center) for correction in several]
    first = own[0] if own else None
    return [
        Statement(
            month=month.first,
            cost_center=cost_center,
            lines=sorted(same, key=in_order),
            issued_at=first.issued_at if first else None,
            accepted=first.accepted if first else None,
            rates=month.rates,
            not_settled=month.not_settled,
            corrections=corrections.get(cost_center, ()),
        )
        for cost_center, same in sorted(lines.items(), key=lambda each: (each[0] is not None, each[0] or ""))
        if same and (not own or cost_center in {each.cost_center for each in own})
    ]


def amounts_of(lines: Iterable[Line]) -> Mapping[tuple[str, str], Fraction]:
    """Return what lines add up to, corrections left out: connection and currency -> exact amount."""
    sums: defaultdict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for line in lines:
        if line.kind != "correction":
            sums[line.connection or "", line.currency] += line.amount
    return dict(sums)


def payables_of(lines: Iterable[Line]) -> Mapping[str, int]:
    """Return what is payable for the month itself, by currency."""
    return added_up((line.currency, line.payable) for line in lines if line.kind != "correction")


def said_of(issued: Sequence[Issued], month: date) -> Iterator[tuple[str | None, Correction]]:
    """Yield what has been said of a month for each cost center and currency: as it was issued, and corrected since."""
    for each in issued:
        if each.month == month:
            for currency, payable in each.payable.items():
                amounts = {name: amount for (name, unit), amount in each.amounts.items() if unit == currency}
                yield each.cost_center, Correction(month, currency, payable, amounts)
        yield from ((each.cost_center, correction) for correction in each.corrections if correction.month == month)


def corrections_of(issued: Sequence[Issued], today: Month) -> Mapping[str | None, Sequence[Correction]]:
    """Return by how much an issued month has changed for each cost center since it was issued and last corrected."""
    payable: Counter[tuple[str, str | None]] = Counter()
    amounts: defaultdict[tuple[str, str | None], defaultdict[str, Fraction]] = defaultdict(
        lambda: defaultdict(Fraction)
    )
    for line in today.lines:
        payable[line.currency, line.cost_center] += line.payable
        amounts[line.currency, line.cost_center][line.connection or ""] += line.amount
    for cost_center, said in said_of(issued, today.first):
        payable[said.currency, cost_center] -= said.payable
        for connection, amount in said.amounts.items():
            amounts[said.currency, cost_center][connection] -= amount
    found: defaultdict[str | None, list[Correction]] = defaultdict(list)
    for (currency, cost_center), missing in sorted(payable.items(), key=lambda each: each[0][0]):
        if missing:
            changed = {name: change for name, change in sorted(amounts[currency, cost_center].items()) if change}
            found[cost_center].append(Correction(today.first, currency, missing, changed))
    return found


def no_longer_stored(issued: Sequence[Issued], today: Month) -> Sequence[str]:
    """Return the connections of an issued month that are no longer stored: without them, it is not computed again."""
    sums: defaultdict[tuple[str | None, str, str], Fraction] = defaultdict(Fraction)
    for cost_center, said in said_of(issued, today.first):
        for connection, amount in said.amounts.items():
            sums[cost_center, said.currency, connection] += amount
    return sorted({connection for (*_, connection), amount in sums.items() if amount} - today.connections)
