"""Random export trees: whatever happens to the files, what is stored is what they mean, or a failure is named.

Each game writes a random tree (export_trees.py), runs the project as its automation does, and then changes the tree and
runs it again, several times. ``USAGE_EXAMPLES=500`` plays so many changes; the night plays more than the day.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
import time_machine

from usage_assets.core.days import Window
from usage_assets.models.costs import used_views
from usage_assets.warehouse.views import make_views
from usage_assets_finance.bills.command import accept_days, withdrawn_days
from usage_assets_finance_tests.focus import test_bills
from usage_assets_finance_tests.focus.automation import ASSETS, Automation
from usage_assets_finance_tests.focus.export_trees import MUTATIONS, START, Clock, Tree
from usage_assets_tests.end_to_end.conftest import hold_project
from usage_assets_tests.fixtures import NOW, Sandbox

CHANGES = 5
"""Changes of one tree."""
GAMES = int(os.environ.get("USAGE_EXAMPLES", "25")) // CHANGES
FIRST = int(os.environ.get("USAGE_FIRST_SEED", "0"))
ALONE = test_bills.ALONE | {"USAGE_START_DATE": str(START), "USAGE_LOOKBACK_DAYS": "3", "USAGE_ARCHIVE": "off"}
OF_EXPORTS = """
select
  split_part(sku_id, '-', 1) as export,
  sum(billed_cost) filter (where charge_class is null) as regular
from focus.charges
where left_out_rows is null
group by all
"""
DELIVERED = """
select sum(delivered) as delivered, sum(difference) as difference
from costs.delivered
group by connection, set_name
having bool_or(delivered <> 0 or difference <> 0)
"""
STORED = "select connection, usage_date from ledger.stored_days where table_name = 'focus.charges'"


@pytest.mark.parametrize("seed", range(FIRST, FIRST + GAMES))
def test_a_tree_means_what_is_stored_or_a_failure_is_named(sandbox: Sandbox, tmp_path: Path, seed: int) -> None:
    luck, clock = Random(seed), Clock(NOW.date())
    names = ("payer", "team") if seed % 4 == 3 else ("payer",)
    trees = [Tree.grown(name, f"{n}", tmp_path / name, luck, clock) for n, name in enumerate(names)]
    variables = ALONE | connections(tmp_path, names)
    with hold_project(sandbox, tmp_path, variables) as project:
        game = Game(Automation(project, variables, tmp_path, ASSETS[: len(names)]), trees, luck, dealt(seed), clock)
        assert not game.play("begin", lambda: None)
        for _ in range(CHANGES):
            if game.play(*game.change()):
                assert not game.play("mend", game.mend)


def dealt(seed: int) -> Iterator[str]:
    """Deal the cards of a game: as many games as make one round of all mutations play each of them."""
    for n in range(seed * CHANGES, (seed + 1) * CHANGES):
        round_, card = divmod(n, len(MUTATIONS))
        yield Random(round_).sample(MUTATIONS, len(MUTATIONS))[card]


def connections(folder: Path, names: Sequence[str]) -> dict[str, str]:
    entries = [
        f'[[connection]]\nname = "{name}"\nprovider = "focus"\nfiles = "{folder / name}"\nsettling_days = 5\n'
        for name in names
    ]
    (folder / "connections.toml").write_text("\n".join(entries))
    return {"USAGE_CONNECTIONS": str(folder / "connections.toml")}


@dataclass
class Game:
    """A project, and the trees that it reads."""

    auto: Automation
    trees: Sequence[Tree]
    luck: Random
    mutations: Iterator[str]
    clock: Clock
    now: datetime = NOW - timedelta(days=1)
    story: list[str] = field(default_factory=list)

    def play(self, what: str, happens: Callable[[], object]) -> bool:
        """Let something happen, run the project a day later, and judge; return whether the files are in disorder.

        Where files keep their times, it only looks for changes at once: runs of new days read most files anyway.
        """
        daily, before = "keep_times" not in what, self.regular() if self.story else {}
        self.now += timedelta(days=1) if daily else timedelta(minutes=1)
        self.story.append(what)
        self.clock.today = self.now.date()
        with time_machine.travel(self.now):
            happens()
            if "restate" in what:
                self.hurry(before)
            return self.judge(before, self.auto.settle(daily=daily))

    def hurry(self, before: Mapping[str, Decimal]) -> None:
        """Run one stored day of each export, as a person may: none is then stored in two versions."""
        for tree in self.trees:
            for each in tree.exports:
                if days := sorted(tree.stored.get(each.name, ())):
                    self.auto.run(tree.connection, [self.luck.choice(days)])
                    now, versions = self.regular().get(each.name, 0), (before.get(each.name, 0), tree.regular(each))
                    assert now in versions, f"{each.name} is {now}, not {versions}: {self.story}"

    def change(self) -> tuple[str, Callable[[], object]]:
        """Choose what happens to a tree."""
        tree = self.luck.choice(self.trees)
        if len(self.trees) == 2 and self.luck.random() < 0.3:
            return "one account", lambda: self.trees[1].bill_to(self.trees[0].account)
        mutation = next(self.mutations)
        return f"{tree.connection} {mutation}", getattr(tree, mutation)

    def mend(self) -> None:
        """Deliver everything again, or accept what is gone."""
        for tree in self.trees:
            meaning = tree.meaning()
            if meaning.gone and not meaning.overlap and not meaning.is_empty and self.luck.random() < 0.5:
                self.story[-1] += f", {tree.connection} accepts"
                warehouse, gone = self.auto.project.warehouse, Window(min(meaning.gone), max(meaning.gone))
                found = withdrawn_days(warehouse, tree.connection, gone)
                assert {row.day for row in found} == meaning.gone, self.story
                accept_days(warehouse, tree.connection, found, "ann")
                tree.accept()
            else:
                tree.mend()

    def regular(self) -> Mapping[str, Decimal]:
        """What is stored of each export, without corrections."""
        rows = self.auto.project.warehouse.read(OF_EXPORTS).to_pylist()
        return {row["export"]: row["regular"] or Decimal() for row in rows}

    def account_for_all(self, told: str) -> None:
        """Compare what the files that are there deliver with where it is: each cent is in one place."""
        with self.auto.project.warehouse.transaction(keep=False) as database:
            make_views(database, used_views(["costs.delivered"]))
            rows = database.execute(DELIVERED).fetchall()
        assert not any(difference for _, difference in rows), told
        found = [delivered for delivered, _ in rows if delivered is not None]
        there = [each for tree in self.trees for each in tree.there() if each.is_complete]
        if len(found) == len(there):
            assert sorted(found) == sorted(
                sum((each.amount for each in export.charges), Decimal()) for export in there
            ), told

    def judge(self, before: Mapping[str, Decimal], due: Mapping[str, Sequence[str]]) -> bool:
        """Compare what is stored with what the files mean; return whether they are in disorder, which must be said."""
        meanings = [tree.meaning() for tree in self.trees]
        told = f"{self.story}\nfailures: {self.auto.failures}\ndue: {due}\nfiles: {meanings}"
        for tree, meaning in zip(self.trees, meanings, strict=True):
            if not meaning.overlap and not meaning.is_empty:
                tree.store(self.clock.today - timedelta(days=1))
        now = self.regular()
        tree_of = {export.name: tree for tree in self.trees for export in tree.exports}
        for export in (export for tree in self.trees for export in tree.exports):
            versions = (before.get(export.name, 0), tree_of[export.name].regular(export))
            assert now.get(export.name, 0) in versions, (
                f"{export.name} is {now.get(export.name)}, not {versions}: {told}"
            )
        if any(meaning.must_fail for meaning in meanings):
            assert self.auto.failures, told
            return True
        assert not self.auto.failures, told
        self.account_for_all(told)
        if any(meaning.waits for meaning in meanings):
            assert any("missing" in each or "no manifest" in each for each in self.auto.late()), told
            return True
        assert not due, told
        assert self.auto.total() == sum(tree.total() for tree in self.trees), told
        stored = {
            (row["connection"], row["usage_date"]) for row in self.auto.project.warehouse.read(STORED).to_pylist()
        }
        assert stored == {(tree.connection, day) for tree in self.trees for day in tree.days()}, told
        shared = len(self.trees) == 2 and not self.trees[0].keys().isdisjoint(self.trees[1].keys())
        if len(self.trees) == 2:
            found = self.auto.project.warehouse.read("select 1 from costs.billed_twice where accounts is not null")
            assert bool(found.num_rows) == shared, told
        return shared
