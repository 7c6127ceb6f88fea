"""Who is in a Cursor team, and what each member spent in the running billing cycle.

Source: the Admin API page at cursor.com/docs/account/teams/admin-api.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Annotated

import msgspec

from usage_assets.provider import Json, Lookup, LookupRow, PersonName, Role, ShapeError, column

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

of_person = column("Person: the e-mail address, by which alone events know a person", address="only_id")
cents = partial(column, unit="cents", additive=False)
dollars = partial(column, unit="USD", additive=False)
MemberId = Annotated[str | None, column("Id of the member in Cursor: a number, or a text that begins with user_")]


class Members(LookupRow, kw_only=True, rename={"id": "email", "member_id": "id", "is_removed": "isRemoved"}):
    """One row per connection, member of the team and version of its attributes; removed members are listed, too.

    The id is the e-mail address: costs and usage know a person by nothing else.
    """

    table = "cursor.members"

    id: Annotated[str, of_person]
    member_id: MemberId = None
    name: PersonName = None
    role: Role = None
    is_removed: Annotated[bool | None, column("Whether the member was removed from the team")] = None


class MembersAnswer(msgspec.Struct, rename="camel"):
    """The whole list, which has no pages."""

    team_members: list[Json]


def all_members(body: Json, _after: str | None) -> Json:
    """The list of members as a page."""
    listed = msgspec.convert(body, MembersAnswer).team_members
    data = [member | {"id": as_text(member.get("id"))} for member in listed]
    return {name: value for name, value in body.items() if name != "teamMembers"} | {"data": data, "has_more": False}


class Spend(
    LookupRow,
    kw_only=True,
    rename={
        "id": "email",
        "member_id": "userId",
        "cycle_start": "cycleStart",
        "spend_cents": "spendCents",
        "overall_spend_cents": "overallSpendCents",
        "included_spend_cents": "includedSpendCents",
        "fast_premium_requests": "fastPremiumRequests",
        "hard_limit_override_dollars": "hardLimitOverrideDollars",
        "monthly_limit_dollars": "monthlyLimitDollars",
        "effective_limit_dollars": "effectivePerUserLimitDollars",
    },
):
    """One row per connection, person, and version of what they spent so far in the billing cycle that runs then.

    Whoever used something since the last answer gets a version. Spend has no days and is in no cost. A check compares
    spend_cents with what events are billed. Nothing compares what the plan includes: events state another price of it
    (that of the requests, or 0), and no source says that the two are equal.
    """

    table = "cursor.spend"

    id: Annotated[str, of_person]
    member_id: MemberId = None
    cycle_start: Annotated[datetime | None, column("When the billing cycle began; rarely at midnight")] = None
    spend_cents: Annotated[
        Decimal | None, cents("On-demand spend, which is billed; null: none is stated", kind="billed")
    ] = None
    overall_spend_cents: Annotated[Decimal | None, cents("Spend with what the plan includes", kind="notional")] = None
    included_spend_cents: Annotated[
        Decimal | None, cents("What the plan includes: not a part of spend_cents", kind="notional")
    ] = None
    fast_premium_requests: Annotated[int | None, column("Requests to premium models", unit="requests")] = None
    hard_limit_override_dollars: Annotated[
        Decimal | None, dollars("Limit of this person; 0: none is set", kind="planned")
    ] = None
    monthly_limit_dollars: Annotated[
        Decimal | None, dollars("Monthly limit of this person; null: none", kind="planned")
    ] = None
    effective_limit_dollars: Annotated[
        Decimal | None, dollars("Limit that applies, as Cursor computes it", kind="planned")
    ] = None


class SpendAnswer(msgspec.Struct, rename="camel"):
    """What is read of a page of spend."""

    team_member_spend: list[Json]
    total_pages: int
    subscription_cycle_start: object = None


_AROUND_SPEND = ("teamMemberSpend", "subscriptionCycleStart", "nextCycleStart", "totalMembers", "totalPages")
_OF_THE_TEAM = ("limitedUsersCount", "maxUserSpendCents")


def page_of_spend(body: Json, after: str | None) -> Json:
    """A page of spend. Pages are numbered from 1; each person has the beginning of the cycle."""
    answer, page = msgspec.convert(body, SpendAnswer), int(after or 1)
    began = answer.subscription_cycle_start
    cycle = {"cycleStart": None if began is None else moment(began, "$.subscriptionCycleStart").isoformat()}
    data = [person | cycle | {"userId": as_text(person.get("userId"))} for person in answer.team_member_spend]
    unknown = {name: value for name, value in body.items() if name not in (*_AROUND_SPEND, *_OF_THE_TEAM)}
    return unknown | {"data": data, "has_more": page < answer.total_pages, "last_id": str(page + 1)}


def moment(milliseconds: object, path: str) -> datetime:
    """The moment that Cursor states as milliseconds since 1970, as a number or as text. Raises ShapeError."""
    try:
        return _EPOCH + timedelta(milliseconds=int(milliseconds))  # type: ignore[call-overload,no-any-return]
    except (TypeError, ValueError, OverflowError):
        raise ShapeError(path, None, f"Expected milliseconds since 1970, not {milliseconds!r}") from None


def as_text(number: object) -> object:
    return str(number) if isinstance(number, int) else number


def numbers(params: Sequence[tuple[str, str]]) -> Json:
    """The JSON body that reads: every parameter is a number."""
    return {name: int(value) for name, value in params}


LOOKUPS = (
    Lookup(
        name="members",
        path="teams/members",
        row=Members,
        cursor=None,
        page=all_members,
        items="teamMembers",
        known_as="user_id",
        is_of_one_organization=False,
    ),
    Lookup(
        name="spend",
        path="teams/spend",
        post=numbers,
        row=Spend,
        cursor="page",
        params={"page": "1", "pageSize": "100"},
        page=page_of_spend,
        items="teamMemberSpend",
        is_of_one_organization=False,
        left_out=frozenset(
            (
                "name",
                "role",
                "profilePictureUrl",
                "autoPercentUsed",
                "apiPercentUsed",
                "totalPercentUsed",
                "billingTier",
            )
        ),
    ),
)
