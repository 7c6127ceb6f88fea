"""Writes the report as one HTML file that needs nothing else: charts, tables, queries, styles and scripts are in it."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from usage_assets.core.errors import UserError
from usage_assets.core.money import plain
from usage_assets.report.figures import CERTAINTY, DIMENSIONS, ECONOMICS, Figure, Report, in_words

BUNDLE = "import vl_convert as v, sys; sys.stdout.write(v.javascript_bundle('window.vegaEmbed = vegaEmbed'))"
TEMPLATES = Path(__file__).parent / "page"
SECTIONS: Mapping[str, Sequence[str]] = {
    "Spend": ("by_day", "budgets", "forecast", "trend", "forecast_days", "movers", "anomalies"),
    "Who and what": (*(f"by_{dimension}" for dimension in DIMENSIONS), "tags"),
    "Every basis, apart": ("headline", "amortized"),
    "Use": ("tokens",),
    "What it buys": ECONOMICS,
    "Data quality": CERTAINTY,
}
"""Heading -> figures; the providers' own come after ``tokens``."""
VALUED = "billed, valued in USD"
"""The one name of the sum that charts, forecasts and budgets in USD show, too (costs.counted_costs)."""


@dataclass(frozen=True)
class Cell:
    """A value of a table: as people read it, and with all its digits."""

    text: str
    exact: str
    style: str = ""
    """number, day or nothing."""


def write(report: Report, made_at: datetime) -> str:
    """Return the page."""
    from usage_assets.report.charts import FILTERED, specifications  # noqa: PLC0415 - Altair takes 0.3 s, text needs none

    charts = specifications(report)
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.globals |= {"cells": cells, "explained_rows": explained_rows, "heading": heading}
    sections = {
        title: [report.figures[name] for name in _named(title, names, report) if name in report.figures]
        for title, names in SECTIONS.items()
    }
    return environment.get_template("page.html").render(
        report=report,
        sections=sections,
        cards=[*_cards(report)],
        charts=charts,
        filters={name: in_words(name) for name in FILTERED},
        data=_in_script({"charts": charts, "facts": _columns(report), "filters": FILTERED}),
        style=Markup((TEMPLATES / "page.css").read_text()),  # noqa: S704 - ours
        script=Markup((TEMPLATES / "page.js").read_text()),  # noqa: S704 - ours
        library=_library(),
        made_at=f"{made_at.astimezone(UTC):%d %B %Y, %H:%M} UTC",
        version=version("usage-assets"),
    )


def _named(title: str, names: Sequence[str], report: Report) -> Sequence[str]:
    return (*names, *report.activity) if title == "Use" else names


@cache
def _library() -> Markup:
    """Vega, Vega-Lite and Vega-Embed, as one script (BSD-3-Clause).

    Another process makes it: the JavaScript engine reserves 32 GB of address space, and then a process cannot fork.
    """
    made = subprocess.run([sys.executable, "-c", BUNDLE], capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if made.returncode or not made.stdout:
        raise UserError(f"vl-convert gives no script for the charts: {made.stderr.strip().rpartition(chr(10))[2]}")
    return Markup(made.stdout.replace("</script", "<\\/script"))  # noqa: S704 - no input in it


def _in_script(value: object) -> Markup:
    """Return JSON that cannot close the script element it is in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - escaped


def _columns(report: Report) -> Mapping[str, object]:
    """Return the facts as columns. Text is dictionary-encoded."""
    columns: dict[str, object] = {}
    for name, column in zip(report.facts.rows.column_names, report.facts.rows.columns, strict=True):
        if name == "usd":
            columns[name] = [float(value) for value in column.to_pylist()]
            continue
        coded = column.cast("string").combine_chunks().dictionary_encode()
        columns[name] = {"values": coded.dictionary.to_pylist(), "codes": coded.indices.to_pylist()}
    return columns


def _cards(report: Report) -> Iterator[Mapping[str, str]]:
    """Yield the cards: the amount of each basis and unit, compared with the same days of the period before."""
    for row in report.figures["headline"].rows.to_pylist():
        if row["amount"] is None:
            continue
        yield {
            "label": label(row),
            "exact": plain(row["amount"]),
            "text": amount(row["amount"], row["unit"]),
            "change": change(row["amount"], row["same_days_before"], row["unit"], report),
            "expected": expected(report) if label(row) == VALUED else "",
            "rates": (report.rates or "") if label(row) == VALUED else "",
        }


def label(row: Mapping[str, Any]) -> str:
    """Return what the amount of a basis and unit is called."""
    if (row["cost_basis"], row["unit"]) == ("billed", "USD"):
        return VALUED
    return f"{row['cost_basis']}, {row['unit']}".replace("credits, credits", "credits")


def expected(report: Report) -> str:
    """Return the expected total of the report's month, or why it is unknown; empty for a range, and without a row."""
    rows = report.figures["forecast"].rows.to_pylist() if "forecast" in report.figures else []
    for row in rows:
        if row["scope"] == "everything" and report.period.is_month and row["month"] == report.period.first:
            if row["usd_expected"] is None:
                return f"Forecast: unknown ({row['why_unknown']})"
            most_likely, low, high = (amount(row[f"usd_{name}"], "USD") for name in ("expected", "low", "high"))
            return f"Forecast: {most_likely} (80% range {low} to {high})"
    return ""


def change(now: Decimal, before: Decimal | None, unit: str, report: Report) -> str:
    """Return how an amount compares with the same days before, in words."""
    period = report.period
    days = f"{period.before_first:%d %b} to {period.before_same:%d %b}"
    if report.incomparable:
        return f"{days}: {report.incomparable}"
    if not before or before < 0:  # after refunds: a share of it would have the wrong sign
        return f"{days}: {amount(before or Decimal(0), unit)}"
    return f"{days}: {amount(before, unit)} ({(now - before) / before:+.0%})"


def amount(value: Decimal, unit: str) -> str:
    """Return an amount as people read it: cents, or more digits where it is less than a cent."""
    places = 2 if value == 0 or abs(value) >= Decimal("0.01") else 6
    return f"{'$' if unit == 'USD' else ''}{value:,.{places}f}".replace("$-", "-$")


def heading(column: str) -> str:
    """Return what a column is called in a table."""
    words = in_words(column)
    return words[0].upper() + words[1:]


def cells(figure: Figure) -> Iterator[Sequence[Cell]]:
    """Yield the rows of a figure's table."""
    missing = [Cell("-", "", style="number" if _counts(field.type) else "") for field in figure.rows.schema]
    names = figure.rows.column_names
    for row in zip(*(column.to_pylist() for column in figure.rows.columns), strict=True):
        values = zip(names, row, missing, strict=True)
        yield [none if value is None else _cell(name, value) for name, value, none in values]


def _counts(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal))


def explained_rows(figure: Figure) -> Sequence[tuple[str, str]]:
    """Return a label and a command, for each command of each row."""
    named = [", ".join(cell.text for cell in row if cell.style != "number") for row in cells(figure)]
    several = any(len(commands) > 1 for commands in figure.commands)
    return [
        (f"{label}: {command.split()[3]}" if several else label, command)
        for label, commands in zip(named, figure.commands, strict=True)
        for command in commands
    ]


def _cell(name: str, value: object) -> Cell:
    if name == "month" and isinstance(value, date):
        return Cell(f"{value:%B %Y}", str(value))
    if isinstance(value, date) and not isinstance(value, datetime):
        return Cell(str(value), str(value), style="day")
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return Cell(f"{moment:%Y-%m-%d %H:%M}", moment.isoformat())
    if name.endswith(("rate", "_share", "share_of_bill")) and isinstance(value, float):
        return Cell(f"{value:.1%}", str(value), style="number")
    if name in ("quantity", "rate") and isinstance(value, Decimal):
        return Cell(f"{Decimal(plain(value)):,f}", plain(value), style="number")
    if isinstance(value, Decimal):
        unit = "USD" if "usd" in name else ""
        return Cell(amount(value, unit), plain(value), style="number")
    if isinstance(value, int):
        return Cell(f"{value:,}", str(value), style="number")
    return Cell(str(value), str(value))
