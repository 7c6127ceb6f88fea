"""`usage-assets connection`, `prune` and `people`. What they delete is in removal.py, pruning.py and forgetting.py.

Those import Dagster, which takes a second; a list of connections needs none.
"""

from collections.abc import Sequence

import click

from usage_assets.cli.access import hide_pandas, publish_copy, this_command, warehouse_now
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.core.errors import one_line
from usage_assets.features.deletion.rows import stored_connections
from usage_assets.features.port.account import ATTEMPTS, port_if_configured
from usage_assets.providers import PROVIDERS

OF_SERVER = (
    "PostgreSQL's write-ahead log until it is recycled, archived logs and base backups for as long as you keep them "
    "(docs/operations.md)"
)


@click.group()
def connection() -> None:
    hide_pandas()


@connection.command("list")
def list_connections() -> None:
    """Show every connection that is configured or has stored days."""
    settings = Settings.load()
    configured: dict[str, str] = {each.name: each.provider for each in settings.connections() if each.is_configured}
    warehouse = warehouse_now(settings)
    found = stored_connections(warehouse) if warehouse.exists else []
    held = {each.name: each for each in found}
    for name in sorted(configured.keys() | held.keys()):
        provider = configured.get(name) or min(held[name].schemas & PROVIDERS.keys(), default="")
        state = "configured" if name in configured else "only stored"
        days = f"{held[name].first} to {held[name].last}" if name in held else "no day stored"
        click.echo(f"{name:<24} {provider:<20} {state:<12} {days}")


@connection.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Delete. Without it, only show what would be deleted.")
def remove_connection(name: str, *, yes: bool) -> int:
    """Delete what is stored of a former connection, here and in Port."""
    from usage_assets.features.deletion.files import not_reached  # noqa: PLC0415
    from usage_assets.features.deletion.removal import removal_of  # noqa: PLC0415
    from usage_assets.local.home import open_instance  # noqa: PLC0415

    settings = Settings.load()
    warehouse = warehouse_now(settings)
    with open_instance() as instance, port_if_configured(settings, attempts=ATTEMPTS) as port:
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
            click.echo(f"nothing was deleted; to delete this: {this_command(yes=True)}")
            return 0
        failures = removal.run(settings, warehouse, instance, port)
    for failure in failures:
        click.echo(f"FAILED: Port, {failure}", err=True)
    for line in () if failures else not_reached(settings, is_connection=True):
        click.echo(line)
    click.echo(
        f"{len(failures)} entities are still in Port, all rows are kept" if failures else "all of this is deleted"
    )
    return 1 if failures else 0


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
def prune(*, dry_run: bool) -> int:
    from usage_assets.features.deletion.pruning import find_old  # noqa: PLC0415
    from usage_assets.local.home import open_instance  # noqa: PLC0415

    settings = Settings.load()
    warehouse = warehouse_now(settings)
    with open_instance() as instance, port_if_configured(settings, attempts=ATTEMPTS) as port:
        old = find_old(instance, settings, warehouse, port.account if port else "")
        for line in old.lines:
            click.echo(line)
        if dry_run:
            click.echo(f"nothing was removed; to remove this: {this_command(dry_run=False)}")
            return 0
        failures = old.remove(instance, warehouse, port)
    if old.days.rows and not failures:
        publish_copy(settings)
    for failure in failures:
        click.echo(f"FAILED: Port, {failure}", err=True)
    return 1 if failures else 0


@click.group()
def people() -> None:
    pass


@people.command("forget")
@click.argument("address")
@click.option("--id", "ids", multiple=True, metavar="ID", help="A provider's id of the person. Repeatable.")
@click.option("--dry-run", is_flag=True, help="Only show where the person is named.")
def forget(address: str, ids: Sequence[str], *, dry_run: bool) -> int:
    """Replace everything that names the person with this email address. Their usage and costs stay.

    Ids are found if the address is stored next to them. With USAGE_PEOPLE=ids it is not: name the ids with --id.
    """
    from usage_assets.features.deletion.files import not_reached  # noqa: PLC0415
    from usage_assets.features.deletion.forgetting import forgetting_of, refuse_runs  # noqa: PLC0415
    from usage_assets.local.home import open_instance  # noqa: PLC0415

    name, _, domain = address.strip().partition("@")
    if not name or "." not in domain.strip("."):
        raise SettingsError("people forget: name an email address, and ids with --id")
    settings = Settings.load()
    warehouse = warehouse_now(settings)
    with open_instance() as instance, port_if_configured(settings, attempts=ATTEMPTS) as port:
        refuse_runs(instance)
        forgetting = forgetting_of(address, ids, settings, warehouse, instance)
        for line in forgetting.lines(port.account if port else ""):
            click.echo(line)
        if forgetting.lacks_ids:
            click.echo("no provider's id of theirs is known: if they have some, name each with --id", err=True)
        for handle in forgetting.handles:
            click.echo(f"{handle}: is also theirs and is kept: to replace it, name it with --id", err=True)
        left = [*forgetting.elsewhere(port.account if port else "")]
        for line in left:
            click.echo(line, err=True)
        if dry_run:
            click.echo(f"nothing was changed; to do this: {this_command(dry_run=False)}")
            return 0
        failures = forgetting.run(instance, port)
    for failure in failures:
        click.echo(f"FAILED: Port: {one_line(forgetting.person.in_text(failure))}", err=True)
    for line in not_reached(settings, is_connection=False):
        click.echo(line)
    click.echo("Port still has them: run this again" if failures else "all of this is done")
    if warehouse.is_shared:
        click.echo(f"not reached: {OF_SERVER}")
    return 1 if failures or left else 0
