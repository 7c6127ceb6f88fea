"""Copilot that is paid through Azure: GitHub and Azure's files bill the same use, which is named and left out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import Project, open_project
from usage_assets_tests.focus_files import on, write
from usage_assets_tests.terminal import Terminal

DAYS = last_days(2)
MICROSOFT = dict.fromkeys(("ProviderName", "PublisherName", "InvoiceIssuerName"), "Microsoft")
COPILOT = {"ServiceName": "GitHub", "SkuMeter": "GitHub Copilot Business", "ChargeDescription": "Seats", **MICROSOFT}
MODELS = {"ServiceName": "Azure OpenAI", "SkuMeter": "gpt 5 Inp glbl Tokens", "ChargeDescription": "Input", **MICROSOFT}
READ = {
    "copilot": ("billing_usage", "billing_usage/daily_costs"),
    "azure": ("charges", "charges/daily_costs"),
}


def variables(sandbox: Sandbox, folder: Path, services: str) -> Mapping[str, str]:
    """A connection of GitHub Copilot, and one that reads Azure's files."""
    file = folder / "connections.toml"
    (folder / "token").write_text("github-copilot-sandbox-token")
    file.write_text(
        '[[connection]]\nname = "copilot"\nprovider = "github_copilot"\norganization = "acme-robotics"\n'
        f'key = "file:{folder / "token"}"\nbase_url = "{sandbox.base_url}/github_copilot"\n'
        f'[[connection]]\nname = "azure"\nprovider = "focus"\nfiles = "{folder / "bills"}"\n'
        f"filters = {{ services = [{services}] }}\n"
    )
    without = dict.fromkeys(("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY"), "")
    return without | {"USAGE_CONNECTIONS": str(file)}


def told(project: Project, connection: str) -> list[str]:
    """What the check of a bill of several vendors says after a fetch."""
    result = replace(project, checks=True).fetch(connection, DAYS, *READ[connection])
    assert result.success
    found = [each for each in result.get_asset_check_evaluations() if each.check_name == "billed_twice"]
    return [str(each.description) for each in found if each.partition]


def billed(project: Project) -> Decimal:
    [row] = project.warehouse.read(
        "select sum(amount_usd) as usd from costs.daily_costs where cost_basis = 'billed'"
    ).to_pylist()
    return Decimal(row["usd"])


def test_a_bill_that_is_there_twice_is_named_until_its_service_is_left_out(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    seats, models = Decimal("7.25"), Decimal("1.5")
    charges = [on(str(day), **COPILOT, BilledCost=str(seats)) for day in DAYS]
    charges += [on(str(day), **MODELS, BilledCost=str(models)) for day in DAYS]
    write(tmp_path / "bills" / "november.csv", charges)
    once = sandbox.truth(DAYS[0], DAYS[-1])["github_copilot"]["seats_usd"] + 2 * models
    environment = variables(sandbox, tmp_path, '"Azure OpenAI*", "GitHub*"')
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def doctor() -> list[str]:
        return [line for line in terminal.type("doctor", "--all").lines if "counted twice" in line]

    with open_project(sandbox, tmp_path, environment) as project:
        assert told(project, "copilot") == []
        said = told(project, "azure")
        start = "GitHub is in this bill with $7.25, and connection copilot bills $"
        assert [text.startswith(start) for text in said] == [True] * 2
        assert billed(project) == once + 2 * seats, "a warning changes no number"
    reported = terminal.type("report", "--text", "--start", str(DAYS[0]), "--end", str(DAYS[-1])).lines
    assert "azure: $14.50 of GitHub is in the bill of copilot, too" in reported
    [line] = doctor()
    assert "connections azure and copilot" in line
    assert "both bill GitHub on 2 days, so $14.50 of azure is counted twice" in line
    with open_project(sandbox, tmp_path, variables(sandbox, tmp_path, '"Azure OpenAI*"')) as project:
        assert told(project, "azure") == []
        assert billed(project) == once
    assert doctor() == []


def test_a_bill_that_two_connections_store_is_not_issued(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Found: a bill of $310 was issued as $620."""
    terminal = Terminal.open(sandbox, tmp_path, monkeypatch, capfd)
    october = {"BillingPeriodStart": "2026-10-01T00:00:00Z", "BillingPeriodEnd": "2026-11-01T00:00:00Z"}
    days = [date(2026, 10, day) for day in range(1, 32)]
    entries = ""
    for name in ("one", "two"):
        write(tmp_path / name / "october.csv", [on(str(day), **october, BilledCost="10") for day in days])
        entries += f'[[connection]]\nname = "{name}"\nprovider = "focus"\nfiles = "{tmp_path / name}"\n'
    (tmp_path / "connections.toml").write_text(entries)
    for name in ("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USAGE_CONNECTIONS", "connections.toml")
    issue = ("statement", "--month", "2026-10", "--out", "out", "--all", "--issue", "--accept-provisional")
    fetch = ("backfill", "--start", str(days[0]), "--end", str(days[-1]))
    assert terminal.type(*fetch).code == 1, "the check says it, too"
    said = terminal.type(*issue)
    assert said.code == 2
    assert "one/daily_costs: the check account_billed_twice fails on 2026-10-01 to 2026-10-31" in said.err
    assert not (tmp_path / "out").exists()
    (tmp_path / "connections.toml").write_text(entries.partition('[[connection]]\nname = "two"')[0])
    assert terminal.type("connection", "remove", "two", "--yes").code == 0
    assert terminal.type(*fetch).code == 0
    assert terminal.type(*issue).lines[-1] == "all 1 statements of 2026-10: $310.00"
