"""Lookups: what the ids in costs and usage stand for, as each provider lists it. Data only; listing.py reads them.

Source: the administration pages of OpenAI's API reference with its SDK 3.51.0, and Anthropic's Admin API reference.
What changes with every use (last used at) and what is part of a secret (redacted keys) is not kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from usage_assets.core.schema import LookupRow, column

ChosenName = Annotated[str | None, column("Name, chosen by somebody", address="in_name")]
PersonName = Annotated[
    str | None, column("Name of the person; kept only where USAGE_PEOPLE is names", address="person_name")
]
Email = Annotated[str | None, column("Address of the person, as USAGE_PEOPLE wants it", address="sent_unasked")]
Role = Annotated[str | None, column("Role")]
Status = Annotated[str | None, column("Status, such as active or archived")]
CreatedAt = Annotated[datetime | None, column("When it was created")]
AddedAt = Annotated[datetime | None, column("When the person joined the organization")]
ArchivedAt = Annotated[datetime | None, column("When it was archived; it may still have costs")]
ExpiresAt = Annotated[datetime | None, column("When it expires")]


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """One list of a provider, unpartitioned: how to ask for all of it, and what an item of it is."""

    name: str
    """Last part of the asset key."""
    path: str
    """Below the connection's base URL; ``{id}`` is each id of ``for_each``."""
    row: type[LookupRow]
    cursor: str | None
    """The parameter that asks for what follows an id; None where the answer is the only item itself."""
    params: Mapping[str, str] = field(default_factory=dict)
    for_each: "Lookup | None" = None
    """The lookup whose items have a list of these each."""
    known_as: str | None = None
    """The column of costs and usage that holds these ids."""
    left_out: frozenset[str] = frozenset()
    """Fields, or objects with all that is in them, that are known and not kept."""


class Projects(LookupRow, kw_only=True):
    """One row per connection, project and version of its attributes, archived projects included."""

    table = "openai.projects"

    name: ChosenName = None
    status: Status = None
    created_at: CreatedAt = None
    archived_at: ArchivedAt = None


class OpenaiUsers(LookupRow, kw_only=True):
    """One row per connection, user of the organization and version of its attributes."""

    table = "openai.users"

    name: PersonName = None
    email: Email = None
    role: Role = None
    is_service_account: Annotated[bool | None, column("Whether it is a service account's user")] = None
    added_at: AddedAt = None


class ProjectApiKeys(
    LookupRow,
    kw_only=True,
    rename={
        "owner_type": "owner.type",
        "owner_user_id": "owner.user.id",
        "owner_service_account_id": "owner.service_account.id",
    },
):
    """One row per connection, API key of a project and version of its attributes."""

    table = "openai.project_api_keys"

    name: ChosenName = None
    project_id: Annotated[str | None, column("Project that it belongs to")] = None
    owner_type: Annotated[str | None, column("Whose it is: user or service_account")] = None
    owner_user_id: Annotated[str | None, column("User whose it is")] = None
    owner_service_account_id: Annotated[str | None, column("Service account whose it is")] = None
    owner_project_access: Annotated[str | None, column("Whether its owner has access to the project")] = None
    created_at: CreatedAt = None
    expires_at: ExpiresAt = None


class ServiceAccounts(LookupRow, kw_only=True):
    """One row per connection, service account of a project and version of its attributes."""

    table = "openai.service_accounts"

    name: ChosenName = None
    project_id: Annotated[str | None, column("Project that it belongs to")] = None
    role: Role = None
    created_at: CreatedAt = None


class Workspaces(LookupRow, kw_only=True):
    """One row per connection, workspace and version of its attributes, archived ones included.

    Anthropic does not list the default workspace: it is the one without an id.
    """

    table = "anthropic.workspaces"

    name: ChosenName = None
    created_at: CreatedAt = None
    archived_at: ArchivedAt = None


class AnthropicUsers(LookupRow, kw_only=True):
    """One row per connection, user of the organization and version of its attributes."""

    table = "anthropic.users"

    name: PersonName = None
    email: Email = None
    role: Role = None
    added_at: AddedAt = None


class ApiKeys(
    LookupRow,
    kw_only=True,
    rename={
        "created_by_type": "created_by.type",
        "created_by_id": "created_by.id",
        "principal_type": "principal.type",
        "principal_id": "principal.id",
    },
):
    """One row per connection, API key of the organization and version of its attributes."""

    table = "anthropic.api_keys"

    name: ChosenName = None
    status: Status = None
    workspace_id: Annotated[str | None, column("Workspace; none is the default workspace")] = None
    created_by_type: Annotated[str | None, column("What created it, such as user")] = None
    created_by_id: Annotated[str | None, column("Who created it")] = None
    principal_type: Annotated[str | None, column("What it acts as: user or service_account")] = None
    principal_id: Annotated[str | None, column("Who it acts as")] = None
    created_at: CreatedAt = None
    expires_at: ExpiresAt = None


class Organization(LookupRow, kw_only=True):
    """One row per connection, the organization that the key belongs to, and version of its attributes."""

    table = "anthropic.organization"

    name: ChosenName = None


PROJECTS = Lookup(
    name="projects",
    path="organization/projects",
    row=Projects,
    cursor="after",
    params={"include_archived": "true", "limit": "100"},
    known_as="project_id",
    left_out=frozenset(("object", "external_key_id", "residency")),
)

LOOKUPS: Mapping[str, tuple[Lookup, ...]] = {
    "openai": (
        PROJECTS,
        Lookup(
            name="users",
            path="organization/users",
            row=OpenaiUsers,
            cursor="after",
            params={"limit": "100"},
            known_as="user_id",
            left_out=frozenset(
                (
                    "object",
                    "api_key_last_used_at",
                    "created",
                    "developer_persona",
                    "is_default",
                    "is_scale_tier_authorized_purchaser",
                    "is_scim_managed",
                    "projects",
                    "technical_level",
                    "user",
                )
            ),
        ),
        Lookup(
            name="project_api_keys",
            path="organization/projects/{id}/api_keys",
            row=ProjectApiKeys,
            cursor="after",
            # without it OpenAI leaves out keys whose owners have left the project
            params={"owner_project_access": "any", "limit": "100"},
            for_each=PROJECTS,
            known_as="api_key_id",
            left_out=frozenset(("object", "redacted_value", "last_used_at", "owner.user", "owner.service_account")),
        ),
        Lookup(
            name="service_accounts",
            path="organization/projects/{id}/service_accounts",
            row=ServiceAccounts,
            cursor="after",
            params={"limit": "100"},
            for_each=PROJECTS,
            left_out=frozenset(("object",)),
        ),
    ),
    "anthropic": (
        Lookup(
            name="workspaces",
            path="v1/organizations/workspaces",
            row=Workspaces,
            cursor="after_id",
            params={"include_archived": "true", "limit": "1000"},
            known_as="workspace_id",
            left_out=frozenset(
                ("type", "compartment_id", "data_residency", "display_color", "external_key_id", "tags")
            ),
        ),
        Lookup(
            name="users",
            path="v1/organizations/users",
            row=AnthropicUsers,
            cursor="after_id",
            params={"limit": "1000"},
            known_as="account_id",
            left_out=frozenset(("type",)),
        ),
        Lookup(
            name="api_keys",
            path="v1/organizations/api_keys",
            row=ApiKeys,
            cursor="after_id",
            params={"limit": "1000"},
            known_as="api_key_id",
            left_out=frozenset(("type", "partial_key_hint", "scope")),
        ),
        Lookup(
            name="organization",
            path="v1/organizations/me",
            row=Organization,
            cursor=None,
            known_as="organization_id",
            left_out=frozenset(("type",)),
        ),
    ),
}
"""Provider -> its lookups."""
