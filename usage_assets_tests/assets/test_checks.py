"""What keeps a wrong number from being stored, and the checks that say so in the UI: each is shown failing here."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from usage_assets.assets.checks import build_checks
from usage_assets.assets.derived import Derived, build_derived_asset
from usage_assets.providers.anthropic import ClaudeCode, CostReport, UsageMessages
from usage_assets.providers.chatgpt import CodexUsage
from usage_assets.providers.openai import Costs, UsageCompletions
from usage_assets.rows import Row
from usage_assets.settings import Connection, KeyReference
from usage_assets.warehouse.database import Select, Slice, WarehouseError, contradictions
from usage_assets.warehouse.io_manager import UsageIOManager, table_metadata
from usage_assets.warehouse.tables import Table
from usage_assets_tests.assets.days import DAY, DERIVED, RAW, Days, days_from, models, raw

FULL: dict[type[Row], dict[str, Any]] = {
    Costs: {"amount_value": Decimal("2.5")},
    UsageCompletions: {"model": "gpt-5"},
    UsageMessages: {"model": "claude", "workspace_id": "wrk"},
    CostReport: {"amount_cents": Decimal("123.78912")},
    ClaudeCode: {"model_breakdown": models(("opus", "1.5"), ("haiku", "2"))},
    CodexUsage: {"credits": Decimal(1), "cost_usd": Decimal(2), "estimated_cost_usd": Decimal(3)},
}
PARTITIONS = dg.DailyPartitionsDefinition("2026-11-01", end_date="2026-12-01")
POLICY = dg.BackfillPolicy.single_run()


def measures(derived: Derived) -> list[str]:
    """The columns that hold amounts or counts."""
    return [column.name for column in Table(derived.row).columns if column.unit]


EVERY_MEASURE = [(name, measure) for name, derived in DERIVED.items() for measure in measures(derived)]


def fetch(days: Days, derived: Derived, first: date = DAY, last: date | None = None) -> None:
    """Store a row of every source for each day."""
    stored = [day for day in days_from(31) if first <= day <= (last or first)]
    for table in derived.reads:
        row = RAW[table]
        days.fetched(row, *(raw(row, usage_date=day, **FULL[row]) for day in stored), first=first, last=last)


def target_of(derived: Derived, first: date = DAY, last: date | None = None) -> Slice:
    return Slice(derived.reads[0].partition(".")[0], first, last or first, derived.part)


def planted(derived: Derived, expression: str) -> Select:
    """The query with a mistake in it."""
    select = derived.select
    return replace(select, sql=f"select * replace ({expression}) from ({select.sql})")


@pytest.mark.parametrize("name", DERIVED)
def test_what_is_computed_contradicts_nothing(name: str, days: Days) -> None:
    derived = DERIVED[name]
    fetch(days, derived)
    days.derive(name)
    with days.warehouse.get_connection() as connection:
        assert contradictions(connection, Table(derived.row), derived.select, target_of(derived)) == []


@pytest.mark.parametrize(("name", "measure"), EVERY_MEASURE)
def test_a_query_that_miscounts_a_measure_writes_nothing(name: str, measure: str, days: Days) -> None:
    derived = DERIVED[name]
    fetch(days, derived)
    before = days.rows(name)
    wrong = planted(derived, f"{measure} + 1 as {measure}")
    with pytest.raises(WarehouseError, match=r"2026-11-01: .* here and .* in its source"):
        days.warehouse.replace(Table(derived.row), wrong, target_of(derived), "run")
    versions = days.warehouse.read(
        "select count(*) as n from ledger.partition_versions where table_name = $t", {"t": derived.row.table}
    )
    assert versions.to_pylist() == [{"n": 1}]
    assert days.rows(name) == before


@pytest.mark.parametrize("name", DERIVED)
def test_a_query_that_drops_rows_writes_nothing(name: str, days: Days) -> None:
    derived = DERIVED[name]
    fetch(days, derived)
    select = replace(derived.select, sql=f"select * from ({derived.select.sql}) where false")
    with pytest.raises(WarehouseError, match=r"2026-11-01: .* is 0.* here and"):
        days.warehouse.replace(Table(derived.row), select, target_of(derived), "run")


@pytest.mark.parametrize("name", DERIVED)
def test_a_query_that_doubles_rows_writes_nothing(name: str, days: Days) -> None:
    derived = DERIVED[name]
    fetch(days, derived)
    select = replace(derived.select, sql=f"from ({derived.select.sql}) union all from ({derived.select.sql})")
    with pytest.raises(WarehouseError, match="2 rows for one connection, usage_date"):
        days.warehouse.replace(Table(derived.row), select, target_of(derived), "run")


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("openai_costs", "amount_usd * 0.01 as amount_usd"),
        ("openai_costs", "null as amount_usd"),
        ("openai_costs", "upper('eur') as currency"),
        ("anthropic_cost_report", "native_amount as amount_usd"),
        ("anthropic_claude_code", "'billed' as cost_basis"),
        ("anthropic_claude_code", "null as amount_usd"),
        ("chatgpt_codex_usage", "native_amount as amount_usd"),
        ("chatgpt_codex_usage", "if(cost_basis = 'credits', native_amount * 0.04, amount_usd) as amount_usd"),
        ("claude_cost_record", "amount * 100 as amount"),
        ("claude_cost_record", "'EUR' as currency"),
        *(
            ("claude_code_analytics", f"replace(model_breakdown, '\"{name}\":', '\"{name}\":1') as model_breakdown")
            for name in ("input", "output", "cache_read", "cache_creation", "amount")
        ),
    ],
)
def test_a_number_that_is_taken_for_another_writes_nothing(name: str, expression: str, days: Days) -> None:
    derived = DERIVED[name]
    fetch(days, derived)
    with pytest.raises(WarehouseError, match=r"2026-11-01: .* here and .* in its source"):
        days.warehouse.replace(Table(derived.row), planted(derived, expression), target_of(derived), "run")


# The same SQL as asset checks


class Graph:
    """One derived asset or raw table with its checks, in a real in-process run."""

    def __init__(self, days: Days, asset: dg.AssetsDefinition, row: type[Row], connection: str, select: Select | None):
        self.key = asset.key
        self.checks = build_checks(asset, row, connection, PARTITIONS, select)
        jobs = [
            dg.define_asset_job("everything", dg.AssetSelection.all()),
            dg.define_asset_job("checks", dg.AssetSelection.checks(self.checks)),
        ]
        self.definitions = dg.Definitions(
            assets=[asset],
            asset_checks=[self.checks],
            jobs=jobs,
            resources={"warehouse": days.warehouse, "io_manager": UsageIOManager(warehouse=days.warehouse)},
        )

    def run(self, job: str, first: date, last: date, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
        """Run a job over the days."""
        tags = (
            {"dagster/partition": str(first)}
            if first == last
            else {
                "dagster/asset_partition_range_start": str(first),
                "dagster/asset_partition_range_end": str(last),
            }
        )
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=instance, raise_on_error=False, tags=tags
        )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that forgets everything at the end of the test."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def derived_graph(days: Days, name: str) -> Graph:
    derived = DERIVED[name]
    connection = Connection(
        name="anthropic",
        provider="anthropic",
        key_reference=KeyReference("env", "ANTHROPIC_ADMIN_KEY"),
        key=None,
        base_url="https://api.anthropic.com",
        workspace_id=None,
        start_date=DAY,
    )
    asset = build_derived_asset(derived, connection, PARTITIONS, POLICY)
    return Graph(days, asset, derived.row, connection.name, derived.select)


def raw_graph(days: Days, row: type[Row]) -> Graph:
    @dg.asset(
        key=["anthropic", row.table.partition(".")[2]],
        partitions_def=PARTITIONS,
        backfill_policy=POLICY,
        metadata=table_metadata(row, "anthropic"),
    )
    def raw_asset() -> None:
        """Not run here: the rows are stored already."""

    return Graph(days, raw_asset, row, "anthropic", None)


def evaluations(
    result: dg.ExecuteInProcessResult, name: str = "content"
) -> Sequence[tuple[str | None, bool, dict[str, Any]]]:
    """Partition, outcome and metadata of a check's evaluations."""
    return [
        (found.partition, found.passed, {key: value.value for key, value in found.metadata.items()})
        for found in result.get_asset_check_evaluations()
        if found.check_name == name
    ]


def test_the_content_check_passes_on_every_day_of_a_range(days: Days, instance: dg.DagsterInstance) -> None:
    first, *_, last = days_from(3)
    fetch(days, DERIVED["claude_usage_record"], first, last)
    result = derived_graph(days, "claude_usage_record").run("everything", first, last, instance)
    assert result.success
    *each, whole = evaluations(result)
    assert [(partition, passed) for partition, passed, _ in each] == [(str(day), True) for day in days_from(3)]
    assert (whole[1], whole[2]) == (True, {"days": 3, "contradictions": 0})


def test_the_content_check_names_the_day_and_the_contradiction(days: Days, instance: dg.DagsterInstance) -> None:
    first, second, last = days_from(3)
    fetch(days, DERIVED["claude_usage_record"], first, last)
    graph = derived_graph(days, "claude_usage_record")
    assert graph.run("everything", first, last, instance).success
    with days.warehouse.get_connection() as connection:
        connection.execute(
            "update port_entities.claude_usage_record set output_tokens = 7 where usage_date = $day", {"day": second}
        )
    *each, whole = evaluations(graph.run("checks", first, last, instance))
    assert [(partition, passed) for partition, passed, _ in each] == [
        (str(first), True),
        (str(second), False),
        (str(last), True),
    ]
    assert each[1][2] == {"contradictions": ["output_tokens is 7 here and 2 in its source"]}
    assert (whole[1], whole[2]) == (False, {"days": 3, "contradictions": 1})


def test_the_content_check_of_a_single_day(days: Days, instance: dg.DagsterInstance) -> None:
    fetch(days, DERIVED["claude_cost_record"])
    graph = derived_graph(days, "claude_cost_record")
    assert graph.run("everything", DAY, DAY, instance).success
    with days.warehouse.get_connection() as connection:
        connection.execute("update port_entities.claude_cost_record set amount = amount * 100")
    (partition, passed, metadata), *_ = evaluations(graph.run("checks", DAY, DAY, instance))
    assert (partition, passed) == (str(DAY), False)
    [text] = metadata["contradictions"]
    assert text.startswith("USD is 123.789120000000000000000000 here and 1.23789120000")


def test_a_raw_tables_grain_is_checked(days: Days, instance: dg.DagsterInstance) -> None:
    days.fetched(CostReport, raw(CostReport))
    with days.warehouse.get_connection() as connection:
        connection.execute("insert into anthropic.cost_report from anthropic.cost_report")
    result = raw_graph(days, CostReport).run("checks", DAY, DAY, instance)
    (_, passed, metadata), *_ = evaluations(result)
    assert not passed
    assert metadata["contradictions"][0].startswith("2 rows for one connection, usage_date, workspace_id, description")


def test_fields_that_we_do_not_know_are_a_warning(days: Days, instance: dg.DagsterInstance) -> None:
    rows = [
        raw(CostReport, description="a", other_fields='{"team":"x","bucket.region":"eu"}'),
        raw(CostReport, description="b", other_fields='{"team":null}'),
        raw(CostReport, description="c"),
    ]
    graph = raw_graph(days, CostReport)
    days.fetched(CostReport, *rows)
    result = graph.run("checks", DAY, DAY, instance)
    [(_, passed, metadata)] = evaluations(result, "unknown_fields")
    assert not passed
    assert metadata == {"rows": 3, "fields": ["bucket.region", "team"]}
    assert {found.severity for found in result.get_asset_check_evaluations() if not found.passed} == {
        dg.AssetCheckSeverity.WARN
    }
    days.fetched(CostReport, rows[2])
    assert [passed for _, passed, _ in evaluations(graph.run("checks", DAY, DAY, instance), "unknown_fields")] == [True]


def test_a_table_without_unknown_fields_has_no_such_check(days: Days) -> None:
    assert {spec.name for spec in derived_graph(days, "claude_cost_record").checks.check_specs} == {"content"}
    assert {spec.name for spec in raw_graph(days, CostReport).checks.check_specs} == {"content", "unknown_fields"}
