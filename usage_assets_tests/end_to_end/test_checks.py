"""What the UI shows of the checks after healthy runs."""

from collections import Counter
from datetime import date

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionResolvedStatus as Status

from usage_assets_tests.conftest import last_days
from usage_assets_tests.end_to_end.conftest import Project


def statuses(project: Project, check: dg.AssetCheckSpec, days: list[date]) -> Counter[str]:
    """How many days of a check have which status; of a check without days, its one status."""
    shown = [(check.key, check.partitions_def)]
    state = project.instance.event_log_storage.get_asset_check_state(shown)[check.key]
    if check.partitions_def is None:
        return Counter(status.name for status, subset in state.subsets.items() if subset.value is True)
    keys = {str(day) for day in days}
    return Counter(
        {
            status.name: len(keys & set(subset.subset_value.get_partition_keys()))
            for status, subset in state.subsets.items()
        }
    )


def test_every_check_of_a_healthy_asset_says_something_about_every_day(project: Project) -> None:
    days = last_days(2)
    project.fetch_all(days)
    checks = project.definitions.get_repository_def().asset_checks_defs_by_key.values()
    specs = {
        spec.key: spec for each in checks for spec in each.check_specs if spec.asset_key in project.keys_of("usage")
    }
    assert specs
    for spec in specs.values():
        found = statuses(project, spec, days)
        said = found[Status.SUCCEEDED.name] + found[Status.FAILED.name]
        assert said == (len(days) if spec.partitions_def else 1), (spec.key, found)
        assert found[Status.SKIPPED.name] == 0, spec.key
