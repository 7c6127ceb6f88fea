"""A bill has an identity and versions: what becomes of stored days when the files of their bill change."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine

from usage_assets_finance_tests.focus.automation import ASSETS, Automation
from usage_assets_finance_tests.focus_files import connection, on, write
from usage_assets_tests.alone import is_there, needs
from usage_assets_tests.end_to_end.conftest import hold_project
from usage_assets_tests.fixtures import NO_KEYS, NOW, NewWarehouse, Sandbox
from usage_assets_tests.terminal import Terminal

ALONE = {**dict.fromkeys(NO_KEYS, ""), "USAGE_START_DATE": "2026-10-01"}
OCTOBER = [date(2026, 10, 1) + timedelta(days=n) for n in range(31)]
OLD = OCTOBER[:10]
"""Days that are settled, and that an archive may have dropped."""
NOVEMBER = [date(2026, 11, 1) + timedelta(days=n) for n in range(19)]
CORRECTED = OLD[4]
ARCHIVED = pytest.mark.parametrize("auto", [{"keeps": '"1 month"'}], indirect=True)


@pytest.fixture
def bills(tmp_path: Path) -> Path:
    return tmp_path / "bills"


@pytest.fixture
def auto(
    sandbox: Sandbox,
    tmp_path: Path,
    bills: Path,
    request: pytest.FixtureRequest,
    warehouse_with_views: NewWarehouse,
) -> Iterator[Automation]:
    """A project that reads bills, as its automation runs it: the charges alone, unless a test says otherwise."""
    warehouse_with_views(tmp_path)
    variables = ALONE | connection(tmp_path, bills, **getattr(request, "param", {}))
    with hold_project(sandbox, tmp_path, variables) as project:
        yield Automation(project, variables, tmp_path, ASSETS[:1])


def of(days: Sequence[date], amount: str = "1", **changes: str) -> list[dict[str, str]]:
    return [on(str(day), BilledCost=amount, **changes) for day in days]


def corrected(*amounts: str, day: date = CORRECTED, **changes: str) -> list[dict[str, str]]:
    """November, with corrections of a day of October: each is of an account of its own."""
    return of(NOVEMBER) + [
        charge
        for n, amount in enumerate(amounts)
        for charge in of([day], amount, ChargeClass="Correction", SubAccountId=f"{n}", **changes)
    ]


def settles_at(auto: Automation, total: Decimal | str | int) -> None:
    """Let the automation run: so much is billed, nothing has failed, and nothing is due."""
    due = auto.settle()
    assert (auto.total(), auto.failures, due) == (Decimal(total), [], {})


def archived_days(auto: Automation) -> Sequence[date]:
    states = "select distinct usage_date from ledger.bill_states where state = 'archived' order by all"
    return list(auto.project.warehouse.read(states)["usage_date"].to_pylist())


def test_a_correction_that_moves_is_stored_on_both_days_or_said(
    auto: Automation, bills: Path, terminal: Terminal
) -> None:
    for day in (OLD[4], OLD[5], OLD[9]):  # no run can have both days
        write(bills / f"{day}.csv", of([day]))
    write(bills / "2026-11.csv", corrected("-2"))
    settles_at(auto, 20)
    write(bills / "2026-11.csv", corrected("-2", day=OLD[9]))
    said = terminal.type("backfill", "--start", "2026-10-05", "--end", "2026-10-05")
    assert (said.code, auto.total()) == (1, Decimal(22))
    told = "bill 2026-10-10: 2026-11.csv has changed, and is stored as it was before: usage-assets backfill --due"
    assert told in said.err
    settles_at(auto, 20)


@ARCHIVED
def test_a_correction_of_an_archived_day_is_stored_on_top_of_what_it_keeps(auto: Automation, bills: Path) -> None:
    left_out = of(OLD, "7", ServiceName="Amazon EC2")
    october = write(bills / "2026-10.csv", of(OLD, "1.000000000000000000000001") + left_out)
    november = write(bills / "2026-11.csv", of(NOVEMBER))
    auto.settle()
    october.unlink()
    kept = Decimal("29.00000000000000000000001")
    settles_at(auto, kept)
    for amounts in (("-2", "0.5"), ()):
        rows = corrected(*amounts) + corrected(*amounts, ServiceName="Amazon EC2")[len(NOVEMBER) :]
        write(november, rows)
        once = kept + sum(map(Decimal, amounts))
        settles_at(auto, once)
        auto.run("bill", OLD)
        assert (auto.total(), auto.failures, auto.due()) == (once, [], {})
        assert archived_days(auto) == OLD
        [row] = auto.project.warehouse.read(
            "select sum(amount) as amount, sum(row_count) as n from costs.left_out where usage_date = '2026-10-05'"
        ).to_pylist()
        assert (row["amount"], row["n"]) == (7 + sum(map(Decimal, amounts)), 1 + len(amounts))
    restated = (
        "select difference, cause from ledger.restatements "
        "where table_name = 'focus.charges' and total = 'billed_usd' order by version"
    )
    changes = [(row["difference"], row["cause"]) for row in auto.project.warehouse.read(restated).to_pylist()]
    assert changes == [(Decimal(each), "provider") for each in ("-1.5", "1.5")]
    write(october, of(OLD, "2"))
    settles_at(auto, 39)
    assert archived_days(auto) == []


@needs("assistant")
@ARCHIVED
def test_the_archive_and_explain_have_what_an_archived_day_keeps(
    auto: Automation, bills: Path, terminal: Terminal
) -> None:
    auto.assets = ASSETS
    october = write(bills / "2026-10.csv", of(OLD))
    write(bills / "2026-11.csv", of(NOVEMBER))
    auto.settle()
    october.unlink()
    write(bills / "2026-11.csv", corrected("-2", "0.125"))
    settles_at(auto, "27.125")
    stored = "select * from focus.charges where usage_date < '2026-11-01' order by all"
    before = auto.project.warehouse.read(stored).to_pylist()
    said = terminal.type("backfill", "--from-archive", "--start", "2026-10-01", "--end", "2026-10-10")
    assert said.code == 0, said.err
    assert auto.project.warehouse.read(stored).to_pylist() == before
    assert (auto.total(), auto.due()) == (Decimal("27.125"), {})
    said = terminal.type(
        "explain", "--table", "costs.by_day", "--day", str(CORRECTED), "--column", "amount_usd", "--verify"
    )
    assert said.code == 0, said.err
    assert "costs.by_day amount_usd: -0.875 USD" in said.out
    assert "from the archived answers alone: -0.875" in said.out
    assert f"from {bills / '2026-11.csv'}, row 21" in said.out


def test_a_withdrawn_day_can_be_accepted(auto: Automation, bills: Path, terminal: Terminal) -> None:
    november = write(bills / "2026-11.csv", of(NOVEMBER))
    auto.settle()
    write(november, of(NOVEMBER[:17], "2"))
    auto.settle()
    gone = "2026-11.csv no longer has charges of these days"
    assert auto.due()["bill"] == [
        "17 days changed (2026-11-01 to 2026-11-17): 2026-11.csv has changed",
        f"2 days withdrawn (2026-11-18 to 2026-11-19): {gone}",
    ]
    assert auto.failures
    for told in auto.failures:
        assert told.startswith(f"{gone} (2026-11-18 to 2026-11-19). They stay as they are stored, and nothing new of")
        assert told.endswith("usage-assets bills accept --connection bill --start 2026-11-18 --end 2026-11-19")
    [line] = terminal.type("bills", "list").lines
    assert line == (
        "bill 2026-11.csv: 2026-11-01 to 2026-11-17; changed: 2026-11-01 to 2026-11-17; "
        "withdrawn: 2026-11-18 to 2026-11-19; delivers $34.00: $34.00 not stored (2026-11.csv has changed), "
        "$19.00 stored of an earlier delivery"
    )
    [line] = [line for line in terminal.type("doctor", "--all").lines if line.startswith("FAIL  connection bill")]
    assert line.startswith("FAIL  connection bill: 2 days withdrawn (2026-11-18 to 2026-11-19): 2026-11.csv no longer")
    assert line.endswith("usage-assets bills accept --connection bill --start 2026-11-18 --end 2026-11-19")
    accept = ("bills", "accept", "--connection", "bill", "--start", "2026-11-01", "--end", "2026-11-19")
    because = f"{gone}; stored: tokens 416500, billed_usd 1"
    assert terminal.type(*accept).lines[:2] == [f"2026-11-18: {because}", f"2026-11-19: {because}"]
    assert auto.total() == Decimal(19)
    said = terminal.type(*accept, "--yes")
    assert (said.code, said.lines[-1]) == (
        0,
        "accepted: 2026-11-18 to 2026-11-19; the next run clears them (usage-assets backfill --due)",
    )
    auto.run("bill", NOVEMBER[17:])
    assert auto.failures, "they are cleared with the rest of their set"
    assert auto.total() == Decimal(19)
    settles_at(auto, 34)
    said = terminal.type(*accept, "--yes")
    assert (said.code, said.err) == (
        2,
        "usage-assets: connection bill: no day from 2026-11-01 to 2026-11-19 is withdrawn\n",
    )
    write(november, of(NOVEMBER, "3"))
    settles_at(auto, 57)
    write(november, of(NOVEMBER[:17], "3"))
    auto.settle()
    assert "2 days withdrawn (2026-11-18 to 2026-11-19)" in auto.due()["bill"][0], "it was accepted once"


def two_connections(folder: Path, *more: str) -> dict[str, str]:
    """Variables of a project with the connections payer and member."""
    entries = [
        f'[[connection]]\nname = "{name}"\nprovider = "focus"\nfiles = "{folder / name}"\n'
        for name in ("payer", "member")
    ]
    file = folder / "connections.toml"
    file.write_text("\n".join([*entries, *more]))
    return ALONE | {"USAGE_CONNECTIONS": str(file)}


def test_two_connections_that_store_one_account_are_an_error(
    sandbox: Sandbox,
    tmp_path: Path,
    warehouse_with_views: NewWarehouse,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    warehouse_with_views(tmp_path)
    week, mine, other = NOVEMBER[:7], {"SubAccountId": "1"}, {"SubAccountId": "2"}
    write(tmp_path / "payer" / "2026-11.csv", of(week, **mine) + of(week, "5", **other))
    write(tmp_path / "member" / "2026-11.csv", of(week, **mine))
    variables = two_connections(tmp_path)
    with hold_project(sandbox, tmp_path, variables) as project:
        auto = Automation(project, variables, tmp_path)
        for each in ("payer", "member"):
            auto.run(each, week)
        assert auto.total() == 7 * 7
        found = project.warehouse.read("from costs.billed_twice order by connection, usage_date").to_pylist()
    assert len(found) == 14
    stated = ("connection", "billed_by", "amount_usd", "billed_by_usd", "accounts")
    assert [found[-1][name] for name in stated] == ["payer", "member", 1, 1, "111122223333/1"]
    terminal = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    terminal.set(variables)
    [line] = [line for line in terminal.type("doctor", "--all").lines if line.startswith("FAIL  connections")]
    assert line == (
        "FAIL  connections member and payer: both store Amazon Bedrock of the same account on 7 days: $7.00 of "
        "member and $7.00 of payer are in every total. Remove one of the two, or leave its files out; if they "
        'share no charge, say so: no_overlap_with = ["payer"]'
    )
    if is_there("finance"):
        with time_machine.travel(NOW + timedelta(days=60)):
            words = ("--month", "2026-11", "--out", "out", "--issue", "--accept", "provisional")
            issued = terminal.type("statement", *words)
        assert issued.code == 2
        assert "member and payer: both store Amazon Bedrock of the same account on 7 days" in issued.err
        assert " --accept billed_twice" in issued.err
    two_connections(tmp_path, 'no_overlap_with = ["payer"]')
    with hold_project(sandbox, tmp_path, variables) as project:
        Automation(project, variables, tmp_path).run("member", week)
        assert project.warehouse.read("from costs.billed_twice").num_rows == 0
