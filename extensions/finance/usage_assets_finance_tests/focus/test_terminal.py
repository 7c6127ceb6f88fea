"""Commands for a connection that reads files: doctor, capture, connection list, explain."""

from datetime import date
from pathlib import Path

import pytest

from usage_assets.warehouse.published import publish
from usage_assets_finance_tests.focus_files import connection, on, write
from usage_assets_tests.alone import needs
from usage_assets_tests.end_to_end.conftest import hold_project
from usage_assets_tests.fixtures import NO_KEYS, Sandbox
from usage_assets_tests.terminal import Terminal

DAY = date(2026, 11, 19)
ALONE = dict.fromkeys(NO_KEYS, "")


@pytest.fixture
def terminal(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Terminal:
    """A person with one bill, and no account anywhere."""
    terminal = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    rows = [on(str(DAY), BilledCost="0.50"), on(str(DAY), SkuId="SKU2", Tags='{"who": "ann@example.com"}')]
    write(tmp_path / "bills" / "november.csv", [*rows, on(str(DAY), ServiceName="Amazon EC2", BilledCost="7")])
    terminal.set(ALONE | connection(tmp_path, tmp_path / "bills"))
    return terminal


@needs("assistant")
def test_an_amount_leads_to_the_file_and_row_that_it_was_read_from(terminal: Terminal) -> None:
    with hold_project(
        terminal.sandbox, terminal.folder, ALONE | connection(terminal.folder, terminal.folder / "bills")
    ) as project:
        assert project.fetch("bill", [DAY], "charges", "charges/daily_costs").success
        publish(project.warehouse)
    rewritten = terminal.folder / "bills" / "november.csv"
    rewritten.unlink()  # the archive has what was read
    said = terminal.type("explain", "--table", "costs.by_day", "--day", str(DAY), "--column", "amount_usd", "--verify")
    assert said.code == 0, said.err
    assert "costs.by_day amount_usd: 1.75 USD" in said.out
    assert f"= 0.50  focus.charges {DAY}, page 1 of" in said.out
    assert f"from {rewritten}, row 2" in said.out
    assert f"from {rewritten}, row 3" in said.out
    assert "row 4" not in said.out, "what is left out costs nothing here"
    assert "from the archived answers alone: 1.75" in said.out
    assert "ann@example.com" not in "".join(map(str, terminal.warehouse.read("from focus.charges").to_pylist()))


def test_doctor_looks_at_the_files(terminal: Terminal) -> None:
    said = terminal.type("doctor", "--all")
    assert "OK    connection bill: charges: files can be read" in said.lines
    (terminal.folder / "bills" / "november.csv").write_text("BilledCost;ServiceName\n1;Amazon Bedrock\n")
    said = terminal.type("doctor", "--all")
    [line] = [line for line in said.lines if line.startswith("FAIL")]
    assert "november.csv: row 1: columns are separated by semicolons: export it with commas" in line
