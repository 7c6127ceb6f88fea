"""`usage-assets bills`: which sets of files are stored, and the withdrawn days that somebody accepts.

What runs record of bills is in warehouse/bills.py.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from getpass import getuser

import click
import msgspec

from usage_assets.cli.access import connections_named, publish_copy, this_command, warehouse_now
from usage_assets.config.days import parse_days
from usage_assets.config.settings import Connection, Settings, SettingsError
from usage_assets.core.days import Window, spans
from usage_assets.core.money import plain
from usage_assets.core.schema import to_arrow
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import ACCEPTED_BILL_DAYS, AcceptedBillDay
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets_finance.delivered import of_sets


@dataclass(frozen=True)
class WithdrawnDay:
    """A stored day of a bill whose files no longer have it."""

    day: date
    table: str
    because: Sequence[str]
    day_totals: str
    """What is stored of it, as the ledger has it."""

    @property
    def totals(self) -> Mapping[str, Decimal]:
        """Name -> what is stored."""
        stored = msgspec.json.decode(self.day_totals, type=dict[str, str | None])
        return {name: Decimal(total) for name, total in stored.items() if total is not None}


def withdrawn_days(warehouse: Warehouse, connection: str, window: Window) -> Sequence[WithdrawnDay]:
    """Return the withdrawn days of a connection. Raises WarehouseError."""
    with warehouse.transaction(keep=False) as database:
        rows = database.execute(
            """
            select usage_date, table_name, list(because order by because), any_value(day_totals)
            from ledger.bill_states
            join ledger.stored_days using (connection, table_name, usage_date)
            where state = 'withdrawn' and connection = $connection and usage_date between $first and $last
            group by usage_date, table_name
            order by usage_date, table_name
            """,
            {"connection": connection, "first": window.first, "last": window.last},
        ).fetchall()
    return [WithdrawnDay(*row) for row in rows]


def accept_days(warehouse: Warehouse, connection: str, days: Iterable[WithdrawnDay], accepted_by: str) -> None:
    """Record that somebody accepts withdrawn days: from the next run on they have no charges."""
    now = datetime.now(UTC)
    rows = [
        AcceptedBillDay(
            connection=connection,
            usage_date=each.day,
            table_name=each.table,
            accepted_at=now,
            accepted_by=accepted_by,
            withdrawn="; ".join(each.because),
            day_totals=each.day_totals,
            stored_at=None,
        )
        for each in days
    ]
    with warehouse.transaction(ACCEPTED_BILL_DAYS.name) as database:
        create_or_alter(database, ACCEPTED_BILL_DAYS)
        database.register("accepted", to_arrow(AcceptedBillDay, rows))
        database.execute("insert into ledger.accepted_bill_days by name from accepted")


def bill_lines(warehouse: Warehouse, connection: str) -> Sequence[str]:
    """Say which sets a connection has, which days they cover, what they deliver, and what is not stored as they are."""
    with warehouse.transaction(keep=False) as database:
        sets = database.execute(
            """
            select
              set_name,
              coalesce(first_day || ' to ' || last_day, 'not read yet'),
              case when files is null then 'not there any more' when missing is not null then missing end
            from ledger.bill_sets
            where connection = $connection
            order by coalesce(first_day, period_first), set_name
            """,
            {"connection": connection},
        ).fetchall()
        states: dict[str, dict[str, list[date]]] = {}
        for name, state, day in database.execute(
            "select set_name, state, usage_date from ledger.bill_states where connection = $connection order by all",
            {"connection": connection},
        ).fetchall():
            states.setdefault(name, {}).setdefault(state, []).append(day)
        amounts = of_sets(database, connection)
    return [
        "; ".join(
            filter(
                None,
                [
                    f"{connection} {name}: {covered}",
                    why,
                    *(f"{state}: {spans(days)}" for state, days in states.get(name, {}).items()),
                    *(each.in_words() for each in amounts.get(name, ())),
                ],
            )
        )
        for name, covered, why in sets
    ]


@click.group()
def bills() -> None:
    pass


@bills.command("list")
@click.option("--connection", "names", multiple=True, metavar="NAME", help="Only this connection. Repeatable.")
def list_bills(names: tuple[str, ...]) -> None:
    """List sets of files and their days. Names days whose stored rows differ."""
    settings = Settings.load()
    chosen = connections_named(settings, names, keyed=False)
    warehouse = warehouse_now(settings)
    lines = [line for each in chosen for line in bill_lines(warehouse, each.name)] if warehouse.exists else []
    for line in lines or [_why_none(chosen)]:
        click.echo(line)


def _why_none(chosen: Collection[Connection]) -> str:
    """Return why there is no bill, and what to do."""
    readers = [each.name for each in chosen if PROVIDERS[each.provider].reads_files]
    if not readers:
        return (
            f"none of these connections reads bills from files: {', '.join(each.name for each in chosen)}; add one of "
            "provider focus to the file that USAGE_CONNECTIONS names (extensions/finance/README.md)"
        )
    return f"no bill was read from files yet, by {', '.join(readers)}: usage-assets backfill --due"


@bills.command("accept")
@click.option("--connection", "name", required=True, metavar="NAME", help="Connection of the bill.")
@click.option("--start", required=True, metavar="YYYY-MM-DD", help="First day (UTC).")
@click.option("--end", required=True, metavar="YYYY-MM-DD", help="Last day, included.")
@click.option("--yes", is_flag=True, help="Accept. Without it, only show what would be cleared.")
def accept(name: str, start: str, end: str, *, yes: bool) -> int:
    """Accept that the files no longer have these days. The next run clears them."""
    settings = Settings.load()
    connections_named(settings, [name], keyed=False)
    window = Window(*parse_days(start, end, settings))
    warehouse = warehouse_now(settings)
    found = withdrawn_days(warehouse, name, window) if warehouse.exists else []
    if not found:
        raise SettingsError(f"connection {name}: no day from {window.first} to {window.last} is withdrawn")
    for each in found:
        stored = ", ".join(f"{which} {plain(total)}" for which, total in each.totals.items() if total)
        click.echo(f"{each.day}: {'; '.join(each.because)}; stored: {stored or 'nothing'}")
    days = [each.day for each in found]
    if not yes:
        click.echo(f"nothing was changed; to accept this: {this_command(yes=True)}")
        return 0
    accept_days(warehouse, name, found, getuser())
    publish_copy(settings)
    click.echo(f"accepted: {spans(days)}; the next run clears them (usage-assets backfill --due)")
    return 0
