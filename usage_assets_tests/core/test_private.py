"""What is stored is for whoever runs the project: created so, whatever the umask, and told of where it is not so."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from usage_assets_tests.alone import needs
from usage_assets_tests.fixtures import last_days
from usage_assets_tests.terminal import ROOT, Terminal, examined

DAY = str(last_days(1)[0])


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """Everybody may do everything, says the umask."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def terminal(terminal: Terminal) -> Terminal:
    """A person with one connection, whose data goes where it does unless something else is set."""
    terminal.set(OPENAI_ADMIN_KEY=None, ANTHROPIC_ADMIN_KEY=None, USAGE_WAREHOUSE="data/usage.duckdb")
    return terminal


def modes(folder: Path) -> dict[str, str]:
    """Everything below a folder, and the folder, with what group and others may do."""
    return {str(path): oct(path.stat().st_mode & 0o077) for path in (folder, *folder.rglob("*"))}


@needs("finance")
def test_all_that_commands_write_is_for_whoever_typed_them_until_they_say_otherwise(terminal: Terminal) -> None:
    home = terminal.folder / "home"
    before = {*home.rglob("*"), home}
    assert terminal.type("backfill", "--start", DAY, "--end", DAY, "--connection", "chatgpt", "--push").code == 0
    assert terminal.type("capture", "--connection", "chatgpt", "--day", DAY).code == 0
    os.umask(0)
    assert not terminal.type("export", "focus", "--start", DAY, "--end", DAY, "--out", "data/x.csv").code
    written = modes(terminal.folder / "data")
    for name in ("usage.duckdb", "usage-latest.duckdb", "x.csv", "captured/README.md", "raw/chatgpt/codex_usage"):
        assert str(terminal.folder / "data" / name) in written
    written |= {path: mode for path, mode in modes(home).items() if Path(path) not in before}
    assert any("history" in path for path in written)
    assert {path: mode for path, mode in written.items() if mode != "0o0"} == {}
    out = terminal.folder / "data" / "x.csv"
    out.chmod(0o640)
    before_again = out.stat().st_ino
    assert not terminal.type("export", "focus", "--start", DAY, "--end", DAY, "--out", "data/x.csv", "--force").code
    assert (out.stat().st_mode & 0o777, out.stat().st_ino == before_again) == (0o640, False)
    # The doctor tells what others may read. With the command that ends it, and it changes nothing.
    assert "permissions" not in examined(terminal).out
    data, env = terminal.folder / "data", terminal.folder / ".env"
    env.touch(0o600)
    data.chmod(0o755)
    env.chmod(0o640)
    (line,) = (line for line in examined(terminal).lines if "permissions" in line)
    advice = f"chmod go= {data} {env}"
    assert line == (
        "WARN  permissions: others on this machine can read personal data or keys. Unless you share this on purpose: "
        f"{advice}"
    )
    assert (data.stat().st_mode & 0o777, env.stat().st_mode & 0o777) == (0o755, 0o640)
    subprocess.run(shlex.split(advice), check=True)
    assert "permissions" not in examined(terminal).out


def test_runs_of_dagster_write_for_whoever_runs_it(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from usage_assets.definitions import defs\n"
        "defs()\n"
        "Path('folder').mkdir()\n"
        "Path('folder/file').touch()\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    assert set(modes(tmp_path / "folder").values()) == {"0o0"}
