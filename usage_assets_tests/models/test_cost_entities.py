"""Costs by project or workspace and model, and by person: what is added up, its name, and that nothing mixes."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from usage_assets.config.accounting import Accounting, Owner
from usage_assets.core.blueprints import blueprint
from usage_assets.models.entities import ID_NAMES, names_of
from usage_assets.providers.anthropic.reports import ClaudeCode
from usage_assets.providers.cursor.usage import UsageEvents
from usage_assets.providers.focus.charges import Charges
from usage_assets.providers.litellm.activity import UserActivity
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.models.days import DERIVED, Days, models, raw
from usage_assets_tests.models.test_attribution import listed

NAMES = ("ai_cost_record", "ai_user_cost", "ai_team_cost", "ai_model_cost")


def openai_costs(days: Days, *rows: dict[str, Any]) -> None:
    """Costs of a day of OpenAI."""
    days.spent(Costs, *(raw(Costs, **row) for row in rows))


@pytest.mark.parametrize("name", NAMES)
def test_columns_are_the_blueprints_properties(name: str) -> None:
    columns = {column.name for column in Table(DERIVED[name].row).columns}
    assert columns - {"connection", "usage_date", "identifier", "title"} == {*blueprint(name)["schema"]["properties"]}
    assert blueprint(name)["relations"].keys() == {"ai_connection"}


@pytest.mark.parametrize("name", NAMES)
def test_a_day_without_costs_has_no_entity_and_one_that_was_never_computed_is_refused(name: str, days: Days) -> None:
    with pytest.raises(
        WarehouseError, match=r"daily_costs \(any\) of connection openai was never fetched for 2026-11-01"
    ):
        days.rows(name)
    openai_costs(days)
    assert days.rows(name) == []


def test_costs_of_one_project_and_model_are_added_up_over_people_keys_and_line_items(days: Days) -> None:
    openai_costs(
        days,
        {"project_id": "proj_a", "line_item": "gpt-5, input", "user_id": "u1", "amount_value": "0.1"},
        {"project_id": "proj_a", "line_item": "gpt-5, output", "user_id": "u2", "amount_value": "0.2"},
        {"project_id": "proj_a", "line_item": "Web search", "amount_value": "0.4"},
        {"project_id": None, "line_item": None, "amount_value": "0.8"},
    )
    rows = {row["identifier"]: row for row in days.rows("ai_cost_record")}
    names = ("amount_usd", "scope_id", "scope_name", "model")
    assert {identifier: tuple(row[name] for name in names) for identifier, row in rows.items()} == {
        "openai/billed/proj_a/gpt-5/2026-11-01": (Decimal("0.3"), "proj_a", "proj_a", "gpt-5"),
        "openai/billed/proj_a/Web_search/2026-11-01-887d89b2": (Decimal("0.4"), "proj_a", "proj_a", "Web search"),
        "openai/billed//unknown/2026-11-01": (Decimal("0.8"), None, "no project or workspace", "no model"),
    }
    row = rows["openai/billed/proj_a/gpt-5/2026-11-01"]
    assert row["title"] == "OpenAI - proj_a - gpt-5 - 2026-11-01"
    assert (row["record_date"], row["native_unit"], row["currency"]) == ("2026-11-01T00:00:00Z", "dollars", "USD")


def test_another_currency_is_an_entity_of_its_own_without_dollars(days: Days) -> None:
    same = {"project_id": "p", "line_item": "gpt-5, input"}
    openai_costs(days, same, same | {"amount_currency": "eur", "user_id": "u"}, same | {"amount_currency": None})
    rows = {row["identifier"]: row["amount_usd"] for row in days.rows("ai_cost_record")}
    assert rows == {
        "openai/billed/p/gpt-5/2026-11-01": Decimal(1),
        "openai/billed-EUR/p/gpt-5/2026-11-01": None,
        "openai/billed-/p/gpt-5/2026-11-01": None,
    }


def test_two_places_whose_names_could_be_cut_differently_are_two_entities(days: Days) -> None:
    openai_costs(
        days,
        {"project_id": "a/b", "line_item": "c"},
        {"project_id": "a", "line_item": "b/c"},
        {"project_id": "a%2Fb", "line_item": "c"},
    )
    assert len({row["identifier"] for row in days.rows("ai_cost_record")}) == 3


def test_a_project_has_the_name_it_was_last_listed_with(days: Days) -> None:
    openai_costs(days, {"project_id": "proj_a", "line_item": "gpt-5, input"})
    days.derive("ai_cost_record")
    listed(days, "openai.projects", id="proj_a", name="Website")
    row = days.row("ai_cost_record")
    assert (row["scope_name"], row["title"]) == ("Website", "OpenAI - Website - gpt-5 - 2026-11-01")
    assert row["identifier"] == "openai/billed/proj_a/gpt-5/2026-11-01"


def test_an_account_of_a_cloud_bill_has_the_name_that_the_bill_states(days: Days) -> None:
    days.spent(Charges, raw(Charges, sub_account_id="111122223333", sub_account_name="Research", billed_cost=3))
    row = days.row("ai_cost_record", "focus")
    assert (row["scope_id"], row["scope_name"], row["model"]) == ("111122223333", "Research", "no model")
    assert row["identifier"] == "focus/billed/111122223333/unknown/2026-11-01"
    assert row["title"].endswith(" - Research - no model - 2026-11-01")


def test_a_bill_that_names_accounts_is_a_source_of_the_entities_that_show_the_names() -> None:
    sources = {"focus.charges": {"": "focus/charges"}}
    assert ("focus.charges", "") in DERIVED["ai_cost_record"].query_of(sources).sources


def test_every_table_that_names_ids_names_a_kind_of_them() -> None:
    kinds = ("project_id", "workspace_id", "user_id", "api_key_id")
    read = sorted(table for table in ID_NAMES.reads if not table.startswith("ledger."))
    assert sorted(names_of(*kinds)) == read
    assert sorted(table for kind in kinds for table in names_of(kind)) == read, "each once"


def test_a_gateway_that_bills_nothing_has_no_billed_amount_and_a_plan_that_covers_all_use_zero(days: Days) -> None:
    days.spent(UserActivity, raw(UserActivity))
    days.spent(UsageEvents, raw(UsageEvents, charge="included", charged_cents=0))
    for name in ("ai_user_cost", "ai_team_cost", "ai_model_cost"):
        row = days.row(name, "litellm")
        assert (row["billed_usd"], row["estimated_usd"], row["notional_usd"], row["credits"]) == (None, 1, 0, 0), name
        assert days.row(name, "cursor")["billed_usd"] == 0, name


def test_each_person_has_one_entity_and_what_nobody_is_known_of_another(days: Days) -> None:
    openai_costs(
        days,
        {"user_id": "user-1", "project_id": "a", "amount_value": "0.1"},
        {"user_id": "user-1", "project_id": "b", "amount_value": "0.2"},
        {"user_id": None, "amount_value": "0.4"},
    )
    rows = {row["identifier"]: row for row in days.rows("ai_user_cost")}
    assert {name: row["billed_usd"] for name, row in rows.items()} == {
        "openai/user-1/2026-11-01": Decimal("0.3"),
        "openai//2026-11-01": Decimal("0.4"),
    }
    assert [row["title"] for row in rows.values()] == [
        "OpenAI - unassigned - 2026-11-01",
        "OpenAI - user-1 - 2026-11-01",
    ]
    assert {row["estimated_usd"] for row in rows.values()} == {0}


def test_a_team_has_what_its_projects_cost_and_nobodys_costs_are_unowned(days: Days) -> None:
    owners = [Owner(project=name, team="web", cost_center=center) for name, center in (("a", "2"), ("b", "1"))]
    days = replace(days, accounting=Accounting(owners=owners))
    openai_costs(
        days,
        *({"project_id": name, "amount_value": amount} for name, amount in (("a", "0.1"), ("b", "0.2"))),
        {"project_id": "c", "amount_value": "0.4"},
        {"project_id": "d", "amount_value": "0.8", "amount_currency": "eur"},
    )
    rows = {row["identifier"]: row for row in days.rows("ai_team_cost")}
    assert {name: row["billed_usd"] for name, row in rows.items()} == {
        "openai/web/2026-11-01": Decimal("0.3"),
        "openai/unowned/2026-11-01": None,
    }
    assert [row["title"] for row in rows.values()] == ["OpenAI - unowned - 2026-11-01", "OpenAI - web - 2026-11-01"]
    assert [row["cost_center"] for row in rows.values()] == [None, "1, 2"]


def test_each_model_and_usage_type_has_one_entity_and_what_has_none_a_name(days: Days) -> None:
    openai_costs(
        days,
        {"project_id": "a", "line_item": "gpt-5, input", "amount_value": "0.1"},
        {"project_id": "b", "line_item": "gpt-5, input", "amount_value": "0.2"},
        {"line_item": "gpt-5, output", "amount_value": "0.4"},
        {"line_item": None, "amount_value": "0.8"},
    )
    rows = {row["identifier"]: row for row in days.rows("ai_model_cost")}
    assert {name: (row["model"], row["usage_type"], row["billed_usd"]) for name, row in rows.items()} == {
        "openai/gpt-5/input/2026-11-01": ("gpt-5", "input", Decimal("0.3")),
        "openai/gpt-5/output/2026-11-01": ("gpt-5", "output", Decimal("0.4")),
        "openai///2026-11-01": ("no model", "not itemized", Decimal("0.8")),
    }
    assert rows["openai///2026-11-01"]["title"] == "OpenAI - no model - not itemized - 2026-11-01"


def test_a_person_with_an_amount_in_another_currency_has_no_dollars_for_a_part_of_it(days: Days) -> None:
    openai_costs(days, {"user_id": "u"}, {"user_id": "u", "amount_currency": "eur"}, {"user_id": "v"})
    rows = {row["user_id"]: row["billed_usd"] for row in days.rows("ai_user_cost")}
    assert rows == {"u": None, "v": Decimal(1)}


def test_a_person_has_the_address_that_is_their_id_or_that_the_policy_keeps(days: Days) -> None:
    openai_costs(days, {"user_id": "u1"})
    days.derive("ai_user_cost")
    listed(days, "openai.users", id="u1", name="Ada", email="u1@example.com")
    row = days.row("ai_user_cost")
    assert (row["title"], row["user_email"]) == ("OpenAI - Ada - 2026-11-01", "u1@example.com")
    days.spent(ClaudeCode, raw(ClaudeCode, model_breakdown=models(("opus", "50"))))
    assert days.row("ai_user_cost", "anthropic")["user_email"] == "bob@example.com"
