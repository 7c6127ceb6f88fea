"""What can be wrong with files: how it is planted. What a user reads of it is in the rows of docs/faults.md."""

import gzip
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from usage_assets_finance_tests.focus_files import CHARGE, COLUMNS, on, text_of, write
from usage_assets_tests.fixtures import ROOT
from usage_assets_tests.models.days import lines

PAGE = ROOT / "docs" / "faults.md"
DAY, NEXT = "2026-11-03", "2026-11-04"
OTHER = on(DAY, SkuMeter="USE1-Claude4.5Sonnet-output-tokens")
GOOD = text_of([on(DAY), OTHER])
LINES = "".join(f"{json.dumps(row)}\n" for row in (on(DAY), OTHER))


@dataclass(frozen=True)
class FileFault:
    """Something that is wrong with the files of a day, as the page says it."""

    name: str
    waits: bool
    """Whether the day is fetched again later by itself."""
    reads: str
    """What the user reads, after the path; what stands in angle brackets may be anything."""

    @property
    def plant(self) -> Callable[[Path], object]:
        """Writes files into an empty folder."""
        return PLANTED[self.name]

    @property
    def day(self) -> str:
        """The day that is asked for. DAY is stored already."""
        return NEXT if self.name == "no charges of a day" else DAY


def with_row(text: str, folder: Path) -> None:
    """A file whose second row is wrong."""
    write(folder / "bill.csv", [on(DAY), {**OTHER, **dict(each.split("=") for each in text.split("; "))}])


def with_content(file: str, content: str | bytes, folder: Path) -> None:
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())


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


def one_charge(folder: Path) -> None:
    write(folder / "bill.csv", [CHARGE])


CONTENTS: Mapping[str, Mapping[str, str | bytes]] = {
    "bill.csv": {
        "half a row": GOOD[:-150],
        "a comma that is not quoted": GOOD.replace("Amazon Bedrock", "Amazon, Bedrock"),
        "a quote that does not end": GOOD.replace("us-east-1", '"us-east-1', 1),
        "a row of megabytes": f"{GOOD}{'x' * (3 << 20)}\n",
        "a header of megabytes": "x" * (3 << 20),
        "a quote in the header that does not end": f'"{GOOD}',
        "Latin-1": GOOD.replace("research", "recherché").encode("latin-1"),
        "UTF-16": GOOD.encode("utf-16"),
        "NUL bytes": GOOD.replace("research", "rese\0rch"),
        "semicolons": text_of([on(DAY)], separator=";"),
        "tabs": text_of([on(DAY)], separator="\t"),
        "an empty file": "",
        "a header and no row": text_of([]),
        "a column missing": text_of([on(DAY)], [name for name in COLUMNS if name != "BillingCurrency"]),
        "a column twice": text_of([on(DAY)], [*COLUMNS, "BilledCost"]),
    },
    "bill.csv.gz": {"half a gzip file": gzip.compress(GOOD.encode())[:-30], "no gzip file": GOOD},
    "bill.parquet": {"no Parquet file": GOOD},
    "bill.jsonl": {
        "half a line of JSON": LINES[:-150],
        "a list of JSON": json.dumps([on(DAY), OTHER]),
        "a line of JSON that is not UTF-8": LINES.replace("research", "recherché").encode("latin-1"),
        "half a character in JSON": LINES.replace("research", "\\ud83d"),
        "NaN in JSON": LINES.replace('"BilledCost": "1.25"', '"BilledCost": NaN'),
        "a column of JSON twice": LINES.replace('"BilledCost": "1.25"', '"BilledCost": 1, "BilledCost": 1'),
        "a truth as an amount of JSON": LINES.replace('"BilledCost": "1.25"', '"BilledCost": true'),
        "a line of JSON without a currency": f"\n{LINES.replace('USD', '', 1)}",
    },
}
"""Name of a file -> what is wrong with its content."""
OF_ROWS = lines("""
    thousands separators                        BilledCost=1,234.5
    text as an amount                           EffectiveCost=free
    NaN as an amount                            BilledCost=NaN
    infinity as an amount                       BilledCost=-inf
    a wrong amount of what is left out          BilledCost=$5; ServiceName=Amazon EC2
    a wrong effective cost of what is left out  EffectiveCost=NaN; ServiceName=Amazon EC2
    1e400 as an amount                          ListCost=1e400
    no amount                                   BilledCost=
    no currency                                 BillingCurrency=NULL
    a currency in words                         BillingCurrency=dollars
    two currencies                              BillingCurrency=EUR
    an American date                            ChargePeriodStart=11/03/2026
    a European date                             ChargePeriodStart=03.11.2026
    a date without hyphens                      ChargePeriodEnd=20261104
    a day that does not exist                   ChargePeriodStart=2026-11-31
    no time                                     ChargePeriodStart=
    an end before the beginning                 ChargePeriodEnd=2026-11-03T00:00:00Z
""")
"""What is wrong, and columns of the row."""
PLANTED: Mapping[str, Callable[[Path], object]] = {
    **{name: partial(with_content, file, each) for file, named in CONTENTS.items() for name, each in named.items()},
    "half a Parquet file": half_a_parquet_file,
    "NaN in Parquet": lambda folder: parquet(folder / "bill.parquet", BilledCost=pa.array([float("nan")])),
    **{name: partial(with_row, text) for name, text in OF_ROWS},
    "a copy of a file": a_copy,
    "two files of one day": two_accounts,
    "a charge after the period of its folder": after_its_period,
    "a listed file is missing": lambda folder: delivered_by_aws(folder, 2, 1),
    "a listed file is shorter": lambda folder: delivered_by_azure(folder, 7),
    "a file that is not listed": beside_a_listed_file,
    "a part of the next delivery": overwritten_in_part,
    "half a manifest": half_a_manifest,
    "a numbered part is missing": one_of_three_parts,
    "no file": lambda folder: None,
    "no charges of a day": one_charge,
    "no charges of a stored day any more": one_charge,
}
WAITS = {"the days wait": True, "the run fails at once": False}
CELLS = (line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| "))
FAULTS = [FileFault(row[0], WAITS[row[1]], row[2].strip("`")) for row in CELLS if len(row) == 3 and row[2][:1] == "`"]
"""The rows of the page."""
