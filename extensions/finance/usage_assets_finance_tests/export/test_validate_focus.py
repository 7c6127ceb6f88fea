"""What is made of the verdict of FOCUS's own validator, which itself runs in `make focus`, in another environment."""

import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from demo.validate_focus import (
    Report,
    false_alarms,
    judge,
    lint,
    validate,
    version_of,
)
from usage_assets_finance.export.columns import VERSIONS, columns_of


def rule(check: str, *parts: str) -> dict[str, Any]:
    """A rule as the validator's package has it."""
    items = [{"CheckFunction": "CheckModelRule", "ModelRuleId": part} for part in parts]
    return {"ValidationCriteria": {"MustSatisfy": "...", "Requirement": {"CheckFunction": check, "Items": items}}}


RULES = {
    "BilledCost-C-001-M": rule("TypeDecimal"),
    "InvoiceId-C-000-O": rule("AND", "InvoiceId-C-001-M", "InvoiceId-C-003-C"),
    "InvoiceId-C-003-C": rule("OR", "InvoiceId-C-004-C", "InvoiceId-C-005-C"),
    "InvoiceId-C-004-C": rule("CheckValue"),
    "InvoiceId-C-005-C": rule("CheckNotValue"),
    "SubAccountName-C-000-C": rule("AND", "SubAccountName-C-001-M", "SubAccountName-C-002-M"),
    "SubAccountName-C-001-M": rule("TypeString"),
    "SubAccountName-C-002-M": rule("FormatString"),
    "EffectiveCost-C-005-C": rule("CheckValue"),
    "BilledCost-C-005-C": rule("CheckValue"),
}
NOT_INVOICED = "select null as InvoiceId, 'Usage' as ChargeCategory, 1 as EffectiveCost, 'Units' as PricingUnit"


def alarms(charges: str, *broken: str) -> set[str]:
    """Which of the broken rules are false alarms on these charges."""
    with duckdb.connect() as database:
        report = Report({**dict.fromkeys(RULES, "passed"), **dict.fromkeys(broken, "failed")})
        return set(false_alarms(report, RULES, database.sql(charges)))


def test_a_report_is_read_rule_by_rule(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text("""<?xml version='1.0' encoding='utf-8'?>
<testsuites name="FOCUS Validations" tests="4" failures="1" errors="1" skipped="1" assertions="None" time="0">
  <testsuite name="Base-Unknown" time="0">
    <testcase name="ListUnitPrice-C-002-M :: None" time="0"><error message="failed" /></testcase>
  </testsuite>
  <testsuite name="InvoiceId-C-InvoiceId" time="0">
    <testcase name="InvoiceId-C-001-M :: Type" time="0" />
    <testcase name="InvoiceId-C-005-C :: Nullability" time="0"><failure name="x" type="AssertionError">Failed</failure>
    </testcase>
    <testcase name="Tags-C-009-O :: Type" time="0"><skipped message="Type check for Tags" /></testcase>
  </testsuite>
</testsuites>""")
    read = Report.read(report)
    assert read.verdicts == {
        "ListUnitPrice-C-002-M": "errored",
        "InvoiceId-C-001-M": "passed",
        "InvoiceId-C-005-C": "failed",
        "Tags-C-009-O": "skipped",
    }
    assert read.broken == ["InvoiceId-C-005-C", "ListUnitPrice-C-002-M"]


def test_invoices_named_everywhere_or_nowhere_break_one_of_two_rules_that_contradict_each_other() -> None:
    assert alarms(NOT_INVOICED, "InvoiceId-C-005-C") == {"InvoiceId-C-005-C"}
    assert alarms("select 'INV-1' as InvoiceId", "InvoiceId-C-004-C") == {"InvoiceId-C-004-C"}
    broken = ("InvoiceId-C-000-O", "InvoiceId-C-003-C", "InvoiceId-C-004-C", "InvoiceId-C-005-C")
    assert alarms(f"{NOT_INVOICED} union all by name select 'INV-1' as InvoiceId", *broken) == set()


def test_a_rule_that_is_made_of_others_is_as_false_as_those_of_them_that_are_broken() -> None:
    broken = ("SubAccountName-C-000-C", "SubAccountName-C-002-M")
    assert alarms(NOT_INVOICED, *broken) == set(broken)
    assert alarms(NOT_INVOICED, *broken, "SubAccountName-C-001-M") == {"SubAccountName-C-002-M"}
    assert alarms(NOT_INVOICED, "SubAccountName-C-000-C") == set()
    assert alarms(NOT_INVOICED, "BilledCost-C-001-M") == set(), "any other rule"


def test_only_seats_may_cost_when_they_are_bought() -> None:
    for unit, expected in (
        ("Seats", {"EffectiveCost-C-005-C"}),
        ("User-Months", {"EffectiveCost-C-005-C"}),
        ("Credits", set()),
    ):
        purchase = f"select 'Purchase' as ChargeCategory, '10.5' as EffectiveCost, '{unit}' as PricingUnit"
        assert alarms(purchase, "EffectiveCost-C-005-C") == expected


def test_a_file_has_the_columns_of_its_version_and_all_that_are_mandatory() -> None:
    """The linter's model is made from the FinOps Foundation's data model, not from ours."""
    expected = {"Provider: unknown_column", "ServiceName: missing_mandatory_column"}
    for version in VERSIONS:
        names = [column.name for column in columns_of(version)]
        assert version_of(names) == version
        with duckdb.connect() as database:
            rows = database.sql("select " + ", ".join(f"null::varchar as {name}" for name in names))
            broken = lint(version, rows.limit(0)).broken
            assert {name for name in broken if not name.endswith("empty_dataset")} == set(), version
            without = rows.project("* exclude (ServiceName), 1 as Provider").limit(0)
            assert {*lint(version, without).broken} >= expected, version


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_only_rows_of_files_break_is_said_and_is_not_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    file = tmp_path / f"x.{suffix}"
    columns = ", ".join(f"null::varchar as {column.name}" for column in columns_of("1.4"))

    def broken_by(source: str) -> set[str]:
        with duckdb.connect() as database:
            database.execute(f"create table charges as select {columns} limit 0")
            database.execute("insert into charges by name select '1e' as BilledCost, ? as x_SourceTable", [source])
            database.execute("insert into charges by name select '1e' as ListCost, 'openai.costs' as x_SourceTable")
            rows = database.table("charges")
            (rows.write_csv if suffix == "csv" else rows.write_parquet)(str(file))
        return {*judge(file, tmp_path)}

    wrong = {"BilledCost: bad_numeric_format", "ListCost: bad_numeric_format"}
    assert broken_by("anthropic.cost_report") >= wrong
    assert broken_by("focus.charges") & wrong == {"ListCost: bad_numeric_format"}
    said = capsys.readouterr().out.splitlines()
    assert "broken by a file that is passed through: BilledCost: bad_numeric_format: as the linter says" in said


def test_a_validator_that_dies_gives_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "focus-validator"
    command.write_text("#!/bin/sh\necho '<testsuites/>' > report.xml\n")
    command.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(RuntimeError, match=r"^the validator failed itself \(exit code [01]\): "):
        validate(tmp_path / "x.csv", "1.2.0.1", tmp_path / "focus_validator")
