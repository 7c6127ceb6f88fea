"""Claude Enterprise's engagement reports: who uses Claude, and with which skills, connectors, plugins and projects.

Nothing here is billed. Each day is asked alone, because most figures count distinct people or things: such counts must
never be added. Source: the official ``anthropic`` package 2.12.0, which documents every field. No answer has been seen
live.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from types import NoneType
from typing import Annotated, cast, get_args

import msgspec

from usage_assets.provider import (
    Cursors,
    Endpoint,
    Item,
    Json,
    Moment,
    OtherFields,
    Parser,
    Row,
    Window,
    as_json,
    column,
)

Columns = Mapping[str, object]
"""Column -> what it means; before that, where a row of the report has it, if it is called otherwise there."""


def counter(words: str, unit: str, *, distinct: bool = False) -> object:
    return Annotated[int | None, column(words, unit=unit, additive=not distinct)]


def text(words: str) -> object:
    return Annotated[str | None, column(words)]


def key(words: str) -> object:
    return Annotated[str, column(words)]


def cents(words: str) -> object:
    return Annotated[
        Decimal | None, column(words, unit="cents", kind="estimated", within=("currency",), additive=False)
    ]


PEOPLE = counter("Distinct people who used it", "people", distinct=True)
AS_JSON = Annotated[str | None, column("Counts per product or tool, as sent, as JSON", personal=True)]
USED = counter("How often it was used", "calls")
KEPT_AS_JSON = ("office_metrics", "chat_cowork_unified_metrics", "claude_code_metrics.tool_actions")
"""Objects whose many counts have no columns of their own."""

OF_PERSON: Mapping[str, tuple[str, str, Mapping[str, tuple[str, str]]]] = {
    "chat": (
        "chat",
        "chat_metrics",
        {
            "message_count": ("Messages sent", "messages"),
            "thinking_message_count": ("Messages with extended thinking", "messages"),
            "connectors_used_count": ("Calls of connectors", "calls"),
            "shared_conversations_viewed_count": ("Shared conversations opened", "views"),
            "distinct_conversation_count": ("Distinct conversations", "conversations"),
            "distinct_connectors_used_count": ("Distinct connectors used", "connectors"),
            "distinct_skills_used_count": ("Distinct skills used", "skills"),
            "distinct_projects_used_count": ("Distinct projects used", "projects"),
            "distinct_projects_created_count": ("Distinct projects created", "projects"),
            "distinct_artifacts_created_count": ("Distinct artifacts created", "artifacts"),
            "distinct_files_uploaded_count": ("Distinct files uploaded", "files"),
            "distinct_shared_artifacts_viewed_count": ("Distinct shared artifacts viewed", "artifacts"),
        },
    ),
    "claude_code": (
        "Claude Code",
        "claude_code_metrics.core_metrics",
        {
            "commit_count": ("Commits", "commits"),
            "pull_request_count": ("Pull requests created", "pull requests"),
            "artifacts_created_count": ("Artifacts created", "artifacts"),
            "distinct_session_count": ("Distinct sessions", "sessions"),
        },
    ),
    "claude_code_lines": (
        "Claude Code",
        "claude_code_metrics.core_metrics.lines_of_code",
        {"added_count": ("Lines added", "lines"), "removed_count": ("Lines removed", "lines")},
    ),
    "cowork": (
        "Cowork",
        "cowork_metrics",
        {
            "message_count": ("Messages sent", "messages"),
            "action_count": ("Tool actions completed", "actions"),
            "dispatch_turn_count": ("Turns of background agents", "turns"),
            "connectors_used_count": ("Calls of connectors", "calls"),
            "skills_used_count": ("Calls of skills", "calls"),
            "plugins_used_count": ("Calls of plugins", "calls"),
            "edit_tool_count": ("Calls of the Edit tool", "calls"),
            "multi_edit_tool_count": ("Calls of the MultiEdit tool", "calls"),
            "notebook_edit_tool_count": ("Calls of the NotebookEdit tool", "calls"),
            "write_tool_count": ("Calls of the Write tool", "calls"),
            "file_edit_count": ("Calls of all tools that edit files", "calls"),
            "artifacts_created_count": ("Artifacts created", "artifacts"),
            "distinct_session_count": ("Distinct sessions", "sessions"),
            "distinct_connectors_used_count": ("Distinct connectors used", "connectors"),
            "distinct_skills_used_count": ("Distinct skills used", "skills"),
            "distinct_plugins_used_count": ("Distinct plugins used", "plugins"),
            "sessions_with_file_edits_count": ("Distinct sessions in which files were edited", "sessions"),
        },
    ),
    "design": (
        "Claude Design",
        "design_metrics",
        {
            "message_count": ("Messages sent", "messages"),
            "distinct_session_count": ("Distinct sessions", "sessions"),
            "distinct_projects_used_count": ("Distinct projects used", "projects"),
            "distinct_projects_created_count": ("Distinct projects created", "projects"),
        },
    ),
    "science": (
        "Claude Science",
        "science_metrics",
        {
            "message_count": ("Messages sent", "messages"),
            "delegation_count": ("Handoffs to a specialized agent", "handoffs"),
            "remote_compute_job_count": ("Remote jobs started", "jobs"),
            "skills_used_count": ("Calls of skills", "calls"),
            "distinct_session_count": ("Distinct sessions", "sessions"),
        },
    ),
    "claude_tag": (
        "Claude Tag",
        "claude_tag_metrics",
        {
            "active_message_count": ("Slack messages that made the person active", "messages"),
            "active_day_count": ("1 if the person was active, else 0", "days"),
        },
    ),
}
"""Beginning of a person's columns -> product, where the row has its object, what the object counts."""
ACTIVE = {
    "": "Claude",
    "chat_": "chat",
    "claude_code_": "Claude Code",
    "cowork_": "Cowork",
    "chat_cowork_unified_": "Chat and Cowork unified",
    "office_agent_": "Claude in Office",
    "claude_design_": "Claude Design",
    "science_": "Claude Science",
    "claude_tag_": "Claude Tag in Slack",
}
PERIODS = {"daily": "on the day", "weekly": "in 7 days until the day", "monthly": "in 28 or 30 days until the day"}

SUMMARIES: Columns = {
    "assigned_seat_count": counter("Seats that are assigned", "seats", distinct=True),
    "pending_invite_count": counter("Open invitations", "invitations", distinct=True),
    **{
        name: counter(f"Distinct people who used {product} {when}", "people", distinct=True)
        for begins, product in ACTIVE.items()
        for period, when in PERIODS.items()
        if (name := f"{begins}{period}_active_user_count")
    },
    "science_entitled_user_count": counter("People with a seat for Claude Science", "people", distinct=True),
    **{
        name: Annotated[Decimal | None, column(f"Active seats {when}", unit="percent", additive=False)]
        for period, when in PERIODS.items()
        if (name := f"{period}_adoption_rate")
    },
}
USERS: Columns = {
    "user_id": ("user.id", key("Person")),
    "user_email": (
        "user.email_address",
        Annotated[str | None, column("Current address of the person; sent unasked", address="sent_unasked")],
    ),
    "web_search_count": counter("Web searches", "requests"),
    **{
        f"{begins}_{name}": (
            f"{place}.{name}",
            counter(f"{words}, in {product}", unit, distinct=name.startswith(("distinct_", "sessions_", "active_day"))),
        )
        for begins, (product, place, counted) in OF_PERSON.items()
        for name, (words, unit) in counted.items()
    },
    "claude_code_tool_actions": ("claude_code_metrics.tool_actions", AS_JSON),
    "office_metrics": AS_JSON,
    "chat_cowork_unified_metrics": AS_JSON,
    "last_activity_date": text("Latest day with activity, which is the day"),
}


def _of_thing(thing: str) -> Columns:
    """How widely a skill or connector was used, by product."""
    session, conversation = f"distinct_session_{thing}_used_count", f"distinct_conversation_{thing}_used_count"
    counted = {
        f"chat_{conversation}": ("chat", "conversations", f"chat_metrics.{conversation}"),
        f"claude_code_{session}": ("Claude Code", "sessions", f"claude_code_metrics.{session}"),
        f"cowork_{session}": ("Cowork", "sessions", f"cowork_metrics.{session}"),
    }
    return {
        "distinct_user_count": PEOPLE,
        **{
            name: (place, counter(f"Distinct {unit} with it, in {product}", unit, distinct=True))
            for name, (product, unit, place) in counted.items()
        },
        "chat_cowork_unified_metrics": AS_JSON,
    }


SKILLS: Columns = {
    "skill_name": key("Skill: its name, or an id"),
    "share_status": text("Who has it in chat: private, organization or public"),
    "skill_display_name": text("Current name of a skill that has an id"),
    "invocation_count": USED,
    "enable_count": counter("Distinct accounts that switched it on", "people", distinct=True),
    **_of_thing("skill"),
    "office_metrics": AS_JSON,
    "attributed_list_price_cents": (
        "attributed_list_price",
        cents("List price of the requests that involved the skill, with fractions: never billed"),
    ),
    "estimated_overage_spend_cents": (
        "estimated_overage_spend",
        cents("Estimated part of the overage, with fractions: not a cost of its own"),
    ),
    "currency": text("Currency of the two amounts: USD"),
}
CONNECTORS: Columns = {
    "connector_name": key("Connector: its name, or an id"),
    "connector_display_name": text("Current name of a connector that has an id"),
    "read_call_count": counter("Calls that only read", "calls"),
    "write_call_count": counter("Calls that do not only read", "calls"),
    "unclassified_call_count": counter("Calls that are not classified", "calls"),
    "individual_auth_distinct_user_count": counter(
        "Distinct people with a credential of their own", "people", distinct=True
    ),
    "managed_auth_distinct_user_count": counter(
        "Distinct people with a credential of the organization", "people", distinct=True
    ),
    **_of_thing("connector"),
    "office_metrics": AS_JSON,
}
PLUGINS: Columns = {
    "plugin_id": text("Plugin; none for those of third parties"),
    "plugin_name": key("Its name"),
    "invocation_count": USED,
    "install_count": counter("Distinct people who installed it", "people", distinct=True),
    **{name: found for name, found in _of_thing("plugin").items() if not name.startswith("chat_distinct")},
}
ARTIFACTS: Columns = {
    "artifact_type": key("MIME type, or other"),
    "is_shared": Annotated[bool, column("Whether they were ever shared")],
    "artifacts_created_count": counter("Artifacts created", "artifacts"),
    "published_artifacts_created_count": counter("Those of them that were published", "artifacts"),
    "distinct_user_count": counter("Distinct people who made them", "people", distinct=True),
}
CHAT_PROJECTS: Columns = {
    "project_id": key("Project of chat"),
    "project_name": key("Its current name"),
    "created_at": text("When it was created"),
    "created_by_id": ("created_by.id", text("Person who created it")),
    "created_by_email": (
        "created_by.email_address",
        Annotated[str | None, column("Current address of that person; sent unasked", address="sent_unasked")],
    ),
    "message_count": counter("Messages sent", "messages"),
    "distinct_conversation_count": counter("Distinct conversations", "conversations", distinct=True),
    "distinct_user_count": PEOPLE,
}
ALWAYS_SENT = frozenset(
    (
        *(f"{period}_active_user_count" for period in PERIODS),
        *(f"cowork_{period}_active_user_count" for period in PERIODS),
        *("web_search_count", "chat_message_count", "chat_thinking_message_count", "chat_connectors_used_count"),
        *("claude_code_commit_count", "claude_code_pull_request_count"),
        *("claude_code_lines_added_count", "claude_code_lines_removed_count"),
        *("cowork_message_count", "cowork_action_count", "design_message_count", "science_message_count"),
        *("message_count", "distinct_user_count", "artifacts_created_count", "published_artifacts_created_count"),
    )
)
"""Counters whose absence is a warning."""


class OfDay(Item, kw_only=True, rename={"start": "starting_at"}):
    """What is read of a row before it is built."""

    start: Moment


def rows_of_day(record: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """A row, with the objects as JSON whose counts have no columns. A person is always of the type ``user``."""
    for place in KEPT_AS_JSON:
        *outer, name = place.split(".")
        holder = record.get(outer[0]) if outer else record
        if isinstance(holder, dict) and holder.get(name) is not None:
            holder[name] = as_json(parser.people.scrubbed(holder[name]))
    for name in ("user", "created_by"):
        if isinstance(person := record.get(name), dict):
            record[name] = {field: value for field, value in person.items() if (field, value) != ("type", "user")}
    yield path, record


def days_of(window: Window) -> Mapping[str, str]:
    """Window parameters of the summaries: the end is exclusive."""
    return {"starting_date": str(window.first), "ending_date": str(window.end.date())}


def _is_optional(annotation: object) -> bool:
    return NoneType in get_args(get_args(annotation)[0])


def _endpoint(name: str, what: str, columns: Columns, *grain: str, path: str | None = None) -> Endpoint:
    """Declare a report and its table."""
    placed = {each: said if isinstance(said, tuple) else (each, said) for each, said in columns.items()}
    row = msgspec.defstruct(
        name.title().replace("_", ""),
        [
            *(
                (each, annotation, None) if _is_optional(annotation) and each not in ALWAYS_SENT else (each, annotation)
                for each, (_, annotation) in placed.items()
            ),
            ("other_fields", OtherFields, None),
        ],
        bases=(Row,),
        namespace={
            "__doc__": f"One row per connection, day and {what}: Claude Enterprise's report {name}.\n\n"
            "    Never add distinct counts, neither over rows nor over days. Nothing here is billed, and no costs are\n"
            "    computed from it.\n    ",
            "table": f"anthropic_analytics.{name}",
            "grain": grain,
        },
        module=__name__,
        kw_only=True,
        gc=False,
        rename={each: place for each, (place, _) in placed.items()},
    )
    return Endpoint(
        name=name,
        group="engagement",
        path=f"v1/organizations/analytics/{path or name}",
        row=cast("type[Row]", row),
        item=OfDay,
        records=rows_of_day,
        # it says nothing of the day, but for summaries. The reference of 2026-08 and a live answer call their list
        # ``summaries``, the package 2.12.0 ``data``
        page=Cursors(items=("data", "summaries"), asked_for="starting_at"),
        window_days=1,
        window_params=lambda window: {"date": str(window.first)},
        params={"limit": "1000"},
        bucket_per_day=False,
        seen_live=False,
        default_on=False,
    )


ENGAGEMENT_ENDPOINTS = (
    _endpoint("users", "person", USERS, "user_id"),
    replace(
        _endpoint("summaries", "organization", SUMMARIES), window_days=31, window_params=days_of, bucket_per_day=True
    ),
    replace(_endpoint("skills", "skill", SKILLS, "skill_name", "share_status"), part_of="anthropic_analytics.cost"),
    _endpoint("connectors", "connector", CONNECTORS, "connector_name"),
    _endpoint("plugins", "plugin", PLUGINS, "plugin_id", "plugin_name"),
    _endpoint("artifacts", "type of artifacts, shared or not", ARTIFACTS, "artifact_type", "is_shared"),
    _endpoint("chat_projects", "project of chat", CHAT_PROJECTS, "project_id", path="apps/chat/projects"),
)
