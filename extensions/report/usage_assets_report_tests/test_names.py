"""One id in several connections, and names that are those of the report's own rows."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from io import StringIO
from pathlib import Path

from rich.console import Console

from usage_assets.config.accounting import Invoice, Owner
from usage_assets.models.costs import VIEWS
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.lookups import ProjectApiKeys, Projects
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.views import make_views
from usage_assets_finance.focus.charges import Charges
from usage_assets_report.charts import colors_of
from usage_assets_report.figures import Report, read
from usage_assets_report.period import Period
from usage_assets_report.text import show
from usage_assets_tests.fixtures import NewWarehouse
from usage_assets_tests.models.days import DAY, Days, lines, one_a_line, raw
from usage_assets_tests.models.stated import listed, stating

TEAMS = 51
"""One more than a table has rows for."""


def test_equal_ids_and_names_of_the_reports_own_rows_are_told_apart(
    tmp_path: Path, warehouse_with_views: NewWarehouse
) -> None:
    """Seen: facts that had an id of two connections twice, so that what the page filtered added up to more."""
    owners = [Owner(project=f"p{n}", team=f"team {n:02}") for n in range(TEAMS)]
    owners.append(Owner(project="other", team="other teams"))
    warehouse = warehouse_with_views(tmp_path)
    with warehouse.get_connection() as database:
        days = stating(Days(warehouse), owners=owners)
        spent = {f"p{n}": 1 for n in range(TEAMS)} | {"p0": 30, "other": 70}
        costs = [
            raw(Costs, project_id=project, line_item="gpt-5, input", amount_value=Decimal(usd), api_key_id=key)
            for project, usd in spent.items()
            for key in ("k1" if project == "p0" else None,)
        ]
        days.fetched(Costs, *costs)
        of_eu = {"connection": "openai_eu", "project_id": "p0", "api_key_id": "k1"}
        days.fetched(Costs, raw(Costs, amount_value=Decimal(2), **of_eu), connection="openai_eu")
        for connection in ("openai", "openai_eu"):
            days.derive("openai_costs", connection)
        for lookup in (Projects, ProjectApiKeys):
            create_or_alter(database, Table(lookup))
        listed(days, "openai.projects", id="p0", name="Web")
        listed(days, "openai.projects", connection="openai_eu", id="p0", name="web")
        listed(days, "openai.project_api_keys", id="k1", name="Laptop")
        database.execute("update costs.daily_costs set model = nullif(connection, 'openai')")
        database.execute("update costs.daily_costs set model = 'no model' where model = 'openai_eu'")
        make_views(database, VIEWS)
        report = read(database, Period.of_days(DAY, DAY))
    assert sum(row["usd"] for row in report.facts.rows.to_pylist()) == sum(spent.values()) + 2
    for dimension, name in (("project", "Web (openai)"), ("api_key", "Laptop")):
        found = rows_of(report, dimension)
        assert found[Decimal(30)][0] == name, dimension
        assert "--connection openai_eu" in found[Decimal(2)][1], dimension
    teams = {row["team"]: row["usd"] for row in report.figures["by_team"].rows.to_pylist()}
    assert sum(teams.values()) == sum(spent.values()) + 2
    assert (teams["other teams (other teams)"], teams["other teams"]) == (70, 2)
    models = rows_of(report, "model")
    assert "--where family= " in models[Decimal(sum(spent.values()))][1]
    assert "'family=no model'" in models[Decimal(2)][1]


def test_bills_in_files_are_of_who_they_name_and_an_invoice_is_compared_in_cents(
    tmp_path: Path, warehouse_with_views: NewWarehouse
) -> None:
    invoices = [
        Invoice(connection=name, month=f"{DAY:%Y-%m}", total=invoiced, id=f"{name} {invoiced}", currency=currency)
        for name, currency, *each in lines("""
            openai       USD  0.75  1.26
            cloud        USD  3.5
            other_cloud  USD  3
            euros        EUR  3
            unknown      USD  1
        """)
        for invoiced in map(Decimal, each)
    ]
    warehouse = warehouse_with_views(tmp_path)
    with warehouse.get_connection() as database:
        days = stating(Days(warehouse), invoices=invoices)
        days.spent(Costs, raw(Costs, amount_value=Decimal("2.0054")))
        said = {"billed_cost": "3.005", "effective_cost": "0.5", "service_provider_name": "AWS"}
        for name, currency in (("cloud", "USD"), ("other_cloud", "USD"), ("euros", "EUR")):
            days.spent(Charges, raw(Charges, connection=name, billing_currency=currency, **said), connection=name)
        make_views(database, VIEWS)
        report = read(database, Period.of_days(DAY, DAY))
    by_day = report.figures["by_day"]
    commands = [command for [command] in by_day.commands]
    providers = by_day.rows["provider"].to_pylist()
    assert providers == ["AWS (cloud)", "AWS (other_cloud)", "openai"]
    assert report.figures["trend"].rows["provider"].to_pylist() == providers
    assert ["--connection cloud" in each for each in commands] == [True, False, False]
    assert colors_of(replace(report, ranges={"": report})).keys() == {*providers}
    states = {row["connection"]: row["state"] for row in report.figures["invoices"].rows.to_pylist()}
    assert states == {
        "openai": "reconciled",
        "cloud": "differs",
        "other_cloud": "differs",  # 3.005 is 3.01 on an invoice
        "euros": "differs",
        "unknown": "nothing is stored",
    }
    console = Console(file=(printed := StringIO()))
    show(report, console)
    of_euros = [line.partition(", and")[0] for line in printed.getvalue().splitlines() if "euros: " in line]
    assert of_euros == one_a_line("""
        euros: 3.00 EUR billed, 0.50 EUR amortized
        euros: 3.00 EUR have no dollar value: no exchange rate is configured for EUR
        euros: 3.00 EUR is stored
        euros: invoice euros 3 is 3.00 EUR, stored is 3.01 EUR
    """)


def rows_of(report: Report, dimension: str) -> Mapping[Decimal, tuple[str, str]]:
    """Dollars -> the label and the command of the last row that has so many."""
    figure = report.figures[f"by_{dimension}"]
    return {
        row["usd"]: (row[dimension], " ".join(commands))
        for row, commands in zip(figure.rows.to_pylist(), figure.commands, strict=True)
    }
