"""What `usage-assets backfill` does: chooses the days and reports the outcome. backfill_runs.py runs them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from functools import cache, partial
from time import monotonic

import dagster as dg

from usage_assets.assets.bills import note_files
from usage_assets.automation.jobs import PORT_SYNC_JOB, USAGE_JOB
from usage_assets.build import build_definitions
from usage_assets.cli.access import (
    connections_named,
    publish_copy,
    warehouse_now,
)
from usage_assets.cli.backfill_runs import (
    BackfillPlan,
    due_plan_of,
    lookups_plan_of,
    of_older_files,
    plan_of,
    stored,
)
from usage_assets.cli.progress import Display, in_words
from usage_assets.config.days import parse_days
from usage_assets.config.settings import Connection, Settings, SettingsError
from usage_assets.core.days import Window, utc_today
from usage_assets.core.errors import UserError
from usage_assets.core.features import BEFORE_PUSH, hooks
from usage_assets.fetching.connected import earliest_day, provider_client
from usage_assets.fetching.transport import NotServedYetError, ProviderError
from usage_assets.local.home import dagster_home, open_instance, storing_events
from usage_assets.models.connection_graph import ConnectionGraph, graph_of, seeds_of
from usage_assets.models.due import due_days, state_first, whole_sets
from usage_assets.models.due import in_words as due_in_words
from usage_assets.models.entities import all_entities
from usage_assets.models.same_use import refuse_same_use
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.opened import warehouse_at

SELDOM = 20
"""Times as long as publishing takes, until a backfill publishes again: it takes a twentieth of its time at most."""


@dataclass(frozen=True)
class Outcome:
    """What a backfill came to: the closing lines."""

    lines: list[str] = field(default_factory=list)
    """Of each connection."""
    failures: list[str] = field(default_factory=list)
    """Of each connection that has any."""


Graphs = Callable[[str], dg.Definitions]
"""The graph of each connection, made when it is needed. To plan and record a run takes longer the larger its graph is:
0.8 s of CPU time with that of 50 connections, 0.2 s with its own."""


def run(
    days: tuple[str, str] | None,
    names: Sequence[str],
    shown: Display,
    *,
    push: bool,
    from_archive: bool,
    verbose: bool,
) -> Outcome:
    """Run a range of days as a person typed it, or the days that are due. Raises UserError for what cannot begin."""
    settings = Settings.load()
    window = parse_days(*days, settings) if days else None  # before what takes longer, or asks for keys
    connections = connections_named(settings, names, keyed=not from_archive)
    shown.do("planning")
    refuse_same_use(settings.connections())
    # its runs publish nothing: the backfill does that itself
    warehouse = warehouse_at(settings.warehouse)
    graphs = cache(lambda name: build_definitions(settings, only={name}, warehouse=warehouse))
    outcome = Outcome()
    with open_instance(captures=False) as instance, warehouse_at(settings.warehouse).held():
        with warehouse_now(settings).transaction():
            pass  # a file that cannot be opened fails here, before anything is fetched
        plans: Sequence[BackfillPlan] = []
        if window:
            sets = whole_sets(warehouse_now(settings))
            plans = _plans_of(*window, connections, sets, graphs, shown, push=push, from_archive=from_archive)
        for prepare in hooks(BEFORE_PUSH) if push else ():
            prepare(settings, connections)
        graph_for = partial(graph_of, money=seeds_of(settings)[0], entities=all_entities(settings))
        publish_early = _publisher(settings, shown.say)
        carry_out = partial(_carry_out, graph_for, graphs, instance, shown, publish_early, verbose=verbose)
        try:
            if not window:
                _note_files(settings, connections, outcome)
                listing = [plan for each in connections if (plan := lookups_plan_of(each, instance))]
                carry_out(listing)
                outcome.failures.extend(_not_refreshed(listing, settings))
                plans = _due_plans(settings, connections, shown, push=push)
                outcome.lines.extend([] if plans else ["no day is due"])
            shown.plan(sum(plan.asset_days for plan in plans))
            try:
                with storing_events(dagster_home()):
                    carry_out(plans)
                state_first(warehouse_at(settings.warehouse), seeds_of(settings, "first"))
            except UserError as error:  # what is stored is said all the same
                outcome.failures.append(f"FAILED: {error}")
        finally:
            shown.do("publishing what is stored")
            publish_copy(settings, shown.say)
        for plan in plans:
            _report(plan, settings, outcome)
        for connection in {plan.connection.name: plan.connection for plan in plans}.values():
            outcome.failures.extend(
                f"FAILED: {each}, and is stored as it was before: usage-assets backfill --due"
                for each in of_older_files(warehouse_at(settings.warehouse), connection)
            )
    return outcome


def _publisher(settings: Settings, say: Callable[[str], object]) -> Callable[[], None]:
    """Return what publishes the days that are stored so far, so that nobody waits for the end to query them.

    It does nothing where it has published only just now, nor of a lake. Why it cannot is said at the end.
    """
    warehouse = warehouse_at(settings.warehouse)
    if warehouse.is_shared:
        return lambda: None
    copy = warehouse.published
    not_before, is_new = 0.0, not copy.exists()

    def publish_early() -> None:
        nonlocal not_before, is_new
        if (began := monotonic()) < not_before:
            return
        publish_copy(settings, str)
        if is_new and copy.exists():
            say(f"  rows that are stored so far can be queried, costs later: {copy}")
            is_new = False
        not_before = monotonic() + SELDOM * (monotonic() - began)

    return publish_early


def _carry_out(
    graph_for: Callable[[Connection], ConnectionGraph],
    graphs: Graphs,
    instance: dg.DagsterInstance,
    shown: Display,
    publish_early: Callable[[], None],
    plans: Iterable[BackfillPlan],
    *,
    verbose: bool,
) -> None:
    for plan in plans:
        definitions, graph = graphs(plan.connection.name), graph_for(plan.connection)
        for step in plan.run(definitions, graph, instance, log_level="INFO" if verbose else "CRITICAL"):
            shown.show(step)
            if step.done and step.window:
                publish_early()


def _plans_of(
    first: date,
    last: date,
    connections: Sequence[Connection],
    sets: Mapping[str, Collection[Window]],
    graphs: Graphs,
    shown: Display,
    *,
    push: bool,
    from_archive: bool,
) -> list[BackfillPlan]:
    options = {"push": push, "from_archive": from_archive}
    plans = [
        plan
        for each in connections
        if (plan := plan_of(each, first, last, graphs(each.name), sets=sets.get(each.name, ()), **options))
    ]
    if not plans:
        earliest = min(_earliest_day(each, from_archive=from_archive) for each in connections)
        raise SettingsError(f"end {last} is before the earliest day that can be fetched, {earliest}")
    _say_what_is_out_of_reach(connections, first, shown, from_archive=from_archive)
    return plans


def _note_files(settings: Settings, connections: Sequence[Connection], outcome: Outcome) -> None:
    """List the files of connections that read some: what has changed is due."""
    for each in connections:
        if PROVIDERS[each.provider].reads_files:
            try:
                with provider_client(each, settings) as client:
                    note_files(client, warehouse_now(settings), each)
            except NotServedYetError as error:
                outcome.lines.append(str(error))
            except ProviderError as error:
                outcome.failures.append(f"FAILED: {error}")


def _due_plans(
    settings: Settings, connections: Sequence[Connection], shown: Display, *, push: bool
) -> list[BackfillPlan]:
    seeds = seeds_of(settings)
    due = [
        row
        for row in due_days(warehouse_now(settings), seeds, with_unpushed=push)
        if row.state != "unsettled" or row.since.astimezone(UTC).date() != utc_today()  # else it has been looked at
    ]
    chosen = {each.name for each in connections}
    for name, reasons in due_in_words([each for each in due if each.connection in chosen]).items():
        for reason in reasons:
            shown.say(f"{name}: {reason}")
    entities = all_entities(settings)
    graphs = [graph_of(each, seeds[0], entities) for each in connections]
    sets = whole_sets(warehouse_now(settings))
    return [
        plan
        for graph in graphs
        if (plan := due_plan_of(graph.connection, due, graph, sets.get(graph.connection.name, ()), push=push))
    ]


def _earliest_day(connection: Connection, *, from_archive: bool) -> date:
    return earliest_day(connection, PROVIDERS[connection.provider], from_archive=from_archive)


def _say_what_is_out_of_reach(
    connections: Sequence[Connection], first: date, shown: Display, *, from_archive: bool
) -> None:
    for connection in connections:
        earliest = _earliest_day(connection, from_archive=from_archive)
        if first < earliest:
            shown.say(f"{connection.name}: days before {earliest} cannot be fetched and are left out")


def _report(plan: BackfillPlan, settings: Settings, outcome: Outcome) -> None:
    held = stored(warehouse_at(settings.warehouse), plan.connection, plan.window)
    assets, failures = plan.assets, plan.failures
    failed = f"FAILED for {len(failures)} of {len(assets)} assets; stored: " if failures else ""
    fetched = failed + (in_words(held.days, held.rows, plan.counts(USAGE_JOB)) or "nothing")
    costs = "".join(f", {amount:,.2f} {unit}" for unit, amount in held.costs.items())
    nothing = "failed" if any(step.failure for step in plan.steps[PORT_SYNC_JOB]) else "nothing to send"
    pushed = f"; Port: {in_words(0, 0, plan.counts(PORT_SYNC_JOB)) or nothing}" if plan.pushes else ""
    late = f"; not served yet: {', '.join(held.late)}" if held.late else ""
    outcome.lines.append(f"{plan.connection.name} {plan.window}: {fetched}{costs}{late}{pushed}; {plan.seconds:.0f} s")
    outcome.failures.extend(f"FAILED: {each}" for each in held.wrong)
    outcome.failures.extend(f"FAILED: {plan.connection.name}: not stored: {each}" for each in held.held_up)
    outcome.failures.extend(_not_refreshed([plan], settings))


def _not_refreshed(plans: Iterable[BackfillPlan], settings: Settings) -> Iterator[str]:
    for plan in plans:
        if plan.failures:
            links = ", ".join(dict.fromkeys(map(settings.run_link, plan.failed_runs)))
            yield (
                f"FAILED: {plan.connection.name}: not refreshed, for the reasons above: {', '.join(plan.failures)}. "
                f"What was stored stays. Once this is fixed, run this again, or Dagster does it on its own ({links})"
            )
