"""The emulated Port refuses a dashboard page that Port would refuse or leave empty: each rule as a row of a table."""

import json
from typing import Any

import pytest

from usage_assets_sandbox.port import PortStore
from usage_assets_sandbox.tests.calling import bodies
from usage_assets_sandbox.tests.port_client import Clock, Port, assert_refused, client_of, provisioned


@pytest.fixture
def port() -> Port:
    return provisioned(client_of(PortStore(Clock())))


WIDGETS = """[
{
    "id": "number",
    "type": "entities-number-chart",
    "title": "Cost",
    "blueprint": "usage",
    "chartType": "aggregateByProperty",
    "calculationBy": "property",
    "func": "sum",
    "property": "cost",
    "unit": "$",
    "dataset": {"combinator": "and", "rules": [
        {"property": "$blueprint", "operator": "=", "value": "usage"},
        {"property": "basis", "operator": "=", "value": "billed"},
        {"property": "day", "operator": "between", "value": {"preset": "lastMonth"}}
    ]}
}, {
    "id": "pie",
    "type": "entities-pie-chart",
    "title": "Models",
    "blueprint": "usage",
    "property": "property#model",
    "dataset": {"combinator": "and", "rules": [{"property": "$blueprint", "operator": "=", "value": "usage"}]}
}, {
    "id": "lines",
    "type": "multi-line-chart",
    "title": "Cost over time",
    "timeInterval": "day",
    "timeRange": {"preset": "last3Months"},
    "xAxisTitle": "Day",
    "yAxisTitle": "US dollars",
    "lines": [{
        "title": "Cost",
        "blueprint": "usage",
        "chartType": "aggregatePropertiesValues",
        "func": "sum",
        "measureTimeBy": "day",
        "properties": ["properties.cost"],
        "dataset": {"combinator": "and", "rules": [{"property": "$blueprint", "operator": "=", "value": "usage"}]}
    }]
}, {
    "id": "table",
    "type": "table-entities-explorer",
    "title": "Usage",
    "blueprint": "usage",
    "displayMode": "widget",
    "dataset": {"combinator": "and", "rules": [
        {"property": "$blueprint", "operator": "=", "value": "usage"},
        {"combinator": "or", "rules": [
            {"property": "model", "operator": "=", "value": "gpt-5"}, {"property": "cost", "operator": ">", "value": 1}
        ]}
    ]},
    "blueprintConfig": {"usage": {
        "groupSettings": {"groupBy": ["model"]},
        "sortSettings": {"sortBy": [{"property": "cost", "order": "desc"}]},
        "propertiesSettings": {"order": ["model"], "shown": ["model", "double", "$title"]}
    }}
}
]"""
NUMBER, PIE, LINES, TABLE = json.loads(WIDGETS)
LINE, COLUMNS = LINES["lines"][0], TABLE["blueprintConfig"]["usage"]


def a_page(*widgets: dict[str, Any], layout: object = None, **changes: object) -> dict[str, Any]:
    rows = [{"height": 400, "columns": [{"id": widget["id"], "size": 12}]} for widget in widgets]
    wrapper = {"id": "root", "type": "dashboard-widget", "layout": layout or rows, "widgets": widgets}
    return {"identifier": "cost", "title": "Cost", "type": "dashboard", "widgets": [wrapper], **changes}


def columns(*sizes: tuple[str, int], height: int = 400) -> dict[str, Any]:
    return {"height": height, "columns": [{"id": name, "size": size} for name, size in sizes]}


def table_with(config: dict[str, Any], blueprint: str = "usage") -> dict[str, Any]:
    return a_page(TABLE | {"blueprintConfig": {blueprint: config}})


WRONG = """
{"type": "line-chart"} -> line-chart
{"property": "property#modle"} -> 'modle'
{"blueprint": "none", "dataset": {"combinator": "and", "rules": [{
    "property": "$blueprint", "operator": "=", "value": "none"}]}} -> 'none'
{"dataset": {"combinator": "and", "rules": [{"property": "$blueprint", "operator": "=", "value": "squad"}]}} -> 'squad'
{"dataset": {"combinator": "and", "rules": [{"property": "$blueprint", "operator": "=", "value": "usage"}, {
    "property": "day", "operator": "between", "value": {"preset": "lastYear"}}]}} -> lastYear
"""
"""What is wrong with a pie, and what is said."""


def test_a_page_outside_the_schema_is_refused_and_not_stored(port: Port) -> None:
    for body, fragment in (
        (a_page(PIE, identifier="a b"), "identifier"),
        (a_page(PIE, widgets=[PIE]), "widgets[0].type"),
        (a_page(PIE, layout=[columns(("pie", 11))]), "sum to 12"),
        (a_page(PIE, layout=[columns(("pie", 12), height=399)]), "height"),
        (a_page({name: value for name, value in NUMBER.items() if name != "unit"}), "unit"),
        (a_page(NUMBER | {"func": "average"}), "averageOf"),
        (a_page(LINES | {"lines": [LINE | {"properties": ["properties.double"]}]}), "number 'double'"),  # calculated
        (a_page(LINES | {"lines": [LINE | {"measureTimeBy": "model"}]}), "date-time 'model'"),
        (table_with(COLUMNS, blueprint="squad"), "squad has no"),
        (table_with(COLUMNS | {"sortSettings": {"sortBy": [{"property": "cost", "order": "up"}]}}), "up"),
        *((a_page(PIE | changes), fragment) for changes, fragment in bodies(WRONG)),
    ):
        assert_refused(port.call("POST", "pages", body), 422, fragment)
        assert port.call("GET", "pages/cost").status_code == 404
