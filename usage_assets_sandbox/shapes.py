"""In which shape rows are served at present, where an API has several (/control/shape)."""

from dataclasses import dataclass

CODEX_SHAPES = ("documented", "illustrative")
COPILOT_SHAPES = ("documented", "repeated")


@dataclass
class Shapes:
    """The first shape of each is the documented one."""

    codex_usage: str = CODEX_SHAPES[0]
    github_copilot: str = COPILOT_SHAPES[0]
