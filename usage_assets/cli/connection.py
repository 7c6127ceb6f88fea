"""`usage-assets connection`: its commands. What a removal deletes is in removal.py."""

from contextlib import nullcontext

import click

from usage_assets.cli.access import hide_pandas, port_client, publish_copy, warehouse_now
from usage_assets.config.settings import Settings
from usage_assets.core.errors import one_line
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.connections import stored_connections


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
    """Delete what is stored of a connection that is no longer configured, and its entities in Port."""
    from usage_assets.cli.removal import removal_of  # noqa: PLC0415 - Dagster takes a second, and a list needs none
    from usage_assets.local.home import open_instance  # noqa: PLC0415

    settings = Settings.load()
    warehouse, account = warehouse_now(settings), settings.port_account
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
    publish_copy(settings)
    for failure in failures:
        click.echo(f"FAILED: Port, {failure.blueprint} {failure.identifier}: {one_line(failure.reason)}", err=True)
    click.echo(
        f"{len(failures)} entities are still in Port, all rows are kept" if failures else "all of this is deleted"
    )
    return 1 if failures else 0
