"""Budgets and anomalies in Port: what is computed is there, what people do to it is repaired, what is gone goes."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from msgspec.structs import replace

from usage_assets.assets.warehouse_resource import WarehouseResource
from usage_assets.config.accounting import Owner, TagAllocation
from usage_assets.config.settings import PortRelation
from usage_assets.core.blueprints import CONNECTION, blueprint
from usage_assets.core.people import People
from usage_assets.core.schema import SeedRow
from usage_assets.features.port.catalog.provision import provision
from usage_assets.features.port.push import ReadBack, read_back
from usage_assets.models.entities import OF_INSIGHTS
from usage_assets.models.insights import AnomalyRow, BudgetStatusRow
from usage_assets.warehouse.database import Warehouse
from usage_assets_report.in_port import EVERYTHING, InsightsLedger, build_port_insights
from usage_assets_report_tests.computed import store_insights
from usage_assets_tests.features.port.conftest import Catalog, catalog, new_client, user
from usage_assets_tests.fixtures import execute
from usage_assets_tests.models.days import Days, filled, lines, seen
from usage_assets_tests.models.gateways import GPT, billed, used
from usage_assets_tests.models.stated import stating
from usage_assets_tests.port_user import PortUser

__all__ = ["catalog", "new_client", "user"]

BUDGET, ANOMALY = "ai_budget", "ai_anomaly"
TODAY = date(2026, 11, 20)
URL = "https://finops.example.com/ai.html"
RESEARCH = filled(
    BudgetStatusRow,
    budget="research & more",
    source="budget",
    kind="project",
    id="p2",
    first_day=date(2026, 11, 1),
    last_day=date(2026, 11, 30),
    unit="USD",
    amount=1000,
    settled="600.25",
    provisional=25,
    expected=1100,
    low=1050,
    high=1150,
    exhausted_on=date(2026, 11, 28),
    thresholds="0.5 on 2026-11-17",
    rates="EUR at 1.08 (treasury), from 2026-01-01",
)
SPIKE = filled(
    AnomalyRow,
    kind="connection",
    id="openai",
    name="openai",
    measure="usd",
    what="spike",
    first_day=date(2026, 11, 17),
    last_day=date(2026, 11, 18),
    actual=900,
    expected=100,
    low=80,
    high=120,
    score=8,
    is_provisional=True,
    is_open=True,
    driver="gpt-5, p1",
    volume_usd=700,
    price_usd=100,
    incident="2026-11-17-3f9a1c02",
    evidence="team web $890.00 instead of $95.00",
)
GUARDRAIL = replace(SPIKE, what="most", score=None, incident=None, evidence=None)
OF_BUDGET = "budget/research_&_more/2026-11-01"
OF_SPIKE = "2026-11-17-3f9a1c02"


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """A warehouse whose file stays open."""
    warehouse = Warehouse(database=str(tmp_path / "usage.duckdb"))
    with warehouse.get_connection():
        yield warehouse


class Company:
    """A warehouse with these budgets and anomalies, and the asset that pushes them."""

    def __init__(self, warehouse: Warehouse, catalog: Catalog, new_client: Callable[..., Any]) -> None:
        self.warehouse, self.catalog, self.new_client = warehouse, catalog, new_client
        self.relations: Sequence[PortRelation] = ()
        self.url: str | None = URL

    def push(self, *rows: SeedRow) -> ReadBack:
        """Make Port equal to what was computed: these rows, if there are some."""
        if rows:
            kinds = (BudgetStatusRow, AnomalyRow)
            store_insights(self.warehouse, {kind: [row for row in rows if type(row) is kind] for kind in kinds})
        port = self.catalog.client
        return read_back(
            port,
            InsightsLedger(
                *(self.warehouse, port.account, EVERYTHING, OF_INSIGHTS),
                relations=self.relations,
                connections=["openai"],
                report_url=self.url,
            ),
        )

    def run(self) -> dg.ExecuteInProcessResult:
        """Run the asset that pushes."""
        asset = build_port_insights(["openai"], self.relations, self.new_client, People, self.url)
        with dg.DagsterInstance.ephemeral() as instance:
            resources = {"warehouse": WarehouseResource.of(self.warehouse, publishes=False)}
            return dg.materialize([asset], instance=instance, resources=resources, raise_on_error=False)

    def in_port(self, blueprint: str) -> dict[str, Any]:
        """Identifier -> entity."""
        return {entity["identifier"]: entity for entity in self.catalog.client.search(blueprint)}


@pytest.fixture
def company(warehouse: Warehouse, catalog: Catalog, new_client: Callable[..., Any]) -> Company:
    """A company with a budget and an anomaly of one connection, which Port knows."""
    provision(catalog.client, [CONNECTION])
    catalog.as_user("POST", f"/blueprints/{CONNECTION}/entities?upsert=true", {"identifier": "openai"})
    store_insights(warehouse, {BudgetStatusRow: [RESEARCH], AnomalyRow: [SPIKE]})
    return Company(warehouse, catalog, new_client)


def names(company: Company, blueprint: str = ANOMALY) -> set[str]:
    return {*company.in_port(blueprint)}


def test_what_is_computed_is_in_port_exactly_with_its_scorecard_and_a_second_push_sends_nothing(
    company: Company,
) -> None:
    company.push()
    [(budget_name, budget)] = company.in_port(BUDGET).items()
    assert budget_name.startswith(OF_BUDGET.replace("&", "_"))
    assert budget["title"] == "research & more - 2026-11-01 to 2026-11-30"
    assert budget["relations"] == {CONNECTION: None}
    assert sorted(seen(budget["properties"].items())) == lines(f"""
        amount            1000
        budget            research & more
        doubts            -
        exhausted_on      2026-11-28T00:00:00Z
        expected          1100
        expected_high     1150
        expected_low      1050
        first_day         2026-11-01T00:00:00Z
        last_day          2026-11-30T00:00:00Z
        provisional_part  25
        rates             EUR at 1.08 (treasury), from 2026-01-01
        report            {URL}
        scope             project p2
        source            budget
        spent             625.25
        spent_percent     62.5
        state             at risk
        thresholds        0.5 on 2026-11-17
        unit              USD
    """)
    spike = company.in_port(ANOMALY)[OF_SPIKE]
    assert spike["title"] == "spike of connection openai, 2026-11-17"
    assert spike["relations"] == {CONNECTION: "openai"}
    assert sorted(seen(spike["properties"].items())) == lines(f"""
        actual          900
        closed_because  -
        driver          gpt-5, p1
        evidence        team web $890.00 instead of $95.00
        expected        100
        expected_high   120
        expected_low    80
        first_day       2026-11-17T00:00:00Z
        is_provisional  True
        kind            connection
        last_day        2026-11-18T00:00:00Z
        measure         usd
        price_usd       100
        report          {URL}
        scope           connection openai
        state           open
        volume_usd      700
        what            spike
    """)
    assert company.catalog.client.scorecards(BUDGET) == {"ai_spend_within_budget"}
    company.catalog.forget_requests()
    [event] = company.run().asset_materializations_for_node("port_insights")
    facts = {name: fact.value for name, fact in event.metadata.items()}
    assert facts == dict.fromkeys(facts, 0) | {"entities_checked": 2, "requests": 2 + len(OF_INSIGHTS)}
    assert not company.catalog.asked("bulk")


def test_purchases_of_one_id_and_anomalies_of_any_name_are_entities_of_their_own(company: Company) -> None:
    packs = [
        replace(RESEARCH, source="purchase", kind="connection", id=name, budget="po-9")
        for name in ("chatgpt", "chatgpt-2")
    ]
    gone = replace(GUARDRAIL, is_open=False, closed_on=TODAY, kind="team", id="a/b " * 400)
    of_all = replace(GUARDRAIL, kind="all", id="", name="all")
    company.push(*packs, gone, replace(gone, id="a/b " * 399 + "a_b "), of_all)
    assert names(company, BUDGET) == {f"purchase/{pack.id}/po-9/2026-11-01" for pack in packs}
    found = company.in_port(ANOMALY)
    assert found.pop("all/usd/most/2026-11-17")["title"] == "guardrail most: everything, 2026-11-17"
    assert len(found) == 2
    reasons = {entity["properties"]["closed_because"] for entity in found.values()}
    assert reasons == {f"not crossed any more since {TODAY}: days were restated, or the guardrail was changed"}


def test_a_budget_is_used_up_or_at_risk_or_neither(company: Company) -> None:
    states = {("100", "200"): "within budget", ("100", None): "within budget", ("100", "1000"): "at risk"}
    states |= {("975", None): "used up"}
    company.url = None
    company.push(
        *(
            replace(
                RESEARCH,
                budget=f"{settled} {expected}",
                settled=Decimal(settled),
                expected=expected and Decimal(expected),
                thresholds="",
            )
            for settled, expected in states
        )
    )
    found = [budget["properties"] for budget in company.in_port(BUDGET).values()]
    assert {budget["budget"]: budget["state"] for budget in found} == {
        f"{settled} {expected}": state for (settled, expected), state in states.items()
    }
    assert {(budget["thresholds"], budget["report"]) for budget in found} == {(None, None)}


def test_an_incident_is_one_entity_whose_cause_is_refined_and_that_says_why_it_is_closed(company: Company) -> None:
    """A row of the release before keeps its entity until insights are computed."""
    company.push(replace(SPIKE, incident=None, evidence=None))
    assert names(company) == {"connection/openai/usd/spike/2026-11-17"}
    company.push(SPIKE)
    assert names(company) == {OF_SPIKE}
    company.push(replace(SPIKE, kind="api_key", id="k1", name="batch"))
    [(name, refined)] = company.in_port(ANOMALY).items()
    assert (name, refined["properties"]["scope"]) == (OF_SPIKE, "api_key batch")
    company.push(replace(SPIKE, is_open=False, closed_on=TODAY))
    shown = company.in_port(ANOMALY)[OF_SPIKE]["properties"]
    assert (shown["state"], shown["closed_because"]) == (
        "closed",
        "no longer odd since 2026-11-20: days were restated, or it is part of another incident",
    )
    company.push(replace(SPIKE, is_open=False))
    assert company.in_port(ANOMALY)[OF_SPIKE]["properties"]["closed_because"] == "older than two weeks"
    schema = blueprint(ANOMALY)["schema"]
    of_release = {"state": {**schema["properties"]["state"], "enum": ["open", "closed"]}}  # 0.2.0 knew no other
    earlier = {"schema": {**schema, "properties": {**schema["properties"], **of_release}}}
    company.catalog.client.update_blueprint(ANOMALY, earlier)
    company.push(replace(SPIKE, what="shift", is_open=False, lasts=True))
    shown = company.in_port(ANOMALY)[OF_SPIKE]["properties"]
    assert (shown["state"], shown["closed_because"]) == ("lasts", None)


def test_entities_without_a_row_or_older_than_60_days_are_deleted(company: Company) -> None:
    company.push()
    old = replace(SPIKE, first_day=date(2026, 9, 1), last_day=date(2026, 9, 21))
    newer = replace(SPIKE, first_day=date(2026, 9, 1), last_day=date(2026, 9, 22), incident="newer")
    company.push(old, newer)
    assert names(company, BUDGET) == set()
    assert names(company) == {"newer"}
    assert company.warehouse.read("from ledger.port_entities").num_rows == 1


def test_what_people_edit_or_delete_comes_back_and_what_they_add_stays(company: Company, user: PortUser) -> None:
    company.push()
    user.edit(ANOMALY, OF_SPIKE, {"properties": {"state": "closed"}})
    [budget] = names(company, BUDGET)
    user.delete(BUDGET, budget)
    provided = dict.fromkeys(("what", "kind", "scope", "measure"), "theirs")
    theirs = {**company.in_port(ANOMALY)[OF_SPIKE]["properties"], **provided}
    user.create(ANOMALY, "theirs", {key: float(v) if isinstance(v, Decimal) else v for key, v in theirs.items()})
    done = company.push()
    assert (done.deleted, done.edited, done.not_in_ledger) == (1, 1, [])
    assert company.in_port(ANOMALY)[OF_SPIKE]["properties"]["state"] == "open"
    assert names(company, BUDGET) == {budget}
    assert "theirs" in names(company)


def test_after_the_database_is_lost_our_entities_are_adopted_and_those_of_others_are_reported(company: Company) -> None:
    gone = replace(SPIKE, what="drop", incident="gone")
    of_nobody = replace(SPIKE, kind="team", id="web", what="drop", incident="of_nobody")
    company.push(SPIKE, gone, of_nobody)
    execute(company.warehouse, "delete from ledger.port_entities")
    done = company.push(SPIKE)
    assert names(company) == {OF_SPIKE, "of_nobody"}
    assert "ai_anomaly of_nobody" in done.not_in_ledger


def test_what_a_tag_caused_of_a_month_s_bills_is_in_port_until_no_entry_says_so(company: Company) -> None:
    entry = TagAllocation(connection="openai", gateway="litellm", tags="team:")
    days = stating(Days(company.warehouse), tag_allocations=[entry])
    used(days, [(GPT, "k", "team:r&d", "3.5", 1), (GPT, "k", None, "4", 2)])
    billed(days, ["10.25"])
    company.push()
    found = company.in_port("ai_tag_cost")
    [tag] = [entity for entity in found.values() if entity["properties"]["tag"]]
    assert tag["identifier"].startswith("tag/openai/team:/team:r_d/2026-11-01")
    assert tag["title"] == "OpenAI - team:r&d - 2026-11"
    assert tag["relations"] == {CONNECTION: "openai"}
    assert sorted(seen(tag["properties"].items())) == lines(f"""
        billed_usd  3.5
        first_day   2026-11-01T00:00:00Z
        found_by    estimate
        provider    openai
        report      {URL}
        tag         team:r&d
        tag_family  team:
    """)
    others = {entity["properties"]["found_by"]: entity["properties"]["billed_usd"] for entity in found.values()}
    assert others == {
        "estimate": Decimal("3.5"),
        "without tag": Decimal("0.5"),
        "not through the gateway": Decimal("6.25"),
    }
    billed(stating(days, owners=[Owner(project="p", team="t")]), ["10.25"])  # no entry of a gateway any more
    company.push()
    assert not company.in_port("ai_tag_cost")
