"""`usage-assets query`: what it prints, which state it reads, and that it changes nothing."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

import usage_assets
from usage_assets.config.address import DEMO, WAREHOUSE, address_of
from usage_assets.core.warehouse_address import LAKE
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.published import publish
from usage_assets_assistant.mcp.sight import Sight
from usage_assets_assistant.mcp.store import Store
from usage_assets_assistant.mcp.tracing import due
from usage_assets_lake.warehouse import Lake
from usage_assets_tests.fixtures import Sandbox
from usage_assets_tests.terminal import Terminal, refusal
from usage_assets_tests.warehouse.samples import FULL, models, sample, write

MODELS = "select model from tests.sample order by all"


@pytest.fixture
def terminal(
    sandbox_process: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Terminal:
    """A person with a database file, at the time as it really is: that is when a lake's states are made."""
    return Terminal.open(sandbox_process, tmp_path, monkeypatch, capfd)


@pytest.fixture(params=["file", "lake"])
def warehouse(request: pytest.FixtureRequest, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """The person's warehouse, in a file or in a lake."""
    if request.param == "file":
        return terminal.warehouse
    return in_lake(request.getfixturevalue("lake"), monkeypatch)


def in_lake(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Let commands use a lake."""
    monkeypatch.setenv("USAGE_WAREHOUSE", lake.database)
    monkeypatch.setenv("USAGE_WAREHOUSE_DATA", lake.data)
    return lake


def test_before_costs_are_computed_everything_about_them_says_so_in_one_line(terminal: Terminal) -> None:
    """The first rows of a backfill are published before that: they can be queried, and nothing else is there."""
    write(terminal.warehouse, [FULL])
    publish(terminal.warehouse)
    assert not terminal.type("query", MODELS).code
    about_costs = (
        ("query", "select sum(amount_usd) from costs.by_month where cost_basis = 'billed'"),
        ("query", "select * from ledger.due_days"),
        ("explain", "--table", "costs.by_team", "--month", "2026-11"),
        ("report", "--text"),
        ("what-if",),
    )
    for words in about_costs:
        line = refusal(terminal.type(*words))
        assert line.startswith("no costs are stored yet: wait until the run under way ends, or start usage-assets"), (
            words
        )
    store = Store(address_of(str(terminal.database), None), Sight())
    with pytest.raises(WarehouseError, match=r"^no costs are stored yet: "), store.opened():
        pass
    terminal.type("report", "--refresh")  # makes the table of costs, without a row
    with pytest.raises(WarehouseError, match=r"^no costs are stored yet: "), store.opened() as opened:
        due(opened, None, 50, None)
    assert not terminal.type("query", "select * from ledger.due_days").code
    store.close()


def test_a_question_is_answered_as_a_table_csv_or_json_with_every_digit(terminal: Terminal) -> None:
    write(
        terminal.warehouse,
        [FULL, sample(model='a, "b"\n', requests=2, amount=Decimal("12345678901234.123456789012345678901234"))],
    )
    publish(terminal.warehouse)
    question = "select model, requests, amount, usage_date, noted_at, sum(requests) over () as all_requests "
    question += "from tests.sample order by requests"
    table = terminal.type("query", question)
    assert not table.code
    assert table.lines[1].split()[1:6:2] == ["model", "requests", "amount"]
    assert "12345678901234.123456789012345678901234" in table.out
    rows = [*csv.reader(io.StringIO(terminal.type("query", question, "--csv").out))]
    assert rows == [
        ["model", "requests", "amount", "usage_date", "noted_at", "all_requests"],
        ["m", "1", "0.130804383403075260000001", "2026-11-01", "2026-11-02 06:00:00.000001+00", "3"],
        ['a, "b"\n', "2", "12345678901234.123456789012345678901234", "2026-11-01", "", "3"],
    ]
    formulas = "select '=1+1' as a, -5 as b, '@x' as \"-a\", ['=1'] as c"
    assert terminal.type("query", formulas, "--csv").lines == ["a,b,'-a,c", "'=1+1,-5,'@x,['=1']"]
    assert terminal.type("query", formulas, "--csv", "--raw").lines == ["a,b,-a,c", "=1+1,-5,@x,['=1']"]
    decoded = json.loads(terminal.type("query", question, "--json").out, parse_float=Decimal)
    assert [list(row.values()) for row in decoded] == [
        ["m", 1, Decimal("0.130804383403075260000001"), "2026-11-01", "2026-11-02T06:00:00.000001Z", 3],
        ['a, "b"\n', 2, Decimal("12345678901234.123456789012345678901234"), "2026-11-01", None, 3],
    ]
    assert json.loads(terminal.type("query", "select 1 where false", "--json").out) == []


def test_the_demo_is_asked_while_nothing_is_configured_or_stored(terminal: Terminal) -> None:
    for place in (DEMO, WAREHOUSE):
        write(warehouse := Warehouse(database=place), [sample(model=place)])
        publish(warehouse)
    ours, question = Warehouse(database=WAREHOUSE).published, (MODELS, "--csv")
    terminal.set(USAGE_WAREHOUSE=None)
    assert terminal.type("query", *question).lines == ["model", WAREHOUSE]
    ours.unlink()
    said = terminal.type("query", *question)
    assert said.lines == ["model", DEMO]
    assert said.complaints == [f"usage-assets: {WAREHOUSE} has no data yet: these are the demo's ({DEMO})"]
    terminal.set(USAGE_WAREHOUSE="other.duckdb")
    assert terminal.type("query", *question).code, "another one was asked for"
    terminal.set(USAGE_WAREHOUSE=None)
    Warehouse(database=DEMO).published.unlink()
    assert str(ours) in terminal.type("query", *question).err


def test_views_are_known_and_nothing_can_be_changed(terminal: Terminal, warehouse: Warehouse) -> None:
    write(warehouse, [sample(model="kept")])
    publish(warehouse)
    assert terminal.type("query", "select count(*) as days from ledger.stored_days", "--csv").lines == ["days", "1"]
    refused = terminal.type("query", "delete from tests.sample")
    assert (refused.code, len(refused.complaints)) == (2, 1)
    assert re.search("read-only|only one SELECT", refused.err)
    half = terminal.type("query", "select unhex('é')")  # a letter, of which DuckDB quotes half
    assert (half.code, half.complaints) == (2, ["usage-assets: Invalid Input Error: Invalid input for hex digit: �"])
    long = terminal.type("query", "select to_months(2000000000) as x", "--json")
    assert (long.code, long.out, len(long.complaints)) == (2, "", 1)
    assert long.err.endswith(": cast it to varchar\n")
    assert models(warehouse) == ["kept"]


def test_cost_bases_are_added_only_with_mixed(terminal: Terminal) -> None:
    write(terminal.warehouse, [sample()])
    with terminal.warehouse.transaction() as database:
        database.execute("create schema if not exists costs")
        values = "('billed', 1.10::decimal(38, 24)), ('estimated', 2)"
        database.execute(f"create view costs.by_day as from (values {values}) as costs(cost_basis, amount_usd)")
    publish(terminal.warehouse)
    question = "select sum(amount_usd) as usd from costs.by_day"
    refused = terminal.type("query", question, "--csv")
    assert (refused.code, refused.out, len(refused.complaints)) == (2, "", 1)
    assert "sum(amount_usd) mixes billed and estimated: group by cost_basis, or keep one" in refused.err
    assert Decimal(terminal.type("query", question, "--csv", "--mixed").lines[1]) == Decimal("3.1")
    assert terminal.type("query", f"{question} where cost_basis = 'estimated'", "--csv").lines == [
        "usd",
        f"2.{24 * '0'}",
    ]


def test_a_copy_that_is_cut_off_is_one_line(terminal: Terminal) -> None:
    write(terminal.warehouse, [sample()])
    publish(terminal.warehouse)
    copy = terminal.folder / "usage-latest.duckdb"
    content = copy.read_bytes()
    copy.chmod(0o600)
    for size in (0, 100, 60_000):
        assert len(content) > size
        copy.write_bytes(content[:size])
        for command in (["query", "select 1"], ["dbt", "sources"], ["report", "--text"]):
            said = terminal.type(*command)
            assert (said.code, len(said.complaints)) == (2, 1), said
            assert said.err.endswith(": the next run makes it again\n"), said
        with pytest.raises(WarehouseError, match="the next run makes it again"), usage_assets.open(terminal.database):
            pass


def test_a_moment_that_cannot_be_meant_is_refused(terminal: Terminal) -> None:
    for text, message in [
        ("yesterday", "must look like 2026-11-01"),
        ("2999-01-01", "is in the future"),
        ("2026-11-31", "must look like"),
    ]:
        said = terminal.type("query", "select 1", "--as-of", text)
        assert (said.code, len(said.complaints)) == (2, 1), text
        assert message in said.err


def test_a_lake_is_read_as_it_was(terminal: Terminal, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    in_lake(lake, monkeypatch)
    write(lake, [sample(model="before")])
    between = datetime.now(UTC)
    write(lake, [sample(model="after")])
    assert terminal.type("query", MODELS, "--csv", "--as-of", between.isoformat()).lines == ["model", "before"]
    assert terminal.type("query", MODELS, "--csv").lines == ["model", "after"]
    too_early = terminal.type("query", MODELS, "--as-of", f"{between - timedelta(days=1):%Y-%m-%d}")
    assert (too_early.code, len(too_early.complaints)) == (2, 1)
    with psycopg.connect(lake.database.removeprefix(LAKE)) as catalog:
        [(first,)] = catalog.execute("select min(snapshot_time) from ducklake_snapshot").fetchall()
    assert f"the oldest is of {first.astimezone(UTC):%Y-%m-%d %H:%M} UTC" in too_early.err
