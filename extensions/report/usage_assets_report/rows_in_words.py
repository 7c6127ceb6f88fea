"""The rows of a figure as sentences: ``-- short:`` of its query says which, with a name and a unit beside each number.

In such a template, ``{usd}`` is a column, ``{spent:unit}`` has the unit that another column holds, and ``{days#day}``
counts something. A part in brackets falls away if one of its columns is null or empty, or is what stands after its
``|``. What comes before ``: `` is whom the sentence is about.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from usage_assets.core.days import counted
from usage_assets_report.answers import Amount, Words
from usage_assets_report.figures import Figure
from usage_assets_report.names import CHARGES, service

PART = re.compile(r"\[([^\[\]|]*)(?:\|([^\[\]]*))?\]")
COLUMN = re.compile(r"\{(\w+)(?:([:#])([\w ]+))?\}")


def rows_in_words(figure: Figure, most: int) -> Iterator[tuple[Words, Words]]:
    """Yield the first rows: whom each is about, and what it says of them. None for a figure without a template."""
    about, _, says = figure.short.partition(": ")
    for row in figure.rows.slice(0, most).to_pylist() if says else ():
        yield _filled(about, row), _filled(says, row)


def _filled(template: str, row: Mapping[str, Any]) -> Words:
    def kept(part: re.Match[str]) -> str:
        names = [column[1] for column in COLUMN.finditer(part[1])]
        return (part[2] or "") if any(row[name] in (None, "") for name in names) else part[1]

    words: list[str | Amount] = []
    end, template = 0, PART.sub(kept, template)
    for found in COLUMN.finditer(template):
        words += [template[end : found.start()], _value(found, row)]
        end = found.end()
    return [word for word in [*words, template[end:]] if word != ""]


def _value(found: re.Match[str], row: Mapping[str, Any]) -> str | Amount:
    name, how, of = found.groups()
    value = row[name]
    if how == "#":
        return counted(value, of)
    if how == ":":
        return Amount(Decimal(value), "USD" if row[of] == "usd" else row[of])
    if name == "provider":
        return service(value)
    if name == "charge":
        return CHARGES[value]
    if name == "month":
        return f"{value:%B %Y}"
    if isinstance(value, date):
        return f"{value.day} {value:%b %Y}"
    if isinstance(value, float):
        return f"{value:.0%}"
    return Amount(value, is_signed=name.endswith("_change")) if isinstance(value, Decimal) else str(value)
