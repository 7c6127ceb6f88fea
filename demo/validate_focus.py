"""`python -m demo.validate_focus FILE...` validates FOCUS files: by the FinOps Foundation's own validator,
whose report it reads, and by focus-data-toolkit, which knows the columns of every version and has a linter of 1.4.

It runs in an environment of its own (`make focus`), where this project is not installed, so it imports nothing from it
but ``columns.py``. ``export/sql/rules.sql`` of usage_assets_finance checks what these two do not.
"""

import glob
import importlib.util
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import duckdb

from usage_assets_finance.export.columns import COLUMNS, VERSIONS, columns_of

CRITERIA = tuple(sorted({criterion for column in COLUMNS for criterion in column.criteria}))
"""What makes more columns mandatory, in FOCUS's words: what these providers support."""
UNIT_PRICING = "SupportsUnitPricing"
"""The only one of them that the linter knows, in 1.4's words."""
DATASET = "Cost and Usage"
OF_FILES = "x_SourceTable like 'focus.%'"
SPEC = "https://github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec"

Rules = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class FalseAlarm:
    """Why a rule fails on a file that keeps to the specification."""

    reason: str
    unless: str
    """SQL over ``charges``, the file. Where it finds a row, the alarm is a true one."""
    issue: str
    """Where FOCUS's own people speak of it."""


CONTRADICTION = FalseAlarm(
    "InvoiceId-C-004-C and -005-C contradict each other: one asks for null in every row, one for a value",
    "select count(*) from charges having count(InvoiceId) not in (0, count(*))",
    f"{SPEC}/issues/2394",
)
FALSE_ALARMS: Mapping[str, FalseAlarm] = {
    "InvoiceId-C-004-C": CONTRADICTION,
    "InvoiceId-C-005-C": CONTRADICTION,
    "EffectiveCost-C-005-C": FalseAlarm(
        "FOCUS has all that seats cost in the row of their purchase: no use of them is charged (simple agreements, A2)",
        "from charges where ChargeCategory = 'Purchase' and EffectiveCost::double <> 0 "
        "and PricingUnit not in ('Seats', 'User-Months')",
        f"{SPEC}/issues/2673",
    ),
    "BilledCost-C-005-C": FalseAlarm(
        "it takes an issuer of another name for a third party; bills name the legal entity of their provider",
        "select ProviderName from charges where BilledCost::double <> 0 group by ProviderName "
        "having bool_or(InvoiceIssuerName = ProviderName) and bool_or(InvoiceIssuerName <> ProviderName)",
        f"{SPEC}/blob/v1.2/specification/columns/billedcost.md",
    ),
    "SkuPriceDetails: custom_key_not_prefixed": FalseAlarm(
        "FOCUS 1.5 defines ModelDeveloper, ModelFamily and ModelId; every other key begins with x_",
        "from (select unnest(json_keys(SkuPriceDetails)) as key from charges) where key not like 'x\\_%' escape '\\' "
        "and key not in ('ModelDeveloper', 'ModelFamily', 'ModelId')",
        f"{SPEC}/pull/2442",
    ),
    "PricingCurrency: bad_currency": FalseAlarm(
        "1.4 lost the rule for virtual currencies, which it still allows: credits have no code of ISO 4217",
        "from charges where PricingCurrency <> 'Credits' and PricingCurrency <> BillingCurrency",
        f"{SPEC}/issues/2550",
    ),
}
NOT_ASCII = FalseAlarm(
    "it takes ASCII only, where FOCUS asks for names as they are",
    "select 1 where false",
    f"{SPEC}/blob/v1.2/specification/attributes/string_handling.md",
)


@dataclass(frozen=True)
class Report:
    """What a witness says of each rule: passed, failed, errored or skipped."""

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
        requirement = rules[rule]["ValidationCriteria"]["Requirement"] if rule in rules else {}
        alarm = NOT_ASCII if requirement.get("CheckFunction") == "FormatString" else FALSE_ALARMS.get(rule)
        if alarm and not charges.query("charges", alarm.unless).fetchone():
            proven[rule] = f"{alarm.reason} ({alarm.issue})"
    while made_of := {
        rule: parts
        for rule in report.broken
        if rule not in proven
        and (parts := set(_parts(rules.get(rule, {}))) & set(report.broken))
        and parts <= proven.keys()
    }:
        proven |= {rule: f"it is made of {', '.join(sorted(parts))}" for rule, parts in made_of.items()}
    return proven


def _parts(rule: Mapping[str, Any]) -> Iterator[str]:
    for item in rule.get("ValidationCriteria", {}).get("Requirement", {}).get("Items", ()):
        if "ModelRuleId" in item:
            yield item["ModelRuleId"]


def version_of(names: Collection[str]) -> str:
    """Return the version of FOCUS whose columns are most like these."""
    return min(VERSIONS, key=lambda version: len({*names} ^ {column.name for column in columns_of(version)}))


def model_of(version: str, package: Path) -> Path | None:
    """Return the validator's newest model that fits a version: its own, or that of an earlier one all of whose columns
    it has. None: there is none."""
    names = {column.name for column in columns_of(version)}
    for each in reversed(VERSIONS[: VERSIONS.index(version) + 1]):
        models = sorted((package / "rules").glob(f"model-{each}*.json"))
        if models and {column.name for column in columns_of(each)} <= names:
            return models[-1]
    return None


def validate(file: Path, model: str, package: Path) -> Report:
    """Run the validator with a model. Raises RuntimeError where it gives no verdict; it always exits with 0."""
    with TemporaryDirectory() as folder:
        # it opens a file of its package below the working directory, and leaves a log there
        (Path(folder) / package.name).symlink_to(package)
        report = Path(folder) / "report.xml"
        ran = subprocess.run(  # noqa: S603 - a list of words, no shell
            [
                Path(sys.executable).with_name("focus-validator"),
                *("--data-file", file.resolve()),
                *("--validate-version", model),
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


def lint(version: str, charges: duckdb.DuckDBPyRelation) -> Report:
    """Compare the columns with those of a version, and have the linter of 1.4 check the rows of a file of 1.4."""
    registry = importlib.import_module("focus_data_toolkit.schema.registry")
    names = [name for name in charges.columns if not name.startswith("x_")]
    allowed = registry.version_columns(DATASET, version)
    missing = registry.mandatory_columns(DATASET, version) - {*names}
    verdicts = {f"{name}: unknown_column": "passed" if name in allowed else "failed" for name in names}
    verdicts |= {f"{name}: missing_mandatory_column": "failed" for name in sorted(missing)}
    if version == "1.4":
        linter = importlib.import_module("focus_data_toolkit.model.validator")
        found = linter.lint_focus_1_4_structure(DATASET, _as_text(charges), supported_conditions=[UNIT_PRICING])
        verdicts |= {f"{each.column}: {each.rule}": "failed" for each in found.violations}
    return Report(verdicts)


def _as_text(charges: duckdb.DuckDBPyRelation) -> list[dict[str, str]]:
    texts = (
        f"""strftime("{name}" at time zone 'UTC', '%Y-%m-%dT%H:%M:%SZ')"""
        if str(kind).startswith("TIMESTAMP")
        else f'"{name}"::varchar'
        for name, kind in zip(charges.columns, charges.types, strict=True)
    )
    rows = charges.project(", ".join(texts)).fetchall()
    return [{name: value or "" for name, value in zip(charges.columns, row, strict=True)} for row in rows]


def main(arguments: Sequence[str]) -> NoReturn:
    """Validate files. Exit codes: 0 no rule is broken but for false alarms, 1 otherwise, 2 bad input."""
    files = [Path(argument) for argument in arguments]
    if not files or not all(file.is_file() for file in files):
        _end(2, f"{' '.join(arguments) or 'no file'}: give FOCUS files, .csv or .parquet")
    spec = importlib.util.find_spec("focus_validator")
    if spec is None or not spec.submodule_search_locations:
        _end(2, "the validator is not installed here: make focus")
    package = Path(spec.submodule_search_locations[0])
    try:
        broken = [rule for file in files for rule in judge(file, package)]
    except (RuntimeError, duckdb.Error) as error:
        _end(1, str(error).splitlines()[0])
    sys.exit(1 if broken else 0)


def judge(file: Path, package: Path) -> Sequence[str]:
    """Print what each witness says of a file; return the rules that it breaks. Raises RuntimeError or duckdb.Error.

    Rows of files are as their files state them. A rule that holds without them is broken by those files.
    """
    broken = judged(file, package)
    charges = _charges(file)
    if broken and "x_SourceTable" in charges.columns and charges.filter(OF_FILES).fetchone():
        with TemporaryDirectory() as folder:
            own = Path(folder) / f"own-rows-of-{file.name}"
            rows = charges.filter(f"({OF_FILES}) is not true")
            (rows.write_parquet if file.suffix == ".parquet" else rows.write_csv)(str(own))
            ours = judged(own, package)
        for rule in sorted(broken.keys() - ours.keys()):
            print(f"broken by a file that is passed through: {rule}: {broken[rule]}")
        broken = ours
    for rule, text in broken.items():
        print(f"FAILED: {rule}: {text}")
    return [*broken]


def judged(file: Path, package: Path) -> Mapping[str, str]:
    """Print the figures and false alarms of each witness; return the broken rules, and what they require."""
    charges = _charges(file)
    version = version_of(charges.columns)
    reports: list[tuple[str, Report, Rules]] = [("columns and linter", lint(version, charges), {})]
    if model := model_of(version, package):
        name = model.stem.removeprefix("model-")
        reports.append((f"FOCUS's validator, model {name}", validate(file, name, package), rules_of(model)))
    else:
        print(f"{file.name}: FOCUS {version}: FOCUS's validator has no model for it")
    broken = {}
    for witness, report, rules in reports:
        counts, alarms = Counter(report.verdicts.values()), false_alarms(report, rules, charges)
        figures = f"passed {counts['passed']}, failed {len(report.broken)}, skipped {counts['skipped']}"
        print(f"{file.name}: FOCUS {version}: {witness}: rules {figures}")
        for rule, reason in alarms.items():
            print(f"false alarm: {rule}: {reason}")
        for rule in (each for each in report.broken if each not in alarms):
            broken[rule] = rules[rule]["ValidationCriteria"]["MustSatisfy"] if rule in rules else "as the linter says"
    return broken


def rules_of(model: Path) -> Rules:
    """Return the specification's rules as a model has them."""
    rules: Rules = json.loads(model.read_text())["ModelRules"]
    return rules


def _charges(file: Path) -> duckdb.DuckDBPyRelation:
    name = glob.escape(str(file))  # DuckDB takes a name for a pattern
    return duckdb.read_parquet(name) if file.suffix == ".parquet" else duckdb.read_csv(name, all_varchar=True)


def _end(code: int, message: str) -> NoReturn:
    print(f"focus: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
