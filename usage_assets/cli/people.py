"""`usage-assets people`: its commands. The work is in forgetting.py."""

from collections.abc import Sequence
from contextlib import nullcontext

import click

from usage_assets.cli.access import port_client, warehouse_now
from usage_assets.cli.forgetting import forgetting_of, refuse_runs
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.core.errors import one_line
from usage_assets.local.home import open_instance


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
    name, _, domain = address.strip().partition("@")
    if not name or "." not in domain.strip("."):
        raise SettingsError("people forget: name an email address, and ids with --id")
    settings = Settings.load()
    warehouse = warehouse_now(settings)
    account = settings.port_account
    with open_instance() as instance, port_client(account) if account else nullcontext() as port:
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
            click.echo(f"nothing was changed; to do this: usage-assets people forget {address}")
            return 0
        failures = forgetting.run(instance, port)
    for failure in failures:
        click.echo(f"FAILED: Port: {one_line(forgetting.person.in_text(failure))}", err=True)
    click.echo("Port still has them: run this again" if failures else "all of this is done")
    return 1 if failures or left else 0
