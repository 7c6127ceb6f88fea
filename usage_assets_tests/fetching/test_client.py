"""How a complete answer is asked for: keys, addresses, pauses, windows. What each refusal does: test_refusals.py."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from usage_assets.fetching.rate_limiter import RateLimiter
from usage_assets.fetching.transport import PermanentError, TransientError
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint, Provider
from usage_assets.testing.echoes import HARD_KEY, SPELLINGS, echoing, leaked
from usage_assets.testing.wire import serve
from usage_assets_tests.fetching.conftest import (
    DAY,
    ENDPOINTS,
    EVERY_ENDPOINT,
    Answers,
    NewClient,
    client_of,
    error_body,
    every_endpoint,
)
from usage_assets_tests.fixtures import ROOT, Sandbox, last_days

WORDS = "the provider's own words"
FIXTURES = ROOT / "fixtures"


def refused(status: int, **more: Any) -> dict[str, Any]:
    """A status fault; the test adds the provider's body."""
    return {"fault": "status", "status": status, **more}


class Trading(httpx.Auth):
    """Trades a key for a token, as a provider of somebody else may."""

    requires_response_body = True

    def __init__(self, key: str) -> None:
        self.key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        traded = yield httpx.Request("POST", request.url.join("/token"), headers={"X-Key": self.key})
        request.headers["X-Session"] = f"Session {traded.text}"
        request.url = request.url.copy_merge_params({"signature": traded.text[::-1]})
        yield request


def test_what_authentication_makes_of_a_key_is_not_shown_either() -> None:
    token, spellings = HARD_KEY.swapcase(), iter(SPELLINGS.values())

    async def answer(request: Request) -> Response:
        is_token = request.url.path == "/token"
        return Response(token) if is_token else echoing("401", next(spellings)(f"{token} {token[::-1]}"))

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    provider = replace(PROVIDERS["openai"], auth=Trading)
    with serve(app) as address, client_of(provider, key="sk-of-a-test", base_url=address, attempts=1) as client:
        for name in SPELLINGS:
            with pytest.raises(PermanentError, match=r"401 .*\*\*\*") as refused:
                client.fetch(provider.endpoints[0], [DAY])
            assert not leaked(repr(refused.value), [token, token[::-1]]), name
            assert refused.value.__cause__ is None


def refusals_of(name: str) -> list[Path]:
    """What an endpoint's fixtures hold of refusals."""
    return sorted((FIXTURES / name).glob("*_error_*.json"))


@pytest.mark.parametrize(
    ("name", "file"),
    [pytest.param(name, file, id=f"{name}-{file.stem}") for name in EVERY_ENDPOINT for file in refusals_of(name)],
)
def test_recorded_refusals_are_permanent_and_keep_their_words(
    answers: Answers, new_client: NewClient, name: str, file: Path
) -> None:
    provider, endpoint = EVERY_ENDPOINT[name]
    body = msgspec.json.decode(file.read_bytes())
    status = int(file.stem.split("_error_")[1][:3])
    answers.faults(provider, endpoint, refused(status, body=body))
    with pytest.raises(PermanentError) as raised:
        new_client(provider, concurrency=1).fetch(endpoint, [DAY])
    words = body["error"]["message"] if "error" in body else body["detail"][0]["msg"]
    assert words in raised.value.message
    assert raised.value.reason.endswith(words)
    asked_with_less = "user_by_project" in file.stem
    assert len(answers.sandbox.requests()) == 1 + asked_with_less


AN_HOUR_AGO, IN_AN_HOUR = "1795158000", "1795165200"


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry-after": "1"}, "Again in 0.3 s"),
        (429, {"retry-after": "Fri, 20 Nov 2026 09:00:00 GMT"}, "Again in 0.3 s"),
        (429, {"retry-after": "-1"}, "Again in 0.0 s"),
        (403, {"retry-after": "1"}, "Again in 0.3 s"),  # GitHub's secondary limit
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": IN_AN_HOUR}, "Again in 0.3 s"),  # and its primary one
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": AN_HOUR_AGO}, "Again in 0.0 s"),
        (502, {"x-ratelimit-remaining": "9", "x-ratelimit-reset": IN_AN_HOUR}, "Again in 0.0 s"),
    ],
)
def test_retry_after_is_honoured_up_to_the_longest_delay(
    answers: Answers,
    new_client: NewClient,
    caplog: pytest.LogCaptureFixture,
    status: int,
    headers: dict[str, str],
    seconds: str,
) -> None:
    provider, endpoint = ENDPOINTS["anthropic/cost_report"]
    answers.faults(provider, endpoint, refused(status, headers=headers, calls=[1]))
    new_client(provider, longest_delay=0.3).fetch(endpoint, [DAY])
    assert seconds in caplog.text


def test_a_429_holds_the_other_windows_as_long(
    answers: Answers, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pace is the connection's: what a hold means for all threads is shown in test_rate_limiter.py."""
    held: list[float] = []
    monkeypatch.setattr(RateLimiter, "penalize", lambda _pace, seconds: held.append(seconds))
    provider, endpoint = ENDPOINTS["anthropic/claude_code"]
    answers.faults(provider, endpoint, refused(429, headers={"retry-after": "1"}, calls=[1]), refused(503, calls=[2]))
    fetched = new_client(provider, longest_delay=0.3, concurrency=2, attempts=3).fetch(endpoint, last_days(4))
    assert held == [pytest.approx(0.3)]
    assert fetched.requests == 4


def test_no_window_is_started_after_the_first_failure(answers: Answers, new_client: NewClient) -> None:
    provider, endpoint = ENDPOINTS["openai/usage_completions"]
    answers.faults(provider, endpoint, refused(403))
    with pytest.raises(PermanentError):
        new_client(provider, concurrency=1).fetch(replace(endpoint, window_days=1), last_days(60))
    assert len(answers.sandbox.requests()) == 1


def test_the_error_of_a_failed_window_is_the_one_that_is_raised(answers: Answers, new_client: NewClient) -> None:
    """Windows that wait for another attempt when it happens must not raise their own."""
    provider, endpoint = ENDPOINTS["anthropic/claude_code"]
    answers.faults(provider, endpoint, refused(503, calls=[1, 2, 3]), refused(403, body=error_body(provider, WORDS)))
    client = new_client(provider, concurrency=4, base_delay=3600, longest_delay=3600)
    with pytest.raises(PermanentError, match=WORDS):
        client.fetch(endpoint, last_days(20))


def test_a_base_url_that_would_show_the_key_is_refused() -> None:
    for base_url in (
        "http://api.openai.com/v1",
        "http://10.0.0.1",
        "ftp://127.0.0.1",
        "api.openai.com",
        "https://u:p@example.com",
        "",
    ):
        provider = replace(PROVIDERS["openai"], base_url="")
        with pytest.raises(PermanentError, match="openai: "):
            client_of(provider, connection="openai", key="sk-admin-x", base_url=base_url)


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown() -> None:
    for key in (
        "",
        " sk-admin-x",
        "sk-admin\nx",
        "sk-admin-\u00fc",
        "sk-admin-x\r\nhost: example.com",
    ):
        with pytest.raises(PermanentError) as raised:
            client_of(PROVIDERS["openai"], connection="openai", key=key)
        assert "OPENAI_ADMIN_KEY" in raised.value.message
        assert not key or key not in repr(raised.value)


def test_a_proxy_is_used_for_the_real_providers_and_not_for_loopback(
    monkeypatch: pytest.MonkeyPatch, new_client: NewClient
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    provider, endpoint = ENDPOINTS["openai/costs"]
    assert new_client(provider).fetch(endpoint, [DAY]).requests == 1
    with pytest.raises(
        TransientError, match=r"usage-assets\.invalid cannot be reached \(ConnectError\): .* Check the network"
    ) as raised:
        new_client(provider, base_url="https://usage-assets.invalid/v1").fetch(endpoint, [DAY])
    assert raised.value.days == ()


@every_endpoint
def test_a_probe_asks_for_yesterday(
    sandbox: Sandbox, new_client: NewClient, provider: Provider, endpoint: Endpoint
) -> None:
    new_client(provider).probe(endpoint)
    assert {request["status"] for request in sandbox.requests()} == {200}
    assert len(sandbox.requests()) == len(endpoint.queries)
    with pytest.raises(PermanentError):
        new_client(provider, key="another").probe(endpoint)
