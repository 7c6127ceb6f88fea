"""The official `anthropic` package reads the newer reports as ours does: the same questions, the same rows."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from anthropic import Anthropic

from usage_assets.core.days import DAY, Window, rfc3339
from usage_assets.providers import PROVIDERS
from usage_assets.providers.anthropic_analytics.engagement import ENGAGEMENT_ENDPOINTS
from usage_assets.providers.endpoint import Endpoint
from usage_assets_sandbox.credentials import ANTHROPIC_ANALYTICS_KEY
from usage_assets_tests.conftest import TODAY, Sandbox
from usage_assets_tests.fetching.conftest import client_of

PROVIDER = PROVIDERS["anthropic_analytics"]
WINDOW = Window(TODAY - 3 * DAY, TODAY - DAY)
# In pages so small that whoever reads them has to follow cursors.
SMALL = {
    endpoint.name: replace(
        endpoint, params={**endpoint.params, "limit": "1" if endpoint.bucket_per_day else "20"}, must_add_up=None
    )
    for endpoint in PROVIDER.endpoints
    if endpoint not in ENGAGEMENT_ENDPOINTS
}
every_small = pytest.mark.parametrize("endpoint", SMALL.values(), ids=SMALL)


def ours(url: str, endpoint: Endpoint) -> list[dict[str, Any]]:
    """The rows of the window, as our client has them."""
    with client_of(PROVIDER, connection="newer", key=ANTHROPIC_ANALYTICS_KEY, base_url=f"{url}/anthropic") as client:
        rows: list[dict[str, Any]] = client.fetch(endpoint, WINDOW.days).rows.to_pylist()
        return rows


def official(url: str, endpoint: Endpoint) -> list[Any]:
    """What the official package has of it, which follows the cursors by itself: results of buckets, or rows."""
    asked: dict[str, Any] = {**rfc3339(WINDOW), **endpoint.params, "group_by": [*endpoint.group_by]}
    with Anthropic(api_key=ANTHROPIC_ANALYTICS_KEY, base_url=f"{url}/anthropic", max_retries=0) as client:
        report = getattr(client.beta.organization.analytics, endpoint.path.rpartition("/")[2])
        found = list(report.list(**asked | {"limit": int(endpoint.params["limit"])}))
    return [result for bucket in found for result in bucket.results] if endpoint.bucket_per_day else found


def extras(model: Any) -> set[str]:
    """Every field of an answer, at any depth, that the package does not know."""
    inner = [getattr(model, name) for name in type(model).model_fields]
    unknown = {*(model.model_extra or ())}
    return unknown.union(*(extras(each) for each in inner if hasattr(each, "model_extra")))


@every_small
def test_both_ask_the_same_questions_read_the_same_and_the_package_knows_every_field(
    sandbox: Sandbox, endpoint: Endpoint
) -> None:
    answers, asked = list[Any](), []
    for ask in (ours, official):
        answers.append(ask(sandbox.base_url, endpoint))
        asked.append([(request["status"], sorted(request["query"])) for request in sandbox.requests()])
        sandbox.control("POST", "requests/clear")
    assert asked[0] == asked[1]
    assert {status for status, _ in asked[0]} == {200}
    assert len(asked[0]) > 1
    rows, found = answers
    assert len(rows) == len(found) > 0
    assert set[str]().union(*map(extras, found)) == set()
    measure = "amount_cents" if "cost" in endpoint.name else "output_tokens"
    spelled = dict(zip(endpoint.row.__struct_fields__, endpoint.row.__struct_encode_fields__, strict=True))
    names = [name for name in endpoint.row.grain if name != "occurrence"]
    assert Counter((*(row[name] for name in names), row[measure]) for row in rows) == Counter(
        (*(value_in(each, spelled[name]) for name in names), Decimal(value_in(each, spelled[measure])))
        for each in found
    )


def value_in(model: Any, path: str) -> Any:
    """What stands at a dotted name; None where something on the way is not there."""
    for name in path.split("."):
        model = getattr(model, name, None)
    return model
