"""The emulated Port refuses a dashboard page that Port would refuse or leave empty: each rule as a row of a table."""

from typing import Any

import pytest

from usage_assets_sandbox.port import PortStore
from usage_assets_sandbox.tests.port_client import Clock, Port, assert_refused, client_of, provisioned


@pytest.fixture
def port() -> Port:
    return provisioned(client_of(PortStore(Clock())))


def dataset(*rules: object, of: str = "usage") -> dict[str, Any]:
    return {"combinator": "and", "rules": [{"property": "$blueprint", "operator": "=", "value": of}, *rules]}


def rule(name: str, value: object, operator: str = "=") -> dict[str, Any]:
    return {"property": name, "operator": operator, "value": value}


NUMBER: dict[str, Any] = {
    "id": "number",
    "type": "entities-number-chart",
    "title": "Cost",
    "blueprint": "usage",
    "chartType": "aggregateByProperty",
    "calculationBy": "property",
    "func": "sum",
    "property": "cost",
    "unit": "$",
    "dataset": dataset(rule("basis", "billed"), rule("day", {"preset": "lastMonth"}, "between")),
}
PIE: dict[str, Any] = {
    "id": "pie",
    "type": "entities-pie-chart",
    "title": "Models",
    "blueprint": "usage",
    "property": "property#model",
    "dataset": dataset(),
}
LINE: dict[str, Any] = {
    "title": "Cost",
    "blueprint": "usage",
    "chartType": "aggregatePropertiesValues",
    "func": "sum",
    "measureTimeBy": "day",
    "properties": ["properties.cost"],
    "dataset": dataset(),
}
LINES: dict[str, Any] = {
    "id": "lines",
    "type": "multi-line-chart",
    "title": "Cost over time",
    "timeInterval": "day",
    "timeRange": {"preset": "last3Months"},
    "xAxisTitle": "Day",
    "yAxisTitle": "US dollars",
    "lines": [LINE],
}
COLUMNS: dict[str, Any] = {
    "groupSettings": {"groupBy": ["model"]},
    "sortSettings": {"sortBy": [{"property": "cost", "order": "desc"}]},
    "propertiesSettings": {"order": ["model"], "shown": ["model", "double", "$title"]},
}
TABLE: dict[str, Any] = {
    "id": "table",
    "type": "table-entities-explorer",
    "title": "Usage",
    "blueprint": "usage",
    "displayMode": "widget",
    "dataset": dataset({"combinator": "or", "rules": [rule("model", "gpt-5"), rule("cost", 1, ">")]}),
    "blueprintConfig": {"usage": COLUMNS},
}


def a_page(*widgets: dict[str, Any], layout: object = None, **changes: object) -> dict[str, Any]:
    rows = [{"height": 400, "columns": [{"id": widget["id"], "size": 12}]} for widget in widgets]
    wrapper = {"id": "root", "type": "dashboard-widget", "layout": layout or rows, "widgets": widgets}
    return {"identifier": "cost", "title": "Cost", "type": "dashboard", "widgets": [wrapper], **changes}


def columns(*sizes: tuple[str, int], height: int = 400) -> dict[str, Any]:
    return {"height": height, "columns": [{"id": name, "size": size} for name, size in sizes]}


def without(widget: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in widget.items() if name != key}


def table_with(config: dict[str, Any], blueprint: str = "usage") -> dict[str, Any]:
    return a_page(TABLE | {"blueprintConfig": {blueprint: config}})


def test_a_page_outside_the_schema_is_refused_and_not_stored(port: Port) -> None:
    for body, fragment in (
        (a_page(PIE, identifier="a b"), "identifier"),
        (a_page(PIE, widgets=[PIE]), "widgets[0].type"),
        (a_page(PIE, layout=[columns(("pie", 11))]), "sum to 12"),
        (a_page(PIE, layout=[columns(("pie", 12), height=399)]), "height"),
        (a_page(PIE | {"type": "line-chart"}), "line-chart"),
        (a_page(PIE | {"property": "property#modle"}), "'modle'"),
        (a_page(PIE | {"blueprint": "none", "dataset": dataset(of="none")}), "'none'"),
        (a_page(PIE | {"dataset": dataset(of="squad")}), "'squad'"),
        (a_page(PIE | {"dataset": dataset(rule("day", {"preset": "lastYear"}, "between"))}), "lastYear"),
        (a_page(without(NUMBER, "unit")), "unit"),
        (a_page(NUMBER | {"func": "average"}), "averageOf"),
        (a_page(LINES | {"lines": [LINE | {"properties": ["properties.double"]}]}), "number 'double'"),  # calculated
        (a_page(LINES | {"lines": [LINE | {"measureTimeBy": "model"}]}), "date-time 'model'"),
        (table_with(COLUMNS, blueprint="squad"), "squad has no"),
        (table_with(COLUMNS | {"sortSettings": {"sortBy": [{"property": "cost", "order": "up"}]}}), "up"),
    ):
        assert_refused(port.call("POST", "pages", body), 422, fragment)
        assert port.call("GET", "pages/cost").status_code == 404
