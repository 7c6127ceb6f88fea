"""`usage-assets backfill`: which days are run, and what it came to. How they are run is in backfill_plan.py."""

from collections.abc import Sequence
from datetime import date

import click
import dagster as dg

from usage_assets.automation.jobs import PORT_SYNC_JOB, USAGE_JOB
from usage_assets.build import build_definitions
from usage_assets.cli.access import (
    blueprints_of,
    connections_named,
    port_account,
    port_client,
    publish_copy,
    warehouse_of,
)
from usage_assets.cli.backfill_plan import BackfillPlan, due_plan_of, plan_of, stored
from usage_assets.cli.progress import display, in_words
from usage_assets.config.days import parse_days
from usage_assets.config.settings import Connection, Settings, SettingsError
from usage_assets.fetching.connected import earliest_day
from usage_assets.local.home import open_instance
from usage_assets.models.connection_graph import graph_of, seeds_of
from usage_assets.models.due import due_days
from usage_assets.models.due import in_words as due_in_words
from usage_assets.models.entities import foreign_relations
from usage_assets.port.provision import provision
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.database import Warehouse

TAKEN_BLUEPRINTS = "select distinct blueprint from ledger.port_entities where account = $account"
"""Blueprints that Port has entities of ours in: they need no look before a push that may have nothing to send."""


@click.command()
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
    settings = Settings.load()
    if due and (start or end or from_archive):
        raise click.UsageError("--due cannot be combined with --start, --end or --from-archive")
    if not due and not (start and end):
        raise click.UsageError("name the days with --start and --end, or use --due")
    connections = connections_named(settings, names, keyed=not from_archive)
    # its runs publish nothing: it does that itself, once
    definitions = build_definitions(settings, warehouse=Warehouse(database=str(settings.warehouse_path)))
    with open_instance() as instance:
        with warehouse_of(settings).transaction():
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
            publish_copy(settings)
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
    due = due_days(warehouse_of(settings), seeds)
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


def _require_port(settings: Settings, definitions: dg.Definitions, connections: Sequence[Connection]) -> None:
    with port_client(port_account(settings, "--push: ")) as port:
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
