"""FOCUS files for tests: composed rows in the official column order of several versions and vendors."""

import csv
import gzip
import io
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from usage_assets_tests.models.days import one_a_line

HEADER = (
    "BilledCost,BillingAccountId,BillingAccountName,BillingCurrency,BillingPeriodEnd,BillingPeriodStart,ChargeCategory,"
    "ChargeClass,ChargeDescription,ChargeFrequency,ChargePeriodEnd,ChargePeriodStart,ConsumedQuantity,ConsumedUnit,"
    "ContractedCost,EffectiveCost,InvoiceIssuerName,ListCost,PricingQuantity,PricingUnit,ProviderName,PublisherName,"
    "RegionId,ResourceId,ServiceCategory,ServiceName,SkuId,SkuMeter,SkuPriceId,SubAccountId,SubAccountName,Tags,"
    "x_Operation,x_ServiceCode"
)
COLUMNS = tuple(next(csv.reader([HEADER])))
CHARGE: Mapping[str, str] = dict(
    line.split("=", 1)
    for line in one_a_line("""
    BilledCost=1.25
    BillingAccountId=111122223333
    BillingAccountName=Acme
    BillingCurrency=USD
    BillingPeriodStart=2026-11-01T00:00:00Z
    BillingPeriodEnd=2026-12-01T00:00:00Z
    ChargeCategory=Usage
    ChargeDescription=$0.003 per 1K input tokens
    ChargeFrequency=Usage-Based
    ChargePeriodStart=2026-11-02T00:00:00Z
    ChargePeriodEnd=2026-11-03T00:00:00Z
    ConsumedQuantity=416.5
    ConsumedUnit=1K tokens
    ContractedCost=1.25
    EffectiveCost=1.25
    InvoiceIssuerName=Amazon Web Services, Inc.
    ListCost=1.5
    PricingQuantity=416.5
    PricingUnit=1K tokens
    ProviderName=AWS
    PublisherName=AWS
    RegionId=us-east-1
    ServiceCategory=AI and Machine Learning
    ServiceName=Amazon Bedrock
    SkuId=SKU1
    SkuMeter=USE1-Claude4.5Sonnet-input-tokens
    SkuPriceId=SKU1.1
    SubAccountId=444455556666
    SubAccountName=research
    Tags={"team": "research"}
    x_ServiceCode=AmazonBedrock
    """)
)
"""A charge that is in order."""
_MOMENTS = itertools.count(int(datetime(2026, 11, 20, tzinfo=UTC).timestamp()))
"""Files change one after the other, while the month of this charge is under way."""


def on(day: str, **changes: str) -> dict[str, str]:
    """The charge on a day, changed."""
    following = date.fromisoformat(day) + timedelta(days=1)
    period = {"ChargePeriodStart": f"{day}T00:00:00Z", "ChargePeriodEnd": f"{following}T00:00:00Z"}
    return {**CHARGE, **period, **changes}


def text_of(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = COLUMNS, separator: str = ",") -> str:
    written = io.StringIO()
    table = csv.DictWriter(
        written, columns, restval="", delimiter=separator, lineterminator="\n", extrasaction="ignore"
    )
    table.writeheader()
    table.writerows(rows)
    return written.getvalue()


def write(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> Path:
    """Write a CSV file, compressed if it is called so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = text_of(rows, columns).encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    at = next(_MOMENTS)
    os.utime(path, (at, at))
    return path


def connection(folder: Path, files: Path | str, *, name: str = "bill", **settings: str) -> dict[str, str]:
    """Variables of a project with one connection that reads files."""
    connections = folder / "connections.toml"
    lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
    connections.write_text(f'[[connection]]\nname = "{name}"\nprovider = "focus"\nfiles = "{files}"\n{lines}')
    return {"USAGE_CONNECTIONS": str(connections)}
