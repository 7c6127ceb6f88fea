"""The Dagster home: the folder whose instance UI, schedules and command line share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import yaml  # type: ignore[import-untyped]  # Dagster's, without types

from usage_assets.config.settings import SettingsError


def dagster_home() -> Path:
    """DAGSTER_HOME, or the current folder if it holds dagster.yaml. Raises SettingsError where there is neither."""
    if configured := os.environ.get("DAGSTER_HOME"):
        home = Path(configured)
        if not home.is_absolute() or not home.is_dir():
            raise SettingsError(f"DAGSTER_HOME: {configured} is not the absolute path of a folder")
        return home
    if Path("dagster.yaml").is_file():
        return Path.cwd()
    raise SettingsError(
        "DAGSTER_HOME: not set, and the current folder holds no dagster.yaml: "
        "set it, or start this in the folder of usage-assets"
    )


@contextmanager
def open_instance() -> Iterator[dg.DagsterInstance]:
    """Open the home's instance. Raises SettingsError where its dagster.yaml cannot be used."""
    home = dagster_home()
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        instance = dg.DagsterInstance.get()
    except (dg.DagsterError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"{home / 'dagster.yaml'}: {reason[:300]}") from None
    with instance:
        yield instance
