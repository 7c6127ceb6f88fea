"""/control: the truth, and calls that make no sense; and the sandbox as a process."""

import hashlib
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx

from usage_assets_sandbox.credentials import dotenv
from usage_assets_sandbox.tests.calling import ENDPOINTS, NOW, TODAY, SandboxCaller, bodies

OLDEST, YESTERDAY = TODAY - timedelta(days=90), TODAY - timedelta(days=1)
FIRST = TODAY - timedelta(days=400)
RESTATED = date(2026, 11, 12)
AROUND = (RESTATED - timedelta(days=1), RESTATED + timedelta(days=2))
PAGED = {provider for provider, _ in ENDPOINTS}
Units = dict[str, Any]


def cost_units(rows: list[Any]) -> Units:
    return {"usd": [Decimal(row["amount"]["value"]) for row in rows]}


def counters(fields: str) -> Callable[[list[Any]], Units]:
    """Units that are plain fields of the rows: the field, or ``unit=field``."""
    named = [(unit, field or unit) for unit, _, field in (each.partition("=") for each in fields.split())]
    return lambda rows: {unit: [row[field] for row in rows] for unit, field in named}


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
    "usage_messages": message_units,
    "cost_report": cents_units,
    "claude_code": code_units,
    "codex_usage": codex_units,
} | {
    f"usage_{name}": counters(fields)
    for name, fields in (
        line.split(maxsplit=1)
        for line in """\
            completions                input_tokens output_tokens num_model_requests
            embeddings                 embeddings_input_tokens=input_tokens embeddings_requests=num_model_requests
            moderations                moderations_input_tokens=input_tokens moderations_requests=num_model_requests
            images                     images images_requests=num_model_requests
            audio_speeches             speech_characters=characters speech_requests=num_model_requests
            audio_transcriptions       transcribed_seconds=seconds transcription_requests=num_model_requests
            vector_stores              vector_store_byte_days=usage_bytes
            code_interpreter_sessions  code_interpreter_sessions=num_sessions
            file_search_calls          file_searches=num_requests
            web_search_calls           web_searches=num_requests web_search_model_requests=num_model_requests
            decisions                  decisions_input_tokens=input_tokens decisions_output_tokens=output_tokens \
                                       decisions_requests=num_model_requests""".splitlines()
    )
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


def test_a_control_call_that_makes_no_sense_changes_nothing_and_says_why(sandbox: SandboxCaller) -> None:
    for (path, body), message in bodies("""
        ["/clock", {}] -> now is missing
        ["/reset", {"sed": 7}] -> unknown key sed
        ["/restate", {"provider": "azure", "days": ["2026-11-12"], "change": "add"}] -> provider must be one of
        ["/restate", {"provider": "openai", "days": ["2027-01-01"], "change": "add"}] -> 2027-01-01 is outside the books
        ["/currency", {"provider": "openai", "days": ["2026-11-12"], "currency": "euro"}] -> a code of three letters
        ["/faults", {"faults": [{"route": "GET /openai", "fault": "rain"}]}] -> fault must be one of status
        ["/faults", {"faults": [{"route": "GET /", "fault": "status"}]}] -> the fault status needs status
        ["/faults", {"faults": [{"route": "GET /", "fault": "html", "calls": [0]}]}] -> calls must be
    """):
        answer = sandbox.client.post(f"/control{path}", json=body)
        assert answer.status_code == 400
        assert message in answer.json()["error"]
        assert sandbox.control("/faults", method="GET") == {"faults": []}
        assert sandbox.control("/clock", method="GET") == {"now": "2026-11-20T08:00:00Z"}
