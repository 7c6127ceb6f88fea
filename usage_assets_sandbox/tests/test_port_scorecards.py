"""The emulated Port refuses a scorecard that Port would refuse."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from usage_assets_sandbox.port import PortStore
from usage_assets_sandbox.tests.port_client import Clock, Port, assert_refused, client_of, provisioned

PATH = "blueprints/usage/scorecards"
CHEAP: dict[str, Any] = json.loads("""{
    "identifier": "cheap",
    "title": "Cheap",
    "filter": {"combinator": "or", "conditions": [{"property": "$team", "operator": "isNotEmpty"}]},
    "rules": [
        {
            "identifier": "below_ten",
            "title": "Below ten",
            "level": "Good",
            "query": {"combinator": "and", "conditions": [{"property": "cost", "operator": "<", "value": 10}]}
        }
    ],
    "levels": [{"title": "Bad", "color": "red"}, {"title": "Good", "color": "green"}]
}""")


@pytest.fixture
def port() -> Port:
    return provisioned(client_of(PortStore(Clock())))


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    body = copy.deepcopy(CHEAP)
    change(body)
    return body


def condition(**names: object) -> dict[str, Any]:
    return changed(lambda body: body["rules"][0]["query"].update(conditions=[names]))


def test_a_scorecard_that_port_would_refuse_is_refused(port: Port) -> None:
    for body, fragment in (
        (changed(lambda body: body.update(icon="Star")), "icon"),
        (changed(lambda body: body["rules"][0].update(level="Gold")), "'Gold' is not one of Bad, Good"),
        (changed(lambda body: body["rules"][0].update(identifier="a" * 21)), "20"),
        (changed(lambda body: body["rules"][0]["query"].update(conditions=[])), "conditions"),
        (condition(property="costs", operator="isEmpty"), "'costs'"),
    ):
        assert_refused(port.call("POST", PATH, body), 422, fragment)
        assert port.call("GET", PATH).json()["scorecards"] == []


def test_an_identifier_is_used_once_and_only_of_a_blueprint_that_is_there(port: Port) -> None:
    port.call("POST", PATH, CHEAP)
    assert_refused(port.call("POST", PATH, CHEAP), 409, "cheap")
    assert_refused(port.call("POST", "blueprints/nothing/scorecards", CHEAP), 404, "nothing")
