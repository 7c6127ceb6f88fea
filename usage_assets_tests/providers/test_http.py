"""Nothing that a provider does may lose or invent a number: a fetch is complete, or it raises and says why."""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from usage_assets.providers import PROVIDERS, Client, Endpoint, PermanentError, Provider, ProviderError, TransientError
from usage_assets.providers.pace import Pace
from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.providers.conftest import DAY, ENDPOINTS, KEYS, Answers, NewClient, every_endpoint

WORDS = "the provider's own words"
FIXTURES = Path(__file__).parents[2] / "fixtures"


def error_body(provider: Provider, words: str = WORDS) -> Mapping[str, Any]:
    """An error as the provider words it."""
    return {"detail": words} if provider.name == "chatgpt" else {"error": {"message": words}}


def refused(status: int, **more: Any) -> dict[str, Any]:
    """A status fault; the test adds the provider's body."""
    return {"fault": "status", "status": status, **more}


FAULTS: dict[str, tuple[dict[str, Any], type[ProviderError], str]] = {
    "400": (refused(400), PermanentError, WORDS),
    "401": (refused(401), PermanentError, "Check the"),
    "403": (refused(403), PermanentError, WORDS),
    "404": (refused(404), PermanentError, WORDS),
    "418": (refused(418), PermanentError, WORDS),
    "redirect": (refused(302, headers={"location": "https://example.com/"}), PermanentError, "redirect"),
    "429": (refused(429), TransientError, WORDS),
    "500": (refused(500), TransientError, WORDS),
    "503": (refused(503), TransientError, WORDS),
    "slow": ({"fault": "delay", "seconds": 0.6}, TransientError, "ReadTimeout"),
    "reset": ({"fault": "reset"}, TransientError, "no answer"),
    "truncated": ({"fault": "truncate"}, TransientError, "broken answer"),
    "html": ({"fault": "html"}, TransientError, "text/html"),
    "not JSON": ({"fault": "replace", "text": '{"data": NaN}'}, TransientError, "broken answer"),
    "too deep": ({"fault": "replace", "text": "[" * 100_000}, TransientError, "RecursionError"),
    "number out of range": (
        {"fault": "replace", "text": '{"data": 1e99999999999999999999}'},
        TransientError,
        "InvalidOperation",
    ),
    "empty": ({"fault": "replace", "text": ""}, TransientError, "broken answer"),
    "a list": ({"fault": "replace", "body": []}, TransientError, "broken answer"),
    "no data": ({"fault": "replace", "body": {"has_more": False}}, TransientError, "`data`"),
    "no has_more": ({"fault": "replace", "body": {"data": []}}, TransientError, "`has_more`"),
    "no page token": ({"fault": "replace", "body": {"data": [], "has_more": True}}, PermanentError, "no page token"),
    "repeated page token": ({"fault": "repeat_token"}, PermanentError, "page token repeats"),
}


@pytest.mark.parametrize("fault", FAULTS)
@every_endpoint
def test_a_fault_raises_with_what_where_and_what_to_do(
    answers: Answers, new_client: NewClient, provider: Provider, endpoint: Endpoint, fault: str
) -> None:
    script, expected, words = FAULTS[fault]
    advice = "Check the base URL" if fault == "redirect" else "Nothing was stored"
    if script["fault"] == "status":
        script = script | {"body": error_body(provider)}
    answers.faults(provider, endpoint, script)
    with pytest.raises(expected) as raised:
        new_client(provider, read_timeout=0.2 if fault == "slow" else 60).fetch(endpoint, [DAY])
    assert type(raised.value) is expected
    assert words in raised.value.message
    assert raised.value.message.startswith(f"{provider.name} {endpoint.name} {DAY}: ")
    assert provider.advice.get(raised.value.status or 0, advice) in raised.value.message
    assert "\n" not in raised.value.message
    assert KEYS[provider.name] not in repr(raised.value)


@every_endpoint
def test_the_key_is_never_shown(
    answers: Answers,
    new_client: NewClient,
    caplog: pytest.LogCaptureFixture,
    provider: Provider,
    endpoint: Endpoint,
) -> None:
    caplog.set_level(logging.DEBUG)
    key = "sk-mistyped-0123456789"
    answers.faults(
        provider, endpoint, refused(401, body=error_body(provider, f"no such key: {key}\x07\nat all"), calls=[2])
    )
    for _ in range(2):
        client = new_client(provider, key=key, concurrency=1)
        with pytest.raises(PermanentError) as raised:
            client.fetch(endpoint, [DAY])
        assert raised.value.status == 401
        assert key not in repr(raised.value)
        assert raised.value.__cause__ is None
    assert "no such key: [key] at all" in raised.value.message
    assert key not in caplog.text


@pytest.mark.parametrize("file", sorted(FIXTURES.rglob("*_error_*.json")), ids=lambda file: file.stem)
def test_recorded_refusals_are_permanent_and_keep_their_words(
    answers: Answers, new_client: NewClient, file: Path
) -> None:
    provider, endpoint = ENDPOINTS[f"{file.parts[-3]}/{file.parts[-2]}"]
    body = msgspec.json.decode(file.read_bytes())
    status = int(file.stem.split("_error_")[1][:3])
    answers.faults(provider, endpoint, refused(status, body=body))
    with pytest.raises(PermanentError) as raised:
        new_client(provider, concurrency=1).fetch(endpoint, [DAY])
    words = body["error"]["message"] if "error" in body else body["detail"][0]["msg"]
    assert words in raised.value.message
    assert raised.value.reason.endswith(words)
    assert len(answers.sandbox.requests()) == 1


@pytest.mark.parametrize(
    "fault", [refused(429), refused(500), {"fault": "reset"}, {"fault": "truncate"}, {"fault": "html"}], ids=str
)
@every_endpoint
def test_a_passing_fault_is_retried_and_changes_nothing(
    answers: Answers, new_client: NewClient, provider: Provider, endpoint: Endpoint, fault: dict[str, Any]
) -> None:
    undisturbed = new_client(provider).fetch(endpoint, [DAY])
    answers.faults(provider, endpoint, fault | {"calls": [1]})
    fetched = new_client(provider).fetch(endpoint, [DAY])
    assert fetched.rows.equals(undisturbed.rows)
    assert (fetched.retries, fetched.requests) == (1, undisturbed.requests)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("1", "Again in 0.3 s"),
        ("Fri, 20 Nov 2026 09:00:00 GMT", "Again in 0.3 s"),
        ("Fri, 20 Nov 2026 07:00:00 GMT", "Again in 0.0 s"),
        ("soon", "Again in 0.0 s"),
        ("-1", "Again in 0.0 s"),
    ],
)
def test_retry_after_is_honoured_up_to_the_longest_delay(
    answers: Answers, new_client: NewClient, caplog: pytest.LogCaptureFixture, retry_after: str, seconds: str
) -> None:
    provider, endpoint = ENDPOINTS["anthropic/cost_report"]
    answers.faults(provider, endpoint, refused(429, headers={"retry-after": retry_after}, calls=[1]))
    new_client(provider, longest_delay=0.3).fetch(endpoint, [DAY])
    assert seconds in caplog.text


def test_a_429_holds_the_other_windows_as_long(
    answers: Answers, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pace is the connection's: what a hold means for all threads is shown in test_pace.py."""
    held: list[float] = []
    monkeypatch.setattr(Pace, "hold", lambda _pace, seconds: held.append(seconds))
    provider, endpoint = ENDPOINTS["anthropic/claude_code"]
    answers.faults(provider, endpoint, refused(429, headers={"retry-after": "1"}, calls=[1]), refused(503, calls=[2]))
    fetched = new_client(provider, longest_delay=0.3, concurrency=2, attempts=3).fetch(endpoint, last_days(4))
    assert held == [pytest.approx(0.3)]
    assert fetched.requests == 4


def test_it_gives_up_after_the_last_attempt(answers: Answers, new_client: NewClient) -> None:
    provider, endpoint = ENDPOINTS["openai/costs"]
    answers.faults(provider, endpoint, refused(502))
    with pytest.raises(TransientError, match="Gave up after attempt 4"):
        new_client(provider, attempts=4).fetch(endpoint, [DAY])
    assert len(answers.sandbox.requests()) == 4


@every_endpoint
def test_no_window_is_started_after_the_first_failure(
    answers: Answers, new_client: NewClient, provider: Provider, endpoint: Endpoint
) -> None:
    answers.faults(provider, endpoint, refused(403))
    with pytest.raises(PermanentError):
        new_client(provider, concurrency=1).fetch(replace(endpoint, window_days=1), last_days(60))
    assert len(answers.sandbox.requests()) == 1


def test_the_error_of_a_failed_window_is_the_one_that_is_raised(answers: Answers, new_client: NewClient) -> None:
    """Windows that wait for another attempt when it happens must not raise their own."""
    provider, endpoint = ENDPOINTS["anthropic/claude_code"]
    answers.faults(provider, endpoint, refused(503, calls=[1, 2, 3]), refused(403, body=error_body(provider)))
    started = time.monotonic()
    with pytest.raises(PermanentError, match=WORDS):
        new_client(provider, concurrency=4, base_delay=30).fetch(endpoint, last_days(20))
    assert time.monotonic() - started < 10


PAGE_TOKEN_REFUSED = {
    "openai": refused(
        400, body=error_body(PROVIDERS["openai"], "The page token is invalid, have you modified the query parameters?")
    ),
    "anthropic": refused(400, body=error_body(PROVIDERS["anthropic"], "page: Invalid page token")),
    "chatgpt": refused(422, body={"detail": [{"loc": ["query", "page"], "msg": "Invalid page token"}]}),
}


def paged(endpoint: Endpoint) -> Endpoint:
    """The endpoint in pages that are too small for DAY and the day before it, one query at a time."""
    return replace(endpoint, params={**endpoint.params, "limit": "1"}, queries=({},))


@every_endpoint
def test_a_refused_page_token_starts_the_window_again(
    answers: Answers, new_client: NewClient, provider: Provider, endpoint: Endpoint
) -> None:
    days = [DAY - timedelta(days=1), DAY]
    undisturbed = new_client(provider, concurrency=1).fetch(paged(endpoint), days)
    before = len(answers.sandbox.requests())
    answers.faults(provider, endpoint, PAGE_TOKEN_REFUSED[provider.name] | {"calls": [2]})
    fetched = new_client(provider, concurrency=1).fetch(paged(endpoint), days)
    assert fetched.rows.equals(undisturbed.rows)
    assert (fetched.requests, fetched.retries) == (undisturbed.requests, 2)
    assert len(answers.sandbox.requests()) - before == fetched.requests + fetched.retries


@every_endpoint
def test_a_page_token_that_is_refused_again_is_an_error(
    answers: Answers, new_client: NewClient, provider: Provider, endpoint: Endpoint
) -> None:
    answers.faults(provider, endpoint, PAGE_TOKEN_REFUSED[provider.name] | {"calls": [2, 4]})
    with pytest.raises(PermanentError, match=r"[Pp]age token"):
        new_client(provider, concurrency=1).fetch(paged(endpoint), [DAY - timedelta(days=1), DAY])
    assert len(answers.sandbox.requests()) == 4


def test_a_page_that_repeats_a_bucket_adds_its_rows(answers: Answers, new_client: NewClient) -> None:
    provider, endpoint = ENDPOINTS["openai/costs"]
    body = answers.real(provider, endpoint)
    results = body["data"][0]["results"]
    assert len(results) > 2
    pages = [
        body | {"data": [body["data"][0] | {"results": part}], "has_more": more, "next_page": "2" if more else None}
        for part, more in ((results[:2], True), (results[2:], False))
    ]
    whole = new_client(provider).fetch(endpoint, [DAY])
    answers.replace(provider, endpoint, *pages)
    assert new_client(provider).fetch(endpoint, [DAY]).rows.equals(whole.rows)


@pytest.mark.parametrize("name", [name for name, (_, endpoint) in ENDPOINTS.items() if endpoint.bucket_per_day])
def test_days_without_a_bucket_are_named(answers: Answers, new_client: NewClient, name: str) -> None:
    provider, endpoint = ENDPOINTS[name]
    answers.replace(provider, endpoint, answers.real(provider, endpoint))
    fetched = new_client(provider).fetch(endpoint, [DAY - timedelta(days=1), DAY])
    assert fetched.days_without_bucket == {DAY - timedelta(days=1)}


@every_endpoint
def test_a_day_outside_the_window_raises_and_is_named(
    answers: Answers, new_client: NewClient, provider: Provider, endpoint: Endpoint
) -> None:
    answers.replace(provider, endpoint, answers.real(provider, endpoint))
    with pytest.raises(PermanentError, match=rf"\$\.data\[0\] \({DAY}\): outside the days"):
        new_client(provider, concurrency=1).fetch(endpoint, [DAY - timedelta(days=1)])


def test_windows_are_fetched_side_by_side(answers: Answers, new_client: NewClient) -> None:
    provider, endpoint = ENDPOINTS["openai/usage_completions"]
    answers.faults(provider, endpoint, {"fault": "delay", "seconds": 0.6})
    started = time.monotonic()
    fetched = new_client(provider).fetch(replace(endpoint, window_days=5), last_days(60))
    assert time.monotonic() - started < 12 * 0.6 / 2
    assert fetched.requests == 12


@pytest.mark.parametrize(
    "base_url",
    ["http://api.openai.com/v1", "http://10.0.0.1", "ftp://127.0.0.1", "api.openai.com", "https://u:p@example.com", ""],
)
def test_a_base_url_that_would_show_the_key_is_refused(base_url: str) -> None:
    provider = replace(PROVIDERS["openai"], base_url="")
    with pytest.raises(PermanentError, match="openai: "):
        Client(provider, connection="openai", key="sk-admin-x", base_url=base_url)


@pytest.mark.parametrize(
    "key", ["", " sk-admin-x", "sk-admin\nx", "sk-admin-\u00fc", "sk-admin-x\r\nhost: example.com"]
)
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(PermanentError) as raised:
        Client(PROVIDERS["openai"], connection="openai", key=key)
    assert "OPENAI_ADMIN_KEY" in raised.value.message
    assert not key or key not in repr(raised.value)


def test_a_workspace_that_is_not_configured_is_named_before_anything_is_asked(
    sandbox: Sandbox, new_client: NewClient
) -> None:
    provider, endpoint = ENDPOINTS["chatgpt/codex_usage"]
    with pytest.raises(PermanentError, match="CHATGPT_WORKSPACE_ID"):
        new_client(provider, workspace_id=None).fetch(endpoint, [DAY])
    assert not sandbox.requests()


def test_a_proxy_is_not_used_for_loopback(monkeypatch: pytest.MonkeyPatch, new_client: NewClient) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    provider, endpoint = ENDPOINTS["openai/costs"]
    assert new_client(provider).fetch(endpoint, [DAY]).requests == 1


def test_a_proxy_is_used_for_the_real_providers(monkeypatch: pytest.MonkeyPatch, new_client: NewClient) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    provider, endpoint = ENDPOINTS["openai/costs"]
    with pytest.raises(TransientError, match="ConnectError"):
        new_client(provider, base_url="https://usage-assets.invalid/v1").fetch(endpoint, [DAY])


@every_endpoint
def test_a_probe_asks_for_yesterday(
    sandbox: Sandbox, new_client: NewClient, provider: Provider, endpoint: Endpoint
) -> None:
    new_client(provider).probe(endpoint)
    assert {request["status"] for request in sandbox.requests()} == {200}
    assert len(sandbox.requests()) == len(endpoint.queries)
    with pytest.raises(PermanentError):
        new_client(provider, key="another").probe(endpoint)
