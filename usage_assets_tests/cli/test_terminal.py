"""Names that others wrote do not control the terminal of whoever reads them."""

import os
import pty
import subprocess
from collections.abc import Sequence
from pathlib import Path
from unicodedata import category

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usage_assets.cli.terminal import shown
from usage_assets_tests.terminal import COMMAND

HOSTILE = "Re\u202esearch\x1b]0;owned\x07\x1b[2J\x9b31m\r"
QUERY = "select name from tests.names"


@given(st.text())
def test_nothing_controls_a_terminal(text: str) -> None:
    """Cc: control characters, Cf: such as those that change the direction."""
    left = shown(text.replace("\x1b[", ""))
    assert not [each for each in left if category(each) in ("Cc", "Cf") and each not in "\n\t"]
    assert shown(f"\x1b[1mbold\x1b[0m\n{text}").startswith("\x1b[1mbold\x1b[0m\n")


def printed(words: Sequence[str], database: Path, *, on_terminal: bool) -> str:
    """What a command prints to a terminal, or to a pipe."""
    other, ours = pty.openpty() if on_terminal else os.pipe()
    done = subprocess.run(
        [*COMMAND, *words], stdout=ours, env=os.environ | {"USAGE_WAREHOUSE": str(database)}, check=False
    )
    os.close(ours)
    assert done.returncode == 0
    with os.fdopen(other, "rb", buffering=0) as stream:
        return (stream.read(1 << 16) or b"").decode().replace("\r\n", "\n")


@pytest.mark.parametrize("form", ["--csv", None])
def test_a_name_is_harmless_on_a_terminal_and_whole_in_a_file(tmp_path: Path, form: str | None) -> None:
    with duckdb.connect(str(tmp_path / "usage-latest.duckdb")) as database:
        database.execute("create schema tests; create table tests.names (name text)")
        database.execute("insert into tests.names values ($1)", [HOSTILE])
    words = ["query", QUERY, *([form] if form else [])]
    on_terminal = printed(words, tmp_path / "usage.duckdb", on_terminal=True)
    assert "search" in on_terminal
    assert on_terminal.replace("\n", "").isprintable()
    if form == "--csv":
        assert HOSTILE.replace("\r", "") in printed(words, tmp_path / "usage.duckdb", on_terminal=False)
