"""The two jobs: what they hold, and that a launch takes one connection's part of them."""

from datetime import date

import dagster as dg
import pytest

from usage_assets.automation.jobs import PORT_SYNC_JOB, USAGE_JOB, build_jobs, port_sync_key, range_tags
from usage_assets.definitions import build_definitions
from usage_assets_tests.test_definitions import KEYS, PORT, settings_of


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    """The whole graph."""
    return build_definitions(settings_of(**KEYS, **PORT))


def test_every_asset_is_in_exactly_one_job(definitions: dg.Definitions) -> None:
    usage, push = (
        set(definitions.resolve_job_def(job).asset_layer.executable_asset_keys) for job in (USAGE_JOB, PORT_SYNC_JOB)
    )
    assert push == {port_sync_key("openai"), port_sync_key("anthropic")}
    assert usage | push == {spec.key for spec in definitions.resolve_all_asset_specs()}
    assert not usage & push


def test_the_usage_job_holds_the_checks_of_its_assets(definitions: dg.Definitions) -> None:
    graph = definitions.get_repository_def().asset_graph
    assert graph.asset_check_keys
    assert definitions.resolve_job_def(USAGE_JOB).asset_layer.asset_graph.asset_check_keys == graph.asset_check_keys


def test_jobs_run_in_one_process_as_long_as_nobody_says_otherwise(definitions: dg.Definitions) -> None:
    for job in (USAGE_JOB, PORT_SYNC_JOB):
        assert definitions.resolve_job_def(job).executor_def.name == "in_process"


def test_there_is_no_push_job_where_nothing_is_pushed() -> None:
    usage_keys = {"chatgpt": [dg.AssetKey(["chatgpt", "codex_usage"])]}
    assert [job.name for job in build_jobs(usage_keys, [])] == [USAGE_JOB]


def test_a_range_includes_both_of_its_days() -> None:
    assert range_tags(date(2026, 2, 28), date(2026, 3, 1)) == {
        "dagster/asset_partition_range_start": "2026-02-28",
        "dagster/asset_partition_range_end": "2026-03-01",
    }
