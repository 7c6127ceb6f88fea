"""What the old endpoints say, in the blueprints of their successors."""

from usage_assets.provider import Entities
from usage_assets.providers.openai.entities import OpenaiDailyUsage, OpenaiModelUsage

ENTITIES = (
    Entities(
        row=OpenaiDailyUsage,
        reads=("openai_legacy.billing_usage", "openai_legacy.usage"),
        file="openai_legacy_daily_usage",
    ),
    Entities(row=OpenaiModelUsage, reads=("openai_legacy.usage",), file="openai_legacy_model_usage"),
)
