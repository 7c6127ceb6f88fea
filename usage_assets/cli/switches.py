"""The switches of schedules and sensors, which Dagster stores under the name of a code location."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import dagster as dg
import yaml  # type: ignore[import-untyped]  # Dagster's, without types

from usage_assets.cli.findings import Finding, Level
from usage_assets.config.settings import Settings
from usage_assets.dagster_internals.storage import InstigatorState, InstigatorStatus, SqliteScheduleStorage
from usage_assets.local.home import CODE_LOCATION, workspace_of

Here = Mapping[str, InstigatorState]
Elsewhere = Mapping[str, list[InstigatorState]]


def switches(settings: Settings, instance: dg.DagsterInstance) -> tuple[Here, Elsewhere]:
    """Return what is stored of each schedule and sensor: for the code location here, and under names of no location.

    Which names several hosts use is in a workspace.yaml that need not be here, or in the chart's values.
    """
    states = instance.all_instigator_state()
    names, here = {each.origin.location_name for each in states}, _locations(workspace_of(Path.cwd()))
    is_local = isinstance(instance.schedule_storage, SqliteScheduleStorage)
    if settings.usage_shard:
        here = names - {CODE_LOCATION}
    elif not is_local and not names & here:
        here = names
    has_shards = any(connection.shard for connection in settings.connections())
    ours, others = {}, defaultdict(list)
    for state in states:
        if state.origin.location_name in here:
            ours[state.instigator_name] = state
        elif not has_shards and state.status is not InstigatorStatus.DECLARED_IN_CODE:
            others[state.instigator_name].append(state)
    return ours, others


def _locations(workspace: Path) -> set[str]:
    """The names of its code locations; ours, where it states none."""
    try:
        entries = yaml.safe_load(workspace.read_text(encoding="utf-8"))["load_from"]
        return {place["location_name"] for entry in entries for place in entry.values()}
    except (yaml.YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError):  # Dagster says what is wrong
        return {CODE_LOCATION}


def is_running(state: InstigatorState | None, *, by_code: bool) -> bool:
    """Whether a schedule or sensor runs: as a person has set it, else as the code says."""
    by_person = state.status if state else InstigatorStatus.DECLARED_IN_CODE
    return by_code if by_person is InstigatorStatus.DECLARED_IN_CODE else by_person is InstigatorStatus.RUNNING


def stored_elsewhere(
    kind: str, state: InstigatorState | None, others: Collection[InstigatorState], *, by_code: bool
) -> Iterator[Finding]:
    """Find what a person has set under a name that Dagster no longer asks for. A warning, until one has decided."""
    now = "running" if is_running(state, by_code=by_code) else "stopped"
    for other in others:
        is_on = other.status is InstigatorStatus.RUNNING
        was, same, opposite = ("running", "start", "stop") if is_on else ("stopped", "stop", "start")
        name = other.origin.location_name
        text = f"was {was} under the code location {name}, which Dagster no longer reads: it is {now}"
        level = Level.OK
        if now != was and (state is None or state.status is InstigatorStatus.DECLARED_IN_CODE):
            text += f". {same.capitalize()} it again on the Automation page of the UI; to keep it {now}, "
            text += f"then {opposite} it"
            level = Level.WARN
        yield Finding(level, f"{kind} {other.instigator_name}", text)
