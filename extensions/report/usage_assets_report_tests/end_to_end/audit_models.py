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


FAMILIES: dict[str | None, str] = {
    **dict.fromkeys(("input", "uncached_input_tokens"), "input"),
    **dict.fromkeys(("cached input", "cache_read_input_tokens"), "cached input"),
    "cache_creation.ephemeral_5m_input_tokens": "cache write",
    "cache_creation.ephemeral_1h_input_tokens": "cache write",
    **dict.fromkeys(("output", "output_tokens"), "output"),
    **dict.fromkeys(("Copilot Business", "Copilot Enterprise"), "seat"),
    **dict.fromkeys(("code_execution", "web_search", "web search tool calls"), "tool"),
    "Copilot Premium Request": "request",
}
"""Kind of use -> its family, decided by hand. Any other, and none, is ``other``."""


def identified(row: dict[str, Any]) -> dict[str, Any]:
    """A row, with the family and variant of its model."""
    known = identity_of(row["model"])
    return {**row, "family": known.family, "variant": known.variant}


def kind_of(row: dict[str, Any]) -> str:
    """The family of a row's kind of use."""
    return FAMILIES.get(row["usage_type"], "other")


def names(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """models.names: every provider and name that costs or usage have."""
    sent = {(row["provider"], row["model"]) for row in rows if row.get("model")}
    return [{"provider": provider, "model": model, **identity_of(model)._asdict()} for provider, model in sorted(sent)]
