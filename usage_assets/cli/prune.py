"""`usage-assets prune`. What it deletes is in automation/pruning.py."""

from contextlib import nullcontext

import click

from usage_assets.automation.pruning import find_old
from usage_assets.cli.access import port_client, publish_copy, warehouse_now
from usage_assets.config.settings import Settings
from usage_assets.core.errors import one_line
from usage_assets.local.home import open_instance


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
def prune(*, dry_run: bool) -> int:
    settings = Settings.load()
    warehouse, account = warehouse_now(settings), settings.port_account
    with open_instance() as instance, port_client(account) if account else nullcontext() as port:
        old = find_old(instance, settings, warehouse, port.account if port else "")
        for line in old.lines:
            click.echo(line)
        if dry_run:
            click.echo("nothing was removed; to remove this: usage-assets prune")
            return 0
        failures = old.remove(instance, warehouse, port)
    if old.days.rows and not failures:
        publish_copy(settings)
    for failure in failures:
        click.echo(f"FAILED: Port, {failure.blueprint} {failure.identifier}: {one_line(failure.reason)}", err=True)
    return 1 if failures else 0
