"""Names that others wrote do not control the terminal of whoever asks for them."""

import os
import pty
import subprocess
from collections.abc import Sequence
from pathlib import Path

import duckdb

from usage_assets_tests.terminal import COMMAND

HOSTILE = "Re\u202esearch\x1b]0;owned\x07\x1b[2J\x9b31m\r"
QUERY = "select name from tests.names"


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


def test_a_name_is_harmless_on_a_terminal_and_whole_in_a_file(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "usage-latest.duckdb")) as database:
        database.execute("create schema tests; create table tests.names (name text)")
        database.execute("insert into tests.names values ($1)", [HOSTILE])
    for form in (["--csv"], []):
        on_terminal = printed(["query", QUERY, *form], tmp_path / "usage.duckdb", on_terminal=True)
        assert "search" in on_terminal, form
        assert on_terminal.replace("\n", "").isprintable(), form
    in_file = printed(["query", QUERY, "--csv"], tmp_path / "usage.duckdb", on_terminal=False)
    assert HOSTILE.replace("\r", "") in in_file
