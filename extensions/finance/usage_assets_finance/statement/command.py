"""`usage-assets statement`: its commands. What a statement says is decided in statement/."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import click
import duckdb

from usage_assets.cli.access import complain, hide_pandas, publish_copy, warehouse_now
from usage_assets.cli.files import draft_of
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.core.days import Window, counted, end_of_month, spans
from usage_assets.core.money import in_words as money_in_words
from usage_assets.models.connection_graph import fetched_costs, seeds_of
from usage_assets.models.costs import SOURCES, bring_up_to_date
from usage_assets.models.due import due_days
from usage_assets.models.stated import difference
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import snapshot_of
from usage_assets.warehouse.readable import ONE_THREAD
from usage_assets.warehouse.values import Seed, listed
from usage_assets_finance.statement.gate import Contradiction, contradictions, suspicions
from usage_assets_finance.statement.issued import digests_of, files_of, read_issued, write_issued
from usage_assets_finance.statement.lines import clean, read_month, rows_of
from usage_assets_finance.statement.statements import (
    ZERO,
    Correction,
    Issued,
    Statement,
    added_up,
    amounts_of,
    corrections_of,
    in_words,
    no_longer_stored,
    statements_of,
)

BILL = frozenset(source.table for source in SOURCES if source.billed_totals)
"""The reports that bill. Others estimate."""
PROVISIONAL = "provisional"
"""Days that are due, or that a provider may still change."""
TEAM = """
select distinct cost_center
from accounting.owners
where team = $team and cost_center is not null
  and valid_from <= $last and coalesce(valid_until, date '9999-12-31') >= $first
order by all
"""
"""The cost centers of a team in a month."""


@click.group(invoke_without_command=True)
@click.option("--month", metavar="YYYY-MM", help="The month.")
@click.option("--cost-center", metavar="NAME", help="Only the files of this cost center.")
@click.option("--team", metavar="NAME", help="Only the files of this team's cost centers.")
@click.option(
    "--all", "everything", is_flag=True, help="The files of all cost centers, and of what has none: the default."
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="The folder to write to.")
@click.option(
    "--issue", is_flag=True, help="Make the month final, for all cost centers. Until then, statements are drafts."
)
@click.option(
    "--accept",
    multiple=True,
    metavar="NAME",
    help="Issue although this is wrong: provisional, or what the refusal names.",
)
@click.pass_context
def statement(
    context: click.Context,
    month: str | None,
    cost_center: str | None,
    team: str | None,
    out: Path | None,
    *,
    everything: bool,
    issue: bool,
    accept: Sequence[str],
) -> None:
    if context.invoked_subcommand:
        return
    hide_pandas()
    if month is None or out is None:
        raise SettingsError("name --month and --out")
    if sum(map(bool, (cost_center, team, everything))) > 1:
        raise SettingsError("name at most one of --cost-center, --team, --all")
    settings, first = Settings.load(), _month_of(month)
    warehouse = warehouse_now(settings)
    if not warehouse.exists:
        raise SettingsError(f"{warehouse.database}: nothing is stored yet: usage-assets backfill")
    seeds = seeds_of(settings)
    bring_up_to_date(warehouse, seeds[0])
    with snapshot_of(warehouse) as database:
        database.execute(ONE_THREAD)
        differs = difference(database, settings, is_required=issue)
        if issue and differs:
            raise SettingsError(f"--issue: {differs}; nothing was issued")
        today, issued = read_month(database, first), read_issued(database)
        is_issued = any(each.month == first for each in issued)
        found = statements_of(today, issued, {} if is_issued else _corrections(database, issued, first))
        if not found:
            raise SettingsError(f"--month {month}: nothing that is stored was billed in it; nothing was written")
        known = {each.cost_center for each in found} | {each.cost_center for each in issued if each.month == first}
        wanted = _wanted(database, known, first, cost_center, team)
        stated = _stated_due(database, first)
    if is_issued:
        files = {each.cost_center: files_of(each) for each in found if each.cost_center in wanted}
        _refuse_changed([each for each in issued if each.month == first and each.cost_center in wanted], files)
    elif issue:
        due, days = _due_days(warehouse, seeds, settings, first, stated), Window(first, end_of_month(first))
        issued_at = datetime.now(UTC).replace(microsecond=0)
        found = _final(found, issued_at, [*due, *today.not_settled], accept)
        found = _accepted(found, [*contradictions(warehouse, settings, seeds[0], days)], accept)
        files = {each.cost_center: files_of(each) for each in found}
        _make(out)
        write_issued(warehouse, issued_at, [(each, files[each.cost_center]) for each in found])
        publish_copy(settings)
    else:
        files = {each.cost_center: files_of(each) for each in found if each.cost_center in wanted}
    for said in ([differs] if differs else []) + [*suspicions(warehouse, Window(first, end_of_month(first)))]:
        complain(said)
    _make(out)
    for each in found:
        if each.cost_center in wanted:
            _write(each, files[each.cost_center], out)
    totals = added_up(total for each in found for total in each.totals.items())
    click.echo(f"all {len(found)} statements of {month}: {_in_words(totals)}")


def _month_of(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        raise SettingsError(f"--month {text}: must look like 2026-11") from None


def _corrections(
    database: duckdb.DuckDBPyConnection, issued: Sequence[Issued], before: date
) -> Mapping[str | None, Sequence[Correction]]:
    """Return what has changed in issued months, and not in a statement yet. Names months that it cannot compare."""
    found: defaultdict[str | None, list[Correction]] = defaultdict(list)
    lost: list[str] = []
    for first in sorted({each.month for each in issued if each.month < before}):
        today = read_month(database, first)
        if no_longer_stored(issued, today):
            lost.append(today.name)
            continue
        for cost_center, corrections in corrections_of(issued, today).items():
            found[cost_center] += corrections
    if lost:
        complain(f"no longer corrected, because some of it is not stored any more: {listed(lost)}")
    return found


def _wanted(
    database: duckdb.DuckDBPyConnection,
    known: Collection[str | None],
    first: date,
    cost_center: str | None,
    team: str | None,
) -> Collection[str | None]:
    """Return the cost centers whose files are written, of those with a statement. Raises SettingsError."""
    if cost_center is not None:
        if cost_center not in known:
            others = listed(sorted(filter(None, known))) or "none"
            raise SettingsError(f"--cost-center {cost_center}: has no statement of {first:%Y-%m}; these have: {others}")
        return [cost_center]
    if team is None:
        return known
    rows = database.execute(TEAM, {"team": team, "first": first, "last": end_of_month(first)}).fetchall()
    own = [clean(name) for (name,) in rows]
    if not own:
        raise SettingsError(f"--team {team}: has no cost center in {first:%Y-%m}: state one in its [[owner]]")
    if not {*own} & {*known}:
        raise SettingsError(f"--team {team}: its cost center {listed(own)} has no statement of {first:%Y-%m}")
    return own


def _stated_due(database: duckdb.DuckDBPyConnection, first: date) -> Sequence[tuple[str, date]]:
    """Return the due days of costs as the code location knows them: it has keys that this command may not have."""
    try:
        rows = rows_of(database, "due", {"first": first, "last": end_of_month(first)})
    except duckdb.CatalogException:  # no code location was ever loaded
        return []
    return [(row["connection"], row["usage_date"]) for row in rows]


def _due_days(
    warehouse: Warehouse,
    seeds: Sequence[Seed],
    settings: Settings,
    first: date,
    stated: Sequence[tuple[str, date]],
) -> Iterator[str]:
    """Yield in words which days of the month have to be fetched or computed, as was stated and as is stated now."""
    bills = [
        f"{name}/{table.partition('.')[2]}" for name, table in fetched_costs(settings.connections()) if table in BILL
    ]
    assets = {f"{bill}{below}" for bill in bills for below in ("", "/daily_costs", "/allocated_costs")}
    days: defaultdict[str, set[date]] = defaultdict(set)
    for row in due_days(warehouse, seeds):
        if row.asset in assets and first <= row.day <= end_of_month(first) and row.state not in ("open", "unsettled"):
            days[row.connection].add(row.day)
    for name, day in stated:
        days[name].add(day)
    yield from (f"{name}: {counted(len(of_connection), 'due day')}" for name, of_connection in sorted(days.items()))


def _final(
    found: Sequence[Statement], issued_at: datetime, open_points: Sequence[str], accept: Collection[str]
) -> Sequence[Statement]:
    """Return the statements as they are issued. Raises SettingsError while the month may change."""
    month, last = f"{found[0].month:%Y-%m}", end_of_month(found[0].month)
    if last >= issued_at.date():
        raise SettingsError(f"--issue: {month} is not over")
    accepted = "; ".join(open_points) or None
    if accepted and PROVISIONAL not in accept:
        how = f"run usage-assets backfill --due, wait until providers no longer change them, or --accept {PROVISIONAL}"
        raise SettingsError(f"--issue: days of {month} are not final: {accepted}: {how}; nothing was issued")
    return [replace(each, issued_at=issued_at, accepted=accepted) for each in found]


def _accepted(
    found: Sequence[Statement], wrong: Sequence[Contradiction], accept: Collection[str]
) -> Sequence[Statement]:
    """Return the statements with what is wrong and was accepted. Raises SettingsError for what was not."""
    if refused := [each for each in wrong if each.name not in accept]:
        names = " ".join(f"--accept {name}" for name in dict.fromkeys(each.name for each in refused))
        raise SettingsError(
            f"--issue: {found[0].month:%Y-%m} is contradicted: {'; '.join(each.text for each in refused)}; mend it, or "
            f"{names}; nothing was issued"
        )
    lines = [f"{each.name}: {each.text}" for each in wrong]
    return [
        replace(each, accepted="\n".join((each.accepted or "", *lines)) if lines else each.accepted) for each in found
    ]


def _refuse_changed(issued: Sequence[Issued], files: Mapping[str | None, Mapping[str, bytes]]) -> None:
    """Raise SettingsError if a statement can no longer be written as it was issued."""
    for each in issued:
        if digests_of(files.get(each.cost_center, {})) != each.digests:
            raise SettingsError(
                f"{each.title}: was issued on {each.issued_at:%Y-%m-%d}, and would be another file now: keep what was "
                "issued; usage-assets statement verify FILE says what has changed; nothing was written"
            )


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"--out {out}: {error.strerror}; nothing was issued or written") from None


def _write(statement: Statement, files: Mapping[str, bytes], out: Path) -> None:
    """Write the files of a statement, each whole or not at all. Raises WarehouseError."""
    name = f"statement-{statement.month:%Y-%m}-{_slug(statement.cost_center)}"
    for form, content in files.items():
        with draft_of(out / f"{name}.{form}") as draft:
            draft.write_bytes(content)
    status = statement.status.partition(",")[0].lower()
    click.echo(f"{out / name}.{{{','.join(files)}}}: {status}, {_in_words(statement.totals)}")


def _slug(cost_center: str | None) -> str:
    """Return what a cost center is called in names of files: with a digest where its own name cannot be one."""
    if cost_center is None:
        return "without-cost-center"
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,60}", cost_center) and cost_center != "without-cost-center":
        return cost_center
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '_', cost_center)[:60]}-{sha256(cost_center.encode()).hexdigest()[:8]}"


def _in_words(totals: Mapping[str, int]) -> str:
    return ", ".join(in_words(amount, currency) for currency, amount in sorted(totals.items()))


@statement.command("verify")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def verify(file: Path) -> int:
    """Say whether a file is what was issued, to the byte. Names what has changed since."""
    hide_pandas()
    settings = Settings.load()
    digest = sha256(file.read_bytes()).hexdigest()
    publish_copy(settings)
    with warehouse_now(settings).reading() as database:
        database.execute(ONE_THREAD)
        issued = read_issued(database)
        found = [(each, form) for each in issued for form, known in each.digests.items() if known == digest]
        if not found:
            click.echo(f"{file}: is not what was issued")
            return 1
        [(each, form)] = found
        click.echo(f"{file}: is the {form} of {each.title}, as issued on {each.issued_at:%Y-%m-%d %H:%M} UTC")
        for line in [*_changes(database, issued, each)] or ["nothing has changed since"]:
            click.echo(line)
    return 0


def _changes(database: duckdb.DuckDBPyConnection, issued: Sequence[Issued], statement: Issued) -> Iterator[str]:
    """Yield in words what differs today from an issued statement, and what was corrected since."""
    today = read_month(database, statement.month)
    gone = no_longer_stored(issued, today)
    now = amounts_of(line for line in today.lines if line.cost_center == statement.cost_center)
    days = {"first": statement.month, "last": end_of_month(statement.month), "since": statement.issued_at}
    restated: defaultdict[str, list[date]] = defaultdict(list)
    for row in rows_of(database, "restated", days):
        restated[row["connection"]].append(row["usage_date"])
    for connection in gone:
        yield f"{connection}: is not stored any more, so it is not compared"
    for connection, currency in sorted({*statement.amounts, *now}):
        before, after = (sums.get((connection, currency), ZERO) for sums in (statement.amounts, now))
        if before != after and connection not in gone:
            shown = [Decimal(each.numerator) / each.denominator for each in (before, after)]
            words = money_in_words(shown, currency)
            why = f"restated: {spans(restated[connection])}" if restated[connection] else "owners, shares or rates"
            yield f"{connection}: issued {words[shown[0]]}, today {words[shown[1]]} ({why})"
    for each in issued:
        for correction in each.corrections:
            if correction.month == statement.month and each.cost_center == statement.cost_center:
                yield f"corrected in {each.month:%Y-%m}: {in_words(correction.payable, correction.currency)}"
