"""What people read in the published copy, or in a state of a lake: all that is stored, through every table and view."""

import subprocess
import sys

import pytest

from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.conftest import last_days
from usage_assets_tests.end_to_end.conftest import Project

RELATIONS = """
select table_schema || '.' || table_name, table_type
from information_schema.tables
where table_catalog = current_database() and table_schema not in ('information_schema', 'pg_catalog')
order by all
"""


def test_every_table_and_view_says_to_who_reads_what_it_says_in_the_database(project: Project) -> None:
    for connection in ("openai", "anthropic"):
        assert project.look_up(connection).success
    project.fetch_all(last_days(1))
    project.push(last_days(1))
    with project.warehouse.reading() as copy:
        relations = copy.execute(RELATIONS).fetchall()
        assert [tuple(row.values()) for row in project.warehouse.read(RELATIONS).to_pylist()] == relations
        views = {name for name, kind in relations if kind == "VIEW"}
        assert {"costs.daily_costs_named", "ledger.stored_days"} <= views
        for name, _ in relations:
            rows = copy.execute(f"select * from {name} order by all").to_arrow_table()
            assert rows == project.warehouse.read(f"select * from {name} order by all"), name
        assert copy.execute("select count(*) > 0 from costs.daily_costs_named").fetchone() == (True,)


READ_AS_IT_IS_MADE = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True) as database:
    database.execute("set streaming_buffer_size = '1KB'")
    for name in sys.argv[2:]:
        print(name, flush=True)
        database.execute(f"from {name}").fetchall()
"""


def test_every_table_and_view_ends_for_who_reads_it_as_it_is_made(project: Project) -> None:
    """DuckDB waited forever for a union that is larger than its buffer: https://github.com/duckdb/duckdb/issues/22215."""
    if type(project.warehouse) is not Warehouse:
        pytest.skip("the views of a lake are the same")
    for connection in ("openai", "anthropic"):
        assert project.look_up(connection).success
    project.fetch_all(last_days(3))
    with project.warehouse.reading() as copy:
        relations = [name for name, _ in copy.execute(RELATIONS).fetchall()]
    command = [sys.executable, "-c", READ_AS_IT_IS_MADE, str(project.warehouse.published), *relations]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired as hanging:
        raise AssertionError(f"waits forever: {(hanging.stdout or b'').decode().split()[-1]}") from None
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == relations
