"""What the doctor finds of the webhook. It posts nothing."""

from collections.abc import Iterator

from usage_assets.cli.findings import Finding, Level
from usage_assets.config.settings import Settings, SettingsError


def services(settings: Settings) -> Iterator[Finding]:
    """Say whether there is one."""
    try:
        is_set = settings.webhook_url is not None
    except SettingsError as error:
        yield Finding(Level.FAIL, "webhook", str(error))
        return
    if is_set:
        yield Finding(Level.OK, "webhook", "failed runs and checks are posted to it (USAGE_WEBHOOK_URL)")
    else:
        yield Finding(Level.WARN, "webhook", "failed runs and checks are posted nowhere: USAGE_WEBHOOK_URL is not set")
