"""Every private name of Dagster that this package uses; in modules here those that bring SQLAlchemy, psycopg2 or gRPC.

An upgrade of Dagster is checked here.

usage_assets_tests/test_dagster_internals.py says what each name must do, test_run_process.py those of run_process.py.
"""

from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.partitions.subset import PartitionsSubset
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
    EngineEventData,
    JobFailureData,
    RunFailureReason,
)
from dagster._core.execution.api import execute_run_iterator
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import GRPC_INFO_TAG, REPOSITORY_LABEL_TAG
from dagster._serdes import ConfigurableClassData
from dagster._utils.interrupts import capture_interrupts, pop_captured_interrupt
