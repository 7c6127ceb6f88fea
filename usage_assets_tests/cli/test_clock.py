"""What the doctor says of Dagster after its clock was set back. Its sensors go on: local/test_clock.py."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
import time_machine
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._daemon.types import DaemonHeartbeat

from usage_assets.cli.doctor import _daemon, _instigator
from usage_assets.cli.findings import Finding, Level
from usage_assets_tests.conftest import NOW

A_DAY = timedelta(days=1)
LATER = "2026-11-20 08:00 UTC, is still to come: the clock was set back."
RESTART = "It gives the next one then, or when it is restarted (make run)"


def state_of(name: str, kind: InstigatorType, data: SensorInstigatorData | ScheduleInstigatorData) -> InstigatorState:
    """What Dagster's daemon notes of a sensor or schedule."""
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("usage_assets"), "__repository__")
    return InstigatorState(RemoteInstigatorOrigin(repository, name), kind, InstigatorStatus.RUNNING, data)


@pytest.fixture
def instance(tmp_path: Path) -> dg.DagsterInstance:
    """An instance whose daemon has just ticked a sensor and a schedule."""
    made, now = dg.DagsterInstance.local_temp(str(tmp_path)), NOW.timestamp()
    ticked = SensorInstigatorData(last_tick_timestamp=now, last_tick_start_timestamp=now, cursor="read up to here")
    for state in (
        state_of("due_days_sensor", InstigatorType.SENSOR, ticked),
        state_of("daily_usage_schedule", InstigatorType.SCHEDULE, ScheduleInstigatorData("0 6 * * *")),
    ):
        made.add_instigator_state(state)
        made.create_tick(
            TickData(
                state.instigator_origin_id,
                state.instigator_name,
                state.instigator_type,
                TickStatus.SKIPPED,
                now,
                selector_id=state.selector_id,
            )
        )
    made.add_daemon_heartbeat(DaemonHeartbeat(now, "SENSOR", "id", []))
    return made


def found(instance: dg.DagsterInstance) -> list[Finding]:
    """What the doctor says of the daemon, the schedule and the sensor."""
    states = {state.instigator_name: state for state in instance.all_instigator_state()}
    ticks = [
        _instigator(state.instigator_type.value.lower(), name, state, instance, by_code=True)
        for name, state in sorted(states.items())
    ]
    return [_daemon(instance), *ticks]


def test_the_doctor_names_times_to_come(instance: dg.DagsterInstance) -> None:
    with time_machine.travel(NOW + timedelta(seconds=30)):
        assert {each.level for each in found(instance)} == {Level.OK}
    with time_machine.travel(NOW - A_DAY):
        assert [(each.level, each.text) for each in found(instance)] == [
            (
                Level.WARN,
                f"its daemon's last sign of life, {LATER} {RESTART}",
            ),
            (
                Level.WARN,
                f"its last tick, {LATER} It ticks again after that, and what is not stored until then is due",
            ),
            (Level.OK, "is running, and has had nothing to do yet"),
        ]
