"""The recorded and official answers in fixtures/."""

from datetime import date
from pathlib import Path

from usage_assets.core.days import Window
from usage_assets.providers.records import page_of_lines
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT

FIXTURES = Path(__file__).parents[2] / "fixtures"
ALWAYS = Window(date(2020, 1, 1), date(2039, 12, 31))
BODIES = {
    str(file.relative_to(FIXTURES)): file
    for name in EVERY_ENDPOINT
    for file in sorted((FIXTURES / name).glob("*.*json"))
    if "_error_" not in file.name
}
SPOILT = {name: file for name, file in BODIES.items() if "_bad_" in name}
ASKED_FOR = Window(date(2026, 11, 14), date(2026, 11, 14))
"""The day of all answers that state none themselves."""
WINDOWS = {
    "openai_legacy": ASKED_FOR,
    "litellm": ASKED_FOR,
    "openrouter": ASKED_FOR,
    "github_copilot": ASKED_FOR,
    "cursor": ASKED_FOR,
    "anthropic_analytics": Window(date(2026, 1, 1), date(2026, 11, 19)),
}
"""What was asked for where it is not ALWAYS: the newer reports say until when their figures reach."""
SOUND = BODIES.keys() - SPOILT.keys()


def page_in(name: str) -> bytes:
    """A fixture as a page: that of a report behind links is a file of it."""
    file = BODIES[name]
    provider, endpoint = EVERY_ENDPOINT[f"{file.parts[-3]}/{file.parts[-2]}"]
    return page_of_lines(file.read_bytes(), WINDOWS[provider.name]) if endpoint.links else file.read_bytes()
