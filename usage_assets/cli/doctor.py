"""`usage-assets doctor`: what is configured, whether it works, and how to fix what does not.

Requests one day from each provider and the blueprints from Port, reads the warehouse and Dagster's instance, and
changes nothing.
"""

import json
import os
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from shutil import disk_usage

import click
import dagster as dg

from usage_assets.assets.io_manager import CONNECTION as CONNECTION_OF_TABLE
from usage_assets.assets.io_manager import PART, TABLE
from usage_assets.automation.due_runs import MOST_REASONS, Cursor
from usage_assets.build import build_definitions
from usage_assets.cli.access import ATTEMPTS, hide_pandas
from usage_assets.cli.findings import Finding, Level
from usage_assets.cli.owners import owners_of_nothing
from usage_assets.cli.shards import different_files
from usage_assets.cli.switches import is_running, stored_elsewhere, switches
from usage_assets.config.settings import (
    ENV_FILE,
    Connection,
    Settings,
    SettingsError,
    contradicted_variables,
)
from usage_assets.core.days import DAY, counted, spans, utc_today
from usage_assets.core.errors import Reason, by_cause, one_line
from usage_assets.core.features import DEEP, DOCTOR, SERVICES, hooks, not_loaded
from usage_assets.core.private import is_dedicated, shared
from usage_assets.core.schema import declarations
from usage_assets.dagster_internals.storage import InstigatorState
from usage_assets.fetching.client import Client
from usage_assets.fetching.connected import earliest_day, endpoints_of, provider_client
from usage_assets.fetching.shapes import load, money_columns
from usage_assets.fetching.transport import NotServedYetError, ProviderError
from usage_assets.local.home import configured_home, dagster_home, damaged_files, missing_settings, open_instance
from usage_assets.local.workers import HOLDING_A_PLACE, is_lost, last_heard_of
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.costs import ALLOCATIONS, COSTS, SUMS, VIEWS, DailyCost
from usage_assets.models.due import PUSH, WANTED, Due, due_days, in_words
from usage_assets.models.due import VIEWS as VIEWS_OF_DUE
from usage_assets.models.entities import ENTITIES
from usage_assets.models.same_use import billed_by_both, refuse_same_use, same_use
from usage_assets.models.stated import difference
from usage_assets.providers import LOADED, PROVIDERS
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.registry import OUR_SCHEMAS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import VIEWS as LEDGER_VIEWS
from usage_assets.warehouse.line import line_of
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.published import copy_of, draft_of, former_of, is_current
from usage_assets.warehouse.readable import NOT_PUBLISHED
from usage_assets.warehouse.tables import Table, stored_tables
from usage_assets.warehouse.values import WarehouseError, listed
from usage_assets.warehouse.views import HAS_VIEW, LISTED, lost_tables

SECONDS_FOR_THE_LOCK = 2
TIME_TO_PUBLISH = timedelta(hours=1)
"""Runs that are under way publish when they end."""
TIME_TO_BE_HEARD_OF = timedelta(minutes=10)
"""Runs log each request that is repeated and each write; the longest chain of requests without either is shorter."""
MOST_RUNS = 4
MIB = 1 << 20
ROOM_FOR_A_RUN = 64 * MIB
NOTHING_IS_LOST = "What is stored stays; what is missing is fetched automatically once this is fixed"
SECONDS_UNTIL_SILENT = 120
"""Dagster's daemon gives a sign of life every 30 s."""
CLOCK_TOLERANCE = timedelta(minutes=2)
"""By which clocks of hosts may differ."""
SET_BACK = "is still to come: the clock was set back"

UNKNOWN_PRODUCTS = """
select connection, product, currency, count(distinct usage_date) as days, sum(amount) as amount
from costs.left_out
where is_unknown
group by all
having sum(amount) <> 0
order by all
"""
UNKNOWN_MODELS = """
select
  list_sort(list(model || ' of ' || provider) filter (where reason = 'no known form')) as names,
  coalesce(sum(usd) filter (where reason = 'no known form'), 0)::decimal(38, 2) as usd,
  coalesce(sum(usd) filter (where reason = 'no known form') / nullif(sum(usd), 0), 0) as share
from (
  select provider, model, sum(amount_usd) filter (where cost_basis = 'billed') as usd
  from costs.daily_costs
  where usage_date > (select max(usage_date) - 90 from costs.daily_costs)
  group by all
)
join models.names_in_costs using (provider, model)
"""
MOST_UNKNOWN = 0.05
"""The share of billed dollars that may be of models whose names mean nothing to the rules."""
DISPUTED = """
select
  connection,
  count(*) filter (where kind = 'address') as addresses,
  list(id order by id) filter (where kind <> 'address') as readable
from costs.people
where evidence = 'disputed'
group by connection
order by connection
"""
KEYS_WITH_COSTS = """
select connection, list(distinct api_key_id) as api_keys
from costs.allocated_costs_by_key_named
group by connection
"""
DERIVED = frozenset(model.row.table for model in (*ENTITIES, *COSTS, *ALLOCATIONS))
PARTS = {
    endpoint.row.table: endpoint.part_of
    for provider in PROVIDERS.values()
    for endpoint in provider.endpoints
    if endpoint.part_of
}
"""Tables with money that is in no cost -> the source of costs whose money it is."""
RENAME = "rename or drop it, and run these days again"
OUR_VIEWS = (*LEDGER_VIEWS, *VIEWS_OF_DUE, *VIEWS)
COVERED_TWICE = """
select names, list(usage_date order by usage_date) as days
from (
  select usage_date, string_agg(set_name, ' and ' order by set_name) as names
  from ledger.bill_days
  join ledger.bill_sets using (connection, table_name, set_name)
  where connection = $connection
    and table_name = $table_name
    and usage_date >= $first
    and covers
    and said is not null
    and list_contains($there::text[], files_read || ' ' || set_name)
  group by usage_date
  having count(*) > 1
)
group by names
order by names
"""
"""The days that several sets of files that are there cover, as they were last read, by the names of these."""
STORED_TABLES = """
select
  connection,
  table_name,
  slice,
  max(usage_date) as newest,
  count(distinct usage_date) as days,
  max(written_at) as written_at
from ledger.stored_days
group by connection, table_name, slice
order by connection, table_name, slice
"""


@click.command()
@click.option("--all", "with_all", is_flag=True, help="Also print what is fine.")
@click.option("--deep", is_flag=True, help="Also compare the rows of each stored day with what was written.")
@click.option("--json", "as_json", is_flag=True, help="Print all as one JSON array, each finding on a line.")
def doctor(*, with_all: bool, deep: bool, as_json: bool) -> int:
    hide_pandas()
    found = dict.fromkeys(examine(Settings.load(), deep=deep))  # a deep look finds what a light one has said, too
    findings = sorted(found, key=lambda finding: -finding.level)
    counts = Counter(finding.level for finding in findings)
    if as_json:
        said = [{"level": each.level.name, "subject": each.subject, "text": one_line(each.text)} for each in findings]
        click.echo("[" + ",\n".join(map(json.dumps, said)) + "]")
        return 1 if counts[Level.FAIL] else 0
    for finding in findings:
        if with_all or finding.level is not Level.OK:
            click.echo(f"{finding.level.name:<5} {finding.subject}: {one_line(finding.text)}")
    well = f"{counts[Level.OK]} OK{'' if with_all else ' (--all lists them)'}"
    click.echo(f"{counted(counts[Level.FAIL], 'problem')}, {counted(counts[Level.WARN], 'warning')}, {well}")
    return 1 if counts[Level.FAIL] else 0


def examine(settings: Settings, *, deep: bool = False) -> Iterator[Finding]:
    """Examine everything that is configured. Never yields a secret."""
    if _is_new(settings):
        variables = listed(str(connection.key_reference) for connection in settings.connections())
        text = f"set one of {variables} (for example in .env), then start usage-assets doctor again"
        yield Finding(Level.FAIL, "setup", f"no account is connected yet: {text}. usage-assets dev starts Dagster here")
        return
    definitions = cache(partial(build_definitions, settings))
    yield from _environment(settings)
    yield from _providers(settings)
    due, stored = _stored(settings, definitions)
    yield from _connections(settings, due)
    for services in hooks(SERVICES):
        yield from services(settings)
    yield from stored
    if not any(finding.level is Level.FAIL for finding in stored):
        yield from _files_of_lake(settings)
        if deep:
            for findings in hooks(DEEP):
                yield from findings(settings, _opened_soon(settings))
    yield from _published(settings)
    yield from _permissions(settings)
    yield from _disks(settings)
    yield from _dagster(settings, definitions)


def _is_new(settings: Settings) -> bool:
    """Whether nothing has been set up yet: no connection is stated or has a key, and nothing is stored."""
    try:
        is_connected = settings.usage_connections or any(each.key for each in settings.connections())
        return not is_connected and not _opened_soon(settings).exists
    except (SettingsError, WarehouseError):  # said with the rest
        return False


def _environment(settings: Settings) -> Iterator[Finding]:
    try:
        names = contradicted_variables(settings)
    except SettingsError:  # said with the connections
        return
    if names:
        text = (
            "differ between .env and the environment: Dagster uses .env, this command the environment. Keep one of them"
        )
        yield Finding(Level.WARN, "environment", f"{', '.join(names)} {text}")


def _providers(settings: Settings) -> Iterator[Finding]:
    """What other packages add: what is loaded, and what is not."""
    for name, package in LOADED.packages.items():
        if not package.is_ours:
            yield Finding(Level.OK, f"provider {name}", f"loaded from the package {package}")
    for each in LOADED.not_loaded:
        yield Finding(Level.FAIL, f"provider {each.name}", each.text)
    for feature in not_loaded():
        yield Finding(Level.FAIL, f"feature {feature.name}", feature.text)
    try:
        left_out, unread, kept = settings.left_out_connections, settings.unread_sections, settings.kept_connections
    except SettingsError:  # said with the connections
        return
    for line in unread:
        of = f" of {', '.join(sorted(kept))}" if kept else ""
        yield Finding(Level.WARN, "connections", f"{line}. Until then, nothing{of} is pushed: Port keeps what it has")
    if left_out:
        text = f"{', '.join(left_out)} cannot be fetched: their provider is not loaded. {NOTHING_IS_LOST}"
        yield Finding(Level.WARN, "connections", text)


def _stored(settings: Settings, definitions: Callable[[], dg.Definitions]) -> tuple[Sequence[Due], Sequence[Finding]]:
    """Return what is due and what is to say of the warehouse, of one moment."""
    warehouse = _opened_soon(settings)
    found: list[Finding] = []
    try:
        if not warehouse.exists:
            warehouse.refuse_lost_catalog()
            return [], [_new_warehouse(settings)]
        with warehouse.one_moment() as now:
            found += _warehouse(settings, definitions, now)
            found += [
                *_counted_twice(settings, now),
                *_owners(settings, now),
                *_tag_allocations(settings, now),
                *_left_out(now),
                *_models(settings, now),
                *_people(now),
                *_entries(settings, now),
                *different_files(settings, now),
                *(found for findings in hooks(DOCTOR) for found in findings(settings, now)),
            ]
            return _due(settings, now), found
    except WarehouseError as error:
        if all(each.level is not Level.FAIL for each in found):  # else that is why
            found.append(Finding(Level.FAIL, "warehouse", str(error)))
        return [], found


def _entries(settings: Settings, warehouse: Warehouse) -> Iterator[Finding]:
    """Whether the entries about money that are stored are those of the connections file."""
    with suppress(SettingsError), warehouse.transaction(keep=False) as database:  # said before
        if unlike := difference(database, settings, is_required=True):
            yield Finding(Level.WARN, "connections", unlike)


def _due(settings: Settings, warehouse: Warehouse) -> Sequence[Due]:
    """Return the days that are missing, late, stale or not pushed. Those that may still change are not due here.

    Nothing of a database that cannot be read, which ``_warehouse`` says.
    """
    try:
        due = due_days(warehouse, seeds_of(settings), with_unpushed=True)
    except (SettingsError, WarehouseError):
        return []
    return [row for row in due if row.state == "late" or row.state in WANTED]


def _connections(settings: Settings, due: Sequence[Due]) -> Iterator[Finding]:
    try:
        connections = settings.connections()
        refuse_same_use(connections)
    except SettingsError as error:
        yield Finding(Level.FAIL, "connections", str(error))
        return
    if settings.usage_connections:
        yield Finding(Level.OK, "connections", f"{settings.usage_connections} can be read")
    for connection in connections:
        findings = [*_connection(connection, settings)]
        yield from findings
        has_fault = any(finding.level is Level.FAIL for finding in findings)
        yield from _due_in_words(
            settings, [row for row in due if row.connection == connection.name], has_fault=has_fault
        )


def _due_in_words(settings: Settings, due: Sequence[Due], *, has_fault: bool) -> Iterator[Finding]:
    """What is said of a connection's due days: a warning, unless a fault or a setting explains them."""
    recent = utc_today() - settings.usage_lookback_days * DAY
    late = {row for row in due if row.state == "late"}
    withdrawn = {row for row in due if row.state == "withdrawn"}
    unpushed = {row for row in due if row.state == "unpushed"}
    left = {row for row in due if not settings.usage_backfill_history and row.is_history(recent)}
    what_to_do = "Start Dagster (make run), or run usage-assets backfill --due"
    if is_daemon_running():
        what_to_do = "due_days_sensor has them run (Automation page of the UI)"
    if has_fault:
        what_to_do = "They wait until this connection's fault is fixed"
    for name, reasons in in_words(late).items():
        yield Finding(Level.OK, f"connection {name}", "; ".join(reasons))
    for name, reasons in in_words(withdrawn).items():
        days = [row.day for row in withdrawn if row.connection == name]
        accept = f"usage-assets bills accept --connection {name} --start {min(days)} --end {max(days)}"
        text = f"{'; '.join(reasons)}. Bring the charges back, or accept it: {accept}"
        yield Finding(Level.FAIL, f"connection {name}", text)
    for name, reasons in in_words(row for row in due if row not in left | late | withdrawn | unpushed).items():
        level = Level.OK if has_fault else Level.WARN
        yield Finding(level, f"connection {name}", f"due: {'; '.join(reasons)}. {what_to_do}")
    for name, reasons in in_words(unpushed).items():
        who = "port_changed_partitions_sensor pushes them, or usage-assets backfill --due --push"
        yield Finding(Level.OK, f"connection {name}", f"{'; '.join(reasons)}. {who}")
    for name, reasons in in_words(left).items():
        text = f"{'; '.join(reasons)}. USAGE_BACKFILL_HISTORY=false leaves them to you: usage-assets backfill --due"
        yield Finding(Level.OK, f"connection {name}", text)


def _connection(connection: Connection, settings: Settings) -> Iterator[Finding]:
    subject = f"connection {connection.name}"
    provider = PROVIDERS[connection.provider]
    try:
        client = provider_client(connection, settings, attempts=ATTEMPTS)
        fetched = endpoints_of(provider, connection)
    except (SettingsError, ProviderError) as error:
        yield Finding(Level.FAIL, subject, str(error).removeprefix(f"{subject}: "))
        return
    yield Finding(Level.OK, subject, _in_words(connection))
    for setting in connection.ids.keys() & provider.lacks.keys():
        yield Finding(Level.OK, subject, provider.lacks[setting])
    refused: dict[str, Reason] = {}
    answered: list[Endpoint] = []
    with client:
        for endpoint in provider.endpoints:
            if endpoint not in fetched:
                where = f"in {settings.usage_connections}" if endpoint.name in connection.endpoints else "by default"
                yield Finding(Level.OK, subject, f"{endpoint.name} is switched off {where}")
                continue
            with_what = f"key accepted ({connection.key_reference})" if connection.key else "files can be read"
            try:
                ignored = client.probe(endpoint)
            except NotServedYetError as error:
                days = ", ".join(map(str, error.days))
                waits = f"{endpoint.name}: {with_what}; {days} is not there yet" if connection.key else str(error)
                yield Finding(Level.OK if connection.key else Level.WARN, subject, waits)
            except ProviderError as error:
                where = (
                    f" The key is that of {connection.key_reference}."
                    if error.status == HTTPStatus.UNAUTHORIZED
                    else ""
                )
                refused[endpoint.name] = Reason(f"{error}{where}", error.cause)
            else:
                left_out = f"; ignored, as not in the manifest: {listed(ignored)}" if ignored else ""
                yield Finding(Level.OK, subject, f"{endpoint.name}: {with_what}{left_out}")
                answered.append(endpoint)
                yield from _covered_twice(connection, endpoint, settings, client)
    yield from _unverified_money(connection, answered, settings)
    for reason, names in by_cause(refused).items():
        verb = "is" if len(names) == 1 else "are"
        which = "no report is" if len(names) == len(fetched) else f"{', '.join(names)} {verb} not"
        text = f"{listed(names, most=3)}: {reason.text} Until then {which} refreshed. {NOTHING_IS_LOST}"
        yield Finding(Level.FAIL, subject, text)


def _covered_twice(connection: Connection, endpoint: Endpoint, settings: Settings, client: Client) -> Iterator[Finding]:
    """Days that no run can store, because two sets of files that are there cover them."""
    warehouse, bills = _opened_soon(settings), client.look()
    if bills is None or not warehouse.exists:
        return
    sets = {
        "connection": connection.name,
        "table_name": endpoint.row.table,
        "first": earliest_day(connection, PROVIDERS[connection.provider], endpoint),
        "there": [f"{each.files} {each.name}" for each in bills.listed],
    }
    try:
        with warehouse.transaction(keep=False) as database:
            found = database.execute(COVERED_TWICE, sets).fetchall()
    except WarehouseError:  # said with the warehouse
        return
    for names, days in found:
        text = (
            f"{names} both have charges of {spans(days)}, so no run stores these days: keep one of them, or give each "
            "account a connection of its own"
        )
        yield Finding(Level.FAIL, f"connection {connection.name}", text)


def _in_words(connection: Connection) -> str:
    """What is asked of whom, and what is kept: all that tells two connections apart."""
    scope = [f"{name} {value}" for name, value in connection.ids.items()]
    filters = [f"only {name} {', '.join(values)}" for name, values in connection.filters.items()]
    pace = [f"{connection.requests_per_second:g} requests a second"] if connection.requests_per_second else []
    start, people = f"from {connection.first_day}", f"people: {connection.people}"
    return "; ".join((f"{connection.provider} at {connection.base_url}", *scope, *filters, start, people, *pace))


def _unverified_money(connection: Connection, endpoints: Iterable[Endpoint], settings: Settings) -> Iterator[Finding]:
    captured = load(settings.shapes_path)
    unverified = [
        each.name
        for each in endpoints
        if money_columns(each) and not each.seen_live and f"{connection.provider}/{each.name}" not in captured
    ]
    if unverified:
        capture = f"usage-assets capture --connection {connection.name} --day {utc_today() - DAY}"
        text = (
            f"amounts unverified, as no response of a real account has been captured: {listed(unverified)}: {capture}"
        )
        yield Finding(Level.WARN, f"connection {connection.name}", text)


def _warehouse(
    settings: Settings, definitions: Callable[[], dg.Definitions], warehouse: Warehouse
) -> Iterator[Finding]:
    try:
        stored = (
            warehouse.read(STORED_TABLES).to_pylist()
            if len(warehouse.read(HAS_VIEW, {"name": "ledger.stored_days"}))
            else []
        )
    except WarehouseError as error:
        yield Finding(Level.FAIL, "warehouse", str(error))
        return
    state = "can be read"  # a lake, whose writers are waited for
    if not warehouse.is_shared:
        state = f"is writable and free, {settings.warehouse.file.stat().st_size / 1e6:,.1f} MB"
    yield Finding(Level.OK, "warehouse", f"{warehouse.database} {state}")
    if not stored:
        yield Finding(Level.WARN, "warehouse", "no day is stored yet: run usage-assets backfill, or backfill in the UI")
    if stored and (newest := max(row["written_at"] for row in stored)) > _latest():
        text = f"what was stored at {newest:%Y-%m-%d %H:%M} UTC {SET_BACK}, or is ahead on another host"
        way_out = "Set it right (NTP): days that were fetched early are due when they have come"
        yield Finding(Level.WARN, "warehouse", f"{text}. {way_out}")
    yield from _differing(warehouse, {row["table_name"]: row["newest"] for row in stored})
    written = _written(definitions)
    for row in stored:
        subject = f"table {row['table_name']}"
        source = f", {row['slice']}" if row["slice"] else ""
        days = f"{counted(row['days'])} of {row['connection']}{source}, the newest is {row['newest']}"
        run_plan = (row["connection"], row["table_name"].removesuffix("_control"), row["slice"])
        if (schema := _of_no_provider(row["table_name"], row["slice"])) is not None:
            text = f"{days}: no installed package has the provider {schema}, so nothing refreshes them"
            how = f"They stay readable; usage-assets connection remove {row['connection']} deletes them"
            yield Finding(Level.WARN, subject, f"{text}. {how}")
            continue
        if written and run_plan not in written:
            is_bill = row["table_name"] == DailyCost.table and row["connection"] in {name for name, *_ in written}
            text = f"{days}: nothing refreshes them"
            switched_off = ", because their endpoint is switched off; they stay in the views, in Port and in exports"
            yield Finding(Level.WARN if is_bill else Level.OK, subject, text + (switched_off if is_bill else ""))
            continue
        part_of = PARTS.get(row["table_name"])
        if not part_of:
            yield Finding(Level.OK, subject, days)
            continue
        text = f"{days}: in no cost, because its money is that of {part_of}"
        is_counted = any((each["connection"], each["table_name"]) == (row["connection"], part_of) for each in stored)
        off = f", which is not fetched: switch {part_of.partition('.')[2]} on (endpoints) to count it"
        yield Finding(Level.OK if is_counted else Level.WARN, subject, text if is_counted else text + off)


def _differing(warehouse: Warehouse, stored: Mapping[str, date]) -> Iterator[Finding]:
    """Find the tables that no run can write, because somebody has changed or dropped them."""
    with warehouse.transaction(keep=False) as database:
        tables = stored_tables(database)
        views = dict(database.execute(LISTED).fetchall())
        for name in sorted(tables & {name for view in OUR_VIEWS for name in view.names}):
            yield Finding(Level.FAIL, "view", f"{name}: is a table where a view belongs: {RENAME}")
        names = stored.keys() & declarations().keys() | SUMS.keys()
        newest = max(stored.values(), default=utc_today() - DAY)
        again = f"usage-assets backfill --start {newest} --end {newest}"
        for name in sorted({*lost_tables(OUR_VIEWS, views, tables)} - names):
            yield Finding(Level.FAIL, "table", f"{name}: is missing, and views read it. A run makes it again: {again}")
        for name in sorted(names):
            if name in views:
                yield Finding(Level.FAIL, "table", f"{name}: is a view where a table belongs: {RENAME}")
                continue
            try:
                create_or_alter(database, Table(declarations()[name]))
            except WarehouseError as error:
                yield Finding(Level.FAIL, "table", str(error))


def _of_no_provider(table: str, part: str | None) -> str | None:
    """Return the schema of stored raw rows, or of the source of costs, that no provider has; None if one has it."""
    schema = (part if part and table in DERIVED else table).partition(".")[0]
    is_ours = schema in OUR_SCHEMAS or (table in DERIVED and not part)
    return None if is_ours or schema in LOADED.known else schema


def _counted_twice(settings: Settings, warehouse: Warehouse) -> Iterator[Finding]:
    """Two connections that fetch the same organization, as far as stored ids show it."""
    try:
        connections = settings.connections()
        pairs, both = list(same_use(warehouse, connections)), list(billed_by_both(warehouse))
    except (SettingsError, WarehouseError):  # said before
        return
    for pair in pairs:
        only_stored = [name for name in pair.connections if name not in {each.name for each in connections}]
        what_to_do = "remove one of them, or give them projects or filters that do not overlap"
        if only_stored:
            removed = f"usage-assets connection remove {only_stored[0]} --yes"
            what_to_do = f"{removed} deletes what is no longer fetched"
        yield Finding(
            Level.FAIL,
            f"connections {' and '.join(pair.connections)}",
            f"both store the usage of {pair.days} days and have the same id in {pair.table} ({pair.id}), "
            f"so every dollar of these days is counted twice: {what_to_do}",
        )
    for each in both:
        yield Finding(Level.FAIL, f"connections {each.connection} and {each.other}", each.text)


def _left_out(warehouse: Warehouse) -> Iterator[Finding]:
    """Products of a bill that are in no cost, although they may be AI."""
    if not warehouse.read(HAS_VIEW, {"name": "costs.left_out"}).num_rows:
        return
    for row in warehouse.read(UNKNOWN_PRODUCTS).to_pylist():
        text = (
            f"{row['product']} is billed {row['amount']:.2f} {row['currency']} on {counted(row['days'])} and is in no "
            "cost: this release does not know whether it is AI. Report it, so that the next release knows it"
        )
        yield Finding(Level.WARN, f"connection {row['connection']}", text)


def _models(settings: Settings, warehouse: Warehouse) -> Iterator[Finding]:
    """Names of models that no rule and no [[model]] resolves."""
    if not warehouse.read(HAS_VIEW, {"name": "models.names_in_costs"}).num_rows:
        return
    [row] = warehouse.read(UNKNOWN_MODELS).to_pylist()
    if not row["names"]:
        return
    file = settings.usage_connections or "a connections file (USAGE_CONNECTIONS)"
    yield Finding(
        Level.WARN if row["share"] > MOST_UNKNOWN else Level.OK,
        "models",
        f"${row['usd']:,} of the last 90 days ({row['share']:.1%} of what is billed for models) is of names that may "
        f"be any model: {listed(row['names'])}. They are not added to other names: write a [[model]] with provider, "
        f"as_sent and family for each in {file}",
    )


def _people(warehouse: Warehouse) -> Iterator[Finding]:
    """Ids that lead to several persons of the connections file; an address is not repeated."""
    if not warehouse.read(HAS_VIEW, {"name": "costs.people"}).num_rows:
        return
    for row in warehouse.read(DISPUTED).to_pylist():
        addresses = [counted(row["addresses"], "email")] if row["addresses"] else []
        which = listed([*(row["readable"] or ()), *addresses])
        text = (
            f"several [[person]] entries have the address or id of {which}: its use stays unattributed. Name it in the "
            "one entry that it belongs to"
        )
        yield Finding(Level.WARN, f"connection {row['connection']}", text)


def _opened_soon(settings: Settings) -> Warehouse:
    return warehouse_at(settings.warehouse, SECONDS_FOR_THE_LOCK)


def _files_of_lake(settings: Settings) -> Iterator[Finding]:
    warehouse = _opened_soon(settings)
    if warehouse.is_shared:
        try:
            warehouse.try_writing()
        except WarehouseError as error:
            yield Finding(Level.FAIL, "warehouse", str(error))
        else:
            yield Finding(Level.OK, "warehouse", f"{settings.warehouse.data} can be written")


def _published(settings: Settings) -> Iterator[Finding]:
    """Whether what people read is what is stored; there is nothing to say of a database that does not exist yet."""
    warehouse, database = _opened_soon(settings), settings.warehouse.file
    if warehouse.is_shared or not warehouse.exists:
        return
    path, subject = copy_of(database), "published copy"
    if not path.exists():
        yield Finding(Level.WARN, subject, f"{path} {NOT_PUBLISHED}")
        return
    if path.is_dir():  # _disks says so
        return
    try:
        with warehouse.reading():
            pass
    except WarehouseError as error:
        yield Finding(Level.FAIL, subject, f"{error}: usage-assets backfill --due")
        return
    made_of, changed = (datetime.fromtimestamp(file.stat().st_mtime, UTC) for file in (path, database))
    text = f"{path} holds what was stored by {made_of:%Y-%m-%d %H:%M} UTC"
    if is_current(database):
        yield Finding(Level.OK, subject, f"{text}, which is everything")
        return
    is_late = datetime.now(UTC) - changed > TIME_TO_PUBLISH
    text += f"; the database was changed at {changed:%Y-%m-%d %H:%M} UTC: the next run publishes that when it ends"
    yield Finding(Level.WARN if is_late else Level.OK, subject, text)


def _permissions(settings: Settings) -> Iterator[Finding]:
    """Who else may read personal data and keys. What exists is never changed: somebody may share it on purpose."""
    archive, home = settings.archive_path, Path(configured_home() or ".")
    stored = [settings.shapes_path, settings.warehouse.folder / "captured"]
    if not settings.warehouse.is_lake:
        stored += [settings.warehouse.file, copy_of(settings.warehouse.file)]
    if settings.warehouse.folder.exists() and is_dedicated(settings.warehouse.folder):
        stored = [settings.warehouse.folder]
    others = [archive] if archive and not any(folder in archive.parents for folder in stored) else []
    found = list(shared([*stored, *others, Path(ENV_FILE).absolute(), home / "history", home / "storage"]))
    if found:
        named = " ".join(shlex.quote(str(path)) for path in found)
        what = "others on this machine can read personal data or keys. Unless you share this on purpose"
        yield Finding(Level.WARN, "permissions", f"{what}: chmod go= {named}")


def _disks(settings: Settings) -> Iterator[Finding]:
    """Disks with no room for what a run writes: a copy of the database where that is, else a little. And what is in the
    place of what it writes."""
    warehouse, archive = settings.warehouse, settings.archive_path
    wrong = [archive] if archive and archive.is_file() else []
    files = [settings.report_path, settings.shapes_path]
    files += [] if warehouse.is_lake else [name(warehouse.file) for name in (copy_of, draft_of, former_of, line_of)]
    wrong += filter(Path.is_dir, files)
    for path in wrong:
        kind, move = "a folder" if path.is_dir() else "a file", shlex.join(["mv", str(path), f"{path}.damaged"])
        yield Finding(Level.FAIL, "disk", f"{path} is {kind}, and a run writes there: `{move}`")
    file = None if warehouse.is_lake or not warehouse.file.exists() else warehouse.file
    needs: dict[Path, int] = {}
    for folder in (warehouse.folder, archive or warehouse.folder, Path(configured_home() or ".")):
        place = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
        needed = ROOM_FOR_A_RUN + (file.stat().st_size if file and folder == warehouse.folder else 0)
        needs[place] = max(needed, needs.get(place, 0))
    for place, needed in needs.items():
        if not os.access(place, os.W_OK):
            text = f"{place} cannot be written by the user of this command: make it writable, or runs fail"
            yield Finding(Level.FAIL, "disk", text)
        if (free := disk_usage(place).free) < needed:
            text = f"{place} has {free / MIB:,.0f} MiB left, a run needs {needed / MIB:,.0f}: make room, or runs fail"
            yield Finding(Level.FAIL, "disk", text)


def _owners(settings: Settings, warehouse: Warehouse) -> Iterator[Finding]:
    """Owners whose id no cost has; an address is not repeated."""
    try:
        unused = owners_of_nothing(warehouse, settings.accounting())
    except (SettingsError, WarehouseError):  # said before
        return
    for owner in unused:
        kind, id_ = owner.owned
        name = f"the {kind} with an email address" if "@" in id_ else f"{kind} {id_}"
        text = f"{name} matches no stored cost of its days: correct it in {settings.usage_connections}, or remove it"
        yield Finding(Level.WARN, f"owner of team {owner.team}", text)


def _tag_allocations(settings: Settings, warehouse: Warehouse) -> Iterator[Finding]:
    """Bills that no tags can split, because nothing is billed to the API key."""
    try:
        keys = [entry.billed for entry in settings.accounting().tag_allocations if entry.api_key]
        costs = warehouse.read(KEYS_WITH_COSTS).to_pylist() if keys else []
    except (SettingsError, WarehouseError):  # said before, or no costs are stored yet
        return
    known = {each["connection"]: each["api_keys"] for each in costs}
    for connection, key in keys:
        if key not in known.get(connection, [key]):
            text = f"no stored cost is of API key {key!r}: correct it in {settings.usage_connections}, or remove it"
            yield Finding(Level.WARN, f"tag_allocation of {connection}", text)


def _written(definitions: Callable[[], dg.Definitions]) -> Collection[tuple[str, str, str]]:
    """Connection, table and part of all that an asset writes; of a broken configuration nothing."""
    try:
        specs = definitions().resolve_all_asset_specs()
    except SettingsError:  # said before
        return ()
    written = [spec.metadata for spec in specs if CONNECTION_OF_TABLE in spec.metadata]
    return {(each[CONNECTION_OF_TABLE], each[TABLE], each.get(PART, "")) for each in written}


def _new_warehouse(settings: Settings) -> Finding:
    if settings.warehouse.is_lake:
        return Finding(Level.WARN, "warehouse", f"{settings.warehouse.url} holds no lake yet: the first run makes it")
    path = settings.warehouse.file
    if (copy := copy_of(path)).exists():
        again = f"stop Dagster and `{shlex.join(['install', '-m', '600', str(copy), str(path)])}`"
        text = f"{path} is gone, and its copy is there: {again} restores what was stored when the last run ended"
        return Finding(Level.FAIL, "warehouse", text)
    folder = next(folder for folder in path.parents if folder.exists())
    if not os.access(folder, os.W_OK):
        return Finding(Level.FAIL, "warehouse", f"{path} cannot be made: {folder} is not writable; set USAGE_WAREHOUSE")
    return Finding(Level.WARN, "warehouse", f"{path} does not exist yet: the first run makes it")


def _dagster(settings: Settings, definitions: Callable[[], dg.Definitions]) -> Iterator[Finding]:
    try:
        with open_instance() as instance:
            yield Finding(Level.OK, "Dagster", f"home {dagster_home()}")
            yield from (Finding(Level.FAIL, "Dagster", text) for text in damaged_files(dagster_home()))
            if warning := missing_settings(instance):
                yield Finding(Level.WARN, "Dagster", warning)
            yield _daemon(instance)
            yield from _places(instance, settings)
            yield from _automation(settings, definitions(), instance)
    except SettingsError as error:
        yield Finding(Level.FAIL, "Dagster", str(error))


def is_daemon_running() -> bool:
    """Whether the daemon of the home has given a sign of life; False where there is no home."""
    try:
        with open_instance() as instance:
            return _daemon(instance).level is Level.OK
    except SettingsError:
        return False


def _daemon(instance: dg.DagsterInstance) -> Finding:
    beats = [beat.timestamp for beat in instance.get_daemon_heartbeats().values()]
    newest = datetime.fromtimestamp(max(beats), UTC) if beats else None
    if newest and newest > _latest():
        text = f"its daemon's last sign of life, {newest:%Y-%m-%d %H:%M} UTC, {SET_BACK}"
        return Finding(Level.WARN, "Dagster", f"{text}. It gives the next one then, or when it is restarted (make run)")
    if newest and datetime.now(UTC) - newest < timedelta(seconds=SECONDS_UNTIL_SILENT):
        return Finding(Level.OK, "Dagster", "its daemon is running")
    since = f"since {newest:%Y-%m-%d %H:%M} UTC" if newest else "and never was"
    return Finding(Level.WARN, "Dagster", f"its daemon is not running {since}: no schedule, no push (make run)")


def _latest() -> datetime:
    """The latest moment that may be over on another host."""
    return datetime.now(UTC) + CLOCK_TOLERANCE


def _places(instance: dg.DagsterInstance, settings: Settings) -> Iterator[Finding]:
    """Whether runs that do nothing hold all places, so that nothing else can begin."""
    queue = instance.get_concurrency_config().run_queue_config
    records = instance.get_run_records(dg.RunsFilter(statuses=HOLDING_A_PLACE))
    if queue is None or len(records) < queue.max_concurrent_runs:
        return
    runs = [record.dagster_run for record in records]
    newest = max(last_heard_of(instance, run) for run in runs)
    if datetime.now(UTC) - newest < TIME_TO_BE_HEARD_OF:
        yield Finding(Level.OK, "Dagster", f"all {len(runs)} places for runs are taken, other runs wait")
        return
    lost = sum(is_lost(instance, run) for run in runs)
    yield Finding(
        Level.FAIL,
        "Dagster",
        f"all {len(runs)} places for runs are taken and none of these runs has logged anything since "
        f"{newest:%Y-%m-%d %H:%M} UTC, so nothing is fetched or pushed. The processes of {lost} of them are gone: "
        "restart Dagster (make run), which ends those; terminate the others in the UI: "
        f"{', '.join(settings.run_link(run.run_id) for run in runs[:MOST_RUNS])}",
    )


def _automation(settings: Settings, definitions: dg.Definitions, instance: dg.DagsterInstance) -> Iterator[Finding]:
    """Each schedule and sensor: what a person has set in the UI, else what the code says, and its last tick."""
    declared = [
        ("schedule", each.name, each.default_status is dg.DefaultScheduleStatus.RUNNING)
        for each in definitions.schedules or ()
        if isinstance(each, dg.ScheduleDefinition)
    ]
    declared += [
        ("sensor", each.name, each.default_status is dg.DefaultSensorStatus.RUNNING)
        for each in definitions.sensors or ()
    ]
    here, elsewhere = switches(settings, instance)
    stopped = [(kind, name) for kind, name, by_code in declared if not is_running(here.get(name), by_code=by_code)]
    for kind in ("schedule", "sensor"):
        if names := [name for each, name in stopped if each == kind]:
            are, them = ("is", "it") if len(names) == 1 else ("are", "them")
            subject = f"{kind if len(names) == 1 else f'{kind}s'} {', '.join(names)}"
            text = f"{are} stopped: start {them} on the Automation page of the UI"
            yield Finding(Level.WARN, subject, text)
    for kind, name, by_code in declared:
        if (kind, name) not in stopped:
            yield _instigator(kind, name, here.get(name), instance)
        yield from _resting(here.get(name))
        yield from stored_elsewhere(kind, here.get(name), elsewhere.get(name, ()), by_code=by_code)


def _resting(state: InstigatorState | None) -> Iterator[Finding]:
    """What a sensor will try again later, of each connection: its last failure may be mended since."""
    work = Cursor.decode(getattr(state and state.instigator_data, "cursor", None)).work
    for connection, each in work.items():
        troubles = [(what, trouble) for what, trouble in each.troubles if trouble.rests()]
        if troubles:
            first = min(trouble.rests_until for _, trouble in troubles)
            text = f"failed and rest: {listed((what for what, _ in troubles), MOST_REASONS)} ({troubles[0][1].reason})"
            again = f"The next attempt is at {datetime.fromtimestamp(first, UTC):%Y-%m-%d %H:%M} UTC"
            push = " --push" if any(name.endswith(PUSH) for name in (*each.assets, *each.assets_aside)) else ""
            now = f"usage-assets backfill --due --connection {connection}{push}"
            yield Finding(Level.WARN, f"connection {connection}", f"{text}. {again}, or now: {now}")


def _instigator(kind: str, name: str, state: InstigatorState | None, instance: dg.DagsterInstance) -> Finding:
    """What a schedule or sensor that is running did last."""
    subject = f"{kind} {name}"
    # sensors go on after a clock was set back
    before = _latest().timestamp() if kind == "sensor" else None
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, before, limit=1) if state else []
    if not ticks:
        return Finding(Level.OK, subject, "is running, and has had nothing to do yet")
    last = ticks[0]
    when = f"{datetime.fromtimestamp(last.timestamp, UTC):%Y-%m-%d %H:%M} UTC"
    if last.error:
        reason = last.error.message.strip().splitlines()[-1]
        return Finding(Level.FAIL, subject, f"its last tick ({when}) failed: {reason}")
    if datetime.fromtimestamp(last.timestamp, UTC) > _latest():
        text = f"its last tick, {when}, {SET_BACK}. It ticks again after that, and what is not stored until then is due"
        return Finding(Level.WARN, subject, text)
    outcome = f": {last.skip_reason}" if last.skip_reason else ""
    return Finding(Level.OK, subject, f"is running, last tick {when}{outcome}")
