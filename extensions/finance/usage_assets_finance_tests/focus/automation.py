"""Runs a project as its automation does: the daily schedule, then what is due, until nothing more changes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import dagster as dg

from usage_assets.assets.bills import note_files
from usage_assets.automation.jobs import USAGE_JOB
from usage_assets.automation.schedules import _ranges
from usage_assets.cli.backfill_runs import due_plan_of
from usage_assets.core.days import DAY, Window
from usage_assets.fetching.connected import provider_client
from usage_assets.models.connection_graph import graph_of, seeds_of
from usage_assets.models.due import WANTED, Due, State, due_days, in_words, whole_sets
from usage_assets_tests.end_to_end.conftest import Project, settings_in

MOST_ROUNDS = 12
ASSETS = (("charges",), ("charges", "daily_costs"))
"""What runs of each connection: to compute everything takes five times as long."""
STORED = ("open", "unsettled")
STALE: Collection[State] = [state for state in WANTED if state != "missing"]
"""Days that nobody serves are asked for once: the sensor lets them rest."""


@dataclass
class Automation:
    """A project, and what its last runs came to."""

    project: Project
    variables: Mapping[str, str]
    folder: Path
    assets: Sequence[tuple[str, ...]] = ASSETS
    failures: list[str] = field(default_factory=list)
    """Why runs failed since ``settle`` began, those of the last round."""

    def __post_init__(self) -> None:
        self.settings = settings_in(self.project.sandbox, self.folder, self.variables)
        self.seeds = seeds_of(self.settings)

    def settle(self, *, daily: bool = True) -> Mapping[str, Sequence[str]]:
        """Run the daily schedule once, or look at the files as ``backfill --due`` does, and then run what is due.

        Returns what of stored days is due then, in words.
        """
        self.failures = []
        (self._run_recent if daily else self._look)()
        wanted, due = WANTED, self._due()
        for _ in range(MOST_ROUNDS):
            before, failed = due, self.failures
            if not (rows := [row for row in before if row.state in wanted]):
                break
            self.failures = []
            self._run_due(rows)
            wanted, due = STALE, self._due()
            if due == before and self.failures == failed:
                break
        else:
            raise AssertionError(f"days stay due: {self.due()}")
        return in_words(row for row in due if row.state in STALE)

    def _run_recent(self) -> None:
        today = datetime.now(UTC).date()
        recent = Window(today - self.settings.usage_lookback_days * DAY, today - DAY)
        sets, due = whole_sets(self.project.warehouse), self._due()
        for each in self.settings.connections():
            unsettled = [row.day for row in due if row.connection == each.name and row.state in STORED]
            for window in _ranges(each, today, recent, unsettled, sets.get(each.name, ())):
                self._run(each.name, window)

    def _look(self) -> None:
        for each in self.settings.connections():
            with provider_client(each, self.settings) as client:
                note_files(client, self.project.warehouse, each)

    def run(self, connection: str, days: Sequence[date]) -> None:
        """Run some days, as a person does."""
        self.failures = []
        self._run(connection, Window(days[0], days[-1]))

    def _run_due(self, due: Sequence[Due]) -> None:
        sets = whole_sets(self.project.warehouse)
        for each in self.settings.connections():
            graph = graph_of(each, self.seeds[0])
            if plan := due_plan_of(each, due, graph, sets.get(each.name, ()), push=False):
                for run_plan in plan.run_plans:
                    assert run_plan.window
                    self._run(each.name, run_plan.window)

    def _run(self, connection: str, window: Window) -> None:
        result = self.project.run(USAGE_JOB, [dg.AssetKey([connection, *path]) for path in self.assets], window.days)
        for failed in result.get_step_failure_events():
            told = failed.step_failure_data.user_failure_data
            self.failures.append(str(told.description) if told else str(failed.step_failure_data.error))

    def _due(self) -> list[Due]:
        due = due_days(self.project.warehouse, self.seeds, keep=True)
        return [row for row in due if tuple(row.asset.split("/")[1:]) in self.assets]

    def due(self) -> Mapping[str, Sequence[str]]:
        """What is due of stored days, in words."""
        return in_words(row for row in self._due() if row.state in STALE)

    def late(self) -> Sequence[str]:
        """What the days that wait are waiting for."""
        rows = self.project.warehouse.read("select distinct reason from ledger.awaited_days order by all")
        return [str(row) for row in rows["reason"].to_pylist()]

    def total(self) -> Decimal:
        """What is billed in all."""
        billed = "select coalesce(sum(billed_cost), 0) as total from focus.charges where left_out_rows is null"
        if ASSETS[-1] in self.assets:
            billed = (
                "select coalesce(sum(native_amount), 0) as total from costs.daily_costs where cost_basis = 'billed'"
            )
        [row] = self.project.warehouse.read(billed).to_pylist()
        return Decimal(row["total"])
