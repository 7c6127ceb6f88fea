"""The data model: the seven published blueprints and the one of our own, and what provisioning does to Port."""

import copy
import hashlib
import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from usage_assets.core.blueprints import CONNECTION, blueprint
from usage_assets.features.port.catalog.client import PortError
from usage_assets.features.port.catalog.provision import plan, provision
from usage_assets.features.port.catalog.sync import Entity
from usage_assets_tests.alone import is_there
from usage_assets_tests.features.port.conftest import Catalog
from usage_assets_tests.models.days import one_a_line

COST = "claude_cost_record"

# SHA-256 over the compact JSON of each blueprint as Port's two pages print it (keys in their order). Copilot's are in
# port-labs/ocean (integrations/github-copilot 0.3.104), without relations.
PUBLISHED = dict(
    map(
        str.split,
        one_a_line("""
            openai_daily_usage       5498422527a527ed36d86dd8b3be0e7eb57df2d88b750c8f089547f786741715
            openai_model_usage       fc5ef7814737e527a869f794f744698243e756df5b1d851aa624c83b17a3b2e0
            claude_usage_record      16d4f10be33ccc7b146f7a835fdb1b5a0e799e9f8f625a887bdf52ae8a4be326
            claude_cost_record       92a8dd7d13f6bfac280571c833967a76322a04ccd81f0b467713412e828c1537
            claude_workspace_usage   827f8d479b22d68031a460b4660c7062d527a070e4d078a0dbc406efc5d87428
            claude_model_usage       456b8dbf2cd5cf9a37b3a3f2b81ddc5d0943e303315c2bd0c732f5ebf3fa4931
            claude_code_analytics    50b63e5a3b87753d8f7c79b167abf068ba0e2fd39fc2806d46b5c825ff6e20af
            claude_ai_skill_usage    1f72e2b11235fa376bf51422faf8facf33ddab2e32bb08d8376370644512f4af
            claude_ai_user_activity  26936c2cde24750085f33ee80a67f005e1e384ac3ecca3b06be81e881ad917c1
            claude_ai_user_cost      d62a7b97d5bbbf8821f3f45f879c13b8bb9f2e211d578c31531b6aff555f0b62
            claude_ai_user_usage     ae458f8ef00daff69afdcc115feb7273218a40de8a78d81c48ad649d4c4de0c5
        """),
    )
)
OF_VENDORS = {
    "cursorDailyUsage": "d00520a49be0f002384d672fc23355a4f91aa0be580b293ff55ebed0ad6676f1",
    "githubCopilotOrganizationUsage": "88396d8bc3e89085b059b834c04449e40a4206065a5a6bec81f99698244e68c8",
    "githubCopilotUserUsage": "dd6b7638ef1ad567fc64e425d4febb0b3ecde6388c1daeea14c2591def4e5156",
}


def test_each_published_blueprint_is_kept_letter_for_letter() -> None:
    kept = PUBLISHED | (OF_VENDORS if is_there("vendors") else {})
    for identifier, digest in kept.items():
        declared = blueprint(identifier) | {"relations": {}}  # the one to the connection is ours
        text = json.dumps(declared, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(text.encode()).hexdigest() == digest, identifier


@pytest.fixture
def catalog(catalog: Catalog) -> Catalog:
    """A catalog with the blueprint that all others relate to."""
    provision(catalog.client, [CONNECTION])
    catalog.forget_requests()
    return catalog


def in_port(catalog: Catalog, identifier: str = COST) -> dict[str, Any]:
    """The blueprint as Port has it, without what Port itself adds."""
    found = catalog.client.get_blueprint(identifier)
    assert found is not None
    return {key: value for key, value in found.items() if key in blueprint(identifier)}


def users_own(**changes: Any) -> dict[str, Any]:
    """A cost blueprint that a user has made from the published one."""
    return copy.deepcopy(blueprint(COST)) | changes


def test_a_value_of_a_property_that_an_earlier_release_did_not_know_is_added(catalog: Catalog) -> None:
    earlier = copy.deepcopy(blueprint("ai_anomaly"))
    earlier["schema"]["properties"]["state"] |= {"enum": ["open", "closed", "muted"], "enumColors": {"open": "blue"}}
    catalog.client.create_blueprint(earlier)
    [step] = provision(catalog.client, ["ai_anomaly"])
    assert step.adds == ("state: lasts",)
    state = in_port(catalog, "ai_anomaly")["schema"]["properties"]["state"]
    assert state["enum"] == ["open", "closed", "muted", "lasts"]
    assert state["enumColors"] == {"open": "blue", "closed": "lightGray", "lasts": "yellow"}
    assert plan(catalog.client, ["ai_anomaly"]) == []


def test_a_users_changes_stay_and_what_is_missing_is_added(catalog: Catalog) -> None:
    theirs = users_own(title="What Claude costs", icon="Money")
    theirs["schema"] = {
        "properties": {
            "record_date": {"type": "string", "title": "Day", "description": "without a format"},
            "amount": {"type": "number", "title": "Dollars", "description": "theirs"},
            "team_name": {"type": "string", "title": "Team"},
        },
        "required": ["record_date", "team_name"],
    }
    doubled = {"title": "Doubled", "type": "number", "calculation": ".properties.amount * 2"}
    theirs["calculationProperties"] = {"doubled": doubled}
    catalog.as_user("POST", "/blueprints", theirs)
    [step] = provision(catalog.client, [COST])
    assert (step.creates, step.adds) == (False, ("currency",))
    theirs["schema"]["properties"]["currency"] = {"type": "string", "title": "Currency"}
    assert in_port(catalog) == theirs


CONFLICTS: list[tuple[dict[str, Any], str]] = [
    ({"schema": {"amount": {"type": "string"}}}, "amount is string property there and number property here"),
    (
        {"schema": {"record_date": {"type": "string", "format": "url"}}},
        "record_date is url string property there and date-time string property here",
    ),
    (
        {"calculationProperties": {"amount": {"type": "number", "calculation": "1"}}},
        "amount is number in calculationProperties there and number property here",
    ),
]


@pytest.mark.parametrize(("changes", "problem"), CONFLICTS)
def test_a_conflict_leaves_port_as_it_is(catalog: Catalog, changes: dict[str, Any], problem: str) -> None:
    properties = {key: value for key, value in blueprint(COST)["schema"]["properties"].items() if key != "amount"}
    theirs = users_own(schema={"properties": properties | changes.get("schema", {}), "required": []})
    theirs["calculationProperties"] = changes.get("calculationProperties", {})
    catalog.as_user("POST", "/blueprints", theirs)
    catalog.forget_requests()
    day = date(2026, 1, 1)
    entities = [
        Entity(COST, "2026-01-01-cost", "t", {"record_date": "2026-01-01T00:00:00Z", "amount": Decimal(1)}, day),
        Entity("claude_usage_record", "2026-01-01-usage", "t", {"record_date": "2026-01-01T00:00:00Z"}, day),
    ]
    with pytest.raises(PortError, match=rf"nothing was sent: {COST}\.{problem}: rename or remove it in Port$"):
        catalog.push(entities)
    assert catalog.asked("POST") == catalog.asked("PATCH") == []
    assert catalog.ledger.lines == {}


TO_SERVICE = {COST: {"project": "service"}}


def test_a_relation_to_a_users_blueprint_is_added_beside_those_that_are_there(catalog: Catalog) -> None:
    catalog.add_users_blueprint("service")
    provision(catalog.client, [COST])
    theirs = blueprint(COST)
    theirs["relations"]["owner"] = {"title": "Owner", "target": "service", "required": False, "many": True}
    catalog.as_user("PATCH", f"/blueprints/{COST}", {"relations": theirs["relations"]})
    [step] = provision(catalog.client, [COST], TO_SERVICE)
    assert (step.creates, step.adds) == (False, ("relation project",))
    theirs["relations"]["project"] = {"title": "Project", "target": "service", "required": False, "many": False}
    assert in_port(catalog) == theirs
    assert provision(catalog.client, [COST], TO_SERVICE) == []
    assert provision(catalog.client, [COST]) == [], "what is no longer configured stays"
    assert in_port(catalog) == theirs


# Scorecards

BUDGET, SCORECARD = "ai_budget", "ai_spend_within_budget"
SCORECARDS = f"/blueprints/{BUDGET}/scorecards"


def test_a_scorecard_is_created_with_its_blueprint_once_and_a_deleted_one_again(catalog: Catalog) -> None:
    [step] = provision(catalog.client, [BUDGET])
    assert step.adds[-1] == "scorecard AI spend within budget"
    assert catalog.client.scorecards(BUDGET) == {SCORECARD}
    assert plan(catalog.client, [BUDGET]) == []
    catalog.as_user("DELETE", f"{SCORECARDS}/{SCORECARD}")
    [step] = provision(catalog.client, [BUDGET])
    assert (step.creates, step.adds) == (False, ("scorecard AI spend within budget",))
    assert catalog.client.scorecards(BUDGET) == {SCORECARD}
