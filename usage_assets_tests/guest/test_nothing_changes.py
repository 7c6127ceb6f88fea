"""A guest changes nothing in its host: a project is loaded and run without the component and with it, and compared."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from usage_assets_tests.conftest import Sandbox

HOST = """
import dagster as dg


@dg.asset(output_required=False)
def quiet():
    yield from ()


@dg.asset_check(asset=quiet, blocking=True)
def checked() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@dg.asset(deps=[quiet])
def after_it() -> None: ...


@dg.asset
def failing() -> None:
    raise ValueError("the password is hunter2-hunter2")


@dg.definitions
def own():
    theirs = dg.define_asset_job("theirs", dg.AssetSelection.assets(quiet, after_it, failing))
    assets, executor = [quiet, after_it, failing], dg.in_process_executor
    return dg.Definitions(assets, asset_checks=[checked], jobs=[theirs], executor=executor)
"""
"""Its check has no result, of which Dagster warns. Its error has a secret of the environment, which it may show."""


def watched(folder: Path, modules: Sequence[str], *jobs: str) -> dict[str, Any]:
    """What a process says that has loaded and run the project."""
    environment = {**os.environ, "HOST_PASSWORD": "hunter2-hunter2", "OPENAI_ADMIN_KEY": "sk-admin-sandbox"}
    ended = subprocess.run(
        [sys.executable, "-m", "usage_assets_tests.guest.watched", str(folder), *jobs],
        input=json.dumps(modules), capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    said: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return said


def facts(state: dict[str, Any]) -> set[tuple[str, str]]:
    """What is global, one by one."""
    return {
        (what, str(fact))
        for what, found in state.items()
        for fact in (found.items() if isinstance(found, dict) else enumerate(found))
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of somebody else."""
    (own := tmp_path / "host_project" / "defs" / "own").mkdir(parents=True)
    for each in (own, *list(own.parents)[:2]):
        (each / "__init__.py").touch()
    (own / "assets.py").write_text(HOST)
    return tmp_path


def test_what_a_process_has_is_the_same_with_the_component_as_without(folder: Path, sandbox: Sandbox) -> None:
    (defs := folder / "host_project" / "defs" / "ai_spend").mkdir()
    base_url = f"{sandbox.base_url}/openai/v1"
    connection = {"name": "openai", "provider": "openai", "key": "env:OPENAI_ADMIN_KEY", "base_url": base_url}
    attributes = {"connections": [connection], "start_date": "2026-11-01"}
    written = {"type": "usage_assets.UsageAssetsComponent", "attributes": attributes}
    (defs / "defs.yaml").write_text(yaml.safe_dump(written))
    both = watched(folder, [], "ai_spend_usage")
    (defs / "defs.yaml").unlink()
    defs.rmdir()
    # what the component imports of others is no change by the component
    alone = watched(folder, both["modules"])
    ran = both["runs"]["ai_spend_usage"]
    assert ["STEP_SUCCESS", "ai_spend__openai__costs__daily_costs", "None"] in ran
    assert both["runs"]["theirs"] == alone["runs"]["theirs"]
    assert "hunter2-hunter2" in str(alone["runs"]["theirs"])
    assert both["warned"] == alone["warned"]
    assert "Blocking asset check 'quiet:checked' emitted no result" in str(alone["warned"])
    assert set(both["replaced"]) <= set(alone["replaced"])
    (found, expected) = (facts(each["state"]) for each in (both, alone))
    assert (found - expected, expected - found) == (set(), set())
