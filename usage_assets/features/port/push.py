"""Pushes until Port equals the tables, and reads Port back if the ledger may have missed a push."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import tenacity

from usage_assets.core.blueprints import CONNECTION
from usage_assets.core.errors import first
from usage_assets.core.ticking import log_progress
from usage_assets.features.port.catalog.client import USER_AGENT, PortClient, PortError
from usage_assets.features.port.catalog.reconcile import compare
from usage_assets.features.port.catalog.sync import SIGNATURE, Changes, PushReport, Targets, push
from usage_assets.features.port.ledger import PortLedger

logger = logging.getLogger(__name__)

MOST_PUSHES = 8
MOST_NAMED = 5
ROUNDS = tenacity.Retrying(
    retry=tenacity.retry_if_result(bool),
    wait=tenacity.wait_random_exponential(max=60),
    stop=tenacity.stop_after_attempt(MOST_PUSHES),
)
"""Two pushes of the same days would otherwise retry in step. A random wait separates them."""


@dataclass
class ReadBack:
    """What Port held, and what was done about it."""

    checked: int = 0
    deleted: int = 0
    edited: int = 0
    not_in_ledger: list[str] = field(default_factory=list)
    """Blueprint and identifier of entities that we made and that no ledger line had."""
    report: PushReport = field(default_factory=PushReport)
    """Of the pushes that repaired it."""


def push_until_equal(port: PortClient, ledger: PortLedger) -> tuple[PushReport, int]:
    """Push until nothing differs: another push of the same days, or a new write, may come in between.

    Where Port heard last of a push that this database does not know, everything is read back first: the database is
    new, or an older copy, and Port may hold what no line and no table has. That takes one request; where nothing
    differs there is none at all.

    Returns what was done and how many entities did not need it. Raises PortError where that does not come to an end.
    """
    before, total, unchanged, is_known = port.requests, PushReport(), 0, ledger.state is None
    for piece in ledger.pieces():
        changes = piece.changes()
        unchanged += changes.unchanged
        if changes and not is_known:
            is_known = True
            if not _is_known(port, ledger):
                total.add(read_back(port, ledger).report)
                changes = piece.changes()
        _push(port, piece, changes, total)
    total.requests = port.requests - before
    return total, unchanged


def read_back(port: PortClient, ledger: PortLedger) -> ReadBack:
    """Read all entities of the connection back from Port, and push every stored day until nothing differs.

    What people deleted or edited is sent again. What we made and no line has is deleted or sent again by the push of
    its day, once that is stored; only entities that relate to this connection: others may be another installation's.
    Until the end the ledger knows no push, so whatever dies in between is done again.
    """
    ledger.begin_reading_back()
    done, targets = ReadBack(), Targets(port)
    with log_progress(logger.info, "Port") as note:
        _compare(port, ledger, targets, done, note)
    done.report.missing |= targets.missing
    ledger.doubt_state()
    for days in (replace(ledger, entities=()), *ledger.ranges()):  # all others relate to the connection's own entity
        _push(port, days, days.changes(), done.report)
    ledger.end_reading_back()
    return done


def _compare(
    port: PortClient, ledger: PortLedger, targets: Targets, done: ReadBack, note: Callable[[str], object]
) -> None:
    """Read each blueprint's entities, and note in the ledger what is not as it was sent."""
    note("looking up what the entities relate to")
    for name, expected in ledger.settled(targets).items():
        note(f"reading back {name}, after {done.checked:,} entities")
        findings = compare(expected, port.search(name), ledger.known(name))
        done.checked += len(expected)
        done.deleted += ledger.mark_unknown(findings.deleted)
        done.edited += ledger.mark_unknown(findings.edited)
        if findings.unknown:
            ours = {
                shown["identifier"]: ledger.day_of(shown)
                for shown in port.search(name, made_by=USER_AGENT)
                if shown["identifier"] in findings.unknown
            }
            done.not_in_ledger += [f"{name} {lost}" for lost in ours.keys() - ledger.known(name)]
            ledger.adopt(name, {identifier: day for identifier, day in ours.items() if day})


def in_words(report: PushReport) -> str:
    """Say what Port refused, each reason of a blueprint once, then what else was done."""
    refused: dict[tuple[str, str], list[str]] = {}
    for each in report.failures:
        refused.setdefault((each.blueprint, each.reason), []).append(each.identifier)
    named = [
        f"{blueprint} {first}{f' and {len(others):,} others' if others else ''}: {reason}"
        for (blueprint, reason), (first, *others) in refused.items()
    ]
    return (
        f"Port refused {len(report.failures)} entities: {'; '.join(first(named, MOST_NAMED))}. "
        f"{report.upserted} others were sent, {report.deleted} were deleted"
    )


def missing_in_words(report: PushReport) -> str:
    """Say what Port does not have of what was to be related to."""
    missing = [f"{blueprint} {identifier}" for blueprint, identifier in sorted(report.missing)]
    what = f"{len(missing)} entities that records should relate to are missing in Port"
    return f"{what}; those relations stay empty: {'; '.join(first(missing, MOST_NAMED))}"


def _push(port: PortClient, ledger: PortLedger, changes: Changes, total: PushReport) -> None:
    """Push and add what was done to the total, until nothing differs or Port refuses something."""

    def differs_still() -> bool:
        nonlocal changes
        report = push(port, changes, ledger)
        total.add(report)
        changes = ledger.changes()
        return bool(changes and not report.failures)

    try:
        if changes:
            ROUNDS.copy()(differs_still)
    except tenacity.RetryError:
        reason = "because other runs push the same days: wait for them, then run port_sync again"
        raise PortError(f"Port still differs after {MOST_PUSHES} pushes, {reason}") from None


def _is_known(port: PortClient, ledger: PortLedger) -> bool:
    shown = port.get_entity(CONNECTION, ledger.target.connection)
    return ledger.knows(str(shown["properties"].get(SIGNATURE)) if shown else None)
