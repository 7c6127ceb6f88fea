"""Clouds, editors, gateways and further reports of OpenAI and Anthropic: what is stored, costs, counts, and is in Port.

Declarations by endpoint or table, for audit_books.py and audit_views.py. Nothing here is read from the product.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from usage_assets.core.days import DAY
from usage_assets_report_tests.end_to_end.audit_sums import (
    Entities,
    OneDay,
    Row,
    added,
    by,
    cost,
    grouped,
    midnight,
    next_month,
    picked,
    sums,
    times,
    total,
)
from usage_assets_sandbox.company import email
from usage_assets_sandbox.company_cursor import BILLED, COVERED, OWN_KEY, SERVICE_ACCOUNT_ID, SERVICE_ACCOUNT_NAME
from usage_assets_sandbox.company_focus import ACCOUNTS, BEDROCK, METERS
from usage_assets_sandbox.company_litellm import MEASURES, TEAMS
from usage_assets_sandbox.company_openai_legacy import MEASURES as LEGACY_MEASURES
from usage_assets_sandbox.credentials import COPILOT_ORGANIZATION
from usage_assets_sandbox.directory import cursor_member_id
from usage_assets_sandbox.providers.anthropic_analytics import PROJECT_NUMBER
from usage_assets_sandbox.providers.anthropic_engagement import OFFICE, TOOLS
from usage_assets_sandbox.providers.focus import PAYER

# --- Rows: endpoint -> what is stored of a day's rows of the books ----------------------------------------------------


class Told(NamedTuple):
    """The rows that the books have of an endpoint and a day, and until when the cloud has delivered its bills."""

    rows: Sequence[Row]
    day: date
    delivered: date


MODELS_OF_METERS = {
    "Claude4.5Sonnet": "claude-sonnet-4-5",
    "Nova2.0Lite": "Nova2.0Lite",
    "anthropic.claude-opus-4-8-mantle": "claude-opus-4-8",
}
KINDS = "uncached_input_tokens output_tokens cache_read_input_tokens cache_creation.ephemeral_5m_input_tokens"
KINDS_OF_METERS = dict(zip(METERS, KINDS.split(), strict=True))
CLOUD, ISSUER = "AWS", "Amazon Web Services, Inc."


def _charges(told: Told) -> Iterator[Row]:
    """What is found late is a correction in the file of the next month, once that is delivered."""
    after = next_month(told.day)
    for row in (row for row in told.rows if row["service"] in BEDROCK):
        model, meter = next(
            (model, meter)
            for model in MODELS_OF_METERS
            for meter in METERS
            if row["meter"].endswith(f"-{model}-{meter}")
        )
        booked = after if row["late"] and after <= told.delivered else told.day.replace(day=1)
        yield {
            **picked(
                row,
                "region_id=region service_name=service sku_meter=meter sub_account_id=account "
                "billed_cost=cost effective_cost=cost list_cost=cost contracted_cost=cost "
                "consumed_quantity=quantity pricing_quantity=quantity consumed_unit=unit pricing_unit=unit",
            ),
            "billing_account_id": PAYER,
            "billing_currency": "USD",
            "billing_period_start": midnight(booked),
            "charge_category": "Usage",
            "charge_class": "Correction" if booked > told.day else None,
            "charge_description": f"{row['unit']} of {row['meter']}",
            "charge_period_start": midnight(told.day),
            "charge_period_end": midnight(told.day + DAY),
            "invoice_issuer_name": ISSUER,
            "service_category": "AI and Machine Learning",
            "service_provider_name": CLOUD,
            "sku_id": f"SKU-{row['meter']}",
            "sku_price_id": f"SKU-{row['meter']}.1",
            "sub_account_name": ACCOUNTS.get(row["account"], "found late"),
            "other_columns": {
                "BillingAccountName": "Acme Robotics",
                "BillingPeriodEnd": f"{next_month(booked)}T00:00:00Z",
                "ChargeFrequency": "Usage-Based",
                "PricingCategory": "Standard",
                "PublisherName": CLOUD,
                "Tags": {"team": ACCOUNTS.get(row["account"])},
                "x_Operation": "InvokeModelInference",
                "x_ServiceCode": "AmazonBedrock",
            },
            "model": MODELS_OF_METERS[model],
            "usage_type": KINDS_OF_METERS[meter],
            "tokens": int(row["quantity"] * 1000),
            "corrected_by": f"metadata/BILLING_PERIOD={booked:%Y-%m}/focus-Manifest.json"
            if booked > told.day
            else None,
        }
    others = (row for row in told.rows if row["service"] not in BEDROCK)
    for (service,), same in by(others, "service").items():
        yield {
            "billing_currency": "USD",
            **dict.fromkeys(("billed_cost", "effective_cost"), added(same, "cost")),
            "service_category": "Compute",
            "service_name": service,
            "service_provider_name": CLOUD,
            "left_out_rows": len(same),
        }


EVENT_KINDS = {
    "Included in Business": "included_in_business",
    "Usage-based": "usage_based",
    "User API Key": "user_api_key",
    "Free Credit": "free_credit",
    "Errored, Not Charged": "errored_not_charged",
    "Aborted, Not Charged": "aborted_not_charged",
}
CHARGES = {BILLED: "billed", OWN_KEY: "own_key", **dict.fromkeys(COVERED, "included")}
OF_EVENTS = (
    "user_id service_account_id service_account_name model kind kind_as_sent charge "
    "is_chargeable max_mode is_headless is_cloud_agent"
)
ADDED_EVENTS = (
    "events request_units input_tokens output_tokens cache_read_tokens cache_write_tokens "
    "model_cents token_fee_cents charged_cents"
)


def _events(told: Told) -> Iterator[Row]:
    """Events are added up: they have no id."""
    events = [
        {
            **row,
            "user_id": None if row["is_account"] else email(row["person"]),
            "service_account_id": SERVICE_ACCOUNT_ID if row["is_account"] else None,
            "service_account_name": SERVICE_ACCOUNT_NAME if row["is_account"] else None,
            "is_cloud_agent": row["is_account"] or None,
            "is_chargeable": row["label"] == BILLED or row["kind"].endswith("_INCLUDED_IN_BUSINESS"),
            "kind": EVENT_KINDS[row["label"]],
            "kind_as_sent": row["kind"],
            "charge": CHARGES.get(row["label"], "not_charged"),
        }
        for row in told.rows
    ]
    for event, same in grouped(events, OF_EVENTS):
        yield event | sums(same, ADDED_EVENTS)


def _editor_days(told: Told) -> Iterator[Row]:
    for row in told.rows:
        extension = ".py" if row["is_active"] else None
        yield {
            **row,
            "user_id": email(row["person"]),
            "member_id": str(cursor_member_id(row["person"])),
            "most_used_model": row["model"],
            "apply_most_used_extension": extension,
            "tab_most_used_extension": extension,
            "client_version": "2.1.0" if row["is_active"] else None,
        }


def _spent(rows: Sequence[Row]) -> Row:
    spent = sums(rows, *MEASURES)
    return spent | {"total_tokens": spent["prompt_tokens"] + spent["completion_tokens"], "flat_cost": Decimal(0)}


def _gateway_cuts(told: Told) -> Iterator[Row]:
    """The same use four times: in all, by model and API key, by provider and by user."""
    if told.rows:
        yield {"cut": "total", **_spent(told.rows)}
    of_models = (row for row in told.rows if row["model"])
    for of_key, same in grouped(of_models, "model api_key api_key_alias"):
        yield {"cut": "model", **of_key, **_spent(same)}
    for (provider,), same in by(told.rows, "provider").items():
        yield {"cut": "provider", "custom_llm_provider": provider or "unknown", **_spent(same)}
    for (user,), same in by(told.rows, "entity").items():
        yield {"cut": "user", "user_id": user or "Unassigned", **_spent(same)}


def _gateway_entities(name: str) -> Callable[[Told], Iterator[Row]]:
    def entities(told: Told) -> Iterator[Row]:
        for (entity,), same in by(told.rows, "entity").items():
            yield {name: entity, "team_alias": TEAMS.get(entity), **_spent(same)}

    return entities


def _units_of_copilot(told: Told) -> Iterator[Row]:
    """Copilot's units are spelled as they are stored; the unit of another product is not kept in one spelling."""
    for row in told.rows:
        yield row | {"unit": row["unit_type"] if row["product"] == "Copilot" else None}


def _billed_products(told: Told) -> Iterator[Row]:
    yield from (row | {"organization": COPILOT_ORGANIZATION} for row in _units_of_copilot(told))


def _by_feature(row: Row) -> Row:
    uses = row["user_initiated_interaction_count"]
    return {"totals_by_feature": [{"feature": "chat", "user_initiated_interaction_count": uses}]}


def _copilot_users(told: Told) -> Iterator[Row]:
    for row in told.rows:
        yield row | {
            "organization": COPILOT_ORGANIZATION,
            "user_id": str(row["user_id"]),
            "breakdown": _by_feature(row),
        }


REQUESTS = """
    prs_created_by_copilot=prs_created  prs_reviewed_by_copilot=prs_reviewed  prs_merged_by_copilot=prs_merged
    copilot_applied_suggestions=suggestions_applied
"""
REQUESTS_AS_SENT = """
    total_created_by_copilot=prs_created  total_reviewed_by_copilot=prs_reviewed
    total_merged_created_by_copilot=prs_merged  total_copilot_applied_suggestions=suggestions_applied
"""


def _copilot_organizations(told: Told) -> Iterator[Row]:
    for row in told.rows:
        yield {
            **row,
            "organization": COPILOT_ORGANIZATION,
            **picked(row, REQUESTS),
            "breakdown": _by_feature(row) | {"pull_requests": picked(row, REQUESTS_AS_SENT)},
        }


def _legacy_lines(told: Told) -> Iterator[Row]:
    """The lines of a bill, and the total that is stated, of an empty day, too."""
    yield from (picked(row, "name cost_cents=cents") for row in told.rows)
    yield {"total_usage_cents": added(told.rows, "cents") or Decimal(0)}


def _legacy_use(told: Told) -> Iterator[Row]:
    """Of each list and model: spans of time, projects and keys are added up."""
    for of, same in grouped(told.rows, "list model"):
        yield {**of, "list_name": of["list"], **sums(same, *LEGACY_MEASURES)}


ACTORS = {
    "user_actor": "actor_user_id",
    "service_account_actor": "actor_service_account_id",
    "api_actor": "actor_api_key_id",
    "federated_actor": "actor_subject",
}
"""Kind of actor -> the column of its id."""
OF_CLOUD = {"federated_actor": {"actor_provider": "gcp", "actor_project_number": PROJECT_NUMBER}}
CLAUDE_TOKENS = (
    "uncached_input_tokens output_tokens cache_read_input_tokens "
    "cache_creation_5m_input_tokens cache_creation_1h_input_tokens"
)


def _whose(row: Row) -> Row:
    """Whose use it is; a row that is not grouped by actors has none."""
    kind = row["actor_type"]
    return {ACTORS[kind]: row["actor_id"], **OF_CLOUD.get(kind, {})} if kind else {}


def _claude_usage(told: Told) -> Iterator[Row]:
    for row in told.rows:
        tokens = total(picked(row, CLAUDE_TOKENS).values())
        yield {**row, **_whose(row), "total_tokens": tokens, "occurrence": 1}


def _claude_cost(told: Told) -> Iterator[Row]:
    """Parts of a cost have no requests."""
    for row in told.rows:
        parts = {"requests": None} if row["cost_type"] else {}
        amounts = picked(row, "amount_cents=amount list_amount_cents=list_amount")
        yield {**row, **_whose(row), **amounts, **parts, "currency": "USD", "occurrence": 1}


PERIODS = ("daily", "weekly", "monthly")
NOTHING = {
    "chat": (
        "thinking_message connectors_used shared_conversations_viewed distinct_connectors_used distinct_skills_used "
        "distinct_projects_used distinct_projects_created distinct_artifacts_created distinct_files_uploaded "
        "distinct_shared_artifacts_viewed"
    ),
    "claude_code": "artifacts_created",
    "cowork": (
        "message action dispatch_turn connectors_used skills_used artifacts_created distinct_session "
        "distinct_connectors_used distinct_skills_used"
    ),
    "design": "message distinct_session distinct_projects_used distinct_projects_created",
    "science": "message delegation remote_compute_job skills_used distinct_session",
}
"""Product -> counts of what nobody of the company does in it."""
IN_OFFICE = "connectors_used distinct_connectors_used distinct_session distinct_skills_used message skills_used"


USED_BY_PEOPLE = """
    user_id  web_search_count
    chat_message_count=messages  chat_distinct_conversation_count=conversations
    claude_code_commit_count=commits  claude_code_pull_request_count=pull_requests
    claude_code_distinct_session_count=code_sessions
    claude_code_lines_added_count=lines_added  claude_code_lines_removed_count=lines_removed
"""


def _claude_people(told: Told) -> Iterator[Row]:
    for row in told.rows:
        tools = {tool: {"accepted_count": row["code_sessions"], "rejected_count": 0} for tool in TOOLS}
        yield {
            **{f"{product}_{name}_count": 0 for product, names in NOTHING.items() for name in names.split()},
            **picked(row, USED_BY_PEOPLE),
            "last_activity_date": str(told.day),
            "claude_code_tool_actions": tools,
            "office_metrics": {product: {f"{name}_count": 0 for name in IN_OFFICE.split()} for product in OFFICE},
        }


def _claude_seats(told: Told) -> Iterator[Row]:
    for row in told.rows:
        active = {f"{period}_active_user_count": row[period] for period in PERIODS}
        rates = {name: Decimal(row[name] * 100) / row["seats"] for name in PERIODS}
        yield {
            "assigned_seat_count": row["seats"],
            "pending_invite_count": 1,
            **active,
            **{f"{product}_{name}": n // 2 for product in ("cowork", "claude_code") for name, n in active.items()},
            **{f"{name}_adoption_rate": rate.quantize(Decimal("0.01")) for name, rate in rates.items()},
        }


def _claude_things(thing: str, **stated: Any) -> Callable[[Told], Iterator[Row]]:
    """How many people use skills, connectors or plugins: in chat, or those of Claude Code there."""
    used = f"distinct_session_{thing}_used_count"

    def things(told: Told) -> Iterator[Row]:
        for row in told.rows:
            in_code = thing == "plugin" or row.get("in_code", False)
            cents = ("attributed_list_price", "estimated_overage_spend")
            yield {
                **row,
                **stated,
                **{f"{name}_cents": row[name] for name in cents if name in row},
                "distinct_user_count": row["people"],
                f"chat_distinct_conversation_{thing}_used_count": 0 if in_code else row["people"],
                f"claude_code_{used}": row["people"] if in_code else 0,
                f"cowork_{used}": 0,
                "office_metrics": {product: {used: 0} for product in OFFICE},
            }

    return things


def _claude_artifacts(told: Told) -> Iterator[Row]:
    for row in told.rows:
        yield {**row, "published_artifacts_created_count": 0, "distinct_user_count": row["people"]}


def _claude_projects(told: Told) -> Iterator[Row]:
    for row in told.rows:
        people = dict.fromkeys(("distinct_conversation_count", "distinct_user_count"), row["people"])
        yield {**row, **people, "created_at": "2026-02-03T09:30:00Z", "created_by_id": f"user_01{row['person']}"}


STORED = {
    "openai_legacy/billing_usage": _legacy_lines,
    "openai_legacy/usage": _legacy_use,
    **{f"anthropic_analytics/{report}": _claude_usage for report in ("usage", "usage_report", "user_usage_report")},
    **{f"anthropic_analytics/{report}": _claude_cost for report in ("cost", "cost_report", "user_cost_report")},
    "anthropic_analytics/users": _claude_people,
    "anthropic_analytics/summaries": _claude_seats,
    "anthropic_analytics/skills": _claude_things("skill", currency="USD"),
    "anthropic_analytics/connectors": _claude_things("connector", unclassified_call_count=0),
    "anthropic_analytics/plugins": _claude_things("plugin", install_count=0),
    "anthropic_analytics/artifacts": _claude_artifacts,
    "anthropic_analytics/chat_projects": _claude_projects,
    "focus/charges": _charges,
    "cursor/usage_events": _events,
    "cursor/daily_usage": _editor_days,
    "litellm/user_activity": _gateway_cuts,
    "litellm/team_activity": _gateway_entities("team_id"),
    "litellm/tag_activity": _gateway_entities("tag"),
    "litellm/customer_activity": _gateway_entities("end_user_id"),
    "github_copilot/ai_credits": _units_of_copilot,
    "github_copilot/premium_requests": _units_of_copilot,
    "github_copilot/billing_usage": _billed_products,
    "github_copilot/users_1_day": _copilot_users,
    "github_copilot/organization_1_day": _copilot_organizations,
}
"""Book -> what is stored of it by each of its endpoints. The rest is stored as the books have it."""
ACTOR = ("actor_type", "actor_id", "person")
"""What books know of an actor."""
OF_PEOPLE = ("anthropic_analytics/user_usage_report", "anthropic_analytics/user_cost_report")
"""Those whose rows are each of a person, whatever they are grouped by."""


def told_by(name: str, granted: Iterable[str]) -> set[str]:
    """The dimensions of a book that an endpoint states."""
    kept = {*granted}
    return kept | {*ACTOR} if "actor" in kept or name in OF_PEOPLE else kept


# --- Costs: raw table -> rows of costs.daily_costs --------------------------------------------------------------------


class Money(NamedTuple):
    """An amount of a raw table's rows: for which of them, what it means, and what it is for."""

    basis: str
    amount: str
    where: Callable[[Row], bool]
    what: Callable[[Row], Row]
    unit: str = "dollars"


def _metered(row: Row) -> Row:
    return {"model": row.get("model"), "usage_type": row["sku"], "line_item": f"{row['product']}, {row['sku']}"}


def _routed(row: Row) -> Row:
    return {**picked(row, "model workspace_id"), "line_item": f"{row['provider_name']}, {row['model']}"}


def _edited(row: Row) -> Row:
    actor = row["service_account_id"] or row["user_id"]
    return {**picked(row, "model usage_type=kind"), "user_id": actor, "line_item": f"{row['model']}, {row['kind']}"}


CHARGED = """
    model  usage_type  token_type=usage_type  project_id=sub_account_id  line_item=charge_description
    cost_type=service_name  inference_geo=region_id  charge_category
"""


def _charged(row: Row) -> Row:
    frequency = row["other_columns"]["ChargeFrequency"]
    return picked(row, CHARGED) | {"charge_frequency": frequency, "costs_stated": "effective,contracted,list"}


SEATS = ("Copilot", "user-months")
"""Product and unit of what is billed for seats."""


def _seats(row: Row) -> Row:
    return _metered(row) | {"charge_frequency": "Recurring"}


MONEYS: Mapping[str, Sequence[Money]] = {
    "openai_legacy.billing_usage": (
        Money("billed", "cost_cents", lambda row: bool(row["name"]), lambda row: {"line_item": row["name"]}, "cents"),
    ),
    "focus.charges": (Money("billed", "billed_cost", lambda row: not row["left_out_rows"], _charged),),
    "cursor.usage_events": (
        Money("billed", "charged_cents", lambda row: row["charge"] == "billed", _edited, "cents"),
        Money("notional", "charged_cents", lambda row: row["charge"] == "included", _edited, "cents"),
    ),
    "openrouter.activity": (
        Money("billed", "usage", lambda _: True, _routed),
        Money("notional", "byok_usage_inference", lambda row: row["byok_usage_inference"] != 0, _routed),
    ),
    "github_copilot.ai_credits": (Money("billed", "net_amount", lambda _: True, _metered),),
    "github_copilot.premium_requests": (Money("billed", "net_amount", lambda _: True, _metered),),
    "github_copilot.billing_usage": (
        Money("billed", "net_amount", lambda row: (row["product"], row["unit_type"]) == SEATS, _seats),
    ),
}


VALUED = ("effective_amount", "contracted_amount", "list_amount", "effective_usd")
"""What a charge of the cloud costs in other ways: as it is billed."""


def costs_in(table: str) -> Callable[[Sequence[Row]], Iterator[Row]]:
    """How a raw table's rows become costs."""

    def costs(rows: Sequence[Row]) -> Iterator[Row]:
        for money in MONEYS[table]:
            uses = [(tuple(money.what(row).items()), row[money.amount]) for row in rows if money.where(row)]
            for what in dict.fromkeys(what for what, _ in uses):
                amount = total(amount for same, amount in uses if same == what)
                yield cost(
                    table,
                    **dict(what),
                    **(dict.fromkeys(VALUED, amount) if "costs_stated" in dict(what) else {}),
                    cost_basis=money.basis,
                    native_amount=amount,
                    native_unit=money.unit,
                    currency="USD",
                )

    return costs


def _gateway_costs(rows: Sequence[Row]) -> Iterator[Row]:
    """Estimates by model and API key, and one of what no model explains."""
    same = {"cost_basis": "estimated", "native_unit": "dollars", "currency": "USD"}
    for row in (row for row in rows if row["cut"] == "model"):
        yield cost("litellm.user_activity", **same, **picked(row, "model api_key_id=api_key native_amount=spend"))
    spend = (added(rows, "spend", cut="total") or 0) - (added(rows, "spend", cut="model") or 0)
    if spend:
        yield cost("litellm.user_activity", **same, native_amount=spend)


def _reserved_costs(rows: Sequence[Row]) -> Iterator[Row]:
    """Estimates of what is reserved for a team."""
    same = {"cost_basis": "estimated", "native_unit": "dollars", "currency": "USD", "line_item": "reserved capacity"}
    for row in rows:
        if row["flat_cost"]:
            yield cost("litellm.team_activity", **same, **picked(row, "workspace_id=team_id native_amount=flat_cost"))


COSTS = {
    **{table: costs_in(table) for table in MONEYS},
    "litellm.user_activity": _gateway_costs,
    "litellm.team_activity": _reserved_costs,
    "anthropic_analytics.cost": lambda _: iter(()),  # an anthropic connection of the organization bills each day
}
USD_TOTALS = {
    "openai_legacy.billing_usage": {"cost_cents": "cents"},
    "openrouter.activity": {"usage": "dollars"},
    "cursor.usage_events": {"billed_cents": "cents"},
    "focus.charges": {"billed_usd": "dollars"},
    **{f"github_copilot.{name}": {"net_amount": "dollars"} for name in ("ai_credits", "premium_requests")},
    "github_copilot.billing_usage": {"seats_amount": "dollars", "models_amount": "dollars"},
}
"""Raw table -> its total that is billed, and that total's unit."""


# --- Totals of days: table -> total -> the column that is added up, and of which rows ---------------------------------


class Sum(NamedTuple):
    """Which amounts a total adds up."""

    column: str
    where: Callable[[Row], bool] = lambda _: True
    unit: str | None = None


def _of_charge(charge: str) -> Sum:
    return Sum("charged_cents", lambda row: row["charge"] == charge, "cents")


def _whole(names: str) -> dict[str, Sum]:
    """Totals that are called like their columns."""
    return {name: Sum(name) for name in names.split()}


AMOUNTS = _whole("gross_amount discount_amount net_amount")
CENT = Decimal("0.01")
CENTS = _whole("amount_cents")
REPORTS_OF_COST = ("cost", "cost_control", "cost_report", "cost_report_control", "user_cost_report")
CUTS = ("product", "agent", "session", "slack_channel", "organization")
TOTALS: Mapping[str, Mapping[str, Sum]] = {
    "openai_legacy.billing_usage": _whole("cost_cents total_usage_cents"),
    **{f"anthropic_analytics.{report}": CENTS for report in REPORTS_OF_COST},
    **{f"anthropic_analytics.cost_by_{cut}": CENTS for cut in CUTS},
    "focus.charges": {
        "billed_usd": Sum("billed_cost", lambda row: not row["left_out_rows"], "USD"),
        "left_out_usd": Sum("billed_cost", lambda row: bool(row["left_out_rows"]), "USD"),
    },
    "cursor.usage_events": {
        **{f"{charge}_cents": _of_charge(charge) for charge in ("billed", "included", "own_key", "not_charged")},
        "service_account_cents": Sum("charged_cents", lambda row: bool(row.get("service_account_id")), "cents"),
        **_whole("model_cents token_fee_cents request_units"),
    },
    "litellm.user_activity": {
        name: Sum(name, lambda row: row["cut"] == "total") for name in (*MEASURES, "total_tokens")
    },
    "litellm.team_activity": _whole("spend flat_cost api_requests"),
    "litellm.customer_activity": _whole("spend api_requests"),
    "litellm.tag_activity": {
        "overlapping_spend": Sum("spend", unit="USD"),
        "overlapping_requests": Sum("api_requests", unit="requests"),
    },
    "openrouter.activity": _whole("usage byok_usage_inference"),
    "github_copilot.ai_credits": AMOUNTS | {"ai_credits": Sum("gross_quantity", unit="credits")},
    "github_copilot.premium_requests": AMOUNTS | {"premium_requests": Sum("gross_quantity", unit="requests")},
    "github_copilot.billing_usage": AMOUNTS
    | {"seats_amount": Sum("net_amount", lambda row: row["unit_type"] == "user-months", "USD")}
    | {"models_amount": Sum("net_amount", lambda _: False, "USD")},
    "github_copilot.users_1_day": _whole("ai_credits_used"),
}


# --- Who used what a bill is for --------------------------------------------------------------------------------------


def users_of_credits(people: Sequence[Row]) -> Iterator[tuple[str, int]]:
    """Who used how many billionths of AI credits on a day; nobody where somebody's are not known."""
    if all(row["ai_credits_used"] is not None for row in people):
        for row in people:
            units = int(row["ai_credits_used"].quantize(Decimal("1e-9")).scaleb(9))
            if units > 0:
                yield row["user_login"], units


# --- Usage: raw table -> what a row of it counts in costs.usage; nothing where another report counts it ---------------


def _same(*columns: str) -> Callable[[Row], Row]:
    """Columns of costs.usage, and what a raw table calls them; some reports lack some."""
    return lambda row: picked(defaultdict(lambda: None, row), *columns)


def _sum_of(row: Row, names: str) -> int | None:
    counts = picked(row, names).values()
    return None if None in counts else sum(counts)


CALLER = "model project_id user_id api_key_id requests=num_model_requests input_tokens"
OF_MODELS = "cached_input_tokens=input_cached_tokens cache_write_tokens=input_cache_write_tokens output_tokens"


def _of_models(row: Row) -> Row:
    tier = "standard" if row["service_tier"] == "default" else row["service_tier"]
    return {**_same(CALLER, OF_MODELS)(row), "service_tier": "batch" if row["batch"] else tier}


OF_MESSAGES = """
    model  service_tier  context_window  workspace_id  user_id=account_id  api_key_id
    cached_input_tokens=cache_read_input_tokens  cache_write_1h_tokens=cache_creation_1h_input_tokens  output_tokens
"""
WRITTEN = "cache_creation_5m_input_tokens cache_creation_1h_input_tokens"


def _messages(row: Row) -> Row:
    return picked(row, OF_MESSAGES) | {
        "is_billed": False if row["service_tier"] == "priority" else None,
        "input_tokens": _sum_of(row, f"uncached_input_tokens cache_read_input_tokens {WRITTEN}"),
        "cache_write_tokens": _sum_of(row, WRITTEN),
    }


def _codex(row: Row) -> Row:
    same = "workspace_id user_id cached_input_tokens=cached_text_input_tokens output_tokens=text_output_tokens"
    return picked(row, same) | {
        "is_billed": False if row["credits"] and not row["cost_usd"] else None,
        "input_tokens": row["text_total_tokens"] - row["text_output_tokens"],
    }


def _edits(row: Row) -> Row:
    same = "model requests=events cached_input_tokens=cache_read_tokens cache_write_tokens output_tokens"
    return picked(row, same) | {
        "user_id": row["service_account_id"] or row["user_id"],
        "is_billed": row["charge"] == "billed",
        "input_tokens": _sum_of(row, "input_tokens cache_read_tokens cache_write_tokens"),
    }


def _tokens_of_charge(row: Row) -> Row | None:
    if row.get("tokens") is None:
        return None
    kind, tokens = row["usage_type"], row["tokens"]
    return {
        **picked(row, "model project_id=sub_account_id"),
        "input_tokens": 0 if kind == "output_tokens" else tokens,
        "cached_input_tokens": tokens if kind == "cache_read_input_tokens" else 0,
        "cache_write_tokens": tokens if kind == KINDS_OF_METERS[METERS[3]] else 0,
        "cache_write_1h_tokens": 0,
        "output_tokens": tokens if kind == "output_tokens" else 0,
    }


def _routes(row: Row) -> Row | None:
    """The provider behind an own key counts the same use. How much of a row with both is on credits is not known."""
    what = picked(row, "model workspace_id")
    if row["byok_usage_inference"] != 0:
        return what if row["usage"] != 0 else None
    counts = picked(row, "requests input_tokens=prompt_tokens output_tokens=completion_tokens")
    return what | counts | {"cached_input_tokens": min(row["cached_tokens"], row["prompt_tokens"])}


USAGE = {
    "openai_legacy.usage": _same(
        "model requests input_tokens=context_tokens cached_input_tokens=cached_context_tokens",
        "output_tokens=generated_tokens",
    ),
    **{f"openai.usage_{report}": _of_models for report in ("completions", "decisions")},
    **{
        f"openai.usage_{report}": _same(CALLER, "images characters seconds")
        for report in ("embeddings", "moderations", "images", "audio_speeches", "audio_transcriptions")
    },
    "openai.usage_vector_stores": _same("project_id usage_bytes"),
    "openai.usage_code_interpreter_sessions": _same("project_id sessions=num_sessions"),
    "anthropic.usage_messages": _messages,
    "chatgpt.codex_usage": _codex,
    "cursor.usage_events": _edits,
    "focus.charges": _tokens_of_charge,
    "openrouter.activity": _routes,
}


# --- Entities: raw table -> what it becomes in Port, beside the entities of costs -------------------------------------

COUNTS = """
    code_generation_activity_count  code_acceptance_activity_count  user_initiated_interaction_count
    loc_suggested_to_add_sum  loc_suggested_to_delete_sum  loc_added_sum  loc_deleted_sum
"""
OF_ORGANIZATION = """
    daily_active_users  weekly_active_users  monthly_active_chat_users  monthly_active_agent_users
    prs_created_by_copilot  prs_reviewed_by_copilot  prs_merged_by_copilot
    total_copilot_applied_suggestions=copilot_applied_suggestions
"""


def _copilot_organization(of: OneDay) -> Entities:
    name, title = f"{COPILOT_ORGANIZATION}@{of.day}", f"{COPILOT_ORGANIZATION} copilot-metrics {of.day}"
    return {
        "githubCopilotOrganizationUsage": [
            of.record(name, title, git_hub_org=COPILOT_ORGANIZATION, **picked(row, COUNTS, OF_ORGANIZATION))
            for row in of.tables["github_copilot.organization_1_day"]
        ]
    }


def _copilot_user(of: OneDay) -> Entities:
    rows = of.tables["github_copilot.users_1_day"]
    named = ((f"{row['user_login']}@{COPILOT_ORGANIZATION}@{of.day}", row) for row in rows)
    same = ("username=user_login used_agent used_chat", COUNTS)
    return {
        "githubCopilotUserUsage": [
            of.record(name, name, git_hub_org=COPILOT_ORGANIZATION, **picked(row, *same)) for name, row in named
        ]
    }


CURSOR_PERSON = """
    user_id=member_id  is_active  most_used_model  bugbot_usages  composer_requests  chat_requests  agent_requests
    subscription_included_reqs=subscription_included_requests  api_key_reqs=api_key_requests
    usage_based_reqs=usage_based_requests
    total_applies  total_accepts  total_rejects  total_tabs_shown  total_tabs_accepted
    total_lines_added  total_lines_deleted  accepted_lines_added  accepted_lines_deleted
"""


def _cursor_person(of: OneDay) -> Entities:
    return {
        "cursorDailyUsage": [
            of.dated(
                f"{row['member_id']}-{of.day}",
                f"{row['user_id']} {of.day}",
                day=f"{of.day}T00:00:00Z",
                email=row["user_id"] if "@" in row["user_id"] else None,
                **picked(row, CURSOR_PERSON),
            )
            for row in of.tables["cursor.daily_usage"]
        ]
    }


def _legacy_entities(of: OneDay) -> Entities:
    """In the blueprints of what came after it."""
    use = [
        {**row, "tokens": (row["context_tokens"] or 0) + (row["generated_tokens"] or 0)}
        for row in of.tables["openai_legacy.usage"]
    ]
    cents = added(of.tables["openai_legacy.billing_usage"], "cost_cents") or Decimal(0)
    return {
        "openai_daily_usage": [
            of.dated(
                f"daily-{of.day}",
                f"OpenAI Usage {of.day}",
                date=str(of.day),
                total_requests=added(use, "requests") or 0,
                total_tokens=added(use, "tokens") or 0,
                total_cost=times(cents, CENT),
            )
        ],
        "openai_model_usage": [
            of.dated(
                f"{model}-{int(midnight(of.day).timestamp())}",
                f"{model} usage",
                model=model,
                date=str(of.day),
                **sums(same, "requests tokens"),
            )
            for (model,), same in by(use, "model").items()
        ],
    }


CLAUDE_PERSON = """
    user_id  web_search_count  chat_message_count  chat_thinking_message_count  chat_connectors_used_count
    chat_shared_conversations_viewed_count  cowork_message_count  design_message_count
    chat_conversation_count=chat_distinct_conversation_count  chat_skills_used_count=chat_distinct_skills_used_count
    chat_projects_used_count=chat_distinct_projects_used_count
    chat_projects_created_count=chat_distinct_projects_created_count
    chat_artifacts_created_count=chat_distinct_artifacts_created_count
    chat_files_uploaded_count=chat_distinct_files_uploaded_count
    lines_added=claude_code_lines_added_count  lines_removed=claude_code_lines_removed_count
    code_session_count=claude_code_distinct_session_count  code_commit_count=claude_code_commit_count
    code_pull_request_count=claude_code_pull_request_count
    cowork_session_count=cowork_distinct_session_count  design_session_count=design_distinct_session_count
"""
"""Property of a person's day in Port, and its column where that is called otherwise."""


def _claude_person(of: OneDay) -> Entities:
    def person(row: Row) -> Row:
        office = row["office_metrics"].values()
        return of.record(
            f"{row['user_id']}-{of.day}",
            f"{row['user_id']} - {of.day}",
            **picked(row, CLAUDE_PERSON),
            **{
                f"{tool}_{what}": counts[f"{what}_count"]
                for tool, counts in row["claude_code_tool_actions"].items()
                for what in ("accepted", "rejected")
            },
            office_session_count=sum(app["distinct_session_count"] for app in office),
            office_message_count=sum(app["message_count"] for app in office),
        )

    return {"claude_ai_user_activity": list(map(person, of.tables["anthropic_analytics.users"]))}


def _of_claude_person(of: OneDay, row: Row, **properties: Any) -> Row:
    """What usage and cost of a person have in common."""
    parts = (row["actor_user_id"], str(of.day), row["product"] or "all", row["model"] or "all")
    return of.record(
        "-".join(parts),
        f"{row['actor_user_id']} - {of.day}",
        range_end=f"{of.day + DAY}T00:00:00Z",
        **picked(row, "user_id=actor_user_id product model requests"),
        **properties,
    )


CLAUDE_USE = """
    uncached_input_tokens  cache_read_input_tokens  output_tokens  total_tokens  web_search_requests
    cache_creation_1h_tokens=cache_creation_1h_input_tokens  cache_creation_5m_tokens=cache_creation_5m_input_tokens
"""


def _claude_person_use(of: OneDay) -> Entities:
    use = of.tables["anthropic_analytics.user_usage_report"]
    return {"claude_ai_user_usage": [_of_claude_person(of, row, **picked(row, CLAUDE_USE)) for row in use]}


def _claude_person_cost(of: OneDay) -> Entities:
    def in_dollars(row: Row) -> Row:
        return {name: times(row[f"{name}_cents"], CENT) for name in ("amount", "list_amount")}

    costs = of.tables["anthropic_analytics.user_cost_report"]
    return {
        "claude_ai_user_cost": [
            _of_claude_person(of, row, currency=row["currency"], **in_dollars(row)) for row in costs
        ]
    }


CLAUDE_SKILL = _same("""
    skill_name  skill_display_name  distinct_user_count  enable_count  invocation_count  share_status  currency
    chat_conversation_skill_used_count=chat_distinct_conversation_skill_used_count
    code_session_skill_used_count=claude_code_distinct_session_skill_used_count
    cowork_session_skill_used_count=cowork_distinct_session_skill_used_count
""")


def _claude_skill(of: OneDay) -> Entities:
    amounts = ("estimated_overage_spend", "attributed_list_price")
    return {
        "claude_ai_skill_usage": [
            of.record(
                f"{row['skill_name']}-{of.day}",
                f"{row.get('skill_display_name') or row['skill_name']} - {of.day}",
                **CLAUDE_SKILL(row),
                **{name: cents and times(cents, CENT) for name in amounts for cents in (row.get(f"{name}_cents"),)},
                **{
                    f"{app}_session_skill_used_count": (counts or {}).get("distinct_session_skill_used_count")
                    for app, counts in (row.get("office_metrics") or {}).items()
                },
            )
            for row in of.tables["anthropic_analytics.skills"]
        ]
    }


ENTITIES = {
    "anthropic_analytics.users": _claude_person,
    "anthropic_analytics.user_usage_report": _claude_person_use,
    "anthropic_analytics.user_cost_report": _claude_person_cost,
    "anthropic_analytics.skills": _claude_skill,
    "openai_legacy.usage": _legacy_entities,
    "github_copilot.organization_1_day": _copilot_organization,
    "github_copilot.users_1_day": _copilot_user,
    "cursor.daily_usage": _cursor_person,
}
