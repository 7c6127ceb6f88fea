"""What the ids in OpenAI's costs and usage stand for.

Source: the administration pages of OpenAI's API reference, with its SDK 3.51.0.
"""

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


LimitedProject = Annotated[str | None, column("Project; null: the organization")]
Currency = Annotated[str | None, column("Currency")]
Interval = Annotated[str | None, column("Interval, such as month")]


class SpendLimits(LookupRow, kw_only=True, rename={"enforcement_status": "enforcement.status"}):
    """One row per connection, spend limit of the organization or of a project, and version of its attributes."""

    table = "openai.spend_limits"

    project_id: LimitedProject = None
    threshold_amount: Annotated[
        Decimal | None, column("The most that may be spent in an interval", unit="minor units", additive=False)
    ] = None
    currency: Currency = None
    interval: Interval = None
    enforcement_status: Annotated[str | None, column("enforcing: requests are refused; inactive: they are not")] = None


class SpendAlerts(LookupRow, kw_only=True, rename={"channel_type": "notification_channel.type"}):
    """One row per connection, spend alert of the organization or of a project, and version of its attributes.

    Who gets it is not kept: recipients are email addresses.
    """

    table = "openai.spend_alerts"

    project_id: LimitedProject = None
    threshold_amount: Annotated[
        Decimal | None, column("Spending in an interval that is reported", unit="minor units", additive=False)
    ] = None
    currency: Currency = None
    interval: Interval = None
    channel_type: Annotated[str | None, column("How it is sent, such as email")] = None


listed = partial(Lookup, cursor="after", params={"limit": "100"})
PROJECTS = listed(
    name="projects",
    path="organization/projects",
    row=Projects,
    params={"include_archived": "true", "limit": "100"},
    known_as="project_id",
    left_out=("object", "external_key_id", "residency"),
)

LOOKUPS = (
    PROJECTS,
    listed(
        name="users",
        path="organization/users",
        row=OpenaiUsers,
        known_as="user_id",
        is_of_one_organization=False,
        left_out=(
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
        ),
    ),
    listed(
        name="project_api_keys",
        path="organization/projects/{id}/api_keys",
        row=ProjectApiKeys,
        # without it OpenAI leaves out keys whose owners have left the project
        params={"owner_project_access": "any", "limit": "100"},
        for_each=PROJECTS,
        known_as="api_key_id",
        left_out=("object", "redacted_value", "last_used_at", "owner.user", "owner.service_account"),
    ),
    listed(
        name="service_accounts",
        path="organization/projects/{id}/service_accounts",
        row=ServiceAccounts,
        for_each=PROJECTS,
        left_out=("object",),
    ),
    Lookup(
        name="spend_limits",
        path="organization/projects/{id}/spend_limit",
        own_path="organization/spend_limit",
        row=SpendLimits,
        cursor=None,
        for_each=PROJECTS,
        default_on=False,
        may_be_unset=True,
        is_of_one_organization=False,
        left_out=("object",),
    ),
    listed(
        name="spend_alerts",
        path="organization/projects/{id}/spend_alerts",
        own_path="organization/spend_alerts",
        row=SpendAlerts,
        for_each=PROJECTS,
        default_on=False,
        is_of_one_organization=False,
        left_out=("object", "notification_channel.recipients", "notification_channel.subject_prefix"),
    ),
)
