"""Names reach people, and only people: no row is lost or doubled by one, and no stored amount knows of it."""

from typing import Any

import dagster as dg

from usage_assets_tests.conftest import last_days
from usage_assets_tests.end_to_end.conftest import Project

DAYS = last_days(1)
LOOKUPS = ("openai.project_api_keys", "openai.projects", "openai.service_accounts", "openai.users")
MONEY = ("openai.costs", "anthropic.cost_report", "costs.daily_costs")


def look_up_places(project: Project) -> None:
    """Run the lookups of projects and workspaces."""
    assert project.look_up("openai", "projects").success
    assert project.look_up("anthropic", "workspaces").success


def fetch_costs(project: Project) -> None:
    """Fetch what people are billed, and the workspaces' entities."""
    assert project.fetch("openai", DAYS, "costs", "costs/daily_costs").success
    assets = ("cost_report", "cost_report/daily_costs", "usage_messages", "entities/claude_workspace_usage")
    assert project.fetch("anthropic", DAYS, *assets).success


def tables(project: Project) -> dict[str, list[dict[str, Any]]]:
    """Every row of every lookup of OpenAI."""
    return {lookup: project.rows(lookup) for lookup in LOOKUPS}


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """What the events of a run say, by the lookup's name."""
    return {
        event.asset_key.path[-1]: {
            name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in result.all_events
        if event.is_step_materialization and event.asset_key
    }


def change(project: Project, provider: str, listed: str, item: str, change: str, **more: str) -> str:
    """Change something in the sandbox's directory; returns its id."""
    body = {"provider": provider, "list": listed, "item": item, "change": change, **more}
    return str(project.sandbox.control("POST", "directory", body)["id"])


def titles(project: Project) -> set[str]:
    """What the last day's entities of workspaces are called."""
    return {
        row["title"].removesuffix(f" - {DAYS[-1]}")
        for row in project.rows("port_entities.claude_workspace_usage")
        if row["usage_date"] == DAYS[-1]
    }


def test_a_lookup_says_what_it_came_to_and_a_second_one_changes_nothing(project: Project) -> None:
    counts = {
        name: {key: found[key] for key in ("rows", "new", "changed", "gone", "requests", "skipped")}
        for name, found in metadata(project.look_up("openai")).items()
    }
    assert counts == {
        "project_api_keys": {"rows": 10, "new": 10, "changed": 0, "gone": 0, "requests": 5, "skipped": 0},
        "projects": {"rows": 4, "new": 4, "changed": 0, "gone": 0, "requests": 1, "skipped": 0},
        "service_accounts": {"rows": 3, "new": 3, "changed": 0, "gone": 0, "requests": 5, "skipped": 0},
        "users": {"rows": 12, "new": 12, "changed": 0, "gone": 0, "requests": 1, "skipped": 0},
    }
    stored = tables(project)
    assert project.look_up("openai").success
    assert tables(project) == stored
    a_skipped_project_is_recorded_and_its_keys_keep_their_names(project)
    a_refused_lookup_keeps_what_it_had_and_the_others_go_on(project)


def a_skipped_project_is_recorded_and_its_keys_keep_their_names(project: Project) -> None:
    (id_,) = (row["id"] for row in project.rows("openai.projects") if row["name"] == "Checkout")
    project.sandbox.faults(
        {"route": f"GET /openai/v1/organization/projects/{id_}/api_keys", "fault": "status", "status": 404}
    )
    found = metadata(project.look_up("openai", "project_api_keys"))["project_api_keys"]
    assert [found[name] for name in ("rows", "gone", "skipped", "skipped_ids")] == [7, 3, 1, [id_]]
    assert len(project.rows("openai.project_api_keys")) == 10
    project.sandbox.control("DELETE", "faults")


def a_refused_lookup_keeps_what_it_had_and_the_others_go_on(project: Project) -> None:
    users, projects = project.rows("openai.users"), project.rows("openai.projects")
    change(project, "openai", "users", "Bob O'Neill", "delete")
    change(project, "openai", "projects", "Checkout", "rename", name="Kasse")
    body = {"error": {"message": "no such scope"}}
    route = "GET /openai/v1/organization/users"
    project.sandbox.faults({"route": route, "fault": "status", "status": 403, "body": body})
    result = project.look_up("openai")
    (failure,) = (event.step_failure_data for event in result.all_events if event.is_step_failure)
    assert failure.user_failure_data
    assert "openai users: 403 from GET /openai/v1/organization/users: no such scope." in str(
        failure.user_failure_data.description
    )
    assert metadata(result).keys() == {"projects", "project_api_keys", "service_accounts"}
    assert project.rows("openai.users") == users
    assert len(project.rows("openai.projects")) == len(projects) + 1


def test_a_rename_changes_titles_and_no_hash_of_money(project: Project) -> None:
    look_up_places(project)
    fetch_costs(project)
    assert titles(project) >= {"default", "Checkout", "Research"}
    hashes, entities = project.hashes(), project.rows("port_entities.claude_workspace_usage")

    renamed = change(project, "anthropic", "workspaces", "Checkout", "rename", name="Kasse")
    change(project, "anthropic", "workspaces", "Support", "delete")
    change(project, "openai", "projects", "Checkout", "rename", name="Kasse")
    look_up_places(project)
    fetch_costs(project)

    changed = {key[0] for key, value in project.hashes().items() if hashes[key] != value}
    assert changed == {"port_entities.claude_workspace_usage"}
    assert {key[0] for key in hashes} > set(MONEY)
    assert titles(project) >= {"default", "Kasse", "Support"}
    assert "Checkout" not in titles(project)
    rest = [{**row, "title": ""} for row in project.rows("port_entities.claude_workspace_usage")]
    assert rest == [{**row, "title": ""} for row in entities]
    versions = [row for row in project.rows("anthropic.workspaces") if row["id"] == renamed]
    assert [row["name"] for row in sorted(versions, key=lambda row: row["valid_from"])] == ["Checkout", "Kasse"]
