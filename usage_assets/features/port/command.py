"""`usage-assets port`: its commands. What they do in Port is in catalog/."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import click

from usage_assets.cli.access import connections_named, refused, warehouse_now
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.core.errors import one_line
from usage_assets.core.features import IN_PORT, PREVIEW, hooks, missing_blueprints, missing_commands
from usage_assets.features.port.account import ATTEMPTS, port_client
from usage_assets.features.port.catalog.adopt import leftovers, remove
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.dashboard import create_dashboard
from usage_assets.features.port.catalog.provision import ConflictError, Step, plan, provision
from usage_assets.features.port.catalog.sync import Entity
from usage_assets.features.port.ledger import PortLedger
from usage_assets.features.port.needed import NOT_MADE, blueprints_of, missing_of_mappings
from usage_assets.models.connection_graph import graph_of, seeds_of
from usage_assets.models.entities import OF_INSIGHTS, all_entities, foreign_relations
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import listed
from usage_assets.warehouse.write import replace_slice

OURS = "select identifier from ledger.port_entities where account = $account and blueprint = $blueprint"
"""A blueprint's entities in the ledger."""
READY = "every blueprint is as it must be"
OTHERS = "every other blueprint is as it must be"


@click.group()
def port() -> None:
    pass


for command in hooks(IN_PORT):
    port.add_command(command)
for words, reason in missing_commands().items():
    if words.startswith("port "):
        port.add_command(refused(words.removeprefix("port "), reason))


@port.command("plan")
def plan_port() -> int:
    """Show what is missing in Port's blueprints, and conflicts. Changes nothing."""
    settings = Settings.load()
    steps: dict[str, Step] = {}
    conflicts: dict[str, None] = {}
    blueprints, relations = blueprints_of(settings), foreign_relations(settings)
    with port_client(settings, attempts=ATTEMPTS) as port:
        missing = missing_of_mappings(port, settings)
        for name in blueprints:
            try:
                steps |= {step.blueprint: step for step in plan(port, [name], relations)}
            except ConflictError as error:
                conflicts |= dict.fromkeys(error.conflicts)
    for name in missing:
        click.echo(f"{name}: {NOT_MADE}")
    _show_steps(steps.values())
    for conflict in conflicts:
        click.echo(f"CONFLICT: {one_line(conflict)}", err=True)
    if conflicts:
        click.echo("nothing can be changed before the conflicts are solved")
        return 1
    click.echo(
        "nothing was changed; to do this: usage-assets port provision" if steps else OTHERS if missing else READY
    )
    return 0


@port.command("provision")
def provision_port() -> None:
    """Create missing blueprints and add missing properties. Never removes a property or changes its type."""
    settings = Settings.load()
    with port_client(settings, attempts=ATTEMPTS) as port:
        steps = provision(port, blueprints_of(settings), foreign_relations(settings))
    _show_steps(steps)
    click.echo("all of this is done" if steps else READY)


@port.command("adopt")
@click.option("--yes", is_flag=True, help="Delete. Without it, only show what would be deleted.")
def adopt_port(*, yes: bool) -> int:
    """Delete entities that only the published Ocean mappings wrote. Nothing updates them any more."""
    settings = Settings.load()
    with port_client(settings, attempts=ATTEMPTS) as port:
        found = {name: leftovers(port, name, _ours(settings, port, name)) for name in blueprints_of(settings)}
        found = {name: identifiers for name, identifiers in found.items() if identifiers}
        for name, identifiers in found.items():
            click.echo(f"{name}: entities {len(identifiers):,}: {one_line(listed(identifiers))}")
        if not found:
            click.echo("no entity in Port is left of the published mappings")
            return 0
        if not yes:
            click.echo("nothing was deleted; to delete these: usage-assets port adopt --yes")
            return 0
        failures = remove(port, found)
    for failure in failures:
        click.echo(f"FAILED: Port, {failure}", err=True)
    click.echo(f"{len(failures)} entities are still in Port" if failures else "all of these are deleted")
    return 1 if failures else 0


@port.command("preview")
@click.argument("name")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Day, YYYY-MM-DD. Budgets and anomalies need none.")
@click.option("--connection", "connections", multiple=True, help="Only this connection. May be repeated.")
def preview_port(name: str, day: datetime | None, connections: Sequence[str]) -> None:
    """Show the entities of a blueprint for a day as JSON. Stores and sends nothing."""
    settings = Settings.load()
    if name in (model.name for model in OF_INSIGHTS):
        if day or connections:
            raise SettingsError(f"{name} is of no single day or connection: leave out --day and --connection")
        if reason := missing_blueprints().get(name):
            raise SettingsError(f"{name}: {reason}")
        for previewed in hooks(PREVIEW):
            _show(previewed(settings, name))
        return
    if day is None:
        raise click.UsageError("name a --day")
    money, warehouse = seeds_of(settings)[0], warehouse_now(settings)
    chosen = connections_named(settings, connections, keyed=False)
    graphs = [graph_of(each, money, all_entities(settings)) for each in chosen]
    found = [
        (graph.connection.name, model, query)
        for graph in graphs
        for model, query in graph.models
        if (model.under, model.name) == ("entities", name)
    ]
    if not found:
        computed = [model for graph in graphs for model, _ in graph.models if model.under == "entities"]
        known = ", ".join(sorted({model.name for model in (*computed, *OF_INSIGHTS)}))
        raise SettingsError(f"blueprint {name!r} is unknown, or no connection has what it is computed from: {known}")
    for connection, model, query in found:
        target = Slice(connection, day.date(), day.date())
        ledger = PortLedger(warehouse, "", target, (model,), relations=settings.port_relations())
        with warehouse.transaction(keep=False) as database:
            replace_slice(database, Table(model.row), query, target, "preview")
            entities = list(ledger.stored_in(database, model))
        _show(entities)


@port.command("dashboard")
def create_port_dashboard() -> None:
    """Create a dashboard page in Port. An existing page does not change."""
    with port_client(Settings.load(), attempts=ATTEMPTS) as port:
        made = create_dashboard(port)
    click.echo(f"the page {made.identifier} is {'created' if made.created else 'there already and stays as it is'}")
    for title in made.left_out:
        click.echo(f"left out, a blueprint of its row is missing: {title}")


def _show(entities: Iterable[Entity]) -> None:
    for entity in entities:
        click.echo(entity.encoded().decode())


def _show_steps(steps: Iterable[Step]) -> None:
    for step in steps:
        click.echo(f"{step.blueprint}: {'creates it with' if step.creates else 'adds'} {', '.join(step.adds)}")


def _ours(settings: Settings, port: PortClient, blueprint: str) -> Collection[str]:
    warehouse = warehouse_now(settings)
    if not warehouse.exists:
        return ()
    with warehouse.transaction(keep=False) as database:
        lines = database.execute(OURS, {"account": port.account, "blueprint": blueprint}).fetchall()
    return {identifier for (identifier,) in lines}
