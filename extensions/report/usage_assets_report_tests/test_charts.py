"""The charts' colors: one for each provider, and each can be seen on a white and on a dark page."""

from usage_assets.providers import PROVIDERS
from usage_assets_report.charts import PALETTE

WHITE, DARK = "#ffffff", "#19212c"
NEEDED = 3
"""What WCAG 2.2 asks of parts of a chart (1.4.11)."""


def luminance(color: str) -> float:
    """The relative luminance of a color, as WCAG defines it."""
    parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_no_two_providers_share_a_color() -> None:
    assert len({*PALETTE}) == len(PALETTE) >= len(PROVIDERS)


def test_every_color_can_be_seen() -> None:
    for page in (WHITE, DARK):
        contrasts = {
            color: (max(found) + 0.05) / (min(found) + 0.05)
            for color in PALETTE
            if (found := (luminance(color), luminance(page)))
        }
        assert min(contrasts.values()) >= NEEDED, contrasts
