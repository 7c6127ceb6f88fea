"""The FOCUS file: exact, complete, and not written where a row breaks a rule; every rule is shown failing."""

import csv
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from inspect import cleandoc
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from usage_assets.core.days import Window
from usage_assets.models.model import money_seed
from usage_assets.providers.anthropic.reports import CostReport
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import copy_of
from usage_assets.warehouse.values import WarehouseError
from usage_assets_finance.export import export as module
from usage_assets_finance.export.columns import COLUMNS
from usage_assets_finance.export.export import LAST_CONNECTION, Exported, LeftOut, export, refuse_broken, stage
from usage_assets_tests.fixtures import NewWarehouse
from usage_assets_tests.models.days import DAY, Days, cases, raw
from usage_assets_tests.models.filled import SMALLEST, fill
from usage_assets_tests.terminal import Terminal

MONEY = ("BilledCost", "ListCost", "ContractedCost", "EffectiveCost", "PricingCurrencyEffectiveCost")
LAST = DAY + timedelta(days=9)


@pytest.fixture(scope="module")
def original(warehouse_with_views: NewWarehouse) -> Days:
    """Costs of three connections, credits with and without a rate, a purchase and an invoice. Exports copy its file, so
    it is closed after each use."""
    return fill(Days(warehouse_with_views()))


@dataclass(frozen=True)
class Written:
    """A file of all that is stored, and what was told of it."""

    file: Path
    told: Exported

    @property
    def rows(self) -> list[dict[str, str]]:
        return read(self.file)


@pytest.fixture(scope="module")
def written(original: Days) -> Written:
    """All of it as a CSV file."""
    file = Path(original.warehouse.database).with_name("whole.csv")
    return Written(file, exported(original, file))


@pytest.fixture
def filled(original: Days, tmp_path: Path) -> Days:
    """A copy of the same."""
    return replace(original, warehouse=Warehouse(database=str(shutil.copy(original.warehouse.database, tmp_path))))


PART: Mapping[str, Any] = {"first": DAY, "last": LAST, "after": "", "upto": LAST_CONNECTION}


@pytest.fixture(scope="module")
def staged(original: Days, written: Written) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same, as exports read it, with its rows staged: no rule is broken, before and after the tests."""
    with duckdb.connect(copy_of(original.warehouse.database), read_only=True) as database:
        stage(database, PART, written.file.with_name("staged.parquet"))
        database.execute("create temp table to_change as from exported")
        database.execute("create or replace temp view exported as from to_change")
        refuse_all(database)
        yield database
        refuse_all(database)


def refuse_all(database: duckdb.DuckDBPyConnection) -> None:
    """Raise an error where a staged row breaks any rule."""
    refuse_broken(database, PART)
    database.execute("from exported_text").fetchall()


def exported(days: Days, out: Path, first: date = DAY, last: date = LAST) -> Exported:
    """The days as a file."""
    return export(days.warehouse, [money_seed(days.accounting, datetime.now(UTC))], first, last, out)


def read(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, as text."""
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_csv_file_has_every_digit_and_a_point_in_every_number(written: Written) -> None:
    rows = written.rows
    of_invoices = {(row["InvoiceId"], row["x_InvoiceId"]) for row in rows}
    assert of_invoices == {("", "INV-1"), ("", "order 9"), ("", "")}, "all rows or none name an invoice"
    assert sorted(row["BilledCost"] for row in rows) == ["-20.0", "0.0", f"{SMALLEST:f}", "0.1", "0.12345", "3.5"]
    (used,) = (row for row in rows if row["PricingCurrency"] == "Credits")
    assert (used["EffectiveCost"], used["PricingQuantity"], used["x_UsdPerCredit"]) == ("0.5", "12.5", "0.04")
    (smallest,) = (row for row in rows if row["BilledCost"] == f"{SMALLEST:f}")
    assert (smallest["SubAccountId"], smallest["x_ApiKeyId"]) == ("p, q", '"k"')
    assert (smallest["ChargePeriodStart"], smallest["ChargePeriodEnd"]) == (
        "2026-11-01T00:00:00Z",
        "2026-11-02T00:00:00Z",
    )
    assert written.told == Exported(
        rows=6,
        billed={"EUR": Decimal("0.1"), "USD": Decimal("-20") + SMALLEST + Decimal("0.12345") + Decimal("3.5")},
        left_out=[LeftOut("credits without a rate", "chatgpt", "credits", 1, Decimal("7.5"))],
        gaps={"anthropic/cost_report": 9, "chatgpt/codex_usage": 9, "openai/costs": 9},
        due={},
    )


def test_a_file_is_the_same_however_many_charges_are_written_at_once(
    filled: Days, written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHARGES_AT_ONCE", 1)
    with filled.warehouse.transaction() as database:
        bounds = {"first": DAY, "last": LAST}
        parts = list(module.parts_of(database, Window(DAY, LAST)))
        stored = [name for name, _ in database.execute(module.CHARGES, bounds).fetchall()]
    assert stored == ["anthropic", "chatgpt", "openai"]
    assert [(part["after"], part["upto"]) for part in parts[:3]] == [("", "anthropic"), *[("anthropic", "chatgpt")] * 2]
    assert {part["upto"] for part in parts} == {"anthropic", "chatgpt", module.LAST_CONNECTION}
    assert exported(filled, tmp_path / "parts.csv") == written.told
    assert (tmp_path / "parts.csv").read_bytes() == written.file.read_bytes()
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


FORMULAS = ("=1+1", "+1", "-1", "@sum", "\t=1", "\r=1")


def test_text_that_a_spreadsheet_would_compute_is_text_in_a_csv_file_and_parquet_has_decimals_and_times(
    filled: Days, written: Written, tmp_path: Path
) -> None:
    """Of an earlier release, too, which gets its views. The Parquet file has the charges whose period begins on DAY."""
    of_text = {"connection": "texts", "usage_date": DAY}
    rows = [raw(Costs, line_item=text, project_id=text, user_id=text, api_key_id=text, **of_text) for text in FORMULAS]
    amount = Decimal("-20") - SMALLEST
    filled.fetched(Costs, *rows, raw(Costs, line_item="a = b", amount_value=amount, **of_text), connection="texts")
    filled.derive("openai_costs", "texts")
    with filled.warehouse.get_connection() as database:
        database.execute("drop view costs.focus; alter table accounting.invoices drop issued")
        database.execute("alter table accounting.cost_sources drop splits_line_items")
    told = [exported(filled, tmp_path / "x.csv"), exported(filled, tmp_path / "x.parquet", DAY, DAY)]
    assert [each.rows for each in told] == [6 + 7, 5 + 7]
    table = pq.read_table(tmp_path / "x.parquet")
    found, kept = (
        [row for row in rows if row["x_Connection"] == "texts"]
        for rows in (read(tmp_path / "x.csv"), table.to_pylist())
    )
    for column in ("ChargeDescription", "SubAccountId", "SubAccountName", "x_UserId", "x_ApiKeyId"):
        assert {row[column] for row in found} - {"", "a = b"} == {f"'{text}" for text in FORMULAS}, column
        assert {row[column] for row in kept} - {None, "a = b"} == {*FORMULAS}, column
    assert {row["BilledCost"] for row in found if row["ChargeDescription"] == "a = b"} == {f"{amount:f}"}
    assert table.schema.field("BilledCost").type == pa.decimal128(38, 24)
    assert table.schema.field("ChargePeriodStart").type == pa.timestamp("us", tz="UTC")
    assert amount in {row["BilledCost"] for row in kept}
    assert table.column_names == list(written.rows[0])


def test_nothing_is_written_where_a_row_breaks_a_rule(filled: Days, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    out.write_text("what was there")
    filled.fetched(CostReport, raw(CostReport, currency="EURO"))
    filled.derive("anthropic_cost_report")
    with pytest.raises(WarehouseError) as refused:
        exported(filled, out)
    assert str(refused.value) == (
        "costs.focus: a row breaks a rule: a currency has three capital letters, and credits are priced in Credits: "
        "anthropic, 2026-11-01, Use that is not itemized; nothing was written"
    )
    assert out.read_text() == "what was there"
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".new")] == []


CORRECTION = "a Correction is of a month that is invoiced, and not on that invoice"
SUMS = "the rows of a day add up to what is stored of it"
TEXT = "times and numbers are written as FOCUS has them"
# the first ones are what FOCUS's own validator does not notice
WRONG = f"""
    service, category and company are those of an AI provider
      ServiceCategory = 'Analytics'
      ServiceSubcategory = null
      InvoiceIssuerName = null
      HostProviderName = 'A host'
    what is used of credits is Usage, what the connections file says is bought a One-Time Purchase
      ChargeFrequency = 'Recurring'
      x_CostBasis = 'estimated'
    a billing period is a month, and a day of use lies in it
      ChargePeriodEnd = ChargePeriodStart - interval 1 day
      ChargePeriodEnd = ChargePeriodEnd + interval 1 day
      BillingPeriodStart = BillingPeriodStart - interval 1 month
    BilledCost is the native amount in whole units of its currency, and 0 of credits
      ({", ".join(MONEY)}) = ({", ".join(["x_NativeAmount"] * len(MONEY))})
      ({", ".join(MONEY)}) = ({", ".join(f"-{cost}" for cost in MONEY)})
    ContractedCost and EffectiveCost are one cost, EffectiveCost of bought credits is 0
      ContractedCost = ContractedCost * 100
      ContractedCost = ContractedCost * 100, ListCost = ListCost * 100
    use and purchases have a quantity and a unit, and use has what was used
      PricingQuantity = null, PricingUnit = null
      PricingUnit = 'tokens'
      ConsumedQuantity = null
      ConsumedUnit = '1000 Tokens'
      ChargeCategory = 'Purchase', ChargeFrequency = 'One-Time', x_CostBasis = 'purchase of seats'
    a quantity has a source
      x_QuantitySource = 'bill'
      x_QuantitySource = 'guess'
      PricingUnit = 'Tokens'
    a price is not negative, and times the quantity it is the cost
      ListCost = ListCost * 100
      ContractedUnitPrice = ContractedUnitPrice + 0.00000001
      ListUnitPrice = -ListUnitPrice, ListCost = -ListCost
    use and purchases have a SKU
      SkuId = 'another', SkuPriceId = 'another/thing'
      SkuPriceDetails = '{{'
      x_Model = 'another'
    a currency has three capital letters, and credits are priced in Credits
      PricingCurrency = 'EUR'
    {CORRECTION}
      ChargeClass = 'Correction'
    a sub-account has a name and a type
      SubAccountName = null
    a charge of a file has a cost, a currency, a period, a category and a service
      x_SourceTable = 'focus.charges', ChargePeriodEnd = ChargePeriodStart
      x_SourceTable = 'focus.charges', ServiceName = '', ChargeCategory = null
"""
"""A rule, and what is wrong in a copy of the row of cents: a line each."""
PLANTED = [
    (rule, planted)
    for rule, *several in (each.split("\n  ") for each in re.split(r"\n(?! )", cleandoc(WRONG)))
    for planted in several
]
OF_CENTS = "update to_change set {} where x_NativeUnit = 'cents'"
OTHERWISE_PRICED = "EffectiveCost = 0.6, ContractedCost = 0.6, ListCost = 0.6"


ELSEWHERE = cases(f"""
    credits cost what their rate says -> update to_change set {OTHERWISE_PRICED} where x_CostBasis = 'credits'
    {CORRECTION}
      -> update to_change set ChargeClass = 'Correction' where x_InvoiceId = 'INV-1' and BilledCost < 0
    a SkuPriceId has one SkuId -> {OF_CENTS.format("SkuPriceId = 'openai/gpt-5/input', SkuId = 'openai/another'")}
    InvoiceId is filled in every row or in none -> {OF_CENTS.format("InvoiceId = 'INV-1'")}
    no charge is there twice -> insert into to_change from to_change where x_NativeUnit = 'cents'
    {SUMS} -> delete from to_change where BillingCurrency = 'EUR'
    {SUMS} -> delete from to_change where x_NativeUnit = 'credits'
    {SUMS} -> delete from to_change where ChargeCategory = 'Purchase'
    {SUMS} -> {OF_CENTS.format("x_Connection = 'another'")}
    {TEXT} -> create or replace temp macro moment(instant) as '2026-11-01'
    {TEXT} -> create or replace temp macro digits(amount) as amount::bigint::varchar
""")
"""A rule, and the statement that breaks it."""


def test_every_rule_finds_a_planted_error(staged: duckdb.DuckDBPyConnection) -> None:
    staged.begin()
    staged.execute("create temp table cents as from to_change where x_NativeUnit = 'cents'")
    for _, planted in PLANTED:
        staged.execute("insert into to_change select * replace ($planted as x_UserId) from cents", {"planted": planted})
        staged.execute(f"update to_change set {planted} where x_UserId = $planted", {"planted": planted})
    staged.execute("update to_change set ChargeDescription = x_UserId where x_UserId is not null")
    rows = staged.execute(module._sql("rules"), PART).fetchall()
    staged.rollback()
    found = [(rule, planted) for rule, *_, planted in rows if rule != SUMS]
    assert sorted(found) == sorted(PLANTED)
    assert [(broken(staged, planted), planted) for _, planted in ELSEWHERE] == ELSEWHERE


def test_a_text_that_columns_share_is_that_of_each_of_them_alone(staged: duckdb.DuckDBPyConnection) -> None:
    """``texts.sql`` writes equal numbers of a row out once."""
    staged.begin()
    staged.execute("update to_change set ListCost = ListCost * 2, x_NativeAmount = -7.50 where x_NativeUnit = 'cents'")
    staged.execute(
        "update to_change set ContractedUnitPrice = null, PricingQuantity = 0 where x_NativeUnit = 'credits'"
    )
    kinds = {"number": "digits({})", "time": "strftime({} at time zone 'UTC', '%Y-%m-%dT%H:%M:%SZ')"}
    alone = ", ".join(kinds.get(column.kind, "{}").format(column.name) for column in COLUMNS)
    together = ", ".join(column.name for column in COLUMNS)
    rows = [
        staged.execute(f"select {columns} from {source} order by all").fetchall()
        for columns, source in ((alone, "exported"), (together, "exported_text"))
    ]
    staged.rollback()
    assert rows[0] == rows[1]
    assert len({text for row in rows[0] for text in row if text}) > 50


def broken(staged: duckdb.DuckDBPyConnection, planted: str) -> str | None:
    """The rule that is broken while an error is planted in the staged rows."""
    staged.begin()
    try:
        staged.execute(planted)
        refuse_all(staged)
    except (WarehouseError, duckdb.InvalidInputException) as error:
        return str(error).partition("costs.focus: a row breaks a rule: ")[2].partition(": ")[0]
    finally:
        staged.rollback()
    return None


# What a person types


FOCUS = ("export", "focus", "--start", str(DAY), "--end", str(LAST), "--out")


def test_an_export_says_what_is_in_it_and_what_is_not(terminal: Terminal, warehouse_with_views: NewWarehouse) -> None:
    days = Days(warehouse_with_views(terminal.folder))
    days.fetched(Costs, raw(Costs), raw(Costs, amount_currency="eur", amount_value=Decimal("0.5")))
    said = terminal.type(*FOCUS, "x.csv")
    assert said.code == 2
    assert said.err.endswith(f"no cost is stored for {DAY} to {LAST}; nothing was written\n")
    assert not (terminal.folder / "x.csv").exists()
    days.fetched(CodexUsage, raw(CodexUsage, credits=Decimal(12)), last=LAST)
    days.derive("openai_costs")
    days.derive("chatgpt_codex_usage", last=LAST)
    (terminal.folder / "x.csv").touch()
    assert terminal.type(*FOCUS, "x.csv").err == "usage-assets: --out x.csv: exists; --force replaces it\n"
    said = terminal.type(*FOCUS, "x.csv", "--force")
    assert not said.code
    assert said.complaints == [
        "anthropic/claude_code: costs of 10 days are missing or incomplete in the file",
        "anthropic/cost_report: costs of 10 days are missing or incomplete in the file",
        "openai/costs: costs of 9 days are missing or incomplete in the file",
    ]
    assert said.lines == [
        "left out: credits without a rate: chatgpt: rows 1, 12 credits",
        "x.csv: rows 2, BilledCost 0.5 EUR, 1 USD",
    ]
    assert len(read(terminal.folder / "x.csv")) == 2
