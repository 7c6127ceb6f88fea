"""What the doctor finds of users' metrics."""

from collections.abc import Iterator

from usage_assets.cli.findings import Finding, Level
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.values import WarehouseError
from usage_assets_report.entries import Metric
from usage_assets_report.insights.metrics import MetricsError, metric_rows

SCOPES = """
select distinct connection, coalesce(project_id, workspace_id) as project, team, api_key_id as api_key
from costs.allocated_costs_by_key_named
"""


def findings(settings: Settings, warehouse: Warehouse) -> Iterator[Finding]:
    """Numbers of users' own that cannot be used, or whose scope has no costs."""
    try:
        metrics = settings.accounting().of_section("metric", Metric)
        rows = metric_rows(metrics)
        costs = warehouse.read(SCOPES).to_pylist() if rows else []
    except MetricsError as error:
        yield Finding(Level.FAIL, "metrics", str(error))
        return
    except (SettingsError, WarehouseError):  # said before, or no costs are stored yet
        return
    known = {(name, each[name]) for each in costs for name in each}
    for kind, id_ in dict.fromkeys((row.scope_type, row.scope_id) for row in rows if row.scope_id):
        if (kind, id_) not in known:
            yield Finding(Level.WARN, "metrics", f"{kind} {id_!r} has no stored costs: correct it if it is misspelled")
    if metrics:
        yield Finding(Level.OK, "metrics", f"{len(rows):,} rows can be read")
