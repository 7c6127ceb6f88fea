"""The emulated Port refuses a scorecard that Port would refuse."""

import json
from typing import Any

import pytest

from usage_assets_sandbox.port import PortStore
from usage_assets_sandbox.tests.calling import bodies
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


def test_a_scorecard_that_port_would_refuse_is_refused(port: Port) -> None:
    [rule] = CHEAP["rules"]
    for changes, fragment in bodies("""
        {"level": "Gold"} -> 'Gold' is not one of Bad, Good
        {"identifier": "aaaaaaaaaaaaaaaaaaaaa"} -> 20
        {"query": {"combinator": "and", "conditions": []}} -> conditions
        {"query": {"combinator": "and", "conditions": [{"property": "costs", "operator": "isEmpty"}]}} -> 'costs'
    """):
        assert_refused(port.call("POST", PATH, CHEAP | {"rules": [rule | changes]}), 422, fragment)
    assert_refused(port.call("POST", PATH, CHEAP | {"icon": "Star"}), 422, "icon")
    assert port.call("GET", PATH).json()["scorecards"] == []


def test_an_identifier_is_used_once_and_only_of_a_blueprint_that_is_there(port: Port) -> None:
    port.call("POST", PATH, CHEAP)
    assert_refused(port.call("POST", PATH, CHEAP), 409, "cheap")
    assert_refused(port.call("POST", "blueprints/nothing/scorecards", CHEAP), 404, "nothing")
