"""A push of which Port refuses a part: the run says what and why, and everything else stands."""

import pytest

from usage_assets_tests.conftest import last_days
from usage_assets_tests.end_to_end.conftest import Project
from usage_assets_tests.end_to_end.test_refusals import failures

DAYS = last_days(3)
TABLE = "port_entities.openai_daily_usage"


def rename(project: Project, former: str, identifier: str) -> None:
    """Give an entity another identifier."""
    with project.warehouse.transaction() as database:
        database.execute(f"update {TABLE} set identifier = ? where identifier = ?", [identifier, former])


@pytest.fixture
def refused(small_project: Project) -> Project:
    """A project that has an entity with an identifier that Port does not take."""
    assert small_project.fetch("openai", DAYS).success
    rename(small_project, f"daily-{DAYS[1]}", "not valid (at all)")
    return small_project


def test_the_failed_run_names_the_refused_entity_and_the_reason_and_the_other_days_are_in_port(
    refused: Project,
) -> None:
    reason = failures(refused.push_of("openai", DAYS))["openai__port_sync"]
    entities = refused.entities()
    assert "Port refused 1 entities: openai_daily_usage not valid (at all): Port answered 422" in reason
    assert f". {len(entities) - 1} others were sent, 0 were deleted" in reason
    assert refused.in_port() == {key: entity for key, entity in entities.items() if key[1] != "not valid (at all)"}


def test_the_next_push_sends_what_was_refused_and_nothing_else(refused: Project) -> None:
    refused.push_of("openai", DAYS)
    rename(refused, "not valid (at all)", f"daily-{DAYS[1]}")
    refused.sandbox.control("POST", "requests/clear")
    assert refused.push_of("openai", DAYS).success
    bulk = [request["path"] for request in refused.port_requests() if request["path"].endswith("/bulk")]
    assert bulk == [f"/port/v1/blueprints/{name}/entities/bulk" for name in ("ai_connection", "openai_daily_usage")]
    assert refused.in_port() == refused.entities()
