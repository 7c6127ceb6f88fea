"""FOCUS files: what they bill becomes costs, each day is replaced whole, and what is left out is counted."""

import gzip
import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import FileSystem

from usage_assets.core.days import Window
from usage_assets.fetching.files.location import FileError, Location
from usage_assets.fetching.files.reading import Look, Reading
from usage_assets.fetching.transport import NotServedYetError, PermanentError
from usage_assets_finance.focus.charges import FOCUS
from usage_assets_finance.focus.meters import (
    CACHE_READ,
    CACHE_WRITE,
    CACHE_WRITE_1H,
    INPUT,
    OUTPUT,
    kind_of,
    model_in,
)
from usage_assets_finance_tests.focus_files import COLUMNS, connection, on, text_of, write
from usage_assets_tests.end_to_end.conftest import Project, hold_project
from usage_assets_tests.fetching.conftest import client_of
from usage_assets_tests.fixtures import NO_KEYS, ROOT, Sandbox, last_days, set_all
from usage_assets_tests.models.days import Days, cases, lines, one_a_line, seen
from usage_assets_tests.object_store import CREDENTIALS

DAYS = [date(2026, 11, 2), date(2026, 11, 3)]
ALONE = dict.fromkeys(NO_KEYS, "")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "bills"


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path, files: Path) -> Iterator[Project]:
    """A project that reads a folder of files and nothing else."""
    with hold_project(sandbox, tmp_path, ALONE | connection(tmp_path, files)) as opened:
        yield opened


def fetched(project: Project, *days: date) -> None:
    result = project.fetch("bill", list(days or DAYS), "charges", "charges/daily_costs")
    assert result.success, [event.step_failure_data.error for event in result.get_step_failure_events()]


def read(place: Path, *days: date, **scope: Any) -> list[dict[str, Any]]:
    """The rows of days in files, or of the first day."""
    with client_of(FOCUS, key="", base_url=str(place), **scope) as client:
        rows: list[dict[str, Any]] = client.fetch(FOCUS.endpoints[0], days or DAYS[:1]).rows.to_pylist()
    return rows


def by_day(rows: list[dict[str, Any]]) -> dict[date, Decimal]:
    """What is billed per day."""
    return {
        row["usage_date"]: sum(r["billed_cost"] for r in rows if r["usage_date"] == row["usage_date"]) for row in rows
    }


def sums(project: Project, sql: str) -> list[tuple[Any, ...]]:
    return Days(project.warehouse).tuples(sql)


def changes_in(text: str) -> dict[str, str]:
    """Columns of a charge as they are written in a case."""
    return dict(each.split("=", 1) for each in text.split("; "))


def test_a_bill_becomes_costs_and_usage_and_what_is_left_out_is_counted(project: Project, files: Path) -> None:
    charges = lines("""
        2026-11-02  BilledCost=1.25
        2026-11-02  BilledCost=0.1; SkuMeter=USE1-Claude4.5Sonnet-output-tokens; ConsumedQuantity=2
        2026-11-02  BilledCost=20; EffectiveCost=0; ServiceName=Amazon EC2; ChargeCategory=Purchase
        2026-11-02  BilledCost=0.5; EffectiveCost=62; ServiceName=Amazon EC2; SkuMeter=BoxUsage
        2026-11-03  EffectiveCost=; ServiceName=Amazon EC2; SkuMeter=BoxUsage
        2026-11-03  EffectiveCost=1; ServiceName=Amazon EC2; SkuMeter=BoxUsage
        2026-11-03  BilledCost=0.000000000000000000000001
    """)
    write(files / "november.csv", [on(day, **changes_in(text)) for day, text in charges])
    fetched(project)
    billed = "select usage_date, cost_basis, sum(amount_usd) from costs.daily_costs group by all order by all"
    assert seen(sums(project, billed)) == lines("""
        2026-11-02  billed  1.35
        2026-11-03  billed  0.000000000000000000000001
    """)
    kinds = (
        "select model, usage_type, amount_usd from costs.by_model_as_sent where usage_date = '2026-11-02' order by all"
    )
    assert seen(sums(project, kinds)) == lines("""
        claude-sonnet-4-5  output_tokens          0.1
        claude-sonnet-4-5  uncached_input_tokens  1.25
    """)
    used = "select usage_date, input_tokens, output_tokens from costs.usage_by_model order by all"
    assert sums(project, used) == [(DAYS[0], 416500, 2000), (DAYS[1], 416500, 0)]
    left = "select usage_date, product, row_count, amount, effective_amount from costs.left_out order by all"
    assert seen(sums(project, left)) == lines("""
        2026-11-02  Amazon EC2  2  20.5  62
        2026-11-03  Amazon EC2  2  2.5   -
    """), "of a sum of which a part is not stated, nothing is"
    [(totals,)] = sums(
        project,
        "select day_totals from ledger.partition_versions "
        "where table_name = 'focus.charges' and usage_date = '2026-11-02'",
    )
    assert msgspec.json.decode(totals) == {
        "billed_usd": "1.350000000000000000000000",
        "left_out_usd": "20.500000000000000000000000",
        "left_out_rows": "2",
        "tokens": "418500.000000000000000000000000",
    }
    assert sums(project, "select project_name from costs.by_project group by all") == [("research",)]


def aws(folder: Path, period: str, *rows: dict[str, str], delivery: str = "", manifest: bool = True) -> None:
    """What AWS Data Exports delivers for a month."""
    place = f"BILLING_PERIOD={period}{f'/{delivery}' if delivery else ''}"
    for n, row in enumerate(rows, 1):
        write(folder / "data" / place / f"focus-{n:05}.csv.gz", [row])
    listed = [f"s3://bills/focus/data/{place}/focus-{n:05}.csv.gz" for n in range(1, len(rows) + 1)]
    if manifest:
        (folder / "metadata" / place).mkdir(parents=True, exist_ok=True)
        (folder / "metadata" / place / "focus-Manifest.json").write_text(json.dumps({"dataFiles": listed}))


def test_only_the_newest_delivery_that_is_announced_counts(tmp_path: Path) -> None:
    aws(tmp_path, "2026-11", on("2026-11-02"), on("2026-11-03"), delivery="20261104T0100Z")
    aws(tmp_path, "2026-11", on("2026-11-02", BilledCost="3"), on("2026-11-03"), delivery="20261105T0100Z")
    aws(tmp_path, "2026-11", on("2026-11-02", BilledCost="9"), delivery="20261106T0100Z", manifest=False)
    assert by_day(read(tmp_path, *DAYS)) == {DAYS[0]: Decimal(3), DAYS[1]: Decimal("1.25")}


def test_a_file_that_was_never_a_part_of_the_export_is_not_lost(tmp_path: Path) -> None:
    """Somebody has put an invoice beside an export."""
    (tmp_path / "data" / "BILLING_PERIOD=2026-11").mkdir(parents=True)
    write(tmp_path / "data" / "BILLING_PERIOD=2026-11" / "invoice.csv", [on("2026-11-02", BillingAccountId="2")])
    aws(tmp_path, "2026-11", on("2026-11-02"), on("2026-11-03"))
    with pytest.raises(NotServedYetError, match=r"invoice\.csv is not in the manifest of its folder"):
        read(tmp_path, *DAYS)


def test_what_one_export_left_does_not_hold_up_another_one_in_its_folder(tmp_path: Path) -> None:
    for name, day, listed in (("a", "2026-11-02", 1), ("b", "2026-11-03", 1)):
        for n in (1, 2):
            write(tmp_path / f"{name}-0000{n}.csv", [on(day, BilledCost="3", SubAccountId=str(n))])
        files = [f"s3://bills/{name}-0000{n}.csv" for n in range(1, listed + 1)]
        (tmp_path / f"{name}-Manifest.json").write_text(json.dumps({"dataFiles": files}))
    assert by_day(read(tmp_path, *DAYS)) == {DAYS[0]: Decimal(3), DAYS[1]: Decimal(3)}


def test_copies_that_are_older_than_a_day_are_no_delivery_under_way(tmp_path: Path) -> None:
    aws(tmp_path, "2026-10", on("2026-10-02"))
    long_ago = (datetime.now(UTC) - timedelta(days=2)).timestamp()
    for seconds, file in ((0, next(tmp_path.rglob("*.json"))), (1, next(tmp_path.rglob("*.csv.gz")))):
        os.utime(file, (long_ago + seconds, long_ago + seconds))
    assert by_day(read(tmp_path, date(2026, 10, 2))) == {date(2026, 10, 2): Decimal("1.25")}


def test_a_file_is_read_once_whatever_links_lead_to_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bills = tmp_path / "bills"
    days = {"10": "2026-10-31", "11": "2026-11-02"}
    written = {str(write(bills / month / "charges.csv", [on(day)])) for month, day in days.items()}
    for name, target in (("again", "."), ("latest", "11")):
        (bills / name).symlink_to(target)
    (tmp_path / "link").symlink_to("bills")
    with caplog.at_level("INFO"):
        assert {file.path for file in Location(str(bills)).found()} == written
    assert "links to it are skipped, such as" in caplog.text
    assert len(Location(str(tmp_path / "link")).found()) == 2
    assert [file.path for file in Location(str(bills / "latest")).found()] == [str(bills / "latest" / "charges.csv")]
    assert by_day(read(bills, DAYS[0])) == {DAYS[0]: Decimal("1.25")}


def test_a_finished_month_is_covered_to_its_end_and_a_day_to_come_is_not(tmp_path: Path) -> None:
    aws(tmp_path / "aws", "2026-10", on("2026-10-02"))
    assert read(tmp_path / "aws", date(2026, 10, 30), date(2026, 10, 31)) == []
    write(tmp_path / "november.csv", [on("2026-11-02")])
    with pytest.raises(NotServedYetError) as refused:
        read(tmp_path / "november.csv", *DAYS)
    assert refused.value.days == (DAYS[1],), "the other day may be fetched alone"


def test_equal_charges_of_two_months_on_the_day_between_them_are_no_copies(tmp_path: Path) -> None:
    """Both are left out, so nothing but their billing period tells them apart."""
    day, left_out = date(2026, 11, 1), {"ServiceName": "Amazon EC2", "BilledCost": "7"}
    hour = {"ChargePeriodStart": "2026-11-01T06:00:00Z", "ChargePeriodEnd": "2026-11-01T07:00:00Z"}
    months = {"2026-10": [on("2026-10-31"), on(str(day), **left_out, **hour)], "2026-11": [on(str(day), **left_out)]}
    for month, rows in months.items():
        write(tmp_path / f"BILLING_PERIOD={month}" / "a.csv", [*rows, on(f"{month}-02")])
    found = {row["corrected_by"]: (row["billed_cost"], row["left_out_rows"]) for row in read(tmp_path, day)}
    assert found == {"BILLING_PERIOD=2026-10/a.csv": (7, 1), None: (7, 1)}


def test_use_that_is_billed_a_month_later_covers_its_days(tmp_path: Path) -> None:
    """A vendor whose bill of December has the use of November."""
    december = {"BillingPeriodStart": "2026-12-01", "BillingPeriodEnd": "2027-01-01"}
    write(tmp_path / "december.csv", [on(str(day), **december) for day in DAYS])
    assert [row["corrected_by"] for row in read(tmp_path, *DAYS)] == [None, None]


def test_all_times_that_vendors_write_are_understood(tmp_path: Path) -> None:
    spelled = ("2026-11-02T00:00:00Z", "2026-11-02T00:00Z", "2026-11-02 00:00:00 UTC", "2026-11-02T01:00:00+01:00")
    rows = [
        on("2026-11-02", ChargePeriodStart=text, SkuId=text)
        for text in (*spelled, "2026-11-02", "2026-11-02T00:00:00.000")
    ]
    text = text_of(rows).replace("\n", "\r\n\r\n")
    (tmp_path / "bill.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    found = read(tmp_path)
    assert len(found) == len(rows)
    assert {row["charge_period_start"] for row in found} == {datetime(2026, 11, 2, tzinfo=UTC)}


def test_words_of_the_specification_are_read_in_any_case(tmp_path: Path) -> None:
    """Google's view writes usage, tax and correction (the query of its guide to FOCUS in BigQuery)."""
    write(
        tmp_path / "bill.csv",
        [
            on("2026-10-31", ChargeCategory="usage", ChargeClass="correction"),
            on("2026-11-02", ChargeCategory="tax"),
            on("2026-11-04", ChargeCategory="usage"),
            on("2026-11-06", ChargeClass="correction"),
        ],
    )
    days = (date(2026, 10, 31), date(2026, 11, 2), date(2026, 11, 4), date(2026, 11, 6))
    rows = [row for day in days for row in read(tmp_path, day)]
    assert seen(rows, "charge_category charge_class corrected_by tokens") == lines("""
        Usage  Correction  bill.csv  416500
        Tax    -           bill.csv  -
        Usage  -           -         416500
        Usage  Correction  bill.csv  416500
    """), "the file does not cover the last day, though its bill does"


EARLIER = {
    "ProviderName": "Provider",
    "PublisherName": "Publisher",
    "InvoiceIssuerName": "InvoiceIssuer",
    "RegionId": "Region",
    "ConsumedQuantity": "UsageQuantity",
    "ConsumedUnit": "UsageUnit",
}


def test_columns_of_the_preview_are_those_of_the_specification(tmp_path: Path) -> None:
    """Oracle's reports have them (tables that load its files in public code), Azure's 1.0-preview has some."""
    rows = [on("2026-11-02", **changes) for changes in ({}, {"ServiceName": "", "PublisherName": "OpenAI"})]
    unused = on("2026-11-02", ChargeSubcategory="Unused Commitment")
    now, before = (
        read(
            write(
                tmp_path / f"{len(names)}.csv",
                [{names.get(name, name): value for name, value in row.items()} for row in (*rows, unused)],
                [*(names.get(name, name) for name in COLUMNS), "ChargeSubcategory"],
            )
        )
        for names in ({}, EARLIER)
    )
    assert before == now
    assert [row["tokens"] for row in now] == [416_500, 416_500, None]


VENDORS = cases("""
    AWS Marketplace
      -> ServiceName=Claude Opus 4.8 (Amazon Bedrock Edition); SkuMeter=USW2-Nova2.0Lite-output-tokens
      -> Nova2.0Lite; output_tokens; 416500
    AWS Marketplace, whose meters name no model
      -> ServiceName=Claude Opus 5 (Amazon Bedrock Edition); SkuMeter=;
      x_UsageType=USE1-MP:USE1_output_tokens_global_standard-Units; ConsumedUnit=Units
      -> Claude Opus 5; output_tokens; -
    AWS Marketplace, whose units are millions, as the description says (a row of a cost and usage report in public code)
      -> ServiceName=Claude 3.5 Sonnet (Amazon Bedrock Edition); SkuMeter=;
      x_UsageType=USW2-MP:USW2_InputTokenCount-Units; ConsumedQuantity=0.02645; ConsumedUnit=Units;
      ChargeDescription=AWS Marketplace software usage|us-west-2|Million Input Tokens
      -> Claude 3.5 Sonnet; uncached_input_tokens; 26450
    Azure, whose units are what the meter counts
      -> ServiceName=Foundry Models; SkuMeter=; x_SkuMeterName=gpt 4.1 nano Batch Inp glbl Tokens;
      ConsumedQuantity=19200; ConsumedUnit=Units; x_PricingBlockSize=1000
      -> gpt-4.1-nano-batch; uncached_input_tokens; 19200
    Azure, a row without what was consumed: prices are of blocks
      -> ServiceName=Foundry Models; SkuMeter=; x_SkuMeterName=gpt 4.1 nano Batch Inp glbl Tokens; ConsumedQuantity=;
      PricingQuantity=19.2; PricingUnit=Units; x_PricingBlockSize=1000
      -> gpt-4.1-nano-batch; uncached_input_tokens; 19200
    Azure, a block that is no number
      -> ServiceName=Foundry Models; SkuMeter=; x_SkuMeterName=gpt 4.1 nano Batch Inp glbl Tokens; ConsumedQuantity=;
      PricingQuantity=19.2; PricingUnit=Units; x_PricingBlockSize=1K
      -> gpt-4.1-nano-batch; uncached_input_tokens; -
    Azure's Marketplace, units that another seller defined
      -> ServiceName=Azure Marketplace; SkuMeter=; ConsumedUnit=Units; x_PricingBlockSize=1;
      x_SkuMeterName=Claude Sonnet 4.6 - msft-sonnet-4-6-flat-100 - paygo-inference-input-tokens
      -> claude-sonnet-4.6; uncached_input_tokens; -
    Azure's Marketplace, one unit for all models
      -> ServiceName=SaaS; SkuMeter=; ConsumedUnit=Units; x_PricingBlockSize=1;
      x_SkuMeterName=Claude in Microsoft Foundry (Azure hosted) - claude-ccu-plan - claude-consumption-units
      -> -; Claude in Microsoft Foundry (Azure hosted) - claude-ccu-plan - claude-consumption-units; -
    Azure, units that are no tokens
      -> ServiceName=Foundry Models; SkuMeter=; x_SkuMeterName=Flux 1.1 Pro glbl Images; ConsumedQuantity=3;
      ConsumedUnit=Units; x_PricingBlockSize=1
      -> -; Flux 1.1 Pro glbl Images; -
    Azure, a meter without the first word of its model
      -> ServiceName=Foundry Models; SkuMeter=; x_SkuMeterSubcategory=Azure OpenAI GPT5;
      x_SkuMeterName=5.5 ShortCo cd inp Gl 1M Tokens; ConsumedUnit=1M
      -> gpt-5.5-shortco; cache_read_input_tokens; 416500000
    Azure, a model of another maker
      -> ServiceName=Foundry Models; SkuMeter=4.3 Outp glbl Tokens; x_SkuMeterSubcategory=Azure Grok Models
      -> grok-4.3; output_tokens; 416500
    Azure's Marketplace, where a plan stands between the model and the kind
      -> ServiceName=Foundry Models; SkuMeter=;
      x_SkuMeterName=Claude Sonnet 4.6 - msft-sonnet-4-6-flat-100 - paygo-inference-input-tokens; ConsumedUnit=1K
      -> claude-sonnet-4.6; uncached_input_tokens; 416500
    Azure, a flexible tier, whose meters leave out the point of the version
      -> ServiceName=Foundry Models; SkuMeter=56sol ShCo Cd Wr Fl Gl 1M Tokens;
      x_SkuMeterSubcategory=Azure OpenAI GPT5; ConsumedUnit=1M
      -> gpt-5.6-sol-shco; cache_creation.ephemeral_5m_input_tokens; 416500000
    Azure, a flexible tier of a smaller model
      -> ServiceName=Foundry Models; SkuMeter=54 mini Inp Flex Gl 1M Tokens;
      x_SkuMeterSubcategory=Azure OpenAI GPT5; ConsumedUnit=1M
      -> gpt-5.4-mini; uncached_input_tokens; 416500000
    Google Cloud, which counts tokens in counts (a cost table in public code: 5,600 are $0.672, $120 a million)
      -> ServiceName=Gemini API; SkuMeter=;
      ChargeDescription=Generate_content image output token count for Gemini 3 Pro Image; ConsumedQuantity=5600;
      ConsumedUnit=count
      -> gemini-3-pro-image; output_tokens; 5600
    Google Cloud, where the description alone has the SKU
      -> SkuMeter=; ChargeDescription=Generate content output token count gemini 2.5 flash short input text;
      ConsumedQuantity=461280; ConsumedUnit=requests
      -> gemini-2.5-flash; output_tokens; 461280
    Google Cloud, requests that are no tokens
      -> SkuMeter=; ChargeDescription=LLM Grounding with Google Search tool - Predictions; ConsumedQuantity=3;
      ConsumedUnit=requests
      -> -; -; -
""")
"""What a charge says otherwise, and its model, kind and tokens."""


def test_vendors_name_models_and_kinds_of_tokens_in_their_own_ways(tmp_path: Path) -> None:
    for n, (vendor, text, known) in enumerate(VENDORS):
        changes = changes_in(text)
        file = write(tmp_path / f"{n}.csv", [on("2026-11-02", **changes)], tuple(dict.fromkeys((*COLUMNS, *changes))))
        [row] = read(file)
        assert seen([row], "model usage_type tokens left_out_rows") == [(*known.split("; "), "-")], vendor


USE = cases("""
    a credit -> ChargeCategory=Credit; BilledCost=-1 -> -
    a tax -> ChargeCategory=Tax -> -
    a purchase -> ChargeCategory=Purchase; PricingQuantity=50000 -> -
    an adjustment -> ChargeCategory=Adjustment -> -
    an unused commitment -> CommitmentDiscountStatus=Unused -> -
    another quantity than the one that is priced -> ConsumedUnit=Requests -> -
    a scale without tokens -> ConsumedUnit=1K; SkuMeter=Images -> -
    Google's counts of a Gemini that counted characters
      -> ConsumedUnit=count; SkuMeter=Gemini 1.5 Flash Text Input - Predictions
      -> -
    Google's counts of stored tokens
      -> ConsumedUnit=count; SkuMeter=Gemini 3.8 Flash Text Input Caching Storage
      -> -
    Google's counts of searches -> ConsumedUnit=count; SkuMeter=Grounding with Google Search on Gemini 3 -> -
    storage of tokens -> ConsumedUnit=1K; SkuMeter=Cached Tokens Storage -> -
    a commitment that was used -> CommitmentDiscountStatus=Used -> 416500
    what was priced, where use is not stated -> ConsumedQuantity=; ConsumedUnit= -> 416500
    a correction takes back -> ChargeClass=Correction; ConsumedQuantity=-0.5 -> -500
    an exponent -> ConsumedQuantity=1.5E3; ConsumedUnit=Tokens -> 1500
    Google's counts
      -> ConsumedQuantity=12; ConsumedUnit=count; SkuMeter=Gemini 2.5 Flash GA Text Input - Predictions
      -> 12
    Azure's thousands -> ConsumedQuantity=12; ConsumedUnit=1K; SkuMeter=4o Inp glbl Tokens -> 12000
    Azure's millions -> ConsumedQuantity=0.25; ConsumedUnit=1M; SkuMeter=4o Inp 1M Tokens -> 250000
""")
"""Charges on a meter of tokens -> the tokens that were used, if any were."""


def test_tokens_are_what_was_used(tmp_path: Path) -> None:
    columns = (*COLUMNS, "CommitmentDiscountStatus")
    for n, (charge, text, tokens) in enumerate(USE):
        rows = [on("2026-11-02", SkuId="S2"), on("2026-11-02", **changes_in(text))]
        file = write(tmp_path / f"{n}.csv", rows, columns)
        assert seen(read(file), "tokens") == [("416500",), (tokens,)], charge


PARTS_OF_TOKENS = {
    "many halves": ([("input", "0.5")] * 1000, (500, 0, 0)),
    "a half goes to the even number below": ([("input", "2"), ("input", "0.5")], (2, 0, 0)),
    "a little more than a half": ([("input", "0.5"), ("input", "0.000000000000000000000001")], (1, 0, 0)),
    "all digits": ([("input", "12345678901234.4"), ("input", "0.1")], (12345678901234, 0, 0)),
    "each kind for itself": ([("input", "1.5"), ("cache-read-input", "1.5"), ("output", "1.5")], (4, 2, 2)),
}
"""Kinds and tokens of charges -> input, cached input and output tokens of their day."""


def test_lines_of_json_are_read_exactly(tmp_path: Path) -> None:
    charge = on("2026-11-02", SkuId="S1")
    first, second = ({**charge, "SkuId": sku, "Tags": {"b": 0.10, "a": [1, None]}} for sku in ("S1", "S2"))
    lines = "\ufeff" + json.dumps(first | {"BilledCost": 0.1, "ConsumedQuantity": None, "ServiceCategory": "NULL"})
    lines += "\r\n\r\n" + json.dumps(second).replace('"1.25"', "1.000000000000000000000001e1", 1) + "\n"
    (tmp_path / "bill.jsonl").write_text(lines, newline="")
    (tmp_path / "zipped").mkdir()
    (tmp_path / "zipped" / "bill.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    for place in (tmp_path / "bill.jsonl", tmp_path / "zipped"):
        one, two = read(place)
        assert [row["billed_cost"] for row in (one, two)] == [Decimal("0.1"), Decimal("10.00000000000000000000001")]
        assert (one["consumed_quantity"], one["service_category"]) == (None, None)
        assert two["consumed_quantity"] == Decimal("416.5")
        assert json.loads(one["other_columns"])["Tags"] == '{"a":[1,null],"b":0.1}'


def test_lines_of_json_are_refused_where_they_are(tmp_path: Path) -> None:
    """A batch begins after each line without an object: rows are lines."""
    rows = [json.dumps(on("2026-11-02", SkuId=f"S{n}")) for n in range(3)]
    (tmp_path / "bill.jsonl").write_text("\n".join((*rows, "", "", json.dumps(on("2026-11-02", BilledCost="x")))))
    with pytest.raises(PermanentError, match=r"bill\.jsonl, row 6, BilledCost: 'x': is no number"):
        read(tmp_path)


def test_parts_of_tokens_are_added_up_before_they_are_rounded(project: Project, files: Path) -> None:
    days = [date(2026, 11, n + 1) for n in range(len(PARTS_OF_TOKENS))]
    rows = [
        on(
            str(day),
            SkuMeter=f"USE1-Claude4.5Sonnet-{kind}-token-count",
            ConsumedQuantity=tokens,
            ConsumedUnit="Tokens",
            SkuPriceId=f"{n}",
        )
        for day, (charges, _) in zip(days, PARTS_OF_TOKENS.values(), strict=True)
        for n, (kind, tokens) in enumerate(charges)
    ]
    write(files / "november.csv", rows)
    fetched(project, *days)
    used = sums(project, "select input_tokens, cached_input_tokens, output_tokens from costs.usage order by usage_date")
    assert dict(zip(PARTS_OF_TOKENS, used, strict=True)) == {name: of for name, (_, of) in PARTS_OF_TOKENS.items()}
    totals = sums(
        project,
        "select (day_totals ->> 'tokens')::decimal(38, 24) from ledger.stored_days "
        "where table_name = 'focus.charges' order by usage_date",
    )
    with localcontext(prec=50):
        for (total,), (name, (charges, _)) in zip(totals, PARTS_OF_TOKENS.items(), strict=True):
            assert total == sum(Decimal(tokens) for _, tokens in charges), name


METERS = {
    INPUT: """
    gpt-5-mini                 GPT 5 Mini Inpt Glbl 1M Tokens
    -                          USE1-MP:USE1_InputTokenCount_Global-Units
    -                          APN1-MP:APN1_MillionBatchInputTokens-Units
    -                          USE1-MP:USE1_input_tokens_standard-Units
    gemini-3.1-flash-image     Gemini 3.1 Flash Image Text Input - Predictions
    gemini-3-flash             Generate_content image input token count for gemini 3 flash
    gemini-3.5-live-translate  Generate_content audio input token count for Gemini 3.5 Live Translate
    -                          paygo-inference-input-tokens
    5.4-mini-pp                5.4 mini pp Inp Gl 1M Tokens
    text-embedding-3-small     text-embedding-3-small-glbl Tokens
    text-embedding-3-large     text embedding 3 large DZ Tokens
    Nova2.0Pro                 USE1-Nova2.0Pro-text-input-tokens-priority-cross-region-global
    NovaSonic                  USE1-NovaSonic-speech-input-tokens
    Nova2.0Pro                 USE1-Nova2.0Pro-input-image-token-count-cross-region-global
    """,
    OUTPUT: """
    gpt-5-mini                  GPT 5 Mini outpt Glbl 1M Tokens
    -                           USE1-MP:USE1_OutputTokenCount-Units
    -                           APN1-MP:APN1_MillionBatchOutputTokens-Units
    gpt-image-2                 Image 2 img opt Gl 1M Tokens
    gpt-5-pro                   gpt 5 pro out glbl Tokens
    gemini-3-flash              Generate_content text output token count for gemini 3 flash
    gemini-3.1-flash-image      Gemini 3.1 Flash Image Image Output - Predictions
    gemini-2.5-flash-image      Generate_content image output token count for Gemini 2.5 Flash Native Image Generation
    gemini-3-pro                Gemini 3.0 Pro Image Output - Predictions
    codestral-25.01             Codestral 25.01 - mistral-codestral-2501-plan-prod - paygo-inference-output-tokens
    6-astra-longco              6-astra LongCo Opt Std DZ 1M Tokens
    phi-3.5-mini-128k-instruct  Phi-3.5-Mini-128K-Instruct-Output Tokens
    claude-sonnet-4             USE1-Claude4Sonnet-output-tokens-long-context-cross-region-global
    """,
    CACHE_READ: """
    gpt-5-mini        GPT 5 Mini cchd Inpt Glbl 1M Tokens
    5.6-sol-shortco   5.6 sol ShortCo Cd Inp Std Gl 1M Tokens
    -                 USE1-MP:USE1_CacheReadInputTokenCount-Units
    -                 USE1-MP:USE1_cache_read_tokens_standard-Units
    gpt-5-codex       gpt-5-codex-ccchd-inp-glbl Tokens
    gpt-5-chat        GPT 5 Chat cchd Inpt Glbl 1M Tokens - Preview
    gpt-image-1.5     gpt img 1.5 in cd txt gl 1M Tokens
    gemini-2.5-flash  Gemini 2.5 Flash GA Input Text Caching
    gemini-2.5-flash  Generate content cached input token count gemini 2.5 flash input image
    gemini-3-flash    Gemini 3 Flash Image Input Caching Priority
    gemini-3.7-flash  Generate content input token count gemini 3.7 flash image flex caching
    gemini-3.8-flash-cyber  Gemini 3.8 Flash Cyber Global Text Input Caching Offpeak
    -                 paygo-inf-cache-hit-tokens
    """,
    CACHE_WRITE: """
    5.6-sol-shortco  5.6 sol ShortCo Cd Wr Std Gl 1M Tokens
    -                EU-MP:EU_cache_write_tokens_standard-Units
    gpt-5.6-luna     USE1-openai.gpt-5.6-luna-mantle-cache-write-tokens-5m-long-ctx-flex
    """,
    CACHE_WRITE_1H: """
    -                USE1-MP:USE1_CacheWrite1hInputTokenCount-Units
    -                USE1-MP:USE1_cache_write_tokens_1h_global_standard-Units
    claude-sonnet-4  USE1-Claude4Sonnet-cache-write-input-token-count-1-hour
    """,
    # no kind is of half an hour, and a reserved minute is no token
    "": """
    -                  USE1-MP:USE1_cache_write_tokens_30m_standard-Units
    -                  USE1-MP:USE1_Reserved_1Month_InputTPM_Geo-Units
    claude-sonnet-4-5  EU-Claude4.5Sonnet-reserved-1-month-input-tokens-per-minute
    -                  Claude in Microsoft Foundry (Azure hosted) - claude-ccu-plan - claude-consumption-units
    """,
}
"""Kind of tokens -> models and meters. An image is of the model where its name ends, or another content follows."""


def test_meters_of_public_price_lists_say_which_tokens_they_count() -> None:
    for kind, text in METERS.items():
        for model, meter in lines(text):
            assert (model_in(meter) or "-", kind_of(meter)) == (model, kind or meter)
    begun = " Gemini 2.5 Flash GA Input Text Caching"
    assert (model_in(begun), kind_of(begun)) == ("gemini-2.5-flash", CACHE_READ), "with a space before it"


def test_parquet_is_read_exactly(tmp_path: Path) -> None:
    charge = on("2026-11-02")
    values = {name: pa.array([charge.get(name), None]) for name in ("SkuMeter", "SubAccountId", "ServiceCategory")}
    always = ("BillingAccountId", "BillingCurrency", "ChargeCategory", "ServiceName", "ProviderName")
    begin, end = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 2, 1, tzinfo=UTC)
    table = pa.table(
        values
        | {name: pa.array([charge[name]] * 2).dictionary_encode() for name in always}
        | {
            "BilledCost": pa.array([0.1 + 0.2, 1e-7]),
            "EffectiveCost": pa.array([Decimal("1.234567890123456789012345"), Decimal(1)], pa.decimal128(38, 24)),
            "ListCost": pa.array([0.1, 2], pa.float32()),
            "ConsumedQuantity": pa.array([3, 4], pa.int64()),
            "ChargePeriodStart": pa.array([begin.replace(tzinfo=None)] * 2, pa.timestamp("ns")),
            "ChargePeriodEnd": pa.array([end] * 2, pa.timestamp("ms", "UTC")),
            "Tags": pa.array([[("team", "research")], None], pa.map_(pa.string(), pa.string())),
        }
    )
    pq.write_table(table, tmp_path / "bill.parquet")
    rows = read(tmp_path)
    amounts = [
        [row[name] for name in ("billed_cost", "effective_cost", "list_cost", "consumed_quantity")] for row in rows
    ]
    assert amounts == [
        [Decimal("0.30000000000000004"), Decimal("1.234567890123456789012345"), Decimal("0.1"), 3],
        [Decimal("0.0000001"), 1, 2, 4],
    ]
    assert rows[0]["charge_period_end"] == end
    assert json.loads(json.loads(rows[0]["other_columns"])["Tags"]) == {"team": "research"}


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    report = FOCUS.endpoints[0].files
    assert report
    file = write(tmp_path / "bill.csv", [on("2026-11-02")])
    location = Location(str(file))
    reading = Reading(location, report, Window(DAYS[0], DAYS[0]), report.taken, Look.at(location))
    rows = reading.rows()
    next(rows)
    write(file, [on("2026-11-02"), on("2026-11-03")])
    with pytest.raises(FileError, match="was changed while it was read"):
        next(rows)


AZURE = [
    on("2026-11-02", **changes_in(text))
    for text in one_a_line("""
        BilledCost=10; ServiceName=Azure OpenAI Service; SkuId=gpt
        BilledCost=2.5; ServiceName=Storage; SkuId=disk
        BilledCost=5; ServiceName=; ProviderName=; PublisherName=Contoso Software Ltd; ChargeCategory=Purchase
        BilledCost=0.25; ServiceName=; ProviderName=; PublisherName=; ServiceCategory=; ChargeCategory=Tax
        BilledCost=1; ServiceName=; SkuId=llm; PublisherName=OpenAI
    """)
]
"""As Azure and Google write it: purchases, roundings and taxes name no service."""


def test_a_charge_without_a_service_is_taken_by_what_else_it_says_or_left_out_by_name(tmp_path: Path) -> None:
    for filters, taken, left_out in [
        ({}, {"10", "1"}, {"Storage", "Contoso Software Ltd", "not named"}),
        ({"services": ["azure open*", "SkuId=disk"]}, {"10", "2.5"}, {"Contoso Software Ltd", "not named", "OpenAI"}),
        (
            {"services": ["not named"]},
            {"0.25"},
            {"Azure OpenAI Service", "Storage", "Contoso Software Ltd", "OpenAI"},
        ),
    ]:
        write(tmp_path / "bill.csv", AZURE)
        rows = read(tmp_path, filters=filters)
        assert {row["billed_cost"] for row in rows if row["left_out_rows"] is None} == {*map(Decimal, taken)}
        assert {row["service_name"] for row in rows if row["left_out_rows"]} == left_out


MARKETPLACE = (
    ("SaaS", "Anthropic", "Claude in Microsoft Foundry (Azure hosted) - claude-ccu-plan - claude-consumption-units", 1),
    ("Azure Marketplace", "Anthropic", "Claude Consumption Unit", 2),
    ("Azure Marketplace", "Mistral AI", "Codestral 25.01 - mistral-plan - paygo-inference-output-tokens", 4),
    ("SaaS", "", "Claude in Microsoft Foundry (Anthropic hosted) - claude-ccu-plan - claude-consumption-units", 8),
    ("Azure Marketplace", "Contoso Software Ltd", "seat", 16),
)
"""Service, publisher, meter and dollars of what Azure sells for others: of Claude, which has one meter for all models,
as public notes on two subscriptions have it."""


@pytest.mark.parametrize("meter", ["x_SkuMeterName", "SkuMeter"])  # until FOCUS 1.0, and since 1.2
def test_models_of_a_marketplace_are_taken_whose_service_is_that_of_everything_sold_there(
    tmp_path: Path, meter: str
) -> None:
    names = ("ServiceName", "PublisherName", meter, "BilledCost")
    sold = [{"SkuMeter": "", **dict(zip(names, map(str, each), strict=True))} for each in MARKETPLACE]
    write(tmp_path / "bill.csv", [on("2026-11-02", **each) for each in sold], [*{*COLUMNS, meter}])
    rows = read(tmp_path)
    assert by_day([row for row in rows if row["left_out_rows"] is None]) == {DAYS[0]: 1 + 2 + 4 + 8}
    assert by_day([row for row in rows if row["left_out_rows"]]) == {DAYS[0]: 16}


def test_every_day_equals_the_books_of_the_cloud_also_after_corrections(sandbox: Sandbox, tmp_path: Path) -> None:
    days = last_days(50)
    span = {"start": str(days[0]), "end": str(days[-1]), "folder": str(tmp_path)}

    def of_books() -> dict[str, dict[str, Decimal]]:
        truth = sandbox.control("GET", "truth", start=str(days[0]), end=str(days[-1]))["days"]["focus"]
        return {unit: {day: Decimal(amount) for day, amount in by_day.items()} for unit, by_day in truth.items()}

    def of_files() -> dict[str, dict[str, Decimal]]:
        found: dict[str, dict[str, Decimal]] = {}
        for row in read(tmp_path, *days):
            left_out, day = row["left_out_rows"], str(row["usage_date"])
            money = "usd" if left_out is None else "left_out_usd"
            units = {money: row["billed_cost"], "tokens": row["tokens"], "left_out_rows": left_out}
            for unit, amount in units.items():
                if amount is not None:
                    found.setdefault(unit, {}).setdefault(day, Decimal())
                    found[unit][day] += amount
        return found

    sandbox.control("POST", "bills", span)
    assert of_files() == of_books()
    sandbox.restate("focus", days[3], days[40])
    sandbox.restate("focus", days[5], change="add")
    before = of_files()
    sandbox.control("POST", "bills", span)
    assert before != of_files() == of_books()


def test_a_prefix_of_an_object_store_is_read_like_a_folder(object_store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, CREDENTIALS)
    options = f"scheme=http&endpoint_override={object_store.removeprefix('http://')}&region=us-east-1"
    store, _ = FileSystem.from_uri(f"s3://bills?{options}&allow_bucket_creation=true")
    store.create_dir("bills")
    part = "data/BILLING_PERIOD=2026-11/focus-00001.csv.gz"
    content = {
        part: gzip.compress(text_of([on("2026-11-02")]).encode()),
        "data/BILLING_PERIOD=2026-10/focus-00001.parquet": b"not opened: it is about earlier days",
        "metadata/BILLING_PERIOD=2026-11/focus-Manifest.json": json.dumps({"dataFiles": [f"s3://x/{part}"]}).encode(),
    }
    for name, body in content.items():
        with store.open_output_stream(f"bills/aws/{name}", compression=None) as out:
            out.write(body)
    for place in ("s3://bills/aws/", "s3://bills/aws/*/BILLING_PERIOD=2026-11/*"):
        with client_of(FOCUS, key="", base_url=f"{place}?{options}") as client:
            [row] = client.fetch(FOCUS.endpoints[0], DAYS[:1]).rows.to_pylist()
        assert row["billed_cost"] == Decimal("1.25")


FIXTURES = ROOT / "fixtures" / "focus" / "charges"
COMPOSED = {
    "aws_1_0": (1_500, "0.0075"),
    "aws_1_2": (5_867_135, "3.79386945"),
    "azure_1_0": (31_000, "0.066"),
    "fal_1_3": (0, "0.075"),
    "google_1_0": (1_000_000, "0.3"),
    "vendor_1_4": (2_000, "0.05"),
}
"""File -> tokens and dollars."""


def test_files_of_each_version_and_vendor_are_read() -> None:
    for name, (tokens, dollars) in COMPOSED.items():
        taken = [row for row in read(FIXTURES / f"composed_{name}.csv") if row["left_out_rows"] is None]
        assert sum(row["tokens"] or 0 for row in taken) == tokens, name
        assert sum(row["billed_cost"] for row in taken) == Decimal(dollars), name
        assert all(row["service_provider_name"] for row in taken), name


def test_every_fixture_is_read() -> None:
    assert {path.stem.removeprefix("composed_") for path in FIXTURES.iterdir()} == COMPOSED.keys()
