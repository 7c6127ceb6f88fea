"""A guest changes nothing in its host: a project is loaded and run without the component and with it, and compared."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from usage_assets_tests.fixtures import Sandbox

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


def watched(folder: Path) -> dict[str, Any]:
    """What a process says that has loaded and run the projects."""
    environment = {**os.environ, "HOST_PASSWORD": "hunter2-hunter2", "OPENAI_ADMIN_KEY": "sk-admin-sandbox"}
    command = [sys.executable, "-m", "usage_assets_tests.guest.watched", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr[-3000:]
    said: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return said


def test_what_a_process_has_is_the_same_with_the_component_as_without(tmp_path: Path, sandbox: Sandbox) -> None:
    for project in ("alone", "with_component"):
        (own := tmp_path / project / "defs" / "own").mkdir(parents=True)
        for each in (own, *list(own.parents)[:2]):
            (each / "__init__.py").touch()
        (own / "assets.py").write_text(HOST)
    (defs := tmp_path / "with_component" / "defs" / "ai_spend").mkdir()
    base_url = f"{sandbox.base_url}/openai/v1"
    connection = {"name": "openai", "provider": "openai", "key": "env:OPENAI_ADMIN_KEY", "base_url": base_url}
    attributes = {"connections": [connection], "start_date": "2026-11-01"}
    written = {"type": "usage_assets.UsageAssetsComponent", "attributes": attributes}
    (defs / "defs.yaml").write_text(yaml.safe_dump(written))
    said = watched(tmp_path)
    alone, both = said["alone"], said["both"]
    assert ["STEP_SUCCESS", "ai_spend__openai__costs__daily_costs", "None"] in both["runs"]["ai_spend_usage"]
    assert [each[:2] for each in both["runs"]["theirs"]] == [each[:2] for each in alone["runs"]["theirs"]]
    assert "hunter2-hunter2" in str(both["runs"]["theirs"])
    assert both["warned"] == alone["warned"]
    assert "Blocking asset check 'quiet:checked' emitted no result" in str(alone["warned"])
    assert said["changed"] == []
