"""The jobs: what they hold, and that a launch takes one connection's part of them."""

import dagster as dg
import pytest

from usage_assets.automation.jobs import (
    COMPLETENESS_JOB,
    LOOKUPS_JOB,
    PORT_SYNC_JOB,
    REPORT_JOB,
    USAGE_JOB,
    build_jobs,
)
from usage_assets.build import build_definitions
from usage_assets.features.port.graph import (
    PORT_CONNECTION_JOB,
    PORT_RECONCILE_JOB,
)
from usage_assets_tests.snapshot import settings_of
from usage_assets_tests.test_definitions import KEYS, LOOKUPS, MERGED, PORT


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    """The whole graph."""
    return build_definitions(settings_of(**KEYS, **PORT))


JOBS = (USAGE_JOB, LOOKUPS_JOB, PORT_SYNC_JOB, PORT_CONNECTION_JOB, PORT_RECONCILE_JOB, REPORT_JOB)


def keys_of(definitions: dg.Definitions, job: str) -> set[dg.AssetKey]:
    """The assets of a job."""
    return set(definitions.resolve_job_def(job).asset_layer.executable_asset_keys)


def test_every_asset_is_in_exactly_one_job(definitions: dg.Definitions) -> None:
    assert {key.to_user_string() for key in keys_of(definitions, LOOKUPS_JOB)} == LOOKUPS
    for job in (PORT_SYNC_JOB, PORT_CONNECTION_JOB, PORT_RECONCILE_JOB):
        assert keys_of(definitions, job) == {dg.AssetKey([name, job]) for name in ("openai", "anthropic", "chatgpt")}
    in_jobs = [key for job in JOBS for key in keys_of(definitions, job)]
    assert len(in_jobs) == len(set(in_jobs))
    assert set(in_jobs) == {spec.key for spec in definitions.resolve_all_asset_specs()} - {dg.AssetKey(MERGED)}


def test_what_has_no_days_is_in_no_job_with_what_has(definitions: dg.Definitions) -> None:
    """In one job with the others it would be run again with every range of a backfill."""
    has_days = {spec.key: spec.partitions_def is not None for spec in definitions.resolve_all_asset_specs()}
    for job in JOBS:
        assert {has_days[key] for key in keys_of(definitions, job)} == {job in (USAGE_JOB, PORT_SYNC_JOB)}


def test_jobs_hold_the_checks_of_their_assets(definitions: dg.Definitions) -> None:
    graph = definitions.get_repository_def().asset_graph
    assert graph.asset_check_keys
    of_jobs = [
        definitions.resolve_job_def(job).asset_layer.asset_graph.asset_check_keys
        for job in (USAGE_JOB, LOOKUPS_JOB, COMPLETENESS_JOB, REPORT_JOB)
    ]
    assert set().union(*of_jobs) == graph.asset_check_keys
    assert {check.asset_key.to_user_string() for check in of_jobs[1]} == LOOKUPS
    assert {check.asset_key.to_user_string() for check in of_jobs[2]} == {MERGED}


def test_jobs_run_in_one_process_as_long_as_nobody_says_otherwise(definitions: dg.Definitions) -> None:
    for job in JOBS:
        assert definitions.resolve_job_def(job).executor_def.name == "in_process"


def test_there_is_no_job_of_lookups_or_pushes_where_there_are_none() -> None:
    codex = dg.AssetKey(["chatgpt", "codex_usage"])
    jobs = build_jobs([{USAGE_JOB: [codex], LOOKUPS_JOB: []}, {PORT_SYNC_JOB: []}])
    assert [job.name for job in jobs.values()] == [USAGE_JOB]
