"""Dagster after a clock was set back: what it noted has times to come, and its sensors wait for these."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from usage_assets.dagster_internals.storage import SensorInstigatorData

SET_BACK = (
    "is still to come: the clock was set back. Restart Dagster (make run, or usage-assets dev): until then, or until "
    "this time, sensors wait"
)
TOLERANCE = timedelta(minutes=2)
"""By which clocks of hosts may differ."""


def is_to_come(moment: datetime) -> bool:
    """Whether what was noted has not happened yet."""
    return moment > datetime.now(UTC) + TOLERANCE


def wake_sensors(instance: dg.DagsterInstance) -> int:
    """Let sensors go on that wait for a time to come; return how many.

    Schedules do not repeat days that they had already: what these lack is due.
    """
    now, woken = datetime.now(UTC).timestamp(), 0
    for state in instance.all_instigator_state():
        data = state.instigator_data
        if isinstance(data, SensorInstigatorData) and max(noted_by(data)) > now:
            tick, began = (min(at, now) for at in noted_by(data))
            data = data._replace(last_tick_timestamp=tick, last_tick_start_timestamp=began)
            instance.update_instigator_state(state.with_data(data))
            woken += 1
    return woken


def noted_by(sensor: SensorInstigatorData) -> tuple[float, float]:
    """When a sensor ticked last and began to: it does not tick before the later of these has passed."""
    return sensor.last_tick_timestamp or 0, sensor.last_tick_start_timestamp or 0
