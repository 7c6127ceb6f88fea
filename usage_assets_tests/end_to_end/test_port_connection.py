"""How a connection's data is, as Port is told: what the others relate to, and what people see when a run fails."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import time_machine

from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.graph import PORT_CONNECTION_JOB
from usage_assets_tests.conftest import NOW, Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import PUSHED, Project
from usage_assets_tests.end_to_end.test_refusals import failures
from usage_assets_tests.port_user import port_user

DAYS = last_days(12)
RAW = ("costs", "usage_completions")
"""What the state of a connection is told from."""


@pytest.fixture
def project(impatient_project: Project) -> Project:
    """A project that gives up at once."""
    return impatient_project


def in_port(sandbox: Sandbox, blueprint: str = "ai_connection") -> dict[str, Any]:
    """The entities of a blueprint."""
    with PortClient(f"{sandbox.base_url}/port", "sandbox-client-id", "sandbox-client-secret") as port:
        return {entity["identifier"]: entity for entity in port.search(blueprint)}


def state(project: Project, connection: str) -> dict[str, Any]:
    """What Port is told of a connection."""
    assert project.push_state_of(connection).success
    properties: dict[str, Any] = in_port(project.sandbox)[connection]["properties"]
    return {name: value for name, value in properties.items() if name != "last_push"}


def test_a_connection_of_which_nothing_is_stored_is_empty(project: Project) -> None:
    assert state(project, "openai") == {
        "provider": "openai",
        "state": "empty",
        "last_closed_day": None,
        "settled_until": None,
        "last_error": None,
    }


def test_whole_and_settled_days_are_told_and_days_with_a_part_only_are_not(project: Project) -> None:
    assert project.fetch("openai", DAYS[:-1], *RAW).success
    assert project.fetch("openai", DAYS[-1:], "costs").success
    told = state(project, "openai")
    assert (told["state"], told["last_closed_day"]) == ("ok", "2026-11-18T00:00:00Z")
    assert told["settled_until"] is None, "nothing was said twice"
    with time_machine.travel(NOW + timedelta(hours=25)):
        assert project.fetch("openai", DAYS[:-1], "costs").success
        assert state(project, "openai")["settled_until"] is None, "of usage nothing was said twice"
        assert project.fetch("openai", DAYS[1:-1], "usage_completions").success
        assert state(project, "openai")["settled_until"] is None, "of usage the first day was said once"
        assert project.fetch("openai", DAYS[:1], "usage_completions").success
        told = state(project, "openai")
        assert (told["state"], told["settled_until"]) == ("stale", "2026-11-13T00:00:00Z")


def test_days_that_the_provider_has_forgotten_do_not_hold_back_those_that_settle(project: Project) -> None:
    kept = last_days(91)[1:]
    assert project.fetch("chatgpt", kept[:2]).success
    with time_machine.travel(NOW + timedelta(hours=25)):
        assert state(project, "chatgpt")["settled_until"] == "2026-08-22T00:00:00Z", "it cannot change any more"
        assert project.fetch("chatgpt", kept[1:2]).success
        assert state(project, "chatgpt")["settled_until"] == "2026-08-23T00:00:00Z"


def test_a_failed_run_is_told_without_any_push_and_forgotten_after_the_next_good_one(project: Project) -> None:
    day = DAYS[-1:]
    assert project.fetch("openai", day, *RAW).success
    refused = {"error": {"message": "Incorrect API key provided", "type": "invalid_request_error"}}
    project.sandbox.faults(
        {"route": "GET /openai/v1/organization/costs", "fault": "status", "status": 401, "body": refused}
    )
    assert not project.fetch("openai", day, *RAW).success
    told = state(project, "openai")
    assert told["state"] == "failed"
    assert told["last_error"].startswith("costs: ")
    assert "Incorrect API key provided" in told["last_error"]
    assert told["last_closed_day"] == "2026-11-19T00:00:00Z", "what is stored stays"
    project.sandbox.control("DELETE", "faults")
    assert project.fetch("openai", day, *RAW).success
    assert state(project, "openai")["state"] == "ok"


def test_every_record_is_related_to_its_connection_and_the_same_state_is_not_sent_again(project: Project) -> None:
    assert project.fetch("openai", DAYS[-2:]).success
    assert project.push_of("openai", DAYS[-2:]).success
    for blueprint in ("openai_daily_usage", "openai_model_usage", "ai_cost_record", "ai_user_cost"):
        records = in_port(project.sandbox, blueprint)
        assert {record["relations"]["ai_connection"] for record in records.values()} == {"openai"}, blueprint
    asked = len(project.port_requests())
    assert project.push_state_of("openai").success
    assert project.push_of("openai", DAYS[-2:]).success
    assert len(project.port_requests()) == asked


def test_a_state_that_port_refuses_fails_the_push_that_stands_otherwise(project: Project) -> None:
    assert project.fetch("openai", DAYS[-2:-1]).success
    assert project.push_of("openai", DAYS[-2:-1]).success
    with port_user(project.sandbox) as user:
        schema = user.call("GET", "/blueprints/ai_connection")["blueprint"]["schema"]
        schema["properties"]["owner"] = {"type": "string"}
        user.call("PATCH", "/blueprints/ai_connection", {"schema": {**schema, "required": ["owner"]}})
    assert project.fetch("openai", DAYS[-1:]).success
    reason = failures(project.push_of("openai", DAYS[-1:]))["openai__port_sync"]
    assert re.search("Port refused 1 entities: ai_connection openai: .*owner.* others were sent, ", reason)
    assert in_port(project.sandbox)["openai"]["properties"]["last_closed_day"] == "2026-11-18T00:00:00Z"
    assert {str(day) for day in DAYS[-2:]} == {
        record["properties"]["record_date"][:10] for record in in_port(project.sandbox, "ai_cost_record").values()
    }


@pytest.fixture
def home_project(project: Project, tmp_path: Path) -> Iterator[Project]:
    """Its schedules find the instance in a folder, as the daemon's do."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield replace(project, instance=instance)


def hour(project: Project, hours: int) -> dg.RunRequest | None:
    """Tick the hourly schedule some hours after NOW, and run what it asks for."""
    moment = NOW.replace(minute=40) + timedelta(hours=hours)
    schedule = project.definitions.resolve_schedule_def("hourly_connection_schedule")
    with dg.build_schedule_context(instance=project.instance, scheduled_execution_time=moment) as context:
        ticked = schedule.evaluate_tick(context)
    for request in ticked.run_requests or ():
        assert request.asset_selection is None
        states = [dg.AssetKey([name, "port_connection"]) for name in PUSHED]
        project.run(PORT_CONNECTION_JOB, states, None, **request.tags)
        return request
    assert ticked.skip_message == "nothing was stored, failed or recovered since the last run"
    return None


def test_the_hourly_run_tells_the_states_of_all_connections_and_only_after_something_happened(
    home_project: Project,
) -> None:
    project = home_project
    assert project.fetch("openai", DAYS[-1:], *RAW).success
    assert hour(project, 0)
    assert {name: entity["properties"]["state"] for name, entity in in_port(project.sandbox).items()} == {
        "openai": "ok",
        "anthropic": "empty",
        "chatgpt": "empty",
    }
    hour(project, 1)  # that run has written to the database, too
    asked = len(project.port_requests())
    assert [hour(project, n) for n in range(2, 10)] == [None] * 8
    assert len(project.port_requests()) == asked
    assert hour(project, 16), "a new day: what is a day old may be stale now"
    assert not hour(project, 17)


def test_the_hourly_run_tells_of_a_failure_and_is_repeated_until_port_has_heard_it(home_project: Project) -> None:
    project = home_project
    assert project.fetch("openai", DAYS[-1:], *RAW).success
    while hour(project, 0):
        pass
    body = {"error": {"message": "Incorrect API key provided", "type": "invalid_request_error"}}
    refused = {"route": "GET /openai/v1/organization/costs", "fault": "status", "status": 401, "body": body}
    down = {"route": "POST /port/v1/auth/access_token", "fault": "status", "status": 503}
    project.sandbox.faults(refused, down)
    assert not project.fetch("openai", DAYS[-1:], "costs").success
    assert hour(project, 1)
    assert hour(project, 2), "Port has not heard it"
    project.sandbox.control("DELETE", "faults")
    assert hour(project, 3)
    assert in_port(project.sandbox)["openai"]["properties"]["state"] == "failed"
