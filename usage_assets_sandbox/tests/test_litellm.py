"""The emulated LiteLLM proxy refuses what a real one refuses, and its pages add up to the books."""

from decimal import Decimal

import pytest

from usage_assets_sandbox.tests.calling import KEYS, LITELLM_ENDPOINTS, TODAY, Endpoint, SandboxCaller, changes, exact
from usage_assets_sandbox.tests.test_fixtures import validator

every_report = pytest.mark.parametrize("endpoint", LITELLM_ENDPOINTS.values(), ids=lambda endpoint: endpoint.name)


@every_report
def test_what_is_refused(sandbox: SandboxCaller, endpoint: Endpoint) -> None:
    for headers in ({}, KEYS["openai"]):
        answer = sandbox.get(endpoint.path, endpoint.window(TODAY, TODAY), headers)
        assert (answer.status_code, "Authentication Error" in answer.text) == (401, True)
    for [status], change, words in changes("""
        400  start_date             Please provide start_date and end_date
        422  start_date=2026-13-01  date_parsing
        422  page=0                 greater_than_equal
        422  page_size=0            greater_than_equal
    """):
        answer = sandbox.get(endpoint.path, {**endpoint.window(TODAY, TODAY), **change})
        assert (str(answer.status_code), words in answer.text) == (status, True), change


def test_only_the_report_of_users_limits_the_size_of_a_page(sandbox: SandboxCaller) -> None:
    found = {
        name: sandbox.get(endpoint.path, {**endpoint.window(TODAY, TODAY), "page_size": 1001}).status_code
        for (_, name), endpoint in LITELLM_ENDPOINTS.items()
    }
    assert found == dict.fromkeys(found, 200) | {"user_activity": 422}


@every_report
def test_pages_add_up_to_the_books(sandbox: SandboxCaller, endpoint: Endpoint) -> None:
    of = endpoint.name.removesuffix("_activity")
    unit = "gateway_spend_usd" if of == "user" else f"{of}_spend_usd"
    truth = exact(sandbox.truth(start=str(TODAY), end=str(TODAY))["totals"]["litellm"][unit])
    for size in (2, 1000):
        found, page, more = {"metrics": Decimal(0), "entities": Decimal(0)}, 1, True
        while more:
            query = {**endpoint.window(TODAY, TODAY), "page": page, "page_size": size}
            answer = exact(sandbox.get(endpoint.path, query).raise_for_status().content)
            validator(endpoint).validate(answer)
            for day in answer["results"]:
                found["metrics"] += day["metrics"]["spend"]
                found["entities"] += sum(part["metrics"]["spend"] for part in day["breakdown"]["entities"].values())
            assert (answer["metadata"]["page"], answer["metadata"]["has_more"]) == (
                page,
                page < answer["metadata"]["total_pages"],
            )
            page, more = page + 1, answer["metadata"]["has_more"]
        assert found == {"metrics": truth, "entities": truth}
        assert (page > 2) == (size == 2)
