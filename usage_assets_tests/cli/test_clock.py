"""Dagster after its clock was set back: the doctor says so, and a start lets sensors go on."""

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
from dagster._daemon.sensor import get_elapsed
from dagster._daemon.types import DaemonHeartbeat

from usage_assets.cli.clock import wake_sensors
from usage_assets.cli.doctor import _daemon, _instigator
from usage_assets.cli.findings import Finding, Level
from usage_assets_tests.conftest import NOW

A_DAY = timedelta(days=1)
LATER = (
    "is still to come: the clock was set back. Restart Dagster (make run, or usage-assets dev): until then, or until "
    "this time, sensors wait"
)


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
    ticks = [_instigator("sensor", name, states[name], instance, by_code=True) for name in sorted(states)]
    return [_daemon(instance), *ticks]


def test_the_doctor_names_times_to_come(instance: dg.DagsterInstance) -> None:
    with time_machine.travel(NOW + timedelta(seconds=30)):
        assert {each.level for each in found(instance)} == {Level.OK}
    with time_machine.travel(NOW - A_DAY):
        assert [(each.level, each.text) for each in found(instance)] == [
            (Level.WARN, f"its daemon's last sign of life, 2026-11-20 08:00 UTC, {LATER}"),
            (Level.WARN, f"its last tick, 2026-11-20 08:00 UTC, {LATER}"),
            (Level.WARN, f"its last tick, 2026-11-20 08:00 UTC, {LATER}"),
        ]


def test_a_start_lets_sensors_tick_that_waited_for_a_time_to_come(instance: dg.DagsterInstance) -> None:
    """Dagster compares the seconds since the last tick with the pause between two: they are negative for a day."""

    def waited() -> float:
        [sensor] = instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
        assert isinstance(sensor.instigator_data, SensorInstigatorData)
        assert sensor.instigator_data.cursor == "read up to here"
        return get_elapsed(sensor) or 0

    with time_machine.travel(NOW - A_DAY, tick=False):
        assert waited() == -A_DAY.total_seconds()
        assert wake_sensors(instance) == 1
        assert waited() == 0
        assert wake_sensors(instance) == 0
