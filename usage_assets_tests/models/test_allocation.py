"""What is billed, by API key and person: who shares in it, by what, and that the parts add up to the last digit."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usage_assets.core import money
from usage_assets.core.schema import Row
from usage_assets.models.model import MACROS
from usage_assets.providers.anthropic.reports import CostReport, UsageMessages
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
from usage_assets_tests.models.days import TOKENS, USE, Days, beside, days_from, raw, raws


def anthropic_bill(days: Days, *rows: Mapping[str, Any], **options: Any) -> None:
    """Store a bill."""
    days.spent(CostReport, *(raw(CostReport, **{**TOKENS, **row}) for row in rows), **options)


def anthropic_use(days: Days, *rows: Mapping[str, Any]) -> None:
    """Store the messages of a day."""
    days.fetched(UsageMessages, *(raw(UsageMessages, **{**USE, **row}) for row in rows))


class Case(NamedTuple):
    """What is billed and used on a day, and the parts of the bill."""

    bill: str
    use: str
    parts: str
    report: type[Row] | None = None
    """Another report than the usual one."""


Rows = tuple[type[Row], Mapping[str, Any]]
"""A report, and what its rows say unless they say otherwise."""


def played(days: Days, cases: Mapping[str, Case], bill: Rows, use: Rows, subtests: pytest.Subtests) -> None:
    """Play each case on a day of its own, and compute all days at once."""
    every = dict(zip(days_from(len(cases)), cases, strict=True))
    by_type: dict[type[Row], list[Row]] = {}
    for day, name in every.items():
        case = cases[name]
        for row, text, same in ((bill[0], case.bill, bill[1]), (case.report or use[0], case.use, use[1])):
            by_type.setdefault(row, []).extend(raws(row, text, **{**same, "usage_date": day}))
    last = max(every)
    for row, rows in by_type.items():
        days.fetched(row, *rows, last=last)
    days.derive(bill[0].table.replace(".", "_"), last=last)
    found = days.rows(f"{bill[0].table.partition('.')[0]}_allocated_costs", last=last)
    for day, name in every.items():
        with subtests.test(name):
            parts, expected = beside([row for row in found if row["usage_date"] == day], cases[name].parts)
            assert parts == expected


# Any source


# Anthropic

OF_MESSAGES = "of anthropic.usage_messages of the same day, workspace_id"
OF_MODEL = f"{OF_MESSAGES}, model, service_tier"
OF_TIERS = f"output_tokens {OF_MESSAGES}, model and of tiers that anthropic.cost_report has no rows for"
OF_CLASSES = "\n".join(
    (
        "token_type  api_key_id  native_amount  basis",
        *(
            f"{kind}  {key}  {amount}  {measure} {OF_MODEL}"
            for n, (kind, measure) in enumerate(
                (
                    ("uncached_input_tokens", "uncached_input_tokens"),
                    ("output_tokens", "output_tokens"),
                    ("cache_read_input_tokens", "cache_read_input_tokens"),
                    ("cache_creation.ephemeral_5m_input_tokens", "cache_creation_5m_input_tokens"),
                    ("cache_creation.ephemeral_1h_input_tokens", "cache_creation_1h_input_tokens"),
                ),
                start=10,
            )
            for key, amount in (("k1", n), ("k2", 100 - n))
        ),
    )
)
OF_ANTHROPIC = {
    "a part says how it can be computed again": Case(
        "amount_cents  context_window  inference_geo\n123.78912  0-200k  us",
        "api_key_id  account_id  output_tokens\nk1  -  30\n-  u1  10",
        f"""
        api_key_id  user_id  native_amount  amount_usd  billed_amount  units  all_units  allocation  basis
        k1          -        92.84184       0.9284184   123.78912      30     40         tokens      output_tokens {OF_MODEL}
        -           u1       30.94728       0.3094728   123.78912      10     40         tokens      output_tokens {OF_MODEL}
        """,  # noqa: E501
    ),
    "dollars are split on their own and add up, too": Case(
        "amount_cents\n0.0000000000000000000001",
        "api_key_id\nk0\nk1\nk2",
        """
        api_key_id  native_amount               amount_usd
        k0          0.000000000000000000000034  0.000000000000000000000001
        k1          0.000000000000000000000033  0
        k2          0.000000000000000000000033  0
        """,
    ),
    "an amount without a dollar value is split and has none": Case(
        "currency  amount_cents\nJPY  3",
        "api_key_id\nk1\nk2",
        """
        api_key_id  native_amount  amount_usd  usd_reason
        k1          1.5            -           no exchange rate is configured for JPY
        k2          1.5            -           no exchange rate is configured for JPY
        """,
    ),
    "each class of tokens is split by its own": Case(
        """
        token_type
        uncached_input_tokens
        output_tokens
        cache_read_input_tokens
        cache_creation.ephemeral_5m_input_tokens
        cache_creation.ephemeral_1h_input_tokens
        """,
        "api_key_id  uncached_input_tokens  output_tokens  cache_read_input_tokens  cache_creation_5m_input_tokens  "
        "cache_creation_1h_input_tokens\nk1  10  11  12  13  14\nk2  90  89  88  87  86",
        OF_CLASSES,
    ),
    "use of another kind has no part in a bill": Case(
        "cost_type\ntokens",
        """
        api_key_id  workspace_id  model  service_tier  output_tokens
        k1          .             .      .             2
        k2          -             .      .             2
        k3          .             haiku  .             2
        k4          .             -      .             2
        k5          .             .      batch         2
        k6          .             .      flex          2
        k7          .             .      priority      2
        k8          .             .      .             0
        """,
        "api_key_id  user_id  native_amount\nk1  -  100",
    ),
    "tiers that the bill has no rows for share only where its own has no tokens": Case(
        "amount_cents\n99",
        """
        api_key_id     service_tier
        flex           flex
        flex_discount  flex_discount
        batch          batch
        priority       priority
        none           -
        """,
        f"""
        api_key_id     native_amount  basis
        flex           33             {OF_TIERS}
        flex_discount  33             {OF_TIERS}
        none           33             {OF_TIERS}
        """,
    ),
    "web searches are split by the workspace's searches of any model and tier": Case(
        "cost_type  model  token_type  service_tier\nweb_search  -  -  -",
        """
        api_key_id  web_search_requests  model  service_tier  workspace_id
        k1          1                    .      .             .
        k1          1                    haiku  priority      .
        k2          3                    .      .             .
        k3          9                    .      .             -
        """,
        f"""
        api_key_id  native_amount  allocation  basis
        k1          40             requests    web_search_requests {OF_MESSAGES}
        k2          60             requests    web_search_requests {OF_MESSAGES}
        """,
    ),
    "what no usage report counts stays unattributed": Case(
        """
        cost_type       model  token_type  service_tier
        code_execution  -      -           -
        session_usage   -      -           -
        -               -      -           -
        """,
        "api_key_id  model\nk1  .\nk2  -",
        """
        cost_type       allocation    native_amount  amount_usd  api_key_id  user_id  basis  units  all_units
        code_execution  unattributed  100            1           -           -        -      -      -
        session_usage   unattributed  100            1           -           -        -      -      -
        -               unattributed  100            1           -           -        -      -      -
        """,
    ),
    "what a row leaves out is shared by nobody, and the rest is split": Case(
        "amount_cents  token_type  description\n30  .  .\n7  cache_creation.ephemeral_5m_input_tokens  cache",
        "api_key_id  output_tokens  cache_creation_5m_input_tokens\nk1  10  -\nk2  20  .",
        "api_key_id  native_amount\n-  7\nk1  10\nk2  20",
    ),
}
"""The last one: those who are known to have used some would pay for the one of whom nobody knows."""


def test_what_anthropic_bills_is_shared_by_those_who_used_it(days: Days, subtests: pytest.Subtests) -> None:
    played(days, OF_ANTHROPIC, (CostReport, TOKENS), (UsageMessages, USE), subtests)


# OpenAI


LINE = {"project_id": "p", "line_item": "gpt-5, input", "amount_value": 100, "grouped_by": "line_item,project_id"}
"""What OpenAI bills for a model's input of a project, unless a row says otherwise."""
CALL = {"project_id": "p", "model": "gpt-5"}
ONE = "amount_value\n100"
OF_CALL = "of openai.usage_completions of the same day, model, project_id"
INPUT = f"input_tokens without input_cached_tokens {OF_CALL}"
WRITTEN = f"input_tokens without input_cached_tokens and input_cache_write_tokens {OF_CALL}"
EVERYBODY = """
    user_id  api_key_id  input_tokens
    alice    k1          10
    bob      k2          20
    -        k3          70"""
KINDS = {f"{way}_{what}_tokens": f"{what} {way}" for way in ("input", "output") for what in ("text", "audio", "image")}
"""Columns of the report -> what line items call them."""
OF_KINDS = "\n".join(
    (
        "user_id  usage_type  native_amount  basis",
        *(
            f"{who}  {kind}  {amount}  {column} {OF_CALL}"
            for n, (column, kind) in enumerate(KINDS.items(), start=10)
            for who, amount in (("alice", n), ("bob", 100 - n))
        ),
    )
)
OF_OPENAI = {
    "a row that names key and user is the provider's word": Case(
        """
        user_id  api_key_id  amount_value  grouped_by
        u        k           100           api_key_id,line_item,project_id,user_id
        -        -           7             api_key_id,line_item,project_id,user_id
        """,
        EVERYBODY,
        """
        api_key_id  user_id  native_amount  allocation  basis  units
        -           -        7              stated      -      -
        k           u        100            stated      -      -
        """,
    ),
    "where keys and users were refused, both are known by their tokens": Case(
        ONE,
        EVERYBODY,
        f"""
        api_key_id  user_id  native_amount  allocation  all_units  basis
        k1          alice    10             tokens      100        {INPUT}
        k2          bob      20             tokens      100        {INPUT}
        k3          -        70             tokens      100        {INPUT}
        """,
    ),
    "where keys were refused, a user's bill is split over their keys": Case(
        """
        user_id  amount_value  grouped_by
        alice    100           line_item,project_id,user_id
        -        7             line_item,project_id,user_id
        """,
        f"{EVERYBODY}\nalice  k4  30",
        f"""
        api_key_id  user_id  native_amount  basis
        k1          alice    25             {INPUT}, user_id
        k3          -        7              {INPUT}, user_id
        k4          alice    75             {INPUT}, user_id
        """,
    ),
    "where users were refused, a key's bill is split over its users": Case(
        "api_key_id  grouped_by\nk1  api_key_id,line_item,project_id",
        "user_id  api_key_id  input_tokens\nalice  k1  10\nbob  k1  20\n-  k3  70",
        """
        api_key_id  user_id  native_amount
        k1          alice    33.333333333333333333333333
        k1          bob      66.666666666666666666666667
        """,
    ),
    "a key or user that the provider names is stated, also where nothing more is known": Case(
        "user_id  grouped_by\nalice  line_item,project_id,user_id\n-  line_item,project_id,user_id",
        "user_id",
        "user_id  allocation\nalice  stated\n-  unattributed",
    ),
    "calls of another kind have no part in a bill": Case(
        ONE,
        """
        user_id  api_key_id  project_id  model  input_tokens  output_tokens
        alice    k1          .           .      10            .
        bob      k2          -           .      20            .
        bob      k2          .           mini   20            .
        bob      k2          .           .      0             9
        """,
        "api_key_id  user_id  native_amount\nk1  alice  100",
    ),
    "cached tokens are no input, and the kinds have several spellings": Case(
        """
        line_item
        gpt-5, input
        gpt-5, input_tokens
        gpt-5, cached input
        gpt-5, cached_input_tokens
        gpt-5, Output
        """,
        """
        user_id  input_tokens  input_cached_tokens  output_tokens
        alice    100           80                   50
        bob      100           20                   50
        """,
        f"""
        user_id  usage_type           native_amount  basis
        alice    input                20             {INPUT}
        alice    input_tokens         20             {INPUT}
        alice    cached input         80             input_cached_tokens {OF_CALL}
        alice    cached_input_tokens  80             input_cached_tokens {OF_CALL}
        alice    Output               50             output_tokens {OF_CALL}
        bob      input                80             {INPUT}
        bob      input_tokens         80             {INPUT}
        bob      cached input         20             input_cached_tokens {OF_CALL}
        bob      cached_input_tokens  20             input_cached_tokens {OF_CALL}
        bob      Output               50             output_tokens {OF_CALL}
        """,
    ),
    "where cache writes are billed apart, written tokens go with them; a tier has its own, a long context shares": Case(
        """
        line_item                    amount_value
        gpt-5, input                 2
        gpt-5, input, long context   4
        gpt-5, cache writes          8
        priority | gpt-5, output     9
        gpt-5, output                4
        gpt-5, output, long context  12
        """,
        """
        user_id  service_tier  input_tokens  input_cached_tokens  input_cache_write_tokens  output_tokens
        alice    default       1100          200                  800                       30
        bob      -             100           -                    -                         10
        bob      priority      0             -                    -                         5
        """,
        f"""
        user_id  usage_type            native_amount  basis
        alice    cache writes          8              input_cache_write_tokens {OF_CALL}
        alice    input                 1              {WRITTEN}
        alice    input, long context   2              {WRITTEN}
        alice    output                3              output_tokens {OF_CALL}
        alice    output, long context  9              output_tokens {OF_CALL}
        bob      input                 1              {WRITTEN}
        bob      input, long context   2              {WRITTEN}
        bob      output                1              output_tokens {OF_CALL}
        bob      output                9              output_tokens {OF_CALL}
        bob      output, long context  3              output_tokens {OF_CALL}
        """,
    ),
    "costs may name the snapshot of a model where usage does not, or the other way around": Case(
        """
        line_item
        gpt-image-2-2026-04-21, input
        gpt-image-1, input
        """,
        """
        user_id  model
        alice    gpt-image-2
        bob      gpt-image-1-2025-04-23
        """,
        """
        model                   user_id  native_amount
        gpt-image-2-2026-04-21  alice    100
        gpt-image-1             bob      100
        """,
    ),
    "use of another snapshot, or of one that is billed or used itself, has no part": Case(
        """
        line_item
        a-2026-04-21, input
        b, input
        b-2026-04-21, input
        c-2026-04-21, input
        """,
        """
        user_id  model
        alice    a-2026-05-05
        alice    b
        alice    c
        bob      c-2026-04-21
        """,
        """
        model         user_id  allocation
        a-2026-04-21  -        unattributed
        b             alice    tokens
        b-2026-04-21  -        unattributed
        c-2026-04-21  bob      tokens
        """,
    ),
    "whisper is what costs call whisper-1": Case(
        "line_item\nwhisper",
        "user_id  model      seconds\nalice    whisper-1  30\nbob      whisper-1  10",
        """
        user_id  model      native_amount  allocation
        alice    whisper-1  75             seconds
        bob      whisper-1  25             seconds
        """,
        UsageAudioTranscriptions,
    ),
    "a line item for text, audio or images alone is split by their tokens": Case(
        "\n".join(("line_item", *(f"gpt-5, {kind}" for kind in KINDS.values()))),
        f"user_id  {'  '.join(KINDS)}\nalice  10  11  12  13  14  15\nbob  90  89  88  87  86  85",
        OF_KINDS,
    ),
    "a line item that says nothing we understand stays unattributed": Case(
        "line_item\nweb search tool calls\ngpt-5, training\ngpt-5, input, batch\n-",
        EVERYBODY,
        """
        line_item              allocation    native_amount
        web search tool calls  unattributed  100
        gpt-5, training        unattributed  100
        gpt-5, input, batch    unattributed  100
        -                      unattributed  100
        """,
    ),
    "decisions have no part in what completions cost": Case(ONE, EVERYBODY, "allocation\nunattributed", UsageDecisions),
    "a report that leaves out a counter shares no bill": Case(
        ONE, "user_id  input_tokens\nalice  10\nbob  -", "allocation\nunattributed"
    ),
    **{
        f"models of {report.table} are split by what it counts": Case(
            ONE,
            f"api_key_id  {measure}\nk1  30\nk2  10",
            f"""
            api_key_id  native_amount  allocation  basis
            k1          75             {unit}      {measure}{rest} of {report.table} of the same day, model, project_id
            k2          25             {unit}      {measure}{rest} of {report.table} of the same day, model, project_id
            """,
            report,
        )
        for report, measure, unit, rest in (
            (UsageEmbeddings, "input_tokens", "tokens", " without input_cached_tokens"),
            (UsageModerations, "input_tokens", "tokens", " without input_cached_tokens"),
            (UsageImages, "images", "images", ""),
            (UsageAudioSpeeches, "characters", "characters", ""),
            (UsageAudioTranscriptions, "seconds", "seconds", ""),
        )
    },
}


def test_what_openai_bills_is_shared_by_those_who_used_it(days: Days, subtests: pytest.Subtests) -> None:
    played(days, OF_OPENAI, (Costs, LINE), (UsageCompletions, CALL), subtests)


FILTERS = (
    (None, "tokens"),
    ('{"project_ids":["p"],"models":["gpt-5"]}', "tokens"),
    ('{"user_ids":["alice"]}', "unattributed"),
    ('{"project_ids":["p"],"batch":["false"]}', "unattributed"),
)


def test_those_that_a_filter_leaves_do_not_pay_for_those_that_it_does_not(days: Days) -> None:
    """Each day was asked for with other filters."""
    stored = days_from(len(FILTERS))
    days.spent(Costs, *(raw(Costs, usage_date=day, **LINE) for day in stored), last=stored[-1])
    for day, (filters, _) in zip(stored, FILTERS, strict=True):
        row = raw(UsageCompletions, usage_date=day, user_id="alice", **CALL)
        days.fetched(UsageCompletions, row, first=day, filters=filters)
    found = [row["allocation"] for row in days.rows("openai_allocated_costs", last=stored[-1])]
    assert found == [allocation for _, allocation in FILTERS]


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
