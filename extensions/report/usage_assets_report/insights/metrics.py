"""Reads the numbers that users give ([[metric]]): every row is right, or nothing is taken of any file."""

import csv
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from threading import Timer

import duckdb

from usage_assets.config.accounting import ALL, MetricRow
from usage_assets.core.errors import UserError, first_line
from usage_assets.warehouse.readable import FAILED, quoted
from usage_assets_report.entries import Metric
from usage_assets_report.insights.alerts import Alert
from usage_assets_report.insights.compute import Insights

COLUMNS: Mapping[str, tuple[str, str]] = {
    "date": (r"\d{4}-\d\d-\d\d", "write a day such as 2026-11-01"),
    "scope": (r"|\S(.{0,198}\S)?", "write at most 200 characters"),
    "metric": (r"\S(.{0,98}\S)?", "write what is counted, such as merged pull requests"),
    "value": (
        r"\d{1,10}(\.\d{1,6}0{0,18})?",
        "write a number from 0 to 9999999999, with 6 decimal places at most",
    ),
}
"""Column -> what its text must look like, and what to do if it does not."""
OPTIONAL = frozenset(("scope",))
MOST_BYTES = 20_000_000
MOST_ROWS = 200_000
"""Of all files and queries: they are read in the run that also computes forecasts and budgets."""
MOST_SECONDS = 60
"""That a query may take."""
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
            if len(rows) > MOST_ROWS:
                raise MetricsError(f"{place}: more than {MOST_ROWS:,} rows: add them up by day, or leave old days out")
    return [*rows.values()]


def _row(place: str, stated: Mapping[str, str], scope: str | None) -> MetricRow:
    for name, (pattern, advice) in COLUMNS.items():
        if not re.fullmatch(pattern, stated[name]):
            raise MetricsError(f"{place}, {name}: {_quoted(stated[name])}: {advice}")
    if scope and not stated["scope"]:
        raise MetricsError(f"{place}, scope: '': write the {scope} that the row is about")
    if stated["scope"] and not scope:
        raise MetricsError(
            f'{place}, scope: {_quoted(stated["scope"])}: say what it is in [[metric]], such as scope = "team"'
        )
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
    """Yield the rows as text, and where each one is. Raises MetricsError where there is none: 0 is a row, too."""
    place, lines = (str(entry.file), _in_file(entry)) if entry.file else (_query(entry), _in_database(entry))
    has_rows = False
    for line in lines:
        has_rows = True
        yield line
    if not has_rows:
        raise MetricsError(f"{place}: has no rows: write some, or remove its [[metric]]")


def _in_file(entry: Metric) -> Iterator[tuple[str, Mapping[str, str]]]:
    try:
        before = _state(str(entry.file))
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
        if _state(str(entry.file)) != before:
            raise MetricsError(f"{entry.file}: was changed while it was read: write another file, then rename it")
    except OSError as error:
        raise MetricsError(f"{entry.file}: {error.strerror}: correct file in [[metric]]") from None
    except UnicodeDecodeError:
        raise MetricsError(f"{entry.file}: not UTF-8: save it as CSV in UTF-8") from None
    except ValueError as error:
        raise MetricsError(f"{entry.file!s:.200}: {error}: correct file in [[metric]]") from None
    except csv.Error as error:
        raise MetricsError(f"{entry.file}, line {lines.line_num}: {error}: correct the quotation marks") from None


def _state(path: str) -> tuple[int, int, int]:
    """Return what changes when a file does. Raises OSError and MetricsError."""
    found = os.stat(path)  # noqa: PTH116 - a path or nothing
    if not stat.S_ISREG(found.st_mode):
        raise MetricsError(f"{path}: not a file: correct file in [[metric]]")
    if found.st_size > MOST_BYTES:
        raise MetricsError(f"{path}: larger than {MOST_BYTES // 10**6} MB: add up by day, or leave old days out")
    return found.st_ino, found.st_size, found.st_mtime_ns


def _query(entry: Metric) -> str:
    return f"{entry.database}: the query of [[metric]]"


def _in_database(entry: Metric) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The query can read its database and write nothing; there is no other file and no network for it. It is ended
    after MOST_SECONDS."""
    place = _query(entry)
    database = duckdb.connect(config={"memory_limit": "1GB", "threads": 1})
    clock = Timer(MOST_SECONDS, database.interrupt)
    clock.daemon = True
    clock.start()
    try:
        with database:
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
    except duckdb.InterruptException:
        raise MetricsError(f"{place}: took more than {MOST_SECONDS} seconds: store what it gives in a table") from None
    except FAILED as error:
        raise MetricsError(f"{place}: {first_line(error):.200}") from None
    finally:
        clock.cancel()


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


def _refuse_header(place: str, names: Sequence[str]) -> None:
    if len({*names}) != len(names) or not {*COLUMNS} - OPTIONAL <= {*names} <= {*COLUMNS}:
        known = ", ".join(name for name in names if name in COLUMNS)  # others may be anything, also a key
        others = sum(name not in COLUMNS for name in names)
        found = f"{known or 'none'} and {others} others" if others else known or "missing"
        raise MetricsError(f"{place}: its columns are {found}: name them {', '.join(COLUMNS)}")
