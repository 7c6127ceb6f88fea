"""Stores data with an earlier release: its code is on the path, its configuration in the environment.

Run by ``test_upgrades.py`` in a process of its own. Whatever moved between the releases is looked for in both places.
"""

import sys
from datetime import date, datetime, timedelta
from importlib import import_module

import dagster as dg
import time_machine


def store(now: datetime, first: date, last: date, *jobs: str) -> None:
    """Look up, fetch and push the days with every connection, or run the jobs that are named."""
    automation = import_module("usage_assets.automation.jobs")
    try:
        settings = import_module("usage_assets.settings").Settings
        build = import_module("usage_assets.definitions").build_definitions
    except ImportError:
        settings = import_module("usage_assets.config.settings").Settings
        build = import_module("usage_assets.build").build_definitions
    with time_machine.travel(now), dg.DagsterInstance.ephemeral() as instance:
        definitions = build(settings.load(_env_file=None))
        for name in jobs or (automation.LOOKUPS_JOB, automation.USAGE_JOB, automation.PORT_SYNC_JOB):
            job = definitions.resolve_job_def(name)
            keys = job.asset_layer.executable_asset_keys
            for connection in sorted({key.path[0] for key in keys if len(key.path) > 1}):
                job.execute_in_process(
                    instance=instance,
                    asset_selection=[key for key in keys if key.path[0] == connection],
                    tags={} if name == automation.LOOKUPS_JOB else automation.range_tags(first, last),
                    run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
                )


if __name__ == "__main__":
    now, days = datetime.fromisoformat(sys.argv[1]), int(sys.argv[2])
    today = now.date()
    store(now, today - timedelta(days=days), today - timedelta(days=1), *sys.argv[3:])
