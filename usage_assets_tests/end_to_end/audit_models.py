"""What the names of models in the story mean, written down by hand. Nothing here is read from the product."""

from collections.abc import Iterable
from typing import Any, NamedTuple


class Identity(NamedTuple):
    """Which model a name means."""

    family: str | None
    variant: str | None = None
    version: str | None = None
    developer: str | None = None


MAKERS = {
    "Anthropic": ("claude-",),
    "OpenAI": ("gpt-", "dall-e-", "omni-", "text-", "tts-", "whisper-"),
    "Amazon": ("nova-",),
    "DeepSeek": ("deepseek-",),
    "Cursor": ("composer-",),
}
"""Who has made a model -> how its families begin."""


SPELLED = {
    "Claude Opus 4.5": Identity("claude-opus-4-5"),
    "Claude Sonnet 4.5": Identity("claude-sonnet-4-5"),
    "claude-4.5-sonnet": Identity("claude-sonnet-4-5"),
    "GPT-5": Identity("gpt-5"),
    "Nova2.0Lite": Identity("nova-2-lite"),
    "anthropic/claude-sonnet-5": Identity("claude-sonnet-5"),
    "deepseek/deepseek-v4": Identity("deepseek-v4"),
    "deepseek/deepseek-v4:free": Identity("deepseek-v4", "free"),
    "openai/gpt-5.4": Identity("gpt-5.4"),
    "omni-moderation-latest": Identity("omni-moderation"),
    "text-moderation-latest": Identity("text-moderation"),
}
"""Names that are no family -> what they mean. Every other one is a family, or is not understood."""


def identity_of(model: str | None) -> Identity:
    """What a name means."""
    known = SPELLED.get(model or "", Identity(model))
    makers = [maker for maker, starts in MAKERS.items() if (known.family or "").startswith(starts)]
    return known._replace(developer=makers[0] if makers else None)


def identified(row: dict[str, Any]) -> dict[str, Any]:
    """A row, with the family and variant of its model."""
    known = identity_of(row["model"])
    return {**row, "family": known.family, "variant": known.variant}


def names(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """models.names: every provider and name that costs or usage have."""
    sent = {(row["provider"], row["model"]) for row in rows if row.get("model")}
    return [{"provider": provider, "model": model, **identity_of(model)._asdict()} for provider, model in sorted(sent)]
