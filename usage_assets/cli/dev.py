"""`usage-assets dev`, which is `make run`: Dagster with the accounts of the environment and `.env`."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from usage_assets.cli.dagster_dev import Dagster
from usage_assets.cli.processes import only_one, terminate_like_ctrl_c

LOCK_FOLDER = ".run"
PREPARED = "--prepared"


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of Dagster's UI.")
@click.option(PREPARED, type=(Path, Path, int), hidden=True)
def dev(port: int, prepared: tuple[Path, Path, int] | None) -> None:
    """The current folder becomes Dagster's home, unless DAGSTER_HOME is set."""
    terminate_like_ctrl_c()
    try:
        if prepared is None:
            prepare(Path.cwd())
        run(*prepared, port)
    except KeyboardInterrupt:
        sys.exit(130)


def prepare(root: Path) -> NoReturn:
    """Prepare the home, and begin again in this process without all that was imported for it: Dagster takes 90 MiB.

    Raises StartError or SettingsError.
    """
    from usage_assets.config.settings import Settings  # noqa: PLC0415
    from usage_assets.local.home import (  # noqa: PLC0415
        CONFIGURATION,
        dagster_home,
        make_home,
        missing_settings,
        open_instance,
        workspace_of,
    )
    from usage_assets.local.workers import end_lost_runs  # noqa: PLC0415

    settings = Settings.load()
    is_new, home = make_home(), dagster_home()
    if is_new:
        click.echo(f"made {CONFIGURATION.name}: {home} is Dagster's home now")
    for connection in settings.own_connections():
        key = f"key in {connection.key_reference}" if connection.key else f"no key: set {connection.key_reference}"
        if connection.key_reference is None:
            key = f"reads {connection.base_url}"
        click.echo(f"connection {connection.name}: {key}")
    with only_one(home / LOCK_FOLDER, "Dagster") as lock:
        with open_instance() as instance:
            if warning := missing_settings(instance):
                click.echo(f"home {home}: {warning}", err=True)
            if ended := end_lost_runs(instance):
                click.echo(f"{ended} runs were under way when Dagster was last stopped; they are marked as failed")
        os.set_inheritable(lock.fileno(), True)
        again = [PREPARED, str(home), str(workspace_of(root)), str(lock.fileno())]
        os.execv(sys.executable, [*sys.orig_argv, *again])  # noqa: S606 - itself


def run(home: Path, workspace: Path, descriptor: int, port: int) -> None:
    """Run Dagster until Ctrl-C and stop everything that it started. Raises StartError. ``descriptor``: of the lock."""
    with (
        open(descriptor, "a+", encoding="utf-8") as lock,
        Dagster(home, workspace, port, lock, cwd=Path.cwd(), env=os.environ) as dagster,
    ):
        if dagster.port != port:
            click.echo(f"port {port} is in use: the UI takes {dagster.port}")
        dagster.wait_until_ready()
        click.echo(f"Dagster: {dagster.url}, home {home}; usage-assets doctor checks the accounts; Ctrl-C stops it")
        dagster.stay_until_interrupted()
