"""What the package consists of: its SQL, and what stays in Port and in the warehouse where it is missing."""

import os
import subprocess
import sys
from pathlib import Path

import usage_assets_vendors
from usage_assets.core.installed import EXTENSIONS
from usage_assets.models.model import sql_files
from usage_assets.providers import LOADED
from usage_assets_tests.end_to_end.conftest import open_project
from usage_assets_tests.fixtures import Sandbox, last_days

PACKAGE = Path(usage_assets_vendors.__file__).parent
DAYS = last_days(1)
OTHERS = {"ANTHROPIC_ADMIN_KEY": "", "CHATGPT_ANALYTICS_KEY": ""}
"""Keys of connections that this is not about: to build their graphs takes longer than a run."""
ASSETS = (
    *("usage_events", "daily_usage", "usage_events/daily_costs"),
    *("entities/cursorDailyUsage", "entities/ai_cost_record"),
)
OF_OPENAI = '[[connection]]\nname = "openai"\nprovider = "openai"\nkey = "file:{}/openai.key"\n'
OF_CURSOR = '[[connection]]\nname = "editor"\nprovider = "cursor"\nkey = "file:{}/cursor.key"\n'
WITHOUT = """
import sys
from pathlib import Path

import httpx
import time_machine

from usage_assets.features.port.graph import PORT_RECONCILE_JOB
from usage_assets_tests.end_to_end.conftest import open_project
from usage_assets_tests.fixtures import NOW, Sandbox, last_days

address, folder = sys.argv[1:]
with time_machine.travel(NOW), httpx.Client(base_url=address) as client:
    unused = ("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY")
    variables = {**dict.fromkeys(unused, ""), "USAGE_CONNECTIONS": f"{folder}/connections.toml"}
    with open_project(Sandbox(address, client), Path(folder), variables) as project:
        keys = project.keys_of(PORT_RECONCILE_JOB)
        assert "editor" not in {key.path[0] for key in keys}
        assert project.fetch("openai", last_days(1), "costs", "costs/daily_costs", "entities/ai_cost_record").success
        assert project.push_of("openai", last_days(1)).success
        assert project.run(PORT_RECONCILE_JOB, [*keys]).success
        assert project.rows("cursor.usage_events")
        assert project.rows("costs.by_person")
"""


def test_its_sql_is_found_and_each_provider_is_ours() -> None:
    [costs] = sql_files("daily_costs/cursor_usage_events.sql")
    assert costs.is_relative_to(PACKAGE)
    providers = EXTENSIONS["vendors"].providers
    assert all(LOADED.packages[name].is_ours for name in providers)
    own = [name for name in LOADED.providers if name in providers]
    assert own == ["litellm", "openrouter", "cursor", "github_copilot"], "in the order of their positions"


def test_without_it_port_and_the_warehouse_keep_what_its_connections_have(sandbox: Sandbox, tmp_path: Path) -> None:
    """Other connections are fetched, pushed and reconciled meanwhile."""
    for name, key in (("openai", "sk-admin-sandbox"), ("cursor", "key_cursor-sandbox")):
        (tmp_path / f"{name}.key").write_text(key)
    file = tmp_path / "connections.toml"
    file.write_text(OF_OPENAI.format(tmp_path) + OF_CURSOR.format(tmp_path))
    variables = {
        **OTHERS,
        "OPENAI_ADMIN_KEY": "",
        "USAGE_CONNECTIONS": str(file),
        "CURSOR_BASE_URL": f"{sandbox.base_url}/cursor",
    }
    with open_project(sandbox, tmp_path, variables) as project:
        assert project.fetch("editor", DAYS, *ASSETS).success
        assert project.push_of("editor", DAYS).success
        before = project.in_port()
        stored = project.rows("costs.daily_costs")
    assert {blueprint for blueprint, _ in before} >= {"cursorDailyUsage", "ai_cost_record"}
    command = [sys.executable, "-c", WITHOUT, sandbox.base_url, str(tmp_path)]
    alone = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"USAGE_PLUGINS": "core"})
    assert alone.returncode == 0, alone.stderr
    with open_project(sandbox, tmp_path, variables) as project:
        after = project.in_port()
        assert {key: after.get(key) for key in before} == before
        assert after.keys() > before.keys(), "what OpenAI has"
        of_editor = "from costs.daily_costs where connection = 'editor' order by all"
        assert project.warehouse.read(of_editor).to_pylist() == [row for row in stored if row["connection"] == "editor"]
        sent = len(project.port_requests())
        assert project.push_of("editor", DAYS).success
        assert len(project.port_requests()) == sent, "nothing is sent again"
