"""What contradicts a bill is said beside its amounts: each check that is an error, and nothing else that fails."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from usage_assets.core.schema import to_arrow
from usage_assets.features.report.answers import answers, text_of
from usage_assets.features.report.figures import read
from usage_assets.features.report.insights.compute import compute
from usage_assets.features.report.insights.doubts import doubts_of
from usage_assets.features.report.insights.stated import stated_in
from usage_assets.features.report.period import Period
from usage_assets.models.comparisons import comparisons_of
from usage_assets.models.connection_graph import graph_of
from usage_assets.warehouse.ledger import FailedCheck
from usage_assets.warehouse.migrate import create_or_alter, write_seed
from usage_assets.warehouse.tables import Table
from usage_assets_tests.features.mapping.test_questions import connection
from usage_assets_tests.features.report.insights.test_insights import NEWEST, OWNED, TODAY, days, original
from usage_assets_tests.models.days import Days

__all__ = ["days", "original"]


def errors_of_bills(of: Days) -> Iterator[tuple[str, str]]:
    """The assets of OpenAI's bill, and their checks that are errors."""
    graph = graph_of(connection("openai"), of.seed)
    looked = [
        *((each.name, Table(each.row), None, each.control) for each in graph.endpoints),
        *((model.name, Table(model.row), query, None) for model, query in graph.models),
    ]
    for asset, table, query, control in looked:
        for each in comparisons_of(table, query, control):
            if each.severity == "ERROR" and not table.name.startswith("port_entities."):
                yield f"openai/{asset}", each.name


def test_each_check_of_a_bill_that_is_an_error_is_named_beside_the_amount(days: Days) -> None:
    checks = [*dict.fromkeys(errors_of_bills(days))]
    assert {"content", "control_total"} <= {name for _, name in checks}
    day = NEWEST - timedelta(days=1)
    stated: dict[str, Any] = {"connection": "openai", "usage_date": day, "run_id": "run", "found_at": datetime.now(UTC)}
    failed = [
        FailedCheck(asset=asset, check_name=name, severity="ERROR", text="it", **stated) for asset, name in checks
    ]
    failed += [FailedCheck(asset="openai/costs", check_name="a_warning", severity="WARN", text="it", **stated)]
    with days.warehouse.transaction() as database:
        create_or_alter(database, Table(FailedCheck))
        database.from_arrow(to_arrow(FailedCheck, failed)).insert_into("ledger.failed_checks")
        found = [*doubts_of(database, [], NEWEST)]
        insights = compute(database, stated_in(OWNED), NEWEST, TODAY, doubts=found)
        write_seed(database, insights.seed(datetime.now(UTC)))
    names = sorted({name for _, name in checks})
    assert [(row.check_name, row.connection, row.usage_date) for row in found] == [
        (each, "openai", day) for each in names
    ]
    assert insights.digest
    assert (
        insights.digest.lines[-1]
        == f"Contradicted, so it may be wrong: {', '.join(f'{each} on 1 day' for each in names)}"
    )
    with days.warehouse.get_connection() as database:
        first = answers(read(database, Period.of_month(day.replace(day=1), NEWEST)))[0]
    said = [text_of(line) for line in first.lines if "May be wrong" in text_of(line)]
    assert said == [f"May be wrong, {each} fails: openai on 1 day." for each in names]
    assert first.needs_attention
