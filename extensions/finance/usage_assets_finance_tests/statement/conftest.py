"""A company with two cost centers, a project that they share, and costs that nobody owns: October, all days settled."""

import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine

from usage_assets.config.settings import Settings
from usage_assets.core.schema import to_arrow
from usage_assets.models.due import question_of
from usage_assets.providers import PROVIDERS
from usage_assets.providers.openai.costs import Costs, CostsControl
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch
from usage_assets_tests.fixtures import NOW, NewWarehouse
from usage_assets_tests.models.days import Days, lines, raw
from usage_assets_tests.terminal import Said, Terminal

FIRST, LAST = date(2026, 10, 1), date(2026, 10, 31)
FORMULA = '=HYPERLINK("http://x.example")'
STATED = """
[[owner]]
project = "p-web"
team = "web"
cost_center = "4711"

[[owner]]
project = "p-apps"
team = "apps"
cost_center = "R&D/EU"

[[owner]]
project = "p-none"
team = "misc"

[[shared_cost]]
name = "seats"
project = "p-shared"
headcount = { "4711" = 2, "R&D/EU" = 1 }
"""


@dataclass(frozen=True)
class Company:
    """A person in a folder with the company's warehouse."""

    terminal: Terminal

    @property
    def folder(self) -> Path:
        return self.terminal.folder / "out"

    def statement(self, *words: str, month: str = "2026-10") -> Said:
        return self.terminal.run("statement --month", month, "--out", "out", *words)

    def verify(self, file: Path) -> Said:
        return self.terminal.run(f"statement verify {file}")

    def file(self, form: str, center: str = "4711", month: str = "2026-10") -> Path:
        return self.folder / f"statement-{month}-{center}.{form}"

    def state(self, text: str) -> None:
        """Write the connections file, and store its entries as Dagster does."""
        (self.terminal.folder / "connections.toml").write_text(text)
        assert self.terminal.run("accounting --store").code == 0

    def fetch(self, *rows: Costs, first: date = FIRST, last: date = LAST, settling_days: int | None = None) -> None:
        """Store days of OpenAI, with everything that is computed from them."""
        settings = Settings.load()
        [connection] = [each for each in settings.connections() if each.name == "openai"]
        [endpoint] = [each for each in PROVIDERS["openai"].endpoints if each.row is Costs]
        assert endpoint.control
        control = endpoint.control.row
        days = Days(self.terminal.warehouse, settings.accounting())
        batch = Batch(
            rows=to_arrow(Costs, rows),
            began=datetime.now(UTC),
            question=question_of(endpoint, connection),
            control=(Table(control), to_arrow(control, totals_of(rows))),
            settling_days=settling_days,
        )
        days.warehouse.replace(Table(Costs), batch, Slice("openai", first, last), "run")
        days.derive("openai_costs", first=first, last=last)
        days.derive("openai_allocated_costs", first=first, last=last)


def totals_of(rows: Iterable[Costs]) -> list[CostsControl]:
    """What OpenAI answers without grouping."""
    sums: defaultdict[tuple[date, str | None], Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[row.usage_date, row.amount_currency] += row.amount_value
    return [
        CostsControl(connection="openai", usage_date=day, amount_currency=currency, amount_value=amount)
        for (day, currency), amount in sums.items()
    ]


def cost(amount: str, day: date = date(2026, 10, 5), currency: str = "usd", **values: str) -> Costs:
    """A cost of OpenAI."""
    of = {"line_item": "gpt-5, input", **values}
    row = raw(Costs, usage_date=day, amount_value=amount, amount_currency=currency, **of)
    assert isinstance(row, Costs)
    return row


BILL = tuple(
    cost(
        amount,
        date(2026, 10, int(day)),
        currency,
        project_id=project,
        line_item=item,
        **({} if user == "-" else {"user_id": user}),
    )
    for amount, day, currency, project, item, user in lines(f"""
    10.004  5  usd  p-web      gpt-5, input        Анна Петрова
    0.001   6  usd  p-web      gpt-5, input        王小明
    0.10    5  eur  p-web      gpt-5, input        Анна Петрова
    20      5  usd  p-apps     gpt-5-mini, output  u-1
    10      5  usd  p-shared   gpt-5, input        -
    5.0     5  usd  {FORMULA}  gpt-5, input        a\x07b\u202egpj\ud7ff
    1.25    5  usd  p-none     gpt-5, input        -
    """)
)


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The company's database, as the first test has made it."""
    return tmp_path_factory.mktemp("statement") / "usage.duckdb"


@pytest.fixture
def company(stored: Path, terminal: Terminal, warehouse_with_views: NewWarehouse) -> Company:
    """A person with the company's warehouse, in which every day of October is settled."""
    unused = {name: None for name in terminal.environment if name.endswith("_KEY") and name != "OPENAI_ADMIN_KEY"}
    (terminal.folder / "connections.toml").write_text(STATED)
    terminal.set(unused, USAGE_CONNECTIONS="connections.toml", USAGE_START_DATE="2026-10-01")
    company = Company(terminal)
    if stored.exists():
        shutil.copy(stored, terminal.database)
    else:
        warehouse_with_views(terminal.folder)
        with time_machine.travel(NOW - timedelta(hours=1), tick=False):  # before any test
            company.fetch(*BILL)
        shutil.copy(terminal.database, stored)
    return company
