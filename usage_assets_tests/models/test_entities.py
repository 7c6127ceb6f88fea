"""Entities from raw rows: which days have one, what is added up, what it is called, and that nothing mixes."""

import hashlib
import json
from collections.abc import Sequence
from decimal import Decimal
from itertools import chain
from typing import Any

import pytest

from usage_assets.core.schema import Row
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport, UsageMessages
from usage_assets.providers.anthropic_analytics.reports import EnterpriseUserCost, EnterpriseUserUsage
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import (
    UsageCompletions,
)
from usage_assets.providers.openai_legacy.billing import BillingUsage, Usage
from usage_assets.providers.records import as_json
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.models.days import (
    DAY,
    DERIVED,
    MIDNIGHT,
    Days,
    days_from,
    lines,
    models,
    raw,
    raw_rows,
    raws,
    seen,
)

CLASSES = (
    "uncached_input_tokens output_tokens cache_read_input_tokens cache_creation_5m_tokens cache_creation_1h_tokens "
    "web_search_requests"
)
# Every entity


# OpenAI


def test_openai_model_usage_is_one_entity_a_model_and_what_has_none_is_unknown(days: Days) -> None:
    """What has no model is added to a model of that name. Requests and tokens that are left out are not zero."""
    used = """
        model    user_id  batch  num_model_requests  input_tokens  output_tokens
        gpt-5    a        no     .                   .             .
        gpt-5    b        yes    4                   .             .
        -        -        no     .                   .             .
        unknown  -        no     .                   .             .
        silent   -        no     -                   -             -
    """
    days.fetched(UsageCompletions, *raws(UsageCompletions, used))
    assert seen(days.rows("openai_model_usage"), "identifier title model date requests tokens") == lines(f"""
        gpt-5-1793491200    gpt-5 usage    gpt-5    {DAY}  5  30
        silent-1793491200   silent usage   silent   {DAY}  -  -
        unknown-1793491200  unknown usage  unknown  {DAY}  2  30
    """)
    days.fetched(Costs)
    days.fetched(UsageCompletions, *raws(UsageCompletions, used)[-1:])
    assert seen([days.row("openai_daily_usage")], "total_requests total_tokens") == [("-", "-")]


SUMS_IN_DOLLARS = (
    ("1 usd, 2 USD", 3),
    ("1 usd, 5 eur", None),
    ("1 usd, 5 -", None),
    ("5 eur", None),
    ("1 usd, 0 eur, 0 -", 1),
    ("0 eur", 0),
    ("", 0),
)


def test_only_dollars_are_added_and_a_part_of_the_cost_does_not_look_like_all_of_it(days: Days) -> None:
    stored = days_from(len(SUMS_IN_DOLLARS) + 1)
    costs = [
        raw(Costs, usage_date=day, project_id=f"p{n}", amount_value=amount, amount_currency=code.strip("-") or None)
        for day, (text, _) in zip(stored, SUMS_IN_DOLLARS, strict=False)
        for n, (amount, code) in enumerate(map(str.split, filter(None, text.split(", "))))
    ]
    nameless = [raw(Costs, usage_date=stored[-1], amount_currency=code) for code in ("", "usd")]
    days.fetched(Costs, *costs, *nameless, last=stored[-1])
    days.fetched(UsageCompletions, last=stored[-1])
    totals = [row["total_cost"] for row in days.rows("openai_daily_usage", last=stored[-1])]
    assert totals == [*(total for _, total in SUMS_IN_DOLLARS), None]


# OpenAI's old endpoints


def test_a_legacy_day_is_the_cents_of_its_lines_in_dollars_and_the_use_of_every_list(days: Days) -> None:
    days.fetched(
        BillingUsage,
        raw(BillingUsage, cost_cents="1234.5600000000002"),
        raw(BillingUsage, name="Fine-tuning models", cost_cents=0),
        raw(BillingUsage, name=None, cost_cents=None, total_usage_cents=9999),
    )
    used = """
        model     list_name       requests  context_tokens  cached_context_tokens  generated_tokens  images
        gpt-4o    .               3         100             90                     7                 .
        dall-e-3  dalle_api_data  2         -               .                      -                 6
        -         ft_data         -         -               .                      -                 .
    """
    days.fetched(Usage, *raws(Usage, used))
    assert seen(
        [days.row("openai_legacy_daily_usage")], "identifier title total_requests total_tokens total_cost"
    ) == lines(f"openai_legacy:daily-{DAY}  OpenAI Usage {DAY}  5  107  12.345600000000002")
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
CODEX = """
    usage_date  cut        user_id  client_id  model  speed  credits  actor_user_id  occurrence
    1           user       .        -          -      -      1        -              .
    1           user       user-2   -          -      -      2        -              .
    1           client     .        cli        -      -      1        -              .
    1           model      .        -          gpt    fast   1        -              .
    1           workspace  -        -          -      -      3        -              .
    2           workspace  -        -          -      -      100      -              .
    3           user       -        -          -      -      1        -              1
    3           user       -        -          -      -      2        -              2
    3           user       -        -          -      -      5        user-9         .
"""


def test_a_codex_usage_record_is_a_user_and_a_day_and_what_is_unknown_stays_null(days: Days) -> None:
    """The workspace's row shows the same use as the users' rows: it is an entity only where it is all there is. Users
    without an id are one unknown user and not the workspace."""
    stated = raw(CodexUsage, user_email="someone@example.com", **CODEX_MEASURES)
    last = days_from(4)[-1]
    unstated = raw(CodexUsage, user_id="user-2", threads=0)
    days.fetched(CodexUsage, stated, unstated, *raws(CodexUsage, CODEX), last=last)
    row, unknown, *others = days.rows("codex_usage_record", last=last)
    assert seen([row], "identifier title record_date workspace_id user_id scope") == [
        (f"ws-user-1-{DAY}", f"user-1 - {DAY}", MIDNIGHT, "ws", "user-1", "user")
    ]
    assert {name: row[name] for name in CODEX_MEASURES} == CODEX_MEASURES
    assert {name: unknown[name] for name in CODEX_MEASURES} == dict.fromkeys(CODEX_MEASURES) | {"threads": 0}
    assert seen(others, "identifier scope user_id credits") == lines("""
        ws-user-1-2026-11-02     user       user-1  1
        ws-user-2-2026-11-02     user       user-2  2
        ws-workspace-2026-11-03  workspace  -       100
        ws-unknown-2026-11-04    user       -       3
        ws-user-9-2026-11-04     user       user-9  5
    """)


# Anthropic usage and cost


def test_the_token_classes_of_all_rows_are_added_up(days: Days) -> None:
    """A counter that is left out is missing from sums, and null where nothing of it is known."""
    messages = """
        usage_date  workspace_id  model   api_key_id  service_tier  uncached_input_tokens  web_search_requests
        0           wrk           claude  a           .             .                      .
        0           wrk           claude  b           batch         .                      .
        0           wrk           claude  -           .             100                    .
        1           wrk           claude  a           .             .                      -
        1           -             -       a           .             .                      -
        1           default       claude  a           .             .                      -
    """
    last = days_from(2)[-1]
    rows = raws(UsageMessages, messages)
    left_out = {"model": "opus", "web_search_requests": None, "cache_creation_5m_input_tokens": None}
    days.fetched(UsageMessages, *rows, raw(UsageMessages, usage_date=last, workspace_id="w", **left_out), last=last)
    for name, identifier, title in (
        ("claude_usage_record", f"{DAY}-usage", f"Claude Usage - {DAY}"),
        ("claude_workspace_usage", f"wrk-{DAY}", f"wrk - {DAY}"),
        ("claude_model_usage", f"claude-{DAY}", f"claude - {DAY}"),
    ):
        row = days.row(name)
        assert (row["identifier"], row["title"], row["record_date"]) == (identifier, title, MIDNIGHT)
        assert seen([row], CLASSES) == [("102", "6", "9", "12", "15", "18")], name
    counted = "output_tokens cache_creation_5m_tokens web_search_requests"
    assert seen(days.rows("claude_usage_record", first=last), counted) == [("8", "12", "-")]
    assert seen(days.rows("claude_model_usage", first=last), f"identifier model {counted}") == lines(f"""
        claude-{last}   claude   4  8  -
        opus-{last}     opus     2  -  -
        unknown-{last}  unknown  2  4  -
    """)
    assert seen(days.rows("claude_workspace_usage", first=last), "identifier workspace_id output_tokens") == lines(f"""
        default-{last}  default  4
        w-{last}        w        2
        wrk-{last}      wrk      2
    """), "the default workspace has no id, and what has one of that name is added to it"


WHOLE_UNITS = {"USD": Decimal(100), "JPY": Decimal(10000), "KWD": Decimal(10), "CLF": Decimal(1)}
"""Currency -> what 10,000 of its smallest units are."""


def test_an_amount_is_in_whole_units_of_its_currency_and_each_is_an_entity_of_its_own(days: Days) -> None:
    ten_thousand = [("opus", "10000", currency) for currency in WHOLE_UNITS]
    days.fetched(CostReport, *(raw(CostReport, currency=code, amount_cents=10000) for code in WHOLE_UNITS))
    days.fetched(ClaudeCode, code(model_breakdown=models(*ten_thousand)))
    days.fetched(Usage)
    days.fetched(BillingUsage, raw(BillingUsage, cost_cents=10000))
    rows = {row["currency"]: row for row in days.rows("claude_cost_record")}
    assert {currency: row["amount"] for currency, row in rows.items()} == WHOLE_UNITS
    assert seen((rows["USD"], rows["JPY"]), "identifier title") == lines("""
        2026-11-01-cost      Claude Cost - 2026-11-01
        2026-11-01-cost-JPY  Claude Cost - 2026-11-01 (JPY)
    """)
    [version] = days.derive("claude_cost_record")
    assert version.totals == {"amount_usd": "100.000000000000000000000000"}
    uses = json.loads(days.row("claude_code_analytics")["model_breakdown"], parse_float=Decimal)
    assert {use["estimated_cost"]["currency"]: use["estimated_cost"]["amount"] for use in uses} == WHOLE_UNITS
    assert days.row("openai_legacy_daily_usage")["total_cost"] == WHOLE_UNITS["USD"]


# Claude Code


def code(**values: Any) -> Row:
    return raw(ClaudeCode, **values)


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
    actors = """
        actor_type  actor_email      api_key_name     organization_id  terminal_type  num_sessions
        user_actor  bob@example.com  -                org              .              .
        api_actor   -                bob@example.com  org              .              10
        api_actor   -                bob@example.com  org              a              10
        user_actor  bob@example.com  -                other            .              .
        api_actor   -                ci 2             org              .              .
        user_actor  -                -                org              .              .
    """
    days.fetched(ClaudeCode, *raws(ClaudeCode, actors))
    rows = days.rows("claude_code_analytics")
    hashed = hashlib.sha256(f"org-ci 2-{DAY}".encode()).hexdigest()[:8]
    assert sorted(seen(rows, "identifier actor_type actor_name num_sessions")) == sorted(
        lines(f"""
            org-bob@example.com-{DAY}             api_actor   bob@example.com             20
            org-bob@example.com:user_actor-{DAY}  user_actor  bob@example.com:user_actor  1
            other-bob@example.com-{DAY}           user_actor  bob@example.com             1
            org-ci_2-{DAY}-{hashed}               api_actor   ci 2                        1
            org-unknown-{DAY}                     user_actor  unknown                     1
        """)
    )
    known_by = DERIVED["claude_code_analytics"].about["user"]
    assert {*chain.from_iterable(known_by(row) for row in rows if row["actor_type"] == "api_actor")} == set()
    assert {*known_by(next(row for row in rows if "user_actor" in row["identifier"]))} == {"bob@example.com"}


# People and skills of Claude Enterprise

[EnterpriseUsers] = raw_rows(["anthropic_analytics.users"])
[EnterpriseSkills] = raw_rows(["anthropic_analytics.skills"])


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


def test_a_counter_in_json_is_its_number_or_unknown_and_true_is_refused_in_words(days: Days) -> None:
    """Each is of another person and of another skill."""
    people, skills = [], []
    for n, (sent, _) in enumerate(JSON_COUNTERS):
        tools = as_json({"edit_tool": {"accepted_count": sent, "rejected_count": 1}})
        office = as_json({"excel": {"distinct_session_count": sent, "message_count": 5}})
        people.append(raw(EnterpriseUsers, user_id=f"user_{n}", claude_code_tool_actions=tools, office_metrics=office))
        skills.append(raw(EnterpriseSkills, skill_name=f"skill_{n}", office_metrics=used_in_excel(sent)))
    days.fetched(EnterpriseUsers, *people)
    days.fetched(EnterpriseSkills, *skills)
    names = ("edit_tool_accepted", "edit_tool_rejected", "office_session_count", "office_message_count")
    counts = [tuple(row[name] for name in names) for row in days.rows("claude_ai_user_activity")]
    of_skills = [row["excel_session_skill_used_count"] for row in days.rows("claude_ai_skill_usage")]
    for (sent, count), found, of_skill in zip(JSON_COUNTERS, counts, of_skills, strict=True):
        assert (found, of_skill) == ((count, 1, count, 5), count), sent
    days.fetched(EnterpriseSkills, raw(EnterpriseSkills, skill_name="deck maker", office_metrics=used_in_excel(True)))
    with pytest.raises(WarehouseError, match=r"excel session skill used count.* 1,? and .* unknown"):
        days.derive("claude_ai_skill_usage")


def used_in_excel(count: object) -> str:
    return as_json({"excel": {"distinct_session_skill_used_count": count}})


def test_a_person_s_cost_and_usage_are_per_product_model_and_currency(days: Days) -> None:
    """Amounts of more places than whole units have are rounded and stored."""
    person = {"actor_type": "user_actor", "actor_name": "Ann"}
    costs = """
        actor_user_id  product  amount_cents                list_amount_cents            currency  model
        user_1         chat     41280.5                     51600                        USD       opus
        user_1         chat     41280.5                     51600                        JPY       -
        user_2         chat     1.000000000000000000000049  -0.000000000000000000000001  USD       -
        user_3         chat     1.000000000000000000000049  -0.000000000000000000000001  USD       -
    """
    days.fetched(EnterpriseUserCost, *raws(EnterpriseUserCost, costs, **person))
    start = f"anthropic_analytics:user_1-{DAY}-chat"
    rows = days.rows("claude_ai_user_cost")
    assert seen(rows, "identifier amount list_amount title range_end") == lines(f"""
        {start}-all-JPY                          41280.5  51600  Ann - {DAY}  2026-11-02T00:00:00Z
        {start}-opus                             412.805  516    Ann - {DAY}  2026-11-02T00:00:00Z
        {start.replace("user_1", "user_2")}-all  0.01     0      Ann - {DAY}  2026-11-02T00:00:00Z
        {start.replace("user_1", "user_3")}-all  0.01     0      Ann - {DAY}  2026-11-02T00:00:00Z
    """)
    use = {"uncached_input_tokens": 1, "cache_creation_5m_input_tokens": 2, "cache_creation_1h_input_tokens": 3}
    used = raw(EnterpriseUserUsage, **person, actor_user_id="user_1", product="chat", **use)
    days.fetched(EnterpriseUserUsage, used)
    names = "identifier uncached_input_tokens cache_creation_5m_tokens cache_creation_1h_tokens"
    assert seen([days.row("claude_ai_user_usage")], names) == [(f"{start}-all", "1", "2", "3")]
