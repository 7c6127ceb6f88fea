"""The emulated old endpoints of OpenAI refuse what the real ones refuse."""

from datetime import timedelta

from usage_assets_sandbox.tests.calling import KEYS, LEGACY_ENDPOINTS, TODAY, SandboxCaller, changes

START, END = TODAY - timedelta(days=10), TODAY


def test_every_key_but_a_session_key_is_refused(sandbox: SandboxCaller) -> None:
    for endpoint in LEGACY_ENDPOINTS.values():
        for headers, status, words in (
            ({}, 401, "API key"),
            ({"authorization": "sess-sandbox"}, 401, "API key"),
            (KEYS["openai"], 403, "must be made with a session key"),
            ({"authorization": "Bearer other"}, 403, "key type: secret"),
        ):
            answer = sandbox.get(endpoint.path, endpoint.window(START, END), headers)
            assert answer.status_code == status
            assert words in answer.json()["error"]["message"]


def test_a_bad_parameter_is_refused(sandbox: SandboxCaller) -> None:
    for [name], query, words in changes("""
        billing_usage  start_date                                     Missing query parameter 'start_date'
        billing_usage  start_date=2026-11-10&end_date=2026-11-10      end_date must be after start_date
        usage          date=2026-11-31                                expected YYYY-MM-DD
        usage          start_date=2026-11-10&end_date=2026-11-11      Unknown query parameter 'start_date'
    """):
        answer = sandbox.get(LEGACY_ENDPOINTS["openai_legacy", name].path, query)
        assert (answer.status_code, words in answer.json()["error"]["message"]) == (400, True), query
