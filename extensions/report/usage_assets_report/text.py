"""The report's ten answers for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from usage_assets.core.days import counted
from usage_assets.core.money import in_words, total, with_unit
from usage_assets_report.answers import Answer, answers, facts, text_of
from usage_assets_report.figures import Figure, Report
from usage_assets_report.page import amount, change, label

LARGEST = 5
WIDE = 120
"""Characters of a line that has two tables."""
SHOWN = ("by_team", "by_project", "by_model", "by_person")


def show(report: Report, console: Console) -> None:
    """Print the ten answers, the amount of each basis, and what most was spent on."""
    period = report.period
    console.print(f"AI spend, {period.title}: {period.first} to {period.last}, UTC", highlight=False, style="bold")
    if report.begins_late:
        console.print(report.begins_late, highlight=False)
    for answer in answers(report):
        _print(answer, console)
    console.print("; ".join(f"{fact.name}: {text_of(fact.words)}" for fact in facts(report)), highlight=False)
    console.print(_bases(report))
    grid = Table.grid(padding=(0, 4))
    tables = [_largest(report.figures[name]) for name in SHOWN]
    in_a_row = 2 if console.width >= WIDE else 1  # an amount that is cut would be another one
    for first in range(0, len(tables), in_a_row):
        grid.add_row(*tables[first : first + in_a_row])
    console.print(grid)
    for line in (*_amortized(report), *_certainty(report)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _print(answer: Answer, console: Console) -> None:
    first, *more = map(text_of, answer.lines)
    console.print(Text.assemble((answer.question, "bold"), f" {first}"), highlight=False, soft_wrap=True)
    for line in (*more, *(f"{bar.name}: {text_of(bar.words)}" for bar in answer.bars)):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _rows(report: Report, name: str) -> Sequence[Mapping[str, Any]]:
    """Return the rows of a figure; none where its tables do not exist yet."""
    return report.figures[name].rows.to_pylist() if name in report.figures else ()


def _bases(report: Report) -> Table:
    table = _table("", "amount", "the period before", numbers=1)
    for row in _rows(report, "headline"):
        if row["amount"] is not None:
            table.add_row(label(row), amount(row["amount"], row["unit"]), change(row, report))
    return table


def _largest(figure: Figure) -> Table:
    name = figure.rows.column_names[0]
    table = _table(figure.title, "billed", numbers=1)
    rows = figure.rows.to_pylist()
    for row in rows[:LARGEST]:
        table.add_row(_short(str(row[name])), amount(row["usd"], "USD"))
    if rest := rows[LARGEST:]:
        others = sum(row["count"] for row in rest)
        table.add_row(f"{others:,} more", amount(total(row["usd"] for row in rest), "USD"), style="dim")
    return table


def _short(text: str, most: int = 44) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _table(*heads: str, numbers: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for index, head in enumerate(heads):
        table.add_column(head, justify="right" if index == numbers else "left", no_wrap=True)
    return table


def _amortized(report: Report) -> Iterator[str]:
    """Yield each connection whose charges are spread over their use."""
    for row in _rows(report, "amortized"):
        is_part_only_billed = row["of_it_only_billed"] not in (0, row["amortized"])
        if row["amortized"] != row["cash"] or is_part_only_billed:
            cash, amortized, only_billed = (
                with_unit(amount(row[name], ""), row["unit"]) for name in ("cash", "amortized", "of_it_only_billed")
            )
            part = f" ({only_billed} of it only billed)" if is_part_only_billed else ""
            yield f"{row['connection']}: {cash} billed, {amortized} amortized{part}"


def _certainty(report: Report) -> Iterator[str]:
    for row in _rows(report, "connections"):
        final = f"final until {row['final_until']}" if row["final_until"] else "no day is final"
        again = f", settled until {row['settled_until']}" if row["settled_until"] else ""
        are = "is" if row["due_days"] == 1 else "are"
        due = f", {counted(row['due_days'])} {are} due ({row['why_due']})" if row["due_days"] else ""
        ended = ", no longer configured: nothing more is expected of it" if row["ended"] else ""
        failed = f", {row['days_with_failed_checks']} days with failed checks" if row["days_with_failed_checks"] else ""
        stored = (
            f"stored {row['first_day']} to {row['last_day']}, {final}{again}"
            if row["first_day"]
            else "no day is stored"
        )
        yield f"{row['connection']}: {stored}{due}{failed}{ended}"
    for row in _rows(report, "doubts"):
        yield f"{row['connection']}: {row['contradicted_by']} on {counted(row['days'])}: {row['what']}"
    for row in _rows(report, "unpriced"):
        yield f"{row['connection']}: {amount(row['amount'], '')} {row['unit']} have no dollar value: {row['why']}"
    for row in _rows(report, "billed_twice"):
        billed, other = (
            "an unknown amount" if row[name] is None else amount(row[name], "USD") for name in ("usd", "other_usd")
        )
        if not row["accounts"]:
            yield f"{row['connection']}: {billed} of {row['service']} is in the bill of {row['billed_by']}, too"
        elif row["connection"] < row["billed_by"]:
            has = f"{row['connection']} has {billed} and {row['billed_by']} {other}"
            yield f"{row['service']} of account {row['accounts']} is stored twice: {has}"
    for row in _rows(report, "delivered"):
        for name, what in (
            ("not_stored", "that files deliver is not stored"),
            ("not_delivered", "is stored, and files do not deliver it any more"),
            ("missing", "that files deliver is missing"),
        ):
            if row[name]:
                billed = with_unit(amount(row[name], ""), row["currency"])
                yield f"{row['connection']}: {billed} {what}: {row['reason']}"
    for row in _rows(report, "invoices"):
        if row["state"] != "reconciled":
            both = row["invoiced"], row["stored"] or Decimal(0)
            invoiced, stored = map(in_words(both, row["currency"]).__getitem__, both)
            yield f"{row['connection']}: invoice {row['invoice']} is {invoiced}, stored is {stored}"
