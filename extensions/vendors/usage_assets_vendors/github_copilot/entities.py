"""Copilot's metrics as the rows of Port's blueprints. Source: port-labs/ocean, integrations/github-copilot."""

from typing import Annotated

from usage_assets.provider import Entities, Midnight, Row, Title, column, ids_in
from usage_assets_vendors.github_copilot.metrics import (
    Accepted,
    Added,
    Deleted,
    Generated,
    Interactions,
    SuggestedToAdd,
    SuggestedToDelete,
    people,
)

Organization = Annotated[str, column("Login of the organization")]


class OrganizationUsage(Row):
    """One entity per connection, day and organization. The numbers of people are distinct ones: never add them."""

    table = "port_entities.githubCopilotOrganizationUsage"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <organization>@<day>")]
    title: Title
    record_date: Midnight
    daily_active_users: Annotated[int | None, people("Distinct people who used it on the day")]
    code_generation_activity_count: Generated
    code_acceptance_activity_count: Accepted
    loc_suggested_to_add_sum: SuggestedToAdd
    loc_added_sum: Added
    user_initiated_interaction_count: Interactions
    git_hub_org: Organization
    weekly_active_users: Annotated[int | None, people("Distinct people of the 7 days until the day")]
    monthly_active_chat_users: Annotated[int | None, people("Distinct people of the 28 days who used chat")]
    monthly_active_agent_users: Annotated[int | None, people("Distinct people of the 28 days who used the agent")]
    loc_suggested_to_delete_sum: SuggestedToDelete
    loc_deleted_sum: Deleted
    prs_created_by_copilot: Annotated[int | None, column("Pull requests by Copilot", unit="pull requests")]
    prs_reviewed_by_copilot: Annotated[int | None, column("Pull requests that it reviewed", unit="pull requests")]
    prs_merged_by_copilot: Annotated[int | None, column("Pull requests by it that were merged", unit="pull requests")]
    total_copilot_applied_suggestions: Annotated[
        int | None, column("Suggestions of its reviews that were applied", unit="suggestions")
    ]


class UserUsage(Row):
    """One entity per connection, day, organization and person who used Copilot."""

    table = "port_entities.githubCopilotUserUsage"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <login>@<organization>@<day>", personal=True)]
    title: Annotated[str, column("Title in Port", personal=True)]
    record_date: Midnight
    user_initiated_interaction_count: Interactions
    code_generation_activity_count: Generated
    code_acceptance_activity_count: Accepted
    loc_suggested_to_add_sum: SuggestedToAdd
    loc_suggested_to_delete_sum: SuggestedToDelete
    loc_added_sum: Added
    loc_deleted_sum: Deleted
    git_hub_org: Organization
    username: Annotated[str, column("Login of the person", personal=True)]
    used_agent: Annotated[bool | None, column("Whether the person used the agent")]
    used_chat: Annotated[bool | None, column("Whether the person used chat")]


ENTITIES = (
    Entities(row=OrganizationUsage, reads=("github_copilot.organization_1_day",)),
    Entities(row=UserUsage, reads=("github_copilot.users_1_day",), about={"user": ids_in("username")}),
)
