"""The list of commands: it is shown at once, because it loads none of them."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from usage_assets.cli.main import COMMANDS, load
from usage_assets_tests.terminal import COMMAND

SLOW = {"dagster", "duckdb", "pyarrow", "pydantic", "httpx", "rich"}
WITH_MORE = ("dev", "explain", "metrics", "new-provider")
COMPLETE = {"_USAGE_ASSETS_COMPLETE": "bash_complete"}


def loaded_by(*words: str, **environment: str) -> tuple[str, set[str]]:
    """What a fresh process prints for these words, and the packages that it has loaded at its end."""
    code = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from usage_assets.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment)
    return done.stdout, {name.partition(".")[0] for name in done.stderr.split()}


def test_what_needs_no_command_loads_none() -> None:
    for words, environment, shown in (
        (("--help",), {}, "  backfill      Fetch, store and compute"),
        (
            (),
            {**COMPLETE, "COMP_WORDS": "usage-assets ba", "COMP_CWORD": "1"},
            "backfill",
        ),
    ):
        said, packages = loaded_by(*words, **environment)
        assert shown in said
        assert "click" in packages
        assert not packages & SLOW


def test_each_command_is_in_the_module_of_its_name_and_helps_with_its_line_of_the_list() -> None:
    for name in COMMANDS:
        command = load(name)
        assert command.name == name
        line, _, more = (command.help or "").partition("\n\n")
        assert line == COMMANDS[name]
        assert load(name).help == command.help, "loaded twice, it says it once"
        assert not more or name in WITH_MORE, "only what an argument means cannot be said of an option"


def test_what_cannot_be_printed_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, "--version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage-assets: stdout: No space left on device\n")


def test_whoever_reads_a_part_of_what_is_printed_is_told_nothing() -> None:
    readable, writable = os.pipe()
    os.close(readable)
    done = subprocess.run([*COMMAND, "--help"], stdout=writable, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writable)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_closed_stream_stops_no_command(subtests: pytest.Subtests) -> None:
    for closed, said in ((">&-", ""), ("2>&-", "Usage: "), ("<&- >&- 2>&-", "")):
        with subtests.test(closed):
            words = f"exec {shlex.join(COMMAND)} --help {closed}"
            done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout[:7], done.stderr) == (0, said, "")


def test_what_stdout_cannot_hold_is_escaped_and_a_wrong_line_of_the_env_file_is_said_once(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_ADMIN_KEY sk-1\n")
    code = "from atexit import register; from usage_assets.cli.main import main; register(print, 'é'); main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "backfill", "--due"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "\\xe9\n")
    assert done.stderr.splitlines() == [
        ".env, line 1: cannot be read and is left out: write NAME=value",
        "usage-assets: connection openai: no key: set OPENAI_ADMIN_KEY (for example in .env)",
    ]
