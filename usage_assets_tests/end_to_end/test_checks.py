"""What the UI shows of the checks after healthy runs."""

from dataclasses import replace

from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionResolvedStatus as Status

from usage_assets_tests.conftest import last_days
from usage_assets_tests.end_to_end.conftest import Project


def test_every_check_of_a_healthy_asset_passes_or_warns_and_none_is_skipped(project: Project) -> None:
    replace(project, checks=True).fetch_all(last_days(2))
    keys = project.definitions.get_repository_def().asset_graph.asset_check_keys
    shown = [(key, None) for key in keys if key.asset_key in project.keys_of("usage")]
    assert shown
    for key, state in project.instance.event_log_storage.get_asset_check_state(shown).items():
        [status] = [status for status, subset in state.subsets.items() if subset.value is True]
        assert status in (Status.SUCCEEDED, Status.FAILED), key
