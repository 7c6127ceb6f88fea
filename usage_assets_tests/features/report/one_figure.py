"""One figure of the report, as the report reads it."""

import shlex
from typing import Any

from usage_assets.features.explain.command import explain
from usage_assets.features.explain.figures import OPTIONS, Start
from usage_assets.features.report.figures import read_figure
from usage_assets.features.report.period import Period
from usage_assets.models.costs import VIEWS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.views import make_views


def rows_of_figure(warehouse: Warehouse, name: str, period: Period) -> list[dict[str, Any]]:
    """The rows of a figure of what is stored."""
    with warehouse.transaction() as database:
        make_views(database, VIEWS)
        rows: list[dict[str, Any]] = read_figure(database, name, period).rows.to_pylist()
        return rows


def start_of(command: str) -> Start:
    """What a command of the page explains."""
    program, name, *arguments = shlex.split(command)
    assert (program, name) == ("usage-assets", "explain")
    typed = explain.make_context("explain", arguments).params
    chosen = {option: text for option in OPTIONS if (text := typed[option.replace("-", "_")]) is not None}
    where = [(column, value) for column, _, value in (text.partition("=") for text in typed["where"])]
    return Start(table=typed["table"], columns=typed["columns"], options=chosen, where=where)
