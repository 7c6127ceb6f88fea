"""Bills of a quiet company to which five things happen, what they must be called, and what else costs.anomalies says.

The bills are written here, so it is known what an ordinary day is: a sandbox's days differ too much for that.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from usage_assets_finance_tests.focus_files import on, write
from usage_assets_report_tests.end_to_end.audit_sums import Row

DAY, HALF_A_CENT = timedelta(days=1), Decimal("0.005")
WEEK = ("100", "104", "98", "101", "97", "20", "15")
"""Dollars of an account from Monday to Sunday."""
ACCOUNTS = {
    "cloud": ("444400000001", "444400000002", "444400000003"),
    "other_cloud": ("444400000004",),
}
"""Connection -> its accounts, each with twice the costs of the one before."""


@dataclass(frozen=True)
class Event:
    """What happens to the costs of a connection, or of one of its accounts, on some days."""

    what: str
    first: date
    last: date
    times: int
    """What its amounts are multiplied by. Below 0 it is a refund, 0 is silence."""
    connection: str
    account: str | None = None

    @property
    def cause(self) -> tuple[str, str]:
        """The smallest scope that has all of it: an account (a project), or the connection."""
        return ("project", self.account) if self.account else ("connection", self.connection)

    def is_about(self, connection: str, account: str, day: date) -> bool:
        """Whether it changes what an account costs on a day."""
        return self.first <= day <= self.last and connection == self.connection and account == (self.account or account)


@dataclass(frozen=True)
class Bills:
    """All that is billed from one day to another."""

    first: date
    last: date
    events: Sequence[Event]

    @classmethod
    def until(cls, newest: date) -> "Bills":
        """Four months. What happened is more than the 40 days ago that a bill takes to settle."""
        monday = newest - DAY * (newest.weekday() + 49)

        def event(what: str, first: int, last: int, times: int, connection: str, account: int | None) -> Event:
            name = None if account is None else ACCOUNTS[connection][account]
            return Event(what, monday + DAY * first, monday + DAY * last, times, connection, name)

        return cls(
            newest - DAY * 119,
            newest,
            [
                event("an account that runs away", -6, -4, 9, "cloud", 0),
                event("a refund", 0, 0, -5, "cloud", 1),
                event("an account that spikes", 2, 3, 8, "cloud", 0),
                event("another one on the same days", 2, 3, 8, "cloud", 2),
                event("a connection that goes silent", 4, 5, 0, "other_cloud", None),
            ],
        )

    @property
    def days(self) -> list[date]:
        """Its days."""
        return [self.first + DAY * n for n in range((self.last - self.first).days + 1)]

    def amount(self, connection: str, account: str, day: date) -> Decimal:
        """What an account costs on a day: it changes by up to 3 % from day to day."""
        usual: Decimal = Decimal(WEEK[day.weekday()]) * 2 ** ACCOUNTS[connection].index(account)
        usual *= 1 + Decimal(day.toordinal() * (3 + int(account[-1])) % 7) / 200
        happens = [event for event in self.events if event.is_about(connection, account, day)]
        return usual * happens[0].times if happens else usual

    def write(self, folder: Path) -> Mapping[str, Path]:
        """Write the bills. Return the folder of each connection."""
        for connection, accounts in ACCOUNTS.items():
            rows = [
                on(
                    str(day),
                    BilledCost=f"{amount}",
                    SubAccountId=account,
                    SubAccountName=f"account {account[-1]}",
                    BillingPeriodStart="",  # one file of several months
                    BillingPeriodEnd="",
                )
                for day in self.days
                for account in accounts
                if (amount := self.amount(connection, account, day))
            ]
            write(folder / connection / "bill.csv", rows)
        return {connection: folder / connection for connection in ACCOUNTS}

    def a_day(self, event: Event) -> Decimal:
        """What the cause of an event costs per day of it."""
        days = [day for day in self.days if event.first <= day <= event.last]
        accounts = [event.account] if event.account else ACCOUNTS[event.connection]
        return sum((self.amount(event.connection, each, day) for day in days for each in accounts), Decimal(0)) / len(
            days
        )


def wrong_incidents(found: Iterable[Row], bills: Bills) -> Iterator[str]:
    """A line for each event that is not exactly one row of costs.anomalies, and for each row of dollars without one."""
    rest = [row for row in found if row["measure"] == "usd"]
    for event in bills.events:
        kind, id_ = event.cause
        expected = f"{event.what}: {kind} {id_}, {event.first} to {event.last}, {bills.a_day(event):.2f} a day"
        own = [row for row in rest if row["first_day"] <= event.last and event.first <= row["last_day"]]
        own = [row for row in own if (row["kind"], row["id"]) == event.cause]
        if len(own) != 1:
            yield f"{expected}: found {len(own)} incidents"
        for row in own:
            rest.remove(row)
            is_same = (row["first_day"], row["last_day"]) == (event.first, event.last)
            if not is_same or abs(row["actual"] - bills.a_day(event)) > HALF_A_CENT or row["is_open"]:
                yield f"{expected}: found {_said(row)}"
    for row in rest:
        yield f"no event: found {_said(row)}"


def _said(row: Row) -> str:
    days = f"{row['first_day']} to {row['last_day']}{', open' if row['is_open'] else ''}"
    return f"{row['what']} of {row['kind']} {row['id']}, {days}, {row['actual']:.2f} a day"
