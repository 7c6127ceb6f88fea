"""A captured day: files that tell nothing of the account, and what in the answer is not as expected."""

import hashlib
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from usage_assets.cli.capture import Sanitizer
from usage_assets.cli.doctor import _connections
from usage_assets.cli.findings import Level
from usage_assets.config.settings import Settings
from usage_assets.fetching.shapes import Shape, load, money_columns, remember, unverified
from usage_assets.providers.endpoint import Endpoint
from usage_assets_tests.end_to_end.conftest import open_project
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT
from usage_assets_tests.fixtures import Sandbox, last_days
from usage_assets_tests.terminal import Said, Terminal

FIXTURES = Path(__file__).parents[2] / "fixtures"
DAY = last_days(5)[0]
CODEX: Endpoint = EVERY_ENDPOINT["chatgpt/codex_usage"][1]


def captured(terminal: Terminal, connection: str, *words: str) -> Said:
    """What is said of a day's capture."""
    return terminal.type("capture", "--connection", connection, "--day", str(DAY), *words)


def texts(value: Any) -> set[str]:
    """Every name and text in decoded JSON."""
    if isinstance(value, dict):
        return set(value).union(*map(texts, value.values()))
    if isinstance(value, list):
        return set().union(*map(texts, value))
    return {value} if isinstance(value, str) else set()


def test_the_files_have_the_form_of_the_fixtures_and_tell_nothing_of_the_account(terminal: Terminal) -> None:
    said = captured(terminal, "chatgpt")
    assert said.complaints == ["not remembered as seen live: the answers come from this machine"]
    assert load(terminal.folder / "captured_shapes.json") == {}
    said_too = captured(terminal, "anthropic", "--endpoint", "claude_code", "--examples")
    assert (said.code, said_too.code) == (0, 0)
    assert_examples_for_a_mapping_editor_are_short_and_sanitized(terminal, said_too)
    folder = terminal.folder / "captured"
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("captured_*.json"))
    assert files == [
        f"anthropic/claude_code/captured_{DAY}.json",
        f"chatgpt/codex_usage/captured_{DAY}.json",
        f"chatgpt/codex_usage/captured_{DAY}_2.json",
    ]
    for line in (folder / "CHECKSUMS.sha256").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    readme = (folder / "README.md").read_text()
    assert [line.split("`")[1] for line in readme.splitlines() if line.startswith("| `")] == [*files[1:], files[0]]
    told = set().union(*(texts(json.loads((folder / name).read_text())) for name in files))
    assert not [text for text in told if "@" in text and not re.fullmatch(r"person\d+@example\.com", text)]
    assert not [text for text in told if text.startswith("user-") and not re.fullmatch(r"user-0*\d+", text)]
    assert not told & {"ws-sandbox"}
    assert {"user_actor", "claude-opus-5", "CODEX_CLI", "other"} & told


def assert_examples_for_a_mapping_editor_are_short_and_sanitized(terminal: Terminal, said: Said) -> None:
    file = terminal.folder / "captured" / "examples" / "anthropic" / "claude_code.json"
    assert f"  kind /v1/organizations/usage_report/claude_code: {file}" in said.lines
    body = json.loads(file.read_text())
    assert body.keys() == {"data", "has_more", "next_page"}
    assert len(body["data"]) == 3
    assert not [text for text in texts(body) if "acme" in text]


def test_amounts_and_counters_stay_digit_by_digit(terminal: Terminal, sandbox: Sandbox) -> None:
    body = (FIXTURES / "openai/costs/observed_string_amounts.json").read_text()
    sandbox.faults({"route": "GET /openai/v1/organization/costs", "fault": "replace", "text": body})
    captured(terminal, "openai", "--endpoint", "costs")  # of another day: it cannot be read, but it is kept
    kept = (terminal.folder / f"captured/openai/costs/captured_{DAY}.json").read_text()
    amounts = re.compile(r'"value": ("?[-\d.eE]+"?)')
    assert amounts.findall(kept) == amounts.findall(body)
    assert "@" not in re.sub(r"person\d+@example\.com", "", kept)


def test_what_is_not_as_expected_is_shown(terminal: Terminal, sandbox: Sandbox) -> None:
    said = captured(terminal, "chatgpt")
    shown = [re.split(r"\s{2,}", line.strip()) for line in said.lines if "expected:" in line]
    assert ["credits", "expected: number, as such or as text", "seen: number"] in shown
    route = "GET /chatgpt/v1/analytics/codex/workspaces/ws-sandbox/usage"
    row = {"start_time": "2026", "spend": {"usd": "1.25"}, "user_id": "user-Ann0123"}
    body = {"object": "page", "data": [row], "has_more": False, "next_page": None}
    sandbox.faults({"route": route, "fault": "replace", "text": json.dumps(body)})
    said = captured(terminal, "chatgpt")
    assert said.code == 1
    assert any(line.startswith("FAILED: chatgpt codex_usage") for line in said.complaints)
    shown = [re.split(r"\s{2,}", line.strip()) for line in said.lines if "expected:" in line]
    assert ["data.spend.usd", "expected: unknown", "seen: text"] in shown
    assert ["credits", "expected: number", "seen: never"] in shown
    kept = json.loads((terminal.folder / f"captured/chatgpt/codex_usage/captured_{DAY}.json").read_text())
    assert kept["data"] == [{"start_time": "2026", "spend": {"usd": "1.25"}, "user_id": "user-0000001"}]


def test_a_value_has_one_stand_in_of_its_form() -> None:
    stays = """
        "amount": {"value": "0.1200", "currency": "usd"}, "at": "2026-11-12T00:00:00Z", "ephemeral_5m_input_tokens": 5
    """
    value = """
        "project_id": "proj_AbCdEf123",
        "project_name": "Skunk Works",
        "user": {"email": "ann@corp.example", "id": 4711, "uuid": "3f2c9a1e-0000-4b1d-9c3e-1234567890ab"},
        "by_user": {"user-AbC123": 1, "ann@corp.example": 2},
        "owners": ["Skunk Works", "proj_AbCdEf123"],
        "line_item": "ft:gpt-5:acme-corp:secret:9xYz, input",
        "org_id": "123456"
    """
    sanitized = """
        "project_id": "proj_000000001",
        "project_name": "name 2",
        "user": {"email": "person3@example.com", "id": 4000, "uuid": "00000000-0000-4000-8000-000000000005"},
        "by_user": {"user-000006": 1, "person3@example.com": 2},
        "owners": ["name 2", "proj_000000001"],
        "line_item": "ft:gpt-5:organization::id, input",
        "org_id": "700000"
    """
    found = Sanitizer().sanitized(json.loads(f"{{{value},{stays}}}"))
    assert found == json.loads(f"{{{sanitized},{stays}}}")


def test_a_shape_counts_as_seen_live_where_a_fixture_shows_it() -> None:
    for name in [name for name, (_, each) in EVERY_ENDPOINT.items() if money_columns(each)]:
        bodies = [path.name for path in (FIXTURES / name).glob("o*.json")]  # official, observed
        of_another = ("error", "official_workspace_usage")
        assert EVERY_ENDPOINT[name][1].seen_live == any(not any(word in body for word in of_another) for body in bodies)


def codex(shape: str, **moneys: str | None) -> pa.Table:
    """An answer of one row."""
    names = dict.fromkeys(money_columns(CODEX)) | moneys
    return pa.table({"shape": [shape], **{name: [value] for name, value in names.items()}})


def test_money_is_verified_where_a_captured_answer_had_it() -> None:
    captured = Shape(frozenset(("credits", "shape")), frozenset(("documented",)), date(2026, 11, 1))
    assert unverified(CODEX, codex("documented", credits="1"), None) == ["credits"]
    assert unverified(CODEX, codex("documented", credits="1"), captured) == []
    assert unverified(CODEX, codex("documented", credits="1", cost_usd="2"), captured) == ["cost_usd"]
    assert unverified(CODEX, codex("illustrative", credits="1"), captured) == ["credits"]
    assert unverified(EVERY_ENDPOINT["openai/costs"][1], pa.table({}), None) == []


def test_what_was_captured_adds_up(tmp_path: Path) -> None:
    path = tmp_path / "data" / "captured_shapes.json"
    for name, day in (("credits", date(2026, 11, 2)), ("cost_usd", date(2026, 11, 1))):
        remember(path, {"chatgpt/codex_usage": Shape(frozenset((name,)), frozenset(), day)})
    expected = Shape(frozenset(("credits", "cost_usd")), frozenset(), date(2026, 11, 2))
    assert load(path) == {"chatgpt/codex_usage": expected}
    path.write_text("{")
    assert load(path) == {}


def test_money_of_a_shape_never_seen_live_is_flagged_on_its_days_and_by_the_doctor(
    sandbox: Sandbox, terminal: Terminal
) -> None:
    path = terminal.folder / "captured_shapes.json"
    with open_project(sandbox, terminal.folder) as project:
        seen = []
        for _ in range(2):
            result = project.fetch("chatgpt", [DAY], "codex_usage")
            (event,) = result.asset_materializations_for_node("chatgpt__codex_usage")
            seen.append(event.metadata["shape_verified"].value)
            everything = frozenset(money_columns(CODEX))
            remember(path, {"chatgpt/codex_usage": Shape(everything, frozenset(("documented",)), DAY)})
    assert seen == [False, True]
    assert not any("amounts unverified" in finding.text for finding in _connections(Settings.load(), ()))
    path.unlink()
    (finding,) = (finding for finding in _connections(Settings.load(), ()) if "amounts unverified" in finding.text)
    assert (finding.level, finding.subject) == (Level.WARN, "connection chatgpt")
    assert finding.text.endswith(": codex_usage: usage-assets capture --connection chatgpt --day 2026-11-19")
