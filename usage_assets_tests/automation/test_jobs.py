"""The jobs: which assets and checks they hold."""

import dagster as dg
import pytest

from usage_assets.automation.jobs import (
    COMPLETENESS_JOB,
    LOOKUPS_JOB,
    PORT_SYNC_JOB,
    USAGE_JOB,
)
from usage_assets.build import build_definitions
from usage_assets.features.port.graph import (
    PORT_CONNECTION_JOB,
    PORT_RECONCILE_JOB,
)
from usage_assets_tests.alone import core_alone
from usage_assets_tests.graphs import KEYS, LOOKUPS, MERGED, PORT
from usage_assets_tests.snapshot import settings_of


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    """The core's whole graph."""
    with core_alone():
        return build_definitions(settings_of(**KEYS, **PORT))


JOBS = (USAGE_JOB, LOOKUPS_JOB, PORT_SYNC_JOB, PORT_CONNECTION_JOB, PORT_RECONCILE_JOB)


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


def test_jobs_hold_the_checks_of_their_assets(definitions: dg.Definitions) -> None:
    graph = definitions.get_repository_def().asset_graph
    assert graph.asset_check_keys
    of_jobs = [
        definitions.resolve_job_def(job).asset_layer.asset_graph.asset_check_keys
        for job in (USAGE_JOB, LOOKUPS_JOB, COMPLETENESS_JOB)
    ]
    assert set().union(*of_jobs) == graph.asset_check_keys
    assert {check.asset_key.to_user_string() for check in of_jobs[1]} == LOOKUPS
    assert {check.asset_key.to_user_string() for check in of_jobs[2]} == {MERGED}
