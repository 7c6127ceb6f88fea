"""The asset that writes the report, the same page as `usage-assets report`."""

from collections.abc import Callable, Collection
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg

from usage_assets.assets.names import ALONE, IO_MANAGER, Names
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import snapshot_of

REPORT = "report"


def build_report_asset(
    path: Path, url: str | None, last_day: Callable[[], date], costs: Collection[dg.AssetKey], names: Names = ALONE
) -> dg.AssetsDefinition:
    """Build the asset that writes the report of the current month to a file. It reads the published copy.

    ``url``: where people open it. Its event links there, or else to the file.
    """

    @dg.asset(
        key=names.key(REPORT),
        group_name=names.group("report"),
        io_manager_key=names.own(IO_MANAGER),
        deps=costs,
        description="One page: the month's spend, by provider, team, person, project, model and key, and how sure "
        "the numbers are.\n\n`report_sensor` writes it after runs that changed what is stored.",
        kinds={"html"},
    )
    @names.bound
    def report(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[None]:
        from usage_assets_report.figures import read  # noqa: PLC0415 - as below
        from usage_assets_report.period import Period  # noqa: PLC0415 - as below
        from usage_assets_report.write import write_report  # noqa: PLC0415 - brings Altair with it

        newest = last_day()
        period = Period.of_month(newest, newest)
        with snapshot_of(warehouse) as database:
            found = read(database, period, is_page=True)
        written = write_report(found, path, datetime.now(UTC))
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.url(url or written.as_uri()),
                "file": dg.MetadataValue.path(str(written)),
                "first_day": str(period.first),
                "last_day": str(period.last),
                "bytes": written.stat().st_size,
            }
        )

    return report
