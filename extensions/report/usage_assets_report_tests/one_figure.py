"""One figure of the report, as the report reads it."""

from typing import Any

from usage_assets.models.costs import VIEWS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.views import make_views
from usage_assets_report.figures import read_figure
from usage_assets_report.period import Period


def rows_of_figure(warehouse: Warehouse, name: str, period: Period) -> list[dict[str, Any]]:
    """The rows of a figure of what is stored."""
    with warehouse.transaction() as database:
        make_views(database, VIEWS)
        rows: list[dict[str, Any]] = read_figure(database, name, period).rows.to_pylist()
        return rows
