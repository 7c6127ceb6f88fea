"""What is stored of a connections file stays, whatever is typed."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import pytest

from usage_assets.cli.main import COMMANDS, load
from usage_assets.config.accounting import RELEASED, STATED
from usage_assets.models.stated import STORE
from usage_assets_tests.conftest import IS_NIGHT, Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import fill_once, on_both, on_file
from usage_assets_tests.terminal import COMMAND, Terminal

DAY = str(last_days(2)[0])
DAYS = ("--start", DAY, "--end", DAY)
ENTRIES = """
[[owner]]
project = "proj_web"
team = "web"
cost_center = "4711"

[[budget]]
name = "all"
amount = 100
thresholds = [0.8, 1]

[[shared_cost]]
name = "tools"
project = "proj_tools"
headcount = { "4711" = 1 }

[[what_if]]
provider = "openai"
model = "gpt-5"
to = "gpt-5-mini"
"""
FILES = {
    "stated.toml": ENTRIES,
    "copy.toml": f"# on another host\n{ENTRIES}",
    "empty.toml": "",
    "other.toml": ENTRIES.replace("web", "api").replace("100", "5"),
    "broken.toml": "[[owner",
}
FOR_EVER = frozenset({"dev", "sandbox", "mcp"})
"""They serve until they are stopped. ``dev`` is a code location, which stores what its file says."""
WORDS: Mapping[str, Sequence[str]] = {
    "backfill": (*DAYS, "--push"),
    "bills accept": ("--connection", "chatgpt", *DAYS),
    "capture": ("--connection", "chatgpt", "--day", DAY, "--out", "captured"),
    "connection remove": ("never_there", "--yes"),
    "explain": ("month",),
    "export csv": ("chatgpt.codex_usage", "--out", "x.csv", "--force"),
    "export parquet": ("chatgpt.codex_usage", "--out", "x.parquet", "--force"),
    "export months": ("months",),
    "export focus": (*DAYS, "--out", "focus.csv", "--force"),
    "move": ("--to", "moved.duckdb"),
    "new-provider": ("acme",),
    "people forget": ("nobody@example.com", "--yes"),
    "port mapping check": ("stated.toml",),
    "port preview": ("codex_usage_record", "--day", DAY),
    "query": ("select 1",),
    "report": ("--refresh",),
    "statement": ("--month", DAY[:7], "--out", "statements"),
    "statement verify": ("stated.toml",),
}
"""What is typed behind a command that needs more. A new command is typed alone until it has a line here."""


def commands() -> Iterator[str]:
    def below(name: str, command: click.Command) -> Iterator[str]:
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield name
        for each, inner in command.commands.items() if isinstance(command, click.Group) else ():
            yield from below(f"{name} {each}", inner)

    for name in COMMANDS.keys() - FOR_EVER:
        yield from below(name, load(name))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what the first test has stored."""
    return tmp_path_factory.mktemp("filled") / "person"


@pytest.fixture
def person(
    filled: Path,
    place: None,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Terminal:
    """A person with files of several projects, who has stored a day with one of them."""
    terminal = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("USAGE_CONNECTIONS", "stated.toml")
    for key in ("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY"):
        monkeypatch.delenv(key)
    fill_once(filled, tmp_path, lambda: terminal.type("backfill", *DAYS))
    assert [row["team"] for row in rows(terminal)["owners"]] == ["web"]
    return terminal


def rows(terminal: Terminal) -> Mapping[str, Sequence[Mapping[str, object]]]:
    """All rows of ``accounting.*``, but those that --refresh computes: list prices, and what it reads of metrics."""
    with terminal.warehouse.transaction(keep=False) as database:
        return {
            row.table.partition(".")[2]: database.execute(f"from {row.table} order by all").to_arrow_table().to_pylist()
            for row in (*STATED, *RELEASED)
        }


@(on_both if IS_NIGHT else on_file)
def test_no_command_changes_an_entry_without_the_variable(person: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows(person)
    monkeypatch.delenv("USAGE_CONNECTIONS")
    for name in sorted(commands()):
        said = person.type(*name.split(), *WORDS.get(name, ()))
        assert "Traceback" not in said.err, (name, said)
        assert rows(person) == before, (name, said)


@on_file
def test_another_file_is_one_line_until_it_is_stored_and_one_without_entries_removes_none_until_that_is_allowed(
    person: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(person)
    an_empty_shell_uses_what_is_stored(person)
    monkeypatch.setenv("USAGE_CONNECTIONS", "copy.toml")
    assert person.type("accounting").code == 0
    assert not [line for line in person.type("report", "--text").complaints if STORE in line], "it is the same"
    monkeypatch.setenv("USAGE_CONNECTIONS", "other.toml")
    amounts = "owners 1, budgets 1, budget thresholds 2, what ifs 1, shared costs 1"
    differs = (
        f"other.toml: its entries about money differ from the stored ones ({amounts}), which are used. Dagster stores "
        f"them when it loads the file; to do it now: {STORE}"
    )
    for words in (("report", "--text"), ("export", "focus", *WORDS["export focus"]), ("what-if",)):
        said = person.type(*words)
        assert [line for line in said.complaints if line.endswith(STORE)] == [differs], said
    refused = person.type("statement", "--month", "2026-09", "--out", "statements", "--issue")
    assert (refused.code, rows(person)) == (2, before)
    assert person.type("accounting", "--store").code == 0
    assert [row["team"] for row in rows(person)["owners"]] == ["api"]
    assert person.type("accounting").lines == [f"stored: {amounts}"]

    monkeypatch.setenv("USAGE_CONNECTIONS", "empty.toml")
    before = rows(person)
    said = person.type("accounting", "--store")
    assert (said.code, rows(person)) == (2, before)
    assert said.err.endswith(f"to remove them, name a file without entries: {STORE} --allow-empty\n")
    assert person.type("accounting", "--store", "--allow-empty").lines == ["stored: no entry"]
    assert not rows(person)["owners"]


def an_empty_shell_uses_what_is_stored(person: Terminal) -> None:
    """The README's prefix: one variable, and nothing else."""
    before = rows(person)
    shell = {"PATH": os.environ["PATH"], "USAGE_WAREHOUSE": person.environment["USAGE_WAREHOUSE"]}
    words = ("statement", *WORDS["statement"])
    subprocess.run([*COMMAND, *words], cwd=person.folder, env=shell, capture_output=True, text=True, check=True)
    assert rows(person) == before
