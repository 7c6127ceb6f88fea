"""Which home an instance is of, and what it finds there."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance import InstanceRef

from usage_assets.local.home import CONFIGURATION


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of the project."""
    (tmp_path / "dagster.yaml").write_bytes(CONFIGURATION.read_bytes())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@dg.op
def nothing() -> None:
    """Succeed."""


@dg.job
def job() -> None:
    """Do nothing."""
    nothing()


def test_a_home_of_stock_dagster_keeps_its_runs_and_ticks(home: Path) -> None:
    configuration = home / "dagster.yaml"
    ours = configuration.read_text()
    configuration.write_text("telemetry: {enabled: false}")
    with dg.DagsterInstance.get() as instance:
        run_id = job.execute_in_process(instance=instance).run_id
    configuration.write_text(ours)
    with dg.DagsterInstance.get() as instance:
        assert [run.run_id for run in instance.get_runs()] == [run_id]
        assert {type(each).__module__ for each in (instance.run_storage, instance.schedule_storage)} == {
            "usage_assets.local.storages"
        }


def test_a_new_home_is_made_once_whoever_opens_it_at_the_same_time(home: Path) -> None:
    """Seen with three backfills: "table alembic_version already exists"."""

    def opened(_: int) -> int:
        with dg.DagsterInstance.get() as instance:
            return len(instance.get_runs()) + len(instance.all_instigator_state()) + len(instance.all_asset_keys())

    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(opened, range(4))] == [0, 0, 0, 0]


def test_without_dagster_home_the_folder_of_dagster_yaml_is_the_home_and_one_line_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """`dagster dev` then makes a temporary instance of the dagster.yaml in the current folder."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.chdir(home)
    caplog.set_level("INFO", "dagster.usage_assets")
    temporary = home / ".tmp_dagster_home"
    temporary.mkdir()
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(temporary), config_dir=str(home))) as instance:
        run_id = job.execute_in_process(instance=instance).run_id
    (said,) = (record.getMessage() for record in caplog.records if record.name == "dagster.usage_assets")
    assert said.startswith(f"DAGSTER_HOME is not set: runs, schedules and sensors are those of {home}, which holds")
    monkeypatch.chdir("/")  # other processes inherit what the first one has found
    with dg.DagsterInstance.get() as instance:
        assert [run.run_id for run in instance.get_runs()] == [run_id]
