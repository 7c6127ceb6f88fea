"""What people read in the published copy, or in a state of a lake: all that is stored, through every table and view."""

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
