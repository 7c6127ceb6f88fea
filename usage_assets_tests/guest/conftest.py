"""A Dagster project of somebody else, with assets, an executor and an IO manager of its own."""

import traceback
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.testing import DefsFolderSandbox, create_defs_folder_sandbox

QUIETLY = [
    pytest.mark.filterwarnings(f"ignore::dagster_shared.utils.warnings.{name}Warning") for name in ("Beta", "Preview")
]
"""Dagster warns of its own ways to load any project."""
HOST = """
from pathlib import Path

import dagster as dg


@dg.asset
def report() -> int:
    return 1


@dg.asset
def accounting() -> int:
    return 2


@dg.schedule(cron_schedule="0 1 * * *", job_name="usage")
def daily_usage_schedule():
    return dg.RunRequest()


@dg.definitions
def own():
    return dg.Definitions(
        assets=[report, accounting],
        jobs=[dg.define_asset_job("usage", [report])],
        schedules=[daily_usage_schedule],
        resources={
            "io_manager": dg.FilesystemIOManager(base_dir=str(Path(__file__).parent / "values")),
            "warehouse": dg.ResourceDefinition.hardcoded_resource("theirs"),
        },
        executor=dg.multiprocess_executor,
    )
"""
OPENAI = {"name": "openai", "provider": "openai", "key": "env:OPENAI_ADMIN_KEY"}
ANTHROPIC = {"name": "anthropic", "provider": "anthropic", "key": "env:ANTHROPIC_ADMIN_KEY"}


def instance_at(host: DefsFolderSandbox, name: str, **attributes: Any) -> None:
    """Write the ``defs.yaml`` of an instance, in a folder of its name."""
    stated = {"connections": [OPENAI], "start_date": "2026-11-01", **attributes}
    content = {"type": "usage_assets.UsageAssetsComponent", "attributes": stated}
    folder = host.defs_folder_path / name
    folder.mkdir(exist_ok=True)
    (folder / "defs.yaml").write_text(yaml.safe_dump(content))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[DefsFolderSandbox]:
    """The project, without an instance of ours. No variable of this machine has a say."""
    for name in ("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "PORT_CLIENT_ID", "PORT_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    with create_defs_folder_sandbox() as project:
        # Write assets of the project's own.
        folder = project.defs_folder_path / "own"
        folder.mkdir(exist_ok=True)
        (folder / "assets.py").write_text(HOST)
        yield project


def loaded(host: DefsFolderSandbox) -> dg.Definitions:
    """Return all of the project's definitions, which load."""
    with host.build_all_defs() as definitions:
        dg.Definitions.validate_loadable(definitions)
        return definitions


def keys(definitions: dg.Definitions) -> set[str]:
    return {spec.key.to_user_string() for spec in definitions.resolve_all_asset_specs()}


def refusal(host: DefsFolderSandbox) -> str:
    """The line with which the project does not load. No secret is shown."""
    with pytest.raises(ComponentTreeException) as raised:
        loaded(host)
    reason = str(raised.value.__cause__)
    assert "\n" not in reason
    assert "sk-admin-secret" not in "".join(traceback.format_exception(raised.value))
    return reason
