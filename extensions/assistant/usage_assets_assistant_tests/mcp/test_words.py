"""The words of answers and refusals: which unit a figure has, which command is given, and what an option is called."""

import shlex

import pytest

from usage_assets.warehouse.errors import WarehouseError
from usage_assets_assistant.mcp.answers import MOST_OF_NAME, shown
from usage_assets_assistant.mcp.freshness import days_of
from usage_assets_assistant.mcp.questions import named_as_parameters
from usage_assets_report.what_if.command import entries_of


def test_a_command_is_given_that_finds_its_row() -> None:
    for name, is_shown in [
        ("web", True),
        ("Büro 🤖", True),
        ("x" * MOST_OF_NAME, True),
        ("x" * (MOST_OF_NAME + 1), False),
        ("a\u202eb", False),
    ]:
        words = ("usage-assets", "explain", "--where", f"model={name}")
        assert shown(*words) == (shlex.join(words) if is_shown else None)


def test_a_refusal_names_parameters() -> None:
    with pytest.raises(WarehouseError, match=r"^cached_share half: "), named_as_parameters():
        entries_of({"provider": "openai", "model": "gpt-5", "cached_share": "half"}, None)  # type: ignore[arg-type]
    with (
        pytest.raises(WarehouseError, match=r"^name a column, .*: usage-assets report --refresh$"),
        named_as_parameters(),
    ):
        raise WarehouseError("name a --column, or add --where: usage-assets report --refresh")


def test_a_day_at_the_end_of_the_calendar_is_refused_in_words() -> None:
    """The day before the first one, or the period after the last one, was no date: the assistant was told nothing."""
    for text in ("0001-01-01", "9999-12-31", "1999-12-31", "2100-01-01"):
        with pytest.raises(WarehouseError, match=rf"^first {text}: must be from 2000-01-01 to 2099-12-31$"):
            days_of(text, text)
