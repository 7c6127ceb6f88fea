"""`usage-assets dev`, which is `make run`: Dagster with the accounts of the environment and `.env`."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from usage_assets.cli.dagster_dev import Dagster
from usage_assets.cli.processes import only_one, terminate_like_ctrl_c
from usage_assets.config.settings import Settings
from usage_assets.local.home import (
    CONFIGURATION,
    dagster_home,
    make_home,
    missing_settings,
    open_instance,
    workspace_of,
)
from usage_assets.local.workers import end_lost_runs

LOCK_FOLDER = ".run"


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of Dagster's UI.")
def dev(port: int) -> None:
    """The current folder becomes Dagster's home, unless DAGSTER_HOME is set."""
    terminate_like_ctrl_c()
    try:
        run(Path.cwd(), port)
    except KeyboardInterrupt:
        sys.exit(130)


def run(root: Path, port: int) -> None:
    """Run Dagster until Ctrl-C and stop everything that it started. Raises StartError or SettingsError."""
    settings = Settings.load()
    is_new, home = make_home(), dagster_home()
    if is_new:
        click.echo(f"made {CONFIGURATION.name}: {home} is Dagster's home now")
    for connection in settings.own_connections():
        key = f"key in {connection.key_reference}" if connection.key else f"no key: set {connection.key_reference}"
        if connection.key_reference is None:
            key = f"reads {connection.base_url}"
        click.echo(f"connection {connection.name}: {key}")
    with ExitStack() as stack:
        lock = stack.enter_context(only_one(home / LOCK_FOLDER, "Dagster"))
        with open_instance() as instance:
            if warning := missing_settings(instance):
                click.echo(f"home {home}: {warning}", err=True)
            if ended := end_lost_runs(instance):
                click.echo(f"{ended} runs were under way when Dagster was last stopped; they are marked as failed")
        dagster = stack.enter_context(Dagster(home, workspace_of(root), port, lock, cwd=root, env=os.environ))
        if dagster.port != port:
            click.echo(f"port {port} is in use: the UI takes {dagster.port}")
        dagster.wait_until_ready()
        click.echo(f"Dagster: {dagster.url}, home {home}; usage-assets doctor checks the accounts; Ctrl-C stops it")
        dagster.stay_until_interrupted()
