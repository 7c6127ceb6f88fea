"""A person at a terminal: accounts at the sandbox, a Dagster home and a database file of their own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from usage_assets.cli.main import main
from usage_assets.core.warehouse_address import WarehouseAddress
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.opened import warehouse_at
from usage_assets_tests.end_to_end.conftest import sandbox_environment
from usage_assets_tests.fixtures import Sandbox, set_all

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-c", "from usage_assets.cli.main import main; main()")
SECRETS = ("sk-admin-sandbox", "sk-ant-admin-sandbox", "chatgpt-sandbox-key", "sandbox-client-secret")


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    code: int | str | None
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines on stdout."""
        return self.out.splitlines()

    @property
    def complaints(self) -> list[str]:
        """The lines on stderr."""
        return self.err.splitlines()


@dataclass(frozen=True)
class Terminal:
    """The folder that commands are typed in, their environment, and what they print."""

    sandbox: Sandbox
    folder: Path
    environment: Mapping[str, str]
    capture: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    @classmethod
    def open(
        cls, sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
    ) -> "Terminal":
        """Set up the home and the environment, for this process and for others."""
        home = folder / "home"
        home.mkdir()
        shutil.copy(ROOT / "dagster.yaml", home)
        environment = sandbox_environment(sandbox.base_url, folder / "usage.duckdb") | {"DAGSTER_HOME": str(home)}
        set_all(monkeypatch, environment)
        monkeypatch.chdir(folder)
        return cls(sandbox, folder, environment, capture, monkeypatch)

    def set(self, variables: Mapping[str, str | None] | None = None, **more: str | None) -> None:
        """Set variables of the environment, or remove those that have no value."""
        set_all(self.monkeypatch, {**(variables or {}), **more})

    def type(self, *words: str) -> Said:
        """Run a command here, at the time of the test."""
        self.capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(words)
        out, err = self.capture.readouterr()
        return Said(ended.value.code, out, err)

    def run(self, line: str, *more: str) -> Said:
        """The same for a line of words, and for others that may have spaces."""
        return self.type(*line.split(), *more)

    def start(self, *words: str, through: Sequence[str] = ()) -> "subprocess.Popen[str]":
        """Run a command in a process of its own, with the environment as it is now and the time as it really is."""
        return subprocess.Popen(
            [*through, *COMMAND, *words],
            cwd=self.folder,
            env=os.environ,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    @property
    def database(self) -> Path:
        """The database file."""
        return self.folder / "usage.duckdb"

    @property
    def warehouse(self) -> Warehouse:
        """What the commands write: the database, or a lake."""
        address = WarehouseAddress(self.environment["USAGE_WAREHOUSE"], self.environment.get("USAGE_WAREHOUSE_DATA"))
        return warehouse_at(address)

    def tables(self) -> list[str]:
        """The tables that hold days."""
        names: list[str] = self.warehouse.read("select distinct table_name from ledger.stored_days")[0].to_pylist()
        return names

    def rows(self, schema: str) -> int:
        """Rows of a provider's raw tables, but for those of control totals."""
        query = (
            "select sum(row_count)::bigint from ledger.stored_days "
            "where starts_with(table_name, $schema || '.') and not ends_with(table_name, '_control')"
        )
        count: int = self.warehouse.read(query, {"schema": schema})[0][0].as_py()
        return count


@pytest.fixture
def terminal(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Terminal:
    """A person whose accounts are at the sandbox."""
    return Terminal.open(sandbox, tmp_path, monkeypatch, capfd)


@contextmanager
def holding(database: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the database open."""
    code = "import duckdb, sys; connection = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    command = [sys.executable, "-c", code, str(database)]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "open\n"
        yield holder
        holder.kill()


def examined(terminal: Terminal) -> Said:
    """What the doctor says, whatever it is: no secret and nothing on stderr."""
    said = terminal.type("doctor", "--all")
    assert not any(secret in said.out for secret in SECRETS)
    assert said.err == ""
    return said


def finding(said: Said, subject: str) -> str:
    """The line about a subject."""
    (line,) = (line for line in said.lines if subject in line)
    return line


def refusal(said: Said) -> str:
    """The one line of a refusal, without a secret."""
    assert (said.code, said.out, len(said.complaints)) == (2, "", 1), said
    assert not any(secret in said.err for secret in SECRETS)
    program, _, line = said.err.partition(": ")
    assert program == "usage-assets"
    return line.strip()
