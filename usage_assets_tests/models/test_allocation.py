"""What is billed, by API key and person: who shares in it, by what, and that the parts add up to the last digit."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usage_assets.core import money
from usage_assets.core.schema import Row, to_arrow
from usage_assets.models.costs import ALLOCATIONS, AllocatedCost
from usage_assets.models.model import MACROS
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport, UsageMessages
from usage_assets.providers.github_copilot.billing import AiCredits
from usage_assets.providers.github_copilot.metrics import Users1Day
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import (
    UsageAudioSpeeches,
    UsageAudioTranscriptions,
    UsageCompletions,
    UsageDecisions,
    UsageEmbeddings,
    UsageImages,
    UsageModerations,
)
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch, WarehouseError
from usage_assets_tests.models.days import DAY, DERIVED, Days, days_from, raw, raw_rows

FILES = [allocation.file for allocation in ALLOCATIONS]
PLACE = Decimal(1).scaleb(-24)
Part = tuple[str | None, str | None, Decimal]
"""API key, user, amount."""

TOKENS = {
    "description": "Claude Usage",
    "cost_type": "tokens",
    "workspace_id": "wrk",
    "model": "opus",
    "token_type": "output_tokens",
    "service_tier": "standard",
    "grouped_by": "description,workspace_id",
}
USE = {"workspace_id": "wrk", "model": "opus", "service_tier": "standard"}
NOBODY = (None, None)


def of_anthropic(*rows: Mapping[str, Any]) -> list[Row]:
    """What Anthropic bills for output tokens of a workspace, unless a row says otherwise."""
    return [raw(CostReport, **{**TOKENS, **row}) for row in rows]


def by_anthropic(*rows: Mapping[str, Any]) -> list[Row]:
    """Messages."""
    return [raw(UsageMessages, **{**USE, **row}) for row in rows]


def anthropic_bill(days: Days, *rows: Mapping[str, Any], **options: Any) -> None:
    """Store a bill."""
    days.spent(CostReport, *of_anthropic(*rows), **options)


def anthropic_use(days: Days, *rows: Mapping[str, Any]) -> None:
    """Store the messages of a day."""
    days.fetched(UsageMessages, *by_anthropic(*rows))


def anthropic_parts(days: Days) -> list[dict[str, Any]]:
    return days.rows("anthropic_allocated_costs")


Case = Generator[list[Row], list[dict[str, Any]], None]
"""Gives bill and use of a day, and gets the parts of the bill."""


def played(days: Days, file: str, cases: Sequence[Callable[[], Case]], subtests: pytest.Subtests) -> None:
    """Play each case on a day of its own, and compute all days at once."""
    games = {day: case() for day, case in zip(days_from(len(cases)), cases, strict=True)}
    by_type: dict[type[Row], list[Row]] = {}
    for day, game in games.items():
        for row in next(game):
            by_type.setdefault(type(row), []).append(msgspec.structs.replace(row, usage_date=day))
    last = max(games)
    for row_type, rows in by_type.items():
        days.fetched(row_type, *rows, last=last)
    days.derive(str(DERIVED[file].part).replace(".", "_"), last=last)
    found = days.rows(file, last=last)
    for case, (day, game) in zip(cases, games.items(), strict=True):
        with subtests.test(case.__name__), pytest.raises(StopIteration):
            game.send([row for row in found if row["usage_date"] == day])


def shares(rows: Sequence[Mapping[str, Any]]) -> list[Part]:
    """Who gets how much, sorted."""
    parts = [(row["api_key_id"], row["user_id"], row["native_amount"]) for row in rows]
    return sorted(parts, key=lambda part: tuple(map(str, part)))


# Any source


def test_a_day_that_costs_nothing_has_no_rows_and_one_that_was_not_computed_is_refused(
    days: Days, subtests: pytest.Subtests
) -> None:
    """Another source of costs is not the bill that must be there."""
    days.spent(ClaudeCode, raw(ClaudeCode))
    for file in FILES:
        with subtests.test(file):
            [source] = raw_rows([DERIVED[file].part])
            days.fetched(source)
            said = rf"costs\.daily_costs \({source.table}\) of connection \w+ was never fetched for 2026-11-01"
            with pytest.raises(WarehouseError, match=said):
                days.derive(file)
            days.derive(source.table.replace(".", "_"))
            assert days.rows(file) == []


MESSAGES, REPORT = "anthropic/usage_messages", "anthropic/cost_report"


def test_what_a_connection_fetches_must_be_there_and_what_it_does_not_fetch_need_not(days: Days) -> None:
    anthropic_bill(days, {})
    derived = DERIVED["anthropic_allocated_costs"]
    target = Slice("anthropic", DAY, DAY, derived.part)
    with pytest.raises(WarehouseError, match=r"anthropic\.usage_messages of connection anthropic was never fetched"):
        days.warehouse.replace(
            Table(AllocatedCost), derived.query_of({UsageMessages.table: {"": MESSAGES}}), target, "run"
        )
    days.warehouse.replace(Table(AllocatedCost), derived.query_of({CostReport.table: {"": REPORT}}), target, "run")
    assert [row["allocation"] for row in anthropic_parts(days)] == ["unattributed"]


def test_the_daily_totals_are_what_is_billed_and_what_of_it_is_nobodys(days: Days) -> None:
    anthropic_bill(days, {}, {"amount_cents": 50, "workspace_id": "other"})
    anthropic_use(days, {"api_key_id": "k1"})
    [version] = days.derive("anthropic_allocated_costs")
    assert {name: Decimal(total or 0) for name, total in version.totals.items()} == {
        "billed_usd": Decimal("1.5"),
        "unattributed_usd": Decimal("0.5"),
    }


# Anthropic


def test_use_of_another_day_or_connection_has_no_part_in_a_bill(days: Days) -> None:
    _, second = days_from(2)
    use = {**USE, "api_key_id": "k2"}
    days.fetched(UsageMessages, raw(UsageMessages, usage_date=second, **use), last=second)
    days.fetched(UsageMessages, raw(UsageMessages, connection="emea", **use), connection="emea")
    anthropic_bill(days, {}, {"usage_date": second}, last=second)
    assert [row["allocation"] for row in days.rows("anthropic_allocated_costs", last=second)] == [
        "unattributed",
        "tokens",
    ]


def a_part_says_how_it_can_be_computed_again() -> Case:
    bill = of_anthropic({"amount_cents": "123.78912", "context_window": "0-200k", "inference_geo": "us"})
    use = by_anthropic({"api_key_id": "k1", "output_tokens": 30}, {"account_id": "u1", "output_tokens": 10})
    of_user, of_key = sorted((yield [*bill, *use]), key=lambda row: row["units"])
    names = ("provider", "currency", "native_unit", "line_item", "context_window", "inference_geo", "usage_type")
    expected = ("anthropic", "USD", "cents", "Claude Usage", "0-200k", "us", "output_tokens")
    assert tuple(of_key[name] for name in names) == expected
    assert of_key["basis"] == (
        "output_tokens of anthropic.usage_messages of the same day, workspace_id, model, service_tier"
    )
    for part, key, user, cents in ((of_key, "k1", None, "92.84184"), (of_user, None, "u1", "30.94728")):
        assert (part["api_key_id"], part["user_id"], part["allocation"], part["all_units"]) == (key, user, "tokens", 40)
        assert (part["native_amount"], part["billed_amount"]) == (Decimal(cents), Decimal("123.78912"))
        assert part["amount_usd"] == part["native_amount"] / 100


def dollars_are_split_on_their_own_and_add_up_too() -> Case:
    bill = of_anthropic({"amount_cents": "0.0000000000000000000001"})
    use = by_anthropic(*({"api_key_id": f"k{n}"} for n in range(3)))
    rows = yield [*bill, *use]
    assert money.total(row["native_amount"] for row in rows) == 100 * PLACE
    assert [row["amount_usd"] for row in sorted(rows, key=lambda row: row["api_key_id"])] == [PLACE, 0, 0]


def an_amount_without_a_dollar_value_is_split_and_has_none() -> Case:
    bill = of_anthropic({"currency": "JPY", "amount_cents": 3})
    use = by_anthropic({"api_key_id": "k1"}, {"api_key_id": "k2"})
    rows = yield [*bill, *use]
    assert shares(rows) == [("k1", None, Decimal("1.5")), ("k2", None, Decimal("1.5"))]
    assert {row["amount_usd"] for row in rows} == {None}
    assert {row["usd_reason"] for row in rows} == {"no exchange rate is configured for JPY"}


def each_class_of_tokens_is_split_by_its_own() -> Case:
    classes = {
        "uncached_input_tokens": "uncached_input_tokens",
        "output_tokens": "output_tokens",
        "cache_read_input_tokens": "cache_read_input_tokens",
        "cache_creation.ephemeral_5m_input_tokens": "cache_creation_5m_input_tokens",
        "cache_creation.ephemeral_1h_input_tokens": "cache_creation_1h_input_tokens",
    }
    bill = of_anthropic(*({"token_type": token_type} for token_type in classes))
    of_k1 = {measure: n for n, measure in enumerate(classes.values(), start=10)}
    of_k2 = {measure: 100 - n for measure, n in of_k1.items()}
    use = by_anthropic({"api_key_id": "k1", **of_k1}, {"api_key_id": "k2", **of_k2})
    rows = {(row["token_type"], row["api_key_id"]): row for row in (yield [*bill, *use])}
    assert {token_type: rows[token_type, "k1"]["native_amount"] for token_type in classes} == {
        token_type: of_k1[measure] for token_type, measure in classes.items()
    }
    assert {row["token_type"]: row["basis"].partition(" ")[0] for row in rows.values()} == classes


def use_of_another_kind_has_no_part_in_a_bill() -> Case:
    others: list[dict[str, Any]] = [
        {"workspace_id": None},
        {"model": "haiku"},
        {"model": None},
        {"service_tier": "batch"},
        {"service_tier": "flex"},
        {"service_tier": "priority"},
        {"output_tokens": 0},
    ]
    bill = of_anthropic({})
    use = by_anthropic({"api_key_id": "k1"}, *({"api_key_id": f"other {other}", **other} for other in others))
    assert shares((yield [*bill, *use])) == [("k1", None, Decimal(100))]


def the_default_workspace_is_one_like_the_others() -> Case:
    bill = of_anthropic({"workspace_id": None})
    use = by_anthropic({"workspace_id": None, "api_key_id": "k1"}, {"api_key_id": "k2"})
    assert shares((yield [*bill, *use])) == [("k1", None, Decimal(100))]


def one_key_has_one_part_whatever_its_rows() -> Case:
    bill = of_anthropic({})
    rows = [{"api_key_id": "k1", "speed": speed} for speed in ("standard", "fast")]
    use = by_anthropic(*rows, {"api_key_id": "k1", "account_id": "u1"}, {"output_tokens": 2})
    assert shares((yield [*bill, *use])) == [
        (None, None, Decimal(25)),
        ("k1", None, Decimal(50)),
        ("k1", "u1", Decimal(25)),
    ]


def tiers_that_the_bill_has_no_rows_for_share_only_where_its_own_has_no_tokens() -> Case:
    bill = of_anthropic({})
    tiers = ("flex", "flex_discount", "batch", "priority", None)
    use = by_anthropic(*({"api_key_id": f"{tier}", "service_tier": tier} for tier in tiers))
    rows = yield [*bill, *use]
    assert {row["api_key_id"] for row in rows} == {"flex", "flex_discount", "None"}
    assert all(row["basis"].endswith("model and of tiers that anthropic.cost_report has no rows for") for row in rows)
    assert money.total(row["native_amount"] for row in rows) == 100


def web_searches_are_split_by_the_workspaces_searches_of_any_model_and_tier() -> Case:
    search = dict.fromkeys(("model", "token_type", "service_tier"))
    bill = of_anthropic({"cost_type": "web_search", **search})
    use = by_anthropic(
        {"api_key_id": "k1", "web_search_requests": 1},
        {"api_key_id": "k1", "web_search_requests": 1, "model": "haiku", "service_tier": "priority"},
        {"api_key_id": "k2", "web_search_requests": 3},
        {"api_key_id": "k3", "web_search_requests": 9, "workspace_id": None},
    )
    rows = yield [*bill, *use]
    assert shares(rows) == [("k1", None, Decimal(40)), ("k2", None, Decimal(60))]
    assert {(row["allocation"], row["basis"]) for row in rows} == {
        ("requests", "web_search_requests of anthropic.usage_messages of the same day, workspace_id")
    }


def what_no_usage_report_counts_stays_unattributed() -> Case:
    cost_types = ("code_execution", "session_usage", None)
    nothing = dict.fromkeys(("model", "token_type", "service_tier"))
    bill = of_anthropic(*({"cost_type": cost_type, **nothing} for cost_type in cost_types))
    use = by_anthropic({"api_key_id": "k1"}, {"api_key_id": "k2", "model": None})
    rows = yield [*bill, *use]
    assert {row["cost_type"] for row in rows} == {*cost_types}
    names = ("allocation", "native_amount", "amount_usd", "api_key_id", "user_id", "basis", "units", "all_units")
    assert {tuple(row[name] for name in names) for row in rows} == {("unattributed", 100, 1, *[None] * 5)}


def what_a_row_leaves_out_is_shared_by_nobody_and_the_rest_is_split() -> Case:
    """Those who are known to have used some would pay for the one of whom nobody knows."""
    cached = {"token_type": "cache_creation.ephemeral_5m_input_tokens", "amount_cents": 7}
    bill = of_anthropic({"amount_cents": 30}, cached | {"description": "cache"})
    use = by_anthropic(
        {"api_key_id": "k1", "output_tokens": 10, "cache_creation_5m_input_tokens": None},
        {"api_key_id": "k2", "output_tokens": 20},
    )
    parts = [(None, 7), ("k1", 10), ("k2", 20)]
    assert shares((yield [*bill, *use])) == [(key, None, Decimal(cents)) for key, cents in parts]


OF_ANTHROPIC: Sequence[Callable[[], Case]] = (
    a_part_says_how_it_can_be_computed_again,
    dollars_are_split_on_their_own_and_add_up_too,
    an_amount_without_a_dollar_value_is_split_and_has_none,
    each_class_of_tokens_is_split_by_its_own,
    use_of_another_kind_has_no_part_in_a_bill,
    the_default_workspace_is_one_like_the_others,
    one_key_has_one_part_whatever_its_rows,
    tiers_that_the_bill_has_no_rows_for_share_only_where_its_own_has_no_tokens,
    web_searches_are_split_by_the_workspaces_searches_of_any_model_and_tier,
    what_no_usage_report_counts_stays_unattributed,
    what_a_row_leaves_out_is_shared_by_nobody_and_the_rest_is_split,
)


def test_what_anthropic_bills_is_shared_by_those_who_used_it(days: Days, subtests: pytest.Subtests) -> None:
    played(days, "anthropic_allocated_costs", OF_ANTHROPIC, subtests)


# OpenAI


LINE = {"project_id": "p", "line_item": "gpt-5, input", "amount_value": 100}
CALL = {"project_id": "p", "model": "gpt-5"}
EVERYTHING = "api_key_id,line_item,project_id,user_id"
NO_KEY = "line_item,project_id,user_id"
NO_USER = "api_key_id,line_item,project_id"
NEITHER = "line_item,project_id"


def of_openai(*rows: Mapping[str, Any], grouped_by: str = NEITHER) -> list[Row]:
    """What OpenAI bills for a model's input of a project, unless a row says otherwise."""
    return [raw(Costs, grouped_by=grouped_by, **{**LINE, **row}) for row in rows]


def by_openai(*rows: Mapping[str, Any], report: type[Row] = UsageCompletions) -> list[Row]:
    """A usage report."""
    return [raw(report, **{**CALL, **row}) for row in rows]


ALICE, BOB, SERVICE = (
    {"user_id": user, "api_key_id": key, "input_tokens": tokens}
    for user, key, tokens in (("alice", "k1", 10), ("bob", "k2", 20), (None, "k3", 70))
)


def a_row_that_names_key_and_user_is_the_providers_word() -> Case:
    bill = of_openai({"user_id": "u", "api_key_id": "k"}, {"amount_value": 7}, grouped_by=EVERYTHING)
    use = by_openai(ALICE, BOB)
    rows = yield [*bill, *use]
    assert shares(rows) == [(*NOBODY, Decimal(7)), ("k", "u", Decimal(100))]
    assert {(row["allocation"], row["basis"], row["units"]) for row in rows} == {("stated", None, None)}


def where_keys_and_users_were_refused_both_are_known_by_their_tokens() -> Case:
    bill = of_openai({})
    use = by_openai(ALICE, BOB, SERVICE)
    rows = yield [*bill, *use]
    assert shares(rows) == [("k1", "alice", Decimal(10)), ("k2", "bob", Decimal(20)), ("k3", None, Decimal(70))]
    assert {row["basis"] for row in rows} == {
        "input_tokens without input_cached_tokens of openai.usage_completions of the same day, model, project_id"
    }
    assert {(row["allocation"], row["all_units"]) for row in rows} == {("tokens", 100)}


def where_keys_were_refused_a_users_bill_is_split_over_their_keys() -> Case:
    bill = of_openai({"user_id": "alice"}, {"amount_value": 7}, grouped_by=NO_KEY)
    use = by_openai(ALICE, {**ALICE, "api_key_id": "k4", "input_tokens": 30}, BOB, SERVICE)
    rows = yield [*bill, *use]
    assert shares(rows) == [
        ("k1", "alice", Decimal(25)),
        ("k3", None, Decimal(7)),
        ("k4", "alice", Decimal(75)),
    ]
    assert {row["basis"].rpartition("day, ")[2] for row in rows} == {"model, project_id, user_id"}


def where_users_were_refused_a_keys_bill_is_split_over_its_users() -> Case:
    bill = of_openai({"api_key_id": "k1"}, grouped_by=NO_USER)
    use = by_openai(ALICE, {**BOB, "api_key_id": "k1"}, SERVICE)
    assert shares((yield [*bill, *use])) == [
        ("k1", "alice", Decimal("33." + 24 * "3")),
        ("k1", "bob", Decimal("66." + 24 * "6") + PLACE),
    ]


def a_key_or_user_that_the_provider_names_is_stated_also_where_nothing_more_is_known() -> Case:
    bill = of_openai({"user_id": "alice"}, {"user_id": None}, grouped_by=NO_KEY)
    use = by_openai()
    assert {(row["user_id"], row["allocation"]) for row in (yield [*bill, *use])} == {
        ("alice", "stated"),
        (None, "unattributed"),
    }


def calls_of_another_kind_have_no_part_in_a_bill() -> Case:
    others: list[dict[str, Any]] = [{"project_id": None}, {"model": "mini"}, {"input_tokens": 0, "output_tokens": 9}]
    bill = of_openai({})
    use = by_openai(ALICE, *({**BOB, **other} for other in others))
    assert shares((yield [*bill, *use])) == [("k1", "alice", Decimal(100))]


def cached_tokens_are_no_input_and_the_kinds_have_several_spellings() -> Case:
    of_alice = {"input": 20, "input_tokens": 20, "cached input": 80, "cached_input_tokens": 80, "Output": 50}
    bill = of_openai(*({"line_item": f"gpt-5, {kind}"} for kind in of_alice))
    use = by_openai(
        {**ALICE, "input_tokens": 100, "input_cached_tokens": 80, "output_tokens": 50},
        {**BOB, "input_tokens": 100, "input_cached_tokens": 20, "output_tokens": 50},
    )
    rows = [row for row in (yield [*bill, *use]) if row["user_id"] == "alice"]
    assert {row["usage_type"]: row["native_amount"] for row in rows} == of_alice
    assert {row["basis"].partition(" of ")[0] for row in rows} == {
        "input_tokens without input_cached_tokens",
        "input_cached_tokens",
        "output_tokens",
    }


def a_line_item_for_text_audio_or_images_alone_is_split_by_their_tokens() -> Case:
    columns = {
        f"{way}_{what}_tokens": f"{what} {way}" for way in ("input", "output") for what in ("text", "audio", "image")
    }
    bill = of_openai(*({"line_item": f"gpt-5, {kind}"} for kind in columns.values()))
    of_alice = {column: n for n, column in enumerate(columns, start=10)}
    use = by_openai({**ALICE, **of_alice}, {**BOB, **{column: 100 - n for column, n in of_alice.items()}})
    rows = [row for row in (yield [*bill, *use]) if row["user_id"] == "alice"]
    assert {row["usage_type"]: row["native_amount"] for row in rows} == {
        kind: of_alice[column] for column, kind in columns.items()
    }
    assert {row["basis"].partition(" ")[0]: row["usage_type"] for row in rows} == columns


def a_line_item_that_says_nothing_we_understand_stays_unattributed() -> Case:
    line_items = ("web search tool calls", "gpt-5, training", "gpt-5, input, batch", None)
    bill = of_openai(*({"line_item": line_item} for line_item in line_items))
    use = by_openai(ALICE)
    rows = yield [*bill, *use]
    assert {row["line_item"] for row in rows} == {*line_items}
    assert {(row["allocation"], row["native_amount"]) for row in rows} == {("unattributed", 100)}


def tokens_of_a_model_come_before_its_images() -> Case:
    bill = of_openai({}, {"line_item": "gpt-5, output"})
    use = by_openai({**ALICE, "output_tokens": 0}) + by_openai({"api_key_id": "k9"}, report=UsageImages)
    assert {row["usage_type"]: row["api_key_id"] for row in (yield [*bill, *use])} == {"input": "k1", "output": "k9"}


def decisions_have_no_part_in_what_completions_cost() -> Case:
    bill = of_openai({})
    use = by_openai(ALICE, report=UsageDecisions)
    assert [row["allocation"] for row in (yield [*bill, *use])] == ["unattributed"]


def a_report_that_leaves_out_a_counter_shares_no_bill() -> Case:
    bill = of_openai({})
    use = by_openai(ALICE, BOB | {"input_tokens": None})
    assert [part["allocation"] for part in (yield [*bill, *use])] == ["unattributed"]


OF_OPENAI: Sequence[Callable[[], Case]] = (
    a_row_that_names_key_and_user_is_the_providers_word,
    where_keys_and_users_were_refused_both_are_known_by_their_tokens,
    where_keys_were_refused_a_users_bill_is_split_over_their_keys,
    where_users_were_refused_a_keys_bill_is_split_over_its_users,
    a_key_or_user_that_the_provider_names_is_stated_also_where_nothing_more_is_known,
    calls_of_another_kind_have_no_part_in_a_bill,
    cached_tokens_are_no_input_and_the_kinds_have_several_spellings,
    a_line_item_for_text_audio_or_images_alone_is_split_by_their_tokens,
    a_line_item_that_says_nothing_we_understand_stays_unattributed,
    tokens_of_a_model_come_before_its_images,
    decisions_have_no_part_in_what_completions_cost,
    a_report_that_leaves_out_a_counter_shares_no_bill,
)


def test_what_openai_bills_is_shared_by_those_who_used_it(days: Days, subtests: pytest.Subtests) -> None:
    played(days, "openai_allocated_costs", OF_OPENAI, subtests)


def test_models_of_other_reports_are_split_by_what_these_count(days: Days) -> None:
    """Each day has another report."""
    reports: Sequence[tuple[type[Row], str, str]] = [
        (UsageEmbeddings, "input_tokens", "tokens"),
        (UsageModerations, "input_tokens", "tokens"),
        (UsageImages, "images", "images"),
        (UsageAudioSpeeches, "characters", "characters"),
        (UsageAudioTranscriptions, "seconds", "seconds"),
    ]
    stored = days_from(len(reports))
    days.spent(Costs, *of_openai(*({"usage_date": day} for day in stored)), last=stored[-1])
    for day, (report, measure, _) in zip(stored, reports, strict=True):
        used = [
            raw(report, **{**CALL, "usage_date": day, "api_key_id": key, measure: n})
            for key, n in (("k1", 30), ("k2", 10))
        ]
        days.fetched(report, *used, first=day)
    rows = days.rows("openai_allocated_costs", last=stored[-1])
    for day, (report, measure, unit) in zip(stored, reports, strict=True):
        of_day = [row for row in rows if row["usage_date"] == day]
        assert shares(of_day) == [("k1", None, Decimal(75)), ("k2", None, Decimal(25))], report
        assert {row["allocation"] for row in of_day} == {unit}, report
        named = f" of {report.table} of "
        assert all(row["basis"].startswith(measure) and named in row["basis"] for row in of_day), report


def test_those_that_a_filter_leaves_do_not_pay_for_those_that_it_does_not(days: Days) -> None:
    """Each day was asked for with other filters."""
    cases = [
        (None, "tokens"),
        ('{"project_ids":["p"],"models":["gpt-5"]}', "tokens"),
        ('{"user_ids":["alice"]}', "unattributed"),
        ('{"project_ids":["p"],"batch":["false"]}', "unattributed"),
    ]
    stored = days_from(len(cases))
    days.spent(Costs, *of_openai(*({"usage_date": day} for day in stored)), last=stored[-1])
    for day, (filters, _) in zip(stored, cases, strict=True):
        rows = to_arrow(UsageCompletions, [raw(UsageCompletions, **{**CALL, **ALICE, "usage_date": day})])
        answer = Batch(rows=rows, began=datetime.now(UTC), filters=filters)
        days.warehouse.replace(Table(UsageCompletions), answer, Slice("openai", day, day), "run")
    found = [row["allocation"] for row in days.rows("openai_allocated_costs", last=stored[-1])]
    assert [*zip([filters for filters, _ in cases], found, strict=True)] == cases


# The rule


def largest_remainder(places: int, units: Sequence[int]) -> list[int]:
    """Split a number of last places exactly, by the definition."""
    exact = [Fraction(abs(places) * each, sum(units)) for each in units]
    parts = [int(share) for share in exact]
    by_loss = sorted(range(len(units)), key=lambda n: (parts[n] - exact[n], n))
    for n in by_loss[: abs(places) - sum(parts)]:
        parts[n] += 1
    return [part if places > 0 else -part for part in parts]


LARGEST = 10**38 - 1
amounts = st.one_of(st.integers(-LARGEST, LARGEST), st.integers(-100, 100), st.integers(12, 37).map(lambda n: 10**n))
tokens = st.one_of(st.integers(1, 10**13), st.integers(1, 9), st.just(2**60))
bills = st.lists(st.tuples(amounts, st.lists(tokens, min_size=1, max_size=6)), min_size=1, max_size=30)


@pytest.fixture(scope="module")
def macros() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that knows nothing but our macros."""
    with duckdb.connect() as database:
        for macro in MACROS:
            database.execute(macro)
        yield database


@settings(max_examples=60)
@given(bills=bills)
def test_every_amount_is_split_by_the_largest_remainder_to_the_last_place(
    macros: duckdb.DuckDBPyConnection, bills: list[tuple[int, list[int]]]
) -> None:
    columns = zip(
        *(
            (bill, money.stored(Decimal(places).scaleb(-24, money._SUMS)), n, each, sum(units))
            for bill, (places, units) in enumerate(bills)
            for n, each in enumerate(units)
        ),
        strict=True,
    )
    types = (pa.int64(), pa.decimal128(38, 24), pa.int64(), pa.int64(), pa.int64())
    arrays = [pa.array(column, type=of) for column, of in zip(columns, types, strict=True)]
    uses = pa.table(arrays, names=["bill", "amount", "key", "units", "all_units"])
    rows = macros.execute(
        "select bill, part_of(share, 'c', 1, bill, [key]) as part "
        "from (select *, share_of(amount, units, all_units) as share from uses) order by bill, key"
    ).fetchall()
    assert uses.num_rows == len(rows)
    expected = [part for places, units in bills for part in largest_remainder(places, units)]
    assert [int(part.scaleb(24, money._SUMS)) for _, part in rows] == expected
    ends = list(accumulate((len(units) for _, units in bills), initial=0))
    assert [sum(expected[a:b]) for a, b in pairwise(ends)] == [places for places, _ in bills]


# GitHub


def test_github_bills_ai_credits_to_people_by_the_credits_that_they_used(days: Days) -> None:
    """Each day has a bill of one dollar: net, to the last place."""
    third = Decimal(1) / 3
    cases: Mapping[str, tuple[dict[str, str | None], dict[str | None, Decimal]]] = {
        "thirds": ({"a": "1", "b": "1", "c": "1"}, {"a": third + PLACE, "b": third, "c": third}),
        "billionths": ({"a": "0.000000001", "b": "0.000000003"}, {"a": Decimal("0.25"), "b": Decimal("0.75")}),
        "nothing used": ({"a": "12.5", "b": "0"}, {"a": Decimal(1)}),
        "not stated of one person": ({"a": "12.5", "b": None}, {None: Decimal(1)}),
        "nobody used any": ({"a": "0"}, {None: Decimal(1)}),
        "an empty report": ({}, {None: Decimal(1)}),
    }
    stored = dict(zip(cases, days_from(len(cases)), strict=True))
    last = max(stored.values())
    bill = [raw(AiCredits, usage_date=day, net_amount=1, gross_amount=4) for day in stored.values()]
    days.spent(AiCredits, *bill, last=last)
    people = [
        raw(
            Users1Day,
            usage_date=stored[case],
            user_login=login,
            ai_credits_used=used,
        )
        for case, (credits_used, _) in cases.items()
        for login, used in credits_used.items()
    ]
    days.fetched(Users1Day, *people, last=last)
    rows = days.rows("github_copilot_allocated_costs", last=last)
    for case, (_, parts) in cases.items():
        found = {row["user_id"]: row["native_amount"] for row in rows if row["usage_date"] == stored[case]}
        assert found == {user: part.quantize(PLACE, ROUND_DOWN) for user, part in parts.items()}, case
        assert sum(found.values()) == 1, case
    assert len(rows) == sum(len(parts) for _, parts in cases.values())
