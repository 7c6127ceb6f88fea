"""Who and what the company's ids stand for, as the providers list it: projects, workspaces, people, keys.

Ids are the digests of the company's own names for them, as in costs and usage. Two keys that are used were deleted: no
list has them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request

from usage_assets_sandbox.api import (
    BadParameterError,
    Parameter,
    boolean,
    stamp,
)
from usage_assets_sandbox.company import Company, Row, email
from usage_assets_sandbox.company_anthropic import CLAUDE_CALLERS, CLAUDE_CODE_WORKSPACE, CODERS, ORGANIZATION_ID
from usage_assets_sandbox.company_cursor import FORMER_MEMBER, IDLE_MEMBER, LIMITS, MEMBERS
from usage_assets_sandbox.company_github_copilot import DEVELOPERS, SEATS, WITHOUT_USE
from usage_assets_sandbox.company_openai import OPENAI_CALLERS
from usage_assets_sandbox.ledger import Clock

FIRST_CREATED = datetime(2025, 1, 1, 9, tzinfo=UTC)
CHANGES = ("rename", "archive", "delete")
PEOPLE = {
    "alice": "Alice Ångström",
    "bob": "Bob O'Neill",
    "chen": "陈伟",
    "dana": "Dana Özdemir",
    "emeka": "Emeka Nwosu",
    "fatima": "فاطمة الزهراء",
    "goran": "Goran Đorđević",
    "hana": "山田 花子",
    "ivan": "Иван Петров",
    "julia": "Júlia Nagy",
    "kofi": None,  # never entered a name
    "lena": "Lena Groß",
}
NAMES = {
    "checkout": "Checkout",
    "support-bot": "Support Bot 🤖",
    "data-platform": "Data Platform",
    "research": "Research, archived",
    "dana notebook": f"notebook of {email('dana')}",
    "nightly labels": "夜間ラベル",
}
"""What projects and keys are called where it is not what the company calls them."""
ARCHIVED = frozenset(("research", "Research"))
FORMER_MEMBERS_KEY = "goran key"
ENTERPRISE_SEATS = SEATS[1][1]
DELETED_KEYS = frozenset(("kofi evals", "checkout staging"))


class Directory:
    """The lists as they are now: provider -> list -> items as they are sent, with their project beside them."""

    def __init__(self, seed: int, clock: Clock) -> None:
        self.clock = clock
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """The lists of the company of `seed` before any change."""
        company = Company(seed)
        self.lists: dict[str, dict[str, list[Row]]] = {
            "openai": _openai(company),
            "anthropic": (claude := _anthropic(company)),
            "anthropic_analytics": {"organization": claude["organization"]},
            "cursor": {"members": _cursor_members(), "spend": _cursor_spend(company)},
            "github_copilot": _github_copilot(),
        }

    def change(self, provider: str, listed: str, wanted: object, change: str, name: object) -> str:
        """Rename, archive or delete the item of an id or a name; answers its id. Raises KeyError for none."""
        items = self.lists[provider][listed]
        item = next((item for item in items if wanted in (item["id"], item["name"])), None)
        if item is None:
            raise KeyError(wanted)
        match change:
            case "rename":
                item["name"] = name
            case "archive" if provider == "cursor":
                item["isRemoved"] = True
            case "archive":
                now = self.clock.now()
                item["archived_at"] = int(now.timestamp()) if provider == "openai" else stamp(now)
                item |= {"status": "archived"} if "status" in item else {}
            case "delete":
                items.remove(item)
        return str(item["id"])


def _distinct(names: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name))


def created(n: int) -> datetime:
    return FIRST_CREATED + timedelta(days=n, minutes=7 * n)


def cursor_member_id(person: str) -> int:
    """The number of a member of the Cursor team."""
    return 12_345 + (*PEOPLE, person).index(person)


def _cursor_members() -> list[Row]:
    return [
        {
            "id": cursor_member_id(person),
            "name": PEOPLE[person],
            "email": email(person),
            "role": "owner" if person == "alice" else "member",
            "isRemoved": person == FORMER_MEMBER,
        }
        for person in (*MEMBERS, FORMER_MEMBER, IDLE_MEMBER)
    ]


def _cursor_spend(company: Company) -> list[Row]:
    """Members with their limits; what they spent is in the books. Their ids are not those of the list of members."""
    return [
        {
            "id": company.identifier("user_", str(member["id"])),
            "name": member["name"],
            "email": member["email"],
            "role": "removed" if member["isRemoved"] else member["role"],
            "hardLimitOverrideDollars": 0,
            "monthlyLimitDollars": (limit := LIMITS.get(member["email"].partition("@")[0])),
            **({"effectivePerUserLimitDollars": limit} if limit else {}),
        }
        for member in _cursor_members()
    ]


def _openai(company: Company) -> dict[str, list[Row]]:
    keys = {caller.key: caller for caller in OPENAI_CALLERS if caller.key and caller.key not in DELETED_KEYS}
    projects: list[Row] = [
        {
            "id": company.identifier("proj_", name),
            "object": "organization.project",
            "name": NAMES.get(name, name),
            "created_at": _unix(n),
            "archived_at": _unix(300 + n) if name in ARCHIVED else None,
            "status": "archived" if name in ARCHIVED else "active",
        }
        for n, name in enumerate(_distinct(caller.project for caller in OPENAI_CALLERS))
    ]
    users: list[Row] = [
        {
            "object": "organization.user",
            "id": company.identifier("user-", person),
            "name": name,
            "email": email(person),
            "role": "owner" if person == "alice" else "reader",
            "added_at": _unix(n),
        }
        for n, (person, name) in enumerate(PEOPLE.items())
    ]
    service_accounts: list[Row] = [
        {
            "project": company.identifier("proj_", caller.project),
            "object": "organization.project.service_account",
            "id": company.identifier("svc_acct_", key),
            "name": NAMES.get(key, key),
            "role": "member",
            "created_at": _unix(n),
        }
        for n, (key, caller) in enumerate(keys.items())
        if not caller.person
    ]
    people = {user["id"]: user for user in users}
    accounts = {account["id"]: account for account in service_accounts}
    return {
        "projects": projects,
        "users": users,
        "service_accounts": service_accounts,
        "spend_limits": [
            {
                "id": id_,
                "name": None,
                "object": f"{'organization' if id_ == 'organization' else 'project'}.spend_limit",
                "threshold_amount": cents,
                "currency": "USD",
                "interval": "month",
                "enforcement": {"status": status},
            }
            for id_, cents, status in (
                ("organization", 500_000, "enforcing"),
                (projects[0]["id"], 120_050, "inactive"),
            )
        ],
        "spend_alerts": [
            {
                "project": project,
                "id": company.identifier("alert_", f"{project} {cents}"),
                "object": f"{'project' if project else 'organization'}.spend_alert",
                "threshold_amount": cents,
                "currency": "USD",
                "interval": "month",
                "notification_channel": {"type": "email", "recipients": [email("alice")], "subject_prefix": "Spend"},
            }
            for project, cents in ((None, 250_000), (None, 400_000), (projects[0]["id"], 90_001))
        ],
        "project_api_keys": [
            {
                "project": company.identifier("proj_", caller.project),
                "object": "organization.project.api_key",
                "redacted_value": f"sk-proj-***{n:03}",
                "name": NAMES.get(key, key),
                "created_at": _unix(n),
                "last_used_at": None,  # the time of the answer: a key is always in use
                "expires_at": None,
                "id": company.identifier("key_", key),
                "owner_project_access": "inactive" if key == FORMER_MEMBERS_KEY else "active",
                "owner": _owned_by("user", people[company.identifier("user-", caller.person)])
                if caller.person
                else _owned_by("service_account", accounts[company.identifier("svc_acct_", key)]),
            }
            for n, (key, caller) in enumerate(keys.items())
        ],
    }


def _owned_by(kind: str, owner: Row) -> Row:
    kept = ("id", "name", "email", "role")
    return {"type": kind, kind: {name: owner[name] for name in kept if name in owner} | {"created_at": _unix(0)}}


USED_DAILY = "today"
"""Stands for the day of the answer: whoever uses Copilot does so every day."""


def _github_copilot() -> dict[str, list[Row]]:
    """Seats and budgets. Beside a seat stands its login as its id; what is sent is in it."""
    return {
        "seats": [
            {
                "id": login,
                "name": None,
                "assignee": {"login": login, "id": 5_000_000 + n, "type": "User", "site_admin": False},
                "assigning_team": {"id": 1, "slug": "platform", "name": "Platform"} if n % 3 else None,
                "plan_type": "enterprise" if n < ENTERPRISE_SEATS else "business",
                "created_at": stamp(created(n)),
                "updated_at": stamp(created(n)),
                "last_activity_at": None if n >= len(DEVELOPERS) - WITHOUT_USE else USED_DAILY,
                "last_activity_editor": "vscode/1.110.0/copilot/1.400.0",
                "pending_cancellation_date": "2026-12-01" if n == len(DEVELOPERS) - 1 else None,
            }
            for n, login in enumerate(DEVELOPERS)
        ],
        "budgets": [
            {
                "id": f"budget-{n}",
                "name": None,
                "budget_type": "ProductPricing",
                "budget_product_sku": sku,
                "budget_scope": scope,
                "budget_entity_name": entity,
                "user": None,
                "budget_amount": dollars,
                "prevent_further_usage": is_enforced,
                "consumed_amount": 12.5,
                "budget_alerting": {"will_alert": True, "alert_recipients": ["alice-acme"]},
            }
            for n, (sku, scope, entity, dollars, is_enforced) in enumerate(
                (
                    ("copilot", "organization", "acme-robotics", 900, True),
                    ("copilot_premium_request", "cost_center", "research", 50, False),
                    ("copilot_for_business", "organization", "acme-robotics", 20, True),
                    ("actions", "organization", "acme-robotics", 100, True),
                )
            )
        ],
    }


def _unix(n: int) -> int:
    return int(created(n).timestamp())


def _anthropic(company: Company) -> dict[str, list[Row]]:
    api_actors = [coder.actor_name for coder in CODERS if coder.actor_type == "api_actor"]
    workspace_of = {caller.key: caller.workspace for caller in CLAUDE_CALLERS}
    workspace_of |= dict.fromkeys(api_actors, CLAUDE_CODE_WORKSPACE)
    return {
        "spend_limits": [
            {
                "id": company.identifier("spl_01", f"{kind} {period}"),
                "name": None,
                "type": "spend_limit",
                "amount": cents,
                "currency": "USD",
                "period": period,
                "is_enabled": cents is not None,
                "scope": {"type": kind, **scope},
                "created_at": stamp(created(0)),
                "updated_at": stamp(created(1)),
            }
            for kind, scope, period, cents in (
                ("organization", {}, "monthly", "400000"),
                (
                    "workspace",
                    {"workspace_id": company.identifier("wrkspc_01", CLAUDE_CODE_WORKSPACE)},
                    "weekly",
                    "50001",
                ),
                ("user", {"user_id": company.identifier("user_01", "bob")}, "daily", None),
            )
        ],
        "organization": [{"id": ORGANIZATION_ID, "type": "organization", "name": "Acme Robotics"}],
        "workspaces": [
            {
                "id": company.identifier("wrkspc_01", name),
                "type": "workspace",
                "name": NAMES.get(name, name),
                "created_at": stamp(created(n)),
                "archived_at": stamp(created(300 + n)) if name in ARCHIVED else None,
                "display_color": "#6C5BB9",
                "data_residency": {"workspace_geo": "us", "allowed_inference_geos": "unrestricted"},
                "inference_data_privacy": {"human_review": {"type": "enabled"}, "transcripts_storage": None},
                "user_profile_id": None,
                "tags": {"team": name.casefold()},
            }
            for n, name in enumerate(_distinct([*(c.workspace for c in CLAUDE_CALLERS), CLAUDE_CODE_WORKSPACE]))
        ],
        "users": [
            {
                "id": company.identifier("user_01", person),
                "type": "user",
                "email": email(person),
                "name": name or "",
                "role": "admin" if person == "alice" else "developer",
                "added_at": stamp(created(n)),
            }
            for n, (person, name) in enumerate(PEOPLE.items())
        ],
        "api_keys": [
            {
                "id": company.identifier("apikey_01", key),
                "type": "api_key",
                "name": key,
                "workspace_id": company.identifier("wrkspc_01", workspace_of[key]),
                "created_at": stamp(created(n)),
                "created_by": {"id": company.identifier("user_01", "alice"), "type": "user"},
                "principal": None,
                "partial_key_hint": f"sk-ant-api03-...{n:03}",
                "status": "active",
                "expires_at": None,
            }
            for n, key in enumerate(_distinct(workspace_of))
            if key not in DELETED_KEYS
        ],
    }


# --- On the wire ------------------------------------------------------------------------------------------------------


INCLUDE_ARCHIVED = Parameter("include_archived", boolean, default=False)


def is_shown(item: Row, query: Mapping[str, Any]) -> bool:
    if query.get("include_archived") is False and item["archived_at"]:
        return False
    return query.get("owner_project_access", "any") in ("any", item.get("owner_project_access"))


def listed_page(request: Request, items: Sequence[Row], query: Mapping[str, Any], cursor: str) -> dict[str, Any]:
    """One page; the short_page fault makes it shorter. An id that is not in the list is no place to go on from."""
    ids = [item["id"] for item in items]
    after = query[cursor]
    if after and after not in ids:
        raise BadParameterError(cursor, "unknown_cursor", after)
    begin = ids.index(after) + 1 if after else 0
    end = begin + min(query["limit"], request.scope.get("page_size", query["limit"]))
    data = items[begin:end]
    first_id, last_id = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"data": data, "first_id": first_id, "last_id": last_id, "has_more": end < len(items)}
