"""In which shape rows are served at present, where an API has several (/control/shape)."""

from dataclasses import dataclass

CODEX_SHAPES = ("documented", "illustrative")
COPILOT_SHAPES = ("documented", "repeated")
ANTHROPIC_COSTS = ("older", "newer")
"""Which cost report the admin key may ask: the older one alone, or the newer one, too."""


@dataclass
class Shapes:
    """The first of each is served until it is changed. Of shapes, it is the documented one."""

    codex_usage: str = CODEX_SHAPES[0]
    github_copilot: str = COPILOT_SHAPES[0]
    anthropic_costs: str = ANTHROPIC_COSTS[0]
