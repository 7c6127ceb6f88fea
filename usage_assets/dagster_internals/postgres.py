"""Private names of Dagster's storages in PostgreSQL, which come with the extra ``postgres``."""

from dagster._core.storage.legacy_storage import CompositeStorage
from dagster_postgres.auth import PgTokenProvider
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from dagster_postgres.utils import (
    create_pg_connection,
    create_pg_engine,
    get_token_provider_from_config,
    pg_config,
    pg_url_from_config,
)
