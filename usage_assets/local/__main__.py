"""`python -m usage_assets.local` is `make run`: Dagster with the accounts of the environment and `.env`."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from usage_assets.config.settings import Settings, SettingsError
from usage_assets.core.private import keep_private
from usage_assets.local.dagster_dev import Dagster
from usage_assets.local.home import dagster_home, open_instance
from usage_assets.local.processes import StartError, only_one, terminate_like_ctrl_c
from usage_assets.local.workers import end_lost_runs

LOCK_FOLDER = ".run"


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="of Dagster's UI")
def main(port: int) -> None:
    """Serve Dagster's UI, schedules and sensor in the folder that holds workspace.yaml."""
    terminate_like_ctrl_c()
    keep_private()
    try:
        run(Path.cwd(), port)
    except (StartError, SettingsError) as error:
        click.echo(f"run: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def run(root: Path, port: int) -> None:
    """Run Dagster until Ctrl-C and stop everything that it started. Raises StartError or SettingsError."""
    home = dagster_home()
    for connection in Settings.load().connections():
        key = f"key in {connection.key_reference}" if connection.key else f"no key: set {connection.key_reference}"
        click.echo(f"connection {connection.name}: {key}")
    with ExitStack() as stack:
        lock = stack.enter_context(only_one(home / LOCK_FOLDER, "Dagster"))
        with open_instance() as instance:
            if ended := end_lost_runs(instance):
                click.echo(f"{ended} runs were under way when Dagster was last stopped; they are marked as failed")
        dagster = stack.enter_context(Dagster(home, root / "workspace.yaml", port, lock, cwd=root, env=os.environ))
        if dagster.port != port:
            click.echo(f"port {port} is in use: the UI takes {dagster.port}")
        dagster.wait_until_ready()
        click.echo(f"Dagster: {dagster.url}, home {home}; usage-assets doctor checks the accounts; Ctrl-C stops it")
        dagster.stay_until_interrupted()


if __name__ == "__main__":
    main()
