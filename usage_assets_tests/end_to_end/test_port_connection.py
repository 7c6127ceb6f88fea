"""How a connection's data is, as Port is told: what the others relate to, and what people see when a run fails."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import time_machine

from usage_assets.features.port.graph import PORT_CONNECTION_JOB
from usage_assets_tests.end_to_end.conftest import PUSHED, Project
from usage_assets_tests.fixtures import NOW, Sandbox, last_days
from usage_assets_tests.port_user import port_of

DAYS = last_days(12)
RAW = ("costs", "usage_completions")
"""What the state of a connection is told from."""


@pytest.fixture
def project(impatient_project: Project) -> Project:
    """A project that gives up at once."""
    return impatient_project


def in_port(sandbox: Sandbox, blueprint: str = "ai_connection") -> dict[str, Any]:
    """The entities of a blueprint."""
    with port_of(sandbox) as port:
        return {entity["identifier"]: entity for entity in port.search(blueprint)}


def state(project: Project, connection: str) -> dict[str, Any]:
    """What Port is told of a connection."""
    assert project.push_state_of(connection).success
    properties: dict[str, Any] = in_port(project.sandbox)[connection]["properties"]
    return {name: value for name, value in properties.items() if name != "last_push"}


REFUSED = {
    "route": "GET /openai/v1/organization/costs",
    "fault": "status",
    "status": 401,
    "body": {"error": {"message": "Incorrect API key provided"}},
}


def test_the_state_follows_what_is_stored_whole_what_has_settled_and_what_has_failed(project: Project) -> None:
    assert state(project, "openai") == {
        "provider": "openai",
        "state": "empty",
        **dict.fromkeys(("last_closed_day", "settled_until", "last_error")),
    }
    assert project.fetch("openai", DAYS[:-1], *RAW).success
    assert project.fetch("openai", DAYS[-1:], "costs").success
    told = state(project, "openai")
    assert (told["state"], told["last_closed_day"]) == ("ok", "2026-11-18T00:00:00Z"), "the last day is not whole"
    assert told["settled_until"] is None, "nothing was said twice"
    with time_machine.travel(NOW + timedelta(hours=25)):
        assert project.fetch("openai", DAYS[:-1], "costs").success
        assert state(project, "openai")["settled_until"] is None, "of usage nothing was said twice"
        assert project.fetch("openai", DAYS[1:-1], "usage_completions").success
        assert state(project, "openai")["settled_until"] is None, "of usage the first day was said once"
        assert project.fetch("openai", DAYS[:1], "usage_completions").success
        told = state(project, "openai")
        assert (told["state"], told["settled_until"]) == ("stale", "2026-11-13T00:00:00Z")
        project.sandbox.faults(REFUSED)
        assert not project.fetch("openai", DAYS[-1:], *RAW).success
        told = state(project, "openai")
        assert told["state"] == "failed"
        assert re.match("costs: .*Incorrect API key provided", told["last_error"])
        assert told["last_closed_day"] == "2026-11-19T00:00:00Z", "what is stored stays"
        project.sandbox.mend()
        assert project.fetch("openai", DAYS[-1:], *RAW).success
        assert state(project, "openai")["state"] == "ok"


def hour(project: Project, hours: int) -> bool:
    """Tick the hourly schedule some hours after NOW, and run what it asks for."""
    moment = NOW.replace(minute=40) + timedelta(hours=hours)
    schedule = project.definitions.resolve_schedule_def("hourly_connection_schedule")
    with dg.build_schedule_context(instance=project.instance, scheduled_execution_time=moment) as context:
        ticked = schedule.evaluate_tick(context)
    for request in ticked.run_requests or ():
        assert request.asset_selection is None
        states = [dg.AssetKey([name, "port_connection"]) for name in PUSHED]
        project.run(PORT_CONNECTION_JOB, states, None, **request.tags)
        return True
    assert ticked.skip_message == "nothing was stored, failed or recovered since the last run"
    return False


def test_the_hourly_run_tells_all_states_once_after_something_happened_and_until_port_has_heard_it(
    project: Project, tmp_path: Path
) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        project = replace(project, instance=instance)
        assert project.fetch("openai", DAYS[-1:], *RAW).success
        assert hour(project, 0)
        states = {name: entity["properties"]["state"] for name, entity in in_port(project.sandbox).items()}
        assert states == {"openai": "ok", "anthropic": "empty", "chatgpt": "empty"}
        hour(project, 1)  # that run has written to the database, too
        asked = project.port_requests()
        assert [hour(project, n) for n in (2, 3)] == [False, False]
        assert project.port_requests() == asked
        project.sandbox.faults(REFUSED, {"route": "POST /port/v1/auth/access_token", "fault": "status", "status": 503})
        assert not project.fetch("openai", DAYS[-1:], "costs").success
        assert hour(project, 4)
        assert hour(project, 5), "Port has not heard it"
        project.sandbox.mend()
        assert hour(project, 6)
        assert in_port(project.sandbox)["openai"]["properties"]["state"] == "failed"
        assert hour(project, 16), "a new day: what is a day old may be stale now"
        assert not hour(project, 17)
