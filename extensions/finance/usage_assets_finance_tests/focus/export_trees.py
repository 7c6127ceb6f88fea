"""Random trees of exports, as vendors write them, what can happen to them, and what they mean.

The meaning is computed from the rows that were written, by the rules of the package's README. Nothing here imports
the code that reads files.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from random import Random

from usage_assets_finance_tests.focus_files import on, write
from usage_assets_tests.models.days import one_a_line

DAY = timedelta(days=1)
START = date(2026, 10, 20)
"""The first day of the connections. Exports may begin before it."""
OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
KINDS = ("aws", "parts", "months", "rolling")


@dataclass(frozen=True)
class Charge:
    """A row of a file."""

    day: date
    amount: Decimal
    sku: str
    sub_account: str
    is_correction: bool = False
    invoice: str = ""
    category: str = "Usage"
    is_named: bool = True
    """Whether it says of which service it is. Who publishes it is said in any case."""


@dataclass
class Export:
    """A set of files: one answer of a vendor."""

    name: str
    """Also the beginning of the SKUs of its charges."""
    account: str
    kind: str
    month: date | None
    """None: it is about more than one."""
    charges: list[Charge]
    folder: Path
    parts: int = 1
    states_period: bool = False
    """Whether its rows say which month they are of."""
    is_complete: bool = True
    is_there: bool = True
    written_on: date = START

    @property
    def paths(self) -> Sequence[Path]:
        month = f"{self.month:%Y-%m}" if self.month else ""
        if self.kind == "aws":
            place = self.folder / "data" / f"BILLING_PERIOD={month}"
            return [place / f"{self.name}-{n:05}.csv" for n in range(1, self.parts + 1)]
        if self.kind == "parts":
            return [self.folder / f"{self.name}-{n:05}.csv" for n in range(1, self.parts + 1)]
        return [self.folder / f"{self.name}.csv"]

    @property
    def manifest(self) -> Path:
        return self.folder / "metadata" / f"BILLING_PERIOD={self.month:%Y-%m}" / f"{self.name}-Manifest.json"

    @property
    def period(self) -> set[date]:
        """The days of the month that its folder or its rows state."""
        if self.month and (self.kind == "aws" or self.states_period):
            return days_of(self.month, end_of(self.month))
        return set()

    def covered(self) -> set[date]:
        """The days that it answers for."""
        charges = [each for each in self.charges if not each.is_correction]
        own = [each for each in charges if not self.period or each.day in self.period]
        days = [each.day for each in own if each.category == "Usage"]
        if not days and self.kind != "aws":
            days = [each.day for each in charges if each.category == "Usage"]
        days = days or [each.day for each in own]
        covered = days_of(min(days), max(days)) if days else set()
        is_over = self.period and max(self.period) < self.written_on
        return self.period if is_over and (self.kind == "aws" or covered & self.period) else covered

    def beside(self) -> set[date]:
        """The days of charges that it does not cover, and those that it corrects."""
        covered = self.covered()
        return {each.day for each in self.charges if each.is_correction or each.day not in covered}

    def write(self, clock: "Clock") -> None:
        """Write all of its files, and then its manifest."""
        self.written_on, self.is_complete, self.is_there = clock.today, True, True
        for n, path in enumerate(self.paths):
            charges = self.charges[n :: len(self.paths)]
            clock.stamp(write(path, [row_of(each, self) for each in charges]))
        if self.kind == "aws":
            self.manifest.parent.mkdir(parents=True, exist_ok=True)
            names = [f"s3://bucket/{path.relative_to(self.folder)}" for path in self.paths]
            self.manifest.write_text(json.dumps({"dataFiles": names}))
            clock.stamp(self.manifest)

    def remove(self) -> None:
        self.is_there = False
        for path in [*self.paths, *([self.manifest] if self.kind == "aws" else [])]:
            path.unlink(missing_ok=True)


def days_of(first: date, last: date) -> set[date]:
    return {first + n * DAY for n in range((last - first).days + 1)}


def end_of(month: date) -> date:
    return (month + 31 * DAY).replace(day=1) - DAY


def row_of(charge: Charge, export: Export) -> Mapping[str, str]:
    month = export.month if export.states_period else None
    hour = {"ChargePeriodEnd": f"{charge.day}T01:00:00Z"} if charge.day > max(export.period, default=date.max) else {}
    return on(
        str(charge.day),
        **hour,
        BilledCost=str(charge.amount),
        BillingAccountId=export.account,
        BillingPeriodStart=f"{month}T00:00:00Z" if month else "",
        BillingPeriodEnd=f"{end_of(month) + DAY}T00:00:00Z" if month else "",
        ChargeCategory=charge.category,
        ServiceName="Amazon Bedrock" if charge.is_named else "",
        ProviderName="AWS" if charge.is_named else "",
        PublisherName="Anthropic",
        SubAccountId=charge.sub_account,
        SkuId=charge.sku,
        ChargeClass="Correction" if charge.is_correction else "",
        InvoiceId=charge.invoice,
    )


@dataclass
class Clock:
    """Files get times in the order in which they are written."""

    today: date
    ticks: Iterator[int] = field(default_factory=count)

    def stamp(self, path: Path) -> None:
        at = datetime(self.today.year, self.today.month, self.today.day, 1, tzinfo=UTC).timestamp() + next(self.ticks)
        os.utime(path, (at, at))


@dataclass(frozen=True)
class Meaning:
    """What has to become of a connection's files."""

    overlap: bool
    lost: frozenset[date]
    """Stored days that no set covers any more."""
    gone: frozenset[date]
    """These, and stored days that a set corrected which is not there any more."""
    waits: bool
    is_empty: bool

    @property
    def must_fail(self) -> bool:
        return self.overlap or bool(self.gone) or self.is_empty


@dataclass
class Tree:
    """The exports of one connection, and which of its days should be stored."""

    connection: str
    account: str
    folder: Path
    luck: Random
    clock: Clock
    exports: list[Export] = field(default_factory=list)
    copies: list[Path] = field(default_factory=list)
    """Files that are there twice: where the second one is."""
    stored: dict[str, set[date]] = field(default_factory=dict)
    """Export -> days that were stored of it."""
    beside: dict[str, set[date]] = field(default_factory=dict)
    """Export -> days that were stored for its charges, and that it does not cover."""
    cleared: set[date] = field(default_factory=set)
    """Days that somebody has accepted: of these, only corrections are stored until an export has them again."""
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @classmethod
    def grown(cls, connection: str, account: str, folder: Path, luck: Random, clock: Clock) -> "Tree":
        tree = cls(connection, account, folder, luck, clock)
        kind = luck.choice(KINDS)
        if kind == "rolling":
            tree.add(kind, None, START - 3 * DAY, clock.today - luck.randint(1, 2) * DAY)
        else:
            tree.add(kind, OCTOBER, OCTOBER + luck.randint(12, 19) * DAY, NOVEMBER - DAY)
            tree.add(kind, NOVEMBER, NOVEMBER, clock.today - luck.randint(1, 2) * DAY)
        return tree

    def add(self, kind: str, month: date | None, first: date, last: date) -> None:
        name = f"{self.connection}_{len(self.exports)}_{kind}"
        states = month is not None and self.luck.random() < 0.5
        parts = self.luck.choice((1, 2, 3))
        export = Export(name, self.account, kind, month, [], self.folder, parts=parts, states_period=states)
        days = [first + n * DAY for n in range((last - first).days + 1)]
        export.charges = [charge for day in days for charge in self.charges_of(export, day)]
        export.write(self.clock)
        self.exports.append(export)

    def charges_of(self, export: Export, day: date) -> Iterator[Charge]:
        for _ in range(self.luck.randint(1, 2)):
            amount = Decimal(self.luck.randint(1, 9_999)) / 100
            yield Charge(day, amount, f"{export.name}-{next(self.numbers)}", self.luck.choice(("s1", "s2")))

    def meaning(self) -> Meaning:
        """What becomes of the files as they are now."""
        there = [each for each in self.exports if each.is_there]
        counted = Counter(day for each in there if each.is_complete for day in each.covered())
        overlap = bool(self.copies) or any(number > 1 and day >= START for day, number in counted.items())
        # of a set that is not complete, nobody knows what it will have
        kept = {day for each in there if not each.is_complete for day in self.stored.get(each.name, ())}
        stored = {day for days in self.stored.values() for day in days}
        said = {
            each.day
            for export in there
            if export.is_complete
            for each in export.charges
            if each.day in self.stored.get(export.name, ())
        }
        lost = stored - kept - said - set(counted)
        held = self.days()
        gone = lost | {day for each in self.exports if not each.is_there for day in each.beside() & held}
        waits = any(not each.is_complete for each in there)
        return Meaning(overlap, frozenset(lost), frozenset(gone), waits, is_empty=not there and not self.copies)

    def store(self, yesterday: date) -> None:
        """Note what should be stored after a run that has not failed for other reasons than days that are gone."""
        lost = self.meaning().lost
        for each in self.exports:
            shrunk = self.stored.get(each.name, set()) & lost
            if each.is_there and each.is_complete and not shrunk:
                for days in self.stored.values():
                    days.difference_update(each.covered())
                self.stored[each.name] = {day for day in each.covered() if START <= day <= yesterday}
                beside = self.beside.setdefault(each.name, set())
                beside |= {day for day in each.beside() if START <= day <= yesterday}

    def total(self) -> Decimal:
        """What its files bill on stored days."""
        days = self.days()
        return sum(
            (each.amount for export in self.exports if export.is_there for each in export.charges if each.day in days),
            Decimal(),
        )

    def days(self) -> set[date]:
        """The stored days."""
        return self.cleared.union(*self.stored.values(), *self.beside.values())

    def regular(self, export: Export) -> Decimal:
        """What an export bills on the days that are stored of it, without corrections."""
        stored = (self.stored.get(export.name, set()), self.beside.get(export.name, set()), self.cleared)
        days = set().union(*stored) if export.is_there else set()
        own = [each for each in export.charges if not each.is_correction and each.day in days]
        return sum((each.amount for each in own), Decimal())

    def keys(self) -> set[tuple[str, str, date]]:
        """Accounts, sub accounts and days that are billed and stored."""
        days = self.days()
        return {
            (export.account, each.sub_account, each.day)
            for export in self.exports
            for each in export.charges
            if export.is_there and each.day in days
        }

    # what may happen

    def restate(self) -> None:
        """Other amounts on some days, maybe of a settled month."""
        export = self.luck.choice(self.there())
        days = {each.day for each in export.charges}
        some = {day for day in days if self.luck.random() < self.luck.choice((0.1, 0.9))}
        export.charges = [
            replace(each, amount=each.amount + Decimal(self.luck.randint(-500, 500)) / 100)
            if each.day in some
            else each
            for each in export.charges
        ]
        export.write(self.clock)

    def grow(self) -> None:
        """The newest export gets the days up to yesterday, and more charges of a day before."""
        export = self.there()[-1]
        last = max(each.day for each in export.charges)
        newest = self.clock.today - DAY
        if export.month != OCTOBER:
            for n in range((newest - last).days):
                export.charges += self.charges_of(export, last + (n + 1) * DAY)
        export.charges += self.charges_of(export, self.luck.choice(export.charges).day)
        export.write(self.clock)

    def correct(self) -> None:
        """A later file corrects a day of an earlier bill, often one that no run would ask for otherwise."""
        export, of = self.there()[-1], self.there()[0] if self.luck.random() < 0.8 else self.luck.choice(self.there())
        days = [each.day for each in of.charges if not each.is_correction]
        day = self.luck.choice([day for day in days if day >= START] or days)
        amount = Decimal(self.luck.randint(-300, 300)) / 100
        charge = Charge(day, amount, f"{export.name}-{next(self.numbers)}", "s1", is_correction=True)
        export.charges.append(charge)
        export.write(self.clock)

    def spill(self) -> None:
        """The month is one of another time zone: it has hours of the next UTC day."""
        if some := [each for each in self.there() if each.period and each.month == OCTOBER]:
            export = self.luck.choice(some)
            export.charges += self.charges_of(export, NOVEMBER)
            export.write(self.clock)

    def charge(self) -> None:
        """A file has charges that are no use, on days of its month, with or without use on them."""
        export = self.luck.choice(self.there())
        use = [each.day for each in export.charges if not each.is_correction]
        first, last = export.month or min(use), min(self.clock.today, end_of(export.month or max(use)))
        for category in self.luck.sample(("Purchase", "Tax", "Credit", "Adjustment"), 2):
            day = self.luck.choice(sorted(days_of(first, last)))
            amount = Decimal(self.luck.randint(-9_999, 9_999)) / 100
            export.charges.append(Charge(day, amount, f"{export.name}-{next(self.numbers)}", "s1", category=category))
        export.write(self.clock)

    def repeat(self) -> None:
        """Charges are there more than once, equal in every column."""
        export = self.luck.choice(self.there())
        export.charges += self.luck.choices(export.charges, k=self.luck.randint(1, 3))
        export.write(self.clock)

    def unname(self) -> None:
        """Some charges name no service any more."""
        export = self.luck.choice(self.there())
        export.charges = [replace(each, is_named=self.luck.random() < 0.5) for each in export.charges]
        export.write(self.clock)

    def break_manifest(self) -> None:
        """A manifest is cut off."""
        some = [each for each in self.there() if each.kind == "aws"]
        if some:
            export = self.luck.choice(some)
            export.manifest.write_text(export.manifest.read_text()[:-9])
            self.clock.stamp(export.manifest)
            export.is_complete = False

    def uncharge(self) -> None:
        """A file is written again with its use alone."""
        export = self.luck.choice(self.there())
        use = [each for each in export.charges if not each.is_correction and each.category == "Usage"]
        export.charges = use or export.charges
        export.write(self.clock)

    def move(self) -> None:
        """A correction was of another day."""
        some = [
            each for each in self.there() if any(charge.is_correction for charge in each.charges) and each.covered()
        ]
        if not some:
            self.correct()
            return
        export = self.luck.choice(some)
        n = self.luck.choice([n for n, each in enumerate(export.charges) if each.is_correction])
        billed = sorted({day for each in self.there() for day in each.covered() if day <= max(export.covered())})
        export.charges[n] = replace(export.charges[n], day=self.luck.choice(billed))
        export.write(self.clock)

    def keep_times(self) -> None:
        """A bill gets more charges, and its files keep their times."""
        export = self.luck.choice(self.there())
        if export.is_complete:
            files = [*export.paths, *([export.manifest] if export.kind == "aws" else [])]
            written_on, before = export.written_on, [(file, file.stat().st_mtime_ns) for file in files]
            export.charges += self.charges_of(export, self.luck.choice(sorted(export.covered())))
            export.write(self.clock)
            export.written_on = written_on
            for file, at in before:
                os.utime(file, ns=(at, at))

    def reinvoice(self) -> None:
        """The invoice gets its number."""
        export = self.luck.choice(self.there())
        invoice = f"INV-{next(self.numbers)}"
        export.charges = [replace(each, invoice=invoice) for each in export.charges]
        export.write(self.clock)

    def touch(self) -> None:
        """The same bytes are written again."""
        self.luck.choice(self.there()).write(self.clock)

    def shrink(self) -> None:
        """A bill is written again without its last or first days, and with other amounts on the rest."""
        export = self.luck.choice(self.there())
        days = sorted({each.day for each in export.charges if not each.is_correction})
        number = self.luck.randint(1, max(1, len(days) - 1))
        left = set(days[:-number] if self.luck.random() < 0.7 else days[number:]) or {days[0]}
        cent = Decimal("0.01")  # or a mixture would bill what was billed before
        export.charges = [replace(each, amount=each.amount + cent) for each in export.charges if each.day in left]
        export.write(self.clock)

    def delete(self) -> None:
        self.luck.choice(self.there()).remove()

    def lose_part(self) -> None:
        """A part is missing that a manifest lists, or that lies between two others."""
        several = [each for each in self.there() if each.parts > (1 if each.kind == "aws" else 2)]
        several = [each for each in several if each.kind in ("aws", "parts") and len(each.charges) >= each.parts]
        if several:
            export = self.luck.choice(several)
            export.paths[1 if export.kind == "parts" else -1].unlink()
            export.is_complete = False

    def copy(self) -> None:
        """A file is there twice: under another name, or in a folder inside."""
        file = self.luck.choice(self.there()).paths[0]
        place = self.folder / "nested" / "aws" if self.luck.random() < 0.5 else self.folder
        second = place / f"copy of {file.name}"
        second.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, second)
        self.clock.stamp(second)
        self.copies.append(second)

    def rename(self) -> None:
        """A file gets another name."""
        files = [each for each in self.there() if each.kind in ("months", "rolling")]
        if files:
            export = self.luck.choice(files)
            export.remove()
            export.folder = self.folder / f"again{next(self.numbers)}"
            export.write(self.clock)

    def there(self) -> list[Export]:
        return [each for each in self.exports if each.is_there and each.charges]

    def bill_to(self, account: str) -> None:
        """Deliver everything as the bill of an account."""
        for export in self.there():
            export.account = account
            export.write(self.clock)

    def mend(self) -> None:
        """Deliver everything again as the connection's own bill, with charges on each day that was there before."""
        for copy in self.copies:
            copy.unlink(missing_ok=True)
        self.copies.clear()
        for export in self.exports:
            have = {each.day for each in export.charges}
            for day in sorted(self.stored.get(export.name, set()) - have):
                export.charges += self.charges_of(export, day)
            export.account = self.account
            export.write(self.clock)

    def accept(self) -> None:
        """Somebody has accepted that days are gone."""
        gone = self.meaning().gone
        self.cleared |= gone
        for days in (*self.stored.values(), *self.beside.values()):
            days.difference_update(gone)
        self.exports = self.there()


MUTATIONS = one_a_line("""
    restate
    restate
    grow
    correct
    correct
    spill
    spill
    move
    charge
    charge
    uncharge
    repeat
    unname
    break_manifest
    reinvoice
    touch
    keep_times
    shrink
    shrink
    delete
    lose_part
    copy
    rename
""")
