"""A statement as PDF: what is payable, and by provider, model, project and person. The CSV and XLSX have every line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fpdf import FPDF
from fpdf.enums import Align, TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace

from usage_assets_finance.statement.lines import Line
from usage_assets_finance.statement.statements import DIMENSIONS, Statement, added_up, in_words, named

FONTS = Path(__file__).parent / "fonts"
"""DejaVu Sans Condensed 2.37, as Debian has it."""
FONT = "DejaVu"
MISSING = "\ufffd"
"""What stands for a character that the font lacks."""
RED, GRAY, DARK = (176, 0, 32), (110, 110, 110), (20, 20, 20)
PALE = (232, 235, 240)
Amount = tuple[str, str, bool]
"""A name, what is payable for it in words, and whether that is a total."""


class _Page(FPDF):
    """The pages, with what stands at the top and bottom of each."""

    def __init__(self, statement: Statement) -> None:
        super().__init__(format="A4")
        self.statement, self.is_lacking = statement, False
        self.add_font(FONT, "", FONTS / "DejaVuSansCondensed.ttf")
        self.add_font(FONT, "B", FONTS / "DejaVuSansCondensed-Bold.ttf")
        regular, bold = (self.fonts[f"{FONT.lower()}{style}"].cmap for style in ("", "B"))  # type: ignore[union-attr]
        self.known = {*regular} & {*bold}
        self.set_creation_date(statement.dated)
        self.set_title(self.shown(statement.title))
        self.set_margins(18, 18)
        self.set_auto_page_break(True, 20)
        self.str_alias_nb_pages = ""  # a name could be what the number of pages would be put in place of

    def shown(self, text: str) -> str:
        """Return a text in which MISSING stands for each character that the font lacks."""
        kept = "".join(each if ord(each) in self.known else MISSING for each in text)
        self.is_lacking |= kept != text
        return kept

    def header(self) -> None:
        is_draft = self.statement.issued_at is None
        self.set_font(FONT, "B" if is_draft else "", 9)
        self.set_text_color(*(RED if is_draft else GRAY))
        self.cell(0, 8, self.statement.status, align=Align.R, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_text_color(*DARK)

    def footer(self) -> None:
        self.set_y(-14)
        self.set_font(FONT, "", 8)
        self.set_text_color(*GRAY)
        self.cell(0, 6, self.shown(self.statement.title[:100]))
        self.cell(0, 6, f"Page {self.page_no()}", align=Align.R)
        self.set_text_color(*DARK)


def pdf_of(statement: Statement) -> bytes:
    """Return the file: the same bytes for the same statement."""
    page = _Page(statement)
    page.add_page()
    _write(page, statement.title, 17, "B")
    _write(page, f"{statement.month:%B %Y}, days in UTC", 10)
    page.ln(3)
    for currency, amount in statement.totals.items():
        _write(page, f"Payable: {in_words(amount, currency)}", 14, "B")
    page.ln(2)
    for note in statement.notes:
        _write(page, note, 9)
    if special := added_up(((line.currency, _called(line)), line.payable) for line in statement.lines if line.what):
        rows = [(name, in_words(amount, currency), False) for (currency, name), amount in special.items()]
        _write_table(page, "Shared costs and corrections", rows)
    for dimension, heading in DIMENSIONS.items():
        sums = statement.by(dimension)
        rows = []
        for currency, total in statement.totals.items():
            rows += [(name, in_words(amount, unit), False) for (unit, name), amount in sums.items() if unit == currency]
            rows.append((f"Total {currency}", in_words(total, currency), True))
        _write_table(page, heading, rows)
    if page.is_lacking:
        page.ln(3)
        _write(page, f"{MISSING} stands for a character that this font lacks: the CSV and XLSX files have it.", 9)
    return bytes(page.output())


def _called(line: Line) -> str:
    """Return what a shared cost or a correction is called; its share as people read it."""
    return f"{line.what}: {float(line.part):.2%} of {named(line, 'provider')}" if line.share else line.what


def _write(page: _Page, text: str, size: int, style: Literal["", "B"] = "") -> None:
    page.set_font(FONT, style, size)
    page.multi_cell(0, size * 0.5, page.shown(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT, align=Align.L)


def _write_table(page: _Page, heading: str, rows: Sequence[Amount]) -> None:
    """Write names and amounts below a heading, which stands at the top of each page again."""
    page.ln(5)
    page.set_font(FONT, "", 9)
    page.set_draw_color(*PALE)
    with page.table(
        col_widths=(3, 1),
        text_align=(Align.L, Align.R),
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        headings_style=FontFace(emphasis="BOLD", fill_color=PALE),
        line_height=5.5,
        padding=(0.6, 1.5),
    ) as table:
        table.row((page.shown(heading), "Payable"))
        for name, amount, is_total in rows:
            table.row((page.shown(name), amount), style=FontFace(emphasis="BOLD") if is_total else None)
