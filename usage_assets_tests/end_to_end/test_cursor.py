"""Cursor: from the sandbox's books to costs, FOCUS and Port, and people from events to names."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import Project, open_project

DAYS = last_days(3)


@pytest.fixture
def editors(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    """A project with one connection, whose days are stored and pushed."""
    connections, key = tmp_path / "connections.toml", tmp_path / "key"
    key.write_text("key_cursor-sandbox")
    connections.write_text(
        f'[[connection]]\nname = "editors"\nprovider = "cursor"\nkey = "file:{key}"\nrequests_per_second = 100\n'
    )
    environment = {"USAGE_CONNECTIONS": str(connections), "CURSOR_BASE_URL": f"{sandbox.base_url}/cursor"}
    with open_project(sandbox, tmp_path, environment) as project:
        assert project.fetch("editors", DAYS).success
        assert project.push_of("editors", DAYS).success
        yield project


def test_every_billed_cent_reaches_costs_people_focus_and_port_once(editors: Project) -> None:
    books = editors.sandbox.truth(DAYS[0], DAYS[-1])["cursor"]
    billed, included = (books[f"{charge}_cents"] / 100 for charge in ("billed", "included"))
    assert min(billed, included, books["own_key_cents"]) > 0
    for amount, dollars in (
        ("amount_usd) from costs.daily_costs where provider = 'cursor' and cost_basis = 'billed'", billed),
        ("amount_usd) from costs.daily_costs where provider = 'cursor' and cost_basis = 'notional'", included),
        ("amount_usd) from costs.daily_costs", billed + included),
        (
            "amount_usd) from costs.by_user where cost_basis = 'billed' and user_id like '%@acme-robotics.example'",
            billed,
        ),
        ("amount_usd) from costs.by_actor where cost_basis = 'billed' and actor_kind = 'person'", billed),
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
        (books[f"{charge}_cents"] for charge in ("billed", "included", "own_key")), Decimal(0)
    )
    assert editors.look_up("editors").success
    [names] = editors.warehouse.read(
        "select count(*) as people, count(member_id) as known, count(name) as names from cursor.members"
    ).to_pylist()
    assert names == {"people": 10, "known": 10, "names": 0}, "names of people are kept where that is asked for"
