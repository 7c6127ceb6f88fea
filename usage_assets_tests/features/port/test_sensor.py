"""The push sensor, tick by tick, over a real warehouse and a real instance. automation/daemon.py: what both share."""

from collections.abc import Callable, Collection, Iterator
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import dagster as dg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from usage_assets.assets.failures import failure
from usage_assets.automation.jobs import PORT_SYNC_JOB, range_tags
from usage_assets.core.days import Window
from usage_assets.features.port.catalog.sync import Acknowledged
from usage_assets.features.port.ledger import PortLedger
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import unpushed_days
from usage_assets.models.entities import all_entities, pushed_entities
from usage_assets.warehouse.slices import Slice
from usage_assets_tests.automation.daemon import (
    COSTS,
    Daemon,
    daemon,
    days,
    empty,
    folder,
    kept,
    openai,
    window_of,
)
from usage_assets_tests.fixtures import IS_NIGHT

__all__ = ["daemon", "empty", "folder", "kept"]

PORT = {"port_client_id": "id", "port_client_secret": "secret"}
DONE = "Port has every change"
WHOLE = "openai 2026-11-12..2026-11-19"
RELATION = """
[[port_relation]]
from = "user"
blueprint = "_user"
"""


STORED: dict[str, bytes] = {}
"""The database when eight days are stored, and when they are pushed."""


@pytest.fixture
def pushing(daemon: Daemon) -> Daemon:
    """A daemon whose sensor is the one that pushes; eight days of costs are stored, and what is derived from them."""
    daemon.sensor = "port_changed_partitions_sensor"
    daemon.load(openai(on=COSTS), **PORT)
    return having(daemon, "stored", lambda: daemon.store(days("12", "19")))


@pytest.fixture
def pushed(pushing: Daemon) -> Daemon:
    """The same daemon; Port has these days."""
    return having(pushing, "pushed", lambda: push(pushing, "openai", days("12", "19")))


def having(daemon: Daemon, what: str, do: Callable[[], object]) -> Daemon:
    """Do something to the database, or put there what that has left behind before."""
    if what in STORED:
        daemon.file.write_bytes(STORED[what])
    else:
        do()
        STORED[what] = daemon.file.read_bytes()
    return daemon


def ledger_of(pushing: Daemon, connection: str, window: Window) -> PortLedger:
    """The ledger of some days."""
    [configured] = [each for each in pushing.settings.connections() if each.name == connection]
    entities = pushed_entities(configured, all_entities(pushing.settings))
    target = Slice(connection, window.first, window.last)
    relations = pushing.settings.port_relations()
    return PortLedger(pushing.warehouse, "api.port.io/id", target, entities, relations=relations)


def push(pushing: Daemon, connection: str, window: Window, refused: Collection[date] = ()) -> int:
    """Push some days to a Port that takes everything, but what is of days that it refuses; return what was sent."""
    ledger = ledger_of(pushing, connection, window)
    changes = ledger.changes()
    upserts = [Acknowledged(e.blueprint, e.identifier, e.usage_date, e.content_hash()) for e in changes.upserts]
    ledger.mark([*upserts, *changes.deletes], "mark")
    taken = [line for line in upserts if line.usage_date not in refused]
    ledger.acknowledge(taken, changes.deletes, "mark")
    ledger.changes()
    return len(taken) + len(changes.deletes)


def pushes(pushing: Daemon) -> Iterator[tuple[dg.DagsterRun, str, Window]]:
    """The pushes under way: run, connection and days."""
    for run in pushing.under_way():
        if run.job_name == PORT_SYNC_JOB and (window := window_of(run.tags)):
            yield run, run.tags["usage_assets/connection"], window


def tell(pushing: Daemon, run: dg.DagsterRun, kind: dg.DagsterEventType) -> None:
    """Let a run begin or end."""
    pushing.instance.report_dagster_event(dg.DagsterEvent(kind.value, run.job_name), run.run_id)


def succeed(pushing: Daemon) -> int:
    """Let the pushes under way succeed; return how much they have sent."""
    sent = 0
    for run, connection, window in pushes(pushing):
        sent += push(pushing, connection, window)
        tell(pushing, run, dg.DagsterEventType.RUN_SUCCESS)
    return sent


def finish(pushing: Daemon) -> list[str]:
    """Tick and let every push succeed, until there is nothing more to do; return what was launched."""
    launched: list[str] = []
    while more := pushing.tick():
        launched += more
        succeed(pushing)
    return launched


def change(pushing: Daemon, *numbers: int) -> None:
    """Let days of November have other costs than before."""
    for number in numbers:
        day = date(2026, 11, number)
        pushing.amounts[day] = pushing.amounts.get(day, Decimal(1)) + 1
        pushing.store(Window(day, day))


def fail(pushing: Daemon, *refused: str, reason: str = "Port answered 503") -> None:
    """Let the pushes under way fail: as a whole, or because Port refuses something of these days."""
    for run, connection, window in pushes(pushing):
        if refused:
            push(pushing, connection, window, [*map(date.fromisoformat, refused)])
        pushing.refuse(run, dg.AssetKey([connection, "port_sync"]), failure(reason, map(date.fromisoformat, refused)))
        tell(pushing, run, dg.DagsterEventType.RUN_FAILURE)


def writing(pushing: Daemon, window: Window, connection: str = "openai") -> dg.DagsterRun:
    """A run of others that is about to write some days."""
    run = pushing.queue("usage", range_tags(window.first, window.last), [dg.AssetKey([connection, "costs"])])
    tell(pushing, run, dg.DagsterEventType.RUN_START)
    return run


# What is pushed


def test_what_is_stored_is_pushed_once(pushing: Daemon) -> None:
    assert pushing.tick() == [WHOLE]
    assert pushing.tick() == [], "one push of a connection at a time"
    assert (pushing.said or "").startswith("under way: openai 2026-11-12 to 2026-11-19; due: openai 8 days unpushed")
    (run,) = pushing.under_way()
    assert (run.job_name, run.asset_selection) == (PORT_SYNC_JOB, {dg.AssetKey(["openai", "port_sync"])})
    assert succeed(pushing) > 0
    assert (pushing.tick(), pushing.said) == ([], DONE)


def test_other_relations_make_the_days_of_their_blueprints_due(pushed: Daemon) -> None:
    pushed.load(openai(on=COSTS) + RELATION)
    because = {row.because for row in unpushed_days(pushed.warehouse, seeds_of(pushed.settings))}
    assert because == {"what its entities relate to has changed"}
    assert finish(pushed) == [WHOLE]
    pushed.load(openai(on=COSTS))
    assert finish(pushed) == [WHOLE], "also when it is taken back"
    pushed.load(openai(on=COSTS), port_client_id="other")
    assert pushed.tick() == [WHOLE], "another account gets everything"


# Company


def test_days_of_a_run_in_progress_wait_and_hold_up_no_others(pushing: Daemon) -> None:
    run = writing(pushing, days("16", "19"))
    assert finish(pushing) == ["openai 2026-11-12..2026-11-15"]
    tell(pushing, run, dg.DagsterEventType.RUN_FAILURE)
    assert finish(pushing) == ["openai 2026-11-16..2026-11-19"], "a failed run has written them, too"


def test_what_is_read_back_or_written_waits_an_hour_and_no_longer(
    pushing: Daemon,
) -> None:
    """A run of an hour was killed; reading back pushes what differs itself. For queued runs and others nobody waits."""
    writing(pushing, days("12", "19"))
    pushing.later(minutes=59)
    assert pushing.tick() == []
    pushing.later(minutes=2)
    run = pushing.queue("port_reconcile", {}, [dg.AssetKey(["openai", "port_reconcile"])])
    tell(pushing, run, dg.DagsterEventType.RUN_START)
    assert pushing.tick() == []
    tell(pushing, run, dg.DagsterEventType.RUN_SUCCESS)
    pushing.queue("usage", range_tags(date(2026, 11, 12), date(2026, 11, 19)), [dg.AssetKey(["openai", "costs"])])
    writing(pushing, days("12", "19"), "codex")
    assert pushing.tick() == [WHOLE]


def test_a_change_during_a_push_is_pushed_right_after_it(pushing: Daemon) -> None:
    assert pushing.tick() == [WHOLE]
    push(pushing, "openai", days("12", "19"))
    pushing.later(seconds=1)
    change(pushing, 14)
    pushing.end(dg.DagsterEventType.RUN_SUCCESS)
    assert pushing.tick() == ["openai 2026-11-14..2026-11-14"]


# Failures


def test_a_day_with_a_refused_entity_stands_alone_until_it_changes_or_a_person_pushes_it(
    pushing: Daemon,
) -> None:
    alone = ["openai 2026-11-14..2026-11-14"]
    assert pushing.tick() == [WHOLE]
    reason = "Port refused 1 entities: ai_cost_record 2026-11-14: it must be number"
    fail(pushing, "2026-11-14", reason=reason)
    assert pushing.tick() == []
    assert (pushing.said or "").startswith(f"will be tried again: openai 2026-11-14 ({reason})")
    change(pushing, 16)
    assert pushing.tick() == ["openai 2026-11-16..2026-11-16"], "it holds back no other"
    succeed(pushing)
    pushing.later(minutes=10)
    assert pushing.tick() == alone
    fail(pushing, "2026-11-14")
    assert pushing.tick() == []
    pushing.later(seconds=1)
    change(pushing, 14)
    assert pushing.tick() == alone, "it has changed"
    fail(pushing, "2026-11-14")
    push(pushing, "openai", days("14"))
    assert (pushing.tick(), pushing.said) == ([], DONE)


# Any order


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens between ticks, in any order: in the end, Port has every change."""

    def __init__(self, pushing: Daemon) -> None:
        super().__init__()
        self.daemon = pushing
        pushing.file.write_bytes(STORED["stored"])
        pushing.cursor = None
        pushing.end(dg.DagsterEventType.RUN_CANCELED)

    @rule()
    def one_tick(self) -> None:
        """The daemon's everyday."""
        self.daemon.tick()

    @rule()
    def a_daemon_that_died_before_it_saved_the_cursor(self) -> None:
        """The same cursor is evaluated twice."""
        saved = self.daemon.cursor
        self.daemon.tick()
        self.daemon.cursor = saved

    @rule(number=st.sampled_from([12, 13, 17]))
    def write(self, number: int) -> None:
        """A day changes."""
        self.daemon.later(seconds=1)
        change(self.daemon, number)

    @rule(number=st.sampled_from([12, 13, 17]))
    def die(self, number: int) -> None:
        """A push of a day is killed when it has marked what it sends."""
        ledger = ledger_of(self.daemon, "openai", days(f"{number}"))
        ledger.mark(ledger.read()[1], "dead")

    @rule(how=st.sampled_from([succeed, fail, lambda pushing: fail(pushing, "2026-11-13")]))
    def end(self, how: Callable[[Daemon], object]) -> None:
        """The push under way ends."""
        how(self.daemon)

    @rule(kind=st.sampled_from([dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_CANCELED]))
    def end_without_a_push(self, kind: dg.DagsterEventType) -> None:
        """A run ends, whatever it says of itself, and nothing was sent."""
        self.daemon.end(kind)

    @rule(cursor=st.sampled_from([None, "{"]))
    def lose_the_cursor(self, cursor: str | None) -> None:
        """Somebody resets it, or what is stored cannot be read."""
        self.daemon.cursor = cursor

    @rule(minutes=st.sampled_from([1, 15, 1500]))
    def wait(self, minutes: int) -> None:
        """Time goes by."""
        self.daemon.later(minutes=minutes)

    def teardown(self) -> None:
        """Let everything that is asked for succeed from now on."""
        for _ in range(4):
            finish(self.daemon)
            succeed(self.daemon)
            self.daemon.later(days=1)
        assert self.daemon.said == DONE
        ledger = ledger_of(self.daemon, "openai", days("12", "19"))
        assert ledger.read()[1]
        assert not ledger.changes()


def test_no_change_is_lost_whatever_happens_in_which_order(pushing: Daemon) -> None:
    game: Any = partial(AnyOrder, pushing)
    run_state_machine_as_test(
        game,
        settings=settings(
            max_examples=4 if IS_NIGHT else 2,
            stateful_step_count=12,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],  # shrinking takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
