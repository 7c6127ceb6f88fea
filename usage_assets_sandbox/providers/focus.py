"""The cloud's bills as AWS Data Exports delivers them: FOCUS 1.2, a folder and a manifest per month, parts of CSV.gz.

Charges that are found late are corrections in the file of the following month.
"""

import csv
import gzip
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

from usage_assets_sandbox.company import Row
from usage_assets_sandbox.company_focus import ACCOUNTS, BEDROCK, BOOKS
from usage_assets_sandbox.ledger import Ledger
from usage_assets_sandbox.sandbox import Emulated

HEADER = (
    "AvailabilityZone,BilledCost,BillingAccountId,BillingAccountName,BillingAccountType,BillingCurrency,"
    "BillingPeriodEnd,BillingPeriodStart,ChargeCategory,ChargeClass,ChargeDescription,ChargeFrequency,ChargePeriodEnd,"
    "ChargePeriodStart,ConsumedQuantity,ConsumedUnit,ContractedCost,ContractedUnitPrice,EffectiveCost,InvoiceId,"
    "InvoiceIssuerName,ListCost,ListUnitPrice,PricingCategory,PricingCurrency,PricingQuantity,PricingUnit,ProviderName,"
    "PublisherName,RegionId,RegionName,ResourceId,ResourceName,ResourceType,ServiceCategory,ServiceName,"
    "ServiceSubcategory,SkuId,SkuMeter,SkuPriceDetails,SkuPriceId,SubAccountId,SubAccountName,SubAccountType,Tags,"
    "x_Discounts,x_Operation,x_ServiceCode"
)
COLUMNS = next(csv.reader([HEADER]))
ROWS_PER_FILE = 1000
EXPORT = "focus"
PAYER = "999900009999"


def deliver(ledger: Ledger, folder: Path, first: date, last: date) -> list[str]:
    """Write the months of these days, to the last day; answers the files, below the folder."""
    months: defaultdict[date, list[Row]] = defaultdict(list)
    for n in range((last - first.replace(day=1)).days + 1):
        day = first.replace(day=1) + timedelta(days=n)
        for row in ledger.rows("focus", "charges", day):
            booked = _next_month(day) if row["late"] and _next_month(day) <= last else day.replace(day=1)
            months[booked].append(_record(row, day, booked))
    return [name for month, records in months.items() for name in _deliver(folder, month, records)]


def _deliver(folder: Path, month: date, records: Sequence[Row]) -> Iterator[str]:
    period = f"BILLING_PERIOD={month:%Y-%m}"
    names = []
    for n, start in enumerate(range(0, len(records), ROWS_PER_FILE), 1):
        names.append(f"data/{period}/{EXPORT}-{n:05}.csv.gz")
        _write(folder / names[-1], _csv(records[start : start + ROWS_PER_FILE]))
    manifest = {"exportName": EXPORT, "dataFiles": [f"s3://bills/{EXPORT}/{name}" for name in names]}
    _write(folder / "metadata" / period / f"{EXPORT}-Manifest.json", json.dumps(manifest).encode())
    yield from names


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _csv(records: Sequence[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(records)
    return gzip.compress(text.getvalue().encode(), mtime=0)


def _record(row: Row, day: date, booked: date) -> Row:
    cost = f"{row['cost']:f}"
    return {
        "BilledCost": cost,
        "BillingAccountId": PAYER,
        "BillingAccountName": "Acme Robotics",
        "BillingCurrency": "USD",
        "BillingPeriodEnd": _stamp(_next_month(booked)),
        "BillingPeriodStart": _stamp(booked),
        "ChargeCategory": "Usage",
        "ChargeClass": "Correction" if booked > day else "",
        "ChargeDescription": f"{row['unit']} of {row['meter']}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": _stamp(day + timedelta(days=1)),
        "ChargePeriodStart": _stamp(day),
        "ConsumedQuantity": f"{row['quantity']:f}",
        "ConsumedUnit": row["unit"],
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "InvoiceIssuerName": "Amazon Web Services, Inc.",
        "ListCost": cost,
        "PricingCategory": "Standard",
        "PricingQuantity": f"{row['quantity']:f}",
        "PricingUnit": row["unit"],
        "ProviderName": "AWS",
        "PublisherName": "AWS",
        "RegionId": row["region"],
        "ServiceCategory": "AI and Machine Learning" if row["service"] in BEDROCK else "Compute",
        "ServiceName": row["service"],
        "SkuId": f"SKU-{row['meter']}",
        "SkuMeter": row["meter"],
        "SkuPriceId": f"SKU-{row['meter']}.1",
        "SubAccountId": row["account"],
        "SubAccountName": ACCOUNTS.get(row["account"], "found late"),
        "Tags": json.dumps({"team": ACCOUNTS.get(row["account"])}),
        "x_Operation": "InvokeModelInference",
        "x_ServiceCode": "AmazonBedrock" if row["service"] in BEDROCK else "AmazonEC2",
    }


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _stamp(day: date) -> str:
    return f"{day}T00:00:00.000Z"


EMULATED = Emulated(BOOKS)
