"""The tables of forecasts, anomalies and budgets. Each run replaces all of their rows."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Annotated

import duckdb

from usage_assets.core.days import counted
from usage_assets.core.schema import SeedRow, column
from usage_assets.warehouse.arrow import fetch_arrow

TOLD = timedelta(days=14)
"""An anomaly is open for this long. A shift whose new level stays lasts from then on."""
KEPT = timedelta(days=60)
"""How long after its last day an incident is computed anew, or kept if it was closed early. Port keeps incidents and
budgets for as long. Stored days are kept for longer (USAGE_RETENTION_MONTHS)."""

Kind = Annotated[
    str,
    column(
        "What the row is about: all, connection, provider, team, project (or workspace), model, person or api_key; "
        "of a budget or guardrail also workspace or user"
    ),
]
ScopeId = Annotated[str, column("Its id; empty for all", personal=True)]
ScopeName = Annotated[str, column("Its name", personal=True)]
of_kind = partial(column, within=("kind",), additive=False)
expected_usd = partial(of_kind, unit="USD", kind="expected")
billed_usd = partial(of_kind, unit="USD", kind="billed")
Low = Annotated[Decimal | None, expected_usd("Lower end of the range that holds four times out of five")]
High = Annotated[Decimal | None, expected_usd("Upper end of the range that holds four times out of five")]
Rates = Annotated[
    str | None,
    column("Exchange rates with which the days so far were valued in USD, in words; null: none were needed"),
]


class ForecastRow(SeedRow):
    """One row per scope (all, a connection or a team) and day to come, or that may still change: an estimate.

    From the first day of this quarter, or of the last month, to the end of this quarter. A day that is over is what is
    stored, times its usual growth. Everything is the sum of its connections.
    """

    table = "costs.forecast"
    grain = ("kind", "id", "usage_date")

    kind: Kind
    id: ScopeId
    name: ScopeName
    usage_date: Annotated[date, column("UTC day")]
    expected: Annotated[
        Decimal, expected_usd("Dollars expected for the day in the end: what is stored, and in cents what is to come")
    ]
    low: Low
    high: High
    made_on: Annotated[date, column("Day on which it was computed")]


class ForecastTotalRow(SeedRow):
    """One row per scope (all, a connection or a team) and month: billed so far, and expected for the whole month."""

    table = "costs.forecast_totals"
    grain = ("kind", "id", "month")

    kind: Kind
    id: ScopeId
    name: ScopeName
    month: Annotated[date, column("First day of the month")]
    settled: Annotated[Decimal, billed_usd("Billed on settled days (ledger.day_states)")]
    provisional: Annotated[Decimal, billed_usd("Billed so far on all other days")]
    expected: Annotated[
        Decimal | None, expected_usd("Dollars expected for the whole month; null: unknown, see expected_reason")
    ]
    low: Low
    high: High
    made_on: Annotated[date, column("Day on which it was computed")]
    expected_reason: Annotated[str | None, column("Why expected is null")] = None
    rates: Rates = None


class AnomalyRow(SeedRow):
    """One row per incident, named by its cause, or per day on which a guardrail was crossed."""

    table = "costs.anomalies"
    grain = ("kind", "id", "measure", "what", "first_day")

    kind: Kind
    id: ScopeId
    name: ScopeName
    measure: Annotated[str, column("usd, or a counter such as requests or tokens")]
    what: Annotated[str, column("spike, drop or shift; of a guardrail, its name")]
    first_day: Annotated[date, column("First day")]
    last_day: Annotated[date, column("Last day; of a shift, the last day of the new level")]
    actual: Annotated[
        Decimal, of_kind("What is stored, average per day; of a shift, of its first 14 days", unit="measure")
    ]
    expected: Annotated[Decimal, of_kind("Expected per day, or the limit of a guardrail", unit="measure")]
    low: Annotated[Decimal | None, of_kind("Lower end of ordinary days, 80 %; null: a guardrail", unit="measure")]
    high: Annotated[Decimal | None, of_kind("Upper end of ordinary days, 80 %; null: a guardrail", unit="measure")]
    score: Annotated[Decimal | None, column("Distance; null: a guardrail", unit="standard deviations", additive=False)]
    is_provisional: Annotated[bool, column("Whether a provider may still change one of its days")]
    is_open: Annotated[bool, column("Whether it is of the last two weeks and not closed")]
    driver: Annotated[str | None, column("What explains most of the difference", personal=True)]
    volume_usd: Annotated[Decimal | None, billed_usd("Part of the difference per day that comes from more or less use")]
    price_usd: Annotated[
        Decimal | None, billed_usd("Part of the difference per day that comes from another price per token")
    ]
    closed_on: Annotated[
        date | None,
        column(
            "First day on which it was not found: days were restated, or another one explains it; null: still found"
        ),
    ] = None
    incident: Annotated[
        str | None,
        column("Id of the incident. It stays the same while its days overlap and its cause changes; null: a guardrail"),
    ] = None
    evidence: Annotated[
        str | None,
        column("What else was odd because of it, per day, and what was expected; null: a guardrail", personal=True),
    ] = None
    lasts: Annotated[
        bool | None, column("Whether it is a shift whose new level is still that of its last stored day")
    ] = None

    @property
    def key(self) -> str:
        """What identifies the row from one run to the next: the incident, or the grain of a guardrail."""
        return self.incident or self.place

    @property
    def place(self) -> str:
        """The grain."""
        return " ".join(str(getattr(self, name)) for name in self.grain)

    @property
    def is_high(self) -> bool:
        """Whether it is more than expected."""
        return self.actual > self.expected


class DoubtRow(SeedRow):
    """One row per contradiction, connection and day: something says that what is billed on the day is wrong.

    A check of bills that is an error, or usage that another connection bills, too. No statement of its month is issued.
    """

    table = "costs.doubts"
    grain = ("check_name", "connection", "usage_date")

    check_name: Annotated[str, column("The check; same_usage: another connection stores the same use; billed_twice")]
    connection: Annotated[str, column("Connection")]
    usage_date: Annotated[date, column("UTC day")]
    text: Annotated[str, column("What is wrong", personal=True)]


class BudgetStatusRow(SeedRow):
    """One row per budget and period, and per purchase of credits: spent so far, and expected."""

    table = "costs.budget_status"
    grain = ("source", "kind", "id", "budget", "first_day")

    budget: Annotated[str, column("Name of the budget, or id of the purchase")]
    source: Annotated[str, column("budget: from the connections file; purchase: prepaid credits")]
    kind: Kind
    id: ScopeId
    first_day: Annotated[date, column("First day of the period")]
    last_day: Annotated[date, column("Last day of the period")]
    unit: Annotated[str, column("USD, another currency, or credits")]
    amount: Annotated[Decimal, of_kind("What may be spent in the period", unit="unit", kind="planned")]
    settled: Annotated[Decimal, of_kind("Spent on settled days (ledger.day_states)", unit="unit", kind="billed")]
    provisional: Annotated[Decimal, of_kind("Spent so far on all other days", unit="unit", kind="billed")]
    expected: Annotated[
        Decimal | None,
        of_kind("Expected at the end of the period; null: see expected_reason", unit="unit", kind="expected"),
    ]
    low: Annotated[Decimal | None, of_kind("Lower end of that, 80 %", unit="unit", kind="expected")]
    high: Annotated[Decimal | None, of_kind("Upper end of that, 80 %", unit="unit", kind="expected")]
    exhausted_on: Annotated[
        date | None,
        column(
            "Day on which stored amounts reached the amount, or a day to come on which it is expected; null: neither"
        ),
    ]
    thresholds: Annotated[str, column("Thresholds that were reached, with their days, such as `0.8 on 2026-11-17`")]
    has_costs: Annotated[
        bool | None,
        column(
            "Whether any cost of its scope and in its unit is stored, of the last 400 days. If not: is it misspelled, "
            "or is there no rate?"
        ),
    ] = None
    expected_reason: Annotated[str | None, column("Why expected is null")] = None
    rates: Rates = None
    doubts: Annotated[
        str | None, column("Contradictions of what is billed in the period (costs.doubts), with days; null: none")
    ] = None

    @property
    def subject(self) -> str:
        """What nothing else is called: two connections may have a purchase of one id, and a budget may be called so."""
        return self.budget if self.source == "budget" else f"{self.source} {self.id} {self.budget}"


REFRESH = "usage-assets report --refresh"
COMPUTED = "from ledger.statements where name = 'insights'"
CHANGED = "select max(written_at), count(*) from ledger.partition_versions where changed"


def state_of(database: duckdb.DuckDBPyConnection) -> str:
    """Return what insights depend on: the time of the last change, and how many there were; empty: nothing is stored.

    Of several hosts, one whose clock is behind may be the last to write, and a clock may have been set back.
    """
    newest, changes = database.execute(CHANGED).fetchall()[0]
    return f"{newest:%Y-%m-%dT%H:%M:%S.%f}/{changes}" if newest else ""


def behind_in_words(database: duckdb.DuckDBPyConnection) -> str | None:
    """Say that forecasts, anomalies and budgets are not those of what is stored; None if they are."""
    stored, now = fetch_arrow(database.execute(COMPUTED)).to_pylist(), state_of(database)
    if not now or any(each.get("read_state") == now for each in stored):  # an earlier release's has no such column
        return None
    state = "are not computed yet"
    for each in stored:
        state = f"are of {each['read_at']:%Y-%m-%d %H:%M} UTC, and what is stored has changed"
    how = f"Dagster computes them after runs (make run). To do it now: {REFRESH}"
    return f"forecasts, anomalies and budgets {state}. {how}"


def incidents_in_words(are_guardrails: Sequence[bool]) -> str:
    """Return how many incidents there are, and how many crossed guardrails, which are none: ``2 incidents, 1 crossed
    guardrail``."""
    crossed = sum(are_guardrails)
    counts = {"incident": len(are_guardrails) - crossed, "crossed guardrail": crossed}
    return ", ".join(counted(count, noun) for noun, count in counts.items() if count)
