"""Many organizations at once: a revoked key reddens its own run only, and each one more costs the same."""

import cProfile
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import dagster as dg
import pytest

from usage_assets.assets.warehouse_resource import WarehouseResource
from usage_assets.automation.jobs import USAGE_JOB
from usage_assets.build import build_definitions
from usage_assets.providers import PROVIDERS
from usage_assets_tests.conftest import NOW, Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import Project, hold_project
from usage_assets_tests.snapshot import settings_of
from usage_assets_tests.test_definitions import PORT

NAMES = ("openai_a", "openai_b", "openai_c", "anthropic_a", "chatgpt_a")
REVOKED = "openai_c"
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


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    """Five connections, one of which has a key that is not accepted any more."""
    for name in NAMES:
        key = f"{KEYS[name.partition('_')[0]]}-{name}" if not name.startswith("chatgpt") else KEYS["chatgpt"]
        (tmp_path / name).write_text("sk-admin-revoked" if name == REVOKED else key)
    file = tmp_path / "connections.toml"
    file.write_text("".join(entry(name, f"file:{tmp_path / name}") for name in NAMES))
    variables = {"USAGE_CONNECTIONS": str(file), "USAGE_LOOKBACK_DAYS": "1", "USAGE_BACKFILL_HISTORY": "true"}
    variables |= dict.fromkeys(("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY"), "")
    with hold_project(sandbox, tmp_path, variables) as opened:
        yield opened


def test_a_revoked_key_leaves_the_other_connections_green(project: Project) -> None:
    schedule = project.definitions.resolve_schedule_def("daily_usage_schedule")
    with dg.build_schedule_context(instance=project.instance, scheduled_execution_time=NOW) as context:
        requests = schedule.evaluate_tick(context).run_requests or []
    assert [request.tags["usage_assets/connection"] for request in requests] == list(NAMES)
    results = {
        request.tags["usage_assets/connection"]: project.run(
            USAGE_JOB, [*(request.asset_selection or ())], None, **request.tags
        )
        for request in requests
    }
    assert [name for name, result in results.items() if not result.success] == [REVOKED]
    refusals = [
        str(event.step_failure_data.error)
        for event in results[REVOKED].all_events
        if event.is_step_failure and not event.is_resource_init_failure
    ]
    [refusal] = refusals  # what reads the endpoint was not begun
    assert f"{REVOKED} " in refusal
    assert "401" in refusal
    assert "sk-admin-revoked" not in refusal

    (day,) = last_days(1)
    stored = project.warehouse.read("select distinct connection from ledger.stored_days").column(0).to_pylist()
    assert set(stored) == set(NAMES) - {REVOKED}
    for request in requests:
        name = request.tags["usage_assets/connection"]
        for key in request.asset_selection or ():
            assert project.instance.get_materialized_partitions(key) == (set() if name == REVOKED else {str(day)}), key
    costs = project.warehouse.read("select sum(amount_value) from openai.costs group by connection").column(0)
    assert costs.to_pylist() == [project.truth([day])["openai usd"]] * 2

    sensor = project.definitions.resolve_sensor_def("due_days_sensor")
    resources = {"warehouse": WarehouseResource.of(project.warehouse, publishes=False)}
    with dg.build_sensor_context(instance=project.instance, resources=resources) as context:
        missing = sensor.evaluate_tick(context).run_requests or []
    [asked], [missed] = [each for each in requests if each.tags["usage_assets/connection"] == REVOKED], missing
    assert missed.tags["usage_assets/connection"] == REVOKED, "the day is the whole history of the others"
    assert {*(missed.asset_selection or ())} == {*(asked.asset_selection or ())}


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
