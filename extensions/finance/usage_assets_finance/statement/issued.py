"""The ledger of issued statements: digests and sums. A row is written once and never changes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from typing import Any

import duckdb

from usage_assets.core.money import digits_of
from usage_assets.core.schema import to_arrow
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import ISSUED_STATEMENTS, IssuedStatement
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.values import WarehouseError
from usage_assets_finance.statement.csv_file import csv_of
from usage_assets_finance.statement.pdf import pdf_of
from usage_assets_finance.statement.shares import exact
from usage_assets_finance.statement.statements import Correction, Issued, Statement, amounts_of, money, payables_of
from usage_assets_finance.statement.xlsx import xlsx_of

FORMS = ("csv", "xlsx", "pdf")
COLUMNS = f"month, cost_center, issued_at, accepted, {', '.join(f'{form}_sha256' for form in FORMS)}, sums"
STORED = f"from {ISSUED_STATEMENTS.name}"


def files_of(statement: Statement) -> Mapping[str, bytes]:
    """Return the files of a statement, by form."""
    return {"csv": csv_of(statement), "xlsx": xlsx_of(statement), "pdf": pdf_of(statement)}


def digests_of(files: Mapping[str, bytes]) -> Mapping[str, str]:
    return {form: sha256(content).hexdigest() for form, content in files.items()}


def read_issued(database: duckdb.DuckDBPyConnection) -> Sequence[Issued]:
    """Return every issued statement."""
    try:
        rows = database.execute(f"select {COLUMNS} {STORED} order by all").fetchall()
    except duckdb.CatalogException:  # none was ever issued
        return []
    return [
        Issued(
            month,
            cost_center,
            issued_at.astimezone(UTC),  # a PDF writes other names of the same zone differently
            accepted,
            dict(zip(FORMS, digests, strict=True)),
            **_from_json(sums),
        )
        for month, cost_center, issued_at, accepted, *digests, sums in rows
    ]


def write_issued(
    warehouse: Warehouse, issued_at: datetime, statements: Iterable[tuple[Statement, Mapping[str, bytes]]]
) -> None:
    """Store that the statements of a month are issued. Raises WarehouseError if it was issued meanwhile."""
    rows = []
    for statement, files in statements:
        digests = {f"{form}_sha256": digest for form, digest in digests_of(files).items()}
        rows.append(
            IssuedStatement(
                month=statement.month,
                cost_center=statement.cost_center,
                issued_at=issued_at,
                accepted=statement.accepted,
                sums=_to_json(statement),
                **digests,
            )
        )
    with warehouse.transaction(ISSUED_STATEMENTS.name) as database:
        create_or_alter(database, ISSUED_STATEMENTS)
        if database.execute(f"{STORED} where month = $month", {"month": rows[0].month}).fetchone():
            raise WarehouseError(f"{rows[0].month:%Y-%m}: was issued meanwhile: run this again")
        database.register("all_rows", to_arrow(IssuedStatement, rows))
        database.execute(f"insert into {ISSUED_STATEMENTS.name} by name from all_rows")


def _to_json(statement: Statement) -> str:
    return json.dumps(
        {
            "amounts": [
                {"connection": connection, "currency": currency, "amount": exact(amount)}
                for (connection, currency), amount in sorted(amounts_of(statement.lines).items())
            ],
            "payable": {name: _text(amount, name) for name, amount in payables_of(statement.lines).items()},
            "corrections": [
                {
                    "month": str(each.month),
                    "currency": each.currency,
                    "payable": _text(each.payable, each.currency),
                    "amounts": {connection: exact(amount) for connection, amount in each.amounts.items()},
                }
                for each in statement.corrections
            ],
        }
    )


def _from_json(text: str) -> dict[str, Any]:
    sums = json.loads(text)
    return {
        "amounts": {(each["connection"], each["currency"]): Fraction(each["amount"]) for each in sums["amounts"]},
        "payable": {currency: _minor(amount, currency) for currency, amount in sums["payable"].items()},
        "corrections": [
            Correction(
                date.fromisoformat(each["month"]),
                each["currency"],
                _minor(each["payable"], each["currency"]),
                {connection: Fraction(amount) for connection, amount in each["amounts"].items()},
            )
            for each in sums["corrections"]
        ],
    }


def _text(amount: int, currency: str) -> str:
    return f"{money(amount, currency):f}"


def _minor(text: str, currency: str) -> int:
    return int(Decimal(text).scaleb(digits_of(currency)))
