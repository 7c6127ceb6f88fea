"""What alerts add to the graph: the sensor that posts, where a webhook is configured."""

from usage_assets.assets.location import Location, Part
from usage_assets.features.alerts.webhook import build_webhook_sensor


def build(location: Location) -> Part:
    """Build the sensor, also in code locations that are not the main one: each posts about its own runs."""
    url = location.settings.webhook_url
    if url is None or location.only is not None:
        return Part()
    return Part(sensors=[build_webhook_sensor(location.settings, url, location.names)])
