"""The words of answers and refusals: which unit a figure has, which command is given, and what an option is called."""

from datetime import date, timedelta
from decimal import Decimal

import duckdb
import pytest
from mcp.types import TextContent

from usage_assets.core.schema import to_arrow
from usage_assets.features.mcp.answers import MOST_OF_NAME, Answer, Page, Row, about, shown, values
from usage_assets.features.mcp.freshness import days_of
from usage_assets.features.mcp.questions import named_as_parameters
from usage_assets.features.report.figures import read_incidents
from usage_assets.features.report.period import Period
from usage_assets.features.what_if.command import entries_of
from usage_assets.models.insights import AnomalyRow
from usage_assets.warehouse.errors import WarehouseError

OCTOBER = Period.of_month(date(2026, 10, 1), date(2026, 11, 26))
MANY = 150


def text_of(row: Row) -> str:
    [content] = Page({}, 1, 10, None).put(Answer(sentence="s"), [row]).content
    assert isinstance(content, TextContent)
    return content.text.splitlines()[1]


def test_a_unit_is_said_of_the_figures_that_have_it() -> None:
    seats = values(seats=12, idle=2, price_a_month=Decimal(19), idle_a_month=Decimal(38), usd_idle_a_month=Decimal(44))
    row = Row(about=about(connection="editor"), values=seats, unit="EUR", currency="EUR")
    assert text_of(row) == ("editor: seats 12, idle 2, price_a_month 19, idle_a_month 38 EUR, usd_idle_a_month 44 USD")
    unit_costs = values(usd_per_unit=Decimal("0.5"), usd=Decimal(6), quantity=12, usd_left_out=None)
    row = Row(about=about(metric="commits"), values=unit_costs, unit="USD", currency="USD")
    assert text_of(row) == "commits: usd_per_unit 0.5, usd 6 USD, quantity 12, usd_left_out unknown USD"
    row = Row(about=about(day="2026-11-01"), values=values(before=Decimal(1), now=Decimal(2)), unit="credits")
    assert text_of(row) == "2026-11-01: before 1, now 2 credits"


@pytest.mark.parametrize(
    ("name", "is_shown"),
    [
        ("web", True),
        ("Büro 🤖", True),
        ("x" * MOST_OF_NAME, True),
        ("x" * (MOST_OF_NAME + 1), False),
        ("a\u202eb", False),
    ],
)
def test_a_command_is_given_that_finds_its_row(name: str, is_shown: bool) -> None:
    command = f"usage-assets explain --where 'model={name}'"
    assert shown(command) == (command if is_shown else None)


def test_a_refusal_names_parameters() -> None:
    with pytest.raises(WarehouseError, match=r"^cached_share half: "), named_as_parameters():
        entries_of({"provider": "openai", "model": "gpt-5", "cached_share": "half"}, None)  # type: ignore[arg-type]
    with (
        pytest.raises(WarehouseError, match=r"^name a column, .*: usage-assets report --refresh$"),
        named_as_parameters(),
    ):
        raise WarehouseError("name a --column, or add --where: usage-assets report --refresh")


def anomaly(first: date, last: date, **more: object) -> AnomalyRow:
    columns = AnomalyRow.__struct_fields__
    stated: dict[str, object] = {"kind": "all", "id": "all", "name": "everything", "measure": "usd", "what": "g1"}
    stated |= {"first_day": first, "last_day": last, "actual": Decimal(2), "expected": Decimal(1)}
    stated |= {"is_provisional": False, "is_open": False, **more}
    return AnomalyRow(**{name: stated.get(name) for name in columns})  # type: ignore[arg-type]


def test_every_incident_with_a_day_of_the_period_is_found() -> None:
    """However many are open now, and whether it has ended long after the period."""
    newest = date(2026, 11, 25)
    rows = [
        anomaly(date(2026, 10, 10), newest, what="shift"),
        anomaly(date(2026, 9, 20), date(2026, 10, 1), what="spike"),
        anomaly(date(2026, 9, 20), date(2026, 9, 30), what="drop"),
        anomaly(date(2026, 10, 5), date(2026, 10, 5), what="gone", closed_on=newest),
        *(anomaly(newest - timedelta(days=n % 10), newest, what=f"g{n}", is_open=True) for n in range(MANY)),
        *(anomaly(date(2026, 10, 20), date(2026, 10, 20), what=f"october {n}") for n in range(MANY)),
    ]
    with duckdb.connect() as database:
        database.register("stated", to_arrow(AnomalyRow, rows))
        database.execute("create schema costs; create table costs.anomalies as from stated")
        found = read_incidents(database, OCTOBER)
    names = [row["what"] for row in found.rows.to_pylist()]
    assert len(names) == len({*names}) == MANY + 2
    assert {"shift", "spike"} <= {*names}
    assert "last two weeks" not in found.note
    assert all(commands for commands in found.commands)


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "1999-12-31", "2100-01-01"])
def test_a_day_at_the_end_of_the_calendar_is_refused_in_words(text: str) -> None:
    """The day before the first one, or the period after the last one, was no date: the assistant was told nothing."""
    with pytest.raises(WarehouseError, match=rf"^first {text}: must be from 2000-01-01 to 2099-12-31$"):
        days_of(text, text)


def test_a_cursor_of_too_many_digits_is_of_another_question() -> None:
    mark = Page({}, 1, 10, None).mark
    with pytest.raises(WarehouseError, match="cursor: is of another question"):
        Page({}, 1, 10, "9" * 5000 + f"-{mark}")
