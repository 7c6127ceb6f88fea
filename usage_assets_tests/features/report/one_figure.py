"""One figure of the report, as the report reads it: to read the other 29, too, takes over a second of CPU time."""

from typing import Any

import pytest

from usage_assets.features.report import figures
from usage_assets.features.report.period import Period
from usage_assets.models.costs import VIEWS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.views import make_views


def rows_of_figure(warehouse: Warehouse, name: str, period: Period) -> list[dict[str, Any]]:
    """The rows of a figure of what is stored."""
    query = figures._queries()[name]
    with warehouse.transaction() as database, pytest.MonkeyPatch.context() as patch:
        make_views(database, VIEWS)
        patch.setattr(figures, "_queries", lambda: {name: query})
        rows: list[dict[str, Any]] = figures.read(database, period).figures[name].rows.to_pylist()
        return rows
