"""What the provider `litellm` says of LiteLLM is true of LiteLLM's own proxy, with a fake model behind it."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from usage_assets.core.money import TOLERANCE
from usage_assets.fetching.client import Client
from usage_assets.fetching.transport import PermanentError
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint
from usage_assets_tests.fetching.conftest import client_of
from usage_assets_tests.postgres import running_postgres

pytestmark = pytest.mark.litellm

PROJECT = Path(__file__).parents[4]
assert (PROJECT / "Makefile").is_file()
PYTHON = PROJECT / ".venv-litellm" / "bin" / "python"
PROXY = Path(__file__).with_name("proxy.py")
SCHEMA = PROJECT / "fixtures" / "schemas" / "litellm.json"
ADMIN_KEY, HELPDESK, IVAN = "sk-nobody-admin", "sk-nobody-helpdesk", "sk-nobody-ivan"
LITELLM = PROVIDERS["litellm"]
ENDPOINTS = {endpoint.name: endpoint for endpoint in LITELLM.endpoints}
REQUESTS = [
    (HELPDESK, "small", {"user": "customer-1", "metadata": {"tags": ["product:helpdesk", "env:prod"]}}),
    (HELPDESK, "small", {"user": "customer-2", "metadata": {"tags": ["env:prod"]}}),
    (HELPDESK, "large", {"user": "customer-1", "metadata": {"tags": ["env:prod"]}}),
    (IVAN, "large", {}),
]
"""Key, model and the rest of a request."""
PRICES = {
    "small": {"prompt_tokens": Decimal("0.0000002"), "completion_tokens": Decimal("0.0000008")},
    "large": {"prompt_tokens": Decimal("0.000003"), "completion_tokens": Decimal("0.000015")},
}
"""Dollars of a token, as config.yaml says."""


@dataclass(frozen=True)
class Proxy:
    """A running proxy, after the requests."""

    address: str
    costs: list[Decimal]
    """What each request cost: the tokens that its answer stated, times their price."""
    days: list[date]

    def client(self, key: str = ADMIN_KEY) -> Client:
        """A client of the proxy."""
        return client_of(LITELLM, key=key, base_url=self.address, attempts=1)

    def rows(self, endpoint: Endpoint | str, key: str = ADMIN_KEY) -> list[dict[str, Any]]:
        """What an endpoint says."""
        asked = ENDPOINTS[endpoint] if isinstance(endpoint, str) else endpoint
        with self.client(key) as client:
            rows: list[dict[str, Any]] = client.fetch(asked, self.days).rows.to_pylist()
        return rows

    def spend(self, *requests: int) -> Decimal:
        """What these requests cost."""
        return sum((self.costs[number] for number in requests), Decimal(0))


@contextmanager
def running(*arguments: str) -> Iterator[str]:
    """The process of a proxy; yields its address."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with subprocess.Popen(
        [PYTHON, PROXY, *arguments], cwd=PROXY.parent, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            yield next(line.strip() for line in process.stdout if line.startswith("http://"))
        finally:
            process.kill()


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    """A proxy with some spend."""
    with (
        running_postgres() as database,
        running(database) as address,
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        first, costs = datetime.now(UTC).date(), []
        for key, model, more in REQUESTS:
            body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}
            answer = http.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"})
            used = answer.raise_for_status().json()["usage"]
            costs.append(sum(used[kind] * price for kind, price in PRICES[model].items()))
        for _ in range(200):  # spend is queued after the answer
            http.post("/write_spend", headers={"Authorization": f"Bearer {ADMIN_KEY}"}).raise_for_status()
            found = Proxy(address, costs, sorted({first, datetime.now(UTC).date()}))
            if sum(row["api_requests"] for row in found.rows("user_activity") if row["cut"] == "total") == len(costs):
                break
        yield found


def is_about(amount: Decimal, expected: Decimal) -> bool:
    """Whether it is an amount within the arithmetic of doubles."""
    return abs(amount - expected) < TOLERANCE


def by(rows: list[dict[str, Any]], *names: str) -> Mapping[tuple[Any, ...], dict[str, Any]]:
    """Rows by what they are about."""
    return {tuple(row[name] for name in names): row for row in rows}


def test_the_total_is_what_the_requests_cost_and_cuts_add_up_to_it(proxy: Proxy) -> None:
    rows = proxy.rows("user_activity")
    everything = proxy.spend(*range(len(REQUESTS)))
    assert everything
    for cut in ("total", "model", "provider", "user"):
        of_cut = [row for row in rows if row["cut"] == cut]
        assert is_about(sum(row["spend"] for row in of_cut), everything)
        assert sum(row["api_requests"] for row in of_cut) == len(REQUESTS)
    users = by([row for row in rows if row["cut"] == "user"], "user_id")
    assert users.keys() == {("svc-helpdesk",), ("ivan@corp.example",)}
    assert is_about(users["ivan@corp.example",]["spend"], proxy.spend(3))
    models = {row["model"] for row in rows if row["cut"] == "model"}
    assert models == {"openai/gpt-4o-mini", "anthropic/claude-sonnet-4-20250514"}
    assert not [row["other_fields"] for row in rows if row["other_fields"]]


def test_teams_tags_and_end_users_are_parts_of_it(proxy: Proxy) -> None:
    teams = by(proxy.rows("team_activity"), "team_id")
    assert is_about(teams["team-support",]["spend"], proxy.spend(0, 1, 2))
    customers = by(proxy.rows("customer_activity"), "end_user_id")
    assert is_about(customers["customer-1",]["spend"], proxy.spend(0, 2))
    assert is_about(customers["customer-2",]["spend"], proxy.spend(1))
    tags = by(proxy.rows("tag_activity"), "tag")
    assert is_about(tags["env:prod",]["spend"], proxy.spend(0, 1, 2))
    assert is_about(tags["product:helpdesk",]["spend"], proxy.spend(0))
    assert sum(row["spend"] for row in tags.values()) > proxy.spend(0, 1, 2), "tags overlap"


def test_tags_by_model_are_what_requests_with_both_cost_and_add_up_to_the_tag(proxy: Proxy) -> None:
    rows = proxy.rows("tag_activity_by_model")
    parts = by(rows, "tag", "model")
    small, large = "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-20250514"
    expected = {
        ("env:prod", small): proxy.spend(0, 1),
        ("env:prod", large): proxy.spend(2),
        ("product:helpdesk", small): proxy.spend(0),
    }
    assert {pair for pair in parts if not pair[0].startswith("User-Agent: ")} == expected.keys()
    for pair, spend in expected.items():
        assert is_about(parts[pair]["spend"], spend)
    for tag in proxy.rows("tag_activity"):
        of_tag = [row for row in rows if row["tag"] == tag["tag"]]
        assert is_about(sum(row["spend"] for row in of_tag), tag["spend"])
        assert sum(row["api_requests"] for row in of_tag) == tag["api_requests"]


@pytest.mark.parametrize("name", ENDPOINTS)
def test_pages_of_one_row_add_up_to_one_page(proxy: Proxy, name: str) -> None:
    small = replace(ENDPOINTS[name], params={"page_size": "1"})
    measured = by(proxy.rows(name), *ENDPOINTS[name].row.grain)
    in_pages = by(proxy.rows(small), *ENDPOINTS[name].row.grain)
    assert measured.keys() == in_pages.keys()
    for key, row in measured.items():
        assert is_about(row["spend"], in_pages[key]["spend"])
        assert row | {"spend": None} == in_pages[key] | {"spend": None}


def test_a_key_that_is_no_admin_s_gets_its_own_part_or_is_refused(proxy: Proxy) -> None:
    own = sum(row["spend"] for row in proxy.rows("user_activity", IVAN) if row["cut"] == "total")
    assert is_about(own, proxy.spend(3)), "nothing says that the rest is missing"
    with pytest.raises(PermanentError, match=r"^litellm customer_activity .*: 401 from GET .*proxy admin"):
        proxy.rows("customer_activity", IVAN)
    with pytest.raises(PermanentError, match=r"40[13] from GET .*proxy admin") as raised:
        proxy.rows("user_activity", "sk-nobody-unknown")
    assert "sk-nobody-unknown" not in str(raised.value)


def test_its_answers_have_the_shape_that_the_sandbox_s_are_held_to(proxy: Proxy) -> None:
    printed = subprocess.run([PYTHON, PROXY, "schema"], capture_output=True, text=True, check=True).stdout
    schema = json.loads(printed)
    assert schema == json.loads(SCHEMA.read_text()), "fixtures/schemas/litellm.json: python proxy.py schema"
    validator = Draft202012Validator(schema | {"$ref": "#/$defs/SpendAnalyticsPaginatedResponse"})
    for endpoint in ENDPOINTS.values():
        query = {"start_date": str(proxy.days[0]), "end_date": str(proxy.days[-1])}
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        validator.validate(httpx.get(f"{proxy.address}/{endpoint.path}", params=query, headers=headers).json())
