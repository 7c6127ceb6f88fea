"""What Anthropic's newer reports say of a day: the messages and costs of company_anthropic.py once more, by identity,
product, session, Slack channel and child organization.

Nothing here is left to chance of its own: the same day of the same company always adds up to the same use, and to the
cents of its cost report.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Context, Decimal, localcontext
from uuid import UUID

from usage_assets_sandbox.books import Book, Books, field, fields
from usage_assets_sandbox.company import EXACT, SMALLEST, Company, DayRows, Row, email
from usage_assets_sandbox.company_anthropic import (
    CLAUDE_CALLERS,
    CLAUDE_CODE_WORKSPACE,
    CLAUDE_COST_DIMENSIONS,
    CODERS,
    anthropic_day,
    claude_lines,
)
from usage_assets_sandbox.company_anthropic_engagement import ENGAGEMENT, anthropic_engagement_day

ACTOR = ("actor_type", "actor_id", "person")
MANAGED = ("agent_id", "deployment_id", "environment_id", "session_id")
SLACK = ("slack_channel_id", "claude_tag_category")
USAGE_DIMENSIONS = (
    "workspace_id",
    *ACTOR,
    "api_key_id",
    "model",
    "service_tier",
    "context_window",
    "inference_geo",
    "speed",
    "product",
    *MANAGED,
    *SLACK,
    "organization_id",
)
COST_DIMENSIONS = (*USAGE_DIMENSIONS, "cost_type", "token_type")
TOKENS = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_creation_5m_input_tokens",
    "cache_creation_1h_input_tokens",
    "output_tokens",
)
DEFAULT_WORKSPACE = "Default"  # these reports name it, the older ones say null
CONSOLE_USER = "lena"  # known to the organization through her cloud platform only
LIST_PRICE = Decimal("1.25")  # of what is paid: the company has a discount of 20 %
OUTPUT_OF_A_REQUEST = 400  # tokens, about
AGENTS = "support triage"  # this service account's requests are those of managed agents
TAGGED_BY = "julia"  # her requests come from Slack
# Agent and deployment of each session of a day; the last one was started by hand.
SESSIONS = (("triage", "mail"), ("triage", "web form"), ("refunds", None))
# Channel and kind: some usage of Claude Tag has no channel.
CHANNELS = (("research", "engaged"), ("research", "scheduled"), ("general", "proactive"), (None, "dm"))
LABS = "Research"  # the workspace of one child organization; the other one has all others
SPANS = 3  # of code execution, which these reports count as requests


def anthropic_analytics_day(company: Company, day: date) -> DayRows:
    """Tokens and cents per identity, product and what else the reports group by; those of persons once more.

    The reports of Claude Enterprise tell neither sessions nor Slack channels apart.
    """
    use = anthropic_day(company, day)
    people = {caller.account for caller in CLAUDE_CALLERS if caller.account}
    people |= {coder.actor_name for coder in CODERS if coder.actor_type == "user_actor"}
    accounts = {company.identifier("user_01", person): person for person in people}
    messages = [(message, _who(company, message, accounts)) for message in use["usage_messages"]]
    usage = [
        who
        | {name: message[name] for name in (*TOKENS, "web_search_requests")}
        | {"requests": 1 + message["output_tokens"] // OUTPUT_OF_A_REQUEST}
        for message, who in messages
    ]
    costs = list(_costs(company, use["cost_report"], messages))
    of_people = [[row for row in rows if row["person"]] for rows in (usage, costs)]
    return {
        "usage": [part for row in usage for part in _parts(company, day, row)],
        "cost": [part for row in costs for part in _parts(company, day, row)],
        "usage_report": usage,
        "cost_report": costs,
        "user_usage_report": of_people[0],
        "user_cost_report": of_people[1],
    }


def _parts(company: Company, day: date, row: Row) -> Iterator[Row]:
    """A row as the parts that sessions and Slack channels have in it. They add up to it exactly."""
    places: list[Row] = [{}]
    if row["actor_id"] == company.identifier("svac_01", AGENTS):
        places = [
            {
                "product": "managed_agents_api",
                "agent_id": company.identifier("agent_01", agent),
                "deployment_id": company.identifier("depl_01", deployment),
                "environment_id": company.identifier("env_01", "production"),
                "session_id": company.identifier("sesn_01", f"{day} {n}"),
            }
            for n, (agent, deployment) in enumerate(SESSIONS)
        ]
    elif row["person"] == TAGGED_BY:
        places = [
            {
                "product": "claude_tag",
                "slack_channel_id": channel and (company.identifier("C0", channel) or "")[:11].upper(),
                "claude_tag_category": kind,
            }
            for channel, kind in CHANNELS
        ]
    counts = {name: row[name] for name in (*TOKENS, "web_search_requests", "requests") if name in row}
    amounts = _split(row["amount"], [Decimal(1)] * len(places)) if "amount" in row else []
    for n, place in enumerate(places):
        rest = {name: count % len(places) if n == 0 else 0 for name, count in counts.items()}
        part = row | place | {name: count // len(places) + rest[name] for name, count in counts.items()}
        yield part | (_amounts(amounts[n], part["requests"]) if amounts else {})


def _organization(company: Company, workspace_id: str | None) -> str:
    """The child organization of a workspace."""
    name = "labs" if workspace_id == company.identifier("wrkspc_01", LABS) else "products"
    return str(UUID((company.identifier("", name) or "").rjust(32, "0")))


def _who(company: Company, message: Row, accounts: dict[str | None, str]) -> Row:
    account, service, key = (message[name] for name in ("account_id", "service_account_id", "api_key_id"))
    actor: tuple[str, str, str | None]
    if account:
        actor = ("user_actor", account, accounts[account])
    elif service:
        actor = ("service_account_actor", service, None)
    elif key:
        actor = ("api_actor", key, None)
    else:
        actor = ("federated_actor", f"user:{email(CONSOLE_USER)}", None)
    is_code = message["workspace_id"] == company.identifier("wrkspc_01", CLAUDE_CODE_WORKSPACE)
    by_api = "message_batches_api" if message["service_tier"] == "batch" else "messages_api"
    workspace = message["workspace_id"] or company.identifier("wrkspc_01", DEFAULT_WORKSPACE)
    return dict.fromkeys((*MANAGED, *SLACK)) | {
        "workspace_id": workspace,
        "organization_id": _organization(company, workspace),
        **dict(zip(ACTOR, actor, strict=True)),
        **{name: message[name] for name in ("api_key_id", "model", "service_tier", "context_window", "speed")},
        "inference_geo": None if message["inference_geo"] == "not_available" else message["inference_geo"],
        "product": "claude_code" if is_code else by_api if key or account or service else "claude_console",
    }


def _costs(company: Company, cost_report: list[Row], messages: list[tuple[Row, Row]]) -> Iterator[Row]:
    """Each line of the cost report, split among those whose tokens it bills; Priority Tier is in none of them."""
    shares: defaultdict[tuple[object, ...], list[tuple[Row, Decimal, int]]] = defaultdict(list)
    for message, who in messages:
        if message["service_tier"] != "priority":
            for n, (billed, cents) in enumerate(claude_lines(message)):
                requests = 0 if n else 1 + message["output_tokens"] // OUTPUT_OF_A_REQUEST
                shares[billed].append((who, cents, requests))
    for line in cost_report:
        kind = {name: line[name] for name in ("cost_type", "token_type")}
        sharing = shares[tuple(line[name] for name in CLAUDE_COST_DIMENSIONS)]
        if not sharing:
            workspace = line["workspace_id"] or company.identifier("wrkspc_01", DEFAULT_WORKSPACE)
            nobody = dict.fromkeys(USAGE_DIMENSIONS) | {"workspace_id": workspace}
            nobody["organization_id"] = _organization(company, workspace)
            yield nobody | kind | _amounts(line["amount"], SPANS)
            continue
        parts = _split(line["amount"], [cents for _, cents, _ in sharing])
        for (who, _, requests), part in zip(sharing, parts, strict=True):
            yield who | kind | _amounts(part, requests)


def _split(amount: Decimal, shares: list[Decimal]) -> list[Decimal]:
    """Parts of an amount in the proportion of the shares; they add up to it exactly."""
    with localcontext(Context(prec=60)):
        whole = sum(shares, Decimal(0))
        parts = [(amount * share / whole).quantize(SMALLEST) for share in shares[1:]]
        return [amount - sum(parts, Decimal(0)), *parts]


def _amounts(amount: Decimal, requests: int) -> Row:
    with localcontext(EXACT):
        return {"amount": amount, "list_amount": amount * LIST_PRICE, "requests": requests}


def _late_user(_rows: list[Row], n: int) -> Row:
    return {"actor_type": "user_actor", "actor_id": f"user_01late{n}", "person": f"late{n}"}


BOOKS = Books(
    lambda company, day: anthropic_analytics_day(company, day) | anthropic_engagement_day(company, day),
    {
        "usage": Book(USAGE_DIMENSIONS, fields(*TOKENS, "web_search_requests", "requests"), _late_user),
        "cost": Book(
            COST_DIMENSIONS,
            {"cents": field("amount", "amount_cents"), "list_cents": field("list_amount", "list_amount_cents")},
            _late_user,
        ),
        "usage_report": Book(USAGE_DIMENSIONS, fields(enterprise_output_tokens="output_tokens"), _late_user),
        "cost_report": Book(COST_DIMENSIONS, {"enterprise_cents": field("amount", "amount_cents")}, _late_user),
        "user_usage_report": Book(USAGE_DIMENSIONS, fields(people_output_tokens="output_tokens"), _late_user),
        "user_cost_report": Book(COST_DIMENSIONS, {"people_cents": field("amount", "amount_cents")}, _late_user),
        **ENGAGEMENT,
    },
)
