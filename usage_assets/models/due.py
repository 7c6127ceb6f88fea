"""Which days are due: those that are missing from the warehouse or from Port, and those whose inputs have changed.

``ledger.assets`` holds the configured assets. ``ledger.due_days`` (``sql/ledger/due_days.sql``) compares them with what
is stored and pushed. Both sensors, the daily schedule, the completeness checks, ``usage-assets backfill --due``,
``doctor`` and ``export`` query this view.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Any, Literal

import duckdb
import msgspec

from usage_assets.config.days import minutes_to_first_fetch
from usage_assets.config.settings import Connection, PortRelation, Settings
from usage_assets.core.days import Window, counted, windows
from usage_assets.core.schema import Row, SeedRow, column, to_arrow
from usage_assets.fetching.connected import filters_of
from usage_assets.models.model import SQL, STATED, Model, Related
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import PUSHED_DAYS
from usage_assets.warehouse.migrate import create_or_alter, write_seed
from usage_assets.warehouse.readable import quoted
from usage_assets.warehouse.slices import IN_SLICE, Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Query, Seed, View, WarehouseError, listed
from usage_assets.warehouse.views import make_views

PUSH = "port_sync"
"""How the key of a connection's push ends."""
MAY_LACK = "may lack days"
NEVER_FETCHED = "never fetched"
"""Why a day is due that was never requested, as ``ledger.due_days`` says it."""
AWAITED_FOR = timedelta(days=31)
"""How much older than recent days one may be that is missing because the provider did not serve it."""
State = Literal["missing", "late", "stale", "changed", "withdrawn", "open", "unsettled", "unpushed"]
WANTED: Collection[State] = ("missing", "stale", "changed", "withdrawn", "unpushed")
"""States of days that somebody waits for. Others may still change."""


class ExpectedAsset(SeedRow, kw_only=True):
    """One row per table that an asset of a configured connection writes: which days, computed from what.

    Also one row per blueprint of a connection that is pushed to Port: its table is ledger.pushed_days, the part of it
    is Port account and blueprint, and its query is a digest of what its entities relate to.
    """

    table = "ledger.assets"
    grain = ("connection", "table_name", "slice")

    connection: Annotated[str, column("Connection")]
    table_name: Annotated[str, column("Table that the asset writes")]
    slice: Annotated[str, column("Part of the table that it writes; usually empty")]
    asset: Annotated[str, column("Key of the asset")]
    first_day: Annotated[date, column("First day that it should hold")]
    kept_months: Annotated[
        int | None, column("How many months before the current month are kept; null: all", unit="months")
    ]
    includes_today: Annotated[
        bool | None, column("Whether the current day has a partition; null, written by an earlier release: no")
    ]
    lookback_days: Annotated[
        int | None, column("How far back its provider serves; null: without limit", unit="days")
    ] = None
    due_after_minutes: Annotated[
        int | None, column("How long after a day's end it counts as missing; null in derived tables", unit="minutes")
    ] = None
    question: Annotated[str | None, column("Digest of what the connection asks for; null in derived tables")] = None
    query: Annotated[str | None, column("Digest of the query that computes it; null in raw tables")] = None
    reads: Annotated[
        str,
        column(
            "Tables that the query reads, the part of each, and whether the table may lack days, as JSON; empty in raw "
            "tables"
        ),
    ] = "[]"
    names: Annotated[str, column("Lookups whose names the query reads, as JSON")] = "[]"
    shard: Annotated[str | None, column("Shard that runs the connection; null: the main code location")]


class DueDay(Row):
    """One row per day of an asset that has to be fetched, computed or pushed, for the first time or because something
    changed.

    A view over ledger.assets, ledger.partition_versions, ledger.pushed_days, ledger.namings and accounting.*. A day
    that is not listed is up to date.
    """

    table = "ledger.due_days"
    grain = ("table_name", "slice")

    table_name: Annotated[str, column("Table")]
    slice: Annotated[str, column("Part of the table; usually empty")]
    asset: Annotated[str, column("Key of the asset that writes it")]
    state: Annotated[
        str,
        column(
            "missing: never fetched or computed; late: the provider did not serve it yet when it was last asked; "
            "stale: what it was computed from has changed, or what the connection asks for; changed: the files of its "
            "bill have changed; withdrawn: they no longer have it; open: fetched before the day was over; unsettled: "
            "the provider may still change it; unpushed: Port does not have what is stored"
        ),
    ]
    since: Annotated[datetime, column("Since when it is due")]
    because: Annotated[str, column("What changed, or what is still to be done")]


@dataclass(frozen=True)
class Due:
    """One row of the view."""

    connection: str
    day: date
    asset: str
    """The key of the asset, as Dagster's UI shows it."""
    state: State
    since: datetime
    because: str

    def is_history(self, recent: date) -> bool:
        """Whether USAGE_BACKFILL_HISTORY is about it: missing, and older than ``recent`` if it was never requested, or
        much older if the provider did not serve it."""
        is_raw = len(self.asset.split("/")) == len(("connection", "endpoint"))
        oldest = recent if self.because == NEVER_FETCHED else recent - AWAITED_FOR
        return is_raw and self.state == "missing" and self.day < oldest


ASSETS = Table(ExpectedAsset)
VIEWS = (*(view for _, view in STATED.values()), View((SQL / "ledger" / "due_days.sql").read_text()))
QUERY = """
select connection, usage_date, asset, state, since, because
from ledger.due_days
where $is_push is null or (table_name = 'ledger.pushed_days') = $is_push
order by table_name = 'ledger.pushed_days', connection, usage_date, asset, state, since, because
"""
WHOLE_SETS = """
select connection, first_day, last_day
from ledger.bill_sets
where first_day is not null
  and (
    files is not null
    or exists (
      from ledger.bill_days
      where bill_days.connection = bill_sets.connection
        and bill_days.table_name = bill_sets.table_name
        and bill_days.set_name = bill_sets.set_name
        and stored is not null
        and archived_at is null
    )
  )
order by connection, last_day desc, first_day
"""
MISSING = """
select distinct connection, asset
from ledger.due_days as due
where state = 'missing'
  and usage_date = $day
  and exists (
    from ledger.stored_days as stored
    where stored.connection = due.connection
      and stored.table_name = due.table_name
      and stored.slice = due.slice
      and stored.usage_date < due.usage_date
  )
order by all
"""


def question_of(endpoint: Endpoint, connection: Connection) -> str:
    """Digest of what decides an endpoint's answer. The base URL, the key and the pace do not.

    The organization's name counts only where it is sent to the provider.
    """
    filters = sorted((name, sorted(values)) for name, values in filters_of(endpoint, connection).items())
    is_told = not PROVIDERS[connection.provider].names_organization
    ids = {name: value for name, value in connection.ids.items() if is_told or name != "organization"}
    known = [
        ids.pop(name, None) for name in ("organization", "project", "workspace_id")
    ]  # None too, or stored digests would change
    facts = (connection.provider, connection.people, *known, filters, *sorted(ids.items()))
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def _expected(connection: Connection, settings: Settings, **stated: Any) -> ExpectedAsset:
    """Return what is expected of an asset of a connection: every day that has a partition, unless something else is
    ``stated``."""
    common: dict[str, Any] = {
        "connection": connection.name,
        "first_day": settings.usage_start_date,
        "kept_months": settings.usage_retention_months,
        "includes_today": settings.usage_include_today,
        "shard": connection.shard,
    }
    return ExpectedAsset(**common | stated)


def expected_raw(endpoint: Endpoint, connection: Connection, settings: Settings) -> list[ExpectedAsset]:
    """What is expected of a raw asset: every day since the connection's start that its provider serves."""
    provider = PROVIDERS[connection.provider]
    return [
        _expected(
            connection,
            settings,
            table_name=table,
            slice="",
            asset=f"{connection.name}/{endpoint.name}",
            first_day=max(day for day in (connection.start_date, provider.first_day, endpoint.first_day) if day),
            lookback_days=min(
                (served.lookback_days for served in (provider, endpoint) if served.lookback_days is not None),
                default=None,
            ),
            due_after_minutes=minutes_to_first_fetch(settings),
            question=question_of(endpoint, connection),
        )
        for table in endpoint.tables
    ]


def expected_derived(model: Model, query: Query, connection: Connection, settings: Settings) -> ExpectedAsset:
    """What is expected of a derived asset: every day that has a partition and whose sources are stored."""
    return _expected(
        connection,
        settings,
        table_name=model.row.table,
        slice=model.part,
        asset=model.asset_of(connection.name),
        query=query.code,
        reads=msgspec.json.encode(
            [(table, part, *([MAY_LACK] if table in query.may_lack else [])) for table, part in query.sources]
        ).decode(),
        names=msgspec.json.encode(query.names).decode(),
    )


def expected_push(
    sent: Related, connection: Connection, account: str, relations: Sequence[PortRelation], settings: Settings
) -> ExpectedAsset:
    """What is expected of a connection's push: every day of a blueprint that has a partition and is stored.

    Of several tables, one may lack a day.
    """
    may_lack = [MAY_LACK] if len(sent.stored_in) > 1 else []
    return _expected(
        connection,
        settings,
        table_name=PUSHED_DAYS.name,
        slice=f"{account} {sent.name}",
        asset=f"{connection.name}/{PUSH}",
        query=sent.relations_digest(relations),
        reads=msgspec.json.encode([(*source, *may_lack) for source in sent.stored_in]).decode(),
    )


def assets_seed(
    expected: Iterable[ExpectedAsset],
    read_at: datetime,
    shard: str | None = None,
    others: Collection[Connection] = (),
) -> Seed:
    """Return what a code location states: the rows of its shard. The main one removes those that its file does not know
    any more, too; ``others`` are the connections that other code locations run."""
    owned = f"shard = {quoted(shard)}" if shard else "shard is null"
    if not shard:
        known = "".join(f", ({quoted(each.name)}, {quoted(each.shard or '')})" for each in others)
        owned += f" or (connection, shard) not in (('', ''){known})"
    name = ":".join(filter(None, ("assets", shard)))
    return Seed(name, {ASSETS: to_arrow(ExpectedAsset, expected)}, read_at, owned)


def refuse_other_shard(warehouse: Warehouse, connection: str, shard: str | None) -> None:
    """Raise WarehouseError where another code location has stated that it runs the connection."""
    with warehouse.transaction(keep=False) as database:
        create_or_alter(database, ASSETS)
        query = f"select distinct shard from {ASSETS.name} where connection = $connection"
        stored = [name for (name,) in database.execute(query, {"connection": connection}).fetchall()]
    if any(name != shard for name in stored):
        where = " and ".join(f"shard {name}" if name else "no shard" for name in sorted(stored, key=str))
        raise WarehouseError(
            f"connection {connection} is in {f'shard {shard}' if shard else 'no shard'} here, but another code "
            f"location states {where}: give all of them the same connections file, and restart the main one first"
        )


def due_days(
    warehouse: Warehouse, seeds: Sequence[Seed], *, keep: bool = False, with_unpushed: bool = False
) -> list[Due]:
    """Return every day of what is stated (money, assets) that has to be fetched or computed. Raises WarehouseError.

    ``with_unpushed`` adds those of ``unpushed_days`` at its end, and takes no longer: to plan the view is most of it.
    With ``keep``, stores what is stated where it differs. Only the code location may do that: a command knows only the
    keys in its own environment, and the sensor and the daily schedule would take all other connections for removed.
    """
    return _due(warehouse, seeds, keep=keep, is_push=None if with_unpushed else False)


def state_first(warehouse: Warehouse, seeds: Sequence[Seed]) -> None:
    """Store what is stated where no code location has done so yet: whoever only types commands has due days, too.

    Raises WarehouseError.
    """
    with warehouse.transaction(keep=False) as database:
        create_or_alter(database, ASSETS)
        [(stated,)] = database.execute(f"select count(*) from {ASSETS.name}").fetchall()
    if not stated:
        due_days(warehouse, seeds, keep=True)


def unpushed_days(warehouse: Warehouse, seeds: Sequence[Seed], *, keep: bool = False) -> list[Due]:
    """Return every stored day that Port does not have. ``keep``: as of ``due_days``. Raises WarehouseError."""
    return _due(warehouse, seeds, keep=keep, is_push=True)


def _due(warehouse: Warehouse, seeds: Sequence[Seed], *, keep: bool, is_push: bool | None) -> list[Due]:
    with _stated(warehouse, seeds, keep=keep) as database:
        rows = database.execute(QUERY, {"is_push": is_push}).fetchall()
    return [Due(*row) for row in rows]


@contextmanager
def _stated(warehouse: Warehouse, seeds: Sequence[Seed], *, keep: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a transaction in which ``ledger.due_days`` is about what is stated.

    What is stated is kept once by each process that may do that. A lake is tried first without keeping anything: no
    writer waits if nothing is new. A file is opened once.
    """
    if keep and warehouse.is_shared:
        with warehouse.transaction(keep=False) as database:
            is_news = [write_seed(database, each) for each in seeds]
            make_views(database, VIEWS)
            if not any(is_news):
                yield database
                return
    with warehouse.transaction(keep=keep) as database:
        for each in seeds:
            write_seed(database, each)
        make_views(database, VIEWS)
        yield database


def whole_sets(warehouse: Warehouse) -> Mapping[str, Sequence[Window]]:
    """Return per connection the days that are stored together: those that a set of files covers, or is stored from."""
    if not warehouse.exists:
        return {}
    found: dict[str, list[Window]] = {}
    with warehouse.transaction(keep=False) as database:
        for connection, first, last in database.execute(WHOLE_SETS).fetchall():
            found.setdefault(connection, []).append(Window(first, last))
    return found


def missing_assets(warehouse: Warehouse, seeds: Sequence[Seed], day: date) -> Mapping[str, Sequence[str]]:
    """Return per connection the assets that lack a day although they hold an earlier one. Raises WarehouseError.

    An asset without any day was just added, or has failed since it was added, which its runs say.
    """
    missing: dict[str, list[str]] = {}
    with _stated(warehouse, seeds, keep=False) as database:
        for connection, asset in database.execute(MISSING, {"day": day}).fetchall():
            missing.setdefault(connection, []).append(asset)
    return missing


def stale_days(database: duckdb.DuckDBPyConnection, table: Table, target: Slice) -> Mapping[date, str]:
    """Return the days of a derived slice whose inputs have changed since they were computed, with what has changed."""
    make_views(database, VIEWS)
    rows = database.execute(
        f"select usage_date, because from ledger.due_days where state = 'stale' and table_name = $table_name "
        f"and slice = $part and {IN_SLICE}",
        {**target.bounds, "table_name": table.name, "part": target.part},
    ).fetchall()
    return {day: f"not compared, because it is computed again: {because}" for day, because in rows}


def in_words(due: Iterable[Due]) -> Mapping[str, Sequence[str]]:
    """Say per connection which days are due and why, the most frequent reason first."""
    words: dict[str, list[str]] = {}
    for connection, rows in groupby(sorted(due, key=attrgetter("connection")), key=attrgetter("connection")):
        reasons: dict[tuple[str, str], set[date]] = {}
        for row in rows:
            reasons.setdefault((row.state, row.because), set()).add(row.day)
        ordered = sorted(reasons.items(), key=lambda reason: -len(reason[1]))
        words[connection] = [
            f"{counted(len(days))} {state_} ({listed(map(str, windows(days, len(days))))}): {because}"
            for (state_, because), days in ordered
        ]
    return words
