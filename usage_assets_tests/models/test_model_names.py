"""models.names: one name for one model. ``model_names.csv`` has names of the world, each with its family as decided by
hand from the source that it names; without a family, the name must stay itself."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from usage_assets.config.accounting import ModelName
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.database import Warehouse
from usage_assets_finance.focus.charges import Charges
from usage_assets_finance.focus.meters import model_in
from usage_assets_tests.fixtures import execute
from usage_assets_tests.models.days import DAY, DERIVED, Days, beside, emptied, lines, raw, seen
from usage_assets_tests.models.stated import stating
from usage_assets_vendors.cursor.usage import UsageEvents
from usage_assets_vendors.openrouter.activity import Activity

NAMES = [*csv.DictReader((Path(__file__).parent / "model_names.csv").read_text().splitlines())]
METERS = lines("""
    USE1-Claude4.5Sonnet-input-tokens-cross-region-global                claude-sonnet-4-5
    USW2-Claude4.5Haiku-cache-write-input-token-count                    claude-haiku-4-5
    USE1-anthropic.claude-opus-4-8-mantle-output-tokens-standard         claude-opus-4-8
    USE1-Nova2.0Lite-input-tokens                                        nova-2-lite
    USE1-NovaLite-output-tokens                                          nova-lite
    gpt 4o 0806 cached Inp glbl Tokens                                   gpt-4o
    GPT 5 Mini cchd Inpt Glbl 1M Tokens                                  gpt-5-mini
    GPT 5.1 cd inp Gl 1M Tokens                                          gpt-5.1
    Gemini 2.5 Flash Text Input - Predictions                            gemini-2.5-flash
    Gemini 2.5 Flash Lite Text Output - Predictions                      gemini-2.5-flash-lite
    Generate content input token count gemini 3.5 flash lite text        gemini-3.5-flash-lite
    Generate content output token count gemini 3.8 flash tts text        gemini-3.8-flash-tts
    USE1-Nova2.0Pro-text-input-tokens-priority-cross-region-global       nova-2-pro
    USE1-NovaSonic-text-input-tokens                                     nova-sonic
    USE1-deepseek.v3.2-mantle-input-tokens-standard                      deepseek-v3.2
    USE1-Llama3-1-70B-LatencyOptimized-input-tokens                      llama-3.1-70b
    GPT-5 Batch Inp Glbl 1M Tokens                                       gpt-5
    Claude Sonnet 4.6 - msft-sonnet-4-6-flat-100 - paygo-inference-input-tokens  claude-sonnet-4-6
    Generate_content image output token count for Gemini 3 Pro Image     gemini-3-pro-image
    Gemini 3.0 Pro Image Output - Predictions                            gemini-3-pro
""")


FAMILIES = {
    family: names
    for family, *names in lines("""
        input         input  uncached_input_tokens  batch input  USE1-Nova2.0Lite-input-tokens  text embedding tokens
        cached input  cached input  cache_read_input_tokens  cached audio input  Gemini 3 Flash Text Input Caching
        cache write   cache_creation.ephemeral_5m_input_tokens  USE1_CacheWrite1hInputTokenCount-Units
        output        output  output_tokens  gpt 4o 0806 Outp glbl Tokens  completion tokens
        reasoning     reasoning  thinking_tokens
        image         image output  image generations
        audio         audio input  audio_output_tokens  tts-1
        seat  Copilot Business  Copilot Enterprise  copilot_for_business  Premium seat  ChatGPT Enterprise licenses
        storage       file search storage  vector_store storage
        tool  web search tool calls  web_search  code_execution  code interpreter sessions  file search tool calls
        request       Copilot Premium Request  requests
        other         usage_based  included_in_business  Copilot AI Credits  fine-tuning training
    """)
}
"""Family -> kinds of use as providers and exporters write them, decided by hand. One without a name is another, too."""


def sent(days: Days, names: Iterable[tuple[str, str]]) -> Sequence[dict[str, Any]]:
    """What models.names says of names that providers send."""
    providers, models = (list(each) for each in zip(*names, strict=True))
    execute(
        days.warehouse,
        "insert into costs.daily_costs by name select 'c' as connection, $day::date as usage_date, "
        "unnest($providers) as provider, 's' as source_table, 'billed' as cost_basis, 1 as native_amount, "
        "'dollars' as native_unit, unnest($models) as model, '' as grouped_by",
        {"day": DAY, "providers": providers, "models": models},
    )
    return days.read("from models.names order by provider, model")


@pytest.fixture
def empty(days: Days) -> Days:
    """Days with a table of costs and without a row in it."""
    days.spent(Costs)
    return days


def test_no_name_of_the_world_gets_another_model(empty: Days) -> None:
    found = {
        (row["provider"], row["model"]): row for row in sent(empty, ((n["provider"], n["as_sent"]) for n in NAMES))
    }
    assert len(found) == len(NAMES) >= 250
    wrong = {}
    for name in NAMES:
        row = found[name["provider"], name["as_sent"]]
        expected = (name["family"] or name["as_sent"], name["version"] or None, name["variant"] or None)
        if (row["family"], row["version"], row["variant"]) != expected:
            wrong[name["provider"], name["as_sent"]] = row
        assert (row["source"] == "unresolved") is (not name["family"])
    assert wrong == {}
    assert sum(not name["family"] for name in NAMES) < len(NAMES) * 0.15


def test_a_name_says_how_it_is_known(empty: Days) -> None:
    names = ("gpt-5", "ft:gpt-5:acme", "openai/gpt-5", "GPT-5", "gpt-5-2025-08-07", "auto", "house-model")
    rows = sent(
        empty, [*(("openai", name) for name in names), ("cursor", "gpt-5-high"), ("cursor", "claude-4.5-haiku")]
    )
    found, expected = beside(
        rows,
        """
        model             source      reason
        gpt-5             rule:1      -
        ft:gpt-5:acme     rule:2      -
        openai/gpt-5      rule:3      -
        GPT-5             rule:4      -
        gpt-5-2025-08-07  rule:4      -
        gpt-5-high        rule:5      -
        claude-4.5-haiku  rule:6      -
        auto              unresolved  not a model
        house-model       unresolved  no known form
        """,
    )
    assert found == expected
    assert {row["developer"] for row in rows} == {"OpenAI", "Anthropic", None}


def test_a_meter_of_a_cloud_is_the_model_that_it_meters(empty: Days) -> None:
    models = {meter: model_in(meter) or "" for meter, _ in METERS}
    families = {row["model"]: row["family"] for row in sent(empty, (("focus", model) for model in {*models.values()}))}
    assert [(meter, families[model]) for meter, model in models.items()] == METERS


# [[model]]


def test_what_is_stated_of_a_name_comes_before_every_rule(empty: Days) -> None:
    stated = [
        ModelName(as_sent=["prod-chat", "gpt-5"], family="gpt-5.4", version="2026-03-05", variant="regional"),
        ModelName(provider="cursor", as_sent=["prod-chat"], family="claude-opus-5"),
    ]
    days = stating(empty, models=stated)
    days.derive("openai_costs")  # a write is what brings the table up to date
    rows = sent(days, [("openai", "prod-chat"), ("cursor", "prod-chat"), ("cursor", "gpt-5"), ("cursor", "gpt-5-high")])
    assert seen(rows, "provider model family version variant source") == lines("""
        cursor  gpt-5       gpt-5.4        2026-03-05  regional  stated
        cursor  gpt-5-high  gpt-5          -           high      rule:5
        cursor  prod-chat   claude-opus-5  -           -         stated
        openai  prod-chat   gpt-5.4        2026-03-05  regional  stated
    """)
    assert [row["developer"] for row in rows] == ["OpenAI", "OpenAI", "Anthropic", "OpenAI"]


# costs by model


def test_a_kind_of_use_has_the_family_that_its_words_name_and_each_family_one_sum(empty: Days) -> None:
    names = {"": "other"} | {name: family for family, of_it in FAMILIES.items() for name in of_it}
    execute(
        empty.warehouse,
        "insert into costs.daily_costs by name select 'c' as connection, $day::date as usage_date, "
        "'p' as provider, 's' as source_table, 'billed' as cost_basis, 1 as native_amount, 1 as amount_usd, "
        "'dollars' as native_unit, nullif(unnest($names), '') as usage_type, '' as grouped_by",
        {"day": DAY, "names": [*names]},
    )
    rows = empty.read("from models.usage_families")
    assert {row["usage_type"] or "": row["usage_family"] for row in rows} == names
    assert {row["source"] for row in rows if row["usage_family"] != "other"} == {"words"}
    unresolved: dict[str | None, str] = dict.fromkeys(FAMILIES["other"], "unresolved")
    found = {row["usage_type"]: row["source"] for row in rows if row["usage_family"] == "other"}
    assert found == unresolved | {None: "not named"}
    sums = empty.read("select usage_family, amount_usd, usage_types from costs.by_usage_type")
    assert {row["usage_family"]: row["amount_usd"] for row in sums} == Counter(names.values())
    assert {row["usage_family"]: row["usage_types"] for row in sums} == {
        name: sorted(of_it) for name, of_it in FAMILIES.items()
    }


@pytest.fixture(scope="module")
def several(warehouse: Warehouse) -> Iterator[Days]:
    """One model as three providers call it, its fast variant, another model, and costs without a model. The tests that
    change something are the last ones."""
    with emptied(warehouse):
        yield stored_of_several(Days(warehouse))


def stored_of_several(days: Days) -> Days:
    days.fetched(
        UsageEvents,
        raw(UsageEvents, model="claude-4.5-sonnet"),
        raw(UsageEvents, model="claude-4.5-sonnet-thinking", charged_cents="7.000000000000000001"),
        raw(UsageEvents, model="auto"),
    )
    days.fetched(Activity, raw(Activity, model="anthropic/claude-sonnet-4.5", usage="0.1"))
    days.fetched(Charges, raw(Charges, model="claude-sonnet-4-5", billed_cost=3))
    days.fetched(Costs, raw(Costs, line_item="gpt-5-2025-08-07, input"), raw(Costs, line_item="web search"))
    for file in ("cursor_usage_events", "openrouter_activity", "focus_charges", "openai_costs"):
        days.derive(file, DERIVED[file].part.partition(".")[0])
    return days


def test_an_entity_records_what_was_stated_of_models_so_that_a_change_makes_its_days_due(several: Days) -> None:
    table = "port_entities.ai_model_cost"
    stored = f"select inputs ->> '$.models' as stated from ledger.stored_days where table_name = '{table}'"
    several.derive("ai_model_cost", "cursor")
    assert several.read(stored) == [{"stated": "nothing"}]
    days = stating(several, models=[ModelName(provider="cursor", as_sent=["auto"], family="house")])
    identifiers = {row["identifier"] for row in days.rows("ai_model_cost", "cursor")}
    assert f"cursor/house//{DAY}" in identifiers
    assert f"cursor/auto//{DAY}" not in identifiers
    [after] = several.read(stored)
    assert after["stated"] != "nothing"
    with several.warehouse.get_connection() as database:
        assert database.execute("select digest from ledger.stated_models").fetchall() == [(after["stated"],)]


def test_an_entity_is_a_family_and_a_variant_and_none_changes_that_was_called_so_before(several: Days) -> None:
    several.fetched(
        UsageEvents,
        raw(UsageEvents, model="gpt-5"),
        raw(UsageEvents, model="GPT-5", charged_cents=50),
        raw(UsageEvents, model="gpt-5-high-fast"),
    )
    several.derive("cursor_usage_events", "cursor")
    found = seen(several.rows("ai_model_cost", "cursor"), "identifier model variant billed_usd")
    assert sorted(found) == lines(f"""
        cursor/gpt-5+fast+high//{DAY}  gpt-5  fast high  1
        cursor/gpt-5//{DAY}            gpt-5  -          1.5
    """)
