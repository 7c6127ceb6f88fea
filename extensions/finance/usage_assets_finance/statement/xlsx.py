"""A statement as XLSX: what is payable, by formulas with their values, and every line. Exact amounts are in the CSV."""

from collections.abc import Mapping, Sequence
from io import BytesIO

from xlsxwriter import Workbook
from xlsxwriter.utility import xl_rowcol_to_cell
from xlsxwriter.worksheet import Worksheet

from usage_assets.core.money import digits_of
from usage_assets_finance.statement.statements import DIMENSIONS, Statement, money

LINES: Mapping[str, str] = {
    "provider": "Provider",
    "connection": "Connection",
    "model": "Model",
    "project": "Project",
    "person": "Person or key",
    "team": "Team",
    "what": "Shared cost or correction",
    "share": "Share",
}
"""Columns of the sheet of lines."""
OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
A4, WIDTH, NOTE = 9, 24, 90
"""The paper's number, the width of a column, and how many characters of a note are on a line."""
Row = tuple[str, Sequence[str], int]
"""Currency, texts, and what is payable in the smallest unit."""


def xlsx_of(statement: Statement) -> bytes:
    """Return the file: the same bytes for the same statement."""
    file = BytesIO()
    with Workbook(file, OPTIONS) as book:
        book.set_properties({"title": statement.title, "created": statement.dated.replace(tzinfo=None)})
        summary = _sheet(book, "Statement", statement)
        lines = [
            (line.currency, [getattr(line, name) or "" for name in LINES], line.payable) for line in statement.lines
        ]
        cells = _write_table(book, _sheet(book, "Lines", statement), [*LINES.values()], lines, statement.totals)
        for dimension, heading in DIMENSIONS.items():
            sums = [(currency, [name], amount) for (currency, name), amount in statement.by(dimension).items()]
            _write_table(book, _sheet(book, heading, statement), [heading], sums, statement.totals)
        _write_summary(book, summary, statement, cells)
    return file.getvalue()


def _sheet(book: Workbook, name: str, statement: Statement) -> Worksheet:
    sheet = book.add_worksheet(name)
    sheet.set_header(f"&L{_header(statement.title)}&R{statement.status}")
    sheet.set_footer("&CPage &P of &N")
    sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)
    return sheet


def _header(text: str) -> str:
    """Return a text for a header, where & begins a code. 255 characters fit."""
    return text[:100].replace("&", "&&")


def _write_table(
    book: Workbook, sheet: Worksheet, headings: Sequence[str], rows: Sequence[Row], totals: Mapping[str, int]
) -> Mapping[str, str]:
    """Write the rows of each currency and their sum below them; return the cell of each sum."""
    bold, width, cells = book.add_format({"bold": True}), len(headings), {}
    sheet.set_column(0, width + 1, WIDTH)
    for n, heading in enumerate((*headings, "Currency", "Payable")):
        sheet.write_string(0, n, heading, bold)
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    row = 1
    for currency, total in totals.items():
        first, places = row, _places(currency)
        number, total_number = book.add_format(places), book.add_format({**places, "bold": True, "top": 1})
        for _, texts, amount in (each for each in rows if each[0] == currency):
            for n, text in enumerate((*texts, currency)):
                sheet.write_string(row, n, text)
            sheet.write(row, width + 1, money(amount, currency), number)
            row += 1
        sheet.write_string(row, 0, f"Total {currency}", bold)
        cells[currency] = xl_rowcol_to_cell(row, width + 1)
        span = f"{xl_rowcol_to_cell(first, width + 1)}:{xl_rowcol_to_cell(row - 1, width + 1)}"
        sheet.write_formula(row, width + 1, f"=SUM({span})", total_number, money(total, currency))
        row += 2
    return cells


def _write_summary(book: Workbook, sheet: Worksheet, statement: Statement, cells: Mapping[str, str]) -> None:
    bold, wrapped = book.add_format({"bold": True, "font_size": 14}), book.add_format({"text_wrap": True})
    red = book.add_format({"bold": True, "font_color": "#B00020"})
    sheet.set_column(0, 0, WIDTH)
    sheet.set_column(1, 1, 3 * WIDTH)
    sheet.write_string(0, 0, statement.title, bold)
    sheet.write_string(1, 0, statement.status, red if statement.issued_at is None else None)
    row = 3
    for currency, total in statement.totals.items():
        amount = book.add_format({**_places(currency), "bold": True, "align": "left"})
        sheet.write_string(row, 0, f"Payable {currency}", amount)
        sheet.write_formula(row, 1, f"=Lines!{cells[currency]}", amount, money(total, currency))
        row += 1
    for note in statement.notes:
        row += 1
        sheet.merge_range(row, 0, row, 1, note, wrapped)
        sheet.set_row(row, 16 * (1 + len(note) // NOTE))


def _places(currency: str) -> Mapping[str, str]:
    digits = digits_of(currency)
    return {"num_format": f"#,##0.{'0' * digits}" if digits else "#,##0"}
