"""Runs and pushes that overlap: the newest answer stays, and Port ends up equal to the tables."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import tenacity

from usage_assets.assets import raw
from usage_assets.core.blueprints import CONNECTION
from usage_assets.features.port import ledger as port_ledger
from usage_assets.features.port import push as port_push
from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.sync import Changes, PushReport, push
from usage_assets.fetching.control_totals import fetch_with_totals
from usage_assets_tests.conftest import last_days
from usage_assets_tests.end_to_end.conftest import Project
from usage_assets_tests.end_to_end.test_refusals import failures

DAYS = last_days(2)
ASSETS = ("costs", "usage_completions", "entities/openai_daily_usage", "entities/openai_model_usage")


@pytest.fixture
def project(small_project: Project) -> Project:
    """What overlaps does so whatever else is fetched."""
    return small_project


def restate(project: Project) -> None:
    """Let OpenAI change the first day."""
    project.sandbox.control("POST", "restate", {"provider": "openai", "days": [str(DAYS[0])], "change": "scale"})


def overtaken_by(monkeypatch: pytest.MonkeyPatch, other_run: Callable[[], None]) -> None:
    """Let another run do something between the next run's whole answer and its write."""
    overtaken = iter([True])

    def slow_fetch(*arguments: Any, **options: Any) -> Any:
        answer = fetch_with_totals(*arguments, **options)
        if next(overtaken, False):
            other_run()
        return answer

    monkeypatch.setattr(raw, "fetch_with_totals", slow_fetch)


def test_an_older_answer_does_not_replace_a_newer_one_unless_it_is_equal(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched() -> None:
        assert project.fetch("openai", DAYS, "costs").success

    def restated_and_fetched() -> None:
        restate(project)
        fetched()

    overtaken_by(monkeypatch, fetched)
    fetched()
    overtaken_by(monkeypatch, restated_and_fetched)
    result = project.fetch("openai", DAYS, "costs")
    assert not result.success
    assert "stored a newer answer while this one was fetched" in failures(result)["openai__costs"]
    assert project.totals_of("openai usd") == {"openai usd": project.truth(DAYS)["openai usd"]}


def push_overtaken_by(monkeypatch: pytest.MonkeyPatch, other: Callable[[], None]) -> None:
    """Let another run do something before the next push sends what it has read."""
    overtaken = iter([True])

    def overtaken_push(client: PortClient, changes: Changes, ledger: Any) -> PushReport:
        if next(overtaken, False):
            other()
        return push(client, changes, ledger)

    monkeypatch.setattr(port_push, "push", overtaken_push)


def restated(project: Project) -> None:
    """Store a day that has changed."""
    restate(project)
    assert project.fetch("openai", DAYS, *ASSETS).success


def pushed(project: Project) -> None:
    assert project.push_of("openai", DAYS).success


def test_pushes_that_overlap_end_with_port_equal_to_the_tables(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project.fetch("openai", DAYS, *ASSETS).success
    an_acknowledgement_that_another_push_has_overtaken_is_not_believed(project, monkeypatch)

    def restated_and_pushed() -> None:
        restated(project)
        pushed(project)

    restated(project)
    push_overtaken_by(monkeypatch, restated_and_pushed)
    pushed(project)
    assert project.in_port() == project.entities()


@contextmanager
def acknowledgements_held_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Collect what the ledger would be told instead of telling it."""
    held: list[Any] = []
    tell = port_ledger.PortLedger.acknowledge

    def keep(ledger: port_ledger.PortLedger, *arguments: Any) -> None:
        held.append(lambda: tell(ledger, *arguments))

    with monkeypatch.context() as patch:
        patch.setattr(port_ledger.PortLedger, "acknowledge", keep)
        patch.setattr(port_push, "ROUNDS", port_push.ROUNDS.copy(stop=tenacity.stop_after_attempt(1)))
        yield held


def an_acknowledgement_that_another_push_has_overtaken_is_not_believed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with acknowledgements_held_back(monkeypatch) as late:
        project.push_of("openai", DAYS)
    restated(project)
    pushed(project)
    for tell in late:
        tell()
    lines = [row for row in project.rows("ledger.port_entities") if row["blueprint"] != CONNECTION]
    assert {row["content_hash"] for row in lines} == {""}
    pushed(project)
    assert project.in_port() == project.entities()
