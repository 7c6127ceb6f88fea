"""``costs.focus``: what is a row of FOCUS, in which currency and quantity, and what becomes of a restated invoice."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import time_machine
from iso4217 import Currency

from usage_assets.config.accounting import ExchangeRate, Invoice, Owner, Purchase
from usage_assets.core.schema import Row, to_arrow
from usage_assets.features.explain.figures import fetch, sources_of_view
from usage_assets.features.focus.columns import COLUMNS
from usage_assets.models.costs import COSTS
from usage_assets.models.model import sql_files
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport, UsageMessages
from usage_assets.providers.anthropic_analytics.reports import AnalyticsCost
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.focus.charges import Charges
from usage_assets.providers.github_copilot.billing import AiCredits, BillingUsage
from usage_assets.providers.github_copilot.metrics import Users1Day
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch
from usage_assets_tests.conftest import NewWarehouse
from usage_assets_tests.models.days import DAY, Days, days_from, raw
from usage_assets_tests.models.test_costs import paid
from usage_assets_tests.models.test_valuation import FOUR_CENTS, stating

PACK = Purchase(
    connection="chatgpt",
    kind="credits",
    quantity=Decimal(100),
    amount=Decimal("3.5"),
    id="order 9",
    valid_from=date(2026, 11, 5),
    valid_until=date(2027, 1, 31),
)


RAW: list[Row] = []
"""What is fetched, once: tests have connections or days of their own in one warehouse, whose view is read once."""
FREE = iter(days_from(60)[20:])
COMPUTED = (
    *("openai_costs", "anthropic_cost_report", "anthropic_claude_code", "chatgpt_codex_usage", "focus_charges"),
    *("github_copilot_ai_credits", "github_copilot_billing_usage"),
)
"""The costs that are computed of each connection that has their source."""


def stored(*rows: Row) -> None:
    """Let the warehouse have these rows."""
    RAW.extend(rows)


def free_days(number: int) -> Sequence[date]:
    """Days that no other test has."""
    return [next(FREE) for _ in range(number)]


@dataclass(frozen=True)
class View:
    """The rows of the view, and what is not in it."""

    days: Days
    rows: Sequence[Mapping[str, Any]]
    left_out: Sequence[tuple[Any, ...]]

    def charges(self, *columns: str, **only: object) -> list[tuple[Any, ...]]:
        """Columns of the rows that have these values, sorted, those without a value last."""
        found = [
            tuple(row[column] for column in columns or row)
            for row in self.rows
            if all(row[column] == value for column, value in only.items())
        ]
        return sorted(found, key=lambda row: [(value is None, "" if value is None else value) for value in row])

    def billed(self, connection: str, *by: str) -> Mapping[Any, Any]:
        """What is billed per value of these columns: per invoice, unless they are named."""
        sums: defaultdict[Any, Decimal] = defaultdict(Decimal)
        for amount, *key in self.charges("BilledCost", *(by or ("x_InvoiceId",)), x_Connection=connection):
            sums[tuple(key) if by else key[0]] += amount
        return sums

    def corrections(self, connection: str) -> list[tuple[Any, ...]]:
        columns = ("ChargeClass", "BillingCurrency", "BilledCost", "x_InvoiceId", "ChargeDescription")
        return [row for row in self.charges(*columns, x_Connection=connection) if "orrection of " in row[-1]]


@pytest.fixture(scope="module")
def view(warehouse_with_views: NewWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    warehouse = warehouse_with_views(tmp_path_factory.mktemp("view"))
    with warehouse.get_connection() as database:
        days = stating(
            Days(warehouse),
            exchange_rates=[ExchangeRate(currency="EUR", usd=Decimal("1.0842"), valid_from=DAY, source="ECB")],
            credit_rates=[FOUR_CENTS],
            purchases=PURCHASES,
            owners=OWNERS,
            invoices=[*OF_FILES, *invoices()],
        )
        fill(days)
        fill_charges_of_files(days)
        restate(days)
        database.execute("update costs.daily_costs set provider = project_id where connection = 'services'")
        yield View(days, days.read("from costs.focus"), days.tuples("from costs.focus_left_out order by all"))


def fill(days: Days) -> None:
    """Store RAW, and the costs that are computed from it."""
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


[BILLED] = free_days(1)
CURRENCIES = {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}
stored(
    raw(Costs, usage_date=BILLED, amount_value="1e-24", line_item="gpt-5, input"),
    raw(Costs, usage_date=BILLED, amount_value="-7.25", line_item="gpt-5, output"),
    raw(Costs, usage_date=BILLED, amount_value=3, amount_currency="eur"),
    raw(CostReport, usage_date=BILLED, amount_cents="123.45"),
    *(raw(CostReport, connection="many", currency=code, amount_cents=10000) for code in CURRENCIES),
)


def test_what_is_billed_is_billed_in_its_own_currency(view: View) -> None:
    columns = ("BillingCurrency", "BilledCost", "EffectiveCost", "PricingCurrency", "x_NativeAmount", "x_NativeUnit")
    assert view.charges("x_Connection", *columns, x_FirstDay=BILLED) == [
        ("anthropic", "USD", Decimal("1.2345"), Decimal("1.2345"), "USD", Decimal("123.45"), "cents"),
        ("openai", "EUR", 3, 3, "EUR", 3, "major units"),
        ("openai", "USD", Decimal("-7.25"), Decimal("-7.25"), "USD", Decimal("-7.25"), "dollars"),
        ("openai", "USD", Decimal("1e-24"), Decimal("1e-24"), "USD", Decimal("1e-24"), "dollars"),
    ]
    assert dict(view.charges("BillingCurrency", "BilledCost", x_Connection="many")) == {
        code: Decimal(10000).scaleb(-digits) for code, digits in CURRENCIES.items()
    }


def test_the_view_has_the_columns_that_are_declared_in_their_order(view: View) -> None:
    """The rest is to filter by: a filter of it reaches the stored days, which DuckDB omits where there is only one."""
    assert [name for name in view.rows[0] if name != "x_FirstDay"] == [column.name for column in COLUMNS]
    query = f"explain (format json) from costs.focus where x_FirstDay = '{DAY}'"
    [plan] = json.loads(view.days.read(query)[0]["explain_value"])
    scans = [scan for scan in scans_of(plan) if scan["Table"].endswith(("costs.daily_costs", "focus.charges"))]
    assert {scan["Table"].rpartition(".")[2] for scan in scans} == {"daily_costs", "charges"}
    assert [scan for scan in scans if "usage_date" not in str(scan.get("Filters"))] == []


def scans_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a query plan says of each table that it scans."""
    if "Table" in plan["extra_info"]:
        yield plan["extra_info"]
    for child in plan["children"]:
        yield from scans_of(child)


stored(
    *(paid(ClaudeCode, connection="covered", customer_type=kind) for kind in ("api", "subscription")),
    raw(CodexUsage, connection="covered", estimated_cost_usd=2),
)


def test_estimates_and_what_a_seat_covers_are_no_charges(view: View) -> None:
    sources = "select distinct source_table from costs.daily_costs where connection = 'covered' order by all"
    assert view.days.tuples(sources) == [("anthropic.claude_code",), ("chatgpt.codex_usage",)]
    assert view.charges(x_Connection="covered") == []


QUANTITIES = ("x_QuantitySource", "ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit")
MUCH, PAID = Decimal("12.5000000000000000001"), Decimal("3.5")
PURCHASES = [
    PACK,
    PACK.model_copy(update={"kind": "seats", "id": "order 10", "currency": "EUR", "valid_until": None}),
    PACK.model_copy(update={"connection": "nobody", "amount": Decimal(8)}),
    PACK.model_copy(update={"connection": "restated away"}),
]
[NO_CURRENCY] = free_days(1)
stored(
    raw(CodexUsage, credits=MUCH, cost_usd=3, workspace_id="ws"),
    *(raw(CodexUsage, credits=n, workspace_id=f"ws{n}") for n in (5, 6)),
    raw(Costs, usage_date=NO_CURRENCY, amount_currency=None, amount_value=9),
)


def test_credits_are_priced_in_credits_and_cost_when_they_are_used_and_seats_when_they_are_bought(view: View) -> None:
    """What has no rate or no currency stays out and is counted."""
    costs = ("ChargeCategory", "BilledCost", "EffectiveCost", "PricingCurrency", "PricingCurrencyEffectiveCost")
    priced = ("PricingQuantity", "PricingUnit", "ContractedUnitPrice", "SkuId")
    assert view.charges(*costs, *priced, x_Connection="chatgpt") == [
        ("Purchase", PAID, 0, "USD", 0, 100, "Credits", Decimal("0.035"), "chatgpt/Credits"),
        ("Purchase", PAID, PAID, "EUR", PAID, 100, "Seats", Decimal("0.035"), "chatgpt/Seats"),
        ("Usage", 0, MUCH * Decimal("0.04"), "Credits", MUCH, MUCH, "Credits", Decimal("0.04"), "chatgpt/Codex"),
        ("Usage", 3, 3, "USD", 3, 1, "Units", 3, "chatgpt/Codex"),
    ]
    of_rate = ("x_QuantitySource", "ConsumedQuantity", "x_UsdPerCredit", "x_UsdPerCreditSource")
    assert view.charges(*of_rate, PricingCurrency="Credits") == [("bill", MUCH, Decimal("0.04"), "contract 7")]
    periods = ("ChargeFrequency", "BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
    november, december, february = (datetime(*month, 1, tzinfo=UTC) for month in ((2026, 11), (2026, 12), (2027, 2)))
    assert view.charges(*periods, x_Connection="chatgpt", ChargeCategory="Purchase") == [
        ("One-Time", november, december, on(5), december),
        ("One-Time", november, december, on(5), february),
    ]
    assert view.left_out == [
        ("chatgpt", DAY, "credits without a rate", "credits", 2, 11),
        ("nobody", PACK.valid_from, "purchases of connections without costs", "USD", 1, 8),
        ("openai", NO_CURRENCY, "costs without a currency", "major units", 1, 9),
    ]


STATED: Sequence[tuple[Sequence[tuple[str | None, str | None]], tuple[Any, ...]]] = (
    ([("5", "tokens"), ("7", "tokens")], (12, "Tokens")),
    ([("0.5", "1000_tokens")], (Decimal("0.5"), "1000 Tokens")),
    ([("2", "gibibyte_hours")], (2, "GiB-Hours")),
    ([("5", "tokens"), ("7", "1000_tokens")], (1, "Units")),
    ([("5", "tokens"), ("7", None)], (1, "Units")),
    ([("5", "tokens"), (None, "tokens")], (1, "Units")),
    ([("5", "sessions")], (1, "Units")),
)
"""Quantities of the rows of a charge, and what is stated of it."""
PRICED = (
    ("1", "3", ("3", "Hours"), "0.333333333333333333333333"),
    ("2", "3", ("3", "Hours"), "0.666666666666666666666667"),
    ("-1", "3", ("-1", "Units"), "1"),
    ("-1", "-3", ("-3", "Hours"), "0.333333333333333333333333"),
    ("0", "3", ("3", "Hours"), "0"),
    ("0", "0", ("0", "Hours"), "0"),
    ("1", "0", ("1", "Units"), "1"),
    ("0.3", "0.08333333333333333", ("0.08333333333333333", "Hours"), "3.600000000000000144000000"),
    ("12345.6", "12345.67890123456789", ("12345.67890123456789", "Hours"), "0.999993608999942481909477"),
    ("1", "0.000000000000000000000001", ("1", "Units"), "1"),
    ("49999999999999", "99999999999998", ("99999999999998", "Hours"), "0.5"),
    ("99999999999999", "99999999999999", ("1", "Units"), "99999999999999"),
    ("0.000000000000000000000001", "1000000", ("1000000", "Hours"), "0"),
)
"""Cost and quantity, what is priced, and the price: to 24 places, half up."""


HOURS = days_from(len(PRICED))
for day, (quantities, _) in zip(HOURS, STATED, strict=False):
    of_day: dict[str, Any] = {"connection": "stated", "usage_date": day, "line_item": "gpt-5, input"}
    stored(raw(Costs, **of_day, project_id="p", quantity=1000, quantity_unit="images"))
    stored(
        *(raw(Costs, **of_day, api_source=f"{n}", quantity=of, quantity_unit=u) for n, (of, u) in enumerate(quantities))
    )
stored(
    *(
        raw(Costs, connection="hours", usage_date=day, amount_value=amount, quantity=of, quantity_unit="duration_hours")
        for day, (amount, of, _, _) in zip(HOURS, PRICED, strict=True)
    ),
    raw(Costs, connection="thousands", amount_value=2, quantity="0.5", quantity_unit="1000_tokens"),
)


def test_a_price_times_the_quantity_is_the_cost_and_all_rows_of_a_charge_have_one_unit(view: View) -> None:
    """What has no such price is priced as one unit; what was used is said all the same."""
    priced = ("PricingQuantity", "PricingUnit")
    assert {*view.charges("x_FirstDay", "BilledCost", *priced, x_Connection="stated")} == {
        row
        for day, (quantities, expected) in zip(HOURS, STATED, strict=False)
        for row in ((day, 1, 1000, "Images"), (day, len(quantities), *expected))
    }
    prices = ("ContractedUnitPrice", "ListUnitPrice")
    assert view.charges(*QUANTITIES, *prices, x_Connection="thousands") == [
        ("bill", 500, "Tokens", Decimal("0.5"), "1000 Tokens", 4, 4)
    ]
    assert view.charges("x_FirstDay", "ConsumedQuantity", *priced, *prices, x_Connection="hours") == [
        (day, Decimal(quantity), Decimal(priced), unit, Decimal(price), Decimal(price))
        for day, (_, quantity, (priced, unit), price) in zip(HOURS, PRICED, strict=True)
    ]


CLAUDE = {"workspace_id": "w", "model": "opus", "cost_type": "tokens", "token_type": "output_tokens"}
"""What a bill and the use that it is split by have in common."""


def used(tokens: int, key: str | None = "k", **values: Any) -> Row:
    """A row of the usage report."""
    return raw(UsageMessages, workspace_id="w", model="opus", api_key_id=key, output_tokens=tokens, **values)


SHARED: Sequence[Mapping[str, int | None]] = (
    {"10": 16, "20": 34, "30": 50},
    {"10": 25, "-5": 0, "30": 75},
    {"0": None, "0.0": None, "-1": None},
)
"""Bills of a day, and the tokens of each."""


SPLIT, OF_TIERS, *SHARED_DAYS = free_days(2 + len(SHARED))
stored(
    raw(CostReport, usage_date=SPLIT, amount_cents=30, service_tier="standard", **CLAUDE),
    raw(CostReport, usage_date=SPLIT, amount_cents=5, cost_type="code_execution", description="Code execution"),
    used(100, usage_date=SPLIT, service_tier="standard"),
    used(200, "other", usage_date=SPLIT, service_tier="standard"),
    used(7, usage_date=SPLIT, service_tier="priority"),
)
for tier in ("standard", "batch"):
    stored(raw(CostReport, usage_date=OF_TIERS, amount_cents=10, service_tier=tier, **CLAUDE))
    stored(used(100, usage_date=OF_TIERS, service_tier=tier))
for day, of_amounts in zip(SHARED_DAYS, SHARED, strict=True):
    stored(used(100, usage_date=day))
    for n, amount in enumerate(of_amounts):
        stored(raw(CostReport, usage_date=day, amount_cents=amount, context_window=f"{n}k", **CLAUDE))


def test_a_bill_without_a_quantity_has_its_part_of_the_use_and_no_use_is_counted_twice(view: View) -> None:
    """A report by model has no context windows, which are billed apart. Each of their rows had all 100 tokens."""
    price = Decimal("0.001")
    assert view.charges("x_ApiKeyId", "BilledCost", *QUANTITIES, "ContractedUnitPrice", x_FirstDay=SPLIT) == [
        ("k", Decimal("0.1"), "usage", 100, "Tokens", 100, "Tokens", price),
        ("other", Decimal("0.2"), "usage", 200, "Tokens", 200, "Tokens", price),
        (None, Decimal("0.05"), "none", 1, "Units", 1, "Units", Decimal("0.05")),
    ]
    assert view.charges("x_QuantitySource", "ConsumedQuantity", x_FirstDay=OF_TIERS) == [("usage", 100)] * 2
    for day, tokens in zip(SHARED_DAYS, SHARED, strict=True):
        found = view.charges("x_QuantitySource", "ConsumedUnit", "ConsumedQuantity", "x_NativeAmount", x_FirstDay=day)
        shared = {str(round(amount)): quantity for source, _, quantity, amount in found if source == "shared usage"}
        expected = {amount: quantity for amount, quantity in tokens.items() if quantity is not None}
        assert shared == expected, day
        assert {row[:2] for row in found} == {("shared usage", "Tokens") if expected else ("none", "Units")}, day


CHARGE = {"billing_currency": "USD", "charge_category": "Usage", "service_name": "Amazon Bedrock"}
OF_FILES = [
    Invoice(connection=name, month="2026-11", total=Decimal(1), id="I", issued=DAY) for name in ("ahead", "followed")
]
AFTER_ALL = DAY + timedelta(days=90)
stored(*(raw(Charges, **CHARGE, billed_cost=1, sku_id=sku) for sku in ("1", "2")))


def fill_charges_of_files(days: Days) -> None:
    """A day of which no costs are computed, and days that were fetched again afterwards, and followed or not."""
    days.fetched(Charges, raw(Charges, usage_date=AFTER_ALL, **CHARGE), first=AFTER_ALL)
    for name in ("ahead", "followed"):
        for amount in (1, 3):
            days.fetched(Charges, raw(Charges, connection=name, **CHARGE, billed_cost=amount), connection=name)
            if amount == 1 or name == "followed":
                days.derive("focus_charges", name)


def test_a_charge_of_a_file_is_explained_by_its_own_row_and_days_without_costs_have_none(view: View) -> None:
    """What is in the columns is compared in test_round_trip.py."""
    query = "select * from costs.focus where x_Connection = 'focus' and (SkuId = '2' or x_FirstDay > $day)"
    with view.days.warehouse.transaction() as database:
        found = sources_of_view(database, "costs.focus", fetch(database, query, {"day": DAY}))
    assert {source: [row["sku_id"] for row in each] for source, each in found.items()} == {"focus.charges": ["2"]}


def test_charges_of_files_take_no_part_in_corrections_and_show_what_was_read_last(view: View) -> None:
    """Their makers write corrections of their own."""
    for name in ("ahead", "followed"):
        assert view.charges("BilledCost", "ChargeClass", x_Connection=name) == [(3, None)], name


def test_every_column_of_a_file_is_exported_once() -> None:
    """What has no column of its own is in x_OtherColumns, without what has one."""
    [file] = sql_files("focus_rows/*.sql")
    stated = re.findall(r'"(\w+)": "', file.read_text())
    own = {field.encode_name for field in msgspec.structs.fields(Charges)}
    assert sorted(stated) == sorted({column.name for column in COLUMNS} - own)


METERED = {"product": "Copilot", "sku": "Copilot AI Credits", "unit_type": "ai-credits"}
SEATS = {"product": "Copilot", "sku": "Copilot Business", "unit_type": "user-months"}


MONEY = {"gross_amount": 3, "discount_amount": 2, "net_amount": 1}
TWICE = {"gross_quantity": "0.5", "gross_amount": 6, "net_amount": 3}
stored(
    raw(AiCredits, **METERED, model="Claude Opus 5", gross_quantity=300, **MONEY),
    raw(AiCredits, **METERED, model="GPT-5.5", **TWICE),
    *(raw(Users1Day, user_login=who, ai_credits_used=n) for who, n in (("ann", 1), ("bob", 2))),
    raw(BillingUsage, **SEATS, quantity="0.4", gross_amount=8, net_amount=7),
)


def test_credits_of_a_bill_are_split_with_it_and_seats_are_bought_every_month_and_are_no_use(view: View) -> None:
    columns = ("ChargeFrequency", *QUANTITIES, "ContractedCost", "ListCost", "ListUnitPrice")
    of_bill = {"x_Connection": "github_copilot", "ChargeCategory": "Usage"}
    found = view.charges("x_Model", "x_UserId", *columns[1:-1], **of_bill)
    third, two_thirds = (Decimal(f"0.{digits}") for digits in ("3" * 24, "6" * 23 + "7"))
    a_third = Decimal("0.333333333"), "Credits", Decimal("0.333333333"), "Credits"
    half_of_it = Decimal("0.166666666"), "Credits", Decimal("0.166666666"), "Credits"
    assert found == [
        ("Claude Opus 5", "ann", "bill", 100, "Credits", 100, "Credits", third, 1),
        ("Claude Opus 5", "bob", "bill", 200, "Credits", 200, "Credits", two_thirds, 2),
        ("GPT-5.5", "ann", "bill", *half_of_it, 1, 2),
        ("GPT-5.5", "bob", "bill", *a_third, 2, 4),
    ]
    assert view.charges(*columns, **of_bill | {"ChargeCategory": "Purchase"}) == [
        ("Recurring", "bill", None, None, Decimal("0.4"), "User-Months", 7, 8, 20)
    ]


[SKUS] = free_days(1)
TIER = {"service_tier": "batch", "context_window": "0-200k", "inference_geo": "us/east 100%"}
stored(
    *(raw(Costs, usage_date=SKUS, line_item=item) for item in ("gpt-5.4, cached input", "web search tool calls")),
    raw(CostReport, usage_date=SKUS, **{**CLAUDE, "model": "claude-opus-5"}, **TIER),
    raw(CostReport, usage_date=SKUS),
)


def test_a_model_is_a_sku_and_all_that_a_price_depends_on_is_in_its_id(view: View) -> None:
    found = view.charges("SkuId", "SkuMeter", "SkuPriceId", "SkuPriceDetails", x_FirstDay=SKUS)
    assert [(*row[:3], row[3] and json.loads(row[3])) for row in found] == [
        ("anthropic/Other use", "Usage", "anthropic/Other use", None),
        (
            "anthropic/claude-opus-5",
            "Output Tokens",
            "anthropic/claude-opus-5/output_tokens/batch/0-200k/us%2Feast 100%25",
            {
                "ModelDeveloper": "Anthropic",
                "ModelFamily": "claude-opus",
                "ModelId": "claude-opus-5",
                "x_ContextWindow": "0-200k",
                "x_InferenceGeo": "us/east 100%",
                "x_ServiceTier": "batch",
                "x_TokenType": "output_tokens",
            },
        ),
        (
            "openai/gpt-5.4",
            "Cached Input",
            "openai/gpt-5.4/cached input",
            {
                "ModelDeveloper": "OpenAI",
                "ModelFamily": "gpt",
                "ModelId": "gpt-5.4",
                "x_TokenType": "cached input",
            },
        ),
        ("openai/web search tool calls", "Web Search Tool Calls", "openai/web search tool calls", None),
    ]


def listed(amount: str, list_amount: str, **values: Any) -> AnalyticsCost:
    """A row of Anthropic's newer cost report, which states list amounts. It has an id of the default workspace."""
    row = raw(
        AnalyticsCost,
        connection="analytics",
        currency="USD",
        amount_cents=Decimal(amount),
        list_amount_cents=Decimal(list_amount),
        **{**CLAUDE, **values},
    )
    assert isinstance(row, AnalyticsCost)
    return row


AS_BILLED = {"0.1": "0.1", "0.3": "0.3", "0.6": "0.6"}
DISCOUNTED = {"0.1": "0.1", "0.3": "0.333333", "0.6": "0.666667"}
LISTED: Mapping[str, tuple[Any, Any, Mapping[str, str]]] = {
    "discount": (("90", "100"), ("10", "10"), DISCOUNTED),
    "of the default workspace": (("90", "90"), ("10", "20"), {**AS_BILLED, "0.1": "0.2"}),
    "another organization": (("90", "100"), ("11", "11"), AS_BILLED),
    "another split": (("80", "100"), ("20", "20"), AS_BILLED),
    "nothing stated": (None, None, AS_BILLED),
}
LISTED_DAYS = free_days(len(LISTED))
for day, (of_workspace, of_default, _costs) in zip(LISTED_DAYS, LISTED.values(), strict=True):
    for amounts, workspace in ((of_workspace, {}), (of_default, {"workspace_id": "default"})):
        if amounts:
            stored(listed(*amounts, usage_date=day, **workspace))
    for cents, values in (
        ("30", {"context_window": "0-200k", "description": "0-200k"}),
        ("60", {"context_window": "200k-1M", "description": "200k-1M"}),
        ("10", {"workspace_id": None}),
    ):
        stored(raw(CostReport, usage_date=day, amount_cents=cents, **{**CLAUDE, **values}))
    stored(used(100, usage_date=day), used(200, "other", usage_date=day))


def test_list_costs_are_those_that_a_report_of_the_same_organization_states(view: View) -> None:
    for day, (name, (of_workspace, of_default, list_costs)) in zip(LISTED_DAYS, LISTED.items(), strict=True):
        sums: defaultdict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
        for what, cost, each in view.charges("ChargeDescription", "ContractedCost", "ListCost", x_FirstDay=day):
            sums[what] = [sums[what][0] + cost, sums[what][1] + each]
        rounded = {f"{cost.normalize()}": f"{round(each, 6).normalize()}" for cost, each in sums.values()}
        assert rounded == list_costs, name
        if list_costs["0.3"] != "0.3" and of_workspace and of_default:
            of_all = (Decimal(of_workspace[1]) + Decimal(of_default[1])) / 100
            assert abs(sum(each for _, each in sums.values()) - of_all) < Decimal("1e-23"), name
    priced = view.charges("ListUnitPrice", "PricingQuantity", "ListCost", x_Connection="anthropic")
    assert [row for row in priced if abs(float(row[0]) * float(row[1]) - float(row[2])) > 1e-12] == []


SEARCHES = {"model": None, "cost_type": "web_search", "token_type": None}
"""A bill of web searches names no model and no tier. The newer report names both."""
SAME = {"description": "Opus usage"}


LISTED_OF_BILLS: Mapping[str, tuple[Any, Any, Mapping[str, str]]] = {
    "no model and no tier": (
        [("80", SEARCHES), ("40", CLAUDE)],
        [
            ("30", "40", SEARCHES | {"model": "opus", "service_tier": "standard"}),
            ("50", "60", SEARCHES | {"model": "sonnet", "service_tier": "batch"}),
            ("40", "50", {}),
        ],
        {"0.8": "1", "0.4": "0.5"},
    ),
    "beside those that name them": (
        [("80", {}), ("40", {"model": None}), ("10", {"model": None, "service_tier": "batch"})],
        [
            ("80", "100", {"service_tier": "standard"}),
            ("40", "60", {"model": "sonnet", "service_tier": "standard"}),
            ("10", "20", {"model": "haiku", "service_tier": "batch"}),
        ],
        {"0.8": "1", "0.4": "0.6", "0.1": "0.2"},
    ),
    "a description with a discount in one of its tiers": (
        [("50", {"service_tier": "standard", **SAME}), ("10", {"service_tier": "batch", **SAME})],
        [("50", "100", {"service_tier": "standard"}), ("10", "10", {"service_tier": "batch"})],
        {"0.5": "0.5", "0.1": "0.1"},
    ),
}
"""Bills, what is listed, and the list cost of each cost: a day each."""


BILL_DAYS = free_days(len(LISTED_OF_BILLS))
for day, (bills, of_list, _list_costs) in zip(BILL_DAYS, LISTED_OF_BILLS.values(), strict=True):
    stored(*(listed(*each, usage_date=day, **values) for *each, values in of_list))
    for n, (cents, values) in enumerate(bills):
        of_bill = {"description": str(n), **CLAUDE, **values}
        stored(raw(CostReport, usage_date=day, amount_cents=cents, **of_bill))


def test_a_list_amount_is_of_the_bill_that_names_most_of_what_is_listed(view: View) -> None:
    for day, (name, (_, _, list_costs)) in zip(BILL_DAYS, LISTED_OF_BILLS.items(), strict=True):
        assert dict(view.charges("ContractedCost", "ListCost", x_FirstDay=day)) == {
            Decimal(cost): Decimal(each) for cost, each in list_costs.items()
        }, name


OWNERS = [Owner(project="p", team="web", cost_center="4711"), Owner(workspace="w", team="apps")]
[OWNED] = free_days(1)
stored(
    raw(Costs, usage_date=OWNED, project_id="p", line_item="gpt-5, input", user_id="u", api_key_id="k"),
    raw(Costs, usage_date=OWNED),
    raw(CostReport, usage_date=OWNED, workspace_id="w", model="opus", token_type="output_tokens"),
)


def test_a_charge_says_what_it_is_for_and_who_pays(view: View) -> None:
    columns = ("ChargeDescription", "SubAccountId", "SubAccountName", "SubAccountType", "Tags", "ProviderName")
    of_use = ("x_Model", "x_UsageType", "x_UserId", "x_ApiKeyId")
    found = {row[0]: row[1:] for row in view.charges(*columns, *of_use, x_FirstDay=OWNED)}
    assert {row[:3] for row in found.values()} == {("p", "p", "Project"), ("w", "w", "Workspace"), (None, None, None)}
    tags = {name: json.loads(row[3]) for name, row in found.items()}
    assert tags == {
        "gpt-5, input": {"team": "web", "cost_center": "4711", "project": "p"},
        "opus, output_tokens": {"team": "apps", "workspace": "w"},
        "Use that is not itemized": {"team": "unowned"},
    }
    assert found["gpt-5, input"][4:] == ("OpenAI", "gpt-5", "input", "u", "k")
    assert found["opus, output_tokens"][4:] == ("Anthropic", "opus", "output_tokens", None, None)


SERVICES = sorted({derived.part.partition(".")[0] for derived in COSTS} | {"acme"})
stored(*(raw(Costs, connection="services", project_id=name) for name in SERVICES))


def test_every_provider_is_a_service_and_one_that_this_release_does_not_know_is_called_by_its_name(view: View) -> None:
    columns = ("SubAccountId", "SubAccountType", "ServiceName", "ProviderName", "PublisherName", "InvoiceIssuerName")
    found = {name: row for name, *row in view.charges(*columns, x_Connection="services")}
    assert [*found] == SERVICES
    assert [name for name, row in found.items() if not all(row)] == []
    assert found["acme"] == ["Project", *["acme"] * 4]


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


@dataclass(frozen=True)
class Step:
    """What is fetched at a moment, and whether costs are computed then. No rows: costs alone."""

    moment: datetime
    rows: Sequence[Row] | None
    alone: bool = False
    filters: str | None = None


FIRST, CHEAPER = Step(on(20, 10), [costing("10")]), [costing("7.5")]
WHOLE = Step(on(20, 10), [costing("10", grouped_by="project_id")])
CORRECTED: tuple[Any, Any] = ([Decimal("-2.5"), Decimal("2.5")], {"INV-1": 10, None: Decimal("-2.5")})
KEPT: tuple[Any, Any] = ([], {"INV-1": Decimal("7.5")})
CHANGED: Mapping[str, tuple[Mapping[str, Any], Sequence[Step], tuple[Any, Any]]] = {
    "on the stated day": ({}, [FIRST, Step(on(2, hour=23, minute=59), CHEAPER)], KEPT),
    "after the stated day": ({}, [FIRST, Step(on(3), CHEAPER)], CORRECTED),
    "before it is settled": ({"issued": None}, [FIRST, Step(on(7, hour=23, minute=59), CHEAPER)], KEPT),
    "when it is settled": ({"issued": None}, [FIRST, Step(on(8), CHEAPER)], CORRECTED),
    "another month": ({"month": "2026-11"}, [FIRST, Step(on(15), CHEAPER)], ([], {None: Decimal("7.5")})),
    "grouped otherwise": ({}, [WHOLE, Step(on(5), by_line("4", "6"))], ([], {"INV-1": 10})),
    "rounded": (
        {},
        [WHOLE, Step(on(5), by_line("10.0000000000015"))],
        ([], {"INV-1": Decimal("10.0000000000015")}),
    ),
    "asked otherwise": ({}, [FIRST, Step(on(15), [costing("5")], filters="others")], ([], {"INV-1": 5})),
    "restated in parts": ({}, [WHOLE, Step(on(5), by_line("4", "5"))], ([-1, 1], {"INV-1": 10, None: -1})),
}
"""What an invoice says otherwise, what is fetched, and the corrections and sums of each invoice."""
EUROS = [costing(amount, amount_currency="eur") for amount in ("4", "6")]
TOKENS = {"line_item": "gpt-5, input", "quantity_unit": "tokens"}
BEFORE, AFTER = (
    [costing(amount, **TOKENS, quantity=Decimal(of)), costing("10")] for amount, of in (("10", 100), ("4", 40))
)
FETCHED = [Step(on(20, 10), BEFORE), Step(on(5), AFTER, alone=True)]
FOLLOWED = [*FETCHED, Step(on(5, hour=1), None)]
CLOCKS = {"earlier": on(4, hour=23), "same instant": on(5)}
STEPS: Mapping[str, Sequence[Step]] = {
    **{name: steps for name, (_, steps, _) in CHANGED.items()},
    "changed twice": [
        Step(on(20, 10), [costing("10"), EUROS[0]]),
        Step(on(5, hour=23), [*CHEAPER, EUROS[1]]),
        Step(on(6), [costing("8"), EUROS[1]]),
    ],
    "fetched": FETCHED,
    "followed by costs": FOLLOWED,
    "fetched again": [*FOLLOWED, Step(on(6), BEFORE, alone=True)],
    **{
        f"{name}{end}": [
            Step(on(4), [costing("10")], alone=True),
            Step(on(5), None),
            Step(moment, [costing("4")], alone=True),
            *more,
        ]
        for name, moment in CLOCKS.items()
        for end, more in (("", ()), (", followed", [Step(on(5, hour=1), None)]))
    },
    **{name: [Step(on(27, 10), [costing("10")]), Step(on(5), [costing("4")])] for name in ("no inputs", "or later")},
    "restated away": [FIRST, Step(on(5), [])],
    "several": [FIRST],
}
"""What is fetched of each connection."""


def invoices() -> Iterator[Invoice]:
    """One of each connection that is restated, and two of one."""
    for name in (*STEPS, "cents"):
        stated = CHANGED[name][0] if name in CHANGED else {}
        yield INVOICE.model_copy(update={"connection": name, **stated})
    yield INVOICE.model_copy(update={"connection": "several", "id": "INV-2"})


def restate(days: Days) -> None:
    """Fetch, and compute costs, at the moments of each connection."""
    for name, steps in STEPS.items():
        for step in steps:
            if step.rows is None:
                with time_machine.travel(step.moment, tick=False):
                    days.derive("openai_costs", name, first=OCTOBER)
            else:
                fetched_at(days, step.moment, *step.rows, connection=name, filters=step.filters, alone=step.alone)
    with days.warehouse.transaction() as database:
        database.execute(
            "update ledger.partition_versions set inputs = null where connection in ('no inputs', 'or later')"
        )
    fetched_at(days, on(6), costing("3"), connection="or later", alone=True)
    for moment, amount in ((on(30, 10), "100"), (on(9), "250.5")):
        report = raw(CostReport, usage_date=OCTOBER, amount_cents=amount)
        fetched_at(days, moment, report, row=CostReport, connection="cents")


def test_a_correction_is_what_changes_in_dollars_after_the_month_was_invoiced(view: View) -> None:
    """A month is invoiced on the stated day, or when it is settled."""
    for name, (_, _, expected) in CHANGED.items():
        assert ([row[2] for row in view.corrections(name)], view.billed(name)) == expected, name
    assert view.billed("several") == {None: 10}, "none of two is named"
    assert view.billed("cents") == {"INV-1": 1, None: Decimal("1.505")}
    assert view.corrections("cents")[0][:3] == ("Correction", "USD", Decimal("1.505"))


def test_what_changes_after_the_invoice_is_a_correction_and_what_is_on_the_invoice_stays(view: View) -> None:
    what = "orrection of openai.costs, version"
    assert view.corrections("changed twice") == [
        ("Correction", "USD", Decimal("-2.5"), None, f"C{what} 2, found 2026-11-05"),
        ("Correction", "USD", Decimal("0.5"), None, f"C{what} 3, found 2026-11-06"),
        (None, "USD", Decimal("-0.5"), "INV-1", f"As invoiced: without the c{what} 3, found 2026-11-06"),
        (None, "USD", Decimal("2.5"), "INV-1", f"As invoiced: without the c{what} 2, found 2026-11-05"),
    ]
    sums = {("INV-1", "USD"): 10, (None, "EUR"): 6, (None, "USD"): -2}
    assert view.billed("changed twice", "x_InvoiceId", "BillingCurrency") == sums


def test_what_was_fetched_alone_is_no_correction_before_its_costs_follow(view: View) -> None:
    """Neither is its quantity: the invoice's rows added up to 26 of 20."""
    for name, billed, most in (
        ("fetched", {"INV-1": 20}, {"INV-1": 1}),
        ("followed by costs", {"INV-1": 20, None: -6}, {"INV-1": 40, None: -1}),
        ("fetched again", {"INV-1": 20, None: -6}, {"INV-1": 1, None: -1}),
    ):
        assert view.billed(name) == billed, name
        assert dict(view.charges("x_InvoiceId", "PricingQuantity", x_Connection=name)) == most, "the last is the most"


def test_what_costs_were_computed_from_does_not_depend_on_the_clock(view: View) -> None:
    for name in CLOCKS:
        assert view.billed(name) == {"INV-1": 10}, name
        assert view.billed(f"{name}, followed") == {"INV-1": 10, None: -6}, name


def test_costs_of_a_release_that_recorded_no_inputs_have_followed_what_was_written_before_them(view: View) -> None:
    assert [len(view.corrections(name)) for name in ("no inputs", "or later")] == [2, 2]


def test_a_connection_whose_costs_are_all_restated_away_keeps_corrections_invoice_and_purchases(view: View) -> None:
    assert view.days.read("from costs.daily_costs where connection = 'restated away'") == []
    columns = ("ChargeCategory", "ChargeClass", "BilledCost", "x_InvoiceId", "ServiceName")
    assert view.charges(*columns, x_Connection="restated away") == [
        ("Purchase", None, PAID, "order 9", "OpenAI API"),
        ("Usage", "Correction", -10, None, "OpenAI API"),
        ("Usage", None, 10, "INV-1", "OpenAI API"),
    ]
