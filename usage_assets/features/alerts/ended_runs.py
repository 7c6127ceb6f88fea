"""What a run that has ended says: what failed and why, what succeeded, what its checks found. alarms.py decides what is
posted of it."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import dagster as dg

from usage_assets.assets.failures import cause_of, days_of, not_begun, reason_of
from usage_assets.assets.names import ALONE, Names
from usage_assets.assets.posted import ADVICE, ALERTS, DAYS_WRONG, DIGEST, ONLY_SHOWN, WEEK
from usage_assets.automation.jobs import CONNECTION_TAG, days_of_run
from usage_assets.core.errors import Reason

RUN = " run"
"""How the name of a run ends that failed although none of its assets did."""
EVENTS = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.ASSET_OBSERVATION,
}


@dataclass(frozen=True)
class Evaluation:
    """What a check found on a day."""

    check: str
    """Asset and check, as people read it."""
    day: str
    """Empty for a check without days."""
    severity: str
    text: str
    """Empty where the check passed."""
    advice: str = ""
    """What to do."""
    sums_days_up: bool = False
    """Whether it is the check's result for the whole run. Each wrong day has an evaluation of its own."""
    told_once: bool = False
    """Whether it is an alert: ``day`` is its key, and a changed text is not posted again."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    run: dg.DagsterRun
    ended_at: datetime
    failures: Mapping[str, Reason]
    """Asset -> why it failed. If the run failed but no asset did, the run's own name (``RUN``) -> why."""
    succeeded: Collection[str]
    """Assets; also the run's own name, if it succeeded."""
    evaluations: Sequence[Evaluation]
    weeks: Mapping[str, str]
    """Week -> its digest."""
    named_days: Mapping[str, Collection[date]]
    """Asset that failed -> the days that its failure names."""

    @property
    def days(self) -> set[date]:
        """The run's days; none for a run without days."""
        window = days_of_run(self.run)
        return {*window.days} if window else set()

    def days_of(self, asset: str) -> set[date]:
        """The days of an asset that failed: all of the run's, unless its failure names some of them."""
        return self.days.intersection(self.named_days.get(asset, ())) or self.days


def read_run(instance: dg.DagsterInstance, record: dg.RunRecord, names: Names = ALONE) -> Outcome:
    """Read the log of a run that has ended."""
    run = record.dagster_run
    assets: dict[str, str] = {}
    failures: dict[str, Reason] = {}
    succeeded: list[str] = []
    evaluations: list[Evaluation] = []
    weeks: dict[str, str] = {}
    named_days: dict[str, Collection[date]] = {}
    whole, died = " ".join(filter(None, (run.tags.get(CONNECTION_TAG), run.job_name))) + RUN, "it gives no reason"
    for entry in instance.all_logs(run.run_id, of_type=EVENTS):
        event = entry.dagster_event
        if event is None:
            continue
        if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED and event.asset_key:
            assets[event.asset_key.to_python_identifier()] = called(event.asset_key, names)
        name = assets.get(event.step_key or "", event.step_key or "")
        if event.is_step_success:
            succeeded.append(name)
        elif event.is_step_failure:
            failures[name] = Reason(reason_of(event.step_failure_data), cause_of(event.step_failure_data))
            named_days[name] = days_of(event.step_failure_data)
        elif event.is_failure:
            died = event.message or died
        elif isinstance(event.event_specific_data, dg.AssetCheckEvaluation):
            evaluations += _evaluations(event.event_specific_data, names)
        elif event.event_type is dg.DagsterEventType.ASSET_OBSERVATION:
            facts = {
                name: str(fact.value) for name, fact in event.asset_observation_data.asset_observation.metadata.items()
            }
            weeks |= {facts[WEEK]: facts[DIGEST]} if facts.keys() >= {WEEK, DIGEST} else {}
    if run.status is dg.DagsterRunStatus.FAILURE and not failures:
        died = not_begun(instance, run.run_id) or died
        failures[whole] = Reason(died, died)
    elif run.status is dg.DagsterRunStatus.SUCCESS:
        succeeded.append(whole)
    ended_at = datetime.fromtimestamp(record.end_time or 0, UTC)
    return Outcome(run, ended_at, failures, succeeded, evaluations, weeks, named_days)


def called(asset: dg.AssetKey, names: Names) -> str:
    """Return what messages call an asset: as the ledger does, if it is ours."""
    return names.asset(asset) or asset.to_user_string()


def _evaluations(evaluation: dg.AssetCheckEvaluation, names: Names) -> Iterator[Evaluation]:
    facts = {name: fact.value for name, fact in evaluation.metadata.items()}
    text = "" if evaluation.passed else evaluation.description or "see the run"
    check, severity = f"{called(evaluation.asset_key, names)} {evaluation.check_name}", evaluation.severity.value
    if ALERTS in facts:
        yield Evaluation(check, "", severity, text, sums_days_up=True)
        for key, told in json.loads(str(facts[ALERTS])).items():
            yield Evaluation(check, key, severity, told, told_once=True)
    elif ONLY_SHOWN not in facts:
        advice, sums_days_up = str(facts.get(ADVICE) or ""), DAYS_WRONG in facts
        yield Evaluation(check, evaluation.partition or "", severity, text, advice, sums_days_up)
