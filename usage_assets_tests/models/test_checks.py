"""What keeps a wrong number from being stored, and the checks that say so in the UI: each is shown failing here."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import dagster as dg
import time_machine

from usage_assets.assets.checks import build_checks
from usage_assets.assets.io_manager import UsageIOManager, table_metadata
from usage_assets.assets.location import Location
from usage_assets.assets.models import build_model_asset
from usage_assets.assets.posted import ADVICE, DAYS_WRONG
from usage_assets.assets.warehouse_resource import WarehouseResource
from usage_assets.config.settings import Connection, KeyReference, Settings
from usage_assets.core.schema import Row, columns, to_arrow
from usage_assets.models.comparisons import Comparison, Finding, comparisons_of
from usage_assets.models.costs import ALLOCATIONS, COSTS, DailyCost
from usage_assets.models.entities import ENTITIES
from usage_assets.models.model import Model, sql_files
from usage_assets.providers import PROVIDERS
from usage_assets.providers.anthropic.reports import ClaudeCode, CostReport, UsageMessages
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.endpoint import Control
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import UsageCompletions
from usage_assets.providers.openai_legacy.billing import BillingUsage
from usage_assets.providers.records import as_json
from usage_assets.providers.registry import OF_CHECKS, OF_WARNINGS, unread
from usage_assets.warehouse.checks import check_failures, differences, missing_fields
from usage_assets.warehouse.ledger import TEXT_CHARACTERS
from usage_assets.warehouse.migrate import prepare
from usage_assets.warehouse.slices import Slice, in_slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Query, View, declared_in, sentence
from usage_assets_tests.fixtures import NOW, execute
from usage_assets_tests.models.days import (
    DAY,
    DERIVED,
    Days,
    columns_in,
    days_from,
    lines,
    models,
    owner_of,
    raw,
    raw_rows,
    raws,
    values_of,
)

TOOLS = ("edit_tool", "write_tool", "multi_edit_tool", "notebook_edit_tool")
APPS = ("excel", "powerpoint", "word", "outlook")
ENTERPRISE: dict[str, dict[str, Any]] = {
    "users": {
        "claude_code_tool_actions": as_json(
            {tool: {"accepted_count": n, "rejected_count": n + 10} for n, tool in enumerate(TOOLS)}
        ),
        "office_metrics": as_json(
            {app: {"distinct_session_count": n, "message_count": n + 10} for n, app in enumerate(APPS)}
        ),
    },
    "skills": {
        "office_metrics": as_json({app: {"distinct_session_skill_used_count": n} for n, app in enumerate(APPS)})
    },
    "user_usage_report": {},
    "user_cost_report": {"currency": "USD"},
}
"""Reports of Claude Enterprise that entities are computed from -> what they state besides their counters."""
FULL: Mapping[str, Mapping[str, Any]] = {
    **columns_in("""
        openai.costs amount_value=2.5
        openai.usage_completions model=gpt-5
        openai_legacy.billing_usage cost_cents=123.78912
        openai_legacy.usage model=gpt-4o
        anthropic.usage_messages model=claude workspace_id=wrk
        anthropic.cost_report amount_cents=123.78912
        anthropic_analytics.cost amount_cents=123.78912 list_amount_cents=200 currency=USD
        chatgpt.codex_usage credits=1 cost_usd=2 estimated_cost_usd=3 threads=4 turns=5 uncached_text_input_tokens=6
            cached_text_input_tokens=7 text_output_tokens=8 text_total_tokens=21
        focus.charges effective_cost=2 contracted_cost=3 list_cost=4
    """),
    ClaudeCode.table: {"model_breakdown": models(("opus", "1.5"), ("haiku", "2"))},
    **{
        row.table: {column.name: 3 for column in columns(row) if column.unit}
        for row in raw_rows(["cursor.daily_usage", "github_copilot.organization_1_day"])
    },
    **{
        row.table: {column.name: n for n, column in enumerate(columns(row)) if column.unit} | stated
        for name, stated in ENTERPRISE.items()
        for row in raw_rows([f"anthropic_analytics.{name}"])
    },
}
SHARED: Mapping[str, Mapping[str, str]] = {
    "anthropic_allocated_costs": {
        CostReport.table: """
            model  service_tier  amount_cents  cost_type  token_type
            opus   standard      123.78912     tokens     output_tokens
        """,
        UsageMessages.table: """
            model  service_tier  api_key_id
            opus   standard      k1
            opus   standard      k2
            opus   standard      k3
        """,
    },
    "openai_allocated_costs": {
        Costs.table: "line_item  amount_value  grouped_by\ngpt-5, input  -2.5  line_item,project_id",
        UsageCompletions.table: "model  api_key_id  input_tokens\ngpt-5  k1  3\ngpt-5  k2  4",
    },
    "github_copilot_allocated_costs": {
        "github_copilot.ai_credits": "net_amount\n2.5",
        "github_copilot.users_1_day": "user_login  ai_credits_used\nalice  3.5\nbob  4",
    },
}
"""A bill of each source that several API keys or people share in."""
PARTITIONS = dg.DailyPartitionsDefinition("2026-11-01", end_date="2026-12-01")
POLICY = dg.BackfillPolicy.single_run()


@cache
def location() -> Location:
    found = Location(Settings.load(_env_file=None))
    found.partitions, found.policy = PARTITIONS, POLICY
    return found


def measures(derived: Model) -> list[str]:
    """The columns that hold amounts or counts."""
    return [column.name for column in Table(derived.row).columns if column.unit]


OF_FOCUS = ("effective_amount", "contracted_amount", "list_amount", "effective_usd")
NEVER_STATED = {
    *((derived.file, "usd_rate") for derived in COSTS),
    *((derived.file, measure) for derived in COSTS for measure in OF_FOCUS if derived.file != "focus_charges"),
} - {("anthropic_analytics_cost", "list_amount")}
"""Null: dollars have no rate (test_valuation.py plants mistakes in rates), and only FOCUS states more than the bill,
but for Anthropic's list price. So the mistake is to have an amount at all."""


def fetch(
    days: Days, derived: Model, first: date = DAY, last: date | None = None, unstated: Collection[date] = ()
) -> None:
    """Store a row of every source for each day: full, but for days on which nothing is stated."""
    stored = days_from(((last or first) - DAY).days + 1)[(first - DAY).days :]
    tables = derived.reads if DailyCost.table not in derived.reads else (Costs.table,)
    shared = SHARED.get(derived.file)
    for row in raw_rows(shared or tables):
        values = [*values_of(row, shared[row.table])] if shared else [FULL.get(row.table, {})]
        rows = [raw(row, usage_date=day, **({} if day in unstated else each)) for day in stored for each in values]
        days.fetched(row, *rows, first=first, last=last)
    if DailyCost.table in derived.reads:
        days.derive((derived.part or Costs.table).replace(".", "_"), first=first, last=last)


def target_of(derived: Model, first: date, last: date | None = None) -> Slice:
    return Slice(owner_of(derived), first, last or first, derived.part)


def test_every_check_declares_its_sentence_and_every_warning_what_to_do() -> None:
    for folder in ("checks", "warnings", "warnings/*", "cross_checks"):
        for path in sql_files(f"{folder}/*.sql"):
            stated = declared_in(path.read_text())
            assert not [*unread(path, path, OF_CHECKS if folder == "checks" else OF_WARNINGS)]
            assert any(name.startswith("says") for name in stated), path
            assert folder == "checks" or any(name.startswith("do") for name in stated), path
            kinds = {name.removeprefix("says_") for name in stated if name.startswith("says_")}
            assert all(f"'{kind}'" in path.read_text() for kind in kinds), f"{path}: no row says so"


def test_a_misspelled_name_is_shown_next_to_what_was_found() -> None:
    assert sentence({"says": "{fond} of {found}, {difference}"}, {"found": 3}) == ("{fond} of 3, {difference}", "")


TAKEN = [
    *lines("""
        openai_costs               amount_usd = null
        openai_costs               currency = upper('eur')
        openai_costs               costs_stated = 'list', list_amount = native_amount
        openai_costs               costs_stated = 'effective', effective_amount = native_amount, effective_usd = 2.5
        anthropic_claude_code      cost_basis = 'billed'
        anthropic_claude_code      currency = upper('eur')
        anthropic_cost_report      native_unit = 'dollars', amount_usd = native_amount
        cursor_usage_events        native_unit = 'dollars', amount_usd = native_amount
        openai_costs               native_unit = 'cents', amount_usd = native_amount * 0.01
        litellm_user_activity      native_unit = 'cents', amount_usd = native_amount * 0.01
        anthropic_claude_code      amount_usd = null
        chatgpt_codex_usage        amount_usd = if(cost_basis = 'credits', native_amount * 0.04, amount_usd)
        claude_ai_user_cost        currency = 'JPY'
        claude_ai_skill_usage      attributed_list_price = null
        claude_ai_user_activity    office_session_count = null
        focus_charges              effective_amount = native_amount, effective_usd = amount_usd
        focus_charges              effective_usd = null
        claude_cost_record         currency = 'EUR'
        anthropic_allocated_costs  amount_usd = null
        anthropic_allocated_costs  units = null
        openai_allocated_costs     currency = upper('eur')
        ai_cost_record             cost_basis = 'estimated'
        ai_user_cost               billed_usd = null
        ai_team_cost               billed_usd = 0, notional_usd = billed_usd
        ai_user_cost               billed_usd = 0, estimated_usd = billed_usd
    """),
    *(
        ("claude_code_analytics", f"model_breakdown = replace(model_breakdown, '\"{name}\":', '\"{name}\":1')")
        for name in ("input", "output", "cache_read", "cache_creation", "amount")
    ),
]
"""Numbers that are taken for others: the derived table, and what is wrong in it."""
ZERO = [
    *lines("""
        claude_ai_user_activity  chat_skills_used_count
        claude_ai_user_activity  edit_tool_accepted
        claude_ai_user_activity  office_message_count
        claude_ai_user_usage     requests
        claude_ai_user_cost      requests
        claude_ai_skill_usage    word_session_skill_used_count
        claude_ai_skill_usage    estimated_overage_spend
    """),
    *(("codex_usage_record", measure) for measure in measures(DERIVED["codex_usage_record"])),
]
"""Measures of which nobody states anything, which are not 0."""


@dataclass(frozen=True)
class Mistake:
    """What is done to the rows of a day, and what the checks say of the day."""

    sql: str
    said: str = "."
    is_unstated: bool = False
    """Whether the sources state nothing on that day."""


def mistakes_in(derived: Model) -> Iterator[Mistake]:
    """Yield each that is tried with a table."""
    # a sum that may be unknown is not 0 without rows
    yield Mistake("delete from {table} where {on}", r" (\$?0|holds unknown)")
    yield Mistake("insert into {table} from {table} where {on}", "^2 rows for one connection, usage_date")
    changes = [f"{measure} = coalesce({measure}, 0) + 1" for measure in measures(derived)]
    changes += [change for name, change in TAKEN if name == derived.file]
    for change in changes:
        yield Mistake(f"update {{table}} set {change} where {{on}}")
    for measure in (measure for name, measure in ZERO if name == derived.file):
        said = r"holds \$?0(\.00)?, and .* hold unknown"
        if derived.file == "codex_usage_record":
            said = rf"^{measure.replace('_', ' ')}: .* holds .?0.* hold unknown"
        yield Mistake(f"update {{table}} set {measure} = 0 where {{on}}", said, is_unstated=True)


def found_by_day(days: Days, derived: Model, mistakes: Mapping[date, Mistake], last: date) -> dict[date, list[str]]:
    """What the checks say of each day while every mistake is in the rows of a day."""
    table, query = Table(derived.row), days.query(derived.file)
    found: dict[date, list[str]] = {}
    with days.warehouse.get_connection() as connection:
        prepare(connection, query)
        connection.begin()
        for day, mistake in mistakes.items():
            target = target_of(derived, day)
            sql = mistake.sql.format(table=table.name, on=in_slice(table, target))
            connection.execute(sql, target.bounds)
        for failure in check_failures(connection, table, query, target_of(derived, DAY, last)):
            found.setdefault(failure.day, []).append(failure.text)
        connection.rollback()
    return found


def test_the_checks_find_every_mistake_and_nothing_in_a_day_without_one(days: Days) -> None:
    """Each day but the first has a mistake of its own: a measure is miscounted, taken for another, or 0 instead of
    unknown; rows are dropped or doubled."""
    wrong: dict[tuple[str, date | str], list[str]] = {}
    for derived in (*ENTITIES, *COSTS, *ALLOCATIONS):
        name = derived.file
        mistakes = {DAY + timedelta(days=n): mistake for n, mistake in enumerate(mistakes_in(derived), 1)}
        last = max(mistakes)
        fetch(days, derived, DAY, last, [day for day, mistake in mistakes.items() if mistake.is_unstated])
        right = [row for row in days.rows(name, last=last) if row["usage_date"] == DAY]
        unstated = {measure for measure in measures(derived) if all(row[measure] is None for row in right)}
        assert right, name
        assert unstated == {measure for file, measure in NEVER_STATED if file == name}, name
        found = found_by_day(days, derived, mistakes, last)
        for day in found.keys() - mistakes.keys():
            wrong[name, day] = found[day]
        for day, mistake in mistakes.items():
            if not any(re.search(mistake.said, text) for text in found.get(day, [])):
                wrong[name, mistake.sql] = found.get(day, [])
    assert wrong == {}


def test_a_column_that_is_no_sum_is_not_compared() -> None:
    """As its declaration says: a share, for example, has a unit and adds up to nothing."""
    derived = DERIVED["claude_model_usage"]
    assert derived.adds_up_to
    assert any("web_search_requests" in query for query in derived.query.reconciliations)
    without = replace(derived.adds_up_to, columns={**derived.adds_up_to.columns, "web_search_requests": ""})
    queries = replace(derived, adds_up_to=without).query.reconciliations
    assert any("output_tokens" in query for query in queries)
    assert not any("web_search_requests" in query for query in queries)


# The same SQL as asset checks


class Graph:
    """One derived asset or raw table with its checks, in a real in-process run."""

    def __init__(
        self,
        days: Days,
        asset: dg.AssetsDefinition,
        row: type[Row],
        connection: str,
        select: Query | None,
    ):
        self.key = asset.key
        self.checks = build_checks(asset, row, connection, select, None)

        @dg.asset(deps=[asset], partitions_def=PARTITIONS, backfill_policy=POLICY)
        def downstream() -> None:
            """Waits for the blocking checks."""

        jobs = [
            dg.define_asset_job("everything", dg.AssetSelection.all()),
            dg.define_asset_job("checks", dg.AssetSelection.checks(self.checks)),
            *(dg.define_asset_job(key.name, dg.AssetSelection.checks(key)) for key in self.checks.check_keys),
        ]
        self.definitions = dg.Definitions(
            assets=[asset, downstream],
            asset_checks=[self.checks],
            jobs=jobs,
            resources={
                "warehouse": WarehouseResource.of(days.warehouse, publishes=False),
                "io_manager": UsageIOManager(database=days.warehouse.database),
            },
        )

    def run(
        self, job: str, first: date | None, last: date | None, instance: dg.DagsterInstance
    ) -> dg.ExecuteInProcessResult:
        """Run a job over the days, or without any."""
        tags = (
            {"dagster/partition": str(first)}
            if first == last
            else {
                "dagster/asset_partition_range_start": str(first),
                "dagster/asset_partition_range_end": str(last),
            }
        )
        tags = tags if first else {}
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=instance, raise_on_error=False, tags=tags
        )


def costs_graph(days: Days, *views: View) -> Graph:
    derived = DERIVED["openai_costs"]
    provider: Any = owner_of(derived)
    connection = Connection(
        name=provider,
        provider=provider,
        key_reference=KeyReference("env", "KEY"),
        key=None,
        base_url="https://api.example.com",
        start_date=DAY,
    )
    sources = {
        table: {
            derived.part or "openai.costs" if table == DailyCost.table else "": f"{provider}/{table.partition('.')[2]}"
        }
        for table in derived.reads
    }
    select = derived.query_of(sources)
    select = replace(select, views=(*select.views, *views))
    asset = build_model_asset(derived, connection, select, sources, location())
    return Graph(days, asset, derived.row, connection.name, select)


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
    """Partition, outcome and metadata (without the advice) of a check's evaluations: one of each wrong day, then the
    run's own."""
    return [
        (found.partition, found.passed, {key: fact.value for key, fact in found.metadata.items() if key != ADVICE})
        for found in result.get_asset_check_evaluations()
        if found.check_name == name
    ]


def severities(result: dg.ExecuteInProcessResult) -> set[tuple[str, str]]:
    """The checks that failed, and how badly."""
    found = result.get_asset_check_evaluations()
    return {(each.check_name, each.severity.value) for each in found if not each.passed}


def said(result: dg.ExecuteInProcessResult, name: str = "content") -> tuple[bool, str, str | None]:
    """Outcome, severity and description of a run's own result."""
    *_, whole = [found for found in result.get_asset_check_evaluations() if found.check_name == name]
    assert whole.partition is None
    return whole.passed, whole.severity.value, whole.description


def wrong_graph(days: Days, *wrong: date, last: date, description: str = "") -> Graph:
    """Raw days from the first of November on, of which some repeat a row. Nothing runs that would store them again."""
    rows = [raw(CostReport, usage_date=day, description=description) for day in wrong or [last]]
    days.fetched(CostReport, *rows, last=last)
    with days.warehouse.get_connection() as connection:
        for day in wrong:
            connection.execute(f"insert into anthropic.cost_report from anthropic.cost_report where {ON}", {"day": day})
    return raw_graph(days, CostReport)


def failed(days: Days) -> list[dict[str, Any]]:
    """What the ledger remembers."""
    return days.read("from ledger.failed_checks order by all")


ON = "usage_date = $day"
TWICE = "2 rows for one connection, usage_date, workspace_id, description"


# A day that was found wrong stays so until the check looks at it again


def test_a_run_of_other_days_neither_hides_a_wrong_day_nor_is_held_back_by_it(
    days: Days, instance: dg.DagsterInstance
) -> None:
    """The newest execution, which the UI shows, is the run's own."""
    wrong, today = days_from(2)
    graph = wrong_graph(days, wrong, last=today)
    result = graph.run("everything", wrong, wrong, instance)
    assert not result.success
    assert not result.asset_materializations_for_node("downstream")
    key = dg.AssetCheckKey(graph.key, "content")
    newest = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert newest.evaluation
    assert (newest.partition, newest.evaluation.metadata[DAYS_WRONG].value) == (None, 1)
    result = graph.run("everything", today, today, instance)
    assert result.success
    assert result.asset_materializations_for_node("downstream")
    passed, severity, description = said(result)
    assert (passed, severity) == (False, "WARN")
    assert str(description).startswith(f"{wrong} (not in this run): {TWICE}")
    assert evaluations(result) == [(None, False, {"days": 1, "contradictions": 0, "days_wrong": 1})]


def test_a_check_without_days_looks_at_every_stored_day_and_is_green_again_when_all_are_right(
    days: Days, instance: dg.DagsterInstance
) -> None:
    """Five wrong days are named and the others counted, those of the run first. What is remembered of a long text is
    cut."""
    assert said(raw_graph(days, CostReport).run("checks", None, None, instance)) == (True, "ERROR", None), "no rows"
    *older, last = (*days_from(7), days_from(40)[-1])
    graph = wrong_graph(days, *older, last, last=last, description="x" * TEXT_CHARACTERS)
    *each, (_, passed, metadata) = evaluations(graph.run("checks", None, None, instance))
    assert [day for day, *_ in each] == [str(day) for day in (*older, last)]
    assert (passed, metadata) == (False, {"days": 40, "contradictions": 8, "days_wrong": 8})
    assert [(row["usage_date"], len(row["text"])) for row in failed(days)] == [
        (day, TEXT_CHARACTERS) for day in (*older, last)
    ]
    _, severity, description = said(graph.run("checks", last, last, instance))
    named = str(description).split("; ")
    assert severity == "ERROR"
    assert [text[:10] for text in named[:5]] == [str(day) for day in (last, *older[:4])]
    assert named[5:] == ["and 3 more"]
    for day in (*older, last):
        # Leave one row of a day.
        execute(
            days.warehouse,
            f"delete from anthropic.cost_report where {ON} and rowid > "
            f"(select min(rowid) from anthropic.cost_report where {ON})",
            {"day": day},
        )
    assert said(graph.run("checks", None, None, instance)) == (True, "ERROR", None)
    assert failed(days) == []


def test_fields_that_we_do_not_know_or_that_are_left_out_are_a_warning_that_names_them(
    days: Days, instance: dg.DagsterInstance
) -> None:
    """Also those of a part of a row."""
    left_out = {"web_search_requests": None}
    messages = [
        raw(UsageMessages, model="a", cache_creation_5m_input_tokens=None, other_fields='{"team":null}', **left_out),
        raw(UsageMessages, model="b", other_fields='{"team":"x","bucket.region":"eu"}', **left_out),
        raw(UsageMessages, model="c"),
    ]
    days.fetched(UsageMessages, *messages)
    graph = raw_graph(days, UsageMessages)
    result = graph.run("checks", DAY, DAY, instance)
    unknown = ["bucket.region", "team"]
    missing = ["cache_creation.ephemeral_5m_input_tokens", "server_tool_use.web_search_requests"]
    assert evaluations(result, "unknown_fields") == [(None, False, {"rows": 3, "fields": unknown})]
    assert evaluations(result, "missing_fields") == [(None, False, {"rows": 3, "fields": missing})]
    assert severities(result) == {("unknown_fields", "WARN"), ("missing_fields", "WARN")}
    days.fetched(UsageMessages, messages[-1])
    assert severities(graph.run("checks", DAY, DAY, instance)) == set()
    uses = [{"model": "a", "input": 1, "output": None, "cache_read": 0}, {"model": "b", "input": 1, "output": 2}]
    code = [raw(ClaudeCode, terminal_type=str(n), model_breakdown=as_json([use])) for n, use in enumerate(uses)]
    days.fetched(ClaudeCode, *code)
    with days.warehouse.get_connection() as database:
        found = missing_fields(database, Table(ClaudeCode), Slice("anthropic", DAY, DAY))
    assert found == {"model_breakdown.tokens.output": 1}


# What is compared with a table, without Dagster


def looked(
    days: Days, row: type[Row], name: str, last: date, control: Control | None = None
) -> tuple[Comparison, Finding]:
    """A comparison of a table, and what it finds from DAY on."""
    [check] = [each for each in comparisons_of(Table(row), None, control) if each.name == name]
    with days.warehouse.get_connection() as database:
        return check, check.look(database, Slice("anthropic", DAY, last))


CONTROLLED = {
    endpoint.row.table: (endpoint.row, endpoint.control)
    for provider in PROVIDERS.values()
    for endpoint in provider.endpoints
    if endpoint.control
}
APART: Mapping[tuple[str | None, bool], tuple[str, str, str]] = {
    ("-1", False): ("$0.20", "-$0.80", "$1.00"),
    ("-1", True): ("$0.00", "-$0.01", "$0.01"),
    ("2.1e-12", False): ("$0.200000000000", "$0.200000000002", "$0.000000000002"),
    ("2.1e-12", True): ("$0.00200000000000", "$0.00200000000002", "$0.00000000000002"),
}


def test_a_day_that_differs_from_its_control_total_is_shown(days: Days) -> None:
    """By more than 2e-12; a day without such a total is not. The rows are what the provider says: they go on."""
    stored = dict(zip(days_from(5), ("0", "2e-12", "2.1e-12", "-1", None), strict=True))
    for name, (row, control) in CONTROLLED.items():
        for day, off in stored.items():
            of_day: dict[str, Any] = {"connection": "anthropic", "usage_date": day, control.currency: "USD"}
            part = "model" if "model" in row.grain else "line_item"
            of_row = of_day | {"grouped_by": part, control.amount: Decimal("0.1")}
            if "list_amount_cents" in row.__struct_fields__:
                of_row["list_amount_cents"] = Decimal(1)
            rows = [row(**of_row | {part: text}) for text in ("a", "b")]
            totals = [control.row(**of_day | {control.amount: Decimal("0.2") + Decimal(off)})] if off else []
            stated = (Table(control.row), to_arrow(control.row, totals)) if off else None
            days.fetched(row, *rows, connection="anthropic", first=day, control=stated)
        check, found = looked(days, row, "control_total", max(stored), control)
        assert (check.severity, check.is_blocking) == ("ERROR", False)
        expected = {}
        for day, off in stored.items():
            if (off, "cents" in control.amount) in APART:
                rows_hold, total, apart = APART[off, "cents" in control.amount]
                expected[day] = [
                    f"the rows add up to {rows_hold}, and the provider's total of the day is {total} ({apart} apart)"
                ]
        assert found.wrong == expected, name


def test_a_stated_total_that_differs_from_the_lines_is_a_warning_with_both(days: Days) -> None:
    """The provider's own arithmetic is no difference."""
    text = """
        usage_date  name  cost_cents  total_usage_cents
        0           line  95.1        -
        1           line  95.1        -
        3           line  95.1        -
        0           -     -           95.1
        1           -     -           100.5
        2           -     -           7
        3           -     -           95.10000000000001
    """
    _, second, third, last = days_from(4)
    rows = raws(BillingUsage, text, connection="anthropic")
    days.fetched(BillingUsage, *rows, connection="anthropic", last=last)
    check, found = looked(days, BillingUsage, "total_usage", last)
    said = "the lines of the day add up to {}, and the total that OpenAI states is {} ({} apart)"
    assert found.wrong == {
        second: [said.format("$0.95", "$1.01", "$0.05")],
        third: [said.format("$0.00", "$0.07", "$0.07")],
    }
    assert check.severity == "WARN"


def test_users_that_do_not_add_up_to_their_workspace_are_a_warning(days: Days) -> None:
    """Costs are computed from the users: a user row without an amount hides what the workspace's row states. A
    workspace without users is no warning. Two reports of a day that the provider may still change are not compared: one
    of them may be updated first."""
    text = """
        usage_date  cut        cost_usd
        0           user       7.5
        0           workspace  7.5
        1           user       1
        1           workspace  7.5
        2           user       -
        2           workspace  7.5
        3           user       -
        3           workspace  -
        4           workspace  -
    """
    rows = raws(CodexUsage, text, connection="anthropic")
    _, second, third, _, last = days_from(5)
    days.fetched(CodexUsage, *rows, connection="anthropic", last=last)
    check, found = looked(days, CodexUsage, "workspace", last)
    assert ([*found.wrong], check.severity) == ([second, third], "WARN")
    sixth = last + timedelta(days=1)
    of_sixth = raws(CodexUsage, "cut  cost_usd\nuser  1\nworkspace  7.5", connection="anthropic", usage_date=sixth)
    for moment, is_compared in ((datetime(2026, 11, 10, 8, tzinfo=UTC), False), (NOW, True)):
        with time_machine.travel(moment):
            days.fetched(CodexUsage, *of_sixth, connection="anthropic", first=sixth, settling_days=7)
            _, found = looked(days, CodexUsage, "workspace", sixth)
        assert (sixth in found.wrong) is is_compared
        reason = None if is_compared else "the provider may still change chatgpt.codex_usage"
        assert found.left_out.get(sixth) == reason


def shares(*attributed: str, currency: str = "usd") -> list[Row]:
    """A bill of 100 for DAY and each following day, of which so many are a user's."""
    return [
        raw(Costs, usage_date=day, user_id=user, amount_value=amount, amount_currency=currency)
        for day, known in zip(days_from(len(attributed)), map(Decimal, attributed), strict=True)
        for user, amount in (("user-1", known), (None, 100 - known))
    ]


def less_attributed(days: Days, last: date) -> dict[date, list[str]]:
    """Day -> what the warning says of each currency."""
    [warning] = sql_files("warnings/costs_allocated_costs.unattributed_share.sql")
    found: dict[date, list[str]] = {}
    with days.warehouse.get_connection() as database:
        for each in differences(database, warning.read_text(), Slice("openai", DAY, last)):
            found.setdefault(each.day, []).append(each.text)
    return {day: sorted(texts) for day, texts in sorted(found.items())}


def test_a_day_of_which_less_is_attributed_than_before_is_a_warning_that_says_the_shares(days: Days) -> None:
    """Each currency is compared with its own days before. What is permanently nobody's, a twentieth less and a first
    day are no warning. A refund of nobody's costs is not hidden behind what is billed."""
    rows = shares("100", "90", "80.5")
    rows += shares("100", "94.9", currency="eur")
    rows += shares("40", "20", "30", currency="gbp")  # less than before, then in the middle
    rows += shares("0", "0", "0", currency="chf") + shares("100", "95", currency="jpy") + shares("0", currency="sek")
    refund = "usage_date  api_key_id  amount_value\n0  k1  90\n1  k1  90\n1  -  -50"
    rows += raws(Costs, refund, amount_currency="nok")
    _, second, third = days_from(3)
    days.spent(Costs, *rows, last=third)
    days.derive("openai_allocated_costs", last=third)
    named = "billed and refunded has a known API key or person"
    assert less_attributed(days, third) == {
        second: [
            f"$90.00 of $100.00 {named}: 90.0 %, and 100.0 % is usual",
            f"20.00 GBP of 100.00 GBP {named}: 20.0 %, and 40.0 % is usual",
            f"90.00 NOK of 140.00 NOK {named}: 64.3 %, and 100.0 % is usual",
            f"94.90 EUR of 100.00 EUR {named}: 94.9 %, and 100.0 % is usual",
        ],
        third: [f"$80.50 of $100.00 {named}: 80.5 %, and 95.0 % is usual"],
    }
