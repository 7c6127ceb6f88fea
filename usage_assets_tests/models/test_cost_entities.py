"""Costs by project or workspace and model, and by person: what is added up, its name, and that nothing mixes."""

from dataclasses import replace

import pytest

from usage_assets.config.accounting import Accounting, Owner
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.models.days import Days, lines, models, raw, raws, seen
from usage_assets_tests.models.stated import listed

NAMES = ("ai_cost_record", "ai_user_cost", "ai_team_cost", "ai_model_cost")
OF_PLACES = """
    project_id  line_item      user_id  amount_value  amount_currency
    proj_a      gpt-5, input   u1       0.1           usd
    proj_a      gpt-5, output  u2       0.2           usd
    proj_a      Web search     -        0.4           usd
    -           -              -        0.8           usd
    p           gpt-5, input   -        1             usd
    p           gpt-5, input   u        1             eur
    p           gpt-5, input   -        1             -
    a/b         c              -        1             usd
    a           b/c            -        1             usd
    a%2Fb       c              -        1             usd
"""
PLACES = """
    openai/billed/proj_a/gpt-5/2026-11-01                0.3  proj_a  proj_a                   gpt-5
    openai/billed/proj_a/Web_search/2026-11-01-887d89b2  0.4  proj_a  proj_a                   Web search
    openai/billed//unknown/2026-11-01                    0.8  -       no project or workspace  no model
    openai/billed/p/gpt-5/2026-11-01                     1    p       p                        gpt-5
    openai/billed-EUR/p/gpt-5/2026-11-01                 -    p       p                        gpt-5
    openai/billed-/p/gpt-5/2026-11-01                    -    p       p                        gpt-5
"""
"""Costs of people, keys and line items are added up; another currency, or none, is an entity without dollars."""


def test_a_day_without_costs_has_no_entity_and_one_that_was_never_computed_is_refused(days: Days) -> None:
    said = r"daily_costs \(any\) of connection openai was never fetched for 2026-11-01"
    for name in NAMES:
        with pytest.raises(WarehouseError, match=said):
            days.rows(name)
    days.spent(Costs)
    assert [days.rows(name) for name in NAMES] == [[]] * len(NAMES)


def test_costs_of_one_project_and_model_are_added_up_and_the_project_has_the_name_it_was_last_listed_with(
    days: Days,
) -> None:
    days.spent(Costs, *raws(Costs, OF_PLACES))
    rows = days.rows("ai_cost_record")
    found = seen(rows, "identifier amount_usd scope_id scope_name model")
    expected = lines(PLACES)
    assert {*expected} < {*found}
    assert len({row["identifier"] for row in rows}) == len(rows) == len(expected) + 3, "no two names are one"
    listed(days, "openai.projects", id="proj_a", name="Website")
    [row] = [row for row in days.rows("ai_cost_record") if row["identifier"] == expected[0][0]]
    assert (row["scope_name"], row["title"]) == ("Website", "OpenAI - Website - gpt-5 - 2026-11-01")
    assert (row["record_date"], row["native_unit"], row["currency"]) == ("2026-11-01T00:00:00Z", "dollars", "USD")


OF_PEOPLE = """
    user_id  project_id  line_item      amount_value  amount_currency
    user-1   a           gpt-5, input   0.1           usd
    user-1   b           gpt-5, input   0.2           usd
    -        c           gpt-5, output  0.4           usd
    user-2   -           -              1             usd
    user-2   d           -              1             eur
"""
PEOPLE = """
    openai/user-1/2026-11-01  0.3  0  OpenAI - Ada - 2026-11-01         ada@example.com
    openai/user-2/2026-11-01  -    0  OpenAI - user-2 - 2026-11-01      -
    openai//2026-11-01        0.4  0  OpenAI - unassigned - 2026-11-01  -
"""
TEAMS = """
    openai/web/2026-11-01      0.3  OpenAI - web - 2026-11-01      1, 2
    openai/unowned/2026-11-01  -    OpenAI - unowned - 2026-11-01  -
"""
MODELS = """
    openai/gpt-5/input/2026-11-01   gpt-5     input         0.3  OpenAI - gpt-5 - input - 2026-11-01
    openai/gpt-5/output/2026-11-01  gpt-5     output        0.4  OpenAI - gpt-5 - output - 2026-11-01
    openai///2026-11-01             no model  not itemized  -    OpenAI - no model - not itemized - 2026-11-01
"""


def test_each_person_team_and_model_has_one_entity_and_what_nobody_is_known_of_another(days: Days) -> None:
    """Where a part has no dollars, the sum has none. A person has the name and address that the policy keeps."""
    owners = [Owner(project=name, team="web", cost_center=center) for name, center in (("a", "2"), ("b", "1"))]
    days = replace(days, accounting=Accounting(owners=owners))
    days.spent(Costs, *raws(Costs, OF_PEOPLE))
    days.derive("ai_user_cost")
    listed(days, "openai.users", id="user-1", name="Ada", email="ada@example.com")
    for name, columns, expected in (
        ("ai_user_cost", "identifier billed_usd estimated_usd title user_email", PEOPLE),
        ("ai_team_cost", "identifier billed_usd title cost_center", TEAMS),
        ("ai_model_cost", "identifier model usage_type billed_usd title", MODELS),
    ):
        assert sorted(seen(days.rows(name), columns)) == sorted(lines(expected)), name
    days.spent(ClaudeCode, raw(ClaudeCode, model_breakdown=models(("opus", "50"))))
    assert seen([days.row("ai_user_cost", "anthropic")], "billed_usd user_email") == [("-", "bob@example.com")]
    days.spent(CostReport)
    assert days.row("ai_user_cost", "anthropic")["billed_usd"] == 0, "nothing was billed to anybody"
    days.spent(CostReport, raw(CostReport, amount_cents=500))
    assert sorted(seen(days.rows("ai_user_cost", "anthropic"), "user_email billed_usd")) == [
        ("-", "5"),
        ("bob@example.com", "-"),
    ]
