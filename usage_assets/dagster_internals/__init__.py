"""Every private name of Dagster that this package uses; in modules here those that bring SQLAlchemy, psycopg2 or gRPC.

In a host, none is replaced or written to. ``docs/upstream.md`` says what may replace each. An upgrade of Dagster is
checked here: usage_assets_tests/test_dagster_internals.py says what each name must do, test_run_process.py those of
run_process.py.
"""

from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
