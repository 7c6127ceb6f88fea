"""Whatever is fetched, restated, refused, cut or killed, in any order: every stored day is what the provider said last.

A state machine (hypothesis) plays with a few days of two endpoints and two connections: the real client over HTTP, the
real warehouse on a real file. It calls what a raw asset calls, without Dagster: a run of it takes half a second, and
end_to_end/ shows that runs do the same. ``USAGE_EXAMPLES=5000`` plays that many games, with other luck each time, and
looks for the shortest game that fails.
"""

import json
import logging
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from usage_assets.core.days import Window, windows
from usage_assets.core.schema import declared
from usage_assets.fetching.control_totals import fetch_with_totals
from usage_assets.fetching.transport import ProviderError
from usage_assets.models.comparisons import control_query
from usage_assets.providers.endpoint import Endpoint
from usage_assets.warehouse.checks import check_failures, differences
from usage_assets.warehouse.looks import changed_days
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch, Version, WarehouseError
from usage_assets_sandbox.ledger import CHANGES
from usage_assets_tests.fetching.conftest import ENDPOINTS, KEYS, PATHS, client_of
from usage_assets_tests.fixtures import IS_NIGHT, Sandbox
from usage_assets_tests.providers.units import UNITS
from usage_assets_tests.stateful.books import WORKSPACE, Books, Content, content
from usage_assets_tests.stateful.faults import FAILURES, NO_FAULT, OBSTACLES, Attempt, Fault
from usage_assets_tests.stateful.files import Moment, WarehouseFile

GAMES = (
    ("openai/costs", "openai/usage_images"),
    ("anthropic/cost_report", "anthropic/claude_code"),
    ("chatgpt/codex_usage", "openai/usage_vector_stores"),
)
"""Endpoints of every shape of answer. With more than two in a game, hardly a day would be met twice."""
CONNECTIONS = ("first", "second")
NOW = datetime(2025, 12, 12, 8, tzinfo=UTC)
DAYS = [date(2025, 12, 4) + timedelta(days=n) for n in range(4)]
"""Costs are grouped by API key from the third on."""
SEED = 42106
"""A company that gives each provider a day with nothing among DAYS, and Codex one with a workspace's row only."""
IS_LONG = "USAGE_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("USAGE_EXAMPLES", "144" if IS_NIGHT else "24"))
LUCKS = 3 if IS_NIGHT else 1
"""Three times eight games differ more than 24 at once: after ten, hypothesis mostly varies those it has played."""
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of nothing."""

Key = tuple[str, str, date]
"""Table, connection, day."""


class Restatement(NamedTuple):
    """A change of the provider's books: of the n-th of the days that are asked for, and round again."""

    n: int
    change: str
    factor: int


class Question(NamedTuple):
    """What is asked for, in which portions, and what the provider restates just before."""

    of_second_endpoint: bool
    connection: str
    first: int
    length: int
    window_days: int
    small_pages: bool
    restatements: Sequence[Restatement]

    @property
    def days(self) -> list[date]:
        """The days that are asked for."""
        return DAYS[self.first :][: self.length]


class RequestRecord(NamedTuple):
    """An answer that is not stored yet."""

    table: Table
    target: Slice
    answer: Batch
    truth: Mapping[Key, Content]
    """What must be stored of it."""
    asked_at: int
    """How many writes there had been."""


class Stored(NamedTuple):
    """What a day of a table must hold, and what the ledger must say of it."""

    rows: Content
    version: int
    changed: bool
    run_id: str
    changed_run_id: str
    written_at: int


RESTATEMENTS = st.builds(
    Restatement, n=st.integers(0, len(DAYS) - 1), change=st.sampled_from(CHANGES), factor=st.sampled_from((2, 0))
)
QUESTIONS = st.builds(
    Question,
    of_second_endpoint=st.booleans(),
    connection=st.sampled_from((*CONNECTIONS, CONNECTIONS[0])),
    first=st.integers(0, len(DAYS) - 1),
    length=st.integers(1, len(DAYS)),
    window_days=st.integers(1, 3),
    small_pages=st.booleans(),
    restatements=st.lists(RESTATEMENTS, max_size=2),
)


class WarehouseAndTruth(RuleBasedStateMachine):
    """Two endpoints of two connections, a warehouse file, and what it must hold."""

    def __init__(self, sandbox: Sandbox, names: Sequence[str]) -> None:
        super().__init__()
        self.sandbox, self.names = sandbox, names
        self.sandbox.control("POST", "reset", {"seed": SEED, "now": NOW.isoformat()})
        self.books = Books(SEED, NOW)
        self.folder = TemporaryDirectory()
        self.file = WarehouseFile(Path(self.folder.name) / "usage.duckdb")
        self.stored: dict[Key, Stored] = {}
        self.before: dict[Key, tuple[Content, str]] = {}
        self.writes = 0
        self.is_checked = True

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.file.close()
        self.folder.cleanup()

    @rule(question=QUESTIONS, run_days=st.integers(1, len(DAYS)))
    def fetch(self, question: Question, run_days: int) -> None:
        """Fetch days, in one run or in several."""
        self.restate(question)
        for run in windows(question.days, run_days):
            self.write(self.ask(question._replace(first=DAYS.index(run.first), length=len(run.days))))

    @rule(question=QUESTIONS)
    def look(self, question: Question) -> None:
        """Fetch days as a schedule does: what is equal to what is stored is noted and not written again."""
        self.restate(question)
        asked = self.ask(question)
        changed = {
            key[-1] for key, rows in asked.truth.items() if key not in self.stored or rows != self.stored[key].rows
        }
        self.is_checked = False
        self.writes += 1
        announced = {
            line["usage_date"]: line["content_hash"]
            for (table, connection, _), line in self.ledger().items()
            if (table, connection) == (asked.table.name, question.connection)
        }
        warehouse, run_id = self.file.warehouse, f"run {self.writes}"
        left = changed_days(warehouse, asked.table, asked.answer, asked.target, announced, run_id)
        assert {*left} == changed
        for window in windows(left, len(DAYS)):
            part = Slice(question.connection, window.first, window.last)
            warehouse.replace(asked.table, asked.answer.of(window.days), part, run_id)
        self.remember(asked)

    @rule(question=QUESTIONS, data=st.data())
    def fetch_over_obstacles(self, question: Question, data: st.DataObject) -> None:
        """Fetch days although something goes wrong."""
        self.fetch_while(OBSTACLES, question, data)

    @rule(question=QUESTIONS, data=st.data())
    def fetch_and_fail(self, question: Question, data: st.DataObject) -> None:
        """Fetch days while something goes wrong that cannot be overcome."""
        self.fetch_while(FAILURES, question, data)

    @rule(question=QUESTIONS, moment=st.sampled_from(Moment) | st.integers(1, 60), abruptly=st.booleans())
    def fetch_and_die(self, question: Question, moment: Moment | int, abruptly: bool) -> None:
        """Fetch days with a process that dies while it writes them: its commit decides whether it ever did."""
        self.restate(question)
        asked = self.ask(question)
        if self.file.killed_at(moment, partial(self.replace, asked), abruptly=abruptly):
            self.remember(asked)

    @rule(question=QUESTIONS, overtaking=QUESTIONS)
    def fetch_and_be_overtaken(self, question: Question, overtaking: Question) -> None:
        """Fetch days, but write them after another run: what is older than what is stored is refused, unless equal."""
        overtaking = overtaking._replace(of_second_endpoint=question.of_second_endpoint, connection=question.connection)
        late = self.ask(question)
        self.restate(overtaking)
        self.write(self.ask(overtaking))
        stored = {key: self.stored[key] for key in late.truth.keys() & self.stored.keys()}
        if any(held.written_at > late.asked_at and held.rows != late.truth[key] for key, held in stored.items()):
            with pytest.raises(WarehouseError, match="stored a newer answer while this one was fetched"):
                self.replace(late)
        else:
            self.write(late)

    @rule(day=st.sampled_from(DAYS))
    def reopen(self, day: date) -> None:
        """Read the file from the disk again: nothing contradicts itself, and a day that is up to date its provider."""
        self.file.reopen()
        self.is_checked = False
        truth = self.sandbox.control("GET", "truth", start=str(day), end=str(day))["days"]
        ledger = self.ledger()
        for name, connection in product(self.names, CONNECTIONS):
            provider, endpoint = ENDPOINTS[name]
            table, every_day = Table(endpoint.row), Slice(connection, DAYS[0], DAYS[-1])
            if table.name in self.file.tables():
                assert not check_failures(self.file.held, table, None, every_day)
                if endpoint.control:
                    query = control_query(endpoint.row, endpoint.control)
                    assert not differences(self.file.held, query, every_day)
            key = (table.name, connection, day)
            if key in self.stored and self.stored[key].rows == self.books.stored(name, day, endpoint.group_by):
                totals = json.loads(ledger[key]["day_totals"])
                for unit, total in UNITS[name].items():
                    stated = truth[provider.name][unit].get(str(day), 0)
                    assert Decimal(totals.get(total) or 0) == Decimal(stated), f"{total} of {key}"

    @precondition(lambda self: not self.is_checked)
    @invariant()
    def every_day_is_what_was_answered_last(self) -> None:
        """Tables and ledger hold what they must, to the last row, and nothing contradicts itself."""
        self.is_checked = True
        tables = {table for table, _, _ in self.stored}
        assert {table for table in self.file.tables() if not table.startswith("ledger.")} == tables
        rows: defaultdict[Key, list[dict[str, Any]]] = defaultdict(list)
        hashes = dict.fromkeys(self.stored, EMPTY)
        for table in map(Table, map(declared, sorted(tables))):
            for row in self.file.read(f"select * from {table.name}"):
                rows[table.name, row["connection"], row["usage_date"]].append(row)
            for row in self.file.read(
                f"select connection, usage_date, {table.content_hash} as digest from {table.name} group by all"
            ):
                hashes[table.name, row["connection"], row["usage_date"]] = row["digest"]
        found = {key: content(stored) for key, stored in rows.items()}
        assert found == {key: stored.rows for key, stored in self.stored.items() if stored.rows}

        ledger = self.ledger()
        assert ledger.keys() == self.stored.keys()
        for key, stored in self.stored.items():
            line = ledger[key]
            assert (line["version"], line["changed"], line["run_id"]) == (stored.version, stored.changed, stored.run_id)
            assert (line["changed_run_id"], line["row_count"]) == (stored.changed_run_id, stored.rows.total())
            assert line["content_hash"] == hashes[key]
            rows_before, hash_before = self.before.get(key, (None, None))
            assert (hashes[key] != hash_before) == (stored.rows != rows_before)
        self.before = {key: (stored.rows, hashes[key]) for key, stored in self.stored.items()}

    def restate(self, question: Question) -> None:
        """Let the provider change days that are going to be asked for. Other connections may hold them, too."""
        provider, endpoint = (name := self.name(question)).split("/")
        for n, change, factor in question.restatements:
            day = question.days[n % len(question.days)]
            what = {"provider": provider, "endpoint": endpoint, "change": change, "factor": factor}
            answer = self.sandbox.control("POST", "restate", {**what, "days": [str(day)]})
            assert answer["changed"] == {endpoint: {str(day): self.books.restate(name, day, change, factor)}}

    def fetch_while(self, faults: Mapping[str, Fault], question: Question, data: st.DataObject) -> None:
        """Fetch days while a fault is set: it must fail of it, or store the truth in spite of it."""
        provider, endpoint = ENDPOINTS[name := self.name(question)]
        fault = faults[data.draw(st.sampled_from([fault for fault in faults if faults[fault].where(endpoint)]))]
        question = question._replace(small_pages=question.small_pages and fault.any_pages)
        path = endpoint.path.format(workspace_id=WORKSPACE)
        self.restate(question)
        self.sandbox.faults({"route": f"GET /{PATHS[provider.name]}/{path}", **fault.at(name)})
        try:
            self.write(self.ask(question, fault))
        except (ProviderError, WarehouseError):
            failed = True
        else:
            failed = False
        [happened] = self.sandbox.control("GET", "faults")["faults"]
        self.sandbox.mend()
        first_window = self.windows(question)[0]
        attempt = Attempt(
            first_window=first_window,
            has_second_page=question.small_pages and len(first_window.days) > 1,
            has_rows=any(self.books.rows(name, day) for day in question.days),
            fired=happened["fired"],
        )
        assert failed == fault.fails(attempt)

    def name(self, question: Question) -> str:
        """The endpoint that is asked, as in ENDPOINTS."""
        return self.names[question.of_second_endpoint]

    def endpoint(self, question: Question) -> Endpoint:
        """The endpoint that is asked, with windows and pages of the wanted size."""
        _, endpoint = ENDPOINTS[self.name(question)]
        small = {"limit": "1" if endpoint.bucket_per_day else "7"} if question.small_pages else {}
        window_days = min(endpoint.window_days, question.window_days)
        return replace(endpoint, window_days=window_days, params={**endpoint.params, **small})

    def windows(self, question: Question) -> list[Window]:
        """The windows that the days are asked for in."""
        return windows(question.days, self.endpoint(question).window_days)

    def truth(self, question: Question, fault: Fault) -> dict[Key, Content]:
        """What must be stored of the answer."""
        name, endpoint = self.name(question), self.endpoint(question)
        first_window = self.windows(question)[0]
        truth: dict[Key, Content] = {}
        for day in question.days:
            dropped = fault.drops if first_window.days == [day] else ()
            rows = self.books.stored(name, day, endpoint.group_by, dropped)
            truth[endpoint.row.table, question.connection, day] = rows
            if endpoint.control:
                truth[endpoint.control.row.table, question.connection, day] = self.books.control(name, day)
        return truth

    def ask(self, question: Question, fault: Fault = NO_FAULT) -> RequestRecord:
        """Fetch days as a raw asset does; one window after the other, so that a game can be played again."""
        provider, _ = ENDPOINTS[self.name(question)]
        endpoint, days = self.endpoint(question), question.days
        client = client_of(
            provider,
            connection=question.connection,
            key=KEYS[provider.name],
            base_url=f"{self.sandbox.base_url}/{PATHS[provider.name]}",
            ids={"workspace_id": WORKSPACE},
            concurrency=1,
            requests_per_second=1000,
            attempts=2,
            base_delay=0.001,
        )
        began = datetime.now(UTC)
        with client:
            fetched = fetch_with_totals(client, endpoint, days)
        answer = Batch(
            rows=fetched.rows,
            began=began,
            control=(Table(endpoint.control.row), fetched.totals) if endpoint.control else None,
        )
        target = Slice(question.connection, days[0], days[-1])
        return RequestRecord(Table(endpoint.row), target, answer, self.truth(question, fault), self.writes)

    def replace(self, asked: RequestRecord) -> list[Version]:
        """Store an answer as the IO manager does."""
        self.is_checked = False
        self.writes += 1
        return self.file.warehouse.replace(asked.table, asked.answer, asked.target, f"run {self.writes}")

    def write(self, asked: RequestRecord) -> None:
        """Store an answer and expect it from now on. What the IO manager learns of it goes to the days' events."""
        versions = self.replace(asked)
        self.remember(asked)
        assert [version.day for version in versions] == asked.target.days
        for version in versions:
            stored = self.stored[asked.table.name, asked.target.connection, version.day]
            assert (version.changed, version.changed_run_id) == (stored.changed, stored.changed_run_id)

    def remember(self, asked: RequestRecord) -> None:
        """Expect what the last write has committed."""
        run_id = f"run {self.writes}"
        for key, rows in asked.truth.items():
            before = self.stored.get(key)
            changed = before is None or before.rows != rows
            self.stored[key] = Stored(
                rows,
                version=before.version + 1 if before else 1,
                changed=changed,
                run_id=run_id,
                changed_run_id=run_id if before is None or changed else before.changed_run_id,
                written_at=self.writes,
            )

    def ledger(self) -> dict[Key, dict[str, Any]]:
        """What the ledger says of every day."""
        exists = "ledger.partition_versions" in self.file.tables()
        lines = self.file.read("select * from ledger.stored_days") if exists else []
        return {(line["table_name"], line["connection"], line["usage_date"]): line for line in lines}


@pytest.mark.timeout(600 + EXAMPLES)
@pytest.mark.parametrize("luck", range(LUCKS))
@pytest.mark.parametrize("names", GAMES, ids=" and ".join)
def test_every_stored_day_is_what_the_provider_said_last(
    names: tuple[str, str], luck: int, sandbox_process: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)  # thousands of retries would hide what failed
    machine = cast("type[WarehouseAndTruth]", partial(WarehouseAndTruth, sandbox_process, names))
    run_state_machine_as_test(
        machine if IS_LONG else seed(GAMES.index(names) * LUCKS + luck)(machine),
        settings=settings(
            max_examples=EXAMPLES // (LUCKS * len(GAMES)),
            stateful_step_count=6,
            database=None,
            report_multiple_bugs=False,
            phases=[Phase.generate, Phase.shrink] if IS_LONG else [Phase.generate],  # shrinking may take 5 minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
