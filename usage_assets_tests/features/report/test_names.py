"""One id in several connections, and names that are those of the report's own rows."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from usage_assets.config.accounting import Owner
from usage_assets.features.report.figures import Report, read
from usage_assets.features.report.period import Period
from usage_assets.models.costs import VIEWS
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.lookups import ProjectApiKeys, Projects
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.views import make_views
from usage_assets_tests.conftest import NewWarehouse
from usage_assets_tests.models.days import DAY, Days, raw
from usage_assets_tests.models.test_attribution import listed
from usage_assets_tests.models.test_valuation import stating

TEAMS = 51
"""One more than a table has rows for."""


@pytest.fixture
def days(tmp_path: Path, warehouse_with_views: NewWarehouse) -> Iterator[Days]:
    """A warehouse without rows, which stays open."""
    days = Days(warehouse_with_views(tmp_path))
    with days.warehouse.get_connection():
        yield days


def spent(days: Days, connection: str, usd: int | Decimal, **of: str) -> None:
    """Store what was billed on the day."""
    row = raw(Costs, connection=connection, line_item="gpt-5, input", amount_value=Decimal(usd), **of)
    days.fetched(Costs, row, connection=connection)
    days.derive("openai_costs", connection)


def report_of(days: Days) -> Report:
    """The report of the day."""
    with days.warehouse.transaction() as database:
        for lookup in (Projects, ProjectApiKeys):
            create_or_alter(database, Table(lookup))
        make_views(database, VIEWS)
    with days.warehouse.transaction() as database:
        return read(database, Period.of_days(DAY, DAY))


def rows_of(report: Report, figure: str) -> list[tuple[str, Decimal, str]]:
    """The label, dollars and options of explain of each row."""
    found = report.figures[figure]
    return [
        (row[figure.removeprefix("by_")], row["usd"], " ".join(commands))
        for row, commands in zip(found.rows.to_pylist(), found.commands, strict=True)
    ]


@pytest.mark.parametrize("dimension", ["project", "api_key"])
def test_an_id_that_one_connection_names_and_another_does_not_counts_once(days: Days, dimension: str) -> None:
    """The facts had it twice: what the page filters added up to $4."""
    for connection, usd in (("openai", 1), ("openai_eu", 2)):
        spent(days, connection, usd, project_id="p1", api_key_id="k1")
    report_of(days)
    listed(days, "openai.projects", id="p1", name="Web")
    listed(days, "openai.project_api_keys", id="k1", name="Laptop")
    report = report_of(days)
    assert sum(row["usd"] for row in report.facts.rows.to_pylist()) == 3
    named, unnamed = sorted(rows_of(report, f"by_{dimension}"), key=lambda row: row[1])
    assert [named[1], unnamed[1]] == [Decimal(1), Decimal(2)]
    assert "--connection openai_eu" in unnamed[2], "what it explains is not that of the other connection"


def test_a_team_that_is_called_like_the_last_row_is_another_row(days: Days) -> None:
    owners = [Owner(project=f"p{n}", team=f"team {n:02}") for n in range(TEAMS)]
    owners.append(Owner(project="other", team="other teams"))
    days = stating(days, owners=owners)
    rows = [raw(Costs, project_id=f"p{n}", line_item="gpt-5, input", amount_value=Decimal(1)) for n in range(TEAMS)]
    rows.append(raw(Costs, project_id="other", line_item="gpt-5, input", amount_value=Decimal(5)))
    days.fetched(Costs, *rows)
    days.derive("openai_costs")
    found = {label: usd for label, usd, _ in rows_of(report_of(days), "by_team")}
    assert sum(found.values()) == TEAMS + 5
    assert found["other teams (other teams)"] == 5
    assert found["other teams"] == 2


def test_a_model_that_is_called_like_none_is_explained_by_its_name(days: Days) -> None:
    spent(days, "openai", 1, project_id="p1")
    spent(days, "openai_eu", 2, project_id="p1")
    with days.warehouse.transaction() as database:
        database.execute("update costs.daily_costs set model = 'no model' where connection = 'openai_eu'")
        database.execute("update costs.daily_costs set model = null where connection = 'openai'")
    found = {usd: command for _, usd, command in rows_of(report_of(days), "by_model")}
    assert "--where family= " in found[Decimal(1)]
    assert "'family=no model'" in found[Decimal(2)]
