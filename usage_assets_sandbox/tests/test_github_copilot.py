"""The emulated billing reports of GitHub refuse what the real ones refuse."""

from typing import Any

import pytest

from usage_assets_sandbox.tests.calling import COPILOT_ENDPOINTS, KEYS, TODAY, Endpoint, SandboxCaller

CREDITS = COPILOT_ENDPOINTS["github_copilot", "ai_credits"]
every_report = pytest.mark.parametrize("endpoint", COPILOT_ENDPOINTS.values(), ids=lambda endpoint: endpoint.name)


@every_report
@pytest.mark.parametrize(
    ("change", "headers", "status", "words"),
    [
        ({}, {}, 401, "Bad credentials"),
        ({}, KEYS["openai"], 401, "Bad credentials"),
        ({"day": None}, None, 400, "'day': missing"),
        ({"day": 31, "month": 11}, None, 400, "Invalid date"),
        ({"page": 2}, None, 400, "'page': extra_forbidden"),
    ],
)
def test_what_is_refused(
    sandbox: SandboxCaller,
    endpoint: Endpoint,
    change: dict[str, Any],
    headers: dict[str, str] | None,
    status: int,
    words: str,
) -> None:
    answer = sandbox.get(endpoint.path, {**endpoint.window(TODAY, TODAY), **change}, headers)
    assert answer.status_code == status
    assert words in answer.json()["message"]


def test_another_organization_is_not_found(sandbox: SandboxCaller) -> None:
    path = CREDITS.path.replace("acme-robotics", "other")
    assert sandbox.get(path, CREDITS.window(TODAY, TODAY)).status_code == 404


def test_a_version_of_the_api_that_github_does_not_have_is_refused(sandbox: SandboxCaller) -> None:
    headers = KEYS["github_copilot"] | {"X-GitHub-Api-Version": "2031-01-01"}
    assert sandbox.get(CREDITS.path, CREDITS.window(TODAY, TODAY), headers).status_code == 400
