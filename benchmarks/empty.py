"""Plain Dagster: assets with daily partitions that do nothing, and the schedule that materializes them."""

import os

import dagster as dg


def asset(number: int) -> dg.AssetsDefinition:
    """An asset that does nothing."""

    @dg.asset(name=f"asset_{number}", partitions_def=dg.DailyPartitionsDefinition("2026-01-01"))
    def nothing() -> None:
        return None

    return nothing


JOB = dg.define_asset_job("all_assets", "*")
defs = dg.Definitions(
    assets=[asset(number) for number in range(int(os.environ.get("ASSETS", "1")))],
    jobs=[JOB],
    schedules=[dg.build_schedule_from_partitioned_job(JOB)],
)
