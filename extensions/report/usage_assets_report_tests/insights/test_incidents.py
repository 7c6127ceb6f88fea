"""Incidents: what happened once is one row, named by its smallest cause, in however many scopes it shows."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usage_assets.core.days import DAY
from usage_assets.models.insights import KEPT, AnomalyRow
from usage_assets_report.insights.alerts import of_anomalies
from usage_assets_report.insights.anomalies import odd_days, watched
from usage_assets_report.insights.incidents import Incident, Odd, Row, incidents
from usage_assets_report.insights.series import MEASURES, USD, Key
from usage_assets_report.statistics.series import Series
from usage_assets_report_tests.insights.company import EVERY, TEAMS, USERS, Company, User, found
from usage_assets_tests.fixtures import IS_NIGHT

TUESDAY = date(2026, 11, 10)
COMPANY = Company()


def of(*names: str) -> Callable[[User], bool]:
    """Whether a user is, or works in, one of these."""
    return lambda user: not {user.person, user.project, user.connection}.isdisjoint(names)


def causes(rows: Iterable[AnomalyRow]) -> set[tuple[str, str]]:
    """What the rows that were not retracted are about."""
    return {(row.kind, row.id) for row in rows if row.closed_on is None}


def only(rows: Sequence[AnomalyRow]) -> AnomalyRow:
    """The only row."""
    [row] = rows
    return row


ADA = COMPANY.times(8, [TUESDAY], of("ada"))


@pytest.fixture(scope="module")
def spike() -> AnomalyRow:
    """The incident of one key."""
    return only(found(ADA))


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"))


def billed(company: Company, days: Collection[date], whose: Callable[[User], bool]) -> Decimal:
    """Dollars, added up from the company's own numbers."""
    return sum((company.used[user, "usd", day] for user in company.users if whose(user) for day in days), Decimal(0))


def test_ordinary_weeks_have_none() -> None:
    assert found(COMPANY) == []


def test_one_key_that_spikes_is_one_incident_in_dollars_with_what_else_shows_it_as_evidence(spike: AnomalyRow) -> None:
    row, company = spike, ADA
    assert (row.kind, row.id, row.measure, row.what, row.is_open) == ("api_key", "key of ada", "usd", "spike", True)
    assert (row.first_day, row.last_day) == (TUESDAY, TUESDAY)
    assert row.actual == cents(billed(company, [TUESDAY], of("ada")))
    assert row.driver == "gpt, web, ada"
    tokens, requests, *dollars = str(row.evidence).split("; ")
    assert tokens.startswith("api_key key of ada 16,307,200 tokens instead of ")
    assert requests.startswith("api_key key of ada 16,304 requests instead of ")
    total = billed(company, [TUESDAY], lambda _: True)
    assert any(each.startswith(f"everything ${total:,.2f} instead of $7") for each in dollars)
    assert {each.partition(" $")[0] for each in dollars if "$" in each} == {
        "person ada", "project web", "team shop", "model gpt", "connection openai", "everything",
    }  # fmt: skip
    assert dollars[-1].endswith(" more")


def test_a_project_whose_people_rise_alike_is_one_incident_beside_another_one() -> None:
    company = COMPANY.times(8, [TUESDAY], of("web", "research"))
    assert causes(found(company)) == {("project", "web"), ("api_key", "key of dan")}


def test_everything_that_rises_alike_is_one_incident_of_everything() -> None:
    row = only(found(COMPANY.times(3, [TUESDAY])))
    assert (row.kind, row.measure) == ("all", "usd")
    assert "connection anthropic $" in str(row.evidence)


def test_a_pause_is_no_incident() -> None:
    for whose, measures in ((of("ada"), ("usd", "tokens", "requests")), (of("research"), ("tokens", "requests"))):
        assert found(COMPANY.times(0, [TUESDAY, TUESDAY + DAY], whose, measures)) == []


def test_a_connection_that_goes_silent_is_the_cause_of_all_that_is_gone_with_it() -> None:
    row = only(found(COMPANY.times(0, [TUESDAY], of("anthropic"))))
    assert (row.kind, row.id, row.measure, row.actual) == ("connection", "anthropic", "usd", Decimal(0))
    in_tokens = only(found(COMPANY.times(0, [TUESDAY], of("anthropic"), ("tokens", "requests"))))
    assert (in_tokens.kind, in_tokens.id, in_tokens.measure) == ("connection", "anthropic", "tokens")


def test_what_rises_and_what_falls_on_one_day_are_two_incidents() -> None:
    company = COMPANY.times(8, [TUESDAY], of("ada")).times(0, [TUESDAY], of("anthropic"))
    assert causes(found(company)) == {("api_key", "key of ada"), ("connection", "anthropic")}


def test_what_recurs_is_in_what_is_stored_and_in_what_is_expected() -> None:
    """Seats are stored and not searched: they neither hide the cause of a spike nor are they part of it."""
    company = COMPANY.times(8, [TUESDAY], of("ada"))
    seats = Decimal(5000)
    scopes = company.scopes()
    searched = scopes[USD]["all", ""]
    with_seats = replace(searched, amounts={**searched.amounts, TUESDAY: searched.amounts[TUESDAY] + seats})
    object.__setattr__(with_seats, "series", Series(dict(searched.amounts)))
    [plain], [odd] = [*odd_days(searched)], [*odd_days(with_seats)]
    assert odd.actual == plain.actual + seats
    assert odd.recurs == seats
    key = next(iter(odd_days(scopes[USD]["api_key", "key of ada"])))
    cells = [*cells_of(company, {key.key}), (TUESDAY, frozenset({("all", "")}), seats)]
    [incident] = incidents([odd, key], {USD: cells})
    assert (incident.cause, list(incident.evidence)) == (key, [odd])


def test_an_incident_keeps_its_id_when_its_cause_is_refined() -> None:
    first = only(found(COMPANY.times(8, [TUESDAY], of("web"))))
    company = COMPANY.times(8, [TUESDAY - DAY, TUESDAY], of("ada")).times(Decimal("1.1"), [TUESDAY], of("bob"))
    refined = only(found(company, [first]))
    assert (first.kind, refined.kind) == ("project", "api_key")
    assert (refined.incident, refined.first_day) == (first.incident, TUESDAY - DAY)
    whole = only(found(COMPANY.times(8, [TUESDAY]), [refined]))
    assert (whole.kind, whole.incident) == ("all", first.incident)
    keys = [alert.key for rows in ([first], [refined], [whole]) for alert in of_anomalies(rows)]
    assert keys == [first.incident] * 3, "it is posted once"


def test_an_old_incident_stays_as_it_was_and_a_retracted_one_goes(spike: AnomalyRow) -> None:
    old = msgspec.structs.replace(
        spike, is_open=False, first_day=TUESDAY - KEPT, last_day=TUESDAY - KEPT, incident="old"
    )
    retracted = msgspec.structs.replace(old, incident="retracted", closed_on=TUESDAY)
    assert found(COMPANY, [old, retracted]) == [old]


# Any company


@st.composite
def companies(draw: st.DrawFn) -> Company:
    """Weeks with a few events: who, what, when, how much."""
    company = Company(seed=draw(st.integers(1, 5)))
    for _ in range(draw(st.integers(1, 4))):
        subject = draw(st.sampled_from([USERS[0].person, "cleo", "web", "research", "ops", "openai", "anthropic"]))
        first = draw(st.sampled_from(EVERY[30:]))
        days = [first + DAY * n for n in range(draw(st.integers(1, 4)))]
        factor = draw(st.sampled_from(["0", "-3", "2.5", "6", "20"]))
        measures = draw(st.sampled_from([("usd",), ("tokens", "requests"), ("usd", "tokens", "requests")]))
        company = company.times(factor if measures == ("usd",) else factor.lstrip("-"), days, of(subject), measures)
    return company


def cells_of(company: Company, keys: Collection[Key], measure: str = "usd") -> list[Row]:
    """A company's rows by the scopes that they belong to, one for each user and day."""
    return [
        (day, frozenset({each for each in user.keys(TEAMS[user.project]) if each in keys or each[0] == "all"}), amount)
        for (user, name, day), amount in company.used.items()
        if name == measure and amount
    ]


def grouped(company: Company) -> tuple[list[Odd], Sequence[Incident]]:
    """All odd scopes, and the incidents that they are."""
    scopes = company.scopes()
    odd = [each for of_it in scopes.values() for scope in watched(of_it.values()) for each in odd_days(scope)]
    keys = {each.key for each in odd}
    rows = {measure: cells_of(company, keys, measure.name) for measure in MEASURES}
    return odd, incidents(odd, rows)


@settings(max_examples=10 if IS_NIGHT else 4, deadline=None)
@given(companies())
def test_no_row_counts_for_two_incidents_of_one_direction(company: Company) -> None:
    """Each odd scope belongs to one at most, and a pause is none."""
    odd, groups = grouped(company)
    members = [each for incident in groups for each in (incident.cause, *incident.evidence)]
    assert len(members) == len({*members}) <= len(odd)
    counted: set[tuple[User, date, int]] = set()
    for incident in groups:
        if not incident.cause.actual:
            evidence = (incident.cause, *incident.evidence)
            assert any(each.measure is USD or each.scope.kind == "connection" for each in evidence)
        cause = incident.cause
        those = [user for user in company.users if cause.key in user.keys(TEAMS[user.project])]
        excess = Decimal(0)
        for day, others in cause.usual:
            for user in (user for user in those if (user, day, cause.sign) not in counted):
                excess += company.used[user, cause.measure.name, day]
                excess -= sum((company.used[user, cause.measure.name, other] for other in others), Decimal(0)) / len(
                    others
                )
        assert abs(excess - incident.excess) < Decimal("1e-9")
        assert excess * cause.sign > 0
        counted |= {(user, day, cause.sign) for user in those for day in incident.days}
