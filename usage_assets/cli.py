"""`usage-assets`: what a person types. Bad input is one line on stderr and exit code 2, before anything is changed."""

import logging
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import NoReturn

import click
import dagster as dg

from usage_assets.assets.raw import earliest_day
from usage_assets.automation.jobs import PORT_SYNC_JOB, USAGE_JOB
from usage_assets.backfill import Share, connections_named, one_line, share_of, stored
from usage_assets.definitions import build_definitions
from usage_assets.doctor import Level, blueprints_of, examine, port_client
from usage_assets.local.home import open_instance
from usage_assets.partitions import parse_days
from usage_assets.port.client import PortError
from usage_assets.port.provision import provision
from usage_assets.progress import display, in_words
from usage_assets.providers import PROVIDERS
from usage_assets.sandbox.app import serve
from usage_assets.sandbox.control import DEFAULT_SEED
from usage_assets.settings import Connection, Settings, SettingsError
from usage_assets.warehouse.database import Warehouse, WarehouseError

TAKEN_BLUEPRINTS = "select distinct blueprint from ledger.port_entities where account = $account"
"""Blueprints that Port has entities of ours in: they need no look before a push that may have nothing to send."""
SECONDS_FOR_THE_LOCK = 5
"""How long a command waits for the database file before it starts; its runs have the warehouse's own patience."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command of the arguments, or of the command line.

    Exit codes: 0 all done, 1 something failed, 2 bad input, 130 interrupted.
    """
    logging.getLogger("usage_assets").addHandler(logging.NullHandler())  # a backfill shows them in their place
    try:
        sys.exit(cli.main(arguments, "usage-assets", standalone_mode=False))
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "usage-assets"
        _refuse(f"{error.format_message()} ({command} --help)")
    except (SettingsError, WarehouseError, PortError) as error:
        _refuse(str(error))
    except (KeyboardInterrupt, click.Abort):
        click.echo("usage-assets: interrupted; what is stored stays, the days under way are as they were", err=True)
        sys.exit(130)


def _refuse(message: str) -> NoReturn:
    click.echo(f"usage-assets: {one_line(message)}", err=True)
    sys.exit(2)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Usage and cost of AI providers as daily Dagster assets."""


@cli.command()
@click.option("--start", required=True, metavar="YYYY-MM-DD", help="First day (UTC).")
@click.option("--end", required=True, metavar="YYYY-MM-DD", help="Last day, included.")
@click.option("--connection", "names", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option("--push", is_flag=True, help="Push the days to Port, too.")
@click.option("--verbose", is_flag=True, help="Show Dagster's messages.")
def backfill(start: str, end: str, names: Sequence[str], *, push: bool, verbose: bool) -> int:
    """Fetch, store and compute days again, here and now, as runs that the UI shows."""
    settings = Settings.load()
    first, last = parse_days(start, end, settings)
    connections = connections_named(settings, names)
    definitions = build_definitions(settings)
    shares = [share for each in connections if (share := share_of(each, first, last, definitions, push=push))]
    if not shares:
        earliest = min(earliest_day(each, PROVIDERS[each.provider]) for each in connections)
        raise SettingsError(f"end {last} is before the earliest day that can be fetched, {earliest}")
    with open_instance() as instance:
        _require_warehouse(settings)
        if push:
            _require_port(settings, definitions, connections)
        _say_what_is_out_of_reach(connections, first)
        with display(sum(share.asset_days for share in shares), verbose=verbose) as shown:
            for share in shares:
                for step in share.run(definitions, instance, log_level="INFO" if verbose else "CRITICAL"):
                    shown.show(step)
    for share in shares:
        _report(share, settings)
    return 1 if any(share.failures for share in shares) else 0


def _say_what_is_out_of_reach(connections: Sequence[Connection], first: date) -> None:
    for connection in connections:
        earliest = earliest_day(connection, PROVIDERS[connection.provider])
        if first < earliest:
            click.echo(f"{connection.name}: days before {earliest} cannot be fetched and are left out", err=True)


def _require_warehouse(settings: Settings) -> None:
    with Warehouse(database=str(settings.warehouse_path), wait_seconds=SECONDS_FOR_THE_LOCK).transaction():
        pass


def _require_port(settings: Settings, definitions: dg.Definitions, connections: Sequence[Connection]) -> None:
    if settings.port_account is None:
        raise SettingsError("--push: Port is not configured: set PORT_CLIENT_ID and PORT_CLIENT_SECRET")
    with port_client(settings.port_account) as port:
        warehouse = Warehouse(database=str(settings.warehouse_path))
        taken = warehouse.read(TAKEN_BLUEPRINTS, {"account": port.account}).column("blueprint").to_pylist()
        provision(port, [name for name in blueprints_of(definitions, connections) if name not in taken])


def _report(share: Share, settings: Settings) -> None:
    held = stored(Warehouse(database=str(settings.warehouse_path)), share.connection, share.window)
    fetched = in_words(len(share.window.days), held.rows, share.counts(USAGE_JOB))
    costs = "".join(f", {amount:,.2f} {unit}" for unit, amount in held.costs.items())
    pushed = f"; Port: {in_words(0, 0, share.counts(PORT_SYNC_JOB)) or 'nothing to send'}" if share.pushes else ""
    click.echo(f"{share.connection.name} {share.window}: {fetched}{costs}{pushed}; {share.seconds:.0f} s")
    for asset, reason in share.failures.items():
        click.echo(f"FAILED: {asset}: {reason}", err=True)


@cli.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default="any free one")
@click.option("--seed", type=int, default=DEFAULT_SEED, show_default=True, help="Which company.")
@click.option("--now", metavar="ISO", help="Stop the clock at this time.")
def sandbox(port: int, seed: int, now: str | None) -> None:
    """Serve emulated providers and Port on this machine, until Ctrl-C."""
    serve(port, seed=seed, now=_moment(now) if now else None)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"--now {text!r} is not an ISO 8601 time, such as 2026-11-20T08:00:00Z") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


@cli.command()
def doctor() -> int:
    """Check keys, Port, the database file and Dagster, and say what to do."""
    worst = Level.OK
    for finding in examine(Settings.load()):
        click.echo(f"{finding.level.name:<5} {finding.subject}: {one_line(finding.text)}")
        worst = max(worst, finding.level)
    return 1 if worst is Level.FAIL else 0
