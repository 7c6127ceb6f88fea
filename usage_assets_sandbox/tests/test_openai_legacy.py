"""The emulated old endpoints of OpenAI refuse what the real ones refuse."""

from datetime import timedelta
from typing import Any

import pytest

from usage_assets_sandbox.tests.calling import KEYS, LEGACY_ENDPOINTS, TODAY, SandboxCaller

BILLING, USAGE = LEGACY_ENDPOINTS.values()
START, END = TODAY - timedelta(days=10), TODAY


@pytest.mark.parametrize("endpoint", LEGACY_ENDPOINTS.values(), ids=lambda endpoint: endpoint.name)
@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({}, 401, "API key"),
        ({"authorization": "sess-sandbox"}, 401, "API key"),
        (KEYS["openai"], 403, "must be made with a session key"),
        ({"authorization": "Bearer other"}, 403, "key type: secret"),
    ],
)
def test_every_key_but_a_session_key_is_refused(
    sandbox: SandboxCaller, endpoint: Any, headers: dict[str, str], status: int, words: str
) -> None:
    answer = sandbox.get(endpoint.path, endpoint.window(START, END), headers)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("endpoint", "query", "words"),
    [
        (BILLING, {}, "Missing query parameter 'start_date'"),
        (BILLING, {"start_date": "2026-11-10", "end_date": "2026-11-10"}, "end_date must be after start_date"),
        (USAGE, {"date": "2026-11-31"}, "expected YYYY-MM-DD"),
        (USAGE, {"start_date": "2026-11-10", "end_date": "2026-11-11"}, "Unknown query parameter 'start_date'"),
    ],
)
def test_a_bad_parameter_is_refused(sandbox: SandboxCaller, endpoint: Any, query: dict[str, str], words: str) -> None:
    answer = sandbox.get(endpoint.path, query)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
