"""GitHub's daily metrics of Copilot: what each person did, and all of them. AI credits of persons are no bill.

An answer is a list of links to files on another host. Source: docs.github.com, "Copilot usage metrics" and its example
schema. No answer has been seen live.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Annotated

import msgspec

from usage_assets.provider import (
    LATER,
    DayToComeError,
    Endpoint,
    Item,
    Json,
    Moment,
    OtherFields,
    Parser,
    Row,
    ShapeError,
    Total,
    Window,
    as_json,
    column,
)

BOOKKEEPING = frozenset(("etl_id", "day_partition", "entity_id_partition", "created_at"))
"""How GitHub computed and keeps a row. It is not stored: it may change where the row does not."""
FRAME_OF_TOTALS = BOOKKEEPING.union(
    ("day_totals", "report_start_day", "report_end_day", "organization_id", "enterprise_id")
)
"""What stands around the rows of a file in another form: one object with a list of days."""

count = partial(column, unit="count")
people = partial(column, unit="people", additive=False)
lines = partial(column, unit="lines")
Interactions = Annotated[int | None, count("Prompts and other requests that a person made explicitly")]
Generated = Annotated[int | None, count("Times that Copilot produced code")]
Accepted = Annotated[int | None, count("Times that its code was accepted")]
SuggestedToAdd = Annotated[int | None, lines("Lines that it suggested to add")]
SuggestedToDelete = Annotated[int | None, lines("Lines that it suggested to delete")]
Added = Annotated[int | None, lines("Lines that were added with it")]
Deleted = Annotated[int | None, lines("Lines that were deleted with it")]
OrganizationLogin = Annotated[
    str | None, column("Login of the organization, as the connection names it; none where it names an enterprise")
]
OrganizationId = Annotated[str | None, column("GitHub's id of the organization")]
EnterpriseId = Annotated[str | None, column("GitHub's id of the enterprise")]
Breakdown = Annotated[
    str | None,
    column("What else GitHub counts, as JSON; totals_by_*: the same counts again, by feature, model, language or IDE"),
]


class ReportLine(Item, kw_only=True, rename={"start": "asked_for"}):
    """A JSON text of a file."""

    start: Moment
    answer: dict[str, object]


class Users1Day(Row, kw_only=True):
    """One row per connection, day and person who used Copilot.

    A person who is a member of several organizations has the same row in each: never add organizations. AI credits are
    what a person used, and not what is billed: the plan includes a part, and the bill has use without a user.
    """

    table = "github_copilot.users_1_day"
    grain = ("user_login",)
    totals = {"ai_credits_used": Total("sum(ai_credits_used)", "credits")}

    organization: OrganizationLogin = None
    user_login: Annotated[str, column("Login of the person", personal=True)]
    user_id: Annotated[str | None, column("GitHub's id of the person")] = None
    organization_id: OrganizationId = None
    enterprise_id: EnterpriseId = None
    ai_credits_used: Annotated[
        Decimal | None,
        column(
            "AI credits that the person used; none before 2026-06-19", unit="credits", kind="credits", additive=False
        ),
    ] = None
    user_initiated_interaction_count: Interactions
    code_generation_activity_count: Generated
    code_acceptance_activity_count: Accepted
    loc_suggested_to_add_sum: SuggestedToAdd
    loc_suggested_to_delete_sum: SuggestedToDelete
    loc_added_sum: Added
    loc_deleted_sum: Deleted
    used_agent: Annotated[bool | None, column("Whether the person used the agent")] = None
    used_chat: Annotated[bool | None, column("Whether the person used chat")] = None
    breakdown: Breakdown = None
    other_fields: OtherFields = None


class Organization1Day(
    Row,
    kw_only=True,
    rename={
        "prs_created_by_copilot": "pull_requests.total_created_by_copilot",
        "prs_reviewed_by_copilot": "pull_requests.total_reviewed_by_copilot",
        "prs_merged_by_copilot": "pull_requests.total_merged_created_by_copilot",
        "copilot_applied_suggestions": "pull_requests.total_copilot_applied_suggestions",
    },
):
    """One row per connection, day, and organization or enterprise: its use of Copilot.

    The numbers of people are distinct people of the day, or of the week or month that ends with it: never add them over
    days or organizations.
    """

    table = "github_copilot.organization_1_day"
    grain = ("organization_id", "enterprise_id")

    organization: OrganizationLogin = None
    organization_id: OrganizationId = None
    enterprise_id: EnterpriseId = None
    daily_active_users: Annotated[int | None, people("Distinct people who used it on the day")]
    weekly_active_users: Annotated[int | None, people("Distinct people of the 7 days until the day")] = None
    monthly_active_users: Annotated[int | None, people("Distinct people of the 28 days until the day")] = None
    monthly_active_chat_users: Annotated[
        int | None, people("Distinct people of the 28 days until the day who used chat")
    ] = None
    monthly_active_agent_users: Annotated[
        int | None, people("Distinct people of the 28 days until the day who used the agent")
    ] = None
    user_initiated_interaction_count: Interactions
    code_generation_activity_count: Generated
    code_acceptance_activity_count: Accepted
    loc_suggested_to_add_sum: SuggestedToAdd
    loc_suggested_to_delete_sum: SuggestedToDelete
    loc_added_sum: Added
    loc_deleted_sum: Deleted
    prs_created_by_copilot: Annotated[int | None, column("Pull requests by Copilot", unit="pull requests")] = None
    prs_reviewed_by_copilot: Annotated[
        int | None, column("Pull requests that Copilot reviewed", unit="pull requests")
    ] = None
    prs_merged_by_copilot: Annotated[
        int | None, column("Pull requests by Copilot that were merged", unit="pull requests")
    ] = None
    copilot_applied_suggestions: Annotated[
        int | None, column("Suggestions of Copilot's reviews that were applied", unit="suggestions")
    ] = None
    breakdown: Breakdown = None
    other_fields: OtherFields = None


class Report(msgspec.Struct):
    """The answer: where the files of a report are."""

    download_links: list[str]
    report_day: str | None = None


def download_links(answer: Json, window: Window) -> Sequence[str]:
    """The links to a day's report. Raises ShapeError for a report of another day, DayToComeError without a link."""
    report = msgspec.convert(answer, Report)
    if report.report_day not in (None, str(window.first)):
        raise ShapeError("$.report_day", window.first, f"date {report.report_day} is not the requested day")
    if not report.download_links:
        raise DayToComeError("$.download_links", window.first, "there is no report", LATER)
    return report.download_links


MORE = re.compile(r"(totals_by|used|distinct)_|(daily|weekly|monthly)_(active|passive)_|ai_adoption_phase$")
"""Fields that GitHub adds again and again: cuts, and who used which feature."""
COLUMNS = frozenset((*Users1Day.__struct_encode_fields__, *Organization1Day.__struct_encode_fields__))
OF_REQUESTS = frozenset(Organization1Day.__struct_encode_fields__)


def rows_of_report(line: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """The rows of a text: itself, or the days in it. Raises ShapeError for a row of another day."""
    answer, path = line["answer"], f"{path}.answer"
    totals = answer.get("day_totals")
    if totals is None:
        yield _row(answer, path, parser)
        return
    if not isinstance(totals, list) or not all(isinstance(row, dict) for row in totals):
        raise ShapeError(f"{path}.day_totals", parser.day, "Expected `array` of objects")
    shared = {name: answer[name] for name in ("organization_id", "enterprise_id") if name in answer}
    others = {f"answer.{name}": answer[name] for name in answer.keys() - FRAME_OF_TOTALS}
    for n, row in enumerate(totals):
        yield _row({**shared, **others, **row}, f"{path}.day_totals[{n}]", parser)


def _row(fields: Json, path: str, parser: Parser) -> tuple[str, Json]:
    """A row with its ids as text, and its cuts as JSON."""
    stated = fields.pop("day", None)
    if stated != str(parser.day):
        raise ShapeError(path, parser.day, f"date {stated} is not the requested day")
    for name in ("user_id", "organization_id", "enterprise_id"):
        if isinstance(fields.get(name), int) and not isinstance(fields[name], bool):
            fields[name] = str(fields[name])
    fields = {name: value for name, value in fields.items() if name not in BOOKKEEPING}
    cuts = {name: fields.pop(name) for name in fields.keys() - COLUMNS if MORE.match(name)}
    if isinstance(requests := fields.get("pull_requests"), dict):
        cuts["pull_requests"] = requests
        fields["pull_requests"] = {name: requests[name] for name in requests if f"pull_requests.{name}" in OF_REQUESTS}
    fields["organization"] = parser.ids.get("organization")
    return path, fields | ({"breakdown": as_json(parser.people.scrubbed(cuts))} if cuts else {})


def day_of(window: Window) -> Mapping[str, str]:
    """Window parameter of the reports of one day."""
    return {"day": str(window.first)}


one_day = partial(
    Endpoint,
    group="metrics",
    item=ReportLine,
    records=rows_of_report,
    links=download_links,
    window_days=1,
    window_params=day_of,
    bucket_per_day=False,
    seen_live=False,
    first_day=date(2025, 10, 10),
    lookback_days=365,
    may_lack_days=True,
)
"""Reports begin on 2025-10-10 and go back a year; of some days there is none."""
REPORTS, OF_ENTERPRISE = (
    "orgs/{organization}/copilot/metrics/reports",
    "enterprises/{enterprise}/copilot/metrics/reports",
)
METRICS = (
    one_day(
        name="users_1_day",
        path=f"{REPORTS}/users-1-day",
        or_path=f"{OF_ENTERPRISE}/users-1-day",
        row=Users1Day,
        part_of="github_copilot.ai_credits",
    ),
    one_day(
        name="organization_1_day",
        path=f"{REPORTS}/organization-1-day",
        or_path=f"{OF_ENTERPRISE}/enterprise-1-day",
        row=Organization1Day,
    ),
)
