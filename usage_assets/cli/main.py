"""`usage-assets`: what a person types. Bad input is one line on stderr and exit code 2, before anything is changed."""

import logging
import sys
from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NoReturn

import click
import dagster as dg

from usage_assets.assets.failures import one_line
from usage_assets.automation.jobs import PORT_SYNC_JOB, USAGE_JOB
from usage_assets.automation.pruning import find_old
from usage_assets.build import build_definitions
from usage_assets.cli.backfill import BackfillPlan, connections_named, due_plan_of, plan_of, stored
from usage_assets.cli.capture import Captured, Sanitiser, capture, chosen_endpoints, write
from usage_assets.cli.dev import dev
from usage_assets.cli.doctor import Level, blueprints_of, examine, port_client
from usage_assets.cli.progress import display, in_words
from usage_assets.cli.removal import removal_of
from usage_assets.config.days import parse_days
from usage_assets.config.settings import Connection, PortAccount, Settings, SettingsError
from usage_assets.core.addresses import checked_url, is_loopback
from usage_assets.core.money import plain
from usage_assets.core.private import keep_private
from usage_assets.fetching.connected import earliest_day
from usage_assets.fetching.shapes import Shape, remember
from usage_assets.focus.export import export, writable
from usage_assets.local.home import open_instance
from usage_assets.local.processes import StartError
from usage_assets.models.connection_graph import fetched_costs, graph_of, seeds_of
from usage_assets.models.due import due_days
from usage_assets.models.due import in_words as due_in_words
from usage_assets.models.entities import foreign_relations
from usage_assets.port.adopt import leftovers, remove
from usage_assets.port.client import PortClient, PortError
from usage_assets.port.dashboard import create_dashboard
from usage_assets.port.provision import ConflictError, Step, plan, provision
from usage_assets.providers import PROVIDERS
from usage_assets.sandbox.app import serve
from usage_assets.sandbox.control import DEFAULT_SEED
from usage_assets.warehouse.connections import stored_connections
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import publish
from usage_assets.warehouse.values import WarehouseError

TAKEN_BLUEPRINTS = "select distinct blueprint from ledger.port_entities where account = $account"
"""Blueprints that Port has entities of ours in: they need no look before a push that may have nothing to send."""
OURS = "select identifier from ledger.port_entities where account = $account and blueprint = $blueprint"
"""What the ledger has of a blueprint."""
READY = "every blueprint is as it must be"
MOST_NAMED = 5
SECONDS_FOR_THE_LOCK = 5
"""How long a command waits for the database file before it starts; its runs have the warehouse's own patience."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command of the arguments, or of the command line.

    Exit codes: 0 all done, 1 something failed, 2 bad input, 130 interrupted.
    """
    keep_private()
    logging.getLogger("usage_assets").addHandler(logging.NullHandler())  # a backfill shows them in their place
    try:
        sys.exit(cli.main(arguments, "usage-assets", standalone_mode=False))
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "usage-assets"
        _refuse(f"{error.format_message()} ({command} --help)")
    except (SettingsError, StartError, WarehouseError, PortError) as error:
        _refuse(str(error))
    except (KeyboardInterrupt, click.Abort):
        click.echo("usage-assets: interrupted; what is stored stays, the days under way are as they were", err=True)
        sys.exit(130)


def _refuse(message: str) -> NoReturn:
    click.echo(f"usage-assets: {one_line(message)}", err=True)
    sys.exit(2)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="usage-assets", message="%(prog)s %(version)s")
def cli() -> None:
    """Usage and cost of AI providers as daily Dagster assets."""


cli.add_command(dev)


@cli.command()
@click.option("--start", metavar="YYYY-MM-DD", help="First day (UTC).")
@click.option("--end", metavar="YYYY-MM-DD", help="Last day, included.")
@click.option("--due", is_flag=True, help="Run what is missing, stale or not settled yet, instead of a range of days.")
@click.option("--connection", "names", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option("--push", is_flag=True, help="Push the days to Port, too.")
@click.option("--from-archive", is_flag=True, help="Read archived answers again instead of asking the providers.")
@click.option("--verbose", is_flag=True, help="Show Dagster's messages.")
def backfill(
    start: str | None,
    end: str | None,
    names: Sequence[str],
    *,
    due: bool,
    push: bool,
    from_archive: bool,
    verbose: bool,
) -> int:
    """Fetch, store and compute days again, here and now, as runs that the UI shows."""
    settings = Settings.load()
    if due and (start or end or from_archive):
        raise click.UsageError("--due cannot be combined with --start, --end or --from-archive")
    if not due and not (start and end):
        raise click.UsageError("name the days with --start and --end, or use --due")
    connections = connections_named(settings, names, keyed=not from_archive)
    # its runs publish nothing: it does that itself, once
    definitions = build_definitions(settings, warehouse=Warehouse(database=str(settings.warehouse_path)))
    with open_instance() as instance:
        with _warehouse(settings).transaction():
            pass  # a file that cannot be opened fails here, before anything is fetched
        if start and end:
            first, last = parse_days(start, end, settings)
            plans = _plans_of(first, last, connections, definitions, push=push, from_archive=from_archive)
        else:
            plans = _due_plans(settings, connections, push=push)
        if push:
            _require_port(settings, definitions, connections)
        try:
            with display(sum(plan.asset_days for plan in plans), verbose=verbose) as shown:
                for plan in plans:
                    for step in plan.run(definitions, instance, log_level="INFO" if verbose else "CRITICAL"):
                        shown.show(step)
        finally:
            _publish(settings)
    for plan in plans:
        _report(plan, settings)
    return 1 if any(plan.failures for plan in plans) else 0


def _plans_of(
    first: date,
    last: date,
    connections: Sequence[Connection],
    definitions: dg.Definitions,
    *,
    push: bool,
    from_archive: bool,
) -> list[BackfillPlan]:
    options = {"push": push, "from_archive": from_archive}
    plans = [plan for each in connections if (plan := plan_of(each, first, last, definitions, **options))]
    if not plans:
        earliest = min(_earliest_day(each, from_archive=from_archive) for each in connections)
        raise SettingsError(f"end {last} is before the earliest day that can be fetched, {earliest}")
    _say_what_is_out_of_reach(connections, first, from_archive=from_archive)
    return plans


def _due_plans(settings: Settings, connections: Sequence[Connection], *, push: bool) -> list[BackfillPlan]:
    seeds = seeds_of(settings)
    due = due_days(_warehouse(settings), seeds)
    for name, reasons in due_in_words(due).items():
        for reason in reasons:
            click.echo(f"{name}: {reason}", err=True)
    graphs = [graph_of(each, settings.connections(), seeds[0]) for each in connections]
    plans = [plan for graph in graphs if (plan := due_plan_of(graph.connection, due, graph, push=push))]
    if not plans:
        click.echo("no day is due")
    return plans


def _earliest_day(connection: Connection, *, from_archive: bool) -> date:
    return earliest_day(connection, PROVIDERS[connection.provider], from_archive=from_archive)


def _say_what_is_out_of_reach(connections: Sequence[Connection], first: date, *, from_archive: bool) -> None:
    for connection in connections:
        earliest = _earliest_day(connection, from_archive=from_archive)
        if first < earliest:
            click.echo(f"{connection.name}: days before {earliest} cannot be fetched and are left out", err=True)


def _publish(settings: Settings) -> None:
    try:
        publish(_warehouse(settings))
    except WarehouseError as error:
        click.echo(f"the published copy is out of date: {error}", err=True)


def _require_port(settings: Settings, definitions: dg.Definitions, connections: Sequence[Connection]) -> None:
    with port_client(_account(settings, "--push: ")) as port:
        warehouse = Warehouse(database=str(settings.warehouse_path))
        taken = warehouse.read(TAKEN_BLUEPRINTS, {"account": port.account}).column("blueprint").to_pylist()
        if missing := [name for name in blueprints_of(definitions, connections) if name not in taken]:
            provision(port, missing, foreign_relations(settings.port_relations()))


def _report(plan: BackfillPlan, settings: Settings) -> None:
    held = stored(Warehouse(database=str(settings.warehouse_path)), plan.connection, plan.window)
    assets, failures = plan.assets, plan.failures
    failed = f"FAILED for {len(failures)} of {len(assets)} assets; stored: " if failures else ""
    fetched = failed + in_words(held.days, held.rows, plan.counts(USAGE_JOB))
    costs = "".join(f", {amount:,.2f} {unit}" for unit, amount in held.costs.items())
    nothing = "failed" if any(step.failure for step in plan.steps[PORT_SYNC_JOB]) else "nothing to send"
    pushed = f"; Port: {in_words(0, 0, plan.counts(PORT_SYNC_JOB)) or nothing}" if plan.pushes else ""
    click.echo(f"{plan.connection.name} {plan.window}: {fetched}{costs}{pushed}; {plan.seconds:.0f} s")
    if failures:
        links = ", ".join(dict.fromkeys(map(settings.run_link, plan.failed_runs)))
        click.echo(
            f"FAILED: {plan.connection.name}: not refreshed, for the reasons above: {', '.join(failures)}. "
            f"What was stored stays. Once this is fixed, run this again, or Dagster does it on its own ({links})",
            err=True,
        )


@cli.command("prune")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def prune(*, dry_run: bool) -> int:
    """Remove old history of Dagster, and days that are not kept any more, as the schedule does every day."""
    settings = Settings.load()
    warehouse, account = _warehouse(settings), settings.port_account
    with open_instance() as instance, port_client(account) if account else nullcontext() as port:
        old = find_old(instance, settings, warehouse, port.account if port else "")
        for line in old.lines:
            click.echo(line)
        if dry_run:
            click.echo("nothing was removed; to remove this: usage-assets prune")
            return 0
        failures = old.remove(instance, warehouse, port)
    if old.days.rows and not failures:
        _publish(settings)
    for failure in failures:
        click.echo(f"FAILED: Port, {failure.blueprint} {failure.identifier}: {one_line(failure.reason)}", err=True)
    return 1 if failures else 0


@cli.group()
def connection() -> None:
    """See which connections there are, and remove what is left of one."""


@connection.command("list")
def list_connections() -> None:
    """Show every connection that is configured or has days stored."""
    settings = Settings.load()
    configured: dict[str, str] = {each.name: each.provider for each in settings.connections() if each.is_configured}
    found = stored_connections(_warehouse(settings)) if settings.warehouse_path.exists() else []
    held = {each.name: each for each in found}
    for name in sorted(configured.keys() | held.keys()):
        provider = configured.get(name) or min(held[name].schemas & PROVIDERS.keys(), default="")
        state = "configured" if name in configured else "only stored"
        days = f"{held[name].first} to {held[name].last}" if name in held else "no day stored"
        click.echo(f"{name:<24} {provider:<20} {state:<12} {days}")


@connection.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Delete; without it, only say what would be deleted.")
def remove_connection(name: str, *, yes: bool) -> int:
    """Delete what is stored of a connection that is no longer configured, and its entities in Port."""
    settings = Settings.load()
    warehouse, account = _warehouse(settings), settings.port_account
    with open_instance() as instance, port_client(account) if account else nullcontext() as port:
        removal = removal_of(name, settings, warehouse, instance, port.account if port else "")
        for table, rows in removal.rows.items():
            click.echo(f"{table}: rows {rows:,}")
        for blueprint, entities in removal.entities.items():
            click.echo(f"Port, {blueprint}: entities {entities:,}")
        click.echo(f"archived answers: files {len(removal.archived):,}")
        click.echo(f"Dagster: which days of {len(removal.assets)} assets are there")
        for other, entities in removal.elsewhere.items():
            click.echo(f"Port account {other}: entities {entities:,} stay until this is run for that account", err=True)
        if not yes:
            click.echo(f"nothing was deleted; to delete this: usage-assets connection remove {name} --yes")
            return 0
        failures = removal.run(warehouse, instance, port)
    _publish(settings)
    for failure in failures:
        click.echo(f"FAILED: Port, {failure.blueprint} {failure.identifier}: {one_line(failure.reason)}", err=True)
    click.echo(
        f"{len(failures)} entities are still in Port, all rows are kept" if failures else "all of this is deleted"
    )
    return 1 if failures else 0


@cli.group("port")
def port_commands() -> None:
    """See and make what Port needs, and clear up a catalog that was filled another way."""


@port_commands.command("plan")
def plan_port() -> int:
    """Show what the blueprints in Port lack, or what of them conflicts. Changes nothing."""
    settings = Settings.load()
    steps: dict[str, Step] = {}
    conflicts: dict[str, None] = {}
    blueprints, relations = _blueprints(settings), foreign_relations(settings.port_relations())
    with port_client(_account(settings)) as port:
        for name in blueprints:
            try:
                steps |= {step.blueprint: step for step in plan(port, [name], relations)}
            except ConflictError as error:
                conflicts |= dict.fromkeys(error.conflicts)
    _show_steps(steps.values())
    for conflict in conflicts:
        click.echo(f"CONFLICT: {one_line(conflict)}", err=True)
    if conflicts:
        click.echo("nothing can be changed before the conflicts are solved")
        return 1
    click.echo("nothing was changed; to do this: usage-assets port provision" if steps else READY)
    return 0


@port_commands.command("provision")
def provision_port() -> None:
    """Create the blueprints that are missing in Port, and add what others lack. Removes and retypes nothing."""
    settings = Settings.load()
    with port_client(_account(settings)) as port:
        steps = provision(port, _blueprints(settings), foreign_relations(settings.port_relations()))
    _show_steps(steps)
    click.echo("all of this is done" if steps else READY)


@port_commands.command("adopt")
@click.option("--yes", is_flag=True, help="Delete; without it, only say what would be deleted.")
def adopt_port(*, yes: bool) -> int:
    """Delete the entities in Port that only the published Ocean mappings make and nobody will write again."""
    settings = Settings.load()
    with port_client(_account(settings)) as port:
        found = {name: leftovers(port, name, _ours(settings, port, name)) for name in _blueprints(settings)}
        found = {name: identifiers for name, identifiers in found.items() if identifiers}
        for name, identifiers in found.items():
            named = ", ".join(identifiers[:MOST_NAMED])
            more = f" and {len(identifiers) - MOST_NAMED:,} more" if len(identifiers) > MOST_NAMED else ""
            click.echo(f"{name}: entities {len(identifiers):,}: {one_line(named)}{more}")
        if not found:
            click.echo("no entity in Port is left of the published mappings")
            return 0
        if not yes:
            click.echo("nothing was deleted; to delete these: usage-assets port adopt --yes")
            return 0
        failures = remove(port, found)
    for failure in failures:
        click.echo(f"FAILED: Port, {failure.blueprint} {failure.identifier}: {one_line(failure.reason)}", err=True)
    click.echo(f"{len(failures)} entities are still in Port" if failures else "all of these are deleted")
    return 1 if failures else 0


@port_commands.command("dashboard")
def create_port_dashboard() -> None:
    """Create a dashboard page in Port; one that is there stays as it is."""
    with port_client(_account(Settings.load())) as port:
        made = create_dashboard(port)
    click.echo(f"the page {made.identifier} is {'created' if made.created else 'there already and stays as it is'}")
    for title in made.left_out:
        click.echo(f"left out, a blueprint of its row is missing: {title}")


def _account(settings: Settings, who: str = "") -> PortAccount:
    if settings.port_account is None:
        raise SettingsError(f"{who}Port is not configured: set PORT_CLIENT_ID and PORT_CLIENT_SECRET")
    return settings.port_account


def _blueprints(settings: Settings) -> Sequence[str]:
    return blueprints_of(build_definitions(settings), settings.connections())


def _show_steps(steps: Iterable[Step]) -> None:
    for step in steps:
        click.echo(f"{step.blueprint}: {'creates it with' if step.creates else 'adds'} {', '.join(step.adds)}")


def _ours(settings: Settings, port: PortClient, blueprint: str) -> Collection[str]:
    if not settings.warehouse_path.exists():
        return ()
    with _warehouse(settings).transaction() as database:
        lines = database.execute(OURS, {"account": port.account, "blueprint": blueprint}).fetchall()
    return {identifier for (identifier,) in lines}


def _warehouse(settings: Settings) -> Warehouse:
    return Warehouse(database=str(settings.warehouse_path), wait_seconds=SECONDS_FOR_THE_LOCK)


@cli.group("export")
def export_commands() -> None:
    """Write what is stored as files for others."""


@export_commands.command("focus")
@click.option("--start", required=True, metavar="YYYY-MM-DD", help="First day (UTC).")
@click.option("--end", required=True, metavar="YYYY-MM-DD", help="Last day, included.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A file that ends in .csv or .parquet.")
@click.option("--force", is_flag=True, help="Replace the file.")
def export_focus(start: str, end: str, out: Path, *, force: bool) -> None:
    """Write costs and purchases as FOCUS 1.2 has them.

    Ids of people are in it as they are stored: USAGE_PEOPLE decides.
    """
    settings = Settings.load()
    first, last = parse_days(start, end, settings)
    fetched = fetched_costs(settings.connections())
    seeds = seeds_of(settings)
    exported = export(_warehouse(settings), seeds, first, last, writable(out, force=force), fetched)
    for name, days in exported.gaps.items():
        click.echo(f"{name}: costs of {days} days are missing or incomplete in the file", err=True)
    for name, reasons in exported.due.items():
        for reason in reasons:
            click.echo(f"{name}: {reason}: run usage-assets backfill --due", err=True)
    for left in exported.left_out:
        click.echo(f"left out: {left.reason}: {left.connection}: rows {left.rows:,}, {plain(left.amount)} {left.unit}")
    billed = ", ".join(f"{plain(amount)} {currency}" for currency, amount in exported.billed.items())
    click.echo(f"{out}: rows {exported.rows:,}, BilledCost {billed}")


@cli.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default="any free one")
@click.option("--seed", type=int, default=DEFAULT_SEED, show_default=True, help="Which company.")
@click.option("--now", metavar="ISO", help="Stop the clock at this time.")
def sandbox(port: int, seed: int, now: str | None) -> None:
    """Serve emulated providers and Port on this machine until Ctrl-C, and print an .env for them."""
    serve(port, seed=seed, now=_moment(now) if now else None)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"--now {text!r} is not an ISO 8601 time, such as 2026-11-20T08:00:00Z") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


@cli.command("capture")
@click.option("--connection", "name", required=True, metavar="NAME", help="Whom to ask.")
@click.option("--day", required=True, metavar="YYYY-MM-DD", help="A day with use of everything that matters.")
@click.option("--endpoint", "endpoints", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the files; default: `captured` next to the database file."
)
def capture_day(name: str, day: str, endpoints: Sequence[str], out: Path | None) -> int:
    """Keep a day's real answers as sanitised files, and show what in them is not as expected."""
    settings = Settings.load()
    first, _ = parse_days(day, day, settings)
    [connection] = connections_named(settings, [name])
    folder, sanitiser = out or settings.warehouse_path.with_name("captured"), Sanitiser()
    shapes: dict[str, Shape] = {}
    failed = False
    for captured in capture(connection, settings, first, chosen_endpoints(connection, endpoints)):
        _show(captured, write(captured, folder, sanitiser))
        failed |= bool(captured.failure)
        shapes |= {captured.name: captured.shape} if captured.shape else {}
    if is_loopback(checked_url(connection.base_url)):
        click.echo("not remembered as seen live: the answers come from this machine", err=True)
    else:
        remember(settings.shapes_path, shapes)
    click.echo(f"Read the files in {folder} before you show them to anyone.")
    return 1 if failed else 0


def _show(captured: Captured, files: Sequence[Path]) -> None:
    rows = captured.fetched.rows.num_rows if captured.fetched else 0
    click.echo(f"{captured.name} {captured.day}: pages {len(captured.contents)}, rows {rows:,}")
    for path in files:
        click.echo(f"  {path}")
    for field, expected, seen in captured.differences():
        click.echo(f"  {field:<44} expected: {expected:<28} seen: {seen}")
    if captured.failure:
        click.echo(f"FAILED: {one_line(captured.failure)}", err=True)


@cli.command()
def doctor() -> int:
    """Check keys, Port, the database file and Dagster, and say what to do."""
    findings = sorted(examine(Settings.load()), key=lambda finding: -finding.level)
    for finding in findings:
        click.echo(f"{finding.level.name:<5} {finding.subject}: {one_line(finding.text)}")
    problems, warnings = (sum(finding.level is level for finding in findings) for level in (Level.FAIL, Level.WARN))
    click.echo(f"{_counted(problems, 'problem')}, {_counted(warnings, 'warning')}")
    return 1 if problems else 0


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
