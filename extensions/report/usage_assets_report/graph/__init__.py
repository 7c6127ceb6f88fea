"""What the report adds to the graph: forecasts, anomalies and budgets, the page, and the sensor that requests both."""

from functools import partial

from usage_assets.assets.location import Location, Part
from usage_assets.assets.models import COSTS
from usage_assets.config.days import last_day
from usage_assets_report.graph.insights import ASSETS, build_insights
from usage_assets_report.graph.page import REPORT, build_report_asset
from usage_assets_report.graph.sensor import DESCRIBED, REPORT_JOB, build_report_sensor


def build(location: Location) -> Part:
    """Build the assets of all connections' figures. They belong to the main code location."""
    if not location.has([*ASSETS, REPORT]):
        return Part()
    settings, names, everywhere = location.settings, location.names, location.everywhere
    costs, insights = names.key(COSTS), names.keys(ASSETS)
    newest = partial(last_day, settings)
    computed = build_insights(location.accounting, location.money, settings, newest, [costs], everywhere, names)
    page = build_report_asset(settings.report_path, settings.usage_report_url, newest, [costs, *insights], names)
    sensor = build_report_sensor(names, running=any(each.has_access or each.shard for each in everywhere))
    return Part(
        assets=[computed, page],
        jobs={REPORT_JOB: [*insights, page.key]},
        described=DESCRIBED,
        sensors=[sensor] if location.only is None else [],
    )
