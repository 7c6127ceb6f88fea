"""What is stored of a connections file stays, whatever is typed with whatever environment."""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import pytest

from usage_assets.cli.main import COMMANDS, load
from usage_assets.config.accounting import RELEASED, STATED
from usage_assets.models.stated import STORE
from usage_assets_tests.alone import needs
from usage_assets_tests.end_to_end.conftest import on_both, on_file
from usage_assets_tests.fixtures import IS_NIGHT, file_with_views, last_days
from usage_assets_tests.models.days import cases
from usage_assets_tests.postgres import is_lake
from usage_assets_tests.terminal import COMMAND, Terminal

pytestmark = needs("report")
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
provider = "anthropic"
model = "claude-opus-5"
to = "claude-sonnet-5"
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
    **{
        command: typed.split()
        for command, typed in cases(f"""
            backfill -> {" ".join(DAYS)} --push
            bills accept -> --connection anthropic {" ".join(DAYS)}
            capture -> --connection anthropic --day {DAY} --out captured
            connection remove -> never_there --yes
            explain -> month
            export csv -> anthropic.cost_report --out x.csv --force
            export parquet -> anthropic.cost_report --out x.parquet --force
            export months -> months
            export focus -> {" ".join(DAYS)} --out focus.csv --force
            move -> --to moved.duckdb
            new-provider -> acme
            people forget -> nobody@example.com --yes
            port mapping check -> stated.toml
            port preview -> claude_cost_record --day {DAY}
            report -> --refresh
            statement -> --month {DAY[:7]} --out statements
            statement verify -> stated.toml
        """)
    },
    "query": ["select 1"],
}
"""What is typed behind a command that needs more. A new command is typed alone until it has a line here."""
VALUES: Mapping[str, Sequence[str | None]] = {
    "USAGE_CONNECTIONS": (None, *FILES, "missing.toml"),
    "USAGE_PEOPLE": (None, "names", "hash"),
    "USAGE_HASH_KEY": ("another", None),
    "USAGE_SHARD": ("eu", None),
    "USAGE_START_DATE": ("2026-01-01", "never"),
    "USAGE_BLUEPRINTS": ("missing", None),
    "ANTHROPIC_ADMIN_KEY": (None, "sk-of-another-project"),
    "OPENAI_ADMIN_KEY": (None,),
    "PORT_CLIENT_ID": (None, "another"),
    "DAGSTER_HOME": (None, "missing"),
}
"""Missing, wrong, or of another project."""


def commands() -> Iterator[str]:
    def below(name: str, command: click.Command) -> Iterator[str]:
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield name
        for each, inner in command.commands.items() if isinstance(command, click.Group) else ():
            yield from below(f"{name} {each}", inner)

    for name in COMMANDS.keys() - FOR_EVER:
        yield from below(name, load(name))


@pytest.fixture
def person(place: None, terminal: Terminal, tmp_path: Path) -> Terminal:
    """A person with files of several projects, who has stored a day with one of them: of Anthropic, which has three
    endpoints where OpenAI has twelve."""
    shutil.copy(file_with_views(), tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    terminal.set(USAGE_CONNECTIONS="stated.toml", OPENAI_ADMIN_KEY=None, CHATGPT_ANALYTICS_KEY=None)
    stored = terminal.type("backfill", *DAYS)
    assert stored.code == 0, stored
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
def test_no_command_changes_an_entry_until_another_file_is_stored(
    person: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        no_command_changes_an_entry_without_the_variable_or_at_night_in_any_environment(person, patch)
    if not is_lake(person.warehouse):
        another_file_is_one_line_until_it_is_stored_and_one_without_entries_removes_none_until_that_is_allowed(person)


def no_command_changes_an_entry_without_the_variable_or_at_night_in_any_environment(
    person: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, choice, known = rows(person), random.Random(0), sorted(commands())
    monkeypatch.delenv("USAGE_CONNECTIONS")
    for number, name in enumerate([*known, *choice.choices(known, k=len(known) * 4 if IS_NIGHT else 8)]):
        with monkeypatch.context() as patch:
            for variable in choice.sample(sorted(VALUES), 3) if number >= len(known) else ():
                value = choice.choice(VALUES[variable])
                patch.delenv(variable, raising=False) if value is None else patch.setenv(variable, value)
            chosen = {variable: os.environ.get(variable) for variable in VALUES}
            said = person.type(*name.split(), *WORDS.get(name, ()))
        assert "Traceback" not in said.err, (name, chosen, said)
        assert rows(person) == before, (name, chosen, said)


def another_file_is_one_line_until_it_is_stored_and_one_without_entries_removes_none_until_that_is_allowed(
    person: Terminal,
) -> None:
    before = rows(person)
    an_empty_shell_uses_what_is_stored(person)
    person.set(USAGE_CONNECTIONS="copy.toml")
    assert person.type("accounting").code == 0
    assert not [line for line in person.type("report", "--text").complaints if STORE in line], "it is the same"
    person.set(USAGE_CONNECTIONS="other.toml")
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

    person.set(USAGE_CONNECTIONS="empty.toml")
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
    for words in (("statement", *WORDS["statement"]), ("export", "focus", *WORDS["export focus"])):
        subprocess.run([*COMMAND, *words], cwd=person.folder, env=shell, capture_output=True, text=True, check=True)
        assert rows(person) == before
