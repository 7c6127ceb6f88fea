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
from usage_assets_tests.conftest import last_days
from usage_assets_tests.end_to_end.conftest import Project, hold_project
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


def port_of(project: Project) -> PortClient:
    """The emulated Port."""
    return PortClient(f"{project.sandbox.base_url}/port", "sandbox-client-id", "sandbox-client-secret")


def overtaken_by(monkeypatch: pytest.MonkeyPatch, other_run: Callable[[], None]) -> None:
    """Let another run do something between the next run's whole answer and its write."""
    overtaken = iter([True])

    def slow_fetch(*arguments: Any, **options: Any) -> Any:
        answer = fetch_with_totals(*arguments, **options)
        if next(overtaken, False):
            other_run()
        return answer

    monkeypatch.setattr(raw, "fetch_with_totals", slow_fetch)


def test_an_older_answer_does_not_replace_a_newer_one(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project.fetch("openai", DAYS, "costs").success

    def restated_and_fetched() -> None:
        restate(project)
        assert project.fetch("openai", DAYS, "costs").success

    overtaken_by(monkeypatch, restated_and_fetched)
    restate(project)
    result = project.fetch("openai", DAYS, "costs")

    assert not result.success
    assert "stored a newer answer while this one was fetched" in failures(result)["openai__costs"]
    assert project.totals_of("openai usd") == {"openai usd": project.truth(DAYS)["openai usd"]}


def test_an_equal_answer_of_an_overlapping_run_is_no_conflict(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched() -> None:
        assert project.fetch("openai", DAYS, "costs").success

    overtaken_by(monkeypatch, fetched)
    assert project.fetch("openai", DAYS, "costs").success


def test_a_push_that_is_overtaken_by_another_one_ends_with_port_equal_to_the_tables(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project.fetch("openai", DAYS, *ASSETS).success
    overtaken = iter([True])

    def overtaken_push(client: PortClient, changes: Changes, ledger: Any) -> PushReport:
        if next(overtaken, False):  # what this push is about to send is old by the time it is sent
            restate(project)
            assert project.fetch("openai", DAYS, *ASSETS).success
            assert project.push_of("openai", DAYS).success
        return push(client, changes, ledger)

    monkeypatch.setattr(port_push, "push", overtaken_push)
    assert project.push_of("openai", DAYS).success
    assert project.in_port() == project.entities()


def test_a_push_does_not_tell_port_the_state_that_it_saw_when_it_began(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project.fetch("openai", DAYS[:1], "costs", "usage_completions").success
    overtaken = iter([True])

    def overtaken_push(client: PortClient, changes: Changes, ledger: Any) -> PushReport:
        if next(overtaken, False):
            assert project.fetch("openai", DAYS[1:], "costs", "usage_completions").success
            assert project.push_state_of("openai").success
        return push(client, changes, ledger)

    monkeypatch.setattr(port_push, "push", overtaken_push)
    assert project.push_state_of("openai").success
    with port_of(project) as port:
        shown = port.get_entity(CONNECTION, "openai")
    assert shown
    assert shown["properties"]["last_closed_day"] == f"{DAYS[-1]}T00:00:00Z"


def test_two_pushes_that_go_on_in_step_come_to_an_end(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each marks what the other one is sending, so nobody's answer counts, until one of them waits."""
    assert project.fetch("openai", DAYS, *ASSETS).success
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
    assert project.push_of("openai", DAYS).success
    assert project.in_port() == project.entities()


MAIN = {"openai": {"costs", "usage_completions"}, "anthropic": {"usage_messages", "cost_report", "claude_code"}}
"""The endpoints that are fetched first."""


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


def test_an_acknowledgement_that_another_push_has_overtaken_is_not_believed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project.fetch("openai", DAYS, *ASSETS).success
    assert project.push_state_of("openai").success
    with acknowledgements_held_back(monkeypatch) as late:
        project.push_of("openai", DAYS)
    restate(project)
    assert project.fetch("openai", DAYS, *ASSETS).success
    assert project.push_of("openai", DAYS).success
    for tell in late:
        tell()
    lines = [row for row in project.rows("ledger.port_entities") if row["blueprint"] != CONNECTION]
    assert {row["content_hash"] for row in lines} == {""}
    assert project.push_of("openai", DAYS).success
    assert project.in_port() == project.entities()


@pytest.mark.parametrize(
    ("connection", "key", "off"),
    [
        ("openai", "sk-admin-sandbox", "costs"),
        ("anthropic", "sk-ant-admin-sandbox", "cost_report"),
        ("anthropic", "sk-ant-admin-sandbox", "claude_code"),
    ],
)
def test_costs_that_are_switched_off_stay_and_port_has_what_the_views_have(
    project: Project, tmp_path: Path, connection: str, key: str, off: str
) -> None:
    """Also where they were switched off before the push of what was stored."""
    assert project.fetch(connection, DAYS[:1]).success
    (tmp_path / "some.key").write_text(key)
    connections = tmp_path / "connections.toml"
    others = {endpoint.name for endpoint in PROVIDERS[connection].endpoints} - MAIN[connection]
    connections.write_text(
        f'[[connection]]\nname = "{connection}"\nprovider = "{connection}"\nkey = "file:{tmp_path / "some.key"}"\n'
        f"endpoints = {{ {', '.join(f'{name} = false' for name in {*others, off})} }}\n"
    )
    variables = dict.fromkeys(("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY"), "")
    with hold_project(project.sandbox, tmp_path, variables | {"USAGE_CONNECTIONS": str(connections)}) as without:
        assert without.fetch(connection, DAYS).success
        assert without.push_of(connection, DAYS).success
        assert without.in_port() == without.entities()
        for basis in ("billed", "estimated"):
            (of_views,) = without.rows(
                f"(select sum(amount_usd) as usd from costs.by_day where cost_basis = '{basis}')"
            )
            (of_projects,) = without.rows(
                f"(select sum(amount_usd) as usd from port_entities.ai_cost_record where cost_basis = '{basis}')"
            )
            (of_people,) = without.rows(f"(select sum({basis}_usd) as usd from port_entities.ai_user_cost)")
            assert of_projects == of_views
            assert of_people["usd"] == of_views["usd"] or not (of_people["usd"] or of_views["usd"])
        unknown = without.rows("(select distinct usage_date from port_entities.ai_user_cost where billed_usd is null)")
        assert [row["usage_date"] for row in unknown] == (DAYS[1:] if off == "cost_report" else [])


def test_an_endpoint_that_is_off_keeps_its_entities_in_port(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project.fetch("anthropic", DAYS).success
    assert project.push_of("anthropic", DAYS).success
    before = project.in_port()
    connections = tmp_path / "connections.toml"
    connections.write_text(
        '[[connection]]\nname = "anthropic"\nprovider = "anthropic"\nkey = "env:KEY_OF_CLAUDE"\n'
        "endpoints = { claude_code = false }\n"
    )
    monkeypatch.setenv("KEY_OF_CLAUDE", "sk-ant-admin-sandbox")
    variables = {"ANTHROPIC_ADMIN_KEY": "", "USAGE_CONNECTIONS": str(connections)}
    with hold_project(project.sandbox, tmp_path, variables) as without:
        assert without.push_of("anthropic", DAYS).success
        assert without.in_port() == before
