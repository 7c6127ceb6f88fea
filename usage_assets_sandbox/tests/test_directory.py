"""The lists of who and what the ids stand for: strict and paged."""

from typing import Any

import pytest

from usage_assets_sandbox.tests.calling import SandboxCaller

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
def test_what_no_list_takes_is_refused(sandbox: SandboxCaller, provider: str, listed: str) -> None:
    for change in (
        {"limit": 0},
        {"page": "x"},
        {"cursor": "gone"},
    ):
        path, params = LISTS[provider][listed]
        cursor, _ = CURSORS[provider]
        given = {cursor if name == "cursor" else name: value for name, value in change.items()}
        answer = sandbox.get(path, {**params, **given})
        assert answer.status_code == 400
        assert next(iter(given)) in answer.text or "Limit" in answer.text
        assert sandbox.get(path, params, headers={}).status_code in (400, 401)
