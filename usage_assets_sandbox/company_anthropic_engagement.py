"""Who uses Claude Enterprise on a day, and with which skills, connectors, plugins, artifacts and projects.

Distinct counts are of the day alone: they add up to nothing. Cents of skills are estimates, and in no bill.
"""

from datetime import date
from decimal import Decimal
from random import Random

from usage_assets_sandbox.books import Book, field, fields
from usage_assets_sandbox.company import ATTENDANCE, Company, DayRows, Row
from usage_assets_sandbox.company_anthropic import CODERS

SEATS = 12
CHATTERS = ("alice", "chen", "dana", "fatima", "ivan", "julia", "kofi", "lena")
PROGRAMMERS = tuple(dict.fromkeys(coder.actor_name for coder in CODERS if coder.actor_type == "user_actor"))
# Name, share status, whether it is used in Claude Code.
SKILLS = (("pdf", "public", False), ("release-notes", "organization", False), ("code-review", None, True))
CONNECTORS = ("github", "google_drive", "c0nn3ct0r-1d")
PLUGINS = (("serena@claude-plugins-official", "serena"), (None, "third-party"))
PROJECTS = ("Tender texts", "Support answers")
ARTIFACTS = (("text/markdown", False), ("application/vnd.ant.react", True))


def anthropic_engagement_day(company: Company, day: date) -> DayRows:
    """The rows of a day, each report by the name of its endpoint."""
    dice = company.dice("claude engagement", day)
    users = [row for person in dict.fromkeys((*CHATTERS, *PROGRAMMERS)) if (row := _user(company, person, day, dice))]
    people = 1 + dice.randrange(0, 5)
    return {
        "summaries": [{"seats": SEATS, "daily": len(users), "weekly": max(len(users), SEATS - 2), "monthly": SEATS}],
        "users": users,
        "skills": [
            {
                "skill_name": name,
                "share_status": status,
                "in_code": in_code,
                "people": people,
                "invocation_count": people * dice.randrange(1, 9),
                "attributed_list_price": Decimal(dice.randrange(1, 10**6)).scaleb(-3),
                "estimated_overage_spend": Decimal(dice.randrange(1, 10**5)).scaleb(-4),
            }
            for name, status, in_code in SKILLS
        ],
        "connectors": [
            {"connector_name": name, "people": people, "read_call_count": dice.randrange(1, 90), "write_call_count": n}
            for n, name in enumerate(CONNECTORS)
        ],
        "plugins": [
            {"plugin_id": plugin, "plugin_name": name, "people": people, "invocation_count": dice.randrange(1, 40)}
            for plugin, name in PLUGINS
        ],
        "artifacts": [
            {"artifact_type": kind, "is_shared": shared, "people": people, "artifacts_created_count": people + shared}
            for kind, shared in ARTIFACTS
        ],
        "chat_projects": [
            {
                "project_id": company.identifier("claude_proj_01", name),
                "project_name": name,
                "person": CHATTERS[n],
                "people": people,
                "message_count": people * dice.randrange(1, 20),
            }
            for n, name in enumerate(PROJECTS)
        ],
    }


def _user(company: Company, person: str, day: date, dice: Random) -> Row | None:
    """What a person did, None on a day off."""
    present, busy = dice.random() <= ATTENDANCE[day.weekday()], 1 + int(5 * company.pace(day) * dice.random())
    if not present:
        return None
    chats, codes = (busy if person in those else 0 for those in (CHATTERS, PROGRAMMERS))
    return {
        "user_id": company.identifier("user_01", person),
        "person": person,
        "messages": chats * 4,
        "conversations": chats,
        "code_sessions": codes,
        "commits": codes // 2,
        "pull_requests": codes // 4,
        "lines_added": codes * 37,
        "lines_removed": codes * 11,
        "web_search_count": chats // 3,
    }


ENGAGEMENT = {
    "summaries": Book(
        ("seats",),
        # of a day: over days, only seat-days and person-days add up
        {
            "claude_seat_days": field("seats", "assigned_seat_count"),
            "claude_person_days": field("daily", "daily_active_user_count"),
        },
        lambda _, n: {"seats": 100 + n},
    ),
    "users": Book(
        ("user_id", "person"),
        {
            "claude_messages": field("messages", "chat_message_count"),
            "claude_commits": field("commits", "claude_code_commit_count"),
            "claude_lines_added": field("lines_added", "claude_code_lines_added_count"),
            "claude_web_searches": field("web_search_count"),
        },
        lambda _, n: {"user_id": f"user_01late{n}", "person": f"late{n}"},
    ),
    "skills": Book(
        ("skill_name", "share_status", "in_code"),
        fields(skill_calls="invocation_count"),
        lambda _, n: {"skill_name": f"late-{n}"},
    ),
    "connectors": Book(
        ("connector_name",),
        fields(connector_reads="read_call_count"),
        lambda _, n: {"connector_name": f"late-{n}"},
    ),
    "plugins": Book(
        ("plugin_id", "plugin_name"),
        fields(plugin_calls="invocation_count"),
        lambda _, n: {"plugin_name": f"late-{n}"},
    ),
    "artifacts": Book(
        ("artifact_type", "is_shared"),
        fields(claude_artifacts="artifacts_created_count"),
        lambda _, n: {"artifact_type": f"text/late-{n}"},
    ),
    "chat_projects": Book(
        ("project_id", "project_name", "person"),
        fields(project_messages="message_count"),
        lambda _, n: {"project_id": f"claude_proj_01late{n}"},
    ),
}
