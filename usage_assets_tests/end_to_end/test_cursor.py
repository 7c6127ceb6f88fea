"""Cursor: from the sandbox's books to costs, FOCUS and Port, and people from events to names."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

import dagster as dg
import pytest

from usage_assets.assets.posted import ONLY_SHOWN
from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import Project, open_project, told_once

DAYS = last_days(3)
IS_KNOWN = "(user_id like '%@acme-robotics.example' or user_name = 'Nightly CI Agent')"


@pytest.fixture(scope="module")
def editors(
    request: pytest.FixtureRequest, sandbox_process: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """A project with one connection, whose days are stored and pushed."""
    folder = tmp_path_factory.mktemp("editors")
    connections, key = folder / "connections.toml", folder / "key"
    key.write_text("key_cursor-sandbox")
    connections.write_text(
        f'[[connection]]\nname = "editors"\nprovider = "cursor"\nkey = "file:{key}"\nrequests_per_second = 100\n'
    )
    environment = {"USAGE_CONNECTIONS": str(connections), "CURSOR_BASE_URL": f"{sandbox_process.base_url}/cursor"}
    with told_once(request, sandbox_process, folder), open_project(sandbox_process, folder, environment) as project:
        assert project.fetch("editors", DAYS).success
        assert project.push_of("editors", DAYS).success
        yield project


def test_every_billed_cent_reaches_costs_people_focus_and_port_once(editors: Project) -> None:
    books = editors.sandbox.truth(DAYS[0], DAYS[-1])["cursor"]
    billed, included = (books[f"{charge}_cents"] / 100 for charge in ("billed", "included"))
    assert min(billed, included, books["own_key_cents"], books["not_charged_cents"]) > 0
    for amount, dollars in (
        ("amount_usd) from costs.daily_costs where provider = 'cursor' and cost_basis = 'billed'", billed),
        ("amount_usd) from costs.daily_costs where provider = 'cursor' and cost_basis = 'notional'", included),
        ("amount_usd) from costs.daily_costs", billed + included),
        (f"amount_usd) from costs.by_user where cost_basis = 'billed' and {IS_KNOWN}", billed),
        ("amount_usd) from costs.by_actor where cost_basis = 'billed' and actor_kind <> 'unknown'", billed),
        ("BilledCost) from costs.focus where ServiceName = 'Cursor'", billed),
        (
            "amount_usd) from port_entities.ai_cost_record where connection = 'editors' and cost_basis = 'billed'",
            billed,
        ),
    ):
        [total] = editors.warehouse.read(f"select sum({amount}").column(0).to_pylist()
        assert total == dollars, amount
    assert editors.in_port() == editors.entities()
    [exported] = editors.warehouse.read(
        "select sum(ConsumedQuantity)::bigint as n, list(distinct ConsumedUnit) as units from costs.focus "
        "where ServiceName = 'Cursor'"
    ).to_pylist()
    [stored] = editors.warehouse.read(
        "select sum(events)::bigint as n, sum(events) filter (where charge = 'billed')::bigint as billed, "
        "sum(charged_cents) as cents from cursor.usage_events"
    ).to_pylist()
    assert exported == {"n": stored["billed"], "units": ["Requests"]}
    assert stored["n"] == books["events"]
    assert stored["cents"] == sum(
        (books[f"{charge}_cents"] for charge in ("billed", "included", "own_key", "not_charged")), Decimal(0)
    )
    assert editors.look_up("editors").success
    [names] = editors.warehouse.read(
        "select count(*) as people, count(member_id) as known, count(name) as names from cursor.members"
    ).to_pylist()
    assert names == {"people": 10, "known": 10, "names": 0}, "names of people are kept where that is asked for"


def test_a_service_account_is_an_actor_with_a_name_and_its_own_dollars(editors: Project) -> None:
    [cents] = editors.warehouse.read(
        "select sum(charged_cents) from cursor.usage_events "
        "where service_account_id is not null and charge in ('billed', 'included')"
    ).column(0).to_pylist()  # fmt: skip
    by_actor = editors.warehouse.read(
        "select actor_kind, actor_name, sum(amount_usd) as usd from costs.by_actor "
        "where actor_kind <> 'person' group by all"
    )
    account = {"actor_kind": "service_account", "actor_name": "Nightly CI Agent", "usd": cents / 100}
    assert by_actor.to_pylist() == [account]
    assert cents > 0
    [people] = editors.warehouse.read(
        "select count(*) as n from costs.active_people where person like '%ci-runner%' or person like 'sa_%'"
    ).to_pylist()
    assert people == {"n": 0}


def test_what_cursor_says_that_people_spent_is_a_control_of_what_they_are_billed(editors: Project) -> None:
    checked = replace(editors, checks=True)

    def evaluated(check: str) -> Sequence[dg.AssetCheckEvaluation]:
        found = checked.fetch("editors", DAYS, "usage_events").get_asset_check_evaluations()
        return [each for each in found if each.check_name == check]

    assert editors.look_up("editors").success
    assert [each.passed for each in evaluated("spend")] == [True]
    nothing = {"do": "set", "path": "teamMemberSpend[*].spendCents", "to": 0}
    editors.sandbox.faults({"route": "POST /cursor/teams/spend", "fault": "edit", "operations": [nothing]})
    assert editors.look_up("editors").success
    editors.sandbox.control("DELETE", "faults")
    day, whole = evaluated("spend")
    assert (day.partition, day.severity, day.passed) == (str(DAYS[-1]), dg.AssetCheckSeverity.WARN, False)
    assert f"by their events of {DAYS[0]} to {DAYS[-1]}, and Cursor says that they spent $0.00" in str(
        whole.description
    )
    assert "@" not in str(whole.description)
    shown = evaluated("chargeable")
    assert {each.passed for each in shown} == {False}, "the sandbox calls included events chargeable on odd days"
    assert all(ONLY_SHOWN in each.metadata for each in shown)
    failed = "select check_name, usage_date from ledger.failed_checks where connection = 'editors'"
    assert editors.warehouse.read(failed).to_pylist() == [{"check_name": "spend", "usage_date": DAYS[-1]}]
