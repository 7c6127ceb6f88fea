"""The dashboard page: what its widgets name is there, no two kinds of money are added, and a user's page stays."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from usage_assets.core.blueprints import blueprint
from usage_assets.features.port.catalog.dashboard import blueprints, create_dashboard, page
from usage_assets.features.port.catalog.provision import provision
from usage_assets_tests.features.port.conftest import Catalog

PAGE = Path(__file__).parents[3] / "docs/port.md"
DASHBOARD = page()["widgets"][0]
WIDGETS: list[dict[str, Any]] = DASHBOARD["widgets"]
BLUEPRINTS = sorted(set().union(*map(blueprints, WIDGETS)))
MONEY = {"ai_cost_record": {"amount_usd", "native_amount"}}
"""Properties that hold every cost basis."""


def parts(widget: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """What reads one blueprint each: the lines of a line chart, else the widget."""
    found: list[dict[str, Any]] = widget.get("lines", [widget])
    return found


def shown(part: Mapping[str, Any]) -> Iterator[str]:
    """The properties that a part shows, groups or sorts by."""
    for name in part.get("properties", [part["property"]] if "property" in part else []):
        yield name.removeprefix("properties.").removeprefix("property#")
    for config in part.get("blueprintConfig", {}).values():
        yield from config["propertiesSettings"]["shown"]
        yield from config["groupSettings"]["groupBy"]
        yield from (sort["property"] for sort in config["sortSettings"]["sortBy"])


def filters(part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rules of its filter, without the one for the blueprint."""
    return [rule for rule in part["dataset"]["rules"] if rule["property"] != "$blueprint"]


PARTS = [(widget["id"], part) for widget in WIDGETS for part in parts(widget)]


def test_every_property_that_a_widget_names_is_in_its_blueprint() -> None:
    for widget, part in PARTS:
        declared = blueprint(part["blueprint"])
        known = declared["schema"]["properties"].keys() | declared["calculationProperties"].keys()
        named = {*shown(part), *(rule["property"] for rule in filters(part)), part.get("measureTimeBy")} - {None}
        assert named <= known, widget
        assert set(part.get("blueprintConfig", {})) <= {part["blueprint"]}, widget
        of_blueprint = {"property": "$blueprint", "operator": "=", "value": part["blueprint"]}
        assert part["dataset"]["rules"][0] == of_blueprint, widget


def test_no_widget_adds_one_cost_basis_to_another() -> None:
    for widget, part in PARTS:
        if MONEY.get(part["blueprint"], set()) & set(shown(part)):
            (basis,) = (rule["value"] for rule in filters(part) if rule["property"] == "cost_basis")
            assert ("native_amount" in shown(part)) == (basis == "credits"), widget


def test_the_documentation_lists_every_widget_as_it_is() -> None:
    table = PAGE.read_text().partition("|---|---|---|---|---|---|\n")[2].partition("\n\n")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()]
    assert [title for title, *_ in cells] == [widget["title"] for widget in WIDGETS]
    for widget, (title, _, of, *others) in zip(WIDGETS, cells, strict=True):
        first, *_ = parts(widget)
        told = {*re.findall(r"`(\w+)", " ".join(others))}
        rules = {rule["property"] for part in parts(widget) for rule in filters(part)}
        names = {name for part in parts(widget) for name in shown(part)}
        assert (of, told) == (f"`{first['blueprint']}`", rules | names | {*told & {first.get("measureTimeBy")}}), title


def sent(catalog: Catalog) -> dict[str, Any]:
    found: dict[str, Any] = catalog.as_user("GET", f"/pages/{page()['identifier']}")["page"]["widgets"][0]
    return found


def test_port_takes_the_page_and_every_widget(catalog: Catalog) -> None:
    provision(catalog.client, BLUEPRINTS)
    dashboard = create_dashboard(catalog.client)
    assert (dashboard.identifier, dashboard.created, dashboard.left_out) == ("ai_usage_and_cost", True, ())
    assert sent(catalog) == DASHBOARD


def test_a_page_that_is_there_stays_as_it_is(catalog: Catalog) -> None:
    provision(catalog.client, BLUEPRINTS)
    theirs = page() | {"title": "Theirs"}
    catalog.as_user("POST", "/pages", theirs)
    assert not create_dashboard(catalog.client).created
    assert catalog.as_user("GET", "/pages/ai_usage_and_cost")["page"]["title"] == "Theirs"
    assert catalog.asked("POST /port/v1/pages") == [201]


def test_rows_without_their_blueprint_are_left_out_and_named(catalog: Catalog) -> None:
    left_out = [
        "Budgets by state",
        "Budgets",
        "Anomalies by state",
        "Open anomalies",
        "Spend by team",
        "Spend by usage type",
        "Claude Code activity",
        "Claude Code lines",
        "Claude Code by person",
    ]
    provision(catalog.client, ["ai_cost_record", "ai_user_cost"])
    assert list(create_dashboard(catalog.client).left_out) == left_out
    kept = [widget["title"] for widget in sent(catalog)["widgets"]]
    assert kept == [widget["title"] for widget in WIDGETS if widget["title"] not in left_out]
