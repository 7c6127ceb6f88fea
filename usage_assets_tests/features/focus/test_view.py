"""``costs.focus``: what is a row of FOCUS, in which currency and quantity, and what becomes of a restated invoice."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
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


MONEY = ("BilledCost", "EffectiveCost", "ContractedCost", "ListCost")
PERIODS = ("ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodEnd")


def charges(days: Days, *columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    """Columns of every row of the view."""
    query = f"select {', '.join(columns)} from costs.focus where {where} order by all"
    return [tuple(row.values()) for row in days.warehouse.read(query).to_pylist()]


def test_what_is_billed_is_billed_in_its_own_currency(days: Days) -> None:
    euro = ExchangeRate(currency="EUR", usd=Decimal("1.0842"), valid_from=DAY, source="ECB")
    days = stating(days, exchange_rates=[euro])
    days.fetched(
        Costs,
        raw(Costs, amount_value=Decimal("0.000000000000000000000001"), line_item="gpt-5, input"),
        raw(Costs, amount_value=Decimal("-7.25"), line_item="gpt-5, output"),
        raw(Costs, amount_value=Decimal(3), amount_currency="eur"),
    )
    days.fetched(CostReport, raw(CostReport, amount_cents=Decimal("123.45")))
    currencies = {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}
    reported = {"connection": "many", "amount_cents": Decimal(10000)}
    days.fetched(CostReport, *(raw(CostReport, currency=code, **reported) for code in currencies), connection="many")
    days.derive("openai_costs")
    for connection in ("anthropic", "many"):
        days.derive("anthropic_cost_report", connection)
    columns = ("BillingCurrency", "BilledCost", "EffectiveCost", "PricingCurrency", "x_NativeAmount", "x_NativeUnit")
    found = charges(days, "x_Connection", *columns)
    assert [of[1:] for of in found if of[0] != "many"] == [
        ("USD", Decimal("1.2345"), Decimal("1.2345"), "USD", Decimal("123.45"), "cents"),
        ("EUR", 3, 3, "EUR", 3, "major units"),
        ("USD", Decimal("-7.25"), Decimal("-7.25"), "USD", Decimal("-7.25"), "dollars"),
        ("USD", Decimal("1e-24"), Decimal("1e-24"), "USD", Decimal("1e-24"), "dollars"),
    ]
    assert {currency: billed for of, currency, billed, *_ in found if of == "many"} == {
        code: Decimal(10000).scaleb(-digits) for code, digits in currencies.items()
    }


def test_the_view_has_the_columns_that_are_declared_in_their_order(days: Days) -> None:
    """The rest is to filter by: a filter of it reaches the stored days, which DuckDB omits where there is only one."""
    next_day = DAY + timedelta(days=1)
    days.fetched(Costs, raw(Costs), raw(Costs, usage_date=next_day), last=next_day)
    days.fetched(Charges, raw(Charges), raw(Charges, usage_date=next_day), last=next_day)
    for file in ("openai_costs", "focus_charges"):
        days.derive(file, last=next_day)
    found = [row["column_name"] for row in days.warehouse.read("from (describe costs.focus)").to_pylist()]
    assert [name for name in found if name != "x_FirstDay"] == [column.name for column in COLUMNS]
    query = f"explain (format json) from costs.focus where x_FirstDay = '{DAY}'"
    [plan] = json.loads(days.warehouse.read(query).to_pylist()[0]["explain_value"])
    scans = [scan for scan in scans_of(plan) if scan["Table"].endswith(("costs.daily_costs", "focus.charges"))]
    assert {scan["Table"].rpartition(".")[2] for scan in scans} == {"daily_costs", "charges"}
    assert [scan for scan in scans if "usage_date" not in str(scan.get("Filters"))] == []


def scans_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a query plan says of each table that it scans."""
    if "Table" in plan["extra_info"]:
        yield plan["extra_info"]
    for child in plan["children"]:
        yield from scans_of(child)


def test_estimates_and_what_a_seat_covers_are_no_charges(days: Days) -> None:
    days.fetched(ClaudeCode, paid(ClaudeCode), paid(ClaudeCode, customer_type="subscription"))
    days.fetched(CodexUsage, raw(CodexUsage, estimated_cost_usd=Decimal(2)))
    for file in ("anthropic_claude_code", "chatgpt_codex_usage"):
        assert days.rows(file)
    assert charges(days, "*") == []


QUANTITIES = ("x_QuantitySource", "ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit")


def test_credits_are_priced_in_credits_and_cost_when_they_are_used_and_seats_when_they_are_bought(days: Days) -> None:
    """What has no rate or no currency stays out and is counted."""
    seats = {"kind": "seats", "id": "order 10", "currency": "EUR", "valid_until": None}
    elsewhere = {"connection": "anthropic", "amount": Decimal(8)}
    much, paid = Decimal("12.5000000000000000001"), Decimal("3.5")
    purchases = [PACK, *(PACK.model_copy(update=each) for each in (seats, elsewhere))]
    days = stating(days, credit_rates=[FOUR_CENTS], purchases=purchases)
    used = [
        raw(CodexUsage, credits=much, cost_usd=Decimal(3), workspace_id="ws"),
        *(raw(CodexUsage, credits=Decimal(n), workspace_id=f"ws{n}") for n in (5, 6)),
    ]
    days.fetched(CodexUsage, *used)
    days.fetched(Costs, raw(Costs, amount_currency=None, amount_value=Decimal(9)))
    days.derive("chatgpt_codex_usage")
    days.derive("openai_costs")
    columns = ("ChargeCategory", "BilledCost", "EffectiveCost", "PricingCurrency", "PricingCurrencyEffectiveCost")
    assert charges(days, *columns, "PricingQuantity", "PricingUnit", "ContractedUnitPrice", "SkuId") == [
        ("Purchase", paid, 0, "USD", 0, 100, "Credits", Decimal("0.035"), "chatgpt/Credits"),
        ("Purchase", paid, paid, "EUR", paid, 100, "Seats", Decimal("0.035"), "chatgpt/Seats"),
        ("Usage", 0, much * Decimal("0.04"), "Credits", much, much, "Credits", Decimal("0.04"), "chatgpt/Codex"),
        ("Usage", 3, 3, "USD", 3, 1, "Units", 3, "chatgpt/Codex"),
    ]
    of_rate = ("x_QuantitySource", "ConsumedQuantity", "x_UsdPerCredit", "x_UsdPerCreditSource")
    assert charges(days, *of_rate, where="PricingCurrency = 'Credits'") == [
        ("bill", much, Decimal("0.04"), "contract 7"),
    ]
    periods = ("ChargeFrequency", "BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
    first, end_of_november = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    fifth, end = datetime(2026, 11, 5, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)
    assert charges(days, *periods, where="ChargeCategory = 'Purchase'") == [
        ("One-Time", first, end_of_november, fifth, end_of_november),
        ("One-Time", first, end_of_november, fifth, end),
    ]
    left_out = days.warehouse.read("from costs.focus_left_out order by all").to_pylist()
    assert [tuple(row.values()) for row in left_out] == [
        ("anthropic", PACK.valid_from, "purchases of connections without costs", "USD", 1, 8),
        ("chatgpt", DAY, "credits without a rate", "credits", 2, 11),
        ("openai", DAY, "costs without a currency", "major units", 1, 9),
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


def test_a_price_times_the_quantity_is_the_cost_and_all_rows_of_a_charge_have_one_unit(days: Days) -> None:
    """What has no such price is priced as one unit; what was used is said all the same."""
    every = days_from(len(PRICED))
    last = every[-1]
    stated = [
        raw(
            Costs,
            usage_date=day,
            line_item="gpt-5, input",
            api_source=str(n),
            quantity=quantity and Decimal(quantity),
            quantity_unit=unit,
        )
        for day, (quantities, _) in zip(every, STATED, strict=False)
        for n, (quantity, unit) in enumerate(quantities)
    ]
    images = {"line_item": "gpt-5, input", "project_id": "p", "quantity": Decimal(1000), "quantity_unit": "images"}
    days.fetched(Costs, *stated, *(raw(Costs, usage_date=day, **images) for day in every[: len(STATED)]), last=last)
    of_hours = {"connection": "hours", "quantity_unit": "duration_hours"}
    priced = [
        raw(Costs, usage_date=day, amount_value=Decimal(amount), quantity=Decimal(quantity), **of_hours)
        for day, (amount, quantity, _, _) in zip(every, PRICED, strict=True)
    ]
    days.fetched(Costs, *priced, connection="hours", last=last)
    thousands = {"connection": "thousands", "quantity": Decimal("0.5"), "quantity_unit": "1000_tokens"}
    days.fetched(Costs, raw(Costs, amount_value=Decimal(2), **thousands), connection="thousands")
    for connection in ("openai", "hours", "thousands"):
        days.derive("openai_costs", connection, last=last if connection != "thousands" else DAY)
    found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    columns = ("x_FirstDay", "BilledCost", *QUANTITIES, "ContractedUnitPrice", "ListUnitPrice")
    for connection, *row in charges(days, "x_Connection", *columns):
        found[connection].append(tuple(row))
    assert {(day, billed, *priced) for day, billed, _, _, _, *priced, _, _ in found["openai"]} == {
        row
        for day, (quantities, expected) in zip(every, STATED, strict=False)
        for row in ((day, 1, 1000, "Images"), (day, len(quantities), *expected))
    }
    assert [row[2:] for row in found["thousands"]] == [("bill", 500, "Tokens", Decimal("0.5"), "1000 Tokens", 4, 4)]
    assert {row[0]: (row[5:7], row[3], row[7:]) for row in found["hours"]} == {
        day: ((Decimal(priced), unit), Decimal(quantity), (Decimal(price), Decimal(price)))
        for day, (_, quantity, (priced, unit), price) in zip(every, PRICED, strict=True)
    }


CLAUDE = {"workspace_id": "w", "model": "opus", "cost_type": "tokens", "token_type": "output_tokens"}
"""What a bill and the use that it is split by have in common."""


def used(tokens: int, key: str | None = "k", **values: Any) -> Row:
    """A row of the usage report."""
    return raw(UsageMessages, workspace_id="w", model="opus", api_key_id=key, output_tokens=tokens, **values)


def of_claude(days: Days, bills: Sequence[Row], uses: Sequence[Row], last: date = DAY) -> None:
    """Store bills and the use that they are split by."""
    days.fetched(CostReport, *bills, last=last)
    days.fetched(UsageMessages, *uses, last=last)
    days.derive("anthropic_cost_report", last=last)
    days.derive("anthropic_allocated_costs", last=last)


SHARED: Sequence[Mapping[str, int | None]] = (
    {"10": 16, "20": 34, "30": 50},
    {"10": 25, "-5": 0, "30": 75},
    {"0": None, "0.0": None, "-1": None},
)
"""Bills of a day, and the tokens of each."""


def test_a_bill_without_a_quantity_has_its_part_of_the_use_and_no_use_is_counted_twice(days: Days) -> None:
    """A report by model has no context windows, which are billed apart. Each of their rows had all 100 tokens."""
    first, of_tiers, *every = days_from(2 + len(SHARED))
    bills = [
        raw(CostReport, amount_cents=Decimal(30), service_tier="standard", **CLAUDE),
        raw(CostReport, amount_cents=Decimal(5), cost_type="code_execution", description="Code execution"),
    ]
    uses = [used(100, service_tier="standard"), used(200, "other", service_tier="standard")]
    uses.append(used(7, service_tier="priority"))
    for tier in ("standard", "batch"):
        of_tier: dict[str, Any] = {"usage_date": of_tiers, "service_tier": tier}
        bills.append(raw(CostReport, amount_cents=Decimal(10), **of_tier, **CLAUDE))
        uses.append(used(100, **of_tier))
    for day, tokens in zip(every, SHARED, strict=True):
        uses.append(used(100, usage_date=day))
        bills += [
            raw(CostReport, usage_date=day, amount_cents=Decimal(amount), context_window=f"{n}k", **CLAUDE)
            for n, amount in enumerate(tokens)
        ]
    of_claude(days, bills, uses, last=every[-1])
    columns = ("x_ApiKeyId", "BilledCost", *QUANTITIES, "ContractedUnitPrice")
    found: dict[date, list[tuple[Any, ...]]] = defaultdict(list)
    for day, native, *row in charges(days, "x_FirstDay", "x_NativeAmount", *columns):
        found[day].append((native, *row))
    price = Decimal("0.001")
    assert sorted((row[1:] for row in found[first]), key=str) == [
        ("k", Decimal("0.1"), "usage", 100, "Tokens", 100, "Tokens", price),
        ("other", Decimal("0.2"), "usage", 200, "Tokens", 200, "Tokens", price),
        (None, Decimal("0.05"), "none", 1, "Units", 1, "Units", Decimal("0.05")),
    ]
    assert [row[3:5] for row in found[of_tiers]] == [("usage", 100)] * 2
    for day, tokens in zip(every, SHARED, strict=True):
        shared = {str(round(row[0])): row[4] for row in found[day] if row[3] == "shared usage"}
        expected = {amount: quantity for amount, quantity in tokens.items() if quantity is not None}
        assert shared == expected, day
        assert {(row[3], row[5]) for row in found[day]} == {
            ("shared usage", "Tokens") if expected else ("none", "Units")
        }, day


def test_a_charge_of_a_file_is_explained_by_its_own_row_and_days_without_costs_have_none(days: Days) -> None:
    """What is in the columns is compared in test_round_trip.py."""
    charge = {"billing_currency": "USD", "charge_category": "Usage", "service_name": "Amazon Bedrock"}
    days.fetched(Charges, *(raw(Charges, **charge, billed_cost=Decimal(1), sku_id=sku) for sku in ("1", "2")))
    days.derive("focus_charges")
    without_costs = DAY + timedelta(days=1)
    days.fetched(Charges, raw(Charges, usage_date=without_costs, **charge), first=without_costs)
    with days.warehouse.transaction() as database:
        rows = fetch(database, "select * from costs.focus where SkuId = '2' or x_FirstDay > $day", {"day": DAY})
        found = sources_of_view(database, "costs.focus", rows)
    assert {source: [row["sku_id"] for row in each] for source, each in found.items()} == {"focus.charges": ["2"]}


def test_charges_of_files_take_no_part_in_corrections_and_show_what_was_read_last(days: Days) -> None:
    """Their makers write corrections of their own."""
    days = stating(days, invoices=[Invoice(connection="focus", month="2026-11", total=Decimal(1), id="I", issued=DAY)])
    charge = {"billing_currency": "USD", "charge_category": "Usage", "service_name": "Amazon Bedrock"}
    for billed in (1, 3):
        days.fetched(Charges, raw(Charges, **charge, billed_cost=Decimal(billed)))
        if billed == 1:
            days.derive("focus_charges")
    assert charges(days, "BilledCost", "ChargeClass") == [(3, None)]
    days.derive("focus_charges")
    assert charges(days, "BilledCost", "ChargeClass") == [(3, None)]


def test_every_column_of_a_file_is_exported_once() -> None:
    """What has no column of its own is in x_OtherColumns, without what has one."""
    [file] = sql_files("focus_rows/*.sql")
    stated = re.findall(r'"(\w+)": "', file.read_text())
    own = {field.encode_name for field in msgspec.structs.fields(Charges)}
    assert sorted(stated) == sorted({column.name for column in COLUMNS} - own)


METERED = {"product": "Copilot", "sku": "Copilot AI Credits", "unit_type": "ai-credits"}
SEATS = {"product": "Copilot", "sku": "Copilot Business", "unit_type": "user-months"}


def test_credits_of_a_bill_are_split_with_it_and_seats_are_bought_every_month_and_are_no_use(days: Days) -> None:
    money = {"gross_amount": Decimal(3), "discount_amount": Decimal(2), "net_amount": Decimal(1)}
    twice = {"gross_quantity": Decimal("0.5"), "gross_amount": Decimal(6), "net_amount": Decimal(3)}
    days.fetched(
        AiCredits,
        raw(AiCredits, **METERED, model="Claude Opus 5", gross_quantity=Decimal(300), **money),
        raw(AiCredits, **METERED, model="GPT-5.5", **twice),
    )
    days.fetched(
        Users1Day,
        *(raw(Users1Day, user_login=who, ai_credits_used=Decimal(n)) for who, n in (("ann", 1), ("bob", 2))),
    )
    of_seats = {"quantity": Decimal("0.4"), "gross_amount": Decimal(8), "net_amount": Decimal(7)}
    days.fetched(BillingUsage, raw(BillingUsage, **SEATS, **of_seats))
    for file in ("github_copilot_ai_credits", "github_copilot_billing_usage", "github_copilot_allocated_costs"):
        days.derive(file)
    columns = ("ChargeCategory", "ChargeFrequency", *QUANTITIES, "ContractedCost", "ListCost", "ListUnitPrice")
    found = charges(days, "x_Model", "x_UserId", *columns)
    split = {(model, user): row[2:9] for model, user, *row in found if row[0] == "Usage"}
    third, two_thirds = (Decimal(f"0.{digits}") for digits in ("3" * 24, "6" * 23 + "7"))
    a_third = Decimal("0.333333333"), "Credits", Decimal("0.333333333"), "Credits"
    half_of_it = Decimal("0.166666666"), "Credits", Decimal("0.166666666"), "Credits"
    assert {of: tuple(row) for of, row in split.items()} == {
        ("Claude Opus 5", "ann"): ("bill", 100, "Credits", 100, "Credits", third, 1),
        ("Claude Opus 5", "bob"): ("bill", 200, "Credits", 200, "Credits", two_thirds, 2),
        ("GPT-5.5", "ann"): ("bill", *half_of_it, 1, 2),
        ("GPT-5.5", "bob"): ("bill", *a_third, 2, 4),
    }
    assert [row[2:] for row in found if row[2] == "Purchase"] == [
        ("Purchase", "Recurring", "bill", None, None, Decimal("0.4"), "User-Months", 7, 8, 20)
    ]


def test_a_model_is_a_sku_and_all_that_a_price_depends_on_is_in_its_id(days: Days) -> None:
    days.fetched(Costs, *(raw(Costs, line_item=item) for item in ("gpt-5.4, cached input", "web search tool calls")))
    tier = {"service_tier": "batch", "context_window": "0-200k", "inference_geo": "us/east 100%"}
    days.fetched(CostReport, raw(CostReport, **{**CLAUDE, "model": "claude-opus-5"}, **tier), raw(CostReport))
    for file in ("openai_costs", "anthropic_cost_report"):
        days.derive(file)
    found = charges(days, "SkuId", "SkuMeter", "SkuPriceId", "SkuPriceDetails")
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


def test_list_costs_are_those_that_a_report_of_the_same_organization_states(days: Days) -> None:
    as_billed = {"0.1": "0.1", "0.3": "0.3", "0.6": "0.6"}
    discounted = {"0.1": "0.1", "0.3": "0.333333", "0.6": "0.666667"}
    cases = {
        "discount": (("90", "100"), ("10", "10"), discounted),
        "of the default workspace": (("90", "90"), ("10", "20"), {**as_billed, "0.1": "0.2"}),
        "another organization": (("90", "100"), ("11", "11"), as_billed),
        "another split": (("80", "100"), ("20", "20"), as_billed),
        "nothing stated": (None, None, as_billed),
    }
    every = dict(zip(cases, days_from(len(cases)), strict=True))
    last = max(every.values())
    reported = [
        listed(*amounts, usage_date=every[name], **workspace)
        for name, (of_workspace, of_default, _) in cases.items()
        for amounts, workspace in ((of_workspace, {}), (of_default, {"workspace_id": "default"}))
        if amounts
    ]
    days.fetched(AnalyticsCost, *reported, connection="analytics", last=last)
    kinds = (
        ("30", {"context_window": "0-200k", "description": "0-200k"}),
        ("60", {"context_window": "200k-1M", "description": "200k-1M"}),
        ("10", {"workspace_id": None}),
    )
    bills = [
        raw(CostReport, usage_date=day, amount_cents=Decimal(cents), **{**CLAUDE, **values})
        for day in every.values()
        for cents, values in kinds
    ]
    uses = [used(tokens, key, usage_date=day) for day in every.values() for tokens, key in ((100, "k"), (200, "other"))]
    of_claude(days, bills, uses, last)
    sums = (
        "select sum(ContractedCost) as cost, sum(ListCost) as list_cost from costs.focus where x_FirstDay = $day "
        "group by ChargeDescription"
    )
    for name, (of_workspace, of_default, list_costs) in cases.items():
        found = {row["cost"]: row["list_cost"] for row in days.warehouse.read(sums, {"day": every[name]}).to_pylist()}
        rounded = {f"{cost.normalize()}": f"{round(each, 6).normalize()}" for cost, each in found.items()}
        assert rounded == list_costs, name
        if list_costs["0.3"] != "0.3" and of_workspace and of_default:
            of_all = (Decimal(of_workspace[1]) + Decimal(of_default[1])) / 100
            assert abs(sum(found.values()) - of_all) < Decimal("1e-23"), name
    assert charges(days, "*", where="abs(ListUnitPrice * 1e0 * PricingQuantity - ListCost) > 1e-12") == []


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


def test_a_list_amount_is_of_the_bill_that_names_most_of_what_is_listed(days: Days) -> None:
    every = dict(zip(LISTED_OF_BILLS, days_from(len(LISTED_OF_BILLS)), strict=True))
    last = max(every.values())
    reported, billed = [], []
    for name, (bills, amounts, _) in LISTED_OF_BILLS.items():
        reported += [listed(*each, usage_date=every[name], **values) for *each, values in amounts]
        billed += [
            raw(
                CostReport,
                usage_date=every[name],
                amount_cents=Decimal(cents),
                **{"description": str(n), **CLAUDE, **values},
            )
            for n, (cents, values) in enumerate(bills)
        ]
    days.fetched(AnalyticsCost, *reported, connection="analytics", last=last)
    days.fetched(CostReport, *billed, last=last)
    days.derive("anthropic_cost_report", last=last)
    found = charges(days, "x_FirstDay", "ContractedCost", "ListCost")
    assert {name: {cost: each for day, cost, each in found if day == every[name]} for name in every} == {
        name: {Decimal(cost): Decimal(each) for cost, each in list_costs.items()}
        for name, (_, _, list_costs) in LISTED_OF_BILLS.items()
    }


def test_a_charge_says_what_it_is_for_and_who_pays(days: Days) -> None:
    days = stating(days, owners=[Owner(project="p", team="web", cost_center="4711"), Owner(workspace="w", team="apps")])
    days.fetched(Costs, raw(Costs, project_id="p", line_item="gpt-5, input", user_id="u", api_key_id="k"), raw(Costs))
    days.fetched(CostReport, raw(CostReport, workspace_id="w", model="opus", token_type="output_tokens"))
    days.derive("openai_costs")
    days.derive("anthropic_cost_report")
    columns = ("ChargeDescription", "SubAccountId", "SubAccountName", "SubAccountType", "Tags", "ProviderName")
    found = {row[0]: row[1:] for row in charges(days, *columns, "x_Model", "x_UsageType", "x_UserId", "x_ApiKeyId")}
    assert {row[:3] for row in found.values()} == {("p", "p", "Project"), ("w", "w", "Workspace"), (None, None, None)}
    tags = {name: json.loads(row[3]) for name, row in found.items()}
    assert tags == {
        "gpt-5, input": {"team": "web", "cost_center": "4711", "project": "p"},
        "opus, output_tokens": {"team": "apps", "workspace": "w"},
        "Use that is not itemized": {"team": "unowned"},
    }
    assert found["gpt-5, input"][4:] == ("OpenAI", "gpt-5", "input", "u", "k")
    assert found["opus, output_tokens"][4:] == ("Anthropic", "opus", "output_tokens", None, None)


def test_every_provider_is_a_service_and_one_that_this_release_does_not_know_is_called_by_its_name(days: Days) -> None:
    names = sorted({derived.part.partition(".")[0] for derived in COSTS} | {"acme"})
    days.fetched(Costs, *(raw(Costs, project_id=name) for name in names))
    days.derive("openai_costs")
    with days.warehouse.transaction() as database:
        database.execute("update costs.daily_costs set provider = project_id")
    columns = ("SubAccountId", "SubAccountType", "ServiceName", "ProviderName", "PublisherName", "InvoiceIssuerName")
    found = {name: row for name, *row in charges(days, *columns)}
    assert [*found] == names
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
    file: str = "openai_costs",
    connection: str | None = None,
    alone: bool = False,
) -> None:
    """A day of October is fetched and, unless that is run alone, derived at a moment."""
    with time_machine.travel(moment, tick=False):
        content = to_arrow(row, rows)
        answer = Batch(rows=content, began=moment, settling_days=7, filters=filters, question="what it costs")
        owner = connection or file.partition("_")[0]
        days.warehouse.replace(Table(row), answer, Slice(owner, OCTOBER, OCTOBER), "run")
        if not alone:
            days.derive(file, owner, first=OCTOBER)


def costing(amount: str, **values: Any) -> Row:
    return raw(Costs, usage_date=OCTOBER, amount_value=Decimal(amount), **values)


def corrections(days: Days, connection: str = "openai") -> list[tuple[Any, ...]]:
    columns = ("ChargeClass", "BillingCurrency", "BilledCost", "x_InvoiceId", "ChargeDescription")
    return charges(days, *columns, where=f"ChargeDescription like '%orrection of %' and x_Connection = '{connection}'")


def test_what_changes_after_the_invoice_is_a_correction_and_what_is_on_the_invoice_stays(days: Days) -> None:
    days = stating(days, invoices=[INVOICE])
    fetched_at(days, datetime(2026, 10, 20, tzinfo=UTC), costing("10"), costing("4", amount_currency="eur"))
    fetched_at(days, datetime(2026, 11, 5, 23, tzinfo=UTC), costing("7.5"), costing("6", amount_currency="eur"))
    fetched_at(days, datetime(2026, 11, 6, tzinfo=UTC), costing("8"), costing("6", amount_currency="eur"))
    what = "orrection of openai.costs, version"
    assert corrections(days) == [
        ("Correction", "USD", Decimal("-2.5"), None, f"C{what} 2, found 2026-11-05"),
        ("Correction", "USD", Decimal("0.5"), None, f"C{what} 3, found 2026-11-06"),
        (None, "USD", Decimal("-0.5"), "INV-1", f"As invoiced: without the c{what} 3, found 2026-11-06"),
        (None, "USD", Decimal("2.5"), "INV-1", f"As invoiced: without the c{what} 2, found 2026-11-05"),
    ]
    sums = "select x_InvoiceId, BillingCurrency, sum(BilledCost) as billed from costs.focus group by all order by all"
    assert [tuple(row.values()) for row in days.warehouse.read(sums).to_pylist()] == [
        ("INV-1", "USD", 10),
        (None, "EUR", 6),
        (None, "USD", -2),
    ]


def test_what_was_fetched_alone_is_no_correction_before_its_costs_follow(days: Days) -> None:
    """Neither is its quantity: the invoice's rows added up to 26 of 20."""
    days = stating(days, invoices=[INVOICE.model_copy(update={"total": Decimal(20)})])
    of_tokens = {"line_item": "gpt-5, input", "quantity_unit": "tokens"}
    before = costing("10", **of_tokens, quantity=Decimal(100))
    fetched_at(days, datetime(2026, 10, 20, tzinfo=UTC), before, costing("10"))
    columns = ("x_InvoiceId", "sum(BilledCost)", "max(PricingQuantity)")
    after = costing("4", **of_tokens, quantity=Decimal(40))
    found = datetime(2026, 11, 5, tzinfo=UTC)
    fetched_at(days, found, after, costing("10"), alone=True)
    assert charges(days, *columns, where="true group by all") == [("INV-1", 20, 1)]
    with time_machine.travel(found + timedelta(hours=1), tick=False):
        days.derive("openai_costs", first=OCTOBER)
    assert charges(days, *columns, where="true group by all") == [("INV-1", 20, 40), (None, -6, -1)]
    fetched_at(days, found + timedelta(days=1), before, costing("10"), alone=True)
    assert charges(days, *columns, where="true group by all") == [("INV-1", 20, 1), (None, -6, -1)]


def test_what_costs_were_computed_from_does_not_depend_on_the_clock(days: Days) -> None:
    clocks_set_back = {"earlier": timedelta(hours=1), "same instant": timedelta()}
    days = stating(days, invoices=[INVOICE.model_copy(update={"connection": name}) for name in clocks_set_back])
    derived = datetime(2026, 11, 5, tzinfo=UTC)
    for name, clock_set_back in clocks_set_back.items():
        before, after = costing("10", connection=name), costing("4", connection=name)
        fetched_at(days, derived - timedelta(days=1), before, connection=name, alone=True)
        with time_machine.travel(derived, tick=False):
            days.derive("openai_costs", name, first=OCTOBER)
        fetched_at(days, derived - clock_set_back, after, connection=name, alone=True)
    billed = ("x_Connection", "x_InvoiceId", "sum(BilledCost)")
    assert charges(days, *billed, where="true group by all") == [(name, "INV-1", 10) for name in clocks_set_back]
    with time_machine.travel(derived + timedelta(hours=1), tick=False):
        for name in clocks_set_back:
            days.derive("openai_costs", name, first=OCTOBER)
    assert charges(days, *billed, where="true group by all") == [
        (name, *of_invoice) for name in clocks_set_back for of_invoice in (("INV-1", 10), (None, -6))
    ]


def test_costs_of_a_release_that_recorded_no_inputs_have_followed_what_was_written_before_them(days: Days) -> None:
    days = stating(days, invoices=[INVOICE])
    found = datetime(2026, 11, 5, tzinfo=UTC)
    fetched_at(days, found - timedelta(days=9), costing("10"))
    fetched_at(days, found, costing("4"))
    with days.warehouse.transaction() as database:
        database.execute("update ledger.partition_versions set inputs = null")
    assert len(corrections(days)) == 2
    fetched_at(days, found + timedelta(days=1), costing("3"), alone=True)
    assert len(corrections(days)) == 2


def test_a_connection_whose_costs_are_all_restated_away_keeps_corrections_invoice_and_purchases(days: Days) -> None:
    days = stating(days, invoices=[INVOICE], purchases=[PACK.model_copy(update={"connection": "openai"})])
    fetched_at(days, datetime(2026, 10, 20, tzinfo=UTC), costing("10"))
    fetched_at(days, datetime(2026, 11, 5, tzinfo=UTC))
    assert days.warehouse.read("from costs.daily_costs").num_rows == 0
    assert charges(days, "ChargeCategory", "ChargeClass", "BilledCost", "x_InvoiceId", "ServiceName") == [
        ("Purchase", None, Decimal("3.5"), "order 9", "OpenAI API"),
        ("Usage", "Correction", -10, None, "OpenAI API"),
        ("Usage", None, 10, "INV-1", "OpenAI API"),
    ]
    assert days.warehouse.read("from costs.focus_left_out").num_rows == 0


def on(day: int, month: int = 11, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def test_a_correction_is_what_changes_in_dollars_after_the_month_was_invoiced(days: Days) -> None:
    """A month is invoiced on the stated day, or when it is settled."""
    first, cheaper = (on(20, 10), costing("10")), costing("7.5")
    corrected: tuple[Any, Any] = ([Decimal("-2.5"), Decimal("2.5")], {"INV-1": 10, None: Decimal("-2.5")})
    kept: tuple[Any, Any] = ([], {"INV-1": Decimal("7.5")})
    whole = (on(20, 10), costing("10", grouped_by="project_id"))
    cases: Mapping[str, tuple[Mapping[str, Any], Sequence[tuple[datetime, *tuple[Row, ...]]], tuple[Any, Any]]] = {
        "on the stated day": ({}, [first, (on(2, hour=23, minute=59), cheaper)], kept),
        "after the stated day": ({}, [first, (on(3), cheaper)], corrected),
        "before it is settled": ({"issued": None}, [first, (on(7, hour=23, minute=59), cheaper)], kept),
        "when it is settled": ({"issued": None}, [first, (on(8), cheaper)], corrected),
        "another month": ({"month": "2026-11"}, [first, (on(15), cheaper)], ([], {None: Decimal("7.5")})),
        "grouped otherwise": ({}, [whole, (on(5), *by_line("4", "6"))], ([], {"INV-1": 10})),
        "rounded": (
            {},
            [whole, (on(5), *by_line("10.0000000000015"))],
            ([], {"INV-1": Decimal("10.0000000000015")}),
        ),
        "asked otherwise": ({}, [first, (on(15), costing("5"))], ([], {"INV-1": 5})),
        "restated in parts": ({}, [whole, (on(5), *by_line("4", "5"))], ([-1, 1], {"INV-1": 10, None: -1})),
    }
    several = [INVOICE.model_copy(update={"connection": "several", "id": f"INV-{n}"}) for n in (1, 2)]
    invoices = [INVOICE.model_copy(update={"connection": name, **stated}) for name, (stated, _, _) in cases.items()]
    cents = INVOICE.model_copy(update={"connection": "anthropic"})
    days = stating(days, invoices=[*invoices, *several, cents])
    for name, (_, fetches, _) in cases.items():
        for moment, *rows in fetches:
            of_case = [msgspec.structs.replace(row, connection=name) for row in rows]
            filters = "other filters" if name == "asked otherwise" and moment == on(15) else None
            fetched_at(days, moment, *of_case, connection=name, filters=filters)
    fetched_at(days, on(20, 10), costing("10", connection="several"), connection="several")
    for moment, amount in ((on(30, 10), "100"), (on(9), "250.5")):
        report = raw(CostReport, usage_date=OCTOBER, amount_cents=Decimal(amount))
        fetched_at(days, moment, report, row=CostReport, file="anthropic_cost_report")
    found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    columns = ("x_Connection", "ChargeClass", "BillingCurrency", "BilledCost")
    for name, *row in charges(days, *columns, where="ChargeDescription like '%orrection of %'"):
        found[name].append(tuple(row))
    billed: dict[str, dict[str | None, Decimal]] = defaultdict(dict)
    for name, invoice, amount in charges(
        days, "x_Connection", "x_InvoiceId", "sum(BilledCost)", where="true group by all"
    ):
        billed[name][invoice] = amount
    for name, (_, _, expected) in cases.items():
        assert ([row[2] for row in found[name]], billed[name]) == expected, name
    assert billed["several"] == {None: 10}, "none of two is named"
    assert billed["anthropic"] == {"INV-1": 1, None: Decimal("1.505")}
    assert found["anthropic"][0] == ("Correction", "USD", Decimal("1.505"))


def by_line(*amounts: str) -> list[Row]:
    return [costing(each, grouped_by="line_item", line_item=each) for each in amounts]
