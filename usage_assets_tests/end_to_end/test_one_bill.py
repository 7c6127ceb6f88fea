"""One organization, one bill: each dollar counts once, whichever keys of Anthropic a company has, and from when on."""

import csv
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days
from usage_assets.models.same_use import billed_by_both
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.database import Warehouse
from usage_assets_finance.statement import command
from usage_assets_tests.alone import needs
from usage_assets_tests.end_to_end.conftest import Project, hold_project, settings_in
from usage_assets_tests.fixtures import NO_KEYS, NewWarehouse, Sandbox, last_days
from usage_assets_tests.terminal import Terminal

STATEMENT = Path(command.__file__).parent / "sql"
DAYS = last_days(9)[:6]
"""Days that both reports serve."""
OLD, NEW = "admin", "analytics"
BILLS = {OLD: "cost_report", NEW: "cost"}
BESIDE = {*BILLS.values(), "usage_messages"}
"""Endpoints of bills, and of what bills are divided by."""


def variables(folder: Path, names: Sequence[str], organizations: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a company with these keys."""
    entries = []
    for name, provider in ((OLD, "anthropic"), (NEW, "anthropic_analytics")):
        key = folder / f"{name}.key"
        key.write_text(f"sk-ant-{name}-sandbox")
        stated = f'organization = "{organizations[name]}"\n' if organizations and name in organizations else ""
        off = (each.name for each in PROVIDERS[provider].endpoints if each.name not in BESIDE)
        stated += f"endpoints = {{ {', '.join(f'{each} = false' for each in off)} }}\n"
        entries += [f'[[connection]]\nname = "{name}"\nprovider = "{provider}"\nkey = "file:{key}"\n{stated}'] * (
            name in names
        )
    file = folder / "connections.toml"
    file.write_text("\n".join(entries))
    return {"USAGE_CONNECTIONS": str(file), **dict.fromkeys(NO_KEYS, "")}


class Company:
    """A company whose keys come and go. Its warehouse stays."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox, self.folder = sandbox, folder

    def has(self, *names: str, **organizations: str) -> AbstractContextManager[Project]:
        """The project with these keys only."""
        self.variables = variables(self.folder, names, organizations)
        return hold_project(self.sandbox, self.folder, self.variables)

    def due(self, project: Project) -> dict[tuple[str, str], list[date]]:
        """The computed days that are due: connection and why."""
        found: dict[tuple[str, str], list[date]] = {}
        seeds = seeds_of(settings_in(self.sandbox, self.folder, self.variables), "always")
        for each in due_days(project.warehouse, seeds, keep=True):
            if each.asset.endswith("/daily_costs"):
                found.setdefault((each.connection, each.because), []).append(each.day)
        return found

    def compute_due(self, project: Project) -> None:
        """Compute them again, as the sensor does."""
        for (connection, _), days in self.due(project).items():
            assert project.fetch(connection, days, f"{BILLS[connection]}/daily_costs").success
        assert not self.due(project)

    def billed_by(self, project: Project) -> dict[str, list[date]]:
        """Who bills which days."""
        rows = project.warehouse.read(
            "select connection, list(distinct usage_date order by usage_date) as days from costs.daily_costs "
            "where cost_basis = 'billed' group by connection"
        )
        return {row["connection"]: row["days"] for row in rows.to_pylist()}

    @property
    def truth(self) -> dict[date, Decimal]:
        """What the sandbox's books say that each day costs, in cents."""
        return {day: self.sandbox.truth(day, day)["anthropic"]["cents"] for day in DAYS}


def billed(warehouse: Warehouse) -> dict[date, Decimal]:
    """What each day costs in all, in cents."""
    rows = warehouse.read(
        "select usage_date, sum(amount_usd) * 100 as cents from costs.daily_costs where cost_basis = 'billed' "
        "group by usage_date"
    )
    return {row["usage_date"]: row["cents"] for row in rows.to_pylist()}


@pytest.fixture
def company(sandbox: Sandbox, tmp_path: Path) -> Company:
    return Company(sandbox, tmp_path)


def fetch(project: Project, name: str, days: list[date]) -> None:
    assert project.fetch(name, days, BILLS[name], f"{BILLS[name]}/daily_costs").success


def test_keys_that_come_and_go_bill_each_dollar_once(company: Company) -> None:
    """A second key takes over the days that it has, a lost one keeps its days, and the other one bills what follows."""
    truth = company.truth
    with company.has(NEW) as project:
        fetch(project, NEW, DAYS[:4])
        assert billed(project.warehouse) == {day: truth[day] for day in DAYS[:4]}
        assert project.warehouse.read("from costs.daily_costs where user_id is not null").num_rows, "people are named"
    with company.has(OLD, NEW) as project:
        assert not company.due(project), "until its days are there, the first key bills them"
        fetch(project, OLD, DAYS[2:4])
        assert [each.is_proven for each in billed_by_both(project.warehouse)] == [True]
        assert company.due(project) == {(NEW, "billing connection changed"): DAYS[2:4]}
        company.compute_due(project)
        assert not [*billed_by_both(project.warehouse)]
        fetch(project, OLD, DAYS[4:5])
        assert not company.due(project), "a report that is late holds up nothing"
        complete = "select usage_date from costs.complete_days where connection is null and source = $source"
        days = project.warehouse.read(complete, {"source": "costs.daily_costs"})["usage_date"].to_pylist()
        assert sorted(days) == DAYS[:5]
        for name in ("due", "not_settled"):
            waited_for = (STATEMENT / f"{name}.sql").read_text()
            found = project.warehouse.read(waited_for, {"first": DAYS[2], "last": DAYS[4]}).to_pylist()
            assert {row["connection"] for row in found} <= {OLD}, "a statement waits for who bills"
    with company.has(NEW) as project:
        fetch(project, NEW, DAYS)
        assert not company.due(project)
        assert company.billed_by(project) == {NEW: [*DAYS[:2], *DAYS[5:]], OLD: DAYS[2:5]}
        assert billed(project.warehouse) == truth


def test_bills_that_differ_are_one_or_two_as_their_organizations_are_and_one_without_costs_takes_no_day(
    company: Company,
) -> None:
    days, organization, truth = DAYS[:2], "12345678-1234-5678-1234-567812345678", company.truth
    company.sandbox.restate("anthropic_analytics", days[0], endpoint="cost", factor=3)
    company.sandbox.restate("anthropic", days[1], change="clear", endpoint="cost_report")
    for organizations, looks_up, billing, is_said in (
        ({}, False, {OLD, NEW}, True),
        ({OLD: "one", NEW: "two"}, False, {OLD, NEW}, False),
        ({NEW: organization}, False, {OLD, NEW}, True),
        ({OLD: "one", NEW: "one"}, False, {OLD}, False),
        ({NEW: organization}, True, {OLD}, False),
    ):
        with company.has(OLD, NEW, **organizations) as project:
            if looks_up:
                assert project.look_up(OLD, "organization").success
            fetch(project, OLD, days)
            fetch(project, NEW, days)
            of_first = dict.fromkeys(billing, days[:1])
            assert company.billed_by(project) == of_first | {NEW: days[NEW not in billing :]}, organizations
            assert billed(project.warehouse)[days[1]] == truth[days[1]], organizations
            found = [*billed_by_both(project.warehouse)]
            assert [(each.connection, each.other, each.is_proven, each.days) for each in found] == (
                [(NEW, OLD, False, 1)] if is_said else []
            ), organizations


@pytest.fixture
def terminal(terminal: Terminal, warehouse_with_views: NewWarehouse) -> Terminal:
    """A person at a company with Claude and nothing else."""
    warehouse_with_views(terminal.folder)
    return terminal


def charges(terminal: Terminal, *days: str) -> list[dict[str, str]]:
    """What the export in FOCUS has."""
    assert not terminal.type("export", "focus", *days, "--out", "focus.csv", "--force").err
    with (terminal.folder / "focus.csv").open() as file:
        return [*csv.DictReader(file)]


SUMS = """
select usage_date, workspace_id, model, usage_type, service_tier, sum(native_amount) as cents
from costs.daily_costs
where cost_basis = 'billed'
group by all
order by all
"""
"""What both reports of a connection tell apart."""


@needs("assistant")
def test_what_an_admin_key_reads_of_the_newer_report_is_traced_and_derived_again_and_a_second_key_adds_nothing(
    terminal: Terminal,
) -> None:
    terminal.set(variables(terminal.folder, [OLD]), USAGE_START_DATE=str(DAYS[0]))
    days, again = (("--start", str(first), "--end", str(DAYS[1])) for first in DAYS[:2])
    assert terminal.type("backfill", *days).code == 0
    bill = "select usage_date, allocation, user_id, api_key_id, native_amount from costs.allocated_costs order by all"
    before = terminal.warehouse.read(SUMS).to_pylist()
    terminal.sandbox.control("POST", "shape", {"anthropic_costs": "newer"})
    assert terminal.type("backfill", *again).code == 0
    # The dollars and their places stay.
    after = terminal.warehouse.read(SUMS).to_pylist()
    assert any(row["workspace_id"] is None for row in before), "the default workspace"
    assert [{**row, "cents": None} for row in after] == [{**row, "cents": None} for row in before]
    for was, now in zip(before, after, strict=True):
        assert abs(now["cents"] - was["cents"]) < Decimal("1e-9")
    assert not terminal.warehouse.read("from ledger.restatements where cause = 'provider'").num_rows
    stored = terminal.warehouse.read(bill)
    found = {row["allocation"] for row in stored.to_pylist() if row["usage_date"] == DAYS[1]}
    assert found == {"stated", "unattributed"}
    where = ("--day", str(DAYS[1]), "--where", "cost_basis=billed")
    figure = ("--table", "costs.by_day", *where, "--column", "amount_usd")
    explained = terminal.type("explain", *figure, "--verify")
    assert explained.code == 0, explained
    assert "GET v1/organizations/analytics/cost?" in explained.out
    assert terminal.type("backfill", *days, "--from-archive").code == 0
    assert terminal.warehouse.read(bill).equals(stored)
    exported = charges(terminal, *days)
    truth = {day: terminal.sandbox.truth(day, day)["anthropic"]["cents"] for day in DAYS[:2]}
    assert sum(Decimal(row["BilledCost"]) for row in exported) * 100 == sum(truth.values())
    units = {(row["ChargePeriodStart"][:10], row["ConsumedUnit"]) for row in exported}
    assert {(str(day), unit) for day in DAYS[:2] for unit in ("Tokens", "Requests")} <= units
    terminal.set(variables(terminal.folder, [OLD, NEW]))
    assert terminal.type("backfill", *days, "--connection", NEW).code == 0
    assert billed(terminal.warehouse) == truth
