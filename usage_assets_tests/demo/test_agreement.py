"""What the report, the tables, Port, the digest and the alerts say is read as people read it, and compared."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
import time_machine

from demo.agreement import Said, differences, everything_said, messages_of
from usage_assets.warehouse.database import Warehouse
from usage_assets_report.graph.sensor import REPORT_JOB
from usage_assets_report.in_port import PORT_INSIGHTS
from usage_assets_tests.end_to_end.conftest import open_project, with_endpoints
from usage_assets_tests.fixtures import NOW, Sandbox, execute, last_days, running_sandbox
from usage_assets_tests.port_user import port_of, port_user

DAYS = last_days(21)
MONTH = DAYS[-1].replace(day=1)
BUDGETS = """
[[budget]]
name = "company"
amount = 100

[[budget]]
name = "openai"
connection = "openai"
amount = 100000
period = "quarter"
"""


@dataclass(frozen=True)
class Company:
    """A company after the report was written, and everything that people read of it."""

    sandbox: Sandbox
    warehouse: Warehouse
    page: str
    messages: Mapping[str, Sequence[str]]
    push: Callable[[], object]
    """Make Port equal to the tables."""

    def said(self) -> list[Said]:
        """What each place says."""
        with port_of(self.sandbox) as port:
            return everything_said(self.page, self.warehouse, port, self.messages, DAYS[-1])

    def differences(self) -> list[str]:
        """What two places do not say alike."""
        return differences(self.said())


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Three weeks of costs of OpenAI, with budgets."""
    folder = tmp_path_factory.mktemp("read")
    variables = with_endpoints(folder, "costs")
    with Path(variables["USAGE_CONNECTIONS"]).open("a") as connections:
        connections.write(BUDGETS)
    with (
        running_sandbox() as url,
        httpx.Client(base_url=url, timeout=30) as switches,
        time_machine.travel(NOW, tick=False),
        open_project(Sandbox(url, switches), folder, variables | {"USAGE_DIGEST": "true"}) as project,
    ):
        project.sandbox.control("POST", "clock", {"now": NOW.isoformat()})
        assert project.fetch("openai", DAYS, "costs", "costs/daily_costs", "costs/allocated_costs").success
        result = project.run(REPORT_JOB, [*project.keys_of(REPORT_JOB)])
        assert result.success
        events: list[Mapping[str, Any]] = [
            {
                "evaluation": {
                    "checkName": check.check_name,
                    "metadataEntries": [{"label": name, "text": value.value} for name, value in check.metadata.items()],
                }
            }
            for check in result.get_asset_check_evaluations()
        ]
        events += [
            {"metadataEntries": [{"label": name, "text": value.value} for name, value in seen.metadata.items()]}
            for event in result.all_events
            if event.is_asset_observation
            for seen in [event.asset_observation_data.asset_observation]
        ]
        push = partial(project.run, REPORT_JOB, [dg.AssetKey(PORT_INSIGHTS)])
        page = (folder / "report.html").read_text()
        yield Company(project.sandbox, project.warehouse, page, messages_of(events), push)


def test_everything_that_people_read_says_the_same(company: Company) -> None:
    assert company.differences() == []


def test_each_place_is_read(company: Company) -> None:
    """A place that is not read cannot differ."""
    said = company.said()
    month = {each.place for each in said if (each.subject, each.figure) == ("everything", "so far") and each.value}
    assert month == {
        "the stored costs",
        "the first answer",
        "the report",
        "its forecast",
        "the tables",
        "its budget company",
        "the digest",
    }
    spent = {
        each.place
        for each in said
        if each.subject.startswith("budget company") and each.figure == "so far" and each.value
    }
    assert spent == {"the report", "the tables", "Port", "an alert"}


def after(page: str, start: str, pattern: str) -> str:
    """A page whose first amount of this pattern, after a start, has another first digit."""
    head, found, tail = page.partition(start)
    assert found
    return head + found + re.sub(pattern, r"\g<0>9", tail, count=1)


DAMAGES: Mapping[str, Callable[[Company], Company]] = {
    "the first answer": lambda company: replace(company, page=after(company.page, 'id="a1"', r'data-exact="')),
    "the report": lambda company: replace(
        company, page=after(company.page, 'class="cards"', r'class="figure"[^>]*>\$')
    ),
    "its forecast": lambda company: replace(
        company, page=after(company.page, '<article id="forecast"', r'class="number">\$')
    ),
    "the digest": lambda company: replace(
        company,
        messages={**company.messages, "digest": [after("\n".join(company.messages["digest"]), "so far: ", r"\$")]},
    ),
    "an alert": lambda company: replace(
        company,
        messages={**company.messages, "budgets": [after(company.messages["budgets"][0], "reached on ", r": \$")]},
    ),
}
"""A place -> the company with one amount wrong there."""


@pytest.mark.parametrize("place", DAMAGES)
def test_an_amount_that_one_place_says_otherwise_is_one_line_that_names_the_place(company: Company, place: str) -> None:
    [line] = DAMAGES[place](company).differences()
    assert f"{place}: 9" in line


def test_a_row_that_was_changed_since_is_found(company: Company) -> None:
    change = "update costs.budget_status set provisional = provisional + {} where budget = 'company'"
    try:
        execute(company.warehouse, change.format("0.01"))
        lines = company.differences()
    finally:
        execute(company.warehouse, change.format("-0.01"))
    assert any(line.startswith(f"budget company from {MONTH}, so far: ") for line in lines)


def test_an_entity_that_is_edited_or_missing_in_port_is_found(company: Company) -> None:
    with port_user(company.sandbox) as user:
        identifier = f"budget/company/{MONTH}"
        user.edit("ai_budget", identifier, {"properties": {"spent": 1.5}})
        [line] = company.differences()
        assert line.startswith(f"budget company from {MONTH}, so far: ")
        assert "Port: 1.50" in line
        user.delete("ai_budget", identifier)
        assert any("Port: nothing" in line for line in company.differences())
    company.push()
    assert company.differences() == [], "a push repairs it"


def test_two_figures_are_equal_if_their_cents_are() -> None:
    said = [Said("Port", "everything", "so far", "1.00"), Said("the report", "everything", "so far", "1.01")]
    assert differences(said) == ["everything, so far: Port: 1.00; the report: 1.01"]
    assert differences(said[:1] * 2) == []
    assert differences([said[0], said[0]._replace(value="")]) == ["everything, so far: Port says 1.00, and "]


def test_port_need_not_have_a_budget_that_ended_long_ago(company: Company) -> None:
    """A quarter's, from the 60th day after it to the end of the next one."""
    before = company.differences()
    earlier = "* replace (first_day - 120 as first_day, last_day - 120 as last_day)"
    try:
        execute(company.warehouse, f"insert into costs.budget_status select {earlier} from costs.budget_status")
        assert company.differences() == before
    finally:
        execute(company.warehouse, "delete from costs.budget_status where last_day < date '2026-09-20'")
