"""The warehouse's own books: which content each day of each table has had, and what Port has acknowledged."""

from datetime import datetime
from typing import Annotated

from usage_assets.rows import Row, column


class PartitionVersion(Row):
    """One row a write of one day of one table.

    The newest row of a day says what the table holds now; the others say what it held before. A write that changed
    nothing is recorded too (``changed`` false): two equal fetches are how a day proves settled.
    """

    table = "ledger.partition_versions"
    grain = ("table_name", "slice", "version")

    table_name: Annotated[str, column("Table that was written")]
    slice: Annotated[str, column("Part of the table that the write replaces beside connection and day; usually empty")]
    version: Annotated[int, column("1 for the first write of the day, then rising by 1")]
    content_hash: Annotated[str, column("SHA-256 over the day's sorted rows, fetch times excluded")]
    changed: Annotated[bool, column("Whether the content differs from the version before")]
    changed_run_id: Annotated[str, column("Dagster run that wrote this content first")]
    row_count: Annotated[int, column("Rows of the day")]
    day_totals: Annotated[str, column("Totals of the day as JSON: name -> exact decimal as text")]
    is_open: Annotated[bool, column("Whether the day was still running when it was asked for")]
    filters: Annotated[
        str | None, column("What the connection narrowed the provider's answer down to, as JSON; null: nothing")
    ]
    answered_at: Annotated[
        datetime | None, column("When the answer was first stored, where it came from the archive; null: written_at")
    ]
    run_id: Annotated[str, column("Dagster run of this write")]
    written_at: Annotated[datetime, column("When the write was made")]


class PortEntity(Row):
    """One row an entity that Port has acknowledged and that was not deleted since, per Port account."""

    table = "ledger.port_entities"
    grain = ("account", "blueprint", "identifier")

    account: Annotated[str, column("Port account: API address and client id")]
    blueprint: Annotated[str, column("Blueprint")]
    identifier: Annotated[str, column("Identifier of the entity in Port")]
    content_hash: Annotated[
        str, column("Hash of what Port holds (its end: of which properties); mark of a running push; empty: unknown")
    ]
    pushed_at: Annotated[datetime, column("When Port acknowledged it")]


STORED_DAYS = """
create or replace view ledger.stored_days as
select * exclude (position)
from (
    select *, row_number() over (
        partition by table_name, slice, connection, usage_date order by version desc
    ) as position
    from ledger.partition_versions
)
where position = 1
"""
"""What each table holds now: the newest version of each day."""
