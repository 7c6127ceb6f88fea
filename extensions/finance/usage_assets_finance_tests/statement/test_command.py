"""`usage-assets statement`: what a person gets, what is refused, and what an issued file is compared with."""

import csv
import io
import re
import zipfile
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import time_machine
from pypdf import PdfReader

from usage_assets.core.forgotten import Person
from usage_assets.features.deletion.people import replace_in_rows
from usage_assets.features.deletion.rows import Rows
from usage_assets_finance_tests.statement.conftest import BILL, FORMULA, STATED, Company, cost
from usage_assets_tests.fixtures import NOW
from usage_assets_tests.models.days import cases
from usage_assets_tests.terminal import refusal

SHEET = {"s": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
IN_TOTAL = "all 3 statements of 2026-10: 0.10 EUR, $46.26"
"""10.004 + 0.001 + 20 + 10 + 5 + 1.25 = 46.255 dollars, rounded once."""


def rows_in(path: Path) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(path.read_text()))]


def text_of(path: Path) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(path).pages)


def cells_in(path: Path, sheet: int) -> dict[str, tuple[str, str | None]]:
    """The value and the formula of each cell of an XLSX file."""
    with zipfile.ZipFile(path) as file:
        shared = [
            "".join(each.itertext())
            for each in ElementTree.fromstring(file.read("xl/sharedStrings.xml")).iterfind("s:si", SHEET)
        ]
        found = {}
        for cell in ElementTree.fromstring(file.read(f"xl/worksheets/sheet{sheet}.xml")).iterfind(".//s:c", SHEET):
            value, formula = cell.findtext("s:v", "", SHEET), cell.findtext("s:f", None, SHEET)
            found[cell.attrib["r"]] = (shared[int(value)] if cell.get("t") == "s" else value, formula)
        return found


def test_each_cost_center_owes_its_costs_and_its_shares(company: Company) -> None:
    """Ten dollars by 2 and 1 people: 6.67 and 3.33. The cent of the bill's rounding is R&D's, whose remainder is larger
    than that of 0.671666…: 16.671666… is 16.67, and 23.333… is 23.34."""
    said = company.statement("--all")
    assert (said.code, said.err, said.lines[-1]) == (None, "", IN_TOTAL)
    web, research = rows_in(company.file("csv")), rows_in(company.file("csv", "R_D_EU-47b2c9d8"))
    assert [(row["person"], row["currency"], row["amount"], row["payable"]) for row in web] == [
        ("Анна Петрова", "EUR", "0.1", "0.10"),
        ("Анна Петрова", "USD", "10.004", "10.00"),
        ("王小明", "USD", "0.001", "0.00"),
        ("", "USD", "20/3", "6.67"),
    ]
    assert (web[-1]["what"], web[-1]["share"]) == ("seats", "2 of 3 people, of 10 USD")
    assert [(row["model"], row["amount"], row["payable"]) for row in research] == [
        ("gpt-5-mini", "20", "20.00"),
        ("", "10/3", "3.34"),
    ]
    nobody = rows_in(company.file("csv", "without-cost-center"))
    assert [(row["project"], row["payable"]) for row in nobody] == [(f"'{FORMULA}", "5.00"), ("p-none", "1.25")]
    assert cells_in(company.file("xlsx", "without-cost-center"), 2)["D2"] == (FORMULA, None), "no program runs it"
    assert "a b gpj" in text_of(company.file("pdf", "without-cost-center")), "nothing is hidden"
    assert {row["status"] for row in (*web, *research, *nobody)} == {"DRAFT, not issued"}
    # The forms of a statement: only its readers may open them, and nothing is lost without being said.
    assert all(path.stat().st_mode & 0o077 == 0 for path in company.folder.iterdir())
    text = text_of(company.file("pdf"))
    for shown in (
        "seats: 66.67% of openai",
        "DRAFT, not issued",
        "cost center 4711",
        "$16.67",
        "0.10 EUR",
        "Анна Петрова",
        "gpt-5",
        "p-web",
    ):
        assert shown in text
    assert "\ufffd\ufffd\ufffd" in text, "the font has no Chinese characters, and the page says so"
    assert "stands for a character that this font lacks" in text
    summary, lines = (cells_in(company.file("xlsx"), sheet) for sheet in (1, 2))
    assert [summary[cell] for cell in ("A1", "A2", "A5", "B5")] == [
        ("Statement 2026-10, cost center 4711", None),
        ("DRAFT, not issued", None),
        ("Payable USD", None),
        ("16.67", "Lines!J8"),
    ]
    assert lines["J8"] == ("16.67", "SUM(J5:J7)")
    payable = [row["payable"] for row in rows_in(company.file("csv"))]
    assert [lines[f"J{n}"][0] for n in (2, 5, 6, 7)] == payable, "as shown: 16 digits of a float are 8.220000000000001"
    assert [lines[cell][0] for cell in ("E5", "E6")] == ["Анна Петрова", "王小明"]
    person = cells_in(company.file("xlsx"), 6)
    assert {person[f"A{n}"][0] for n in range(2, 8) if f"A{n}" in person} >= {"Анна Петрова", "王小明", "shared: seats"}


def test_the_first_entry_that_covers_a_cost_shares_it_by_use(company: Company) -> None:
    """What has no cost center, 10 + 5 + 1.25 = 16.25, as 10.004 + 0.001 and 20 were used. The first entry begins a day
    too late."""
    owners = STATED.partition("[[shared_cost]]")[0]
    late = '[[shared_cost]]\nname = "late"\nteam = "misc"\neven = ["17"]\nvalid_from = 2026-10-06\n'
    rest = '[[shared_cost]]\nname = "rest"\nconnection = "openai"\nby_use = true\n'
    company.state(owners + late + rest)
    assert company.statement().lines[-1] == "all 2 statements of 2026-10: 0.10 EUR, $46.26"
    *_, web = rows_in(company.file("csv"))
    *_, research = rows_in(company.file("csv", "R_D_EU-47b2c9d8"))
    assert (web["what"], web["share"]) == ("rest", "10.005 of 30.005 USD billed, of 16.25 USD")
    assert Fraction(web["amount"]) == Fraction("16.25") * Fraction("10.005") / Fraction("30.005")
    assert Fraction(web["amount"]) + Fraction(research["amount"]) == Fraction("16.25")


BAD_INPUT = cases("""
    --month 2026-13 --out out -> --month 2026-13: must look like 2026-11
    --month 2026-10 -> name --month and --out
    --month 2026-09 --out out -> nothing that is stored was billed in it
    --month 2026-10 --out out --cost-center 1 -> has no statement of 2026-10; these have: 4711, R&D/EU
    --month 2026-10 --out out --team misc -> has no cost center in 2026-10: state one in its [[owner]]
    --month 2026-10 --out out --all --team web -> name at most one of
    --month 2026-10 --out connections.toml -> 'connections.toml' is a file
""")


def test_bad_input_is_one_line(company: Company) -> None:
    for words, said in BAD_INPUT:
        assert said in refusal(company.terminal.type("statement", *words.split())), words
    assert not company.folder.exists()


# Issuing


def test_issuing_again_gives_the_same_bytes_and_a_changed_byte_is_found(company: Company) -> None:
    assert company.statement("--issue", "--team", "web").code is None
    files = {path: path.read_bytes() for path in company.folder.iterdir()}
    assert files.keys() == {company.file(form) for form in ("csv", "pdf", "xlsx")}
    with time_machine.travel(NOW + timedelta(days=2), tick=False):
        assert company.statement("--issue").lines[-1] == IN_TOTAL
        assert company.statement("--team", "web").lines[-1] == IN_TOTAL, "an issued month is no draft"
    assert {path: path.read_bytes() for path in files} == files
    assert len([*company.folder.iterdir()]) == 9, "the others were issued with it"
    for place, (path, content) in zip((0, 1000, -1), files.items(), strict=True):
        said = company.verify(path)
        form = path.suffix[1:]
        assert said.lines == [
            f"{path}: is the {form} of Statement 2026-10, cost center 4711, as issued on 2026-11-20 08:00 UTC",
            "nothing has changed since",
        ]
        changed = bytearray(content)
        changed[place % len(changed)] ^= 1
        path.write_bytes(changed)
        said = company.verify(path)
        assert (said.code, said.lines) == (1, [f"{path}: is not what was issued"])


def test_a_restated_day_is_a_correction_of_the_next_statement(company: Company) -> None:
    """A dollar more of p-web: 17.67. What is without a cost center has got the cent of the bill now: 47.255."""
    company.statement("--issue")
    issued = {path: path.read_bytes() for path in company.folder.iterdir()}
    with time_machine.travel(NOW + timedelta(days=12), tick=False):
        company.fetch(*BILL, cost("1", date(2026, 10, 7), project_id="p-web"))
        said = company.verify(company.file("pdf"))
        assert said.lines[1:] == ["openai: issued $16.67, today $17.67 (restated: 2026-10-07)"]
        company.fetch(cost("2", date(2026, 11, 3)), first=date(2026, 11, 1), last=date(2026, 11, 30))
        said = company.statement("--issue")
        assert said.code == 2
        assert "2026-10, cost center 4711: was issued on 2026-11-20, and would be another file now" in said.err
        assert {path: path.read_bytes() for path in issued} == issued
        said = company.statement("--issue", month="2026-11")
        assert (said.code, said.lines[-1]) == (None, "all 2 statements of 2026-11: $3.00")
        [corrected] = rows_in(company.file("csv", month="2026-11"))
        assert (corrected["what"], corrected["amount"], corrected["payable"]) == (
            "Correction of 2026-10: openai",
            "1",
            "1.00",
        )
        assert "Correction of 2026-10: openai" in text_of(company.file("pdf", month="2026-11"))
        said = company.verify(company.file("csv"))
        assert said.lines[2] == "corrected in 2026-11: $1.00"


def test_what_is_forgotten_or_removed_is_no_correction_and_leaves_what_was_issued(company: Company) -> None:
    """Even a person whose id is in the ledger by chance: the digests and sums are of nobody."""
    company.statement("--issue")
    company.fetch(cost("2", date(2026, 11, 3)), first=date(2026, 11, 1), last=date(2026, 11, 12))
    warehouse = company.terminal.warehouse
    found = replace_in_rows(warehouse, Person({"Анна Петрова": "person-1", "16.67": "person-2"}, {}))
    assert found.rows["costs.daily_costs"] == 2
    assert "ledger.issued_statements" not in found.rows
    assert company.verify(company.file("pdf")).lines[1:] == ["nothing has changed since"]
    said = company.statement("--cost-center", "4711")
    assert "would be another file now" in said.err, "it has another name in it"
    assert "Correction" not in company.statement(month="2026-11").out
    Rows.before(date(2026, 11, 1)).delete(warehouse)
    said = company.statement(month="2026-11")
    assert said.err == "no longer corrected, because some of it is not stored any more: 2026-10\n"
    assert said.lines[-1] == "all 1 statements of 2026-11: $2.00"
    Rows.of_connection("openai").delete(warehouse)
    said = company.verify(company.file("pdf"))
    assert said.lines[1:] == ["openai: is not stored any more, so it is not compared"]
    assert warehouse.read("from ledger.issued_statements").num_rows == 3


def test_days_that_are_not_final_are_refused_until_they_are_accepted(company: Company) -> None:
    """Of October's days, the 30th was never fetched, and the provider may still change all others."""
    company.fetch(*BILL, settling_days=60)
    with company.terminal.warehouse.transaction() as database:
        for table in ("openai.costs", "costs.daily_costs", "costs.allocated_costs", "ledger.partition_versions"):
            database.execute(f"delete from {table} where usage_date = '2026-10-30'")
    assert "openai: 30 provisional days" in company.statement("--team", "web").err + text_of(company.file("pdf"))
    said = company.statement("--issue")
    assert said.code == 2
    assert said.err.startswith(
        "usage-assets: --issue: days of 2026-10 are not final: openai: 1 due day; openai: 30 provisional days: run "
    )
    assert (
        company.terminal.warehouse.read(
            "select 1 from information_schema.tables where table_name = 'issued_statements'"
        ).num_rows
        == 0
    )
    assert company.statement("--issue", "--accept", "provisional").code is None
    accepted = "Issued although days were not final: openai: 1 due day; openai: 30 provisional days."
    assert accepted in re.sub(r"\s+", " ", text_of(company.file("pdf")))
