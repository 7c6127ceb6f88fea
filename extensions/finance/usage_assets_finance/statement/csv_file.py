"""A statement as CSV: every line, with exact amounts as text."""

import csv
from io import StringIO

from usage_assets.cli.files import no_formula
from usage_assets_finance.statement.shares import exact
from usage_assets_finance.statement.statements import Statement, money

COLUMNS = (
    "month",
    "status",
    "cost_center",
    "kind",
    "what",
    "share",
    "team",
    "provider",
    "connection",
    "project",
    "person",
    "model",
    "currency",
    "amount",
    "payable",
)


def csv_of(statement: Statement) -> bytes:
    """Return the file. ``amount`` is a decimal number, or a fraction where there is none (10/3)."""
    file = StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(COLUMNS)
    for line in statement.lines:
        texts = [getattr(line, name) or "" for name in COLUMNS[2:-2]]
        rows.writerow(
            [
                f"{statement.month:%Y-%m}",
                statement.status,
                *map(no_formula, texts),
                exact(line.amount),
                f"{money(line.payable, line.currency):f}",
            ]
        )
    return file.getvalue().encode()
