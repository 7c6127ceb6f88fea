"""The emulated billing reports of GitHub refuse what the real ones refuse."""

import pytest

from usage_assets_sandbox.tests.calling import COPILOT_ENDPOINTS, KEYS, TODAY, Endpoint, SandboxCaller, changes

CREDITS = COPILOT_ENDPOINTS["github_copilot", "ai_credits"]
every_report = pytest.mark.parametrize("endpoint", COPILOT_ENDPOINTS.values(), ids=lambda endpoint: endpoint.name)


@every_report
def test_what_is_refused(sandbox: SandboxCaller, endpoint: Endpoint) -> None:
    for headers in ({}, KEYS["openai"]):
        answer = sandbox.get(endpoint.path, endpoint.window(TODAY, TODAY), headers)
        assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")
    for _, change, words in changes("""
        each  day              'day': missing
        each  day=31&month=11  Invalid date
        each  page=2           'page': extra_forbidden
    """):
        answer = sandbox.get(endpoint.path, {**endpoint.window(TODAY, TODAY), **change})
        assert (answer.status_code, words in answer.json()["message"]) == (400, True), change


def test_another_organization_is_not_found(sandbox: SandboxCaller) -> None:
    path = CREDITS.path.replace("acme-robotics", "other")
    assert sandbox.get(path, CREDITS.window(TODAY, TODAY)).status_code == 404


def test_a_version_of_the_api_that_github_does_not_have_is_refused(sandbox: SandboxCaller) -> None:
    headers = KEYS["github_copilot"] | {"X-GitHub-Api-Version": "2031-01-01"}
    assert sandbox.get(CREDITS.path, CREDITS.window(TODAY, TODAY), headers).status_code == 400
