"""Why something failed, in the words that a person is shown, and which failures have one cause."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import dagster as dg

from usage_assets.dagster_internals import StepFailureData

_ASKED_FOR = re.compile(
    r"^\S+ \S+( \d{4}-\d\d-\d\d( to \d{4}-\d\d-\d\d)?)?: "
    r"| from GET \S+|\(request [^)]*\)|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+"
)
"""What differs between two failures that one fault causes: connection, report and days; path, request, run, numbers."""


def one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())


def reason_of(failed: StepFailureData | None) -> str:
    """The message of our own failures, or of the first cause."""
    if failed and failed.user_failure_data and failed.user_failure_data.description:
        return one_line(failed.user_failure_data.description)
    error = failed.error if failed else None
    while error and error.cause:
        error = error.cause
    return one_line(error.message.partition(": ")[2] or error.message) if error else "it gives no reason"


DAYS = "failed_days"
"""Metadata of a failure: the days that it is about. Other days may well succeed."""


def failure(reason: str, days: Iterable[date] = ()) -> dg.Failure:
    """A failure that no retry mends, with the days that it is about, where others may succeed."""
    named = [day.isoformat() for day in days]
    return dg.Failure(reason, metadata={DAYS: named} if named else None, allow_retries=False)


def days_of(failed: StepFailureData | None) -> frozenset[date]:
    """The days that a failed step names (see ``failure``)."""
    metadata = failed.user_failure_data.metadata if failed and failed.user_failure_data else {}
    named = metadata[DAYS].value if DAYS in metadata else []
    return frozenset(map(date.fromisoformat, named)) if isinstance(named, list) else frozenset()


def last_failure(instance: dg.DagsterInstance, asset: dg.AssetKey) -> StepFailureData | None:
    """What failed in the last run of an asset; None where nothing did."""
    for record in instance.get_asset_records([asset]):
        if run_id := record.asset_entry.last_run_id:
            for log in instance.all_logs(run_id, dg.DagsterEventType.STEP_FAILURE):
                event = log.dagster_event
                if event and event.step_key == asset.to_python_identifier():
                    return event.step_failure_data
    return None


def cause_of(reason: str) -> str:
    """What a reason says apart from what was asked for: equal for all failures that one fault causes."""
    return _ASKED_FOR.sub("", reason)


def by_cause(reasons: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
    """Group what failed by its cause: the first reason of each cause -> names."""
    groups: dict[str, tuple[str, list[str]]] = {}
    for name, reason in reasons.items():
        groups.setdefault(cause_of(reason), (reason, []))[1].append(name)
    return dict(groups.values())


def named(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
