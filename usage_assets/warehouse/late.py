"""Days that a provider does not serve yet: no failures, but days to ask for again later (``ledger.late_days``)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from usage_assets.core.days import Window
from usage_assets.core.schema import to_arrow
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.ledger import LATE_DAYS, LateDay

SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=1)


def note_late(
    warehouse: Warehouse,
    tables: Sequence[str],
    connection: str,
    late: Mapping[date, Exception],
    run_id: str,
    part: str = "",
    broken: Collection[date] = (),
) -> datetime:
    """Note that these days of the tables, or of a part of one, were not served yet; return when the first is due again.

    ``broken``: those that wait for something that somebody has to mend. Raises WarehouseError.
    """
    now = datetime.now(UTC)
    rows = [
        LateDay(
            connection=connection,
            usage_date=day,
            table_name=table,
            slice=part,
            reason=str(error),
            asked_at=now,
            again_at=now + min(max((now - Window(day, day).end) / 2, SHORTEST), LONGEST),
            run_id=run_id,
            is_broken=day in broken,
        )
        for day, error in late.items()
        for table in tables
    ]
    with warehouse.transaction(LATE_DAYS.name) as database:
        database.register("late", to_arrow(LateDay, rows))
        database.execute(
            f"""
            delete from {LATE_DAYS.name}
            where connection = $connection
              and list_contains($tables::text[], table_name)
              and slice = $part
              and (
                usage_date in (select usage_date from late)
                or (table_name, usage_date) not in (
                  select (table_name, usage_date)
                  from ledger.awaited_days
                  where connection = $connection and slice = $part
                )
              )
            """,
            {"connection": connection, "tables": list(tables), "part": part},
        )
        database.execute(f"insert into {LATE_DAYS.name} by name from late")
    return min(row.again_at for row in rows)
