"""Writes the report as one HTML file that needs nothing else: charts, tables, queries, styles and scripts are in it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from usage_assets_report.answers import (
    Amount,
    Answer,
    Words,
    answers,
    by_provider,
    compared,
    facts,
    first_screen,
    in_days,
    share_of_change,
    without_owner,
)
from usage_assets_report.dimensions import DIMENSIONS
from usage_assets_report.figures import DAY_IN_QUERY, FOLLOWS, Figure, Report, in_words
from usage_assets_report.names import CHARGES, service
from usage_assets_report.rows_in_words import rows_in_words

BUNDLE = "import vl_convert as v, sys; sys.stdout.write(v.javascript_bundle('window.vegaEmbed = vegaEmbed'))"
TEMPLATES = Path(__file__).parent / "page"
SHORT = 5
"""Rows of a figure that are shown without a tap."""
FOLDED = ("trend", "by_project", "by_api_key", "by_usage_type")
"""Figures whose charts are among their details, as those of the providers' own are."""
UNBROKEN = re.compile(
    r"\(?<button[^>]*>[^<]*</button>[).,;:]*|(?<![\w&<-])(?=[\w.-]{3,24}(?![\w-]))\w[\w.]*(-[\w.]*\w)+(?![^<]*>)"
)
"""An amount with the punctuation beside it, and a name with hyphens, such as that of a model."""
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
    from usage_assets_report.charts import FILTERED, colors_of, specifications  # noqa: PLC0415 - Altair takes 0.3 s

    charts = specifications(report)
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.globals |= {
        "answers_of": answers,
        "by_provider": by_provider,
        "cards": cards,
        "cells": cells,
        "colors": colors_of(report),
        "days_of": days_of,
        "dollars": Amount,
        "explained_rows": explained_rows,
        "facts": facts,
        "filtered": filtered,
        "first_screen": first_screen,
        "follows": follows,
        "heading": heading,
        "query": query,
        "sentence": sentence,
        "service": service,
        "short": short,
        "without_owner": without_owner,
        "without_rows": without_rows,
    }
    days = {
        name: {key: str(day) for key, day in each.period.parameters.items()} for name, each in report.ranges.items()
    }
    return environment.get_template("page.html").render(
        report=report,
        charts=charts,
        folded={*FOLDED, *report.activity},
        filters={name: in_words(name) for name in FILTERED},
        data=_in_script({"charts": charts, "facts": _columns(report), "filters": FILTERED, "ranges": days}),
        style=Markup((TEMPLATES / "page.css").read_text()),  # noqa: S704 - ours
        script=Markup((TEMPLATES / "page.js").read_text()),  # noqa: S704 - ours
        library=_library(),
        made_at=f"{made_at.astimezone(UTC).day} {made_at.astimezone(UTC):%b %Y, %H:%M}",
        version=version("usage-assets"),
    )


def days_of(report: Report) -> str:
    """Return the days of a report in words."""
    return in_days(report.period.first, report.period.last)


def without_rows(answer: Answer, report: Report) -> Sequence[str]:
    """Return the titles of the figures of a section that have no rows."""
    found = [report.figures[name] for name in answer.figures if name in report.figures]
    return [figure.title for figure in found if not figure.rows.num_rows]


def follows(name: str) -> bool:
    """Return whether a figure is that of the chosen range."""
    return name in FOLLOWS or name == "what_changed"


def query(figure: Figure) -> Markup:
    """Return a query in which each day says which one of the range it is."""
    days = figure.period.parameters
    words = Markup("")
    end = 0
    for found in DAY_IN_QUERY.finditer(figure.query):
        day = Markup("date '<span data-day=\"{}\">{}</span>'").format(found[1], days[found[1]])
        words, end = words + figure.query[end : found.start()] + day, found.end()
    return words + figure.query[end:]


def filtered(name: str) -> bool:
    """Return whether a figure's chart follows the filters of the page."""
    return name == "by_day" or name.removeprefix("by_") in DIMENSIONS


def sentence(words: Words) -> Markup:
    """Return a sentence in which a tap on an amount shows all of its digits."""
    return _unbroken(
        Markup('<button type="button" class="amount" data-exact="{}">{}</button>').format(plain(word.value), word.text)
        if isinstance(word, Amount)
        else word
        for word in words
    )


def _unbroken(words: Iterable[str]) -> Markup:
    """Return words without a line break in an amount or a name."""
    html = Markup("").join(words)
    return Markup(UNBROKEN.sub(r'<span class="whole">\g<0></span>', str(html)))  # noqa: S704 - escaped above


def short(figure: Figure) -> Sequence[tuple[Markup, Markup]]:
    """Return the first rows of a figure without a chart: whom each is about, and what it says of them."""
    return [(_marked(about), _marked(says)) for about, says in rows_in_words(figure, SHORT)]


def _marked(words: Words) -> Markup:
    """Return words in which each amount has all of its digits."""
    return _unbroken(
        Markup('<b data-exact="{}">{}</b>').format(plain(word.value), word.text)
        if isinstance(word, Amount)
        else Markup("<bdi>{}</bdi>").format(word)
        for word in words
    )


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
        values = coded.dictionary.to_pylist()
        if name == "provider":
            values = [service(each) for each in values]
        columns[name] = {"values": values, "codes": coded.indices.to_pylist()}
    return columns


def cards(report: Report) -> Iterator[Mapping[str, str]]:
    """Yield the cards: the amount of each basis and unit, compared with the same days of the period before."""
    for row in report.figures["headline"].rows.to_pylist():
        if row["amount"] is None:
            continue
        yield {
            "label": label(row),
            "exact": plain(row["amount"]),
            "text": amount(row["amount"], row["unit"]),
            "change": change(row, report),
        }


def label(row: Mapping[str, Any]) -> str:
    """Return what the amount of a basis and unit is called."""
    if (row["cost_basis"], row["unit"]) == ("billed", "USD"):
        return VALUED
    return f"{row['cost_basis']}, {row['unit']}".replace("credits, credits", "credits")


def change(row: Mapping[str, Any], report: Report) -> str:
    """Return how an amount of the headline compares with the period before, in words: only days that are compared."""
    period = report.period
    days = in_days(period.before_first, period.before_same)
    now, before = compared(row)
    is_stored = report.stored_since is not None and report.stored_since <= period.before_same
    if not is_stored or (row["not_compared"] and not now and not before):
        return f"not compared with {days}"
    share = share_of_change(now, before)
    left_out = f"; {amount(row['not_compared'], row['unit'])} not compared" if row["not_compared"] else ""
    return f"{days}: {amount(before, row['unit'])}" + (f" ({share})" if share else "") + left_out


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
    rows = figure.rows
    missing = [Cell("-", "", style="number" if _counts(field.type) else "") for field in rows.schema]
    names = rows.column_names
    for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
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
    if name == "provider":
        return Cell(service(str(value)), str(value))
    if name == "charge":
        return Cell(CHARGES[str(value)], str(value))
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
