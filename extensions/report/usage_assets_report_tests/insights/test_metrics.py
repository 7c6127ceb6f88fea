"""Numbers of users' own: every row is right, or nothing changes and one line says what is wrong."""

import os
import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from usage_assets.config.accounting import MetricRow
from usage_assets_report.entries import Metric
from usage_assets_report.insights.metrics import MetricsError, metric_rows
from usage_assets_tests.models.days import cases

HEAD = "date,scope,metric,value\n"
DAY = date(2026, 11, 1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database of the users' own."""
    path = tmp_path / "engineering.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table merged as select date '2026-11-01' as date, 'web' as team, 7 as pulls")
    return path


def test_a_file_says_how_many_of_what_on_which_day(file: Path) -> None:
    file.write_text(
        "\ufeff" + "value,metric,date\n12, merged pull requests ,2026-11-01\n\n0.500000,tickets,2026-11-01\n"
    )
    assert metric_rows([Metric(file=file)]) == [
        MetricRow(DAY, "all", "", "merged pull requests", Decimal(12)),
        MetricRow(DAY, "all", "", "tickets", Decimal("0.5")),
    ]


def test_the_column_scope_names_what_the_entry_says(file: Path) -> None:
    file.write_text(HEAD + '2026-11-01,"R&D, EMEA",merged,3\n')
    for scope in ("team", "project", "connection"):
        assert metric_rows([Metric.model_validate({"file": file, "scope": scope})]) == [
            MetricRow(DAY, scope, "R&D, EMEA", "merged", Decimal(3))
        ]


UNUSABLE = {
    '2026-11-01,,merged,"1,234"': "line 2, value: '1,234': write a number from 0",
    "2026-11-01,,merged,1\n2026-11-02,,merged,-1": "line 3, value: '-1': write a number from 0",
    "2026-11-01,,merged,NaN": "line 2, value: 'NaN': write a number from 0",
    "2026-11-01,,merged,0.1234567": "line 2, value: '0.1234567': write a number",
    "01.11.2026,,merged,1": "line 2, date: '01.11.2026': write a day such as 2026-11-01",
    "2026-02-30,,merged,1": "line 2, date: '2026-02-30': day is out of range for month",
    "2026-11-01,web,merged,1": "line 2, scope: 'web': say what it is in [[metric]], such as scope = ",
    "2026-11-01,,merged": "line 2: 3 values, not 4: write one for each column",
    '2026-11-01,,"merged,1': "line 2: unexpected end of data: correct the quotation marks",
    "2026-11-01,,merged,1\n2026-11-01,,merged,1": "line 3: the same date, scope and metric as {file}, line 2: keep one",
}
"""Rows of a file, and what is said of it."""
HEADS = {
    "date;metric;value\n": "line 1: its columns are none and 1 others: name them date, scope, metric, value",
    "SECRET=sk-1,date\n": "line 1: its columns are date and 1 others: name them date, scope, metric, value",
    "date,date,metric,value\n": "line 1: its columns are date, date, metric, value: name them",
    "": "line 1: its columns are missing: name them date, scope, metric, value",
}


def test_a_row_that_cannot_be_used_is_one_line(file: Path) -> None:
    for text, complaint in {**{f"{HEAD}{rows}\n": said for rows, said in UNUSABLE.items()}, **HEADS}.items():
        file.write_text(text)
        with pytest.raises(MetricsError) as refused:
            metric_rows([Metric(file=file)])
        assert str(refused.value).startswith(f"{file}, {complaint.format(file=file)}"), text
        assert "\n" not in str(refused.value), text


def test_a_file_that_cannot_be_read_is_one_line(file: Path) -> None:
    with pytest.raises(MetricsError, match=r"metrics.csv: No such file or directory: correct file in \[\[metric\]\]"):
        metric_rows([Metric(file=file)])
    with pytest.raises(MetricsError, match=r"embedded null byte: correct file in \[\[metric\]\]"):
        metric_rows([Metric(file=file.with_name("a\0b"))])
    pipe = file.with_name("pipe")
    os.mkfifo(pipe)
    for path in (pipe, file.parent):
        with pytest.raises(MetricsError, match=r": not a file: correct file in \[\[metric\]\]"):
            metric_rows([Metric(file=path)])
    file.write_text(HEAD)
    with pytest.raises(MetricsError, match=r"metrics.csv: has no rows: write some, or remove its \[\[metric\]\]"):
        metric_rows([Metric(file=file)])
    file.write_bytes(HEAD.encode("utf-16"))
    with pytest.raises(MetricsError, match=r"metrics.csv: not UTF-8: save it as CSV in UTF-8"):
        metric_rows([Metric(file=file)])


def test_a_query_reads_its_database(database: Path) -> None:
    sql = "select date, team as scope, 'merged' as metric, pulls::double as value from merged"
    assert metric_rows([Metric(database=database, sql=sql, scope="team")]) == [
        MetricRow(DAY, "team", "web", "merged", Decimal(7))
    ]


FORBIDDEN = cases("""
    create table more as select 1 as x -> read-only
    delete from merged -> read-only
    copy merged to 'out.csv' -> disabled
    from read_csv('/etc/passwd') -> disabled
    attach 'other.duckdb' -> disabled
    set enable_external_access = true -> locked
    select now()::date as date, 'x' as metric, 1e20 as value -> row 1, value: '1e+20': write a number
    select timestamp '2026-11-01 00:00' as date, 'x' as metric, 1 as value -> row 1, date: '2026-11-01 00:00:00'
    select date, pulls from merged -> columns are date and 1 others: name them date, scope, metric, value
    select * from nothing -> Table with name nothing does not exist
""")
"""A query, and what is said of it."""


def test_a_query_reads_nothing_else_and_writes_nothing(database: Path) -> None:
    for sql, complaint in FORBIDDEN:
        with pytest.raises(MetricsError, match=re.escape(complaint)):
            metric_rows([Metric(database=database, sql=sql)])
        with duckdb.connect(str(database), read_only=True) as connection:
            assert connection.execute("select count(*) from merged").fetchall() == [(1,)], sql
    with pytest.raises(ValueError, match="name file, or database and sql"):
        Metric(database=database, sql=None)
