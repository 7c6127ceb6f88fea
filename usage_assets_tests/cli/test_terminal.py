"""Names that others wrote do not control the terminal of whoever reads them."""

from unicodedata import category

from hypothesis import given
from hypothesis import strategies as st

from usage_assets.cli.terminal import shown


@given(st.text())
def test_nothing_controls_a_terminal(text: str) -> None:
    """Cc: control characters, Cf: such as those that change the direction."""
    left = shown(text.replace("\x1b[", ""))
    assert not [each for each in left if category(each) in ("Cc", "Cf") and each not in "\n\t"]
    assert shown(f"\x1b[1mbold\x1b[0m\n{text}").startswith("\x1b[1mbold\x1b[0m\n")
