"""docs/faults.md is true, row by row: what a fault does, what is stored, and the line that a user reads."""

import logging
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

import dagster as dg
import pytest
import time_machine
from dagster._core.execution.plan.objects import UserFailureData

from usage_assets.assets.checks import build_checks
from usage_assets.assets.failures import DAYS as FAILED_DAYS
from usage_assets.assets.io_manager import UsageIOManager
from usage_assets.assets.location import Location
from usage_assets.assets.materializations import PREVIEW_BYTES
from usage_assets.assets.raw import Report, build_raw_asset
from usage_assets.assets.warehouse_resource import WarehouseResource
from usage_assets.automation.jobs import range_tags
from usage_assets.config.settings import Settings
from usage_assets.core.days import Window
from usage_assets.fetching.client import Client, FetchResult
from usage_assets.fetching.transport import PermanentError, ProviderError, TransientError
from usage_assets.providers.endpoint import Endpoint
from usage_assets.warehouse.database import Warehouse
from usage_assets_tests.fetching.conftest import DAY, KEYS, Answers
from usage_assets_tests.fetching.refusals import (
    CASES,
    TARGETS,
    TOKEN_REFUSED,
    Case,
    Change,
    Fault,
    Outcome,
    Rows,
    Target,
    places,
    table,
)
from usage_assets_tests.fixtures import NOW
from usage_assets_tests.models.days import one_a_line

STORED_DAYS = 4
LONGEST_LINE = 1000
"""Characters of anything that is logged or raised: a reason is cut to 500."""


def reads(case: Case, target: Target, message: str) -> bool:
    """Whether a message has one of the forms that the table gives: what stands in angle brackets may be anything."""
    forms = re.findall(r"`([^`]+)`", case.row.reads)
    known = {"<amount>": f".*{re.escape(target.said_amount)}"}
    return any(
        re.fullmatch("".join(known.get(part, ".+" if part[:1] == "<" else re.escape(part)) for part in parts), message)
        for parts in (re.split(r"(<[a-z ]+>)", form) for form in forms)
    )


def test_the_table_has_exactly_the_rows_that_are_proven_here() -> None:
    assert list(table()) == [case.name for case in CASES]


def test_the_table_says_what_is_stored(subtests: pytest.Subtests) -> None:
    """Where faults occur and what happens is read from it."""
    for case in CASES:
        with subtests.test(case.name):
            assert case.row.stored == case.stored
            assert case.where.targets


@dataclass(frozen=True)
class Trial:
    """A case at an endpoint."""

    case: Case
    target: Target
    answers: Answers

    @property
    def days(self) -> list[date]:
        """The days that are asked for."""
        return [DAY - timedelta(days=n) for n in range(self.case.days - 1, -1, -1)]

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint as it is asked."""
        return self.case.endpoint(self.target)

    @property
    def checks(self) -> list[str]:
        """The checks in which the user reads of it."""
        return re.findall(r"the check `(\w+)`", self.case.row.reads)

    @property
    def windows(self) -> list[Window]:
        """The parts of them that may be asked for at once."""
        return [Window(first, last) for first in self.days for last in self.days if first <= last]

    def client(self, **options: Any) -> Client:
        """A client that asks one thing after the other, so that the calls of a fault are those of its script."""
        return self.answers.new_client(self.target.provider, concurrency=1, **options)

    def fetch(self, **options: Any) -> FetchResult:
        """Ask, with these options of the client."""
        return self.client(**options).fetch(self.endpoint, self.days)

    def begin(self, calls: Sequence[int] | None) -> None:
        """Let the fault happen to these calls, or to all."""
        self.answers.sandbox.mend()
        fault: Fault = {**self.case.script(self.target), **({"calls": [*calls]} if calls else {})}
        self.answers.faults(self.target.provider, self.target.endpoint, fault)

    def fails(self, kind: type[ProviderError]) -> None:
        """The fetch raises one line, which says where, and what the table says."""
        with pytest.raises(ProviderError) as raised:
            self.fetch(**self.case.client)
        error, provider = raised.value, self.target.provider
        assert type(error) is kind
        place, _, line = error.message.removeprefix(f"{provider.name} {self.target.endpoint.name} ").partition(": ")
        assert place in {str(window) for window in self.windows}
        assert reads(self.case, self.target, line), f"not as the table says: {line}"
        assert "a web page" in line or provider.advice.get(error.status or 0, "") in line
        assert len(line) < LONGEST_LINE
        assert "\n" not in line
        assert KEYS[provider.name] not in repr(error)

    def passes(self, undisturbed: FetchResult) -> FetchResult:
        """The fault passes and has changed nothing."""
        self.begin(self.case.once)
        fetched = self.fetch(**{**self.case.client, **self.case.patience})
        assert rows_of(fetched) == rows_of(undisturbed)
        return fetched


def rows_of(fetched: FetchResult) -> list[str]:
    """Rows in an order of their own: that of pages and buckets means nothing."""
    return sorted(map(str, fetched.rows.to_pylist()))


def changed(undisturbed: FetchResult, fetched: FetchResult) -> Change:
    """What differs."""
    before, after = undisturbed.rows.to_pylist(), fetched.rows.to_pylist()
    return Change(fetched, _without(before, after), _without(after, before))


def _without(rows: Rows, others: Rows) -> Rows:
    left = Counter(map(str, others))
    left.subtract(map(str, rows))
    return [row for row in rows if left[str(row)] < 0]


def retried(trial: Trial, undisturbed: FetchResult, caplog: pytest.LogCaptureFixture) -> None:
    fetched = trial.passes(undisturbed)
    assert fetched.requests == undisturbed.requests
    assert fetched.retries == 1 or (fetched.retries > 1 and trial.case.patience)
    assert "Again in" in caplog.text
    trial.begin(trial.case.lasting)
    trial.fails(TransientError)


def read_again(trial: Trial, undisturbed: FetchResult, caplog: pytest.LogCaptureFixture) -> None:
    fetched = trial.passes(undisturbed)
    assert (fetched.retries, fetched.requests) == (2, undisturbed.requests), "a page in vain, and another answer"
    assert "Reading it again from its first page" in caplog.text
    trial.begin(trial.case.lasting)
    trial.fails(trial.case.raises)


def halved(trial: Trial, undisturbed: FetchResult, _caplog: pytest.LogCaptureFixture) -> None:
    fetched = trial.passes(undisturbed)
    queries = len(trial.endpoint.queries)
    assert (fetched.refused, fetched.requests, fetched.split_windows) == (1, queries, 1)
    trial.begin(trial.case.lasting)
    trial.fails(PermanentError)


def permanent(trial: Trial, _undisturbed: FetchResult, caplog: pytest.LogCaptureFixture) -> None:
    trial.begin(trial.case.lasting)
    trial.fails(trial.case.raises)
    assert "Again in" not in caplog.text


def refused(trial: Trial, _undisturbed: FetchResult, _caplog: pytest.LogCaptureFixture) -> None:
    """Whether it is wrong depends on what is stored: see what is stored."""
    trial.begin(trial.case.lasting)
    trial.fetch()


def accepted(trial: Trial, undisturbed: FetchResult, caplog: pytest.LogCaptureFixture) -> None:
    trial.begin(trial.case.lasting)
    fetched = trial.fetch()
    assert trial.case.kept.holds(trial.target, changed(undisturbed, fetched))
    assert bool(fetched.unknown_fields) == ("unknown_fields" in trial.checks)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def at_places(*, stored: bool) -> pytest.MarkDecorator:
    """Run a test for each case, with the endpoints that it is proven at."""
    names: dict[str, list[str]] = {}
    for case, name in places(stored=stored):
        names.setdefault(case.name, []).append(name)
    params = [pytest.param(case, names[case.name], id=case.name) for case in CASES if case.name in names]
    return pytest.mark.parametrize(("case", "names"), params)


PROOFS: Mapping[Outcome, Callable[[Trial, FetchResult, pytest.LogCaptureFixture], None]] = {
    Outcome.RETRIED: retried,
    Outcome.READ_AGAIN: read_again,
    Outcome.MOVED: read_again,
    Outcome.HALVED: halved,
    Outcome.PERMANENT: permanent,
    Outcome.LATE: permanent,
    Outcome.REFUSED: refused,
    Outcome.ACCEPTED: accepted,
}


@pytest.fixture(scope="module")
def known() -> dict[tuple[str, int, bool], FetchResult]:
    """What endpoints answer when nothing is wrong."""
    return {}


@at_places(stored=False)
def test_it_happens_as_the_table_says(
    answers: Answers,
    caplog: pytest.LogCaptureFixture,
    known: dict[tuple[str, int, bool], FetchResult],
    case: Case,
    names: Sequence[str],
    subtests: pytest.Subtests,
) -> None:
    for name in names:
        trial = Trial(case, TARGETS[name], answers)
        asked = (name, case.days, case.small_pages)
        if asked not in known:
            answers.sandbox.mend()
            known[asked] = trial.fetch()
        caplog.clear()
        with subtests.test(name):
            PROOFS[case.outcome](trial, known[asked], caplog)
            assert max((len(record.getMessage()) for record in caplog.records), default=0) < LONGEST_LINE


def test_a_response_cap_is_known_by_many_words() -> None:
    caps, others = (
        one_a_line("""
            The response is too large. Reduce the time range
            Result set too large
            Response would exceed the maximum size
            This query exceeds the maximum response size
            too many results
            Too many groups: at most 10000 rows
            Query returned more than 10000 rows
        """),
        one_a_line("""
            Limit must be less than or equal to 180.
            limit: Input should be less than or equal to 31
            limit: 366 exceeds the maximum of 180
            group_by[]: At most 5 dimensions are supported
            start_time must be within the last 90 days
            Usage and cost data are available for the past year. Earliest supported start date: 2025-11-20 (UTC).
        """),
    )
    for target in TARGETS.values():
        assert [text for text in (*caps, *others, TOKEN_REFUSED) if target.provider.too_large.search(text)] == caps


# --- What is stored ---------------------------------------------------------------------------------------------------


@cache
def defaults() -> Settings:
    """The settings of somebody who has set nothing."""
    return Settings.load(_env_file=None, **{n: field.get_default() for n, field in Settings.model_fields.items()})


@dataclass(frozen=True)
class Store:
    """Real runs of a raw asset: Dagster, the sandbox and a DuckDB file."""

    folder: Path
    instance: dg.DagsterInstance

    def path(self, target: Target) -> Path:
        """A file in which the endpoint's last days are stored as they are when nothing is wrong."""
        return self.folder / f"{target.provider.name}_{target.endpoint.name}.duckdb"

    def run(self, warehouse: Warehouse, trial: Trial) -> dg.ExecuteInProcessResult:
        """Materialize the trial's days."""
        settings = defaults()
        name, endpoint = trial.target.provider.name, trial.endpoint
        connection = replace(settings.connections()[0], name=name)
        client = partial(trial.client, **trial.case.client)
        report = Report(endpoint, trial.target.provider, connection, client, _no_replay, archive=None, shapes=dict)
        asset = build_raw_asset(report, Location(settings))
        return dg.materialize(
            [asset, *([build_checks(asset, endpoint.row, name)] if trial.checks else [])],
            instance=self.instance,
            resources={
                "warehouse": WarehouseResource.of(warehouse, publishes=False),
                "io_manager": UsageIOManager(database=warehouse.database),
            },
            tags=dict(range_tags(trial.days[0], trial.days[-1])),
            raise_on_error=False,
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Where runs happen."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Store(tmp_path_factory.mktemp("stored"), instance)


def _no_replay() -> NoReturn:
    raise AssertionError("nothing is read from an archive here")


def stored_rows(warehouse: Warehouse, trial: Trial) -> list[str]:
    """What is stored of the trial's days."""
    query = f"select * from {trial.endpoint.row.table} where usage_date between $first and $last"
    rows = warehouse.read(query, {"first": trial.days[0], "last": trial.days[-1]})
    return sorted(map(str, rows.to_pylist()))


def failure_of(result: dg.ExecuteInProcessResult) -> UserFailureData:
    """What is kept of a failed run."""
    [event] = [event for event in result.all_events if event.is_step_failure]
    failure = event.step_failure_data.user_failure_data
    assert failure is not None
    return failure


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[Path], Warehouse]]:
    """Makes a warehouse that is a copy of a file, which stays open: to open it each time is a third of most tests."""
    with ExitStack() as stack:

        def copied(file: Path) -> Warehouse:
            warehouse = Warehouse(database=str(tmp_path / file.name))
            shutil.copy(file, warehouse.database)
            stack.enter_context(warehouse.get_connection())
            return warehouse

        yield copied


@at_places(stored=True)
def test_it_is_stored_as_the_table_says(
    answers: Answers,
    store: Store,
    opened: Callable[[Path], Warehouse],
    case: Case,
    names: Sequence[str],
    subtests: pytest.Subtests,
) -> None:
    for name in names:
        trial = Trial(case, TARGETS[name], answers)
        answers.sandbox.mend()
        warehouse = opened(_prepared(store, trial))
        with subtests.test(name):
            _is_stored(trial, store, warehouse)


def _is_stored(trial: Trial, store: Store, warehouse: Warehouse) -> None:
    case = trial.case
    trial.begin(case.lasting)
    if case.outcome is Outcome.ACCEPTED:
        expected = rows_of(trial.fetch())
        trial.begin(case.lasting)
        result = store.run(warehouse, trial)
        assert result.success
        assert stored_rows(warehouse, trial) == expected
        warned = [check for check in result.get_asset_check_evaluations() if not check.passed]
        assert [check.check_name for check in warned] == trial.checks
        assert all(check.metadata["fields"].value for check in warned)
        # What is kept in events is small, whatever was sent.
        shown = [event.materialization.metadata for event in result.get_asset_materialization_events()]
        shown += [check.metadata for check in result.get_asset_check_evaluations()]
        for metadata in shown:
            assert len(str({name: value.value for name, value in metadata.items()})) < PREVIEW_BYTES + LONGEST_LINE
    else:
        before = stored_rows(warehouse, trial)
        assert before
        result = store.run(warehouse, trial)
        assert result.success is (case.outcome is Outcome.LATE)
        assert stored_rows(warehouse, trial) == before
        assert not result.get_asset_materialization_events()
        if case.outcome is Outcome.LATE:
            late = warehouse.read("select usage_date, reason from ledger.late_days order by all").to_pylist()
            assert {row["usage_date"] for row in late} == {*trial.days}
            assert reads(case, trial.target, late[0]["reason"].partition(": ")[2])
            return
        failure = failure_of(result)
        line = str(failure.description)
        said = line if case.outcome is Outcome.REFUSED else line.partition(": ")[2]
        assert reads(case, trial.target, said), f"not as the table says: {line}"
        if case.outcome is not Outcome.REFUSED:
            failed_days = failure.metadata[FAILED_DAYS].value if FAILED_DAYS in failure.metadata else []
            assert isinstance(failed_days, list)
            assert {*failed_days} <= {*map(str, trial.days)}
            assert bool(failed_days) != case.name.startswith("429")


def _prepared(store: Store, trial: Trial) -> Path:
    """A file with the days of the trial, stored an hour ago."""
    path = store.path(trial.target)
    if not path.exists():
        plain = replace(trial, case=replace(trial.case, days=STORED_DAYS, small_pages=False, client={}))
        with time_machine.travel(NOW - timedelta(hours=1)):
            assert store.run(Warehouse(database=str(path)), plain).success
    return path
