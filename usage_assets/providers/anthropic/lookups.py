"""What the ids in Anthropic's costs and usage stand for. Source: its Admin API reference."""

from decimal import Decimal
from functools import partial
from typing import Annotated

from usage_assets.provider import (
    AddedAt,
    ArchivedAt,
    ChosenName,
    CreatedAt,
    Email,
    ExpiresAt,
    Lookup,
    LookupRow,
    PersonName,
    Role,
    Status,
    column,
)


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
        "principal_user_id": "principal.user_id",
        "principal_service_account_id": "principal.service_account_id",
    },
):
    """One row per connection, API key of the organization and version of its attributes."""

    table = "anthropic.api_keys"

    name: ChosenName = None
    status: Status = None
    workspace_id: Annotated[str | None, column("Workspace; none is the default workspace")] = None
    created_by_type: Annotated[str | None, column("What created it, such as user")] = None
    created_by_id: Annotated[str | None, column("Who created it")] = None
    principal_type: Annotated[str | None, column("What it acts as, such as user or service_account")] = None
    principal_id: Annotated[str | None, column("Who it acts as, where the answer has one id for both")] = None
    principal_user_id: Annotated[str | None, column("User that it acts as", is_added=True)] = None
    principal_service_account_id: Annotated[str | None, column("Service account that it acts as", is_added=True)] = None
    created_at: CreatedAt = None
    expires_at: ExpiresAt = None


class Organization(LookupRow, kw_only=True):
    """One row per connection, the organization that the key belongs to, and version of its attributes."""

    table = "anthropic.organization"

    name: ChosenName = None


class SpendLimits(
    LookupRow,
    kw_only=True,
    rename={
        "scope_type": "scope.type",
        "user_id": "scope.user_id",
        "workspace_id": "scope.workspace_id",
        "rbac_group_id": "scope.rbac_group_id",
        "seat_tier": "scope.seat_tier",
        "service": "scope.service",
    },
):
    """One row per connection, spend limit and version of its attributes."""

    table = "anthropic.spend_limits"

    amount: Annotated[
        Decimal | None,
        column("The most that may be spent in a period; null: no cap", unit="minor units", additive=False),
    ] = None
    currency: Annotated[str | None, column("Currency")] = None
    period: Annotated[str | None, column("daily, weekly or monthly")] = None
    is_enabled: Annotated[bool | None, column("Whether it is enforced")] = None
    scope_type: Annotated[str | None, column("What it is for, such as organization, workspace or user")] = None
    user_id: Annotated[str | None, column("User that it is for", personal=True)] = None
    workspace_id: Annotated[str | None, column("Workspace that it is for")] = None
    rbac_group_id: Annotated[str | None, column("Group that it is for")] = None
    seat_tier: Annotated[str | None, column("Tier of seats that it is for", is_added=True)] = None
    service: Annotated[str | None, column("Service that it is for", is_added=True)] = None
    created_at: CreatedAt = None


listed = partial(Lookup, cursor="after_id", params={"limit": "1000"})
LOOKUPS = (
    Lookup(
        name="workspaces",
        path="v1/organizations/workspaces",
        row=Workspaces,
        cursor="after_id",
        params={"include_archived": "true", "limit": "1000"},
        known_as="workspace_id",
        left_out=(
            *("type", "compartment_id", "data_residency", "display_color", "external_key_id", "inference_data_privacy"),
            *("tags", "user_profile_id"),
        ),
    ),
    listed(
        name="users",
        path="v1/organizations/users",
        row=AnthropicUsers,
        known_as="account_id",
        is_of_one_organization=False,
        left_out=("type",),
    ),
    listed(
        name="api_keys",
        path="v1/organizations/api_keys",
        row=ApiKeys,
        known_as="api_key_id",
        left_out=("type", "partial_key_hint", "scope"),
    ),
    Lookup(
        name="organization",
        path="v1/organizations/me",
        row=Organization,
        cursor=None,
        known_as="organization_id",
        left_out=("type",),
    ),
    Lookup(
        name="spend_limits",
        path="v1/organizations/spend_limits",
        row=SpendLimits,
        cursor="page",
        params={"limit": "1000"},
        headers={"anthropic-beta": "spend-limit-reads-2026-09-26"},
        default_on=False,
        is_of_one_organization=False,
        left_out=("type", "updated_at"),
    ),
)
