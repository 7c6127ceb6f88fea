"""The metadata of a day's materialization event, and how to find a day's newest event.

The UI shows metadata in this order: money, the day's state, its rows and whether it changed, then everything else. No
other module adds metadata to these events.

Dagster stores each event twice, and each entry takes 115 bytes, for each day of each asset. So an event has only facts
about its day. Facts about the whole run, and a preview of its rows, are in the event of the run's last day alone, which
the asset's page shows. Counts of zero are left out. So is ``changed`` on a day that was never stored before.

A table may have a total of any name, such as ``requests``. A fact of that name is then ``usage_assets/requests``:
read it with ``number_in``.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import dagster as dg

from usage_assets.fetching.client import FetchResult
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch, Query, Version

VERIFIED = "A day has an event only if its rows passed the check `content` before they were stored."
"""Part of each asset's description. In each day's event it would take 230 bytes."""
FOLLOWS = "What depends on these days, in Port too, follows within minutes: sensors request it."
"""Part of each asset's description: what a person who runs days again need not do."""
PREVIEW_BYTES = 1500
OWN = "usage_assets/"
"""Prefix of a fact whose name is also that of a total of the table."""
CODE_VERSION = "dagster/code_version"
"""The tag of an event that says which code has written the day."""
HASH = "content_hash"
"""Metadata of each day's event: the hash of its rows, as in ``ledger.partition_versions``."""


def announced_hashes(
    instance: dg.DagsterInstance, asset: dg.AssetKey, days: Iterable[date], code_version: str | None = None
) -> Mapping[date, str]:
    """Return the content hash that the newest event of each day has; with ``code_version``, only of the days that this
    code has written."""
    keys = {day.isoformat() for day in days}
    if not keys:  # Dagster would look up every day of the asset
        return {}
    newest = instance.get_latest_storage_id_by_partition(asset, dg.DagsterEventType.ASSET_MATERIALIZATION, keys)
    if not newest:
        return {}
    found = dg.AssetRecordsFilter(asset_key=asset, storage_ids=list(newest.values()))
    hashes: dict[date, str] = {}
    for record in instance.fetch_materializations(found, limit=len(newest)).records:
        written = record.asset_materialization
        if written and HASH in written.metadata and code_version in (None, (written.tags or {}).get(CODE_VERSION)):
            hashes[date.fromisoformat(str(record.partition_key))] = str(written.metadata[HASH].value)
    return hashes


def event_metadata(
    table: Table, content: Batch | Query, version: Version, *, changed: bool, is_last: bool
) -> dict[str, Any]:
    """Return the metadata of a day that was written. ``is_last``: whether it is the last day of the write."""
    # plotted over partitions by the UI, which needs floats; the exact totals are in ledger.partition_versions
    totals = {name: float(total) for name, total in version.totals.items() if total is not None}
    amounts = {name: total for name, total in totals.items() if table.is_amount(name)}
    named = {*table.totals, *version.totals}  # also totals that are null today: the UI plots a name over days

    def own(facts: Mapping[str, Any]) -> dict[str, Any]:
        return {f"{OWN}{name}" if name in named else name: fact for name, fact in facts.items()}

    return {
        **amounts,
        **own({"state": version.state} if version.state else {}),
        "dagster/partition_row_count": version.row_count,
        **own({"changed": changed} if version.version > 1 else {}),
        **own({"is_open": True} if version.is_open else {}),
        **(_counts(totals) if is_last or not (amounts or isinstance(content, Query)) else {}),
        **own({"preview": dg.MetadataValue.md(_preview(version.sample))} if version.sample else {}),
        **own(content.facts if is_last and isinstance(content, Batch) else {}),
        HASH: version.content_hash,
    }


def number_in(metadata: Mapping[str, dg.MetadataValue], name: str) -> int:
    """Return a count of ours from an event, never a total of that name, which is a float. 0 where it was left out."""
    found = metadata.get(f"{OWN}{name}") or metadata.get(name)
    return found.value if found and isinstance(found.value, int) else 0


def fetch_facts(
    fetched: FetchResult, began: datetime, source: str, days: int, filters: object, *, shape_verified: bool | None
) -> dict[str, Any]:
    """Return metadata about the fetch. One fetch serves all days of a run.

    ``shape_verified`` is None for an endpoint without money.
    """
    counts = {
        "requests": fetched.requests,
        "days_in_fetch": days,
        "requests_for_control": fetched.control_requests,
        "requests_refused": fetched.refused,
        "windows_split": fetched.split_windows,
        "retries": fetched.retries,
        "amounts_rounded": fetched.rounded,
        "unknown_fields": sum(fetched.unknown_fields.values()),
    }
    return {
        **_counts(counts),
        "source": "archive" if fetched.stored_at else source,
        "fetched_at": dg.MetadataValue.timestamp(min(fetched.stored_at.values(), default=began)),
        **({} if shape_verified is None else {"shape_verified": shape_verified}),
        **({"filters": filters} if filters else {}),
    }


def _counts(counts: Mapping[str, float]) -> dict[str, float]:
    return {name: count for name, count in counts.items() if count}


def _preview(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a Markdown table of the columns that are not empty, with as many whole rows as fit into PREVIEW_BYTES."""
    names = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    lines = [_line(names), _line(["---"] * len(names)), *(_line([_cell(row[name]) for name in names]) for row in rows)]
    text = lines[0]
    for line in lines[1:]:
        if len(f"{text}\n{line}".encode()) > PREVIEW_BYTES:
            break
        text = f"{text}\n{line}"
    return text


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    if "." in text and text.replace(".", "").replace("-", "").isdigit():
        text = text.rstrip("0").rstrip(".")
    text = text.replace("|", "\\|").replace("\n", " ")
    return text if len(text) <= 60 else f"{text[:57]}..."
