"""FOCUS -> warehouse -> FOCUS -> warehouse -> FOCUS: charges of files are exported as their files state them."""

import csv
import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from usage_assets.core.days import Window
from usage_assets.core.people import People
from usage_assets.fetching.files.reading import moment
from usage_assets.models.model import money_seed
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch
from usage_assets_finance.export.columns import COLUMNS as EXPORTED
from usage_assets_finance.export.columns import VERSIONS, columns_of
from usage_assets_finance.export.export import export
from usage_assets_finance.focus.charges import FOCUS, Charges
from usage_assets_finance_tests.focus_files import COLUMNS, on, write
from usage_assets_tests.fetching.conftest import client_of
from usage_assets_tests.fixtures import NewWarehouse
from usage_assets_tests.models.days import Days, cases

DAYS = Window(date(2026, 10, 1), date(2026, 11, 3))
HEADER = (
    *(name for name in COLUMNS if name != "ProviderName"),
    *("ServiceProviderName", "HostProviderName", "InvoiceId", "RegionName", "ResourceName", "ResourceType"),
    *("CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountQuantity"),
    *("CommitmentDiscountStatus", "CommitmentDiscountType", "CommitmentDiscountUnit"),
    *("ListUnitPrice", "ContractedUnitPrice", "PricingCategory", "PricingCurrency", "SkuPriceDetails"),
    *("AvailabilityZone", "x_Discounts"),
)
ALIKE = {
    "october": "BillingPeriodStart=2026-10-01T00:00:00Z  BillingPeriodEnd=2026-11-01T00:00:00Z",
    "no use": "ConsumedQuantity=  ConsumedUnit=",
    "nothing priced": "PricingQuantity=  PricingUnit=  SkuId=  SkuMeter=  SkuPriceId=",
    "purchase": "ChargeCategory=Purchase  ChargeFrequency=One-Time",
    "taken back": "ChargeClass=Correction  ConsumedQuantity=-2",
    "plan": "CommitmentDiscountCategory=Spend  CommitmentDiscountId=arn:plan/1  CommitmentDiscountName=Plan  "
    "CommitmentDiscountQuantity=62.0  CommitmentDiscountType=Savings Plan  CommitmentDiscountUnit=USD",
}
"""What several charges have in common."""
COSTS_OF = ("BilledCost", "EffectiveCost", "ContractedCost", "ListCost")


def charge(name: str, *cells: str) -> dict[str, str]:
    """A charge that no other one has the description of, with these values."""
    day = next((cell.removeprefix("day=") for cell in cells if cell.startswith("day=")), "2026-11-02")
    row = on(day, ChargeDescription=name, ServiceProviderName="AWS", InvoiceId="INV-11", SkuPriceId=name)
    for stated in (each for cell in cells for each in ALIKE.get(cell, cell).split("  ")):
        column, _, value = stated.partition("=")
        if column == "costs":
            row |= zip(COSTS_OF, value.split(","), strict=True)
        elif column != "day":
            row[column] = value
    return row


CHARGES = [
    charge(*cells)
    for cells in cases(
        """
    use -> costs=1.1,1,1.1,1.25 -> ListUnitPrice=0.003 -> AvailabilityZone=az1 -> x_Discounts={}
    use in another zone -> AvailabilityZone=use1-az2 -> HostProviderName=AWS -> PricingCurrency=USD
    use of an hour -> ChargePeriodStart=2026-11-02T07:00:00Z -> ChargePeriodEnd=2026-11-02T08:00:00Z
    a resource -> ResourceId=arn:1 -> ResourceName=one -> ResourceType=Model -> RegionName=Virginia
    smallest -> costs=TINY,TINY,TINY,TINY -> ConsumedQuantity=1E-7
    fee -> day=2026-10-01 -> ChargePeriodEnd=2026-11-01T00:00:00Z -> ChargeFrequency=Recurring -> october
    plan -> ChargePeriodEnd=2027-11-02T00:00:00Z -> purchase -> no use -> costs=459024,0,459024,459024
    used -> CommitmentDiscountStatus=Used -> plan -> costs=0,62,62,78.6
    unused -> CommitmentDiscountStatus=Unused -> plan -> no use -> costs=0,52.4,0,0
    credit -> ChargeCategory=Credit -> no use -> nothing priced -> costs=-2.6,-3,-3,-2.6
    tax -> ChargeCategory=Tax -> no use -> nothing priced -> costs=5,5,5,5
    adjustment -> ChargeCategory=Adjustment -> no use -> nothing priced -> costs=-0.01,-0.01,-0.01,-0.01
    correction -> day=2026-10-30 -> taken back -> costs=-0.5,-0.4,-0.5,-0.5
    euros -> BillingAccountId=EU -> BillingCurrency=EUR -> InvoiceId= -> costs=7.5,7,7.5,8
    no quantity -> no use -> PricingQuantity= -> PricingUnit=
    no effective cost -> costs=3,,,4
    another unit -> ConsumedUnit=Hours -> ConsumedQuantity=3 -> PricingUnit=1 (apply/m) -> SkuMeter=Storage
    no account -> SubAccountId= -> SubAccountName= -> Tags= -> RegionId= -> ServiceCategory=
    the next day -> day=2026-11-03
    """.replace("TINY", "0.000000000000000000000001")
    )
]
LEFT_OUT = charge("virtual machine", "ServiceName=Amazon EC2", "costs=0,62,62,78.6")
SUMS = """
select
  connection,
  date_trunc('month', usage_date) as month,
  charge_category,
  billing_currency,
  count(*) as row_count,
  sum(billed_cost) as billed,
  sum(effective_cost) as effective,
  sum(contracted_cost) as contracted,
  sum(list_cost) as list,
  sum(consumed_quantity) as consumed,
  sum(pricing_quantity) as priced,
  sum(tokens) as tokens,
  list_sort(
    list(
      concat_ws(' ', charge_period_start, charge_period_end, billing_period_start, consumed_unit, pricing_unit, sku_id)
    )
  ) as charges
from focus.charges
where left_out_rows is null
group by all
order by all
"""
COSTS = """
select
  usage_date,
  charge_category,
  currency,
  sum(native_amount) as billed,
  sum(effective_amount) as effective,
  sum(contracted_amount) as contracted,
  sum(list_amount) as list
from costs.daily_costs
group by all
order by all
"""


def stored(warehouse: Warehouse, files: Path) -> Days:
    """A warehouse with the costs of all days of files, of a connection that is called bill."""
    days = Days(warehouse)
    with client_of(FOCUS, key="", base_url=str(files), connection="bill", people=People("names")) as client:
        rows = client.fetch(FOCUS.endpoints[0], DAYS.days).rows
    target = Slice("bill", DAYS.first, DAYS.last)
    days.warehouse.replace(Table(Charges), Batch(rows=rows, began=datetime.now(UTC)), target, "run")
    days.derive("focus_charges", "bill", DAYS.first, DAYS.last)
    return days


def exported(days: Days, out: Path, version: str) -> Path:
    export(days.warehouse, [money_seed(days.accounting)], DAYS.first, DAYS.last, out, version=version)
    return out


def rows_of(file: Path) -> list[dict[str, Any]]:
    """The rows of a file: numbers and times as such, other values as text, and nothing for no value."""
    if file.suffix == ".parquet":
        rows = pq.read_table(file).to_pylist()
        return [{name: value for name, value in row.items() if value is not None} for row in rows]
    kinds = {column.name: READ[column.kind] for column in EXPORTED}
    with file.open(newline="") as lines:
        return [
            {name: kinds.get(name, str)(value) for name, value in row.items() if value} for row in csv.DictReader(lines)
        ]


READ: Mapping[str, Callable[[str], Any]] = {"text": str, "number": Decimal, "time": moment}


def sums(days: Days, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in days.warehouse.read(sql).to_pylist()]


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("bill") / "bill.csv", [*CHARGES, LEFT_OUT], HEADER)


@pytest.fixture(scope="module")
def first(bill: Path, warehouse_with_views: NewWarehouse) -> Days:
    return stored(warehouse_with_views(), bill)


def test_charges_of_files_go_in_and_out_unchanged(
    bill: Path, first: Days, warehouse_with_views: NewWarehouse, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for version, kind in zip(VERSIONS, ("csv", "parquet", "csv"), strict=True):
        with subtests.test(version):
            folder = tmp_path / version
            folder.mkdir()
            # Export what is stored, store that elsewhere, and export it once more in the first version.
            (folder / "out").mkdir()
            out = exported(first, folder / "out" / f"bill.{kind}", version)
            written = {row["ChargeDescription"]: row for row in rows_of(out)}
            assert written.keys() == {row["ChargeDescription"] for row in CHARGES}
            names = {column.name for column in columns_of(version)}
            for row in rows_of(bill):
                if row["ChargeDescription"] in written:
                    found = written[row["ChargeDescription"]]
                    rest = json.loads(found.get("x_OtherColumns", "{}"))
                    # in a file in which a charge has no invoice yet, no row names one
                    expected = {name: value for name, value in row.items() if name in names and name != "InvoiceId"}
                    assert {name: found.get(name) for name in expected} == expected
                    assert {**row, **rest} == row
                    lost = row.keys() - names - rest.keys()
                    assert lost <= {"ServiceProviderName", "HostProviderName", "PublisherName"}, "of another version"
                    stated = found.keys() & set(HEADER)
                    assert stated == expected.keys(), "nothing is invented"
            second = stored(warehouse_with_views(folder), folder / "out")
            assert sums(second, SUMS) == sums(first, SUMS)
            assert sums(second, COSTS) == sums(first, COSTS)
            if version == VERSIONS[0]:
                assert rows_of(exported(second, folder / f"again.{kind}", version)) == rows_of(out)
