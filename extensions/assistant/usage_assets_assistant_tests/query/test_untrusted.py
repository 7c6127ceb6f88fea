"""What a query cannot do: write, read a file, ask for a setting, reach a network, run for ever."""

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import duckdb
import pytest

from usage_assets.providers.openai.costs import Costs
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import publish
from usage_assets.warehouse.values import WarehouseError
from usage_assets_assistant.query.command import answer_to, asked
from usage_assets_assistant.query.untrusted import Allow, anything, functions, kept_inside, limited, read_by
from usage_assets_assistant_tests.query import hostile
from usage_assets_lake.warehouse import Lake
from usage_assets_tests.fixtures import IS_NIGHT, NewWarehouse
from usage_assets_tests.models.days import Days, cases, raw

CONTENT = f"content\n{hostile.SECRET}\n"
KNOWN = {("costs", name) for name in ("by_day", "by_month")}
LOOKED_AT = "4dae60c51c6074c2"
"""Of DuckDB 1.5.5."""
FEW, ALL = 40, 2_000 if IS_NIGHT else 200
ONLY = ": only one SELECT from stored tables is. Instead: "
SECONDS = 0.2
"""After which a statement is interrupted."""


Opened = Callable[[], AbstractContextManager[tuple[duckdb.DuckDBPyConnection, Allow]]]
"""Begins a session."""
Ask = Callable[[duckdb.DuckDBPyConnection, str, Allow], object]
ENDS = (duckdb.FatalException, duckdb.InternalException)
"""After which a session answers nothing."""


@dataclass(frozen=True)
class Outside:
    """What a statement must neither read nor change."""

    folder: Path
    listener: socket.socket

    @property
    def port(self) -> int:
        port: int = self.listener.getsockname()[1]
        return port

    def is_as_it_was(self) -> bool:
        with suppress(BlockingIOError):
            self.listener.accept()
            return False
        return [path.read_text() for path in self.folder.iterdir()] == [CONTENT]


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    """A folder with a secret, in which the process works, and a server that hears whoever calls."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / hostile.FILE).write_text(CONTENT)
    monkeypatch.setenv(hostile.VARIABLE, hostile.SECRET)
    monkeypatch.chdir(folder)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield Outside(folder, listener)


def filled(warehouse: Warehouse) -> Warehouse:
    """Store a day of costs, and publish it."""
    days = Days(warehouse)
    days.fetched(Costs, raw(Costs))
    assert days.rows("openai_costs")
    publish(warehouse)
    return warehouse


def try_all(sqls: Iterable[str], outside: Outside, opened: Opened, ask: Ask, *, alone: bool = False) -> None:
    """Ask each statement. None may tell the secret, leave a file, call a server, or go on for ever.

    What is refused changes no session, so the next one is asked there, unless each is asked ``alone``.
    """
    left = iter(sqls)
    while (sql := next(left, None)) is not None:
        with opened() as (database, allow):
            is_refused = True
            while is_refused and sql is not None:
                with limited(database, SECONDS):
                    try:
                        answer, is_refused = str(ask(database, sql, allow)), False
                    except (WarehouseError, duckdb.Error) as error:
                        answer, is_refused = str(error), not isinstance(error, ENDS) and not alone
                assert hostile.SECRET not in answer, sql
                sql = next(left, None) if is_refused else None
            if is_refused:
                assert database.execute("select count(*) from openai.costs").fetchall() == [(1,)], "it still answers"
    assert outside.is_as_it_was()


def answer_of(database: duckdb.DuckDBPyConnection, sql: str, allow: Allow) -> object:
    answer = answer_to(sql, database, allow, mixed=False)
    return answer and answer.fetchmany(1_000)


def answer_alone(database: duckdb.DuckDBPyConnection, sql: str, _: Allow) -> object:
    """As a command does, which has a connection of its own."""
    answer = asked(database, sql, is_lake=False, mixed=False)
    return answer and answer.fetchmany(1_000)


@pytest.mark.parametrize("numbers", [range(FEW), range(FEW, ALL)])
def test_no_statement_reaches_beyond_a_file_or_changes_it(
    warehouse_with_views: NewWarehouse, tmp_path: Path, outside: Outside, numbers: range
) -> None:
    warehouse, alone = filled(warehouse_with_views(tmp_path)), numbers.start == 0
    before = warehouse.published.read_bytes()

    @contextmanager
    def opened() -> Iterator[tuple[duckdb.DuckDBPyConnection, Allow]]:
        with warehouse.reading() as database:
            yield database, anything if alone else kept_inside(database, is_lake=False)

    made = [*hostile.statements(numbers.stop, 34, outside.folder, outside.port)][numbers.start :]
    try_all(made, outside, opened, answer_alone if alone else answer_of, alone=alone)
    assert warehouse.published.read_bytes() == before


def test_no_statement_reaches_beyond_a_lake_or_changes_it(lake: Lake, outside: Outside) -> None:
    """A connection answers all of them: nothing that could change it is run."""
    filled(lake)
    before = lake.fingerprint
    with lake.reading() as database:
        opened = database, kept_inside(database, is_lake=True)
        sqls = hostile.statements(ALL, 34, outside.folder, outside.port)
        try_all(sqls, outside, lambda: nullcontext(opened), answer_of)
        assert database.execute("select count(*) from costs.by_day").fetchall() == [(1,)]
    assert lake.fingerprint == before


REFUSED = cases(f"""
    select 1; select 2 -> a text of 2 statements is not allowed{ONLY}ask one question at a time
    copy costs.by_day to 'x' -> COPY is not allowed{ONLY}usage-assets export writes tables to files
    pragma version -> PRAGMA is not allowed
    show tables -> SHOW is not allowed{ONLY}select from information_schema.tables
    from costs.byday
      -> costs.byday is not allowed{ONLY}name a stored table or view with its schema, such as costs.by_month
    from by_day -> by_day is not allowed{ONLY}name a stored table or view with its schema
    from other.costs.by_day -> other.costs.by_day is not allowed
    from data.csv -> data.csv is not allowed
    from duckdb_databases -> duckdb_databases is not allowed
    with duckdb_tables as (select 1) from duckdb_tables -> as the name of a table expression
    with "a.csv" as (select 1) from "a.csv" -> a.csv as the name of a table expression is not allowed
    select getenv('HOME') from costs.by_day -> the function getenv is not allowed{ONLY}leave it out
    select provider from costs.by_day order by current_setting('a')
      -> the function current_setting is not allowed
    from range(getvariable('a')) -> the function getvariable is not allowed
    from costs.other(1) -> the table function other is not allowed
    from costs.what_if(current_date, current_date, 'a.csv') -> argument 3 of costs.what_if is not allowed
    selec -> Parser Error: syntax error
""")


def test_what_is_refused_is_said_in_one_line_with_what_to_do() -> None:
    for sql, reason in (*REFUSED, ("", "a text of 0 statements is not allowed")):
        with pytest.raises(WarehouseError) as caught:
            read_by(sql, KNOWN)
        assert reason in str(caught.value)
        assert "\n" not in str(caught.value), sql


def test_a_select_says_what_it_reads() -> None:
    for sql, read in cases("""
    values (1) ->
    From Costs.By_Day Select Sum(amount_usd) filter (where provider ilike 'a%') over (order by usage_date) -> by_day
    with a as (from costs.by_day), b as (from a) from b join costs.by_month using (connection) -> by_day by_month
    with recursive n as (select 1 as i union all select i + 1 from n) from n, range(3), unnest([1]) ->
    select list_transform([1], a->a + 1), {'a': 1}.a, unnest([1]), row_number() over () from costs.by_day -> by_day
    describe costs.by_day -> by_day
    summarize costs.by_day -> by_day
    from (pivot costs.by_day on provider in ('openai') using count(*)) -> by_day
    from costs.seats(current_date) -> seats
    """):
        assert {name for _, name in read_by(sql, KNOWN)} == {*read.split()}


def test_each_function_of_duckdb_was_looked_at() -> None:
    """Only those of functions.txt are allowed. A release with another one needs somebody who says whether it reaches
    beyond its arguments."""
    with duckdb.connect() as database:
        kinds = "('scalar', 'aggregate', 'macro')"
        sql = f"select lower(function_name) from duckdb_functions() where function_type in {kinds}"
        known = {name for (name,) in database.execute(sql).fetchall()} | {"unnest"}
    digest = sha256("\n".join(sorted(name for name in known if name.isascii())).encode()).hexdigest()
    assert digest[:16] == LOOKED_AT, f"look at what is new in duckdb {duckdb.__version__}"
    assert functions() <= known
