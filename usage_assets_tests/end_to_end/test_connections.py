"""Many organizations at once: a revoked key reddens its own run only, and each one more costs the same."""

import cProfile
import itertools
from collections import Counter
from pathlib import Path
from types import CodeType

from usage_assets.build import build_definitions
from usage_assets.providers import PROVIDERS
from usage_assets_tests.fixtures import last_days
from usage_assets_tests.graphs import PORT
from usage_assets_tests.snapshot import settings_of

KEYS = {"openai": "sk-admin-sandbox", "anthropic": "sk-ant-admin-sandbox", "chatgpt": "chatgpt-sandbox-key"}
WANTED = ("costs", "cost_report", "codex_usage")
"""Endpoints that are left on: one of each provider says it all."""


def entry(name: str, key: str) -> str:
    """A connection whose provider is the first part of its name."""
    provider, _, _ = name.partition("_")
    switches = ", ".join(f"{e.name} = {str(e.name in WANTED).lower()}" for e in PROVIDERS[provider].endpoints)
    workspace = f'workspace_id = "ws-sandbox-{name}"\n' if provider == "chatgpt" else ""
    return (
        f'[[connection]]\nname = "{name}"\nprovider = "{provider}"\nkey = "{key}"\n{workspace}'
        f"start_date = {last_days(1)[0]}\n"
        f"endpoints = {{ {switches} }}\n"
    )


def calls_of_loading(file: Path, count: int) -> Counter[str]:
    """Load the graph of so many connections as Dagster does; return how often each function was called."""
    providers = itertools.islice(itertools.cycle(KEYS), count)
    file.write_text("".join(entry(f"{provider}_{n}", "env:NO_KEY") for n, provider in enumerate(providers)))
    settings = settings_of(usage_connections=file, **PORT)
    profile = cProfile.Profile()
    with profile:
        build_definitions(settings).get_repository_def().get_all_jobs()
    calls: Counter[str] = Counter()
    for function in profile.getstats():
        code = function.code
        calls[f"{code.co_filename}:{code.co_name}" if isinstance(code, CodeType) else code] += function.callcount
    return calls


def test_each_further_connection_costs_the_same_to_load_and_opens_nothing(tmp_path: Path) -> None:
    """Counted in calls, which are the same on every machine."""
    file = tmp_path / "connections.toml"
    calls_of_loading(file, 3)  # what is computed once a process
    three, six, nine = (calls_of_loading(file, count) for count in (3, 6, 9))
    assert six.total() - three.total() > 0
    assert nine.total() - six.total() < 1.1 * (six.total() - three.total())
    assert not [name for name in nine if name.endswith(("_client.py:__init__", "create_default_context"))]
    opened = [
        calls[next(name for name in calls if name.endswith("config/toml_file.py:read"))] for calls in (three, nine)
    ]
    assert opened == [1, 1], "the file is read once, however many connections it has"
