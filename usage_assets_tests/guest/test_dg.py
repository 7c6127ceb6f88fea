"""The documented commands, in a project of somebody else: `dg scaffold`, `dg check`, `dg list`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from usage_assets_tests.guest.conftest import HOST

PROJECT = """
[project]
name = "host"
version = "0.1.0"

[tool.dg]
directory_type = "project"
cli.suppress_warnings = ["project_and_activated_venv_mismatch"]
cli.telemetry.enabled = false

[tool.dg.project]
root_module = "host"
"""
DEFINITIONS = """
from pathlib import Path

import dagster as dg


@dg.definitions
def defs():
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""
DG = Path(sys.executable).with_name("dg")


@pytest.mark.slow
def test_two_instances_are_added_by_the_documented_commands(tmp_path: Path) -> None:
    package = tmp_path / "src" / "host"
    (package / "defs" / "own").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (package / "__init__.py").touch()
    (package / "definitions.py").write_text(DEFINITIONS)
    (package / "defs" / "own" / "assets.py").write_text(HOST)
    path = os.pathsep.join(filter(None, (str(tmp_path / "src"), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "DAGSTER_HOME": str(tmp_path)}

    def dg(*arguments: str) -> str:
        done = subprocess.run([DG, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    dg("scaffold", "defs", "usage_assets.UsageAssetsComponent", "ai_spend")
    (package / "defs" / "ai_lab").mkdir()
    scaffolded = (package / "defs" / "ai_spend" / "defs.yaml").read_text()
    (package / "defs" / "ai_lab" / "defs.yaml").write_text(scaffolded.replace("ai_spend", "ai_lab"))
    dg("check", "defs", "--check-yaml")
    listed = json.loads(dg("list", "defs", "--json"))
    keys = {asset["asset_key"] for asset in listed["assets"]}
    assert {"report", "ai_spend/report", "ai_spend/anthropic/cost_report", "ai_lab/openai/costs"} <= keys
