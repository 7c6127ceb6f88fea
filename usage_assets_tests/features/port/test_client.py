"""The client against the emulated Port: addresses, tokens, pauses, and what its errors say."""

import logging
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from usage_assets.features.port.catalog.client import PortClient, PortError
from usage_assets.features.port.catalog.provision import provision
from usage_assets_tests.features.port.conftest import SECRET, Catalog

COST = "claude_cost_record"
COUNT = f"GET /port/v1/blueprints/{COST}/entities-count"


@pytest.fixture
def provisioned(catalog: Catalog) -> Catalog:
    """A catalog that has the cost blueprint."""
    provision(catalog.client, [COST])
    catalog.forget_requests()
    return catalog


def test_an_address_that_would_show_the_secret_is_refused() -> None:
    with pytest.raises(PortError, match=r"^PORT_BASE_URL .*https://"):
        PortClient("http://10.0.0.7/port", "id", SECRET)


def test_a_proxy_is_not_used_for_loopback(
    monkeypatch: pytest.MonkeyPatch, catalog: Catalog, new_client: Callable[..., PortClient]
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    new_client().authenticate()
    assert catalog.asked() == [200]


def test_an_account_is_known_by_host_and_client() -> None:
    accounts = {
        "https://api.getport.io": "api.port.io/id",
        "https://api.port.io/v1/": "api.port.io/id",
        "https://api.us.getport.io": "api.us.port.io/id",
        "http://127.0.0.1:8123/port": "127.0.0.1:8123/id",
    }
    for address, account in accounts.items():
        with PortClient(address, "id", SECRET) as client:
            assert client.account == account, address


def test_a_search_goes_through_every_page(provisioned: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usage_assets.features.port.catalog.client.SEARCH_LIMIT", 2)
    for name in "abcde":
        # Create a cost record.
        properties = {"record_date": "2026-01-01T00:00:00Z"}
        body = {"identifier": name, "title": name, "properties": properties}
        provisioned.as_user("POST", f"/blueprints/{COST}/entities?upsert=true", body)
    assert [entity["identifier"] for entity in provisioned.client.search(COST)] == list("abcde")
    assert len(provisioned.asked("entities/search")) == 3


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that are made, in seconds; nobody waits for them."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", lambda seconds: made.append(seconds) if seconds else None)
    return made


PAUSES: Sequence[tuple[int, Callable[[], dict[str, str]], float, float]] = (
    (429, lambda: {"Retry-After": "200"}, 100, 200),
    (429, lambda: {"x-ratelimit-reset": "200"}, 100, 200),
    (429, lambda: {"x-ratelimit-reset": f"{time.time() + 200:.3f}"}, 100, 200),
    (429, lambda: {"Retry-After": "200", "x-ratelimit-reset": "30"}, 100, 200),
    (429, dict, 0, 0.01),
    (429, lambda: {"Retry-After": "Fri, 20 Nov 2026 08:00:00 GMT"}, 0, 0.01),
    (429, lambda: {"x-ratelimit-reset": "soon"}, 0, 0.01),
    (503, lambda: {"x-ratelimit-remaining": "34999", "x-ratelimit-reset": "300"}, 0, 0.01),
)
"""A status, its headers, and the least and the most seconds to wait: less by what this machine takes."""


def test_a_429_is_waited_for_as_long_as_it_says_and_other_errors_are_tried_again_soon(
    provisioned: Catalog, pauses: list[float]
) -> None:
    for status, headers, least, most in PAUSES:
        provisioned.sandbox.refuse(COUNT, status, calls=[1], headers=headers())
        provisioned.client.count(COST)
        [pause] = pauses
        assert least < pause <= most, (status, headers())
        assert provisioned.asked(COUNT)[-2:] == [status, 200]
        provisioned.sandbox.mend()
        pauses.clear()


def test_an_error_that_stays_is_raised_after_the_last_attempt(provisioned: Catalog) -> None:
    down = {"ok": False, "error": "internal_error", "message": "the database is\nresting"}
    provisioned.sandbox.refuse(COUNT, 500, body=down)
    with pytest.raises(
        PortError, match=r"^Port answered 500 to GET /port/v1/.*/entities-count: the database is resting$"
    ):
        provisioned.client.count(COST)
    assert provisioned.asked(COUNT) == [500, 500, 500]


def test_a_redirect_is_not_followed(provisioned: Catalog) -> None:
    elsewhere = {"Location": f"/port/v1/blueprints/{COST}/entities"}
    provisioned.sandbox.refuse(COUNT, 307, headers=elsewhere)
    with pytest.raises(PortError, match="307"):
        provisioned.client.count(COST)
    assert provisioned.asked() == [307]


def test_nobody_listening_is_one_clear_line() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{reserved.getsockname()[1]}"
    with (
        PortClient(address, "id", SECRET, attempts=2, base_delay=0.001) as client,
        pytest.raises(PortError, match=r"^Port did not answer POST /v1/auth/access_token: .*refused"),
    ):
        client.authenticate()


def test_no_secret_reaches_a_message_or_a_log(
    provisioned: Catalog, new_client: Callable[..., PortClient], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = new_client()
    client.authenticate()
    token = client._bearer()
    echo: dict[str, Any] = {"ok": False, "error": "x", "message": f"refused: {SECRET} {token}"}
    provisioned.sandbox.refuse("GET *", 503, body=echo)
    with pytest.raises(PortError, match=r"refused: \*\*\* \*\*\*") as refused:
        client.count(COST)
    provisioned.sandbox.mend()
    provisioned.sandbox.control("POST", "reset", {})
    with pytest.raises(PortError):
        client.count(COST)
    for text in (str(refused.value), repr(refused.value), repr(client), caplog.text):
        assert SECRET not in text
        assert token not in text
