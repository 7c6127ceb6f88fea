"""What each provider's API is: endpoints, bodies, refusals, and how they become rows. No Dagster, no DuckDB."""

from collections.abc import Mapping

from usage_assets.providers.anthropic import ANTHROPIC
from usage_assets.providers.anthropic_analytics import ANTHROPIC_ANALYTICS
from usage_assets.providers.chatgpt import CHATGPT
from usage_assets.providers.endpoint import Control, Endpoint, Provider
from usage_assets.providers.http import Client, Fetched
from usage_assets.providers.openai import OPENAI
from usage_assets.providers.openai_legacy import OPENAI_LEGACY
from usage_assets.providers.transport import PermanentError, ProviderError, TransientError

PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider for provider in (OPENAI, ANTHROPIC, CHATGPT, OPENAI_LEGACY, ANTHROPIC_ANALYTICS)
}

__all__ = [
    "PROVIDERS",
    "Client",
    "Control",
    "Endpoint",
    "Fetched",
    "PermanentError",
    "Provider",
    "ProviderError",
    "TransientError",
]
