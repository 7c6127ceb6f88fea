"""/control: the clock, the truth, restatements, the request log; and the sandbox as a process."""

import hashlib
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from math import ceil
from typing import Any

import httpx
import pytest

from usage_assets_sandbox.company import Company
from usage_assets_sandbox.control import DEFAULT_SEED
from usage_assets_sandbox.credentials import dotenv
from usage_assets_sandbox.ledger import DAYS
from usage_assets_sandbox.tests.calling import ENDPOINTS, NOW, TODAY, SandboxCaller, days

OLDEST, YESTERDAY = TODAY - timedelta(days=90), TODAY - timedelta(days=1)
FIRST = TODAY - timedelta(days=400)
RESTATED = date(2026, 11, 12)
AROUND = (RESTATED - timedelta(days=1), RESTATED + timedelta(days=2))
BEFORE, AFTER = RESTATED - timedelta(days=6), RESTATED + timedelta(days=6)
# OpenAI's reports beside completions: plain rows like those, which differ in what makes a row that comes in late new.
ALIKE = {name for provider, name in ENDPOINTS if provider == "openai"} - {"costs", "usage_completions"}
PAGED = {provider for provider, _ in ENDPOINTS}
Units = dict[str, Any]


def cost_units(rows: list[Any]) -> Units:
    return {"usd": [Decimal(row["amount"]["value"]) for row in rows]}


def counters(**fields: str) -> Callable[[list[Any]], Units]:
    """Units that are plain fields of the rows."""
    return lambda rows: {unit: [row[field] for row in rows] for unit, field in fields.items()}


def message_units(rows: list[Any]) -> Units:
    plain = ("uncached_input_tokens", "cache_read_input_tokens", "output_tokens")
    return {
        **{unit: [row[unit] for row in rows] for unit in plain},
        "cache_creation_5m_input_tokens": [row["cache_creation"]["ephemeral_5m_input_tokens"] for row in rows],
        "cache_creation_1h_input_tokens": [row["cache_creation"]["ephemeral_1h_input_tokens"] for row in rows],
        "web_search_requests": [row["server_tool_use"]["web_search_requests"] for row in rows],
    }


def cents_units(rows: list[Any]) -> Units:
    return {"cents": [Decimal(row["amount"]) for row in rows]}


def code_units(rows: list[Any]) -> Units:
    units: Units = {"claude_code_sessions": [row["core_metrics"]["num_sessions"] for row in rows]}
    for plan in ("api", "subscription"):
        models = [used for row in rows if row["customer_type"] == plan for used in row["model_breakdown"]]
        units[f"estimated_cents_{plan}"] = [used["estimated_cost"]["amount"] for used in models]
    return units


def codex_units(rows: list[Any]) -> Units:
    names = ("credits", "cost_usd", "estimated_cost_usd", "threads", "turns")
    return {unit: [row["totals"][unit] for row in rows if row["totals"][unit] is not None] for unit in names}


UNITS: dict[str, Callable[[list[Any]], Units]] = {
    "costs": cost_units,
    "usage_completions": counters(
        input_tokens="input_tokens", output_tokens="output_tokens", num_model_requests="num_model_requests"
    ),
    "usage_embeddings": counters(embeddings_input_tokens="input_tokens", embeddings_requests="num_model_requests"),
    "usage_moderations": counters(moderations_input_tokens="input_tokens", moderations_requests="num_model_requests"),
    "usage_images": counters(images="images", images_requests="num_model_requests"),
    "usage_audio_speeches": counters(speech_characters="characters", speech_requests="num_model_requests"),
    "usage_audio_transcriptions": counters(transcribed_seconds="seconds", transcription_requests="num_model_requests"),
    "usage_vector_stores": counters(vector_store_byte_days="usage_bytes"),
    "usage_code_interpreter_sessions": counters(code_interpreter_sessions="num_sessions"),
    "usage_file_search_calls": counters(file_searches="num_requests"),
    "usage_web_search_calls": counters(web_searches="num_requests", web_search_model_requests="num_model_requests"),
    "usage_decisions": counters(
        decisions_input_tokens="input_tokens",
        decisions_output_tokens="output_tokens",
        decisions_requests="num_model_requests",
    ),
    "usage_messages": message_units,
    "cost_report": cents_units,
    "claude_code": code_units,
    "codex_usage": codex_units,
}


def served(sandbox: SandboxCaller, start: date, end: date) -> dict[str, dict[str, dict[str, Decimal]]]:
    """What the pages of [start, end) add up to, in the form of the truth's days."""
    sums: dict[str, dict[str, dict[str, Decimal]]] = defaultdict(lambda: defaultdict(dict))
    for (provider, name), endpoint in ENDPOINTS.items():
        by_day = sandbox.days(endpoint, start, end)
        workspace = sandbox.days(endpoint, start, end, group="workspace") if provider == "chatgpt" else {}
        for day, rows in by_day.items():
            for unit, values in UNITS[name](rows or workspace.get(day, [])).items():
                if values:
                    sums[provider][unit][str(day)] = sum(map(Decimal, values), Decimal(0))
    return sums


def numbers(truth: Any) -> Any:
    """The truth of the providers that answer in pages; test_openai_legacy.py has the other."""
    return {
        provider: {unit: {day: Decimal(value) for day, value in by_day.items()} for unit, by_day in units.items()}
        for provider, units in truth["days"].items()
        if provider in PAGED
    }


def fingerprint(sandbox: SandboxCaller) -> str:
    """A digest of every page of days around RESTATED, and of the truth of these and of days long before."""
    digest = hashlib.sha256()
    for endpoint in ENDPOINTS.values():
        digest.update(repr(sandbox.days(endpoint, *AROUND)).encode())
    for window in (AROUND, (FIRST, FIRST + timedelta(days=3))):
        digest.update(repr(sandbox.truth(start=window[0], end=window[1])).encode())
    return digest.hexdigest()


def test_the_truth_is_what_the_pages_add_up_to(sandbox: SandboxCaller) -> None:
    truth = sandbox.truth(start=OLDEST, end=YESTERDAY)
    pages = served(sandbox, OLDEST, TODAY)
    assert numbers(truth) == pages
    totals = {
        provider: {unit: sum(by_day.values(), Decimal(0)) for unit, by_day in units.items()}
        for provider, units in pages.items()
    }
    assert {
        provider: {unit: Decimal(value) for unit, value in truth["totals"][provider].items()} for provider in PAGED
    } == totals
    assert all(total > 0 for units in totals.values() for total in units.values())


def test_the_truth_is_plain_decimal_strings_until_yesterday_unless_asked_further(sandbox: SandboxCaller) -> None:
    truth = sandbox.truth(start=OLDEST)
    values = [value for units in truth["days"].values() for by_day in units.values() for value in by_day.values()]
    values += [value for units in truth["totals"].values() for value in units.values()]
    assert all(isinstance(value, str) and "E" not in value for value in values)
    assert max(truth["days"]["openai"]["usd"]) == str(YESTERDAY)
    assert list(sandbox.truth(start=TODAY, end=TODAY)["days"]["openai"]["usd"]) == [str(TODAY)]
    assert sandbox.truth(start="2020-01-01", end="2020-02-01")["totals"]["openai"]["usd"] == "0"


@pytest.mark.parametrize("change", ["scale", "add", "remove", "clear"])
def test_a_restatement_moves_truth_and_pages_together(sandbox: SandboxCaller, change: str) -> None:
    before = numbers(sandbox.truth(start=BEFORE, end=AFTER))
    for provider, name in ENDPOINTS:
        if change != "add" and name in ALIKE:
            continue
        rows = DAYS[provider](Company(DEFAULT_SEED), RESTATED)[name]
        expected = {"scale": ceil(len(rows) / 3), "add": 1, "remove": ceil(len(rows) / 3), "clear": len(rows)}
        body = {"provider": provider, "endpoint": name, "days": [str(RESTATED)], "change": change}
        touched = sandbox.control("/restate", body)["changed"]
        assert touched == {name: {str(RESTATED): expected[change]}}
        after = numbers(sandbox.truth(start=BEFORE, end=AFTER))
        changed = {
            (source, day)
            for source, units in (before | after).items()
            for unit in units
            for day in before[source][unit].keys() | after[source][unit].keys()
            if before[source][unit].get(day) != after[source][unit].get(day)
        }
        assert changed == {(provider, str(RESTATED))}
        left = sandbox.days(ENDPOINTS[provider, name], RESTATED, RESTATED + timedelta(days=1))[RESTATED]
        assert bool(left) == (change != "clear")
        before = after
    truth = numbers(sandbox.truth(start=AROUND[0], end=AROUND[1] - timedelta(days=1)))
    assert truth == served(sandbox, *AROUND)


def test_what_comes_in_late_is_a_row_of_its_own_at_the_finest_grain(sandbox: SandboxCaller) -> None:
    end = RESTATED + timedelta(days=1)
    before = {key: len(sandbox.days(endpoint, RESTATED, end)[RESTATED]) for key, endpoint in ENDPOINTS.items()}
    for provider in ("openai", "anthropic", "chatgpt"):
        for _ in range(2):
            sandbox.control("/restate", {"provider": provider, "days": [str(RESTATED)], "change": "add"})
    after = {key: len(sandbox.days(endpoint, RESTATED, end)[RESTATED]) for key, endpoint in ENDPOINTS.items()}
    assert after == {key: count + 2 for key, count in before.items()}
    users = [row["user_id"] for row in sandbox.days(ENDPOINTS["chatgpt", "codex_usage"], RESTATED, end)[RESTATED]]
    assert len(set(users)) == len(users)


@pytest.mark.parametrize(
    ("provider", "name", "dollars"), [("openai", "costs", "usd"), ("anthropic", "cost_report", "cents")]
)
def test_costs_in_another_currency_have_a_sum_of_their_own(
    sandbox: SandboxCaller, provider: str, name: str, dollars: str
) -> None:
    end = RESTATED + timedelta(days=1)
    before = sandbox.truth(start=RESTATED, end=RESTATED)["days"][provider]
    third = sandbox.control("/currency", {"provider": provider, "days": [str(RESTATED)], "currency": "Eur", "third": 1})
    rows = sandbox.days(ENDPOINTS[provider, name], RESTATED, end)[RESTATED]
    money = [row["amount"] if provider == "openai" else {"value": row["amount"], **row} for row in rows]
    euros = [amount for amount in money if amount["currency"] == ("eur" if provider == "openai" else "EUR")]
    assert third == {"changed": {str(RESTATED): len(euros)}}
    after = sandbox.truth(start=RESTATED, end=RESTATED)["days"][provider]
    assert after.keys() - before.keys() == {"eur"}
    sums = {unit: Decimal(after[unit][str(RESTATED)]) for unit in (dollars, "eur")}
    assert sums["eur"] == sum(Decimal(amount["value"]) for amount in euros)
    assert sum(sums.values()) == Decimal(before[dollars][str(RESTATED)])
    sandbox.control("/reset", {"now": NOW.isoformat()})
    assert sandbox.truth(start=RESTATED, end=RESTATED)["days"][provider] == before


def test_reset_takes_everything_back(sandbox: SandboxCaller) -> None:
    fresh = fingerprint(sandbox)
    sandbox.control("/restate", {"provider": "openai", "days": [str(RESTATED)], "change": "clear"})
    sandbox.control("/faults", {"faults": [{"route": "GET /chatgpt", "fault": "html"}]})
    sandbox.control("/reset", {"seed": 8, "now": NOW.isoformat()})
    assert sandbox.control("/faults", method="GET") == {"faults": []}
    assert sandbox.control("/requests", method="GET") == {"requests": [], "counts": {}}
    assert fingerprint(sandbox) != fresh
    sandbox.control("/reset", {"now": NOW.isoformat()})
    assert fingerprint(sandbox) == fresh


def test_another_process_with_the_same_seed_is_the_same_company(sandbox: SandboxCaller) -> None:
    command = [sys.executable, "-m", "usage_assets_sandbox", "--port", "0", "--now", NOW.isoformat()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("sandbox listening on http://127.0.0.1:")
            with httpx.Client(base_url=line.split()[-1], timeout=30) as client:
                assert fingerprint(SandboxCaller(client)) == fingerprint(sandbox)
        finally:
            process.terminate()
        assert process.stderr is not None
        assert process.stdout.read() == f"# .env for it:\n{dotenv(line.split()[-1])}\n"
        assert process.stderr.read() == ""


def test_a_taken_port_is_one_line_and_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "usage_assets_sandbox", "--port", str(port)]
        process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.count("\n") == 1
    assert f"cannot listen on 127.0.0.1:{port}" in process.stderr


def test_a_day_never_depends_on_when_it_is_asked_for(sandbox: SandboxCaller) -> None:
    window = (TODAY - timedelta(days=20), TODAY)
    before = {key: sandbox.days(endpoint, *window) for key, endpoint in ENDPOINTS.items()}
    sandbox.control("/clock", {"now": "2026-12-09T23:59:59Z"})
    assert {key: sandbox.days(endpoint, *window) for key, endpoint in ENDPOINTS.items()} == before
    later = sandbox.truth(start="2026-11-20", end="2026-12-09")["days"]["openai"]["usd"]
    sandbox.control("/reset", {"now": "2026-12-20T08:00:00Z"})
    assert sandbox.truth(start="2026-11-20", end="2026-12-09")["days"]["openai"]["usd"] == later
    assert len(later) > 15


def test_requests_are_listed_without_headers(sandbox: SandboxCaller) -> None:
    costs = ENDPOINTS["openai", "costs"]
    sandbox.get(costs.path, {"group_by[]": ["user_id", "line_item"]})
    sandbox.get(costs.path, {}, {"authorization": "Bearer sk-admin-other-secret"})
    answer = sandbox.client.get("/control/requests")
    assert "secret" not in answer.text
    assert "Bearer" not in answer.text
    assert answer.json()["counts"] == {f"GET {costs.path}": 2}
    first, second = answer.json()["requests"]
    query = [["group_by[]", "user_id"], ["group_by[]", "line_item"]]
    assert first == {"n": 1, "method": "GET", "path": costs.path, "query": query, "status": 400}
    assert (second["n"], second["status"]) == (2, 401)
    sandbox.control("/requests/clear")
    assert sandbox.control("/requests", method="GET") == {"requests": [], "counts": {}}


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/clock", {}, "now is missing"),
        ("/clock", {"now": "tomorrow"}, "'tomorrow' is not an ISO 8601 time"),
        ("/reset", {"sed": 7}, "unknown key sed"),
        ("/restate", {"provider": "azure", "days": [str(RESTATED)], "change": "add"}, "provider must be one of openai"),
        ("/restate", {"provider": "openai", "endpoint": "x", "days": [], "change": "add"}, "endpoint must be one of"),
        (
            "/restate",
            {"provider": "openai", "days": [str(RESTATED)], "change": "double"},
            "change must be one of scale",
        ),
        (
            "/restate",
            {"provider": "openai", "days": ["2027-01-01"], "change": "add"},
            "2027-01-01 is outside the books",
        ),
        ("/currency", {"provider": "openai", "days": [str(RESTATED)], "currency": "euro"}, "a code of three letters"),
        (
            "/currency",
            {"provider": "openai", "days": [str(RESTATED)], "currency": "eur", "third": 3},
            "third must be 0",
        ),
        ("/faults", {"faults": [{"route": "GET /openai", "fault": "rain"}]}, "fault must be one of status"),
        ("/faults", {"faults": [{"fault": "html"}]}, "route must be text"),
        ("/faults", {"faults": [{"route": "GET /", "fault": "status"}]}, "the fault status needs status"),
        ("/faults", {"faults": [{"route": "GET /", "fault": "html", "calls": [0]}]}, "calls must be"),
        ("/faults", {"faults": [{"route": "GET /", "fault": "replace"}]}, "the fault replace needs body or text"),
    ],
)
def test_a_control_call_that_makes_no_sense_changes_nothing_and_says_why(
    sandbox: SandboxCaller, path: str, body: Any, message: str
) -> None:
    answer = sandbox.client.post(f"/control{path}", json=body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert sandbox.control("/faults", method="GET") == {"faults": []}
    assert sandbox.control("/clock", method="GET") == {"now": "2026-11-20T08:00:00Z"}


@pytest.mark.parametrize(
    "params", [{"start": "2026-11-02", "end": "2026-11-01"}, {"start": "x"}, {"from": "2026-11-01"}]
)
def test_a_truth_of_no_days_is_refused(sandbox: SandboxCaller, params: dict[str, str]) -> None:
    assert sandbox.client.get("/control/truth", params=params).status_code == 400


def test_the_books_hold_400_days_and_today(sandbox: SandboxCaller) -> None:
    costs = ENDPOINTS["anthropic", "cost_report"]
    oldest = sandbox.days(costs, FIRST - timedelta(days=2), FIRST + timedelta(days=1))
    assert not any(oldest[day] for day in days(FIRST - timedelta(days=2), FIRST))
    assert oldest[FIRST]
    newest = sandbox.days(costs, TODAY, TODAY + timedelta(days=2))
    assert newest[TODAY]
    assert not newest[TODAY + timedelta(days=1)]
