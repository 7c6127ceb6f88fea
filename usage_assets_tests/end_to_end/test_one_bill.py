"""One organization, one bill: each dollar counts once, whichever keys of Anthropic a company has, and from when on."""

import csv
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from usage_assets.features.statement import command
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days
from usage_assets.models.same_use import billed_by_both
from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import Project, hold_project, settings_in
from usage_assets_tests.terminal import Terminal

STATEMENT = Path(command.__file__).parent / "sql"
DAYS = last_days(9)[:6]
"""Days that both reports serve."""
OLD, NEW = "admin", "analytics"
BILLS = {OLD: "cost_report", NEW: "cost"}


def variables(folder: Path, names: Sequence[str], organizations: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a company with these keys."""
    entries = []
    for name, provider in ((OLD, "anthropic"), (NEW, "anthropic_analytics")):
        key = folder / f"{name}.key"
        key.write_text(f"sk-ant-{name}-sandbox")
        stated = f'organization = "{organizations[name]}"\n' if organizations and name in organizations else ""
        entries += [f'[[connection]]\nname = "{name}"\nprovider = "{provider}"\nkey = "file:{key}"\n{stated}'] * (
            name in names
        )
    file = folder / "connections.toml"
    file.write_text("\n".join(entries))
    unset = ("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY")
    return {"USAGE_CONNECTIONS": str(file), **dict.fromkeys(unset, "")}


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

    def billed(self, project: Project | Terminal) -> dict[date, Decimal]:
        """What each day costs in all, in cents."""
        rows = project.warehouse.read(
            "select usage_date, sum(amount_usd) * 100 as cents from costs.daily_costs where cost_basis = 'billed' "
            "group by usage_date"
        )
        return {row["usage_date"]: row["cents"] for row in rows.to_pylist()}

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


@pytest.fixture
def company(sandbox: Sandbox, tmp_path: Path) -> Company:
    return Company(sandbox, tmp_path)


def fetch(project: Project, name: str, days: list[date]) -> None:
    assert project.fetch(name, days, BILLS[name], f"{BILLS[name]}/daily_costs").success


def test_a_company_with_the_newer_reports_alone_is_billed_by_them(company: Company) -> None:
    with company.has(NEW) as project:
        fetch(project, NEW, DAYS)
        assert company.billed(project) == company.truth
        [row] = project.warehouse.read(
            "select sum(list_amount) as listed, bool_or(user_id is not null) as has_people from costs.daily_costs"
        ).to_pylist()
        truth = company.sandbox.truth(DAYS[0], DAYS[-1])["anthropic_analytics"]
        assert row == {"listed": truth["list_cents"], "has_people": True}
        assert project.fetch(NEW, DAYS).success
        assert project.push_of(NEW, DAYS).success
        entities = project.in_port()
        for blueprint, amount in (("ai_cost_record", "amount_usd"), ("ai_user_cost", "billed_usd")):
            found = [each[amount] for (name, _), each in entities.items() if name == blueprint]
            assert sum(found, Decimal(0)) * 100 == truth["cents"]


def test_a_second_key_takes_over_the_days_that_it_has_and_no_others(company: Company) -> None:
    with company.has(NEW) as project:
        fetch(project, NEW, DAYS)
    with company.has(OLD, NEW) as project:
        assert not company.due(project), "until its days are there, the first key bills them"
        fetch(project, OLD, DAYS[2:4])
        assert [each.is_proven for each in billed_by_both(project.warehouse)] == [True]
        assert company.due(project) == {(NEW, "billing connection changed"): DAYS[2:4]}
        company.compute_due(project)
        assert company.billed_by(project) == {NEW: [*DAYS[:2], *DAYS[4:]], OLD: DAYS[2:4]}
        assert company.billed(project) == company.truth
        assert not [*billed_by_both(project.warehouse)]


def test_a_lost_key_keeps_its_days_and_the_other_one_bills_what_follows(company: Company) -> None:
    with company.has(OLD, NEW) as project:
        fetch(project, OLD, DAYS[:4])
        fetch(project, NEW, DAYS[:4])
        assert company.billed_by(project) == {OLD: DAYS[:4]}
        assert not company.due(project)
        for name in ("due", "not_settled"):
            waited_for = (STATEMENT / f"{name}.sql").read_text()
            found = project.warehouse.read(waited_for, {"first": DAYS[0], "last": DAYS[3]}).to_pylist()
            assert {row["connection"] for row in found} <= {OLD}, "a statement waits for who bills"
    with company.has(NEW) as project:
        fetch(project, NEW, DAYS)
        assert not company.due(project)
        assert company.billed_by(project) == {OLD: DAYS[:4], NEW: DAYS[4:]}
        assert company.billed(project) == company.truth


def test_a_report_that_is_late_holds_up_nothing_that_the_other_one_bills(company: Company) -> None:
    complete = "select usage_date from costs.complete_days where connection is null and source = 'costs.daily_costs'"
    with company.has(OLD, NEW) as project:
        fetch(project, OLD, DAYS[:4])
        fetch(project, NEW, DAYS[:3])
        assert not company.due(project), "which states what is expected"
        days = project.warehouse.read(complete)["usage_date"].to_pylist()
        assert sorted(days) == DAYS[:4]


def test_a_company_that_switches_in_the_middle_of_a_month_counts_each_dollar_once(company: Company) -> None:
    with company.has(OLD) as project:
        fetch(project, OLD, DAYS[:3])
    with company.has(NEW) as project:
        fetch(project, NEW, DAYS)
        company.compute_due(project)
        assert company.billed_by(project) == {OLD: DAYS[:3], NEW: DAYS[3:]}
        assert company.billed(project) == company.truth


def test_a_day_without_costs_is_billed_by_nobody_twice(company: Company) -> None:
    cleared = {"provider": "anthropic", "endpoint": "cost_report", "days": [str(DAYS[0])], "change": "clear"}
    company.sandbox.control("POST", "restate", cleared)
    with company.has(OLD, NEW) as project:
        fetch(project, OLD, DAYS[:1])
        fetch(project, NEW, DAYS[:1])
        assert company.billed_by(project) == {NEW: DAYS[:1]}
        assert not [*billed_by_both(project.warehouse)]


@pytest.mark.parametrize(
    ("organizations", "times", "is_said"),
    [
        ({}, 2, True),
        ({OLD: "one", NEW: "one"}, 1, False),
        ({OLD: "one", NEW: "two"}, 2, False),
        ({NEW: "one"}, 2, True),
    ],
    ids=["not stated", "one", "two", "one is stated"],
)
def test_bills_that_differ_are_one_or_two_as_their_organizations_are(
    company: Company, organizations: dict[str, str], times: int, is_said: bool
) -> None:
    for day in DAYS[:2]:
        restated = {"provider": "anthropic_analytics", "endpoint": "cost", "days": [str(day)]}
        company.sandbox.control("POST", "restate", {**restated, "change": "scale", "factor": 3})
    with company.has(OLD, NEW, **organizations) as project:
        fetch(project, OLD, DAYS[:2])
        fetch(project, NEW, DAYS[:2])
        assert {name: len(days) for name, days in company.billed_by(project).items()} == (
            {OLD: 2} if times == 1 else {OLD: 2, NEW: 2}
        )
        found = [*billed_by_both(project.warehouse)]
        assert [(each.connection, each.other, each.is_proven, each.days) for each in found] == (
            [(NEW, OLD, False, 2)] if is_said else []
        )


def test_a_looked_up_organization_proves_it_without_a_setting(company: Company) -> None:
    organization = "12345678-1234-5678-1234-567812345678"
    restated = {"provider": "anthropic_analytics", "endpoint": "cost", "days": [str(DAYS[0])]}
    company.sandbox.control("POST", "restate", {**restated, "change": "scale", "factor": 3})
    with company.has(OLD, NEW, **{NEW: organization}) as project:
        assert project.look_up(OLD, "organization").success
        fetch(project, OLD, DAYS[:1])
        fetch(project, NEW, DAYS[:1])
        assert company.billed_by(project) == {OLD: DAYS[:1]}


def test_commands_alone_count_each_dollar_once_when_a_second_key_is_added(
    company: Company, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USAGE_START_DATE", str(DAYS[0]))
    for names in ([OLD], [OLD, NEW]):
        for name, value in variables(terminal.folder, names).items():
            monkeypatch.setenv(name, value)
        days = ("--start", str(DAYS[0]), "--end", str(DAYS[1]))
        assert terminal.type("backfill", *days, "--connection", names[-1]).code == 0
    assert company.billed(terminal) == {day: company.truth[day] for day in DAYS[:2]}


SUMS = """
select usage_date, workspace_id, model, usage_type, service_tier, sum(native_amount) as cents
from costs.daily_costs
where cost_basis = 'billed'
group by all
order by all
"""
"""What both reports of a connection tell apart."""


def test_an_admin_key_reads_the_newer_report_once_it_may(company: Company) -> None:
    """The days that are read from then on name people, keys and list prices. The dollars and their places stay."""
    newer = {"anthropic_costs": "newer"}
    with company.has(OLD) as project:
        assert project.look_up(OLD, "workspaces").success
        fetch(project, OLD, DAYS)
        before = project.warehouse.read(SUMS).to_pylist()
        assert any(row["workspace_id"] is None for row in before), "the default workspace"
        company.sandbox.control("POST", "shape", newer)
        fetch(project, OLD, DAYS[2:])
        assert company.billed(project) == company.truth
        after = project.warehouse.read(SUMS).to_pylist()
        assert [{**row, "cents": None} for row in after] == [{**row, "cents": None} for row in before]
        for was, now in zip(before, after, strict=True):
            assert abs(now["cents"] - was["cents"]) < Decimal("1e-9")
        named = project.warehouse.read(
            "select list(distinct usage_date order by usage_date) as days from costs.daily_costs "
            "where user_id is not null and list_amount is not null"
        )
        assert named["days"].to_pylist() == [DAYS[2:]]
        assert not project.warehouse.read("from ledger.restatements where cause = 'provider'").num_rows
        assert not company.due(project)


@pytest.fixture
def terminal(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Terminal:
    """A person at a company with Claude Enterprise and nothing else."""
    opened = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    for name, value in variables(tmp_path, [NEW]).items():
        monkeypatch.setenv(name, value)
    with (tmp_path / "connections.toml").open("a") as file:
        file.write('\n[[budget]]\nname = "all"\namount = 500\n')
    return opened


def test_a_folder_of_claude_enterprise_alone_has_every_answer_in_dollars(terminal: Terminal) -> None:
    days = ("--start", str(DAYS[0]), "--end", str(DAYS[-1]))
    truth = terminal.sandbox.truth(DAYS[0], DAYS[-1])["anthropic_analytics"]
    usd = truth["cents"] / 100
    assert terminal.type("backfill", *days).code == 0
    report = terminal.type("report", *days, "--refresh", "--text").out
    assert f"billed, valued in USD  ${usd:,.2f}" in report
    assert f"${usd:,.0f} of $500" in report, "the budget"
    assert terminal.type("statement", "--month", "2026-11", "--out", "drafts").out.splitlines()[-1] == (
        f"all 1 statements of 2026-11: ${usd:,.2f}"
    )
    assert not terminal.type("export", "focus", *days, "--out", "focus.csv").err
    with (terminal.folder / "focus.csv").open() as file:
        charges = [*csv.DictReader(file)]
    assert sum(Decimal(row["BilledCost"]) for row in charges) == usd
    assert abs(sum(Decimal(row["ListCost"]) for row in charges) - truth["list_cents"] / 100) < Decimal("1e-20")


def test_what_an_admin_key_reads_of_the_newer_report_is_traced_and_derived_again(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables(terminal.folder, [OLD]).items():
        monkeypatch.setenv(name, value)
    days = ("--start", str(DAYS[0]), "--end", str(DAYS[1]))
    assert terminal.type("backfill", *days).code == 0
    bill = "select usage_date, allocation, user_id, api_key_id, native_amount from costs.allocated_costs order by all"
    terminal.sandbox.control("POST", "shape", {"anthropic_costs": "newer"})
    again = ("--start", str(DAYS[1]), "--end", str(DAYS[1]))
    assert terminal.type("backfill", *again).code == 0
    stored = terminal.warehouse.read(bill)
    assert {row["allocation"] for row in stored.to_pylist() if row["usage_date"] == DAYS[1]} == {
        "stated",
        "unattributed",
    }
    figure = (
        "--table",
        "costs.by_day",
        "--day",
        str(DAYS[1]),
        "--where",
        "cost_basis=billed",
        "--column",
        "amount_usd",
    )
    explained = terminal.type("explain", *figure, "--verify")
    assert explained.code == 0, explained
    assert "GET v1/organizations/analytics/cost?" in explained.out
    assert terminal.type("backfill", *days, "--from-archive").code == 0
    assert terminal.warehouse.read(bill).equals(stored)
    said = terminal.type("report", *again, "--refresh", "--text")
    assert not said.code, said
    assert not terminal.type("export", "focus", *days, "--out", "focus.csv").err
    with (terminal.folder / "focus.csv").open() as file:
        charges = [*csv.DictReader(file)]
    truth = sum(terminal.sandbox.truth(day, day)["anthropic"]["cents"] for day in DAYS[:2])
    assert sum(Decimal(row["BilledCost"]) for row in charges) * 100 == truth
    units = {(row["ChargePeriodStart"][:10], row["ConsumedUnit"]) for row in charges}
    assert {(str(day), unit) for day in DAYS[:2] for unit in ("Tokens", "Requests")} <= units
