"""Why something failed, in the words that a person is shown, and which failures have one cause."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from usage_assets.dagster_internals import StepFailureData

_NUMBERS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+")
"""What differs between two failures of one cause: runs, days and other numbers."""


@dataclass(frozen=True)
class Reason:
    """Why something failed."""

    text: str
    """In the words that a person is shown."""
    cause: str
    """What it says apart from what was asked for."""

    @property
    def fault(self) -> str:
        """The cause without numbers: equal for all failures that one fault causes."""
        return _NUMBERS.sub("", self.cause)


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
CAUSE = "cause"
"""Metadata of a failure: what it says apart from what was asked for."""


def failure(reason: str, days: Iterable[date] = (), cause: str = "") -> dg.Failure:
    """A failure that no retry mends, with the days that it is about, where others may succeed, and its cause."""
    facts: dict[str, Any] = {DAYS: [day.isoformat() for day in days], CAUSE: cause}
    return dg.Failure(reason, metadata={name: fact for name, fact in facts.items() if fact}, allow_retries=False)


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


def cause_of(failed: StepFailureData | None) -> str:
    """The cause that a failed step states (see ``failure``), or else its reason."""
    metadata = failed.user_failure_data.metadata if failed and failed.user_failure_data else {}
    return str(metadata[CAUSE].value) if CAUSE in metadata else reason_of(failed)


def by_cause(reasons: Mapping[str, Reason]) -> Mapping[Reason, Sequence[str]]:
    """Group what failed by its fault: the first reason of each -> names."""
    groups: dict[str, tuple[Reason, list[str]]] = {}
    for name, reason in reasons.items():
        groups.setdefault(reason.fault, (reason, []))[1].append(name)
    return dict(groups.values())
