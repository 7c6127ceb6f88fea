"""Why an asset failed, as users read it, and which failures have the same cause."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

import dagster as dg

from usage_assets.core.errors import UserError, one_line
from usage_assets.core.redaction import redacted
from usage_assets.dagster_internals.step_failures import ExplainedError, shown_as
from usage_assets.fetching.transport import ProviderError

StepFailed = Any
"""What Dagster's event of a failed step has: ``error`` and ``user_failure_data``. Its class is private."""


def reason_of(failed: StepFailed | None) -> str:
    """The message of our own failures, or of the first cause."""
    if failed and failed.user_failure_data and failed.user_failure_data.description:
        return one_line(failed.user_failure_data.description)
    return _first_cause(failed and failed.error) or "it gives no reason"


def _first_cause(error: Any) -> str | None:
    while error and error.cause:
        error = error.cause
    return one_line(error.message.partition(": ")[2] or error.message) if error else None


DAYS = "failed_days"
"""Metadata of a failure: the days that it is about. Other days may well succeed."""
NEXT = (
    "Nothing that was stored is lost. When the cause is mended, choose Re-execute, From failure. Days that are due are "
    "requested again without it: after 10 minutes at first, in the end once a day."
)
"""In the metadata of a failure, where the page of its run shows it."""
CAUSE = "cause"
"""Metadata of a failure: what it says, without the days and ids that differ between requests."""


def failure(
    reason: str, days: Iterable[date] = (), cause: str = "", facts: Mapping[str, Any] | None = None
) -> dg.Failure:
    """A failure that no retry mends, with the days that it is about, where others may succeed, and its cause.

    ``facts``: more metadata. What is empty is left out.
    """
    stated = {**(facts or {}), DAYS: [day.isoformat() for day in days], CAUSE: cause, "next": NEXT}
    return ExplainedError(reason, {name: fact for name, fact in stated.items() if fact})


@contextmanager
def explained() -> Iterator[None]:
    """Let what a provider, the settings or the warehouse refuse in here be a failure, with the days that it is about.
    Other errors are shown without secrets."""
    with shown_as(redacted):
        try:
            yield
        except (ProviderError, UserError) as error:
            days, cause = getattr(error, "days", ()), getattr(error, "cause", "")
            raise failure(redacted(str(error)), days, redacted(cause)) from None


def days_of(failed: StepFailed | None) -> frozenset[date]:
    """The days that a failed step names (see ``failure``)."""
    named = _stated(failed, DAYS)
    return frozenset(map(date.fromisoformat, named)) if isinstance(named, list) else frozenset()


def cause_of(failed: StepFailed | None) -> str:
    """The cause that a failed step states (see ``failure``), or else its reason."""
    return str(_stated(failed, CAUSE) or reason_of(failed))


def _stated(failed: StepFailed | None, fact: str) -> object:
    metadata = failed.user_failure_data.metadata if failed and failed.user_failure_data else {}
    return metadata[fact].value if fact in metadata else None


def failed_steps(instance: dg.DagsterInstance, run_id: str) -> Mapping[str, StepFailed]:
    """Step of a run -> why it failed."""
    events = [entry.dagster_event for entry in instance.all_logs(run_id, dg.DagsterEventType.STEP_FAILURE)]
    return {str(event.step_key): event.step_failure_data for event in events if event}


def not_begun(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """Why a run that failed without a step could not begin, such as a connections file that cannot be read; None where
    its process died."""
    events = [entry.dagster_event for entry in instance.all_logs(run_id, dg.DagsterEventType.ENGINE_EVENT)]
    reasons = [_first_cause(getattr(event and event.event_specific_data, "error", None)) for event in events]
    return next((f"it could not begin: {reason}" for reason in reasons if reason), None)


def last_failures(instance: dg.DagsterInstance, assets: Collection[dg.AssetKey]) -> Mapping[dg.AssetKey, StepFailed]:
    """Return why the last run of each asset failed, of those that failed. The log of each run is read once."""
    records = instance.get_asset_records(list(assets)) if assets else ()
    last = {each.asset_entry.asset_key: each.asset_entry.last_run_id for each in records}
    failed = {run_id: failed_steps(instance, run_id) for run_id in {*last.values()} if run_id}
    names = {asset: asset.to_python_identifier() for asset in assets}
    return {asset: failed[run][names[asset]] for asset, run in last.items() if run and names[asset] in failed[run]}
