"""The dashboard page in Port (dashboard.json) and how it gets there. A page that is there belongs to the users: it is
never changed. Source: docs.port.io/api-reference/pages, a beta of Port's; widgets: port-labs/port-skills.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from usage_assets.features.port.catalog.client import PortClient, PortError

_TAKEN = (409, 422)


@dataclass(frozen=True)
class Dashboard:
    """What became of the page."""

    identifier: str
    created: bool
    """False where Port had a page of this identifier; it was left as it is."""
    left_out: tuple[str, ...] = ()
    """Titles of the widgets that were not made, because Port has not all blueprints of their row."""


def page() -> dict[str, Any]:
    body: dict[str, Any] = json.loads(files(__package__).joinpath("dashboard.json").read_text(encoding="utf-8"))
    return body


def create_dashboard(client: PortClient) -> Dashboard:
    """Create the page with every row whose blueprints Port has; unless there is a page of its identifier.

    Raises PortError where Port has none of the blueprints, and where it refuses.
    """
    body = page()
    if client.get_page(body["identifier"]):
        return Dashboard(body["identifier"], created=False)
    left_out = _leave_out(body["widgets"][0], client)
    try:
        client.create_page(body)
    except PortError as error:
        # An attempt whose answer was lost may have worked, and then refuses to be repeated.
        if error.status not in _TAKEN or not client.get_page(body["identifier"]):
            raise
    return Dashboard(body["identifier"], created=True, left_out=left_out)


def blueprints(widget: Mapping[str, Any]) -> set[str]:
    return {part["blueprint"] for part in widget.get("lines", [widget])}


def _leave_out(dashboard: dict[str, Any], client: PortClient) -> tuple[str, ...]:
    """Take the rows out that have a widget without its blueprint; the titles of their widgets. Each of Port's rows must
    be full, so that a row goes as a whole.
    """
    widgets = {widget["id"]: widget for widget in dashboard["widgets"]}
    named = set().union(*map(blueprints, widgets.values()))
    missing = {identifier for identifier in named if client.get_blueprint(identifier) is None}
    if missing == named:
        raise PortError("Port has no blueprint of the dashboard: run usage-assets port provision first")
    kept, left_out = [], []
    for row in dashboard["layout"]:
        of_row = [widgets[column["id"]] for column in row["columns"]]
        if missing.isdisjoint(set().union(*map(blueprints, of_row))):
            kept.append((row, of_row))
        else:
            left_out += [widget["title"] for widget in of_row]
    dashboard["layout"] = [row for row, _ in kept]
    dashboard["widgets"] = [widget for _, of_row in kept for widget in of_row]
    return tuple(left_out)
