"""What can be wrong with files: how it is planted, and what a user reads. They are the rows of docs/faults.md."""

import gzip
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from usage_assets_finance_tests.focus_files import CHARGE, COLUMNS, on, text_of, write
from usage_assets_tests.models.days import cases

DAY, NEXT = "2026-11-03", "2026-11-04"
OTHER = on(DAY, SkuMeter="USE1-Claude4.5Sonnet-output-tokens")
GOOD = text_of([on(DAY), OTHER])
LINES = "".join(f"{json.dumps(row)}\n" for row in (on(DAY), OTHER))


@dataclass(frozen=True)
class FileFault:
    """Something that is wrong with the files of a day."""

    name: str
    plant: Callable[[Path], object]
    """Writes files into an empty folder."""
    reads: str
    """What the user reads, after the path; what stands in angle brackets may be anything."""
    waits: bool = False
    """Whether the day is fetched again later by itself."""
    day: str = DAY
    """The day that is asked for. DAY is stored already."""


def of_row(case: tuple[str, ...]) -> FileFault:
    """A file whose second row is wrong."""
    name, text, reads = case
    changes = dict(each.split("=") for each in text.split("; "))
    rows = [on(DAY), {**OTHER, **changes}]
    return FileFault(
        name, lambda folder: write(folder / "bill.csv", rows), f"<path>, row 3, {reads} It was not stored."
    )


def of_bytes(name: str, content: bytes, reads: str, file: str = "bill.csv") -> FileFault:
    return FileFault(name, lambda folder: (folder / file).write_bytes(content), reads)


def parquet(path: Path, **columns: pa.Array) -> None:
    known = {name: pa.array([OTHER.get(name)]) for name in COLUMNS}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(known | columns), path)


def half_a_parquet_file(folder: Path) -> None:
    parquet(folder / "bill.parquet")
    content = (folder / "bill.parquet").read_bytes()
    (folder / "bill.parquet").write_bytes(content[:-60])


def delivered_by_aws(folder: Path, listed: int, written: int) -> None:
    """An AWS export of November of some files, of which only some are there. The manifest is delivered last."""
    period = "BILLING_PERIOD=2026-11"
    names = [f"focus-{n:05}.csv.gz" for n in range(1, listed + 1)]
    for n, name in enumerate(names[:written]):
        write(folder / "data" / period / name, [on(DAY, SubAccountId=str(n))])
    manifest = folder / "metadata" / period / "focus-Manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"dataFiles": [f"s3://bills/x/focus/data/{period}/{name}" for name in names]}))


def a_minute_after_the_manifest(file: Path) -> None:
    """Another delivery has begun."""
    manifest = next(file.parents[2].rglob("*Manifest.json"))
    later = manifest.stat().st_mtime + 60
    os.utime(file, (later, later))


def delivered_by_azure(folder: Path, more_bytes: int) -> None:
    """An Azure export of November, of which a file is shorter than its manifest says."""
    run = folder / "focus-cost" / "20261101-20261130" / "6f1c"
    size = write(run / "part_0_0001.csv", [on(DAY)]).stat().st_size
    name = "exports/focus-cost/20261101-20261130/6f1c/part_0_0001.csv"
    manifest = {"blobs": [{"blobName": name, "byteCount": size + more_bytes}], "runInfo": {"submittedTime": DAY}}
    (run / "manifest.json").write_text(json.dumps(manifest))


def beside_a_listed_file(folder: Path) -> None:
    delivered_by_aws(folder, 1, 1)
    beside = folder / "data" / "BILLING_PERIOD=2026-11" / "focus-00002.csv.gz"
    a_minute_after_the_manifest(write(beside, [on(DAY, SubAccountId="9")]))


def overwritten_in_part(folder: Path) -> None:
    delivered_by_aws(folder, 2, 2)
    a_minute_after_the_manifest(folder / "data" / "BILLING_PERIOD=2026-11" / "focus-00001.csv.gz")


def half_a_manifest(folder: Path) -> None:
    delivered_by_aws(folder, 1, 1)
    manifest = next(folder.rglob("*Manifest.json"))
    manifest.write_bytes(manifest.read_bytes()[:20])


def one_of_three_parts(folder: Path) -> None:
    for n in (1, 3):
        write(folder / f"focus-{n:05}.csv", [on(DAY, SubAccountId=str(n))])


def two_accounts(folder: Path) -> None:
    write(folder / "a.csv", [on(DAY)])
    write(folder / "b.csv", [on(DAY, BillingAccountId="999")])


def a_copy(folder: Path) -> None:
    write(folder / "bill.csv", [on(DAY)])
    write(folder / "bill (1).csv", [on(DAY)])


def after_its_period(folder: Path) -> None:
    write(folder / "data" / "BILLING_PERIOD=2026-11" / "focus-00001.csv", [on("2026-12-01")])


_NUMBER = "is no number: write digits with a decimal point, as 1234.5. It was not stored."
_CUT = "values for <n> columns: the file is cut off or not quoted. It was not stored."
_UTF8 = "is not UTF-8: export it as UTF-8. It was not stored."
_LATER = "It was not stored: run the same days again later."
_WAIT = f"wait for the rest of the delivery. {_LATER}"
OF_ROWS = cases(
    """
    thousands separators -> BilledCost=1,234.5 -> BilledCost: '1,234.5': NUMBER
    text as an amount -> EffectiveCost=free -> EffectiveCost: 'free': NUMBER
    NaN as an amount -> BilledCost=NaN -> BilledCost: 'NaN': NUMBER
    infinity as an amount -> BilledCost=-inf -> BilledCost: '-inf': NUMBER
    a wrong amount of what is left out -> BilledCost=$5; ServiceName=Amazon EC2 -> BilledCost: '$5': NUMBER
    a wrong effective cost of what is left out -> EffectiveCost=NaN; ServiceName=Amazon EC2
      -> EffectiveCost: 'NaN': NUMBER
    1e400 as an amount -> ListCost=1e400 -> ListCost: '1e400': is too large to be stored exactly.
    no amount -> BilledCost= -> BilledCost: no value: each charge needs one.
    no currency -> BillingCurrency=NULL -> BillingCurrency: no value: each charge needs one.
    a currency in words -> BillingCurrency=dollars
      -> BillingCurrency: 'dollars': is no currency code: write it as USD.
    two currencies -> BillingCurrency=EUR
      -> BillingCurrency: 'EUR': the same bill is in USD in <path>, row 2.
    an American date -> ChargePeriodStart=11/03/2026 -> ChargePeriodStart: '11/03/2026': TIME
    a European date -> ChargePeriodStart=03.11.2026 -> ChargePeriodStart: '03.11.2026': TIME
    a date without hyphens -> ChargePeriodEnd=20261104 -> ChargePeriodEnd: '20261104': TIME
    a day that does not exist -> ChargePeriodStart=2026-11-31 -> ChargePeriodStart: '2026-11-31': TIME
    no time -> ChargePeriodStart= -> ChargePeriodStart: no value: each charge needs one.
    an end before the beginning -> ChargePeriodEnd=2026-11-03T00:00:00Z
      -> ChargePeriodEnd: '2026-11-03T00:00:00Z': is not after ChargePeriodStart.
""".replace("NUMBER", "is no number: write digits with a decimal point, as 1234.5.").replace(
        "TIME", "is no time: write it as 2026-11-01T00:00:00Z."
    )
)
"""What is wrong, columns of the row, and what is said of it."""
FAULTS = (
    of_bytes("half a row", GOOD.encode()[:-150], f"<path>, row 3: has <n> {_CUT}"),
    of_bytes(
        "a comma that is not quoted",
        GOOD.replace("Amazon Bedrock", "Amazon, Bedrock").encode(),
        f"<path>, row 2: has <n> {_CUT}",
    ),
    of_bytes(
        "a quote that does not end",
        GOOD.replace("us-east-1", '"us-east-1', 1).encode(),
        f"<path>, row <n>: has <n> {_CUT}",
    ),
    of_bytes(
        "a row of megabytes",
        f"{GOOD}{'x' * (3 << 20)}\n".encode(),
        "<path>, row 4: has more than <n> bytes: a quote that does not end, or no file of charges. It was not stored.",
    ),
    of_bytes(
        "a header of megabytes",
        b"x" * (3 << 20),
        "<path>: row 1: has more than <n> bytes: a quote that does not end, or no file of charges. It was not stored.",
    ),
    of_bytes(
        "a quote in the header that does not end",
        f'"{GOOD}'.encode(),
        "<path>: row 1: is no header of a CSV file (<details>): export it again. It was not stored.",
    ),
    of_bytes("Latin-1", GOOD.replace("research", "recherché").encode("latin-1"), f"<path>, row 2: {_UTF8}"),
    of_bytes("UTF-16", GOOD.encode("utf-16"), "<path>: is UTF-16: export it as UTF-8. It was not stored."),
    of_bytes(
        "NUL bytes",
        GOOD.replace("research", "rese\0rch").encode(),
        "<path>: has a NUL byte (byte <n>): export it again as UTF-8. It was not stored.",
    ),
    of_bytes(
        "semicolons",
        text_of([on(DAY)], separator=";").encode(),
        "<path>: row 1: columns are separated by semicolons: export it with commas. It was not stored.",
    ),
    of_bytes(
        "tabs",
        text_of([on(DAY)], separator="\t").encode(),
        "<path>: row 1: columns are separated by tabs: export it with commas. It was not stored.",
    ),
    of_bytes("an empty file", b"", "<path>: is empty: remove it, or export it again. It was not stored."),
    of_bytes(
        "a header and no row",
        text_of([]).encode(),
        "<path>: has a header and no row: it says nothing about any day, remove it. It was not stored.",
    ),
    of_bytes(
        "a column missing",
        text_of([on(DAY)], [name for name in COLUMNS if name != "BillingCurrency"]).encode(),
        "<path>: has no column BillingCurrency: export it with all columns that are required. It was not stored.",
    ),
    of_bytes(
        "a column twice",
        text_of([on(DAY)], [*COLUMNS, "BilledCost"]).encode(),
        "<path>: column BilledCost is there twice: export each column once. It was not stored.",
    ),
    of_bytes(
        "half a gzip file",
        gzip.compress(GOOD.encode())[:-30],
        "<path>: is no complete gzip file (<details>): export it again. It was not stored.",
        "bill.csv.gz",
    ),
    of_bytes(
        "no gzip file",
        GOOD.encode(),
        "<path>: is no complete gzip file (<details>): export it again. It was not stored.",
        "bill.csv.gz",
    ),
    of_bytes(
        "no Parquet file",
        GOOD.encode(),
        "<path>: is no complete Parquet file (<details>): export it again. It was not stored.",
        "bill.parquet",
    ),
    of_bytes(
        "half a line of JSON",
        LINES.encode()[:-150],
        "<path>, row 2: is no JSON object (<details>): write one object a line. It was not stored.",
        "bill.jsonl",
    ),
    of_bytes(
        "a list of JSON",
        json.dumps([on(DAY), OTHER]).encode(),
        "<path>, row 1: is no JSON object (it is another value): write one object a line. It was not stored.",
        "bill.jsonl",
    ),
    of_bytes(
        "a line of JSON that is not UTF-8",
        LINES.replace("research", "recherché").encode("latin-1"),
        f"<path>, row 1: {_UTF8}",
        "bill.jsonl",
    ),
    of_bytes(
        "half a character in JSON",
        LINES.replace("research", "\\ud83d").encode(),
        f"<path>, row 1: {_UTF8}",
        "bill.jsonl",
    ),
    of_bytes(
        "NaN in JSON",
        LINES.replace('"BilledCost": "1.25"', '"BilledCost": NaN').encode(),
        "<path>, row 1: is no JSON object (NaN is no number): write one object a line. It was not stored.",
        "bill.jsonl",
    ),
    of_bytes(
        "a column of JSON twice",
        LINES.replace('"BilledCost": "1.25"', '"BilledCost": 1, "BilledCost": 1').encode(),
        "<path>, row 1: column BilledCost is there twice: export each column once. It was not stored.",
        "bill.jsonl",
    ),
    of_bytes(
        "a truth as an amount of JSON",
        LINES.replace('"BilledCost": "1.25"', '"BilledCost": true').encode(),
        f"<path>, row 1, BilledCost: 'true': {_NUMBER}",
        "bill.jsonl",
    ),
    of_bytes(
        "a line of JSON without a currency",
        f"\n{LINES.replace('USD', '', 1)}".encode(),
        "<path>, row 2, BillingCurrency: no value: each charge needs one. It was not stored.",
        "bill.jsonl",
    ),
    FileFault(
        "half a Parquet file",
        half_a_parquet_file,
        "<path>: is no complete Parquet file (<details>): export it again. It was not stored.",
    ),
    FileFault(
        "NaN in Parquet",
        lambda folder: parquet(folder / "bill.parquet", BilledCost=pa.array([float("nan")])),
        f"<path>, row 1, BilledCost: 'nan': {_NUMBER}",
    ),
    *map(of_row, OF_ROWS),
    FileFault(
        "a copy of a file",
        a_copy,
        f"<path> and <path> have the same charges of {DAY}: remove the one that is a copy. It was not stored.",
    ),
    FileFault(
        "two files of one day",
        two_accounts,
        f"<path> and <path> both have charges of {DAY}: keep one of them, or give each account a "
        "connection of its own. It was not stored.",
    ),
    FileFault(
        "a charge after the period of its folder",
        after_its_period,
        "<path>, row 2, ChargePeriodStart: '<time>': is after the period of its folder (<days>). It was not stored.",
    ),
    FileFault(
        "a listed file is missing",
        lambda folder: delivered_by_aws(folder, 2, 1),
        f"focus-00002.csv.gz is missing, which <path> lists: {_WAIT}",
        waits=True,
    ),
    FileFault(
        "a listed file is shorter",
        lambda folder: delivered_by_azure(folder, 7),
        f"<path> has <n> bytes and not the <n> of <path>: {_WAIT}",
        waits=True,
    ),
    FileFault(
        "a file that is not listed",
        beside_a_listed_file,
        f"<path> is not in the manifest of its folder: {_WAIT}",
        waits=True,
    ),
    FileFault(
        "a part of the next delivery",
        overwritten_in_part,
        f"<path> is newer than <path> (if you copied the files, copy the manifest last): {_WAIT}",
        waits=True,
    ),
    FileFault(
        "half a manifest",
        half_a_manifest,
        "<path>: is no manifest that can be read: <details>. It was not stored: run the same days again later.",
        waits=True,
    ),
    FileFault(
        "a numbered part is missing", one_of_three_parts, f"part 2 is missing beside <path>: {_WAIT}", waits=True
    ),
    FileFault(
        "no file",
        lambda folder: None,
        "<path>: has no file whose name ends in .csv, .csv.gz, .jsonl, .jsonl.gz, .parquet. It was not stored.",
    ),
    FileFault(
        "no charges of a day",
        lambda folder: write(folder / "bill.csv", [CHARGE]),
        f"no file has charges of {NEXT}: <path> does not cover them yet. {_LATER}",
        waits=True,
        day=NEXT,
    ),
    FileFault(
        "no charges of a stored day any more",
        lambda folder: write(folder / "bill.csv", [CHARGE]),
        f"bill.csv no longer has charges of these days ({DAY}). They stay as they are stored, and nothing new of these "
        "files is. Bring the charges back, or accept it: usage-assets bills accept --connection bill "
        f"--start {DAY} --end {DAY}",
    ),
)
