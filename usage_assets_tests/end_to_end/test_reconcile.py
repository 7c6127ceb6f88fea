"""The reconciliation through Dagster: after it Port equals the tables, whatever people did, and theirs is untouched."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from usage_assets.core.blueprints import CONNECTION
from usage_assets.features.port.graph import PORT_RECONCILE_JOB
from usage_assets_tests.end_to_end.conftest import PUSHED, Project
from usage_assets_tests.end_to_end.conftest import PUSHED_DAYS as DAYS
from usage_assets_tests.port_user import PortUser, port_user

COST, MODEL = "claude_cost_record", "claude_model_usage"
FIRST, SECOND, THIRD = (f"{day}-cost" for day in DAYS)
BULK = f"POST /port/v1/blueprints/{COST}/entities/bulk"
NOTHING_TO_DO = {"deleted_in_port": 0, "edited_in_port": 0, "not_in_ledger": 0}


@pytest.fixture
def user(pushed: Project) -> Iterator[PortUser]:
    """Somebody else in the same Port."""
    with port_user(pushed.sandbox) as signed_in:
        yield signed_in


def run(project: Project, *connections: str) -> dg.ExecuteInProcessResult:
    """Run the job, for these connections or, as its button does, for all."""
    with project.warehouse.get_connection():  # it stays open: to open it for each step takes half of the time
        return project.definitions.resolve_job_def(PORT_RECONCILE_JOB).execute_in_process(
            instance=project.instance,
            asset_selection=[dg.AssetKey([connection, "port_reconcile"]) for connection in connections or PUSHED],
            raise_on_error=False,
        )


def reconcile(project: Project) -> dict[str, Any]:
    """Run it for one connection, successfully, and return what its event says."""
    result = run(project, "anthropic")
    assert result.success
    [event] = result.asset_materializations_for_node("anthropic__port_reconcile")
    return {name: value.value for name, value in event.metadata.items()}


def failure(result: dg.ExecuteInProcessResult) -> str:
    """Why the run failed, in the words that a person reads."""
    assert not result.success
    [event] = [event for event in result.all_node_events if event.is_step_failure]
    error = event.step_failure_data.error
    assert error
    return error.message


def found(said: dict[str, Any]) -> dict[str, int]:
    """What was done, without what is zero."""
    return {name: said[name] for name in NOTHING_TO_DO if said[name]}


def state_in(user: PortUser) -> dict[str, Any]:
    """What Port has of the connection, the id of the last push left out."""
    return {
        name: value for name, value in user.entity(CONNECTION, "anthropic")["properties"].items() if name != "last_push"
    }


def lines(project: Project) -> dict[str, str]:
    """The ledger: identifier -> content hash."""
    return {row["identifier"]: row["content_hash"] for row in project.rows("ledger.port_entities")}


def test_what_people_deleted_and_edited_is_sent_again_and_what_is_theirs_stays(pushed: Project, user: PortUser) -> None:
    # A catalog that nobody touched takes one request per blueprint.
    asked, entities = len(pushed.port_requests()), pushed.entities()
    said = reconcile(pushed)
    keys = [spec.key.path for spec in pushed.definitions.resolve_all_asset_specs()]
    blueprints = [path for path in keys if path[:2] == ["anthropic", "entities"]]
    requests = ["token", *blueprints, "blueprint of the connection", "connection"]
    assert said == {"entities_checked": len(entities), **NOTHING_TO_DO, "requests": len(requests)}
    assert len(pushed.port_requests()) - asked == said["requests"]
    user.add_property(COST, "owner", {"type": "string"})
    theirs = {"record_date": "2026-01-01T00:00:00Z", "currency": "USD", "owner": "bob"}
    user.create(COST, "theirs", theirs, title="Theirs")
    before, state = pushed.in_port(), state_in(user)
    user.delete(COST, FIRST)
    user.edit(COST, SECOND, {"title": "Edited", "properties": {"amount": 1, "owner": "ada"}})
    [model] = [name for kind, name in before if kind == MODEL][:1]
    user.edit(MODEL, model, {"title": "Our favourite"})
    assert found(reconcile(pushed)) == {"deleted_in_port": 1, "edited_in_port": 2}
    before[COST, SECOND]["owner"] = "ada"
    assert pushed.in_port() == before
    assert found(reconcile(pushed)) == {}

    user.delete(COST, "theirs")
    del before[COST, "theirs"], before[COST, SECOND]["owner"]
    user.call("DELETE", f"/blueprints/{CONNECTION}/entities/anthropic", delete_dependents="true")
    assert pushed.in_port() == {}
    assert found(reconcile(pushed)) == {"deleted_in_port": len(before)}, "what all others relate to is sent first"
    assert {key: {**entity, "owner": None} for key, entity in pushed.in_port().items()} == {
        key: {**entity, "owner": None} for key, entity in before.items()
    }
    assert state_in(user) == state
    user.edit(CONNECTION, "anthropic", {"properties": {"state": "stale"}})
    reconcile(pushed)
    assert state_in(user) == state


def test_a_run_that_ends_between_its_marks_and_its_push_is_completed_by_the_next(
    pushed: Project, user: PortUser
) -> None:
    before = pushed.in_port()
    for route in ("GET /port/v1/blueprints/*", BULK):
        user.delete(COST, FIRST)
        user.edit(COST, SECOND, {"title": "Edited"})
        pushed.sandbox.refuse(route, 403)
        assert "Port answered 403" in failure(run(pushed, "anthropic"))
        assert {name for name, content_hash in lines(pushed).items() if len(content_hash) < 64} >= {FIRST, SECOND}
        pushed.sandbox.mend()
        assert found(reconcile(pushed)) == {}, "they were counted when they were found"
        assert pushed.in_port() == before
