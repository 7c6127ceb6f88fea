"""Entities from raw rows: which days have one, what is added up, what it is called, and that nothing mixes."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import chain
from typing import Any

import pytest

from usage_assets.core.blueprints import blueprint
from usage_assets.core.days import DAY as ONE_DAY
from usage_assets.core.schema import Row
from usage_assets.models.costs import DailyCost
from usage_assets.models.entities import ENTITIES
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport, UsageMessages
from usage_assets.providers.anthropic_analytics.reports import EnterpriseUserCost, EnterpriseUserUsage
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import (
    UsageAudioSpeeches,
    UsageAudioTranscriptions,
    UsageCompletions,
    UsageDecisions,
    UsageEmbeddings,
    UsageImages,
    UsageModerations,
    UsageWebSearchCalls,
)
from usage_assets.providers.openai_legacy.billing import BillingUsage, Usage
from usage_assets.providers.records import as_json
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.models.days import DAY, DERIVED, MIDNIGHT, Days, days_from, models, owner_of, raw, raw_rows

NAMES = [derived.file for derived in ENTITIES if derived.reads != (DailyCost.table,)]
"""The others, which read costs, are in test_cost_entities.py."""
EVERY_FETCHED_DAY = {"claude_usage_record", "claude_cost_record", "openai_daily_usage", "openai_legacy_daily_usage"}
CLASSES = (
    "uncached_input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_5m_tokens",
    "cache_creation_1h_tokens",
    "web_search_requests",
)
COUNTERS = (
    "num_sessions",
    "lines_added",
    "lines_removed",
    "commits",
    "pull_requests",
    "edit_tool_accepted",
    "edit_tool_rejected",
    "write_tool_accepted",
    "write_tool_rejected",
)


def sources(name: str) -> Sequence[type[Row]]:
    """The raw tables that an entity is computed from."""
    return raw_rows(DERIVED[name].reads)


def fetch_empty(days: Days, name: str) -> None:
    for row in sources(name):
        days.fetched(row)


# Every entity


@pytest.mark.parametrize("name", NAMES)
def test_columns_are_the_blueprints_properties_of_their_types_and_none_that_is_required_is_null(name: str) -> None:
    derived = DERIVED[name]
    columns = {column.name: column for column in Table(derived.row).columns}
    schema = blueprint(derived.name)["schema"]
    assert [*columns][:4] == ["connection", "usage_date", "identifier", "title"]
    assert [*columns][4:] == list(schema["properties"])
    assert {name for name, column in columns.items() if column.nullable}.isdisjoint(schema["required"])
    expected = {"number": (int, Decimal), "string": (str,), "array": (str,), "boolean": (bool,)}
    for property_name, definition in schema["properties"].items():
        assert columns[property_name].type in expected[definition["type"]], property_name


@pytest.mark.parametrize("name", NAMES)
def test_a_range_is_its_single_days_of_one_connection_and_each_is_what_was_fetched_last(name: str, days: Days) -> None:
    """Rows of two connections never mix. An empty day is an entity where days are, and none elsewhere."""
    first, second, third = days_from(3)
    for row in sources(name):
        for own in ({}, {"connection": "emea"}):
            rows = [raw(row, usage_date=day, **own) for day in (first, third)]
            days.fetched(row, *rows, connection=own.get("connection"), last=third)
    ours, theirs = days.rows(name, last=third), days.rows(name, "emea", last=third)
    assert days.rows(name, first=third) == ours[-1:]
    assert len(ours) == len(theirs) == (3 if name in EVERY_FETCHED_DAY else 2)
    assert len({row["identifier"] for row in ours}) == len(ours)
    for mine, other in zip(ours, theirs, strict=True):
        assert other["identifier"] == f"emea:{mine['identifier'].removeprefix(f'{owner_of(DERIVED[name])}:')}"
        assert {column: value for column, value in other.items() if mine[column] != value} == {
            "connection": "emea",
            "identifier": other["identifier"],
        }
    texts = {"connection", "usage_date", "identifier", "title", "record_date", "date", "currency"}
    empty = [row for row in ours if row["usage_date"] == second]
    assert [{row[column] for column in row.keys() - texts} for row in empty] == [{0}] * (name in EVERY_FETCHED_DAY)
    fetch_empty(days, name)
    emptied = days.rows(name)
    assert len(emptied) == (name in EVERY_FETCHED_DAY)
    assert emptied != [row for row in ours if row["usage_date"] == first]
    with pytest.raises(WarehouseError, match="was never fetched for 2026-11-04; materialize it first"):
        days.derive(name, last=days_from(4)[-1])
    with pytest.raises(WarehouseError, match="of connection apac was never fetched"):
        days.derive(name, "apac")


# OpenAI


def test_openai_daily_usage_adds_up_costs_and_completions(days: Days) -> None:
    amounts = {"a": "0.13080438340307526", "b": "0.00000000000000000000001"}
    days.fetched(Costs, *(raw(Costs, project_id=name, amount_value=usd) for name, usd in amounts.items()))
    cached = {"num_model_requests": 3, "input_tokens": 100, "input_cached_tokens": 90, "output_tokens": 7}
    days.fetched(UsageCompletions, raw(UsageCompletions, model="a", **cached), raw(UsageCompletions, model="b"))
    row = days.row("openai_daily_usage")
    assert (row["identifier"], row["title"], row["date"]) == (f"daily-{DAY}", f"OpenAI Usage {DAY}", str(DAY))
    assert (row["total_requests"], row["total_tokens"]) == (4, 122)
    assert row["total_cost"] == Decimal("0.13080438340307526000001")


def test_openai_model_usage_is_one_entity_a_model_and_what_has_none_is_unknown(days: Days) -> None:
    """What has no model is added to a model of that name."""
    days.fetched(
        UsageCompletions,
        raw(UsageCompletions, model="gpt-5", user_id="a"),
        raw(UsageCompletions, model="gpt-5", user_id="b", batch=True, num_model_requests=4),
        raw(UsageCompletions),
        raw(UsageCompletions, model="unknown"),
    )
    names = ("identifier", "title", "model", "date", "requests", "tokens")
    assert [tuple(row[name] for name in names) for row in days.rows("openai_model_usage")] == [
        ("gpt-5-1793491200", "gpt-5 usage", "gpt-5", str(DAY), 5, 30),
        ("unknown-1793491200", "unknown usage", "unknown", str(DAY), 2, 30),
    ]


def test_only_dollars_are_added_and_a_part_of_the_cost_does_not_look_like_all_of_it(days: Days) -> None:
    cases: list[tuple[list[tuple[str, str | None]], int | None]] = [
        ([("1", "usd"), ("2", "USD")], 3),
        ([("1", "usd"), ("5", "eur")], None),
        ([("1", "usd"), ("5", None)], None),
        ([("1", "usd"), ("5", "")], None),
        ([("5", "eur")], None),
        ([("1", "usd"), ("0", "eur"), ("0", None)], 1),
        ([("0", "eur")], 0),
        ([], 0),
    ]
    stored = days_from(len(cases))
    costs = [
        raw(Costs, usage_date=day, project_id=f"p{n}", amount_value=amount, amount_currency=currency)
        for day, (amounts, _) in zip(stored, cases, strict=True)
        for n, (amount, currency) in enumerate(amounts)
    ]
    days.fetched(Costs, *costs, last=stored[-1])
    days.fetched(UsageCompletions, last=stored[-1])
    totals = [row["total_cost"] for row in days.rows("openai_daily_usage", last=stored[-1])]
    assert [*zip([amounts for amounts, _ in cases], totals, strict=True)] == cases


def test_every_request_to_an_openai_model_is_counted_once(days: Days) -> None:
    days.fetched(Costs)
    for row, model in (
        (UsageCompletions, "gpt"),
        (UsageDecisions, "gpt"),
        (UsageEmbeddings, "embedding"),
        (UsageModerations, "moderation"),
        (UsageImages, "image"),
        (UsageAudioSpeeches, "speech"),
        (UsageAudioTranscriptions, "gpt"),
        (UsageWebSearchCalls, "gpt"),  # inside completions
    ):
        days.fetched(row, raw(row, model=model))
    daily = days.row("openai_daily_usage")
    assert (daily["total_requests"], daily["total_tokens"]) == (7, 15 + 15 + 10 + 10)
    models = {row["model"]: (row["requests"], row["tokens"]) for row in days.rows("openai_model_usage")}
    assert models == {"gpt": (3, 30), "embedding": (1, 10), "moderation": (1, 10), "image": (1, 0), "speech": (1, 0)}


def test_model_requests_that_a_query_leaves_out_are_noticed(days: Days) -> None:
    """Each day has requests of another report that the query does not read; three of these count tokens, too."""
    completions = """(
      select *, num_model_requests as requests, input_tokens + output_tokens as tokens from openai.usage_completions
    )"""
    left_out: Sequence[type[Row]] = (
        UsageDecisions,
        UsageEmbeddings,
        UsageModerations,
        UsageImages,
        UsageAudioSpeeches,
        UsageAudioTranscriptions,
    )
    stored = days_from(len(left_out))
    days.fetched(Costs, last=stored[-1])
    used = [raw(UsageCompletions, usage_date=day, model="gpt") for day in stored]
    days.fetched(UsageCompletions, *used, last=stored[-1])
    for day, row in zip(stored, left_out, strict=True):
        days.fetched(row, raw(row, usage_date=day, model="gpt"), first=day)
    for name in ("openai_daily_usage", "openai_model_usage"):
        derived = DERIVED[name]
        less = replace(derived.query, sql=derived.query.sql.replace("openai_model_requests()", completions))
        said = r"requests: .* holds 1, and the rows that it is computed from hold 2 \(9 contradictions\)"
        with pytest.raises(WarehouseError, match=said) as refused:
            days.warehouse.replace(Table(derived.row), less, Slice("openai", DAY, stored[-1]), "run")
        assert [*refused.value.days] == [*stored], name


def test_costs_without_usage_and_usage_without_costs_are_both_shown(days: Days) -> None:
    first, second = days_from(2)
    days.fetched(Costs, raw(Costs), last=second)
    days.fetched(UsageCompletions, raw(UsageCompletions, usage_date=second), last=second)
    rows = days.rows("openai_daily_usage", first=first, last=second)
    assert [(row["total_cost"], row["total_requests"], row["total_tokens"]) for row in rows] == [(1, 0, 0), (0, 1, 15)]


# OpenAI's old endpoints


def test_a_legacy_day_is_the_cents_of_its_lines_in_dollars_and_the_use_of_every_list(days: Days) -> None:
    days.fetched(
        BillingUsage,
        raw(BillingUsage, cost_cents="1234.5600000000002"),
        raw(BillingUsage, name="Fine-tuning models", cost_cents=0),
        raw(BillingUsage, name=None, cost_cents=None, total_usage_cents=9999),
    )
    chat = {"requests": 3, "context_tokens": 100, "cached_context_tokens": 90, "generated_tokens": 7}
    no_tokens = {"context_tokens": None, "generated_tokens": None}
    days.fetched(
        Usage,
        raw(Usage, model="gpt-4o", **chat),
        raw(Usage, model="dall-e-3", list_name="dalle_api_data", requests=2, images=6, **no_tokens),
        raw(Usage, list_name="ft_data", requests=None, other_fields="{}", **no_tokens),
    )
    row = days.row("openai_legacy_daily_usage")
    assert (row["identifier"], row["title"]) == (f"openai_legacy:daily-{DAY}", f"OpenAI Usage {DAY}")
    assert (row["total_requests"], row["total_tokens"]) == (5, 107)
    assert row["total_cost"] == Decimal("12.345600000000002")
    models = {row["model"]: (row["requests"], row["tokens"]) for row in days.rows("openai_legacy_model_usage")}
    assert models == {"gpt-4o": (3, 107), "dall-e-3": (2, 0)}


# Codex


CODEX_MEASURES = {
    "credits": Decimal("12.5"),
    "threads": 2,
    "turns": 7,
    "uncached_text_input_tokens": 10,
    "cached_text_input_tokens": 20,
    "text_output_tokens": 5,
    "text_total_tokens": 35,
    "cost_usd": Decimal("0.75"),
    "estimated_cost_usd": Decimal("0.5"),
}


def test_a_codex_usage_record_is_a_user_and_a_day_and_what_is_unknown_stays_null(days: Days) -> None:
    stated = raw(CodexUsage, user_email="someone@example.com", **CODEX_MEASURES)
    days.fetched(CodexUsage, stated, raw(CodexUsage, user_id="user-2", threads=0))
    row, unknown = days.rows("codex_usage_record")
    names = ("identifier", "title", "record_date", "workspace_id", "user_id", "scope")
    expected = (f"ws-user-1-{DAY}", f"user-1 - {DAY}", MIDNIGHT, "ws", "user-1", "user")
    assert tuple(row[name] for name in names) == expected
    assert {name: row[name] for name in CODEX_MEASURES} == CODEX_MEASURES
    assert {name: unknown[name] for name in CODEX_MEASURES} == dict.fromkeys(CODEX_MEASURES) | {"threads": 0}


def test_codex_records_of_some_days_add_up_to_the_use(days: Days) -> None:
    """The workspace's row shows the same use as the users' rows: it is an entity only where it is all there is."""
    first, second = days_from(2)
    days.fetched(
        CodexUsage,
        raw(CodexUsage, credits=1),
        raw(CodexUsage, user_id="user-2", credits=2),
        raw(CodexUsage, cut="client", client_id="cli", credits=1),
        raw(CodexUsage, cut="model", model="gpt", speed="fast", credits=1),
        raw(CodexUsage, cut="workspace", user_id=None, credits=3),
        raw(CodexUsage, cut="workspace", user_id=None, credits=100, usage_date=second),
        last=second,
    )
    rows = days.rows("codex_usage_record", first=first, last=second)
    assert [(row["identifier"], row["scope"], row["user_id"], row["credits"]) for row in rows] == [
        ("ws-user-1-2026-11-01", "user", "user-1", 1),
        ("ws-user-2-2026-11-01", "user", "user-2", 2),
        ("ws-workspace-2026-11-02", "workspace", None, 100),
    ]


def test_codex_users_without_an_id_are_one_unknown_user_and_not_the_workspace(days: Days) -> None:
    days.fetched(
        CodexUsage,
        *(raw(CodexUsage, user_id=None, occurrence=n, turns=n) for n in (1, 2)),
        raw(CodexUsage, user_id=None, actor_user_id="user-9", turns=5),
    )
    rows = days.rows("codex_usage_record")
    assert [(row["identifier"], row["scope"], row["user_id"], row["turns"]) for row in rows] == [
        ("ws-unknown-2026-11-01", "user", None, 3),
        ("ws-user-9-2026-11-01", "user", "user-9", 5),
    ]


# Anthropic usage and cost


def test_the_token_classes_of_all_rows_are_added_up(days: Days) -> None:
    of = {"workspace_id": "wrk", "model": "claude"}
    days.fetched(
        UsageMessages,
        raw(UsageMessages, api_key_id="a", **of),
        raw(UsageMessages, api_key_id="b", service_tier="batch", **of),
        raw(UsageMessages, api_key_id=None, uncached_input_tokens=100, **of),
    )
    entities = [
        ("claude_usage_record", f"{DAY}-usage", f"Claude Usage - {DAY}"),
        ("claude_workspace_usage", f"wrk-{DAY}", f"wrk - {DAY}"),
        ("claude_model_usage", f"claude-{DAY}", f"claude - {DAY}"),
    ]
    for name, identifier, title in entities:
        row = days.row(name)
        assert (row["identifier"], row["title"], row["record_date"]) == (identifier, title, MIDNIGHT)
        assert [row[each] for each in CLASSES] == [102, 6, 9, 12, 15, 18], name


def test_usage_without_a_workspace_is_of_the_default_one_and_without_a_model_unknown(days: Days) -> None:
    """The default workspace has no id. What has one of that name is added to it."""
    named = raw(UsageMessages, workspace_id="default", model="claude")
    days.fetched(UsageMessages, raw(UsageMessages), named, raw(UsageMessages, workspace_id="w", model="claude"))
    for name, column, expected in (
        ("claude_workspace_usage", "workspace_id", [("default", 4), ("w", 2)]),
        ("claude_model_usage", "model", [("claude", 4), ("unknown", 2)]),
    ):
        rows = days.rows(name)
        assert [(row[column], row["output_tokens"]) for row in rows] == expected
        assert [row["identifier"] for row in rows] == [f"{value}-{DAY}" for value, _ in expected]


WHOLE_UNITS = {"USD": Decimal(100), "JPY": Decimal(10000), "KWD": Decimal(10), "CLF": Decimal(1)}
"""Currency -> what 10,000 of its smallest units are."""


def test_an_amount_is_in_whole_units_of_its_currency(days: Days) -> None:
    ten_thousand = [("opus", "10000", currency) for currency in WHOLE_UNITS]
    days.fetched(CostReport, *(raw(CostReport, currency=code, amount_cents=10000) for code in WHOLE_UNITS))
    days.fetched(ClaudeCode, code(model_breakdown=models(*ten_thousand)))
    days.fetched(Usage)
    days.fetched(BillingUsage, raw(BillingUsage, cost_cents=10000))
    assert {row["currency"]: row["amount"] for row in days.rows("claude_cost_record")} == WHOLE_UNITS
    uses = json.loads(days.row("claude_code_analytics")["model_breakdown"], parse_float=Decimal)
    assert {use["estimated_cost"]["currency"]: use["estimated_cost"]["amount"] for use in uses} == WHOLE_UNITS
    assert days.row("openai_legacy_daily_usage")["total_cost"] == WHOLE_UNITS["USD"]


def test_another_currency_is_an_entity_of_its_own(days: Days) -> None:
    days.fetched(CostReport, raw(CostReport), raw(CostReport, description="b", currency="eur", amount_cents=50))
    rows = days.rows("claude_cost_record")
    assert [(row["identifier"], row["title"], row["amount"], row["currency"]) for row in rows] == [
        ("2026-11-01-cost", "Claude Cost - 2026-11-01", 1, "USD"),
        ("2026-11-01-cost-EUR", "Claude Cost - 2026-11-01 (EUR)", Decimal("0.5"), "EUR"),
    ]
    [version] = days.derive("claude_cost_record")
    assert version.totals == {"amount_usd": "1.000000000000000000000000"}


def test_costs_that_cannot_be_added_exactly_are_refused(days: Days) -> None:
    largest = Decimal("99999999999999.9999999999999999999999")
    days.fetched(CostReport, raw(CostReport, amount_cents=largest))
    assert days.row("claude_cost_record")["amount"] == Decimal("999999999999.999999999999999999999999")
    with pytest.raises(WarehouseError, match="Out of Range Error"):
        days.fetched(CostReport, *(raw(CostReport, description=text, amount_cents=largest) for text in "ab"))


# Claude Code


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def code(**values: Any) -> Row:
    return raw(ClaudeCode, **values)


def test_all_rows_of_an_actor_are_one_entity(days: Days) -> None:
    days.fetched(
        ClaudeCode,
        code(terminal_type="vscode", model_breakdown=models(("sonnet", "10"), ("opus", "1"))),
        code(terminal_type="iTerm.app", model_breakdown=models(("opus", "0.5"), ("opus", "2", "EUR"))),
        code(terminal_type="vscode", customer_type="subscription", subscription_type="team"),
        code(terminal_type="vscode", is_remote=True, num_sessions=10),
        code(organization_id="without models"),
    )
    row, without = days.rows("claude_code_analytics")
    assert without["model_breakdown"] == "[]"
    uses = json.loads(row["model_breakdown"], parse_float=Decimal)
    assert [(use["model"], *use["tokens"].values(), *use["estimated_cost"].values()) for use in uses] == [
        ("opus", 1, 2, 3, 4, "EUR", Decimal("0.02")),
        ("opus", 2, 4, 6, 8, "USD", Decimal("0.015")),
        ("sonnet", 1, 2, 3, 4, "USD", Decimal("0.1")),
    ]
    assert [*uses[0]["tokens"]] == ["input", "output", "cache_read", "cache_creation"]
    assert (row["title"], row["record_date"]) == (f"bob@example.com - {DAY}", MIDNIGHT)
    assert (row["organization_id"], row["terminal_type"]) == ("org", "iTerm.app, vscode")
    assert [row[counter] for counter in COUNTERS] == [13, 8, 12, 16, 20, 24, 28, 32, 36]


def test_the_dollars_of_a_model_keep_every_digit_or_are_rounded_and_not_refused(days: Days) -> None:
    """A double of a millionth of a cent has 23 places, its dollars 25."""
    tiny = "0.00000012345678901234567"
    large = models(("opus", "12345678901.2345678901234567890123"), tokens=2**60)
    small = models(("opus", "0.0000000000000000000001"), ("haiku", tiny), ("sonnet", tiny))
    days.fetched(ClaudeCode, code(terminal_type="a", model_breakdown=large), code(model_breakdown=small))
    uses = json.loads(days.row("claude_code_analytics")["model_breakdown"], parse_float=Decimal)
    assert {use["model"]: (use["tokens"]["input"], use["estimated_cost"]["amount"]) for use in uses} == {
        "opus": (2**60 + 1, Decimal("123456789.012345678901234567890124")),
        "haiku": (1, Decimal("0.000000001234567890123457")),
        "sonnet": (1, Decimal("0.000000001234567890123457")),
    }
    days.fetched(CostReport, *(raw(CostReport, description=text, amount_cents=tiny) for text in "ab"))
    assert days.row("claude_cost_record")["amount"] == Decimal("0.000000002469135780246913")


def test_a_breakdown_whose_numbers_do_not_fit_is_refused(days: Days) -> None:
    """DuckDB's from_json turns what it cannot cast into null, and a sum leaves null out."""
    for count in ("99999999999999999999", '"many"'):
        days.fetched(ClaudeCode, code(model_breakdown=models(("opus", "1")).replace('"input":1', f'"input":{count}')))
        with pytest.raises(WarehouseError, match="Failed to cast value to numerical"):
            days.derive("claude_code_analytics")


def test_actors_and_organizations_are_told_apart(days: Days) -> None:
    """Also an API key that is named like a person. An actor without a name is unknown."""
    key = {"actor_type": "api_actor", "actor_email": None}
    bob = {**key, "api_key_name": "bob@example.com", "num_sessions": 10}
    days.fetched(
        ClaudeCode,
        code(),
        code(**bob),
        code(**bob, terminal_type="a"),
        code(organization_id="other"),
        code(**key, api_key_name="ci 2"),
        code(actor_email=None),
    )
    rows = days.rows("claude_code_analytics")
    assert {row["identifier"]: (row["actor_type"], row["actor_name"], row["num_sessions"]) for row in rows} == {
        f"org-bob@example.com-{DAY}": ("api_actor", "bob@example.com", 20),
        f"org-bob@example.com:user_actor-{DAY}": ("user_actor", "bob@example.com:user_actor", 1),
        f"other-bob@example.com-{DAY}": ("user_actor", "bob@example.com", 1),
        f"org-ci_2-{DAY}-{hashed(f'org-ci 2-{DAY}')}": ("api_actor", "ci 2", 1),
        f"org-unknown-{DAY}": ("user_actor", "unknown", 1),
    }
    known_by = DERIVED["claude_code_analytics"].about["user"]
    assert {*chain.from_iterable(known_by(row) for row in rows if row["actor_type"] == "api_actor")} == set()
    assert {*known_by(next(row for row in rows if "user_actor" in row["identifier"]))} == {"bob@example.com"}


# What is left out


def test_a_counter_that_is_left_out_is_missing_from_sums_and_null_where_nothing_of_it_is_known(days: Days) -> None:
    left_out = {"web_search_requests": None, "cache_creation_5m_input_tokens": None}
    rows = [raw(UsageMessages, model=model, **left_out) for model in ("a", "b")]
    days.fetched(UsageMessages, *rows, raw(UsageMessages, model="c", web_search_requests=None))
    [of_day] = days.rows("claude_usage_record")
    assert (of_day["web_search_requests"], of_day["cache_creation_5m_tokens"], of_day["output_tokens"]) == (None, 4, 6)
    by_model = {row["model"]: row["cache_creation_5m_tokens"] for row in days.rows("claude_model_usage")}
    assert by_model == {"a": None, "b": None, "c": 4}


def test_requests_and_tokens_that_openai_leaves_out_are_unknown_and_not_zero(days: Days) -> None:
    days.fetched(Costs)
    unknown = raw(UsageCompletions, model="a", num_model_requests=None, input_tokens=None, output_tokens=None)
    days.fetched(UsageCompletions, unknown)
    [of_day] = days.rows("openai_daily_usage")
    assert (of_day["total_requests"], of_day["total_tokens"]) == (None, None)
    [of_model] = days.rows("openai_model_usage")
    assert (of_model["requests"], of_model["tokens"]) == (None, None)


# People and skills of Claude Enterprise

[EnterpriseUsers] = raw_rows(["anthropic_analytics.users"])
[EnterpriseSkills] = raw_rows(["anthropic_analytics.skills"])


def test_a_person_s_day_has_what_office_and_code_say_in_json(days: Days) -> None:
    tools = {"edit_tool": {"accepted_count": 3, "rejected_count": 1}, "write_tool": {"accepted_count": 2}}
    office = {"excel": {"distinct_session_count": 2, "message_count": 5}, "word": {"distinct_session_count": 1}}
    days.fetched(
        EnterpriseUsers,
        raw(
            EnterpriseUsers,
            user_id="user_1",
            user_email="ann@example.com",
            chat_message_count=7,
            claude_code_tool_actions=as_json(tools),
            office_metrics=as_json(office),
        ),
        raw(EnterpriseUsers, user_id="user_2", chat_message_count=None),
    )
    ann, nobody = days.rows("claude_ai_user_activity")
    assert (ann["identifier"], ann["title"]) == (f"anthropic_analytics:user_1-{DAY}", f"ann@example.com - {DAY}")
    assert (ann["email"], ann["chat_message_count"]) == ("ann@example.com", 7)
    assert (ann["edit_tool_accepted"], ann["edit_tool_rejected"], ann["write_tool_rejected"]) == (3, 1, None)
    assert (ann["office_session_count"], ann["office_message_count"]) == (3, 5)
    assert (nobody["title"], nobody["chat_message_count"]) == (f"user_2 - {DAY}", None)
    assert nobody["office_session_count"] is nobody["edit_tool_accepted"] is nobody["email"] is None


JSON_COUNTERS: Sequence[tuple[object, int | None]] = [
    (3, 3),
    (Decimal("3.0"), 3),
    ("3", 3),
    ("three", None),
    (2**63, None),
    ({"n": 3}, None),
    (None, None),
]
"""A counter as a body has it, and what it is: null where it is no number."""


def test_a_counter_in_json_is_its_number_or_unknown(days: Days) -> None:
    """Each is of another person and of another skill."""
    people, skills = [], []
    for n, (sent, _) in enumerate(JSON_COUNTERS):
        tools = as_json({"edit_tool": {"accepted_count": sent, "rejected_count": 1}})
        office = as_json({"excel": {"distinct_session_count": sent, "message_count": 5}})
        used = as_json({"excel": {"distinct_session_skill_used_count": sent}})
        people.append(raw(EnterpriseUsers, user_id=f"user_{n}", claude_code_tool_actions=tools, office_metrics=office))
        skills.append(raw(EnterpriseSkills, skill_name=f"skill_{n}", office_metrics=used))
    days.fetched(EnterpriseUsers, *people)
    days.fetched(EnterpriseSkills, *skills)
    names = ("edit_tool_accepted", "edit_tool_rejected", "office_session_count", "office_message_count")
    counts = [tuple(row[name] for name in names) for row in days.rows("claude_ai_user_activity")]
    of_skills = [row["excel_session_skill_used_count"] for row in days.rows("claude_ai_skill_usage")]
    for (sent, count), found, of_skill in zip(JSON_COUNTERS, counts, of_skills, strict=True):
        assert (found, of_skill) == ((count, 1, count, 5), count), sent


def test_a_counter_in_json_that_is_true_is_refused_in_words(days: Days) -> None:
    used = as_json({"excel": {"distinct_session_skill_used_count": True}})
    days.fetched(EnterpriseSkills, raw(EnterpriseSkills, skill_name="deck maker", office_metrics=used))
    with pytest.raises(WarehouseError, match=r"excel session skill used count.* 1,? and .* unknown"):
        days.derive("claude_ai_skill_usage")


def test_a_person_s_cost_and_usage_are_per_product_model_and_currency(days: Days) -> None:
    person = {"actor_type": "user_actor", "actor_user_id": "user_1", "actor_name": "Ann", "product": "chat"}
    cents = {"amount_cents": Decimal("41280.5"), "list_amount_cents": Decimal(51600)}
    days.fetched(
        EnterpriseUserCost,
        raw(EnterpriseUserCost, **person, **cents, currency="USD", model="opus"),
        raw(EnterpriseUserCost, **person, **cents, currency="JPY"),
    )
    yen, dollars = days.rows("claude_ai_user_cost")
    start = f"anthropic_analytics:user_1-{DAY}-chat"
    assert [yen["identifier"], dollars["identifier"]] == [f"{start}-all-JPY", f"{start}-opus"]
    assert (dollars["amount"], dollars["list_amount"], dollars["title"]) == (Decimal("412.805"), 516, f"Ann - {DAY}")
    assert (yen["amount"], yen["range_end"]) == (Decimal("41280.5"), f"{DAY + ONE_DAY}T00:00:00Z")
    use = {"uncached_input_tokens": 1, "cache_creation_5m_input_tokens": 2, "cache_creation_1h_input_tokens": 3}
    days.fetched(EnterpriseUserUsage, raw(EnterpriseUserUsage, **person, **use))
    row = days.row("claude_ai_user_usage")
    assert row["identifier"] == f"{start}-all"
    assert (row["uncached_input_tokens"], row["cache_creation_5m_tokens"], row["cache_creation_1h_tokens"]) == (1, 2, 3)


def test_amounts_of_more_places_than_whole_units_have_are_rounded_and_stored(days: Days) -> None:
    cents = {"amount_cents": Decimal("1.000000000000000000000049"), "list_amount_cents": Decimal(-1).scaleb(-24)}
    people = [{"actor_type": "user_actor", "actor_user_id": f"user_{n}", "currency": "USD"} for n in range(3)]
    days.fetched(EnterpriseUserCost, *(raw(EnterpriseUserCost, **person, **cents) for person in people))
    amounts = [(row["amount"], row["list_amount"]) for row in days.rows("claude_ai_user_cost")]
    assert amounts == [(Decimal("0.01"), 0)] * 3
    skills = {"estimated_overage_spend_cents": cents["amount_cents"], "currency": "kwd"}
    days.fetched(EnterpriseSkills, *(raw(EnterpriseSkills, skill_name=str(n), **skills) for n in range(3)))
    spend = [row["estimated_overage_spend"] for row in days.rows("claude_ai_skill_usage")]
    assert spend == [Decimal("0.001000000000000000000000")] * 3


def test_a_skill_of_two_ways_of_sharing_is_two_entities(days: Days) -> None:
    office = as_json({"excel": {"distinct_session_skill_used_count": 2}})
    price = {"attributed_list_price_cents": Decimal("123.4"), "currency": "USD"}
    days.fetched(
        EnterpriseSkills,
        raw(EnterpriseSkills, skill_name="deck maker", share_status="private", office_metrics=office, **price),
        raw(EnterpriseSkills, skill_name="deck maker", share_status="shared", skill_display_name="Decks"),
    )
    private, shared = sorted(days.rows("claude_ai_skill_usage"), key=lambda row: str(row["share_status"]))
    assert private["identifier"].startswith(f"anthropic_analytics:deck_maker-{DAY}-")
    assert f"{DAY}-shared" in shared["identifier"]
    assert (private["attributed_list_price"], private["excel_session_skill_used_count"]) == (Decimal("1.234"), 2)
    assert (shared["title"], shared["attributed_list_price"]) == (f"Decks - {DAY}", None)
