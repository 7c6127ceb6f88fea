"""Runs and pushes that overlap: the newest answer stays, and Port ends up equal to the tables."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
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
from usage_assets.providers import PROVIDERS
from usage_assets_tests.end_to_end.conftest import Project, hold_project
from usage_assets_tests.end_to_end.test_refusals import failures
from usage_assets_tests.fixtures import NO_KEYS, Sandbox, last_days
from usage_assets_tests.port_user import port_of

DAYS = last_days(2)
ASSETS = ("costs", "usage_completions", "entities/openai_daily_usage", "entities/openai_model_usage")


@pytest.fixture
def project(small_project: Project) -> Project:
    """What overlaps does so whatever else is fetched."""
    return small_project


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
        project.sandbox.restate("openai", DAYS[0])
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
    project.sandbox.restate("openai", DAYS[0])
    assert project.fetch("openai", DAYS, *ASSETS).success


def pushed(project: Project) -> None:
    assert project.push_of("openai", DAYS).success


def test_pushes_that_overlap_end_with_port_equal_to_the_tables(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A push does not tell Port the state that it saw when it began.
    assert project.fetch("openai", DAYS[:1], *ASSETS[:2]).success

    def another_day() -> None:
        assert project.fetch("openai", DAYS[1:], *ASSETS[:2]).success
        assert project.push_state_of("openai").success

    push_overtaken_by(monkeypatch, another_day)
    assert project.push_state_of("openai").success
    with port_of(project.sandbox) as port:
        shown = port.get_entity(CONNECTION, "openai")
    assert shown
    assert shown["properties"]["last_closed_day"] == f"{DAYS[-1]}T00:00:00Z"
    assert project.fetch("openai", DAYS, *ASSETS).success
    an_acknowledgement_that_another_push_has_overtaken_is_not_believed(project, monkeypatch)

    def restated_and_pushed() -> None:
        restated(project)
        pushed(project)

    restated(project)
    push_overtaken_by(monkeypatch, restated_and_pushed)
    pushed(project)
    assert project.in_port() == project.entities()
    restated(project)
    # Two pushes that go on in step come to an end. Each marks what the other one is sending, so nobody's answer
    # counts, until one of them waits.
    mark, others_rounds, waits = port_ledger.PortLedger.mark, iter(range(100)), iter([True])

    def mark_of_both(ledger: port_ledger.PortLedger, lines: Any, push: str) -> None:
        mark(ledger, lines, push)
        if next(others_rounds, None) is not None:
            mark(ledger, lines, "the other push")

    def wait(_: float) -> None:
        assert next(waits), "once is enough"
        assert [*others_rounds], "meanwhile the other one has done the rest of its rounds"

    monkeypatch.setattr(port_ledger.PortLedger, "mark", mark_of_both)
    monkeypatch.setattr(port_push.ROUNDS, "sleep", wait)
    pushed(project)
    assert next(waits, None) is None
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


def with_endpoints_off(folder: Path, *off: str) -> dict[str, str]:
    """Variables of Anthropic without these, and without what is not one of its main endpoints."""
    main = {"usage_messages", "cost_report", "claude_code"}.difference(off)
    switches = ", ".join(f"{each.name} = false" for each in PROVIDERS["anthropic"].endpoints if each.name not in main)
    key, connections = folder / "some.key", folder / "connections.toml"
    key.write_text("sk-ant-admin-sandbox")
    entry = f'name = "anthropic"\nprovider = "anthropic"\nkey = "file:{key}"\nendpoints = {{ {switches} }}'
    connections.write_text(f"[[connection]]\n{entry}\n")
    return {**dict.fromkeys(NO_KEYS, ""), "USAGE_CONNECTIONS": str(connections)}


def test_what_is_switched_off_stays_and_port_has_what_the_views_have(sandbox: Sandbox, tmp_path: Path) -> None:
    """Also where costs were switched off before the push of what was stored."""
    with hold_project(sandbox, tmp_path, with_endpoints_off(tmp_path)) as project:
        assert project.fetch("anthropic", DAYS[:1]).success
    with hold_project(sandbox, tmp_path, with_endpoints_off(tmp_path, "cost_report")) as without:
        assert without.fetch("anthropic", DAYS).success
        assert without.push_of("anthropic", DAYS).success
        before = without.in_port()
        assert before == without.entities()
        for basis in ("billed", "estimated"):
            of_views, of_projects, of_people = (
                without.warehouse.read(f"select sum({amount}) as usd from {table}")["usd"][0].as_py()
                for amount, table in (
                    ("amount_usd", f"costs.by_day where cost_basis = '{basis}'"),
                    ("amount_usd", f"port_entities.ai_cost_record where cost_basis = '{basis}'"),
                    (f"{basis}_usd", "port_entities.ai_user_cost"),
                )
            )
            assert of_views == of_projects == of_people > 0, basis
        unknown = without.rows(
            "(select usage_date from port_entities.ai_user_cost group by all having count(billed_usd) = 0)"
        )
        assert [row["usage_date"] for row in unknown] == DAYS[1:]
    with hold_project(sandbox, tmp_path, with_endpoints_off(tmp_path, "cost_report", "claude_code")) as without:
        assert without.push_of("anthropic", DAYS).success
        assert without.in_port() == before
        assert "claude_code_analytics" in {blueprint for blueprint, _ in before}
