"""Every kind of scripted fault really happens, to the calls it was set for and to no other."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from usage_assets_sandbox.api import json_response
from usage_assets_sandbox.faults import edited
from usage_assets_sandbox.tests.calling import ENDPOINTS, TODAY, SandboxCaller, exact

COSTS = ENDPOINTS["openai", "costs"]
WINDOW = COSTS.window(TODAY - timedelta(days=10), TODAY)
ROUTE = f"GET {COSTS.path}"
FINEST = {"group_by[]": COSTS.finest["group_by[]"]}


def get(sandbox: SandboxCaller, **params: Any) -> httpx.Response:
    return sandbox.get(COSTS.path, {**WINDOW, **params})


def set_fault(sandbox: SandboxCaller, fault: str, **options: Any) -> None:
    sandbox.control("/faults", {"faults": [{"route": ROUTE, "fault": fault, **options}]})


def test_ungroupable_refuses_to_group_windows_that_have_one_of_the_days_in_them(sandbox: SandboxCaller) -> None:
    grouped = {"group_by[]": "user_id"}
    expected = get(sandbox, **grouped).content
    set_fault(sandbox, "ungroupable", dimension="user_id", days=[str(TODAY - timedelta(days=40))], message="not so")
    assert get(sandbox, **grouped).content == expected
    sandbox.client.delete("/control/faults")
    set_fault(sandbox, "ungroupable", dimension="user_id", days=[str(TODAY - timedelta(days=4))], message="not so")
    refused = get(sandbox, **grouped)
    assert (refused.status_code, refused.json()) == (400, {"error": {"message": "not so"}})
    assert get(sandbox, **{"group_by[]": "project_id"}).status_code == 200


def test_split_bucket_spreads_one_day_over_two_pages(sandbox: SandboxCaller) -> None:
    honest = exact(get(sandbox, limit=4, **FINEST).content)
    set_fault(sandbox, "split_bucket", bucket=1)
    first = exact(get(sandbox, limit=4, **FINEST).content)
    rest = exact(get(sandbox, limit=4, page=first["next_page"], **FINEST).content)
    assert first["has_more"] is True
    assert [len(page["data"]) for page in (first, rest)] == [2, 3]
    assert first["data"][1]["start_time"] == rest["data"][0]["start_time"]
    assert first["data"][1]["results"] + rest["data"][0]["results"] == honest["data"][1]["results"]
    assert first["data"][:1] + rest["data"][1:] == honest["data"][:1] + honest["data"][2:]
    assert (rest["has_more"], rest["next_page"]) == (honest["has_more"], honest["next_page"])


def test_short_page_serves_fewer_buckets_than_were_asked_for(sandbox: SandboxCaller) -> None:
    whole = exact(get(sandbox, limit=10).content)["data"]
    set_fault(sandbox, "short_page", size=3)
    pages = list(sandbox.pages(COSTS.path, {**WINDOW, "limit": 10}))
    assert [len(page["data"]) for page in pages] == [3, 3, 3, 1]
    assert [bucket for page in pages for bucket in page["data"]] == whole


def test_relabel_lies_about_what_the_answer_is(sandbox: SandboxCaller) -> None:
    honest = get(sandbox).content
    set_fault(sandbox, "relabel", content_type="text/plain")
    answer = get(sandbox)
    assert (answer.headers["content-type"], answer.content) == ("text/plain", honest)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"do": "set", "path": "a.b", "to": None}, '{"a":{"b":null,"c":[1.10,2]},"d":[{"e":[3]},{}]}'),
        ({"do": "set", "path": "a.c[0]", "raw": "NaN"}, '{"a":{"b":"x","c":[NaN,2]},"d":[{"e":[3]},{}]}'),
        ({"do": "set", "path": "d[*].e[0]", "to": 4}, '{"a":{"b":"x","c":[1.10,2]},"d":[{"e":[4]},{}]}'),
        ({"do": "delete", "path": "a.c[*]"}, '{"a":{"b":"x","c":[]},"d":[{"e":[3]},{}]}'),
        ({"do": "reverse", "path": "a.c"}, '{"a":{"b":"x","c":[2,1.10]},"d":[{"e":[3]},{}]}'),
        ({"do": "double", "path": "d[0].e"}, '{"a":{"b":"x","c":[1.10,2]},"d":[{"e":[3,3]},{}]}'),
        ({"do": "delete", "path": "a.nothing.here"}, '{"a":{"b":"x","c":[1.10,2]},"d":[{"e":[3]},{}]}'),
    ],
    ids=str,
)
def test_an_edit_changes_exactly_what_its_path_leads_to(operation: dict[str, Any], expected: str) -> None:
    body = exact('{"a":{"b":"x","c":[1.10,2]},"d":[{"e":[3]},{}]}')
    assert bytes(json_response(edited(body, [operation])).body).decode() == expected


def test_edit_works_on_the_real_answer(sandbox: SandboxCaller) -> None:
    honest = exact(get(sandbox).content)
    set_fault(sandbox, "edit", operations=[{"do": "reverse", "path": "data"}, {"do": "delete", "path": "data[0]"}])
    assert exact(get(sandbox).content) == honest | {"data": honest["data"][-2::-1]}


@pytest.mark.parametrize(
    "operation", ["text", {"do": "set"}, {"do": "burn", "path": "a"}, {"do": "set", "path": "a"}], ids=str
)
def test_an_edit_that_makes_no_sense_is_refused_when_it_is_set(sandbox: SandboxCaller, operation: Any) -> None:
    fault = {"route": ROUTE, "fault": "edit", "operations": [operation]}
    assert sandbox.client.post("/control/faults", json={"faults": [fault]}).status_code == 400


def test_replace_answers_with_the_given_body_digit_for_digit(sandbox: SandboxCaller) -> None:
    fault = f'{{"faults": [{{"route": "{ROUTE}", "fault": "replace", "body": {{"value": 0.1234567890123456789}}}}]}}'
    assert sandbox.client.post("/control/faults", content=fault).status_code == 200
    assert get(sandbox).text == '{"value":0.1234567890123456789}'


def test_play_answers_page_by_page_about_its_days_alone(sandbox: SandboxCaller) -> None:
    expected = get(sandbox).content
    pages = ['{"data": [], "next_page": "page_of_ours"}', '{"data": [1.10]}']
    set_fault(sandbox, "play", answers=[{"days": [str(TODAY - timedelta(days=40))], "pages": pages}])
    assert get(sandbox).content == expected
    sandbox.client.delete("/control/faults")
    set_fault(sandbox, "play", answers=[{"days": [str(TODAY - timedelta(days=3))], "pages": pages}])
    assert [get(sandbox).text, get(sandbox, page="page_of_ours").text, get(sandbox, page="2").text] == [
        *pages,
        pages[1],
    ]


@pytest.mark.parametrize("answers", [["{}"], [{"days": [], "pages": ["{}"]}], [{"pages": ["{}"]}]])
def test_play_needs_days_and_pages(sandbox: SandboxCaller, answers: list[Any]) -> None:
    fault = {"route": ROUTE, "fault": "play", "answers": answers}
    refused = sandbox.client.post("/control/faults", json={"faults": [fault]})
    assert (refused.status_code, "an answer is an object" in refused.json()["error"]) == (400, True)


def test_a_fault_happens_on_its_calls_only(sandbox: SandboxCaller) -> None:
    get(sandbox)
    set_fault(sandbox, "status", status=503, calls=[2, 4])
    assert [get(sandbox).status_code for _ in range(5)] == [200, 503, 200, 503, 200]
    (listed,) = sandbox.control("/faults", method="GET")["faults"]
    assert listed == {"route": ROUTE, "fault": "status", "status": 503, "calls": [2, 4], "fired": 2}
    assert sandbox.control("/faults", method="DELETE") == {"faults": []}


@pytest.mark.parametrize(
    ("route", "hit"),
    [
        ("GET /openai", True),
        ("GET /*/organization/costs", True),
        ("GET /openai/v1/organization/usage", False),
        ("POST /openai", False),
    ],
)
def test_a_route_is_a_prefix_or_a_glob(sandbox: SandboxCaller, route: str, hit: bool) -> None:
    sandbox.control("/faults", {"faults": [{"route": route, "fault": "status", "status": 500}]})
    assert (get(sandbox).status_code == 500) is hit


def test_the_first_fault_that_is_due_happens(sandbox: SandboxCaller) -> None:
    set_fault(sandbox, "status", status=500, calls=[1])
    set_fault(sandbox, "status", status=502)
    assert [get(sandbox).status_code for _ in range(2)] == [500, 502]


def test_faults_reach_port_and_never_the_control(sandbox: SandboxCaller) -> None:
    sandbox.control("/faults", {"faults": [{"route": "*", "fault": "status", "status": 500}]})
    assert sandbox.client.post("/port/v1/auth/access_token", json={}).status_code == 500
    assert sandbox.client.get("/control/health").status_code == 200
