"""A company in which nothing is wrong posts the thresholds that were crossed, and nothing else: real runs and checks on
the sandbox, the real sensor, a receiver on this machine."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path

import dagster as dg
import pytest
import time_machine

from demo.__main__ import (
    ASKED,
    OWNERS,
    Windows,
    deliver_bills,
    settings_for,
    windows_of,
    write_connections,
    write_metrics,
)
from usage_assets.automation.jobs import ACCOUNTING_JOB, LOOKUPS_JOB, USAGE_JOB
from usage_assets.build import build_definitions
from usage_assets.core.days import DAY, Window
from usage_assets.core.features import features
from usage_assets.features.alerts.alarms import COLLECTED
from usage_assets.warehouse.opened import warehouse_at
from usage_assets_sandbox.providers import BOOKS
from usage_assets_tests.end_to_end.conftest import Project, settings_of
from usage_assets_tests.ephemeral import ephemeral_instances_keep_their_connection
from usage_assets_tests.features.alerts.receiver import Receiver, receiving
from usage_assets_tests.fixtures import IS_NIGHT, NOW, TODAY, Sandbox

__all__ = ["ephemeral_instances_keep_their_connection"]

REPORT_JOB = "report_page"
THRESHOLD = re.compile(r"usage-assets: (budget|guardrail) ([^,:]+)(?:: [^,]+)?, ([-0-9]+)(?:.*?: (\d+)% of)?")
DAYS = 89
AGAIN = timedelta(days=DAYS if IS_NIGHT else 21)
"""The days that are fetched on the second day, too."""
BY_DAY = ("openai", "anthropic")
"""Whom the company asks when it is not night."""


@dataclass(frozen=True)
class Company:
    """A project whose connections are the sandbox's, with its webhook."""

    project: Project
    windows: Windows
    receiver: Receiver

    def day(self, moment: datetime, since: date) -> None:
        """Do what a day of the product does: fetch, look up, state the accounting, forecast. Then the sensor ticks."""
        with time_machine.travel(moment):
            for name, window in self.windows.items():
                if lookups := [key for key in self.project.keys_of(LOOKUPS_JOB) if key.path[0] == name]:
                    assert self.project.run(LOOKUPS_JOB, lookups).success
                assets = ["/".join(key.path[1:]) for key in self.project.keys_of(USAGE_JOB) if key.path[0] == name]
                wanted = [asset for asset in assets if IS_NIGHT or not asset.startswith("entities/")]
                days = [day for day in window.days if day >= since]
                assert self.project.fetch(name, days, *wanted).success
            assert self.project.run(ACCOUNTING_JOB, [dg.AssetKey("accounting")]).success
            left = ("port_", "port_" if IS_NIGHT else "report")  # the page says what is computed
            if "report" in features():
                report = [key for key in self.project.keys_of(REPORT_JOB) if not key.path[-1].startswith(left)]
                assert self.project.run(REPORT_JOB, report).success
        for n in (1, 2, 3):
            self.tick(moment + timedelta(minutes=10 + n))

    def tick(self, moment: datetime) -> None:
        sensor = self.project.definitions.get_repository_def().get_sensor_def("webhook_sensor")
        with (
            time_machine.travel(moment + COLLECTED),
            dg.build_sensor_context(instance=self.project.instance) as context,
        ):
            sensor.evaluate_tick(context)

    def restate(self, days: Sequence[date]) -> None:
        """Let every provider change every report of some days in each way but one that leaves nothing."""
        for name in self.windows.keys() & BOOKS.keys():
            for endpoint, change in product(BOOKS[name].endpoints, ("scale", "add", "remove")):
                self.project.sandbox.restate(name, *days, change=change, endpoint=endpoint)

    def lines(self) -> list[str]:
        """What was posted, without links."""
        return [line for text in self.receiver.texts for line in text.splitlines() if not line.startswith("run ")]

    def total(self, query: str) -> Decimal:
        """A sum over what is stored; 0 over nothing."""
        return Decimal(self.project.warehouse.read(f"select coalesce(sum({query}").column(0)[0].as_py())


@contextmanager
def company(sandbox: Sandbox, folder: Path) -> Iterator[Company]:
    """The demo's company before its first day. Its days are served on the second, too."""
    day_later = windows_of(ASKED, DAYS + 1, TODAY + DAY)
    windows = {
        name: Window(max(window.first, day_later[name].first), window.last)
        for name, window in windows_of(ASKED, DAYS, TODAY).items()
        if IS_NIGHT or name in BY_DAY
    }
    first = TODAY - DAY * DAYS
    write_connections(folder)
    write_metrics(folder, first)
    deliver_bills(sandbox.base_url, folder / "bills", first)
    accounts = settings_for(sandbox.base_url, folder)
    with pytest.MonkeyPatch.context() as patch, receiving() as receiver, dg.DagsterInstance.ephemeral() as instance:
        for name, value in accounts.items():
            patch.setenv(name, value)  # keys in the connections file, and base URLs
        wanted = {"USAGE_START_DATE": str(first), "USAGE_WEBHOOK_URL": receiver.url, "USAGE_DIGEST": "false"}
        settings = settings_of(accounts | wanted)
        project = Project(sandbox, build_definitions(settings), instance, warehouse_at(settings.warehouse), checks=True)
        assert {key.path[0] for key in project.keys_of(USAGE_JOB)} == {*ASKED}
        yield Company(project, windows, receiver)


def crossed(it: Company) -> set[tuple[str, str]]:
    """The thresholds of BUDGETS that what is stored has crossed: budget and highest percentage, guardrail and day."""
    of_team = ", ".join(f"'{id_}'" for id_, team in OWNERS.items() if team == "research")
    billed = "amount_usd), 0) from costs.daily_costs where cost_basis = 'billed' and usage_date >= date"
    spent = {
        "company": it.total(f"{billed} '2026-11-01'") / 3500,
        "research": it.total(f"{billed} '2026-10-01' and coalesce(project_id, workspace_id) in ({of_team})") / 6000,
    }
    found = {
        (name, str(max(percent for percent in (50, 80, 100) if share * 100 >= percent)))
        for name, share in spent.items()
        if share >= Decimal("0.5")
    }
    for n in range(1, 15):  # alerts are of the last two weeks
        day = TODAY - n * DAY
        used = "input_tokens + output_tokens), 0) from openai.usage_completions where model = 'gpt-5.4-nano'"
        if it.total(f"{used} and usage_date = date '{day}'") > 60_000_000:
            found.add(("nightly labels", str(day)))
    return found


def posted(lines: Sequence[str]) -> list[tuple[str, str]]:
    """The thresholds of some lines: budget and percentage, or guardrail and day."""
    found = [match.groups() for line in lines if (match := THRESHOLD.match(line))]
    return [(name, percent or day) for _, name, day, percent in found]


@pytest.mark.timeout(1800)
def test_a_fresh_company_posts_the_thresholds_that_were_crossed_and_nothing_else(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """On the first day nothing is settled. A day later the older days are, and the newest two were restated."""
    with company(sandbox, tmp_path) as it:
        it.tick(NOW - timedelta(hours=1))
        it.day(NOW, date.min)
        thresholds = crossed(it)
        it.restate([TODAY - 2 * DAY, TODAY - DAY])
        it.day(NOW + timedelta(hours=25), TODAY - AGAIN)
        thresholds |= crossed(it)
        assert thresholds
        lines = it.lines()
        odd = [line for line in lines if not THRESHOLD.match(line) and re.match(r"usage-assets: \w+ of ", line)]
        assert "\n".join(line for line in lines if not THRESHOLD.match(line) and line not in odd) == ""
        assert sorted(posted(lines)) == sorted(thresholds)
        begun = [re.findall(r"\d{4}-\d{2}-\d{2}", line)[0] for line in odd]
        assert sorted(begun) == sorted({*begun}), "one event is one alert"
