"""Reads the numbers that users give ([[metric]]): every row is right, or nothing is taken of any file."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import duckdb

from usage_assets.config.accounting import ALL, Metric, MetricRow
from usage_assets.core.errors import UserError
from usage_assets.insights.alerts import Alert
from usage_assets.insights.compute import Insights
from usage_assets.warehouse.tables import quoted

COLUMNS: Mapping[str, tuple[str, str]] = {
    "date": (r"\d{4}-\d\d-\d\d", "write a day such as 2026-11-01"),
    "scope": (r"|\S(.{0,198}\S)?", "write at most 200 characters"),
    "metric": (r"\S(.{0,98}\S)?", "write what is counted, such as merged pull requests"),
    "value": (
        r"\d{1,14}(\.\d{1,6}0*)?",
        "write a number of 0 or more such as 12 or 12.5, with 6 decimal places at most",
    ),
}
"""Column -> what its text must look like, and what to do if it does not."""
OPTIONAL = frozenset(("scope",))
Key = tuple[date, str, str, str]


class MetricsError(UserError):
    """A file or query that cannot be used: where, what is wrong and what to do, in one line."""


def with_metrics(insights: Insights, metrics: Sequence[Metric]) -> Insights:
    """Return the insights with the metrics' rows; or with an alert that says why the stored rows stay."""
    try:
        rows = metric_rows(metrics)
    except MetricsError as error:
        return replace(insights, alerts={**insights.alerts, MetricRow: [Alert(str(error), str(error))]})
    return replace(insights, rows={**insights.rows, MetricRow: rows}, alerts={**insights.alerts, MetricRow: []})


def metric_rows(metrics: Sequence[Metric]) -> Sequence[MetricRow]:
    """Return the rows of all files and queries. Raises MetricsError for the first row that cannot be used."""
    rows: dict[Key, MetricRow] = {}
    places: dict[Key, str] = {}
    for entry in metrics:
        for place, stated in _lines_of(entry):
            row = _row(place, stated, entry.scope)
            key = (row.usage_date, row.scope_type, row.scope_id, row.metric)
            if key in rows:
                raise MetricsError(f"{place}: the same date, scope and metric as {places[key]}: keep one of the two")
            rows[key], places[key] = row, place
    return [*rows.values()]


def _row(place: str, stated: Mapping[str, str], scope: str | None) -> MetricRow:
    for name, (pattern, advice) in COLUMNS.items():
        if not re.fullmatch(pattern, stated[name]):
            raise MetricsError(f"{place}, {name}: {stated[name]!r}: {advice}")
    if scope and not stated["scope"]:
        raise MetricsError(f"{place}, scope: '': write the {scope} that the row is about")
    if stated["scope"] and not scope:
        raise MetricsError(f'{place}, scope: {stated["scope"]!r}: say what it is in [[metric]], such as scope = "team"')
    try:
        day = date.fromisoformat(stated["date"])
    except ValueError as error:
        raise MetricsError(f"{place}, date: {stated['date']!r}: {error}") from None
    return MetricRow(
        usage_date=day,
        scope_type=scope or ALL,
        scope_id=stated["scope"],
        metric=stated["metric"],
        value=Decimal(stated["value"]),
    )


def _lines_of(entry: Metric) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the rows as text, and where each one is."""
    return _in_file(entry) if entry.file else _in_database(entry)


def _in_file(entry: Metric) -> Iterator[tuple[str, Mapping[str, str]]]:
    try:
        with open(str(entry.file), encoding="utf-8-sig", newline="") as file:  # noqa: PTH123 - a path or nothing
            lines = csv.reader(file, strict=True)
            header = [name.strip() for name in next(lines, [])]
            _refuse_header(f"{entry.file}, line 1", header)
            for values in lines:
                place = f"{entry.file}, line {lines.line_num}"
                if values and len(values) != len(header):
                    raise MetricsError(f"{place}: {len(values)} values, not {len(header)}: write one for each column")
                if values:
                    yield place, {"scope": "", **dict(zip(header, map(str.strip, values), strict=True))}
    except OSError as error:
        raise MetricsError(f"{entry.file}: {error.strerror}: correct file in [[metric]]") from None
    except UnicodeDecodeError:
        raise MetricsError(f"{entry.file}: not UTF-8: save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise MetricsError(f"{entry.file}, line {lines.line_num}: {error}: correct the quotation marks") from None


def _in_database(entry: Metric) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The query can read its database and write nothing; there is no other file and no network for it."""
    place = f"{entry.database}: the query of [[metric]]"
    try:
        with duckdb.connect() as database:
            database.execute(f"attach {quoted(str(entry.database))} as source (read_only)")
            database.execute("use source")
            database.execute("set enable_external_access = false")
            database.execute("set lock_configuration = true")
            answer = database.sql(str(entry.sql))
            if answer is None:
                raise MetricsError(f"{place}: gives no rows: write a select")
            _refuse_header(place, answer.columns)
            texts = answer.project("columns(*)::varchar")
            number = 0
            while values := texts.fetchone():
                number += 1
                row = dict(zip(texts.columns, (value or "" for value in values), strict=True))
                yield f"{place}, row {number}", {"scope": "", **row}
    except duckdb.Error as error:
        raise MetricsError(f"{place}: {str(error).splitlines()[0]}") from None


def _refuse_header(place: str, names: Sequence[str]) -> None:
    if len({*names}) != len(names) or not {*COLUMNS} - OPTIONAL <= {*names} <= {*COLUMNS}:
        raise MetricsError(f"{place}: its columns are {', '.join(names) or 'missing'}: name them {', '.join(COLUMNS)}")
