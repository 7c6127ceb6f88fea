"""The official `openai` package reads the sandbox as ours does: the same questions, the same rows, the same totals."""

from collections import Counter
from dataclasses import dataclass, replace
from math import fsum, isclose
from typing import Any

import pyarrow as pa
import pytest
from openai import OpenAI

from usage_assets.core import money
from usage_assets.core.days import DAY, Window
from usage_assets.core.schema import columns
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint
from usage_assets_sandbox.credentials import OPENAI_ADMIN_KEY
from usage_assets_tests.conftest import TODAY, Sandbox
from usage_assets_tests.fetching.conftest import client_of

WINDOW = Window(TODAY - 5 * DAY, TODAY - DAY)
PROVIDER = PROVIDERS["openai"]
# Five days in pages of two: whoever reads them has to follow page tokens.
ENDPOINTS = {
    endpoint.name: replace(endpoint, params={**endpoint.params, "limit": "2"}, must_add_up=None)
    for endpoint in PROVIDER.endpoints
}
every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS)


@dataclass(frozen=True)
class Readers:
    """Both clients of one sandbox, and what they asked it."""

    sandbox: Sandbox

    def ours(self, endpoint: Endpoint) -> pa.Table:
        """The rows of the window, as our client has them."""
        base_url = f"{self.sandbox.base_url}/openai/v1"
        with client_of(PROVIDER, connection="openai", key=OPENAI_ADMIN_KEY, base_url=base_url) as client:
            return client.fetch(endpoint, WINDOW.days).rows

    def official(self, endpoint: Endpoint) -> list[Any]:
        """The results of the window, as the official package has them: it leaves following the tokens to its user."""
        results: list[Any] = []
        query: dict[str, Any] = {
            "start_time": int(WINDOW.start.timestamp()),
            "end_time": int(WINDOW.end.timestamp()),
            "bucket_width": "1d",
            "limit": 2,
            "group_by": list(endpoint.group_by),
        }
        with OpenAI(
            admin_api_key=OPENAI_ADMIN_KEY, base_url=f"{self.sandbox.base_url}/openai/v1", max_retries=0
        ) as client:
            ask = getattr(client.admin.organization.usage, endpoint.name.removeprefix("usage_"))
            while True:
                page = ask(**query)
                results += (result for bucket in page.data for result in bucket.results)
                if not page.has_more:
                    return results
                query["page"] = page.next_page

    def asked(self) -> list[tuple[int, list[list[str]]]]:
        """Status and sorted query of every request since the last call."""
        requests = self.sandbox.requests()
        self.sandbox.control("POST", "requests/clear")
        return [(request["status"], sorted(request["query"])) for request in requests]


@pytest.fixture
def readers(sandbox: Sandbox) -> Readers:
    """Both clients of a fresh sandbox."""
    return Readers(sandbox)


@every_endpoint
def test_both_ask_the_same_questions_and_get_answers(readers: Readers, endpoint: Endpoint) -> None:
    readers.ours(endpoint)
    ours = readers.asked()
    readers.official(endpoint)
    assert readers.asked() == ours
    assert [status for status, _ in ours] == [200, 200, 200]
    assert all(["group_by[]", dimension] in query for _, query in ours for dimension in endpoint.group_by)


@pytest.mark.parametrize("endpoint", [ENDPOINTS[name] for name in ENDPOINTS if name != "costs"], ids=lambda e: e.name)
def test_both_read_the_same_usage(readers: Readers, endpoint: Endpoint) -> None:
    counters = [column.name for column in columns(endpoint.row) if column.unit]
    rows, results = readers.ours(endpoint).to_pylist(), readers.official(endpoint)
    for counter in counters:
        assert sum(row[counter] or 0 for row in rows) == sum(getattr(result, counter) or 0 for result in results)
    names = [name for name in (*endpoint.row.grain, *counters) if name != "occurrence"]  # which no answer has
    assert Counter(tuple(row[name] for name in names) for row in rows) == Counter(
        tuple(getattr(result, name) for name in names) for result in results
    )
    assert rows


def test_both_read_the_same_costs(readers: Readers) -> None:
    """The package turns amounts into floats (or leaves text as it is), so its total is right within their rounding."""
    rows, results = readers.ours(ENDPOINTS["costs"]).to_pylist(), readers.official(ENDPOINTS["costs"])
    dimensions = ENDPOINTS["costs"].group_by
    assert Counter(tuple(row[name] for name in dimensions) for row in rows) == Counter(
        tuple(getattr(result, name) for name in dimensions) for result in results
    )
    total = money.total(row["amount_value"] for row in rows)
    assert total > 0
    assert isclose(total, fsum(float(result.amount.value) for result in results), rel_tol=1e-12)
    assert total == readers.sandbox.truth(WINDOW.first, WINDOW.last)["openai"]["usd"]


@every_endpoint
def test_the_package_knows_every_field_that_the_sandbox_sends(readers: Readers, endpoint: Endpoint) -> None:
    unknown = {name for result in readers.official(endpoint) for name in result.model_extra or ()}
    assert unknown == ({"user_email"} if endpoint.name == "costs" else set()), "seen live, undocumented"
