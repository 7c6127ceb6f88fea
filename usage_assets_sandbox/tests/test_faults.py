"""A scripted fault happens to the calls it was set for, and an edit changes what its path leads to and nothing else."""

from datetime import timedelta
from typing import Any

import httpx

from usage_assets_sandbox.api import json_response
from usage_assets_sandbox.faults import edited
from usage_assets_sandbox.tests.calling import ENDPOINTS, TODAY, SandboxCaller, bodies, exact

COSTS = ENDPOINTS["openai", "costs"]
WINDOW = COSTS.window(TODAY - timedelta(days=10), TODAY)
ROUTE = f"GET {COSTS.path}"


def get(sandbox: SandboxCaller, **params: Any) -> httpx.Response:
    return sandbox.get(COSTS.path, {**WINDOW, **params})


def set_fault(sandbox: SandboxCaller, fault: str, **options: Any) -> None:
    sandbox.control("/faults", {"faults": [{"route": ROUTE, "fault": fault, **options}]})


def test_an_edit_changes_exactly_what_its_path_leads_to() -> None:
    for operation, expected in bodies("""
        {"do": "set", "path": "a.b", "to": null} -> {"a":{"b":null,"c":[1.10,2]},"d":[{"e":[3]},{}]}
        {"do": "set", "path": "a.c[0]", "raw": "NaN"} -> {"a":{"b":"x","c":[NaN,2]},"d":[{"e":[3]},{}]}
        {"do": "set", "path": "d[*].e[0]", "to": 4} -> {"a":{"b":"x","c":[1.10,2]},"d":[{"e":[4]},{}]}
        {"do": "delete", "path": "a.c[*]"} -> {"a":{"b":"x","c":[]},"d":[{"e":[3]},{}]}
        {"do": "reverse", "path": "a.c"} -> {"a":{"b":"x","c":[2,1.10]},"d":[{"e":[3]},{}]}
        {"do": "double", "path": "d[0].e"} -> {"a":{"b":"x","c":[1.10,2]},"d":[{"e":[3,3]},{}]}
        {"do": "delete", "path": "a.nothing.here"} -> {"a":{"b":"x","c":[1.10,2]},"d":[{"e":[3]},{}]}
    """):
        body = exact('{"a":{"b":"x","c":[1.10,2]},"d":[{"e":[3]},{}]}')
        assert bytes(json_response(edited(body, [operation])).body).decode() == expected


def test_a_fault_happens_on_its_calls_only(sandbox: SandboxCaller) -> None:
    get(sandbox)
    set_fault(sandbox, "status", status=503, calls=[2, 4])
    assert [get(sandbox).status_code for _ in range(5)] == [200, 503, 200, 503, 200]
    (listed,) = sandbox.control("/faults", method="GET")["faults"]
    assert listed == {"route": ROUTE, "fault": "status", "status": 503, "calls": [2, 4], "fired": 2}
    assert sandbox.control("/faults", method="DELETE") == {"faults": []}
