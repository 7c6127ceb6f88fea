"""What the report adds to the graph: forecasts, anomalies and budgets, the page, and the sensor that requests both."""

from usage_assets.assets.location import Location, Part
from usage_assets.assets.models import COSTS
from usage_assets.automation.jobs import REPORT_JOB
from usage_assets.features.report.graph.insights import KEYS, build_insights
from usage_assets.features.report.graph.page import REPORT, build_report_asset
from usage_assets.features.report.graph.sensor import build_report_sensor


def build(location: Location) -> Part:
    """Build the assets of all connections' figures. They belong to the main code location."""
    if not location.has([*KEYS, REPORT]):
        return Part()
    settings, everywhere = location.settings, location.everywhere
    insights = build_insights(
        location.accounting, settings, location.last_day, [COSTS], [each.name for each in everywhere]
    )
    page = build_report_asset(settings.report_path, settings.usage_report_url, location.last_day, [COSTS, *KEYS])
    sensor = build_report_sensor(running=any(each.has_access or each.shard for each in everywhere))
    return Part(
        assets=[insights, page], jobs={REPORT_JOB: [*KEYS, REPORT]}, sensors=[sensor] if location.only is None else []
    )
