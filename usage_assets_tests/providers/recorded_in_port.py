"""What bodies of others become beyond rows and costs: entities of Port's blueprints, and limits beside budgets."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from usage_assets.core.schema import to_arrow
from usage_assets.models.costs import VIEWS, DailyCost
from usage_assets.models.model import money_seed
from usage_assets.warehouse.lookups import record
from usage_assets.warehouse.migrate import write_seed
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.views import make_views
from usage_assets_tests.models.days import DERIVED, Days
from usage_assets_tests.providers.recorded import (
    AMOUNTS,
    COST_ROWS,
    COSTS_OF,
    EVERY_LOOKUP,
    Body,
    Counters,
    Money,
    amounts_of,
    counted,
    counters_of,
    derive,
    listed,
    money_in,
    rows_in,
    store_nothing,
)

# --- Money ------------------------------------------------------------------------------------------------------------

EVERY_CURRENCY = COST_ROWS.replace("costs.daily_costs", "port_entities.ai_cost_record")
MONEY: Mapping[str, Mapping[str, str]] = {
    "anthropic.cost_report": {
        "claude_cost_record": amounts_of("port_entities.claude_cost_record", "billed", "currency", "amount")
    },
    "openai.costs": {
        "openai_daily_usage": amounts_of("port_entities.openai_daily_usage", "billed", "'USD'", "total_cost")
    },
    "openai_legacy.billing_usage": {
        "openai_legacy_daily_usage": amounts_of("port_entities.openai_daily_usage", "billed", "'USD'", "total_cost")
    },
    "chatgpt.codex_usage": {
        "codex_usage_record": " union all ".join(
            amounts_of("port_entities.codex_usage_record", basis, unit, amount, f"{amount} is not null")
            for amount, basis, unit in (("credits", "credits", "'credits'"), ("cost_usd", "billed", "'USD'"))
        )
    },
}
"""Raw table -> file of the entities that are computed of it -> the query for their money."""


def money_in_port(days: Days, body: Body, *, is_first: bool) -> Iterator[tuple[str, Money]]:
    """The money of a body's entities, by what they are called, with what it states that is in no cost (AMOUNTS)."""
    for file, query in _money(body, is_first=is_first).items():
        yield file, money_in(days, body, query, *AMOUNTS.get(body.table, ()))


def _money(body: Body, *, is_first: bool) -> Mapping[str, str]:
    """Files of entities -> the query for their money.

    Costs that are entities are computed alike, so the first body of a provider stands for all, and those in other
    currencies. What users, teams and models cost is computed of the same rows: end_to_end/test_books.py.
    """
    queries = dict(MONEY.get(body.table, {}))
    if body.table in COSTS_OF and "costs" in body.entry:
        is_usual = {cost["unit"] for cost in body.entry["costs"]} <= {"USD", "credits"}
        if is_first or not is_usual:
            queries["ai_cost_record"] = EVERY_CURRENCY
    return queries


def compute(days: Days, group: Sequence[Body], first: Collection[str]) -> None:
    """Compute costs and entities of bodies that are in one connection. What entities read besides the bodies' table is
    stored without rows."""
    table = group[0].table
    if table in COSTS_OF:
        derive(days, group, COSTS_OF[table].file)
    files = {file for body in group for file in _money(body, is_first=body.name in first)}
    for file in sorted(files | TOKENS.get(table, {}).keys()):
        for other in {*DERIVED[file].reads} - {table, DailyCost.table}:
            store_nothing(days, group, other)
        derive(days, group, file)


# --- Counters ---------------------------------------------------------------------------------------------------------

OF_CLASSES = {
    "input": "uncached_input_tokens",
    "cached_input": "cache_read_input_tokens",
    "cache_write": "cache_creation_5m_tokens + cache_creation_1h_tokens",
    "output": "output_tokens",
}
OF_CODE = """(
  select connection, usage_date, unnest(from_json(model_breakdown, '[{
    "tokens": {"input": "BIGINT", "cache_read": "BIGINT", "cache_creation": "BIGINT", "output": "BIGINT"}
  }]'), recursive := true)
  from port_entities.claude_code_analytics
)"""
OF_MODELS = counters_of("port_entities.openai_model_usage", requests="requests", every_token="tokens")
TOKENS: Mapping[str, Mapping[str, str]] = {
    "anthropic.usage_messages": {
        name: counters_of(f"port_entities.{name}", **OF_CLASSES)
        for name in ("claude_usage_record", "claude_workspace_usage", "claude_model_usage")
    },
    "anthropic.claude_code": {
        "claude_code_analytics": counters_of(
            OF_CODE, input="input", cached_input="cache_read", cache_write="cache_creation", output="output"
        )
    },
    "chatgpt.codex_usage": {
        "codex_usage_record": counters_of(
            "port_entities.codex_usage_record",
            input="uncached_text_input_tokens",
            cached_input="cached_text_input_tokens",
            output="text_output_tokens",
        )
    },
    **{
        f"openai.usage_{name}": {"openai_model_usage": OF_MODELS}
        for name in ("completions", "embeddings", "moderations", "images", "audio_speeches", "audio_transcriptions")
    },
    "openai_legacy.usage": {"openai_legacy_model_usage": OF_MODELS},
}
"""Raw table -> file of the entities that are computed of it -> the query for their counters, by the names of the
meaning. ``every_token`` is all of them."""


def tokens_in_port(days: Days, body: Body) -> Iterator[tuple[str, Counters]]:
    """The counters of a body's entities, by what they are called."""
    for file, query in TOKENS.get(body.table, {}).items():
        yield file, counted(rows_in(days, query, body))


# --- Limits -----------------------------------------------------------------------------------------------------------

LIMITS = """
select
  scope_type as scope,
  scope_id as of,
  limit_amount as amount,
  currency as unit,
  period,
  enforced
from costs.budgets_and_limits
where connection = $connection
"""


def limits(days: Days, body: Body) -> Sequence[Mapping[str, Any]]:
    """The limits that a body of a lookup states, as ``costs.budgets_and_limits`` has them."""
    _, lookup = EVERY_LOOKUP[body.table]
    began = datetime.now(UTC)
    record(days.warehouse, Table(lookup.row), to_arrow(lookup.row, listed(body)), body.connection, began, {})
    with days.warehouse.transaction() as database:
        write_seed(database, money_seed(days.accounting, began))
        make_views(database, VIEWS)
    found: list[dict[str, Any]] = days.warehouse.read(LIMITS, {"connection": body.connection}).to_pylist()
    return found
