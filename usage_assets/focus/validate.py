"""`python validate.py FILE` validates a FOCUS file with the FinOps Foundation's own validator, and reads its report.

It runs in the validator's environment (`make focus`), where this project is not installed, so it imports nothing from
it. ``models/sql/focus/rules.sql`` checks what the validator does not.
"""

import glob
import importlib.util
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import duckdb

VERSION = "1.2"
CRITERIA = (
    "ACCOUNT_NAMING_SUPPORTED",
    "MULTIPLE_SUB_ACCOUNT_TYPES_SUPPORTED",
    "SUB_ACCOUNT_SUPPORTED",
    "TAGGING_SUPPORTED",
)
"""What makes more columns mandatory. The others ask for what no cost report says: SKUs, list prices, quantities."""

Rules = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class FalseAlarm:
    """Why a rule fails on a file that keeps to the specification."""

    reason: str
    unless: str
    """SQL over ``charges``, the file. Where it finds a row, the alarm is a true one."""


CONTRADICTION = FalseAlarm(
    "InvoiceId-C-004-C and -005-C contradict each other: one asks for null in every row, one for a value",
    "select count(*) from charges having count(InvoiceId) not in (0, count(*))",
)
FALSE_ALARMS: Mapping[str, FalseAlarm] = {
    "InvoiceId-C-004-C": CONTRADICTION,
    "InvoiceId-C-005-C": CONTRADICTION,
    "EffectiveCost-C-005-C": FalseAlarm(
        "FOCUS has all that seats cost in the row of their purchase: no use of them is charged (simple agreements, A2)",
        "from charges where ChargeCategory = 'Purchase' and EffectiveCost::double <> 0 and PricingUnit <> 'Seats'",
    ),
}
NOT_ASCII = FalseAlarm("it takes ASCII only, where FOCUS asks for names as they are", "select 1 where false")


@dataclass(frozen=True)
class Report:
    """What the validator says of each rule: passed, failed, errored or skipped."""

    verdicts: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> "Report":
        """Read the JUnit form. Raises OSError, or ParseError where it is none."""
        cases = ElementTree.parse(path).iter("testcase")  # noqa: S314 - written by our own subprocess
        return cls({case.attrib["name"].partition(" :: ")[0]: _verdict(case) for case in cases})

    @property
    def broken(self) -> list[str]:
        """The rules that failed, or could not be judged."""
        return sorted(rule for rule, verdict in self.verdicts.items() if verdict in ("failed", "errored"))


def _verdict(case: ElementTree.Element) -> str:
    found = {"failure": "failed", "error": "errored", "skipped": "skipped"}
    return next((verdict for tag, verdict in found.items() if case.find(tag) is not None), "passed")


def false_alarms(report: Report, rules: Rules, charges: duckdb.DuckDBPyRelation) -> dict[str, str]:
    """Return the broken rules that are false alarms on this file, with the reason of each.

    A rule that is made of others is one where all of these are that are broken.
    """
    proven: dict[str, str] = {}
    for rule in report.broken:
        requirement = rules[rule]["ValidationCriteria"]["Requirement"]
        alarm = NOT_ASCII if requirement.get("CheckFunction") == "FormatString" else FALSE_ALARMS.get(rule)
        if alarm and not charges.query("charges", alarm.unless).fetchone():
            proven[rule] = alarm.reason
    while made_of := {
        rule: parts
        for rule in report.broken
        if rule not in proven and (parts := set(_parts(rules[rule])) & set(report.broken)) and parts <= proven.keys()
    }:
        proven |= {rule: f"it is made of {', '.join(sorted(parts))}" for rule, parts in made_of.items()}
    return proven


def _parts(rule: Mapping[str, Any]) -> Iterator[str]:
    for item in rule["ValidationCriteria"]["Requirement"].get("Items", ()):
        if "ModelRuleId" in item:
            yield item["ModelRuleId"]


def rules_of(package: Path) -> Rules:
    """Return the specification's rules as the validator's package has them."""
    (model,) = (package / "rules").glob(f"model-{VERSION}.*.json")
    rules: Rules = json.loads(model.read_text())["ModelRules"]
    return rules


def validate(file: Path, package: Path) -> Report:
    """Run the validator. Raises RuntimeError where it gives no verdict; it exits with 0 whatever the verdict is."""
    with TemporaryDirectory() as folder:
        # it opens a file of its package below the working directory, and leaves a log there
        (Path(folder) / package.name).symlink_to(package)
        report = Path(folder) / "report.xml"
        ran = subprocess.run(  # noqa: S603 - a list of words, no shell
            [
                Path(sys.executable).with_name("focus-validator"),
                *("--data-file", file.resolve()),
                *("--validate-version", VERSION),
                *("--focus-dataset", "CostAndUsage"),
                *("--applicability-criteria", ",".join(CRITERIA)),
                *("--output-type", "unittest"),
                *("--output-destination", report),
                "--block-download",
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            judged = Report.read(report)
        except (OSError, ElementTree.ParseError):
            judged = Report({})
    if ran.returncode or "passed" not in judged.verdicts.values():
        *_, last = ["it wrote no report", *(ran.stdout + ran.stderr).strip().splitlines()]
        raise RuntimeError(f"the validator failed itself (exit code {ran.returncode}): {last}")
    return judged


def main(arguments: list[str]) -> NoReturn:
    """Validate a file. Exit codes: 0 no rule is broken but for false alarms, 1 otherwise, 2 bad input."""
    if len(arguments) != 1 or not (file := Path(arguments[0])).is_file():
        _end(2, f"{' '.join(arguments) or 'no file'}: give a FOCUS file, .csv or .parquet")
    spec = importlib.util.find_spec("focus_validator")
    if spec is None or not spec.submodule_search_locations:
        _end(2, "the validator is not installed here: make focus")
    package = Path(spec.submodule_search_locations[0])
    try:
        report = validate(file, package)
        rules = rules_of(package)
        alarms = false_alarms(report, rules, _charges(file))
    except (RuntimeError, duckdb.Error) as error:
        _end(1, str(error).splitlines()[0])
    counts = Counter(report.verdicts.values())
    figures = f"passed {counts['passed']}, failed {len(report.broken)}, skipped {counts['skipped']}"
    print(f"{file}: FOCUS {VERSION}: rules {figures}")
    for rule, reason in alarms.items():
        print(f"false alarm: {rule}: {reason}")
    broken = [rule for rule in report.broken if rule not in alarms]
    for rule in broken:
        print(f"FAILED: {rule}: {rules[rule]['ValidationCriteria']['MustSatisfy']}")
    sys.exit(1 if broken else 0)


def _charges(file: Path) -> duckdb.DuckDBPyRelation:
    name = glob.escape(str(file))  # DuckDB takes a name for a pattern
    return duckdb.read_parquet(name) if file.suffix == ".parquet" else duckdb.read_csv(name, all_varchar=True)


def _end(code: int, message: str) -> NoReturn:
    print(f"focus: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
