"""costs.by_cost_center: what a cost center pays is one figure, in SQL, on the page, in Port and on its statement."""

import os
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import duckdb
import pytest

from usage_assets.core.days import end_of_month
from usage_assets.core.money import digits_of
from usage_assets.models.entities import OF_INSIGHTS
from usage_assets.models.insights import KEPT
from usage_assets.providers.openai.costs import Costs
from usage_assets_finance.statement.lines import read_month
from usage_assets_finance_tests.statement.conftest import Company, company, cost, stored
from usage_assets_finance_tests.statement.test_sums import payables
from usage_assets_report.figures import read_figure
from usage_assets_report.in_port import EVERYTHING, InsightsLedger
from usage_assets_report.period import Period
from usage_assets_tests.fixtures import IS_NIGHT, NOW
from usage_assets_tests.models.days import lines

__all__ = ["company", "stored"]

FIRST = int(os.environ.get("USAGE_FIRST_SEED", "0"))
SEEDS = range(FIRST, FIRST + (30 if IS_NIGHT else 1))
PROJECTS = [f"p-{n}" for n in range(7)]
SHARES = {1: (1,), 2: (0.5, 0.5), 3: (0.2, 0.3, 0.5), 4: (0.1, 0.2, 0.3, 0.4)}
CENTERS = ("4711", "17", "R&D/EU", "ops")
MONTHS = [date(2025 + n // 12, n % 12 + 1, 1) for n in range(10 if IS_NIGHT else 18, 22)]


def stated(dice: Random) -> str:
    """Owners of some projects, and entries of each rule that overlap."""
    owners = (
        f'[[owner]]\nproject = "{project}"\nteam = "team-{n % 5}"\n'
        + (f'cost_center = "{dice.choice(CENTERS)}"\n' if dice.random() < 0.6 else "")
        for n, project in enumerate(PROJECTS[:-1])
    )
    return "\n".join([*owners, *(shared_cost(dice, n) for n in range(dice.randint(1, 4)))])


def shared_cost(dice: Random, n: int) -> str:
    centers = dice.sample(CENTERS, dice.randint(1, 4))
    parts = dict(zip(centers, SHARES[len(centers)], strict=True))
    rule = dice.choice(
        [
            f"even = {centers}",
            f"by_use = {centers}",
            "by_use = true",
            f"headcount = {{ {', '.join(f'{each!r} = {dice.randint(1, 9)}' for each in centers)} }}",
            f"shares = {{ {', '.join(f'{each!r} = {part}' for each, part in parts.items())} }}",
        ]
    ).replace("'", '"')
    place = dice.choice(["", 'connection = "openai"\n', f'project = "{dice.choice(PROJECTS)}"\n', 'team = "team-1"\n'])
    days = f"valid_from = {dice.choice(MONTHS) + timedelta(days=dice.randint(0, 27))}\n" if dice.random() < 0.4 else ""
    return f'[[shared_cost]]\nname = "shared {n}"\n{place}{days}{rule}\n'


def bills(dice: Random) -> Iterator[Costs]:
    for month in MONTHS:
        for n in range(dice.randint(0, 12)):
            day = month + timedelta(days=dice.randrange((end_of_month(month) - month).days + 1))
            amount = f"{dice.choice([1, 1, 1, -0.3]) * dice.random() * 100:.{dice.choice([0, 2, 6, 15])}f}"
            yield cost(
                amount,
                day,
                dice.choice(["usd", "usd", "eur", "jpy"]),
                project_id=dice.choice(PROJECTS),
                user_id=f"u-{n}",
            )


Pays = Mapping[tuple[date, str | None, str], tuple[Decimal, ...]]
"""Month, cost center and currency -> own, shared, total."""


def on_page(database: duckdb.DuckDBPyConnection) -> Pays:
    """What the report of each month says."""
    return {
        (month, None if row["cost_center"] == "no cost center" else row["cost_center"], row["currency"]): (
            *(row[name] for name in ("own", "shared", "pays")),
        )
        for month in MONTHS
        for row in read_figure(database, "cost_centers", Period.of_month(month, NOW.date())).rows.to_pylist()
    }


def in_port(company: Company) -> Pays:
    """What Port is sent."""
    ledger = InsightsLedger(
        company.terminal.warehouse, "a", EVERYTHING, OF_INSIGHTS, relations=(), connections=(), report_url=None
    )
    found: list[Any] = [entity.properties for entity in ledger.desired("ai_cost_center")]
    return {
        (date.fromisoformat(shown["first_day"][:10]), shown["cost_center"], shown["currency"]): (
            *(shown[f"{name}_amount"] for name in ("own", "shared", "total")),
        )
        for shown in found
    }


def test_a_tie_is_broken_by_the_name_and_a_page_that_ends_in_a_month_has_all_of_it(company: Company) -> None:
    """Of 65 millions shared 1:4:1, each has two thirds of a cent too much, and the first two get a cent."""
    owners = "".join(
        f'[[owner]]\nproject = "{name}"\nteam = "{name}"\ncost_center = "{name}"\n' for name in ("A", "B", "C")
    )
    company.state(f'{owners}[[shared_cost]]\nname = "all"\nheadcount = {{ A = 1, B = 4, C = 1 }}\n')
    amounts = {"A": "31083.22", "B": "23865.01", "C": "12664.85", None: "65000000.44"}
    first, last = MONTHS[-1], end_of_month(MONTHS[-1])
    costs = [cost(amount, last, project_id=name or "P") for name, amount in amounts.items()]
    company.fetch(*costs, first=first, last=last)
    pays = {"A": Decimal("10864416.63"), "B": Decimal("43357198.64"), "C": Decimal("10845998.25")}
    with company.terminal.warehouse.get_connection() as database:
        rows = database.execute("select cost_center, total_amount from costs.by_cost_center where total_amount <> 0")
        assert dict(rows.fetchall()) == pays
        page = read_figure(database, "cost_centers", Period.of_days(first, first + timedelta(days=8)))
        assert {row["cost_center"]: row["pays"] for row in page.rows.to_pylist() if row["pays"]} == pays


def test_trillions_are_rounded_as_on_the_statement(company: Company) -> None:
    """From a trillion on, the view overflowed, and with it the whole report. A hundred of them can be stored."""
    company.state("".join(f'[[owner]]\nproject = "{name}"\nteam = "{name}"\ncost_center = "{name}"\n' for name in "AB"))
    first, last = MONTHS[-1], end_of_month(MONTHS[-1])
    bill = lines("""
        A  usd  12345678901234.565   12345678901234.57
        B  usd  1.005                1
        P  usd  0.004                0
        B  eur  -98765432109876.545  -98765432109876.55
    """)
    costs = [cost(amount, last, currency, project_id=project) for project, currency, amount, _ in bill]
    company.fetch(*costs, first=first, last=last)
    pays = {(name if name in "AB" else None, currency.upper()): Decimal(paid) for name, currency, _, paid in bill}
    sums = company.terminal.warehouse.read("from costs.by_cost_center").to_pylist()
    assert {(row["cost_center"], row["currency"]): row["total_amount"] for row in sums} == pays
    with company.terminal.warehouse.get_connection() as database:
        said = payables(read_month(database, first).lines)
    assert said == {"USD": 1234567890123557, "EUR": -9876543210987655}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cost_center_pays_the_same_everywhere(company: Company, seed: int) -> None:
    dice = Random(seed)
    company.state(stated(dice))
    company.fetch(*bills(dice), first=MONTHS[0], last=end_of_month(MONTHS[-1]))
    rows = company.terminal.warehouse.read("from costs.by_cost_center").to_pylist()
    found = {(row["month"], row["cost_center"], row["currency"]): row for row in rows}
    assert len(found) == len(rows) > len(MONTHS)
    of_centers = {month for month, center, _ in found if center is not None}
    stated_in_sql = {
        key: (row["own_amount"], row["shared_amount"], row["total_amount"])
        for key, row in found.items()
        if key[0] in of_centers
    }
    kept = {month for month in MONTHS if end_of_month(month) > NOW.date() - KEPT}
    assert in_port(company) == {key: amounts for key, amounts in stated_in_sql.items() if key[0] in kept}
    with company.terminal.warehouse.get_connection() as database:
        assert on_page(database) == stated_in_sql
        for month in MONTHS:
            lines = read_month(database, month).lines
            for center in {line.cost_center for line in lines}:
                of_it = [line for line in lines if line.cost_center == center]
                for currency in {line.currency for line in of_it}:
                    row = found.pop((month, center, currency))
                    same = [line for line in of_it if line.currency == currency]
                    own = sum((line.amount for line in same if line.kind == "cost"), Fraction())
                    shared = sum((line.amount for line in same if line.kind == "shared"), Fraction())
                    assert Fraction(row["own_amount"]) == own
                    assert abs(Fraction(row["shared_amount"]) - shared) <= Fraction(1, 10**9)
                    in_all = payables(same).get(currency, 0)
                    assert Fraction(row["total_amount"]) == Fraction(in_all, 10 ** digits_of(currency))
    assert not any(row["total_amount"] for row in found.values()), "the rest is nothing"
