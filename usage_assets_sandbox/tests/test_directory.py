"""The lists of who and what the ids stand for: strict, paged, and about the ids that costs and usage have."""

from datetime import timedelta
from typing import Any

import pytest

from usage_assets_sandbox.tests.calling import ENDPOINTS, TODAY, SandboxCaller

OPENAI, ANTHROPIC = "/openai/v1/organization", "/anthropic/v1/organizations"
LISTS = {
    "openai": {
        "projects": (f"{OPENAI}/projects", {"include_archived": "true"}),
        "users": (f"{OPENAI}/users", {}),
    },
    "anthropic": {
        "workspaces": (f"{ANTHROPIC}/workspaces", {"include_archived": "true"}),
        "users": (f"{ANTHROPIC}/users", {}),
        "api_keys": (f"{ANTHROPIC}/api_keys", {}),
    },
}
every_list = pytest.mark.parametrize(
    ("provider", "listed"), [(provider, listed) for provider, lists in LISTS.items() for listed in lists]
)
CURSORS = {"openai": ("after", 100), "anthropic": ("after_id", 1000)}


def all_of(sandbox: SandboxCaller, path: str, params: dict[str, Any], cursor: str, limit: int) -> list[Any]:
    """Every item of a list, page by page."""
    items: list[Any] = []
    after: str | None = None
    while True:
        page = sandbox.get(path, {**params, "limit": limit, cursor: after}).raise_for_status().json()
        assert len(page["data"]) <= limit
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
        items += page["data"]
        if not page["has_more"]:
            return items
        after = page["last_id"]


@every_list
def test_pages_of_any_size_hold_the_whole_list(sandbox: SandboxCaller, provider: str, listed: str) -> None:
    path, params = LISTS[provider][listed]
    cursor, most = CURSORS[provider]
    whole = all_of(sandbox, path, params, cursor, most)
    assert len(whole) > 3
    assert all_of(sandbox, path, params, cursor, 1) == all_of(sandbox, path, params, cursor, 3) == whole
    directory = sandbox.control("/directory", method="GET")
    assert [item["id"] for item in whole] == [item["id"] for item in directory[provider][listed]]


@every_list
@pytest.mark.parametrize("change", [{"limit": 0}, {"page": "x"}, {"cursor": "gone"}])
def test_what_no_list_takes_is_refused(
    sandbox: SandboxCaller, provider: str, listed: str, change: dict[str, Any]
) -> None:
    path, params = LISTS[provider][listed]
    cursor, _ = CURSORS[provider]
    given = {cursor if name == "cursor" else name: value for name, value in change.items()}
    answer = sandbox.get(path, {**params, **given})
    assert answer.status_code == 400
    assert next(iter(given)) in answer.text or "Limit" in answer.text
    assert sandbox.get(path, params, headers={}).status_code in (400, 401)


def test_archived_ones_are_listed_only_when_asked_for(sandbox: SandboxCaller) -> None:
    for path in (f"{OPENAI}/projects", f"{ANTHROPIC}/workspaces"):
        asked = sandbox.get(path, {"include_archived": "true"}).json()["data"]
        unasked = sandbox.get(path, {}).json()["data"]
        assert [item for item in asked if not item["archived_at"]] == unasked
        assert len(unasked) < len(asked)


def test_nearly_every_id_that_is_used_is_listed(sandbox: SandboxCaller) -> None:
    directory = sandbox.control("/directory", method="GET")
    used: dict[str, set[str]] = {}
    for provider, name in (("openai", "costs"), ("openai", "usage_completions"), ("anthropic", "usage_messages")):
        for rows in sandbox.days(ENDPOINTS[provider, name], TODAY - timedelta(days=20), TODAY).values():
            for row in rows:
                for column in ("project_id", "user_id", "api_key_id", "workspace_id", "account_id"):
                    used.setdefault(f"{provider} {column}", set()).add(row.get(column))
    known = {item["id"] for lists in directory.values() for items in lists.values() for item in items}
    unknown = {column: ids - known - {None} for column, ids in used.items() if ids - known - {None}}
    assert {column: len(ids) for column, ids in unknown.items()} == {"openai api_key_id": 1, "anthropic api_key_id": 1}


# Switches


def change(sandbox: SandboxCaller, change: str, item: str = "Checkout", **more: str) -> str:
    """Change a project; returns its id."""
    body = {"provider": "openai", "list": "projects", "item": item, "change": change, **more}
    id_: str = sandbox.control("/directory", body)["id"]
    return id_


def project(sandbox: SandboxCaller, id_: str) -> Any:
    """A project as it is listed, None where it is not."""
    projects = sandbox.get(f"{OPENAI}/projects", {"include_archived": "true"}).json()["data"]
    return next((project for project in projects if project["id"] == id_), None)


def test_an_item_can_be_renamed_archived_and_deleted(sandbox: SandboxCaller) -> None:
    id_ = change(sandbox, "rename", name="Kasse")
    assert project(sandbox, id_)["name"] == "Kasse"
    assert change(sandbox, "archive", id_) == id_
    assert (project(sandbox, id_)["status"], project(sandbox, id_)["archived_at"]) == ("archived", 1795161600)
    change(sandbox, "delete", "Kasse")
    assert project(sandbox, id_) is None
    assert sandbox.get(f"{OPENAI}/projects/{id_}/api_keys", {}).status_code == 404
    sandbox.control("/reset", {"now": "2026-11-20T08:00:00Z"})
    assert project(sandbox, id_)["name"] == "Checkout"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"provider": "chatgpt"}, "provider must be one of openai, anthropic"),
        ({"change": "paint"}, "change must be one of rename, archive, delete"),
        ({"item": "nobody"}, "projects has no item with the id or name 'nobody'"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(sandbox: SandboxCaller, body: dict[str, Any], complaint: str) -> None:
    whole = {"provider": "openai", "list": "projects", "item": "Checkout", "change": "delete"} | body
    answer = sandbox.client.post("/control/directory", json=whole)
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]
