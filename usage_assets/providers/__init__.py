"""Each provider's API: endpoints, bodies, refusals. Only declarations, in one folder per provider."""

from collections.abc import Mapping

from usage_assets.providers.anthropic.reports import ANTHROPIC
from usage_assets.providers.anthropic_analytics.provider import ANTHROPIC_ANALYTICS
from usage_assets.providers.chatgpt.analytics import CHATGPT
from usage_assets.providers.cursor.usage import CURSOR
from usage_assets.providers.endpoint import Provider
from usage_assets.providers.focus.charges import FOCUS
from usage_assets.providers.github_copilot.billing import GITHUB_COPILOT
from usage_assets.providers.litellm.activity import LITELLM
from usage_assets.providers.openai.costs import OPENAI
from usage_assets.providers.openai_legacy.billing import OPENAI_LEGACY
from usage_assets.providers.openrouter.activity import OPENROUTER

PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider
    for provider in (
        OPENAI,
        ANTHROPIC,
        CHATGPT,
        OPENAI_LEGACY,
        ANTHROPIC_ANALYTICS,
        FOCUS,
        LITELLM,
        OPENROUTER,
        CURSOR,
        GITHUB_COPILOT,
    )
}
LOOKUPS = tuple(lookup for provider in PROVIDERS.values() for lookup in provider.lookups)
