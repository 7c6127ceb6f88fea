"""``costs.focus``: what is a row of FOCUS, in which currency and quantity, and what becomes of a restated invoice."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest
import time_machine
from iso4217 import Currency

from usage_assets.config.accounting import ExchangeRate, Invoice, Owner
from usage_assets.core.schema import Row, to_arrow
from usage_assets.models.model import sql_files
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport, UsageMessages
from usage_assets.providers.anthropic_analytics.reports import AnalyticsCost
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch
from usage_assets_finance.export.columns import COLUMNS
from usage_assets_finance.focus.charges import Charges
from usage_assets_tests.fixtures import NewWarehouse
from usage_assets_tests.models.days import DAY, Days, beside, days_from, lines, paid, raw, raws, seen
from usage_assets_tests.models.filled import PACK
from usage_assets_tests.models.stated import FOUR_CENTS, stating
from usage_assets_vendors.github_copilot.billing import AiCredits, BillingUsage
from usage_assets_vendors.github_copilot.metrics import Users1Day

RAW: list[Row] = []
"""What is fetched, once: tests have connections or days of their own in one warehouse, whose view is read once."""
FREE = iter(days_from(60)[20:])
COMPUTED = (
    *("openai_costs", "anthropic_cost_report", "anthropic_claude_code", "chatgpt_codex_usage", "focus_charges"),
    *("github_copilot_ai_credits", "github_copilot_billing_usage"),
)
"""The costs that are computed of each connection that has their source."""


def stored(row: type[Row], text: str = "", **same: Any) -> None:
    """Let the warehouse have these rows."""
    RAW.extend(raws(row, text, **same) if text else [raw(row, **same)])


def free_days(number: int) -> Sequence[date]:
    """Days that no other test has."""
    return [next(FREE) for _ in range(number)]


@dataclass(frozen=True)
class View:
    """The rows of the view, and what is not in it."""

    days: Days
    rows: Sequence[Mapping[str, Any]]
    left_out: Sequence[tuple[Any, ...]]

    def only(self, **values: object) -> list[Mapping[str, Any]]:
        """The rows that have these values."""
        return [row for row in self.rows if all(row[column] == value for column, value in values.items())]

    def charges(self, columns: str, **only: object) -> list[tuple[Any, ...]]:
        """Columns of these rows."""
        return [tuple(row[column] for column in columns.split()) for row in self.only(**only)]

    def billed(self, connection: str, by: str = "x_InvoiceId") -> list[tuple[str, ...]]:
        """What is billed per value of these columns: per invoice, unless they are named."""
        sums: defaultdict[Any, Decimal] = defaultdict(Decimal)
        for amount, *key in self.charges(f"BilledCost {by}", x_Connection=connection):
            sums[tuple(key)] += amount
        return sorted(seen((*key, amount) for key, amount in sums.items()))

    def corrections(self, connection: str) -> list[tuple[str, ...]]:
        columns = "ChargeClass BillingCurrency BilledCost x_InvoiceId ChargeDescription"
        return sorted(row for row in seen(self.only(x_Connection=connection), columns) if "orrection of " in row[-1])


@pytest.fixture(scope="module")
def view(warehouse_with_views: NewWarehouse) -> Iterator[View]:
    warehouse = warehouse_with_views()
    with warehouse.get_connection():
        days = stating(
            Days(warehouse),
            exchange_rates=[ExchangeRate(currency="EUR", usd=Decimal("1.0842"), valid_from=DAY, source="ECB")],
            credit_rates=[FOUR_CENTS],
            purchases=PURCHASES,
            owners=OWNERS,
            invoices=[*invoices()],
        )
        # Store RAW, and the costs that are computed from it.
        tables: defaultdict[tuple[type[Row], str], list[Row]] = defaultdict(list)
        for row in RAW:
            tables[type(row), row.connection].append(row)
        last = max(row.usage_date for row in RAW)
        for (table, connection), rows in tables.items():
            days.fetched(table, *rows, connection=connection, last=last)
        for table, connection in tables:
            if (file := table.table.replace(".", "_")) in COMPUTED:
                days.derive(file, connection, last=last)
        for file in ("anthropic_allocated_costs", "github_copilot_allocated_costs"):
            days.derive(file, last=last)
        # Fetch, and compute costs, at the moments of each connection.
        for name, steps in STEPS.items():
            for step in steps:
                if step.rows is None:
                    with time_machine.travel(step.moment, tick=False):
                        days.derive("openai_costs", name, first=OCTOBER)
                else:
                    fetched_at(days, step.moment, *step.rows, connection=name, filters=step.filters, alone=step.alone)
        for moment, amount in ((on(30, 10), "100"), (on(9), "250.5")):
            report = raw(CostReport, usage_date=OCTOBER, amount_cents=amount)
            fetched_at(days, moment, report, row=CostReport, connection="cents")
        yield View(days, days.read("from costs.focus"), days.tuples("from costs.focus_left_out order by all"))


[BILLED] = free_days(1)
CURRENCIES = {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}
BILL = """
    amount_value                line_item      amount_currency
    0.000000000000000000000001  gpt-5, input   usd
    -7.25                       gpt-5, output  usd
    3                           -              eur
"""
stored(Costs, BILL, usage_date=BILLED)
stored(CostReport, usage_date=BILLED, amount_cents="123.45")
for code in CURRENCIES:
    stored(CostReport, connection="many", currency=code, amount_cents=10000)


def test_what_is_billed_is_billed_in_its_own_currency(view: View) -> None:
    found, expected = beside(
        view.only(x_FirstDay=BILLED),
        """
        x_Connection  BillingCurrency  BilledCost  EffectiveCost  PricingCurrency  x_NativeAmount  x_NativeUnit
        anthropic     USD              1.2345      1.2345         USD              123.45          cents
        openai        EUR              3           3              EUR              3               major units
        openai        USD              -7.25       -7.25          USD              -7.25           dollars
        openai        USD              TINY        TINY           USD              TINY            dollars
        """.replace("TINY", "0.000000000000000000000001"),
    )
    assert found == expected
    assert dict(view.charges("BillingCurrency BilledCost", x_Connection="many")) == {
        code: Decimal(10000).scaleb(-digits) for code, digits in CURRENCIES.items()
    }


def test_the_view_has_the_columns_that_are_declared_in_their_order(view: View) -> None:
    """The rest is to filter by."""
    assert [name for name in view.rows[0] if name != "x_FirstDay"] == [column.name for column in COLUMNS]


RAW.extend(paid(ClaudeCode, connection="covered", customer_type=kind) for kind in ("api", "subscription"))
stored(CodexUsage, connection="covered", estimated_cost_usd=2)


def test_estimates_and_what_a_seat_covers_are_no_charges(view: View) -> None:
    sources = "select distinct source_table from costs.daily_costs where connection = 'covered' order by all"
    assert view.days.tuples(sources) == [("anthropic.claude_code",), ("chatgpt.codex_usage",)]
    assert view.only(x_Connection="covered") == []


QUANTITIES = "x_QuantitySource ConsumedQuantity ConsumedUnit PricingQuantity PricingUnit"
PURCHASES = [
    PACK,
    PACK.model_copy(update={"kind": "seats", "id": "order 10", "currency": "EUR", "valid_until": None}),
    PACK.model_copy(update={"connection": "nobody", "amount": Decimal(8)}),
]
[NO_CURRENCY] = free_days(1)
stored(CodexUsage, "credits  cost_usd  workspace_id\n12.5000000000000000001  3  ws\n5  -  ws5\n6  -  ws6")
stored(Costs, usage_date=NO_CURRENCY, amount_currency=None, amount_value=9)
PRICED_IN_CREDITS = """
    Purchase  3.5  0                         USD      0                       100                     Credits  0.035  Credits
    Purchase  3.5  3.5                       EUR      3.5                     100                     Seats    0.035  Seats
    Usage     0    0.500000000000000000004   Credits  12.5000000000000000001  12.5000000000000000001  Credits  0.04   Codex
    Usage     3    3                         USD      3                       1                       Units    3      Codex
"""  # noqa: E501


def test_credits_are_priced_in_credits_and_cost_when_they_are_used_and_seats_when_they_are_bought(view: View) -> None:
    """What has no rate or no currency stays out and is counted."""
    of_chatgpt = view.only(x_Connection="chatgpt")
    costs = "ChargeCategory BilledCost EffectiveCost PricingCurrency PricingCurrencyEffectiveCost"
    found = seen(of_chatgpt, f"{costs} PricingQuantity PricingUnit ContractedUnitPrice SkuId")
    assert sorted((*row[:-1], row[-1].removeprefix("chatgpt/")) for row in found) == lines(PRICED_IN_CREDITS)
    of_rate = "x_QuantitySource ConsumedQuantity x_UsdPerCredit x_UsdPerCreditSource"
    used = seen(view.only(PricingCurrency="Credits"), of_rate)
    assert used == lines("bill  12.5000000000000000001  0.04  contract 7")
    periods = "ChargeFrequency BillingPeriodStart BillingPeriodEnd ChargePeriodStart ChargePeriodEnd"
    november, december, february = (datetime(*month, 1, tzinfo=UTC) for month in ((2026, 11), (2026, 12), (2027, 2)))
    assert sorted(view.charges(periods, x_Connection="chatgpt", ChargeCategory="Purchase")) == [
        ("One-Time", november, december, on(5), end) for end in (december, february)
    ]
    assert seen(view.left_out) == lines(f"""
        chatgpt  {DAY}              credits without a rate                    credits      2  11
        nobody   {PACK.valid_from}  purchases of connections without costs  USD          1  8
        openai   {NO_CURRENCY}      costs without a currency                  major units  1  9
    """)


STATED = lines("""
    5 tokens, 7 tokens       12   Tokens
    0.5 1000_tokens          0.5  1000 Tokens
    2 gibibyte_hours         2    GiB-Hours
    5 tokens, 7 1000_tokens  1    Units
    5 tokens, 7 -            1    Units
    5 tokens, - tokens       1    Units
    5 sessions               1    Units
""")
"""Quantities of the rows of a charge, and what is stated of it."""
PRICED = lines("""
    1                           3                           3                     Hours  0.333333333333333333333333
    2                           3                           3                     Hours  0.666666666666666666666667
    -1                          3                           -1                    Units  1
    -1                          -3                          -3                    Hours  0.333333333333333333333333
    0                           3                           3                     Hours  0
    0                           0                           0                     Hours  0
    1                           0                           1                     Units  1
    0.3                         0.08333333333333333         0.08333333333333333   Hours  3.600000000000000144
    12345.6                     12345.67890123456789        12345.67890123456789  Hours  0.999993608999942481909477
    1                           0.000000000000000000000001  1                     Units  1
    49999999999999              99999999999998              99999999999998        Hours  0.5
    99999999999999              99999999999999              1                     Units  99999999999999
    0.000000000000000000000001  1000000                     1000000               Hours  0
""")
"""Cost and quantity, what is priced, and the price: to 24 places, half up."""


HOURS = days_from(len(PRICED))
for day, (quantities, *_stated) in zip(HOURS, STATED, strict=False):
    of_day: dict[str, Any] = {"connection": "stated", "usage_date": day, "line_item": "gpt-5, input"}
    stored(Costs, **of_day, project_id="p", quantity=1000, quantity_unit="images")
    each = "\n".join(f"{n}  {text.replace(' ', '  ')}" for n, text in enumerate(quantities.split(", ")))
    stored(Costs, f"api_source  quantity  quantity_unit\n{each}", **of_day)
for day, (amount, quantity, *_priced) in zip(HOURS, PRICED, strict=True):
    hours = {"quantity": quantity, "quantity_unit": "duration_hours"}
    stored(Costs, connection="hours", usage_date=day, amount_value=amount, **hours)
stored(Costs, connection="thousands", amount_value=2, quantity="0.5", quantity_unit="1000_tokens")


def test_a_price_times_the_quantity_is_the_cost_and_all_rows_of_a_charge_have_one_unit(view: View) -> None:
    """What has no such price is priced as one unit; what was used is said all the same."""
    priced = "x_FirstDay BilledCost PricingQuantity PricingUnit"
    assert {*seen(view.only(x_Connection="stated"), priced)} == {
        row
        for day, (quantities, *expected) in zip(HOURS, STATED, strict=False)
        for row in ((str(day), "1", "1000", "Images"), (str(day), str(len(quantities.split(", "))), *expected))
    }
    prices = "ContractedUnitPrice ListUnitPrice"
    assert seen(view.only(x_Connection="thousands"), f"{QUANTITIES} {prices}") == [
        ("bill", "500", "Tokens", "0.5", "1000 Tokens", "4", "4")
    ]
    names = f"x_FirstDay ConsumedQuantity PricingQuantity PricingUnit {prices}"
    assert sorted(seen(view.only(x_Connection="hours"), names)) == [
        (str(day), *row, row[-1]) for day, (_, *row) in zip(HOURS, PRICED, strict=True)
    ]


CLAUDE = {"workspace_id": "w", "model": "opus", "cost_type": "tokens", "token_type": "output_tokens"}
"""What a bill and the use that it is split by have in common."""


def used(text: str, day: date) -> None:
    """Store rows of the usage report: output tokens, API key and tier."""
    head = "output_tokens  api_key_id  service_tier"
    stored(UsageMessages, f"{head}\n{text}", usage_date=day, workspace_id="w", model="opus")


SHARED: Sequence[Mapping[str, int | None]] = (
    {"10": 16, "20": 34, "30": 50},
    {"10": 25, "-5": 0, "30": 75},
    {"0": None, "0.0": None, "-1": None},
)
"""Bills of a day, and the tokens of each."""


SPLIT, OF_TIERS, *SHARED_DAYS = free_days(2 + len(SHARED))
stored(CostReport, usage_date=SPLIT, amount_cents=30, service_tier="standard", **CLAUDE)
stored(CostReport, usage_date=SPLIT, amount_cents=5, cost_type="code_execution", description="Code execution")
used("100  k  standard\n200  other  standard\n7  k  priority", SPLIT)
for tier in ("standard", "batch"):
    stored(CostReport, usage_date=OF_TIERS, amount_cents=10, service_tier=tier, **CLAUDE)
    used(f"100  k  {tier}", OF_TIERS)
for day, of_amounts in zip(SHARED_DAYS, SHARED, strict=True):
    used("100  k  .", day)
    for n, cents in enumerate(of_amounts):
        stored(CostReport, usage_date=day, amount_cents=cents, context_window=f"{n}k", **CLAUDE)


def test_a_bill_without_a_quantity_has_its_part_of_the_use_and_no_use_is_counted_twice(view: View) -> None:
    """A report by model has no context windows, which are billed apart. Each of their rows had all 100 tokens."""
    assert sorted(
        seen(view.only(x_FirstDay=SPLIT), f"x_ApiKeyId BilledCost {QUANTITIES} ContractedUnitPrice")
    ) == lines("""
        -      0.05  none   1    Units   1    Units   0.05
        k      0.1   usage  100  Tokens  100  Tokens  0.001
        other  0.2   usage  200  Tokens  200  Tokens  0.001
    """)
    assert view.charges("x_QuantitySource ConsumedQuantity", x_FirstDay=OF_TIERS) == [("usage", 100)] * 2
    for day, tokens in zip(SHARED_DAYS, SHARED, strict=True):
        found = view.charges("x_QuantitySource ConsumedUnit ConsumedQuantity x_NativeAmount", x_FirstDay=day)
        shared = {str(round(amount)): quantity for source, _, quantity, amount in found if source == "shared usage"}
        expected = {amount: quantity for amount, quantity in tokens.items() if quantity is not None}
        assert shared == expected, day
        assert {row[:2] for row in found} == {("shared usage", "Tokens") if expected else ("none", "Units")}, day


def test_every_column_of_a_file_is_exported_once() -> None:
    """What has no column of its own is in x_OtherColumns, without what has one."""
    [file] = sql_files("focus_rows/*.sql")
    stated = re.findall(r'"(\w+)": "', file.read_text())
    own = {field.encode_name for field in msgspec.structs.fields(Charges)}
    assert sorted(stated) == sorted({column.name for column in COLUMNS} - own)


METERED = """
    model          gross_quantity  gross_amount  discount_amount  net_amount
    Claude Opus 5  300             3             2                1
    GPT-5.5        0.5             7             .                3
"""
stored(AiCredits, METERED, product="Copilot", sku="Copilot AI Credits", unit_type="ai-credits")
stored(Users1Day, "user_login  ai_credits_used\nann  1\nbob  2")
SEATS = {"product": "Copilot", "sku": "Copilot Business", "unit_type": "user-months"}
stored(BillingUsage, **SEATS, quantity="0.4", gross_amount=8, net_amount=7)


def test_credits_of_a_bill_are_split_with_it_and_seats_are_bought_every_month_and_are_no_use(view: View) -> None:
    """The parts of a quantity and of a list amount add up to it, to the last place."""
    columns = f"{QUANTITIES} ContractedCost ListCost"
    of_bill = {"x_Connection": "github_copilot", "ChargeCategory": "Usage"}
    third, two_thirds = ("3" * 24, "6" * 23 + "7")
    assert sorted(seen(view.only(**of_bill), f"x_Model x_UserId {columns}")) == lines(f"""
        Claude Opus 5  ann  bill  100          Credits  100          Credits  0.{third}       1
        Claude Opus 5  bob  bill  200          Credits  200          Credits  0.{two_thirds}  2
        GPT-5.5        ann  bill  0.166666666  Credits  0.166666666  Credits  1  2.{third}
        GPT-5.5        bob  bill  0.333333334  Credits  0.333333334  Credits  2  4.{two_thirds}
    """)
    bought = view.only(**of_bill | {"ChargeCategory": "Purchase"})
    assert seen(bought, f"ChargeFrequency {columns} ListUnitPrice") == lines(
        "Recurring  bill  -  -  0.4  User-Months  7  8  20"
    )


[SKUS] = free_days(1)
TIER = {"service_tier": "batch", "context_window": "0-200k", "inference_geo": "us/east 100%"}
stored(Costs, "line_item\ngpt-5.4, cached input\nweb search tool calls", usage_date=SKUS)
stored(CostReport, usage_date=SKUS, **{**CLAUDE, "model": "claude-opus-5"}, **TIER)
stored(CostReport, usage_date=SKUS)


def test_a_model_is_a_sku_and_all_that_a_price_depends_on_is_in_its_id(view: View) -> None:
    rows = {row["SkuId"]: row for row in view.only(x_FirstDay=SKUS)}
    found, expected = beside(
        rows.values(),
        """
        SkuId                         SkuMeter               SkuPriceId
        anthropic/Other use           Usage                  anthropic/Other use
        anthropic/claude-opus-5       Output Tokens          anthropic/claude-opus-5/output_tokens/batch/0-200k/us%2Feast 100%25
        openai/gpt-5.4                Cached Input           openai/gpt-5.4/cached input
        openai/web search tool calls  Web Search Tool Calls  openai/web search tool calls
        """,  # noqa: E501
    )
    assert found == expected
    details = {name: json.loads(row["SkuPriceDetails"]) for name, row in rows.items() if row["SkuPriceDetails"]}
    assert details == {
        "anthropic/claude-opus-5": {
            "ModelDeveloper": "Anthropic",
            "ModelFamily": "claude-opus",
            "ModelId": "claude-opus-5",
            "x_ContextWindow": "0-200k",
            "x_InferenceGeo": "us/east 100%",
            "x_ServiceTier": "batch",
            "x_TokenType": "output_tokens",
        },
        "openai/gpt-5.4": {
            "ModelDeveloper": "OpenAI",
            "ModelFamily": "gpt",
            "ModelId": "gpt-5.4",
            "x_TokenType": "cached input",
        },
    }


AS_BILLED = {"0.1": "0.1", "0.3": "0.3", "0.6": "0.6"}
LISTED = {
    "discount": ("90  100", "10  10", {"0.1": "0.1", "0.3": "0.333333", "0.6": "0.666667"}),
    "of the default workspace": ("90  90", "10  20", {**AS_BILLED, "0.1": "0.2"}),
    "another organization": ("90  100", "11  11", AS_BILLED),
    "another split": ("80  100", "20  20", AS_BILLED),
    "nothing stated": ("", "", AS_BILLED),
}
"""Cents and list cents of a workspace and of the default one, and the list cost of each cost."""
ANALYTICS = {"connection": "analytics", "currency": "USD"}
"""Anthropic's newer cost report, which states list amounts. It has an id of the default workspace."""
BILLED_CENTS = """
    amount_cents  context_window  description  workspace_id
    30            0-200k          0-200k       w
    60            200k-1M         200k-1M      w
    10            -               .            -
"""
LISTED_DAYS = free_days(len(LISTED))
for day, (of_workspace, of_default, _costs) in zip(LISTED_DAYS, LISTED.values(), strict=True):
    if of_workspace:
        text = f"amount_cents  list_amount_cents  workspace_id\n{of_workspace}  w\n{of_default}  default"
        stored(AnalyticsCost, text, usage_date=day, **ANALYTICS, **CLAUDE)
    stored(CostReport, BILLED_CENTS, usage_date=day, **CLAUDE)
    used("100  k  .\n200  other  .", day)


def test_list_costs_are_those_that_a_report_of_the_same_organization_states(view: View) -> None:
    for day, (name, (of_workspace, of_default, list_costs)) in zip(LISTED_DAYS, LISTED.items(), strict=True):
        sums: defaultdict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
        for what, cost, each in view.charges("ChargeDescription ContractedCost ListCost", x_FirstDay=day):
            sums[what] = [sums[what][0] + cost, sums[what][1] + each]
        rounded = {f"{cost.normalize()}": f"{round(each, 6).normalize()}" for cost, each in sums.values()}
        assert rounded == list_costs, name
        if list_costs["0.3"] != "0.3":
            of_all = sum((Decimal(text.split()[1]) for text in (of_workspace, of_default)), Decimal()) / 100
            assert abs(sum(each for _, each in sums.values()) - of_all) < Decimal("1e-23"), name
    priced = view.charges("ListUnitPrice PricingQuantity ListCost", x_Connection="anthropic")
    assert [row for row in priced if abs(float(row[0]) * float(row[1]) - float(row[2])) > 1e-12] == []


LISTED_OF_BILLS = {
    "no model and no tier, as web searches are billed": (
        "80  -  web_search  -              -\n40  opus  tokens  output_tokens  -",
        """
        30  40  opus    web_search  -              standard
        50  60  sonnet  web_search  -              batch
        40  50  opus    tokens      output_tokens  -
        """,
        {"0.8": "1", "0.4": "0.5"},
    ),
    "beside those that name them": (
        """
        80  opus  tokens  output_tokens  -
        40  -     tokens  output_tokens  -
        10  -     tokens  output_tokens  batch
        """,
        """
        80  100  opus    tokens  output_tokens  standard
        40  60   sonnet  tokens  output_tokens  standard
        10  20   haiku   tokens  output_tokens  batch
        """,
        {"0.8": "1", "0.4": "0.6", "0.1": "0.2"},
    ),
    "a description with a discount in one of its tiers": (
        "50  opus  tokens  output_tokens  standard\n10  opus  tokens  output_tokens  batch",
        "50  100  opus  tokens  output_tokens  standard\n10  10  opus  tokens  output_tokens  batch",
        {"0.5": "0.5", "0.1": "0.1"},
    ),
}
"""Bills, what is listed, and the list cost of each cost: a day each. All bills of the last one have one description."""


BILL_DAYS = free_days(len(LISTED_OF_BILLS))
KIND = "model  cost_type  token_type  service_tier"
for day, (bills, of_list, _list_costs) in zip(BILL_DAYS, LISTED_OF_BILLS.values(), strict=True):
    same = {"usage_date": day, "workspace_id": "w"}
    stored(AnalyticsCost, f"amount_cents  list_amount_cents  {KIND}\n{of_list.strip()}", **ANALYTICS, **same)
    for n, bill in enumerate(raws(CostReport, f"amount_cents  {KIND}\n{bills.strip()}", **same)):
        description: Any = {"description": "Opus usage" if day == BILL_DAYS[-1] else str(n)}
        RAW.append(msgspec.structs.replace(bill, **description))


def test_a_list_amount_is_of_the_bill_that_names_most_of_what_is_listed(view: View) -> None:
    for day, (name, (_, _, list_costs)) in zip(BILL_DAYS, LISTED_OF_BILLS.items(), strict=True):
        assert dict(view.charges("ContractedCost ListCost", x_FirstDay=day)) == {
            Decimal(cost): Decimal(each) for cost, each in list_costs.items()
        }, name


OWNERS = [Owner(project="p", team="web", cost_center="4711"), Owner(workspace="w", team="apps")]
[OWNED] = free_days(1)
stored(Costs, "project_id  line_item  user_id  api_key_id\np  gpt-5, input  u  k\n-  -  -  -", usage_date=OWNED)
stored(CostReport, usage_date=OWNED, workspace_id="w", model="opus", token_type="output_tokens")


def test_a_charge_says_what_it_is_for_and_who_pays(view: View) -> None:
    found, expected = beside(
        view.only(x_FirstDay=OWNED),
        """
        ChargeDescription         SubAccountId  SubAccountName  SubAccountType  ProviderName  x_Model  x_UsageType
        gpt-5, input              p             p               Project         OpenAI        gpt-5    input
        opus, output_tokens       w             w               Workspace       Anthropic     opus     output_tokens
        Use that is not itemized  -             -               -               OpenAI        -        -
        """,
    )
    assert found == expected
    by_text = {row["ChargeDescription"]: row for row in view.only(x_FirstDay=OWNED)}
    assert {name: json.loads(row["Tags"]) for name, row in by_text.items()} == {
        "gpt-5, input": {"team": "web", "cost_center": "4711", "project": "p"},
        "opus, output_tokens": {"team": "apps", "workspace": "w"},
        "Use that is not itemized": {"team": "unowned"},
    }
    assert seen([by_text["gpt-5, input"]], "x_UserId x_ApiKeyId") == [("u", "k")]


# Restated invoices

OCTOBER = date(2026, 10, 9)
INVOICE = Invoice(connection="openai", month="2026-10", total=Decimal(10), id="INV-1", issued=date(2026, 11, 2))


def fetched_at(
    days: Days,
    moment: datetime,
    *rows: Row,
    row: type[Row] = Costs,
    filters: str | None = None,
    connection: str = "openai",
    alone: bool = False,
) -> None:
    """A day of October is fetched and, unless that is run alone, derived at a moment."""
    with time_machine.travel(moment, tick=False):
        content = to_arrow(row, [msgspec.structs.replace(each, connection=connection) for each in rows])
        answer = Batch(rows=content, began=moment, settling_days=7, filters=filters, question="what it costs")
        days.warehouse.replace(Table(row), answer, Slice(connection, OCTOBER, OCTOBER), "run")
        if not alone:
            days.derive(row.table.replace(".", "_"), connection, first=OCTOBER)


def costing(amount: str, **values: Any) -> Row:
    return raw(Costs, usage_date=OCTOBER, amount_value=Decimal(amount), **values)


def by_line(*amounts: str) -> list[Row]:
    return [costing(each, grouped_by="line_item", line_item=each) for each in amounts]


def on(day: int, month: int = 11, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


class Step(NamedTuple):
    """What is fetched at a moment, and whether costs are computed then. No rows: costs alone."""

    moment: datetime
    rows: Sequence[Row] | None
    alone: bool = False
    filters: str | None = None


FIRST, CHEAPER = Step(on(20, 10), [costing("10")]), [costing("7.5")]
WHOLE = Step(on(20, 10), [costing("10", grouped_by="project_id")])
CHANGED: Mapping[str, tuple[Mapping[str, Any], Sequence[Step], str]] = {
    "on the stated day": ({}, [FIRST, Step(on(2, hour=23, minute=59), CHEAPER)], "INV-1  7.5"),
    "after the stated day": ({}, [FIRST, Step(on(3), CHEAPER)], "-  -2.5\nINV-1  10"),
    "before it is settled": ({"issued": None}, [FIRST, Step(on(7, hour=23, minute=59), CHEAPER)], "INV-1  7.5"),
    "when it is settled": ({"issued": None}, [FIRST, Step(on(8), CHEAPER)], "-  -2.5\nINV-1  10"),
    "another month": ({"month": "2026-11"}, [FIRST, Step(on(15), CHEAPER)], "-  7.5"),
    "grouped otherwise": ({}, [WHOLE, Step(on(5), by_line("4", "6"))], "INV-1  10"),
    "rounded": ({}, [WHOLE, Step(on(5), by_line("10.0000000000015"))], "INV-1  10.0000000000015"),
    "asked otherwise": ({}, [FIRST, Step(on(15), [costing("5")], filters="others")], "INV-1  5"),
    "restated in parts": ({}, [WHOLE, Step(on(5), by_line("4", "5"))], "-  -1\nINV-1  10"),
}
"""What an invoice says otherwise, what is fetched, and the sums of each invoice: what is on none is corrected."""
EUROS = [costing(amount, amount_currency="eur") for amount in ("4", "6")]
TOKENS = {"line_item": "gpt-5, input", "quantity_unit": "tokens"}
BEFORE, AFTER = (
    [costing(amount, **TOKENS, quantity=Decimal(of)), costing("10")] for amount, of in (("10", 100), ("4", 40))
)
FETCHED = [Step(on(20, 10), BEFORE), Step(on(5), AFTER, alone=True)]
FOLLOWED = [*FETCHED, Step(on(5, hour=1), None)]
STEPS = {
    **{name: steps for name, (_, steps, _) in CHANGED.items()},
    "changed twice": [
        Step(on(20, 10), [costing("10"), EUROS[0]]),
        Step(on(5, hour=23), [*CHEAPER, EUROS[1]]),
        Step(on(6), [costing("8"), EUROS[1]]),
    ],
    "fetched": FETCHED,
    "followed by costs": FOLLOWED,
    "fetched again": [*FOLLOWED, Step(on(6), BEFORE, alone=True)],
    "several": [FIRST],
}
"""What is fetched of each connection."""


def invoices() -> Iterator[Invoice]:
    """One of each connection that is restated, and two of one."""
    for name in (*STEPS, "cents"):
        stated = CHANGED[name][0] if name in CHANGED else {}
        yield INVOICE.model_copy(update={"connection": name, **stated})
    yield INVOICE.model_copy(update={"connection": "several", "id": "INV-2"})


def test_a_correction_is_what_changes_in_dollars_after_the_month_was_invoiced(view: View) -> None:
    """A month is invoiced on the stated day, or when it is settled."""
    for name, (_, _, expected) in CHANGED.items():
        assert view.billed(name) == lines(expected), name
        corrected = [amount for invoice, amount in lines(expected) if invoice == "-" and "INV-1" in expected]
        assert [row[2] for row in view.corrections(name)] == [
            each for amount in corrected for each in (amount.strip("-"), amount)
        ], name
    assert view.billed("several") == [("-", "10")], "none of two is named"
    assert view.billed("cents") == lines("-  1.505\nINV-1  1")
    assert ("Correction", "USD", "1.505") in [row[:3] for row in view.corrections("cents")]


def test_what_changes_after_the_invoice_is_a_correction_and_what_is_on_the_invoice_stays(view: View) -> None:
    assert view.corrections("changed twice") == lines("""
        -           USD  -0.5  INV-1  As invoiced: without the correction of openai.costs, version 3, found 2026-11-06
        -           USD  2.5   INV-1  As invoiced: without the correction of openai.costs, version 2, found 2026-11-05
        Correction  USD  -2.5  -      Correction of openai.costs, version 2, found 2026-11-05
        Correction  USD  0.5   -      Correction of openai.costs, version 3, found 2026-11-06
    """)
    sums = "-  EUR  6\n-  USD  -2\nINV-1  USD  10"
    assert view.billed("changed twice", "x_InvoiceId BillingCurrency") == lines(sums)


def test_what_was_fetched_alone_is_no_correction_before_its_costs_follow(view: View) -> None:
    """Neither is its quantity: the invoice's rows added up to 26 of 20."""
    for name, billed, most in (
        ("fetched", "INV-1  20", {"INV-1": 1}),
        ("followed by costs", "-  -6\nINV-1  20", {"INV-1": 40, None: -1}),
        ("fetched again", "-  -6\nINV-1  20", {"INV-1": 1, None: -1}),
    ):
        assert view.billed(name) == lines(billed), name
        found = sorted(view.charges("x_InvoiceId PricingQuantity", x_Connection=name), key=str)
        assert dict(found) == most, "the last is the most"
