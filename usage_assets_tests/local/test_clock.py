"""After a clock was set back, Dagster's own sensor daemon goes on in the storages of every home: deploy/ names them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from logging import getLogger
from pathlib import Path

import dagster as dg
import pytest
import time_machine
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.sensor import execute_sensor_iteration

from usage_assets.local.home import CONFIGURATION
from usage_assets_tests.fixtures import NOW
from usage_assets_tests.postgres import drop, instance_in, new_database

PAUSE = timedelta(seconds=30)
Open = Callable[[pytest.FixtureRequest], AbstractContextManager[dg.DagsterInstance]]


@dg.job
def nothing() -> None:
    """Do nothing."""


@dg.sensor(job=nothing, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def counts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Note in its cursor how often it was asked."""
    context.update_cursor(str(int(context.cursor or 0) + 1))
    return dg.SkipReason("nothing to do")


DEFINITIONS = dg.Definitions(jobs=[nothing], sensors=[counts])


@contextmanager
def in_files(request: pytest.FixtureRequest) -> Iterator[dg.DagsterInstance]:
    """An instance of a new home with our dagster.yaml."""
    home: Path = request.getfixturevalue("tmp_path")
    (home / "dagster.yaml").write_bytes(CONFIGURATION.read_bytes())
    request.getfixturevalue("monkeypatch").setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        yield instance


@contextmanager
def in_postgres(request: pytest.FixtureRequest) -> Iterator[dg.DagsterInstance]:
    """An instance in PostgreSQL."""
    database = new_database(request.getfixturevalue("postgres"), request.getfixturevalue("dagster_tables"))
    with instance_in(database) as instance:
        yield instance
    drop(database)


@pytest.mark.parametrize("opened", [in_files, in_postgres])
def test_a_sensor_whose_last_tick_is_to_come_ticks_and_then_as_often_as_before(
    opened: Open, request: pytest.FixtureRequest
) -> None:
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=__name__, attribute="DEFINITIONS")
    place = InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(target, location_name="here"))
    with opened(request) as instance, WorkspaceProcessContext(instance, place) as workspace:

        def ticks_at(moment: datetime) -> int:
            with time_machine.travel(moment, tick=False):
                assert [each for each in execute_sensor_iteration(workspace, getLogger(), None, None) if each] == []
            [state] = instance.all_instigator_state()
            assert state.sensor_instigator_data
            return int(state.sensor_instigator_data.cursor or 0)

        assert ticks_at(NOW) == 1
        assert ticks_at(NOW + PAUSE / 2) == 1
        a_day_before = NOW - timedelta(days=1)
        assert ticks_at(a_day_before) == 2
        assert ticks_at(a_day_before + PAUSE / 2) == 2
        assert ticks_at(a_day_before + PAUSE) == 3
