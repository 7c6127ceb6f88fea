"""The sets of files that bills are stored from: what a run has found, what is stored of each, and what may be stored.

``ledger.bill_states`` compares the two. Nothing here lists or reads files. Every transaction finds the
ledgers that this view reads as they are declared.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb
from msgspec.structs import astuple, replace

from usage_assets.core.bills import Bills, Stored
from usage_assets.core.days import MOST_DAYS, Window, spans
from usage_assets.core.money import plain
from usage_assets.core.schema import ConnectionRow, Row, sent_names, to_arrow
from usage_assets.warehouse.arrow import fetch_arrow
from usage_assets.warehouse.ledger import (
    BillAmount,
    BillDay,
    BillSet,
)
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import WarehouseError

if TYPE_CHECKING:
    from usage_assets.warehouse.database import Warehouse

R = TypeVar("R", bound=ConnectionRow)
State = tuple[date, str, str]
"""Stored day, set, and why it is in a state of ledger.bill_states."""
OF_TABLE = "connection = $connection and table_name = $table_name"
_IN_FORCE = f"stored_at is null and {OF_TABLE} and usage_date between $first and $last"
"""What was accepted of the days of a slice and not stored since."""
STATES = f"select state, usage_date, set_name, because from ledger.bill_states where {OF_TABLE} order by all"

KEEPING = """
select usage_date, list(if(covers, null, set_name)) filter (archived_at is not null) as sets
from ledger.bill_days
join ledger.stored_days using (connection, table_name, usage_date)
left join (
  select distinct connection, usage_date, corrected_by as set_name, false as covers
  from {table}
  where corrected_by is not null
) as noted using (connection, usage_date, set_name, covers)
where connection = $connection and table_name = $table_name and question = $question
group by usage_date
having count(archived_at) > 0 and bool_and(bill_days.covers or stored is null or noted.set_name is not null)
"""
"""Days with rows to keep, and the sets that these are of (null: that covers the day). Not those with corrections that
an earlier release has stored: it did not note which rows these are. Nor those that were asked for otherwise: nothing
says what was left out then, nor the policy for people."""


@dataclass(frozen=True)
class Kept:
    """When a missing day is not withdrawn: files are kept for a limited time, if the connection says so."""

    settled_before: date
    """Days before this one are settled."""
    kept_from: date | None
    """Files of days before this one may have gone. None: nothing is known."""

    def explains(self, day: date, gone: Window | None) -> bool:
        """Whether it explains that a day has gone; ``gone``: the days of its set, if all of it has gone."""
        if self.kept_from is None:
            return False
        return day < self.kept_from or (
            gone is not None and gone.first < self.kept_from and gone.last < self.settled_before
        )


@dataclass(frozen=True)
class Found:
    """What a run has found of days that are stored."""

    withdrawn: Mapping[date, str]
    """Day that no set covers any more -> what is wrong."""
    archived: Sequence[date]
    """Days whose files are not there any more, which is no withdrawal."""
    changed: Collection[date]
    """Days that are not stored as the sets say that are there."""
    news: Sequence[date]
    """The days among them that this run has archived."""


CLEARED = f"""
select distinct usage_date
from ledger.accepted_bill_days as accepted
where {OF_TABLE}
  and (
    stored_at is null
    or not exists (
      from ledger.bill_days
      where bill_days.connection = accepted.connection
        and bill_days.table_name = accepted.table_name
        and bill_days.usage_date = accepted.usage_date
        and covers
        and stored is not null
    )
  )
order by usage_date
"""
"""The withdrawn days that somebody has accepted: they have no charges until a set covers them again."""
BESIDE = f"""
select set_name, list(usage_date)
from ledger.bill_days
where {OF_TABLE} and not covers and stored is not null
"""
"""Per set the days that are stored with charges of it, and that it does not cover."""
CHARGED = f"""
{BESIDE}
  and usage_date >= $since
  and usage_date not in (
    select usage_date
    from ledger.bill_days
    where {OF_TABLE} and covers and stored is not null
  )
group by set_name
"""
"""Per set the stored days that no set covers, and that are stored for a charge of it."""


def stored_bills(
    warehouse: "Warehouse", row: type[Row], connection: str, window: Window, question: str, since: date | None
) -> tuple[Stored, Collection[date]]:
    """Return what a run knows of stored days before it reads files for a window, and all days that keep something of
    sets that do not have them any more.

    Files write a row as its model spells it. ``question``: digest of what is asked for; ``since``: files of days before
    it may have gone, and then their charges stay. Raises WarehouseError.
    """
    table = Table(row)
    which = {"connection": connection, "table_name": table.name}
    with warehouse.transaction(keep=False) as database:
        create_or_alter(database, table)
        cleared = database.execute(CLEARED, which).fetchall()
        beside = dict(database.execute(f"{BESIDE} group by set_name", which).fetchall())
        charged = dict(database.execute(CHARGED, {**which, "since": since or date.min}).fetchall())
        keeping = database.execute(KEEPING.format(table=table.name), {**which, "question": question}).fetchall()
        sets: dict[date, list[str | None]] = dict(keeping)
        days = [day for day in window.days if day in sets]
        stored = fetch_arrow(
            database.execute(
                f"select * exclude (connection) from {table.name} "
                "where connection = $connection and list_contains($days::date[], usage_date)",
                {"connection": connection, "days": days},
            )
        ).to_pylist()
    kept: dict[date, dict[str | None, list[Mapping[str, Any]]]]
    kept = {day: {name: [] for name in sets[day]} for day in days}
    spelled = sent_names(row)
    for each in stored:
        day = each.pop("usage_date")
        if each["corrected_by"] in kept[day]:
            fields = {spelled[name]: _text(value) for name, value in each.items() if value is not None}
            kept[day][each["corrected_by"]].append(fields)
    return Stored(cleared=[day for (day,) in cleared], kept=kept, beside=beside, charged=charged), sets.keys()


def _text(value: object) -> object:
    """Return a stored value as a file has it."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}"
    return plain(value) if isinstance(value, Decimal) else value


@dataclass(frozen=True)
class BillLedger:
    """What the ledgers say of the bills of a connection in one table, in a transaction."""

    database: duckdb.DuckDBPyConnection
    connection: str
    table_name: str

    @property
    def which(self) -> Mapping[str, str]:
        """The parameters of ``OF_TABLE``."""
        return {"connection": self.connection, "table_name": self.table_name}

    def states(self) -> Mapping[str, Sequence[State]]:
        """Return all states at once: to plan the view takes longer than to read it."""
        found: dict[str, list[State]] = defaultdict(list)
        for state, *row in self.database.execute(STATES, self.which).fetchall():
            found[state].append(tuple(row))
        return found

    def note_days(self, bills: Bills) -> Sequence[BillDay]:
        """Record what each set says about days, as it was read now or before; return what the ledger holds then."""
        before = self._rows(BillDay)
        there = {each.name for each in bills.listed}
        archived = {(each.set_name, each.usage_date) for each in before if each.covers and each.archived_at}
        corrected = archived & {(each.set_name, each.usage_date) for each in before if not each.covers}
        now: list[BillDay] = []
        for each in before:
            read = bills.read.get(each.set_name)
            said = each.said if each.set_name in there else None
            covers, stored = each.covers, each.stored
            if read and read.covers(each.usage_date) and (each.set_name, each.usage_date) in corrected:
                if not covers:
                    continue
                said, stored = read.says[each.usage_date], None  # the day is of its files again
            elif read and each.archived_at and covers and not read.covers(each.usage_date):
                said = None  # what it says now corrects what is kept
            elif read:
                said = read.says.get(each.usage_date)
                covers = covers if said is None else read.covers(each.usage_date)
            archived_at = each.archived_at if said is None else None
            if said is not None or stored is not None:
                now.append(replace(each, said=said, covers=covers, stored=stored, archived_at=archived_at))
        known = {(each.set_name, each.usage_date) for each in now if each.said is not None}
        now += [
            BillDay(
                **self.which,
                usage_date=day,
                set_name=name,
                said=said,
                covers=read.covers(day),
                stored=None,
                archived_at=None,
            )
            for name, read in bills.read.items()
            for day, said in read.says.items()
            if (name, day) not in known
        ]
        self._write(BillDay, before, now)
        return now

    def note_amounts(self, bills: Bills) -> None:
        """Record what the sets that were read delivered, and nothing of sets that are not there any more."""
        before = self._rows(BillAmount)
        staying = {each.name for each in bills.listed} - bills.read.keys()
        now = [each for each in before if each.set_name in staying]
        now += [
            BillAmount(**self.which, usage_date=day, set_name=name, currency=currency, amount=amount)
            for name, read in bills.read.items()
            for (day, currency), amount in read.amounts.items()
        ]
        self._write(BillAmount, before, now)

    def note_sets(self, bills: Bills, with_days: set[str], run_id: str) -> None:
        before = {each.set_name: each for each in self._rows(BillSet)}
        at = datetime.now(UTC)
        now: list[BillSet] = []
        for each in bills.listed:
            known, read = before.get(each.name), bills.read.get(each.name)
            covered = read.covered if read else _covered(known)
            row = BillSet(
                **self.which,
                set_name=each.name,
                files=each.files,
                files_read=read.files if read else known.files_read if known else None,
                manifest=each.manifest,
                period_first=each.period.first if each.period else None,
                period_last=each.period.last if each.period else None,
                first_day=covered.first if covered else None,
                last_day=covered.last if covered else None,
                missing=each.missing,
                changed_at=known.changed_at if known and known.files == each.files else at,
                run_id=known.run_id if known and known.files == each.files else run_id,
            )
            now.append(row)
        there = {each.name for each in bills.listed}
        for name, gone in before.items():
            if name not in there and name in with_days:
                now.append(gone if gone.files is None else replace(gone, files=None, changed_at=at, run_id=run_id))
        self._write(BillSet, before.values(), now)

    def archive(self, withdrawn: Sequence[State], kept: Kept) -> Sequence[date]:
        """Note the withdrawn days that are explained; return them."""
        sets = {each.set_name: _covered(each) for each in self._rows(BillSet) if each.files is None}
        explained = [(day, name) for day, name, _ in withdrawn if kept.explains(day, sets.get(name))]
        for day, name in explained:
            self.database.execute(
                f"update ledger.bill_days set archived_at = $now "
                f"where {OF_TABLE} and usage_date = $day and set_name = $name",
                {**self.which, "now": datetime.now(UTC), "day": day, "name": name},
            )
        return sorted({day for day, _ in explained})

    def refuse_parts(self, target: Slice, bills: Bills, earliest: date) -> None:
        """Raise WarehouseError where a slice has days of a set that must not be stored without others.

        A set that has changed is stored whole, if its changed days fit into a run (MOST_DAYS). So are the other days
        that it corrects: a correction may have moved from one to another. Of a set that no longer has a stored day,
        nothing is stored. Days of a set that other files replace, and days that are cleared, are days of the set that
        they are stored from, too. Then no total mixes two versions of a set.
        """
        rows = self._rows(BillDay)
        named = {each.usage_date for each in rows if each.stored is not None}
        incomplete = {each.name for each in bills.listed if each.missing}
        staying = {each.usage_date for each in rows if each.archived_at is not None}.difference(bills.kept)
        staying |= {each.usage_date for each in rows if each.set_name in incomplete}
        sets: dict[str, dict[date, BillDay]] = {name: {} for name in bills.read}
        for each in rows:
            if each.archived_at is None:
                sets.setdefault(each.set_name, {})[each.usage_date] = each
        withdrawn = _by_set(self.states()["withdrawn"])
        groups: list[tuple[str, list[date], set[date]]] = []
        for name, known in sets.items():
            read = bills.read.get(name)
            says: Mapping[date, str | None] = read.says if read else {day: each.said for day, each in known.items()}
            covered = {day for day, each in known.items() if each.covers}
            covered.update(day for day in says if read and read.covers(day))
            changed = {
                day
                for day in known.keys() | says.keys()
                if (known[day].stored if day in known else None) != says.get(day)
                and (target.first <= day <= target.last or (day in named and day >= earliest))
            }
            corrected = changed - covered
            if name in withdrawn and (days := [day for day in target.days if day in covered | corrected]):
                raise WarehouseError(withdrawal(self.connection, *withdrawn[name]), days=days)
            own, stored = changed & covered, (named | {*target.days}) - staying
            # a run has contiguous days, so those between have to be stored, too
            for together in (changed, corrected) if corrected else ():
                if stored >= {*Window(min(together), max(together)).days}:
                    groups.append((name, [day for day in target.days if day in together], together))
                    break
            groups.append((name, [day for day in target.days if day in own], own))
        for name, days, together in groups:
            others = together.difference(target.days)
            if not days or others in (set(), together) or len(Window(min(together), max(together)).days) > MOST_DAYS:
                continue
            linked = together
            while more := {day for *_, each in groups if each & linked for day in each} - linked:
                linked = linked | more
            raise WarehouseError(
                f"{name} has changed on {spans(others)}, too, and its days are stored together: usage-assets backfill "
                f"--connection {self.connection} --start {min(linked)} --end {max(linked)}",
                days=days,
            )

    def store(self, target: Slice, bills: Bills) -> None:
        """Name the sets that the days of a slice are stored from, in the transaction that stores them."""
        before, now = self._days(target, bills)
        self._write(BillDay, before, now)
        self.database.execute(
            f"update ledger.accepted_bill_days set stored_at = $now where {_IN_FORCE}",
            {"table_name": self.table_name, **target.bounds, "now": datetime.now(UTC)},
        )

    def unchanged(self, target: Slice, bills: Bills) -> AbstractSet[date]:
        """Return the days of a slice for which ``store`` would change nothing."""
        before, now = self._days(target, bills)
        changed = {each.usage_date for each in before if each not in now}
        changed |= {each.usage_date for each in now if each not in before}
        accepted = self.database.execute(
            f"select usage_date from ledger.accepted_bill_days where {_IN_FORCE}",
            {"table_name": self.table_name, **target.bounds},
        ).fetchall()
        return {*target.days}.difference(changed, (day for (day,) in accepted))

    def _days(self, target: Slice, bills: Bills) -> tuple[list[BillDay], list[BillDay]]:
        """Return what the ledger says of the days of a slice, and what it has to say when they are stored."""
        before = [each for each in self._rows(BillDay) if target.first <= each.usage_date <= target.last]
        covered = {day for read in bills.read.values() for day in target.days if read.covers(day)}
        now = [
            each
            for each in before
            if each.archived_at is not None
            and (
                each.usage_date not in covered
                if each.covers
                else each.set_name not in bills.read or each.usage_date not in bills.read[each.set_name].says
            )
        ]
        now += [
            BillDay(
                **self.which,
                usage_date=day,
                set_name=name,
                said=read.says[day],
                covers=read.covers(day),
                stored=read.says[day],
                archived_at=None,
            )
            for name, read in bills.read.items()
            for day in target.days
            if day in read.says
        ]
        return before, now

    def _rows(self, row: type[R]) -> list[R]:
        names = ", ".join(row.__struct_fields__)
        found = self.database.execute(f"select {names} from {row.table} where {OF_TABLE}", self.which).fetchall()
        return [row(**dict(zip(row.__struct_fields__, each, strict=True))) for each in found]

    def _write(self, row: type[R], before: Iterable[R], now: Iterable[R]) -> None:
        """Replace the rows of before by those of now, where they differ."""
        old, new = ({astuple(each): each for each in rows} for rows in (before, now))
        grain = ", ".join(Table(row).grain)
        for what, rows in (
            (
                f"delete from {row.table} where ({grain}) in (select ({grain}) from rows_of_bills)",
                old.keys() - new.keys(),
            ),
            (f"insert into {row.table} by name from rows_of_bills", new.keys() - old.keys()),
        ):
            if rows:
                self.database.register("rows_of_bills", to_arrow(row, [{**old, **new}[each] for each in rows]))
                self.database.execute(what)


def note_bills(warehouse: "Warehouse", table: str, connection: str, bills: Bills, kept: Kept, run_id: str) -> Found:
    """Record which sets were found and what was read of them; return what is wrong with stored days.

    Nothing is written where nothing is new. Raises WarehouseError.
    """
    with warehouse.transaction(BillSet.table, BillDay.table, BillAmount.table) as database:
        create_or_alter(database, Table(BillAmount))
        ledger = BillLedger(database, connection, table)
        days = ledger.note_days(bills)
        ledger.note_amounts(bills)
        ledger.note_sets(bills, {each.set_name for each in days}, run_id)
        states = ledger.states()
        if news := ledger.archive(states["withdrawn"], kept):
            states = ledger.states()
        withdrawn: dict[date, str] = {}
        for because, gone in _by_set(states["withdrawn"]).values():
            withdrawn |= dict.fromkeys(gone, withdrawal(connection, because, gone))
        archived, changed = ([day for day, *_ in states[state]] for state in ("archived", "changed"))
    return Found(withdrawn, archived, {*changed}, news)


def _by_set(withdrawn: Sequence[State]) -> Mapping[str, tuple[str, Sequence[date]]]:
    """Return set -> what is wrong with it, and the stored days that it no longer has."""
    found: dict[str, tuple[str, list[date]]] = {}
    for day, name, because in withdrawn:
        found.setdefault(name, (because, []))[1].append(day)
    return found


def withdrawal(connection: str, because: str, days: Sequence[date]) -> str:
    """Say that stored days of a set have gone, and what to do."""
    return (
        f"{because} ({spans(days)}). They stay as they are stored, and nothing new of these files is. Bring the "
        f"charges back, or accept it: usage-assets bills accept --connection {connection} --start {min(days)} "
        f"--end {max(days)}"
    )


def _covered(known: BillSet | None) -> Window | None:
    return Window(known.first_day, known.last_day) if known and known.first_day and known.last_day else None
