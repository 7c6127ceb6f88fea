"""`usage-assets dbt`: its commands. What a source says is in sources.py."""

from collections.abc import Sequence
from pathlib import Path

import click

from usage_assets.cli.access import hide_pandas, warehouse_now
from usage_assets.cli.files import draft_of
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.core.days import counted
from usage_assets_assistant.dbt.sources import schemas_of, text_of


@click.group()
def dbt() -> None:
    hide_pandas()


@dbt.command("sources")
@click.option("--schema", "wanted", multiple=True, help="A schema, once for each. Default: all.")
@click.option("--database", default="usage", show_default=True, help="Alias under which the profile attaches the copy.")
@click.option("--key-prefix", default="", help="key_prefix of the component; its parts joined by /.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File. Default: stdout.")
def sources(wanted: Sequence[str], database: str, key_prefix: str, out: Path | None) -> None:
    """Write sources.yml: tables, columns, grains and freshness.

    For dbt 1.10.5 or newer.
    """
    settings = Settings.load()
    prefix = list(filter(None, key_prefix.split("/")))
    with warehouse_now(settings).reading() as connection:
        schemas = schemas_of(connection, states_accounting=bool(prefix) or settings.states_connections)
    if not schemas:
        raise SettingsError("nothing is stored yet: sources.yml would be empty; run usage-assets backfill first")
    if unknown := sorted({*wanted} - schemas.keys()):
        raise SettingsError(f"--schema {unknown[0]}: no such schema; known: {', '.join(schemas)}")
    chosen = {name: tables for name, tables in schemas.items() if not wanted or name in wanted}
    if not any("/" in asset for tables in schemas.values() for table in tables for asset in table.writers):
        how = "let the daily schedule or a sensor run once, then write it again"
        click.echo(f"sources.yml has no asset keys of connections yet: {how}", err=True)
    text = text_of(chosen, database, prefix)
    if out is None:
        click.echo(text, nl=False)
        return
    with draft_of(out) as draft:
        draft.write_text(text)
    columns = [len(table.columns) for tables in chosen.values() for table in tables]
    click.echo(f"{out}: {counted(len(columns), 'table')}, {counted(sum(columns), 'column')}")
