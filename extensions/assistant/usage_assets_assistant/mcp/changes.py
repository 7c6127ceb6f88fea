"""Period against period, with the exact split of what changed: the report's, of any two periods."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mcp_types import CallToolResult

from usage_assets.core.money import plain
from usage_assets.warehouse.errors import WarehouseError
from usage_assets_assistant.mcp.answers import Answer, Page, Row, about, cleaned, paged, shown, values
from usage_assets_assistant.mcp.freshness import days_of, doubts, freshness, hour, period_of
from usage_assets_assistant.mcp.questions import Cut
from usage_assets_assistant.mcp.store import Opened
from usage_assets_report.shared import (
    EVERYTHING,
    NOT_COMPARED,
    PARTS,
    WITHOUT_NAME,
    Period,
    rates_of,
    read_what_changed,
)

READ = ("accounting", "costs", "ledger", "models")
"""Schemas that the split is computed from."""
EXPLAINED: Mapping[str, str] = {
    "": "--table costs.by_day",
    "team": "--table costs.by_team --team",
    "model": "--table costs.by_model_as_sent --where",
}


@paged
def compare(
    opened: Opened,
    page: Page,
    first: str | None,
    last: str | None,
    before_first: str | None,
    before_last: str | None,
    by: Cut,
) -> CallToolResult:
    """Answer with what was billed in both periods, valued in USD, and the parts of the difference."""
    period = _periods(opened, first, last, before_first, before_last)
    days = f"{period.first} to {period.last} against {period.before_first} to {period.before_same}, UTC"
    rows, rates = _read(opened, period)
    states = freshness(opened)
    answer = Answer(
        sentence=f"{days}: no row by {by or 'anything'} is shown to this assistant ({opened.sight.in_words}).",
        first=period.first,
        last=period.last,
        rates=cleaned(rates),
        freshness=states,
        notes=[
            *doubts(opened, states, period.before_first, period.last),
            *_notes(period, [row for row in rows[:1] if _is_seen(opened, row)]),
            *([] if opened.sight.is_whole else [f"these are amounts of what is seen: {opened.sight.in_words}"]),
        ],
    )
    found = [
        _row(opened, row, period) for row in rows if _is_seen(opened, row) and by in (None, row["by"] or EVERYTHING)
    ]
    if found:
        largest = f"the largest of {len(found)}: " if by not in (None, "everything") else ""
        answer.sentence = f"{days}, billed, valued in USD: {largest}{_in_words(found[0])}."
    return page.put(answer, found)


def _read(opened: Opened, period: Period) -> tuple[Sequence[Mapping[str, Any]], str | None]:
    """Return what changed, of all cuts, and the rates. It holds for an hour: whoever asks by one cut asks by others."""
    name = f"{period} at {hour()}"
    if name not in opened.known:
        with opened.whole(*READ) as database:
            opened.known[name] = read_what_changed(database, period).rows.to_pylist(), rates_of(database, period)
    rows, rates = opened.known[name]
    return rows, rates


def _periods(
    opened: Opened, first: str | None, last: str | None, before_first: str | None, before_last: str | None
) -> Period:
    period = period_of(opened, first, last)
    if not before_first and not before_last:
        return period
    if not before_first or not before_last:
        raise WarehouseError("name before_first and before_last, or neither: then it is the period before")
    before = days_of(before_first, before_last)
    if before[1] >= period.first:
        raise WarehouseError(f"before_last {before_last}: must be before first {period.first}")
    return Period(period.first, period.last, *before)


def _is_seen(opened: Opened, row: Mapping[str, Any]) -> bool:
    """Whether the assistant may see a row of a cut."""
    if row["by"] == "person" and opened.sight.people != "names":
        return False
    return not opened.sight.teams or (row["by"] == "team" and opened.sight.sees_team(row["name"]))


def _row(opened: Opened, row: Mapping[str, Any], period: Period) -> Row:
    return Row(
        about=about(by=row["by"] or EVERYTHING, name=row["name"]),
        values=values(**{name: row[f"usd_{name}"] for name in ("before", "now", "change", *PARTS)}),
        unit="USD",
        currency="USD",
        cost_basis="billed",
        note=row["why_unknown"],
        explain=_command(opened, row["by"], row["name"], period),
    )


def _command(opened: Opened, by: str, name: str, period: Period) -> str | None:
    """Return the command that explains what was billed now; None for a row whose name is no id, or of several
    connections."""
    connections = opened.sight.connections
    if by not in EXPLAINED or len(connections) > 1 or name == f"other {by}s":
        return None
    words = ["usage-assets", "explain", *EXPLAINED[by].split()]
    words += {"": [], "team": [name], "model": [f"family={'' if name == WITHOUT_NAME else name}"]}[by]
    words += [word for each in connections for word in ("--connection", each)]
    words += ["--start", str(period.first), "--end", str(period.last), "--where", "cost_basis=billed"]
    return shown(*words, "--column", "amount_usd")


def _in_words(row: Row) -> str:
    name = row.about["name"]
    if row.note:
        return f"{name} is not compared ({row.note})"
    parts = [f"{part.replace('_', ' ')} {row.values[part]}" for part in PARTS if row.values[part] not in ("0", None)]
    figures = ", ".join(parts) or "no difference"
    return f"{name} {row.values['before']} before, {row.values['now']} now, change {row.values['change']}: {figures}"


def _notes(period: Period, everything: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    apart = [f"{why} {plain(row[f'usd_{why}'])}" for row in everything for why in NOT_COMPARED if row[f"usd_{why}"]]
    if apart:
        yield f"not compared, of everything, in USD: {', '.join(apart)}"
    yield (
        "volume: more or less use; mix: use that moved between models, kinds of tokens and projects; price: the same "
        "use at another price; new, gone: use that one period alone has; credits_and_taxes: taxes, fees, credits and "
        "refunds; not_split: charges on days without a quantity. The parts of a row add up to its change, exactly. "
        "more_days, fewer_days, not_known_before and not_known_now are in none of these, nor in before and now: they "
        "were billed on days whose counterpart does not exist, or is not known. The rows of different cuts are the "
        "same money: never add them"
    )
    now, before = period.last - period.first, period.before_same - period.before_first
    if now != before:
        yield f"{now.days + 1} days are compared with {before.days + 1}"
    if period.before_same < period.before_last:
        yield f"compared up to {period.before_same}: as many days as the later period has"
