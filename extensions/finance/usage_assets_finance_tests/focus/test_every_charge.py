"""Every charge that a file delivers counts on its own day, whatever days the file covers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from os import utime
from pathlib import Path

import pytest

from usage_assets.warehouse.published import publish
from usage_assets_finance_tests.focus.automation import ASSETS, Automation
from usage_assets_finance_tests.focus.test_bills import ALONE, NOVEMBER, OCTOBER, of
from usage_assets_finance_tests.focus_files import connection, write
from usage_assets_tests.alone import needs
from usage_assets_tests.end_to_end.conftest import hold_project
from usage_assets_tests.fixtures import Sandbox
from usage_assets_tests.models.days import lines, seen
from usage_assets_tests.terminal import Terminal

PERIOD = {"BillingPeriodStart": "2026-10-01T00:00:00Z", "BillingPeriodEnd": "2026-11-01T00:00:00Z"}
PURCHASE = of(OCTOBER[:1], "100", ChargeCategory="Purchase", SkuId="seats")
USE = of(OCTOBER[9:12], "10")
TAX = of(OCTOBER[29:30], "20", ChargeCategory="Tax", SkuId="tax")
CREDIT = of(OCTOBER[29:30], "-5", ChargeCategory="Credit", SkuId="credit")
MONTH = PURCHASE + USE + TAX + CREDIT
AMOUNTS: Mapping[date, Decimal | int] = {OCTOBER[0]: 100, **dict.fromkeys(OCTOBER[9:12], 10), OCTOBER[29]: 15}
Rows = Sequence[Mapping[str, str]]


@pytest.fixture
def auto(sandbox: Sandbox, tmp_path: Path) -> Iterator[Automation]:
    variables = ALONE | {"USAGE_START_DATE": str(OCTOBER[0])} | connection(tmp_path, tmp_path / "bills")
    with hold_project(sandbox, tmp_path, variables) as project:
        yield Automation(project, variables, tmp_path, ASSETS[:1])


def put(auto: Automation, rows: Rows, name: str = "month.csv", on: date = date(2026, 10, 31)) -> None:
    """Write a file on a day."""
    file = write(auto.folder / "bills" / name, [{**row, **PERIOD} for row in rows])
    at = datetime(on.year, on.month, on.day, len(rows) % 24, tzinfo=UTC).timestamp()
    utime(file, (at, at))


def deliver(auto: Automation, rows: Rows, name: str = "month.csv", on: date = date(2026, 10, 31)) -> None:
    """Write a file on a day, and let the automation do what it does."""
    put(auto, rows, name, on)
    auto.settle()


def costs(auto: Automation) -> Mapping[date, Decimal | int]:
    """The dollars of each day that has some: of charges, or of costs where they are computed."""
    source = "sum(billed_cost) as usd from focus.charges where left_out_rows is null"
    if ASSETS[-1] in auto.assets:
        source = "sum(amount_usd) as usd from costs.daily_costs where cost_basis = 'billed'"
    query = f"select usage_date, {source} group by all having usd <> 0"
    return {row["usage_date"]: row["usd"] for row in auto.project.warehouse.read(query).to_pylist()}


def whole(auto: Automation) -> Sequence[date]:
    """The days of which nothing is missing."""
    query = (
        "select usage_date from costs.complete_days where source = 'costs.daily_costs' and connection = 'bill' "
        "and usage_date < '2026-11-01' order by all"
    )
    return [row["usage_date"] for row in auto.project.warehouse.read(query).to_pylist()]


def test_charges_around_the_use_count_on_their_days(auto: Automation) -> None:
    """A purchase on the 1st, use from the 10th to the 12th, and tax and a credit on the 30th."""
    auto.assets = ASSETS
    deliver(auto, PURCHASE, on=date(2026, 10, 2))
    assert costs(auto) == {OCTOBER[0]: 100}
    deliver(auto, MONTH)
    assert (costs(auto), auto.failures) == (AMOUNTS, [])
    assert whole(auto) == OCTOBER[9:12], "nobody has said that the 1st and the 30th have no use"
    deliver(auto, USE + TAX)
    left = {**AMOUNTS, OCTOBER[29]: 20}
    del left[OCTOBER[0]]
    assert (costs(auto), auto.failures, whole(auto)) == (left, [], OCTOBER[9:12])
    deliver(auto, MONTH, on=date(2026, 11, 3))
    assert (costs(auto), auto.failures, whole(auto)) == (AMOUNTS, [], OCTOBER), "the month is over"


def test_files_share_days_and_one_that_is_gone_takes_no_charge_with_it(auto: Automation) -> None:
    put(auto, USE + TAX, "first.csv")
    put(auto, of(OCTOBER[28:31], "2", SkuId="second"), "second.csv")
    deliver(auto, of(OCTOBER[19:20], "1") + CREDIT, "credit.csv")
    before = {**dict.fromkeys(OCTOBER[9:12], 10), OCTOBER[19]: 1, OCTOBER[28]: 2, OCTOBER[29]: 17, OCTOBER[30]: 2}
    assert (costs(auto), auto.failures) == (before, [])
    (auto.folder / "bills" / "credit.csv").unlink()
    auto.settle()
    assert costs(auto) == before
    assert any("credit.csv is not there any more" in each for each in auto.failures)


def test_a_month_is_the_same_wherever_a_row_was_before(auto: Automation) -> None:
    for n, day in ((0, OCTOBER[30]), (1, OCTOBER[5])):
        [moved] = of([day], MONTH[n]["BilledCost"], ChargeCategory=MONTH[n]["ChargeCategory"], SkuId="moved")
        deliver(auto, [*MONTH[:n], moved, *MONTH[n + 1 :]])
        assert (sum(costs(auto).values()), auto.failures) == (145, [])
    deliver(auto, MONTH, on=date(2026, 11, 3))
    assert (costs(auto), auto.failures) == (AMOUNTS, [])


def delivered(auto: Automation, *columns: str) -> Sequence[tuple[object, ...]]:
    """Rows of costs.delivered by day, without columns of nothing."""
    query = f"select usage_date, {', '.join(columns)} from costs.delivered order by all"
    return [tuple(row.values()) for row in auto.project.warehouse.read(query).to_pylist()]


@needs("report")
def test_each_delivered_dollar_is_charged_left_out_or_not_stored_for_a_reason_that_is_named(
    auto: Automation, terminal: Terminal
) -> None:
    auto.assets = ASSETS
    other = of(OCTOBER[9:10], "7", ServiceName="Amazon S3")
    early = of([date(2026, 9, 30)], "-1", ChargeClass="Correction")
    late = of([date(2026, 11, 20)], "50", ChargeCategory="Purchase")
    deliver(auto, MONTH + other + early + late)
    columns = "delivered charged left_out not_stored not_delivered difference reason"
    assert seen(delivered(auto, *columns.split())) == lines("""
        2026-09-30  -1   0    0  -1  0  0  before the first day of the connection
        2026-10-01  100  100  0  0   0  0  -
        2026-10-10  17   10   7  0   0  0  -
        2026-10-11  10   10   0  0   0  0  -
        2026-10-12  10   10   0  0   0  0  -
        2026-10-30  15   15   0  0   0  0  -
        2026-11-20  50   0    0  50  0  0  the day is not over
    """)
    [line] = terminal.type("bills", "list").lines
    assert line == (
        "bill month.csv: 2026-10-10 to 2026-10-12; delivers $201.00: $145.00 stored, $7.00 left out, -$1.00 not stored "
        "(before the first day of the connection), $50.00 not stored (the day is not over)"
    )
    deliver(auto, PURCHASE + USE[:2] + TAX + other)
    gone = "month.csv no longer has charges of these days"
    assert delivered(auto, "delivered", "charged", "not_stored", "not_delivered", "difference", "reason")[3] == (
        *(OCTOBER[11], 0, 0, 0, 10, 0, gone),
    )
    publish(auto.project.warehouse)
    said = terminal.type("report", "--text", "--month", "2026-10").lines
    assert [line for line in said if "deliver" in line] == [
        "bill: $20.00 that files deliver is not stored: month.csv has changed",
        "bill: $15.00 is stored, and files do not deliver it any more: month.csv has changed",
        f"bill: $10.00 is stored, and files do not deliver it any more: {gone}",
    ]
    with auto.project.warehouse.transaction() as database:  # a charge is lost, and another one is invented
        database.execute("delete from focus.charges where billed_cost = 100")
        database.execute("update focus.charges set billed_cost = 11 where usage_date = '2026-10-11'")
    assert [row for row in delivered(auto, "difference") if row[1]] == [(OCTOBER[0], 100), (OCTOBER[10], -1)]


PACIFIC = {
    "a folder names it": lines("""
        data/BILLING_PERIOD=2026-10/a.csv  2026-10-01T07:00:00Z  2026-11-01T07:00:00Z
        data/BILLING_PERIOD=2026-11/a.csv  2026-11-01T07:00:00Z  2026-12-01T08:00:00Z
    """),
    "rows state it": lines("""
        october.csv   2026-10-01T00:00:00-07:00  2026-11-01T00:00:00-07:00
        november.csv  2026-11-01T00:00:00-07:00  2026-12-01T00:00:00-08:00
    """),
    "rows state its last day, as Google's view does": lines("""
        october.csv   2026-10-01 07:00:00 UTC  2026-10-31 07:00:00 UTC
        november.csv  2026-11-01 07:00:00 UTC  2026-11-30 08:00:00 UTC
    """),
}
"""How a month of Pacific time is told -> the file, begin and end of October and November."""


@pytest.mark.parametrize(("told", "first"), zip([*PACIFIC, "a folder names it"], (0, 1, 0, 1), strict=True))
def test_a_day_at_the_border_of_two_pacific_months_has_the_charges_of_both(
    auto: Automation, told: str, first: int
) -> None:
    """The first hours of 1 November UTC are in October's bill."""
    auto.assets = ASSETS
    days = [OCTOBER, NOVEMBER]

    def put_month(n: int, of_border: str = "5") -> None:
        name, begins, ends = PACIFIC[told][n]
        rows = of(days[n], "1")
        if n == 0:
            hour = {"ChargePeriodStart": "2026-11-01T06:00:00Z", "ChargePeriodEnd": "2026-11-01T07:00:00Z"}
            rows += of(NOVEMBER[:1], of_border, **hour)
        period = {"BillingPeriodStart": begins, "BillingPeriodEnd": ends}
        file = write(auto.folder / "bills" / name, [{**row, **period} for row in rows])
        at = datetime(2026, 11, 19, len(of_border), tzinfo=UTC).timestamp()
        utime(file, (at, at))
        auto.settle()

    put_month(first)
    alone = dict.fromkeys(days[first], 1) | ({} if first else {NOVEMBER[0]: 5})
    assert (costs(auto), auto.failures) == (alone, [])
    whole_day = (
        "select 1 from costs.complete_days "
        "where usage_date = '2026-11-01' and source = 'costs.daily_costs' and connection = 'bill'"
    )
    assert auto.project.warehouse.read(whole_day).num_rows == first, "of October alone, the day is not complete"
    for of_border in ("5", "-2.5"):
        if of_border == "5":
            put_month(1 - first)
        else:
            put_month(0, of_border)
        both = dict.fromkeys([*OCTOBER, *NOVEMBER], 1) | {NOVEMBER[0]: 1 + Decimal(of_border)}
        assert (costs(auto), auto.failures, auto.due()) == (both, [], {})
    assert auto.project.warehouse.read(whole_day).num_rows == 1
    assert {row[1] for row in delivered(auto, "difference")} == {0}


def test_the_next_month_waits_for_one_that_has_hours_of_its_first_day(auto: Automation) -> None:
    """Each month is stored whole, and the day between them has both."""
    hour = {"ChargePeriodStart": "2026-11-01T06:00:00Z", "ChargePeriodEnd": "2026-11-01T07:00:00Z"}
    october = [f"BILLING_PERIOD=2026-10/a-0000{n}.csv" for n in (1, 2)]
    put(auto, of(OCTOBER), october[0], date(2026, 11, 18))
    put(auto, of(NOVEMBER[:1], "5", **hour), october[1], date(2026, 11, 18))
    deliver(auto, of(NOVEMBER), "BILLING_PERIOD=2026-11/a.csv", date(2026, 11, 19))
    before = dict.fromkeys([*OCTOBER, *NOVEMBER], 1) | {NOVEMBER[0]: 6}
    assert (costs(auto), auto.failures, auto.due()) == (before, [], {})
    (auto.folder / "bills" / october[0]).unlink()
    deliver(auto, of(NOVEMBER, "2"), "BILLING_PERIOD=2026-11/a.csv", date(2026, 11, 19))
    assert (costs(auto), auto.failures) == (before, [])
    assert any("part 1 is missing" in each for each in auto.late())
    deliver(auto, of(OCTOBER), october[0], date(2026, 11, 18))
    after = dict.fromkeys(OCTOBER, 1) | dict.fromkeys(NOVEMBER, 2) | {NOVEMBER[0]: 7}
    assert (costs(auto), auto.failures, auto.due()) == (after, [], {})


def test_a_manifest_that_cannot_be_read_holds_up_its_own_month(auto: Automation, terminal: Terminal) -> None:
    """And whoever asks for a day of it is told why, with exit code 1."""
    bills = auto.folder / "bills"
    for month, days in (("2026-10", OCTOBER), ("2026-11", NOVEMBER)):
        write(bills / "data" / f"BILLING_PERIOD={month}" / "aws-00001.csv", of(days))
        manifest = bills / "metadata" / f"BILLING_PERIOD={month}" / "aws-Manifest.json"
        manifest.parent.mkdir(parents=True)
        listed = json.dumps({"dataFiles": [f"s3://b/data/BILLING_PERIOD={month}/aws-00001.csv"]})
        manifest.write_text(listed[:40] if month == "2026-10" else listed)
    said = terminal.type("backfill", "--start", str(OCTOBER[-2]), "--end", str(NOVEMBER[1]))
    assert said.code == 1
    [why] = [line for line in said.complaints if line.startswith("FAILED")]
    assert why.startswith("FAILED: bill: not stored: 2026-10-30 to 2026-10-31 (")
    assert "aws-Manifest.json: is no manifest that can be read" in why
    assert costs(auto) == {NOVEMBER[0]: 1, NOVEMBER[1]: 1}
    doctor = terminal.type("doctor", "--all").out
    assert "2 days missing (2026-10-30 to 2026-10-31): not available at the last request: bill charges" in doctor
    assert doctor.count("is no manifest that can be read") == 3, "of the location, and of two due ranges"


def test_equal_charges_are_as_many_charges(auto: Automation) -> None:
    """In one file, and in its numbered parts: FOCUS has no identifier of a row. A whole copy is refused."""
    seat = of(OCTOBER[:1], "30", ChargeCategory="Purchase")
    stored = {OCTOBER[0]: 60, OCTOBER[9]: 20, OCTOBER[10]: 10, OCTOBER[11]: 10}
    deliver(auto, [*USE, *USE[:1], *seat, *seat])
    assert costs(auto) == stored
    (auto.folder / "bills" / "month.csv").unlink()
    put(auto, [*USE, *seat], "seats-00001.csv")
    deliver(auto, [*USE[:1], *seat], "seats-00002.csv")
    assert costs(auto) == stored


def test_a_copy_of_a_file_without_use_is_refused(auto: Automation) -> None:
    deliver(auto, PURCHASE)
    deliver(auto, PURCHASE, "copy.csv")
    assert costs(auto) == {OCTOBER[0]: 100}
    assert auto.failures
    assert all("have the same charges of" in each for each in auto.failures)


def test_what_is_no_money_stops_no_money(auto: Automation) -> None:
    changes = [("ConsumedQuantity", "many"), ("PricingQuantity", "1e400"), ("BillingPeriodEnd", "soon")]
    changes.append(("ChargePeriodEnd", ""))
    days = OCTOBER[9 : 9 + len(changes)]
    rows = of(days, "10")
    write(
        auto.folder / "bills" / "month.csv",
        [{**row, name: value} for row, (name, value) in zip(rows, changes, strict=True)],
    )
    auto.settle()
    assert (costs(auto), auto.failures) == (dict.fromkeys(days, 10), [])
    query = "select usage_date, other_columns from focus.charges order by all"
    kept = {row["usage_date"]: row["other_columns"] or "" for row in auto.project.warehouse.read(query).to_pylist()}
    for day, (name, value) in zip(days, changes, strict=True):
        assert (f'"x_Unread{name}":"{value}"' in kept[day].replace(": ", ":")) == bool(value), kept[day]
