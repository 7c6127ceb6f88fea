"""The emulated old endpoints of OpenAI refuse what the real ones refuse, and add up to the same books."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from usage_assets_sandbox.tests.calling import KEYS, LEGACY_ENDPOINTS, TODAY, SandboxCaller, days, exact, unix

BILLING, USAGE = LEGACY_ENDPOINTS.values()
START, END = TODAY - timedelta(days=10), TODAY
TEXT = {
    "requests": "n_requests",
    "context_tokens": "n_context_tokens_total",
    "generated_tokens": "n_generated_tokens_total",
    "cached_context_tokens": "n_cached_context_tokens_total",
}
OTHERS = {"images": "num_images", "seconds": "num_seconds", "characters": "num_characters", "requests": "num_requests"}


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


def test_the_end_of_a_billed_range_is_exclusive_and_its_total_is_that_of_the_range(sandbox: SandboxCaller) -> None:
    body = exact(sandbox.get(BILLING.path, BILLING.window(START, END)).content)
    assert [entry["timestamp"] for entry in body["daily_costs"]] == [unix(day) for day in days(START, END)]
    lines = [line["cost"] for entry in body["daily_costs"] for line in entry["line_items"]]
    assert body["total_usage"] == sum(lines)
    assert 0 in lines


def test_the_lines_are_the_dollars_of_the_organization_in_cents(sandbox: SandboxCaller) -> None:
    truth = sandbox.truth(start=str(START), end=str(END - timedelta(days=1)))["totals"]
    body = exact(sandbox.get(BILLING.path, BILLING.window(START, END)).content)
    assert body["total_usage"] == Decimal(truth["openai_legacy"]["cents"]) == 100 * Decimal(truth["openai"]["usd"])


def test_rows_of_five_minutes_add_up_to_the_books(sandbox: SandboxCaller) -> None:
    counted: Counter[str] = Counter()
    moments = set()
    for day in days(START, END):
        body = exact(sandbox.get(USAGE.path, {"date": str(day)}).content)
        for row in body["data"]:
            counted.update({unit: row[name] for unit, name in TEXT.items()})
            moments.add((row["aggregation_timestamp"] - unix(day)) % 300)
        for name in ("dalle_api_data", "whisper_api_data", "tts_api_data"):
            assert body[name] or not body["data"] or day.weekday() >= 5
            for row in body[name]:
                counted.update({unit: row[name] for unit, name in OTHERS.items() if name in row})
    truth = sandbox.truth(start=str(START), end=str(END - timedelta(days=1)))["totals"]["openai_legacy"]
    assert counted == {unit: int(total) for unit, total in truth.items() if unit != "cents"}
    assert moments == {0}
