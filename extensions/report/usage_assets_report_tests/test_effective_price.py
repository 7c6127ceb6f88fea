"""Dollars per million tokens of a model: both are of the same days, and what is in no price is named."""

from datetime import timedelta

from usage_assets.providers.anthropic.reports import CostReport, UsageMessages
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import UsageCompletions, UsageEmbeddings, UsageImages, UsageVectorStores
from usage_assets_report.period import Period
from usage_assets_report_tests.one_figure import rows_of_figure
from usage_assets_tests.models.days import DAY, Days, lines, raw, raws, seen
from usage_assets_vendors.cursor.usage import UsageEvents
from usage_assets_vendors.openrouter.activity import Activity

CACHE_WRITES = ("cache_creation_5m_input_tokens", "cache_creation_1h_input_tokens")
THIRD = DAY + timedelta(days=2)
BILLS = """
    usage_date  line_item       amount_value  amount_currency
    0           lacks-a, input  10            usd
    1           lacks-a, input  90            usd
    0           lacks-b, input  10            usd
    1           lacks-b, input  90            usd
    0           lacks-c, input  10            usd
    1           lacks-c, input  90            usd
    0           one, input      1             usd
    1           one, input      -7            usd
    0           euros, input    1             usd
    1           euros, input    1             usd
    1           euros, output   5             eur
    0           vector, input   1             usd
    0           picture, input  6             usd
    0           cached, input   1             usd
"""
USE = """
    usage_date  model    input_tokens  output_tokens  input_cached_tokens  user_id
    0           lacks-a  3000000       1000000        .                    a
    1           lacks-a  1000000       1000000        .                    b
    1           lacks-a  -             1000000        .                    c
    0           lacks-b  3000000       1000000        .                    a
    1           lacks-b  1000000       1000000        .                    b
    1           lacks-b  1000000       -              .                    c
    0           lacks-c  3000000       1000000        .                    a
    1           lacks-c  1000000       1000000        .                    b
    1           lacks-c  -             -              .                    c
    0           one      2000000       1000000        .                    a
    2           one      1000000       1000000        .                    a
    0           euros    1000000       1000000        .                    a
    1           euros    1000000       1000000        .                    a
    0           cached   100           0              40                   a
    0           cached   100           0              -                    b
    0           cached   -             0              500                  c
"""
EVENTS = """
    model    charge    charged_cents  input_tokens
    covered  billed    300            1000000
    covered  included  50             5000000
"""
ROUTED = """
    model  usage_date  usage  byok_usage_inference  prompt_tokens  completion_tokens  endpoint_id
    keys   0           0.5    -                     1000000        1000000            a
    keys   1           0.25   -                     1000000        1000000            a
    keys   1           3      1                     .              .                  b
    mixed  0           2      1                     .              .                  a
"""
MESSAGES = """
    model  service_tier  uncached_input_tokens
    ahead  standard      1000000
    ahead  priority      5000000
"""
PRICES = """
    lacks-a  100   90    4000000  2.5
    lacks-b  100   90    4000000  2.5
    lacks-c  100   90    4000000  2.5
    one      -6    -7    3000000  0.3333
    euros    2     1     2000000  0.5
    vector   1     0     2000000  0.5
    picture  6     6     -        -
    covered  3     0     1000000  3
    keys     3.75  3.25  2000000  0.25
    mixed    2     2     -        -
    ahead    4     0     1000000  4
"""
"""Model, what is divided, what is left out, the tokens of the price, and the quotient: days of unknown tokens or with
only one of both are in no price, nor are bills without dollars, what a plan or Priority Tier covers, and own keys among
credits. Images have no tokens."""


def test_what_is_divided_is_of_the_same_days_and_what_is_in_no_price_is_named(days: Days) -> None:
    days.spent(Costs, *raws(Costs, BILLS), last=THIRD)
    days.fetched(UsageCompletions, *raws(UsageCompletions, USE), last=THIRD)
    days.fetched(UsageEmbeddings, *raws(UsageEmbeddings, "model  input_tokens\nvector  2000000"), last=THIRD)
    days.fetched(UsageImages, *raws(UsageImages, "model  images\npicture  3"), last=THIRD)
    days.fetched(UsageVectorStores, *raws(UsageVectorStores, "usage_bytes\n9"), last=THIRD)
    tokens = {"cache_read_tokens": 0, "cache_write_tokens": 0, "output_tokens": 0}
    days.spent(UsageEvents, *raws(UsageEvents, EVENTS, **tokens), last=THIRD)
    counters = dict.fromkeys(("cache_read_input_tokens", *CACHE_WRITES, "output_tokens"), 0)
    days.fetched(UsageMessages, *raws(UsageMessages, MESSAGES, **counters), last=THIRD)
    days.spent(CostReport, raw(CostReport, model="ahead", amount_cents=400), last=THIRD)
    days.spent(Activity, *raws(Activity, ROUTED, cached_tokens=0), last=THIRD)
    rows = {row["model"]: row for row in rows_of_figure(days.warehouse, "tokens", Period.of_days(DAY, THIRD))}
    cached = rows.pop("cached")
    names = "model usd usd_left_out priced_tokens usd_per_million_tokens"
    assert sorted(seen(rows.values(), names)) == sorted(lines(PRICES))
    assert rows["covered"]["input_tokens"] == 6_000_000
    assert cached["cached_share"] == 0.4, "of the input that says what was cached"
