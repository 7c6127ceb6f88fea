"""/control: a call that makes no sense is refused and changes nothing."""

from datetime import date
from typing import Any

import pytest

from usage_assets_sandbox.tests.calling import SandboxCaller

RESTATED = date(2026, 11, 12)


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/clock", {}, "now is missing"),
        ("/reset", {"sed": 7}, "unknown key sed"),
        ("/restate", {"provider": "azure", "days": [str(RESTATED)], "change": "add"}, "provider must be one of openai"),
        (
            "/restate",
            {"provider": "openai", "days": ["2027-01-01"], "change": "add"},
            "2027-01-01 is outside the books",
        ),
        ("/currency", {"provider": "openai", "days": [str(RESTATED)], "currency": "euro"}, "a code of three letters"),
        ("/faults", {"faults": [{"route": "GET /openai", "fault": "rain"}]}, "fault must be one of status"),
        ("/faults", {"faults": [{"route": "GET /", "fault": "status"}]}, "the fault status needs status"),
        ("/faults", {"faults": [{"route": "GET /", "fault": "html", "calls": [0]}]}, "calls must be"),
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
